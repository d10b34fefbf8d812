/* SPDX-License-Identifier: Apache-2.0 */
/* A session whose limits are reached, or whose disk is full. */
#include "recorder/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "puppet.h"
#include "recorder/layout.h"

#define SHORT_US (300 * TD_US_PER_MS)

static struct puppet p;
static struct puppet_tape tape;

static void begin(const struct td_session_limits *limits)
{
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    config.limits = *limits;
    puppet_begin(&p, &config);
}

static void begin_stored(const struct td_session_limits *limits, enum td_codec video)
{
    begin(limits);
    puppet_enter(&p, "alice", video);
    puppet_play(&p, 1, 2, -1000, 0, true);
    puppet_wait_frames(&p, 75);
    const struct td_capture_stats *stats = puppet_status(&p).stats;
    PUPPET_WAIT(&p, p.ended > 0 || stats->written_bytes >= stats->bytes);
}

static void assert_ended(enum td_session_state state, const char *reason)
{
    puppet_wait_ended(&p);
    assert_int_equal(p.state, state);
    assert_string_equal(p.reason, reason);
}

/* ---- limits ---- */

static void test_duration(void **state)
{
    (void)state;
    begin_stored(&(struct td_session_limits){.max_duration_us = 900 * TD_US_PER_MS}, TD_CODEC_VP8);
    assert_ended(TD_SESSION_COMPLETE, "duration");
    assert_int_equal(puppet_lines(&p, "\"limit\""), 1);
    puppet_close(&p);
}

static void test_size(void **state)
{
    (void)state;
    begin_stored(&(struct td_session_limits){.max_size_bytes = 10000}, TD_CODEC_H264);
    assert_ended(TD_SESSION_COMPLETE, "size_limit");
    assert_true(p.shelf.entries[0].bytes >= 10000);
    puppet_close(&p);
}

static void test_gap(void **state)
{
    (void)state;
    begin_stored(&(struct td_session_limits){.gap_limit_us = 2 * TD_US_PER_S}, TD_CODEC_VP8);
    assert_ended(TD_SESSION_COMPLETE, "gap_limit");
    assert_true(puppet_now_ms(&p) >= 1900);
    puppet_close(&p);
}

/* Silence of the muted, of the paused and of the lost is no gap. */
static void test_no_gap(void **state)
{
    (void)state;
    struct td_session_limits limits = {.gap_limit_us = SHORT_US,
                                       .resume_window_us = 60 * TD_US_PER_S};
    for (unsigned way = 0; way < 3; way++) {
        begin(&limits);
        puppet_enter(&p, "alice", TD_CODEC_VP8);
        int64_t from_ms = puppet_sync_ms(&p);
        puppet_play(&p, 1, 2, from_ms, from_ms + 200, true);
        if (way == 0) {
            puppet_mute(&p, 1, true);
            puppet_mute(&p, 2, true);
        } else if (way == 1) {
            assert_int_equal(td_session_pause(p.session, ""), 0);
        } else {
            puppet_lose(&p, TD_END_DISCONNECTED);
        }
        int64_t until_ms = puppet_now_ms(&p) + 1000;
        while (puppet_now_ms(&p) < until_ms) {
            puppet_hear_once(&p);
            assert_true(puppet_status(&p).state < TD_SESSION_FINISHING);
        }
        puppet_stop(&p);
        assert_string_equal(p.reason, "stopped");
        puppet_close(&p);
    }
}

/* Nobody came, or all went. */
static void test_empty_room(void **state)
{
    (void)state;
    struct td_session_limits limits = {.empty_timeout_us = SHORT_US,
                                       .departure_timeout_us = SHORT_US};
    begin(&limits);
    puppet_attach(&p);
    puppet_accept(&p, "RM_1");
    assert_ended(TD_SESSION_ABORTED, "never_started");
    puppet_close(&p);
    begin_stored(&limits, TD_CODEC_VP8);
    int64_t until_ms = puppet_now_ms(&p) + 600;
    while (puppet_now_ms(&p) < until_ms) /* somebody is there */
        puppet_hear_once(&p);
    puppet_present(&p, "bob", true);
    puppet_present(&p, "alice", false);
    puppet_present(&p, "bob", false);
    assert_ended(TD_SESSION_COMPLETE, "empty_room");
    puppet_close(&p);
}

/* Whoever was lost comes back to an empty room: it is empty from then on. */
static void test_empty_room_after_a_loss(void **state)
{
    (void)state;
    struct td_session_limits limits = {.departure_timeout_us = SHORT_US,
                                       .resume_window_us = 60 * TD_US_PER_S};
    begin_stored(&limits, TD_CODEC_VP8);
    puppet_lose(&p, TD_END_DISCONNECTED);
    int64_t until_ms = puppet_now_ms(&p) + 600;
    while (puppet_now_ms(&p) < until_ms) {
        puppet_hear_once(&p);
        assert_int_equal(puppet_status(&p).state, TD_SESSION_INTERRUPTED);
    }
    puppet_attach(&p);
    puppet_accept(&p, "RM_1");
    assert_ended(TD_SESSION_COMPLETE, "empty_room");
    puppet_close(&p);
}

