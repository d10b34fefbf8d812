/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h264_sets: the parameter sets one H.264 stream has sent so far, so that a key frame without them
 *            can be given them.
 * Owner: the H.264 depacketiser's state.
 * Thread: the media loop's.
 * Bound: TD_H264_SPS_KEPT and TD_H264_PPS_KEPT sets of TD_H264_SET_BYTES_MAX; the one that was not
 *        sent for the longest time makes room.
 * Does not: know which is active; a slice names its PPS, a PPS its SPS.
 */
#ifndef TD_MEDIA_H264_SETS_H
#define TD_MEDIA_H264_SETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "media/h264_sps.h"

#define TD_H264_SPS_KEPT 4u        /* WebRTC encoders use one, a few rotate ids */
#define TD_H264_PPS_KEPT 8u        /* per stream, not per SPS */
#define TD_H264_SET_BYTES_MAX 512u /* with scaling lists and HRD; 10 to 60 bytes are usual */

struct td_h264_set {
    uint16_t len; /* 0 = free */
    uint8_t id;
    uint8_t sps_id; /* of a PPS: the SPS it builds on */
    uint64_t unit;  /* the access unit it was last sent in */
    uint8_t bytes[TD_H264_SET_BYTES_MAX];
};

struct td_h264_sets {
    struct td_h264_set sps[TD_H264_SPS_KEPT];
    struct td_h264_set pps[TD_H264_PPS_KEPT];
    struct td_h264_sps info[TD_H264_SPS_KEPT]; /* of sps[i] */
};

/* Remembers a NAL unit of type 7 or 8 sent in access unit `unit` (from 1). `info` belongs to the
 * SPS. 0, -TD_E_PARSE (a PPS with ids out of range) or -TD_E_LIMIT (larger than what is kept; an
 * older one of the same id is forgotten then). */
TD_MUST int td_h264_sets_put_sps(struct td_h264_sets *s, const struct td_h264_sps *info,
                                 const uint8_t *nal, size_t len, uint64_t unit);
TD_MUST int td_h264_sets_put_pps(struct td_h264_sets *s, const uint8_t *nal, size_t len,
                                 uint64_t unit);
/* NULL when it is not known. */
const struct td_h264_set *td_h264_sets_pps(const struct td_h264_sets *s, uint32_t id);
const struct td_h264_set *td_h264_sets_sps(const struct td_h264_sets *s, uint32_t id,
                                           const struct td_h264_sps **ret_info);

#endif
