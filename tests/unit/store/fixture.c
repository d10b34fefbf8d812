/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/id.h"
#include "store/pool_layout.h"

static void folder_make(const char *base, char *ret_path, size_t size)
{
    char token[9];
    assert_int_equal(td_id_token(token, sizeof(token) - 1), 0);
    int n = snprintf(ret_path, size, "%s/tapedeck-test-%ld-%s", base, (long)getpid(), token);
    assert_true(n > 0 && (size_t)n < size);
    assert_int_equal(td_fs_mkdir(td_fs_posix(), ret_path, 0700), 0);
}

static int entry_remove(void *ctx, const char *name)
{
    char path[TD_PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", (const char *)ctx, name);
    assert_true(n > 0 && (size_t)n < sizeof(path));
    struct td_fs_stat stat;
    int r = td_fs_stat_path(td_fs_posix(), path, &stat);
    if (r == 0 && stat.is_dir) {
        folder_remove(path); /* tests nest folders one deep */
        return 0;
    }
    return td_fs_unlink(td_fs_posix(), path);
}

void folder_remove(const char *path)
{
    char copy[TD_PATH_MAX];
    int n = snprintf(copy, sizeof(copy), "%s", path);
    assert_true(n > 0 && (size_t)n < sizeof(copy));
    struct td_fs_stat stat;
    if (td_fs_stat_path(td_fs_posix(), copy, &stat) == 0) {
        assert_int_equal(td_fs_list(td_fs_posix(), copy, entry_remove, copy), 0);
        assert_int_equal(td_fs_rmdir(td_fs_posix(), copy), 0);
    }
}

static int entry_count(void *ctx, const char *name)
{
    (void)name;
    ++*(size_t *)ctx;
    return 0;
}

size_t folder_count(const char *path)
{
    size_t count = 0;
    assert_int_equal(td_fs_list(td_fs_posix(), path, entry_count, &count), 0);
    return count;
}

void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    const char *tmp = getenv("TMPDIR");
    folder_make(tmp != NULL ? tmp : "/tmp", f->disk, sizeof(f->disk));
    folder_make("/dev/shm", f->shm, sizeof(f->shm));
    (void)gate_fs_init(&f->gate); /* it is &f->gate.base */
    assert_int_equal(td_mailbox_new(64, &f->notify), 0);
}

void fixture_done(struct fixture *f)
{
    fixture_store_done(f);
    assert_int_equal(f->gate.handles, 0);
    f->notify = td_mailbox_free(f->notify);
    folder_remove(f->disk);
    folder_remove(f->shm);
}

size_t pool_bytes(size_t buffers)
{
    size_t files = buffers > 64 ? buffers : 64;
    size_t table = (files * sizeof(struct td_pool_file) + 4095) / 4096 * 4096;
    return TD_POOL_HEADER_BYTES + table + buffers * TD_CRASHPOOL_BUFFER_BYTES;
}

void fixture_store(struct fixture *f, size_t buffers, int64_t sync_interval_us)
{
    struct td_store_config config = {
        .fs = &f->gate.base,
        .runtime_dir = f->shm,
        .crashpool_bytes = pool_bytes(buffers),
        .sync_interval_us = sync_interval_us,
    };
    assert_int_equal(td_store_new(&config, &f->store), 0);
    assert_true(td_store_crash_safe(f->store));
}

void fixture_store_done(struct fixture *f)
{
    f->store = td_store_free(f->store);
}

const char *fixture_path(const struct fixture *f, const char *name, char ret_path[TD_PATH_MAX])
{
    int n = snprintf(ret_path, TD_PATH_MAX, "%s/%s", f->disk, name);
    assert_true(n > 0 && n < (int)TD_PATH_MAX);
    return ret_path;
}

static void on_failed(void *target, const void *payload)
{
    struct heard *h = target;
    h->failed++;
    memcpy(&h->failure, payload, sizeof(h->failure));
}

static void on_closed(void *target, const void *payload)
{
    struct heard *h = target;
    h->closed++;
    memcpy(&h->report, payload, sizeof(h->report));
}

