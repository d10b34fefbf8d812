/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crashpool: write buffers that outlive the process: a shared mapping of a tmpfs file that holds
 *            numbered file operations until they are on disk (design section 7).
 * Owner: the store, one per process; the file is locked (OFD) while the process lives.
 * Thread: take and fill on a media loop, give on the writer; the free list is a leaf lock taken
 *         once per buffer, never per packet.
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
struct td_pool_buffer; /* pool_layout.h */

struct td_crashpool_stats {
    size_t buffer_count;
    size_t used_count;
    size_t used_peak;
    uint64_t exhausted; /* takes that found none free */
};

/* Chooses the folder: `runtime_dir` if given, else the first of $RUNTIME_DIRECTORY,
 * $XDG_RUNTIME_DIR, /dev/shm that will do. -ENODEV when it is not tmpfs or cannot be mapped,
 * -ENOSPC when tmpfs is full …: the caller says so and opens with `anonymous` = true (same
 * behaviour, private memory, the 1.0 s promise). `bytes` is the whole file; -EINVAL when not even
 * one buffer fits. */
TD_MUST int td_crashpool_open(struct td_fs *fs, const char *runtime_dir, size_t bytes,
                              bool anonymous, struct td_crashpool **ret_pool);
/* Asserts that every buffer was given back; unlinks the file. */
struct td_crashpool *td_crashpool_close(struct td_crashpool *p);
void td_crashpool_stats(const struct td_crashpool *p, struct td_crashpool_stats *ret_stats);
/* The folder in use; NULL when anonymous. */
const char *td_crashpool_dir(const struct td_crashpool *p);

/* Carries out what dead processes' pools in `runtime_dir` (all of open's choices when NULL) still
 * hold, oldest first, then unlinks them. Trusts only regular files owned by us, opened without
 * following links, unlocked. Idempotent: killed half-way it is simply run again. `each` (may be
 * NULL) hears of every file touched: path, bytes replayed. A pool whose files could not be written
 * now (-ENOSPC, -EAGAIN: a file is locked …) stays for the next run. Count of pools recovered, or
 * the first error after every pool was tried. */
TD_MUST int td_crashpool_recover(struct td_fs *fs, const char *runtime_dir,
                                 void (*each)(void *ctx, const char *path, uint64_t bytes),
                                 void *ctx);

/* ---- For the store only: file entries, buffers and records (pool_layout.h draws them). ---- */

#define TD_CRASHPOOL_NONE UINT32_MAX

/* One entry per spool. Copies the paths (made absolute); a NULL path is a slot that is not written.
 * `resume_bytes` > 0: the media file is there already, with so many bytes. -ENOBUFS when all
 * entries are in use, -ENAMETOOLONG. */
TD_MUST int td_crashpool_file_add(struct td_crashpool *p, const char *const path[TD_FILE_SLOTS],
                                  uint64_t resume_bytes, uint32_t *ret_file);
/* NULL for a slot that is not written; valid until the entry is removed. */
const char *td_crashpool_file_path(const struct td_crashpool *p, uint32_t file,
                                   enum td_file_slot slot);
/* Writer: the file is open now; recovery then accepts no other one under this path. */
void td_crashpool_file_created(struct td_crashpool *p, uint32_t file, enum td_file_slot slot,
                               uint64_t dev, uint64_t ino);
/* Writer, sync: recovery must leave this one alone. */
void td_crashpool_file_dead(struct td_crashpool *p, uint32_t file);
/* After all its buffers were given back. */
void td_crashpool_file_remove(struct td_crashpool *p, uint32_t file);
size_t td_crashpool_file_count(const struct td_crashpool *p);

enum td_crashpool_condition {
    TD_CRASHPOOL_EMPTY = 1, /* fewer buffers are free than asked for: none was taken */
};

/* Takes `count` (> 0) buffers for `file`, to be filled in chain order, which is their sequence. */
TD_MUST int td_crashpool_take(struct td_crashpool *p, uint32_t file, size_t count,
                              uint32_t *ret_first);
/* Next of the chain just taken; TD_CRASHPOOL_NONE at its end. The taker's thread. */
uint32_t td_crashpool_next(const struct td_crashpool *p, uint32_t buffer);
void td_crashpool_give(struct td_crashpool *p, uint32_t buffer);

/* Filling of one buffer; private memory of the taker. */
struct td_crashpool_fill {
    uint32_t buffer; /* TD_CRASHPOOL_NONE: none */
    uint32_t used;   /* bytes of data */
    uint32_t count;  /* records */
    uint32_t seed;   /* of the checksums */
};

void td_crashpool_fill_init(struct td_crashpool_fill *f, const struct td_crashpool *p,
                            uint32_t buffer);
/* Most bytes that one more record can carry; negative when not even an empty record fits. */
int64_t td_crashpool_room(const struct td_crashpool_fill *f);
/* Adds one record; `op->len` is at most td_crashpool_room. Published when it returns. */
void td_crashpool_put(struct td_crashpool *p, struct td_crashpool_fill *f,
                      const struct td_file_op *op);
/* Largest data of one record in a fresh buffer. */
size_t td_crashpool_record_max(void);

/* Reading of one buffer by the writer; the ops borrow the buffer. */
struct td_crashpool_cursor {
    const struct td_pool_buffer *buffer;
    uint32_t count;
    uint32_t next;
    size_t at;
};

void td_crashpool_cursor_init(struct td_crashpool_cursor *c, const struct td_crashpool *p,
                              uint32_t buffer);
bool td_crashpool_cursor_next(struct td_crashpool_cursor *c, struct td_file_op *ret_op);

#endif
