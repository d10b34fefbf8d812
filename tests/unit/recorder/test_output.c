/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/output.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/layout.h"
#include "stage.h"

#define BUFFERS 32u
#define MANY 256u /* buffers, for a test that runs faster than a disk */
#define LEN 500u

static struct stage_tape tape;

static unsigned frames_of(enum td_codec codec)
{
    unsigned count = 0;
    for (unsigned i = 0; i < tape.count; i++)
        count += tape.frames[i].codec == codec;
    return count;
}

/* Sound every 20 ms and ticks; `video` pictures every 40 ms, the first one a key frame. */
static void run(struct stage *s, enum td_codec video, int64_t from_ms, int64_t to_ms)
{
    for (int64_t ms = from_ms; ms < to_ms; ms += 20) {
        stage_audio(s, s->audio, ms);
        if (video != TD_CODEC_NONE && (ms - from_ms) % 40 == 0)
            stage_video(s, video, ms, ms == from_ms, 0, LEN);
        stage_tick(s, ms);
    }
}

static void test_starts_with_the_first_key_frame(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_NONE, 0, 300);
    stage_video(&s, TD_CODEC_H264, 290, false, 0, LEN); /* has no base */
    assert_int_equal(s.part_count, 0);
    run(&s, TD_CODEC_H264, 300, 1000);
    struct td_output_stats stats;
    td_output_stats(s.output, &stats);
    assert_true(stats.started);
    assert_int_equal(stats.parts, 1);
    assert_int_equal(stats.frames, 50 + 18);
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    assert_string_equal(td_layout_name(s.parts[0].final), "out.ts");
    assert_int_equal(s.parts[0].error, 0);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 50); /* sound from its first packet on */
    assert_int_equal(frames_of(TD_CODEC_H264), 18);
    assert_int_equal(s.zero_us, STAGE_START_US);
    assert_int_equal(stage_events(&s, TD_EVENT_FIRST_FRAME), 2);
    assert_int_equal(stage_events(&s, TD_EVENT_DROP), 0);
    stage_done(&s);
}

static void test_waits_a_second_for_video(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_NONE, 0, 1000);
    stage_hear(&s);
    assert_int_equal(s.part_count, 0);
    stage_tick(&s, 1000);
    stage_hear(&s);
    assert_int_equal(s.part_count, 1); /* with the sound alone */
    assert_string_equal(s.parts[0].format, "mkv");
    run(&s, TD_CODEC_H264, 2000, 3000); /* takes any video later */
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 100);
    assert_int_equal(frames_of(TD_CODEC_H264), 25);
    stage_done(&s);
}

static void test_muted_video_is_not_waited_for(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    td_output_mute(s.output, s.video, true);
    stage_audio(&s, s.audio, 0);
    stage_tick(&s, 5);
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    stage_done(&s);
}

static void test_one_unmuted_video_is_enough_to_wait(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    td_output_mute(s.output, s.video, true);
    struct td_track *second = stage_track(&s, 3, TD_MEDIA_VIDEO, false);
    stage_audio(&s, s.audio, 0);
    stage_tick(&s, 5);
    stage_hear(&s);
    assert_int_equal(s.part_count, 0);
    stage_finish(&s);
    (void)td_track_free(second);
    stage_done(&s);
}

/* Video may still be announced behind the audio. */
static void test_audio_alone(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, true, 0);
    run(&s, TD_CODEC_NONE, 0, 500);
    stage_hear(&s);
    assert_int_equal(s.part_count, 0);
    run(&s, TD_CODEC_NONE, 500, 1500);
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    assert_string_equal(td_layout_name(s.parts[0].final), "out.mkv");
    stage_read(&s, 0, &tape);
    assert_int_equal(tape.count, 75);
    stage_done(&s);
}

static void test_a_short_recording_keeps_its_sound(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_NONE, 0, 400); /* ended while video is still waited for */
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    stage_read(&s, 0, &tape);
    assert_int_equal(tape.count, 20);
    stage_done(&s);
}

