/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h264: H.264 out of RTP (RFC 6184, packetization-mode 0 and 1).
 * Owner: its td_depay. (The headers it includes are what containers need of H.264.)
 * Thread: the media loop's.
 * Bound: one access unit of TD_FRAME_BYTES_MAX; parameter sets by the limits of h264_sets.h.
 * Does not: accept interleaved mode (STAP-B, MTAP, FU-B), which nobody negotiates in WebRTC.
 */
#ifndef TD_MEDIA_H264_H
#define TD_MEDIA_H264_H

#include "media/codec.h"
#include "media/h264_annexb.h"
#include "media/h264_sps.h"

extern const struct td_depay_ops td_h264_depay_ops;

#endif
