/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chronicle: what is written down about a recording beside its media: manifest and timeline.
 * Owner: a session, embedded.
 * Thread: the control loop; the writing itself is done by the store's scribe.
 * Bound: those of store/manifest.h; a scribe that is full loses a line, counted by the store.
 * Does not: decide states. Without paths (a single file without --sidecar) events go to the log
 * only.
 */
#ifndef TD_RECORDER_CHRONICLE_H
#define TD_RECORDER_CHRONICLE_H

#include <stdbool.h>

#include "base/limits.h"
#include "base/log.h"
#include "recorder/event.h"
#include "recorder/part.h"
#include "recorder/recorder.h"
#include "source/source.h"
#include "store/manifest.h"
#include "store/timeline.h"

struct td_chronicle {
    const struct td_recorder *recorder;
    const struct td_log *log;
    void (*line)(void *ctx, const char *line); /* hears each line of the timeline; may be NULL */
    void *ctx;
    struct td_manifest manifest;
    char manifest_path[TD_PATH_MAX]; /* empty = not written */
    char timeline_path[TD_PATH_MAX];
    struct {
        uint32_t handle;
        size_t track; /* index in the manifest */
        char sid[TD_TIMELINE_TEXT_MAX];
    } tracks[TD_TRACKS_MAX];
    unsigned track_count;
};

void td_chronicle_init(struct td_chronicle *c, const struct td_recorder *recorder,
                       const struct td_log *log);
void td_chronicle_done(struct td_chronicle *c);
/* Hands the manifest to the scribe. */
void td_chronicle_save(struct td_chronicle *c);
void td_chronicle_track(struct td_chronicle *c, const struct td_track_info *info, bool added);
void td_chronicle_codec(struct td_chronicle *c, const struct td_track_binding *binding);
void td_chronicle_muted(struct td_chronicle *c, uint32_t handle, bool muted);
/* Media ends here: `why` is a word. Nothing when it has ended here before. */
void td_chronicle_interrupted(struct td_chronicle *c, int64_t wall_us, int64_t pts_us,
                              const char *why);
/* Media goes on here; ends the interruption that is open, if one is. */
void td_chronicle_recovered(struct td_chronicle *c, int64_t pts_us);
/* An event of the media loop. */
void td_chronicle_event(struct td_chronicle *c, const struct td_event *event);
/* Any other line; `numbers` may be NULL. */
void td_chronicle_note(struct td_chronicle *c, enum td_timeline_kind kind, int64_t pts_ms,
                       const char *detail, const struct td_timeline_number *numbers, size_t count);
void td_chronicle_output(struct td_chronicle *c, const char *participant, const char *role,
                         const char *name);
void td_chronicle_part(struct td_chronicle *c, const struct td_part *part, const char *state,
                       uint64_t bytes);

#endif