static void test_vp8_becomes_mkv(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_VP8, 0, 400);
    stage_finish(&s);
    assert_string_equal(s.parts[0].format, "mkv");
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_VP8), 10);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 20);
    stage_done(&s);
}

static void test_ts_refuses_vp8(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, "ts", false, 0);
    stage_audio(&s, s.audio, 0);
    stage_video(&s, TD_CODEC_VP8, 10, true, 0, LEN);
    assert_int_equal(stage_events(&s, TD_EVENT_REFUSED), 1);
    const struct td_event *event = stage_event(&s, TD_EVENT_REFUSED);
    assert_int_equal(event->a, TD_CODEC_VP8);
    assert_int_equal(event->track, 2);
    stage_audio(&s, s.audio, 20);
    stage_tick(&s, 2000);
    struct td_output_stats stats;
    td_output_stats(s.output, &stats);
    assert_true(stats.ended);
    stage_finish(&s);
    assert_int_equal(s.part_count, 0);
    assert_int_equal(folder_count(s.f.disk), 0);
    stage_done(&s);
}

static void test_ts_refuses_late_vp8(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, "ts", true, 0);
    run(&s, TD_CODEC_NONE, 0, 2000);
    s.video = stage_track(&s, 2, TD_MEDIA_VIDEO, false);
    stage_video(&s, TD_CODEC_VP8, 2000, true, 0, LEN);
    assert_int_equal(stage_events(&s, TD_EVENT_REFUSED), 1);
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    stage_read(&s, 0, &tape); /* what was stored is there */
    assert_int_equal(tape.count, 100);
    stage_done(&s);
}

static void late_video(int64_t at_ms, unsigned parts)
{
    struct stage s;
    stage_init(&s, BUFFERS, "ts", true, 0);
    run(&s, TD_CODEC_NONE, 0, at_ms);
    s.video = stage_track(&s, 2, TD_MEDIA_VIDEO, false);
    run(&s, TD_CODEC_H264, at_ms, at_ms + 1000);
    stage_finish(&s);
    assert_int_equal(s.part_count, parts);
    assert_int_equal(stage_events(&s, TD_EVENT_CODEC), 0);
    unsigned audio = 0;
    unsigned video = 0;
    for (unsigned i = 0; i < parts; i++) {
        assert_int_equal(s.parts[i].error, 0);
        stage_read(&s, i, &tape);
        audio += frames_of(TD_CODEC_OPUS);
        video += frames_of(TD_CODEC_H264);
    }
    assert_int_equal(audio, (at_ms + 1000) / 20);
    assert_int_equal(video, 25);
    assert_string_equal(td_layout_name(s.parts[0].final), "out.ts");
    if (parts == 2)
        assert_string_equal(td_layout_name(s.parts[1].final), "out.p2.ts");
    stage_done(&s);
}

static void test_late_video_in_ts(void **state)
{
    (void)state;
    late_video(3000, 1);
    late_video(6000, 2);
}

/* Sound that needs another part does not change its container. */
static void test_late_sound_keeps_the_container(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 6000);
    struct td_track *second = stage_track(&s, 3, TD_MEDIA_AUDIO, false);
    stage_audio(&s, second, 6000);
    stage_video(&s, TD_CODEC_H264, 6020, true, 0, LEN);
    stage_finish(&s);
    assert_int_equal(s.part_count, 2);
    assert_string_equal(td_layout_name(s.parts[1].final), "out.p2.ts");
    stage_read(&s, 1, &tape);
    assert_int_equal(tape.scan.track_count, 2);
    (void)td_track_free(second);
    stage_done(&s);
}

static void test_resolution_stays_in_the_part(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 400);
    stage_video(&s, TD_CODEC_H264, 400, true, 1, LEN);
    stage_video(&s, TD_CODEC_H264, 440, false, 1, LEN);
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    assert_int_equal(stage_events(&s, TD_EVENT_RESOLUTION), 1);
    const struct td_event *event = stage_event(&s, TD_EVENT_RESOLUTION);
    assert_int_equal(event->a, 640);
    assert_int_equal(event->b, 360);
    stage_done(&s);
}

