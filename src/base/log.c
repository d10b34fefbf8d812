/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static const char *const log_level_names[] = {
    [TD_LOG_ERROR] = "error", [TD_LOG_WARN] = "warn",   [TD_LOG_INFO] = "info",
    [TD_LOG_DEBUG] = "debug", [TD_LOG_TRACE] = "trace",
};

#define LOG_LEVELS (sizeof(log_level_names) / sizeof(log_level_names[0]))

void td_log_init(struct td_log *log, int fd, enum td_log_level level)
{
    *log = (struct td_log){.fd = fd, .level = level};
}

void td_log_scope(struct td_log *ret_child, const struct td_log *parent, const char *fmt, ...)
{
    struct td_log child = {.fd = -1, .level = TD_LOG_ERROR};
    if (parent != NULL) {
        child = *parent;
    }
    size_t len = strlen(child.scope);
    if (len > 0 && len < sizeof(child.scope) - 1) {
        child.scope[len++] = ' ';
    }
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(child.scope + len, sizeof(child.scope) - len, fmt, args);
    va_end(args);
    if (n < 0) {
        child.scope[len] = '\0'; /* a scope that cannot be formatted is left out */
    }
    *ret_child = child;
}

int td_log_level_parse(const char *name, enum td_log_level *ret_level)
{
    for (size_t i = 0; i < LOG_LEVELS; i++) {
        if (strcmp(name, log_level_names[i]) == 0) {
            *ret_level = (enum td_log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* Length of the well-formed UTF-8 sequence (RFC 3629 section 4) at `p`, 0 when there is none. */
static size_t log_utf8_len(const unsigned char *p, size_t left)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len == 0 || len > left || p[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0u) != 0x80) {
            return 0;
        }
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] > 0x9f;
    bool too_large = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : len;
}

/* Replaces, in place, what could forge a line or steer a terminal: control bytes, the C1 controls
 * U+0080 to U+009F, and everything that is not UTF-8. */
static void log_clean(char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        unsigned char *p = (unsigned char *)text + i;
        size_t n = log_utf8_len(p, len - i);
        bool control = p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && n == 2 && p[1] < 0xa0);
        if (n == 0) {
            text[i++] = '?';
        } else if (control) {
            memset(text + i, '?', n);
            i += n;
        } else {
            i += n;
        }
    }
}

/* How much of `n` formatted bytes (or a negative error) really lies in `room` bytes with NUL. */
static size_t log_kept(int n, size_t room)
{
    if (n < 0) {
        return 0;
    }
    return (size_t)n < room ? (size_t)n : room - 1;
}

void td_log_line(const struct td_log *log, enum td_log_level level, const char *fmt, ...)
{
    if (log == NULL || log->fd < 0 || level > log->level) {
        return;
    }
    assert((size_t)level < LOG_LEVELS);
    char now[TD_CLOCK_TEXT_MAX];
    td_clock_rfc3339(td_clock_wall_us(), now);
    char line[TD_LOG_LINE_MAX];
    /* The NUL of the formatting functions makes room for the line end. */
    size_t len =
        log_kept(snprintf(line, sizeof(line), "%s level=%s %s%s", now, log_level_names[level],
                          log->scope, log->scope[0] != '\0' ? " " : ""),
                 sizeof(line));
    va_list args;
    va_start(args, fmt);
    len += log_kept(vsnprintf(line + len, sizeof(line) - len, fmt, args), sizeof(line) - len);
    va_end(args);
    log_clean(line, len);
    line[len++] = '\n';
    ssize_t n;
    do {
        n = write(log->fd, line, len);
    } while (n < 0 && errno == EINTR);
    /* A log that cannot be written has nowhere to report that: the line is lost. */
}
