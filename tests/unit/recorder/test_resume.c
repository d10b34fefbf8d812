/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/resume.h"

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

#define NEAR_US (100 * TD_US_PER_MS)

struct ward {
    struct fixture f;
    char folder[TD_PATH_MAX];
    unsigned reports;
    struct td_resume *resume;
    struct td_manifest m; /* as it is on disk */
};

static struct ward w;

static void open_ward(enum relic_kind kind, size_t cut)
{
    memset(&w, 0, sizeof(w));
    fixture_init(&w.f);
    (void)fixture_path(&w.f, "rec", w.folder);
    relic_put(kind, w.folder, cut);
}

static void close_ward(void)
{
    w.resume = td_resume_free(w.resume);
    td_manifest_done(&w.m);
    fixture_done(&w.f);
}

static void on_report(void *ctx, const struct td_recover_report *report)
{
    (void)report;
    ((struct ward *)ctx)->reports++;
}

/* Looks at the folder, and reads what is written there then. */
static int look(void)
{
    w.resume = td_resume_free(w.resume);
    td_manifest_done(&w.m);
    w.reports = 0;
    int r = td_resume_find(&w.f.gate.base, w.folder, on_report, &w, &w.resume);
    char path[TD_PATH_MAX];
    if (file_exists(relic_path(w.folder, "manifest.json", path)))
        relic_manifest(w.folder, &w.m);
    return r;
}

static bool is_there(const char *name)
{
    char path[TD_PATH_MAX];
    return file_exists(relic_path(w.folder, name, path));
}

static void remove_file(const char *name)
{
    char path[TD_PATH_MAX];
    assert_int_equal(td_fs_unlink(td_fs_posix(), relic_path(w.folder, name, path)), 0);
}

static void rename_file(const char *from, const char *to)
{
    char a[TD_PATH_MAX];
    char b[TD_PATH_MAX];
    assert_int_equal(td_fs_rename(td_fs_posix(), relic_path(w.folder, from, a),
                                  relic_path(w.folder, to, b), false),
                     0);
}

/* "state reason | file:state … | …", of what is on disk. */
static void assert_manifest(const char *wanted)
{
    char found[1024];
    int n = snprintf(found, sizeof(found), "%s %s", w.m.state, w.m.reason);
    for (size_t i = 0; i < w.m.output_count; i++) {
        n += snprintf(found + n, sizeof(found) - (size_t)n, " |");
        for (size_t k = 0; k < w.m.outputs[i].part_count; k++)
            n += snprintf(found + n, sizeof(found) - (size_t)n, " %s:%s",
                          w.m.outputs[i].parts[k].file, w.m.outputs[i].parts[k].state);
    }
    assert_string_equal(found, wanted);
}

static void assert_near(int64_t value_us, int64_t wanted_us)
{
    if (value_us < wanted_us - NEAR_US || value_us > wanted_us + NEAR_US)
        fail_msg("%lld is not about %lld", (long long)value_us, (long long)wanted_us);
}

static void set_state(void *ctx, struct td_manifest *m)
{
    TD_MANIFEST_SET(m->state, (const char *)ctx);
}

/* ---- what can go on ---- */

static void test_in_place(void **state)
{
    (void)state;
    static const size_t cuts[] = {0, 1, 100, 188, 5000};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        open_ward(RELIC_TS, cuts[i]);
        assert_int_equal(look(), 0);
        assert_manifest("interrupted  | alice.recording.ts:growing");
        assert_int_equal(w.reports, 1);
        assert_true(w.resume->ends[0].open);
        assert_int_equal(w.resume->ends[0].tail.track_count, 2);
        assert_int_equal(w.resume->last_pts_us, w.resume->ends[0].tail.newest_us);
        assert_true(w.resume->last_pts_us > RELIC_MS * 1000 - 400000);
        assert_int_equal(w.m.outputs[0].parts[0].bytes, w.resume->ends[0].tail.bytes);
        assert_int_equal(w.m.break_count, 1);
        assert_int_equal(w.m.breaks[0].pts_us, w.resume->last_pts_us);
        assert_true(w.m.breaks[0].resumed_us == TD_MANIFEST_NO_TIME);
        assert_true(w.m.breaks[0].wall_us == w.resume->last_wall_us / 1000 * 1000);
        assert_true(w.resume->last_wall_us == w.m.zero_us + w.resume->last_pts_us);
        assert_int_equal(relic_lines(w.folder, "\"interrupted\""), 1);
        assert_string_equal(w.resume->folder, w.folder);
        assert_true(is_there("alice.recording.ts"));
        assert_false(is_there("alice.ts"));
        close_ward();
    }
}