static void test_codec_change_begins_a_part(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 400);
    run(&s, TD_CODEC_VP8, 400, 800);
    stage_finish(&s);
    assert_int_equal(s.part_count, 2);
    const struct td_event *event = stage_event(&s, TD_EVENT_CODEC);
    assert_int_equal(event->a, TD_CODEC_H264);
    assert_int_equal(event->b, TD_CODEC_VP8);
    assert_string_equal(td_layout_name(s.parts[0].final), "out.ts");
    assert_string_equal(td_layout_name(s.parts[1].final), "out.p2.mkv");
    stage_read(&s, 0, &tape);
    unsigned audio = frames_of(TD_CODEC_OPUS);
    assert_int_equal(frames_of(TD_CODEC_H264), 10);
    stage_read(&s, 1, &tape);
    assert_int_equal(frames_of(TD_CODEC_VP8), 10);
    assert_int_equal(audio + frames_of(TD_CODEC_OPUS), 40);
    assert_true(tape.frames[0].pts_us >= 400000 - 1000); /* one time for all parts */
    stage_done(&s);
}

static void test_duration(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 500000);
    run(&s, TD_CODEC_H264, 100, 2000);
    assert_int_equal(stage_events(&s, TD_EVENT_DURATION), 1);
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 25); /* from the first stored frame on */
    stage_done(&s);
}

static void test_times_never_step_back(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    static const int64_t times_ms[] = {1000, 1000, 1000, 990, 1040, 500, 1080, 1080, 2000, 100};
    stage_video(&s, TD_CODEC_H264, 1000, true, 0, LEN);
    for (size_t i = 0; i < sizeof(times_ms) / sizeof(*times_ms); i++) {
        stage_audio(&s, s.audio, times_ms[i]);
        stage_video(&s, TD_CODEC_H264, times_ms[i], i == 5, 0, LEN);
    }
    stage_finish(&s);
    stage_read(&s, 0, &tape);
    assert_int_equal(tape.count, 21);
    int64_t last_us[2] = {-1, -1};
    for (unsigned i = 0; i < tape.count; i++) {
        bool audio = tape.frames[i].codec == TD_CODEC_OPUS;
        assert_true(tape.frames[i].pts_us > last_us[audio]);
        last_us[audio] = tape.frames[i].pts_us;
    }
    assert_true(last_us[0] < 1100000 && last_us[1] < 1100000); /* nor run away */
    stage_done(&s);
}

static void test_two_outputs_share_one_zero(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    s.zero_us = STAGE_START_US - 5000000; /* another output began 5 s before */
    run(&s, TD_CODEC_H264, 0, 200);
    stage_finish(&s);
    stage_read(&s, 0, &tape);
    for (unsigned i = 0; i < tape.count; i++)
        assert_true(tape.frames[i].pts_us >= 5000000 - 1000);
    stage_done(&s);
}

