/* SPDX-License-Identifier: Apache-2.0 */
#include "api/livekit_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As livekit-server 1.13 sends them. */
static const char room_started[] =
    "{\"event\":\"room_started\", \"room\":{\"sid\":\"RM_4nPsaNB3uJxy\", \"name\":\"demo\","
    " \"emptyTimeout\":300, \"creationTime\":\"1795253400\", \"enabledCodecs\":[{\"mime\":"
    "\"audio/opus\"}]}, \"id\":\"EV_vTZ7pC5GbDqm\", \"createdAt\":\"1795253401\"}";
static const char joined[] =
    "{\"event\":\"participant_joined\", \"room\":{\"sid\":\"RM_1\", \"name\":\"demo\"},"
    " \"participant\":{\"sid\":\"PA_1\", \"identity\":\"anna\", \"state\":\"ACTIVE\","
    " \"joinedAt\":\"1795253402\", \"name\":\"Anna\", \"permission\":{\"canSubscribe\":true,"
    " \"canPublish\":true, \"canPublishData\":true}, \"isPublisher\":true},"
    " \"id\":\"EV_2\", \"createdAt\":\"1795253402\"}";
static const char published[] =
    "{\"event\":\"track_published\", \"room\":{\"sid\":\"RM_1\", \"name\":\"demo\"},"
    " \"participant\":{\"sid\":\"PA_1\", \"identity\":\"anna\"}, \"track\":{\"sid\":\"TR_1\","
    " \"type\":\"VIDEO\"}, \"id\":\"EV_3\", \"createdAt\":\"1795253403\"}";

static struct td_livekit_event parse(const char *text)
{
    struct td_livekit_event event;
    assert_int_equal(td_livekit_event_parse(text, strlen(text), &event), 0);
    return event;
}

static void test_events_of_a_server(void **state)
{
    (void)state;
    struct td_livekit_event event = parse(room_started);
    assert_int_equal(event.kind, TD_LIVEKIT_ROOM_STARTED);
    assert_string_equal(event.id, "EV_vTZ7pC5GbDqm");
    assert_string_equal(event.room, "demo");
    assert_string_equal(event.room_sid, "RM_4nPsaNB3uJxy");
    assert_true(event.created_s == 1795253401);
    assert_false(event.has_participant || event.recorder);
    event = parse(joined);
    assert_int_equal(event.kind, TD_LIVEKIT_PARTICIPANT_JOINED);
    assert_true(event.has_participant);
    assert_false(event.recorder);
    assert_string_equal(event.identity, "anna");
    event = parse(published);
    assert_int_equal(event.kind, TD_LIVEKIT_TRACK_PUBLISHED);
    assert_true(event.has_participant);
    assert_int_equal(parse("{\"event\":\"room_finished\"}").kind, TD_LIVEKIT_ROOM_FINISHED);
    assert_int_equal(parse("{\"event\":\"egress_ended\"}").kind, TD_LIVEKIT_OTHER);
    assert_int_equal(parse("{}").kind, TD_LIVEKIT_OTHER);
}

static void test_recorders(void **state)
{
    (void)state;
    static const struct {
        const char *participant;
        bool recorder;
    } rows[] = {
        {"{\"identity\":\"x\"}", false},
        {"{\"identity\":\"x\", \"kind\":\"STANDARD\"}", false},
        {"{\"identity\":\"x\", \"kind\":\"AGENT\"}", false},
        {"{\"identity\":\"x\", \"kind\":\"EGRESS\"}", true},
        {"{\"identity\":\"x\", \"kind\":2}", true},
        {"{\"identity\":\"x\", \"kind\":1}", false},
        {"{\"identity\":\"x\", \"permission\":{\"hidden\":true}}", true},
        {"{\"identity\":\"x\", \"permission\":{\"recorder\":true}}", true},
        {"{\"identity\":\"x\", \"permission\":{\"recorder\":false}}", false},
        {"{\"identity\":\"x\", \"permission\":\"recorder\"}", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), "{\"event\":\"participant_joined\", \"participant\":%s}",
                       rows[i].participant);
        assert_int_equal(parse(text).recorder, rows[i].recorder);
    }
}

