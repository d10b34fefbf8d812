/* SPDX-License-Identifier: Apache-2.0 */
#include "store/spool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/writer.h"

/* Splitting a frame is not worth a record for fewer bytes than this. */
#define SPOOL_SPLIT_BYTES_MIN 256

const int64_t td_spool_latency_us[TD_SPOOL_LATENCY_BUCKETS - 1] = {
    1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000,
};

int td_spool_new(const struct td_spool_setup *setup, const struct td_spool_config *config,
                 struct td_spool **ret_spool)
{
    assert(config->resume_bytes == 0 || config->path[TD_FILE_MEDIA] != NULL);
    struct td_spool *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return -ENOMEM;
    }
    int r = td_crashpool_file_add(setup->pool, config->path, config->resume_bytes, &s->file);
    if (r < 0) {
        free(s);
        return r;
    }
    s->pool = setup->pool;
    s->writer = setup->writer;
    s->resume_bytes = config->resume_bytes;
    atomic_init(&s->media_bytes, config->resume_bytes);
    atomic_init(&s->accepted_bytes, config->resume_bytes);
    atomic_init(&s->written_bytes, config->resume_bytes);
    atomic_init(&s->synced_bytes, config->resume_bytes);
    s->flush_bytes = setup->flush_bytes;
    s->flush_interval_us = setup->flush_interval_us;
    s->notify = config->notify;
    s->failed = config->failed;
    s->closed = config->closed;
    s->ctx = config->ctx;
    s->fill.buffer = TD_CRASHPOOL_NONE;
    s->filled_us = -1;
    s->ticked_us = -1;
    for (int slot = 0; slot < TD_FILE_SLOTS; slot++) {
        s->handle[slot] = -1;
    }
    *ret_spool = s;
    return 0;
}

void td_spool_free(struct td_spool *spool)
{
    td_crashpool_file_remove(spool->pool, spool->file);
    free(spool);
}

void td_spool_report_failure(struct td_spool *spool)
{
    int error = atomic_load(&spool->error);
    if (error == 0 || spool->notify == NULL || spool->failed == NULL ||
        atomic_exchange(&spool->reported, true)) {
        return;
    }
    struct td_spool_report report = {
        .error = error,
        .bytes = atomic_load(&spool->written_bytes),
        .spool = spool,
    };
    if (td_mailbox_post(spool->notify, spool->failed, spool->ctx, &report, sizeof(report)) < 0) {
        atomic_store(&spool->reported,
                     false); /* full: the next message for this spool tries again */
    }
}

int td_spool_fail(struct td_spool *spool, int error)
{
    assert(error < 0);
    int none = 0;
    (void)atomic_compare_exchange_strong(&spool->error, &none, error); /* an earlier one stays */
    td_spool_report_failure(spool);
    return error;
}

int td_spool_close_handles(struct td_fs *fs, struct td_spool *spool)
{
    int first = 0;
    for (int slot = 0; slot < TD_FILE_SLOTS; slot++) {
        if (spool->handle[slot] >= 0) {
            int r = td_fs_close(fs, spool->handle[slot]);
            spool->handle[slot] = -1;
            first = first < 0 ? first : r;
        }
    }
    return first;
}

