/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet: one RTP packet, parsed in place and written (RFC 3550 section 5.1, RFC 8285).
 * Owner: a td_rtp_packet borrows the datagram; it is a view, copy it by copying the bytes.
 * Thread: any.
 * Bound: the datagram (TD_PACKET_BYTES_MAX).
 * Does not: decrypt, order or count.
 */
#ifndef TD_RTP_PACKET_H
#define TD_RTP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_RTP_HEADER_BYTES 12

struct td_rtp_packet {
    uint32_t ssrc;
    uint32_t timestamp;
    uint16_t seq;
    uint8_t payload_type;
    bool marker;
    const uint8_t *payload; /* padding removed; len 0 = padding-only packet */
    size_t payload_len;
    const uint8_t *extension; /* RFC 8285 block behind its 4-byte header, NULL without */
    size_t extension_len;
    uint16_t extension_profile;
    size_t padding_len;
    int64_t arrival_us; /* monotonic, set by the receiver */
};

/* RFC 5761 section 4: second byte 192..223 is RTCP. False for anything shorter than 2 bytes. */
bool td_rtp_is_rtcp(const uint8_t *bytes, size_t len);
/* 0 or -TD_E_PARSE; arrival_us is left to the caller. */
TD_MUST int td_rtp_parse(const uint8_t *bytes, size_t len, struct td_rtp_packet *ret_packet);
/* Writes header and payload (no extension, no padding). Count of bytes, or -TD_E_LIMIT. */
TD_MUST int td_rtp_write(const struct td_rtp_packet *packet, uint8_t *ret_bytes, size_t capacity);
/* Signed distance b - a on the 16-bit circle. */
int td_rtp_seq_distance(uint16_t a, uint16_t b);

#endif
