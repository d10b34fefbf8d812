/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ts: MPEG-TS of H.264 and Opus (docs/formats/ts.md): one frame is one append.
 * Owner: as mux.h.
 * Thread: as mux.h.
 * Bound: one packetised frame in memory, given back after a large one.
 * Does not: reorder or delay frames, or write an index: repair needs the end of the file only.
 */
#ifndef TD_MUX_TS_H
#define TD_MUX_TS_H

#include "mux/mux.h"

extern const struct td_mux_ops td_ts_mux_ops;

#endif
