/* SPDX-License-Identifier: Apache-2.0 */
/* An output whose time stands still for a while, or whose disk is full for one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mux/ts_tail.h"
#include "recorder/layout.h"
#include "stage.h"

#define BUFFERS 32u
#define LEN 500u

static struct stage_tape tape;

static unsigned frames_of(enum td_codec codec)
{
    unsigned count = 0;
    for (unsigned i = 0; i < tape.count; i++)
        count += tape.frames[i].codec == codec;
    return count;
}

/* Sound every 20 ms, pictures every 40 ms, the first one a key frame. */
static void run(struct stage *s, enum td_codec video, int64_t from_ms, int64_t to_ms)
{
    for (int64_t ms = from_ms; ms < to_ms; ms += 20) {
        stage_audio(s, s->audio, ms);
        if (video != TD_CODEC_NONE && (ms - from_ms) % 40 == 0)
            stage_video(s, video, ms, ms == from_ms, 0, LEN);
        stage_tick(s, ms);
    }
}

/* No two frames of a kind are further apart than `step_us`, none is later than `end_us`. */
static void assert_continuous(enum td_codec codec, int64_t step_us, int64_t end_us)
{
    int64_t last_us = INT64_MIN;
    for (unsigned i = 0; i < tape.count; i++) {
        if (tape.frames[i].codec != codec)
            continue;
        int64_t pts_us = tape.frames[i].pts_us;
        if (last_us != INT64_MIN && (pts_us <= last_us || pts_us - last_us > step_us))
            fail_msg("%lld follows %lld", (long long)pts_us, (long long)last_us);
        last_us = pts_us;
    }
    assert_true(last_us != INT64_MIN && last_us <= end_us);
}

/* Ten seconds stood still between two of media: the file is as if they had not been. */
static void test_time_stands_still(void **state)
{
    (void)state;
    static const enum td_codec codecs[] = {TD_CODEC_H264, TD_CODEC_VP8};
    for (size_t i = 0; i < 2; i++) {
        struct stage s;
        stage_init(&s, BUFFERS, NULL, false, 0);
        run(&s, codecs[i], 0, 1000);
        stage_pause(&s, 1000);
        for (int64_t ms = 1000; ms < 11000; ms += 100)
            stage_tick(&s, ms);
        td_output_join(s.output);
        stage_resume(&s, 11000);
        run(&s, codecs[i], 11000, 12000);
        stage_finish(&s);
        assert_int_equal(s.part_count, 1);
        stage_read(&s, 0, &tape);
        assert_int_equal(frames_of(TD_CODEC_OPUS), 100);
        assert_int_equal(frames_of(codecs[i]), 50);
        assert_continuous(TD_CODEC_OPUS, 22000, 2000000);
        assert_continuous(codecs[i], 42000, 2000000);
        assert_true(tape.scan.duration_us < 2100000);
        assert_int_equal(stage_events(&s, TD_EVENT_DROP), 0);
        stage_done(&s);
    }
}

/* Nothing is written while time stands still, nor is the stop of time written down as time. */
static void test_paused_is_not_idle(void **state)
{
    (void)state;
    struct stage s;
    struct td_output_stats stats;
    stage_init(&s, BUFFERS, "ts", false, 0);
    run(&s, TD_CODEC_H264, 0, 1000);
    stage_pause(&s, 1000);
    td_output_stats(s.output, &stats);
    uint64_t bytes = stats.bytes;
    for (int64_t ms = 1000; ms < 61000; ms += 500)
        stage_tick(&s, ms);
    td_output_stats(s.output, &stats);
    assert_int_equal(stats.bytes, bytes);
    stage_resume(&s, 61000);
    /* Others have their join; our publisher takes another 3 s. */
    for (int64_t ms = 61000; ms < 64000; ms += 100)
        stage_tick(&s, ms);
    td_output_stats(s.output, &stats);
    assert_true(stats.bytes > bytes);
    run(&s, TD_CODEC_H264, 64000, 65000);
    stage_leave(&s);
    struct td_mux_tail tail;
    struct td_ts_tail clock;
    assert_int_equal(stage_tail(&s, &tail), 0);
    assert_int_equal(tail.newest_us, 4980000);
    memcpy(&clock, tail.state, sizeof(clock));
    assert_true(clock.newest_us <= 4980000); /* nor did the file's clock run ahead */
    stage_done(&s);
}

