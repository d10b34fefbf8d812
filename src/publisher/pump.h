/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pump: plays a pattern in real time into one peer connection after the other.
 * Owner: one publishing, on the control loop; its inside lives on the media loop while attached.
 * Thread: control loop unless said otherwise.
 * Bound: TD_PUMP_QUEUE packets wait to be sent, TD_PUMP_PACKETS_PER_TICK leave in one tick.
 * Does not: connect, negotiate, or adapt what it sends to the network.
 *
 * Media time 0 is the moment of the first connection, and it runs on while there is none: frame n
 * always has media time n / fps. A connection begins with the next key frame.
 */
#ifndef TD_PUBLISHER_PUMP_H
#define TD_PUBLISHER_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/mailbox.h"
#include "publisher/packetize.h"
#include "publisher/pattern.h"
#include "webrtc/peer.h"

#define TD_PUMP_TRACKS_MAX 2u
#define TD_PUMP_QUEUE 1024u
/* Half of the smallest default socket buffer, so that a key frame does not overrun a receiver. */
#define TD_PUMP_PACKETS_PER_TICK 30u
#define TD_PUMP_ID_MAX 32

struct td_pump;

struct td_pump_config {
    struct td_loop *loop;
    struct td_mailbox *control;
    const struct td_pattern *pattern; /* borrowed, shared */
};

/* One track of the next connection, as its offer has to name it. */
struct td_pump_track {
    enum td_media_kind kind;
    struct td_packetize_config rtp;
    char id[TD_PUMP_ID_MAX];
};

struct td_pump_status {
    uint64_t frames;  /* video frames sent, over all connections */
    uint64_t packets; /* RTP, sent first */
    uint64_t bytes;   /* their payloads */
    uint64_t skipped; /* frames and audio packets left out: no connection, or a stall */
    uint64_t nacks;
    uint64_t resent;
    uint64_t key_requests;
    uint64_t last_frame;   /* number of the last frame sent, counted from media time 0 */
    int64_t last_frame_us; /* monotonic time at which its last packet left; 0 = none was sent */
    int64_t start_us;      /* monotonic and wall time of media time 0; 0 = not started */
    int64_t start_wall_us;
    int64_t attached_us; /* monotonic, of this connection; 0 = none */
    int64_t heard_us;    /* monotonic, last RTCP on this connection; 0 = none yet */
    int64_t rtt_us;      /* 0 = unknown */
};

TD_MUST int td_pump_new(const struct td_pump_config *config, struct td_pump **ret_pump);
/* Not while attached, nor before the `closed` of the last peer it was attached to. */
struct td_pump *td_pump_free(struct td_pump *p);
/* Draws SSRCs and offsets for the next connection. */
TD_MUST int td_pump_prepare(struct td_pump *p);
/* What was prepared; valid until the next td_pump_prepare. */
const struct td_pump_track *td_pump_tracks(const struct td_pump *p, unsigned *ret_count);
/* The same on each connection: CNAME and media stream id. */
const char *td_pump_stream_id(const struct td_pump *p);
/* `peer` is connected: sends from now on. */
TD_MUST int td_pump_attach(struct td_pump *p, struct td_peer *peer);
/* Says goodbye (RTCP BYE) and stops. Call it before td_peer_close; harmless when not attached. */
void td_pump_detach(struct td_pump *p);
/* Newest numbers; a quarter of a second old at most, exact after the peer's `closed`. */
const struct td_pump_status *td_pump_status(const struct td_pump *p);

/* Media loop: the peer's packet callback; the context is the td_pump. */
void td_pump_packet(void *pump, uint8_t *bytes, size_t len, int64_t now_us);

#endif
