/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fixture.h"

#define MS INT64_C(1000)
#define SYNC_OFF (-1)

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

static int append(struct td_spool *spool, uint32_t seed, uint64_t offset, size_t len)
{
    static uint8_t bytes[1u << 20];
    assert_true(len <= sizeof(bytes));
    pattern_fill(seed, offset, bytes, len);
    return emit(spool, TD_OP_APPEND, TD_FILE_MEDIA, offset, bytes, len);
}

static void final_name(struct td_spool_finish *finish, const char *path)
{
    int n = snprintf(finish->final_path, sizeof(finish->final_path), "%s", path);
    assert_true(n > 0 && (size_t)n < sizeof(finish->final_path));
}

static size_t pool_used(const struct fixture *f)
{
    struct td_crashpool_stats stats;
    td_crashpool_stats(td_store_pool(f->store), &stats);
    return stats.used_count;
}

/* Everything is given back by the time `closed` is heard. */
static void close_and_wait(struct fixture *f, struct td_spool *spool,
                           const struct td_spool_finish *finish)
{
    int before = f->heard.closed;
    td_spool_close(spool, finish);
    fixture_wait_closed(f, before + 1);
    assert_ptr_equal(f->heard.report.spool, spool);
    assert_int_equal(pool_used(f), 0);
}

/* Frames of all sizes, from one byte to many buffers, arrive as one stream. */
static void test_sizes(void **state)
{
    static const size_t sizes[] = {1, 187, 188, 1400, 65000, 65536, 65448, 65447, 65449, 300000, 3};
    struct fixture *f = *state;
    fixture_store(f, 32, SYNC_OFF);
    struct td_spool *spool = fixture_spool(f, "a.ts", false);
    uint64_t offset = 0;
    for (int round = 0; round < 8; round++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            int r;
            while ((r = append(spool, 5, offset, sizes[i])) == TD_SPOOL_FULL) {
                (void)sched_yield(); /* until the writer gave some back */
            }
            assert_int_equal(r, 0);
            offset += sizes[i];
        }
    }
    struct td_spool_stats stats;
    td_spool_stats(spool, &stats);
    assert_int_equal(stats.accepted_bytes, offset);
    td_spool_flush(spool);
    fixture_wait_written(spool, offset);
    td_spool_stats(spool, &stats);
    assert_int_equal(stats.written_bytes, offset);
    assert_int_equal(stats.error, 0);
    assert_true(stats.last_write_us > 0 && stats.write_latency_us >= 0);
    close_and_wait(f, spool, NULL);
    assert_int_equal(f->heard.report.error, 0);
    assert_int_equal(f->heard.report.bytes, offset);
    assert_int_equal(f->heard.failed, 0);
    assert_pattern(f, "a.ts", 5, offset);
}

static void test_merge(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 4, SYNC_OFF);
    struct td_spool *spool = fixture_spool(f, "a.ts", false);
    for (uint64_t i = 0; i < 300; i++) {
        assert_int_equal(append(spool, 1, i * 188, 188), 0);
    }
    assert_int_equal(f->gate.writes, 0);
    close_and_wait(f, spool, NULL);
    assert_int_equal(f->gate.writes, 1);
    assert_pattern(f, "a.ts", 1, 300 * 188);
}

static void test_kinds(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 4, SYNC_OFF);
    struct td_spool *s = fixture_spool(f, "a.mkv", true);
    assert_int_equal(emit(s, TD_OP_APPEND, TD_FILE_MEDIA, 0, "0123456789", 10), 0);
    assert_int_equal(emit(s, TD_OP_APPEND, TD_FILE_INDEX, 0, "index", 5), 0);
    assert_int_equal(emit(s, TD_OP_PATCH, TD_FILE_MEDIA, 2, "ab", 2), 0);
    assert_int_equal(emit(s, TD_OP_SYNC, TD_FILE_MEDIA, 0, NULL, 0), 0);
    assert_int_equal(emit(s, TD_OP_TRUNCATE, TD_FILE_MEDIA, 6, NULL, 0), 0);
    assert_int_equal(emit(s, TD_OP_APPEND, TD_FILE_MEDIA, 6, "xyz", 3), 0);
    assert_int_equal(emit(s, TD_OP_APPEND, TD_FILE_MEDIA, 9, NULL, 0), 0);
    static uint8_t large[70000];
    assert_int_equal(emit(s, TD_OP_PATCH, TD_FILE_MEDIA, 0, large, sizeof(large)), -TD_E_LIMIT);
    assert_int_equal(emit(s, TD_OP_APPEND, TD_FILE_MEDIA, UINT64_MAX, "x", 1), -EFBIG);
    close_and_wait(f, s, NULL);
    assert_int_equal(f->heard.report.error, 0);
    char path[TD_PATH_MAX];
    assert_content(fixture_path(f, "a.mkv", path), "01ab45xyz", 9);
    assert_content(fixture_path(f, "a.mkv.idx", path), "index", 5);
    assert_int_equal(f->gate.syncs, 4); /* two of the operation, two of the end */
}