int td_spool_sync_handles(struct td_fs *fs, struct td_spool *spool)
{
    for (int slot = 0; slot < TD_FILE_SLOTS; slot++) {
        int r = spool->handle[slot] >= 0 ? td_fs_sync(fs, spool->handle[slot]) : 0;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int spool_look(struct td_fs *fs, const struct td_spool *spool)
{
    int handle = spool->handle[TD_FILE_MEDIA];
    if (handle < 0) {
        return 0;
    }
    unsigned cuts = atomic_load(&spool->cuts);
    uint64_t bytes = atomic_load(&spool->media_bytes);
    struct td_fs_stat stat;
    int r = td_fs_fstat(fs, handle, &stat);
    if (r < 0) {
        return r;
    }
    bool unlinked = spool->linked && stat.nlink == 0;
    /* A cut of ours that came in between makes the two sizes incomparable. */
    bool cut = stat.size < bytes && cuts == atomic_load(&spool->cuts);
    return unlinked || cut ? -TD_E_LOST : 0;
}

int td_spool_check(struct td_fs *fs, struct td_spool *spool)
{
    int r = spool_look(fs, spool);
    if (r < 0) {
        /* What follows is dropped; recovery must not add to what somebody else made of the file. */
        td_crashpool_file_dead(spool->pool, spool->file);
        (void)td_spool_fail(spool, r); /* it is `r` that is returned */
    }
    return r;
}

/* Gives the current buffer to the writer. */
static void spool_hand_over(struct td_spool *s)
{
    uint32_t buffer = s->fill.buffer;
    if (buffer == TD_CRASHPOOL_NONE) {
        return;
    }
    s->fill.buffer = TD_CRASHPOOL_NONE;
    s->filled_us = -1;
    atomic_fetch_add_explicit(&s->flushes, 1, memory_order_relaxed);
    int r = td_store_writer_buffer(s->writer, s, buffer);
    if (r < 0) {
        /* Cannot happen, see writer.h. The bytes are then lost, and it is said. */
        td_crashpool_file_dead(s->pool, s->file);
        td_crashpool_give(s->pool, buffer);
        (void)td_spool_fail(s, r); /* returned by the next emit */
    }
}

static void spool_put(struct td_spool *s, const struct td_file_op *op)
{
    td_crashpool_put(s->pool, &s->fill, op);
    if (td_crashpool_room(&s->fill) < SPOOL_SPLIT_BYTES_MIN) {
        spool_hand_over(s);
    }
}

/* Patches, truncates and syncs are one record: recovery never sees a half of one. */
static int spool_emit_whole(struct td_spool *s, const struct td_file_op *op)
{
    if (op->len > td_crashpool_record_max()) {
        return -TD_E_LIMIT;
    }
    if (s->fill.buffer == TD_CRASHPOOL_NONE || td_crashpool_room(&s->fill) < (int64_t)op->len) {
        uint32_t buffer;
        int r = td_crashpool_take(s->pool, s->file, 1, &buffer);
        if (r != 0) {
            return TD_SPOOL_FULL;
        }
        spool_hand_over(s);
        td_crashpool_fill_init(&s->fill, s->pool, buffer);
    }
    spool_put(s, op);
    return 0;
}

/* An append fills what is left and then as many buffers as it needs, all reserved before the first
 * byte is taken. */
static int spool_emit_append(struct td_spool *s, const struct td_file_op *op)
{
    size_t room = 0;
    if (s->fill.buffer != TD_CRASHPOOL_NONE) {
        room = (size_t)td_crashpool_room(&s->fill); /* spool_put leaves only such with room */
    }
    uint32_t buffer = TD_CRASHPOOL_NONE;
    if (op->len > room) {
        size_t record_max = td_crashpool_record_max();
        size_t count = (op->len - room + record_max - 1) / record_max;
        if (td_crashpool_take(s->pool, s->file, count, &buffer) != 0) {
            return TD_SPOOL_FULL;
        }
    }
    struct td_file_op part = *op;
    for (size_t done = 0; done < op->len; done += part.len) {
        if (s->fill.buffer == TD_CRASHPOOL_NONE) {
            uint32_t next = td_crashpool_next(s->pool, buffer);
            td_crashpool_fill_init(&s->fill, s->pool, buffer);
            buffer = next;
        }
        room = (size_t)td_crashpool_room(&s->fill);
        part.bytes = op->bytes + done;
        part.offset = op->offset + done;
        part.len = op->len - done < room ? op->len - done : room;
        spool_put(s, &part);
    }
    assert(buffer == TD_CRASHPOOL_NONE);
    return 0;
}

int td_spool_emit(struct td_spool *spool, const struct td_file_op *op)
{
    int error = atomic_load_explicit(&spool->error, memory_order_relaxed);
    if (error < 0) {
        return error;
    }
    assert((unsigned)op->file < TD_FILE_SLOTS && (op->len == 0 || op->bytes != NULL));
    if (td_crashpool_file_path(spool->pool, spool->file, op->file) == NULL) {
        return 0; /* a slot that nobody wants written */
    }
    bool carries = op->kind == TD_OP_APPEND || op->kind == TD_OP_PATCH;
    if (carries && (op->len == 0 || op->offset > (uint64_t)INT64_MAX - op->len)) {
        return op->len == 0 ? 0 : -EFBIG;
    }
    struct td_file_op bare = *op;
    bare.len = carries ? op->len : 0;
    int r = op->kind == TD_OP_APPEND ? spool_emit_append(spool, &bare)
                                     : spool_emit_whole(spool, &bare);
    if (r == 0) {
        atomic_fetch_add_explicit(&spool->accepted_bytes, bare.len, memory_order_relaxed);
    }
    return r;
}

void td_spool_tick(struct td_spool *spool, int64_t now_us)
{
    if (spool->fill.buffer != TD_CRASHPOOL_NONE) {
        if (spool->filled_us < 0) {
            /* The first byte came after the tick before: counting from there is never too late. */
            spool->filled_us = spool->ticked_us >= 0 ? spool->ticked_us : now_us;
        }
        if (now_us - spool->filled_us >= spool->flush_interval_us ||
            spool->fill.used >= spool->flush_bytes) {
            spool_hand_over(spool);
        }
    }
    spool->ticked_us = now_us;
}

void td_spool_flush(struct td_spool *spool)
{
    spool_hand_over(spool);
}

void td_spool_close(struct td_spool *spool, const struct td_spool_finish *finish)
{
    spool_hand_over(spool);
    if (finish != NULL) {
        spool->finish = *finish;
        spool->finishing = true;
    }
    td_store_writer_close(spool->writer, spool);
}

void td_spool_stats(const struct td_spool *spool, struct td_spool_stats *ret_stats)
{
    *ret_stats = (struct td_spool_stats){
        .accepted_bytes = atomic_load(&spool->accepted_bytes),
        .written_bytes = atomic_load(&spool->written_bytes),
        .synced_bytes = atomic_load(&spool->synced_bytes),
        .flushes = atomic_load(&spool->flushes),
        .last_write_us = atomic_load(&spool->last_write_us),
        .write_latency_us = atomic_load(&spool->write_latency_us),
        .latency_sum_us = atomic_load(&spool->latency_sum_us),
        .error = atomic_load(&spool->error),
    };
    for (size_t i = 0; i < TD_SPOOL_LATENCY_BUCKETS; i++) {
        ret_stats->latency_counts[i] = atomic_load(&spool->latency_counts[i]);
    }
}
