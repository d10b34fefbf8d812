/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        int64_t wall_us;
        const char *rfc3339;
        const char *basic;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z", "19700101T000000Z"},
        {INT64_C(1795253400000000), "2026-11-21T09:30:00.000Z", "20261121T093000Z"},
        {INT64_C(1795253400999999), "2026-11-21T09:30:00.999Z", "20261121T093000Z"},
        {INT64_C(951782400001000), "2000-02-29T00:00:00.001Z", "20000229T000000Z"},
        {-1, "1969-12-31T23:59:59.999Z", "19691231T235959Z"},
        {-1000000, "1969-12-31T23:59:59.000Z", "19691231T235959Z"},
        {INT64_MAX, "294247-01-10T04:00:54.775Z", "2942470110T040054Z"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[TD_CLOCK_TEXT_MAX];
        td_clock_rfc3339(rows[i].wall_us, text);
        assert_string_equal(text, rows[i].rfc3339);
        td_clock_basic(rows[i].wall_us, text);
        assert_string_equal(text, rows[i].basic);
    }
    char text[TD_CLOCK_TEXT_MAX];
    td_clock_rfc3339(INT64_MIN, text); /* the longest there is */
    td_clock_basic(INT64_MIN, text);
}

/* What is written is read again; nothing else is, however near it comes. */
static void test_read(void **state)
{
    (void)state;
    static const int64_t times_us[] = {0,
                                       INT64_C(1795253400999000),
                                       INT64_C(951782400001000),
                                       INT64_C(-1000),
                                       INT64_C(-62167219200000000),
                                       INT64_C(253402300799999000)};
    for (size_t i = 0; i < sizeof(times_us) / sizeof(times_us[0]); i++) {
        char text[TD_CLOCK_TEXT_MAX];
        int64_t wall_us = 1;
        td_clock_rfc3339(times_us[i], text);
        assert_int_equal(td_clock_parse_rfc3339(text, &wall_us), 0);
        assert_true(wall_us == times_us[i]);
    }
    static const char *const wrong[] = {
        "",
        "2026",
        "2026-11-21T09:30:00Z",
        "2026-11-21T09:30:00.000",
        "2026-11-21T09:30:00.000z",
        "2026-11-21t09:30:00.000Z",
        "2026-11-21 09:30:00.000Z",
        "2026-11-21T09:30:00,000Z",
        "2026-11-21T09:30:00.000ZZ",
        "2026-11-21T09:30:00.000+00:00",
        " 026-11-21T09:30:00.000Z",
        "-026-11-21T09:30:00.000Z",
        "2026-1a-21T09:30:00.000Z",
        "2026-00-21T09:30:00.000Z",
        "2026-13-21T09:30:00.000Z",
        "2026-11-00T09:30:00.000Z",
        "2026-11-31T09:30:00.000Z",
        "2026-02-29T09:30:00.000Z",
        "2026-11-21T24:00:00.000Z",
        "2026-11-21T09:60:00.000Z",
        "2026-12-31T23:59:60.000Z",
        "294247-01-10T04:00:54.775Z",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int64_t wall_us = 77;
        if (td_clock_parse_rfc3339(wrong[i], &wall_us) != -TD_E_PARSE || wall_us != 77)
            fail_msg("'%s' was read", wrong[i]);
    }
}

static void test_clocks_move_forward(void **state)
{
    (void)state;
    int64_t start_us = td_clock_now_us();
    assert_true(start_us > 0);
    int64_t now_us = start_us;
    while (now_us == start_us) {
        now_us = td_clock_now_us();
    }
    assert_true(now_us > start_us);
    assert_true(td_clock_wall_us() > INT64_C(1600000000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_clocks_move_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
