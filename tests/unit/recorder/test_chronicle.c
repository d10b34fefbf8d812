/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/chronicle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/layout.h"

struct book {
    struct td_log log;
    struct td_chronicle chronicle;
    char lines[32768];
};

static struct book b;

static void on_line(void *ctx, const char *line)
{
    struct book *book = ctx;
    size_t len = strlen(book->lines);
    assert_true(len + strlen(line) < sizeof(book->lines));
    memcpy(book->lines + len, line, strlen(line) + 1);
}

static void open_book(void)
{
    static const struct td_recorder recorder = {.fs = NULL}; /* nothing is written */
    memset(&b, 0, sizeof(b));
    td_log_init(&b.log, -1, TD_LOG_ERROR);
    td_chronicle_init(&b.chronicle, &recorder, &b.log);
    b.chronicle.line = on_line;
    b.chronicle.ctx = &b;
}

static void close_book(void)
{
    td_chronicle_save(&b.chronicle); /* without a path: nothing */
    td_chronicle_done(&b.chronicle);
}

static unsigned lines(const char *text)
{
    unsigned count = 0;
    for (const char *at = strstr(b.lines, text); at != NULL; at = strstr(at + 1, text))
        count++;
    return count;
}

static struct td_track_info track_of(uint32_t handle, const char *who, const char *sid)
{
    struct td_track_info info = {.handle = handle, .kind = TD_MEDIA_AUDIO};
    (void)snprintf(info.participant, sizeof(info.participant), "%s", who);
    (void)snprintf(info.sid, sizeof(info.sid), "%s", sid);
    return info;
}

static void first_frame(uint32_t handle, int64_t pts_us)
{
    struct td_event event = {.kind = TD_EVENT_FIRST_FRAME, .track = handle, .pts_us = pts_us};
    td_chronicle_event(&b.chronicle, &event);
}

/* A track that comes again is the same one; a new one of the same handle is not. */
static void test_tracks(void **state)
{
    (void)state;
    open_book();
    const struct td_manifest *m = &b.chronicle.manifest;
    struct td_track_info first = track_of(1, "alice", "TR_1");
    struct td_track_info other = track_of(1, "alice", "TR_2");
    struct td_track_info nameless = track_of(2, "alice", "");
    td_chronicle_track(&b.chronicle, &first, true);
    first_frame(1, 5000);
    td_chronicle_track(&b.chronicle, &first, false);
    td_chronicle_track(&b.chronicle, &first, true);
    first_frame(1, 9000);
    assert_int_equal(m->track_count, 1);
    assert_int_equal(m->tracks[0].offset_us, 5000); /* of its very first frame */
    td_chronicle_track(&b.chronicle, &first, false);
    td_chronicle_track(&b.chronicle, &other, true);
    first_frame(1, 11000);
    assert_int_equal(m->track_count, 2);
    assert_int_equal(m->tracks[1].offset_us, 11000);
    td_chronicle_track(&b.chronicle, &nameless, true);
    td_chronicle_track(&b.chronicle, &nameless, false);
    td_chronicle_track(&b.chronicle, &nameless, true);
    assert_int_equal(m->track_count, 4); /* nobody can say that it is the same */
    assert_int_equal(lines("\"track_added\""), 5);
    assert_int_equal(lines("\"track_removed\""), 3);
    close_book();
}

/* Media ends once until it goes on again, and goes on once. */
static void test_interruptions(void **state)
{
    (void)state;
    open_book();
    const struct td_manifest *m = &b.chronicle.manifest;
    td_chronicle_recovered(&b.chronicle, 0); /* nothing had ended */
    assert_int_equal(lines("\"recovered\""), 0);
    for (int64_t i = 0; i < 3; i++) {
        td_chronicle_interrupted(&b.chronicle, 1, i * 10000000, "disconnected");
        td_chronicle_interrupted(&b.chronicle, 2, i * 10000000 + 5, "shutdown");
        td_chronicle_recovered(&b.chronicle, i * 10000000 + 2500000);
        td_chronicle_recovered(&b.chronicle, i * 10000000 + 3000000);
    }
    assert_int_equal(m->break_count, 3);
    assert_int_equal(m->breaks[2].pts_us, 20000000);
    assert_int_equal(m->breaks[2].resumed_us, 22500000);
    assert_int_equal(lines("\"interrupted\""), 3);
    assert_int_equal(lines("\"hole_ms\":2500"), 3);
    close_book();
}

/* More than a manifest has room for: the timeline tells of all. */
static void test_many_interruptions(void **state)
{
    (void)state;
    open_book();
    b.chronicle.line = NULL;
    for (unsigned i = 0; i < TD_MANIFEST_BREAKS_MAX; i++) {
        td_chronicle_interrupted(&b.chronicle, 1, i * 1000, "disconnected");
        td_chronicle_recovered(&b.chronicle, i * 1000 + 500);
    }
    b.chronicle.line = on_line;
    td_chronicle_interrupted(&b.chronicle, 1, 5000000, "disconnected");
    td_chronicle_recovered(&b.chronicle, 6000000);
    assert_int_equal(b.chronicle.manifest.break_count, TD_MANIFEST_BREAKS_MAX);
    assert_int_equal(lines("\"interrupted\""), 1);
    close_book();
}

