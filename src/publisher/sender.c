/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher/sender.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "media/codec.h"
#include "publisher/history.h"
#include "rtp/packet.h"

struct td_sender {
    struct td_sender_config config;
    struct td_packetizer packetizer;
    struct td_history *history;
    struct td_packet_sink sink;
    struct td_sender_stats stats;
    uint32_t clock_hz;
};

/* What the sinks and walkers below need. */
struct call {
    struct td_sender *sender;
    int64_t now_us;
    unsigned resent;
};

int td_sender_new(const struct td_sender_config *config, const struct td_packet_sink *sink,
                  struct td_sender **ret_sender)
{
    const struct td_codec_info *info = td_codec_info(config->rtp.codec);
    if (!info || strnlen(config->cname, sizeof(config->cname)) == sizeof(config->cname))
        return -TD_E_USAGE;
    struct td_sender *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->config = *config;
    s->sink = *sink;
    s->clock_hz = info->clock_hz;
    int r = td_packetizer_init(&s->packetizer, &config->rtp);
    if (r == 0)
        r = td_history_new(config->history > 0 ? config->history : TD_SENDER_HISTORY, &s->history);
    if (r < 0) {
        (void)td_sender_free(s);
        return r;
    }
    *ret_sender = s;
    return 0;
}

struct td_sender *td_sender_free(struct td_sender *s)
{
    if (!s)
        return NULL;
    (void)td_history_free(s->history);
    free(s);
    return NULL;
}

static int send_packet(void *ctx, uint16_t seq, const uint8_t *bytes, size_t len)
{
    const struct call *call = ctx;
    struct td_sender *s = call->sender;
    struct td_rtp_packet packet = {0};
    int r = td_rtp_parse(bytes, len, &packet);
    if (r == 0)
        r = td_history_put(s->history, seq, bytes, len, call->now_us);
    if (r < 0)
        return r;
    s->stats.packets++;
    /* RFC 3550 section 6.4.1: payload octets, without header and padding. */
    s->stats.payload_bytes += packet.payload_len;
    if (s->sink.packet(s->sink.ctx, seq, bytes, len) < 0)
        s->stats.send_errors++;
    return 0;
}

int td_sender_frame(struct td_sender *s, const struct td_frame *frame, int64_t now_us)
{
    struct call call = {.sender = s, .now_us = now_us};
    const struct td_packet_sink sink = {.ctx = &call, .packet = send_packet};
    int r = td_packetizer_frame(&s->packetizer, frame, &sink);
    if (r < 0)
        return r;
    s->stats.frames++;
    return 0;
}

static int64_t wall_us(const struct td_sender *s, int64_t now_us)
{
    return s->config.start_wall_us + (now_us - s->config.start_us);
}

void td_sender_report(struct td_sender *s, int64_t now_us, struct td_writer *compound)
{
    if (s->stats.packets == 0)
        return;
    /* The timestamp of this very instant, not of the last frame: RFC 3550 section 6.4.1. Whole
     * seconds apart, so that days of media do not overflow. */
    int64_t media_us = now_us - s->config.start_us;
    int64_t seconds = media_us / TD_US_PER_S;
    int64_t rest_us = media_us % TD_US_PER_S;
    int64_t ticks = seconds * s->clock_hz + rest_us * s->clock_hz / TD_US_PER_S;
    td_rtcp_write_sender_report(compound, s->config.rtp.ssrc,
                                td_ntp_from_wall_us(wall_us(s, now_us)),
                                s->config.rtp.first_timestamp + (uint32_t)ticks,
                                (uint32_t)s->stats.packets, (uint32_t)s->stats.payload_bytes);
    td_rtcp_write_cname(compound, s->config.rtp.ssrc, s->config.cname);
}

void td_sender_bye(const struct td_sender *s, struct td_writer *compound)
{
    td_rtcp_write_bye(compound, s->config.rtp.ssrc);
}

static void resend(void *ctx, uint16_t seq)
{
    struct call *call = ctx;
    struct td_sender *s = call->sender;
    const uint8_t *bytes;
    size_t len;
    s->stats.nacks++;
    if (call->resent >= TD_SENDER_RESEND_MAX ||
        td_history_get(s->history, seq, call->now_us, &bytes, &len) == 0)
        return;
    call->resent++;
    if (s->sink.packet(s->sink.ctx, seq, bytes, len) < 0)
        s->stats.send_errors++;
    else
        s->stats.resent++;
}

/* RFC 3550 section 6.4.1: round trip = now - LSR - DLSR, in 1/65536 s. */
static void take_block(struct td_sender *s, const struct td_rtcp_block *block, int64_t now_us)
{
    if (block->ssrc != s->config.rtp.ssrc)
        return;
    s->stats.reports++;
    s->stats.fraction_lost = block->fraction_lost;
    s->stats.cumulative_lost = block->cumulative_lost;
    if (block->last_sr == 0)
        return;
    uint32_t now = (uint32_t)(td_ntp_from_wall_us(wall_us(s, now_us)) >> 16);
    uint32_t round_trip = now - block->last_sr - block->delay_since_sr;
    if (round_trip < 1u << 31) /* else the receiver's rounding made it negative */
        s->stats.rtt_us = (int64_t)((uint64_t)round_trip * (uint64_t)TD_US_PER_S >> 16);
}

void td_sender_feedback(struct td_sender *s, const struct td_rtcp_item *item, int64_t now_us)
{
    struct call call = {.sender = s, .now_us = now_us};
    uint32_t ssrc = s->config.rtp.ssrc;
    switch (item->kind) {
    case TD_RTCP_SENDER_REPORT:
    case TD_RTCP_RECEIVER_REPORT:
        for (size_t i = 0; i < item->block_count; i++)
            take_block(s, &item->blocks[i], now_us);
        break;
    case TD_RTCP_NACK:
        if (item->media_ssrc == ssrc)
            td_rtcp_nack_each(item, resend, &call);
        break;
    case TD_RTCP_PLI:
        if (item->media_ssrc == ssrc)
            s->stats.key_requests++;
        break;
    case TD_RTCP_FIR: /* RFC 5104 section 4.3.1: the targets stand in its entries */
        for (size_t at = 0; at + 8 <= item->body_len; at += 8) {
            struct td_reader r;
            td_reader_init(&r, item->body + at, 4);
            if (td_read_be32(&r) == ssrc)
                s->stats.key_requests++;
        }
        break;
    default:
        break;
    }
}

const struct td_sender_stats *td_sender_stats(const struct td_sender *s)
{
    return &s->stats;
}

uint32_t td_sender_ssrc(const struct td_sender *s)
{
    return s->config.rtp.ssrc;
}
