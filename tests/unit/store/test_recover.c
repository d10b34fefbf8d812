/* SPDX-License-Identifier: Apache-2.0 */
/* Pools of dead processes are made by children that fill a pool and leave without tidying up. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "fixture.h"
#include "store/crashpool.h"
#include "store/pool_layout.h"

struct heard_files {
    unsigned count;
    uint64_t bytes;
    char path[TD_PATH_MAX];
};

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

static void hear(void *ctx, const char *path, uint64_t bytes)
{
    struct heard_files *h = ctx;
    h->count++;
    h->bytes += bytes;
    (void)snprintf(h->path, sizeof(h->path), "%s", path);
}

static int recover(struct fixture *f, struct heard_files *h)
{
    memset(h, 0, sizeof(*h));
    return td_crashpool_recover(&f->gate.base, f->shm, hear, h);
}

/* ---- what the children do; they may not use cmocka, and exit with 1 when anything fails ---- */

struct dying {
    struct td_crashpool *pool;
    uint64_t resume_bytes; /* of the next file that is opened */
    uint32_t file;
    struct td_crashpool_fill fill;
};

static bool dying_open(struct dying *d, struct fixture *f, size_t buffers, const char *name,
                       bool index)
{
    char media[TD_PATH_MAX];
    char idx[TD_PATH_MAX];
    (void)snprintf(media, sizeof(media), "%s/%s", f->disk, name);
    (void)snprintf(idx, sizeof(idx), "%s/%s.idx", f->disk, name);
    const char *paths[TD_FILE_SLOTS] = {media, index ? idx : NULL};
    if (d->pool == NULL &&
        td_crashpool_open(td_fs_posix(), f->shm, pool_bytes(buffers), false, &d->pool) < 0) {
        return false;
    }
    d->fill.buffer = TD_CRASHPOOL_NONE;
    return td_crashpool_file_add(d->pool, paths, d->resume_bytes, &d->file) == 0;
}

/* As the writer does: creates the file, says so to the pool. */
static int dying_create(struct dying *d, enum td_file_slot slot)
{
    struct td_fs *fs = td_fs_posix();
    struct td_fs_stat stat;
    int handle = td_fs_open(fs, td_crashpool_file_path(d->pool, d->file, slot),
                            TD_FS_WRITE | TD_FS_CREATE, 0644);
    if (handle < 0 || td_fs_fstat(fs, handle, &stat) < 0) {
        return -1;
    }
    td_crashpool_file_created(d->pool, d->file, slot, stat.dev, stat.ino);
    return handle;
}

static bool dying_put(struct dying *d, enum td_file_op_kind kind, enum td_file_slot slot,
                      uint64_t offset, const void *bytes, size_t len)
{
    if (d->fill.buffer == TD_CRASHPOOL_NONE || td_crashpool_room(&d->fill) < (int64_t)len) {
        uint32_t buffer;
        if (td_crashpool_take(d->pool, d->file, 1, &buffer) != 0) {
            return false;
        }
        td_crashpool_fill_init(&d->fill, d->pool, buffer);
    }
    struct td_file_op op = {
        .kind = kind, .file = slot, .offset = offset, .bytes = bytes, .len = len};
    td_crashpool_put(d->pool, &d->fill, &op);
    return true;
}

static bool dying_text(struct dying *d, enum td_file_op_kind kind, uint64_t offset,
                       const char *text)
{
    return dying_put(d, kind, TD_FILE_MEDIA, offset, text, strlen(text));
}

typedef bool dying_fn(struct fixture *f, struct dying *d);

static void die(struct fixture *f, dying_fn *fn)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static struct dying d;
        _exit(fn(f, &d) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(folder_count(f->shm), 1);
}

static int keep_name(void *ctx, const char *name)
{
    int n = snprintf(ctx, TD_PATH_MAX, "%s", name);
    assert_true(n > 0 && n < (int)TD_PATH_MAX);
    return 0;
}

/* Of the only pool there is. */
static void pool_path(struct fixture *f, char ret_path[TD_PATH_MAX])
{
    char name[TD_PATH_MAX];
    assert_int_equal(folder_count(f->shm), 1);
    assert_int_equal(td_fs_list(td_fs_posix(), f->shm, keep_name, name), 0);
    int n = snprintf(ret_path, TD_PATH_MAX, "%s/%s", f->shm, name);
    assert_true(n > 0 && n < (int)TD_PATH_MAX);
}