static void test_slot_not_wanted(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 2, SYNC_OFF);
    struct td_spool *s = fixture_spool(f, "a.mkv", false);
    assert_int_equal(emit(s, TD_OP_APPEND, TD_FILE_INDEX, 0, "index", 5), 0);
    assert_int_equal(append(s, 1, 0, 10), 0);
    close_and_wait(f, s, NULL);
    assert_int_equal(f->heard.report.bytes, 10);
    assert_int_equal(folder_count(f->disk), 1);
}

/* The writer is held up: what fits is taken, what does not is refused whole. */
static void test_full(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 4, SYNC_OFF);
    struct td_spool *s = fixture_spool(f, "a.ts", false);
    gate_shut(&f->gate);
    assert_int_equal(append(s, 2, 0, 1000), 0);
    td_spool_flush(s);
    gate_wait(&f->gate);
    /* Three buffers are left. */
    assert_int_equal(append(s, 2, 1000, 200000), TD_SPOOL_FULL);
    assert_int_equal(pool_used(f), 1);
    assert_int_equal(append(s, 2, 1000, 100), 0);
    assert_int_equal(append(s, 2, 1100, 3 * 65448), TD_SPOOL_FULL);
    assert_int_equal(pool_used(f), 2);
    assert_int_equal(append(s, 2, 1100, 3 * 65448 - 100 - 24), 0);
    assert_int_equal(pool_used(f), 4);
    uint64_t end = 1100 + 3 * 65448 - 100 - 24;
    assert_int_equal(append(s, 2, end, 1), TD_SPOOL_FULL);
    assert_int_equal(emit(s, TD_OP_SYNC, TD_FILE_MEDIA, 0, NULL, 0), TD_SPOOL_FULL);
    struct td_spool_stats stats;
    td_spool_stats(s, &stats);
    assert_int_equal(stats.accepted_bytes, end);
    assert_int_equal(stats.written_bytes, 0);
    gate_open(&f->gate);
    fixture_wait_written(s, end);
    while (append(s, 2, end, 5000) == TD_SPOOL_FULL) {
        (void)sched_yield(); /* the last buffer is on its way back */
    }
    close_and_wait(f, s, NULL);
    assert_pattern(f, "a.ts", 2, end + 5000);
}

static uint64_t flushes(const struct td_spool *s)
{
    struct td_spool_stats stats;
    td_spool_stats(s, &stats);
    return stats.flushes;
}

static void test_flush_by_age(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 4, SYNC_OFF);
    struct td_spool *s = fixture_spool(f, "a.ts", false);
    int64_t now = 1000000 * MS;
    td_spool_tick(s, now);
    assert_int_equal(append(s, 3, 0, 10), 0);
    /* The bytes came between this tick and the one before: they count from that one. */
    td_spool_tick(s, now + 5 * MS);
    td_spool_tick(s, now + 399 * MS);
    assert_int_equal(flushes(s), 0);
    td_spool_tick(s, now + 400 * MS);
    assert_int_equal(flushes(s), 1);
    fixture_wait_written(s, 10);
    /* Nothing to flush, nothing flushed, nothing held. */
    td_spool_tick(s, now + 5000 * MS);
    assert_int_equal(flushes(s), 1);
    assert_int_equal(append(s, 3, 10, 10), 0);
    td_spool_tick(s, now + 5005 * MS);
    assert_int_equal(append(s, 3, 20, 10), 0);
    td_spool_tick(s, now + 5399 * MS);
    assert_int_equal(flushes(s), 1);
    td_spool_tick(s, now + 5400 * MS);
    assert_int_equal(flushes(s), 2);
    fixture_wait_written(s, 30);
    td_spool_flush(s);
    assert_int_equal(flushes(s), 2);
    assert_int_equal(append(s, 3, 30, 10), 0);
    td_spool_flush(s);
    assert_int_equal(flushes(s), 3);
    close_and_wait(f, s, NULL);
    assert_pattern(f, "a.ts", 3, 40);
}

