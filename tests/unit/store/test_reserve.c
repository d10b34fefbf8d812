/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reserve.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fixture.h"

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

static uint64_t file_bytes(const struct fixture *f)
{
    char path[TD_PATH_MAX];
    struct td_fs_stat stat;
    int r = td_fs_stat_path(td_fs_posix(), fixture_path(f, "reserve", path), &stat);
    return r == 0 ? stat.size : 0;
}

static void init(struct fixture *f, struct td_reserve *r, uint64_t bytes)
{
    assert_int_equal(td_reserve_init(r, &f->gate.base, f->disk), 0);
    assert_int_equal(td_reserve_look(r, bytes), 0);
}

static void make(struct td_reserve *r)
{
    int err;
    unsigned steps = 0;
    while ((err = td_reserve_make(r)) == TD_RESERVE_MORE) {
        assert_false(td_reserve_is_held(r));
        assert_true(++steps < 100);
    }
    assert_int_equal(err, 0);
}

static void test_make_and_release(void **state)
{
    struct fixture *f = *state;
    struct td_reserve r;
    const uint64_t bytes = 100001;
    init(f, &r, bytes);
    assert_false(td_reserve_is_held(&r));
    assert_int_equal(td_reserve_release(&r), 0); /* there is none */
    make(&r);
    assert_true(td_reserve_is_held(&r));
    assert_int_equal(file_bytes(f), bytes);
    /* It is really there, and for nobody else to look at. */
    char path[TD_PATH_MAX];
    struct stat st;
    assert_int_equal(stat(fixture_path(f, "reserve", path), &st), 0);
    assert_true((uint64_t)st.st_blocks * 512 >= bytes);
    assert_int_equal(st.st_mode & 0777, 0600);
    unsigned long long writes = f->gate.writes;
    make(&r); /* nothing to do */
    assert_int_equal(f->gate.writes, writes);
    assert_int_equal(td_reserve_release(&r), 0);
    assert_false(td_reserve_is_held(&r));
    assert_false(file_exists(path));
    make(&r);
    assert_int_equal(file_bytes(f), bytes);
}

/* Noise: a file system that compresses must not get it for nothing. */
static void test_content(void **state)
{
    struct fixture *f = *state;
    struct td_reserve r;
    init(f, &r, 64u << 10);
    make(&r);
    char path[TD_PATH_MAX];
    size_t len = 0;
    char *bytes = file_read(fixture_path(f, "reserve", path), &len);
    unsigned counts[256] = {0};
    for (size_t i = 0; i < len; i++) {
        counts[(unsigned char)bytes[i]]++;
    }
    for (size_t i = 0; i < 256; i++) {
        assert_in_range(counts[i], 100, 500); /* 256 each */
    }
    assert_memory_not_equal(bytes, bytes + len / 2, len / 2);
    free(bytes);
}

static void test_steps(void **state)
{
    struct fixture *f = *state;
    struct td_reserve r;
    const uint64_t bytes = 2ull * TD_RESERVE_STEP_BYTES + 1;
    init(f, &r, bytes);
    assert_int_equal(td_reserve_make(&r), TD_RESERVE_MORE);
    assert_int_equal(file_bytes(f), TD_RESERVE_STEP_BYTES);
    assert_int_equal(td_reserve_make(&r), TD_RESERVE_MORE);
    assert_int_equal(td_reserve_make(&r), 0);
    assert_true(td_reserve_is_held(&r));
    assert_int_equal(file_bytes(f), bytes);
}

