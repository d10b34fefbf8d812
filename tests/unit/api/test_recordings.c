/* SPDX-License-Identifier: Apache-2.0 */
#include "api/recordings.h"

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

static void on_report(void *ctx, const struct td_recover_report *report)
{
    (void)ctx;
    (void)report;
}

/* One that goes on, and whose room nobody answers for. */
static struct td_recording *resume(unsigned n, char ret_id[TD_ID_MAX])
{
    char folder[TD_PATH_MAX];
    struct td_resume *found = NULL;
    struct td_fail fail = {.code = 0};
    estate_relic(&e, RELIC_TS, n, ret_id, folder);
    assert_int_equal(td_resume_find(td_fs_posix(), folder, on_report, NULL, &found), 0);
    assert_int_equal(td_recordings_resume(e.recordings, found, "", &fail), 0);
    struct td_recording *recording = td_recordings_by_id(e.recordings, ret_id);
    assert_non_null(recording);
    return recording;
}

struct settled {
    unsigned count;
    int code;
    char id[TD_ID_MAX];
};

static void on_settled(void *ctx, struct td_recording *recording)
{
    struct settled *s = ctx;
    s->count++;
    s->code = td_recording_fail(recording)->code;
    (void)snprintf(s->id, sizeof(s->id), "%s", td_recording_id(recording));
}

static int start(const char *room, struct settled *settled, struct td_recording **ret)
{
    struct td_recording_request asked = {.room = room};
    struct td_fail fail = {.code = 0};
    return td_recordings_start(e.recordings, &asked, on_settled, settled, &fail, ret);
}

/* A refused start is told, once to each who asked, and leaves a failed recording. */
static void test_refused(void **state)
{
    (void)state;
    struct settled settled[2] = {{.count = 0}};
    struct td_recording *recording = NULL;
    struct td_recording *again = NULL;
    estate_open(&e);
    estate_start(&e, false);
    assert_int_equal(start("r", &settled[0], &recording), 0);
    assert_int_equal(start("r", &settled[1], &again), TD_RECORDINGS_RUNNING);
    assert_ptr_equal(again, recording);
    ESTATE_UNTIL(td_recordings_running(e.recordings) == 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(settled[i].count, 1);
        assert_true(settled[i].code < 0);
    }
    assert_string_equal(estate_column(&e, settled[0].id, "state"), "failed");
    assert_int_equal(estate_rows(&e), 1);
    estate_close(&e);
}

/* Stopped, and started again at once: another recording, not the last words of the first. */
static void test_started_after_a_stop(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    struct settled settled = {.count = 0};
    struct td_recording *recording = NULL;
    estate_open(&e);
    estate_start(&e, false);
    struct td_recording *first = resume(1, id);
    assert_int_equal(start("my room", &settled, &recording), TD_RECORDINGS_RUNNING);
    assert_ptr_equal(recording, first);
    assert_int_equal(settled.count, 1); /* it had settled long ago */
    td_recording_stop(first, "stopped");
    assert_int_equal(start("my room", &settled, &recording), 0);
    assert_ptr_not_equal(recording, first);
    assert_ptr_equal(td_recordings_by_room(e.recordings, "my room"), recording);
    ESTATE_UNTIL(td_recordings_running(e.recordings) == 0);
    assert_int_equal(settled.count, 2);
    assert_string_equal(estate_column(&e, id, "state"), "complete");
    estate_close(&e);
}

/* The catalogue is slow: every state is announced all the same, the last one too. */
static void test_announced_to_the_end(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    estate_open(&e);
    estate_start(&e, false);
    estate_hold(&e); /* nothing is written from now on */
    struct td_recording *recording = resume(1, id);
    td_recording_stop(recording, "stopped");
    td_recording_stop(recording, "again");
    ESTATE_UNTIL(td_recording_session(recording) == NULL); /* it has ended */
    assert_string_equal(e.heard, "");
    json_t *doc = td_recording_json(recording);
    assert_string_equal(json_string_value(json_object_get(doc, "id")), id);
    json_decref(doc);
    estate_let_go(&e);
    ESTATE_UNTIL(td_recordings_running(e.recordings) == 0);
    assert_non_null(strstr(e.heard, "rec_1=interrupted"));
    assert_non_null(strstr(e.heard, "rec_1=finishing"));
    assert_non_null(strstr(e.heard, "rec_1=complete!"));
    estate_close(&e);
}

/* Left for the next process: gone from this one once that is written. */
static void test_left(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    estate_open(&e);
    estate_start(&e, false);
    (void)resume(1, id);
    estate_hold(&e);
    td_recordings_stop_all(e.recordings, "shutdown", true, NULL, NULL);
    ESTATE_UNTIL(td_recording_session(td_recordings_by_id(e.recordings, id)) == NULL);
    assert_int_equal(td_recordings_running(e.recordings), 1);
    estate_let_go(&e);
    ESTATE_UNTIL(td_recordings_running(e.recordings) == 0);
    assert_string_equal(estate_column(&e, id, "state"), "interrupted");
    assert_null(strstr(e.heard, "!"));
    estate_close(&e);
}

static void on_all_ended(void *ctx)
{
    *(bool *)ctx = true;
}

/* What was asked for cannot be read, or something is wrong with what was found: refused, and what
 * was found is given back. */
