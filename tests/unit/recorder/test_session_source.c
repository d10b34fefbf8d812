/* SPDX-License-Identifier: Apache-2.0 */
/* A session whose source is lost, comes back, does not, or is another room's. */
#include "recorder/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "puppet.h"

#define SHORT_US (300 * TD_US_PER_MS)

static struct puppet p;
static struct puppet_tape tape;

static void begin(int64_t window_us)
{
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    config.limits.resume_window_us = window_us;
    puppet_begin(&p, &config);
}

/* One second of alice is stored. */
static void begin_stored(int64_t window_us, enum td_codec video)
{
    begin(window_us);
    puppet_enter(&p, "alice", video);
    puppet_play(&p, 1, 2, -1000, 0, true);
    puppet_wait_frames(&p, 75);
}

/* Behind what was played before: media is stamped ahead of us. */
static void come_back(uint64_t frames)
{
    static int64_t end_ms;
    puppet_enter(&p, "alice", TD_CODEC_H264);
    int64_t from_ms = puppet_now_ms(&p) + 1;
    if (puppet_lines(&p, "\"recovered\"") > 0 && from_ms < end_ms)
        from_ms = end_ms;
    end_ms = from_ms + 400;
    puppet_play(&p, 1, 2, from_ms, end_ms, true);
    puppet_wait_frames(&p, frames);
}

/* The same handles again, several times: one file, one break each. */
static void test_lost_and_back(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_H264);
    for (unsigned i = 1; i <= 3; i++) {
        puppet_lose(&p, i == 2 ? TD_END_FAILED : TD_END_DISCONNECTED);
        assert_int_equal(p.lost, i);
        assert_int_equal(puppet_status(&p).state, TD_SESSION_INTERRUPTED);
        assert_int_equal(puppet_lines(&p, "\"interrupted\""), i);
        assert_int_equal(puppet_lines(&p, "\"track_removed\""), 2 * i);
        assert_true((puppet_status(&p).fail->code != 0) == (i == 2));
        come_back(75 + 30 * i);
        puppet_wait_state(&p, TD_SESSION_RECORDING);
        assert_int_equal(p.freed, i); /* the media loop has let go of it */
        assert_int_equal(puppet_lines(&p, "\"recovered\""), i);
        assert_int_equal(puppet_status(&p).fail->code, 0);
    }
    puppet_stop(&p);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    assert_string_equal(p.reason, "stopped");
    assert_string_equal(p.states, "waiting recording interrupted recording interrupted recording "
                                  "interrupted recording finishing/stopped complete/stopped");
    puppet_flush(&p);
    assert_int_equal(p.freed, 4);
    puppet_read(&p, "alice.ts", &tape);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 50 + 60);
    assert_int_equal(puppet_count(&tape, TD_CODEC_H264), 25 + 30);
    assert_int_equal(tape.scan.discontinuities, 6);
    struct td_manifest m;
    puppet_manifest(&p, &m);
    assert_int_equal(m.break_count, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_true(m.breaks[i].resumed_us >= m.breaks[i].pts_us);
    assert_int_equal(m.track_count, 2);
    assert_int_equal(m.outputs[0].part_count, 1);
    td_manifest_done(&m);
    assert_int_equal(puppet_timeline(&p, "\"interrupted\""), 3);
    puppet_close(&p);
}

/* It did not come back in time. */
static void test_window_over(void **state)
{
    (void)state;
    begin_stored(SHORT_US, TD_CODEC_VP8);
    puppet_lose(&p, TD_END_DISCONNECTED);
    puppet_wait_ended(&p);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    assert_string_equal(p.reason, "disconnected");
    assert_int_equal(p.freed, 1);
    puppet_flush(&p);
    puppet_read(&p, "alice.mkv", &tape);
    assert_int_equal(tape.count, 75);
    puppet_close(&p);
}

static void test_no_window(void **state)
{
    (void)state;
    begin_stored(0, TD_CODEC_VP8);
    puppet_lose(&p, TD_END_DISCONNECTED);
    assert_int_equal(p.lost, 0);
    puppet_wait_ended(&p);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    assert_string_equal(p.reason, "disconnected");
    puppet_close(&p);
}

