/* SPDX-License-Identifier: Apache-2.0 */
#include "api/document.h"

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

/* What only a process knows that records. */
static const char *const live_keys[] = {"frames",  "lost",   "recovered",
                                        "dropped", "gap_ms", "memory_bytes"};

static void assert_same_keys(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, key, value)
    {
        if (json_object_get(b, key) == NULL)
            fail_msg("one has '%s', the other has not", key);
    }
    assert_int_equal(json_object_size(a), json_object_size(b));
}

static json_t *first_of(json_t *doc, const char *key)
{
    json_t *first = json_array_get(json_object_get(doc, key), 0);
    assert_non_null(first);
    return first;
}

static void assert_text(const json_t *doc, const char *key, const char *wanted)
{
    assert_string_equal(json_string_value(json_object_get(doc, key)), wanted);
}

static json_t *manifest_doc(bool hold)
{
    struct td_manifest m;
    puppet_manifest(&p, &m);
    json_t *doc = td_document_manifest(&m, p.folder, hold);
    assert_non_null(doc);
    td_manifest_done(&m);
    return doc;
}

/* The same recording, as it was shown at its end and as its manifest tells it. */
static void test_same_shape(void **state)
{
    (void)state;
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    puppet_begin(&p, &config);
    puppet_enter(&p, "alice", TD_CODEC_H264);
    puppet_play(&p, 1, 2, -1000, 0, true);
    puppet_wait_frames(&p, 75);
    puppet_lose(&p, TD_END_DISCONNECTED);
    puppet_enter(&p, "alice", TD_CODEC_VP8); /* the next part */
    int64_t from_ms = puppet_now_ms(&p) + 1;
    puppet_play(&p, 1, 2, from_ms, from_ms + 400, true);
    puppet_wait_frames(&p, 75 + 30);
    puppet_stop(&p);
    json_t *shown = td_document_session(p.session, true);
    assert_non_null(shown);
    puppet_flush(&p);
    json_t *told = manifest_doc(true);
    for (size_t i = 0; i < sizeof(live_keys) / sizeof(live_keys[0]); i++) {
        assert_null(json_object_get(told, live_keys[i]));
        assert_int_equal(json_object_del(shown, live_keys[i]), 0);
    }
    assert_same_keys(shown, told);
    assert_same_keys(first_of(shown, "outputs"), first_of(told, "outputs"));
    assert_same_keys(first_of(shown, "interruptions"), first_of(told, "interruptions"));
    assert_int_equal(json_array_size(json_object_get(told, "outputs")), 2);
    json_int_t apart_ms = json_integer_value(json_object_get(shown, "pts_ms")) -
                          json_integer_value(json_object_get(told, "pts_ms"));
    assert_true(apart_ms > -50 && apart_ms < 50);
    assert_int_equal(json_object_del(shown, "pts_ms"), 0);
    assert_int_equal(json_object_del(told, "pts_ms"), 0);
    if (!json_equal(shown, told)) {
        char *a = json_dumps(shown, JSON_SORT_KEYS);
        char *b = json_dumps(told, JSON_SORT_KEYS);
        fail_msg("%s\n%s", a, b);
    }
    assert_text(told, "state", "complete");
    assert_text(told, "reason", "stopped");
    assert_text(told, "source", "puppet");
    assert_text(told, "folder", td_layout_name(p.folder));
    assert_text(first_of(told, "outputs"), "name", "alice.ts");
    assert_text(first_of(told, "outputs"), "role", "av");
    assert_int_equal(json_integer_value(json_object_get(told, "bytes")),
                     (json_int_t)td_document_bytes(told));
    json_decref(shown);
    json_decref(told);
    puppet_close(&p);
}

/* While it runs: the same keys again, and no secrets. */
static void test_while_it_runs(void **state)
{
    (void)state;
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    config.request = "{\"room\":\"r\",\"url\":\"wss://hidden\"}";
    puppet_begin(&p, &config);
    json_t *starting = td_document_session(p.session, false);
    assert_text(starting, "state", "starting");
    assert_true(json_is_null(json_object_get(starting, "ended_at")));
    assert_int_equal(json_array_size(json_object_get(starting, "outputs")), 0);
    assert_false(json_is_true(json_object_get(starting, "hold")));
    puppet_enter(&p, "alice", TD_CODEC_H264);
    puppet_play(&p, 1, 2, -1000, 0, true);
    puppet_wait_frames(&p, 75);
    json_t *running = td_document_session(p.session, true);
    assert_same_keys(starting, running);
    assert_text(running, "state", "recording");
    json_t *output = first_of(running, "outputs");
    assert_text(output, "state", "growing");
    assert_text(output, "name", "alice.recording.ts");
    assert_true(json_is_true(json_object_get(running, "hold")));
    assert_int_equal(json_integer_value(json_object_get(running, "frames")), 75);
    char *text = json_dumps(running, 0);
    assert_null(strstr(text, "hidden"));
    free(text);
    json_decref(starting);
    json_decref(running);
    puppet_stop(&p);
    puppet_close(&p);
}

