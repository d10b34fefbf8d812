/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/watchdog.h"

#include <stddef.h>

static bool reached(int64_t value, int64_t limit)
{
    return limit > 0 && value >= limit;
}

const char *td_watchdog_limit(const struct td_session_limits *limits,
                              const struct td_capture_stats *stats)
{
    if (reached(stats->pts_us, limits->max_duration_us))
        return "duration";
    if (reached((int64_t)stats->bytes, limits->max_size_bytes))
        return "size_limit";
    if (stats->tracks > 0 && reached(stats->frameless_us, limits->gap_limit_us))
        return "gap_limit";
    return NULL;
}

unsigned td_watchdog_check(struct td_watchdog *w, const struct td_capture_stats *stats,
                           int64_t now_us)
{
    unsigned alarms = 0;
    bool slow = stats->unwritten_us >= TD_WATCHDOG_DISK_US;
    if (slow && !w->disk_slow)
        alarms |= TD_ALARM_DISK_SLOW;
    w->disk_slow = slow;

    bool idle = stats->frames_received == w->frames_received;
    if (stats->frames != w->frames || idle || w->grown_us == 0)
        w->grown_us = now_us;
    w->frames = stats->frames;
    w->frames_received = stats->frames_received;
    bool stuck = now_us - w->grown_us >= TD_WATCHDOG_GROWTH_US;
    if (stuck && !w->not_growing)
        alarms |= TD_ALARM_NOT_GROWING;
    w->not_growing = stuck;
    return alarms;
}