/* Recovery in a process that is killed before its n-th call; false when it has not so many. */
static bool killed_at(struct fixture *f, unsigned long long n)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        f->gate.calls = 0;
        f->gate.fail_at = n;
        f->gate.kills = true;
        _exit(td_crashpool_recover(&f->gate.base, f->shm, NULL, NULL) == 1 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    assert_true(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return killed;
}

/* ---- files that did not exist yet ---- */

static bool not_created(struct fixture *f, struct dying *d)
{
    return dying_open(d, f, 4, "a.mkv", true) && dying_text(d, TD_OP_APPEND, 0, "hello ") &&
           dying_put(d, TD_OP_APPEND, TD_FILE_INDEX, 0, "i", 1) &&
           dying_text(d, TD_OP_APPEND, 6, "world");
}

static void test_not_created(void **state)
{
    struct fixture *f = *state;
    die(f, not_created);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    char path[TD_PATH_MAX];
    assert_content(fixture_path(f, "a.mkv.idx", path), "i", 1);
    assert_content(fixture_path(f, "a.mkv", path), "hello world", 11);
    assert_int_equal(h.count, 2);
    assert_int_equal(h.bytes, 12);
    assert_int_equal(folder_count(f->shm), 0);
    assert_int_equal(recover(f, &h), 0);
}

/* The file came to be in the moment of death: it is there, empty, and the pool does not know. */
static void test_just_created(void **state)
{
    struct fixture *f = *state;
    die(f, not_created);
    char path[TD_PATH_MAX];
    file_write(fixture_path(f, "a.mkv", path), "", 0);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    assert_content(path, "hello world", 11);
}

/* Somebody else's file in that place is not touched. */
static void test_not_created_but_taken(void **state)
{
    struct fixture *f = *state;
    die(f, not_created);
    char path[TD_PATH_MAX];
    char idx[TD_PATH_MAX];
    file_write(fixture_path(f, "a.mkv", path), "other", 5);
    assert_int_equal(symlink(path, fixture_path(f, "a.mkv.idx", idx)), 0);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    assert_int_equal(h.count, 0);
    assert_content(path, "other", 5);
    assert_int_equal(folder_count(f->shm), 0);
}

/* ---- a file to go on with, whose writer had not opened it yet ---- */

static bool going_on(struct fixture *f, struct dying *d)
{
    d->resume_bytes = 4;
    return dying_open(d, f, 4, "a.ts", false) && dying_text(d, TD_OP_APPEND, 4, "4567") &&
           dying_text(d, TD_OP_APPEND, 8, "89");
}

static void test_going_on(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    file_write(fixture_path(f, "a.ts", path), "0123", 4);
    die(f, going_on);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    assert_content(path, "0123456789", 10);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.bytes, 6);
    assert_int_equal(folder_count(f->shm), 0);
}

/* Another size, another kind, nothing at all: the writer would have refused it, too. */
static void test_going_on_with_another(void **state)
{
    static const char *const others[] = {"", "012", "01234"};
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    char other[TD_PATH_MAX];
    struct heard_files h;
    (void)fixture_path(f, "a.ts", path);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        file_write(path, others[i], strlen(others[i]));
        die(f, going_on);
        assert_int_equal(recover(f, &h), 1);
        assert_int_equal(h.count, 0);
        assert_content(path, others[i], strlen(others[i]));
        assert_int_equal(unlink(path), 0);
    }
    die(f, going_on);
    assert_int_equal(recover(f, &h), 1);
    assert_false(file_exists(path));
    file_write(fixture_path(f, "other", other), "0123", 4);
    assert_int_equal(symlink(other, path), 0);
    die(f, going_on);
    assert_int_equal(recover(f, &h), 1);
    assert_content(other, "0123", 4);
    assert_int_equal(folder_count(f->shm), 0);
}

/* Recovery is killed at each of its calls: the next one knows the file again, although it has
 * another size now. */
static void test_going_on_killed(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    bool reached = true;
    (void)fixture_path(f, "a.ts", path);
    for (unsigned long long n = 1; reached; n++) {
        file_write(path, "0123", 4);
        die(f, going_on);
        reached = killed_at(f, n);
        struct heard_files h;
        assert_int_equal(recover(f, &h), reached ? 1 : 0);
        assert_content(path, "0123456789", 10);
        assert_int_equal(unlink(path), 0);
    }
}

