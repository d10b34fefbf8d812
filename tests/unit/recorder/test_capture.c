/* SPDX-License-Identifier: Apache-2.0 */
/* What a capture does while time stands still, seen from its files and its events. */
#include "recorder/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "puppet.h"

static struct puppet p;
static struct puppet_tape tape;
static struct puppet_tape other;

/* A room with one publisher, of whom a second is stored; puppet time 0 is about now. */
static void second(enum td_codec video)
{
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    puppet_begin(&p, &config);
    puppet_enter(&p, "alice", video);
    puppet_play(&p, 1, video != TD_CODEC_NONE ? 2 : 0, -1000, 0, true);
    puppet_wait_frames(&p, video != TD_CODEC_NONE ? 75 : 50);
}

/* Puppet times between which it came to stand still. */
struct stop {
    int64_t before_ms;
    int64_t after_ms;
};

static struct stop pause_it(void)
{
    struct stop at = {.before_ms = puppet_sync_ms(&p)};
    assert_int_equal(td_session_pause(p.session, ""), 0);
    at.after_ms = puppet_sync_ms(&p);
    return at;
}

/* The moment from which on what comes may be stored. */
static int64_t resume_it(void)
{
    assert_int_equal(td_session_resume(p.session), 0);
    return puppet_sync_ms(&p) + 1;
}

static void end_it(void)
{
    puppet_stop(&p);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    puppet_flush(&p);
}

static int64_t last_ms(const struct puppet_tape *t, enum td_codec codec)
{
    int64_t last_us = INT64_MIN;
    for (unsigned i = 0; i < t->count; i++) {
        if (t->frames[i].codec == codec)
            last_us = t->frames[i].pts_us;
    }
    return last_us / 1000;
}

static void test_pause_and_resume(void **state)
{
    (void)state;
    static const enum td_codec codecs[] = {TD_CODEC_H264, TD_CODEC_VP8};
    for (size_t i = 0; i < 2; i++) {
        second(codecs[i]);
        struct stop stop = pause_it();
        puppet_wait_lines(&p, "\"paused\"", 1);
        assert_int_equal(puppet_status(&p).state, TD_SESSION_PAUSED);
        int64_t next_ms = stop.after_ms + 100;
        puppet_play(&p, 1, 2, stop.after_ms + 1, next_ms, true); /* nobody's */
        int64_t go_ms = resume_it();
        if (go_ms < next_ms)
            go_ms = next_ms;
        puppet_play(&p, 1, 2, go_ms, go_ms + 200, false); /* no picture of these */
        puppet_play(&p, 1, 2, go_ms + 200, go_ms + 1200, true);
        puppet_wait_lines(&p, "\"resumed\"", 1);
        assert_int_equal(puppet_status(&p).state, TD_SESSION_RECORDING);
        end_it();
        puppet_read(&p, i == 0 ? "alice.ts" : "alice.mkv", &tape);
        assert_int_equal(puppet_count(&tape, codecs[i]), 25 + 25);
        assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 50 + 50);
        /* It goes on where it stood. */
        assert_true(puppet_step_ms(&tape, TD_CODEC_OPUS) <= stop.after_ms + 41);
        assert_true(puppet_step_ms(&tape, codecs[i]) <= stop.after_ms + 61);
        assert_true(last_ms(&tape, TD_CODEC_OPUS) >= 1000 + stop.before_ms + 980 - 1);
        assert_true(last_ms(&tape, TD_CODEC_OPUS) <= 1000 + stop.after_ms + 980 + 1);
        struct td_manifest m;
        puppet_manifest(&p, &m);
        assert_false(m.paused);
        int64_t stood_ms = go_ms + 200 - stop.after_ms;
        assert_true(m.paused_us / 1000 >= stood_ms - 1);
        assert_true(m.paused_us / 1000 <= stood_ms + stop.after_ms - stop.before_ms + 1);
        assert_int_equal(m.break_count, 0);
        td_manifest_done(&m);
        assert_int_equal(puppet_timeline(&p, "\"gap\""), 0);
        puppet_close(&p);
    }
}

