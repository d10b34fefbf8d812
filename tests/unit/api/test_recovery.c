/* SPDX-License-Identifier: Apache-2.0 */
#include "api/recovery.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "estate.h"
#include "recorder/layout.h"

static struct estate e;

static struct td_recovery_stats run_recovery(void)
{
    struct td_recovery_stats stats;
    estate_start(&e, true);
    ESTATE_UNTIL(e.recovered);
    td_recovery_stats(e.recovery, &stats);
    assert_true(stats.finished);
    return stats;
}

static bool is_there(const char *folder, const char *name)
{
    char path[TD_PATH_MAX];
    return file_exists(relic_path(folder, name, path));
}

static void set_state(void *ctx, struct td_manifest *m)
{
    TD_MANIFEST_SET(m->state, (const char *)ctx);
}

/* Nothing goes on, because that is configured or because the pools could not be replayed: each ends
 * with what it has. */
static void test_closed(void **state)
{
    (void)state;
    char ids[4][TD_ID_MAX];
    char folders[4][TD_PATH_MAX];
    estate_open(&e);
    e.config.resume = false;
    for (unsigned kind = RELIC_TS; kind <= RELIC_EMPTY; kind++) {
        estate_relic(&e, (enum relic_kind)kind, kind, ids[kind], folders[kind]);
        estate_row(&e, ids[kind], folders[kind], "my room", "recording");
    }
    struct td_recovery_stats stats = run_recovery();
    assert_int_equal(stats.interrupted, 4);
    assert_int_equal(stats.closed, 4);
    assert_int_equal(stats.resumed, 0);
    assert_int_equal(stats.rebuilt, 0);
    assert_int_equal(td_recordings_running(e.recordings), 0);
    for (unsigned kind = RELIC_TS; kind <= RELIC_EMPTY; kind++) {
        const char *wanted = kind == RELIC_EMPTY ? "aborted" : "complete";
        struct td_manifest m;
        relic_manifest(folders[kind], &m);
        assert_string_equal(m.state, wanted);
        td_manifest_done(&m);
        assert_string_equal(estate_column(&e, ids[kind], "state"), wanted);
        assert_string_equal(estate_column(&e, ids[kind], "final"), "1");
        assert_string_equal(estate_column(&e, ids[kind], "attempts"), "0");
        assert_string_equal(estate_doc(&e, ids[kind], "reason"), "interrupted");
        assert_string_equal(estate_doc(&e, ids[kind], "room"), "my room");
    }
    assert_true(is_there(folders[RELIC_TS], "alice.ts"));
    assert_true(is_there(folders[RELIC_BOTH], "bob.mkv"));
    estate_stop(&e, false);
    stats = run_recovery(); /* nothing is left to do */
    assert_int_equal(stats.interrupted, 0);
    assert_int_equal(stats.closed, 0);
    estate_close(&e);
}

/* They go on: as interrupted ones that wait for their rooms, which answer only then. */
static void test_resumed(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char folder[TD_PATH_MAX];
    estate_open(&e);
    estate_relic(&e, RELIC_TS, 1, id, folder);
    estate_row(&e, id, folder, "my room", "recording");
    struct td_recovery_stats stats = run_recovery();
    assert_int_equal(stats.resumed, 1);
    assert_int_equal(stats.closed, 0);
    assert_false(td_recovery_awaits(e.recovery, "my room"));
    struct td_recording *recording = td_recordings_by_room(e.recordings, "my room");
    assert_non_null(recording);
    assert_string_equal(td_recording_id(recording), id);
    ESTATE_UNTIL(strstr(e.heard, "rec_1=interrupted") != NULL);
    assert_true(is_there(folder, "alice.recording.ts"));
    estate_stop(&e, true); /* left for the next one … */
    assert_string_equal(estate_column(&e, id, "state"), "interrupted");
    assert_string_equal(estate_column(&e, id, "final"), "0");
    stats = run_recovery(); /* … which goes on again */
    assert_int_equal(stats.resumed, 1);
    assert_int_equal(relic_lines(folder, "\"interrupted\""), 1);
    estate_stop(&e, false);
    assert_string_equal(estate_column(&e, id, "state"), "complete");
    assert_string_equal(estate_doc(&e, id, "reason"), "shutdown");
    assert_true(is_there(folder, "alice.ts"));
    estate_close(&e);
}