static void test_flush_by_bytes(void **state)
{
    struct fixture *f = *state;
    struct td_store_config config = {
        .fs = &f->gate.base,
        .runtime_dir = f->shm,
        .crashpool_bytes = pool_bytes(4),
        .flush_bytes = 5000,
        .sync_interval_us = SYNC_OFF,
    };
    assert_int_equal(td_store_new(&config, &f->store), 0);
    struct td_spool *s = fixture_spool(f, "a.ts", false);
    assert_int_equal(append(s, 3, 0, 4999), 0);
    td_spool_tick(s, MS);
    assert_int_equal(flushes(s), 0);
    assert_int_equal(append(s, 3, 4999, 1), 0);
    td_spool_tick(s, 2 * MS);
    assert_int_equal(flushes(s), 1);
    /* A full buffer does not wait for the tick. */
    assert_int_equal(append(s, 3, 5000, 65448 + 100), 0);
    assert_int_equal(flushes(s), 2);
    close_and_wait(f, s, NULL);
    assert_pattern(f, "a.ts", 3, 5000 + 65448 + 100);
}

static void test_exists(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 4, SYNC_OFF);
    char path[TD_PATH_MAX];
    file_write(fixture_path(f, "a.mkv.idx", path), "mine", 4);
    struct td_spool *s = fixture_spool(f, "a.mkv", true);
    fixture_wait_failed(f);
    assert_int_equal(f->heard.failure.error, -EEXIST);
    assert_ptr_equal(f->heard.failure.spool, s);
    assert_int_equal(append(s, 1, 0, 10), -EEXIST);
    struct td_spool_finish finish = {.seal = NULL};
    final_name(&finish, "/nowhere");
    close_and_wait(f, s, &finish);
    assert_int_equal(f->heard.report.error, -EEXIST);
    assert_int_equal(f->heard.failed, 1);
    /* Untouched, and the empty media file was taken back. */
    assert_content(path, "mine", 4);
    assert_int_equal(folder_count(f->disk), 1);
}

static void test_no_folder(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 4, SYNC_OFF);
    struct td_spool *s = fixture_spool(f, "missing/a.ts", false);
    int r = append(s, 1, 0, 10); /* may still be taken */
    assert_true(r == 0 || r == -ENOENT);
    fixture_wait_failed(f);
    assert_int_equal(f->heard.failure.error, -ENOENT);
    close_and_wait(f, s, NULL);
    assert_int_equal(f->heard.report.error, -ENOENT);
}

static void test_write_error(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 8, SYNC_OFF);
    struct td_spool *s = fixture_spool(f, "a.ts", false);
    struct td_spool *other = fixture_spool(f, "b.ts", false);
    assert_int_equal(append(s, 1, 0, 1000), 0);
    td_spool_flush(s);
    fixture_wait_written(s, 1000);
    gate_shut(&f->gate);
    assert_int_equal(append(s, 1, 1000, 100000), 0);
    assert_int_equal(append(s, 1, 101000, 100000), 0);
    td_spool_flush(s);
    atomic_store(&f->gate.write_error, -EIO);
    gate_open(&f->gate);
    fixture_wait_failed(f);
    assert_int_equal(append(s, 1, 201000, 10), -EIO);
    atomic_store(&f->gate.write_error, 0);
    close_and_wait(f, s, NULL);
    assert_int_equal(f->heard.failed, 1);
    assert_int_equal(f->heard.report.error, -EIO);
    assert_int_equal(f->heard.report.bytes, 1000);
    /* The others go on. */
    assert_int_equal(append(other, 4, 0, 5000), 0);
    close_and_wait(f, other, NULL);
    assert_int_equal(f->heard.report.error, 0);
    assert_pattern(f, "b.ts", 4, 5000);
    assert_pattern(f, "a.ts", 1, 1000);
}

static void test_sync_error(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 4, 0);
    struct td_spool *s = fixture_spool(f, "a.ts", false);
    assert_int_equal(append(s, 1, 0, 100), 0);
    atomic_store(&f->gate.sync_error, -EIO);
    td_spool_flush(s);
    fixture_wait_failed(f);
    atomic_store(&f->gate.sync_error, 0);
    assert_int_equal(append(s, 1, 100, 100), -EIO);
    struct td_spool_stats stats;
    td_spool_stats(s, &stats);
    assert_int_equal(stats.synced_bytes, 0);
    assert_int_equal(stats.error, -EIO);
    close_and_wait(f, s, NULL);
    assert_int_equal(f->heard.report.error, -EIO);
}

