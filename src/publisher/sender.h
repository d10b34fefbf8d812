/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sender: one track going out: packets, their history, sender reports and answers to feedback.
 * Owner: one publisher.
 * Thread: one at a time: the media loop's.
 * Bound: `history` packets kept; a feedback packet is answered with at most
 *        TD_SENDER_RESEND_MAX packets.
 * Does not: encrypt, pace or adapt. A key frame cannot be made on request, for the loop is encoded
 *           already: PLI and FIR are counted, and the next key frame comes within the pattern's key
 *           interval (1 s by default).
 *
 * Timestamp t of a frame belongs to the wall time start + t / clock_hz. Senders of one publisher
 * get the same start, so that a receiver that follows the reports aligns them exactly, whatever the
 * wall clock does later.
 */
#ifndef TD_PUBLISHER_SENDER_H
#define TD_PUBLISHER_SENDER_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "publisher/packetize.h"
#include "rtp/rtcp.h"

#define TD_SENDER_HISTORY 512u /* packets; more than any receiver of ours asks back */
#define TD_SENDER_RESEND_MAX 128u
#define TD_SENDER_CNAME_MAX 64u

struct td_sender;

struct td_sender_config {
    struct td_packetize_config rtp;
    unsigned history; /* a power of two; 0 = TD_SENDER_HISTORY */
    int64_t start_us; /* monotonic and wall time of timestamp 0 */
    int64_t start_wall_us;
    char cname[TD_SENDER_CNAME_MAX]; /* the same for all tracks of a publisher: RFC 7022 */
};

struct td_sender_stats {
    uint64_t frames;
    uint64_t packets; /* sent first, not again */
    uint64_t payload_bytes;
    uint64_t send_errors; /* the sink refused them; they can still be asked for */
    uint64_t nacks;       /* sequence numbers asked for */
    uint64_t resent;
    uint64_t key_requests;
    uint64_t reports;      /* report blocks about us */
    uint8_t fraction_lost; /* of the last one, 1/256 */
    int32_t cumulative_lost;
    int64_t rtt_us; /* 0 = unknown */
};

/* The sink gets packets from td_sender_frame and td_sender_feedback. */
TD_MUST int td_sender_new(const struct td_sender_config *config, const struct td_packet_sink *sink,
                          struct td_sender **ret_sender);
struct td_sender *td_sender_free(struct td_sender *s);
/* A frame with its timestamp counted from 0. A packet that cannot be sent is like one lost on the
 * way: counted, and the frame goes on. */
TD_MUST int td_sender_frame(struct td_sender *s, const struct td_frame *frame, int64_t now_us);
/* Appends a sender report and the CNAME (RFC 3550 section 6.1); nothing before the first packet. */
void td_sender_report(struct td_sender *s, int64_t now_us, struct td_writer *compound);
void td_sender_bye(const struct td_sender *s, struct td_writer *compound);
/* Any item of a received compound; those about other streams are passed over. */
void td_sender_feedback(struct td_sender *s, const struct td_rtcp_item *item, int64_t now_us);
const struct td_sender_stats *td_sender_stats(const struct td_sender *s);
uint32_t td_sender_ssrc(const struct td_sender *s);

#endif