static struct td_spool *spool_at(struct fixture *f, const char *name, bool index,
                                 uint64_t resume_bytes)
{
    char media[TD_PATH_MAX];
    char idx[TD_PATH_MAX];
    (void)fixture_path(f, name, media);
    int n = snprintf(idx, sizeof(idx), "%s/%s.idx", f->disk, name);
    assert_true(n > 0 && (size_t)n < sizeof(idx));
    struct td_spool_config config = {
        .path = {[TD_FILE_MEDIA] = media, [TD_FILE_INDEX] = index ? idx : NULL},
        .resume_bytes = resume_bytes,
        .notify = f->notify,
        .failed = on_failed,
        .closed = on_closed,
        .ctx = &f->heard,
    };
    struct td_spool *spool = NULL;
    assert_int_equal(td_spool_open(f->store, &config, &spool), 0);
    return spool;
}

struct td_spool *fixture_spool(struct fixture *f, const char *name, bool index)
{
    return spool_at(f, name, index, 0);
}

struct td_spool *fixture_resume(struct fixture *f, const char *name, uint64_t bytes)
{
    return spool_at(f, name, false, bytes);
}

static void fixture_hear(struct fixture *f)
{
    struct pollfd pfd = {.fd = td_mailbox_fd(f->notify), .events = POLLIN};
    assert_true(poll(&pfd, 1, 10000) == 1); /* a hang is a failure */
    assert_true(td_mailbox_drain(f->notify) > 0);
}

void fixture_wait_closed(struct fixture *f, int count)
{
    while (f->heard.closed < count) {
        fixture_hear(f);
    }
}

void fixture_wait_failed(struct fixture *f)
{
    while (f->heard.failed == 0) {
        fixture_hear(f);
    }
}

void fixture_wait_written(const struct td_spool *spool, uint64_t bytes)
{
    int64_t start_us = td_clock_now_us();
    struct td_spool_stats stats;
    for (;;) {
        td_spool_stats(spool, &stats);
        if (stats.written_bytes >= bytes || stats.error < 0) {
            return;
        }
        assert_true(td_clock_now_us() - start_us < 10 * TD_US_PER_S);
        (void)poll(NULL, 0, 1); /* between two looks at the condition */
    }
}

int emit(struct td_spool *spool, enum td_file_op_kind kind, enum td_file_slot slot, uint64_t offset,
         const void *bytes, size_t len)
{
    struct td_file_op op = {
        .kind = kind, .file = slot, .offset = offset, .bytes = bytes, .len = len};
    return td_spool_emit(spool, &op);
}

uint8_t pattern_at(uint32_t seed, uint64_t at)
{
    uint64_t x = (at / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)seed << 32;
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return (uint8_t)(x >> (at % 8 * 8));
}

void pattern_fill(uint32_t seed, uint64_t at, uint8_t *ret_bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ret_bytes[i] = pattern_at(seed, at + i);
    }
}

char *file_read(const char *path, size_t *ret_len)
{
    char *text = NULL;
    assert_int_equal(td_fs_slurp(td_fs_posix(), path, 64u << 20, &text, ret_len), 0);
    return text;
}

bool file_exists(const char *path)
{
    struct td_fs_stat stat;
    return td_fs_stat_path(td_fs_posix(), path, &stat) == 0;
}

void file_write(const char *path, const void *bytes, size_t len)
{
    int handle = td_fs_open(td_fs_posix(), path, TD_FS_WRITE | TD_FS_CREATE | TD_FS_NOFOLLOW, 0644);
    assert_true(handle >= 0);
    assert_int_equal(td_fs_pwrite_all(td_fs_posix(), handle, bytes, len, 0), 0);
    assert_int_equal(td_fs_close(td_fs_posix(), handle), 0);
}

void assert_pattern(const struct fixture *f, const char *name, uint32_t seed, size_t len)
{
    char path[TD_PATH_MAX];
    size_t have = 0;
    char *bytes = file_read(fixture_path(f, name, path), &have);
    assert_int_equal(have, len);
    for (size_t i = 0; i < len; i++) {
        if ((uint8_t)bytes[i] != pattern_at(seed, i)) {
            fail_msg("byte %zu of %s differs", i, name);
        }
    }
    free(bytes);
}

void assert_content(const char *path, const void *bytes, size_t len)
{
    size_t have = 0;
    char *text = file_read(path, &have);
    assert_int_equal(have, len);
    assert_memory_equal(text, bytes, len);
    free(text);
}