static void test_resume_refused(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char folder[TD_PATH_MAX];
    struct td_fail fail = {.code = 0};
    estate_open(&e);
    estate_start(&e, false);
    estate_relic(&e, RELIC_MKV, 1, id, folder);
    struct td_resume *found = NULL;
    assert_int_equal(td_resume_find(td_fs_posix(), folder, on_report, NULL, &found), 0);
    assert_int_equal(td_recordings_resume(e.recordings, found, "no JSON", &fail), -TD_E_PARSE);
    assert_int_equal(td_resume_find(td_fs_posix(), folder, on_report, NULL, &found), 0);
    TD_MANIFEST_SET(found->manifest.outputs[0].name, "a/b");
    assert_int_equal(td_recordings_resume(e.recordings, found, "", &fail), -TD_E_DAMAGED);
    assert_int_equal(td_recordings_running(e.recordings), 0);
    assert_int_equal(td_resume_find(td_fs_posix(), folder, on_report, NULL, &found), 0);
    bool ended = false;
    td_recordings_stop_all(e.recordings, "shutdown", false, on_all_ended, &ended);
    assert_false(ended); /* never from within the call */
    assert_int_equal(td_recordings_resume(e.recordings, found, "", &fail), -TD_E_STATE);
    ESTATE_UNTIL(ended);
    estate_close(&e);
}

/* A live recording is shown with its numbers, an ended one as it was written. */
static void on_found(void *ctx, int error, json_t *docs)
{
    json_t **ret = ctx;
    assert_int_equal(error, 0);
    *ret = json_incref(docs);
}

static void test_found(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    estate_open(&e);
    estate_row(&e, "rec_old", "x", "my room", "complete");
    estate_start(&e, false);
    (void)resume(1, id);
    json_t *docs = NULL;
    struct td_catalog_query query = {.room = "my room"};
    assert_int_equal(td_recordings_find(e.recordings, &query, on_found, &docs), 0);
    ESTATE_UNTIL(docs != NULL);
    assert_int_equal(json_array_size(docs), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *doc = json_array_get(docs, i);
        const char *shown = json_string_value(json_object_get(doc, "id"));
        bool live = strcmp(shown, id) == 0;
        assert_true((json_object_get(doc, "memory_bytes") != NULL) == live);
    }
    json_decref(docs);
    estate_close(&e);
}

static void on_removed(void *ctx, int error)
{
    *(int *)ctx = error;
}

static int removed(const char *id)
{
    int error = 7777;
    int r = td_recordings_remove(e.recordings, id, on_removed, &error);
    if (r < 0)
        return r;
    ESTATE_UNTIL(error != 7777);
    return error;
}

static void test_removed(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char folder[TD_PATH_MAX];
    estate_open(&e);
    e.config.resume = false;
    estate_relic(&e, RELIC_TS, 2, id, folder);
    estate_row(&e, id, folder, "my room", "recording");
    estate_start(&e, true);
    ESTATE_UNTIL(e.recovered);
    char running[TD_ID_MAX];
    struct td_recording *recording = resume(1, running);
    assert_int_equal(removed(running), -TD_E_STATE);
    assert_int_equal(removed("rec_nobody"), TD_CATALOG_NONE);
    assert_int_equal(removed("rec_that_is_longer_than_any_id"), -TD_E_USAGE);
    assert_true(file_exists(folder));
    assert_int_equal(removed(id), 0);
    assert_false(file_exists(folder));
    assert_int_equal(removed(id), TD_CATALOG_NONE);
    td_recording_stop(recording, "stopped");
    ESTATE_UNTIL(td_recordings_running(e.recordings) == 0);
    assert_int_equal(removed(running), 0);
    assert_int_equal(estate_rows(&e), 0);
    estate_close(&e);
}

/* Limits of the configuration, and of who asked: the smaller one. */
static void test_limit(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    estate_open(&e);
    estate_start(&e, false);
    struct td_recording *recording = resume(1, id);
    td_recording_limit(recording, 0, 1); /* smaller than what is stored */
    ESTATE_UNTIL(td_recordings_running(e.recordings) == 0);
    assert_string_equal(estate_doc(&e, id, "reason"), "size_limit");
    estate_stop(&e, false);
    e.config.limits.max_size_bytes = 1;
    estate_start(&e, false);
    recording = resume(2, id);
    td_recording_limit(recording, -1, INT64_MAX); /* never above the configured one */
    ESTATE_UNTIL(td_recordings_running(e.recordings) == 0);
    assert_string_equal(estate_doc(&e, id, "reason"), "size_limit");
    estate_close(&e);
}

static void test_may_not_begin(void **state)
{
    (void)state;
    struct settled settled = {.count = 0};
    struct td_recording *recording = NULL;
    char id[TD_ID_MAX];
    estate_open(&e);
    e.config.limits.max_recordings = 1;
    estate_start(&e, false);
    td_recordings_refuse(e.recordings, "The disk is full.");
    assert_int_equal(start("r", &settled, &recording), -ENOSPC);
    td_recordings_refuse(e.recordings, NULL);
    (void)resume(1, id); /* what was there before is not asked for room */
    assert_int_equal(start("r", &settled, &recording), -TD_E_LIMIT);
    char second[TD_ID_MAX];
    (void)resume(2, second);
    assert_int_equal(td_recordings_running(e.recordings), 2);
    assert_int_equal(settled.count, 0);
    estate_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_started_after_a_stop),
        cmocka_unit_test(test_announced_to_the_end),
        cmocka_unit_test(test_left),
        cmocka_unit_test(test_resume_refused),
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_may_not_begin),
    };
    return cmocka_run_group_tests_name("api/recordings", tests, relics_make, relics_drop);
}
