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

struct td_capture_stats { /* fits a message */
    uint64_t frames;
    uint64_t dropped;
    uint64_t bytes;
    uint64_t written_bytes;
    uint64_t packets;
    uint64_t lost;
    uint64_t recovered;
    uint64_t undecodable;
    int64_t pts_us;
    int64_t skew_us; /* largest clock error of a video track */
    int64_t last_packet_us;
    uint32_t unknown_packets; /* no track claims their SSRC */
    uint32_t bad_packets;     /* malformed RTP or RTCP */
};

struct td_capture_events { /* control loop */
    void *ctx;
    void (*event)(void *ctx, const struct td_event *event);
    void (*stats)(void *ctx, const struct td_capture_stats *stats);
    /* Answer to td_capture_stop: every part is closed (sealing may go on), nothing on the media
     * loop refers to the source or the capture any more. */
    void (*stopped)(void *ctx);
    struct td_part_events parts; /* its ctx is this ctx */
};

struct td_capture_config {
    const struct td_recorder *recorder;
    struct td_budget *budget;
    int64_t duration_us;
    int64_t key_interval_us;
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
/* Feedback stops, outputs close. */
TD_MUST int td_capture_stop(struct td_capture *c);

#endif
