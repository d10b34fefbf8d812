/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/rtcp.h"

#include <assert.h>
#include <string.h>

#include "rtp/packet.h"

#define RTCP_VERSION 2u /* RFC 3550 section 6.4.1 */
#define RTCP_PADDING_BIT 0x20u
#define RTCP_COUNT_MASK 0x1fu
#define RTCP_BLOCK_BYTES 24u

/* RFC 3550 section 12.1, RFC 4585 section 6.1. */
#define RTCP_TYPE_SR 200u
#define RTCP_TYPE_RR 201u
#define RTCP_TYPE_SDES 202u
#define RTCP_TYPE_BYE 203u
#define RTCP_TYPE_RTPFB 205u
#define RTCP_TYPE_PSFB 206u

#define RTCP_FMT_NACK 1u /* RFC 4585 section 6.2.1 */
#define RTCP_FMT_PLI 1u  /* RFC 4585 section 6.3.1 */
#define RTCP_FMT_FIR 4u  /* RFC 5104 section 4.3.1 */
#define RTCP_FIR_ENTRY_BYTES 8u

#define SDES_CNAME 1u /* RFC 3550 section 6.5.1 */
#define SDES_TEXT_MAX 255u

#define NTP_UNIX_S INT64_C(2208988800) /* 1900 to 1970, RFC 3550 section 4 */
#define US_PER_S INT64_C(1000000)

static int32_t sign_extend_24(uint32_t v)
{
    return v >= 0x800000u ? (int32_t)v - 0x1000000 : (int32_t)v;
}

static int read_blocks(struct td_reader *r, size_t count, struct td_rtcp_item *item)
{
    for (size_t i = 0; i < count; i++) {
        struct td_rtcp_block *b = &item->blocks[i];

        b->ssrc = td_read_be32(r);
        b->fraction_lost = td_read_u8(r);
        b->cumulative_lost = sign_extend_24(td_read_be24(r));
        b->highest_seq = td_read_be32(r);
        b->jitter_ticks = td_read_be32(r);
        b->last_sr = td_read_be32(r);
        b->delay_since_sr = td_read_be32(r);
    }
    item->block_count = count;
    return r->bad ? -TD_E_PARSE : 0;
}

static int read_sender_report(struct td_reader *r, size_t count, struct td_rtcp_item *item)
{
    item->kind = TD_RTCP_SENDER_REPORT;
    item->sender_ssrc = td_read_be32(r);
    item->ntp = td_read_be64(r);
    item->rtp_timestamp = td_read_be32(r);
    item->packet_count = td_read_be32(r);
    item->octet_count = td_read_be32(r);
    return read_blocks(r, count, item);
}

static int read_feedback(struct td_reader *r, unsigned type, unsigned format,
                         struct td_rtcp_item *item)
{
    item->sender_ssrc = td_read_be32(r);
    item->media_ssrc = td_read_be32(r);
    if (r->bad)
        return -TD_E_PARSE;
    item->body = r->at;
    item->body_len = td_reader_left(r);
    if (type == RTCP_TYPE_RTPFB && format == RTCP_FMT_NACK)
        item->kind = TD_RTCP_NACK;
    else if (type == RTCP_TYPE_PSFB && format == RTCP_FMT_PLI)
        item->kind = TD_RTCP_PLI;
    else if (type == RTCP_TYPE_PSFB && format == RTCP_FMT_FIR)
        item->kind = TD_RTCP_FIR;
    if (item->kind == TD_RTCP_FIR && item->body_len % RTCP_FIR_ENTRY_BYTES != 0)
        return -TD_E_PARSE;
    return 0;
}

