/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finisher: the thread that ends closed spools: sync, seal, rename, sync of the folder, report.
 * Owner: the store.
 * Thread: its own; take is called on the sync thread.
 * Bound: a mailbox of file_count messages: a spool comes here once.
 * Does not: hold anything up: a seal that reads a large file delays only the next close.
 */
#ifndef TD_STORE_FINISHER_H
#define TD_STORE_FINISHER_H

#include <stdint.h>

#include "base/fs.h"
#include "store/spool.h"
#include "store/worker.h"

struct td_finisher {
    struct td_worker worker;
    struct td_fs *fs;
    /* finisher thread: finished spools whose report did not fit into its mailbox yet */
    struct td_spool *waiting;
};

TD_MUST int td_finisher_start(struct td_finisher *f, struct td_fs *fs, size_t file_count);
/* Reports that nobody takes even now are dropped. */
void td_finisher_stop(struct td_finisher *f);
/* Nothing else holds the spool any more. */
void td_finisher_take(struct td_finisher *f, struct td_spool *spool);

#endif
