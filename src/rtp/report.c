/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/report.h"

#include <string.h>

/* RFC 3550 appendix A.1. */
#define REPORT_DROPOUT_MAX 3000u
#define REPORT_MISORDER_MAX 100u
#define REPORT_SEQ_MOD 65536u
#define REPORT_NO_SEQ UINT32_MAX

#define US_PER_S INT64_C(1000000)

void td_report_init(struct td_report *r, uint32_t ssrc, uint32_t clock_hz)
{
    memset(r, 0, sizeof(*r));
    r->ssrc = ssrc;
    r->clock_hz = clock_hz;
    r->bad_seq = REPORT_NO_SEQ;
}

static void restart(struct td_report *r, const struct td_rtp_packet *packet)
{
    r->started = true;
    r->base_seq = packet->seq;
    r->max_seq = packet->seq;
    r->cycles = 0;
    r->received = 0;
    r->expected_prior = 0;
    r->received_prior = 0;
    r->bad_seq = REPORT_NO_SEQ;
    r->transit_known = false;
}

/* RFC 3550 appendix A.1 without its probation of a new source: a recorder wants the first packet.
 * True when the packet counts; `ret_ahead` tells whether it is the newest. */
static bool update_seq(struct td_report *r, const struct td_rtp_packet *packet, bool *ret_ahead)
{
    uint32_t delta = (uint16_t)(packet->seq - r->max_seq);

    *ret_ahead = false;
    if (delta < REPORT_DROPOUT_MAX) {
        if (packet->seq < r->max_seq)
            r->cycles += REPORT_SEQ_MOD;
        r->max_seq = packet->seq;
        r->bad_seq = REPORT_NO_SEQ;
        *ret_ahead = true;
        return true;
    }
    if (delta <= REPORT_SEQ_MOD - REPORT_MISORDER_MAX) {
        if (packet->seq != r->bad_seq) {
            r->bad_seq = (packet->seq + 1u) & (REPORT_SEQ_MOD - 1);
            return false;
        }
        /* Two in sequence: the other side has restarted without telling. */
        restart(r, packet);
        *ret_ahead = true;
        return true;
    }
    return true; /* duplicate or reordered */
}

static uint32_t ticks_of_us(int64_t us, uint32_t clock_hz)
{
    int64_t seconds = us / US_PER_S;
    int64_t rest = us % US_PER_S;

    return (uint32_t)((uint64_t)seconds * clock_hz + (uint64_t)(rest * clock_hz / US_PER_S));
}

/* RFC 3550 appendix A.8, in the integer form with 4 fraction bits. Only the newest packets count:
 * a retransmission measures our patience, not the network. */
static void update_jitter(struct td_report *r, const struct td_rtp_packet *packet)
{
    uint32_t transit = ticks_of_us(packet->arrival_us, r->clock_hz) - packet->timestamp;

    if (r->transit_known) {
        int32_t d = (int32_t)(transit - (uint32_t)r->transit_ticks);
        uint32_t magnitude = d < 0 ? 0u - (uint32_t)d : (uint32_t)d;

        /* A jump of the time line (mute, restart) is no jitter. */
        if (magnitude < r->clock_hz * 2)
            r->jitter_q4 += magnitude - ((r->jitter_q4 + 8) >> 4);
    }
    r->transit_known = true;
    r->transit_ticks = transit;
}

void td_report_packet(struct td_report *r, const struct td_rtp_packet *packet)
{
    bool ahead = true;

    if (!r->started)
        restart(r, packet);
    else if (!update_seq(r, packet, &ahead))
        return;
    r->received++;
    if (ahead)
        update_jitter(r, packet);
}

void td_report_sender_report(struct td_report *r, uint64_t ntp, int64_t arrival_us)
{
    r->last_sr_ntp = ntp;
    r->last_sr_us = arrival_us;
}

static int32_t clamp_lost(int64_t lost)
{
    if (lost > 0x7fffff)
        return 0x7fffff;
    return lost < -0x800000 ? -0x800000 : (int32_t)lost;
}

static uint8_t fraction_lost(uint64_t expected, uint64_t received)
{
    uint64_t fraction;

    if (expected == 0 || received >= expected)
        return 0;
    fraction = ((expected - received) << 8) / expected;
    return fraction > 255 ? 255 : (uint8_t)fraction;
}

static uint32_t delay_since(int64_t then_us, int64_t now_us)
{
    int64_t delay_us = now_us - then_us;

    if (delay_us <= 0)
        return 0;
    if (delay_us >= 65536 * US_PER_S)
        return UINT32_MAX;
    return (uint32_t)(delay_us * 65536 / US_PER_S);
}

void td_report_block(struct td_report *r, int64_t now_us, struct td_rtcp_block *ret_block)
{
    uint32_t highest = r->cycles + r->max_seq;
    uint64_t expected = r->started ? (uint64_t)highest - r->base_seq + 1 : 0;

    /* RFC 3550 appendix A.3. */
    *ret_block = (struct td_rtcp_block){
        .ssrc = r->ssrc,
        .fraction_lost =
            fraction_lost(expected - r->expected_prior, r->received - r->received_prior),
        .cumulative_lost = clamp_lost((int64_t)(expected - r->received)),
        .highest_seq = highest,
        .jitter_ticks = r->jitter_q4 >> 4,
    };
    if (r->last_sr_us != 0) {
        ret_block->last_sr = (uint32_t)(r->last_sr_ntp >> 16);
        ret_block->delay_since_sr = delay_since(r->last_sr_us, now_us);
    }
    r->expected_prior = expected;
    r->received_prior = r->received;
}
