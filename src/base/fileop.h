/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fileop: what a container wants done to its files, as data; and reading a file without knowing it.
 * Owner: an op borrows its bytes for the duration of the emit call.
 * Thread: the emitter's.
 * Bound: an op's bytes are bounded by the emitter (one frame and its framing at most).
 * Does not: any I/O. The store executes ops, tests replay any prefix of them.
 */
#ifndef TD_BASE_FILEOP_H
#define TD_BASE_FILEOP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The files of one part: the media file, and the append-only index beside MKV and MP4. */
enum td_file_slot {
    TD_FILE_MEDIA,
    TD_FILE_INDEX,
    TD_FILE_SLOTS,
};

enum td_file_op_kind {
    TD_OP_APPEND, /* bytes at the end; `offset` = the end so far, so that a replay is idempotent */
    TD_OP_PATCH,  /* bytes at `offset`, inside what exists, within one 512-byte sector */
    TD_OP_TRUNCATE, /* to `offset` */
    TD_OP_SYNC,     /* everything before is durable before anything after is done */
};

struct td_file_op {
    enum td_file_op_kind kind;
    enum td_file_slot file;
    uint64_t offset;
    const uint8_t *bytes;
    size_t len;
};

/* emit: 0; positive: no room now, nothing was taken, the emitter undoes and passes it up; negative:
 * the op was not taken and the emitter passes the error up. */
struct td_op_sink {
    int (*emit)(void *ctx, const struct td_file_op *op);
    void *ctx;
};

/* Random read access to one file. `read_at` fills up to len bytes and returns how many (0 at the
 * end), or a negative error. `size` may be stale for a growing file. A NULL read_at means
 * that there is no such file. */
struct td_read_at {
    int64_t (*read_at)(void *ctx, uint64_t offset, void *ret_bytes, size_t len);
    void *ctx;
    uint64_t size;
};

#endif