/* Limits that are set while it runs. */
static void test_new_limits(void **state)
{
    (void)state;
    struct td_session_limits limits = {.max_size_bytes = 1 << 30};
    begin_stored(&limits, TD_CODEC_VP8);
    puppet_hear_once(&p);
    assert_int_equal(puppet_status(&p).state, TD_SESSION_RECORDING);
    limits.max_size_bytes = 1000;
    td_session_set_limits(p.session, &limits);
    assert_ended(TD_SESSION_COMPLETE, "size_limit");
    puppet_close(&p);
}

/* ---- a full disk ---- */

static void fill_disk(void)
{
    atomic_store(&p.f.gate.write_error, -ENOSPC);
    int64_t from_ms = puppet_now_ms(&p);
    puppet_play(&p, 1, 2, from_ms, from_ms + 1000, true);
}

/* What was begun on the full disk is closed; the recorder knows where it stood. */
static void wait_closed(void)
{
    PUPPET_WAIT(&p, puppet_status(&p).shelf->growing == 0);
}

/* Paused at each time it is full, resumed at each time it is not: a part each, one recording. */
static void test_full_and_resumed(void **state)
{
    (void)state;
    static const enum td_codec codecs[] = {TD_CODEC_H264, TD_CODEC_VP8};
    static const struct td_session_limits limits = {.pause_on_full = true};
    for (size_t i = 0; i < 2; i++) {
        begin_stored(&limits, codecs[i]);
        for (unsigned k = 1; k <= 2; k++) {
            fill_disk();
            puppet_wait_state(&p, TD_SESSION_PAUSED);
            assert_string_equal(puppet_status(&p).reason, "disk");
            assert_int_equal(puppet_status(&p).fail->code, -ENOSPC);
            assert_non_null(strstr(puppet_status(&p).fail->text, "alice"));
            assert_int_equal(puppet_lines(&p, "\"disk_full\""), k);
            wait_closed();
            atomic_store(&p.f.gate.write_error, 0);
            assert_int_equal(td_session_resume(p.session), 0);
            assert_int_equal(puppet_status(&p).fail->code, 0);
            assert_string_equal(puppet_status(&p).reason, "");
            int64_t go_ms = puppet_sync_ms(&p) + 1;
            puppet_play(&p, 1, 2, go_ms, go_ms + 600, true);
            PUPPET_WAIT(&p, puppet_status(&p).shelf->growing > 0);
            assert_int_equal(puppet_status(&p).state, TD_SESSION_RECORDING);
        }
        puppet_stop(&p);
        assert_int_equal(p.state, TD_SESSION_COMPLETE);
        assert_string_equal(p.reason, "stopped");
        puppet_flush(&p);
        struct td_manifest m;
        puppet_manifest(&p, &m);
        assert_int_equal(m.output_count, 1);
        assert_int_equal(m.outputs[0].part_count, 3);
        assert_string_equal(m.outputs[0].parts[2].state, "complete");
        assert_true(m.outputs[0].parts[2].first_pts_us > m.outputs[0].parts[1].first_pts_us);
        assert_int_equal(m.break_count, 0); /* it was paused, not interrupted */
        td_manifest_done(&m);
        puppet_read(&p, i == 0 ? "alice.p3.ts" : "alice.p3.mkv", &tape);
        assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 30);
        assert_int_equal(puppet_count(&tape, codecs[i]), 15);
        assert_int_equal(p.shelf.count, 3);
        assert_int_equal(p.shelf.growing, 0);
        puppet_close(&p);
    }
}

/* Full, and nobody offers anything: muted all around, or paused by somebody just then. */
static void test_full_and_silent(void **state)
{
    (void)state;
    static const struct td_session_limits limits = {.pause_on_full = true};
    begin_stored(&limits, TD_CODEC_H264);
    puppet_mute(&p, 1, true);
    puppet_mute(&p, 2, true);
    atomic_store(&p.f.gate.write_error, -ENOSPC);
    puppet_wait_state(&p, TD_SESSION_PAUSED); /* it keeps its file alive, and finds out */
    wait_closed();
    atomic_store(&p.f.gate.write_error, 0);
    assert_int_equal(td_session_resume(p.session), 0);
    puppet_mute(&p, 1, false);
    puppet_mute(&p, 2, false);
    int64_t go_ms = puppet_sync_ms(&p) + 1;
    puppet_play(&p, 1, 2, go_ms, go_ms + 400, true);
    puppet_wait_frames(&p, 75 + 30);
    puppet_stop(&p);
    puppet_flush(&p);
    puppet_read(&p, "alice.p2.ts", &tape);
    assert_int_equal(tape.count, 30);
    puppet_close(&p);
}