/* ---- files that existed ---- */

static bool in_order(struct fixture *f, struct dying *d)
{
    return dying_open(d, f, 1, "a.mkv", false) && dying_create(d, TD_FILE_MEDIA) >= 0 &&
           dying_text(d, TD_OP_APPEND, 0, "0123456789") && dying_text(d, TD_OP_PATCH, 0, "aa") &&
           dying_text(d, TD_OP_PATCH, 1, "b") &&
           dying_put(d, TD_OP_SYNC, TD_FILE_MEDIA, 0, NULL, 0) &&
           dying_put(d, TD_OP_TRUNCATE, TD_FILE_MEDIA, 6, NULL, 0) &&
           dying_text(d, TD_OP_APPEND, 6, "xyz") && dying_text(d, TD_OP_PATCH, 8, "Z");
}

static void test_in_order(void **state)
{
    struct fixture *f = *state;
    die(f, in_order);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    char path[TD_PATH_MAX];
    assert_content(fixture_path(f, "a.mkv", path), "ab2345xyZ", 9);
    assert_string_equal(h.path, path);
    assert_int_equal(h.bytes, 10 + 2 + 1 + 3 + 1);
}

/* What was written already is written again. */
static void test_half_written(void **state)
{
    struct fixture *f = *state;
    die(f, in_order);
    char path[TD_PATH_MAX];
    struct td_fs *fs = td_fs_posix();
    int handle = td_fs_open(fs, fixture_path(f, "a.mkv", path), TD_FS_WRITE, 0);
    assert_true(handle >= 0);
    assert_int_equal(td_fs_pwrite_all(fs, handle, "ab2345x", 7, 0), 0);
    assert_int_equal(td_fs_close(fs, handle), 0);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    assert_content(path, "ab2345xyZ", 9);
}

static void test_gone(void **state)
{
    struct fixture *f = *state;
    die(f, in_order);
    char path[TD_PATH_MAX];
    char final_path[TD_PATH_MAX];
    (void)fixture_path(f, "a.mkv", path);
    (void)fixture_path(f, "final.mkv", final_path);
    assert_int_equal(rename(path, final_path), 0);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    assert_int_equal(h.count, 0);
    assert_false(file_exists(path));
    assert_content(final_path, "", 0);
    assert_int_equal(folder_count(f->shm), 0);
}

static void test_replaced(void **state)
{
    struct fixture *f = *state;
    die(f, in_order);
    char path[TD_PATH_MAX];
    char other[TD_PATH_MAX];
    file_write(fixture_path(f, "other", other), "other", 5);
    assert_int_equal(rename(other, fixture_path(f, "a.mkv", path)), 0);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    assert_int_equal(h.count, 0);
    assert_content(path, "other", 5);
}

/* A recorder that goes on with the file holds its lock: the pool waits. */
static void test_file_locked(void **state)
{
    struct fixture *f = *state;
    die(f, in_order);
    char path[TD_PATH_MAX];
    struct td_fs *fs = td_fs_posix();
    int handle = td_fs_open(fs, fixture_path(f, "a.mkv", path), TD_FS_WRITE, 0);
    assert_true(handle >= 0);
    assert_int_equal(td_fs_lock(fs, handle), 0);
    struct heard_files h;
    assert_int_equal(recover(f, &h), -EAGAIN);
    assert_int_equal(folder_count(f->shm), 1);
    assert_int_equal(td_fs_close(fs, handle), 0);
    assert_int_equal(recover(f, &h), 1);
    assert_content(path, "ab2345xyZ", 9);
}

static void test_folder_gone(void **state)
{
    struct fixture *f = *state;
    die(f, not_created);
    assert_int_equal(rmdir(f->disk), 0);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    assert_int_equal(h.count, 0);
    assert_int_equal(mkdir(f->disk, 0700), 0);
}

/* ---- many buffers, several files ---- */

#define STREAM_BYTES 400000u
#define STREAM_STEP 10000u

