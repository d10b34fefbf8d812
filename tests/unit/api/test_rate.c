/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S INT64_C(1000000)

static void test_nothing_known(void **state)
{
    (void)state;
    struct td_rate r = {.count = 0};
    assert_float_equal(td_rate_now(&r, 5 * S, 1000), 0, 0);
    td_rate_add(&r, 10 * S, 1000);
    assert_float_equal(td_rate_now(&r, 10 * S, 1000), 0, 0);
    assert_float_equal(td_rate_now(&r, 10 * S + 1000, 2000), 0, 0); /* too soon to tell */
    assert_float_equal(td_rate_now(&r, 10 * S + S / 2, 2000), 2000, 1e-9);
}

/* A counter that grows by 100 a second for 50 s, then stands still. */
static void test_window(void **state)
{
    (void)state;
    struct td_rate r = {.count = 0};
    for (int64_t second = 0; second < 60; second++) {
        uint64_t value = 7 + 100 * (uint64_t)(second < 50 ? second : 50);
        double wanted = second == 0 ? 0 : 100;
        if (second > 50) /* of the last five seconds, some stood still */
            wanted = second < 55 ? 20.0 * (double)(55 - second) : 0;
        assert_float_equal(td_rate_now(&r, second * S, value), wanted, 1e-9);
        td_rate_add(&r, second * S, value);
    }
}

static void test_back(void **state)
{
    (void)state;
    struct td_rate r = {.count = 0};
    td_rate_add(&r, 1 * S, 5000);
    assert_float_equal(td_rate_now(&r, 2 * S, 10), 0, 0);
    assert_float_equal(td_rate_now(&r, 0, 6000), 0, 0); /* a clock that went back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