/* The disk stands still: pictures are dropped up to the next key frame, sound waits. */
static void test_full_spool(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, 4, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 100);
    gate_shut(&s.f.gate);
    int64_t ms = 100;
    struct td_output_stats stats;
    do { /* large pictures fill the pool */
        stage_audio(&s, s.audio, ms);
        stage_video(&s, TD_CODEC_H264, ms + 1, false, 0, 30000);
        stage_tick(&s, ms + 2);
        td_output_stats(s.output, &stats);
        ms += 20;
    } while (stats.dropped == 0);
    for (int64_t end_ms = ms + 2000; ms < end_ms; ms += 20)
        stage_audio(&s, s.audio, ms);
    stage_video(&s, TD_CODEC_H264, ms, true, 0, LEN); /* still no room: dropped too */
    td_output_stats(s.output, &stats);
    uint64_t dropped = stats.dropped;
    assert_true(dropped >= 2);
    assert_int_equal(stage_events(&s, TD_EVENT_DROP), 0); /* not over yet */
    uint64_t accepted = stats.bytes;
    gate_open(&s.f.gate);
    while (stats.written_bytes < accepted) {
        stage_tick(&s, ms + 500); /* old enough for the last buffer to be flushed too */
        td_output_stats(s.output, &stats);
    }
    stage_tick(&s, ms); /* writes what waited, without any new frame */
    stage_video(&s, TD_CODEC_H264, ms + 20, false, 0, LEN); /* no base: counted to the drop */
    stage_video(&s, TD_CODEC_H264, ms + 40, true, 0, LEN);
    stage_video(&s, TD_CODEC_H264, ms + 80, false, 0, LEN);
    stage_finish(&s);
    assert_int_equal(stage_events(&s, TD_EVENT_DROP), 1);
    assert_int_equal(stage_event(&s, TD_EVENT_DROP)->a, dropped + 1);
    assert_int_equal(stage_event(&s, TD_EVENT_DROP)->track, 2);
    assert_int_equal(s.part_count, 1);
    assert_int_equal(s.parts[0].error, 0);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), ms / 20); /* all of it, in order */
    int64_t last_us = -1;
    unsigned after = 0;
    for (unsigned i = 0; i < tape.count; i++) {
        if (tape.frames[i].codec == TD_CODEC_OPUS) {
            assert_true(tape.frames[i].pts_us > last_us);
            last_us = tape.frames[i].pts_us;
        } else if (tape.frames[i].pts_us > ms * 1000) {
            assert_true(after > 0 || tape.frames[i].key);
            after++;
        }
    }
    assert_int_equal(after, 2);
    stage_done(&s);
}

/* Sound waits for 30 s; then the output ends with what it has. */
static void test_disk_stands_still_for_good(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, 2, NULL, true, 0);
    run(&s, TD_CODEC_NONE, 0, 1100);
    gate_shut(&s.f.gate);
    int64_t ms = 1100;
    for (; stage_events(&s, TD_EVENT_BACKLOG) == 0; ms += 20) {
        assert_true(ms < 60000);
        stage_audio(&s, s.audio, ms);
        stage_tick(&s, ms);
    }
    assert_true(ms > 31000);
    struct td_output_stats stats;
    td_output_stats(s.output, &stats);
    assert_true(stats.ended);
    gate_open(&s.f.gate);
    stage_finish(&s);
    assert_int_equal(s.parts[0].error, 0);
    stage_read(&s, 0, &tape);
    assert_true(tape.count > 55);
    stage_done(&s);
}

/* What still waits when the recording ends is not lost silently. */
static void test_end_on_a_blocked_disk(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, 2, NULL, true, 0);
    run(&s, TD_CODEC_NONE, 0, 1100);
    gate_shut(&s.f.gate);
    struct td_output_stats stats;
    uint64_t before = 0;
    int64_t ms = 1100;
    do {
        td_output_stats(s.output, &stats);
        before = stats.frames;
        stage_audio(&s, s.audio, ms);
        stage_tick(&s, ms);
        td_output_stats(s.output, &stats);
        ms += 20;
    } while (stats.frames > before);
    stage_audio(&s, s.audio, ms);
    s.output = td_output_free(s.output, false);
    gate_open(&s.f.gate);
    stage_hear(&s);
    assert_int_equal(stage_events(&s, TD_EVENT_DROP), 1);
    assert_int_equal(stage_event(&s, TD_EVENT_DROP)->a, 2);
    assert_int_equal(stage_event(&s, TD_EVENT_DROP)->track, 1);
    stage_finish(&s);
    stage_done(&s);
}

static void test_eio_ends_it(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 200);
    atomic_store(&s.f.gate.write_error, -EIO);
    struct td_output_stats stats;
    int64_t ms = 200;
    do {
        stage_audio(&s, s.audio, ms);
        stage_tick(&s, ms);
        ms += 20;
        td_output_stats(s.output, &stats);
    } while (!stats.ended);
    stage_audio(&s, s.audio, ms); /* ignored */
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    assert_true(s.parts[0].failed);
    assert_int_equal(s.parts[0].error, -EIO);
    assert_int_equal(stage_events(&s, TD_EVENT_FAILED), 0); /* the store said it, with the path */
    assert_true(file_exists(s.parts[0].growing));           /* for recovery */
    stage_done(&s);
}

