/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "publisher/pattern.h"

enum { FPS = 30, SECONDS = 2, FRAMES = FPS * SECONDS, PACKETS = 50 * SECONDS };

static struct td_pattern_unit frames[FRAMES];
static struct td_pattern_unit packets[PACKETS];
static uint8_t bytes[FRAMES + PACKETS];

/* A loop of one-byte units whose byte is their index. */
static struct td_pattern loop_of(uint16_t fps)
{
    struct td_pattern loop = {
        .config =
            {.video = TD_CODEC_VP8, .fps = fps, .seconds = SECONDS, .width = 320, .height = 240},
        .frames = frames,
        .frame_count = (size_t)fps * SECONDS,
        .packets = packets,
        .packet_count = PACKETS,
        .bytes = {.data = bytes, .len = sizeof(bytes)},
    };
    for (size_t i = 0; i < FRAMES; i++) {
        frames[i] = (struct td_pattern_unit){.offset = i, .len = 1, .key = i % fps == 0};
        bytes[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < PACKETS; i++) {
        packets[i] = (struct td_pattern_unit){.offset = FRAMES + i, .len = 1, .key = true};
        bytes[FRAMES + i] = (uint8_t)i;
    }
    return loop;
}

/* Plays `hours` in steps that do not fit the frame times: each unit once, in order, in time. */
static void play(uint16_t fps, int64_t end_us)
{
    struct td_pattern loop = loop_of(fps);
    struct td_pattern_play p;
    struct td_pattern_due due;
    uint64_t next[2] = {0, 0};
    int64_t last_us = 0;
    const int64_t start_us = 123456789;
    td_pattern_play_init(&p, &loop, start_us);
    assert_int_equal(td_pattern_play_next(&p, start_us - 1, &due), 0);
    for (int64_t now_us = start_us; now_us < start_us + end_us; now_us += 7919) {
        while (td_pattern_play_next(&p, now_us, &due) == 1) {
            bool video = due.kind == TD_MEDIA_VIDEO;
            uint64_t n = next[video]++;
            uint64_t in_loop = n % (video ? loop.frame_count : loop.packet_count);
            assert_int_equal(due.index, n);
            assert_int_equal(due.media_us, video ? n * 1000000 / fps : n * 20000);
            assert_int_equal(due.frame.rtp_timestamp,
                             (uint32_t)(video ? n * 90000 / fps : n * 960));
            assert_int_equal(due.frame.pts_us, due.media_us);
            assert_int_equal(due.frame.codec, video ? TD_CODEC_VP8 : TD_CODEC_OPUS);
            assert_int_equal(due.frame.bytes[0], in_loop);
            assert_int_equal(due.counter, video ? in_loop : 0);
            assert_int_equal(due.frame.key, video ? in_loop % fps == 0 : 1);
            assert_true(due.media_us >= last_us);
            assert_true(start_us + due.media_us <= now_us);
            last_us = due.media_us;
        }
        assert_true(td_pattern_play_next_us(&p) > now_us);
    }
    assert_in_range(next[1], (uint64_t)(end_us * fps / 1000000) - 1, end_us * fps / 1000000 + 1);
    assert_in_range(next[0], (uint64_t)(end_us / 20000) - 1, end_us / 20000 + 1);
}

static void test_play(void **state)
{
    (void)state;
    play(30, 600 * INT64_C(1000000));
    play(7, 60 * INT64_C(1000000));
}

/* After 15 hours the 90 kHz timestamp has wrapped and nothing has drifted. */
static void test_wrap(void **state)
{
    (void)state;
    struct td_pattern loop = loop_of(FPS);
    struct td_pattern_play p;
    struct td_pattern_due due;
    const uint64_t n = 15 * 3600 * FPS;
    td_pattern_play_init(&p, &loop, 0);
    p.frame = n;
    p.packet = UINT64_C(15) * 3600 * 50 + 1;
    assert_int_equal(td_pattern_play_next_us(&p), 15 * INT64_C(3600000000));
    assert_int_equal(td_pattern_play_next(&p, INT64_MAX / 2, &due), 1);
    assert_int_equal(due.kind, TD_MEDIA_VIDEO);
    assert_int_equal(due.frame.rtp_timestamp, (uint32_t)(n * 3000));
    assert_int_equal(due.counter, n % FRAMES);
}

static void test_skip(void **state)
{
    (void)state;
    struct td_pattern loop = loop_of(FPS);
    struct td_pattern_play p;
    struct td_pattern_due due;
    td_pattern_play_init(&p, &loop, 1000);
    td_pattern_play_skip(&p, 0); /* before the start: nothing to leave out */
    assert_int_equal(p.skipped, 0);
    td_pattern_play_skip(&p, 1000 + 3333334);
    assert_int_equal(p.frame, 4 * FPS); /* the key frame at 4 s */
    assert_int_equal(p.packet, 167);    /* 3.34 s */
    assert_int_equal(p.skipped, 4 * FPS + 167);
    td_pattern_play_skip(&p, 1000 + 3333334);
    assert_int_equal(p.skipped, 4 * FPS + 167);
    assert_int_equal(td_pattern_play_next(&p, 1000 + 3333334, &due), 0);
    assert_int_equal(td_pattern_play_next(&p, 1000 + 3340000, &due), 1);
    assert_int_equal(due.media_us, 3340000);
}

static void test_one_kind(void **state)
{
    (void)state;
    struct td_pattern loop = loop_of(FPS);
    struct td_pattern_play p;
    struct td_pattern_due due;
    loop.packet_count = 0;
    td_pattern_play_init(&p, &loop, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(td_pattern_play_next(&p, 100000000, &due), 1);
        assert_int_equal(due.kind, TD_MEDIA_VIDEO);
    }
    loop.packet_count = PACKETS;
    loop.frame_count = 0;
    td_pattern_play_init(&p, &loop, 0);
    td_pattern_play_skip(&p, 1000000);
    assert_int_equal(td_pattern_play_next(&p, 1000000, &due), 1);
    assert_int_equal(due.kind, TD_MEDIA_AUDIO);
    assert_int_equal(due.index, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_play),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_one_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
