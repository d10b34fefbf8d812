/* SPDX-License-Identifier: Apache-2.0 */
/* A session that goes on with what another process left, killed or told to leave. */
#include "recorder/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "puppet.h"
#include "recorder/layout.h"
#include "relic.h"

static struct puppet p;
static struct puppet_tape tape;

static void on_report(void *ctx, const struct td_recover_report *report)
{
    (void)ctx;
    assert_int_equal(report->error, 0);
}

static struct td_resume *find(const char *folder)
{
    struct td_resume *resume = NULL;
    assert_int_equal(td_resume_find(td_fs_posix(), folder, on_report, NULL, &resume), 0);
    return resume;
}

static void begin(struct td_resume *resume, int64_t window_us)
{
    struct td_session_config config = puppet_config(&p);
    config.resume = resume;
    config.limits.resume_window_us = window_us;
    puppet_begin(&p, &config);
}

/* As if a process had been killed in the midst of it: p.folder is its folder. */
static void open_relic(enum relic_kind kind)
{
    puppet_open(&p);
    char name[64];
    int n =
        snprintf(name, sizeof(name), "recordings/my_room_20261121T093000Z_rec_%u", (unsigned)kind);
    assert_true(n > 0);
    (void)fixture_path(&p.f, name, p.folder);
    relic_put(kind, p.folder, 77);
}

/* `ms` of alice, from now on, or from `from_ms` when that is later. Where it ended. */
static int64_t play(enum td_codec video, int64_t from_ms, int64_t ms)
{
    puppet_enter(&p, "alice", video);
    int64_t now_ms = puppet_sync_ms(&p) + 1;
    if (from_ms < now_ms)
        from_ms = now_ms;
    puppet_play(&p, 1, 2, from_ms, from_ms + ms, true);
    return from_ms + ms;
}

static void test_killed(void **state)
{
    (void)state;
    for (unsigned kind = RELIC_TS; kind <= RELIC_BOTH; kind++) {
        open_relic((enum relic_kind)kind);
        struct td_resume *resume = find(p.folder);
        char id[TD_ID_MAX];
        (void)snprintf(id, sizeof(id), "%s", resume->manifest.id);
        int64_t last_us = resume->last_pts_us;
        int64_t hole_us = td_clock_wall_us() - resume->last_wall_us;
        begin(resume, 60 * TD_US_PER_S);
        assert_string_equal(puppet_status(&p).id, id);
        assert_int_equal(puppet_status(&p).state, TD_SESSION_INTERRUPTED);
        assert_true(puppet_status(&p).accepted);
        unsigned count = puppet_status(&p).shelf->count;
        assert_int_equal(count, kind == RELIC_BOTH ? 2 : 1);
        for (unsigned i = 0; i < 3; i++) { /* numbers of nothing do not undo what is known */
            assert_true(puppet_status(&p).stats->pts_us >= last_us);
            assert_true(puppet_status(&p).stats->bytes > 10000);
            puppet_hear_once(&p);
        }
        (void)play(kind == RELIC_MKV ? TD_CODEC_VP8 : TD_CODEC_H264, 0, 400);
        puppet_wait_frames(&p, 30);
        puppet_wait_state(&p, TD_SESSION_RECORDING);
        assert_int_equal(puppet_lines(&p, "\"recovered\""), 1);
        puppet_stop(&p);
        assert_int_equal(p.state, TD_SESSION_COMPLETE);
        puppet_flush(&p);
        struct td_manifest m;
        puppet_manifest(&p, &m);
        assert_string_equal(m.id, id);
        assert_int_equal(m.break_count, 1);
        int64_t measured_us = m.breaks[0].resumed_us - m.breaks[0].pts_us;
        assert_true(measured_us >= hole_us - 50000 && measured_us < hole_us + 5000000);
        assert_int_equal(puppet_timeline(&p, "\"interrupted\""), 1);
        assert_int_equal(puppet_timeline(&p, "\"recovered\""), 1);
        assert_string_equal(m.source, "livekit");
        assert_non_null(m.request);
        if (kind == RELIC_MKV) {
            assert_int_equal(m.outputs[0].part_count, 2);
            assert_true(m.outputs[0].parts[1].first_pts_us == m.breaks[0].resumed_us);
            puppet_read(&p, "alice.p2.mkv", &tape);
            assert_int_equal(tape.count, 30);
            assert_int_equal(tape.frames[0].pts_us / 2000, m.breaks[0].resumed_us / 2000);
        } else {
            assert_int_equal(m.outputs[0].part_count, 1);
            puppet_read(&p, "alice.ts", &tape);
            assert_int_equal(tape.scan.discontinuities, 2);
            assert_int_equal(tape.scan.damaged_units, 0);
            assert_true(tape.count > 30 + 120);
        }
        td_manifest_done(&m);
        assert_int_equal(p.shelf.count, kind == RELIC_MKV ? 2 : count);
        puppet_close(&p);
    }
}

