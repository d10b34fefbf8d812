/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shelf: the files of a recording as they are shown: one entry a part, with its state now.
 * Owner: a session, embedded.
 * Thread: the control loop.
 * Bound: TD_SHELF_MAX entries; older closed ones make room (the manifest keeps them all).
 * Does not: touch files.
 */
#ifndef TD_RECORDER_SHELF_H
#define TD_RECORDER_SHELF_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/part.h"
#include "source/source.h"
#include "store/manifest.h"

#define TD_SHELF_MAX 128u

struct td_shelf_entry {
    char participant[TD_SOURCE_TEXT_MAX];
    const char *role;       /* "av", "screen" */
    char file[TD_PATH_MAX]; /* as it is named now */
    const char *format;     /* "ts" */
    const char *state;      /* "growing", "complete", "recovered", "failed" */
    unsigned output;
    unsigned part; /* number, from 1 */
    uint64_t bytes;
    int64_t first_ms; /* where it begins on the recording's time line */
    int64_t duration_ms;
    bool growing;
};

struct td_shelf {
    struct td_shelf_entry entries[TD_SHELF_MAX];
    const struct td_part *parts[TD_SHELF_MAX]; /* NULL once closed */
    unsigned count;
    unsigned growing; /* parts that are open */
};

/* What an interrupted recording has already. `folder` is whole. */
void td_shelf_load(struct td_shelf *s, const struct td_manifest *manifest, const char *folder);
void td_shelf_started(struct td_shelf *s, const struct td_part *part, const char *participant,
                      const char *role);
void td_shelf_closed(struct td_shelf *s, const struct td_part *part, bool valid, uint64_t bytes);
/* The growing ones have come to `pts_ms`, and have `bytes` together: one alone is known by that. */
void td_shelf_progress(struct td_shelf *s, int64_t pts_ms, uint64_t bytes);

#endif
