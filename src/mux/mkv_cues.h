/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkv_cues: where players may start, collected in file order and written as Cues.
 * Owner: one seal.
 * Thread: the seal's.
 * Bound: TD_MKV_CUES_MAX entries: when they are full, every second one goes and from then on they
 *        are kept twice as far apart, so that days of recording fit.
 * Does not: read the file.
 */
#ifndef TD_MUX_MKV_CUES_H
#define TD_MUX_MKV_CUES_H

#include "base/err.h"
#include "mux/mux.h"

#define TD_MKV_CUES_MAX 16384u /* 45 h of key frames each 10 s; 384 KiB while sealing */

struct td_mkv_cue {
    uint64_t offset; /* of the Cluster in the file */
    int64_t time_ticks;
    uint64_t track;
};

struct td_mkv_cues {
    struct td_mkv_cue *cues;
    size_t count;
    size_t capacity;
    size_t max;
    int64_t interval_ticks; /* at least so far apart */
};

void td_mkv_cues_init(struct td_mkv_cues *c, size_t max);
void td_mkv_cues_done(struct td_mkv_cues *c);
TD_MUST int td_mkv_cues_add(struct td_mkv_cues *c, const struct td_mkv_cue *cue);
/* Forgets those of Clusters from `offset` on. */
void td_mkv_cues_cut(struct td_mkv_cues *c, uint64_t offset);
/* Appends the Cues element at `*offset`, in pieces, and moves `*offset` behind it. `segment_data`
 * is what cluster positions count from. 0, or what the sink answered. */
TD_MUST int td_mkv_cues_emit(const struct td_mkv_cues *c, uint64_t segment_data,
                             const struct td_op_sink *sink, uint64_t *offset);

#endif