/* Both go on at the first key frame of anybody, and share one time before and after. */
static void test_two_outputs_share_one_zero(void **state)
{
    (void)state;
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    puppet_begin(&p, &config);
    puppet_enter(&p, "alice", TD_CODEC_VP8);
    puppet_track(&p, 3, "bob", TD_CODEC_OPUS);
    puppet_track(&p, 4, "bob", TD_CODEC_H264);
    puppet_track(&p, 5, "bob", TD_CODEC_OPUS); /* comes late */
    puppet_play(&p, 1, 2, -1000, 0, true);
    puppet_play(&p, 3, 4, -1000, 0, true);
    puppet_wait_frames(&p, 150);
    (void)pause_it();
    int64_t go_ms = resume_it();
    for (int64_t ms = go_ms; ms < go_ms + 1000; ms += 20) {
        puppet_play(&p, 1, 2, ms, ms + 20, ms == go_ms + 400);
        puppet_play(&p, 3, 4, ms, ms + 20, ms == go_ms + 600);
    }
    puppet_wait_lines(&p, "\"resumed\"", 1);
    puppet_play(&p, 5, 0, go_ms, go_ms + 400, true); /* from before the join */
    end_it();
    puppet_read(&p, "alice.mkv", &tape);
    puppet_read(&p, "bob.ts", &other);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 50 + 30);
    assert_int_equal(puppet_count(&other, TD_CODEC_OPUS), 50 + 30);
    assert_int_equal(puppet_count(&tape, TD_CODEC_VP8), 25 + 30);
    assert_int_equal(puppet_count(&other, TD_CODEC_H264), 25 + 20);
    unsigned k = 0;
    for (unsigned i = 0; i < tape.count; i++) { /* sound of the same moment has the same time */
        if (tape.frames[i].codec != TD_CODEC_OPUS)
            continue;
        while (k < other.count && other.frames[k].codec != TD_CODEC_OPUS)
            k++;
        assert_true(k < other.count);
        int64_t apart_us = tape.frames[i].pts_us - other.frames[k++].pts_us;
        assert_true(apart_us > -1500 && apart_us < 1500);
    }
    puppet_close(&p);
}

/* A camera that sends no key frame: after a second the sound goes on without it, whole. */
static void test_no_key_frame(void **state)
{
    (void)state;
    second(TD_CODEC_H264);
    struct stop stop = pause_it();
    int64_t go_ms = resume_it();
    puppet_play(&p, 1, 2, go_ms, go_ms + 500, false);
    (void)puppet_sync_ms(&p);
    puppet_hear(&p);
    assert_int_equal(puppet_lines(&p, "\"resumed\""), 0);
    puppet_play(&p, 1, 2, go_ms + 500, go_ms + 1500, false);
    puppet_play(&p, 1, 2, go_ms + 1500, go_ms + 2000, true);
    puppet_wait_lines(&p, "\"resumed\"", 1);
    end_it();
    puppet_read(&p, "alice.ts", &tape);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 50 + 100);
    assert_int_equal(puppet_count(&tape, TD_CODEC_H264), 25 + 13);
    assert_true(puppet_step_ms(&tape, TD_CODEC_OPUS) <= stop.after_ms + 41);
    puppet_close(&p);
}

static void test_audio_only(void **state)
{
    (void)state;
    second(TD_CODEC_NONE);
    struct stop stop = pause_it();
    int64_t go_ms = resume_it();
    puppet_play(&p, 1, 0, go_ms, go_ms + 500, false);
    puppet_wait_lines(&p, "\"resumed\"", 1);
    end_it();
    puppet_read(&p, "alice.mkv", &tape);
    assert_int_equal(tape.count, 75);
    assert_true(puppet_step_ms(&tape, TD_CODEC_OPUS) <= stop.after_ms + 41);
    puppet_close(&p);
}