/* Told to leave, again and again: one file, one id, a break each time. */
static void test_left_many_times(void **state)
{
    (void)state;
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    puppet_begin(&p, &config);
    int64_t end_ms = play(TD_CODEC_H264, 0, 400);
    puppet_wait_frames(&p, 30);
    char folder[TD_PATH_MAX];
    memcpy(folder, p.folder, sizeof(folder));
    for (unsigned i = 1; i <= 5; i++) {
        td_session_leave(p.session);
        puppet_wait_ended(&p);
        puppet_restart(&p);
        begin(find(folder), 60 * TD_US_PER_S);
        assert_string_equal(p.folder, folder);
        if (i == 3)
            continue; /* nobody came back in this life */
        end_ms = play(TD_CODEC_H264, end_ms, 400);
        puppet_wait_frames(&p, 30);
    }
    puppet_stop(&p);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    puppet_flush(&p);
    struct td_manifest m;
    puppet_manifest(&p, &m);
    assert_int_equal(m.break_count, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_true(m.breaks[i].resumed_us > m.breaks[i].pts_us);
    assert_int_equal(m.outputs[0].part_count, 1);
    assert_int_equal(m.track_count, 2);
    td_manifest_done(&m);
    assert_int_equal(puppet_timeline(&p, "\"interrupted\""), 4);
    assert_int_equal(puppet_timeline(&p, "\"recovered\""), 4);
    puppet_read(&p, "alice.ts", &tape);
    assert_int_equal(puppet_count(&tape, TD_CODEC_OPUS), 5 * 20);
    assert_int_equal(puppet_count(&tape, TD_CODEC_H264), 5 * 10);
    assert_int_equal(tape.scan.discontinuities, 8);
    puppet_close(&p);
}

static void pause_it(void *ctx, struct td_manifest *m)
{
    TD_MANIFEST_SET(m->state, "paused");
    TD_MANIFEST_SET(m->reason, (const char *)ctx);
    m->paused = true;
}

/* It was paused: it comes back so, with its reason, and no time has passed when it goes on. */
static void test_paused(void **state)
{
    (void)state;
    static const char *const reasons[] = {"", "disk"};
    for (unsigned i = 0; i < 2; i++) {
        open_relic(RELIC_TS);
        relic_change(p.folder, pause_it, (void *)(uintptr_t)reasons[i]);
        begin(find(p.folder), 60 * TD_US_PER_S);
        assert_true(puppet_status(&p).manifest->paused);
        assert_string_equal(puppet_status(&p).reason, reasons[i]);
        int64_t end_ms = play(TD_CODEC_H264, 0, 200); /* nobody's */
        assert_int_equal(puppet_status(&p).state, TD_SESSION_PAUSED);
        assert_int_equal(td_session_pause(p.session, "again"), 0);
        assert_int_equal(td_session_resume(p.session), 0);
        int64_t go_ms = puppet_sync_ms(&p) + 1;
        if (go_ms < end_ms)
            go_ms = end_ms;
        puppet_play(&p, 1, 2, go_ms, go_ms + 400, true);
        puppet_wait_frames(&p, 30);
        puppet_stop(&p);
        puppet_flush(&p);
        puppet_read(&p, "alice.ts", &tape);
        assert_true(puppet_step_ms(&tape, TD_CODEC_OPUS) < 450);
        assert_true(tape.scan.duration_us < (RELIC_MS + 500) * 1000);
        struct td_manifest m;
        puppet_manifest(&p, &m);
        assert_int_equal(m.break_count, 1);
        assert_true(m.breaks[0].resumed_us - m.breaks[0].pts_us < 10000);
        assert_true(m.paused_us > 0);
        assert_false(m.paused);
        td_manifest_done(&m);
        puppet_close(&p);
    }
}

/* Nobody came back: it is what was stored before. */
static void test_window_over(void **state)
{
    (void)state;
    static const enum relic_kind kinds[] = {RELIC_TS, RELIC_BOTH, RELIC_EMPTY};
    for (size_t i = 0; i < 3; i++) {
        open_relic(kinds[i]);
        begin(find(p.folder), 300 * TD_US_PER_MS);
        puppet_wait_ended(&p);
        bool stored = kinds[i] != RELIC_EMPTY;
        assert_int_equal(p.state, stored ? TD_SESSION_COMPLETE : TD_SESSION_ABORTED);
        assert_string_equal(p.reason, "interrupted");
        puppet_flush(&p);
        if (stored) {
            puppet_read(&p, "alice.ts", &tape);
            assert_true(tape.count > 120);
            assert_int_equal(puppet_timeline(&p, "\"interrupted\""), 1);
            for (unsigned k = 0; k < p.shelf.count; k++)
                assert_string_not_equal(p.shelf.entries[k].state, "growing");
        }
        puppet_close(&p);
    }
}

static void test_other_room(void **state)
{
    (void)state;
    open_relic(RELIC_MKV);
    begin(find(p.folder), 60 * TD_US_PER_S);
    puppet_attach(&p);
    puppet_accept(&p, "RM_other");
    puppet_wait_ended(&p);
    assert_int_equal(p.state, TD_SESSION_COMPLETE);
    assert_string_equal(p.reason, "interrupted");
    puppet_close(&p);
}

/* Somebody new comes beside those who were there before. */
static void test_somebody_new(void **state)
{
    (void)state;
    open_relic(RELIC_TS);
    begin(find(p.folder), 60 * TD_US_PER_S);
    puppet_enter(&p, "alice", TD_CODEC_H264);
    puppet_track(&p, 3, "Alice", TD_CODEC_OPUS);
    puppet_track(&p, 4, "Alice", TD_CODEC_VP8);
    int64_t from_ms = puppet_sync_ms(&p) + 1;
    puppet_play(&p, 1, 2, from_ms, from_ms + 200, true);
    puppet_play(&p, 3, 4, from_ms, from_ms + 200, true);
    puppet_wait_frames(&p, 30);
    puppet_stop(&p);
    puppet_flush(&p);
    struct td_manifest m;
    puppet_manifest(&p, &m);
    assert_int_equal(m.output_count, 2);
    assert_string_equal(m.outputs[1].participant, "Alice");
    assert_string_equal(m.outputs[1].parts[0].file, "Alice.mkv");
    assert_int_equal(m.track_count, 4);
    td_manifest_done(&m);
    puppet_close(&p);
}

/* The clock was set back since: time goes on behind what is stored, never before it. */
static void set_forth(void *ctx, struct td_manifest *m)
{
    (void)ctx;
    m->zero_us += 3600 * TD_US_PER_S;
}

static void test_clock_set_back(void **state)
{
    (void)state;
    open_relic(RELIC_TS);
    relic_change(p.folder, set_forth, NULL);
    struct td_resume *resume = find(p.folder);
    int64_t last_us = resume->last_pts_us;
    begin(resume, 60 * TD_US_PER_S);
    (void)play(TD_CODEC_H264, 0, 400);
    puppet_wait_frames(&p, 30);
    puppet_stop(&p);
    puppet_flush(&p);
    struct td_manifest m;
    puppet_manifest(&p, &m);
    assert_true(m.breaks[0].resumed_us > last_us);
    assert_true(m.breaks[0].resumed_us < last_us + 5000000);
    td_manifest_done(&m);
    puppet_read(&p, "alice.ts", &tape);
    assert_true(tape.scan.duration_us < (RELIC_MS + 6000) * 1000);
    puppet_close(&p);
}

/* ---- what cannot be gone on with ---- */

static void add_outputs(void *ctx, struct td_manifest *m)
{
    (void)ctx;
    for (unsigned i = 0; i < TD_TRACKS_MAX; i++) {
        struct td_manifest_output output = {.parts = NULL};
        (void)snprintf(output.name, sizeof(output.name), "p%u", i);
        (void)snprintf(output.participant, sizeof(output.participant), "p%u", i);
        assert_true(td_manifest_add_output(m, &output) >= 0);
    }
}

static void climb(void *ctx, struct td_manifest *m)
{
    (void)ctx;
    TD_MANIFEST_SET(m->outputs[0].name, "../alice");
}

static void test_odd_manifest(void **state)
{
    (void)state;
    static void (*const changes[])(void *ctx, struct td_manifest *m) = {add_outputs, climb};
    static const int errors[] = {-TD_E_LIMIT, -TD_E_DAMAGED};
    for (unsigned i = 0; i < 2; i++) {
        open_relic(RELIC_TS);
        relic_change(p.folder, changes[i], NULL);
        struct td_session_config config = puppet_config(&p);
        config.resume = find(p.folder);
        struct td_fail fail = {.code = 0};
        assert_int_equal(td_session_new(&config, &fail, &p.session), errors[i]);
        assert_null(p.session);
        assert_non_null(strstr(fail.text, "cannot go on"));
        puppet_close(&p);
    }
}

/* Its folder went away between the look and the start. */
static void test_no_folder(void **state)
{
    (void)state;
    open_relic(RELIC_EMPTY);
    struct td_session_config config = puppet_config(&p);
    config.resume = find(p.folder);
    (void)snprintf(config.resume->folder, sizeof(config.resume->folder), "/dev/null/rec");
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_session_new(&config, &fail, &p.session), -ENOTDIR);
    assert_null(p.session);
    puppet_close(&p);
}

