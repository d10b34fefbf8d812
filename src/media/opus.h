/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opus: Opus out of RTP (RFC 7587), and how long a packet plays (RFC 6716 section 3.1).
 * Owner: the depacketiser belongs to its td_depay.
 * Thread: the depacketiser the media loop's; the helper any.
 * Bound: one packet.
 * Does not: look behind the frame count: what is inside a frame is the decoder's business.
 */
#ifndef TD_MEDIA_OPUS_H
#define TD_MEDIA_OPUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "media/codec.h"

extern const struct td_depay_ops td_opus_depay_ops;

#define TD_OPUS_CLOCK_HZ 48000u
#define TD_OPUS_DURATION_US_MAX 120000 /* RFC 6716 section 3.4, requirement R5 */

/* Duration of one Opus packet, or -TD_E_PARSE: empty, no frame, or more than 120 ms. */
TD_MUST int64_t td_opus_duration_us(const uint8_t *bytes, size_t len);

#endif