static void test_next_part(void **state)
{
    (void)state;
    open_ward(RELIC_MKV, 0);
    assert_true(is_there("alice.recording.mkv.idx"));
    assert_int_equal(look(), 0);
    assert_manifest("interrupted  | alice.mkv:recovered");
    assert_int_equal(w.reports, 1);
    assert_false(w.resume->ends[0].open);
    assert_near(w.resume->last_pts_us, RELIC_MS * 1000);
    assert_int_equal(w.m.break_count, 1);
    assert_false(is_there("alice.recording.mkv"));
    assert_false(is_there("alice.recording.mkv.idx"));
    close_ward();
}

static void test_both(void **state)
{
    (void)state;
    open_ward(RELIC_BOTH, 50);
    assert_int_equal(look(), 0);
    assert_manifest("interrupted  | alice.recording.ts:growing | bob.mkv:recovered");
    assert_int_equal(w.reports, 2);
    assert_true(w.resume->ends[0].open);
    assert_false(w.resume->ends[1].open);
    assert_int_equal(w.m.break_count, 1);
    assert_near(w.m.breaks[0].pts_us, RELIC_MS * 1000);
    assert_int_equal(relic_lines(w.folder, "\"interrupted\""), 1);
    close_ward();
}

/* Nothing was stored yet: it goes on waiting, and nothing was interrupted. */
static void test_nothing_stored(void **state)
{
    (void)state;
    open_ward(RELIC_EMPTY, 0);
    assert_int_equal(look(), 0);
    assert_string_equal(w.m.state, "interrupted");
    assert_int_equal(w.reports, 0);
    assert_true(w.resume->last_wall_us == TD_MANIFEST_NO_TIME);
    assert_int_equal(w.m.break_count, 0);
    assert_int_equal(relic_lines(w.folder, "\"interrupted\""), 0);
    close_ward();
}

/* Killed again and again without going on: one interruption, and nothing else changes. */
static void test_again(void **state)
{
    (void)state;
    for (unsigned kind = RELIC_TS; kind <= RELIC_BOTH; kind++) {
        open_ward((enum relic_kind)kind, 60);
        assert_int_equal(look(), 0);
        int64_t pts_us = w.resume->last_pts_us;
        size_t count = folder_count(w.folder);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(look(), 0);
            assert_int_equal(w.m.break_count, 1);
            assert_int_equal(relic_lines(w.folder, "\"interrupted\""), 1);
            assert_near(w.resume->last_pts_us, pts_us);
            assert_int_equal(folder_count(w.folder), count);
        }
        close_ward();
    }
}

static void lose_it(void *ctx, struct td_manifest *m)
{
    const int64_t *pts_us = ctx;
    struct td_manifest_break entry = {
        .wall_us = m->zero_us + *pts_us, .pts_us = *pts_us, .resumed_us = TD_MANIFEST_NO_TIME};
    TD_MANIFEST_SET(m->state, "interrupted");
    assert_true(td_manifest_add_break(m, &entry) >= 0);
}

/* Its source was lost before its process was: the same interruption. Had media come after that, it
 * would be another one. */