/* Nobody waits for a picture that is muted. */
static void test_muted_video(void **state)
{
    (void)state;
    second(TD_CODEC_VP8);
    puppet_mute(&p, 2, true);
    (void)pause_it();
    int64_t go_ms = resume_it();
    puppet_play(&p, 1, 0, go_ms, go_ms + 100, false);
    puppet_wait_lines(&p, "\"resumed\"", 1);
    end_it();
    puppet_read(&p, "alice.mkv", &tape);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 55);
    puppet_close(&p);
}

static void test_many_times(void **state)
{
    (void)state;
    second(TD_CODEC_H264);
    int64_t at_ms = 0;
    int64_t silent_ms = 0;
    for (unsigned i = 1; i <= 4; i++) {
        struct stop stop = pause_it();
        assert_int_equal(td_session_pause(p.session, "again"), 0); /* harmless */
        if (stop.after_ms < at_ms) /* frames are stamped ahead of us */
            stop.after_ms = at_ms;
        silent_ms = stop.after_ms - at_ms > silent_ms ? stop.after_ms - at_ms : silent_ms;
        puppet_wait_lines(&p, "\"paused\"", i);
        int64_t go_ms = resume_it();
        assert_int_equal(td_session_resume(p.session), 0);
        if (go_ms < stop.after_ms + 1)
            go_ms = stop.after_ms + 1;
        puppet_play(&p, 1, 2, go_ms, go_ms + 200, true);
        at_ms = go_ms + 200;
        puppet_wait_lines(&p, "\"resumed\"", i);
    }
    end_it();
    puppet_read(&p, "alice.ts", &tape);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 50 + 40);
    assert_int_equal(puppet_count(&tape, TD_CODEC_H264), 25 + 20);
    assert_true(puppet_step_ms(&tape, TD_CODEC_OPUS) <= silent_ms + 41);
    assert_int_equal(puppet_timeline(&p, "\"paused\""), 4);
    assert_int_equal(puppet_timeline(&p, "\"resumed\""), 4);
    puppet_close(&p);
}

/* Resumed, but before the join paused again: it never went on. */
static void test_paused_again_before_the_join(void **state)
{
    (void)state;
    second(TD_CODEC_VP8);
    struct stop stop = pause_it();
    int64_t go_ms = resume_it();
    puppet_play(&p, 1, 2, go_ms, go_ms + 200, false); /* held */
    struct stop again = pause_it();
    puppet_play(&p, 1, 2, go_ms + 200, go_ms + 400, true); /* nobody's */
    int64_t last_go_ms = resume_it();
    if (last_go_ms < go_ms + 400)
        last_go_ms = go_ms + 400;
    assert_true(again.after_ms <= last_go_ms);
    puppet_play(&p, 1, 2, last_go_ms + 20, last_go_ms + 520, true);
    puppet_wait_lines(&p, "\"resumed\"", 1);
    end_it();
    assert_int_equal(puppet_timeline(&p, "\"paused\""), 1);
    assert_int_equal(puppet_timeline(&p, "\"resumed\""), 1);
    puppet_read(&p, "alice.mkv", &tape);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 50 + 25);
    assert_true(puppet_step_ms(&tape, TD_CODEC_OPUS) <= stop.after_ms + 41);
    puppet_close(&p);
}

static void test_stop_while_paused(void **state)
{
    (void)state;
    second(TD_CODEC_H264);
    struct stop stop = pause_it();
    puppet_play(&p, 1, 2, stop.after_ms + 1, stop.after_ms + 500, true);
    end_it();
    assert_string_equal(p.reason, "stopped");
    puppet_read(&p, "alice.ts", &tape);
    assert_int_equal(tape.count, 75);
    struct td_manifest m;
    puppet_manifest(&p, &m);
    assert_string_equal(m.outputs[0].parts[0].state, "complete");
    td_manifest_done(&m);
    puppet_close(&p);
}