/* The file is another one than the one that was looked at: it is left alone, and that is told. */
static void test_changed_file(void **state)
{
    (void)state;
    open_relic(RELIC_TS);
    struct td_resume *resume = find(p.folder);
    char path[TD_PATH_MAX];
    size_t len = 0;
    char *bytes = file_read(relic_path(p.folder, "alice.recording.ts", path), &len);
    assert_int_equal(td_fs_unlink(td_fs_posix(), path), 0);
    file_write(path, bytes, len - 188);
    begin(resume, 60 * TD_US_PER_S);
    (void)play(TD_CODEC_H264, 0, 400);
    puppet_wait_ended(&p);
    assert_int_equal(p.state, TD_SESSION_FAILED);
    assert_string_equal(p.reason, "io_error");
    puppet_flush(&p);
    assert_content(path, bytes, len - 188);
    free(bytes);
    puppet_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed),         cmocka_unit_test(test_left_many_times),
        cmocka_unit_test(test_paused),         cmocka_unit_test(test_window_over),
        cmocka_unit_test(test_other_room),     cmocka_unit_test(test_somebody_new),
        cmocka_unit_test(test_clock_set_back), cmocka_unit_test(test_odd_manifest),
        cmocka_unit_test(test_no_folder),      cmocka_unit_test(test_changed_file),
    };
    return cmocka_run_group_tests_name("recorder/session_make", tests, relics_make, relics_drop);
}