/* Somebody paused it; that it was full as well is told, and does not make it the disk's pause. */
static void test_full_while_paused(void **state)
{
    (void)state;
    static const struct td_session_limits limits = {.pause_on_full = true};
    begin_stored(&limits, TD_CODEC_H264);
    gate_shut(&p.f.gate);
    int64_t from_ms = puppet_now_ms(&p);
    puppet_play(&p, 1, 2, from_ms, from_ms + 200, true);
    (void)puppet_sync_ms(&p);
    assert_int_equal(td_session_pause(p.session, ""), 0);
    atomic_store(&p.f.gate.write_error, -ENOSPC);
    gate_open(&p.f.gate);
    puppet_wait_lines(&p, "\"disk_full\"", 1);
    assert_int_equal(puppet_status(&p).state, TD_SESSION_PAUSED);
    assert_string_equal(puppet_status(&p).reason, "");
    assert_int_equal(puppet_status(&p).fail->code, -ENOSPC);
    wait_closed();
    atomic_store(&p.f.gate.write_error, 0);
    assert_int_equal(td_session_resume(p.session), 0);
    int64_t go_ms = puppet_sync_ms(&p) + 1;
    if (go_ms < from_ms + 200)
        go_ms = from_ms + 200;
    puppet_play(&p, 1, 2, go_ms, go_ms + 400, true);
    puppet_wait_lines(&p, "\"resumed\"", 1);
    puppet_stop(&p);
    puppet_flush(&p);
    puppet_read(&p, "alice.p2.ts", &tape);
    assert_int_equal(tape.count, 30);
    puppet_close(&p);
}

static void test_full_and_stopped(void **state)
{
    (void)state;
    static const struct td_session_limits limits = {.pause_on_full = false};
    begin_stored(&limits, TD_CODEC_H264);
    fill_disk();
    assert_ended(TD_SESSION_COMPLETE, "disk_full");
    assert_int_equal(p.fail.code, -ENOSPC);
    puppet_close(&p);
}

/* Full, paused, and stopped before there was space: what was stored is what it has. */
static void test_full_then_stopped(void **state)
{
    (void)state;
    static const struct td_session_limits limits = {.pause_on_full = true};
    begin_stored(&limits, TD_CODEC_H264);
    fill_disk();
    puppet_wait_state(&p, TD_SESSION_PAUSED);
    puppet_stop(&p);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    assert_string_equal(p.reason, "stopped");
    puppet_close(&p);
}

/* A broken disk is no full one: there is nothing to wait for. */
static void test_broken(void **state)
{
    (void)state;
    static const struct td_session_limits limits = {.pause_on_full = true};
    begin_stored(&limits, TD_CODEC_H264);
    atomic_store(&p.f.gate.write_error, -EIO);
    int64_t from_ms = puppet_now_ms(&p);
    puppet_play(&p, 1, 2, from_ms, from_ms + 1000, true);
    assert_ended(TD_SESSION_FAILED, "io_error");
    assert_int_equal(p.fail.code, -EIO);
    puppet_close(&p);
}

/* ---- numbers ---- */

/* Of a second part its own bytes and its own length are shown, while it grows too. */
static void test_numbers_of_a_second_part(void **state)
{
    (void)state;
    static const struct td_session_limits limits = {.max_size_bytes = 0};
    begin_stored(&limits, TD_CODEC_H264);
    puppet_track_gone(&p, 2);
    puppet_track(&p, 7, "alice", TD_CODEC_VP8); /* its codec needs another part */
    int64_t from_ms = puppet_now_ms(&p) + 1;
    puppet_play(&p, 1, 7, from_ms, from_ms + 500, true);
    puppet_wait_frames(&p, 75 + 37);
    PUPPET_WAIT(&p, puppet_status(&p).shelf->growing == 1 && puppet_status(&p).shelf->count == 2);
    const struct td_shelf_entry *entry = &puppet_status(&p).shelf->entries[1];
    PUPPET_WAIT(&p, entry->bytes > 0 && entry->duration_ms > 0);
    assert_true(entry->growing);
    assert_true(entry->bytes < puppet_status(&p).stats->bytes / 2 + 10000);
    assert_true(entry->duration_ms <= 600);
    uint64_t bytes = entry->bytes;
    puppet_stop(&p);
    assert_true(p.shelf.entries[1].bytes > 0);
    assert_true(bytes < p.shelf.entries[1].bytes + 2000); /* with its index, as it grew */
    assert_true(p.shelf.entries[1].duration_ms <= 600);
    assert_string_equal(td_layout_name(p.shelf.entries[1].file), "alice.p2.mkv");
    puppet_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_no_gap),
        cmocka_unit_test(test_empty_room),
        cmocka_unit_test(test_empty_room_after_a_loss),
        cmocka_unit_test(test_new_limits),
        cmocka_unit_test(test_full_and_resumed),
        cmocka_unit_test(test_full_and_silent),
        cmocka_unit_test(test_full_while_paused),
        cmocka_unit_test(test_full_and_stopped),
        cmocka_unit_test(test_full_then_stopped),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_numbers_of_a_second_part),
    };
    return cmocka_run_group_tests_name("recorder/session_capture", tests, NULL, NULL);
}