static void test_file_in_the_way(void **state)
{
    (void)state;
    struct stage s;
    char path[TD_PATH_MAX];
    stage_init(&s, BUFFERS, NULL, false, 0);
    file_write(fixture_path(&s.f, "out.recording.ts", path), "x", 1);
    run(&s, TD_CODEC_H264, 0, 200);
    stage_finish(&s);
    assert_int_equal(s.parts[0].error, -EEXIST);
    assert_content(path, "x", 1);
    stage_done(&s);
}

static void test_idle_keeps_the_file_alive(void **state)
{
    (void)state;
    static const char *const formats[] = {"ts", "mkv"};
    for (size_t i = 0; i < 2; i++) {
        struct stage s;
        stage_init(&s, BUFFERS, formats[i], false, 0);
        run(&s, TD_CODEC_H264, 0, 200);
        struct td_output_stats stats;
        uint64_t bytes = 0;
        for (int64_t ms = 1300; ms < 10000; ms += 1000) {
            stage_tick(&s, ms);
            stage_tick(&s, ms + 10); /* once a second */
            td_output_stats(s.output, &stats);
            assert_true(stats.bytes > bytes);
            bytes = stats.bytes;
            stage_tick(&s, ms + 20);
            td_output_stats(s.output, &stats);
            assert_int_equal(stats.bytes, bytes);
        }
        run(&s, TD_CODEC_H264, 10000, 10200);
        stage_finish(&s);
        stage_read(&s, 0, &tape);
        assert_int_equal(frames_of(TD_CODEC_OPUS), 20);
        assert_true(tape.frames[tape.count - 1].pts_us < 10300000);
        stage_done(&s);
    }
}

/* A start that finds no room must not take the machine's uptime for the time that passed. */
static void test_start_without_room(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, 2, "ts", false, 0);
    gate_shut(&s.f.gate);
    stage_video(&s, TD_CODEC_H264, 0, true, 0, 300000);
    stage_tick(&s, 10);
    gate_open(&s.f.gate);
    stage_video(&s, TD_CODEC_H264, 40, true, 0, LEN);
    stage_audio(&s, s.audio, 60);
    stage_finish(&s);
    stage_read(&s, 0, &tape);
    assert_int_equal(tape.count, 2);
    assert_true(tape.scan.duration_us < 1000000);
    stage_done(&s);
}

/* A refused picture takes those that need it along. */
static void test_after_a_refused_picture(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 200);
    struct td_frame empty = {.codec = TD_CODEC_H264,
                             .arrival_us = STAGE_START_US + 200000,
                             .pts_us = STAGE_START_US + 200000};
    td_output_frame(s.output, s.video, &empty);
    stage_video(&s, TD_CODEC_H264, 240, false, 0, LEN);
    stage_video(&s, TD_CODEC_H264, 280, true, 0, LEN);
    stage_finish(&s);
    assert_int_equal(stage_event(&s, TD_EVENT_DROP)->a, 2);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_H264), 5 + 1);
    stage_done(&s);
}

static void test_removed_while_its_sound_waits(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, false, 0);
    run(&s, TD_CODEC_NONE, 0, 400);
    td_output_remove(s.output, s.audio);
    s.audio = td_track_free(s.audio);
    struct td_track *screen = stage_track(&s, 5, TD_MEDIA_VIDEO, true); /* not in its place */
    s.audio = stage_track(&s, 6, TD_MEDIA_AUDIO, false);
    run(&s, TD_CODEC_H264, 400, 800);
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 40);
    assert_int_equal(frames_of(TD_CODEC_H264), 10);
    assert_int_equal(tape.scan.track_count, 2); /* the new microphone takes the old one's place */
    (void)td_track_free(screen);
    stage_done(&s);
}