static void test_what_an_earlier_run_left(void **state)
{
    struct fixture *f = *state;
    struct td_reserve r;
    char path[TD_PATH_MAX];
    (void)fixture_path(f, "reserve", path);
    file_write(path, "0123456789", 10);
    init(f, &r, 10);
    assert_true(td_reserve_is_held(&r));
    assert_int_equal(td_reserve_look(&r, 20), 0);
    assert_false(td_reserve_is_held(&r));
    make(&r);
    assert_int_equal(file_bytes(f), 20);
    assert_int_equal(td_reserve_look(&r, 4), 0);
    assert_false(td_reserve_is_held(&r));
    make(&r);
    assert_int_equal(file_bytes(f), 4);
    assert_int_equal(td_reserve_look(&r, 0), 0); /* none is wanted any more */
    assert_false(td_reserve_is_held(&r));
    make(&r);
    assert_false(file_exists(path));
    make(&r);
    /* A link in its place is not followed. */
    char other[TD_PATH_MAX];
    (void)fixture_path(f, "other", other);
    file_write(other, "x", 1);
    assert_int_equal(td_fs_symlink(td_fs_posix(), other, path), 0);
    init(f, &r, 10);
    assert_false(td_reserve_is_held(&r));
    assert_int_equal(td_reserve_cut(&f->gate.base, path, 1), -ELOOP);
    assert_int_equal(td_reserve_make(&r), -ELOOP);
    assert_content(other, "x", 1);
}

static void test_a_long_path(void **state)
{
    (void)state;
    char path[TD_PATH_MAX];
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    struct td_reserve r;
    assert_int_equal(td_reserve_init(&r, td_fs_posix(), path), -ENAMETOOLONG);
}

/* Every call fails in turn: nothing is held, at the latest after the next call that works. */
static void test_faults(void **state)
{
    struct fixture *f = *state;
    unsigned failed = 0;
    bool through = false;
    for (unsigned long long n = 1; !through; n++) {
        assert_true(n < 100);
        struct td_reserve r;
        init(f, &r, 100000);
        f->gate.calls = 0;
        f->gate.fail_at = n;
        f->gate.error = -ENOSPC;
        int err = td_reserve_make(&r);
        through = f->gate.calls < n;
        f->gate.fail_at = 0;
        assert_int_equal(err, through ? 0 : -ENOSPC);
        assert_int_equal(td_reserve_is_held(&r), through);
        failed += err < 0 ? 1 : 0;
        if (!through) {
            assert_int_equal(file_bytes(f), 0);
        }
        assert_int_equal(td_reserve_release(&r), 0);
        assert_int_equal(f->gate.handles, 0);
    }
    assert_in_range(failed, 10, 20); /* open, fstat, seven writes, sync, close */
    struct td_reserve r;
    init(f, &r, 1000);
    make(&r);
    f->gate.calls = 0;
    f->gate.fail_at = 1;
    f->gate.error = -EIO;
    assert_int_equal(td_reserve_release(&r), -EIO);
    assert_true(td_reserve_is_held(&r));
}

static void test_cut(void **state)
{
    struct fixture *f = *state;
    struct td_reserve r;
    char path[TD_PATH_MAX];
    (void)fixture_path(f, "reserve", path);
    assert_int_equal(td_reserve_cut(&f->gate.base, path, 10), 0); /* there is none */
    init(f, &r, 100000);
    make(&r);
    assert_int_equal(td_reserve_missing(&r), 0);
    assert_int_equal(td_reserve_cut(&f->gate.base, path, 60000), TD_RESERVE_MORE);
    assert_int_equal(file_bytes(f), 40000);
    assert_int_equal(td_reserve_look(&r, 100000), 0);
    assert_false(td_reserve_is_held(&r));
    assert_int_equal(td_reserve_missing(&r), 60000);
    assert_int_equal(td_reserve_cut(&f->gate.base, path, 60000), TD_RESERVE_MORE);
    assert_int_equal(file_bytes(f), 0);
    assert_int_equal(td_reserve_cut(&f->gate.base, path, 60000), 0);
    make(&r);
    assert_int_equal(file_bytes(f), 100000);
    assert_true(td_reserve_slice(1) == TD_RESERVE_SLICE_BYTES_MIN);
    assert_true(td_reserve_slice(16u << 20) == 1u << 20);
    for (unsigned long long n = 1; n <= 4; n++) { /* open, fstat, truncate, close */
        f->gate.calls = 0;
        f->gate.fail_at = n;
        f->gate.error = -EIO;
        assert_int_equal(td_reserve_cut(&f->gate.base, path, 1), -EIO);
        assert_int_equal(f->gate.handles, 0);
    }
}

