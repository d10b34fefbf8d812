/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"

int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);

/* What a file system without RENAME_NOREPLACE answers; 0 lets the real one work. */
static int rename_errno;

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (rename_errno != 0 && flags != 0) {
        errno = rename_errno;
        return -1;
    }
    return __real_renameat2(from_dir, from, to_dir, to, flags);
}

struct fixture {
    struct test_folder folder;
    char a[TEST_PATH_MAX];
    char b[TEST_PATH_MAX];
    struct td_fs *fs;
    size_t handles;
};

static int setup(void **state)
{
    static struct fixture f;
    test_folder_make(&f.folder);
    test_folder_path(&f.folder, "a", f.a);
    test_folder_path(&f.folder, "b", f.b);
    f.fs = td_fs_posix();
    f.handles = test_handles_count();
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

static void test_read_write(void **state)
{
    struct fixture *f = *state;
    int h = td_fs_open(f->fs, f->a, TD_FS_READ | TD_FS_WRITE | TD_FS_CREATE, 0600);
    assert_true(h >= 0);
    assert_int_equal(fcntl(h, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(td_fs_pwrite_all(f->fs, h, "hello world", 11, 3), 0);
    char bytes[32];
    assert_true(td_fs_pread(f->fs, h, bytes, sizeof(bytes), 0) == 14);
    assert_memory_equal(bytes, "\0\0\0hello world", 14);
    assert_true(td_fs_pread(f->fs, h, bytes, sizeof(bytes), 14) == 0);
    assert_int_equal(td_fs_truncate(f->fs, h, 8), 0);
    assert_int_equal(td_fs_sync(f->fs, h), 0);
    struct td_fs_stat stat;
    struct td_fs_stat same;
    assert_int_equal(td_fs_fstat(f->fs, h, &stat), 0);
    assert_int_equal(td_fs_stat_path(f->fs, f->a, &same), 0);
    assert_true(stat.size == 8 && stat.is_file && !stat.is_dir && stat.uid == getuid());
    assert_true(stat.ino == same.ino && stat.dev == same.dev && same.size == 8);
    assert_true(stat.mtime_us > 0 && stat.mtime_us == same.mtime_us);
    assert_true(td_fs_pread(f->fs, h, bytes, 1, UINT64_MAX) == -EOVERFLOW);
    assert_int_equal(td_fs_pwrite_all(f->fs, h, "x", 1, UINT64_MAX), -EFBIG);
    assert_int_equal(td_fs_truncate(f->fs, h, UINT64_MAX), -EFBIG);
    assert_int_equal(td_fs_close(f->fs, h), 0);
    assert_int_equal(td_fs_close(f->fs, h), -EBADF);
    assert_int_equal(td_fs_sync(f->fs, h), -EBADF);
}

static void test_open_flags(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(td_fs_open(f->fs, f->a, TD_FS_READ, 0), -ENOENT);
    assert_int_equal(td_fs_open(f->fs, f->a, TD_FS_WRITE, 0), -ENOENT);
    int h = td_fs_open(f->fs, f->a, TD_FS_APPEND, 0644);
    assert_true(h >= 0);
    assert_int_equal(td_fs_pwrite_all(f->fs, h, "one\n", 4, 0), 0);
    assert_int_equal(td_fs_close(f->fs, h), 0);
    h = td_fs_open(f->fs, f->a, TD_FS_APPEND | TD_FS_READ, 0644);
    assert_true(h >= 0);
    /* An appending handle writes at the end, whatever the offset. */
    assert_int_equal(td_fs_pwrite_all(f->fs, h, "two\n", 4, 0), 0);
    char bytes[32];
    assert_true(td_fs_pread(f->fs, h, bytes, sizeof(bytes), 0) == 8);
    assert_memory_equal(bytes, "one\ntwo\n", 8);
    assert_int_equal(td_fs_close(f->fs, h), 0);
    assert_int_equal(td_fs_open(f->fs, f->a, TD_FS_WRITE | TD_FS_CREATE, 0644), -EEXIST);
    assert_int_equal(td_fs_symlink(f->fs, f->a, f->b), 0);
    assert_int_equal(td_fs_open(f->fs, f->b, TD_FS_READ | TD_FS_NOFOLLOW, 0), -ELOOP);
    assert_int_equal(td_fs_open(f->fs, f->b, TD_FS_WRITE | TD_FS_CREATE, 0644), -EEXIST);
    struct td_fs_stat stat;
    assert_int_equal(td_fs_stat_path(f->fs, f->b, &stat), 0);
    assert_false(stat.is_file || stat.is_dir);
    h = td_fs_open(f->fs, f->b, TD_FS_READ, 0);
    assert_true(h >= 0);
    assert_true(td_fs_pread(f->fs, h, bytes, 3, 0) == 3);
    assert_int_equal(td_fs_close(f->fs, h), 0);
}

/* The same outcome with the system call and with the fallback. */
static void test_rename(void **state)
{
    struct fixture *f = *state;
    static const int errors[] = {0, EINVAL, ENOSYS};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        rename_errno = errors[i];
        test_file_write(f->a, "aa", 2);
        assert_int_equal(td_fs_rename(f->fs, f->a, f->b, false), 0);
        char bytes[8];
        assert_int_equal(test_file_read(f->a, bytes, sizeof(bytes)), -1);
        assert_int_equal(test_file_read(f->b, bytes, sizeof(bytes)), 2);
        test_file_write(f->a, "new", 3);
        assert_int_equal(td_fs_rename(f->fs, f->a, f->b, false), -EEXIST);
        assert_int_equal(test_file_read(f->a, bytes, sizeof(bytes)), 3);
        assert_int_equal(test_file_read(f->b, bytes, sizeof(bytes)), 2);
        assert_int_equal(td_fs_rename(f->fs, f->a, f->b, true), 0);
        assert_int_equal(test_file_read(f->b, bytes, sizeof(bytes)), 3);
        assert_int_equal(td_fs_rename(f->fs, f->a, f->b, true), -ENOENT);
        assert_int_equal(td_fs_unlink(f->fs, f->b), 0);
        assert_int_equal(td_fs_rename(f->fs, f->a, f->b, false), -ENOENT);
    }
    rename_errno = EXDEV; /* any other error is passed on */
    test_file_write(f->a, "aa", 2);
    assert_int_equal(td_fs_rename(f->fs, f->a, f->b, false), -EXDEV);
    rename_errno = 0;
}

struct listing {
    int count;
    int stop_at;
    unsigned seen;
};

static int list_entry(void *ctx, const char *name)
{
    struct listing *l = ctx;
    l->seen |= 1u << (name[0] - 'a');
    return ++l->count == l->stop_at ? 42 : 0;
}

static void test_folders(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(td_fs_mkdir(f->fs, f->a, 0755), 0);
    assert_int_equal(td_fs_mkdir(f->fs, f->a, 0755), 0);
    test_file_write(f->b, "", 0);
    assert_int_equal(td_fs_mkdir(f->fs, f->b, 0755), -EEXIST);
    struct listing all = {.count = 0};
    assert_int_equal(td_fs_list(f->fs, f->folder.path, list_entry, &all), 0);
    assert_int_equal(all.count, 2);
    assert_int_equal(all.seen, 3);
    struct listing some = {.stop_at = 1};
    assert_int_equal(td_fs_list(f->fs, f->folder.path, list_entry, &some), 42);
    assert_int_equal(some.count, 1);
    assert_int_equal(td_fs_list(f->fs, f->b, list_entry, &all), -ENOTDIR);
    assert_int_equal(td_fs_sync_dir(f->fs, f->a), 0);
    assert_int_equal(td_fs_sync_dir(f->fs, f->b), -ENOTDIR);
    assert_int_equal(td_fs_sync_parent(f->fs, f->a), 0);
    assert_int_equal(td_fs_unlink(f->fs, f->a), -EISDIR);
    assert_int_equal(td_fs_rmdir(f->fs, f->b), -ENOTDIR);
    assert_int_equal(td_fs_rmdir(f->fs, f->folder.path), -ENOTEMPTY);
    assert_int_equal(td_fs_rmdir(f->fs, f->a), 0);
    assert_int_equal(td_fs_rmdir(f->fs, f->a), -ENOENT);
}

static void test_lock(void **state)
{
    struct fixture *f = *state;
    const unsigned flags = TD_FS_READ | TD_FS_WRITE;
    test_file_write(f->a, "x", 1);
    int first = td_fs_open(f->fs, f->a, flags, 0);
    int second = td_fs_open(f->fs, f->a, flags, 0);
    assert_true(first >= 0 && second >= 0);
    assert_int_equal(td_fs_lock(f->fs, first), 0);
    assert_int_equal(td_fs_lock(f->fs, first), 0);
    assert_int_equal(td_fs_lock(f->fs, second), -EAGAIN);
    /* Closing another handle of the file, which drops a process lock, keeps this one. */
    int third = td_fs_open(f->fs, f->a, flags, 0);
    assert_true(third >= 0);
    assert_int_equal(td_fs_close(f->fs, third), 0);
    assert_int_equal(td_fs_lock(f->fs, second), -EAGAIN);
    /* Another process sees it too. */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int h = td_fs_open(f->fs, f->a, flags, 0);
        _exit(h >= 0 && td_fs_lock(f->fs, h) == -EAGAIN ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(td_fs_close(f->fs, first), 0);
    assert_int_equal(td_fs_lock(f->fs, second), 0);
    assert_int_equal(td_fs_close(f->fs, second), 0);
}

/* Who holds a file open can see that it has no name any more. */
static void test_names(void **state)
{
    struct fixture *f = *state;
    struct td_fs_stat stat;
    int h = td_fs_open(f->fs, f->a, TD_FS_WRITE | TD_FS_CREATE, 0600);
    assert_true(h >= 0);
    assert_int_equal(td_fs_fstat(f->fs, h, &stat), 0);
    assert_int_equal(stat.nlink, 1);
    assert_int_equal(link(f->a, f->b), 0);
    assert_int_equal(td_fs_stat_path(f->fs, f->b, &stat), 0);
    assert_int_equal(stat.nlink, 2);
    assert_int_equal(td_fs_unlink(f->fs, f->a), 0);
    assert_int_equal(td_fs_unlink(f->fs, f->b), 0);
    assert_int_equal(td_fs_fstat(f->fs, h, &stat), 0);
    assert_int_equal(stat.nlink, 0);
    assert_int_equal(td_fs_close(f->fs, h), 0);
}

static void test_space(void **state)
{
    struct fixture *f = *state;
    struct td_fs_space space = {.total_bytes = 0};
    assert_int_equal(td_fs_space(f->fs, f->folder.path, &space), 0);
    assert_true(space.total_bytes > 0 && space.free_bytes <= space.total_bytes);
    assert_true(space.files_free > 0);
    /* procfs stores nothing and counts no inodes. */
    assert_int_equal(td_fs_space(f->fs, "/proc", &space), 0);
    assert_true(space.free_bytes == 0 && space.files_free == UINT64_MAX);
    space.free_bytes = 7;
    assert_int_equal(td_fs_space(f->fs, f->a, &space), -ENOENT);
    assert_true(space.free_bytes == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_flags, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_space, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
