/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h264_sps: what a recorder needs to know of an H.264 sequence parameter set.
 * Owner: the caller; plain values.
 * Thread: any.
 * Bound: every loop is bounded by the standard's own range; sides by TD_H264_SIDE_MAX.
 * Does not: read the VUI, or keep the bytes.
 */
#ifndef TD_MEDIA_H264_SPS_H
#define TD_MEDIA_H264_SPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_H264_SIDE_MAX 16384u /* no level of annex A allows more luma samples on one side */

struct td_h264_sps {
    uint8_t id;            /* 0 to 31 */
    uint8_t profile;       /* profile_idc */
    uint8_t compat;        /* the constraint_set flags byte */
    uint8_t level;         /* level_idc */
    uint8_t chroma_format; /* 1 = 4:2:0 */
    uint8_t bit_depth_luma;
    uint8_t bit_depth_chroma;
    uint16_t width; /* cropped, 1 to TD_H264_SIDE_MAX */
    uint16_t height;
};

/* `nal` is a whole NAL unit of type 7, header included, without start code. 0 or -TD_E_PARSE. */
TD_MUST int td_h264_sps_parse(const uint8_t *nal, size_t len, struct td_h264_sps *ret_sps);

#endif
