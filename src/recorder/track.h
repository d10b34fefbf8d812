/* SPDX-License-Identifier: Apache-2.0 */
/*
 * track: one RTP stream on its way to frames: order, ask again, depacketise, stamp.
 * Owner: a capture.
 * Thread: the media loop.
 * Bound: TD_REORDER_SLOTS packets behind a hole, one frame under assembly (TD_FRAME_BYTES_MAX),
 *        both charged to the recording's budget.
 * Does not: write files or send packets: frames and gaps go to its sink, feedback into a writer.
 *
 * Undecodable video never leaves it: after a hole everything up to the next key frame is left out,
 * counted, and reported as one gap when the picture is back.
 */
#ifndef TD_RECORDER_TRACK_H
#define TD_RECORDER_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/bytes.h"
#include "base/pool.h"
#include "media/codec.h"
#include "rtp/clockmap.h"
#include "rtp/jitter.h"
#include "rtp/report.h"
#include "rtp/rtcp.h"
#include "source/source.h"

#define TD_TRACK_PLI_INTERVAL_US 2000000 /* design section 5, key frames: at most one in 2 s */
#define TD_TRACK_SILENT_US 5000000       /* design section 7, watchdogs: warn and PLI */

struct td_track;

struct td_track_gap {
    int64_t from_us;  /* local time of the last frame before it; 0 = there was none */
    int64_t to_us;    /* local time of the first frame after it */
    uint32_t packets; /* given up */
    uint32_t frames;  /* arrived whole but left out because their base is missing */
};

struct td_track_sink {
    void *ctx;
    /* `frame->pts_us` is local monotonic time; the output makes it relative to the zero. */
    void (*frame)(void *ctx, struct td_track *track, struct td_frame *frame);
    void (*gap)(void *ctx, struct td_track *track, const struct td_track_gap *gap);
    void (*silent)(void *ctx, struct td_track *track, int64_t silent_us);
};

struct td_track_stats {
    struct td_jitter_stats jitter;
    struct td_depay_stats depay;
    uint64_t packets;
    uint64_t unknown_payload; /* packets of a payload type that is not bound */
    uint64_t nacked;
    uint64_t recovered;   /* came after they were asked for */
    uint64_t undecodable; /* whole frames left out behind a hole */
    uint64_t key_requests;
    int64_t last_packet_us;
    int64_t clock_error_us;
};

struct td_track_config {
    const struct td_track_info *info; /* copied */
    struct td_clockmap *clock;        /* the participant's; outlives the track */
    struct td_pool *slots;            /* TD_JITTER_SLOT_BYTES each; outlives the track */
    struct td_budget *budget;
    int64_t key_interval_us; /* ask for a key frame when none came for this long; 0 = never */
    struct td_track_sink sink;
};

TD_MUST int td_track_new(const struct td_track_config *config, struct td_track **ret_track);
struct td_track *td_track_free(struct td_track *t);
const struct td_track_info *td_track_info(const struct td_track *t);
/* A new SSRC or codec begins a new stream of the same track. */
TD_MUST int td_track_bind(struct td_track *t, const struct td_track_binding *binding);
const struct td_track_binding *td_track_binding(const struct td_track *t);
void td_track_mute(struct td_track *t, bool muted);
/* True when the packet is this track's: by SSRC, or by payload type while its SSRC is unknown. */
bool td_track_claims(const struct td_track *t, const struct td_rtp_packet *packet);
void td_track_packet(struct td_track *t, const struct td_rtp_packet *packet,
                     const uint8_t *datagram, size_t len);
void td_track_sender_report(struct td_track *t, const struct td_rtcp_item *report, int64_t now_us);
/* Lets holes go that waited too long; watches for silence. */
void td_track_tick(struct td_track *t, int64_t now_us);
/* Nothing comes any more: what waits behind a hole is delivered, the hole told as a gap. */
void td_track_flush(struct td_track *t, int64_t now_us);
/* NACK and PLI that are due. */
void td_track_feedback(struct td_track *t, int64_t now_us, uint32_t our_ssrc, struct td_writer *w);
/* 1 with a report block when packets came since it was bound; else 0. */
int td_track_report_block(struct td_track *t, int64_t now_us, struct td_rtcp_block *ret_block);
/* Asks for a key frame as soon as the rule allows. */
void td_track_want_key(struct td_track *t);
void td_track_stats(const struct td_track *t, struct td_track_stats *ret_stats);
/* Anything for td_track_tick or feedback to do soon (a hole is open)? */
bool td_track_waiting(const struct td_track *t);

#endif
