/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/recover.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/layout.h"
#include "stage.h"
#include "store/manifest.h"

/* A whole file of each container, made once. */
static struct {
    char *bytes;
    size_t len;
} whole[2];
static const char *const formats[2] = {"ts", "mkv"};

static int make_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stage s;
        stage_init(&s, 32, formats[i], false, 0);
        for (int64_t ms = 0; ms < 2000; ms += 20) {
            stage_audio(&s, s.audio, ms);
            if (ms % 40 == 0)
                stage_video(&s, TD_CODEC_H264, ms, ms % 400 == 0, 0, 600);
            stage_tick(&s, ms);
        }
        stage_finish(&s);
        whole[i].bytes = file_read(s.parts[0].final, &whole[i].len);
        stage_done(&s);
    }
    return 0;
}

static int drop_files(void **state)
{
    (void)state;
    free(whole[0].bytes);
    free(whole[1].bytes);
    return 0;
}

struct ward {
    struct fixture f;
    char path[TD_PATH_MAX];
    unsigned reports;
    unsigned failed;
    struct td_recover_report last;
};

static void ward_init(struct ward *w)
{
    memset(w, 0, sizeof(*w));
    fixture_init(&w->f);
}

/* disk/name with the first `part` of 100 of a whole file. */
static const char *torn(struct ward *w, const char *name, size_t format, unsigned part)
{
    (void)fixture_path(&w->f, name, w->path);
    file_write(w->path, whole[format].bytes, whole[format].len * part / 100);
    return w->path;
}

static void rewrite(const char *path, const char *text)
{
    assert_int_equal(td_fs_unlink(td_fs_posix(), path), 0);
    file_write(path, text, strlen(text));
}

static void on_report(void *ctx, const struct td_recover_report *report)
{
    struct ward *w = ctx;
    w->reports++;
    w->failed += report->error < 0;
    w->last = *report;
}

static int recover_all(struct ward *w, bool dry_run)
{
    w->reports = 0;
    w->failed = 0;
    return td_recover_folder(&w->f.gate.base, w->f.disk, dry_run, on_report, w);
}

static void assert_playable(const char *path, const char *format)
{
    struct td_recover_report report;
    assert_int_equal(td_recover_file(td_fs_posix(), path, true, &report), 0);
    assert_string_equal(report.format, format);
    assert_int_equal(report.bytes_cut, 0);
    assert_true(report.scan.sealed || report.scan.valid_bytes == report.scan.bytes);
    assert_true(report.scan.duration_us > 900000);
}

static void test_torn_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ward w;
        ward_init(&w);
        char name[64];
        char final[TD_PATH_MAX];
        (void)snprintf(name, sizeof(name), "a.recording.%s", formats[i]);
        (void)torn(&w, name, i, 70);
        struct td_recover_report report;
        assert_int_equal(td_recover_file(&w.f.gate.base, w.path, false, &report), 0);
        assert_string_equal(report.path, w.path);
        (void)snprintf(name, sizeof(name), "a.%s", formats[i]);
        assert_string_equal(report.final, fixture_path(&w.f, name, final));
        assert_int_equal(report.bytes_before, whole[i].len * 70 / 100);
        assert_true(report.scan.duration_us > 1000000 && report.scan.duration_us < 1700000);
        assert_false(file_exists(w.path));
        assert_int_equal(folder_count(w.f.disk), 1);
        assert_playable(final, formats[i]);
        fixture_done(&w.f);
    }
}

static void test_other_name_in_place(void **state)
{
    (void)state;
    struct ward w;
    ward_init(&w);
    (void)torn(&w, "video.ts", 0, 70);
    struct td_recover_report report;
    assert_int_equal(td_recover_file(&w.f.gate.base, w.path, false, &report), 0);
    assert_string_equal(report.final, w.path);
    assert_playable(w.path, "ts");
    fixture_done(&w.f);
}

static void test_locked(void **state)
{
    (void)state;
    struct ward w;
    ward_init(&w);
    (void)torn(&w, "a.recording.ts", 0, 70);
    int handle = td_fs_open(td_fs_posix(), w.path, TD_FS_READ | TD_FS_WRITE, 0);
    assert_true(handle >= 0);
    assert_int_equal(td_fs_lock(td_fs_posix(), handle), 0);
    struct td_recover_report report;
    assert_int_equal(td_recover_file(&w.f.gate.base, w.path, false, &report), TD_RECOVER_LOCKED);
    assert_int_equal(recover_all(&w, false), 0);
    assert_int_equal(w.reports, 0);
    assert_content(w.path, whole[0].bytes, whole[0].len * 70 / 100);
    assert_int_equal(td_fs_close(td_fs_posix(), handle), 0);
    assert_int_equal(recover_all(&w, false), 1);
    fixture_done(&w.f);
}

