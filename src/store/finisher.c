/* SPDX-License-Identifier: Apache-2.0 */
#include "store/finisher.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define FINISHER_RETRY_US (20 * TD_US_PER_MS)

struct finisher_sink {
    struct td_fs *fs;
    struct td_spool *spool;
};

/* Carries one of seal's operations out at once. */
static int sink_emit(void *ctx, const struct td_file_op *op)
{
    const struct finisher_sink *sink = ctx;
    if ((unsigned)op->file >= TD_FILE_SLOTS || sink->spool->handle[op->file] < 0) {
        return -TD_E_USAGE;
    }
    /* A sync orders all of the spool's files, not only the one it names. */
    if (op->kind == TD_OP_SYNC) {
        return td_spool_sync_handles(sink->fs, sink->spool);
    }
    int handle = sink->spool->handle[op->file];
    int r = td_fs_apply(sink->fs, handle, op);
    if (r < 0 && op->kind == TD_OP_APPEND) {
        /* What a full disk took of it would be a torn end. */
        int undone = td_fs_truncate(sink->fs, handle, op->offset);
        return undone < 0 ? undone : r;
    }
    return r;
}

static int finisher_seal(struct td_finisher *f, struct td_spool *spool)
{
    if (spool->finish.seal == NULL) {
        return 0;
    }
    struct td_fs_file file[TD_FILE_SLOTS];
    struct td_read_at input[TD_FILE_SLOTS] = {{.read_at = NULL}};
    for (int slot = 0; slot < TD_FILE_SLOTS; slot++) {
        if (spool->handle[slot] >= 0) {
            file[slot] = (struct td_fs_file){.fs = f->fs, .handle = spool->handle[slot]};
            int r = td_fs_input(&file[slot], &input[slot]);
            if (r < 0) {
                return r;
            }
        }
    }
    struct finisher_sink ctx = {.fs = f->fs, .spool = spool};
    struct td_op_sink sink = {.emit = sink_emit, .ctx = &ctx};
    int r = spool->finish.seal(spool->finish.seal_ctx, &input[TD_FILE_MEDIA], &input[TD_FILE_INDEX],
                               &sink);
    return r < 0 ? r : td_spool_sync_handles(f->fs, spool);
}

/* A failed rename leaves the growing name; a cut after it, a durable file under either name; a cut
 * before the index is unlinked, an index that belongs to no growing file and is removed by recover.
 */
static int finisher_rename(struct td_finisher *f, struct td_spool *spool)
{
    const char *path = td_crashpool_file_path(spool->pool, spool->file, TD_FILE_MEDIA);
    const char *index = td_crashpool_file_path(spool->pool, spool->file, TD_FILE_INDEX);
    const char *final_path = spool->finish.final_path;
    if (path == NULL) {
        return 0;
    }
    int r = 0;
    if (final_path[0] != '\0' && strcmp(final_path, path) != 0) {
        r = td_fs_rename(f->fs, path, final_path, spool->finish.replace);
        spool->renamed = r == 0;
        r = r < 0 ? r : td_fs_sync_parent(f->fs, final_path);
    }
    r = r < 0 ? r : td_fs_sync_parent(f->fs, path);
    if (r < 0 || index == NULL) {
        return r;
    }
    r = td_fs_unlink(f->fs, index);
    return r < 0 ? r : td_fs_sync_parent(f->fs, index);
}

static int finisher_finish(struct td_finisher *f, struct td_spool *spool)
{
    int r = td_spool_sync_handles(f->fs, spool);
    if (r < 0) {
        return r;
    }
    atomic_store(&spool->synced_bytes, atomic_load(&spool->written_bytes));
    if (!spool->finishing) {
        const char *path = td_crashpool_file_path(spool->pool, spool->file, TD_FILE_MEDIA);
        return path != NULL ? td_fs_sync_parent(f->fs, path) : 0;
    }
    r = finisher_seal(f, spool);
    return r < 0 ? r : finisher_rename(f, spool);
}

/* After these the file itself is sound, only its end is torn. */
static bool finisher_is_full(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

/* True when the report was taken, or nobody wants one. */
static bool finisher_report(struct td_spool *spool)
{
    if (spool->notify == NULL || spool->closed == NULL) {
        return true;
    }
    struct td_spool_report report = {
        .error = atomic_load(&spool->error),
        .renamed = spool->renamed,
        .bytes = spool->file_bytes != 0 ? spool->file_bytes : atomic_load(&spool->written_bytes),
        .spool = spool,
    };
    return td_mailbox_post(spool->notify, spool->closed, spool->ctx, &report, sizeof(report)) == 0;
}

static int64_t finisher_tick(void *ctx, int64_t now_us)
{
    (void)now_us;
    struct td_finisher *f = ctx;
    for (struct td_spool **at = &f->waiting; *at != NULL;) {
        struct td_spool *spool = *at;
        if (finisher_report(spool)) {
            *at = spool->next;
            td_spool_free(spool);
        } else {
            at = &spool->next;
        }
    }
    return f->waiting != NULL ? FINISHER_RETRY_US : TD_WORKER_NO_TICK;
}

/* Sealing cuts and adds: the size is the file's own. */
static void finisher_measure(struct td_finisher *f, struct td_spool *spool)
{
    struct td_fs_stat st;
    if (spool->handle[TD_FILE_MEDIA] >= 0 &&
        td_fs_fstat(f->fs, spool->handle[TD_FILE_MEDIA], &st) == 0) {
        spool->file_bytes = st.size;
    }
}

static void on_take(void *target, const void *payload)
{
    struct td_finisher *f = target;
    struct td_spool *spool = *(struct td_spool *const *)payload;
    int error = atomic_load(&spool->error);
    int r = 0;
    if (error == 0) {
        r = finisher_finish(f, spool);
    } else if (finisher_is_full(error) && spool->finishing && spool->handle[TD_FILE_MEDIA] >= 0) {
        /* Cuts the torn tail, which needs no room. The first error is the one that is reported;
         * what cannot be sealed for want of room keeps its growing name, and recovery finishes it.
         */
        r = finisher_seal(f, spool);
        r = r < 0 ? r : finisher_rename(f, spool);
    }
    finisher_measure(f, spool);
    int closed = td_spool_close_handles(f->fs, spool);
    r = r < 0 ? r : closed;
    if (r < 0) {
        (void)td_spool_fail(spool, r); /* goes into the report */
    }
    td_spool_report_failure(spool);
    if (finisher_report(spool)) {
        td_spool_free(spool);
    } else {
        spool->next = f->waiting;
        f->waiting = spool;
    }
}

int td_finisher_start(struct td_finisher *f, struct td_fs *fs, size_t file_count)
{
    f->fs = fs;
    f->waiting = NULL;
    return td_worker_start(&f->worker, "td-finisher", file_count, finisher_tick, f);
}

void td_finisher_stop(struct td_finisher *f)
{
    td_worker_stop(&f->worker);
    while (f->waiting != NULL) {
        struct td_spool *spool = f->waiting;
        f->waiting = spool->next;
        td_spool_free(spool);
    }
}

void td_finisher_take(struct td_finisher *f, struct td_spool *spool)
{
    int r = td_worker_post(&f->worker, on_take, f, (const void *)&spool, sizeof(struct td_spool *));
    assert(r == 0); /* Bound in finisher.h */
}
