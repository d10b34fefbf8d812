/* SPDX-License-Identifier: Apache-2.0 */
#include "media/h264_sps.h"

#include <assert.h>
#include <stdbool.h>

#include "media/h264_bits.h"

#define NAL_SPS 7u
#define MB_SIDE 16u

/* ISO 14496-10 section 7.3.2.1.1: the profiles whose SPS names chroma format and bit depths. */
static bool has_chroma_fields(uint8_t profile)
{
    static const uint8_t high[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
    for (size_t i = 0; i < sizeof(high); i++) {
        if (high[i] == profile)
            return true;
    }
    return false;
}

/* ISO 14496-10 section 7.3.2.1.1.1; the values are of no interest, only their length is. */
static void skip_scaling_list(struct td_h264_bits *b, unsigned size)
{
    int32_t last = 8;
    int32_t next = 8;
    for (unsigned i = 0; i < size && !b->bad; i++) {
        if (next != 0) {
            int32_t delta = td_h264_bits_se(b);
            if (delta < -128 || delta > 127) { /* section 7.4.2.1.1.1 */
                b->bad = true;
                return;
            }
            next = (last + delta + 256) % 256;
        }
        last = next == 0 ? last : next;
    }
}

static void read_chroma_fields(struct td_h264_bits *b, struct td_h264_sps *sps,
                               bool *ret_separate_planes)
{
    sps->chroma_format = (uint8_t)td_h264_bits_ue_max(b, 3);
    if (sps->chroma_format == 3)
        *ret_separate_planes = td_h264_bits_u(b, 1) != 0;
    sps->bit_depth_luma = (uint8_t)(8u + td_h264_bits_ue_max(b, 6));
    sps->bit_depth_chroma = (uint8_t)(8u + td_h264_bits_ue_max(b, 6));
    (void)td_h264_bits_u(b, 1);      /* qpprime_y_zero_transform_bypass_flag */
    if (td_h264_bits_u(b, 1) == 0) { /* seq_scaling_matrix_present_flag */
        return;
    }
    unsigned lists = sps->chroma_format == 3 ? 12 : 8;
    for (unsigned i = 0; i < lists && !b->bad; i++) {
        if (td_h264_bits_u(b, 1) != 0)
            skip_scaling_list(b, i < 6 ? 16 : 64);
    }
}

static void skip_picture_order(struct td_h264_bits *b)
{
    (void)td_h264_bits_ue_max(b, 12); /* log2_max_frame_num_minus4 */
    uint32_t type = td_h264_bits_ue_max(b, 2);
    if (type == 0) {
        (void)td_h264_bits_ue_max(b, 12); /* log2_max_pic_order_cnt_lsb_minus4 */
    } else if (type == 1) {
        (void)td_h264_bits_u(b, 1); /* delta_pic_order_always_zero_flag */
        (void)td_h264_bits_se(b);   /* offset_for_non_ref_pic */
        (void)td_h264_bits_se(b);   /* offset_for_top_to_bottom_field */
        uint32_t cycle = td_h264_bits_ue_max(b, 255);
        for (uint32_t i = 0; i < cycle && !b->bad; i++)
            (void)td_h264_bits_se(b);
    }
}

/* One cropped side in luma samples, or 0 when it is out of range. */
static uint16_t cropped_side(uint64_t macroblocks, uint64_t unit, uint64_t crop_a, uint64_t crop_b)
{
    uint64_t side = macroblocks * MB_SIDE;
    uint64_t crop = unit * (crop_a + crop_b);
    if (side > TD_H264_SIDE_MAX || crop >= side)
        return 0;
    return (uint16_t)(side - crop);
}

static void read_size(struct td_h264_bits *b, bool separate_planes, struct td_h264_sps *sps)
{
    uint64_t mb_width = (uint64_t)td_h264_bits_ue(b) + 1;
    uint64_t map_height = (uint64_t)td_h264_bits_ue(b) + 1;
    uint32_t frame_mbs_only = td_h264_bits_u(b, 1);
    if (frame_mbs_only == 0)
        (void)td_h264_bits_u(b, 1);  /* mb_adaptive_frame_field_flag */
    (void)td_h264_bits_u(b, 1);      /* direct_8x8_inference_flag */
    uint64_t crop[4] = {0, 0, 0, 0}; /* left, right, top, bottom */
    if (td_h264_bits_u(b, 1) != 0) {
        for (unsigned i = 0; i < 4; i++)
            crop[i] = td_h264_bits_ue(b);
    }
    /* Section 7.4.2.1.1, CropUnitX and CropUnitY by ChromaArrayType. */
    unsigned chroma = separate_planes ? 0 : sps->chroma_format;
    uint64_t field = 2u - frame_mbs_only;
    uint64_t unit_x = chroma == 1 || chroma == 2 ? 2 : 1;
    uint64_t unit_y = (chroma == 1 ? 2u : 1u) * field;
    sps->width = cropped_side(mb_width, unit_x, crop[0], crop[1]);
    sps->height = cropped_side(map_height * field, unit_y, crop[2], crop[3]);
}

int td_h264_sps_parse(const uint8_t *nal, size_t len, struct td_h264_sps *ret_sps)
{
    assert(ret_sps && (nal || len == 0));
    if (len < 4 || (nal[0] & 0x1f) != NAL_SPS)
        return -TD_E_PARSE;
    struct td_h264_sps sps = {.chroma_format = 1, .bit_depth_luma = 8, .bit_depth_chroma = 8};
    struct td_h264_bits b;
    td_h264_bits_init(&b, nal + 1, len - 1);
    sps.profile = (uint8_t)td_h264_bits_u(&b, 8);
    sps.compat = (uint8_t)td_h264_bits_u(&b, 8);
    sps.level = (uint8_t)td_h264_bits_u(&b, 8);
    sps.id = (uint8_t)td_h264_bits_ue_max(&b, 31);
    bool separate_planes = false;
    if (has_chroma_fields(sps.profile))
        read_chroma_fields(&b, &sps, &separate_planes);
    skip_picture_order(&b);
    (void)td_h264_bits_ue_max(&b, 16); /* max_num_ref_frames, at most MaxDpbFrames */
    (void)td_h264_bits_u(&b, 1);       /* gaps_in_frame_num_value_allowed_flag */
    read_size(&b, separate_planes, &sps);
    if (b.bad || sps.width == 0 || sps.height == 0)
        return -TD_E_PARSE;
    *ret_sps = sps;
    return 0;
}