static void test_failure(void **state)
{
    (void)state;
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    puppet_begin(&p, &config);
    struct td_fail fail = {.code = 0};
    (void)td_fail_set(&fail, -TD_E_REFUSED, "No such room.");
    td_session_refuse(p.session, &fail);
    puppet_wait_ended(&p);
    json_t *doc = td_document_session(p.session, false);
    assert_text(doc, "state", "failed");
    assert_text(doc, "error", "No such room.");
    json_decref(doc);
    puppet_close(&p);
}

static json_t *doc_of(struct td_manifest *m)
{
    json_t *doc = td_document_manifest(m, "/data/recordings/folder", false);
    assert_non_null(doc);
    td_manifest_done(m);
    return doc;
}

/* An empty one, and one whose texts are odd, are shown all the same. */
static void test_odd_manifests(void **state)
{
    (void)state;
    struct td_manifest m;
    td_manifest_init(&m);
    json_t *doc = doc_of(&m);
    assert_text(doc, "state", "");
    assert_true(json_is_null(json_object_get(doc, "started_at")));
    assert_int_equal(json_integer_value(json_object_get(doc, "pts_ms")), 0);
    json_decref(doc);
    td_manifest_init(&m);
    struct td_manifest_output output = {.parts = NULL};
    TD_MANIFEST_SET(output.participant, "a\"\\\xc3\xa4");
    assert_int_equal(td_manifest_add_output(&m, &output), 0);
    struct td_manifest_part part = {
        .bytes = UINT64_MAX, .duration_ms = 1500, .first_pts_us = TD_MANIFEST_NO_TIME};
    TD_MANIFEST_SET(part.file, "../x.ts");
    assert_int_equal(td_manifest_add_part(&m, 0, &part), 0);
    part.first_pts_us = 10000000;
    part.bytes = 5;
    assert_int_equal(td_manifest_add_part(&m, 0, &part), 1);
    doc = doc_of(&m);
    assert_int_equal(json_array_size(json_object_get(doc, "outputs")), 2);
    assert_text(first_of(doc, "outputs"), "participant", "a\"\\\xc3\xa4");
    assert_text(first_of(doc, "outputs"), "name", "x.ts");
    assert_text(first_of(doc, "outputs"), "format", "");
    assert_text(first_of(doc, "outputs"), "state", "failed");
    assert_int_equal(json_integer_value(json_object_get(doc, "pts_ms")), 11500);
    assert_int_equal(td_document_bytes(doc), 5);
    json_decref(doc);
}

static void test_interruptions(void **state)
{
    (void)state;
    struct td_manifest m;
    td_manifest_init(&m);
    struct td_manifest_break entry = {
        .wall_us = INT64_C(1795253400123000), .pts_us = 5000000, .resumed_us = 7250000};
    assert_int_equal(td_manifest_add_break(&m, &entry), 0);
    entry.resumed_us = TD_MANIFEST_NO_TIME;
    assert_int_equal(td_manifest_add_break(&m, &entry), 1);
    json_t *doc = doc_of(&m);
    json_t *array = json_object_get(doc, "interruptions");
    json_t *wanted = json_pack("[{s:s,s:i,s:i},{s:s,s:i,s:n}]", "at", "2026-11-21T09:30:00.123Z",
                               "pts_ms", 5000, "hole_ms", 2250, "at", "2026-11-21T09:30:00.123Z",
                               "pts_ms", 5000, "hole_ms");
    assert_true(json_equal(array, wanted));
    json_decref(wanted);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_shape),    cmocka_unit_test(test_while_it_runs),
        cmocka_unit_test(test_failure),       cmocka_unit_test(test_odd_manifests),
        cmocka_unit_test(test_interruptions),
    };
    return cmocka_run_group_tests_name("api/document", tests, NULL, NULL);
}