/* Two spools in turns; the first buffers of one are written and given back. */
static bool interleaved(struct fixture *f, struct dying *d)
{
    struct dying e;
    if (!dying_open(d, f, 32, "a.ts", false)) {
        return false;
    }
    e = *d;
    int handle = dying_create(d, TD_FILE_MEDIA);
    if (handle < 0 || !dying_open(&e, f, 32, "b.ts", false)) {
        return false;
    }
    uint8_t bytes[STREAM_STEP];
    uint32_t first = TD_CRASHPOOL_NONE;
    for (uint64_t at = 0; at < STREAM_BYTES; at += sizeof(bytes)) {
        pattern_fill(7, at, bytes, sizeof(bytes));
        if (!dying_put(d, TD_OP_APPEND, TD_FILE_MEDIA, at, bytes, sizeof(bytes))) {
            return false;
        }
        first = first == TD_CRASHPOOL_NONE ? d->fill.buffer : first;
        if (first != TD_CRASHPOOL_NONE && d->fill.buffer != first && first != UINT32_MAX - 1) {
            struct td_crashpool_cursor c;
            struct td_file_op op;
            td_crashpool_cursor_init(&c, d->pool, first);
            while (td_crashpool_cursor_next(&c, &op)) {
                if (td_fs_pwrite_all(td_fs_posix(), handle, op.bytes, op.len, op.offset) < 0) {
                    return false;
                }
            }
            td_crashpool_give(d->pool, first);
            first = UINT32_MAX - 1;
        }
        pattern_fill(8, at, bytes, sizeof(bytes));
        if (!dying_put(&e, TD_OP_APPEND, TD_FILE_MEDIA, at, bytes, sizeof(bytes))) {
            return false;
        }
    }
    return true;
}

static void test_interleaved(void **state)
{
    struct fixture *f = *state;
    die(f, interleaved);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    assert_int_equal(h.count, 2);
    assert_pattern(f, "a.ts", 7, STREAM_BYTES);
    assert_pattern(f, "b.ts", 8, STREAM_BYTES);
}

/* ---- damage: what is before it is saved, what is after it is not believed ---- */

static struct td_pool_header pool_header(const char *path)
{
    struct td_pool_header header;
    int fd = td_fs_open(td_fs_posix(), path, TD_FS_READ, 0);
    assert_true(fd >= 0);
    assert_int_equal(td_fs_pread(td_fs_posix(), fd, &header, sizeof(header), 0), sizeof(header));
    assert_int_equal(td_fs_close(td_fs_posix(), fd), 0);
    return header;
}

static void pool_poke(const char *path, uint64_t at, const void *bytes, size_t len)
{
    int fd = td_fs_open(td_fs_posix(), path, TD_FS_WRITE, 0);
    assert_true(fd >= 0);
    assert_int_equal(td_fs_pwrite_all(td_fs_posix(), fd, bytes, len, at), 0);
    assert_int_equal(td_fs_close(td_fs_posix(), fd), 0);
}

static void test_damaged_bytes(void **state)
{
    struct fixture *f = *state;
    die(f, in_order);
    char pool[TD_PATH_MAX];
    pool_path(f, pool);
    struct td_pool_header header = pool_header(pool);
    /* The 'x' of "xyz": bytes of the fourth record that has any. */
    pool_poke(pool, header.buffers_at + sizeof(struct td_pool_buffer) + 13, "?", 1);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    char path[TD_PATH_MAX];
    assert_content(fixture_path(f, "a.mkv", path), "ab2345", 6);
    assert_int_equal(folder_count(f->shm), 0);
}

/* Every byte of header, entry, buffer header and records in turn is wrong: never a crash, never a
 * wrong byte in the file, and nothing but our two names. */
