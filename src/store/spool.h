/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool: one growing part on its way to disk, as the threads of the store see it. The public face
 * is in store.h.
 * Owner: the media loop until td_spool_close; then it travels writer -> sync -> finisher, which
 *        frees it.
 * Thread: the fields say which.
 * Bound: one file entry of the crash pool; one buffer that fills.
 * Does not: I/O on the media loop.
 */
#ifndef TD_STORE_SPOOL_H
#define TD_STORE_SPOOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/crashpool.h"
#include "store/store.h"

struct td_store_writer;

struct td_spool {
    /* constant */
    struct td_crashpool *pool;
    struct td_store_writer *writer;
    uint32_t file;         /* entry of the crash pool */
    uint64_t resume_bytes; /* > 0: the media file was there before, with so many */
    size_t flush_bytes;
    int64_t flush_interval_us;
    struct td_mailbox *notify;
    td_message_fn *failed;
    td_message_fn *closed;
    void *ctx;
    /* owner: media loop */
    struct td_crashpool_fill fill;
    int64_t filled_us; /* when the first byte of `fill` was there at the latest; -1: no byte seen */
    int64_t ticked_us; /* the tick before; -1: none */
    /* owner: whoever holds the spool of writer, (sync,) finisher */
    int handle[TD_FILE_SLOTS];   /* -1: not open */
    bool created[TD_FILE_SLOTS]; /* by us, and so ours to take back */
    bool opened;                 /* the attempt was made */
    bool linked;    /* the file system counts names: none means that the media file was unlinked */
    bool finishing; /* `finish` is to be carried out */
    bool renamed;   /* the file has its final name */
    uint64_t file_bytes; /* what the file has in the end; 0 = not looked at */
    struct td_spool_finish finish;
    /* owner: sync thread; then the finisher's list of reports not taken yet uses `next` */
    bool folder_synced;
    struct td_spool *prev;
    struct td_spool *next;
    /* any thread */
    atomic_bool sync_asked; /* a request is in the sync thread's mailbox */
    atomic_bool reported;   /* `failed` was posted */
    atomic_int error;
    atomic_uint_fast64_t media_bytes; /* the media file is at least so long */
    atomic_uint cuts; /* operations of ours that made it shorter; counted before they do */
    atomic_uint_fast64_t accepted_bytes;
    atomic_uint_fast64_t written_bytes;
    atomic_uint_fast64_t synced_bytes;
    atomic_uint_fast64_t flushes;
    atomic_int_fast64_t last_write_us;
    atomic_int_fast64_t write_latency_us;
    atomic_uint_fast64_t latency_counts[TD_SPOOL_LATENCY_BUCKETS];
    atomic_uint_fast64_t latency_sum_us;
};

struct td_spool_setup {
    struct td_crashpool *pool;
    struct td_store_writer *writer;
    size_t flush_bytes;
    int64_t flush_interval_us;
};

/* 0, -ENOMEM, -ENOBUFS, -ENAMETOOLONG. */
TD_MUST int td_spool_new(const struct td_spool_setup *setup, const struct td_spool_config *config,
                         struct td_spool **ret_spool);
/* The last step, on the finisher: gives the file entry back and frees. */
void td_spool_free(struct td_spool *spool);
/* Any thread of the store: keeps the first error and posts `failed` once. Returns `error`. */
int td_spool_fail(struct td_spool *spool, int error);
/* Posts `failed` if that is due and did not fit into the mailbox before. */
void td_spool_report_failure(struct td_spool *spool);
/* Writer and sync thread: whether the media file is still there and as long as it was written. If
 * not, the spool fails with -TD_E_LOST: somebody else removed or cut the file. */
TD_MUST int td_spool_check(struct td_fs *fs, struct td_spool *spool);
/* Closes the open handles; the first error. */
TD_MUST int td_spool_close_handles(struct td_fs *fs, struct td_spool *spool);
/* Syncs the open files, media first; the first error. */
TD_MUST int td_spool_sync_handles(struct td_fs *fs, struct td_spool *spool);

#endif
