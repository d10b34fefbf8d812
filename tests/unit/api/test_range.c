/* SPDX-License-Identifier: Apache-2.0 */
#include "api/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t size;
        enum td_range_kind kind;
        struct td_range range;
    } rows[] = {
        {NULL, 10, TD_RANGE_WHOLE, {0}},
        {"", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=0-0", 10, TD_RANGE_PART, {0, 0, 0}},
        {"bytes=2-5", 10, TD_RANGE_PART, {2, 5, 5}},
        {"BYTES=2-5", 10, TD_RANGE_PART, {2, 5, 5}},
        {"bytes= 2-5 ", 10, TD_RANGE_PART, {2, 5, 5}},
        {"bytes=9-", 10, TD_RANGE_PART, {9, 9, UINT64_MAX}},
        {"bytes=0-", 10, TD_RANGE_PART, {0, 9, UINT64_MAX}},
        {"bytes=4-99", 10, TD_RANGE_PART, {4, 9, 99}},
        {"bytes=-3", 10, TD_RANGE_PART, {7, 9, UINT64_MAX}},
        {"bytes=-10", 10, TD_RANGE_PART, {0, 9, UINT64_MAX}},
        {"bytes=-99", 10, TD_RANGE_PART, {0, 9, UINT64_MAX}},
        {"bytes=0-18446744073709551615", 10, TD_RANGE_PART, {0, 9, UINT64_MAX}},
        {"bytes=0-99999999999999999999999", 10, TD_RANGE_PART, {0, 9, UINT64_MAX}},
        {"bytes=-99999999999999999999999", 10, TD_RANGE_PART, {0, 9, UINT64_MAX}},
        /* it begins behind the end */
        {"bytes=10-", 10, TD_RANGE_OUTSIDE, {10, 0, 0}},
        {"bytes=10-20", 10, TD_RANGE_OUTSIDE, {10, 0, 0}},
        {"bytes=-0", 10, TD_RANGE_OUTSIDE, {10, 0, 0}},
        {"bytes=0-", 0, TD_RANGE_OUTSIDE, {0}},
        {"bytes=-5", 0, TD_RANGE_OUTSIDE, {0}},
        {"bytes=18446744073709551615-", 10, TD_RANGE_OUTSIDE, {UINT64_MAX, 0, 0}},
        {"bytes=99999999999999999999-", 10, TD_RANGE_OUTSIDE, {UINT64_MAX, 0, 0}},
        /* not understood: the whole */
        {"bytes=5-2", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=-", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=5", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=a-b", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=1-2x", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=0x1-2", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=+1-2", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=--5", 10, TD_RANGE_WHOLE, {0}},
        {"bytes 1-2", 10, TD_RANGE_WHOLE, {0}},
        {"items=0-1", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=0-1,3-4", 10, TD_RANGE_WHOLE, {0}},
        {"bytes=0-,-1", 10, TD_RANGE_WHOLE, {0}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_range range = {.first = 4711};
        assert_int_equal(td_range_parse(rows[i].value, rows[i].size, &range), rows[i].kind);
        if (rows[i].kind == TD_RANGE_WHOLE)
            continue;
        assert_true(range.first == rows[i].range.first);
        if (rows[i].kind == TD_RANGE_PART)
            assert_true(range.last == rows[i].range.last && range.wish == rows[i].range.wish);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges)};
    return cmocka_run_group_tests_name("api/range", tests, NULL, NULL);
}
