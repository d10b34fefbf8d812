/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/readable.h"

#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static bool is_seen(gunichar c)
{
    switch (g_unichar_type(c)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
    case G_UNICODE_SURROGATE:
        return false;
    default:
        return true;
    }
}

void td_readable_text(const char *text, char *ret_text, size_t size)
{
    size_t used = 0;
    const char *at = text != NULL ? text : "";
    while (*at != '\0') {
        gunichar c = g_utf8_get_char_validated(at, -1);
        bool whole = c != (gunichar)-1 && c != (gunichar)-2;
        size_t len = whole ? (size_t)(g_utf8_next_char(at) - at) : 1;
        bool seen = whole && is_seen(c);
        size_t needs = seen ? len : 1;
        if (used + needs >= size)
            break;
        if (seen)
            memcpy(ret_text + used, at, len);
        else
            ret_text[used] = '?';
        used += needs;
        at += len;
    }
    ret_text[used] = '\0';
}

void td_readable_duration(int64_t ms, int exact, char ret_text[static TD_READABLE_MAX])
{
    int64_t left = ms > 0 ? ms : 0;
    int64_t s = left / 1000;
    int n = snprintf(ret_text, TD_READABLE_MAX, "%02" PRId64 ":%02d:%02d", s / 3600,
                     (int)(s / 60 % 60), (int)(s % 60));
    if (exact && n > 0 && n < TD_READABLE_MAX)
        (void)snprintf(ret_text + n, (size_t)(TD_READABLE_MAX - n), ".%03d", (int)(left % 1000));
}

void td_readable_bytes(int64_t bytes, char ret_text[static TD_READABLE_MAX])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1000) {
        (void)snprintf(ret_text, TD_READABLE_MAX, "%d B", bytes > 0 ? (int)bytes : 0);
        return;
    }
    size_t unit = 0;
    double amount = (double)bytes / 1e3;
    for (; amount >= 999.95 && unit + 1 < sizeof(units) / sizeof(*units); unit++)
        amount /= 1e3;
    (void)snprintf(ret_text, TD_READABLE_MAX, "%.1f %s", amount, units[unit]);
}

void td_readable_time(const char *rfc3339, char ret_text[static TD_READABLE_MAX])
{
    int64_t wall_us = 0;
    if (rfc3339 == NULL || td_clock_parse_rfc3339(rfc3339, &wall_us) < 0)
        (void)snprintf(ret_text, TD_READABLE_MAX, "-");
    else
        (void)snprintf(ret_text, TD_READABLE_MAX, "%.10s %.8s", rfc3339, rfc3339 + 11);
}
