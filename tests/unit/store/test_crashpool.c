/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "store/crashpool.h"
#include "store/pool_layout.h"

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

static struct td_crashpool *open_pool(struct fixture *f, size_t buffers, bool anonymous)
{
    struct td_crashpool *p = NULL;
    assert_int_equal(td_crashpool_open(&f->gate.base, f->shm, pool_bytes(buffers), anonymous, &p),
                     0);
    return p;
}

static uint32_t add_file(struct td_crashpool *p, const char *path)
{
    const char *paths[TD_FILE_SLOTS] = {[TD_FILE_MEDIA] = path};
    uint32_t file = TD_CRASHPOOL_NONE;
    assert_int_equal(td_crashpool_file_add(p, paths, 0, &file), 0);
    return file;
}

static int stat_pool(void *ctx, const char *name)
{
    const struct fixture *f = ctx;
    char path[TD_PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", f->shm, name);
    assert_true(n > 0 && (size_t)n < sizeof(path));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_nlink, 1);
    /* Reserved: every page is there already. */
    assert_true(st.st_blocks * 512 >= st.st_size);
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "tapedeck-%ld-", (long)getpid());
    assert_memory_equal(name, expected, strlen(expected));
    return 0;
}

static void test_file(void **state)
{
    struct fixture *f = *state;
    struct td_crashpool *p = open_pool(f, 4, false);
    assert_string_equal(td_crashpool_dir(p), f->shm);
    assert_int_equal(folder_count(f->shm), 1);
    assert_int_equal(td_fs_list(td_fs_posix(), f->shm, stat_pool, f), 0);
    struct td_crashpool_stats stats;
    td_crashpool_stats(p, &stats);
    assert_int_equal(stats.buffer_count, 4);
    assert_int_equal(stats.used_count, 0);
    p = td_crashpool_close(p);
    assert_null(p);
    assert_int_equal(folder_count(f->shm), 0);
}

static void test_default_size(void **state)
{
    struct fixture *f = *state;
    struct td_crashpool *p = NULL;
    assert_int_equal(td_crashpool_open(&f->gate.base, f->shm, TD_CRASHPOOL_BYTES, false, &p), 0);
    struct td_crashpool_stats stats;
    td_crashpool_stats(p, &stats);
    /* The table of files costs little. */
    assert_in_range(stats.buffer_count, 240, 256);
    assert_true(td_crashpool_file_count(p) >= stats.buffer_count);
    p = td_crashpool_close(p);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    struct td_crashpool *p = NULL;
    size_t bytes = pool_bytes(2);
    struct td_fs *fs = &f->gate.base;
    char missing[TD_PATH_MAX];
    (void)fixture_path(f, "missing", missing);
    assert_int_equal(td_crashpool_open(fs, "/proc", bytes, false, &p), -ENODEV);
    assert_int_equal(td_crashpool_open(fs, missing, bytes, false, &p), -ENOENT);
    assert_int_equal(td_crashpool_open(fs, f->shm, 1000, false, &p), -EINVAL);
    /* More than tmpfs can have: an error here, and nothing stays behind. */
    assert_int_equal(td_crashpool_open(fs, f->shm, (size_t)1 << 46, false, &p), -ENOSPC);
    assert_null(p);
    assert_int_equal(folder_count(f->shm), 0);
}

static void test_anonymous(void **state)
{
    struct fixture *f = *state;
    struct td_crashpool *p = open_pool(f, 2, true);
    assert_null(td_crashpool_dir(p));
    assert_int_equal(folder_count(f->shm), 0);
    uint32_t file = add_file(p, "/x");
    uint32_t buffer;
    assert_int_equal(td_crashpool_take(p, file, 1, &buffer), 0);
    struct td_crashpool_fill fill;
    td_crashpool_fill_init(&fill, p, buffer);
    struct td_file_op op = {.bytes = (const uint8_t *)"abc", .len = 3, .offset = 7};
    td_crashpool_put(p, &fill, &op);
    struct td_crashpool_cursor cursor;
    td_crashpool_cursor_init(&cursor, p, buffer);
    struct td_file_op back;
    assert_true(td_crashpool_cursor_next(&cursor, &back));
    assert_int_equal(back.offset, 7);
    assert_memory_equal(back.bytes, "abc", 3);
    assert_false(td_crashpool_cursor_next(&cursor, &back));
    td_crashpool_give(p, buffer);
    td_crashpool_file_remove(p, file);
    p = td_crashpool_close(p);
}

