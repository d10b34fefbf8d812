/* SPDX-License-Identifier: Apache-2.0 */
#include "api/letter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/catalog.h"

#define NOW_US INT64_C(1795253465123456)

static const char ended[] =
    "{\"id\": \"rec_abc\", \"room\": \"demo\", \"room_sid\": \"RM_1\", \"state\": \"complete\","
    " \"reason\": \"stopped\", \"started_at\": \"2026-11-21T09:30:00.250Z\","
    " \"ended_at\": \"2026-11-21T09:31:00.000Z\", \"outputs\": ["
    "  {\"participant\": \"anna\", \"file\": \"anna.ts\", \"bytes\": 9007199254740993,"
    "   \"duration_ms\": 59750},"
    "  {\"participant\": \"bob\", \"file\": \"\", \"bytes\": 0, \"duration_ms\": 0},"
    "  {\"participant\": \"carl\", \"file\": \"carl.ts\", \"bytes\": 5, \"duration_ms\": 1,"
    "   \"started_at\": \"2026-11-21T09:30:30Z\", \"ended_at\": \"2026-11-21T09:30:31Z\"}]}";

static json_t *doc_of(const char *text)
{
    json_t *doc = json_loads(text, 0, NULL);
    assert_non_null(doc);
    return doc;
}

static json_t *write_letter(enum td_letter_event event, const json_t *doc)
{
    char *text = NULL;
    assert_int_equal(td_letter_write(event, doc, NOW_US, &text), 0);
    json_t *letter = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(letter);
    free(text);
    return letter;
}

static void assert_field(const json_t *object, const char *key, const char *wanted)
{
    const char *value = json_string_value(json_object_get(object, key));
    if (wanted == NULL) {
        assert_null(json_object_get(object, key));
        return;
    }
    assert_non_null(value);
    assert_string_equal(value, wanted);
}

static void test_write(void **state)
{
    (void)state;
    json_t *doc = doc_of(ended);
    json_t *letter = write_letter(TD_LETTER_ENDED, doc);
    assert_field(letter, "event", "egress_ended");
    assert_field(letter, "createdAt", "1795253465");
    const json_t *info = json_object_get(letter, "egressInfo");
    assert_field(info, "egressId", "rec_abc");
    assert_field(info, "roomId", "RM_1");
    assert_field(info, "roomName", "demo");
    assert_field(info, "status", "EGRESS_COMPLETE");
    assert_field(info, "startedAt", "1795253400250000000");
    assert_field(info, "endedAt", "1795253460000000000");
    assert_field(info, "updatedAt", "1795253465123456000");
    assert_field(info, "error", NULL);
    const json_t *files = json_object_get(info, "fileResults");
    assert_int_equal(json_array_size(files), 2); /* bob has no file */
    const json_t *file = json_array_get(files, 0);
    assert_field(file, "filename", "anna.ts");
    assert_field(file, "location", "anna.ts");
    assert_field(file, "size", "9007199254740993"); /* no double holds it */
    assert_field(file, "duration", "59750000000");
    assert_field(file, "startedAt", "1795253400250000000");
    assert_field(file, "endedAt", "1795253460000000000");
    file = json_array_get(files, 1);
    assert_field(file, "startedAt", "1795253430000000000");
    assert_field(file, "endedAt", "1795253431000000000");
    assert_true(json_equal(json_object_get(letter, "recording"), doc));
    json_decref(letter);
    json_decref(doc);
}

static void test_ids_tell_letters_apart(void **state)
{
    (void)state;
    json_t *doc = doc_of(ended);
    json_t *one = write_letter(TD_LETTER_ENDED, doc);
    json_t *two = write_letter(TD_LETTER_ENDED, doc);
    const char *id = json_string_value(json_object_get(one, "id"));
    assert_memory_equal(id, "EV_", 3);
    assert_string_not_equal(id, json_string_value(json_object_get(two, "id")));
    json_decref(one);
    json_decref(two);
    json_decref(doc);
}