/* Ends that are meant to be. */
static void test_ends(void **state)
{
    (void)state;
    static const struct {
        enum td_end_reason end;
        const char *reason;
    } rows[] = {
        {TD_END_ROOM_CLOSED, "room_closed"},
        {TD_END_LEFT, "disconnected"},
        {TD_END_REFUSED, "refused"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin_stored(60 * TD_US_PER_S, TD_CODEC_VP8);
        puppet_lose(&p, rows[i].end);
        assert_int_equal(p.lost, 0);
        puppet_wait_ended(&p);
        assert_int_equal(p.state, TD_SESSION_COMPLETE);
        assert_string_equal(p.reason, rows[i].reason);
        puppet_close(&p);
    }
}

static void test_never_accepted(void **state)
{
    (void)state;
    static const enum td_end_reason ends[] = {TD_END_REFUSED, TD_END_FAILED};
    for (size_t i = 0; i < 2; i++) {
        begin(60 * TD_US_PER_S);
        puppet_attach(&p);
        puppet_lose(&p, ends[i]);
        assert_int_equal(p.lost, 0);
        puppet_wait_ended(&p);
        assert_int_equal(p.state, TD_SESSION_FAILED);
        assert_string_equal(p.fail.text, "The strings were cut.");
        puppet_close(&p);
    }
}

/* Who was let in once is asked for again, however often it is refused. */
static void test_refused_while_lost(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_H264);
    puppet_lose(&p, TD_END_DISCONNECTED);
    for (unsigned i = 0; i < 3; i++) {
        puppet_attach(&p);
        puppet_lose(&p, TD_END_REFUSED);
        assert_int_equal(p.lost, 2 + i);
        assert_int_equal(puppet_status(&p).state, TD_SESSION_INTERRUPTED);
    }
    struct td_fail fail = {.code = 0};
    (void)td_fail_set(&fail, -TD_E_REFUSED, "There is no such server.");
    td_session_refuse(p.session, &fail); /* not even made */
    assert_int_equal(puppet_status(&p).state, TD_SESSION_INTERRUPTED);
    assert_int_equal(puppet_lines(&p, "\"interrupted\""), 1);
    come_back(75 + 30);
    puppet_wait_state(&p, TD_SESSION_RECORDING);
    puppet_stop(&p);
    assert_int_equal(p.freed, 5);
    struct td_manifest m;
    puppet_flush(&p);
    puppet_manifest(&p, &m);
    assert_int_equal(m.break_count, 1);
    td_manifest_done(&m);
    puppet_close(&p);
}

/* The window counts from the first loss. */
static void test_refused_until_the_end(void **state)
{
    (void)state;
    begin_stored(SHORT_US, TD_CODEC_VP8);
    puppet_lose(&p, TD_END_DISCONNECTED);
    for (unsigned i = 0; i < 20; i++) {
        puppet_attach(&p);
        puppet_lose(&p, TD_END_REFUSED);
        puppet_hear_once(&p);
    }
    assert_int_equal(p.lost, 21);
    puppet_wait_ended(&p);
    assert_string_equal(p.reason, "disconnected");
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    puppet_close(&p);
}

/* Lost before anything was stored: nothing was interrupted. */
static void test_lost_before_media(void **state)
{
    (void)state;
    begin(60 * TD_US_PER_S);
    puppet_enter(&p, "alice", TD_CODEC_H264);
    puppet_lose(&p, TD_END_DISCONNECTED);
    assert_int_equal(puppet_status(&p).state, TD_SESSION_INTERRUPTED);
    puppet_attach(&p);
    puppet_accept(&p, "RM_1");
    assert_int_equal(puppet_status(&p).state, TD_SESSION_WAITING);
    puppet_lose(&p, TD_END_DISCONNECTED);
    come_back(30);
    puppet_wait_state(&p, TD_SESSION_RECORDING);
    puppet_stop(&p);
    assert_int_equal(puppet_lines(&p, "\"interrupted\""), 0);
    assert_string_equal(p.states, "waiting interrupted waiting interrupted waiting recording "
                                  "finishing/stopped complete/stopped");
    puppet_close(&p);
}

/* What the media loop still had to say of a source that is gone does not bring it back. */
static void test_late_word_of_a_lost_source(void **state)
{
    (void)state;
    begin(60 * TD_US_PER_S);
    puppet_enter(&p, "alice", TD_CODEC_H264);
    puppet_play(&p, 1, 2, -200, 0, true);
    (void)puppet_sync_ms(&p); /* the first frames are stored, and nobody has heard of it */
    puppet_lose(&p, TD_END_DISCONNECTED);
    puppet_wait_frames(&p, 15);
    assert_int_equal(puppet_status(&p).state, TD_SESSION_INTERRUPTED);
    come_back(15 + 30);
    puppet_wait_state(&p, TD_SESSION_RECORDING);
    puppet_close(&p);
}

