/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtcp: compound RTCP packets read item by item, and the few we send (RFC 3550 section 6, RFC 4585,
 *       RFC 5104, RFC 5506).
 * Owner: a td_rtcp_item borrows the datagram.
 * Thread: any.
 * Bound: the datagram; at most 31 blocks in an item (5-bit count).
 * Does not: decrypt, schedule or keep state.
 */
#ifndef TD_RTP_RTCP_H
#define TD_RTP_RTCP_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define TD_RTCP_BLOCKS_MAX 31

enum td_rtcp_kind {
    TD_RTCP_OTHER, /* valid framing, a type we do not read */
    TD_RTCP_SENDER_REPORT,
    TD_RTCP_RECEIVER_REPORT,
    TD_RTCP_BYE,
    TD_RTCP_NACK,
    TD_RTCP_PLI,
    TD_RTCP_FIR,
};

struct td_rtcp_block { /* RFC 3550 section 6.4.1 report block */
    uint32_t ssrc;
    uint8_t fraction_lost;   /* 1/256 */
    int32_t cumulative_lost; /* 24-bit signed on the wire */
    uint32_t highest_seq;    /* extended */
    uint32_t jitter_ticks;
    uint32_t last_sr;        /* middle 32 bits of NTP */
    uint32_t delay_since_sr; /* 1/65536 s */
};

struct td_rtcp_item {
    enum td_rtcp_kind kind;
    uint32_t sender_ssrc;
    uint32_t media_ssrc; /* feedback */
    uint64_t ntp;        /* SR: UQ32.32 */
    uint32_t rtp_timestamp;
    uint32_t packet_count;
    uint32_t octet_count;
    size_t block_count;
    struct td_rtcp_block blocks[TD_RTCP_BLOCKS_MAX];
    const uint8_t *body; /* NACK: 4-byte PID/BLP entries; FIR: 8-byte entries */
    size_t body_len;
};

/* Next item of a compound: 1, 0 at the end, -TD_E_PARSE. */
TD_MUST int td_rtcp_next(struct td_reader *compound, struct td_rtcp_item *ret_item);
/* Calls each(ctx, seq) for every sequence number of a NACK item. */
void td_rtcp_nack_each(const struct td_rtcp_item *nack, void (*each)(void *ctx, uint16_t seq),
                       void *ctx);

/* Writers append one item; check `w->bad` once at the end. */
void td_rtcp_write_receiver_report(struct td_writer *w, uint32_t sender_ssrc,
                                   const struct td_rtcp_block *blocks, size_t count);
void td_rtcp_write_sender_report(struct td_writer *w, uint32_t sender_ssrc, uint64_t ntp,
                                 uint32_t rtp_timestamp, uint32_t packets, uint32_t octets);
void td_rtcp_write_cname(struct td_writer *w, uint32_t ssrc, const char *cname);
void td_rtcp_write_pli(struct td_writer *w, uint32_t sender_ssrc, uint32_t media_ssrc);
void td_rtcp_write_bye(struct td_writer *w, uint32_t ssrc);
/* `seqs` ascending on the circle; packs PID/BLP pairs (RFC 4585 section 6.2.1). */
void td_rtcp_write_nack(struct td_writer *w, uint32_t sender_ssrc, uint32_t media_ssrc,
                        const uint16_t *seqs, size_t count);

/* Microseconds since 1970 to and from NTP UQ32.32 (RFC 3550 section 4). */
uint64_t td_ntp_from_wall_us(int64_t wall_us);
int64_t td_ntp_to_us(uint64_t ntp); /* microseconds since 1900, for differences */

#endif