static void test_too_many_tracks(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, BUFFERS, NULL, true, 0);
    struct td_track *more[TD_MUX_TRACKS_MAX];
    for (unsigned i = 1; i < TD_MUX_TRACKS_MAX; i++)
        more[i] = stage_track(&s, 10 + i, TD_MEDIA_AUDIO, false);
    assert_int_equal(td_output_add(s.output, s.audio), -TD_E_LIMIT);
    td_output_remove(s.output, more[1]);
    assert_int_equal(td_output_add(s.output, more[1]), 0);
    for (unsigned i = 1; i < TD_MUX_TRACKS_MAX; i++)
        stage_audio(&s, more[i], i);
    stage_audio(&s, s.audio, 20);
    stage_tick(&s, 1200);
    stage_finish(&s);
    for (unsigned i = 1; i < TD_MUX_TRACKS_MAX; i++)
        (void)td_track_free(more[i]);
    unsigned stored = 0; /* a file takes some late tracks, then the next part does */
    for (unsigned i = 0; i < s.part_count; i++) {
        assert_int_equal(s.parts[i].error, 0);
        stage_read(&s, i, &tape);
        stored += tape.count;
    }
    assert_int_equal(stored, TD_MUX_TRACKS_MAX);
    stage_done(&s);
}

/* ---- tracks that come and go, processes that come and go ---- */

static unsigned discontinuities(void)
{
    return (unsigned)tape.scan.discontinuities;
}

/* The publisher leaves and publishes again: the same tracks of the file, with a hole. */
static void test_published_again(void **state)
{
    (void)state;
    static const enum td_codec codecs[] = {TD_CODEC_H264, TD_CODEC_VP8};
    for (size_t i = 0; i < 2; i++) {
        struct stage s;
        stage_init(&s, MANY, NULL, false, 0);
        run(&s, codecs[i], 0, 1000);
        for (int64_t life = 1; life <= 3; life++) {
            td_output_remove(s.output, s.video);
            td_output_remove(s.output, s.audio);
            s.video = td_track_free(s.video);
            s.audio = td_track_free(s.audio);
            for (int64_t ms = life * 10000 - 9000; ms < life * 10000; ms += 500)
                stage_tick(&s, ms);
            s.audio = stage_track(&s, 10, TD_MEDIA_AUDIO, false);
            s.video = stage_track(&s, 20, TD_MEDIA_VIDEO, false);
            stage_video(&s, codecs[i], life * 10000 - 40, false, 0, LEN); /* has no base */
            run(&s, codecs[i], life * 10000, life * 10000 + 1000);
        }
        stage_finish(&s);
        assert_int_equal(s.part_count, 1);
        assert_int_equal(s.parts[0].error, 0);
        stage_read(&s, 0, &tape);
        assert_int_equal(tape.scan.track_count, 2);
        assert_int_equal(frames_of(TD_CODEC_OPUS), 200);
        assert_int_equal(frames_of(codecs[i]), 100);
        if (i == 0) /* Matroska has no such mark: its times are enough */
            assert_int_equal(discontinuities(), 6);
        assert_int_equal(tape.frames[tape.count - 1].pts_us / 20000, 30980000 / 20000);
        assert_int_equal(stage_events(&s, TD_EVENT_FIRST_FRAME), 8);
        stage_done(&s);
    }
}

/* Another codec is no one to take the place over. */
static void test_published_again_with_another_codec(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, MANY, "mkv", false, 0);
    run(&s, TD_CODEC_H264, 0, 1000);
    td_output_remove(s.output, s.video);
    s.video = td_track_free(s.video);
    s.video = stage_track(&s, 20, TD_MEDIA_VIDEO, false);
    run(&s, TD_CODEC_VP8, 1000, 2000);
    td_output_remove(s.output, s.video);
    s.video = td_track_free(s.video);
    s.video = stage_track(&s, 21, TD_MEDIA_VIDEO, false);
    run(&s, TD_CODEC_H264, 2000, 3000); /* but the first one's can */
    stage_finish(&s);
    unsigned pictures[2] = {0, 0};
    for (unsigned i = 0; i < s.part_count; i++) {
        stage_read(&s, i, &tape);
        pictures[0] += frames_of(TD_CODEC_H264);
        pictures[1] += frames_of(TD_CODEC_VP8);
    }
    assert_int_equal(s.part_count, 1);
    assert_int_equal(tape.scan.track_count, 3);
    assert_int_equal(pictures[0], 50);
    assert_int_equal(pictures[1], 25);
    stage_done(&s);
}