/* Another room of the same name is not gone on in. */
static void test_other_room(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_VP8);
    puppet_lose(&p, TD_END_DISCONNECTED);
    puppet_attach(&p);
    puppet_accept(&p, "RM_2");
    puppet_wait_ended(&p);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    assert_string_equal(p.reason, "disconnected");
    assert_int_equal(p.freed, 2);
    struct td_manifest m;
    puppet_flush(&p);
    puppet_manifest(&p, &m);
    assert_string_equal(m.room_sid, "RM_1");
    td_manifest_done(&m);
    puppet_close(&p);
}

static void test_stop_while_lost(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_VP8);
    puppet_lose(&p, TD_END_DISCONNECTED);
    td_session_stop(p.session, "stopped");
    td_session_stop(p.session, "again");
    puppet_wait_ended(&p);
    assert_string_equal(p.reason, "stopped");
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    puppet_close(&p);
}

/* It was made while we were already stopping. */
static void test_back_too_late(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_VP8);
    puppet_lose(&p, TD_END_DISCONNECTED);
    td_session_stop(p.session, "stopped");
    puppet_attach(&p);
    puppet_wait_ended(&p);
    assert_int_equal(p.freed, 2);
    assert_int_equal(p.ended, 1);
    puppet_close(&p);
}

struct hold_up {
    atomic_bool may_go;
};

static void on_hold_up(void *target, const void *payload)
{
    (void)payload;
    struct hold_up *hold = target;
    int64_t until_us = td_clock_now_us() + 20 * TD_US_PER_S;
    while (!atomic_load(&hold->may_go))
        assert_true(td_clock_now_us() < until_us);
}

/* A source that the media loop still knows is not freed, and the session does not end before. */
static void test_source_not_let_go(void **state)
{
    (void)state;
    struct hold_up hold = {.may_go = false};
    begin_stored(60 * TD_US_PER_S, TD_CODEC_VP8);
    assert_int_equal(td_loop_post(p.loop, on_hold_up, &hold, NULL, 0), 0);
    puppet_lose(&p, TD_END_DISCONNECTED);
    td_session_stop(p.session, "stopped");
    puppet_hear(&p);
    assert_int_equal(p.freed, 0);
    assert_int_equal(p.ended, 0);
    atomic_store(&hold.may_go, true);
    puppet_wait_ended(&p);
    assert_int_equal(p.freed, 1);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    puppet_close(&p);
}

/* The source takes its time to end. */
static void test_slow_end(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_VP8);
    p.source->stops_late = true;
    td_session_stop(p.session, "stopped");
    puppet_wait_state(&p, TD_SESSION_FINISHING);
    for (unsigned i = 0; i < 3; i++)
        puppet_hear(&p);
    assert_int_equal(p.ended, 0);
    puppet_lose(&p, TD_END_DISCONNECTED); /* its own reason does not matter any more */
    puppet_wait_ended(&p);
    assert_string_equal(p.reason, "stopped");
    assert_int_equal(p.lost, 0);
    puppet_close(&p);
}

/* ---- pause ---- */

/* Paused while it is lost: it is known at once, and it comes back as paused. */
static void test_pause_while_lost(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_H264);
    puppet_lose(&p, TD_END_FAILED);
    assert_int_equal(td_session_pause(p.session, "why"), 0);
    assert_int_equal(puppet_status(&p).state, TD_SESSION_INTERRUPTED);
    assert_true(puppet_status(&p).manifest->paused);
    assert_non_null(strstr(p.states, "interrupted/why")); /* told, and so written */
    puppet_enter(&p, "alice", TD_CODEC_H264);
    assert_int_equal(puppet_status(&p).state, TD_SESSION_PAUSED);
    assert_int_equal(puppet_status(&p).fail->code, 0);
    int64_t now_ms = puppet_sync_ms(&p) + 1;
    puppet_play(&p, 1, 2, now_ms, now_ms + 200, true);
    assert_int_equal(td_session_resume(p.session), 0);
    int64_t go_ms = puppet_sync_ms(&p) + 1;
    if (go_ms < now_ms + 200)
        go_ms = now_ms + 200;
    puppet_play(&p, 1, 2, go_ms, go_ms + 400, true);
    puppet_wait_frames(&p, 75 + 30);
    puppet_stop(&p);
    puppet_flush(&p);
    struct td_manifest m;
    puppet_manifest(&p, &m);
    assert_int_equal(m.break_count, 1);
    assert_true(m.breaks[0].resumed_us != TD_MANIFEST_NO_TIME);
    assert_false(m.paused);
    td_manifest_done(&m);
    puppet_read(&p, "alice.ts", &tape);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 50 + 20);
    puppet_close(&p);
}