/* A document with nothing in it is no reason to say nothing, nor to invent something. */
static void test_what_is_not_known_is_left_out(void **state)
{
    (void)state;
    json_t *doc = doc_of("{\"id\": \"rec_abc\", \"state\": \"waiting\", \"started_at\": \"soon\","
                         " \"room_sid\": \"\", \"outputs\": [7]}");
    json_t *letter = write_letter(TD_LETTER_STARTED, doc);
    assert_field(letter, "event", "egress_started");
    const json_t *info = json_object_get(letter, "egressInfo");
    assert_field(info, "status", "EGRESS_STARTING");
    assert_field(info, "startedAt", NULL);
    assert_field(info, "endedAt", NULL);
    assert_field(info, "roomId", NULL);
    assert_int_equal(json_array_size(json_object_get(info, "fileResults")), 0);
    json_decref(letter);
    json_decref(doc);
}

static void test_errors(void **state)
{
    (void)state;
    json_t *doc = doc_of("{\"id\": \"rec_abc\", \"state\": \"failed\", \"reason\": \"refused\","
                         " \"error\": \"The server refused.\"}");
    json_t *letter = write_letter(TD_LETTER_ENDED, doc);
    const json_t *info = json_object_get(letter, "egressInfo");
    assert_field(info, "status", "EGRESS_FAILED");
    assert_field(info, "error", "The server refused.");
    json_decref(letter);
    json_decref(doc);
    doc = doc_of("{\"id\": \"rec_abc\", \"state\": \"complete\", \"reason\": \"duration\"}");
    letter = write_letter(TD_LETTER_ENDED, doc);
    info = json_object_get(letter, "egressInfo");
    assert_field(info, "status", "EGRESS_LIMIT_REACHED");
    assert_field(info, "error", "Session limit reached");
    json_decref(letter);
    json_decref(doc);
}

/* What the outbox could not hold goes without the document, and without a loss of LiveKit's own. */
static void test_a_large_document(void **state)
{
    (void)state;
    json_t *doc = doc_of(ended);
    char *blob = malloc(TD_CATALOG_TEXT_MAX + 1);
    assert_non_null(blob);
    memset(blob, 'x', TD_CATALOG_TEXT_MAX);
    blob[TD_CATALOG_TEXT_MAX] = '\0';
    assert_int_equal(json_object_set_new(doc, "blob", json_string(blob)), 0);
    json_t *letter = write_letter(TD_LETTER_ENDED, doc);
    assert_null(json_object_get(letter, "recording"));
    assert_field(json_object_get(letter, "egressInfo"), "egressId", "rec_abc");
    json_decref(letter);
    assert_int_equal(json_object_set_new(doc, "room", json_string(blob)), 0);
    char *text = NULL;
    assert_int_equal(td_letter_write(TD_LETTER_ENDED, doc, NOW_US, &text), -TD_E_LIMIT);
    assert_null(text);
    assert_true(td_letter_write(TD_LETTER_NONE, doc, NOW_US, &text) < 0);
    free(blob);
    json_decref(doc);
}