static int read_body(struct td_reader *r, unsigned type, unsigned count, struct td_rtcp_item *item)
{
    switch (type) {
    case RTCP_TYPE_SR:
        return read_sender_report(r, count, item);
    case RTCP_TYPE_RR:
        item->kind = TD_RTCP_RECEIVER_REPORT;
        item->sender_ssrc = td_read_be32(r);
        return read_blocks(r, count, item);
    case RTCP_TYPE_BYE:
        item->kind = TD_RTCP_BYE;
        if (count == 0)
            return 0;
        item->sender_ssrc = td_read_be32(r);
        return r->bad ? -TD_E_PARSE : 0;
    case RTCP_TYPE_RTPFB:
    case RTCP_TYPE_PSFB:
        return read_feedback(r, type, count, item);
    default:
        item->body = r->at;
        item->body_len = td_reader_left(r);
        return 0;
    }
}

int td_rtcp_next(struct td_reader *compound, struct td_rtcp_item *ret_item)
{
    struct td_reader r;
    const uint8_t *body;
    uint8_t first, type;
    size_t len, padding = 0;
    int err;

    if (td_reader_left(compound) == 0)
        return 0;
    first = td_read_u8(compound);
    type = td_read_u8(compound);
    len = (size_t)td_read_be16(compound) * 4;
    body = td_read_bytes(compound, len);
    if (compound->bad || first >> 6 != RTCP_VERSION)
        return -TD_E_PARSE;
    if ((first & RTCP_PADDING_BIT) != 0) {
        padding = len > 0 ? body[len - 1] : 0;
        if (padding == 0 || padding > len)
            return -TD_E_PARSE;
    }
    memset(ret_item, 0, sizeof(*ret_item));
    td_reader_init(&r, body, len - padding);
    err = read_body(&r, type, first & RTCP_COUNT_MASK, ret_item);
    return err < 0 ? err : 1;
}

void td_rtcp_nack_each(const struct td_rtcp_item *nack, void (*each)(void *ctx, uint16_t seq),
                       void *ctx)
{
    struct td_reader r;

    td_reader_init(&r, nack->body, nack->body_len);
    while (td_reader_left(&r) >= 4) {
        uint16_t pid = td_read_be16(&r);
        uint16_t blp = td_read_be16(&r);

        each(ctx, pid);
        for (unsigned i = 0; i < 16; i++) {
            if ((blp >> i & 1) != 0)
                each(ctx, (uint16_t)(pid + i + 1));
        }
    }
}

static void write_header(struct td_writer *w, size_t count, unsigned type, size_t body_words)
{
    td_write_u8(w, (uint8_t)(RTCP_VERSION << 6 | count));
    td_write_u8(w, (uint8_t)type);
    td_write_be16(w, (uint16_t)body_words);
}

static int32_t clamp_24(int32_t v)
{
    if (v > 0x7fffff)
        return 0x7fffff;
    return v < -0x800000 ? -0x800000 : v;
}

void td_rtcp_write_receiver_report(struct td_writer *w, uint32_t sender_ssrc,
                                   const struct td_rtcp_block *blocks, size_t count)
{
    assert(count <= TD_RTCP_BLOCKS_MAX);
    write_header(w, count, RTCP_TYPE_RR, 1 + count * RTCP_BLOCK_BYTES / 4);
    td_write_be32(w, sender_ssrc);
    for (size_t i = 0; i < count; i++) {
        const struct td_rtcp_block *b = &blocks[i];

        td_write_be32(w, b->ssrc);
        td_write_u8(w, b->fraction_lost);
        td_write_be24(w, (uint32_t)clamp_24(b->cumulative_lost) & 0xffffffu);
        td_write_be32(w, b->highest_seq);
        td_write_be32(w, b->jitter_ticks);
        td_write_be32(w, b->last_sr);
        td_write_be32(w, b->delay_since_sr);
    }
}

void td_rtcp_write_sender_report(struct td_writer *w, uint32_t sender_ssrc, uint64_t ntp,
                                 uint32_t rtp_timestamp, uint32_t packets, uint32_t octets)
{
    write_header(w, 0, RTCP_TYPE_SR, 6);
    td_write_be32(w, sender_ssrc);
    td_write_be64(w, ntp);
    td_write_be32(w, rtp_timestamp);
    td_write_be32(w, packets);
    td_write_be32(w, octets);
}