static void test_pauses(void **state)
{
    (void)state;
    open_book();
    for (unsigned i = 0; i < 2; i++) {
        struct td_event paused = {.kind = TD_EVENT_PAUSED, .pts_us = 1000000};
        struct td_event resumed = {.kind = TD_EVENT_RESUMED, .pts_us = 1000000, .a = 2500000};
        td_chronicle_event(&b.chronicle, &paused);
        td_chronicle_event(&b.chronicle, &resumed);
    }
    assert_int_equal(b.chronicle.manifest.paused_us, 5000000);
    assert_int_equal(lines("\"event\":\"paused\",\"pts_ms\":1000"), 2);
    assert_int_equal(lines("\"paused_ms\":2500"), 2);
    close_book();
}

static struct td_part part_of(unsigned output, unsigned number)
{
    struct td_part part = {.output = output,
                           .number = number,
                           .format = td_mux_by_name("ts"),
                           .first_pts_us = number * 1000,
                           .scan = {.duration_us = 7000000}};
    assert_int_equal(td_layout_growing("/d/alice", number, "ts", part.growing), 0);
    assert_int_equal(td_layout_final("/d/alice", number, "ts", part.final), 0);
    return part;
}

static void test_parts(void **state)
{
    (void)state;
    open_book();
    const struct td_manifest *m = &b.chronicle.manifest;
    struct td_part part = part_of(0, 1);
    td_chronicle_part(&b.chronicle, &part, "growing", 0); /* of no output: nothing */
    td_chronicle_output(&b.chronicle, "alice", "av", "alice");
    td_chronicle_part(&b.chronicle, &part, "growing", 0);
    assert_string_equal(m->outputs[0].parts[0].file, "alice.recording.ts");
    assert_int_equal(m->outputs[0].parts[0].duration_ms, 0);
    assert_int_equal(m->outputs[0].parts[0].first_pts_us, 1000);
    struct td_part next = part_of(0, 2);
    td_chronicle_part(&b.chronicle, &next, "growing", 0); /* before the first one is whole */
    td_chronicle_part(&b.chronicle, &part, "complete", 77);
    td_chronicle_part(&b.chronicle, &next, "failed", 5);
    assert_int_equal(m->outputs[0].part_count, 2);
    assert_string_equal(m->outputs[0].parts[0].file, "alice.ts");
    assert_string_equal(m->outputs[0].parts[0].state, "complete");
    assert_int_equal(m->outputs[0].parts[0].bytes, 77);
    assert_int_equal(m->outputs[0].parts[0].duration_ms, 7000);
    assert_string_equal(m->outputs[0].parts[1].file, "alice.p2.recording.ts");
    assert_string_equal(m->outputs[0].parts[1].state, "failed");
    /* One that goes on keeps where it began. */
    part.first_pts_us = 999999;
    td_chronicle_part(&b.chronicle, &part, "growing", 0);
    assert_int_equal(m->outputs[0].parts[0].first_pts_us, 1000);
    assert_string_equal(m->outputs[0].parts[0].state, "growing");
    close_book();
}

static void test_events(void **state)
{
    (void)state;
    static const struct {
        struct td_event event;
        const char *line;
    } rows[] = {
        {{.kind = TD_EVENT_GAP, .pts_us = 1000000, .to_us = 2000000, .a = 3, .b = 4, .track = 1},
         "\"event\":\"gap\",\"pts_ms\":1000,\"track\":\"TR_1\",\"to_ms\":2000,\"packets\":3,"
         "\"frames\":4"},
        {{.kind = TD_EVENT_DROP, .pts_us = 1000000, .to_us = 2000000, .a = 3},
         "\"event\":\"drop\",\"pts_ms\":1000,\"to_ms\":2000,\"frames\":3"},
        {{.kind = TD_EVENT_SILENT, .a = 5000000, .track = 1},
         "\"event\":\"gap\",\"track\":\"TR_1\",\"detail\":\"silent\",\"silent_ms\":5000"},
        {{.kind = TD_EVENT_RESOLUTION, .a = 640, .b = 360}, "\"width\":640,\"height\":360"},
        {{.kind = TD_EVENT_CODEC, .a = TD_CODEC_H264, .b = 999}, "\"detail\":\"unknown\""},
        {{.kind = TD_EVENT_DURATION}, "\"event\":\"limit\",\"pts_ms\":0,\"detail\":\"duration\""},
        {{.kind = TD_EVENT_LIMIT}, "\"detail\":\"tracks\""},
        {{.kind = TD_EVENT_BACKLOG}, "\"event\":\"disk_slow\""},
        {{.kind = TD_EVENT_FAILED, .a = -TD_E_LIMIT}, "\"event\":\"limit\""},
        {{.kind = TD_EVENT_REFUSED, .a = TD_CODEC_VP8}, "\"event\":\"limit\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_book();
        struct td_track_info info = track_of(1, "alice", "TR_1");
        td_chronicle_track(&b.chronicle, &info, true);
        td_chronicle_event(&b.chronicle, &rows[i].event);
        if (strstr(b.lines, rows[i].line) == NULL)
            fail_msg("row %zu: %s", i, b.lines);
        close_book();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tracks),
        cmocka_unit_test(test_interruptions),
        cmocka_unit_test(test_many_interruptions),
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_events),
    };
    return cmocka_run_group_tests_name("recorder/chronicle", tests, NULL, NULL);
}
