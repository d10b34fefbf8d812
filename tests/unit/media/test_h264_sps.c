/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "media/h264_bits.h"
#include "media/h264_sps.h"

struct real { /* written by x264, and LiveKit's blank frame */
    const char *hex;
    uint8_t profile;
    uint8_t level;
    uint8_t chroma;
    uint8_t depth;
    uint16_t width;
    uint16_t height;
    uint8_t id;
};

static const struct real reals[] = {
    {"6742c01fd9005005bb0110000003001000000300a0f1832480", 66, 31, 1, 8, 1280, 720, 0},
    {"674d4028eca03c0113f2e022000003000200000300141e30632c", 77, 40, 1, 8, 1920, 1080, 0},
    {"67640028acd94078044fde022000000300200000030143e2c5b2c0", 100, 40, 1, 8, 1920, 1080, 0},
    {"67f4000c919b282a33c7c5e022000003000200000300141e28532c", 244, 12, 3, 8, 322, 182, 0},
    {"677a0016b6cd940a02ff89c044000003000400000300283c58b658", 122, 22, 2, 10, 640, 360, 0},
    {"67640016acd940d83de6f0110000030001000003000a0f162d96", 100, 22, 1, 8, 854, 480, 0},
    {"6742c00ad91ec044000003000400000300283c489920", 66, 10, 1, 8, 16, 16, 0},
    {"67640033acd9403c0043ec044000000300400000030283c60c6580", 100, 51, 1, 8, 3840, 2160, 0},
    {"6742c01f0fd91f888884000003000400000300c83c60c920", 66, 31, 1, 8, 2, 2, 30},
};

static void test_real_ones(void **state)
{
    (void)state;
    static uint8_t bytes[RIG_BYTES_MAX];
    for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        const struct real *real = &reals[i];
        size_t len = rig_hex(real->hex, bytes);
        struct td_h264_sps sps;
        assert_int_equal(td_h264_sps_parse(bytes, len, &sps), 0);
        assert_int_equal(sps.profile, real->profile);
        assert_int_equal(sps.level, real->level);
        assert_int_equal(sps.compat, bytes[2]);
        assert_int_equal(sps.chroma_format, real->chroma);
        assert_int_equal(sps.bit_depth_luma, real->depth);
        assert_int_equal(sps.bit_depth_chroma, real->depth);
        assert_int_equal(sps.width, real->width);
        assert_int_equal(sps.height, real->height);
        assert_int_equal(sps.id, real->id);
    }
}

struct made { /* the fields of a synthetic SPS; 0 is the usual value */
    const char *name;
    uint32_t profile;
    uint32_t id;
    uint32_t chroma;
    bool separate_planes;
    uint32_t depth; /* minus 8 */
    int scaling;    /* 1: lists of deltas, 2: a delta out of range */
    uint32_t frame_num;
    uint32_t order_type;
    uint32_t order_cycle;
    uint32_t refs;
    uint32_t mb_width; /* minus 1 */
    uint32_t map_height;
    bool fields;
    uint32_t crop[4];
    int result;
    uint16_t width;
    uint16_t height;
};