static void wait_synced(const struct td_spool *s, uint64_t bytes)
{
    struct td_spool_stats stats = {.synced_bytes = 0};
    for (int i = 0; i < 10000000 && stats.synced_bytes < bytes; i++) {
        td_spool_stats(s, &stats);
        (void)sched_yield(); /* between two looks at the condition */
    }
    assert_int_equal(stats.synced_bytes, bytes);
}

static void test_sync_modes(void **state)
{
    static const int64_t intervals[] = {0, 2 * MS};
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        fixture_store(f, 4, intervals[i]);
        struct td_spool *s = fixture_spool(f, i == 0 ? "a.ts" : "b.ts", true);
        for (uint64_t k = 0; k < 5; k++) {
            assert_int_equal(append(s, 1, k * 100, 100), 0);
            td_spool_flush(s);
            wait_synced(s, (k + 1) * 100);
        }
        close_and_wait(f, s, NULL);
        fixture_store_done(f);
    }
}

struct seal_ctx {
    int answer;
    int calls;
    char seen[64];
    bool index;
};

/* Reverses what it finds, cuts it to 8 bytes and adds the index's text. */
static int seal(void *ctx, const struct td_read_at *media, const struct td_read_at *index,
                const struct td_op_sink *sink)
{
    struct seal_ctx *s = ctx;
    s->calls++;
    int64_t n = media->read_at(media->ctx, 0, s->seen, sizeof(s->seen) - 1);
    if (n < 0) {
        return (int)n;
    }
    s->seen[n] = '\0';
    s->index = index->read_at != NULL;
    struct td_file_op ops[] = {
        {.kind = TD_OP_TRUNCATE, .offset = 8},
        {.kind = TD_OP_APPEND, .offset = 8, .bytes = (const uint8_t *)"-end", .len = 4},
        {.kind = TD_OP_SYNC},
        {.kind = TD_OP_PATCH, .offset = 0, .bytes = (const uint8_t *)"S", .len = 1},
    };
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        int r = sink->emit(sink->ctx, &ops[i]);
        if (r < 0) {
            return r;
        }
    }
    return s->answer;
}

static struct td_spool *spool_with_text(struct fixture *f, bool index)
{
    struct td_spool *s = fixture_spool(f, "a.recording.mkv", index);
    assert_int_equal(emit(s, TD_OP_APPEND, TD_FILE_MEDIA, 0, "0123456789", 10), 0);
    if (index) {
        assert_int_equal(emit(s, TD_OP_APPEND, TD_FILE_INDEX, 0, "i", 1), 0);
    }
    return s;
}

static void test_finish(void **state)
{
    struct fixture *f = *state;
    for (int index = 0; index < 2; index++) {
        fixture_store(f, 4, SYNC_OFF);
        struct td_spool *s = spool_with_text(f, index == 1);
        struct seal_ctx ctx = {.answer = 0};
        struct td_spool_finish finish = {.seal = seal, .seal_ctx = &ctx};
        char path[TD_PATH_MAX];
        final_name(&finish, fixture_path(f, "a.mkv", path));
        close_and_wait(f, s, &finish);
        assert_int_equal(f->heard.report.error, 0);
        assert_int_equal(ctx.calls, 1);
        assert_string_equal(ctx.seen, "0123456789");
        assert_int_equal(ctx.index, index);
        assert_content(path, "S1234567-end", 12);
        assert_int_equal(folder_count(f->disk), 1); /* no index, no growing name */
        assert_int_equal(td_fs_unlink(td_fs_posix(), path), 0);
        fixture_store_done(f);
    }
}

static void test_finish_in_place(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 4, SYNC_OFF);
    struct td_spool *s = spool_with_text(f, true);
    struct td_spool_finish finish = {.seal = NULL};
    close_and_wait(f, s, &finish);
    char path[TD_PATH_MAX];
    assert_content(fixture_path(f, "a.recording.mkv", path), "0123456789", 10);
    assert_int_equal(folder_count(f->disk), 1);
    assert_false(f->heard.report.renamed);
    assert_int_equal(f->heard.report.bytes, 10);
}

