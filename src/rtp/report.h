/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: reception statistics of a stream and its report block (RFC 3550 A.1, A.3, A.8).
 * Owner: one track, embedded.
 * Thread: the media loop's.
 * Bound: fixed size.
 * Does not: send; a ticker asks for the block once a second.
 */
#ifndef TD_RTP_REPORT_H
#define TD_RTP_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "rtp/packet.h"
#include "rtp/rtcp.h"

struct td_report {
    uint32_t ssrc;
    uint32_t clock_hz;
    bool started;
    uint16_t base_seq;
    uint16_t max_seq;
    uint32_t bad_seq; /* the number that would prove a restart, UINT32_MAX = none */
    uint32_t cycles;
    uint64_t received;
    uint64_t expected_prior;
    uint64_t received_prior;
    bool transit_known;
    int64_t transit_ticks;
    uint32_t jitter_q4; /* scaled by 16, RFC 3550 A.8 */
    uint64_t last_sr_ntp;
    int64_t last_sr_us; /* arrival, 0 = none yet */
};

void td_report_init(struct td_report *r, uint32_t ssrc, uint32_t clock_hz);
void td_report_packet(struct td_report *r, const struct td_rtp_packet *packet);
void td_report_sender_report(struct td_report *r, uint64_t ntp, int64_t arrival_us);
/* Fills a block and starts the next interval. */
void td_report_block(struct td_report *r, int64_t now_us, struct td_rtcp_block *ret_block);

#endif
