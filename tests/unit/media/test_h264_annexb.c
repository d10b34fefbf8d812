/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "media/h264_annexb.h"

#define SC "00 00 00 01 "
#define SPS "6742c01fd9005005bb0110000003001000000300a0f1832480 "
#define SPS_HIGH "67640028acd94078044fde022000000300200000030143e2c5b2c0 "
#define SPS_BAD "6742c01f 00 80 "
#define PPS "68cb83cb20 "
#define PPS1 "6856aa80 "
#define IDR "65 8880 1122 "

struct walk {
    const char *hex;
    const char *units[4];
};

static const struct walk walks[] = {
    {"", {NULL}},
    {"00", {NULL}},
    {"00 00 01", {NULL}},
    {"00 00 00 01", {NULL}},
    {"00 00 01 65", {"65"}},
    {SC "65 88 " SC "41 9a", {"65 88", "41 9a"}},
    {"00 00 01 65 88 00 00 01 41 9a", {"65 88", "41 9a"}},
    {"ff 01 00 01 " SC "65 88", {"65 88"}},             /* rubbish in front */
    {SC SC "65 00 00 00 " SC SC "41 00", {"65", "41"}}, /* empty units, trailing zeros */
    {SC "65 00 00 03 01 01 01 00 01 02", {"65 00 00 03 01 01 01 00 01 02"}},
    {SC "09 f0 " SC "06 01 " SC "65 88 " SC "01", {"09 f0", "06 01", "65 88", "01"}},
};

static void test_walk(void **state)
{
    (void)state;
    static uint8_t bytes[RIG_BYTES_MAX];
    static uint8_t unit[RIG_BYTES_MAX];
    for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
        size_t len = rig_hex(walks[i].hex, bytes);
        uint8_t *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact, bytes, len);
        size_t offset = 0;
        struct td_h264_nal nal;
        for (size_t k = 0; k < 4 && walks[i].units[k]; k++) {
            size_t unit_len = rig_hex(walks[i].units[k], unit);
            assert_int_equal(td_h264_next_nal(exact, len, &offset, &nal), 1);
            assert_int_equal(nal.len, unit_len);
            assert_memory_equal(nal.bytes, unit, unit_len);
            assert_int_equal(nal.type, unit[0] & 0x1f);
        }
        assert_int_equal(td_h264_next_nal(exact, len, &offset, &nal), 0);
        assert_int_equal(td_h264_next_nal(exact, len, &offset, &nal), 0); /* and stays there */
        free(exact);
    }
}

static void test_escaped(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x67, 0, 0, 3, 0, 0, 3, 1, 0, 0};
    assert_true(td_h264_nal_is_escaped(bytes, sizeof(bytes)));
    for (uint8_t v = 0; v < 3; v++) {
        const uint8_t bad[] = {0x67, 0, 0, v};
        assert_false(td_h264_nal_is_escaped(bad, sizeof(bad)));
    }
}

struct box {
    const char *frame;
    const char *avcc; /* NULL: refused */
};

static const struct box boxes[] = {
    {SC SPS SC PPS SC IDR, "01 42 c0 1f ff e1 0019 " SPS "01 0005 " PPS},
    {SC PPS SC SPS SC PPS1 SC IDR, "01 42 c0 1f ff e1 0019 " SPS "02 0005 " PPS "0004 " PPS1},
    {SC SPS_HIGH SC PPS SC IDR, "01 64 00 28 ff e1 001b " SPS_HIGH "01 0005 " PPS "fd f8 f8 00"},
    {SC SPS_BAD SC SPS SC PPS SC IDR, "01 42 c0 1f ff e1 0019 " SPS "01 0005 " PPS},
    {SC SPS SC PPS SC IDR SC SPS SC PPS, "01 42 c0 1f ff e1 0019 " SPS "01 0005 " PPS},
    {SC SPS SC IDR SC PPS, NULL},
    {SC PPS SC IDR SC SPS, NULL},
    {SC SPS_BAD SC PPS SC IDR, NULL},
    {"", NULL},
};

static void test_avcc(void **state)
{
    (void)state;
    static uint8_t frame[RIG_BYTES_MAX];
    static uint8_t want[RIG_BYTES_MAX];
    uint8_t got[TD_H264_AVCC_BYTES_MAX];
    for (size_t i = 0; i < sizeof(boxes) / sizeof(boxes[0]); i++) {
        size_t len = rig_hex(boxes[i].frame, frame);
        int r = td_h264_avcc(frame, len, got, sizeof(got));
        if (!boxes[i].avcc) {
            assert_int_equal(r, -TD_E_PARSE);
            continue;
        }
        size_t want_len = rig_hex(boxes[i].avcc, want);
        assert_int_equal(r, want_len);
        assert_memory_equal(got, want, want_len);
        for (size_t room = 0; room < want_len; room++) {
            uint8_t *small = malloc(room + 1);
            assert_non_null(small);
            assert_int_equal(td_h264_avcc(frame, len, small, room), -TD_E_LIMIT);
            free(small);
        }
    }
}

static void test_avcc_counts_are_bounded(void **state)
{
    (void)state;
    static uint8_t one[RIG_BYTES_MAX];
    static uint8_t frame[RIG_BYTES_MAX * 4];
    uint8_t got[TD_H264_AVCC_BYTES_MAX];
    for (unsigned count = 31; count <= 32; count++) {
        size_t len = 0;
        size_t part = rig_hex(SC SPS, one);
        for (unsigned i = 0; i < count; i++, len += part)
            memcpy(frame + len, one, part);
        part = rig_hex(SC PPS SC IDR, one);
        memcpy(frame + len, one, part);
        len += part;
        int r = td_h264_avcc(frame, len, got, sizeof(got));
        if (count == 31) {
            assert_true(r > 0);
            assert_int_equal(got[5], 0xff);
        } else {
            assert_int_equal(r, -TD_E_LIMIT);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_escaped),
        cmocka_unit_test(test_avcc),
        cmocka_unit_test(test_avcc_counts_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