static void test_final_exists(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    char growing[TD_PATH_MAX];
    (void)fixture_path(f, "a.recording.mkv", growing);
    file_write(fixture_path(f, "a.mkv", path), "old", 3);
    for (int replace = 0; replace < 2; replace++) {
        fixture_store(f, 4, SYNC_OFF);
        struct td_spool *s = spool_with_text(f, false);
        struct td_spool_finish finish = {.replace = replace == 1};
        final_name(&finish, path);
        close_and_wait(f, s, &finish);
        assert_int_equal(f->heard.report.error, replace == 1 ? 0 : -EEXIST);
        assert_int_equal(f->heard.report.renamed, replace == 1);
        assert_int_equal(f->heard.report.bytes, 10);
        assert_content(path, replace == 1 ? "0123456789" : "old", replace == 1 ? 10 : 3);
        assert_int_equal(file_exists(growing), replace == 0);
        if (replace == 0) {
            assert_int_equal(td_fs_unlink(td_fs_posix(), growing), 0);
        }
        fixture_store_done(f);
    }
}

static void test_seal_fails(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 4, SYNC_OFF);
    struct td_spool *s = spool_with_text(f, true);
    struct seal_ctx ctx = {.answer = -TD_E_DAMAGED};
    struct td_spool_finish finish = {.seal = seal, .seal_ctx = &ctx};
    char path[TD_PATH_MAX];
    final_name(&finish, fixture_path(f, "a.mkv", path));
    close_and_wait(f, s, &finish);
    assert_int_equal(f->heard.report.error, -TD_E_DAMAGED);
    assert_false(f->heard.report.renamed);
    assert_false(file_exists(path));
    assert_true(file_exists(fixture_path(f, "a.recording.mkv", path)));
    assert_true(file_exists(fixture_path(f, "a.recording.mkv.idx", path)));
}

/* After a full disk the tail is cut all the same, and the file is whole then; after EIO nothing is
 * touched. */
static void test_seal_after_error(void **state)
{
    static const int errors[] = {-ENOSPC, -EIO};
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        fixture_store(f, 4, SYNC_OFF);
        f->heard.failed = 0;
        struct td_spool *s = spool_with_text(f, false);
        td_spool_flush(s);
        fixture_wait_written(s, 10);
        atomic_store(&f->gate.write_error, errors[i]);
        assert_int_equal(append(s, 1, 10, 10), 0);
        td_spool_flush(s);
        fixture_wait_failed(f);
        atomic_store(&f->gate.write_error, 0);
        struct seal_ctx ctx = {.answer = 0};
        struct td_spool_finish finish = {.seal = seal, .seal_ctx = &ctx};
        char path[TD_PATH_MAX];
        final_name(&finish, fixture_path(f, "a.mkv", path));
        close_and_wait(f, s, &finish);
        assert_int_equal(f->heard.report.error, errors[i]);
        assert_int_equal(ctx.calls, i == 0);
        assert_int_equal(f->heard.report.renamed, i == 0);
        assert_int_equal(f->heard.report.bytes, i == 0 ? 12 : 10);
        assert_int_equal(file_exists(path), i == 0);
        if (i != 0) {
            (void)fixture_path(f, "a.recording.mkv", path);
        }
        assert_content(path, i == 0 ? "S1234567-end" : "0123456789", i == 0 ? 12 : 10);
        assert_int_equal(td_fs_unlink(td_fs_posix(), path), 0);
        assert_int_equal(folder_count(f->disk), 0);
        fixture_store_done(f);
    }
}

/* ---- a file that goes on ---- */

#define RESUME_BYTES 100000u

static void file_to_resume(struct fixture *f, const char *name, uint32_t seed)
{
    static uint8_t bytes[RESUME_BYTES];
    char path[TD_PATH_MAX];
    pattern_fill(seed, 0, bytes, sizeof(bytes));
    file_write(fixture_path(f, name, path), bytes, sizeof(bytes));
}

