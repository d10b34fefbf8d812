/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "webrtc/ice_candidate.h"

static void test_good(void **state)
{
    static const struct {
        const char *text;
        struct td_ice_candidate expected;
    } rows[] = {
        {"candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host",
         {"1", "127.0.0.1", 2130706431, 50000, 1, true, false, TD_ICE_HOST}},
        {"a=candidate:842163049 1 UDP 1677729535 203.0.113.7 7882 typ srflx raddr 0.0.0.0 rport 0",
         {"842163049", "203.0.113.7", 1677729535, 7882, 1, true, false, TD_ICE_SERVER_REFLEXIVE}},
        {"3 2 udp 1 fd00::2 9 typ relay raddr ::1 rport 1 generation 0\r\n",
         {"3", "fd00::2", 1, 9, 2, true, false, TD_ICE_RELAYED}},
        {"candidate:f 1  udp 5 a-b-c.local 1234 typ host ",
         {"f", "a-b-c.local", 5, 1234, 1, true, true, TD_ICE_HOST}},
        {"candidate:9 1 tcp 4294967295 10.0.0.1 7881 typ host tcptype passive",
         {"9", "10.0.0.1", UINT32_MAX, 7881, 1, false, false, TD_ICE_HOST}},
        {"candidate:9 1 udp 1 10.0.0.1 65535 typ prflx",
         {"9", "10.0.0.1", 1, 65535, 1, true, false, TD_ICE_PEER_REFLEXIVE}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_ice_candidate c;

        assert_int_equal(td_ice_candidate_parse(rows[i].text, &c), 0);
        assert_string_equal(c.foundation, rows[i].expected.foundation);
        assert_string_equal(c.address, rows[i].expected.address);
        assert_int_equal(c.priority, rows[i].expected.priority);
        assert_int_equal(c.port, rows[i].expected.port);
        assert_int_equal(c.component, rows[i].expected.component);
        assert_int_equal(c.udp, rows[i].expected.udp);
        assert_int_equal(c.name, rows[i].expected.name);
        assert_int_equal(c.type, rows[i].expected.type);
    }
}

static void test_bad(void **state)
{
    static const char *const texts[] = {
        "",
        "candidate:",
        "a=",
        "candidate:1 1 udp 1 127.0.0.1 5",
        "candidate:1 1 udp 1 127.0.0.1 5 typ",
        "candidate:1 1 udp 1 127.0.0.1 5 typ what",
        "candidate:1 1 udp 1 127.0.0.1 5 type host",
        "candidate:1 1 udp 1 127.0.0.1 65536 typ host",
        "candidate:1 1 udp 1 127.0.0.1 -5 typ host",
        "candidate:1 999 udp 1 127.0.0.1 5 typ host",
        "candidate:1 1 udp 4294967296 127.0.0.1 5 typ host",
        "candidate:1 1 udp 99999999999999999999 127.0.0.1 5 typ host",
        "candidate:012345678901234567890123456789012 1 udp 1 127.0.0.1 5 typ host",
        ("candidate:1 1 udp 1 "
         "0123456789012345678901234567890123456789012345678901234567890123 5 typ host"),
    };
    char longest[2000];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct td_ice_candidate c = {.port = 77};

        assert_int_equal(td_ice_candidate_parse(texts[i], &c), -TD_E_PARSE);
        assert_int_equal(c.port, 77);
    }
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    {
        struct td_ice_candidate c;

        assert_int_equal(td_ice_candidate_parse(longest, &c), -TD_E_PARSE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