static const struct made mades[] = {
    {.name = "one macroblock", .profile = 66, .width = 16, .height = 16},
    {.name = "largest",
     .profile = 66,
     .mb_width = 1023,
     .map_height = 1023,
     .width = 16384,
     .height = 16384},
    {.name = "too wide", .profile = 66, .mb_width = 1024, .result = -TD_E_PARSE},
    {.name = "too high", .profile = 66, .map_height = 1024, .result = -TD_E_PARSE},
    {.name = "too high by fields",
     .profile = 77,
     .map_height = 512,
     .fields = true,
     .result = -TD_E_PARSE},
    {.name = "fields",
     .profile = 77,
     .map_height = 511,
     .fields = true,
     .width = 16,
     .height = 16384},
    {.name = "widest number",
     .profile = 66,
     .mb_width = 4294967294u,
     .map_height = 4294967294u,
     .result = -TD_E_PARSE},
    {.name = "cropped to 2x2", .profile = 66, .crop = {7, 0, 0, 7}, .width = 2, .height = 2},
    {.name = "cropped to nothing", .profile = 66, .crop = {4, 4, 0, 0}, .result = -TD_E_PARSE},
    {.name = "cropped beyond",
     .profile = 66,
     .crop = {0, 0, 4294967294u, 4294967294u},
     .result = -TD_E_PARSE},
    {.name = "crop units of fields",
     .profile = 77,
     .fields = true,
     .map_height = 1,
     .crop = {0, 1, 1, 2},
     .width = 14,
     .height = 52},
    {.name = "4:2:2 crop",
     .profile = 122,
     .chroma = 2,
     .crop = {1, 1, 1, 1},
     .width = 12,
     .height = 14},
    {.name = "4:4:4 crop",
     .profile = 244,
     .chroma = 3,
     .crop = {1, 1, 1, 1},
     .width = 14,
     .height = 14},
    {.name = "separate planes",
     .profile = 244,
     .chroma = 3,
     .separate_planes = true,
     .crop = {1, 1, 1, 1},
     .width = 14,
     .height = 14},
    {.name = "monochrome",
     .profile = 100,
     .chroma = 0,
     .crop = {1, 1, 1, 1},
     .width = 14,
     .height = 14},
    {.name = "chroma format 4", .profile = 100, .chroma = 4, .result = -TD_E_PARSE},
    {.name = "bit depth 15", .profile = 110, .chroma = 1, .depth = 7, .result = -TD_E_PARSE},
    {.name = "bit depth 14", .profile = 110, .chroma = 1, .depth = 6, .width = 16, .height = 16},
    {.name = "scaling lists", .profile = 100, .chroma = 1, .scaling = 1, .width = 16, .height = 16},
    {.name = "twelve scaling lists",
     .profile = 244,
     .chroma = 3,
     .scaling = 1,
     .width = 16,
     .height = 16},
    {.name = "scaling out of range",
     .profile = 100,
     .chroma = 1,
     .scaling = 2,
     .result = -TD_E_PARSE},
    {.name = "id 31", .profile = 66, .id = 31, .width = 16, .height = 16},
    {.name = "id 32", .profile = 66, .id = 32, .result = -TD_E_PARSE},
    {.name = "frame number of 17 bits", .profile = 66, .frame_num = 13, .result = -TD_E_PARSE},
    {.name = "order by cycle",
     .profile = 66,
     .order_type = 1,
     .order_cycle = 255,
     .width = 16,
     .height = 16},
    {.name = "cycle too long",
     .profile = 66,
     .order_type = 1,
     .order_cycle = 256,
     .result = -TD_E_PARSE},
    {.name = "order type 2", .profile = 66, .order_type = 2, .width = 16, .height = 16},
    {.name = "order type 3", .profile = 66, .order_type = 3, .result = -TD_E_PARSE},
    {.name = "17 reference frames", .profile = 66, .refs = 17, .result = -TD_E_PARSE},
};

static void write_high(struct rig_bits *b, const struct made *m)
{
    rig_ue(b, m->chroma);
    if (m->chroma == 3)
        rig_u(b, 1, m->separate_planes);
    rig_ue(b, m->depth);
    rig_ue(b, m->depth);
    rig_u(b, 1, 0);
    rig_u(b, 1, m->scaling != 0);
    for (unsigned list = 0; m->scaling != 0 && list < (m->chroma == 3 ? 12 : 8); list++) {
        rig_u(b, 1, list != 1);
        if (list == 0) {
            for (int i = 0; i < 16; i++)
                rig_se(b, m->scaling == 2 ? 128 : 1);
        } else if (list != 1) {
            rig_se(b, -8); /* next scale 0: the list ends here */
        }
    }
}

