/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeline: the events of a recording as JSON lines (timeline.jsonl): one event, one line.
 * Owner: the caller's event and buffer.
 * Thread: any; no allocation, so a media loop may make the line.
 * Bound: TD_TIMELINE_LINE_MAX bytes a line, TD_TIMELINE_NUMBERS_MAX numbers an event.
 * Does not: any I/O (td_store_append writes it). docs/formats/timeline.md is the format.
 */
#ifndef TD_STORE_TIMELINE_H
#define TD_STORE_TIMELINE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_TIMELINE_LINE_MAX 2048 /* the longest event: two strings of control characters */
#define TD_TIMELINE_NUMBERS_MAX 8u
#define TD_TIMELINE_NO_PTS INT64_MIN

/* Design section 4. */
#define TD_TIMELINE_EVENTS(X)                                                                      \
    X(TRACK_ADDED, "track_added")                                                                  \
    X(TRACK_REMOVED, "track_removed")                                                              \
    X(MUTED, "muted")                                                                              \
    X(UNMUTED, "unmuted")                                                                          \
    X(GAP, "gap")                                                                                  \
    X(LAYER, "layer")                                                                              \
    X(CODEC, "codec")                                                                              \
    X(RESOLUTION, "resolution")                                                                    \
    X(RECONNECT, "reconnect")                                                                      \
    X(PAUSED, "paused")                                                                            \
    X(RESUMED, "resumed")                                                                          \
    X(DROP, "drop")                                                                                \
    X(SYNC_CHANGE, "sync_change")                                                                  \
    X(INTERRUPTED, "interrupted")                                                                  \
    X(RECOVERED, "recovered")                                                                      \
    X(DISK_SLOW, "disk_slow")                                                                      \
    X(DISK_FULL, "disk_full")                                                                      \
    X(LIMIT, "limit")

enum td_timeline_kind {
#define TD_TIMELINE_ROW(name, word) TD_TIMELINE_##name,
    TD_TIMELINE_EVENTS(TD_TIMELINE_ROW)
#undef TD_TIMELINE_ROW
        TD_TIMELINE_MAX,
    TD_TIMELINE_INVALID = -EINVAL,
};

struct td_timeline_number {
    const char *name; /* [a-z0-9_]; not one of the fixed keys */
    int64_t value;
};

struct td_timeline_event {
    enum td_timeline_kind kind;
    int64_t wall_us;    /* microseconds since 1970 */
    int64_t pts_ms;     /* on the recording's time line; TD_TIMELINE_NO_PTS leaves the key out */
    const char *track;  /* sid or name, UTF-8, untrusted; NULL leaves the key out */
    const char *detail; /* a word such as a reason or a codec, the same */
    struct td_timeline_number numbers[TD_TIMELINE_NUMBERS_MAX];
    size_t number_count;
};

/* "gap"; never NULL. */
const char *td_timeline_word(enum td_timeline_kind kind);
/* The line with its '\n', NUL-terminated. Length, or -TD_E_LIMIT when it does not fit (untrusted
 * strings are cut to TD_TIMELINE_TEXT_MAX characters first, so only a caller's mistake does this).
 */
#define TD_TIMELINE_TEXT_MAX 64
TD_MUST int td_timeline_line(const struct td_timeline_event *event,
                             char ret_line[static TD_TIMELINE_LINE_MAX]);

#endif