static void test_twice(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    for (int64_t i = 0; i < 5; i++) {
        run(&s, TD_CODEC_H264, i * 5000, i * 5000 + 600);
        stage_pause(&s, i * 5000 + 600);
        td_output_pause(s.output); /* harmless */
        stage_tick(&s, i * 5000 + 2000);
        td_output_join(s.output);
        stage_resume(&s, (i + 1) * 5000);
    }
    run(&s, TD_CODEC_H264, 25000, 25600);
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 180);
    assert_continuous(TD_CODEC_OPUS, 22000, 3600000);
    assert_continuous(TD_CODEC_H264, 42000, 3600000);
    stage_done(&s);
}

/* What is from before the pause is stored, however late it comes, pictures too. */
static void test_late_frames(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 1000);
    stage_pause(&s, 1080);
    stage_audio(&s, s.audio, 1000);
    stage_video(&s, TD_CODEC_H264, 1000, false, 0, LEN);
    stage_video(&s, TD_CODEC_H264, 1040, false, 0, LEN);
    stage_tick(&s, 2000);
    stage_resume(&s, 9080);
    stage_video(&s, TD_CODEC_H264, 9080, false, 0, LEN); /* no key frame: no picture */
    stage_video(&s, TD_CODEC_H264, 9120, true, 0, LEN);
    stage_finish(&s);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 51);
    assert_int_equal(frames_of(TD_CODEC_H264), 28);
    assert_continuous(TD_CODEC_H264, 82000, 1121000);
    assert_int_equal(stage_events(&s, TD_EVENT_DROP), 0);
    stage_done(&s);
}

/* Sound that came before the picture of the join: what is behind the join is kept. */
static void test_held_sound(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 1000);
    stage_pause(&s, 1000);
    td_output_join(s.output);
    for (int64_t ms = 5000; ms < 5400; ms += 20) {
        stage_hold(&s, s.audio, ms);
        stage_tick(&s, ms); /* it waits on */
    }
    struct td_output_stats stats;
    td_output_stats(s.output, &stats);
    assert_int_equal(stats.frames, 75);
    stage_resume(&s, 5200);
    run(&s, TD_CODEC_H264, 5400, 5600);
    stage_finish(&s);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 50 + 10 + 10);
    assert_continuous(TD_CODEC_OPUS, 22000, 1400000);
    assert_int_equal(stage_events(&s, TD_EVENT_DROP), 0); /* what was paused is not lost */
    stage_done(&s);
}

/* Paused before the file had begun: it begins then, with the sound that was there. */
static void test_paused_while_waiting(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_NONE, 0, 400);
    assert_int_equal(s.part_count, 0);
    stage_pause(&s, 400);
    stage_tick(&s, 5000);
    td_output_join(s.output);
    stage_resume(&s, 10000);
    run(&s, TD_CODEC_VP8, 10000, 10400);
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 40);
    assert_int_equal(frames_of(TD_CODEC_VP8), 10);
    assert_continuous(TD_CODEC_OPUS, 22000, 800000);
    stage_done(&s);
}

/* Paused before anything came at all. */
static void test_paused_before_the_first_frame(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    stage_pause(&s, 0);
    stage_tick(&s, 5000);
    td_output_join(s.output);
    stage_hold(&s, s.audio, 8000);
    stage_tick(&s, 9900);
    assert_int_equal(s.part_count, 0);
    stage_resume(&s, 10000);
    run(&s, TD_CODEC_H264, 10000, 10400);
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    assert_string_equal(s.parts[0].format, "ts");
    stage_read(&s, 0, &tape);
    assert_int_equal(s.zero_us, STAGE_START_US + 10000000);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 20);
    stage_done(&s);
}

