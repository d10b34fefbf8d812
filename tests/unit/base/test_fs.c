/* SPDX-License-Identifier: Apache-2.0 */
/* The wrappers of fs.h over the real file system, and over one that does everything in small steps.
 */
#include "base/fs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

#include <cmocka.h>

#include "folder.h"

/* Passes on what these tests need, at most three bytes at a time; `stuck` writes nothing. */
struct slow_fs {
    struct td_fs base;
    uint64_t writes;
    bool stuck;
};

static int slow_open(struct td_fs *fs, const char *path, unsigned flags, unsigned mode)
{
    (void)fs;
    return td_fs_open(td_fs_posix(), path, flags, mode);
}

static int slow_close(struct td_fs *fs, int handle)
{
    (void)fs;
    return td_fs_close(td_fs_posix(), handle);
}

static int64_t slow_pread(struct td_fs *fs, int handle, void *ret_bytes, size_t len,
                          uint64_t offset)
{
    (void)fs;
    return td_fs_pread(td_fs_posix(), handle, ret_bytes, len < 3 ? len : 3, offset);
}

static int64_t slow_pwrite(struct td_fs *fs, int handle, const void *bytes, size_t len,
                           uint64_t offset)
{
    struct slow_fs *slow = (struct slow_fs *)fs;
    slow->writes++;
    if (slow->stuck) {
        return 0;
    }
    struct td_fs *posix = td_fs_posix();
    return posix->ops->pwrite(posix, handle, bytes, len < 3 ? len : 3, offset);
}

static int slow_fstat(struct td_fs *fs, int handle, struct td_fs_stat *ret_stat)
{
    (void)fs;
    int r = td_fs_fstat(td_fs_posix(), handle, ret_stat);
    ret_stat->size = 0; /* as procfs does, and as a growing file looks to who asked early */
    return r;
}

static const struct td_fs_ops slow_ops = {
    .name = "slow",
    .open = slow_open,
    .close = slow_close,
    .pread = slow_pread,
    .pwrite = slow_pwrite,
    .fstat = slow_fstat,
};

struct fixture {
    struct test_folder folder;
    char path[TEST_PATH_MAX];
    struct td_fs *fs;
    size_t handles;
};

static int setup(void **state)
{
    static struct fixture f;
    test_folder_make(&f.folder);
    test_folder_path(&f.folder, "file", f.path);
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

static void test_short_writes_go_on(void **state)
{
    struct fixture *f = *state;
    struct slow_fs slow = {.base = {.ops = &slow_ops}};
    int h = td_fs_open(&slow.base, f->path, TD_FS_WRITE | TD_FS_CREATE, 0644);
    assert_true(h >= 0);
    assert_int_equal(td_fs_pwrite_all(&slow.base, h, "0123456789", 10, 5), 0);
    assert_true(slow.writes == 4);
    assert_int_equal(td_fs_pwrite_all(&slow.base, h, "", 0, 0), 0);
    slow.stuck = true;
    assert_int_equal(td_fs_pwrite_all(&slow.base, h, "x", 1, 0), -EIO);
    assert_int_equal(td_fs_close(&slow.base, h), 0);
    char bytes[32];
    assert_int_equal(test_file_read(f->path, bytes, sizeof(bytes)), 15);
    assert_memory_equal(bytes,
                        "\0\0\0\0\0"
                        "0123456789",
                        15);
}

static void test_slurp(void **state)
{
    struct fixture *f = *state;
    struct slow_fs slow = {.base = {.ops = &slow_ops}};
    static const size_t sizes[] = {0, 1, 511, 512, 513, 1023, 1024, 1025, 5000};
    char content[5000];
    for (size_t i = 0; i < sizeof(content); i++) {
        content[i] = (char)(i % 251);
    }
    struct td_fs *const seams[] = {f->fs, &slow.base};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        test_file_write(f->path, content, size);
        for (size_t k = 0; k < 2; k++) {
            for (size_t max = size; max < size + 3; max++) {
                char *text = NULL;
                size_t len = 0;
                assert_int_equal(td_fs_slurp(seams[k], f->path, max, &text, &len), 0);
                assert_int_equal(len, size);
                assert_memory_equal(text, content, size);
                assert_int_equal(text[size], '\0');
                free(text);
            }
            if (size > 0) {
                char *text = NULL;
                size_t len = 7;
                assert_int_equal(td_fs_slurp(seams[k], f->path, size - 1, &text, &len),
                                 -TD_E_LIMIT);
                assert_null(text);
                assert_int_equal(len, 7);
            }
        }
    }
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(td_fs_slurp(f->fs, f->folder.path, 100000, &text, &len), -EISDIR);
    test_folder_path(&f->folder, "absent", f->path);
    assert_int_equal(td_fs_slurp(f->fs, f->path, 100, &text, &len), -ENOENT);
    /* A file that claims to be empty. */
    assert_int_equal(td_fs_slurp(f->fs, "/proc/self/status", 1u << 20, &text, &len), 0);
    assert_true(len > 100 && strlen(text) == len);
    free(text);
}