static void test_statuses(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        const char *reason;
        const char *status;
    } rows[] = {
        {"starting", "", "EGRESS_STARTING"},
        {"waiting", "", "EGRESS_STARTING"},
        {"recording", "", "EGRESS_ACTIVE"},
        {"paused", "disk", "EGRESS_ACTIVE"},
        {"interrupted", "", "EGRESS_ACTIVE"},
        {"finishing", "duration", "EGRESS_ENDING"},
        {"complete", "stopped", "EGRESS_COMPLETE"},
        {"complete", "room_closed", "EGRESS_COMPLETE"},
        {"complete", "gap_limit", "EGRESS_COMPLETE"},
        {"complete", "duration", "EGRESS_LIMIT_REACHED"},
        {"complete", "size_limit", "EGRESS_LIMIT_REACHED"},
        {"complete", "memory_limit", "EGRESS_LIMIT_REACHED"},
        {"complete", "disk_full", "EGRESS_LIMIT_REACHED"},
        {"failed", "disk_full", "EGRESS_FAILED"},
        {"aborted", "duration", "EGRESS_ABORTED"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_string_equal(td_letter_status(rows[i].state, rows[i].reason), rows[i].status);
}

static void test_steps(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        const char *state;
        bool started;
        bool final;
        enum td_letter_event event;
    } rows[] = {
        {NULL, "starting", false, false, TD_LETTER_NONE},
        {"starting", "waiting", false, false, TD_LETTER_STARTED},
        {"starting", "recording", false, false, TD_LETTER_STARTED},
        {"waiting", "recording", true, false, TD_LETTER_UPDATED},
        {"recording", "recording", true, false, TD_LETTER_NONE},
        {"recording", "paused", true, false, TD_LETTER_UPDATED},
        {"paused", "recording", true, false, TD_LETTER_UPDATED},
        {"recording", "interrupted", true, false, TD_LETTER_UPDATED},
        {NULL, "interrupted", true, false, TD_LETTER_UPDATED},
        {NULL, "starting", true, false, TD_LETTER_NONE},
        {"recording", "finishing", true, false, TD_LETTER_UPDATED},
        {"finishing", "complete", true, true, TD_LETTER_ENDED},
        {"starting", "failed", false, true, TD_LETTER_ENDED},
        {NULL, "aborted", false, true, TD_LETTER_ENDED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(
            td_letter_event_of(rows[i].before, rows[i].state, rows[i].started, rows[i].final),
            rows[i].event);
}

static void test_waits_double(void **state)
{
    (void)state;
    int64_t full_us = TD_US_PER_S;
    for (unsigned tries = 0; tries < 40; tries++) {
        int64_t latest_us = td_letter_next_us(0, NOW_US % TD_US_PER_S, tries, 0);
        int64_t wait_us = latest_us - NOW_US % TD_US_PER_S;
        assert_true(wait_us == full_us);
        /* At most a quarter earlier, and never the same for all. */
        int64_t earliest_us = td_letter_next_us(0, NOW_US % TD_US_PER_S, tries, UINT32_MAX) -
                              NOW_US % TD_US_PER_S;
        assert_true(earliest_us < full_us && earliest_us >= full_us - full_us / 4);
        full_us = full_us * 2 < TD_LETTER_WAIT_US_MAX ? full_us * 2 : TD_LETTER_WAIT_US_MAX;
    }
    assert_true(full_us == 600 * TD_US_PER_S);
    assert_true(td_letter_next_us(0, 0, UINT32_MAX, 0) == TD_LETTER_WAIT_US_MAX);
}

/* A letter that always fails: about a day of tries, the last of them at its very end. */
static void test_life_ends(void **state)
{
    (void)state;
    int64_t now_us = NOW_US;
    unsigned tries = 0;
    for (;;) {
        int64_t next_us = td_letter_next_us(NOW_US, now_us, tries, tries * 2654435761u);
        if (next_us == INT64_MAX)
            break;
        assert_true(next_us > now_us);
        now_us = next_us;
        tries++;
        assert_true(tries < 1000);
    }
    assert_true(now_us == NOW_US + TD_LETTER_LIFE_US);
    assert_true(tries > 24 * 6);
    assert_true(td_letter_next_us(NOW_US, NOW_US + 2 * TD_LETTER_LIFE_US, 0, 0) == INT64_MAX);
    /* The clock was set back: it waits no longer than otherwise. */
    assert_true(td_letter_next_us(NOW_US, NOW_US - TD_LETTER_LIFE_US, 0, 0) ==
                NOW_US - TD_LETTER_LIFE_US + TD_LETTER_WAIT_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_ids_tell_letters_apart),
        cmocka_unit_test(test_what_is_not_known_is_left_out),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_a_large_document),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_waits_double),
        cmocka_unit_test(test_life_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
