/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/skew.h"

enum { LOOP = 120, FPS = 30, FRAMES = 30 * 60, OFFSET_US = 5000000 };

static struct td_inspect_video video[FRAMES * 2];
static struct td_inspect_beep beeps[FRAMES];
static size_t video_count;
static size_t beep_count;

static int64_t frame_us(size_t n)
{
    return OFFSET_US + (int64_t)n * 1000000 / FPS;
}

static struct td_inspect_video good(size_t n)
{
    return (struct td_inspect_video){
        .pts_us = frame_us(n),
        .counter = (int32_t)(n % LOOP),
        .luminance = n % FPS < 3 ? 230 : 100,
        .decoded = true,
    };
}

/* A perfect file of `count` frames whose sound is late by `late_us`, from frame `first` on. */
static void make(size_t first, size_t count, int64_t late_us)
{
    video_count = count;
    beep_count = 0;
    for (size_t i = 0; i < count; i++) {
        video[i] = good(first + i);
        if ((first + i) % FPS == 0)
            beeps[beep_count++].pts_us = frame_us(first + i) + late_us;
    }
}

static struct td_skew_report compute(uint32_t loop, uint16_t fps)
{
    struct td_skew_config config = {.loop_frames = loop, .fps = fps};
    struct td_skew_report report;
    assert_int_equal(td_skew_compute(&config, video, video_count, beeps, beep_count, &report), 0);
    return report;
}

static void remove_frames(size_t at, size_t count)
{
    memmove(video + at, video + at + count, (video_count - at - count) * sizeof(video[0]));
    video_count -= count;
}

static void test_perfect(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        make(77, FRAMES, 1500);
        struct td_skew_report r = compute(known ? LOOP : 0, known ? FPS : 0);
        assert_int_equal(r.loop_frames, LOOP);
        assert_int_equal(r.fps, FPS);
        assert_int_equal(r.frames, FRAMES);
        assert_int_equal(r.readable, FRAMES);
        assert_int_equal(r.missing + r.duplicated + r.reordered + r.damaged, 0);
        assert_in_range(r.pts_error_us_max, 0, 1);
        assert_int_equal(r.flashes, 60);
        assert_int_equal(r.pairs, 60);
        assert_int_equal(r.first_us, 1500);
        assert_int_equal(r.median_us, 1500);
        assert_int_equal(r.p95_us, 1500);
        assert_int_equal(r.max_us, 1500);
    }
}

static void test_sign_and_rank(void **state)
{
    (void)state;
    make(0, FRAMES, -20000);
    beeps[0].pts_us += 25000;              /* +5 ms */
    beeps[beep_count - 1].pts_us -= 80000; /* -100 ms */
    struct td_skew_report r = compute(LOOP, FPS);
    assert_int_equal(r.first_us, 5000);
    assert_int_equal(r.last_us, -100000);
    assert_int_equal(r.median_us, -20000);
    assert_int_equal(r.p95_us, 20000);
    assert_int_equal(r.max_us, 100000);
}

static void test_missing(void **state)
{
    (void)state;
    make(0, FRAMES, 0);
    remove_frames(1000, 1);
    remove_frames(500, 7);
    remove_frames(119, 1); /* the last of a loop */
    struct td_skew_report r = compute(0, 0);
    assert_int_equal(r.loop_frames, LOOP);
    assert_int_equal(r.missing, 9);
    assert_int_equal(r.missing_longest, 7);
    assert_int_equal(r.duplicated, 0);
    assert_int_equal(r.reordered, 0);
    assert_in_range(r.pts_error_us_max, 0, 1);
}

/* A hole longer than the loop is seen by its pts. */
static void test_long_hole(void **state)
{
    (void)state;
    make(0, FRAMES, 0);
    remove_frames(300, 5 * LOOP + 3);
    struct td_skew_report r = compute(LOOP, FPS);
    assert_int_equal(r.missing, 5 * LOOP + 3);
    assert_int_equal(r.missing_longest, 5 * LOOP + 3);
}

