/* SPDX-License-Identifier: Apache-2.0 */
#include "config/amount.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000)

static void test_values(void **state)
{
    (void)state;
    static const struct {
        enum td_amount kind;
        const char *text;
        int64_t value;
    } rows[] = {
        {TD_AMOUNT_NUMBER, "0", 0},
        {TD_AMOUNT_NUMBER, "007", 7},
        {TD_AMOUNT_NUMBER, "9223372036854775807", INT64_MAX},
        {TD_AMOUNT_BYTES, "262144", 262144},
        {TD_AMOUNT_BYTES, "256K", 262144},
        {TD_AMOUNT_BYTES, "16M", 16 << 20},
        {TD_AMOUNT_BYTES, "4G", INT64_C(4) << 30},
        {TD_AMOUNT_BYTES, "1.5T", INT64_C(3) << 39},
        {TD_AMOUNT_BYTES, "1.1K", 1126},
        {TD_AMOUNT_BYTES, "0.999999T", INT64_C(1099510528264)},
        {TD_AMOUNT_MEGABYTES, "64", 64 << 20},
        {TD_AMOUNT_SECONDS, "60", 60 * S},
        {TD_AMOUNT_SECONDS, "1.5", 3 * S / 2},
        {TD_AMOUNT_SECONDS, "0.000001", 1},
        {TD_AMOUNT_SECONDS, "250ms", S / 4},
        {TD_AMOUNT_SECONDS, "90s", 90 * S},
        {TD_AMOUNT_SECONDS, "10m", 600 * S},
        {TD_AMOUNT_SECONDS, "2h", 7200 * S},
        {TD_AMOUNT_SECONDS, "0.5d", 43200 * S},
        {TD_AMOUNT_SECONDS, "30d", 2592000 * S},
        {TD_AMOUNT_MILLISECONDS, "400", 400000},
        {TD_AMOUNT_MILLISECONDS, "400ms", 400000},
        {TD_AMOUNT_MILLISECONDS, "2s", 2 * S},
        {TD_AMOUNT_MILLISECONDS, "0.5", 500},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int64_t value = -7;
        assert_int_equal(td_amount_parse(rows[i].kind, rows[i].text, &value), 0);
        if (value != rows[i].value)
            fail_msg("%s is %" PRId64, rows[i].text, value);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        enum td_amount kind;
        const char *text;
    } rows[] = {
        {TD_AMOUNT_NUMBER, ""},
        {TD_AMOUNT_NUMBER, "-1"},
        {TD_AMOUNT_NUMBER, "+1"},
        {TD_AMOUNT_NUMBER, " 1"},
        {TD_AMOUNT_NUMBER, "1 "},
        {TD_AMOUNT_NUMBER, "1.0"},
        {TD_AMOUNT_NUMBER, "1e3"},
        {TD_AMOUNT_NUMBER, "0x10"},
        {TD_AMOUNT_NUMBER, "1_000"},
        {TD_AMOUNT_NUMBER, "nan"},
        {TD_AMOUNT_NUMBER, "1K"},
        {TD_AMOUNT_NUMBER, "9223372036854775808"},
        {TD_AMOUNT_BYTES, "1.5"},
        {TD_AMOUNT_BYTES, "1k"},
        {TD_AMOUNT_BYTES, "1KB"},
        {TD_AMOUNT_BYTES, "1 K"},
        {TD_AMOUNT_BYTES, "K"},
        {TD_AMOUNT_BYTES, "8388608T"},
        {TD_AMOUNT_MEGABYTES, "1.5"},
        {TD_AMOUNT_MEGABYTES, "64M"},
        {TD_AMOUNT_SECONDS, "abc"},
        {TD_AMOUNT_SECONDS, "1."},
        {TD_AMOUNT_SECONDS, ".5"},
        {TD_AMOUNT_SECONDS, "1.5.5"},
        {TD_AMOUNT_SECONDS, "1.0000001"},
        {TD_AMOUNT_SECONDS, "1:30"},
        {TD_AMOUNT_SECONDS, "1w"},
        {TD_AMOUNT_SECONDS, "1S"},
        {TD_AMOUNT_SECONDS, "9223372036855"},
        {TD_AMOUNT_SECONDS, "106751992d"},
        {TD_AMOUNT_MILLISECONDS, "1m"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int64_t value = -7;
        if (td_amount_parse(rows[i].kind, rows[i].text, &value) != -TD_E_PARSE)
            fail_msg("'%s' is taken", rows[i].text);
        assert_int_equal(value, -7);
    }
}

static void test_written(void **state)
{
    (void)state;
    static const struct {
        enum td_amount kind;
        int64_t value;
        const char *text;
    } rows[] = {
        {TD_AMOUNT_NUMBER, 512, "512"},
        {TD_AMOUNT_BYTES, 0, "0"},
        {TD_AMOUNT_BYTES, 1, "1"},
        {TD_AMOUNT_BYTES, 1024, "1K"},
        {TD_AMOUNT_BYTES, 1025, "1025"},
        {TD_AMOUNT_BYTES, 1536 << 10, "1536K"},
        {TD_AMOUNT_BYTES, INT64_C(1) << 40, "1T"},
        {TD_AMOUNT_BYTES, INT64_C(1) << 50, "1024T"},
        {TD_AMOUNT_BYTES, INT64_MAX, "9223372036854775807"},
        {TD_AMOUNT_MEGABYTES, 64 << 20, "64"},
        {TD_AMOUNT_SECONDS, 0, "0"},
        {TD_AMOUNT_SECONDS, 1, "0.000001"},
        {TD_AMOUNT_SECONDS, 3 * S / 2, "1.5"},
        {TD_AMOUNT_SECONDS, 2592000 * S, "2592000"},
        {TD_AMOUNT_SECONDS, INT64_MAX, "9223372036854.775807"},
        {TD_AMOUNT_MILLISECONDS, 400000, "400"},
        {TD_AMOUNT_MILLISECONDS, 400001, "400.001"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char text[TD_AMOUNT_TEXT_MAX];
        td_amount_write(rows[i].kind, rows[i].value, text);
        assert_string_equal(text, rows[i].text);
        int64_t value = -7;
        assert_int_equal(td_amount_parse(rows[i].kind, text, &value), 0);
        assert_true(value == rows[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_written),
    };
    return cmocka_run_group_tests_name("config/amount", tests, NULL, NULL);
}