/* A lost catalogue is made again from the manifests; what ended is only shown. */
static void test_rebuilt(void **state)
{
    (void)state;
    char ids[4][TD_ID_MAX];
    char folders[4][TD_PATH_MAX];
    char path[TD_PATH_MAX];
    estate_open(&e);
    estate_relic(&e, RELIC_TS, 0, ids[0], folders[0]);
    estate_relic(&e, RELIC_MKV, 1, ids[1], folders[1]);
    char complete[] = "complete";
    relic_change(folders[1], set_state, complete);
    estate_relic(&e, RELIC_EMPTY, 2, ids[2], folders[2]); /* cannot be read */
    assert_int_equal(td_fs_unlink(td_fs_posix(), relic_path(folders[2], "manifest.json", path)), 0);
    file_write(path, "{", 1);
    /* Folders that are not ours, and one that a process made just before it died. */
    char other[TD_PATH_MAX];
    assert_int_equal(td_layout_path(other, "%s/recordings/holiday", e.shelf.f.disk), 0);
    assert_int_equal(td_fs_mkdirs(td_fs_posix(), other, 0700), 0);
    char unused[TD_PATH_MAX];
    assert_int_equal(
        td_layout_path(unused, "%s/recordings/r_20261121T093000Z_rec_9", e.shelf.f.disk), 0);
    assert_int_equal(td_fs_mkdirs(td_fs_posix(), unused, 0700), 0);
    struct td_recovery_stats stats = run_recovery();
    assert_int_equal(stats.rebuilt, 2);
    assert_int_equal(stats.resumed, 1);
    assert_int_equal(estate_rows(&e), 2);
    assert_string_equal(estate_column(&e, ids[0], "state"), "interrupted");
    assert_string_equal(estate_column(&e, ids[0], "room"), "my room");
    assert_string_equal(estate_column(&e, ids[1], "state"), "complete");
    assert_string_equal(estate_column(&e, ids[1], "final"), "1");
    assert_true(is_there(folders[1], "alice.recording.mkv")); /* it ended: nobody's to touch */
    assert_true(file_exists(other));
    assert_false(file_exists(unused));
    assert_content(path, "{", 1);
    struct td_recording *recording = td_recordings_by_room(e.recordings, "my room");
    assert_non_null(recording);
    assert_string_equal(td_recording_id(recording), ids[0]);
    estate_close(&e);
}

/* One that took the daemon with it at each start is set aside, its files as they are. */
static void test_attempts(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char folder[TD_PATH_MAX];
    estate_open(&e);
    e.config.resume = false;
    estate_relic(&e, RELIC_TS, 1, id, folder);
    estate_row(&e, id, folder, "my room", "recording");
    for (int i = 1; i <= TD_RECOVERY_ATTEMPTS_MAX; i++)
        assert_int_equal(td_catalog_attempt(e.shelf.catalog, id, false), i);
    struct td_recovery_stats stats = run_recovery();
    assert_int_equal(stats.set_aside, 1);
    assert_int_equal(stats.closed, 0);
    assert_string_equal(estate_column(&e, id, "state"), "failed");
    assert_string_equal(estate_column(&e, id, "final"), "1");
    assert_string_equal(estate_doc(&e, id, "reason"), "crashed_recovery");
    assert_string_not_equal(estate_doc(&e, id, "ended_at"), "(none)");
    assert_string_equal(estate_column(&e, id, "bytes"), "1234");
    assert_true(is_there(folder, "alice.recording.ts"));
    struct td_manifest m;
    relic_manifest(folder, &m);
    assert_string_equal(m.state, "recording");
    td_manifest_done(&m);
    estate_close(&e);
}

/* One attempt less, and it is looked at; then they count from the start. */
static void test_attempts_count_from_the_start(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char folder[TD_PATH_MAX];
    estate_open(&e);
    estate_relic(&e, RELIC_TS, 1, id, folder);
    estate_row(&e, id, folder, "my room", "recording");
    for (int i = 1; i < TD_RECOVERY_ATTEMPTS_MAX; i++)
        assert_int_equal(td_catalog_attempt(e.shelf.catalog, id, false), i);
    struct td_recovery_stats stats = run_recovery();
    assert_int_equal(stats.resumed, 1);
    assert_string_equal(estate_column(&e, id, "attempts"), "3");
    estate_stop(&e, true); /* an orderly end is no crash */
    assert_string_equal(estate_column(&e, id, "attempts"), "0");
    estate_close(&e);
}

