/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of the store fails in turn: -ENOMEM comes back and nothing leaks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "store/manifest.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

/* Allocations of this thread up to the one that fails; 0: none does. */
static _Thread_local unsigned fail_after;

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

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_done(*state);
    return 0;
}

static void test_store(void **state)
{
    struct fixture *f = *state;
    struct td_store_config config = {
        .fs = &f->gate.base, .runtime_dir = f->shm, .crashpool_bytes = pool_bytes(2)};
    unsigned n = 0;
    int r;
    do {
        fail_after = ++n;
        r = td_store_new(&config, &f->store);
        fail_after = 0;
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            assert_int_equal(folder_count(f->shm), 0);
        } else if (!td_store_crash_safe(f->store)) {
            /* The pool's own memory was refused, the second attempt had it. */
            assert_int_equal(td_store_pool_error(f->store), -ENOMEM);
            fixture_store_done(f);
            r = -ENOMEM;
        }
    } while (r < 0);
    assert_true(n > 5);
}

static void test_spool(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 2, -1);
    char path[TD_PATH_MAX];
    struct td_spool_config config = {.path = {fixture_path(f, "a.ts", path), NULL}};
    struct td_spool *spool = NULL;
    fail_after = 1;
    assert_int_equal(td_spool_open(f->store, &config, &spool), -ENOMEM);
    fail_after = 1;
    assert_int_equal(td_store_append(f->store, path, "x", 1), -ENOMEM);
    fail_after = 0;
    int first;
    assert_int_equal(td_store_scribe_errors(f->store, &first), 1);
    assert_int_equal(first, -ENOMEM);
    /* From here on nothing may allocate: it is the media path. */
    assert_int_equal(td_spool_open(f->store, &config, &spool), 0);
    static uint8_t bytes[100000];
    fail_after = 1;
    assert_int_equal(emit(spool, TD_OP_APPEND, TD_FILE_MEDIA, 0, bytes, sizeof(bytes)), 0);
    td_spool_flush(spool);
    td_spool_tick(spool, 1);
    struct td_spool_finish finish = {.replace = false};
    td_spool_close(spool, &finish);
    assert_int_equal(fail_after, 1);
    fail_after = 0;
}

static void test_recover(void **state)
{
    struct fixture *f = *state;
    for (unsigned n = 1; n < 3; n++) {
        fail_after = n;
        int r = td_crashpool_recover(&f->gate.base, f->shm, NULL, NULL);
        assert_true(r == -ENOMEM || (r == 0 && fail_after > 0));
        fail_after = 0;
    }
}

static void test_manifest(void **state)
{
    (void)state;
    struct td_manifest m;
    td_manifest_init(&m);
    struct td_manifest_track track = {.offset_us = 1};
    struct td_manifest_part part = {.bytes = 1};
    struct td_manifest_output output = {.parts = &part, .part_count = 1};
    fail_after = 1;
    assert_int_equal(td_manifest_add_track(&m, &track), -ENOMEM);
    for (unsigned n = 1; n <= 2; n++) {
        fail_after = n;
        assert_int_equal(td_manifest_add_output(&m, &output), -ENOMEM);
    }
    fail_after = 0;
    assert_int_equal(m.track_count + m.output_count, 0);
    assert_int_equal(td_manifest_add_track(&m, &track), 0);
    assert_int_equal(td_manifest_add_output(&m, &output), 0);
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(td_manifest_write(&m, &text, &len), 0);
    td_manifest_done(&m);
    for (unsigned n = 1; n <= 3; n++) {
        fail_after = n; /* ours only: jansson is linked as it is */
        int r = td_manifest_read(text, len, &m);
        fail_after = 0;
        assert_int_equal(r, -ENOMEM);
    }
    assert_int_equal(td_manifest_read(text, len, &m), 0);
    td_manifest_done(&m);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spool, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recover, setup, teardown),
        cmocka_unit_test(test_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
