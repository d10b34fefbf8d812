/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ts_scan: walks MPEG-TS as it lies, ours or not, and finds where its last whole unit ends.
 * Owner: the caller's call.
 * Thread: any that may block.
 * Bound: per elementary stream one PES packet of TD_FRAME_BYTES_MAX; one read window.
 * Does not: deliver a frame with a byte missing: PES length, end record or the next start, and the
 *           continuity counters must agree.
 */
#ifndef TD_MUX_TS_SCAN_H
#define TD_MUX_TS_SCAN_H

#include "mux/mux.h"

int td_ts_scan(const struct td_read_at *media, td_scan_frame_fn *frame, void *ctx,
               struct td_scan *ret_scan);
/* The same from `from` on, a packet border, as if the file began there: what comes before the first
 * tables there is passed over. Offsets stay those of the file. */
int td_ts_scan_from(const struct td_read_at *media, uint64_t from, td_scan_frame_fn *frame,
                    void *ctx, struct td_scan *ret_scan);
int td_ts_seal(const struct td_read_at *media, const struct td_read_at *index,
               const struct td_op_sink *sink, struct td_scan *ret_scan);
/* The same with the windows given: a file of up to `whole` bytes is read whole, of a longer one its
 * first `head` bytes and the end, from `tail` bytes on doubling until a whole unit is in it. */
struct td_ts_windows {
    uint64_t whole;
    uint64_t head;
    uint64_t tail;
};
int td_ts_seal_windows(const struct td_read_at *media, const struct td_op_sink *sink,
                       const struct td_ts_windows *windows, struct td_scan *ret_scan);

#endif
