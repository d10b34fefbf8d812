/* SPDX-License-Identifier: Apache-2.0 */
#include "media/h264_annexb.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

#define NAL_TYPE 0x1fu
/* ISO 14496-15 section 5.3.3.1.2: five bits count the SPS, eight the PPS. */
#define AVCC_SPS_MAX 31u
#define AVCC_PPS_MAX 255u

/* Offset of the next 00 00 01 at or behind `from`, or `len`. The 01 is looked for, because zero
 * bytes are more frequent in coded slices. */
static size_t find_start_code(const uint8_t *bytes, size_t len, size_t from)
{
    size_t at = from + 2;
    while (at < len) {
        const uint8_t *one = memchr(bytes + at, 1, len - at);
        if (!one)
            break;
        at = (size_t)(one - bytes);
        if (one[-1] == 0 && one[-2] == 0)
            return at - 2;
        at++;
    }
    return len;
}

int td_h264_next_nal(const uint8_t *bytes, size_t len, size_t *offset, struct td_h264_nal *ret_nal)
{
    assert(offset && ret_nal && (bytes || len == 0));
    size_t code = *offset <= len ? find_start_code(bytes, len, *offset) : len;
    while (code < len) {
        size_t start = code + 3;
        size_t next = find_start_code(bytes, len, start);
        size_t end = next;
        while (end > start && bytes[end - 1] == 0) /* trailing_zero_8bits, and the fourth byte */
            end--;
        *offset = next;
        if (end > start) {
            *ret_nal = (struct td_h264_nal){
                .bytes = bytes + start,
                .len = end - start,
                .type = bytes[start] & NAL_TYPE,
            };
            return 1;
        }
        code = next;
    }
    *offset = len;
    return 0;
}

bool td_h264_nal_is_escaped(const uint8_t *nal, size_t len)
{
    unsigned zeros = 0;
    for (size_t i = 0; i < len; i++) {
        if (zeros >= 2 && nal[i] <= 2)
            return false;
        zeros = nal[i] == 0 ? zeros + 1 : 0;
    }
    return true;
}

/* The next SPS or PPS in front of the first slice. 1, or 0 when there are no more. */
static int next_set(const uint8_t *bytes, size_t len, size_t *offset, uint8_t type,
                    struct td_h264_nal *ret_nal)
{
    struct td_h264_nal nal;
    while (td_h264_next_nal(bytes, len, offset, &nal) == 1) {
        if (nal.type == TD_H264_NAL_SLICE || nal.type == TD_H264_NAL_IDR)
            return 0;
        struct td_h264_sps sps;
        if (nal.type != type || nal.len > UINT16_MAX)
            continue;
        if (type == TD_H264_NAL_SPS && td_h264_sps_parse(nal.bytes, nal.len, &sps) < 0)
            continue;
        *ret_nal = nal;
        return 1;
    }
    return 0;
}

int td_h264_frame_sps(const uint8_t *bytes, size_t len, struct td_h264_sps *ret_sps)
{
    struct td_h264_nal nal;
    size_t offset = 0;
    if (next_set(bytes, len, &offset, TD_H264_NAL_SPS, &nal) == 0)
        return -TD_E_PARSE;
    return td_h264_sps_parse(nal.bytes, nal.len, ret_sps);
}

/* The count byte and the sets of one type. 0 or negative. */
static int write_sets(struct td_writer *w, const uint8_t *bytes, size_t len, uint8_t type,
                      unsigned max, uint8_t count_mask)
{
    uint8_t *count_at = w->at;
    unsigned count = 0;
    struct td_h264_nal nal;
    size_t offset = 0;
    td_write_u8(w, 0);
    while (next_set(bytes, len, &offset, type, &nal) == 1) {
        if (count == max)
            return -TD_E_LIMIT;
        td_write_be16(w, (uint16_t)nal.len);
        td_write_bytes(w, nal.bytes, nal.len);
        count++;
    }
    if (w->bad)
        return -TD_E_LIMIT;
    if (count == 0)
        return -TD_E_PARSE;
    *count_at = (uint8_t)(count_mask | count);
    return 0;
}

/* The four bytes that Baseline, Main and Extended profile do not have. */
static bool has_high_fields(uint8_t profile)
{
    return profile != 66 && profile != 77 && profile != 88;
}

int td_h264_avcc(const uint8_t *bytes, size_t len, uint8_t *ret_avcc, size_t capacity)
{
    assert(ret_avcc);
    struct td_h264_sps sps;
    int r = td_h264_frame_sps(bytes, len, &sps);
    if (r < 0)
        return r;
    struct td_writer w;
    td_writer_init(&w, ret_avcc, capacity);
    td_write_u8(&w, 1); /* configurationVersion */
    td_write_u8(&w, sps.profile);
    td_write_u8(&w, sps.compat);
    td_write_u8(&w, sps.level);
    td_write_u8(&w, 0xfc | 3); /* lengthSizeMinusOne */
    r = write_sets(&w, bytes, len, TD_H264_NAL_SPS, AVCC_SPS_MAX, 0xe0);
    if (r < 0)
        return r;
    r = write_sets(&w, bytes, len, TD_H264_NAL_PPS, AVCC_PPS_MAX, 0);
    if (r < 0)
        return r;
    if (has_high_fields(sps.profile)) {
        td_write_u8(&w, (uint8_t)(0xfcu | sps.chroma_format));
        td_write_u8(&w, (uint8_t)(0xf8u | (sps.bit_depth_luma - 8u)));
        td_write_u8(&w, (uint8_t)(0xf8u | (sps.bit_depth_chroma - 8u)));
        td_write_u8(&w, 0); /* numOfSequenceParameterSetExt */
    }
    return w.bad ? -TD_E_LIMIT : (int)td_writer_len(&w);
}