static void test_lost_before(void **state)
{
    (void)state;
    static const int64_t pts_us[] = {RELIC_MS * 1000 - 300000, RELIC_MS * 1000 - 1500000};
    for (unsigned i = 0; i < 2; i++) {
        int64_t at_us = pts_us[i];
        open_ward(RELIC_TS, 0);
        relic_change(w.folder, lose_it, &at_us);
        assert_int_equal(look(), 0);
        assert_int_equal(w.m.break_count, 1 + i);
        assert_int_equal(w.m.breaks[0].pts_us, at_us);
        assert_int_equal(relic_lines(w.folder, "\"interrupted\""), i);
        if (i == 1)
            assert_true(w.m.breaks[0].resumed_us == w.m.breaks[1].pts_us);
        close_ward();
    }
}

/* ---- states ---- */

static void test_states(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        int r;
        const char *manifest;
    } rows[] = {
        {"starting", 0, "interrupted  | alice.recording.ts:growing"},
        {"waiting", 0, "interrupted  | alice.recording.ts:growing"},
        {"recording", 0, "interrupted  | alice.recording.ts:growing"},
        {"paused", 0, "interrupted  | alice.recording.ts:growing"},
        {"interrupted", 0, "interrupted  | alice.recording.ts:growing"},
        {"finishing", TD_RESUME_NONE, "complete interrupted | alice.ts:recovered"},
        {"complete", TD_RESUME_NONE, "complete  | alice.ts:recovered"},
        {"failed", TD_RESUME_NONE, "failed  | alice.ts:recovered"},
        {"aborted", TD_RESUME_NONE, "aborted  | alice.ts:recovered"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_ward(RELIC_TS, 70);
        relic_change(w.folder, set_state, (void *)(uintptr_t)rows[i].state);
        assert_int_equal(look(), rows[i].r);
        assert_manifest(rows[i].manifest);
        assert_true((w.resume != NULL) == (rows[i].r == 0));
        assert_int_equal(look(), rows[i].r); /* again */
        assert_manifest(rows[i].manifest);
        bool over = rows[i].r != 0;
        assert_int_equal(relic_lines(w.folder, "\"interrupted\""), over ? 0 : 1);
        close_ward();
    }
}

static void stop_it(void *ctx, struct td_manifest *m)
{
    (void)ctx;
    TD_MANIFEST_SET(m->state, "finishing");
    TD_MANIFEST_SET(m->reason, "stopped");
}

/* It had been stopped: that is why it ended. */
static void test_finishing(void **state)
{
    (void)state;
    open_ward(RELIC_BOTH, 0);
    relic_change(w.folder, stop_it, NULL);
    assert_int_equal(look(), TD_RESUME_NONE);
    assert_manifest("complete stopped | alice.ts:recovered | bob.mkv:recovered");
    assert_true(w.m.ended_us != TD_MANIFEST_NO_TIME);
    assert_int_equal(w.m.break_count, 0);
    assert_int_equal(relic_lines(w.folder, "\"recovered\""), 1);
    close_ward();
}

/* ---- folders that are not whole ---- */

static void test_without_manifest(void **state)
{
    (void)state;
    open_ward(RELIC_BOTH, 0);
    remove_file("manifest.json");
    assert_int_equal(look(), TD_RESUME_NONE);
    assert_null(w.resume);
    assert_true(is_there("alice.ts")); /* its files are made whole all the same */
    assert_true(is_there("bob.mkv"));
    assert_false(is_there("manifest.json"));
    close_ward();
}

static void test_unreadable_manifest(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
    } rows[] = {
        {"", -TD_E_PARSE},
        {"{", -TD_E_PARSE},
        {"[]", -TD_E_PARSE},
        {"{\"format\":2}", -TD_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[TD_PATH_MAX];
        open_ward(RELIC_TS, 0);
        remove_file("manifest.json");
        file_write(relic_path(w.folder, "manifest.json", path), rows[i].text, strlen(rows[i].text));
        struct td_resume *resume = NULL;
        assert_int_equal(td_resume_find(&w.f.gate.base, w.folder, on_report, &w, &resume),
                         rows[i].r);
        assert_null(resume);
        assert_true(is_there("alice.recording.ts")); /* as it was */
        close_ward();
    }
}

