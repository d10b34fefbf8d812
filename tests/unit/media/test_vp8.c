/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "media/vp8.h"

/* A key frame header of 320x240 with a first partition of 2 bytes (RFC 6386 section 9.1), and the
 * header of a delta frame with a first partition of 1 byte. Bit 4 of the first byte: shown. */
#define KEY "50 00 00 9d 01 2a 40 01 f0 00 "
#define DELTA "31 00 00 "
/* LiveKit's blank frame. */
#define BLANK                                                                                      \
    "10 02 00 9d 01 2a 08 00 08 00 00 47 08 85 85 88 85 84 88 02 02 00 0c 0d 60 00 fe ff ab 50 80"

static const struct rig_script descriptors[] = {
    {
        .name = "no extension",
        .steps = {{"10 " KEY "aa bb", 1, true, 0}},
        .frames = {{KEY "aa bb", 1, true, 320, 240, 0}},
    },
    {
        .name = "short picture id",
        .steps = {{"90 80 7f " KEY "aa bb", 1, true, 0}},
        .frames = {{KEY "aa bb", 1, true, 320, 240, 0}},
    },
    {
        .name = "long picture id",
        .steps = {{"90 80 ff ff " KEY "aa bb", 1, true, 0}},
        .frames = {{KEY "aa bb", 1, true, 320, 240, 0}},
    },
    {
        .name = "everything: I, L, T and K",
        .steps = {{"90 f0 80 11 05 60 " DELTA "cc", 1, true, 0}},
        .frames = {{DELTA "cc", 1, false, 0, 0, 0}},
    },
    {
        .name = "T alone, K alone, L alone",
        .steps = {{"90 20 60 " DELTA "01", 1, true, 0},
                  {"90 10 60 " DELTA "02", 2, true, 0},
                  {"90 40 60 " DELTA "03", 3, true, 0}},
        .frames = {{DELTA "01", 1, false, 0, 0, 0},
                   {DELTA "02", 2, false, 0, 0, 0},
                   {DELTA "03", 3, false, 0, 0, 0}},
    },
    {
        .name = "extension byte without any field; reserved bits set",
        .steps = {{"90 00 " DELTA "01", 1, true, 0}, {"d8 0f " DELTA "02", 2, true, 0}},
        .frames = {{DELTA "01", 1, false, 0, 0, 0}, {DELTA "02", 2, false, 0, 0, 0}},
    },
    {
        .name = "descriptors that end too early, or carry nothing",
        .steps = {{"90", 1, true, -TD_E_PARSE},
                  {"90 80", 2, true, -TD_E_PARSE},
                  {"90 80 80", 3, true, -TD_E_PARSE},
                  {"90 f0 80 01 02", 4, true, -TD_E_PARSE},
                  {"10", 5, true, -TD_E_PARSE},
                  {"10 " DELTA "01", 6, true, 0}},
        .frames = {{DELTA "01", 6, false, 0, 0, 0}},
        .stats = {.malformed = 5},
    },
};