static void test_final_name_taken(void **state)
{
    (void)state;
    struct ward w;
    ward_init(&w);
    char path[TD_PATH_MAX];
    file_write(fixture_path(&w.f, "a.ts", path), "old", 3);
    file_write(fixture_path(&w.f, "a-2.recording.ts", path), "x", 1); /* on its way to -2 */
    (void)torn(&w, "a.recording.ts", 0, 70);
    struct td_recover_report report;
    assert_int_equal(td_recover_file(&w.f.gate.base, w.path, false, &report), 0);
    assert_string_equal(td_layout_name(report.final), "a-3.ts");
    assert_content(fixture_path(&w.f, "a.ts", path), "old", 3);
    fixture_done(&w.f);
}

static void test_nothing_in_it(void **state)
{
    (void)state;
    struct ward w;
    struct td_recover_report report;
    char path[TD_PATH_MAX];
    ward_init(&w);
    file_write(fixture_path(&w.f, "a.recording.ts", path), "", 0);
    assert_int_equal(td_recover_file(&w.f.gate.base, path, false, &report), TD_RECOVER_NOTHING);
    rewrite(path, "no container at all");
    assert_int_equal(td_recover_file(&w.f.gate.base, path, false, &report), TD_RECOVER_NOTHING);
    assert_content(path, "no container at all", 19);
    assert_int_equal(td_recover_file(&w.f.gate.base, "/nowhere/a.ts", false, &report), -ENOENT);
    assert_int_equal(report.error, -ENOENT);
    fixture_done(&w.f);
}

/* ---- folders ---- */

static void put_manifest(struct ward *w, const char *state, const char *const files[],
                         const char *const states[], size_t count)
{
    struct td_manifest m;
    td_manifest_init(&m);
    TD_MANIFEST_SET(m.id, "rec_a");
    TD_MANIFEST_SET(m.state, state);
    struct td_manifest_output output = {.parts = NULL};
    assert_int_equal(td_manifest_add_output(&m, &output), 0);
    for (size_t i = 0; i < count; i++) {
        struct td_manifest_part part = {.first_pts_us = 0};
        TD_MANIFEST_SET(part.file, files[i]);
        TD_MANIFEST_SET(part.state, states[i]);
        assert_int_equal(td_manifest_add_part(&m, 0, &part), (int)i);
    }
    char *text = NULL;
    size_t len = 0;
    char path[TD_PATH_MAX];
    assert_int_equal(td_manifest_write(&m, &text, &len), 0);
    file_write(fixture_path(&w->f, "manifest.json", path), text, len);
    free(text);
    td_manifest_done(&m);
}

/* "state reason | file:state file:state" */
static void assert_manifest(const struct ward *w, const char *wanted)
{
    char path[TD_PATH_MAX];
    char found[512];
    size_t len = 0;
    struct td_manifest m;
    char *text = file_read(fixture_path(&w->f, "manifest.json", path), &len);
    assert_int_equal(td_manifest_read(text, len, &m), 0);
    free(text);
    int n = snprintf(found, sizeof(found), "%s %s |", m.state, m.reason);
    for (size_t i = 0; i < m.outputs[0].part_count; i++)
        n += snprintf(found + n, sizeof(found) - (size_t)n, " %s:%s", m.outputs[0].parts[i].file,
                      m.outputs[0].parts[i].state);
    td_manifest_done(&m);
    assert_string_equal(found, wanted);
}

static const char *const two_files[] = {"a.ts", "a.p2.recording.mkv"};
static const char *const two_states[] = {"complete", "growing"};

static void killed(struct ward *w)
{
    ward_init(w);
    (void)torn(w, "a.ts", 0, 100);
    (void)torn(w, "a.p2.recording.mkv", 1, 70);
    put_manifest(w, "recording", two_files, two_states, 2);
}

static void test_folder(void **state)
{
    (void)state;
    struct ward w;
    killed(&w);
    assert_int_equal(recover_all(&w, false), 1);
    assert_int_equal(w.reports, 1);
    assert_int_equal(w.failed, 0);
    assert_manifest(&w, "complete interrupted | a.ts:complete a.p2.mkv:recovered");
    char path[TD_PATH_MAX];
    size_t len = 0;
    char *timeline = file_read(fixture_path(&w.f, "timeline.jsonl", path), &len);
    assert_non_null(strstr(timeline, "\"interrupted\""));
    assert_non_null(strstr(timeline, "\"recovered\""));
    /* Again: nothing is left to do. */
    assert_int_equal(recover_all(&w, false), 0);
    assert_int_equal(w.reports, 0);
    size_t len_after = 0;
    free(file_read(path, &len_after));
    assert_int_equal(len_after, len);
    free(timeline);
    fixture_done(&w.f);
}

