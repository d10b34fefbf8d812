/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ts_tail: what a TS muxer must know to go on behind the end of a file, read from the file.
 * Owner: the caller's call.
 * Thread: any that may block.
 * Bound: reads the first three packets and TD_TS_TAIL_BYTES_MAX at the end, doubling from
 *        TD_TS_TAIL_BYTES on, twice each: below 32 MiB whatever the size of the file.
 * Does not: go on where it is not sure: damage or anything we would not have written there answers
 *           TD_MUX_NEXT_PART.
 */
#ifndef TD_MUX_TS_TAIL_H
#define TD_MUX_TS_TAIL_H

#include "mux/mux.h"

#define TD_TS_TAIL_BYTES (UINT64_C(512) << 10)
#define TD_TS_TAIL_BYTES_MAX (UINT64_C(8) << 20)

/* What lies in td_mux_tail.state. */
struct td_ts_tail {
    int64_t first_us;                    /* the file begins here */
    int64_t newest_us;                   /* and nothing in it is later than this */
    int64_t pcr_us;                      /* the last one written */
    char language[TD_MUX_TRACKS_MAX][3]; /* zeros = none */
    uint8_t cc[TD_MUX_TRACKS_MAX];       /* of the next packet with payload; 0 = not known */
    uint8_t pat_cc;
    uint8_t pmt_cc;
    uint8_t version;
    uint8_t half_epoch;
    uint8_t pcr_track;
};

int td_ts_tail(const struct td_read_at *media, struct td_mux_tail *ret_tail);
/* The same with the windows given: `window` bytes at the end, doubling up to `window_max`. */
int td_ts_tail_windows(const struct td_read_at *media, uint64_t window, uint64_t window_max,
                       struct td_mux_tail *ret_tail);

#endif
