/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"

#define CALLS_MAX 40 /* more than any operation here needs */

static const char old_text[] = "the old content, which is the longer one of the two";
static const char new_text[] = "the new content";

static int quick_sync(struct td_fs *fs, int handle)
{
    (void)fs;
    (void)handle;
    return 0;
}

static int quick_sync_dir(struct td_fs *fs, const char *path)
{
    (void)fs;
    (void)path;
    return 0;
}

struct fixture {
    struct td_fs_ops ops; /* the real ones without waiting for the disk */
    struct td_fs inner;
    struct test_folder folder;
    char path[TEST_PATH_MAX];
    char temporary[TEST_PATH_MAX];
    size_t handles;
    struct td_fs_fault fault;
    struct td_fs *fs;
};

static int setup(void **state)
{
    static struct fixture f;
    test_folder_make(&f.folder);
    test_folder_path(&f.folder, "file", f.path);
    test_folder_path(&f.folder, "file.tmp", f.temporary);
    f.handles = test_handles_count();
    f.ops = *td_fs_posix()->ops;
    f.ops.sync = quick_sync;
    f.ops.sync_dir = quick_sync_dir;
    f.inner.ops = &f.ops;
    f.fs = td_fs_fault_init(&f.fault, &f.inner);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(test_handles_count(), f->handles);
    test_folder_remove(&f->folder);
    return 0;
}

static void arm(struct fixture *f, uint64_t fail_at, int error, bool sticky)
{
    f->fault.calls = 0;
    f->fault.fail_at = fail_at;
    f->fault.error = error;
    f->fault.sticky = sticky;
}

static bool content_is(const struct fixture *f, const char *text)
{
    char bytes[128];
    long n = test_file_read(f->path, bytes, sizeof(bytes));
    return n == (long)strlen(text) && memcmp(bytes, text, (size_t)n) == 0;
}

/* Every n-th call fails: old or new content, never a mix; nothing leaks; the next one works. */
static void replace_under_faults(struct fixture *f, bool sticky, bool leftover)
{
    static const int errors[] = {-EIO, -ENOSPC, -EEXIST};
    for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
        bool finished = false;
        bool was_old = false;
        bool was_new_yet_failed = false;
        for (uint64_t n = 1; !finished; n++) {
            assert_true(n < CALLS_MAX);
            test_file_write(f->path, old_text, strlen(old_text));
            if (leftover) {
                test_file_write(f->temporary, "left behind", 11);
            }
            arm(f, n, errors[e], sticky);
            int r = td_fs_replace(f->fs, f->path, new_text, strlen(new_text));
            finished = f->fault.calls < n;
            assert_int_equal(test_handles_count(), f->handles);
            if (r == 0) {
                assert_true(content_is(f, new_text));
            } else {
                assert_int_equal(r, errors[e]);
                assert_true(content_is(f, old_text) || content_is(f, new_text));
                was_old = was_old || content_is(f, old_text);
                was_new_yet_failed = was_new_yet_failed || content_is(f, new_text);
            }
            arm(f, 0, 0, false);
            assert_int_equal(td_fs_replace(f->fs, f->path, "third", 5), 0);
            assert_true(content_is(f, "third"));
            assert_int_equal(test_entries_count(f->folder.path), 1);
        }
        assert_true(was_old);
        assert_true(was_new_yet_failed); /* the folder's sync */
    }
}

static void test_replace(void **state)
{
    for (int i = 0; i < 4; i++) {
        replace_under_faults(*state, (i & 1) != 0, (i & 2) != 0);
    }
}

/* A disk that fills up in the middle of the content. */
static int64_t torn_pwrite(struct td_fs *fs, int handle, const void *bytes, size_t len,
                           uint64_t offset)
{
    (void)fs;
    struct td_fs *posix = td_fs_posix();
    return posix->ops->pwrite(posix, handle, bytes, len < 4 ? len : 4, offset);
}

static void test_replace_torn(void **state)
{
    struct fixture *f = *state;
    f->ops.pwrite = torn_pwrite;
    replace_under_faults(f, false, false);
    replace_under_faults(f, true, true);
}

static void test_slurp(void **state)
{
    struct fixture *f = *state;
    test_file_write(f->path, old_text, strlen(old_text));
    bool finished = false;
    for (uint64_t n = 1; !finished; n++) {
        assert_true(n < CALLS_MAX);
        arm(f, n, -EIO, false);
        char *text = NULL;
        size_t len = 7;
        int r = td_fs_slurp(f->fs, f->path, 1000, &text, &len);
        finished = f->fault.calls < n;
        assert_int_equal(r, finished ? 0 : -EIO);
        if (r < 0) {
            assert_null(text);
            assert_int_equal(len, 7);
        } else {
            assert_int_equal(len, strlen(old_text));
            assert_string_equal(text, old_text);
        }
        free(text);
        assert_int_equal(test_handles_count(), f->handles);
    }
}