static void test_stop_while_paused(void **state)
{
    (void)state;
    for (unsigned joining = 0; joining < 2; joining++) {
        struct stage s;
        stage_init(&s, BUFFERS, NULL, false, 0);
        run(&s, TD_CODEC_H264, 0, 1000);
        stage_pause(&s, 1000);
        if (joining == 1)
            td_output_join(s.output);
        stage_finish(&s);
        assert_int_equal(s.part_count, 1);
        assert_int_equal(s.parts[0].error, 0);
        stage_read(&s, 0, &tape);
        assert_int_equal(tape.count, 75);
        assert_int_equal(stage_events(&s, TD_EVENT_DROP), 0);
        stage_done(&s);
    }
}

static void test_audio_only(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, true, 0);
    run(&s, TD_CODEC_NONE, 0, 1500);
    stage_pause(&s, 1500);
    td_output_join(s.output);
    stage_resume(&s, 7500);
    run(&s, TD_CODEC_NONE, 7500, 8500);
    stage_finish(&s);
    stage_read(&s, 0, &tape);
    assert_int_equal(tape.count, 125);
    assert_continuous(TD_CODEC_OPUS, 22000, 2500000);
    stage_done(&s);
}

/* The disk had not taken all sound when time began to stand still, and takes it during that. */
static void test_slow_disk_at_a_pause(void **state)
{
    (void)state;
    for (unsigned recovers = 0; recovers < 2; recovers++) {
        struct stage s;
        struct td_output_stats stats;
        stage_init(&s, 2, NULL, true, 0);
        run(&s, TD_CODEC_NONE, 0, 1100);
        gate_shut(&s.f.gate);
        int64_t ms = 1100;
        uint64_t before = 0;
        do {
            td_output_stats(s.output, &stats);
            before = stats.frames;
            stage_audio(&s, s.audio, ms);
            stage_tick(&s, ms);
            td_output_stats(s.output, &stats);
            ms += 20;
        } while (stats.frames > before);
        stage_audio(&s, s.audio, ms);
        int64_t waiting = ms / 20 + 1 - (int64_t)stats.frames;
        assert_int_equal(waiting, 2);
        stage_pause(&s, ms + 20);
        if (recovers == 1) {
            gate_open(&s.f.gate);
            STAGE_TICK_UNTIL(&s, ms + 1000, stage_stats(&s).frames == (uint64_t)ms / 20 + 1);
        }
        /* Minutes later: what waited is old, and not the first of what waits now. */
        td_output_join(s.output);
        for (int64_t i = 0; i < 10; i++)
            stage_hold(&s, s.audio, 600000 + i * 20);
        assert_int_equal(stage_events(&s, TD_EVENT_BACKLOG), 0);
        stage_resume(&s, 600000);
        gate_open(&s.f.gate);
        uint64_t wanted = stage_stats(&s).frames + 10;
        STAGE_TICK_UNTIL(&s, 600200, stage_stats(&s).frames == wanted);
        stage_finish(&s);
        assert_int_equal(stage_events(&s, TD_EVENT_DROP), recovers == 1 ? 0 : 1);
        if (recovers == 0)
            assert_int_equal(stage_event(&s, TD_EVENT_DROP)->a, 2);
        stage_read(&s, 0, &tape);
        assert_int_equal(tape.count, ms / 20 + 1 + 10 - (recovers == 1 ? 0 : 2));
        assert_continuous(TD_CODEC_OPUS, 62000, ms * 1000 + 230000);
        stage_done(&s);
    }
}

/* ---- a full disk ---- */

