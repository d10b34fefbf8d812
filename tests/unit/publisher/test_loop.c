/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real encoded loop, played, packetised, depacketised: the recorder gets what was encoded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/pattern.h"
#include "media/codec.h"
#include "publisher/packetize.h"
#include "publisher/pattern.h"
#include "rtp/packet.h"

struct receiver {
    struct td_depay *depay;
    struct td_packetizer packetizer;
    uint64_t frames;
};

static int receive(void *ctx, uint16_t seq, const uint8_t *bytes, size_t len)
{
    struct receiver *r = ctx;
    struct td_rtp_packet packet = {0};
    (void)seq;
    assert_int_equal(td_rtp_parse(bytes, len, &packet), 0);
    assert_int_equal(td_depay_push(r->depay, &packet), 0);
    return 0;
}

static void receiver_init(struct receiver *r, enum td_codec codec, bool option)
{
    struct td_packetize_config config = {.codec = codec, .stap_a = option, .tl0 = option};
    *r = (struct receiver){0};
    assert_int_equal(td_packetize_config_random(&config), 0);
    assert_int_equal(td_packetizer_init(&r->packetizer, &config), 0);
    assert_int_equal(td_depay_new(codec, NULL, &r->depay), 0);
}

static void pass(struct receiver *r, const struct td_pattern_due *due)
{
    const struct td_packet_sink sink = {.ctx = r, .packet = receive};
    struct td_frame out;
    assert_true(td_packetizer_frame(&r->packetizer, &due->frame, &sink) > 0);
    assert_int_equal(td_depay_pop(r->depay, &out), 1);
    assert_int_equal(out.key, due->frame.key);
    assert_int_equal(out.len, due->frame.len);
    assert_memory_equal(out.bytes, due->frame.bytes, out.len);
    assert_false(out.discontinuity);
    if (due->kind == TD_MEDIA_VIDEO && out.key) {
        assert_int_equal(out.width, 320);
        assert_int_equal(out.height, 240);
    }
    assert_int_equal(out.rtp_timestamp,
                     r->packetizer.config.first_timestamp + due->frame.rtp_timestamp);
    r->frames++;
}

static void test_through(void **state)
{
    static const enum td_codec codecs[] = {TD_CODEC_H264, TD_CODEC_VP8};
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct td_pattern_config config;
        struct td_pattern *loop = NULL;
        struct td_pattern_play play;
        struct td_pattern_due due;
        td_pattern_config_default(&config);
        config.video = codecs[c];
        config.width = 320;
        config.height = 240;
        config.seconds = 2;
        config.bitrate_bps = 800000; /* key frames of several packets */
        config.slices = 2;
        assert_int_equal(td_codec_pattern(&config, NULL, &loop), 0);
        for (int option = 0; option < 2; option++) {
            struct receiver video, audio;
            receiver_init(&video, codecs[c], option == 1);
            receiver_init(&audio, TD_CODEC_OPUS, false);
            td_pattern_play_init(&play, loop, 0);
            while (td_pattern_play_next(&play, 5 * INT64_C(1000000) - 1, &due) == 1)
                pass(due.kind == TD_MEDIA_VIDEO ? &video : &audio, &due);
            assert_int_equal(video.frames, 150);
            assert_int_equal(audio.frames, 250);
            (void)td_depay_free(video.depay);
            (void)td_depay_free(audio.depay);
        }
        (void)td_pattern_free(loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_through)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