static size_t write_made(const struct made *m, uint8_t ret_bytes[static RIG_BYTES_MAX])
{
    struct rig_bits b = {.bit_count = 0};
    rig_u(&b, 8, m->profile);
    rig_u(&b, 8, 0);
    rig_u(&b, 8, 40);
    rig_ue(&b, m->id);
    if (m->profile >= 100)
        write_high(&b, m);
    rig_ue(&b, m->frame_num);
    rig_ue(&b, m->order_type);
    if (m->order_type == 0)
        rig_ue(&b, 4);
    if (m->order_type == 1) {
        rig_u(&b, 1, 0);
        rig_se(&b, -1);
        rig_se(&b, 1);
        rig_ue(&b, m->order_cycle);
        for (uint32_t i = 0; i < m->order_cycle; i++)
            rig_se(&b, i % 2 == 0 ? 2 : -2);
    }
    rig_ue(&b, m->refs);
    rig_u(&b, 1, 0);
    rig_ue(&b, m->mb_width);
    rig_ue(&b, m->map_height);
    rig_u(&b, 1, !m->fields);
    if (m->fields)
        rig_u(&b, 1, 0);
    rig_u(&b, 1, 1);
    bool cropped = m->crop[0] || m->crop[1] || m->crop[2] || m->crop[3];
    rig_u(&b, 1, cropped);
    for (unsigned i = 0; cropped && i < 4; i++)
        rig_ue(&b, m->crop[i]);
    rig_u(&b, 1, 0);
    return rig_nal(&b, 0x67, ret_bytes);
}

static void test_made_ones(void **state)
{
    (void)state;
    static uint8_t bytes[RIG_BYTES_MAX];
    for (size_t i = 0; i < sizeof(mades) / sizeof(mades[0]); i++) {
        const struct made *m = &mades[i];
        size_t len = write_made(m, bytes);
        struct td_h264_sps sps = {.width = 1};
        int r = td_h264_sps_parse(bytes, len, &sps);
        if (r != m->result)
            fail_msg("%s: answered %d", m->name, r);
        if (r == 0 && (sps.width != m->width || sps.height != m->height || sps.id != m->id))
            fail_msg("%s: %ux%u id %u", m->name, sps.width, sps.height, sps.id);
        if (r < 0)
            assert_int_equal(sps.width, 1); /* untouched */
    }
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    static uint8_t bytes[RIG_BYTES_MAX];
    size_t len = write_made(&mades[18], bytes);
    struct td_h264_sps sps;
    for (size_t i = 0; i < len; i++) {
        uint8_t *cut = malloc(i + 1);
        assert_non_null(cut);
        memcpy(cut, bytes, i);
        int r = td_h264_sps_parse(cut, i, &sps);
        assert_true(r == -TD_E_PARSE || i == len - 1); /* the last byte is VUI flag and stop bit */
        free(cut);
    }
    bytes[0] = 0x68;
    assert_int_equal(td_h264_sps_parse(bytes, len, &sps), -TD_E_PARSE);
}

static void test_bits(void **state)
{
    (void)state;
    static const uint32_t values[] = {0, 1, 2, 3, 255, 65534, 65535, 1u << 30, 4294967294u};
    static uint8_t bytes[RIG_BYTES_MAX];
    struct rig_bits out = {.bit_count = 0};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        rig_ue(&out, values[i]);
    rig_se(&out, 7);
    rig_se(&out, -7);
    rig_u(&out, 32, 0);
    rig_u(&out, 32, 0xdeadbeefu);
    size_t len = rig_nal(&out, 0x67, bytes);
    struct td_h264_bits in;
    td_h264_bits_init(&in, bytes + 1, len - 1);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        assert_int_equal(td_h264_bits_ue(&in), values[i]);
    assert_int_equal(td_h264_bits_se(&in), 7);
    assert_int_equal(td_h264_bits_se(&in), -7);
    assert_int_equal(td_h264_bits_u(&in, 32), 0);
    assert_int_equal(td_h264_bits_u(&in, 32), 0xdeadbeefu);
    assert_false(in.bad);
    (void)td_h264_bits_u(&in, 32);
    assert_true(in.bad);
    static const uint8_t zeros[] = {0, 0, 3, 0, 0, 3, 0, 0xff, 0xff, 0xff, 0xff, 0xff};
    td_h264_bits_init(&in, zeros, sizeof(zeros));
    assert_int_equal(td_h264_bits_ue(&in), 0); /* 40 leading zeros */
    assert_true(in.bad);
    td_h264_bits_init(&in, NULL, 0);
    assert_int_equal(td_h264_bits_u(&in, 1), 0);
    assert_true(in.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_ones),
        cmocka_unit_test(test_made_ones),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
