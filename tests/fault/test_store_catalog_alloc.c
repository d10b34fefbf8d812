/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of the catalogue fails in turn, ours and SQLite's: -ENOMEM comes back, never a
 * damaged catalogue, nothing leaks, and what is there afterwards is whole. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "catalog_fixture.h"
#include "catalog_story.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
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

void *__wrap_malloc(size_t size)
{
    return alloc_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return alloc_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return alloc_fails() ? NULL : __real_realloc(p, size);
}

static void *sql_malloc(int size)
{
    return __wrap_malloc((size_t)size);
}

static void *sql_realloc(void *p, int size)
{
    return __wrap_realloc(p, (size_t)size);
}

static int sql_size(void *p)
{
    return p != NULL ? (int)malloc_usable_size(p) : 0;
}

static int sql_roundup(int size)
{
    return (size + 7) & ~7;
}

static int sql_init(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static void sql_shutdown(void *ctx)
{
    (void)ctx;
}

/* Before the library does anything. */
static int set_methods(void **state)
{
    (void)state;
    static const sqlite3_mem_methods methods = {
        .xMalloc = sql_malloc,
        .xFree = free,
        .xRealloc = sql_realloc,
        .xSize = sql_size,
        .xRoundup = sql_roundup,
        .xInit = sql_init,
        .xShutdown = sql_shutdown,
    };
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK &&
                   sqlite3_initialize() == SQLITE_OK
               ? 0
               : -1;
}

static void test_open(void **state)
{
    struct shelf *s = *state;
    struct td_catalog *c = NULL;
    unsigned failed = 0;
    /* Most are those of statements that are prepared, one like the other. */
    for (unsigned n = 1; c == NULL; n += n < 1000 ? 1 : 5) {
        struct td_fail fail = {.code = 0};
        fail_after = n;
        int r = td_catalog_open(s->path, &fail, &c);
        bool reached = fail_after == 0;
        fail_after = 0;
        assert_true(r == 0 || (reached && r == -ENOMEM && fail.code == r));
        failed += r < 0 ? 1 : 0;
        if (r == 0 && reached) {
            c = td_catalog_close(c); /* one that SQLite can do without */
        }
    }
    print_message("# %u failed\n", failed);
    assert_in_range(failed, 100, 100000);
    assert_null(td_catalog_close(c));
}

static void test_calls(void **state)
{
    struct shelf *s = *state;
    unsigned failed = 0;
    bool reached = true;
    for (unsigned n = 1; reached; n++) {
        struct td_fail fail = {.code = 0};
        struct td_catalog *c = NULL;
        struct story story;
        assert_int_equal(td_catalog_open(s->path, &fail, &c), 0);
        fail_after = n;
        story_tell(c, &story);
        reached = fail_after == 0;
        fail_after = 0;
        assert_true(story.failed == 0 || (reached && story.first_error == -ENOMEM));
        assert_in_range(story.failed, 0, 2);
        failed += story.failed;
        assert_null(td_catalog_close(c));
        story_check(s->path, &story);
        assert_int_equal(unlink(s->path), 0);
    }
    print_message("# %u failed\n", failed);
    assert_in_range(failed, 50, 100000);
}

static int setup(void **state)
{
    static struct shelf shelf;
    shelf_init(&shelf);
    *state = &shelf;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open, setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(test_calls, setup, shelf_teardown),
    };
    return cmocka_run_group_tests(tests, set_methods, NULL);
}
