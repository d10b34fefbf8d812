/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog: whether a recording that runs should be warned about, or end, by its numbers.
 * Owner: a session, embedded.
 * Thread: the control loop, with each report of the capture.
 * Bound: fixed size.
 * Does not: act: it answers with a reason, and says what began or ended to be wrong.
 */
#ifndef TD_RECORDER_WATCHDOG_H
#define TD_RECORDER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/capture.h"

/* Design section 7. */
#define TD_WATCHDOG_DISK_US 5000000    /* bytes wait and none is written */
#define TD_WATCHDOG_GROWTH_US 10000000 /* frames come and none is stored */

/* All 0 = no limit. */
struct td_session_limits {
    int64_t departure_timeout_us; /* the room is empty again */
    int64_t empty_timeout_us;     /* nobody ever came */
    int64_t gap_limit_us;         /* no frame of any track that is not muted */
    int64_t max_duration_us;      /* of what is stored */
    int64_t max_size_bytes;
    int64_t resume_window_us; /* a source that was lost may come back for so long */
    bool pause_on_full;       /* a full disk pauses and does not end */
};

struct td_watchdog {
    bool disk_slow;
    bool not_growing;
    uint64_t frames; /* stored, and when that changed */
    uint64_t frames_received;
    int64_t grown_us;
};

enum td_watchdog_alarm { /* bits of what has just begun */
                         TD_ALARM_DISK_SLOW = 1,
                         TD_ALARM_NOT_GROWING = 2,
};

/* The reason to end ("gap_limit", "duration", "size_limit"), or NULL. */
const char *td_watchdog_limit(const struct td_session_limits *limits,
                              const struct td_capture_stats *stats);
/* What has begun to be wrong since the last call: bits of enum td_watchdog_alarm. */
unsigned td_watchdog_check(struct td_watchdog *w, const struct td_capture_stats *stats,
                           int64_t now_us);

#endif