static void test_dry_run(void **state)
{
    (void)state;
    struct ward w;
    killed(&w);
    unsigned long long writes = atomic_load(&w.f.gate.writes);
    size_t count = folder_count(w.f.disk);
    assert_int_equal(recover_all(&w, true), 1);
    assert_int_equal(w.reports, 1);
    assert_string_equal(td_layout_name(w.last.final), "a.p2.mkv");
    assert_true(w.last.scan.duration_us > 1000000);
    assert_int_equal(atomic_load(&w.f.gate.writes), writes);
    assert_int_equal(folder_count(w.f.disk), count);
    assert_manifest(&w, "recording  | a.ts:complete a.p2.recording.mkv:growing");
    char path[TD_PATH_MAX];
    assert_content(fixture_path(&w.f, "a.p2.recording.mkv", path), whole[1].bytes,
                   whole[1].len * 70 / 100);
    fixture_done(&w.f);
}

/* Killed between the last rename and the manifest. */
static void test_already_renamed(void **state)
{
    (void)state;
    struct ward w;
    ward_init(&w);
    (void)torn(&w, "a.ts", 0, 100);
    (void)torn(&w, "a.p2.mkv", 1, 100);
    put_manifest(&w, "finishing", two_files, two_states, 2);
    assert_int_equal(recover_all(&w, false), 0);
    assert_manifest(&w, "complete interrupted | a.ts:complete a.p2.mkv:complete");
    fixture_done(&w.f);
}

static void test_unplayable_part(void **state)
{
    (void)state;
    struct ward w;
    ward_init(&w);
    char path[TD_PATH_MAX];
    file_write(fixture_path(&w.f, "a.recording.ts", path), "x", 1);
    static const char *const files[] = {"a.recording.ts"};
    static const char *const states[] = {"growing"};
    put_manifest(&w, "recording", files, states, 1);
    assert_int_equal(recover_all(&w, false), 0);
    assert_manifest(&w, "failed interrupted | a.recording.ts:failed");
    assert_content(path, "x", 1);
    fixture_done(&w.f);
}

/* Without anything to recover it may belong to a recorder that has just begun. */
static void test_others_are_left_alone(void **state)
{
    (void)state;
    struct ward w;
    ward_init(&w);
    put_manifest(&w, "waiting", NULL, NULL, 0);
    assert_int_equal(recover_all(&w, false), 0);
    assert_manifest(&w, "waiting  |");
    char path[TD_PATH_MAX];
    rewrite(fixture_path(&w.f, "manifest.json", path), "{");
    assert_true(recover_all(&w, false) < 0); /* a manifest that cannot be read is told */
    assert_content(path, "{", 1);
    fixture_done(&w.f);
}

/* Every call fails once: nothing leaks, and the next run finishes what is left. */
static void test_faults(void **state)
{
    (void)state;
    unsigned long long calls = 1;
    for (unsigned long long n = 1; n <= calls; n++) {
        struct ward w;
        killed(&w);
        w.f.gate.error = -EIO;
        w.f.gate.fail_at = n;
        (void)recover_all(&w, false);
        assert_int_equal(w.f.gate.handles, 0);
        calls = atomic_load(&w.f.gate.calls) >= n ? n + 1 : n; /* it struck: try a later one */
        w.f.gate.fail_at = 0;
        assert_true(recover_all(&w, false) >= 0);
        assert_int_equal(w.failed, 0);
        assert_true(recover_all(&w, false) >= 0);
        char path[TD_PATH_MAX];
        assert_false(file_exists(fixture_path(&w.f, "a.p2.recording.mkv", path)));
        assert_playable(fixture_path(&w.f, "a.p2.mkv", path), "mkv");
        fixture_done(&w.f);
        if (n > 500)
            fail_msg("too many calls");
    }
    assert_true(calls > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torn_file),       cmocka_unit_test(test_other_name_in_place),
        cmocka_unit_test(test_locked),          cmocka_unit_test(test_final_name_taken),
        cmocka_unit_test(test_nothing_in_it),   cmocka_unit_test(test_folder),
        cmocka_unit_test(test_dry_run),         cmocka_unit_test(test_already_renamed),
        cmocka_unit_test(test_unplayable_part), cmocka_unit_test(test_others_are_left_alone),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests_name("recorder/recover", tests, make_files, drop_files);
}
