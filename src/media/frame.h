/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: one encoded picture or audio packet on its way from depacketiser to container.
 * Owner: a td_frame is a view; its bytes belong to whoever handed it out, for the time it says.
 * Thread: the handing thread's.
 * Bound: TD_FRAME_BYTES_MAX.
 * Does not: own, count references or carry decoded pictures.
 *
 * Forms of the bytes: H.264 is Annex B with 4-byte start codes, every key frame carrying its SPS
 * and PPS in front (the depacketiser sees to it), without access unit delimiters unless the
 * publisher sent them; VP8 is the bare frame (RFC 6386); Opus one packet (RFC 6716).
 */
#ifndef TD_MEDIA_FRAME_H
#define TD_MEDIA_FRAME_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum td_media_kind {
    TD_MEDIA_AUDIO,
    TD_MEDIA_VIDEO,
};

enum td_codec {
    TD_CODEC_NONE,
    TD_CODEC_OPUS,
    TD_CODEC_H264,
    TD_CODEC_VP8,
    TD_CODEC_MAX,
    TD_CODEC_INVALID = -EINVAL,
};

struct td_frame {
    enum td_codec codec;
    bool key;           /* decodable without anything before it; audio: always */
    bool discontinuity; /* media is missing between the previous frame of this track and this */
    uint32_t rtp_timestamp;
    int64_t arrival_us;  /* of its first packet, monotonic */
    int64_t pts_us;      /* on the recording's time line; set by the recorder */
    int64_t duration_us; /* audio: exact from the packet; video: 0 = unknown */
    uint16_t width;      /* video key frames, 0 = unknown */
    uint16_t height;
    unsigned track; /* index in the container; set by the recorder */
    const uint8_t *bytes;
    size_t len;
};

#endif