/* Resumed while it is lost: it comes back as going on. */
static void test_resume_while_lost(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_H264);
    assert_int_equal(td_session_pause(p.session, ""), 0);
    puppet_lose(&p, TD_END_DISCONNECTED);
    assert_int_equal(puppet_status(&p).state, TD_SESSION_INTERRUPTED);
    assert_int_equal(td_session_resume(p.session), 0);
    assert_false(puppet_status(&p).manifest->paused);
    (void)puppet_sync_ms(&p);
    come_back(75 + 30);
    puppet_wait_state(&p, TD_SESSION_RECORDING);
    puppet_stop(&p);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    puppet_close(&p);
}

/* ---- leaving ---- */

static void assert_left(const char *part_state)
{
    struct td_manifest m;
    assert_true(p.left);
    assert_int_equal(p.state, TD_SESSION_INTERRUPTED);
    puppet_flush(&p);
    puppet_manifest(&p, &m);
    assert_string_equal(m.state, "interrupted");
    assert_true(m.ended_us == TD_MANIFEST_NO_TIME);
    assert_int_equal(m.break_count, part_state != NULL ? 1 : 0);
    assert_int_equal(puppet_timeline(&p, "\"interrupted\""), part_state != NULL ? 1 : 0);
    if (part_state != NULL) {
        assert_true(m.breaks[0].resumed_us == TD_MANIFEST_NO_TIME);
        assert_string_equal(m.outputs[0].parts[0].state, part_state);
        assert_string_equal(p.shelf.entries[0].state, part_state);
        puppet_read(&p, m.outputs[0].parts[0].file, &tape);
        assert_int_equal(tape.count, 75);
    }
    td_manifest_done(&m);
}

static void test_leave(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_H264);
    td_session_leave(p.session);
    td_session_leave(p.session);
    td_session_stop(p.session, "late");
    assert_int_equal(td_session_pause(p.session, ""), -TD_E_STATE);
    assert_int_equal(td_session_resume(p.session), -TD_E_STATE);
    puppet_wait_ended(&p);
    assert_left("growing");
    puppet_close(&p);
}

static void test_leave_while_lost(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_VP8);
    puppet_lose(&p, TD_END_DISCONNECTED);
    td_session_leave(p.session);
    puppet_wait_ended(&p);
    assert_left("growing");
    puppet_close(&p);
}

static void test_leave_while_paused(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_H264);
    assert_int_equal(td_session_pause(p.session, ""), 0);
    td_session_leave(p.session);
    puppet_wait_ended(&p);
    assert_left("growing");
    struct td_manifest m;
    puppet_manifest(&p, &m);
    assert_true(m.paused);
    td_manifest_done(&m);
    puppet_close(&p);
}

/* Before any media there is nothing that could be interrupted. */
static void test_leave_before_media(void **state)
{
    (void)state;
    begin(60 * TD_US_PER_S);
    puppet_enter(&p, "alice", TD_CODEC_VP8);
    td_session_leave(p.session);
    puppet_wait_ended(&p);
    assert_left(NULL);
    puppet_close(&p);
}

/* It ends by itself, and does not go on. */
static void test_leave_while_finishing(void **state)
{
    (void)state;
    begin_stored(60 * TD_US_PER_S, TD_CODEC_VP8);
    td_session_stop(p.session, "stopped");
    td_session_leave(p.session);
    puppet_wait_ended(&p);
    assert_false(p.left);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    puppet_flush(&p);
    puppet_read(&p, "alice.mkv", &tape);
    puppet_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_and_back),
        cmocka_unit_test(test_window_over),
        cmocka_unit_test(test_no_window),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_never_accepted),
        cmocka_unit_test(test_refused_while_lost),
        cmocka_unit_test(test_refused_until_the_end),
        cmocka_unit_test(test_lost_before_media),
        cmocka_unit_test(test_late_word_of_a_lost_source),
        cmocka_unit_test(test_other_room),
        cmocka_unit_test(test_stop_while_lost),
        cmocka_unit_test(test_back_too_late),
        cmocka_unit_test(test_source_not_let_go),
        cmocka_unit_test(test_slow_end),
        cmocka_unit_test(test_pause_while_lost),
        cmocka_unit_test(test_resume_while_lost),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_leave_while_lost),
        cmocka_unit_test(test_leave_while_paused),
        cmocka_unit_test(test_leave_before_media),
        cmocka_unit_test(test_leave_while_finishing),
    };
    return cmocka_run_group_tests_name("recorder/session_source", tests, NULL, NULL);
}
