/* SPDX-License-Identifier: Apache-2.0 */
#include "store/writer.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"

struct writer_message {
    struct td_spool *spool;
    uint32_t buffer;
};

/* One run of bytes that go to neighbouring places of one file. */
struct writer_run {
    enum td_file_slot slot;
    uint64_t offset;
    const uint8_t *bytes;
    size_t len;
};

/* A file to go on with is what it was said to be, or it is not touched. */
static int writer_check(const struct td_spool *spool, enum td_file_slot slot,
                        const struct td_fs_stat *stat)
{
    if (spool->created[slot]) {
        return 0;
    }
    return stat->is_file && stat->size == spool->resume_bytes ? 0 : -TD_E_DAMAGED;
}

static int writer_open_file(struct td_store_writer *w, struct td_spool *spool,
                            enum td_file_slot slot)
{
    const char *path = td_crashpool_file_path(w->pool, spool->file, slot);
    if (path == NULL) {
        return 0;
    }
    bool create = slot != TD_FILE_MEDIA || spool->resume_bytes == 0;
    const unsigned flags = TD_FS_READ | TD_FS_WRITE | TD_FS_NOFOLLOW;
    int handle = td_fs_open(w->fs, path, create ? flags | TD_FS_CREATE : flags, 0644);
    if (handle < 0) {
        return handle;
    }
    spool->handle[slot] = handle;
    spool->created[slot] = create;
    /* The lock says that a recorder is at work here; it falls with the last close or with us. */
    int r = td_fs_lock(w->fs, handle);
    if (r < 0) {
        return r;
    }
    struct td_fs_stat stat;
    r = td_fs_fstat(w->fs, handle, &stat);
    r = r < 0 ? r : writer_check(spool, slot, &stat);
    if (r == 0) {
        spool->linked = slot == TD_FILE_MEDIA ? stat.nlink > 0 : spool->linked;
        td_crashpool_file_created(w->pool, spool->file, slot, stat.dev, stat.ino);
    }
    return r;
}

/* Takes back what a half-successful open made: those files are ours and empty. Their own errors are
 * second to the one that brought us here. */
static void writer_open_undo(struct td_store_writer *w, struct td_spool *spool)
{
    for (int slot = 0; slot < TD_FILE_SLOTS; slot++) {
        if (spool->handle[slot] >= 0 && spool->created[slot]) {
            enum td_file_slot which = (enum td_file_slot)slot;
            int r = td_fs_unlink(w->fs, td_crashpool_file_path(w->pool, spool->file, which));
            (void)r;
        }
    }
    int r = td_spool_close_handles(w->fs, spool);
    (void)r; /* nothing was written */
}

static void writer_open(struct td_store_writer *w, struct td_spool *spool)
{
    spool->opened = true;
    int r = 0;
    for (int slot = 0; slot < TD_FILE_SLOTS && r == 0; slot++) {
        r = writer_open_file(w, spool, (enum td_file_slot)slot);
    }
    if (r < 0) {
        td_crashpool_file_dead(w->pool, spool->file);
        writer_open_undo(w, spool);
        (void)td_spool_fail(spool, r); /* the emitter and the report hear of it */
        return;
    }
    td_store_sync_add(w->sync, spool);
}

/* What the sync thread may expect of the media file's size. */
static void writer_reached(struct td_spool *spool, enum td_file_slot slot, uint64_t end)
{
    if (slot == TD_FILE_MEDIA && end > atomic_load(&spool->media_bytes)) {
        atomic_store(&spool->media_bytes, end);
    }
}

static int writer_truncate(struct td_store_writer *w, struct td_spool *spool,
                           const struct td_file_op *op)
{
    if (op->file == TD_FILE_MEDIA && op->offset < atomic_load(&spool->media_bytes)) {
        /* Both before the cut: who sees a short file sees one of these, too. */
        atomic_store(&spool->media_bytes, op->offset);
        atomic_fetch_add(&spool->cuts, 1);
    }
    int r = td_fs_truncate(w->fs, spool->handle[op->file], op->offset);
    if (r == 0) {
        writer_reached(spool, op->file, op->offset);
    }
    return r;
}

static int writer_run_out(struct td_store_writer *w, struct td_spool *spool, struct writer_run *run)
{
    if (run->len == 0) {
        return 0;
    }
    int r = td_fs_pwrite_all(w->fs, spool->handle[run->slot], run->bytes, run->len, run->offset);
    if (r == 0) {
        atomic_fetch_add(&spool->written_bytes, run->len);
        writer_reached(spool, run->slot, run->offset + run->len);
    }
    run->len = 0;
    return r;
}

/* Appends that follow each other in buffer and file become one write. */
static bool writer_joins(const struct writer_run *run, const struct td_file_op *op)
{
    return run->len > 0 && op->kind == TD_OP_APPEND && op->file == run->slot &&
           op->offset == run->offset + run->len && op->bytes == run->bytes + run->len;
}