static void test_resume(void **state)
{
    static const int64_t intervals[] = {SYNC_OFF, 0, 2 * MS};
    struct fixture *f = *state;
    file_to_resume(f, "a.recording.ts", 6);
    uint64_t bytes = RESUME_BYTES;
    for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
        fixture_store(f, 8, intervals[i]);
        struct td_spool *s = fixture_resume(f, "a.recording.ts", bytes);
        struct td_spool_stats stats;
        td_spool_stats(s, &stats);
        assert_int_equal(stats.accepted_bytes, bytes);
        assert_int_equal(stats.written_bytes, bytes);
        assert_int_equal(stats.synced_bytes, bytes);
        assert_int_equal(append(s, 6, bytes, 150000), 0);
        td_spool_flush(s);
        bytes += 150000;
        fixture_wait_written(s, bytes);
        if (intervals[i] >= 0) {
            wait_synced(s, bytes);
        }
        assert_int_equal(append(s, 6, bytes, 7), 0);
        bytes += 7;
        close_and_wait(f, s, NULL);
        assert_int_equal(f->heard.report.error, 0);
        assert_int_equal(f->heard.report.bytes, bytes);
        assert_pattern(f, "a.recording.ts", 6, bytes);
        fixture_store_done(f);
    }
    /* One that has nothing to add is finished all the same. */
    fixture_store(f, 8, SYNC_OFF);
    struct td_spool_finish finish = {.seal = NULL};
    char path[TD_PATH_MAX];
    final_name(&finish, fixture_path(f, "a.ts", path));
    close_and_wait(f, fixture_resume(f, "a.recording.ts", bytes), &finish);
    assert_int_equal(f->heard.report.error, 0);
    assert_pattern(f, "a.ts", 6, bytes);
    assert_int_equal(folder_count(f->disk), 1);
}

/* Answers what the spool said. */
static int refused(struct fixture *f, const char *name, uint64_t bytes)
{
    fixture_store(f, 4, SYNC_OFF);
    f->heard.failed = 0;
    struct td_spool *s = fixture_resume(f, name, bytes);
    fixture_wait_failed(f);
    struct td_spool_finish finish = {.seal = NULL};
    final_name(&finish, "/nowhere");
    close_and_wait(f, s, &finish);
    assert_int_equal(f->heard.report.bytes, bytes);
    fixture_store_done(f);
    return f->heard.report.error;
}

/* What is not the file it should be is left as it is. */
static void test_resume_refused(void **state)
{
    struct fixture *f = *state;
    struct td_fs *fs = td_fs_posix();
    char path[TD_PATH_MAX];
    char link_path[TD_PATH_MAX];
    char folder[TD_PATH_MAX];
    file_to_resume(f, "a.ts", 6);
    (void)fixture_path(f, "a.ts", path);
    assert_int_equal(refused(f, "a.ts", RESUME_BYTES - 1), -TD_E_DAMAGED);
    assert_int_equal(refused(f, "a.ts", RESUME_BYTES + 1), -TD_E_DAMAGED);
    assert_int_equal(refused(f, "missing.ts", RESUME_BYTES), -ENOENT);
    assert_int_equal(td_fs_symlink(fs, path, fixture_path(f, "link.ts", link_path)), 0);
    assert_int_equal(refused(f, "link.ts", RESUME_BYTES), -ELOOP);
    assert_int_equal(td_fs_mkdir(fs, fixture_path(f, "folder.ts", folder), 0700), 0);
    assert_int_equal(refused(f, "folder.ts", RESUME_BYTES), -EISDIR);
    int handle = td_fs_open(fs, path, TD_FS_WRITE, 0);
    assert_true(handle >= 0);
    assert_int_equal(td_fs_lock(fs, handle), 0);
    assert_int_equal(refused(f, "a.ts", RESUME_BYTES), -EAGAIN);
    assert_int_equal(td_fs_close(fs, handle), 0);
    assert_pattern(f, "a.ts", 6, RESUME_BYTES);
    assert_int_equal(folder_count(f->disk), 3);
}

/* Each call of the open fails in turn: never is a byte of the file touched, or its name. */
static void test_resume_fails(void **state)
{
    struct fixture *f = *state;
    file_to_resume(f, "a.ts", 6);
    bool failed = true;
    for (unsigned long long n = 1; failed; n++) {
        assert_true(n < 20);
        fixture_store(f, 4, SYNC_OFF);
        f->heard.failed = 0;
        f->gate.calls = 0;
        f->gate.error = -EIO;
        f->gate.fail_at = n;
        close_and_wait(f, fixture_resume(f, "a.ts", RESUME_BYTES), NULL);
        f->gate.fail_at = 0;
        failed = f->heard.report.error != 0;
        assert_int_equal(f->heard.report.error, failed ? -EIO : 0);
        assert_pattern(f, "a.ts", 6, RESUME_BYTES);
        fixture_store_done(f);
    }
}

/* ---- a file that somebody else removes or cuts ---- */

static struct td_spool *spool_with_bytes(struct fixture *f, const char *name, size_t bytes)
{
    struct td_spool *s = fixture_spool(f, name, false);
    f->heard.failed = 0;
    assert_int_equal(append(s, 1, 0, bytes), 0);
    td_spool_flush(s);
    fixture_wait_written(s, bytes);
    return s;
}

