/* SPDX-License-Identifier: Apache-2.0 */
#include "api/letterbook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define NOW_US INT64_C(1795253465123456)

static struct td_config_webhook hooks[] = {
    {.url = (char[]){"http://all/hook"}},
    {.url = (char[]){"http://class/hook"}, .rooms = (char[]){"class-*"}},
    {.url = (char[]){"http://class/hook"}, .rooms = (char[]){"*-1"}},
    {.url = (char[]){"http://other/hook"}, .rooms = (char[]){"other"}},
};
static struct td_config config = {.webhooks = {.items = hooks, .count = 4}};
static struct td_catalog_letter letters[TD_RECORDINGS_LETTERS_MAX];

static int step(struct td_letterbook *b, const char *id, const char *state, bool final,
                bool interrupted_before)
{
    json_t *doc = json_pack("{s:s, s:s, s:s, s:s}", "id", id, "room", "class-1", "state", state,
                            "reason", final ? "stopped" : "");
    assert_non_null(doc);
    if (interrupted_before)
        assert_int_equal(json_object_set_new(doc, "interruptions", json_pack("[{}]")), 0);
    int n = td_letterbook_write(b, doc, final, NOW_US, letters, TD_RECORDINGS_LETTERS_MAX);
    if (n > 0)
        assert_string_equal(letters[0].recording, id);
    json_decref(doc);
    return n;
}

static void assert_event(const char *name)
{
    json_t *letter = json_loads(letters[0].body, 0, NULL);
    assert_non_null(letter);
    assert_string_equal(json_string_value(json_object_get(letter, "event")), name);
    json_decref(letter);
}

static void test_a_life(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        bool final;
        const char *event;
    } rows[] = {
        {"starting", false, NULL},
        {"waiting", false, "egress_started"},
        {"recording", false, "egress_updated"},
        {"recording", false, NULL}, /* an output more */
        {"paused", false, "egress_updated"},
        {"recording", false, "egress_updated"},
        {"interrupted", false, "egress_updated"},
        {"recording", false, "egress_updated"},
        {"finishing", false, "egress_updated"},
        {"complete", true, "egress_ended"},
    };
    struct td_letterbook b;
    td_letterbook_init(&b, &config);
    for (int round = 0; round < 2; round++) { /* nothing of the first is left for the second */
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
            assert_int_equal(step(&b, "rec_1", rows[i].state, rows[i].final, false),
                             rows[i].event != NULL ? 2 : 0);
            if (rows[i].event != NULL)
                assert_event(rows[i].event);
        }
        assert_int_equal(g_hash_table_size(b.told), 0);
    }
    td_letterbook_done(&b);
}

static void test_it_started_in_another_process(void **state)
{
    (void)state;
    struct td_letterbook b;
    td_letterbook_init(&b, &config);
    assert_int_equal(step(&b, "rec_1", "interrupted", false, false), 2);
    assert_event("egress_updated");
    assert_int_equal(step(&b, "rec_1", "recording", false, false), 2);
    assert_event("egress_updated");
    assert_int_equal(step(&b, "rec_2", "recording", false, true), 2);
    assert_event("egress_updated");
    assert_int_equal(step(&b, "rec_3", "recording", false, false), 2);
    assert_event("egress_started");
    td_letterbook_done(&b);
}

static void test_rooms_choose_urls(void **state)
{
    (void)state;
    struct td_letterbook b;
    td_letterbook_init(&b, &config);
    assert_int_equal(step(&b, "rec_1", "failed", true, false), 2);
    assert_event("egress_ended");
    assert_string_equal(letters[0].url, "http://all/hook");
    assert_string_equal(letters[1].url, "http://class/hook"); /* once, though two entries fit */
    assert_ptr_equal(letters[0].body, letters[1].body);       /* and with one id */
    /* The strings are ours: a reload may free the configuration's. */
    assert_ptr_not_equal(letters[0].url, hooks[0].url);
    struct td_config none = {.webhooks = {.count = 0}};
    b.config = &none;
    assert_int_equal(step(&b, "rec_2", "failed", true, false), 0);
    td_letterbook_done(&b);
    td_letterbook_done(&b); /* again, and half-built */
}

static void test_a_copy_does_not_follow_a_reload(void **state)
{
    (void)state;
    struct td_letterbook b;
    struct td_config before = config;
    assert_int_equal(td_letterbook_init_copy(&b, &before), 0);
    before.webhooks.count = 0;
    assert_int_equal(step(&b, "rec_1", "complete", true, false), 2);
    assert_event("egress_ended");
    td_letterbook_done(&b);
    assert_int_equal(td_letterbook_init_copy(&b, &before), 0);
    assert_int_equal(step(&b, "rec_1", "complete", true, false), 0);
    td_letterbook_done(&b);
}

static void test_no_more_than_there_is_room_for(void **state)
{
    (void)state;
    static struct td_config_webhook many[TD_CONFIG_LIST_MAX];
    static char urls[TD_CONFIG_LIST_MAX][32];
    for (size_t i = 0; i < TD_CONFIG_LIST_MAX; i++) {
        (void)snprintf(urls[i], sizeof(urls[i]), "http://host/%zu", i);
        many[i] = (struct td_config_webhook){.url = urls[i]};
    }
    struct td_config crowded = {.webhooks = {.items = many, .count = TD_CONFIG_LIST_MAX}};
    struct td_letterbook b;
    td_letterbook_init(&b, &crowded);
    assert_int_equal(step(&b, "rec_1", "failed", true, false), (int)TD_CONFIG_LIST_MAX);
    json_t *doc = json_pack("{s:s, s:s, s:s}", "id", "rec_2", "room", "r", "state", "failed");
    assert_int_equal(td_letterbook_write(&b, doc, true, NOW_US, letters, 3), 3);
    json_decref(doc);
    td_letterbook_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_life),
        cmocka_unit_test(test_it_started_in_another_process),
        cmocka_unit_test(test_rooms_choose_urls),
        cmocka_unit_test(test_a_copy_does_not_follow_a_reload),
        cmocka_unit_test(test_no_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