static void test_missing_folder(void **state)
{
    (void)state;
    estate_open(&e);
    estate_row(&e, "rec_1", "/x/my_room_20261121T093000Z_rec_1", "my room", "recording");
    estate_row(&e, "rec_2", "", "my room", "starting");
    struct td_recovery_stats stats = run_recovery();
    assert_int_equal(stats.interrupted, 2);
    assert_int_equal(stats.resumed, 0);
    assert_string_equal(estate_column(&e, "rec_1", "state"), "aborted");
    assert_string_equal(estate_column(&e, "rec_2", "state"), "aborted");
    assert_string_equal(estate_doc(&e, "rec_1", "reason"), "interrupted");
    assert_string_equal(estate_column(&e, "rec_2", "final"), "1");
    estate_close(&e);
}

/* A manifest that cannot be believed: the files stay, the row says that it failed. */
static void test_unreadable_manifest(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char folder[TD_PATH_MAX];
    char path[TD_PATH_MAX];
    estate_open(&e);
    estate_relic(&e, RELIC_TS, 1, id, folder);
    estate_row(&e, id, folder, "my room", "recording");
    assert_int_equal(td_fs_unlink(td_fs_posix(), relic_path(folder, "manifest.json", path)), 0);
    file_write(path, "{\"format\":1", 11);
    (void)run_recovery();
    assert_string_equal(estate_column(&e, id, "state"), "failed");
    assert_string_equal(estate_doc(&e, id, "reason"), "recovery_failed");
    assert_true(is_there(folder, "alice.recording.ts"));
    estate_close(&e);
}

/* A manifest that can be read, and that nobody can go on with: it ends with what it has. */
static void climb(void *ctx, struct td_manifest *m)
{
    (void)ctx;
    TD_MANIFEST_SET(m->outputs[0].name, "../alice");
}

static void test_not_resumable(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char folder[TD_PATH_MAX];
    estate_open(&e);
    estate_relic(&e, RELIC_TS, 1, id, folder);
    relic_change(folder, climb, NULL);
    struct td_recovery_stats stats = run_recovery(); /* and a row that is made again, too */
    assert_int_equal(stats.rebuilt, 1);
    ESTATE_UNTIL(strcmp(estate_column(&e, id, "final"), "1") == 0);
    assert_int_equal(stats.resumed, 0);
    assert_string_equal(estate_column(&e, id, "state"), "complete");
    assert_string_equal(estate_column(&e, id, "room"), "my room");
    assert_int_equal(td_recordings_running(e.recordings), 0);
    assert_true(is_there(folder, "alice.ts"));
    estate_close(&e);
}

/* Another process has its file: neither ended nor gone on with. */
static void test_in_use(void **state)
{
    (void)state;
    for (unsigned goes_on = 0; goes_on < 2; goes_on++) {
        char id[TD_ID_MAX];
        char folder[TD_PATH_MAX];
        char path[TD_PATH_MAX];
        estate_open(&e);
        e.config.resume = goes_on == 1;
        estate_relic(&e, RELIC_TS, 1, id, folder);
        estate_row(&e, id, folder, "my room", "recording");
        char finishing[] = "finishing";
        if (goes_on == 1)
            relic_change(folder, set_state, finishing);
        int handle = td_fs_open(td_fs_posix(), relic_path(folder, "alice.recording.ts", path),
                                TD_FS_READ | TD_FS_WRITE, 0);
        assert_true(handle >= 0);
        assert_int_equal(td_fs_lock(td_fs_posix(), handle), 0);
        (void)run_recovery();
        assert_string_equal(estate_column(&e, id, "final"), "0");
        assert_string_equal(estate_column(&e, id, "state"), "interrupted");
        estate_stop(&e, false);
        assert_int_equal(td_fs_close(td_fs_posix(), handle), 0);
        e.config.resume = false;
        (void)run_recovery(); /* the next start finds it free */
        assert_string_equal(estate_column(&e, id, "state"), "complete");
        estate_close(&e);
    }
}

