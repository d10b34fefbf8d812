/* SPDX-License-Identifier: Apache-2.0 */
#include "media/h264_bits.h"

#include <assert.h>

/* ISO 14496-10 section 9.1 codes values up to 2^32 - 2; that takes 31 leading zeros. */
#define UE_ZEROS_MAX 31u

void td_h264_bits_init(struct td_h264_bits *b, const uint8_t *bytes, size_t len)
{
    assert(b && (bytes || len == 0));
    *b = (struct td_h264_bits){.at = bytes, .end = len > 0 ? bytes + len : bytes};
}

static void next_byte(struct td_h264_bits *b)
{
    /* ISO 14496-10 section 7.4.1: 03 behind two zero bytes is not part of the payload. */
    if (b->zero_run >= 2 && b->at < b->end && *b->at == 3) {
        b->at++;
        b->zero_run = 0;
    }
    if (b->at >= b->end) {
        b->bad = true;
        b->byte = 0;
        b->left = 8;
        return;
    }
    b->byte = *b->at++;
    b->zero_run = b->byte == 0 ? b->zero_run + 1 : 0;
    b->left = 8;
}

uint32_t td_h264_bits_u(struct td_h264_bits *b, unsigned count)
{
    assert(count <= 32);
    uint64_t v = 0;
    while (count > 0 && !b->bad) {
        if (b->left == 0)
            next_byte(b);
        unsigned take = count < b->left ? count : b->left;
        unsigned bits = ((unsigned)b->byte >> (b->left - take)) & ((1u << take) - 1u);
        v = v << take | bits;
        b->left -= take;
        count -= take;
    }
    return b->bad ? 0 : (uint32_t)v;
}

uint32_t td_h264_bits_ue(struct td_h264_bits *b)
{
    unsigned zeros = 0;
    while (!b->bad && td_h264_bits_u(b, 1) == 0) {
        if (++zeros > UE_ZEROS_MAX)
            b->bad = true;
    }
    if (b->bad)
        return 0;
    uint32_t rest = td_h264_bits_u(b, zeros);
    return b->bad ? 0 : (uint32_t)(((uint64_t)1 << zeros) - 1u + rest);
}

int32_t td_h264_bits_se(struct td_h264_bits *b)
{
    /* Table 9-3: 1, 2, 3, 4 stand for 1, -1, 2, -2. */
    uint32_t code = td_h264_bits_ue(b);
    int64_t half = ((int64_t)code + 1) / 2;
    int64_t v = code % 2 == 1 ? half : -half;
    return (int32_t)v;
}

uint32_t td_h264_bits_ue_max(struct td_h264_bits *b, uint32_t max)
{
    uint32_t v = td_h264_bits_ue(b);
    if (v > max) {
        b->bad = true;
        return 0;
    }
    return v;
}
