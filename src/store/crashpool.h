/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crashpool: write buffers that outlive the process: a shared mapping of a tmpfs file that holds
 *            numbered file operations until they are on disk (design section 7).
 * Owner: the store, one per process; the file is locked (OFD) while the process lives.
 * Thread: take and fill on a media loop, give on the writer; the free list is a leaf lock taken once
 *         per buffer, never per packet.
 * Bound: `bytes` reserved by fallocate at open, cut into TD_CRASHPOOL_BUFFER_BYTES.
 * Does not: write media files. Recovery hands what is left to a callback.
 */
#ifndef TD_STORE_CRASHPOOL_H
#define TD_STORE_CRASHPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fileop.h"
#include "base/fs.h"

struct td_crashpool;
struct td_crashpool_buffer;

struct td_crashpool_stats {
    size_t buffer_count;
    size_t used_count;
    size_t used_peak;
    uint64_t exhausted; /* takes that found none free */
};

/* Chooses the folder: `runtime_dir` if given, else $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR, /dev/shm.
 * -ENODEV when it is not tmpfs or cannot be mapped: the caller says so and opens with
 * `anonymous` = true (same behaviour, private memory, the 1.0 s promise). */
TD_MUST int td_crashpool_open(struct td_fs *fs, const char *runtime_dir, size_t bytes,
                              bool anonymous, struct td_crashpool **ret_pool);
/* Asserts that every buffer was given back; unlinks the file. */
struct td_crashpool *td_crashpool_close(struct td_crashpool *p);
void td_crashpool_stats(const struct td_crashpool *p, struct td_crashpool_stats *ret_stats);
/* The folder in use; NULL when anonymous. */
const char *td_crashpool_dir(const struct td_crashpool *p);

/* Carries out what dead processes' pools in `runtime_dir` (chosen as in open) still hold, oldest
 * first, then unlinks them. Trusts only regular files owned by us, opened without following links,
 * unlocked. Idempotent: killed half-way it is simply run again. `each` (may be NULL) hears of every
 * file touched: path, bytes replayed. Count of pools recovered, or negative. */
TD_MUST int td_crashpool_recover(struct td_fs *fs, const char *runtime_dir,
                                 void (*each)(void *ctx, const char *path, uint64_t bytes),
                                 void *ctx);

#endif
