/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/pattern.h"
#include "codec/protocol.h"

static uint8_t buffer[4096];

/* The message that a writer put, read as the other side would. */
static struct td_msg message_of(const struct td_writer *w, size_t payload_len)
{
    struct td_msg msg = {0};
    assert_false(w->bad);
    assert_int_equal(td_msg_parse_header(w->start, &msg.type, &msg.len), 0);
    assert_int_equal(td_writer_len(w) + payload_len, TD_MSG_HEADER_BYTES + msg.len);
    msg.body = w->start + TD_MSG_HEADER_BYTES;
    return msg;
}

static struct td_writer writer(void)
{
    struct td_writer w;
    memset(buffer, 0xee, sizeof(buffer));
    td_writer_init(&w, buffer, TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX);
    return w;
}

static void test_header(void **state)
{
    static const struct {
        uint8_t bytes[TD_MSG_HEADER_BYTES];
        int result;
    } rows[] = {
        {{0, 0, 0, 8, 0, 1, 0, 0}, 0},
        {{0, 0, 0, 8, 0, 3, 0, 0}, -TD_E_PARSE},
        {{0, 0, 0, 8, 0, 0, 0, 0}, -TD_E_PARSE},
        {{0, 0, 0, 8, 1, 1, 0, 0}, -TD_E_PARSE},
        {{0, 0, 0, 8, 0, 1, 0, 1}, -TD_E_PARSE},
        {{0, 0x40, 0, 0x80, 0, 33, 0, 0}, 0},
        {{0, 0x40, 0, 0x81, 0, 33, 0, 0}, -TD_E_LIMIT},
        {{0xff, 0xff, 0xff, 0xff, 0, 33, 0, 0}, -TD_E_LIMIT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum td_msg_type type;
        size_t len;
        assert_int_equal(td_msg_parse_header(rows[i].bytes, &type, &len), rows[i].result);
    }
}

static void test_hello(void **state)
{
    (void)state;
    struct td_writer w = writer();
    td_msg_write_hello(&w);
    struct td_msg msg = message_of(&w, 0);
    assert_int_equal(td_msg_read_hello(&msg), 0);
    buffer[TD_MSG_HEADER_BYTES + 5]++; /* version */
    assert_int_equal(td_msg_read_hello(&msg), -TD_E_UNSUPPORTED);
    buffer[TD_MSG_HEADER_BYTES]++; /* magic */
    assert_int_equal(td_msg_read_hello(&msg), -TD_E_PARSE);
}

static void test_error(void **state)
{
    (void)state;
    struct td_writer w = writer();
    struct td_fail fail = {0};
    char text[400];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    td_msg_write_error(&w, -TD_E_LIBRARY, text);
    struct td_msg msg = message_of(&w, 0);
    assert_int_equal(td_msg_read_error(&msg, &fail), 0);
    assert_int_equal(fail.code, -TD_E_LIBRARY);
    assert_int_equal(strlen(fail.text), TD_MSG_FIXED_MAX - 4);
    msg.len = 3;
    assert_int_equal(td_msg_read_error(&msg, &fail), -TD_E_PARSE);
}

static void test_pattern(void **state)
{
    (void)state;
    struct td_pattern_config config, back;
    td_pattern_config_default(&config);
    config.video = TD_CODEC_VP8;
    config.slices = 4;
    config.channels = 2;
    config.key_interval_ms = 500;
    struct td_writer w = writer();
    td_msg_write_pattern(&w, &config);
    struct td_msg msg = message_of(&w, 0);
    assert_int_equal(td_msg_read_pattern(&msg, &back), 0);
    assert_int_equal(back.video, config.video);
    assert_int_equal(back.width, 1280);
    assert_int_equal(back.height, 720);
    assert_int_equal(back.fps, 30);
    assert_int_equal(back.seconds, 10);
    assert_int_equal(back.bitrate_bps, config.bitrate_bps);
    assert_int_equal(back.key_interval_ms, 500);
    assert_int_equal(back.slices, 4);
    assert_int_equal(back.channels, 2);
    assert_int_equal(back.audio_bitrate_bps, config.audio_bitrate_bps);
    for (size_t len = 0; len < msg.len; len++) {
        struct td_msg cut = {msg.type, msg.body, len};
        assert_int_equal(td_msg_read_pattern(&cut, &back), -TD_E_PARSE);
    }
}

static void test_pattern_check(void **state)
{
    (void)state;
    struct td_pattern_config good;
    td_pattern_config_default(&good);
    assert_int_equal(td_pattern_config_check(&good), 0);
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct td_pattern_config c = good;                                                         \
        change;                                                                                    \
        assert_int_equal(td_pattern_config_check(&c), -TD_E_USAGE);                                \
    } while (0)
    REFUSED(c.width = 1281);
    REFUSED(c.width = 4098);
    REFUSED(c.height = 64);
    REFUSED(c.fps = 0);
    REFUSED(c.fps = 121);
    REFUSED(c.seconds = 0);
    REFUSED((c.fps = 120, c.seconds = 600));
    REFUSED(c.bitrate_bps = 0);
    REFUSED(c.bitrate_bps = UINT32_MAX);
    REFUSED(c.key_interval_ms = 0);
    REFUSED(c.slices = 0);
    REFUSED(c.slices = 9);
    REFUSED((c.video = TD_CODEC_VP8, c.slices = 3));
    REFUSED(c.video = TD_CODEC_OPUS);
    REFUSED(c.video = (enum td_codec)200);
    REFUSED(c.profile = (enum td_pattern_profile)2);
    REFUSED(c.channels = 3);
    REFUSED(c.audio_bitrate_bps = 1000);
    REFUSED((c.video = TD_CODEC_NONE, c.channels = 0));
#undef REFUSED
    struct td_pattern_config sound = good;
    sound.video = TD_CODEC_NONE;
    sound.width = 0;
    assert_int_equal(td_pattern_config_check(&sound), 0);
}