/* The disk is full: the part ends there, and the next one begins when it is resumed. */
static void test_full_disk(void **state)
{
    (void)state;
    static const enum td_codec codecs[] = {TD_CODEC_H264, TD_CODEC_VP8};
    for (size_t i = 0; i < 2; i++) {
        struct stage s;
        struct td_output_stats stats;
        stage_init(&s, BUFFERS, NULL, false, 0);
        run(&s, codecs[i], 0, 1000);
        STAGE_TICK_UNTIL(&s, 1000, stage_stats(&s).written_bytes >= stage_stats(&s).bytes / 2);
        atomic_store(&s.f.gate.write_error, -ENOSPC);
        run(&s, codecs[i], 1000, 2000);
        stage_wait_failed(&s);
        stage_pause(&s, 2000);
        stage_tick(&s, 2010); /* nobody offers anything: it sees by itself */
        td_output_stats(s.output, &stats);
        assert_true(stats.ended);
        stage_wait_closed(&s);
        bool ts = codecs[i] == TD_CODEC_H264; /* what is cut is whole; Matroska's end needs room */
        assert_true(file_exists(ts ? s.parts[0].final : s.parts[0].growing));
        atomic_store(&s.f.gate.write_error, 0);
        td_output_join(s.output);
        stage_hold(&s, s.audio, 30000);
        stage_resume(&s, 30000);
        td_output_stats(s.output, &stats);
        assert_false(stats.ended);
        run(&s, codecs[i], 30020, 31000);
        stage_finish(&s);
        assert_int_equal(s.part_count, 2);
        assert_int_equal(s.parts[0].error, -ENOSPC);
        assert_int_equal(s.parts[1].error, 0);
        if (ts) {
            stage_read(&s, 0, &tape);
            assert_true(tape.count > 0);
            assert_true(tape.scan.duration_us <= 2020000);
        }
        stage_read(&s, 1, &tape);
        assert_int_equal(frames_of(TD_CODEC_OPUS), 50);
        assert_int_equal(frames_of(codecs[i]), 25);
        assert_true(tape.frames[0].pts_us >= 1999000 && tape.frames[0].pts_us <= 2021000);
        assert_continuous(TD_CODEC_OPUS, 22000, 3000000);
        assert_int_equal(stage_events(&s, TD_EVENT_FAILED), 0);
        stage_done(&s);
    }
}

/* It is full before a byte of the file is there, and the one after it too. */
static void test_full_from_the_start(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, true, 0);
    atomic_store(&s.f.gate.write_error, -ENOSPC);
    for (int64_t i = 0; i < 3; i++) {
        run(&s, TD_CODEC_NONE, i * 10000, i * 10000 + 1500);
        /* The writer meets it at its first write. */
        STAGE_TICK_UNTIL(&s, i * 10000 + 2500, stage_stats(&s).ended);
        stage_pause(&s, i * 10000 + 2500);
        td_output_join(s.output);
        stage_resume(&s, (i + 1) * 10000);
    }
    atomic_store(&s.f.gate.write_error, 0);
    run(&s, TD_CODEC_NONE, 30000, 31500);
    stage_finish(&s);
    assert_int_equal(s.part_count, 4);
    assert_string_equal(td_layout_name(s.parts[3].final), "out.p4.mkv");
    assert_int_equal(s.parts[3].error, 0);
    stage_read(&s, 3, &tape);
    assert_int_equal(tape.count, 75);
    stage_done(&s);
}

/* What a part that failed holds does not stand in the way of knowing what is written. */
static void test_numbers_of_a_failed_part(void **state)
{
    (void)state;
    struct stage s;
    struct td_output_stats stats;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 1000);
    td_output_stats(s.output, &stats);
    assert_int_equal(stats.part_bytes, stats.bytes);
    atomic_store(&s.f.gate.write_error, -ENOSPC);
    run(&s, TD_CODEC_H264, 1000, 2000);
    stage_wait_failed(&s);
    stage_tick(&s, 2010);
    td_output_stats(s.output, &stats);
    assert_true(stats.ended);
    assert_int_equal(stats.part_bytes, 0);
    assert_int_equal(stats.written_bytes, stats.bytes);
    assert_int_equal(stats.synced_bytes, stats.bytes);
    stage_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_stands_still),
        cmocka_unit_test(test_paused_is_not_idle),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_late_frames),
        cmocka_unit_test(test_held_sound),
        cmocka_unit_test(test_paused_while_waiting),
        cmocka_unit_test(test_paused_before_the_first_frame),
        cmocka_unit_test(test_stop_while_paused),
        cmocka_unit_test(test_audio_only),
        cmocka_unit_test(test_slow_disk_at_a_pause),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_full_from_the_start),
        cmocka_unit_test(test_numbers_of_a_failed_part),
    };
    return cmocka_run_group_tests_name("recorder/pause", tests, NULL, NULL);
}