/* A file that was lost is not sealed, renamed or written any more. */
static void expect_lost(struct fixture *f, struct td_spool *s)
{
    fixture_wait_failed(f);
    assert_int_equal(f->heard.failure.error, -TD_E_LOST);
    assert_int_equal(append(s, 1, 1000, 10), -TD_E_LOST);
    struct seal_ctx ctx = {.answer = 0};
    struct td_spool_finish finish = {.seal = seal, .seal_ctx = &ctx};
    char path[TD_PATH_MAX];
    final_name(&finish, fixture_path(f, "final.ts", path));
    close_and_wait(f, s, &finish);
    assert_int_equal(f->heard.report.error, -TD_E_LOST);
    assert_int_equal(ctx.calls, 0);
    assert_false(file_exists(path));
}

/* Nothing is being written: the rounds of the sync thread find it. */
static void test_lost_in_silence(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    fixture_store(f, 4, 2 * MS);
    struct td_spool *s = spool_with_bytes(f, "a.ts", 1000);
    wait_synced(s, 1000);
    assert_int_equal(truncate(fixture_path(f, "a.ts", path), 999), 0);
    expect_lost(f, s);
    assert_pattern(f, "a.ts", 1, 999);
    s = spool_with_bytes(f, "b.ts", 1000);
    wait_synced(s, 1000);
    assert_int_equal(unlink(fixture_path(f, "b.ts", path)), 0);
    expect_lost(f, s);
    assert_false(file_exists(path));
    s = spool_with_bytes(f, "c.ts", 1000);
    file_write(fixture_path(f, "other", path), "other", 5);
    char over[TD_PATH_MAX];
    assert_int_equal(rename(path, fixture_path(f, "c.ts", over)), 0);
    expect_lost(f, s);
    assert_content(over, "other", 5);
}

/* The next write would make the file long again: the writer finds it, and leaves no hole. */
static void test_lost_while_writing(void **state)
{
    static const int64_t intervals[] = {0, 3600000 * MS};
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    for (int i = 0; i < 2; i++) {
        fixture_store(f, 4, intervals[i]);
        struct td_spool *s = spool_with_bytes(f, "a.ts", 1000);
        assert_int_equal(truncate(fixture_path(f, "a.ts", path), 500), 0);
        assert_int_equal(append(s, 1, 1000, 1000), 0);
        td_spool_flush(s);
        expect_lost(f, s);
        assert_pattern(f, "a.ts", 1, 500);
        assert_int_equal(unlink(path), 0);
        fixture_store_done(f);
    }
}

/* Whoever turns syncing off turns the look-out off. */
static void test_lost_unseen(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    fixture_store(f, 4, SYNC_OFF);
    struct td_spool *s = spool_with_bytes(f, "a.ts", 1000);
    assert_int_equal(unlink(fixture_path(f, "a.ts", path)), 0);
    assert_int_equal(append(s, 1, 1000, 1000), 0);
    close_and_wait(f, s, NULL);
    assert_int_equal(f->heard.report.error, 0);
}

/* Cuts of ours are no loss, whenever a round comes. */
static void test_own_cuts(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 8, MS / 10);
    struct td_spool *s = fixture_spool(f, "a.ts", false);
    uint64_t written = 0;
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(append(s, 1, i, 5000), 0);
        assert_int_equal(emit(s, TD_OP_TRUNCATE, TD_FILE_MEDIA, i + 1, NULL, 0), 0);
        td_spool_flush(s);
        written += 5000;
        fixture_wait_written(s, written);
    }
    close_and_wait(f, s, NULL);
    assert_int_equal(f->heard.report.error, 0);
    assert_pattern(f, "a.ts", 1, 300);
}

/* ---- figures ---- */

static uint64_t latency_writes(const struct td_spool_stats *stats)
{
    uint64_t count = 0;
    for (size_t i = 0; i < TD_SPOOL_LATENCY_BUCKETS; i++) {
        count += stats->latency_counts[i];
    }
    return count;
}

