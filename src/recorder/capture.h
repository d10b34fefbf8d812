/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture: the media loop's half of a recording: packets in, outputs out.
 * Owner: a session; freed by it after `stopped`.
 * Thread: everything here is called on the control loop and carried out on the media loop in order;
 *         td_capture_packet is the exception (media loop). Events come back on the control loop.
 * Bound: TD_TRACKS_MAX tracks, as many outputs; the recording's budget over all of it.
 * Does not: know rooms, names of files (the session gives them) or signalling.
 */
#ifndef TD_RECORDER_CAPTURE_H
#define TD_RECORDER_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/event.h"
#include "recorder/output.h"
#include "recorder/recorder.h"
#include "source/source.h"

#define TD_CAPTURE_STATS_US 250000 /* how often statistics come to the control loop */

struct td_capture;

struct td_capture_stats {
    uint64_t frames;          /* stored */
    uint64_t frames_received; /* whole and in order, stored or not */
    uint64_t dropped;         /* video, because the disk could not keep up */
    uint64_t bytes;           /* of all parts, as accepted for writing */
    uint64_t growing_bytes;   /* of the parts that are open */
    uint64_t written_bytes;
    uint64_t synced_bytes;
    uint64_t packets;
    uint64_t lost;
    uint64_t recovered;
    uint64_t undecodable;
    uint64_t gap_us; /* sum of the holes */
    int64_t pts_us;
    int64_t skew_us;    /* largest clock error of a track, with its sign */
    int64_t av_skew_us; /* largest difference of the clock errors of a publisher's tracks */
    int64_t last_packet_us;
    int64_t last_write_us;    /* monotonic; 0 = nothing was written yet */
    int64_t silent_us;        /* longest time without packets of a track that is not muted */
    int64_t silent_streak_us; /* time without a packet of any track that is not muted */
    int64_t frameless_us;     /* time without a whole frame of any such track; 0 = none is there */
    int64_t unwritten_us;     /* how long bytes have waited for the disk without any written */
    uint32_t tracks;          /* not muted */
    uint32_t unknown_packets; /* no track claims their SSRC */
    uint32_t bad_packets;     /* malformed RTP or RTCP */
    uint32_t events_lost;     /* the control loop's mailbox was full */
    uint64_t latency_counts[TD_SPOOL_LATENCY_BUCKETS]; /* of writes, td_spool_latency_us */
    uint64_t latency_sum_us;
};

struct td_capture_events { /* control loop */
    void *ctx;
    void (*event)(void *ctx, const struct td_event *event);
    void (*stats)(void *ctx, const struct td_capture_stats *stats);
    /* Answer to td_capture_stop: every part is closed (sealing may go on), nothing on the media
     * loop refers to the source or the capture any more. */
    void (*stopped)(void *ctx);
    /* Answer to td_capture_detach: the media loop does not know the source any more. */
    void (*detached)(void *ctx, struct td_source *source);
    struct td_part_events parts; /* its ctx is this ctx */
};

struct td_capture_config {
    const struct td_recorder *recorder;
    struct td_budget *budget;
    int64_t duration_us;
    int64_t key_interval_us;
    /* Local time of pts 0 of a recording that goes on after a crash; INT64_MIN = the first frame.
     */
    int64_t zero_us;
    int64_t paused_pts_us;  /* it was paused there and still is; INT64_MIN = it was not */
    unsigned reorder_slots; /* packets behind holes, of all tracks together; 0 = TD_REORDER_SLOTS */
    const char
        *dump_path; /* packets are also written there (docs/formats/capture.md); NULL = not */
    struct td_capture_events events;
};

TD_MUST int td_capture_new(const struct td_capture_config *config, struct td_capture **ret_capture);
/* Only after `stopped`. Takes NULL, returns NULL. */
struct td_capture *td_capture_free(struct td_capture *c);
/* What packets and feedback go through; `sink.ctx` is the capture. */
struct td_media_sink td_capture_sink(struct td_capture *c);

struct td_capture_output {
    const char *base;
    const struct td_mux_ops *format;
    enum td_output_media media;
    bool replace;
    /* Of a recording that goes on, see output.h; copied. */
    unsigned part_count;
    const struct td_mux_ops *resumed;
    const struct td_mux_tail *tail;
};
/* Outputs are numbered from 0 in the order of these calls. */
TD_MUST int td_capture_add_output(struct td_capture *c, const struct td_capture_output *output);
TD_MUST int td_capture_add_track(struct td_capture *c, const struct td_track_info *info,
                                 unsigned output);
TD_MUST int td_capture_bind(struct td_capture *c, const struct td_track_binding *binding);
TD_MUST int td_capture_mute(struct td_capture *c, uint32_t handle, bool muted);
TD_MUST int td_capture_remove(struct td_capture *c, uint32_t handle);
/* Feedback goes there from now on. */
TD_MUST int td_capture_attach(struct td_capture *c, struct td_source *source);
/* The source is gone; another may be attached. Its tracks are removed one by one. `source` may be
 * one that was never attached. */
TD_MUST int td_capture_detach(struct td_capture *c, struct td_source *source);
/* Time stands still from now on; goes on at the first key frame after td_capture_resume (the first
 * sound where no video is expected), which all outputs share. */
TD_MUST int td_capture_pause(struct td_capture *c);
TD_MUST int td_capture_resume(struct td_capture *c);
/* Feedback stops, outputs close; with `keep` unfinished, for another process to go on. */
TD_MUST int td_capture_stop(struct td_capture *c, bool keep);

#endif
