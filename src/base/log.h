/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one key=value line per event on a file descriptor (stderr).
 * Owner: the executable makes one td_log; objects hold a `const struct td_log *`.
 * Thread: any (one write(2) per line); media loops do not log, they post events instead.
 * Bound: a line has at most TD_LOG_LINE_MAX bytes; longer ones are cut. Control bytes are replaced.
 * Does not: rotate, buffer or open files (journald or the shell does).
 */
#ifndef TD_BASE_LOG_H
#define TD_BASE_LOG_H

#include "base/err.h"

#define TD_LOG_LINE_MAX 1024
#define TD_LOG_SCOPE_MAX 96

enum td_log_level {
    TD_LOG_ERROR,
    TD_LOG_WARN,
    TD_LOG_INFO,
    TD_LOG_DEBUG,
    TD_LOG_TRACE,
};

struct td_log {
    int fd;                       /* where lines go; -1 drops them */
    enum td_log_level level;      /* lines above it are dropped */
    char scope[TD_LOG_SCOPE_MAX]; /* "topic=livekit room=demo", printed in front; may be empty */
};

void td_log_init(struct td_log *log, int fd, enum td_log_level level);
/* A child with the parent's sink and level and `scope` appended to the parent's scope. */
void td_log_scope(struct td_log *ret_child, const struct td_log *parent, const char *fmt, ...)
    TD_PRINTF(3, 4);
/* "info", "debug" … to a level; -EINVAL otherwise. */
TD_MUST int td_log_level_parse(const char *name, enum td_log_level *ret_level);
/* `log` may be NULL: the line is dropped. */
void td_log_line(const struct td_log *log, enum td_log_level level, const char *fmt, ...)
    TD_PRINTF(3, 4);

#endif
