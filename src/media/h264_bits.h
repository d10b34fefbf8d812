/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h264_bits: reads the bits of one H.264 NAL unit, emulation prevention removed on the way.
 * Owner: the caller; borrows the NAL unit.
 * Thread: any.
 * Bound: never leaves the NAL unit: past the end it returns 0 and sets `bad`. An Exp-Golomb code
 *        has at most 31 leading zeros.
 * Does not: know what the bits mean.
 */
#ifndef TD_MEDIA_H264_BITS_H
#define TD_MEDIA_H264_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct td_h264_bits {
    const uint8_t *at;
    const uint8_t *end;
    unsigned zero_run; /* zero bytes in a row before `at` */
    unsigned left;     /* unread bits of `byte` */
    uint8_t byte;
    bool bad;
};

/* `bytes` starts behind the one-byte NAL unit header. */
void td_h264_bits_init(struct td_h264_bits *b, const uint8_t *bytes, size_t len);
/* `count` bits, 0 to 32, most significant first. */
uint32_t td_h264_bits_u(struct td_h264_bits *b, unsigned count);
/* ue(v) and se(v), ISO 14496-10 section 9.1. */
uint32_t td_h264_bits_ue(struct td_h264_bits *b);
int32_t td_h264_bits_se(struct td_h264_bits *b);
/* ue(v) that must not exceed `max`; above it `bad` is set and 0 returned. */
uint32_t td_h264_bits_ue_max(struct td_h264_bits *b, uint32_t max);

#endif