/* The first frame of a flash is lost: the second one must not be taken for it. */
static void test_lost_flash(void **state)
{
    (void)state;
    make(0, FRAMES, 0);
    remove_frames(30, 1);
    struct td_skew_report r = compute(LOOP, FPS);
    assert_int_equal(r.flashes, 59);
    assert_int_equal(r.pairs, 59);
    assert_int_equal(r.max_us, 0);
}

static void test_lost_beep(void **state)
{
    (void)state;
    make(0, FRAMES, 3000);
    memmove(beeps + 4, beeps + 5, (beep_count - 5) * sizeof(beeps[0]));
    beep_count--;
    struct td_skew_report r = compute(LOOP, FPS);
    assert_int_equal(r.beeps, 59);
    assert_int_equal(r.pairs, 59);
    assert_int_equal(r.max_us, 3000);
}

static void test_order(void **state)
{
    (void)state;
    make(0, FRAMES, 0);
    struct td_inspect_video swap = video[40];
    video[40] = video[41];
    video[41] = swap;
    memmove(video + 200, video + 199, (video_count - 199) * sizeof(video[0]));
    video_count++; /* frame 199 twice */
    struct td_skew_report r = compute(LOOP, FPS);
    assert_int_equal(r.reordered, 1);
    assert_int_equal(r.duplicated, 1);
    assert_int_equal(r.missing, 0);
}

/* Unreadable frames fill their place; frames without a picture are damaged. */
static void test_unreadable(void **state)
{
    (void)state;
    make(0, FRAMES, 0);
    for (size_t i = 0; i < 5; i++)
        video[i].counter = TD_INSPECT_UNREADABLE;
    video[700].counter = TD_INSPECT_UNREADABLE;
    video[700].decoded = false;
    video[701].damaged = true;
    struct td_skew_report r = compute(LOOP, FPS);
    assert_int_equal(r.readable, FRAMES - 6);
    assert_int_equal(r.damaged, 2);
    assert_int_equal(r.missing, 0);
    assert_int_equal(r.duplicated, 0);
    assert_int_equal(r.flashes, 59);
}

/* A stretched time line shows as such and not as lost frames: 0.1 s within a minute. */
static void test_drift(void **state)
{
    (void)state;
    make(0, FRAMES, 0);
    for (size_t i = 0; i < video_count; i++)
        video[i].pts_us += (int64_t)i * 100000 / FRAMES;
    struct td_skew_report r = compute(LOOP, FPS);
    assert_int_equal(r.missing, 0);
    assert_in_range(r.pts_error_us_max, 49000, 51000);
    assert_in_range(r.max_us, 95000, 100000);
}

static void test_milliseconds(void **state)
{
    (void)state;
    make(0, FRAMES, 0);
    for (size_t i = 0; i < video_count; i++)
        video[i].pts_us = (video[i].pts_us + 500) / 1000 * 1000;
    struct td_skew_report r = compute(0, 0);
    assert_int_equal(r.fps, FPS);
    assert_int_equal(r.loop_frames, LOOP);
    assert_int_equal(r.missing, 0);
    assert_in_range(r.max_us, 0, 500);
}

static void test_nothing(void **state)
{
    (void)state;
    video_count = 0;
    beep_count = 0;
    struct td_skew_report r = compute(0, 0);
    assert_int_equal(r.frames + r.missing + r.pairs + r.flashes, 0);
    make(0, 1, 0);
    r = compute(0, 0);
    assert_int_equal(r.pairs, 1);
    make(0, 50, 0);
    for (size_t i = 0; i < video_count; i++)
        video[i].counter = TD_INSPECT_UNREADABLE;
    r = compute(0, 0);
    assert_int_equal(r.readable + r.pairs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_perfect),    cmocka_unit_test(test_sign_and_rank),
        cmocka_unit_test(test_missing),    cmocka_unit_test(test_long_hole),
        cmocka_unit_test(test_lost_flash), cmocka_unit_test(test_lost_beep),
        cmocka_unit_test(test_order),      cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_drift),      cmocka_unit_test(test_milliseconds),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