static void test_no_folder(void **state)
{
    (void)state;
    open_ward(RELIC_EMPTY, 0);
    struct td_resume *resume = NULL;
    char folder[TD_PATH_MAX];
    int r = td_resume_find(&w.f.gate.base, fixture_path(&w.f, "nowhere", folder), on_report, &w,
                           &resume);
    assert_int_equal(r, -ENOENT);
    close_ward();
}

/* The manifest was written before the file was made, or the file got its last name after it. */
static void test_missing_files(void **state)
{
    (void)state;
    open_ward(RELIC_BOTH, 0);
    remove_file("alice.recording.ts");
    assert_int_equal(look(), 0);
    assert_manifest("interrupted  | alice.recording.ts:failed | bob.mkv:recovered");
    assert_false(w.resume->ends[0].open);
    close_ward();

    open_ward(RELIC_TS, 0);
    remove_file("alice.recording.ts");
    assert_int_equal(look(), 0);
    assert_manifest("interrupted  | alice.recording.ts:failed");
    assert_true(w.resume->last_wall_us == TD_MANIFEST_NO_TIME);
    assert_int_equal(w.m.break_count, 0);
    close_ward();

    open_ward(RELIC_TS, 0);
    rename_file("alice.recording.ts", "alice.ts");
    assert_int_equal(look(), 0);
    assert_manifest("interrupted  | alice.ts:complete");
    assert_false(w.resume->ends[0].open); /* it is finished */
    assert_near(w.resume->last_pts_us, RELIC_MS * 1000);
    assert_near(w.m.outputs[0].parts[0].duration_ms * 1000, RELIC_MS * 1000);
    assert_true(w.m.outputs[0].parts[0].bytes > 10000);
    assert_near(w.m.breaks[0].pts_us, RELIC_MS * 1000);
    close_ward();
}

static void test_empty_files(void **state)
{
    (void)state;
    char path[TD_PATH_MAX];
    open_ward(RELIC_BOTH, 0);
    remove_file("alice.recording.ts");
    file_write(relic_path(w.folder, "alice.recording.ts", path), "", 0);
    remove_file("bob.recording.mkv");
    file_write(relic_path(w.folder, "bob.recording.mkv", path), "no Matroska", 11);
    assert_int_equal(look(), 0);
    assert_manifest("interrupted  | alice.recording.ts:failed | bob.recording.mkv:failed");
    assert_true(w.resume->last_wall_us == TD_MANIFEST_NO_TIME);
    assert_true(is_there("alice.recording.ts")); /* nobody's to remove */
    close_ward();
}

static void forget_part(void *ctx, struct td_manifest *m)
{
    (void)ctx;
    for (size_t i = 0; i < m->output_count; i++)
        m->outputs[i].part_count = 0;
    m->zero_us = TD_MANIFEST_NO_TIME;
}

/* The file had been begun, and the manifest not written since: it names the output alone. */
static void test_unlisted(void **state)
{
    (void)state;
    for (unsigned kind = RELIC_TS; kind <= RELIC_MKV; kind++) {
        open_ward((enum relic_kind)kind, 0);
        relic_change(w.folder, forget_part, NULL);
        int64_t now_us = td_clock_wall_us();
        assert_int_equal(look(), 0);
        assert_manifest(kind == RELIC_TS ? "interrupted  | alice.recording.ts:growing"
                                         : "interrupted  | alice.mkv:recovered");
        assert_near(w.resume->last_pts_us, RELIC_MS * 1000);
        /* Its last write was now: so is its end. */
        assert_true(w.m.zero_us > now_us - 60 * TD_US_PER_S);
        assert_near(w.m.zero_us + RELIC_MS * 1000, now_us);
        assert_int_equal(w.m.break_count, 1);
        close_ward();
    }
    /* It has its last name by now: the process that looked before us was killed too. */
    open_ward(RELIC_MKV, 0);
    assert_int_equal(look(), 0);
    relic_change(w.folder, forget_part, NULL);
    assert_int_equal(look(), 0);
    assert_manifest("interrupted  | alice.mkv:complete");
    assert_near(w.resume->last_pts_us, RELIC_MS * 1000);
    assert_true(w.m.zero_us != TD_MANIFEST_NO_TIME);
    close_ward();
}