/* Signed, but not by LiveKit: nothing of it may do harm. */
static void test_odd_bodies(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "", "{", "[]", "\"event\"", "null", "{\"event\":}", "{\"a\":\"\xff\"}"};
    struct td_livekit_event event = {.kind = TD_LIVEKIT_ROOM_FINISHED};
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
        assert_int_equal(td_livekit_event_parse(broken[i], strlen(broken[i]), &event), -TD_E_PARSE);
    assert_int_equal(event.kind, TD_LIVEKIT_ROOM_FINISHED); /* untouched */
    static const char *const odd[] = {
        "{\"event\":7, \"id\":{}, \"createdAt\":[], \"room\":\"demo\", \"participant\":[]}",
        "{\"event\":null, \"createdAt\":\"17x\", \"room\":{\"name\":7, \"sid\":null}}",
        "{\"createdAt\":\"\", \"participant\":null, \"room\":[[]]}",
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        event = parse(odd[i]);
        assert_int_equal(event.kind, TD_LIVEKIT_OTHER);
        assert_true(event.created_s == 0 && event.room[0] == '\0' && event.id[0] == '\0');
        assert_false(event.has_participant);
    }
    assert_true(parse("{\"createdAt\":1795253401}").created_s == 1795253401);
}

/* What does not fit is not cut: a part of a name is another room's name. */
static void test_long_names(void **state)
{
    (void)state;
    char name[TD_SOURCE_TEXT_MAX + 2];
    char text[2 * TD_SOURCE_TEXT_MAX + 64];
    for (size_t len = TD_SOURCE_TEXT_MAX - 1; len <= TD_SOURCE_TEXT_MAX; len++) {
        memset(name, 'n', len);
        name[len] = '\0';
        (void)snprintf(text, sizeof(text), "{\"id\":\"%s\", \"room\":{\"name\":\"%s\"}}", name,
                       name);
        struct td_livekit_event event = parse(text);
        assert_string_equal(event.room, len < TD_SOURCE_TEXT_MAX ? name : "");
        assert_string_equal(event.id, "");
    }
}

static void test_rules(void **state)
{
    (void)state;
    struct td_config_rule items[] = {
        {.room = (char[]){"class-*"}, .participant = (char[]){"teacher-*"}},
        {.room = (char[]){"class-1"}},
        {.room = (char[]){"meet"}, .participant = (char[]){""}},
        {.room = (char[]){"talk"}, .participant = (char[]){"host"}},
        {.room = (char[]){"talk"}, .participant = (char[]){"guest"}},
    };
    struct td_config_rules rules = {.items = items, .count = 5};
    static const struct {
        const char *room;
        const char *identity; /* NULL = nobody in the event */
        int rule;             /* -1 = none */
    } rows[] = {
        {"class-1", "teacher-1", 0}, {"class-1", "pupil", 1}, {"class-2", "pupil", -1},
        {"class-2", "teacher-2", 0}, {"class-1", NULL, -1}, /* the first rule waits for a teacher */
        {"meet", NULL, 2},           {"meet", "anna", 2},     {"talk", NULL, -1},
        {"talk", "guest", 4},        {"talk", "host", 3},     {"talk", "anna", -1},
        {"other", "teacher-1", -1},  {"other", NULL, -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_livekit_event event = {.has_participant = rows[i].identity != NULL};
        (void)snprintf(event.room, sizeof(event.room), "%s", rows[i].room);
        if (rows[i].identity != NULL)
            (void)snprintf(event.identity, sizeof(event.identity), "%s", rows[i].identity);
        const struct td_config_rule *rule = td_livekit_event_rule(&event, &rules);
        assert_ptr_equal(rule, rows[i].rule < 0 ? NULL : &items[rows[i].rule]);
    }
    struct td_config_rules none = {.count = 0};
    struct td_livekit_event event = parse(joined);
    assert_null(td_livekit_event_rule(&event, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_of_a_server),
        cmocka_unit_test(test_recorders),
        cmocka_unit_test(test_odd_bodies),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