static void test_take(void **state)
{
    struct fixture *f = *state;
    struct td_crashpool *p = open_pool(f, 4, false);
    uint32_t file = add_file(p, "/x");
    uint32_t a;
    uint32_t b;
    uint32_t c;
    assert_int_equal(td_crashpool_take(p, file, 1, &a), 0);
    assert_int_equal(td_crashpool_next(p, a), TD_CRASHPOOL_NONE);
    /* Whole or nothing. */
    assert_int_equal(td_crashpool_take(p, file, 4, &b), TD_CRASHPOOL_EMPTY);
    assert_int_equal(td_crashpool_take(p, file, 3, &b), 0);
    uint32_t second = td_crashpool_next(p, b);
    uint32_t third = td_crashpool_next(p, second);
    assert_int_equal(td_crashpool_next(p, third), TD_CRASHPOOL_NONE);
    assert_int_equal(td_crashpool_take(p, file, 1, &c), TD_CRASHPOOL_EMPTY);
    struct td_crashpool_stats stats;
    td_crashpool_stats(p, &stats);
    assert_int_equal(stats.used_count, 4);
    assert_int_equal(stats.used_peak, 4);
    assert_int_equal(stats.exhausted, 2);
    /* The one given back last is taken first. */
    td_crashpool_give(p, a);
    td_crashpool_give(p, second);
    assert_int_equal(td_crashpool_take(p, file, 1, &c), 0);
    assert_int_equal(c, second);
    td_crashpool_give(p, c);
    td_crashpool_give(p, b);
    td_crashpool_give(p, third);
    td_crashpool_file_remove(p, file);
    p = td_crashpool_close(p);
}

static void test_records(void **state)
{
    struct fixture *f = *state;
    struct td_crashpool *p = open_pool(f, 2, false);
    uint32_t file = add_file(p, "/x");
    uint32_t buffer;
    assert_int_equal(td_crashpool_take(p, file, 1, &buffer), 0);
    struct td_crashpool_fill fill;
    td_crashpool_fill_init(&fill, p, buffer);
    assert_int_equal(td_crashpool_room(&fill), td_crashpool_record_max());
    /* Fills to the last byte with records of growing size. */
    uint8_t bytes[4096];
    uint64_t offset = 0;
    unsigned count = 0;
    for (size_t len = 0; td_crashpool_room(&fill) >= 0; len = (len + 37) % 3000) {
        size_t room = (size_t)td_crashpool_room(&fill);
        len = len < room ? len : room;
        pattern_fill(1, offset, bytes, len);
        struct td_file_op op = {.kind = len > 0 ? TD_OP_APPEND : TD_OP_SYNC,
                                .file = count % 2 == 0 ? TD_FILE_MEDIA : TD_FILE_INDEX,
                                .offset = offset,
                                .bytes = bytes,
                                .len = len};
        td_crashpool_put(p, &fill, &op);
        offset += len;
        count++;
    }
    struct td_crashpool_cursor cursor;
    td_crashpool_cursor_init(&cursor, p, buffer);
    struct td_file_op op;
    uint64_t at = 0;
    unsigned seen = 0;
    const uint8_t *end = NULL;
    while (td_crashpool_cursor_next(&cursor, &op)) {
        assert_int_equal(op.file, seen % 2);
        assert_int_equal(op.kind, op.len > 0 ? TD_OP_APPEND : TD_OP_SYNC);
        assert_int_equal(op.offset, at);
        assert_true(end == NULL || end == op.bytes); /* one behind the other */
        for (size_t i = 0; i < op.len; i++) {
            assert_int_equal(op.bytes[i], pattern_at(1, at + i));
        }
        end = op.bytes + op.len;
        at += op.len;
        seen++;
    }
    assert_int_equal(seen, count);
    assert_int_equal(at, offset);
    td_crashpool_give(p, buffer);
    td_crashpool_file_remove(p, file);
    p = td_crashpool_close(p);
}

static void test_files(void **state)
{
    struct fixture *f = *state;
    struct td_crashpool *p = open_pool(f, 1, false);
    size_t count = td_crashpool_file_count(p);
    assert_int_equal(count, 64);
    const char *none[TD_FILE_SLOTS] = {[TD_FILE_MEDIA] = "x.ts", [TD_FILE_INDEX] = NULL};
    uint32_t file;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(td_crashpool_file_add(p, none, 0, &file), 0);
    }
    uint32_t over = 0;
    assert_int_equal(td_crashpool_file_add(p, none, 0, &over), -ENOBUFS);
    /* Relative paths must mean the same to another process later. */
    char cwd[TD_PATH_MAX];
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    const char *path = td_crashpool_file_path(p, file, TD_FILE_MEDIA);
    assert_memory_equal(path, cwd, strlen(cwd));
    assert_string_equal(path + strlen(cwd), "/x.ts");
    assert_null(td_crashpool_file_path(p, file, TD_FILE_INDEX));
    td_crashpool_file_remove(p, file);
    /* One byte too long, and one that just fits. */
    char name[TD_PATH_MAX + 1];
    memset(name, 'a', sizeof(name));
    name[0] = '/';
    name[TD_PATH_MAX] = '\0';
    const char *paths[TD_FILE_SLOTS] = {[TD_FILE_INDEX] = name};
    assert_int_equal(td_crashpool_file_add(p, paths, 0, &over), -ENAMETOOLONG);
    name[TD_PATH_MAX - 1] = '\0';
    assert_int_equal(td_crashpool_file_add(p, paths, 0, &over), 0);
    assert_int_equal(over, file);
    assert_string_equal(td_crashpool_file_path(p, over, TD_FILE_INDEX), name);
    for (uint32_t i = 0; i < count; i++) {
        td_crashpool_file_remove(p, i);
    }
    p = td_crashpool_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_default_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_anonymous, setup, teardown),
        cmocka_unit_test_setup_teardown(test_take, setup, teardown),
        cmocka_unit_test_setup_teardown(test_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
