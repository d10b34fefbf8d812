/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vp8: VP8 out of RTP (RFC 7741), and the key frame header (RFC 6386 section 9.1).
 * Owner: the depacketiser belongs to its td_depay.
 * Thread: the depacketiser the media loop's; the helper any.
 * Bound: one frame of TD_FRAME_BYTES_MAX.
 * Does not: look at temporal layers; what the server forwards is what is recorded.
 */
#ifndef TD_MEDIA_VP8_H
#define TD_MEDIA_VP8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "media/codec.h"

extern const struct td_depay_ops td_vp8_depay_ops;

struct td_vp8_header {
    bool key;
    bool shown;
    uint16_t width; /* key frames, else 0 */
    uint16_t height;
};

/* Reads the header of a whole frame. 0, or -TD_E_PARSE: too short, no start code, no size, or a
 * first partition that is longer than the frame. */
TD_MUST int td_vp8_header(const uint8_t *bytes, size_t len, struct td_vp8_header *ret_header);

#endif
