/* SPDX-License-Identifier: Apache-2.0 */
/*
 * examine: one media file looked through: structure, timestamps, gaps, and with `decode` its
 *          pictures and sounds (counters, flash and beep) by the codec worker.
 * Owner: the caller's report.
 * Thread: one that may block (verify, demo).
 * Bound: TD_EXAMINE_RESULTS_MAX pictures remembered for the skew (24 h at 60 fps: refused above).
 * Does not: change the file, or print.
 */
#ifndef TD_CLI_EXAMINE_H
#define TD_CLI_EXAMINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/skew.h"
#include "mux/mux.h"

#define TD_EXAMINE_RESULTS_MAX 5184000u
#define TD_EXAMINE_VIDEO_GAP_US 500000 /* two frames further apart are a gap */
#define TD_EXAMINE_AUDIO_GAP_US 60000  /* more than this missing between two packets */

struct td_examine_track {
    uint64_t gaps;
    int64_t gap_us;      /* in all */
    uint64_t backwards;  /* timestamps that step back */
    int64_t expected_us; /* where the next audio packet should begin */
    int64_t last_pts_us;
    bool seen;
};

struct td_examine_report {
    const char *format; /* "ts"; NULL = no container we know */
    struct td_scan scan;
    struct td_examine_track tracks[TD_MUX_TRACKS_MAX];
    bool decoded;
    struct td_skew_report skew; /* when decoded */
    uint64_t decode_errors;
    int32_t counter_first; /* of the first and the last picture; TD_INSPECT_UNREADABLE = none */
    int32_t counter_last;
    int64_t counter_last_pts_us;
    bool damaged; /* anything that a finished file must not have */
};

/* 0, or negative with a sentence in `fail`. */
TD_MUST int td_examine(const char *path, bool decode, struct td_fail *fail,
                       struct td_examine_report *ret_report);

#endif
