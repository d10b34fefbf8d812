/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "said.h"

#define LIVE                                                                                       \
    "{\"id\":\"rec_a\",\"room\":\"stand\\u001bup\",\"state\":\"paused\",\"reason\":\"disk\","      \
    "\"source\":\"livekit\",\"folder\":\"standup_x\",\"hold\":true,\"paused\":true,"               \
    "\"started_at\":\"2026-11-21T09:30:00.000Z\",\"ended_at\":null,\"outputs\":[{\"participant\":" \
    "\"alice\",\"state\":\"growing\",\"file\":\"/d/alice.recording.ts\",\"bytes\":1234567,"        \
    "\"duration_ms\":61500}],\"interruptions\":[{\"at\":\"2026-11-21T09:31:00.000Z\","             \
    "\"pts_ms\":60000,\"hole_ms\":2100},{\"at\":null,\"pts_ms\":70000,\"hole_ms\":null}],"         \
    "\"pts_ms\":62000,\"bytes\":1234567,\"frames\":900,\"lost\":3,\"recovered\":4,\"dropped\":5,"  \
    "\"gap_ms\":400,\"memory_bytes\":25600}"
#define ENDED                                                                                      \
    "{\"id\":\"rec_b\",\"room\":\"standup\",\"state\":\"failed\",\"reason\":\"refused\","          \
    "\"error\":\"The server refused.\",\"outputs\":[]}"

static json_t *load(const char *text)
{
    json_error_t error;
    json_t *doc = json_loads(text, 0, &error);
    if (doc == NULL)
        fail_msg("%s", error.text);
    return doc;
}

static void test_sheet(void **state)
{
    (void)state;
    static const char *const said[] = {
        "recording  rec_a\n",
        "state      paused (disk)\n",
        "room       stand?up\n",
        "started    2026-11-21 09:30:00 UTC\n",
        "duration   00:01:02.000\n",
        "size       1.2 MB\n",
        "packets    3 lost, 4 came late or again\n",
        "holes      at 00:01:00.000 (2026-11-21 09:31:00 UTC), 2.1 s\n",
        "           at 00:01:10.000 (- UTC), it has not gone on\n",
        "hold       retention leaves it alone\n",
        "\nFROM       DURATION    BYTES  STATE    FILE\n",
        "\nalice  00:01:01.500  1234567  growing  /d/alice.recording.ts\n",
    };
    char text[TD_SAID_MAX];
    FILE *file = tmpfile();
    assert_non_null(file);
    json_t *doc = load(LIVE);
    assert_int_equal(td_view_sheet(file, doc), 0);
    json_decref(doc);
    td_said_read(file, text);
    for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++) {
        if (strstr(text, said[i]) == NULL)
            fail_msg("'%s' is not in\n%s", said[i], text);
    }
    assert_null(strstr(text, "ended "));
}

static void test_rows(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        [TD_VIEW_LIST] =
            "ID     ROOM      STARTED (UTC)        DURATION    SIZE  STATE\n"
            "rec_a  stand?up  2026-11-21 09:30:00  00:01:02  1.2 MB  paused (disk)\n"
            "rec_b  standup   -                    00:00:00     0 B  failed (refused)\n",
        [TD_VIEW_RUNNING] = "ID     ROOM      DURATION    SIZE  LOST  HOLES  STATE\n"
                            "rec_a  stand?up  00:01:02  1.2 MB     3      2  paused (disk)\n"
                            "rec_b  standup   00:00:00     0 B     0      0  failed (refused)\n",
    };
    json_t *docs[] = {load(LIVE), load(ENDED)};
    for (unsigned view = TD_VIEW_LIST; view <= TD_VIEW_RUNNING; view++) {
        char text[TD_SAID_MAX];
        struct td_table *table = NULL;
        FILE *file = tmpfile();
        assert_non_null(file);
        assert_int_equal(td_view_table(file, view, &table), 0);
        td_view_row(table, view, docs[0]);
        td_view_row(table, view, docs[1]);
        td_table_print(table);
        td_table_free(table);
        td_said_read(file, text);
        assert_string_equal(text, wanted[view]);
    }
    json_decref(docs[0]);
    json_decref(docs[1]);
}

static void test_line(void **state)
{
    (void)state;
    char text[TD_SAID_MAX];
    FILE *file = tmpfile();
    assert_non_null(file);
    json_t *doc = load(ENDED);
    td_view_line(file, doc);
    assert_true(td_view_is_final(doc));
    json_decref(doc);
    td_said_read(file, text);
    assert_string_equal(text, "rec_b  standup  failed (refused)\nThe server refused.\n");
}

/* Whatever answers: nothing that it says is trusted to be there, or to be what it should be. */
static void test_strange_documents(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{}",
        "[]",
        "{\"id\":7,\"state\":null,\"outputs\":{},\"interruptions\":\"x\",\"pts_ms\":\"y\"}",
        "{\"outputs\":[1,null,[],{\"bytes\":-5}],\"interruptions\":[0,{\"hole_ms\":\"z\"}]}",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char text[TD_SAID_MAX];
        FILE *file = tmpfile();
        assert_non_null(file);
        json_t *doc = load(rows[i]);
        assert_int_equal(td_view_sheet(file, doc), 0);
        td_view_line(file, doc);
        assert_false(td_view_is_final(doc));
        json_decref(doc);
        td_said_read(file, text);
        assert_non_null(strstr(text, "recording"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sheet),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_strange_documents),
    };
    return cmocka_run_group_tests_name("cli/view", tests, NULL, NULL);
}
