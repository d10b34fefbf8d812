/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

static int64_t clock_read_us(clockid_t id)
{
    struct timespec ts;
    int r = clock_gettime(id, &ts);
    assert(r == 0);
    return (int64_t)ts.tv_sec * TD_US_PER_S + ts.tv_nsec / 1000;
}

int64_t td_clock_now_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

int64_t td_clock_wall_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

/* Splits into calendar fields and the milliseconds, rounding down before 1970 too. */
static int clock_split(int64_t wall_us, struct tm *ret_tm)
{
    int64_t seconds = wall_us / TD_US_PER_S;
    int64_t rest_us = wall_us % TD_US_PER_S;
    if (rest_us < 0) {
        seconds--;
        rest_us += TD_US_PER_S;
    }
    time_t t = (time_t)seconds;
    /* 64-bit microseconds stay within +-292,000 years, which gmtime_r can express. */
    struct tm *tm = gmtime_r(&t, ret_tm);
    assert(tm != NULL);
    return (int)(rest_us / TD_US_PER_MS);
}

void td_clock_rfc3339(int64_t wall_us, char ret_text[static TD_CLOCK_TEXT_MAX])
{
    struct tm tm;
    int ms = clock_split(wall_us, &tm);
    int n = snprintf(ret_text, TD_CLOCK_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     ms);
    assert(n > 0 && n < TD_CLOCK_TEXT_MAX);
}

void td_clock_basic(int64_t wall_us, char ret_text[static TD_CLOCK_TEXT_MAX])
{
    struct tm tm;
    (void)clock_split(wall_us, &tm); /* whole seconds: the milliseconds are not shown */
    int n = snprintf(ret_text, TD_CLOCK_TEXT_MAX, "%04d%02d%02dT%02d%02d%02dZ", tm.tm_year + 1900,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    assert(n > 0 && n < TD_CLOCK_TEXT_MAX);
}