/* Two microphones at once are two tracks, and each place is taken by one. */
static void test_two_of_a_kind(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, MANY, NULL, false, 0);
    struct td_track *second = stage_track(&s, 3, TD_MEDIA_AUDIO, false);
    for (int64_t ms = 0; ms < 1000; ms += 20) {
        stage_audio(&s, second, ms + 1);
        run(&s, ms % 500 == 0 ? TD_CODEC_H264 : TD_CODEC_NONE, ms, ms + 20);
    }
    td_output_remove(s.output, second);
    second = td_track_free(second);
    second = stage_track(&s, 4, TD_MEDIA_AUDIO, false);
    for (int64_t ms = 1000; ms < 2000; ms += 20) {
        stage_audio(&s, second, ms + 1);
        stage_audio(&s, s.audio, ms);
        stage_tick(&s, ms);
    }
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    stage_read(&s, 0, &tape);
    assert_int_equal(tape.scan.track_count, 3);
    unsigned frames[3] = {0, 0, 0};
    for (unsigned i = 0; i < tape.count; i++)
        frames[tape.frames[i].track]++;
    assert_int_equal(frames[1], 100);
    assert_int_equal(frames[2], 100);
    (void)td_track_free(second);
    stage_done(&s);
}

/* Another process goes on in place: one file, one time, a marked hole each time. */
static void test_goes_on_in_place(void **state)
{
    (void)state;
    struct stage s;
    stage_init(&s, MANY, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 1000);
    stage_leave(&s);
    for (int64_t life = 1; life <= 4; life++) {
        struct td_mux_tail tail;
        struct td_output_stats stats;
        assert_int_equal(stage_tail(&s, &tail), 0);
        assert_int_equal(tail.track_count, 2);
        assert_int_equal(tail.newest_us, (life - 1) * 5000000 + 980000);
        stage_go_on(&s, &tail);
        td_output_stats(s.output, &stats);
        assert_int_equal(stats.parts, 1);
        assert_int_equal(stats.pts_us, tail.newest_us);
        assert_true(stats.started);
        run(&s, TD_CODEC_H264, life * 5000, life * 5000 + 1000);
        td_output_stats(s.output, &stats);
        assert_true(stats.bytes > tail.bytes); /* of the whole file */
        assert_int_equal(stats.part_bytes, stats.bytes);
        if (life < 4)
            stage_leave(&s);
    }
    stage_finish(&s);
    assert_int_equal(s.part_count, 1);
    assert_int_equal(s.parts[0].error, 0);
    stage_read(&s, 0, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 250);
    assert_int_equal(frames_of(TD_CODEC_H264), 125);
    assert_int_equal(discontinuities(), 8);
    assert_int_equal(tape.scan.damaged_units, 0);
    assert_int_equal(tape.scan.duration_us / 100000, 210);
    stage_done(&s);
}

/* Matroska cannot: the next part, in the same container and time. */
static void test_goes_on_in_the_next_part(void **state)
{
    (void)state;
    struct stage s;
    struct td_mux_tail tail;
    stage_init(&s, MANY, NULL, false, 0);
    run(&s, TD_CODEC_VP8, 0, 1000);
    stage_leave(&s);
    assert_int_equal(stage_tail(&s, &tail), TD_MUX_NEXT_PART);
    stage_go_on(&s, NULL);
    run(&s, TD_CODEC_NONE, 5000, 6020); /* sound alone chooses no other container */
    run(&s, TD_CODEC_VP8, 6020, 7020);
    stage_finish(&s);
    assert_int_equal(s.part_count, 2);
    assert_string_equal(td_layout_name(s.parts[1].final), "out.p2.mkv");
    stage_read(&s, 1, &tape);
    assert_int_equal(frames_of(TD_CODEC_OPUS), 101);
    assert_int_equal(frames_of(TD_CODEC_VP8), 25);
    assert_true(tape.frames[0].pts_us == 5000000);
    stage_done(&s);
}

