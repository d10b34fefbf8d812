/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assembly: the frame a depacketiser puts together, and the two finished ones it may hold.
 * Owner: a depacketiser's state.
 * Thread: the media loop's.
 * Bound: TD_FRAME_BYTES_MAX a frame, and the budget; one buffer holds all. It grows to what the
 *        stream needs and is given back once TD_ASSEMBLY_CALM frames in a row stayed small.
 * Does not: know any codec. A frame that cannot be completed is dropped whole and counted here.
 */
#ifndef TD_MEDIA_ASSEMBLY_H
#define TD_MEDIA_ASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "media/codec.h"
#include "media/frame.h"
#include "rtp/packet.h"

#define TD_ASSEMBLY_READY_MAX 2u            /* see td_depay_ops.push */
#define TD_ASSEMBLY_VIDEO_BYTES (16u << 10) /* first reservation: a delta frame of 4 Mbit/s */
#define TD_ASSEMBLY_AUDIO_BYTES 2048u       /* first reservation: one packet */
#define TD_ASSEMBLY_KEEP_BYTES (64u << 10)  /* kept for good; more is given back when calm */
#define TD_ASSEMBLY_CALM 32u                /* frames: about one second of video */
/* A finished frame of the full size may wait beside the one-packet frame that finished it. */
#define TD_ASSEMBLY_SLACK_BYTES (16u << 10)

enum td_assembly_state {
    TD_ASSEMBLY_IDLE, /* between frames */
    TD_ASSEMBLY_OPEN, /* a frame is under assembly */
    TD_ASSEMBLY_SKIP, /* the rest of a dropped frame, known by its timestamp, is left out */
};

struct td_assembly {
    struct td_bytes bytes;
    struct td_depay_stats *stats;
    struct td_frame ready[TD_ASSEMBLY_READY_MAX]; /* `bytes` not set */
    size_t ready_at[TD_ASSEMBLY_READY_MAX];       /* offsets */
    unsigned ready_count;
    unsigned popped;
    size_t first_bytes; /* first reservation */
    size_t start;       /* offset of the frame under assembly */
    enum td_assembly_state state;
    uint32_t rtp_timestamp;
    int64_t arrival_us;
    bool behind_hole; /* packets are missing in front of the next frame */
    bool suspect;     /* … in front of this one: its beginning must prove itself */
    unsigned calm;
};

void td_assembly_init(struct td_assembly *a, struct td_depay *d, size_t first_bytes);
void td_assembly_done(struct td_assembly *a);
/* Begins a push: frames handed out before are gone from here on. */
void td_assembly_turn(struct td_assembly *a);
/* True when `packet` belongs to a dropped frame; its marker ends the skipping. */
bool td_assembly_skips(struct td_assembly *a, const struct td_rtp_packet *packet);
/* Starts a frame with this packet. The state must not be open. */
void td_assembly_open(struct td_assembly *a, const struct td_rtp_packet *packet);
/* 0 or negative: the frame was dropped and counted. The state must be open. */
TD_MUST int td_assembly_append(struct td_assembly *a, const void *bytes, size_t len);
/* The same, in front of offset `at` of the frame. */
TD_MUST int td_assembly_insert(struct td_assembly *a, size_t at, const void *bytes, size_t len);
/* The frame under assembly so far; valid until the next append or insert. */
const uint8_t *td_assembly_bytes(const struct td_assembly *a);
size_t td_assembly_len(const struct td_assembly *a);
/* Queues the frame. Bytes, length, timestamp and arrival are filled in from here. */
void td_assembly_finish(struct td_assembly *a, const struct td_frame *frame);
/* Leaves the frame out without calling it broken; the next packet starts a frame. */
void td_assembly_discard(struct td_assembly *a);
/* Drops the frame and what still comes of it, counted as broken. */
void td_assembly_drop(struct td_assembly *a);
void td_assembly_hole(struct td_assembly *a);
/* td_depay_ops.pop */
TD_MUST int td_assembly_pop(struct td_assembly *a, struct td_frame *ret_frame);

#endif