static void forget_part_and_stop(void *ctx, struct td_manifest *m)
{
    forget_part(ctx, m);
    stop_it(ctx, m);
}

/* The same, of one that does not go on. */
static void test_unlisted_and_over(void **state)
{
    (void)state;
    open_ward(RELIC_BOTH, 0);
    relic_change(w.folder, forget_part_and_stop, NULL);
    assert_int_equal(look(), TD_RESUME_NONE);
    assert_manifest("complete stopped | alice.ts:recovered | bob.mkv:recovered");
    close_ward();
}

static void add_next_part(void *ctx, struct td_manifest *m)
{
    struct td_manifest_part part = {.first_pts_us = RELIC_MS * 1000};
    TD_MANIFEST_SET(part.file, (const char *)ctx);
    TD_MANIFEST_SET(part.format, "ts");
    TD_MANIFEST_SET(part.state, "growing");
    assert_int_equal(td_manifest_add_part(m, 0, &part), 1);
}

/* Killed while one part was on its way to its last name and the next one had begun: only the last
 * goes on. */
static void test_two_growing_parts(void **state)
{
    (void)state;
    char path[TD_PATH_MAX];
    const struct relic_file *file = NULL;
    for (unsigned i = 0; i < relic_of(RELIC_TS)->count; i++) {
        if (strstr(relic_of(RELIC_TS)->files[i].name, ".ts") != NULL)
            file = &relic_of(RELIC_TS)->files[i];
    }
    assert_non_null(file);
    open_ward(RELIC_TS, 0);
    file_write(relic_path(w.folder, "alice.p2.recording.ts", path), file->bytes, file->len);
    char next[] = "alice.p2.recording.ts";
    relic_change(w.folder, add_next_part, next);
    assert_int_equal(look(), 0);
    assert_manifest("interrupted  | alice.ts:recovered alice.p2.recording.ts:growing");
    assert_true(w.resume->ends[0].open);
    close_ward();
    /* One whose name says another number than its place: nobody would look for it there. */
    open_ward(RELIC_TS, 0);
    file_write(relic_path(w.folder, "alice.p7.recording.ts", path), file->bytes, file->len);
    char odd[] = "alice.p7.recording.ts";
    relic_change(w.folder, add_next_part, odd);
    assert_int_equal(look(), 0);
    assert_manifest("interrupted  | alice.ts:recovered alice.p7.ts:recovered");
    assert_false(w.resume->ends[0].open);
    close_ward();
}

static void forget_name(void *ctx, struct td_manifest *m)
{
    (void)ctx;
    for (size_t i = 0; i < m->output_count; i++)
        TD_MANIFEST_SET(m->outputs[i].name, "");
}

/* An older version did not write down what the files of an output are called. */
static void test_name_missing(void **state)
{
    (void)state;
    open_ward(RELIC_BOTH, 0);
    relic_change(w.folder, forget_name, NULL);
    assert_int_equal(look(), 0);
    assert_string_equal(w.m.outputs[0].name, "alice");
    assert_string_equal(w.m.outputs[1].name, "bob");
    assert_true(w.resume->ends[0].open);
    close_ward();
}

/* ---- the timeline ---- */

static void put_timeline(const char *text, size_t len)
{
    char path[TD_PATH_MAX];
    if (is_there("timeline.jsonl"))
        remove_file("timeline.jsonl");
    file_write(relic_path(w.folder, "timeline.jsonl", path), text, len);
}

static void assert_timeline_kept(const char *kept)
{
    char path[TD_PATH_MAX];
    size_t len = 0;
    char *text = file_read(relic_path(w.folder, "timeline.jsonl", path), &len);
    assert_true(len > strlen(kept));
    assert_memory_equal(text, kept, strlen(kept));
    assert_non_null(strstr(text + strlen(kept), "\"interrupted\""));
    assert_ptr_equal(strchr(text + strlen(kept), '\n'), text + len - 1);
    free(text);
}