static const struct rig_script frames[] = {
    {
        .name = "fragments and partitions are put together",
        .steps = {{"10 " KEY "aa", 1, false, 0},
                  {"00 bb", 1, false, 0},
                  {"11 cc cc", 1, false, 0},
                  {"01 dd", 1, true, 0}},
        .frames = {{KEY "aa bb cc cc dd", 1, true, 320, 240, 0}},
    },
    {
        .name = "scale bits are no part of the size",
        .steps = {{"10 50 00 00 9d 01 2a 40 41 f0 c0 aa bb", 1, true, 0}},
        .frames = {{"50 00 00 9d 01 2a 40 41 f0 c0 aa bb", 1, true, 320, 240, 0}},
    },
    {
        .name = "no marker: the next timestamp ends the frame, and one packet can give two",
        .steps = {{"10 " DELTA "01", 1, false, 0},
                  {"00 02", 1, false, 0},
                  {"10 " DELTA "03", 2, true, 0},
                  {"10 " DELTA "04", 3, false, 0},
                  {"10 " DELTA "05", 4, false, 0},
                  {"00 06", 4, true, 0}},
        .frames = {{DELTA "01 02", 1, false, 0, 0, 0},
                   {DELTA "03", 2, false, 0, 0, 0},
                   {DELTA "04", 3, false, 0, 0, 0},
                   {DELTA "05 06", 4, false, 0, 0, 0}},
    },
    {
        .name = "two pictures of one timestamp are told apart",
        .steps = {{"90 80 01 " DELTA "01", 1, false, 0},
                  {"90 80 02 " DELTA "02", 1, true, 0},
                  {"10 " DELTA "03", 2, false, 0},
                  {"10 " DELTA "04", 2, true, 0}},
        .frames = {{DELTA "01", 1, false, 0, 0, 0},
                   {DELTA "02", 1, false, 0, 0, 0},
                   {DELTA "03", 2, false, 0, 0, 0},
                   {DELTA "04", 2, false, 0, 0, 0}},
    },
    {
        .name = "a frame that begins twice is dropped with its rest",
        .steps = {{"90 80 01 " DELTA "01", 1, false, 0},
                  {"90 80 01 " DELTA "02", 1, false, -TD_E_PARSE},
                  {"80 80 01 03", 1, true, 0},
                  {"90 80 02 " DELTA "04", 2, true, 0}},
        .frames = {{DELTA "04", 2, false, 0, 0, 0}},
        .stats = {.malformed = 1, .broken = 1},
    },
    {
        .name = "a hole drops the frame and its rest",
        .steps = {{"10 " KEY "aa bb", 1, false, 0},
                  {"hole", 0, false, 0},
                  {"00 cc", 1, false, 0},
                  {"00 dd", 1, true, 0},
                  {"10 " DELTA "01", 2, true, 0}},
        .frames = {{DELTA "01", 2, false, 0, 0, 0}},
        .stats = {.broken = 1},
    },
    {
        .name = "a hole over the end of one frame and the start of the next",
        .steps = {{"10 " KEY "aa bb", 1, false, 0},
                  {"hole", 0, false, 0},
                  {"00 cc", 2, false, 0},
                  {"11 dd", 2, true, 0},
                  {"10 " DELTA "01", 3, true, 0}},
        .frames = {{DELTA "01", 3, false, 0, 0, 0}},
        .stats = {.broken = 2},
    },
    {
        .name = "a hole between two frames costs nothing more",
        .steps = {{"10 " KEY "aa bb", 1, true, 0},
                  {"hole", 0, false, 0},
                  {"10 " DELTA "01", 3, true, 0}},
        .frames = {{KEY "aa bb", 1, true, 320, 240, 0}, {DELTA "01", 3, false, 0, 0, 0}},
    },
    {
        .name = "a beginning that never came, without a hole, is malformed",
        .steps = {{"00 01 02 03 04", 1, false, -TD_E_PARSE},
                  {"00 05", 1, true, 0},
                  {"10 " DELTA "01", 3, true, 0},
                  {"11 " DELTA "01", 4, true, -TD_E_PARSE}},
        .frames = {{DELTA "01", 3, false, 0, 0, 0}},
        .stats = {.malformed = 2, .broken = 2},
    },
    {
        .name = "frames that cannot be",
        .steps = {{"10 31 00", 1, true, -TD_E_PARSE},                               /* too short */
                  {"10 51 00 00 01", 2, true, -TD_E_PARSE},                         /* partition */
                  {"10 50 00 00 9d 01 2b 40 01 f0 00 aa bb", 3, true, -TD_E_PARSE}, /* start code */
                  {"10 50 00 00 9d 01 2a 00 c0 f0 00 aa bb", 4, true, -TD_E_PARSE}, /* 0 wide */
                  {"10 50 00 00 9d 01 2a 40 01 00 00 aa bb", 5, true, -TD_E_PARSE}, /* 0 high */
                  {"10 50 00 00 9d 01 2a 40 01", 6, true, -TD_E_PARSE},
                  {"10 " DELTA "01", 7, true, 0}},
        .frames = {{DELTA "01", 7, false, 0, 0, 0}},
        .stats = {.malformed = 6, .broken = 6},
    },
    {
        .name = "a bad frame ended by the next timestamp is not the next packet's fault",
        .steps = {{"10 51 00 00 01", 1, false, 0}, {"10 " DELTA "01", 2, true, 0}},
        .frames = {{DELTA "01", 2, false, 0, 0, 0}},
        .stats = {.broken = 1},
    },
    {
        .name = "the server's blank frames are left out",
        .steps = {{"10 " KEY "aa bb", 1, true, 0},
                  {"90 f0 80 01 02 60 " BLANK, 2, true, 0},
                  {"10 " BLANK, 3, true, 0},
                  {"10 " KEY "aa cc", 4, true, 0}},
        .frames = {{KEY "aa bb", 1, true, 320, 240, 0}, {KEY "aa cc", 4, true, 320, 240, 0}},
        .stats = {.blanks = 2},
    },
    {
        .name = "timestamps may wrap and go back",
        .steps = {{"10 " DELTA "01", 4294967295u, false, 0},
                  {"10 " DELTA "02", 0, false, 0},
                  {"10 " DELTA "03", 4294967294u, true, 0}},
        .frames = {{DELTA "01", 4294967295u, false, 0, 0, 0},
                   {DELTA "02", 0, false, 0, 0, 0},
                   {DELTA "03", 4294967294u, false, 0, 0, 0}},
    },
};

static void test_descriptors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
        rig_run(TD_CODEC_VP8, &descriptors[i]);
}

static void test_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
        rig_run(TD_CODEC_VP8, &frames[i]);
}

static void test_header_of_every_length(void **state)
{
    (void)state;
    static uint8_t bytes[RIG_BYTES_MAX];
    size_t len = rig_hex(KEY "aa bb", bytes);
    struct td_vp8_header header;
    for (size_t i = 0; i < len; i++)
        assert_int_equal(td_vp8_header(bytes, i, &header), -TD_E_PARSE);
    assert_int_equal(td_vp8_header(bytes, len, &header), 0);
    assert_true(header.key && header.shown && header.width == 320 && header.height == 240);
    len = rig_hex("21 00 00 cc", bytes); /* not shown */
    assert_int_equal(td_vp8_header(bytes, len, &header), 0);
    assert_true(!header.key && !header.shown && header.width == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_header_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