/* ---- what the scribe does with it ---- */

/* A disk that takes nothing while the reserve is larger than `limit`. */
struct full_disk {
    struct td_fs base;
    struct td_fs_ops ops;
    char reserve[TD_PATH_MAX];
    uint64_t limit;
    int error;
};

static int64_t full_pwrite(struct td_fs *fs, int handle, const void *bytes, size_t len,
                           uint64_t offset)
{
    struct full_disk *d = (struct full_disk *)fs; /* `base` is the first member */
    struct td_fs_stat stat;
    int r = td_fs_stat_path(td_fs_posix(), d->reserve, &stat);
    if (r == 0 && stat.size > d->limit) {
        return d->error;
    }
    return td_fs_posix()->ops->pwrite(td_fs_posix(), handle, bytes, len, offset);
}

static int fail_for_space(void *arg)
{
    (void)arg;
    return -ENOSPC;
}

static void start_scribe(struct fixture *f, struct full_disk *d, uint64_t limit, int error)
{
    *d = (struct full_disk){.ops = *td_fs_posix()->ops, .limit = limit, .error = error};
    d->ops.pwrite = full_pwrite;
    d->base.ops = &d->ops;
    (void)fixture_path(f, "reserve", d->reserve);
    struct td_store_config config = {
        .fs = &d->base, .runtime_dir = f->shm, .crashpool_bytes = pool_bytes(4)};
    assert_int_equal(td_store_new(&config, &f->store), 0);
    struct td_reserve r;
    init(f, &r, 1000);
    make(&r);
    assert_int_equal(td_store_use_reserve(f->store, d->reserve, 100), 0);
}

static void test_last_words(void **state)
{
    struct fixture *f = *state;
    static struct full_disk d;
    char manifest[TD_PATH_MAX];
    char timeline[TD_PATH_MAX];
    int first;
    (void)fixture_path(f, "manifest.json", manifest);
    (void)fixture_path(f, "timeline.jsonl", timeline);
    start_scribe(f, &d, 850, -ENOSPC);
    assert_int_equal(td_store_replace(f->store, manifest, "{}", 2), 0);
    assert_int_equal(td_store_append(f->store, timeline, "x\n", 2), 0);
    struct td_store_job job = {.job = fail_for_space}; /* it says so, and may try again */
    assert_int_equal(td_store_run(f->store, &job), 0);
    assert_int_equal(td_store_append(f->store, timeline, "y\n", 2), 0);
    fixture_store_done(f);
    assert_content(manifest, "{}", 2);
    assert_content(timeline, "x\ny\n", 4);
    assert_int_equal(file_bytes(f), 700); /* no more than was needed, and a slice for the job */
    /* When even the whole of it does not help, that is an end too. */
    start_scribe(f, &d, 0, -EDQUOT);
    d.error = -EDQUOT;
    (void)snprintf(d.reserve, sizeof(d.reserve), "%s", manifest); /* which stays as large */
    assert_int_equal(td_store_append(f->store, timeline, "z\n", 2), 0);
    fixture_store_done(f);
    assert_content(timeline, "x\ny\n", 4);
    assert_int_equal(file_bytes(f), 0);
    /* Another failure is none of its matters. */
    start_scribe(f, &d, 0, -EIO);
    assert_int_equal(td_store_use_reserve(f->store, d.reserve, 200), 0);
    assert_int_equal(td_store_append(f->store, timeline, "z\n", 2), 0);
    uint64_t errors = 0;
    while ((errors = td_store_scribe_errors(f->store, &first)) == 0) {
        (void)sched_yield(); /* between two looks at the condition */
    }
    assert_int_equal(first, -EIO);
    fixture_store_done(f);
    assert_int_equal(file_bytes(f), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_make_and_release, setup, teardown),
        cmocka_unit_test_setup_teardown(test_content, setup, teardown),
        cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_an_earlier_run_left, setup, teardown),
        cmocka_unit_test(test_a_long_path),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last_words, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