static int writer_op(struct td_store_writer *w, struct td_spool *spool, struct writer_run *run,
                     const struct td_file_op *op)
{
    if (writer_joins(run, op)) {
        run->len += op->len;
        return 0;
    }
    int r = writer_run_out(w, spool, run);
    if (r < 0) {
        return r;
    }
    switch (op->kind) {
    case TD_OP_APPEND:
    case TD_OP_PATCH:
        *run = (struct writer_run){
            .slot = op->file, .offset = op->offset, .bytes = op->bytes, .len = op->len};
        return 0;
    case TD_OP_TRUNCATE:
        return writer_truncate(w, spool, op);
    case TD_OP_SYNC:
        return td_spool_sync_handles(w->fs, spool);
    }
    return -TD_E_USAGE;
}

static int writer_write(struct td_store_writer *w, struct td_spool *spool, uint32_t buffer)
{
    struct td_crashpool_cursor cursor;
    td_crashpool_cursor_init(&cursor, w->pool, buffer);
    struct writer_run run = {.len = 0};
    struct td_file_op op;
    while (td_crashpool_cursor_next(&cursor, &op)) {
        int r = writer_op(w, spool, &run, &op);
        if (r < 0) {
            return r;
        }
    }
    return writer_run_out(w, spool, &run);
}

static void on_open(void *target, const void *payload)
{
    const struct writer_message *message = payload;
    if (!message->spool->opened) {
        writer_open(target, message->spool);
    }
}

static void writer_took(struct td_spool *spool, int64_t took_us, int64_t end_us)
{
    size_t bucket = 0;
    while (bucket < TD_SPOOL_LATENCY_BUCKETS - 1 && took_us > td_spool_latency_us[bucket]) {
        bucket++;
    }
    atomic_fetch_add(&spool->latency_counts[bucket], 1);
    atomic_fetch_add(&spool->latency_sum_us, (uint64_t)took_us);
    atomic_store(&spool->write_latency_us, took_us);
    atomic_store(&spool->last_write_us, end_us);
}

static void writer_take(struct td_store_writer *w, struct td_spool *spool, uint32_t buffer)
{
    if (td_store_sync_is_on(w->sync) && td_spool_check(w->fs, spool) < 0) {
        return; /* it was told */
    }
    int64_t start_us = td_clock_now_us();
    int r = writer_write(w, spool, buffer);
    int64_t end_us = td_clock_now_us();
    if (r < 0) {
        /* What follows is dropped, so recovery must not write it behind a hole either. */
        td_crashpool_file_dead(w->pool, spool->file);
        (void)td_spool_fail(spool, r); /* the emitter and the report hear of it */
        return;
    }
    writer_took(spool, end_us - start_us, end_us);
    td_store_sync_written(w->sync, spool);
}

static void on_buffer(void *target, const void *payload)
{
    struct td_store_writer *w = target;
    const struct writer_message *message = payload;
    struct td_spool *spool = message->spool;
    on_open(target, payload); /* the mailbox does not order different posters */
    if (atomic_load(&spool->error) == 0) {
        writer_take(w, spool, message->buffer);
    } else {
        td_spool_report_failure(spool);
    }
    td_crashpool_give(w->pool, message->buffer);
}

static void on_close(void *target, const void *payload)
{
    struct td_store_writer *w = target;
    const struct writer_message *message = payload;
    on_open(target, payload); /* even a part without a byte leaves its file */
    td_store_sync_remove(w->sync, message->spool);
}

int td_store_writer_start(struct td_store_writer *w, struct td_fs *fs, struct td_crashpool *pool,
                          struct td_store_sync *sync)
{
    w->fs = fs;
    w->pool = pool;
    w->sync = sync;
    struct td_crashpool_stats stats;
    td_crashpool_stats(pool, &stats);
    size_t capacity = stats.buffer_count + 2 * td_crashpool_file_count(pool);
    return td_worker_start(&w->worker, "td-writer", capacity, NULL, w);
}

void td_store_writer_stop(struct td_store_writer *w)
{
    td_worker_stop(&w->worker);
}

int td_store_writer_open(struct td_store_writer *w, struct td_spool *spool)
{
    struct writer_message message = {.spool = spool, .buffer = TD_CRASHPOOL_NONE};
    return td_worker_post(&w->worker, on_open, w, &message, sizeof(message));
}

int td_store_writer_buffer(struct td_store_writer *w, struct td_spool *spool, uint32_t buffer)
{
    struct writer_message message = {.spool = spool, .buffer = buffer};
    return td_worker_post(&w->worker, on_buffer, w, &message, sizeof(message));
}

void td_store_writer_close(struct td_store_writer *w, struct td_spool *spool)
{
    struct writer_message message = {.spool = spool, .buffer = TD_CRASHPOOL_NONE};
    int r = td_worker_post(&w->worker, on_close, w, &message, sizeof(message));
    assert(r == 0); /* Bound in writer.h */
}
