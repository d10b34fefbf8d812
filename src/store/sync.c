/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sync.h"

#include <assert.h>

#include "base/clock.h"

/* The names of new files must be as durable as their bytes. */
static int sync_folders(struct td_store_sync *s, struct td_spool *spool)
{
    for (int slot = 0; slot < TD_FILE_SLOTS; slot++) {
        const char *path =
            td_crashpool_file_path(spool->pool, spool->file, (enum td_file_slot)slot);
        int r = path != NULL ? td_fs_sync_parent(s->fs, path) : 0;
        if (r < 0) {
            return r;
        }
    }
    spool->folder_synced = true;
    return 0;
}

static void sync_spool(struct td_store_sync *s, struct td_spool *spool)
{
    /* Read before the sync: what is written meanwhile is not counted as durable. */
    uint64_t written = atomic_load(&spool->written_bytes);
    bool clean = spool->folder_synced && written == atomic_load(&spool->synced_bytes);
    if (atomic_load(&spool->error) < 0) {
        return;
    }
    int r = td_spool_check(s->fs, spool);
    if (r < 0 || clean) {
        return; /* a failure was told */
    }
    r = td_spool_sync_handles(s->fs, spool);
    if (r == 0 && !spool->folder_synced) {
        r = sync_folders(s, spool);
    }
    if (r < 0) {
        (void)td_spool_fail(spool, r); /* the emitter and the report hear of it */
        return;
    }
    atomic_store(&spool->synced_bytes, written);
}

static int64_t sync_tick(void *ctx, int64_t now_us)
{
    struct td_store_sync *s = ctx;
    if (s->interval_us <= 0 || s->spools == NULL) {
        s->next_us = 0;
        return TD_WORKER_NO_TICK;
    }
    if (s->next_us == 0) {
        s->next_us = now_us + s->interval_us;
    }
    if (now_us >= s->next_us) {
        for (struct td_spool *spool = s->spools; spool != NULL; spool = spool->next) {
            sync_spool(s, spool);
        }
        /* The round itself may have taken long: the interval counts from its start. */
        s->next_us = now_us + s->interval_us;
    }
    int64_t left_us = s->next_us - td_clock_now_us();
    return left_us > 0 ? left_us : 0;
}

static void on_add(void *target, const void *payload)
{
    struct td_store_sync *s = target;
    struct td_spool *spool = *(struct td_spool *const *)payload;
    spool->prev = NULL;
    spool->next = s->spools;
    if (s->spools != NULL) {
        s->spools->prev = spool;
    }
    s->spools = spool;
}

static void on_request(void *target, const void *payload)
{
    struct td_spool *spool = *(struct td_spool *const *)payload;
    /* Before the sync, so that a write during it asks anew. */
    atomic_store(&spool->sync_asked, false);
    sync_spool(target, spool);
}

static void on_remove(void *target, const void *payload)
{
    struct td_store_sync *s = target;
    struct td_spool *spool = *(struct td_spool *const *)payload;
    if (spool->prev != NULL) {
        spool->prev->next = spool->next;
    } else if (s->spools == spool) {
        s->spools = spool->next;
    }
    if (spool->next != NULL) {
        spool->next->prev = spool->prev;
    }
    spool->prev = NULL;
    spool->next = NULL;
    td_finisher_take(s->finisher, spool);
}

/* Cannot be refused, see Bound. */
static void sync_post(struct td_store_sync *s, td_message_fn *fn, struct td_spool *spool)
{
    int r = td_worker_post(&s->worker, fn, s, (const void *)&spool, sizeof(struct td_spool *));
    assert(r == 0);
}

int td_store_sync_start(struct td_store_sync *s, struct td_fs *fs, int64_t interval_us,
                        size_t file_count, struct td_finisher *finisher)
{
    s->fs = fs;
    s->finisher = finisher;
    s->interval_us = interval_us;
    return td_worker_start(&s->worker, "td-sync", 3 * file_count, sync_tick, s);
}

void td_store_sync_stop(struct td_store_sync *s)
{
    td_worker_stop(&s->worker);
}

bool td_store_sync_is_on(const struct td_store_sync *s)
{
    return s->interval_us >= 0;
}

void td_store_sync_add(struct td_store_sync *s, struct td_spool *spool)
{
    sync_post(s, on_add, spool);
}

void td_store_sync_written(struct td_store_sync *s, struct td_spool *spool)
{
    if (s->interval_us == 0 && !atomic_exchange(&spool->sync_asked, true)) {
        sync_post(s, on_request, spool);
    }
}

void td_store_sync_remove(struct td_store_sync *s, struct td_spool *spool)
{
    sync_post(s, on_remove, spool);
}
