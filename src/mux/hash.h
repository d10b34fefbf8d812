/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash: the container of tests: at close, one text line per track with counts and a CRC-32.
 * Owner: as mux.h.
 * Thread: as mux.h.
 * Bound: counters only.
 * Does not: store media; scan is refused.
 *
 * "track=0 codec=2 frames=30 keys=1 bytes=12345 last_us=966667 crc32=0123abcd\n"; the CRC runs over
 * the bytes of all frames of the track in the order of writing.
 */
#ifndef TD_MUX_HASH_H
#define TD_MUX_HASH_H

#include "mux/mux.h"

extern const struct td_mux_ops td_hash_mux_ops;

#endif
