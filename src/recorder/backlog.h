/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backlog: audio frames that wait: for the file to start, or for the disk to come back.
 * Owner: one output, embedded.
 * Thread: the media loop.
 * Bound: TD_BACKLOG_BYTES and TD_BACKLOG_US of audio, charged to the recording's budget; a full one
 *        refuses (-TD_E_LIMIT): audio is never dropped silently.
 * Does not: take video, which is dropped to the next key frame instead.
 */
#ifndef TD_RECORDER_BACKLOG_H
#define TD_RECORDER_BACKLOG_H

#include <stddef.h>

#include "base/bytes.h"
#include "media/frame.h"

#define TD_BACKLOG_BYTES (1u << 20) /* 30 s of 128 kbit/s Opus with its bookkeeping, and room */
#define TD_BACKLOG_US 30000000      /* design section 7: audio of up to 30 s waits for the disk */

struct td_backlog {
    struct td_bytes bytes; /* struct td_frame, then its bytes, packed */
    size_t read_at;
    size_t count;
    int64_t first_pts_us; /* of the oldest frame that waits */
};

void td_backlog_init(struct td_backlog *b, struct td_budget *budget);
void td_backlog_done(struct td_backlog *b);
TD_MUST int td_backlog_push(struct td_backlog *b, const struct td_frame *frame);
/* 1 with the oldest frame, valid until the next push or drop; 0 when empty. */
TD_MUST int td_backlog_peek(const struct td_backlog *b, struct td_frame *ret_frame);
void td_backlog_drop(struct td_backlog *b); /* the oldest */

#endif
