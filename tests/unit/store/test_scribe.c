/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "store/scribe.h"

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_init(&fixture);
    fixture_store(&fixture, 2, -1);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_done(*state);
    return 0;
}

static void test_order(void **state)
{
    struct fixture *f = *state;
    char manifest[TD_PATH_MAX];
    char timeline[TD_PATH_MAX];
    (void)fixture_path(f, "manifest.json", manifest);
    (void)fixture_path(f, "timeline.jsonl", timeline);
    char expected[4096];
    size_t len = 0;
    char line[32];
    for (int i = 0; i < 100; i++) {
        int n = snprintf(line, sizeof(line), "line %d\n", i);
        memcpy(expected + len, line, (size_t)n);
        len += (size_t)n;
        assert_int_equal(td_store_append(f->store, timeline, line, (size_t)n), 0);
        assert_int_equal(td_store_replace(f->store, manifest, line, (size_t)n), 0);
    }
    memset(line, 0, sizeof(line)); /* they are copies */
    int first = 1;
    fixture_store_done(f);
    assert_content(timeline, expected, len);
    assert_content(manifest, "line 99\n", 8);
    assert_int_equal(folder_count(f->disk), 2);
    fixture_store(f, 2, -1);
    assert_int_equal(td_store_scribe_errors(f->store, &first), 0);
    assert_int_equal(first, 0);
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    char good[TD_PATH_MAX];
    (void)fixture_path(f, "missing/manifest.json", path);
    (void)fixture_path(f, "good", good);
    assert_int_equal(td_store_replace(f->store, path, "x", 1), 0);
    assert_int_equal(td_store_append(f->store, path, "x", 1), 0);
    assert_int_equal(td_store_append(f->store, good, "y", 1), 0);
    int first = 0;
    uint64_t errors = 0;
    for (int i = 0; i < 10000000 && (errors < 2 || !file_exists(good)); i++) {
        errors = td_store_scribe_errors(f->store, &first);
        (void)sched_yield(); /* between two looks at the condition */
    }
    assert_int_equal(errors, 2);
    assert_int_equal(first, -ENOENT);
    fixture_store_done(f);
    assert_content(good, "y", 1);
}

/* While the disk hangs, calls are refused at the named limits, and counted. */
static void test_full(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    (void)fixture_path(f, "timeline.jsonl", path);
    gate_shut(&f->gate);
    assert_int_equal(td_store_append(f->store, path, "a", 1), 0);
    gate_wait(&f->gate);
    unsigned taken = 0;
    int r;
    while ((r = td_store_append(f->store, path, "b", 1)) == 0) {
        taken++;
    }
    assert_int_equal(r, -ENOBUFS);
    assert_int_equal(taken, TD_SCRIBE_JOBS_MAX);
    int first;
    assert_int_equal(td_store_scribe_errors(f->store, &first), 1);
    assert_int_equal(first, -ENOBUFS);
    gate_open(&f->gate);
    fixture_store_done(f);
    size_t len;
    char *text = file_read(path, &len);
    assert_int_equal(len, taken + 1);
    free(text);
}

static void test_bytes(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    (void)fixture_path(f, "large", path);
    size_t len = TD_SCRIBE_BYTES_MAX / 4;
    char *bytes = calloc(1, len);
    assert_non_null(bytes);
    gate_shut(&f->gate);
    assert_int_equal(td_store_replace(f->store, path, bytes, len), 0);
    assert_int_equal(td_store_replace(f->store, path, bytes, len), 0);
    assert_int_equal(td_store_replace(f->store, path, bytes, len), 0);
    assert_int_equal(td_store_replace(f->store, path, bytes, len), -ENOBUFS);
    assert_int_equal(td_store_replace(f->store, path, bytes, (size_t)TD_SCRIBE_BYTES_MAX + 1),
                     -TD_E_LIMIT);
    gate_open(&f->gate);
    fixture_store_done(f);
    free(bytes);
}

/* A line that could not be written whole is not glued to the next one. */
static void test_append_error(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    file_write(fixture_path(f, "timeline.jsonl", path), "one\n", 4);
    atomic_store(&f->gate.write_error, -ENOSPC);
    assert_int_equal(td_store_append(f->store, path, "two\n", 4), 0);
    int first = 0;
    for (int i = 0; i < 10000000 && td_store_scribe_errors(f->store, &first) == 0; i++) {
        (void)sched_yield(); /* between two looks at the condition */
    }
    assert_int_equal(first, -ENOSPC);
    atomic_store(&f->gate.write_error, 0);
    assert_int_equal(td_store_append(f->store, path, "three\n", 6), 0);
    fixture_store_done(f);
    assert_content(path, "one\nthree\n", 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