static void test_torn_timeline(void **state)
{
    (void)state;
    static const char line[] = "{\"t\":\"2026-11-21T09:30:00.000Z\",\"event\":\"muted\"}\n";
    static const struct {
        const char *torn;
        size_t len;
    } rows[] = {
        {"", 0},
        {"{", 1},
        {"{\"t\":\"2026-11-21T09:30:00.000Z\",\"event\":\"inter", 46},
        {"\0\0\0\0\0\0\0\0", 8},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];
        memcpy(text, line, sizeof(line) - 1);
        memcpy(text + sizeof(line) - 1, rows[i].torn, rows[i].len);
        open_ward(RELIC_TS, 0);
        put_timeline(text, sizeof(line) - 1 + rows[i].len);
        assert_int_equal(look(), 0);
        assert_timeline_kept(line);
        assert_int_equal(look(), 0);
        assert_int_equal(relic_lines(w.folder, "\"interrupted\""), 1);
        close_ward();
        /* The same without a line in front. */
        open_ward(RELIC_TS, 0);
        put_timeline(rows[i].torn, rows[i].len);
        assert_int_equal(look(), 0);
        assert_timeline_kept("");
        close_ward();
    }
}

/* What a power loss left may be as long as it likes. */
static void test_long_torn_timeline(void **state)
{
    (void)state;
    static const char line[] = "{\"t\":\"2026-11-21T09:30:00.000Z\",\"event\":\"muted\"}\n";
    static char text[100000];
    memset(text, 0, sizeof(text));
    memcpy(text, line, sizeof(line) - 1);
    open_ward(RELIC_TS, 0);
    put_timeline(text, sizeof(text));
    assert_int_equal(look(), 0);
    assert_timeline_kept(line);
    close_ward();
    open_ward(RELIC_TS, 0);
    put_timeline(text + sizeof(line), sizeof(text) - sizeof(line));
    assert_int_equal(look(), 0);
    assert_timeline_kept("");
    close_ward();
}

static void test_no_timeline(void **state)
{
    (void)state;
    open_ward(RELIC_TS, 0);
    remove_file("timeline.jsonl");
    assert_int_equal(look(), 0);
    assert_int_equal(relic_lines(w.folder, "\"interrupted\""), 1);
    close_ward();
}

/* The line was written by whoever lost the source, and the process killed before its manifest. */
static void test_line_without_manifest(void **state)
{
    (void)state;
    static const struct {
        int64_t pts_ms;
        unsigned lines;
    } rows[] = {{RELIC_MS - 40, 1}, {RELIC_MS - 300, 1}, {RELIC_MS - 1500, 2}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[256];
        int n = snprintf(line, sizeof(line),
                         "{\"t\":\"2026-11-21T09:30:00.000Z\",\"event\":\"interrupted\",\"pts_ms\":"
                         "%lld,\"detail\":\"disconnected\"}\n",
                         (long long)rows[i].pts_ms);
        open_ward(RELIC_TS, 0);
        put_timeline(line, (size_t)n);
        assert_int_equal(look(), 0);
        assert_int_equal(relic_lines(w.folder, "\"interrupted\""), rows[i].lines);
        assert_int_equal(w.m.break_count, 1);
        close_ward();
    }
}

/* ---- others ---- */

static void test_in_use(void **state)
{
    (void)state;
    static const char *const states[] = {"recording", "finishing"};
    for (size_t i = 0; i < 2; i++) {
        char path[TD_PATH_MAX];
        open_ward(RELIC_TS, 0);
        relic_change(w.folder, set_state, (void *)(uintptr_t)states[i]);
        int handle = td_fs_open(td_fs_posix(), relic_path(w.folder, "alice.recording.ts", path),
                                TD_FS_READ | TD_FS_WRITE, 0);
        assert_true(handle >= 0);
        assert_int_equal(td_fs_lock(td_fs_posix(), handle), 0);
        assert_int_equal(look(), -EAGAIN);
        assert_string_equal(w.m.state, states[i]);
        assert_int_equal(td_fs_close(td_fs_posix(), handle), 0);
        assert_int_equal(look(), i == 0 ? 0 : TD_RESUME_NONE);
        close_ward();
    }
}