/* The sound that waited for a join is stored, right behind what was there. */
static void test_stop_before_the_join(void **state)
{
    (void)state;
    second(TD_CODEC_H264);
    struct stop stop = pause_it();
    puppet_wait_lines(&p, "\"paused\"", 1);
    int64_t go_ms = resume_it();
    while (go_ms < stop.after_ms + 400) /* so that a pause that was counted would be seen */
        go_ms = puppet_sync_ms(&p);
    puppet_play(&p, 1, 2, go_ms, go_ms + 200, false);
    end_it();
    puppet_read(&p, "alice.ts", &tape);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 50 + 10);
    assert_int_equal(puppet_count(&tape, TD_CODEC_H264), 25);
    assert_int_equal(puppet_timeline(&p, "\"resumed\""), 1);
    struct td_manifest m;
    puppet_manifest(&p, &m);
    assert_true(m.paused_us > 0);
    td_manifest_done(&m);
    puppet_close(&p);
}

/* Before any media: the recording begins when it is resumed, and its time with it. */
static void test_paused_before_media(void **state)
{
    (void)state;
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    puppet_begin(&p, &config);
    assert_int_equal(td_session_pause(p.session, ""), -TD_E_STATE); /* nobody let us in yet */
    puppet_enter(&p, "alice", TD_CODEC_H264);
    struct stop stop = pause_it();
    puppet_play(&p, 1, 2, stop.after_ms + 1, stop.after_ms + 200, true);
    puppet_track(&p, 3, "bob", TD_CODEC_OPUS); /* who comes meanwhile */
    puppet_play(&p, 3, 0, stop.after_ms + 1, stop.after_ms + 200, true);
    int64_t go_ms = resume_it();
    assert_int_equal(puppet_status(&p).state, TD_SESSION_WAITING);
    if (go_ms < stop.after_ms + 200)
        go_ms = stop.after_ms + 200;
    for (int64_t ms = go_ms; ms < go_ms + 400; ms += 20) {
        puppet_play(&p, 1, 2, ms, ms + 20, ms == go_ms);
        puppet_play(&p, 3, 0, ms, ms + 20, false);
    }
    puppet_wait_frames(&p, 30);
    end_it();
    puppet_read(&p, "alice.ts", &tape);
    puppet_read(&p, "bob.mkv", &other);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 20);
    assert_int_equal(puppet_count(&tape, TD_CODEC_H264), 20);
    assert_int_equal(other.count, 20);
    assert_true(tape.frames[0].pts_us <= 20000 && other.frames[0].pts_us <= 20000);
    struct td_manifest m;
    puppet_manifest(&p, &m);
    assert_true(m.paused_us == 0); /* nothing was there that could have stood still */
    td_manifest_done(&m);
    puppet_close(&p);
}

/* Paused within the second in which the file waits for a picture. */
static void test_paused_while_waiting(void **state)
{
    (void)state;
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    puppet_begin(&p, &config);
    puppet_enter(&p, "alice", TD_CODEC_VP8);
    puppet_play(&p, 1, 0, -200, 0, true);
    struct stop stop = pause_it();
    int64_t go_ms = resume_it();
    puppet_play(&p, 1, 2, go_ms, go_ms + 400, true);
    puppet_wait_lines(&p, "\"resumed\"", 1);
    end_it();
    puppet_read(&p, "alice.mkv", &tape);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 10 + 20);
    assert_int_equal(puppet_count(&tape, TD_CODEC_VP8), 10);
    assert_true(puppet_step_ms(&tape, TD_CODEC_OPUS) <= stop.after_ms + 41);
    puppet_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pause_and_resume),
        cmocka_unit_test(test_two_outputs_share_one_zero),
        cmocka_unit_test(test_no_key_frame),
        cmocka_unit_test(test_audio_only),
        cmocka_unit_test(test_muted_video),
        cmocka_unit_test(test_many_times),
        cmocka_unit_test(test_paused_again_before_the_join),
        cmocka_unit_test(test_stop_while_paused),
        cmocka_unit_test(test_stop_before_the_join),
        cmocka_unit_test(test_paused_before_media),
        cmocka_unit_test(test_paused_while_waiting),
    };
    return cmocka_run_group_tests_name("recorder/capture", tests, NULL, NULL);
}
