/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 100

static void test_all_slots_are_distinct(void **state)
{
    (void)state;
    struct td_budget budget;
    td_budget_init(&budget, NULL, 0);
    struct td_pool p;
    assert_int_equal(td_pool_init(&p, 33, COUNT, &budget), 0);
    assert_int_equal(td_budget_used(&budget), 0);
    uint8_t *slots[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        slots[i] = td_pool_take(&p);
        assert_non_null(slots[i]);
        assert_int_equal((uintptr_t)slots[i] % alignof(max_align_t), 0);
        memset(slots[i], (int)i, 33);
    }
    assert_true(td_budget_used(&budget) >= (size_t)33 * COUNT);
    assert_null(td_pool_take(&p));
    assert_null(td_pool_take(&p));
    assert_true(p.exhausted == 2);
    assert_int_equal(p.used_count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < 33; k++) {
            assert_int_equal(slots[i][k], i);
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        td_pool_give(&p, slots[i]);
    }
    td_pool_done(&p);
    assert_int_equal(td_budget_used(&budget), 0);
    td_budget_done(&budget);
}

static void test_last_in_first_out(void **state)
{
    (void)state;
    struct td_pool p;
    assert_int_equal(td_pool_init(&p, 16, 4, NULL), 0);
    void *a = td_pool_take(&p);
    void *b = td_pool_take(&p);
    td_pool_give(&p, a);
    td_pool_give(&p, b);
    assert_ptr_equal(td_pool_take(&p), b);
    assert_ptr_equal(td_pool_take(&p), a);
    td_pool_give(&p, b);
    td_pool_give(&p, a);
    td_pool_done(&p);
}

/* Random taking and giving, the last slot included, in a pool that is often empty and full. */
static void test_random_walk(void **state)
{
    (void)state;
    struct td_pool p;
    assert_int_equal(td_pool_init(&p, 8, 7, NULL), 0);
    uint8_t *held[7];
    size_t count = 0;
    uint32_t seed = 0x5eed0002u;
    print_message("# seed %u\n", seed);
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525u + 1013904223u;
        if ((seed >> 30 & 1u) != 0) {
            uint8_t *slot = td_pool_take(&p);
            assert_int_equal(slot == NULL, count == 7);
            if (slot != NULL) {
                memset(slot, 0xa5, 8);
                for (size_t k = 0; k < count; k++) {
                    assert_ptr_not_equal(held[k], slot);
                }
                held[count++] = slot;
            }
        } else if (count > 0) {
            size_t k = (seed >> 8) % count;
            td_pool_give(&p, held[k]);
            held[k] = held[--count];
        }
        assert_int_equal(p.used_count, count);
    }
    while (count > 0) {
        td_pool_give(&p, held[--count]);
    }
    td_pool_done(&p);
}

static void test_refusals(void **state)
{
    (void)state;
    struct td_budget budget;
    td_budget_init(&budget, NULL, 100);
    struct td_pool p;
    assert_int_equal(td_pool_init(&p, 64, 2, &budget), 0);
    void *slot = td_pool_take(&p);
    assert_non_null(slot);
    assert_null(td_pool_take(&p)); /* the budget is full */
    td_pool_give(&p, slot);
    assert_ptr_equal(td_pool_take(&p), slot); /* what was charged stays usable */
    td_pool_give(&p, slot);
    td_pool_done(&p);
    assert_int_equal(td_pool_init(&p, SIZE_MAX, 1, NULL), -TD_E_LIMIT);
    assert_int_equal(td_pool_init(&p, 64, SIZE_MAX / 32, NULL), -TD_E_LIMIT);
    assert_int_equal(td_budget_used(&budget), 0);
    td_budget_done(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_slots_are_distinct),
        cmocka_unit_test(test_last_in_first_out),
        cmocka_unit_test(test_random_walk),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
