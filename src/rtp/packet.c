/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/packet.h"

#include "base/bytes.h"

#define RTP_VERSION 2u /* RFC 3550 section 5.1 */
#define RTP_PADDING_BIT 0x20u
#define RTP_EXTENSION_BIT 0x10u
#define RTP_CSRC_MASK 0x0fu
#define RTP_MARKER_BIT 0x80u
#define RTP_TYPE_MASK 0x7fu
#define RTCP_TYPE_FIRST 192u /* RFC 5761 section 4 */
#define RTCP_TYPE_LAST 223u

bool td_rtp_is_rtcp(const uint8_t *bytes, size_t len)
{
    return len >= 2 && bytes[1] >= RTCP_TYPE_FIRST && bytes[1] <= RTCP_TYPE_LAST;
}

static int parse_extension(struct td_reader *r, struct td_rtp_packet *packet)
{
    packet->extension_profile = td_read_be16(r);
    packet->extension_len = (size_t)td_read_be16(r) * 4;
    packet->extension = td_read_bytes(r, packet->extension_len);
    return r->bad ? -TD_E_PARSE : 0;
}

int td_rtp_parse(const uint8_t *bytes, size_t len, struct td_rtp_packet *ret_packet)
{
    struct td_rtp_packet packet = {0};
    struct td_reader r;
    uint8_t first, second;
    int err;

    td_reader_init(&r, bytes, len);
    first = td_read_u8(&r);
    second = td_read_u8(&r);
    packet.seq = td_read_be16(&r);
    packet.timestamp = td_read_be32(&r);
    packet.ssrc = td_read_be32(&r);
    if (r.bad || first >> 6 != RTP_VERSION)
        return -TD_E_PARSE;
    packet.marker = (second & RTP_MARKER_BIT) != 0;
    packet.payload_type = second & RTP_TYPE_MASK;
    (void)td_read_bytes(&r, (size_t)(first & RTP_CSRC_MASK) * 4); /* r.bad tells */
    if (r.bad)
        return -TD_E_PARSE;
    if ((first & RTP_EXTENSION_BIT) != 0) {
        err = parse_extension(&r, &packet);
        if (err < 0)
            return err;
    }
    packet.payload = r.at;
    packet.payload_len = td_reader_left(&r);
    if ((first & RTP_PADDING_BIT) != 0) {
        /* The last byte counts the padding, itself included. */
        if (packet.payload_len == 0)
            return -TD_E_PARSE;
        packet.padding_len = bytes[len - 1];
        if (packet.padding_len == 0 || packet.padding_len > packet.payload_len)
            return -TD_E_PARSE;
        packet.payload_len -= packet.padding_len;
    }
    packet.arrival_us = ret_packet->arrival_us;
    *ret_packet = packet;
    return 0;
}

int td_rtp_write(const struct td_rtp_packet *packet, uint8_t *ret_bytes, size_t capacity)
{
    struct td_writer w;

    td_writer_init(&w, ret_bytes, capacity);
    td_write_u8(&w, RTP_VERSION << 6);
    td_write_u8(&w, (uint8_t)((packet->marker ? RTP_MARKER_BIT : 0u) |
                              (packet->payload_type & RTP_TYPE_MASK)));
    td_write_be16(&w, packet->seq);
    td_write_be32(&w, packet->timestamp);
    td_write_be32(&w, packet->ssrc);
    td_write_bytes(&w, packet->payload, packet->payload_len);
    return w.bad ? -TD_E_LIMIT : (int)td_writer_len(&w);
}

int td_rtp_seq_distance(uint16_t a, uint16_t b)
{
    uint16_t forward = (uint16_t)(b - a);

    return forward < 0x8000u ? (int)forward : (int)forward - 0x10000;
}
