/* SPDX-License-Identifier: Apache-2.0 */
/*
 * null: the container that writes nothing; for measuring what is above it.
 * Owner: as mux.h.
 * Thread: as mux.h.
 * Bound: no state.
 * Does not: emit, scan or seal anything.
 */
#ifndef TD_MUX_NULL_H
#define TD_MUX_NULL_H

#include "mux/mux.h"

extern const struct td_mux_ops td_null_mux_ops;

#endif