/* ---- rooms that wait ---- */

static void on_settled(void *ctx, struct td_recording *recording)
{
    (void)recording;
    ++*(unsigned *)ctx;
}

static int start(const char *room, unsigned *settled)
{
    struct td_recording_request asked = {.room = room};
    struct td_recording *recording = NULL;
    struct td_fail fail = {.code = 0};
    return td_recordings_start(e.recordings, &asked, on_settled, settled, &fail, &recording);
}

/* Nothing new begins in a room whose recording still waits to be looked at. */
static void test_awaits(void **state)
{
    (void)state;
    char ids[2][TD_ID_MAX];
    char folders[2][TD_PATH_MAX];
    unsigned settled = 0;
    estate_open(&e);
    e.config.resume = false;
    for (unsigned i = 0; i < 2; i++) {
        estate_relic(&e, RELIC_TS, i, ids[i], folders[i]);
        estate_row(&e, ids[i], folders[i], "my room", "recording");
    }
    estate_start(&e, true);
    assert_true(td_recovery_awaits(e.recovery, "my room")); /* its answers are on their way */
    assert_false(td_recovery_awaits(e.recovery, "another room"));
    assert_string_equal(estate_doc(&e, ids[0], "state"), "interrupted"); /* before anybody asks */
    assert_int_equal(start("my room", &settled), -EAGAIN);
    assert_int_equal(start("another room", &settled), 0);
    ESTATE_UNTIL(e.recovered);
    assert_false(td_recovery_awaits(e.recovery, "my room"));
    assert_int_equal(start("my room", &settled), 0);
    ESTATE_UNTIL(settled == 2);
    ESTATE_UNTIL(td_recordings_running(e.recordings) == 0);
    estate_close(&e);
}

/* Told to stop before it has looked at all: the rest is the next start's. */
static void test_stopped_early(void **state)
{
    (void)state;
    char ids[8][TD_ID_MAX];
    char folders[8][TD_PATH_MAX];
    estate_open(&e);
    e.config.on_shutdown = TD_ON_SHUTDOWN_INTERRUPT;
    for (unsigned i = 0; i < 8; i++) {
        estate_relic(&e, RELIC_TS, i, ids[i], folders[i]);
        estate_row(&e, ids[i], folders[i], "my room", "recording");
    }
    estate_start(&e, true);
    estate_stop(&e, true);
    for (unsigned i = 0; i < 8; i++)
        assert_string_equal(estate_column(&e, ids[i], "final"), "0");
    struct td_recovery_stats stats = run_recovery();
    assert_int_equal(stats.interrupted, 8);
    assert_int_equal(stats.resumed, 8);
    estate_close(&e);
}

/* Links of files that no longer grow go before anything grows again. */
static void test_links(void **state)
{
    (void)state;
    char path[TD_PATH_MAX];
    estate_open(&e);
    assert_int_equal(td_layout_path(path, "%s/live", e.shelf.f.disk), 0);
    assert_int_equal(td_fs_mkdirs(td_fs_posix(), path, 0700), 0);
    char link[TD_PATH_MAX];
    char file[TD_PATH_MAX];
    assert_int_equal(td_layout_path(link, "%s/r.alice.ts", path), 0);
    assert_int_equal(td_layout_path(file, "%s/notes.txt", path), 0);
    assert_int_equal(td_fs_symlink(td_fs_posix(), "../recordings/x/alice.recording.ts", link), 0);
    file_write(file, "mine", 4);
    (void)run_recovery();
    assert_false(file_exists(link));
    assert_content(file, "mine", 4);
    estate_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_rebuilt),
        cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_attempts_count_from_the_start),
        cmocka_unit_test(test_missing_folder),
        cmocka_unit_test(test_unreadable_manifest),
        cmocka_unit_test(test_not_resumable),
        cmocka_unit_test(test_in_use),
        cmocka_unit_test(test_awaits),
        cmocka_unit_test(test_stopped_early),
        cmocka_unit_test(test_links),
    };
    return cmocka_run_group_tests_name("api/recovery", tests, relics_make, relics_drop);
}