static void test_latency(void **state)
{
    static const int64_t bounds[] = {1000,  2500,   5000,   10000,  25000,
                                     50000, 100000, 250000, 1000000};
    struct fixture *f = *state;
    struct td_spool_stats stats;
    assert_int_equal(sizeof(bounds), sizeof(td_spool_latency_us));
    assert_memory_equal(bounds, td_spool_latency_us, sizeof(bounds));
    fixture_store(f, 4, SYNC_OFF);
    struct td_spool *s = fixture_spool(f, "a.ts", false);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(append(s, 1, i * 100, 100), 0);
        td_spool_flush(s);
        fixture_wait_written(s, (i + 1) * 100);
    }
    gate_shut(&f->gate);
    assert_int_equal(append(s, 1, 1000, 100), 0);
    td_spool_flush(s);
    gate_wait(&f->gate);
    int64_t start_us = td_clock_now_us();
    while (td_clock_now_us() - start_us < 11 * MS) {
        (void)sched_yield();
    }
    gate_open(&f->gate);
    /* The figures follow the bytes. */
    do {
        (void)sched_yield();
        td_spool_stats(s, &stats);
    } while (latency_writes(&stats) < 11);
    assert_int_equal(latency_writes(&stats), 11);
    uint64_t slow = 0;
    for (size_t i = 4; i < TD_SPOOL_LATENCY_BUCKETS; i++) {
        slow += stats.latency_counts[i];
    }
    assert_true(slow >= 1);
    assert_true(stats.latency_sum_us >= 11000);
    close_and_wait(f, s, NULL);
}

static void test_locked_while_open(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 4, SYNC_OFF);
    struct td_spool *s = spool_with_text(f, false);
    td_spool_flush(s);
    fixture_wait_written(s, 10);
    char path[TD_PATH_MAX];
    struct td_fs *fs = td_fs_posix();
    int handle = td_fs_open(fs, fixture_path(f, "a.recording.mkv", path),
                            TD_FS_READ | TD_FS_WRITE | TD_FS_NOFOLLOW, 0);
    assert_true(handle >= 0);
    assert_int_equal(td_fs_lock(fs, handle), -EAGAIN);
    close_and_wait(f, s, NULL);
    assert_int_equal(td_fs_lock(fs, handle), 0);
    assert_int_equal(td_fs_close(fs, handle), 0);
}

/* A listener that does not listen delays the report, and nothing else. */
static void test_notify_full(void **state)
{
    struct fixture *f = *state;
    f->notify = td_mailbox_free(f->notify);
    assert_int_equal(td_mailbox_new(1, &f->notify), 0);
    fixture_store(f, 8, SYNC_OFF);
    for (int i = 0; i < 4; i++) {
        char name[] = "a.ts";
        name[0] = (char)('a' + i);
        struct td_spool *s = fixture_spool(f, name, false);
        assert_int_equal(append(s, 1, 0, 10), 0);
        td_spool_close(s, NULL);
    }
    fixture_wait_closed(f, 4);
    assert_int_equal(f->heard.report.error, 0);
    /* Nobody hears these at all: free must neither hang nor leak. */
    for (int i = 0; i < 3; i++) {
        char name[] = "e.ts";
        name[0] = (char)('e' + i);
        td_spool_close(fixture_spool(f, name, false), NULL);
    }
    fixture_store_done(f);
    assert_int_equal(folder_count(f->disk), 7);
}

static void test_too_many(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, 2, SYNC_OFF);
    char path[TD_PATH_MAX];
    struct td_spool_config config = {.path = {fixture_path(f, "x", path), NULL}};
    struct td_spool *spools[64];
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(td_spool_open(f->store, &config, &spools[i]), 0);
    }
    struct td_spool *over = NULL;
    assert_int_equal(td_spool_open(f->store, &config, &over), -ENOBUFS);
    for (size_t i = 0; i < 64; i++) {
        td_spool_close(spools[i], NULL);
    }
}

static void test_not_crash_safe(void **state)
{
    struct fixture *f = *state;
    struct td_store_config config = {
        .fs = &f->gate.base, .runtime_dir = "/proc", .sync_interval_us = SYNC_OFF};
    assert_int_equal(td_store_new(&config, &f->store), 0);
    assert_false(td_store_crash_safe(f->store));
    assert_int_equal(td_store_pool_error(f->store), -ENODEV);
    struct td_spool *s = fixture_spool(f, "a.ts", false);
    assert_int_equal(append(s, 1, 0, 200000), 0);
    close_and_wait(f, s, NULL);
    assert_pattern(f, "a.ts", 1, 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_merge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slot_not_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush_by_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush_by_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sync_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sync_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finish, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finish_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_final_exists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_seal_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_seal_after_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resume, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resume_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resume_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_in_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_while_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_unseen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_cuts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_latency, setup, teardown),
        cmocka_unit_test_setup_teardown(test_locked_while_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notify_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_crash_safe, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
