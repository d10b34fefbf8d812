/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packetize: encoded frames to RTP packets: H.264 (RFC 6184 mode 1), VP8 (RFC 7741), Opus (RFC
 * 7587).
 * Owner: one sender of one track, embedded.
 * Thread: the sender's.
 * Bound: `packet_bytes_max` a packet (1200), TD_FRAME_BYTES_MAX a frame; packets are made one by
 *        one in a buffer on the stack.
 * Does not: send, keep or encrypt packets.
 */
#ifndef TD_PUBLISHER_PACKETIZE_H
#define TD_PUBLISHER_PACKETIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "media/frame.h"

#define TD_PACKETIZE_BYTES_MAX 1200u /* fits any path with SRTP, UDP and IPv6 headers around it */
#define TD_PACKETIZE_BYTES_MIN 64u
#define TD_PACKETIZE_MID_MAX 16u

struct td_packetize_config {
    enum td_codec codec;
    uint32_t ssrc;
    uint8_t payload_type;
    uint16_t packet_bytes_max; /* RTP header included; 0 = TD_PACKETIZE_BYTES_MAX */
    uint16_t first_seq;        /* these three should be random: RFC 3550 section 5.1 */
    uint32_t first_timestamp;
    uint16_t first_picture_id; /* VP8, 15 bits */
    bool stap_a;               /* H.264: SPS, PPS and SEI in front of a slice share a packet */
    bool tl0;                  /* VP8: TL0PICIDX and TID 0 */
    uint8_t mid_id;            /* RFC 8285 one-byte id (1 to 14) of the MID extension, 0 = none */
    char mid[TD_PACKETIZE_MID_MAX + 1]; /* RFC 9143 */
};

/* Gets each packet, complete but for encryption. A negative answer ends the frame. */
struct td_packet_sink {
    void *ctx;
    int (*packet)(void *ctx, uint16_t seq, const uint8_t *bytes, size_t len);
};

struct td_packetizer {
    struct td_packetize_config config;
    uint16_t seq;        /* of the next packet */
    uint16_t picture_id; /* of the next frame */
    uint8_t tl0_index;   /* TL0PICIDX of the next frame */
    bool started;
};

/* Fills ssrc, first_seq, first_timestamp and first_picture_id with randomness; 0 or -errno. */
TD_MUST int td_packetize_config_random(struct td_packetize_config *config);
/* 0, or -TD_E_USAGE. */
TD_MUST int td_packetizer_init(struct td_packetizer *p, const struct td_packetize_config *config);
/* frame->rtp_timestamp counts from 0; the packetiser adds its random start. The count of packets
 * (0 for a frame with nothing to send), -TD_E_PARSE for bytes that are no frame, or the sink's
 * error. */
TD_MUST int td_packetizer_frame(struct td_packetizer *p, const struct td_frame *frame,
                                const struct td_packet_sink *sink);

#endif
