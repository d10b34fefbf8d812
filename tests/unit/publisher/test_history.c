/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "publisher/history.h"
#include "publisher/packetize.h"

static void test_ring(void **state)
{
    (void)state;
    struct td_history *h = NULL;
    const uint8_t *bytes;
    size_t len;
    assert_int_equal(td_history_new(512, &h), 0);
    assert_int_equal(td_history_get(h, 0, 1000000, &bytes, &len), 0);
    /* Across the end of the sequence numbers. */
    for (unsigned i = 0; i < 700; i++) {
        uint16_t seq = (uint16_t)(65000 + i);
        uint8_t packet[3] = {(uint8_t)(seq >> 8), (uint8_t)seq, 7};
        assert_int_equal(td_history_put(h, seq, packet, 3, 0), 0);
    }
    for (unsigned i = 0; i < 700; i++) {
        uint16_t seq = (uint16_t)(65000 + i);
        int r = td_history_get(h, seq, 1000000, &bytes, &len);
        assert_int_equal(r, i >= 700 - 512);
        if (r == 1) {
            assert_int_equal(len, 3);
            assert_int_equal(bytes[0] << 8 | bytes[1], seq);
        }
    }
    assert_null(td_history_free(h));
}

static void test_repeat(void **state)
{
    (void)state;
    struct td_history *h = NULL;
    const uint8_t *bytes;
    size_t len;
    uint8_t packet[TD_PACKETIZE_BYTES_MAX + 1] = {1};
    assert_int_equal(td_history_new(1, &h), 0);
    assert_int_equal(td_history_put(h, 9, packet, sizeof(packet), 0), -TD_E_LIMIT);
    assert_int_equal(td_history_put(h, 9, packet, sizeof(packet) - 1, 0), 0);
    assert_int_equal(td_history_get(h, 9, TD_HISTORY_REPEAT_US - 1, &bytes, &len), 0);
    assert_int_equal(td_history_get(h, 9, TD_HISTORY_REPEAT_US, &bytes, &len), 1);
    assert_int_equal(td_history_get(h, 9, TD_HISTORY_REPEAT_US + 1, &bytes, &len), 0);
    assert_int_equal(td_history_get(h, 9, 2 * TD_HISTORY_REPEAT_US, &bytes, &len), 1);
    (void)td_history_free(h);
}

static void test_sizes(void **state)
{
    (void)state;
    static const unsigned bad[] = {0, 3, 500, 8192};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct td_history *h = NULL;
        assert_int_equal(td_history_new(bad[i], &h), -TD_E_USAGE);
        assert_null(h);
    }
    assert_null(td_history_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