static void test_damaged_numbers(void **state)
{
    static const uint8_t values[] = {0x00, 0xff, 0x01, 0x80};
    struct fixture *f = *state;
    die(f, in_order);
    char pool[TD_PATH_MAX];
    pool_path(f, pool);
    struct td_pool_header header = pool_header(pool);
    size_t len = 0;
    char *whole = file_read(pool, &len);
    assert_int_equal(td_fs_unlink(td_fs_posix(), pool), 0);
    const struct {
        uint64_t from;
        uint64_t to;
    } ranges[] = {
        {0, sizeof(header)},
        {header.files_at, header.files_at + 40},
        {header.buffers_at, header.buffers_at + 24},
        {header.buffers_at + TD_CRASHPOOL_BUFFER_BYTES - 7 * sizeof(struct td_pool_record),
         header.buffers_at + TD_CRASHPOOL_BUFFER_BYTES},
    };
    char path[TD_PATH_MAX];
    (void)fixture_path(f, "a.mkv", path);
    static const char *const states[] = {"",       "0123456789", "aa23456789", "ab23456789",
                                         "ab2345", "ab2345xyz",  "ab2345xyZ"};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        for (uint64_t at = ranges[i].from; at < ranges[i].to; at++) {
            char right = whole[at];
            whole[at] = (char)values[(at + i) % sizeof(values)];
            file_write(pool, whole, len);
            assert_int_equal(chmod(pool, 0600), 0);
            whole[at] = right;
            struct heard_files h;
            int r = recover(f, &h);
            assert_true(r >= 0);
            size_t have = 0;
            char *text = file_read(path, &have);
            bool known = false;
            for (size_t k = 0; k < sizeof(states) / sizeof(states[0]); k++) {
                known = known || strcmp(text, states[k]) == 0;
            }
            assert_true(known);
            free(text);
            assert_int_equal(truncate(path, 0), 0);
            if (r == 0) {
                assert_int_equal(td_fs_unlink(td_fs_posix(), pool), 0);
            }
            assert_true(folder_count(f->disk) <= 1);
        }
    }
    free(whole);
}

static bool with_hole(struct fixture *f, struct dying *d)
{
    return dying_open(d, f, 4, "a.ts", false) && dying_create(d, TD_FILE_MEDIA) >= 0 &&
           dying_text(d, TD_OP_APPEND, 0, "0123") && dying_text(d, TD_OP_APPEND, 5, "hole") &&
           dying_text(d, TD_OP_PATCH, 0, "p");
}

static void test_hole(void **state)
{
    struct fixture *f = *state;
    die(f, with_hole);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    char path[TD_PATH_MAX];
    assert_content(fixture_path(f, "a.ts", path), "0123", 4);
}

static bool failed_spool(struct fixture *f, struct dying *d)
{
    bool ok = dying_open(d, f, 4, "a.ts", false) && dying_text(d, TD_OP_APPEND, 0, "0123");
    td_crashpool_file_dead(d->pool, d->file);
    return ok;
}

static void test_dead(void **state)
{
    struct fixture *f = *state;
    die(f, failed_spool);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 1);
    assert_int_equal(folder_count(f->disk), 0);
}

/* ---- pools that are not to be trusted ---- */

static void expect_untouched(struct fixture *f, const char *pool)
{
    struct heard_files h;
    assert_int_equal(recover(f, &h), 0);
    assert_int_equal(h.count, 0);
    assert_true(file_exists(pool));
    char path[TD_PATH_MAX];
    size_t len = 0;
    char *text = file_read(fixture_path(f, "a.mkv", path), &len);
    assert_int_equal(len, 0);
    free(text);
}

static void test_foreign(void **state)
{
    struct fixture *f = *state;
    die(f, in_order);
    char pool[TD_PATH_MAX];
    char aside[TD_PATH_MAX];
    pool_path(f, pool);
    int n = snprintf(aside, sizeof(aside), "%s.aside", pool);
    assert_true(n > 0 && (size_t)n < sizeof(aside));
    /* A mode that others could have written through. */
    assert_int_equal(chmod(pool, 0620), 0);
    expect_untouched(f, pool);
    assert_int_equal(chmod(pool, 0600), 0);
    /* Another owner; only root can make one. */
    if (geteuid() == 0) {
        assert_int_equal(chown(pool, 12345, 12345), 0);
        expect_untouched(f, pool);
        assert_int_equal(chown(pool, 0, 0), 0);
    }
    /* A second name. */
    assert_int_equal(link(pool, aside), 0);
    expect_untouched(f, pool);
    /* A link to it. */
    assert_int_equal(unlink(pool), 0);
    assert_int_equal(symlink(aside, pool), 0);
    expect_untouched(f, pool);
    assert_int_equal(unlink(pool), 0);
    /* A folder, a pipe. */
    assert_int_equal(mkdir(pool, 0700), 0);
    expect_untouched(f, pool);
    assert_int_equal(rmdir(pool), 0);
    assert_int_equal(mkfifo(pool, 0600), 0);
    expect_untouched(f, pool);
    assert_int_equal(unlink(pool), 0);
    /* Another name is not even looked at. */
    expect_untouched(f, aside);
    /* Cut short, too long. */
    assert_int_equal(rename(aside, pool), 0);
    struct stat st;
    assert_int_equal(stat(pool, &st), 0);
    static const long cuts[] = {-1, -65536, 1};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        assert_int_equal(truncate(pool, st.st_size + cuts[i]), 0);
        expect_untouched(f, pool);
    }
    assert_int_equal(truncate(pool, 10), 0);
    expect_untouched(f, pool);
    assert_int_equal(truncate(pool, 0), 0);
    expect_untouched(f, pool);
}

