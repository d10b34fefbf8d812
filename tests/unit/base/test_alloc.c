/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of base fails in turn: an error comes back, and nothing is charged or leaked. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fs.h"
#include "base/loop.h"
#include "base/mailbox.h"
#include "base/pool.h"

#include <cmocka.h>

#include "folder.h"

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

/* Allocations up to the one that fails; 0: none does. */
static unsigned fail_after;

static int alloc_fails(void)
{
    return fail_after > 0 && --fail_after == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return alloc_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return alloc_fails() ? NULL : __real_realloc(p, size);
}

static void test_bytes(void **state)
{
    (void)state;
    struct td_budget budget;
    td_budget_init(&budget, NULL, 0);
    struct td_bytes b;
    td_bytes_init(&b, 10000, &budget);
    assert_int_equal(td_bytes_append(&b, "abc", 3), 0);
    size_t used = td_budget_used(&budget);
    char block[200] = "";
    fail_after = 1; /* doubling fails, the exact size is enough */
    assert_int_equal(td_bytes_append(&b, block, 100), 0);
    fail_after = 1;
    assert_int_equal(td_bytes_reserve(&b, 5000), -ENOMEM);
    assert_int_equal(b.len, 103);
    assert_memory_equal(b.data, "abc", 3);
    assert_true(td_budget_used(&budget) == b.capacity && b.capacity >= used);
    assert_int_equal(td_bytes_reserve(&b, 5000), 0);
    fail_after = 1;
    td_bytes_shrink(&b, 200); /* stays as it is */
    assert_int_equal(b.capacity, 5000);
    assert_int_equal(td_budget_used(&budget), 5000);
    td_bytes_done(&b);
    fail_after = 1;
    assert_int_equal(td_bytes_append(&b, block, 64), -ENOMEM);
    assert_int_equal(td_budget_used(&budget), 0);
    td_budget_done(&budget);
}

static void test_pool(void **state)
{
    (void)state;
    struct td_budget budget;
    td_budget_init(&budget, NULL, 0);
    struct td_pool p;
    fail_after = 1;
    assert_int_equal(td_pool_init(&p, 100, 10, &budget), -ENOMEM);
    td_budget_done(&budget);
}

static void test_threads(void **state)
{
    (void)state;
    size_t handles = test_handles_count();
    struct td_mailbox *m = NULL;
    fail_after = 1;
    assert_int_equal(td_mailbox_new(5, &m), -ENOMEM);
    assert_null(m);
    struct td_loop *loop = NULL;
    for (unsigned n = 1; n <= 2; n++) { /* the loop, its mailbox */
        fail_after = n;
        assert_int_equal(td_loop_new("x", &loop), -ENOMEM);
        assert_null(loop);
    }
    fail_after = 0;
    assert_int_equal(td_loop_new("x", &loop), 0);
    loop = td_loop_free(loop);
    assert_int_equal(test_handles_count(), handles);
}

static void test_slurp(void **state)
{
    (void)state;
    size_t handles = test_handles_count();
    char *text = NULL;
    size_t len = 0;
    int r = -ENOMEM;
    unsigned n = 0;
    while (r < 0) {
        fail_after = ++n;
        r = td_fs_slurp(td_fs_posix(), "/proc/self/status", 1u << 20, &text, &len);
        assert_true(r == 0 || r == -ENOMEM);
        assert_int_equal(text != NULL, r == 0);
        assert_int_equal(test_handles_count(), handles);
    }
    assert_true(n > 2); /* it grew at least once */
    fail_after = 0;
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_slurp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
