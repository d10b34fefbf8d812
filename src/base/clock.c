/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
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

static int number(const char *text, unsigned digits)
{
    int value = 0;
    for (unsigned i = 0; i < digits; i++)
        value = value * 10 + (text[i] - '0');
    return value;
}

int td_clock_parse_rfc3339(const char *text, int64_t *ret_wall_us)
{
    static const char form[] = "0000-00-00T00:00:00.000Z";
    if (strlen(text) != sizeof(form) - 1)
        return -TD_E_PARSE;
    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '0' ? !digit : text[i] != form[i])
            return -TD_E_PARSE;
    }
    struct tm tm = {
        .tm_year = number(text, 4) - 1900,
        .tm_mon = number(text + 5, 2) - 1,
        .tm_mday = number(text + 8, 2),
        .tm_hour = number(text + 11, 2),
        .tm_min = number(text + 14, 2),
        .tm_sec = number(text + 17, 2),
    };
    int64_t wall_us = (int64_t)timegm(&tm) * TD_US_PER_S + number(text + 20, 3) * TD_US_PER_MS;
    char again[TD_CLOCK_TEXT_MAX];
    td_clock_rfc3339(wall_us, again);
    if (strcmp(again, text) != 0)
        return -TD_E_PARSE; /* a day or an hour that does not exist */
    *ret_wall_us = wall_us;
    return 0;
}

void td_clock_basic(int64_t wall_us, char ret_text[static TD_CLOCK_TEXT_MAX])
{
    struct tm tm;
    (void)clock_split(wall_us, &tm); /* whole seconds: the milliseconds are not shown */
    int n = snprintf(ret_text, TD_CLOCK_TEXT_MAX, "%04d%02d%02dT%02d%02d%02dZ", tm.tm_year + 1900,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    assert(n > 0 && n < TD_CLOCK_TEXT_MAX);
}