/* It was begun, and nothing came since: still whole, and still able to go on. */
static void test_goes_on_without_media(void **state)
{
    (void)state;
    struct stage s;
    struct td_mux_tail tail;
    stage_init(&s, MANY, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 1000);
    stage_leave(&s);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(stage_tail(&s, &tail), 0);
        stage_go_on(&s, &tail);
        stage_leave(&s);
    }
    assert_int_equal(stage_tail(&s, &tail), 0);
    assert_int_equal(tail.newest_us, 980000);
    stage_go_on(&s, &tail);
    stage_finish(&s);
    stage_read(&s, 0, &tape);
    assert_int_equal(tape.count, 75);
    stage_done(&s);
}

/* Its file is another one by now: nothing is written to it, and the failure is told. */
static void test_goes_on_in_a_changed_file(void **state)
{
    (void)state;
    struct stage s;
    struct td_mux_tail tail;
    stage_init(&s, MANY, NULL, false, 0);
    run(&s, TD_CODEC_H264, 0, 1000);
    stage_leave(&s);
    assert_int_equal(stage_tail(&s, &tail), 0);
    tail.bytes -= 188;
    stage_go_on(&s, &tail);
    run(&s, TD_CODEC_H264, 5000, 6000);
    stage_finish(&s);
    assert_int_not_equal(s.parts[0].error, 0);
    assert_int_equal(stage_tail(&s, &tail), 0); /* as it was */
    assert_int_equal(tail.newest_us, 980000);
    stage_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_with_the_first_key_frame),
        cmocka_unit_test(test_waits_a_second_for_video),
        cmocka_unit_test(test_muted_video_is_not_waited_for),
        cmocka_unit_test(test_one_unmuted_video_is_enough_to_wait),
        cmocka_unit_test(test_audio_alone),
        cmocka_unit_test(test_a_short_recording_keeps_its_sound),
        cmocka_unit_test(test_vp8_becomes_mkv),
        cmocka_unit_test(test_ts_refuses_vp8),
        cmocka_unit_test(test_ts_refuses_late_vp8),
        cmocka_unit_test(test_late_video_in_ts),
        cmocka_unit_test(test_late_sound_keeps_the_container),
        cmocka_unit_test(test_resolution_stays_in_the_part),
        cmocka_unit_test(test_codec_change_begins_a_part),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_times_never_step_back),
        cmocka_unit_test(test_two_outputs_share_one_zero),
        cmocka_unit_test(test_full_spool),
        cmocka_unit_test(test_disk_stands_still_for_good),
        cmocka_unit_test(test_end_on_a_blocked_disk),
        cmocka_unit_test(test_eio_ends_it),
        cmocka_unit_test(test_file_in_the_way),
        cmocka_unit_test(test_idle_keeps_the_file_alive),
        cmocka_unit_test(test_start_without_room),
        cmocka_unit_test(test_after_a_refused_picture),
        cmocka_unit_test(test_removed_while_its_sound_waits),
        cmocka_unit_test(test_too_many_tracks),
        cmocka_unit_test(test_published_again),
        cmocka_unit_test(test_published_again_with_another_codec),
        cmocka_unit_test(test_two_of_a_kind),
        cmocka_unit_test(test_goes_on_in_place),
        cmocka_unit_test(test_goes_on_in_the_next_part),
        cmocka_unit_test(test_goes_on_without_media),
        cmocka_unit_test(test_goes_on_in_a_changed_file),
    };
    return cmocka_run_group_tests_name("recorder/output", tests, NULL, NULL);
}
