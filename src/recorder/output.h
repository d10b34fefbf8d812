/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: one thing asked for (a participant's sound and picture) as a row of parts on disk.
 * Owner: a capture.
 * Thread: the media loop.
 * Bound: TD_MUX_TRACKS_MAX tracks; the backlog of audio; nothing else is held.
 * Does not: order packets, choose who is recorded, or touch the disk.
 *
 * Design section 5: when a file starts, what happens on late tracks, codec and resolution changes,
 * holes and a slow disk.
 */
#ifndef TD_RECORDER_OUTPUT_H
#define TD_RECORDER_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/budget.h"
#include "media/frame.h"
#include "recorder/event.h"
#include "recorder/part.h"
#include "recorder/recorder.h"
#include "recorder/track.h"

enum td_output_media { /* what it is made of */
                       TD_OUTPUT_AV,
                       TD_OUTPUT_AUDIO,
                       TD_OUTPUT_VIDEO,
};

struct td_output_config {
    const struct td_recorder *recorder;
    struct td_budget *budget;
    unsigned index;
    const char *base;                /* path without extension; copied */
    const struct td_mux_ops *format; /* NULL = auto, design section 6 */
    enum td_output_media media;
    bool replace;
    int64_t duration_us; /* 0 = no end */
    int64_t *zero_us;    /* the recording's: local time of pts 0; INT64_MIN until the first frame */
    /* Of a recording that goes on after a crash: */
    unsigned part_count;              /* parts that are there already */
    const struct td_mux_ops *resumed; /* format of the newest of them; NULL = none */
    const struct td_mux_tail *tail;   /* the newest goes on in place; NULL = the next part */
    struct td_part_events parts;
    void (*event)(void *ctx, const struct td_event *event);
    void *event_ctx;
};

struct td_output_stats {
    uint64_t frames;
    uint64_t dropped;    /* video, back-pressure of the disk */
    uint64_t bytes;      /* accepted by the spool of the present part, plus the parts before */
    uint64_t part_bytes; /* the part of it that is in the present part */
    uint64_t written_bytes;
    uint64_t synced_bytes;
    int64_t last_write_us;
    uint64_t latency_counts[TD_SPOOL_LATENCY_BUCKETS]; /* of its writes */
    uint64_t latency_sum_us;
    int64_t pts_us;       /* of the last frame */
    int64_t audio_pts_us; /* last of each kind, for the live skew */
    int64_t video_pts_us;
    unsigned parts;
    bool started;
    bool ended;
};

struct td_output;

TD_MUST int td_output_new(const struct td_output_config *config, struct td_output **ret_output);
/* Writes what waits, as far as the disk takes it, and closes the part that is open; sealing goes on
 * in the store. With `keep` the part is left as a kill would leave it, but whole on disk. Its
 * tracks may be gone only after this. Takes NULL, returns NULL. */
struct td_output *td_output_free(struct td_output *o, bool keep);
/* Time stands still: only what is from before may be offered until it is resumed; then video begins
 * at a key frame. An output that the disk ended begins its next part. */
void td_output_pause(struct td_output *o);
/* It goes on, and where is not known yet: until then sound may only be held. What the disk has not
 * taken by now is lost, and told. */
void td_output_join(struct td_output *o);
/* `local_us`: of the join; what was held from before it is let go. */
void td_output_resume(struct td_output *o, int64_t local_us);
/* Between td_output_join and td_output_resume. */
void td_output_hold(struct td_output *o, struct td_track *track, struct td_frame *frame);
/* A track that will bring frames. -TD_E_LIMIT past TD_MUX_TRACKS_MAX. */
TD_MUST int td_output_add(struct td_output *o, struct td_track *track);
void td_output_mute(struct td_output *o, const struct td_track *track, bool muted);
/* The track is not touched any more; what waits of it is still written. */
void td_output_remove(struct td_output *o, const struct td_track *track);
/* `frame->pts_us` is local time. */
void td_output_frame(struct td_output *o, struct td_track *track, struct td_frame *frame);
void td_output_tick(struct td_output *o, int64_t now_us);
void td_output_stats(const struct td_output *o, struct td_output_stats *ret_stats);

#endif