void td_rtcp_write_cname(struct td_writer *w, uint32_t ssrc, const char *cname)
{
    static const uint8_t zero[4] = {0};
    size_t len = strnlen(cname, SDES_TEXT_MAX);
    /* SSRC, item header, text, then one to four zeros up to the next word (section 6.5). */
    size_t padding = 4 - (2 + len) % 4;

    write_header(w, 1, RTCP_TYPE_SDES, (4 + 2 + len + padding) / 4);
    td_write_be32(w, ssrc);
    td_write_u8(w, SDES_CNAME);
    td_write_u8(w, (uint8_t)len);
    td_write_bytes(w, cname, len);
    td_write_bytes(w, zero, padding);
}

void td_rtcp_write_pli(struct td_writer *w, uint32_t sender_ssrc, uint32_t media_ssrc)
{
    write_header(w, RTCP_FMT_PLI, RTCP_TYPE_PSFB, 2);
    td_write_be32(w, sender_ssrc);
    td_write_be32(w, media_ssrc);
}

void td_rtcp_write_bye(struct td_writer *w, uint32_t ssrc)
{
    write_header(w, 1, RTCP_TYPE_BYE, 1);
    td_write_be32(w, ssrc);
}

/* Length of the run of numbers that one PID/BLP pair takes, and its BLP. */
static size_t pack_nack(const uint16_t *seqs, size_t count, uint16_t *ret_blp)
{
    unsigned blp = 0;
    size_t taken = 1;

    while (taken < count) {
        int distance = td_rtp_seq_distance(seqs[0], seqs[taken]);

        if (distance < 0 || distance > 16)
            break;
        if (distance > 0)
            blp |= 1u << (distance - 1);
        taken++;
    }
    *ret_blp = (uint16_t)blp;
    return taken;
}

void td_rtcp_write_nack(struct td_writer *w, uint32_t sender_ssrc, uint32_t media_ssrc,
                        const uint16_t *seqs, size_t count)
{
    size_t pairs = 0;
    uint16_t blp;

    if (count == 0)
        return;
    for (size_t at = 0; at < count; pairs++)
        at += pack_nack(seqs + at, count - at, &blp);
    write_header(w, RTCP_FMT_NACK, RTCP_TYPE_RTPFB, 2 + pairs);
    td_write_be32(w, sender_ssrc);
    td_write_be32(w, media_ssrc);
    for (size_t at = 0; at < count;) {
        uint16_t pid = seqs[at];

        at += pack_nack(seqs + at, count - at, &blp);
        td_write_be16(w, pid);
        td_write_be16(w, blp);
    }
}

uint64_t td_ntp_from_wall_us(int64_t wall_us)
{
    int64_t seconds = wall_us / US_PER_S;
    int64_t rest_us = wall_us % US_PER_S;
    uint64_t fraction;

    if (rest_us < 0) {
        rest_us += US_PER_S;
        seconds--;
    }
    fraction = (((uint64_t)rest_us << 32) + (uint64_t)US_PER_S / 2) / (uint64_t)US_PER_S;
    /* The era wraps in 2036; differences stay right. */
    return ((uint64_t)(seconds + NTP_UNIX_S) << 32) + fraction;
}

int64_t td_ntp_to_us(uint64_t ntp)
{
    uint64_t seconds = ntp >> 32;
    uint64_t fraction = ntp & UINT64_C(0xffffffff);

    /* Rounded: cutting the fraction off costs a microsecond in each round trip. */
    return (int64_t)(seconds * (uint64_t)US_PER_S +
                     ((fraction * (uint64_t)US_PER_S + (UINT64_C(1) << 31)) >> 32));
}
