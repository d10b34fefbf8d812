/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/timeline.h"

static void test_line(void **state)
{
    (void)state;
    struct td_timeline_event event = {
        .kind = TD_TIMELINE_GAP,
        .wall_us = INT64_C(1795253400123999),
        .pts_ms = -40,
        .track = "TR_1",
        .detail = "loss",
        .numbers = {{"duration_ms", 400}, {"packets", INT64_MIN}},
        .number_count = 2,
    };
    char line[TD_TIMELINE_LINE_MAX];
    static const char expected[] =
        "{\"t\":\"2026-11-21T09:30:00.123Z\",\"event\":\"gap\",\"pts_ms\":-40,"
        "\"track\":\"TR_1\",\"detail\":\"loss\",\"duration_ms\":400,"
        "\"packets\":-9223372036854775808}\n";
    assert_int_equal(td_timeline_line(&event, line), sizeof(expected) - 1);
    assert_string_equal(line, expected);
}

static void test_kinds(void **state)
{
    (void)state;
    for (int kind = 0; kind < TD_TIMELINE_MAX; kind++) {
        struct td_timeline_event event = {.kind = (enum td_timeline_kind)kind,
                                          .pts_ms = TD_TIMELINE_NO_PTS};
        char line[TD_TIMELINE_LINE_MAX];
        int n = td_timeline_line(&event, line);
        assert_true(n > 0);
        json_t *o = json_loadb(line, (size_t)n, 0, NULL);
        assert_non_null(o);
        assert_string_equal(json_string_value(json_object_get(o, "event")),
                            td_timeline_word((enum td_timeline_kind)kind));
        assert_int_equal(json_object_size(o), 2); /* nothing that was not given */
        json_decref(o);
    }
    assert_string_equal(td_timeline_word(TD_TIMELINE_TRACK_ADDED), "track_added");
    assert_string_equal(td_timeline_word(TD_TIMELINE_LIMIT), "limit");
}

/* Whatever a stranger calls himself, the line is one line of valid JSON and says the same. */
static void test_untrusted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *back;
    } rows[] = {
        {"", ""},
        {"a\"b\\c", "a\"b\\c"},
        {"a\nb\r\t\x01\x1f", "a\nb\r\t\x01\x1f"},
        {"\xc3\xa4\xf0\x9f\x8e\xa5", "\xc3\xa4\xf0\x9f\x8e\xa5"},
        {"a\xff\xc3", "a\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_timeline_event event = {.track = rows[i].text, .detail = rows[i].text};
        char line[TD_TIMELINE_LINE_MAX];
        int n = td_timeline_line(&event, line);
        assert_true(n > 0);
        assert_ptr_equal(strchr(line, '\n'), line + n - 1);
        json_t *o = json_loadb(line, (size_t)n, 0, NULL);
        assert_non_null(o);
        assert_string_equal(json_string_value(json_object_get(o, "track")), rows[i].back);
        assert_string_equal(json_string_value(json_object_get(o, "detail")), rows[i].back);
        json_decref(o);
    }
}

/* The longest of everything fits; control characters grow by six. */
static void test_longest(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 1, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct td_timeline_event event = {.kind = TD_TIMELINE_TRACK_REMOVED,
                                      .track = text,
                                      .pts_ms = -1,
                                      .wall_us = INT64_C(253402300799999000)};
    char line[TD_TIMELINE_LINE_MAX];
    assert_true(td_timeline_line(&event, line) > 0);
    event.number_count = TD_TIMELINE_NUMBERS_MAX;
    for (size_t i = 0; i < TD_TIMELINE_NUMBERS_MAX; i++) {
        event.numbers[i] = (struct td_timeline_number){"number_of_something", INT64_MIN};
    }
    int n = td_timeline_line(&event, line);
    assert_true(n > 0);
    json_t *o = json_loadb(line, (size_t)n, 0, NULL);
    assert_non_null(o);
    assert_int_equal(json_string_length(json_object_get(o, "track")), TD_TIMELINE_TEXT_MAX);
    json_decref(o);
    event.detail = text;
    assert_true(td_timeline_line(&event, line) > 0);
    /* Only a caller's own words can be too long: refused, the buffer untouched. */
    for (size_t i = 0; i < TD_TIMELINE_NUMBERS_MAX; i++) {
        event.numbers[i].name = text + sizeof(text) - 200;
    }
    line[0] = '?';
    assert_int_equal(td_timeline_line(&event, line), -TD_E_LIMIT);
    assert_int_equal(line[0], '?');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_untrusted),
        cmocka_unit_test(test_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