static void test_input(void **state)
{
    struct fixture *f = *state;
    struct slow_fs slow = {.base = {.ops = &slow_ops}};
    test_file_write(f->path, "0123456789", 10);
    int h = td_fs_open(f->fs, f->path, TD_FS_READ, 0);
    assert_true(h >= 0);
    struct td_fs_file file = {.fs = f->fs, .handle = h};
    struct td_read_at input;
    assert_int_equal(td_fs_input(&file, &input), 0);
    assert_true(input.size == 10);
    file.fs = &slow.base; /* short reads are continued */
    char bytes[16] = "";
    assert_true(input.read_at(input.ctx, 2, bytes, 8) == 8);
    assert_memory_equal(bytes, "23456789", 8);
    assert_true(input.read_at(input.ctx, 7, bytes, 16) == 3);
    assert_memory_equal(bytes, "789", 3);
    assert_true(input.read_at(input.ctx, 10, bytes, 16) == 0);
    assert_true(input.read_at(input.ctx, UINT64_MAX, bytes, 1) < 0);
    assert_int_equal(td_fs_close(f->fs, h), 0);
    assert_true(input.read_at(input.ctx, 0, bytes, 1) == -EBADF);
}

static void test_mkdirs(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"a/b/c", "a/b/c", "a", "d//e///f//", "g/"};
    static const char *const made[] = {"a/b/c", "a/b/c", "a", "d/e/f", "g"};
    char path[TEST_PATH_MAX];
    struct td_fs_stat stat;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        test_folder_path(&f->folder, names[i], path);
        assert_int_equal(td_fs_mkdirs(f->fs, path, 0755), 0);
        test_folder_path(&f->folder, made[i], path);
        assert_int_equal(td_fs_stat_path(f->fs, path, &stat), 0);
        assert_true(stat.is_dir && !stat.is_file);
    }
    assert_int_equal(td_fs_mkdirs(f->fs, "/", 0755), 0);
    test_file_write(f->path, "x", 1);
    assert_int_equal(td_fs_mkdirs(f->fs, f->path, 0755), -EEXIST);
    test_folder_path(&f->folder, "file/below", path);
    assert_int_equal(td_fs_mkdirs(f->fs, path, 0755), -ENOTDIR);
    test_folder_path(&f->folder, "file/two/below", path);
    assert_int_equal(td_fs_mkdirs(f->fs, path, 0755), -ENOTDIR);
    /* A link to a folder stands for it. */
    test_folder_path(&f->folder, "link", path);
    assert_int_equal(td_fs_symlink(f->fs, "a/b", path), 0);
    test_folder_path(&f->folder, "link/x/y", path);
    assert_int_equal(td_fs_mkdirs(f->fs, path, 0755), 0);
    test_folder_path(&f->folder, "a/b/x/y", path);
    assert_int_equal(td_fs_stat_path(f->fs, path, &stat), 0);
    assert_true(stat.is_dir);
    assert_int_equal(td_fs_mkdirs(f->fs, "", 0755), -ENOENT);
    char long_path[TD_PATH_MAX * 2];
    memset(long_path, 'x', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(td_fs_mkdirs(f->fs, long_path, 0755), -ENAMETOOLONG);
}

/* Records which folder the wrapper asks for. */
struct spy_fs {
    struct td_fs base;
    char dir[64];
};

static int spy_sync_dir(struct td_fs *fs, const char *path)
{
    struct spy_fs *spy = (struct spy_fs *)fs;
    assert_true(strlen(path) < sizeof(spy->dir));
    memcpy(spy->dir, path, strlen(path) + 1);
    return 0;
}

static const struct td_fs_ops spy_ops = {.name = "spy", .sync_dir = spy_sync_dir};

static void test_sync_parent(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *parent;
    } rows[] = {
        {"/a/b/c", "/a/b"}, {"/a", "/"}, {"a", "."},   {"a/b", "a"},
        {"a/b/", "a"},      {"/", "/"},  {"//a", "/"}, {"a//b", "a"},
        {"./a", "."},       {"", "."},   {"a/", "."},  {"/a//b///", "/a"},
    };
    struct spy_fs spy = {.base = {.ops = &spy_ops}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(td_fs_sync_parent(&spy.base, rows[i].path), 0);
        assert_string_equal(spy.dir, rows[i].parent);
    }
}

static void test_replace(void **state)
{
    struct fixture *f = *state;
    char bytes[32];
    assert_int_equal(td_fs_replace(f->fs, f->path, "first", 5), 0);
    assert_int_equal(test_file_read(f->path, bytes, sizeof(bytes)), 5);
    /* What a killed replacement left behind does not stop the next, even when it is longer. */
    char temporary[TEST_PATH_MAX];
    test_folder_path(&f->folder, "file.tmp", temporary);
    test_file_write(temporary, "garbage of long ago", 19);
    assert_int_equal(td_fs_replace(f->fs, f->path, "second!", 7), 0);
    assert_int_equal(test_file_read(f->path, bytes, sizeof(bytes)), 7);
    assert_memory_equal(bytes, "second!", 7);
    /* Nor does a link in its place lead elsewhere. */
    char victim[TEST_PATH_MAX];
    test_folder_path(&f->folder, "victim", victim);
    test_file_write(victim, "safe", 4);
    assert_int_equal(td_fs_symlink(f->fs, victim, temporary), 0);
    assert_int_equal(td_fs_replace(f->fs, f->path, "", 0), 0);
    assert_int_equal(test_file_read(f->path, bytes, sizeof(bytes)), 0);
    assert_int_equal(test_file_read(victim, bytes, sizeof(bytes)), 4);
    assert_int_equal(test_entries_count(f->folder.path), 2);
    char long_path[TD_PATH_MAX];
    memset(long_path, 'x', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(td_fs_replace(f->fs, long_path, "x", 1), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_short_writes_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slurp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mkdirs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sync_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
