/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkv: Matroska of H.264, VP8 and Opus (docs/formats/mkv.md): one frame is one append.
 * Owner: as mux.h.
 * Thread: as mux.h.
 * Bound: one block in memory, given back after a large one.
 * Does not: write Cues while it grows: seal adds them from the index.
 */
#ifndef TD_MUX_MKV_H
#define TD_MUX_MKV_H

#include "mux/mux.h"

extern const struct td_mux_ops td_mkv_mux_ops;

#endif
