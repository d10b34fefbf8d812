/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h264_annexb: NAL units of an Annex B buffer, and the avcC box made of them.
 * Owner: the caller; a td_h264_nal borrows the buffer it was found in.
 * Thread: any.
 * Bound: the buffer walked, the capacity written to.
 * Does not: allocate, or look into slices.
 */
#ifndef TD_MEDIA_H264_ANNEXB_H
#define TD_MEDIA_H264_ANNEXB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "media/h264_sps.h"

/* NAL unit types, ISO 14496-10 table 7-1. */
enum td_h264_nal_type {
    TD_H264_NAL_SLICE = 1,
    TD_H264_NAL_PARTITION_A = 2,
    TD_H264_NAL_IDR = 5,
    TD_H264_NAL_SEI = 6,
    TD_H264_NAL_SPS = 7,
    TD_H264_NAL_PPS = 8,
    TD_H264_NAL_AUD = 9,
};

struct td_h264_nal {
    const uint8_t *bytes; /* header byte first, no start code, trailing zero bytes cut */
    size_t len;           /* >= 1 */
    uint8_t type;         /* nal_unit_type, 0 to 31 */
};

/* Walks an Annex B buffer; start with `*offset` = 0. 1 with a NAL unit, 0 at the end. Start codes
 * of three and of four bytes are taken, empty units and bytes before the first start code skipped.
 */
TD_MUST int td_h264_next_nal(const uint8_t *bytes, size_t len, size_t *offset,
                             struct td_h264_nal *ret_nal);

/* True when nothing inside the NAL unit looks like a start code (ISO 14496-10 section 7.4.1). */
bool td_h264_nal_is_escaped(const uint8_t *nal, size_t len);

/* Parses the first valid SPS in front of the slices of an Annex B key frame. 0, or -TD_E_PARSE
 * without one. */
TD_MUST int td_h264_frame_sps(const uint8_t *bytes, size_t len, struct td_h264_sps *ret_sps);

/* Room for the avcC of any sane publisher: a handful of parameter sets of at most 512 bytes. */
#define TD_H264_AVCC_BYTES_MAX 8192u

/* Writes the AVCDecoderConfigurationRecord (ISO 14496-15 section 5.3.3.1, 4-byte lengths) made of
 * the valid SPS and the PPS in front of the slices of an Annex B key frame. Count of bytes,
 * -TD_E_PARSE when one is missing, -TD_E_LIMIT when `capacity` or the box is too small. */
TD_MUST int td_h264_avcc(const uint8_t *bytes, size_t len, uint8_t *ret_avcc, size_t capacity);

#endif
