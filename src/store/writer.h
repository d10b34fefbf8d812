/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: the thread that carries filled buffers out to the files.
 * Owner: the store.
 * Thread: its own; open/buffer/close are posted from any other.
 * Bound: a mailbox of buffer_count + 2 * file_count messages. That is enough for ever: a buffer is
 *        in at most one message, because it is taken from the pool before and given back after it;
 *        a spool is in at most one open and one close message, and there are file_count spools.
 * Does not: sync (but for TD_OP_SYNC), seal, or cut a file after an error (seal does).
 */
#ifndef TD_STORE_WRITER_H
#define TD_STORE_WRITER_H

#include "base/fs.h"
#include "store/crashpool.h"
#include "store/spool.h"
#include "store/sync.h"
#include "store/worker.h"

struct td_store_writer {
    struct td_worker worker;
    struct td_fs *fs;
    struct td_crashpool *pool;
    struct td_store_sync *sync;
};

TD_MUST int td_store_writer_start(struct td_store_writer *w, struct td_fs *fs,
                                  struct td_crashpool *pool, struct td_store_sync *sync);
void td_store_writer_stop(struct td_store_writer *w);
/* Create the files of this spool. 0 or -ENOBUFS. */
TD_MUST int td_store_writer_open(struct td_store_writer *w, struct td_spool *spool);
/* Write one buffer and give it back to the pool. 0 or -ENOBUFS (see Bound: a mistake of ours). */
TD_MUST int td_store_writer_buffer(struct td_store_writer *w, struct td_spool *spool,
                                   uint32_t buffer);
/* The spool's last message: passes it on to sync and finisher. */
void td_store_writer_close(struct td_store_writer *w, struct td_spool *spool);

#endif