static void test_frames(void **state)
{
    (void)state;
    struct td_msg_frame frame = {.track = 3, .pts_us = -5, .key = true, .len = 10}, back;
    struct td_writer w = writer();
    td_msg_write_inspect_frame(&w, &frame);
    struct td_msg msg = message_of(&w, 10);
    assert_int_equal(td_msg_read_inspect_frame(&msg, &back), 0);
    assert_int_equal(back.track, 3);
    assert_int_equal(back.pts_us, -5);
    assert_true(back.key);
    assert_int_equal(back.len, 10);
    assert_int_equal(back.bytes[0], 0xee);
    msg.len -= 10; /* an empty payload is no frame */
    assert_int_equal(td_msg_read_inspect_frame(&msg, &back), -TD_E_PARSE);

    w = writer();
    frame.index = 70000;
    td_msg_write_pattern_frame(&w, TD_MSG_PATTERN_AUDIO, &frame);
    msg = message_of(&w, 10);
    assert_int_equal(td_msg_read_pattern_frame(&msg, &back), 0);
    assert_int_equal(back.index, 70000);

    w = writer();
    frame.len = TD_FRAME_BYTES_MAX + TD_MSG_FIXED_MAX;
    td_msg_write_pattern_frame(&w, TD_MSG_PATTERN_VIDEO, &frame);
    assert_true(w.bad);
}

static void test_results(void **state)
{
    (void)state;
    struct td_inspect_video video = {7,  1234567890123, TD_INSPECT_UNREADABLE, 200, true, true, 640,
                                     480};
    struct td_inspect_video video_back;
    struct td_writer w = writer();
    td_msg_write_inspect_video(&w, &video);
    struct td_msg msg = message_of(&w, 0);
    assert_int_equal(td_msg_read_inspect_video(&msg, &video_back), 0);
    assert_int_equal(video_back.track, 7);
    assert_int_equal(video_back.pts_us, video.pts_us);
    assert_int_equal(video_back.counter, TD_INSPECT_UNREADABLE);
    assert_int_equal(video_back.luminance, 200);
    assert_true(video_back.decoded && video_back.damaged);
    assert_int_equal(video_back.height, 480);
    msg.type = TD_MSG_INSPECT_BEEP;
    assert_int_equal(td_msg_read_inspect_video(&msg, &video_back), -TD_E_PARSE);

    struct td_inspect_track tracks[TD_INSPECT_TRACKS_MAX] = {{TD_CODEC_VP8, 0}, {TD_CODEC_OPUS, 2}};
    struct td_inspect_track tracks_back[TD_INSPECT_TRACKS_MAX];
    size_t count = 0;
    w = writer();
    td_msg_write_inspect_open(&w, tracks, 2);
    msg = message_of(&w, 0);
    assert_int_equal(td_msg_read_inspect_open(&msg, tracks_back, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(tracks_back[1].codec, TD_CODEC_OPUS);
    msg.len = 3;
    assert_int_equal(td_msg_read_inspect_open(&msg, tracks_back, &count), -TD_E_PARSE);
    buffer[TD_MSG_HEADER_BYTES] = 77; /* no codec of ours */
    msg.len = 4;
    assert_int_equal(td_msg_read_inspect_open(&msg, tracks_back, &count), -TD_E_PARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_error),         cmocka_unit_test(test_pattern),
        cmocka_unit_test(test_pattern_check), cmocka_unit_test(test_frames),
        cmocka_unit_test(test_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