static void test_garbage(void **state)
{
    struct fixture *f = *state;
    char pool[TD_PATH_MAX];
    char path[TD_PATH_MAX];
    file_write(fixture_path(f, "a.mkv", path), "", 0);
    int n = snprintf(pool, sizeof(pool), "%s/tapedeck-1-garbage.pool", f->shm);
    assert_true(n > 0 && (size_t)n < sizeof(pool));
    size_t len = pool_bytes(2);
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    pattern_fill(99, 0, bytes, len);
    file_write(pool, bytes, len);
    assert_int_equal(chmod(pool, 0600), 0);
    free(bytes);
    expect_untouched(f, pool);
}

/* The pool of a living process, our own included. */
static void test_locked(void **state)
{
    struct fixture *f = *state;
    struct td_crashpool *p = NULL;
    assert_int_equal(td_crashpool_open(&f->gate.base, f->shm, pool_bytes(2), false, &p), 0);
    struct heard_files h;
    assert_int_equal(recover(f, &h), 0);
    assert_int_equal(folder_count(f->shm), 1);
    p = td_crashpool_close(p);
}

static void test_nothing(void **state)
{
    struct fixture *f = *state;
    struct heard_files h;
    assert_int_equal(recover(f, &h), 0);
    char missing[TD_PATH_MAX];
    assert_int_equal(
        td_crashpool_recover(&f->gate.base, fixture_path(f, "missing", missing), NULL, NULL), 0);
}

/* ---- recovery that fails or is killed itself ---- */

static void check_interleaved(struct fixture *f)
{
    assert_pattern(f, "a.ts", 7, STREAM_BYTES);
    assert_pattern(f, "b.ts", 8, STREAM_BYTES);
    assert_int_equal(folder_count(f->shm), 0);
    assert_int_equal(folder_count(f->disk), 2);
    char path[TD_PATH_MAX];
    assert_int_equal(unlink(fixture_path(f, "a.ts", path)), 0);
    assert_int_equal(unlink(fixture_path(f, "b.ts", path)), 0);
}

/* Fails each call of recovery in turn, once or from then on; the next run makes it good. */
static void test_fails_anywhere(void **state)
{
    struct fixture *f = *state;
    for (int sticky = 0; sticky < 2; sticky++) {
        bool reached = true;
        for (unsigned long long n = 1; reached; n += sticky == 1 ? 7 : 2) {
            die(f, interleaved);
            f->gate.calls = 0;
            f->gate.fail_at = n;
            f->gate.sticky = sticky == 1;
            f->gate.error = -ENOSPC;
            struct heard_files h;
            int r = recover(f, &h);
            reached = f->gate.calls >= n;
            assert_int_equal(r, reached ? -ENOSPC : 1);
            assert_int_equal(f->gate.handles, 0);
            f->gate.fail_at = 0;
            assert_int_equal(recover(f, &h), reached ? 1 : 0);
            check_interleaved(f);
        }
    }
}

static void test_killed_anywhere(void **state)
{
    struct fixture *f = *state;
    bool reached = true;
    for (unsigned long long n = 1; reached; n += 3) {
        die(f, interleaved);
        reached = killed_at(f, n);
        struct heard_files h;
        assert_int_equal(recover(f, &h), reached ? 1 : 0);
        check_interleaved(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_not_created, setup, teardown),
        cmocka_unit_test_setup_teardown(test_just_created, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_created_but_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_going_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_going_on_with_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_going_on_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_locked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folder_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interleaved, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dead, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_locked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fails_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_anywhere, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
