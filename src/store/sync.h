/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync: the thread that makes written files durable, so that the writer never waits for it.
 * Owner: the store.
 * Thread: its own; add/written/remove are called on the writer thread.
 * Bound: a mailbox of 3 * file_count messages: a spool is in at most one add, one remove and (by
 *        `sync_asked`) one request, and there are file_count spools.
 * Does not: sync again after a failure: the kernel may have forgotten the pages (EIO is sticky).
 *
 * Each round also looks whether the media files are still there (td_spool_check). While a file
 * grows the writer must look, too: its next write would make a cut file long again, with a hole in
 * it.
 *
 * A closed spool comes by here on its way to the finisher. So no handle is closed while it is being
 * synced, without a lock or a count.
 */
#ifndef TD_STORE_SYNC_H
#define TD_STORE_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fs.h"
#include "store/finisher.h"
#include "store/spool.h"
#include "store/worker.h"

struct td_store_sync {
    /* constant */
    struct td_worker worker;
    struct td_fs *fs;
    struct td_finisher *finisher;
    int64_t interval_us; /* 0: after each write; < 0: off */
    /* sync thread */
    struct td_spool *spools; /* the open ones */
    int64_t next_us;         /* when the next round is due; 0: nothing was added yet */
};

TD_MUST int td_store_sync_start(struct td_store_sync *s, struct td_fs *fs, int64_t interval_us,
                                size_t file_count, struct td_finisher *finisher);
void td_store_sync_stop(struct td_store_sync *s);
/* Whether anybody looks after the files at all. */
bool td_store_sync_is_on(const struct td_store_sync *s);
/* The files are open. */
void td_store_sync_add(struct td_store_sync *s, struct td_spool *spool);
/* Something was written; matters for interval 0 only. */
void td_store_sync_written(struct td_store_sync *s, struct td_spool *spool);
/* The writer is done with it: on to the finisher. */
void td_store_sync_remove(struct td_store_sync *s, struct td_spool *spool);

#endif