static void pause_it(void *ctx, struct td_manifest *m)
{
    (void)ctx;
    TD_MANIFEST_SET(m->state, "paused");
    TD_MANIFEST_SET(m->reason, "disk");
    m->paused = true;
    m->paused_us = 5000000;
}

static void test_paused(void **state)
{
    (void)state;
    open_ward(RELIC_TS, 0);
    relic_change(w.folder, pause_it, NULL);
    assert_int_equal(look(), 0);
    assert_true(w.resume->manifest.paused);
    assert_string_equal(w.resume->manifest.reason, "disk");
    assert_true(w.resume->last_wall_us == w.m.zero_us + 5000000 + w.resume->last_pts_us);
    close_ward();
}

/* Closed instead of gone on with: what both say is the same. */
static void test_closed(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        open_ward(RELIC_BOTH, 0);
        if (first == 1)
            assert_int_equal(look(), 0);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(td_recover_close(&w.f.gate.base, w.folder, on_report, &w), 0);
            td_manifest_done(&w.m);
            relic_manifest(w.folder, &w.m);
            assert_manifest("complete interrupted | alice.ts:recovered | bob.mkv:recovered");
            assert_int_equal(w.m.break_count, 1);
            assert_near(w.m.breaks[0].pts_us, RELIC_MS * 1000);
            assert_int_equal(relic_lines(w.folder, "\"interrupted\""), 1);
            assert_int_equal(relic_lines(w.folder, "\"recovered\""), 1);
        }
        assert_int_equal(look(), TD_RESUME_NONE);
        close_ward();
    }
}

/* Where a recording of two parts ended is behind the second, whichever is looked at last. */
static void test_closed_with_two_parts(void **state)
{
    (void)state;
    char path[TD_PATH_MAX];
    open_ward(RELIC_TS, 0);
    const struct relic_file *file = &relic_of(RELIC_TS)->files[0];
    for (unsigned i = 0; i < relic_of(RELIC_TS)->count; i++) {
        if (strstr(relic_of(RELIC_TS)->files[i].name, ".ts") != NULL)
            file = &relic_of(RELIC_TS)->files[i];
    }
    file_write(relic_path(w.folder, "alice.p2.recording.ts", path), file->bytes, file->len / 2);
    char next[] = "alice.p2.recording.ts";
    relic_change(w.folder, add_next_part, next);
    assert_int_equal(td_recover_close(&w.f.gate.base, w.folder, on_report, &w), 0);
    relic_manifest(w.folder, &w.m);
    assert_manifest("complete interrupted | alice.ts:recovered alice.p2.ts:recovered");
    int64_t second_us = w.m.outputs[0].parts[1].duration_ms * 1000;
    assert_true(second_us > 500000);
    assert_near(w.m.breaks[0].pts_us, RELIC_MS * 1000 + second_us);
    close_ward();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_next_part),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_nothing_stored),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_lost_before),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_finishing),
        cmocka_unit_test(test_without_manifest),
        cmocka_unit_test(test_unreadable_manifest),
        cmocka_unit_test(test_no_folder),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_empty_files),
        cmocka_unit_test(test_unlisted),
        cmocka_unit_test(test_unlisted_and_over),
        cmocka_unit_test(test_two_growing_parts),
        cmocka_unit_test(test_name_missing),
        cmocka_unit_test(test_torn_timeline),
        cmocka_unit_test(test_long_torn_timeline),
        cmocka_unit_test(test_no_timeline),
        cmocka_unit_test(test_line_without_manifest),
        cmocka_unit_test(test_in_use),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_closed_with_two_parts),
    };
    return cmocka_run_group_tests_name("recorder/resume", tests, relics_make, relics_drop);
}