static void test_mkdirs(void **state)
{
    struct fixture *f = *state;
    char deep[TEST_PATH_MAX];
    char path[TEST_PATH_MAX];
    bool finished = false;
    int failed = 0;
    for (uint64_t n = 1; !finished; n++) {
        assert_true(n < CALLS_MAX);
        test_folder_path(&f->folder, "x/y/z", deep);
        arm(f, n, -ENOSPC, false);
        int r = td_fs_mkdirs(f->fs, deep, 0755);
        finished = f->fault.calls < n;
        assert_int_equal(r, finished ? 0 : -ENOSPC);
        failed += r < 0 ? 1 : 0;
        arm(f, 0, 0, false);
        /* Started again it completes. */
        assert_int_equal(td_fs_mkdirs(f->fs, deep, 0755), 0);
        static const char *const levels[] = {"x/y/z", "x/y", "x"};
        for (size_t i = 0; i < 3; i++) {
            test_folder_path(&f->folder, levels[i], path);
            assert_int_equal(td_fs_rmdir(f->fs, path), 0);
        }
    }
    assert_true(failed >= 4);
}

static int ignore_entry(void *ctx, const char *name)
{
    (void)name;
    ++*(int *)ctx;
    return 0;
}

/* Call number `n` of one use of each verb; every one of them is counted and can fail. */
static int use_everything(struct fixture *f, int *ret_first)
{
    int r[17];
    size_t n = 0;
    int entries = 0;
    struct td_fs_stat stat;
    struct td_fs_space space;
    char byte = 'x';
    char other[TEST_PATH_MAX];
    test_folder_path(&f->folder, "other", other);
    struct td_fs *fs = f->fs;
    int h = td_fs_open(fs, f->path, TD_FS_READ | TD_FS_WRITE, 0);
    r[n++] = h < 0 ? h : 0;
    /* Verbs on the handle need one, whether or not the first open failed. */
    int own = h < 0 ? td_fs_open(td_fs_posix(), f->path, TD_FS_READ | TD_FS_WRITE, 0) : h;
    r[n++] = td_fs_pwrite_all(fs, own, &byte, 1, 0);
    r[n++] = td_fs_pread(fs, own, &byte, 1, 0) == 1 ? 0 : f->fault.error;
    r[n++] = td_fs_truncate(fs, own, 1);
    r[n++] = td_fs_sync(fs, own);
    r[n++] = td_fs_fstat(fs, own, &stat);
    r[n++] = td_fs_lock(fs, own);
    r[n++] = td_fs_close(fs, own);
    r[n++] = td_fs_stat_path(fs, f->path, &stat);
    r[n++] = td_fs_symlink(fs, "target", other);
    r[n++] = td_fs_rename(fs, f->path, f->path, true);
    r[n++] = td_fs_unlink(fs, other);
    r[n++] = td_fs_mkdir(fs, f->folder.path, 0755);
    r[n++] = td_fs_sync_dir(fs, f->folder.path);
    r[n++] = td_fs_list(fs, f->folder.path, ignore_entry, &entries);
    r[n++] = td_fs_rmdir(fs, f->temporary);
    r[n++] = td_fs_space(fs, f->folder.path, &space);
    assert_int_equal(n, 17);
    int count = 0;
    *ret_first = -1;
    for (size_t i = 0; i < n; i++) {
        if (r[i] == -EDQUOT) {
            *ret_first = count == 0 ? (int)i : *ret_first;
            count++;
        }
    }
    return count;
}

static void test_every_verb_counts(void **state)
{
    struct fixture *f = *state;
    char other[TEST_PATH_MAX];
    test_folder_path(&f->folder, "other", other);
    test_file_write(f->path, "x", 1);
    for (uint64_t n = 0; n <= 17; n++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            struct td_fs_stat stat;
            int r = td_fs_stat_path(td_fs_posix(), other, &stat);
            if (r == 0) { /* the unlink was the one to fail last time */
                assert_int_equal(td_fs_unlink(td_fs_posix(), other), 0);
            }
            arm(f, n, -EDQUOT, sticky != 0);
            int first = -1;
            int count = use_everything(f, &first);
            assert_true(f->fault.calls == 17);
            assert_int_equal(first, n == 0 ? -1 : (int)n - 1);
            assert_int_equal(count, n == 0 ? 0 : sticky != 0 ? (int)(18 - n) : 1);
            assert_int_equal(test_handles_count(), f->handles); /* a failing close closes */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace_torn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slurp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mkdirs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_verb_counts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
