/* SPDX-License-Identifier: Apache-2.0 */
#include "api/order.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *words[] = {(char *)(uintptr_t) "auto", (char *)(uintptr_t) "mkv"};

static struct td_config config_of(void)
{
    struct td_config config;
    memset(&config, 0, sizeof(config));
    config.formats.items = words;
    config.formats.count = 2;
    config.tiers.items = words + 1;
    config.tiers.count = 1;
    return config;
}

static struct td_order *order_of(const struct td_recording_request *asked)
{
    struct td_config config = config_of();
    struct td_fail fail = {.code = 0};
    struct td_order *order = NULL;
    assert_int_equal(td_order_new(asked, "livekit", &config, &fail, &order), 0);
    return order;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void assert_same(const struct td_order *a, const struct td_order *b, bool secrets)
{
    assert_string_equal(a->source, b->source);
    assert_true(same(a->room, b->room));
    assert_true(same(a->url, b->url));
    assert_true(same(secrets ? a->token : NULL, b->token));
    assert_true(same(a->format, b->format));
    assert_true(same(a->participant, b->participant));
    assert_true(same(secrets ? a->digest : NULL, b->digest));
    assert_true(a->max_duration_us == b->max_duration_us);
    assert_true(a->max_size_bytes == b->max_size_bytes);
    assert_int_equal(a->hold, b->hold);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const struct td_recording_request rows[] = {
        {.room = "r"},
        {.room = "Saal \"1\" \xc3\xa4\n", .hold = true},
        {.room = "", .url = "", .token = "", .participant = ""},
        {.room = "r",
         .url = "wss://x",
         .token = "ey.secret",
         .format = "mkv",
         .participant = "al*",
         .max_duration_us = INT64_MAX,
         .max_size_bytes = INT64_C(1) << 60,
         .hold = true},
        {.room = "r", .format = "auto"},
    };
    struct td_manifest none;
    td_manifest_init(&none);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned secrets = 0; secrets < 2; secrets++) {
            struct td_order *order = order_of(&rows[i]);
            order->digest = secrets == 1 && i == 2 ? strdup("") : NULL;
            char *text = td_order_text(order, secrets == 1);
            assert_non_null(text);
            struct td_order *back = NULL;
            assert_int_equal(td_order_read(text, &none, &back), 0);
            assert_same(order, back, secrets == 1);
            free(text);
            td_order_free(back);
            td_order_free(order);
        }
    }
    assert_null(td_order_free(NULL));
}

/* Only whoever may see them sees the secrets; nothing else differs. */
static void test_secrets(void **state)
{
    (void)state;
    struct td_order *order =
        order_of(&(struct td_recording_request){.room = "r", .token = "THE-TOKEN"});
    order->digest = strdup("THE-DIGEST");
    char *shown = td_order_text(order, false);
    char *kept = td_order_text(order, true);
    assert_null(strstr(shown, "THE-"));
    assert_null(strstr(shown, "token"));
    assert_non_null(strstr(kept, "THE-TOKEN"));
    assert_non_null(strstr(kept, "THE-DIGEST"));
    json_t *a = json_loads(shown, 0, NULL);
    json_t *b = json_loads(kept, 0, NULL);
    assert_int_equal(json_object_del(b, "token"), 0);
    assert_int_equal(json_object_del(b, "whip_token_sha256"), 0);
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    free(shown);
    free(kept);
    td_order_free(order);
}

/* The format that is stored is a container, or none for the choice by the codec. */
static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *asked;
        size_t offered;
        const char *kept;
    } rows[] = {
        {NULL, 2, NULL}, {"auto", 2, NULL}, {"mkv", 2, "mkv"}, {NULL, 0, NULL}, {"ts", 0, "ts"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_config config = config_of();
        config.formats.count = rows[i].offered;
        struct td_recording_request asked = {.room = "r", .format = rows[i].asked};
        struct td_fail fail = {.code = 0};
        struct td_order *order = NULL;
        assert_int_equal(td_order_new(&asked, "whip", &config, &fail, &order), 0);
        assert_true(same(order->format, rows[i].kept));
        assert_string_equal(order->source, "whip");
        td_order_free(order);
    }
    /* The first that is offered is what who asks for none gets. */
    struct td_config config = config_of();
    config.formats.items = words + 1;
    config.formats.count = 1;
    struct td_recording_request asked = {.room = "r"};
    struct td_fail fail = {.code = 0};
    struct td_order *order = NULL;
    assert_int_equal(td_order_new(&asked, "livekit", &config, &fail, &order), 0);
    assert_string_equal(order->format, "mkv");
    td_order_free(order);
}

static void test_check(void **state)
{
    (void)state;
    static char exact[TD_ORDER_TEXT_MAX + 1];
    static char longer[TD_ORDER_TEXT_MAX + 2];
    memset(exact, 'x', sizeof(exact) - 1);
    memset(longer, 'x', sizeof(longer) - 1);
    const struct {
        struct td_recording_request asked;
        int r;
        const char *text;
    } rows[] = {
        {{.room = "r"}, 0, ""},
        {{.room = exact, .url = exact, .token = exact, .participant = exact}, 0, ""},
        {{.room = longer}, -TD_E_USAGE, "longer than 4096"},
        {{.room = "r", .url = longer}, -TD_E_USAGE, "longer"},
        {{.room = "r", .token = longer}, -TD_E_USAGE, "longer"},
        {{.room = "r", .participant = longer}, -TD_E_USAGE, "longer"},
        {{.room = "r", .format = "mkv"}, 0, ""},
        {{.room = "r", .format = "auto"}, 0, ""},
        {{.room = "r", .format = "mp3"}, -TD_E_USAGE, "'mp3' is not offered"},
        {{.room = "r", .format = "MKV"}, -TD_E_USAGE, "not offered"},
        {{.room = "r", .format = longer}, -TD_E_USAGE, "not offered"},
        {{.room = "r", .tier = "mkv"}, 0, ""},
        {{.room = "r", .tier = "gold"}, -TD_E_USAGE, "'gold' is not offered"},
    };
    struct td_config config = config_of();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_fail fail = {.code = 0};
        assert_int_equal(td_order_check(&rows[i].asked, &config, &fail), rows[i].r);
        assert_non_null(strstr(fail.text, rows[i].text));
        assert_int_equal(fail.code, rows[i].r);
    }
}

/* What is not there is said by the manifest; what is of another kind is as if it were not there. */
static void test_read(void **state)
{
    (void)state;
    struct td_manifest m;
    td_manifest_init(&m);
    TD_MANIFEST_SET(m.room, "the room");
    TD_MANIFEST_SET(m.source, "whip");
    static const struct {
        const char *text;
        const char *request; /* of the manifest */
        int r;
        const char *room;
        const char *source;
        const char *url;
    } rows[] = {
        {NULL, NULL, 0, "the room", "whip", NULL},
        {"", NULL, 0, "the room", "whip", NULL},
        {"{}", NULL, 0, "the room", "whip", NULL},
        {NULL, "{\"room\":\"asked\",\"url\":\"u\"}", 0, "asked", "whip", "u"},
        {"{\"url\":\"mine\"}", "{\"room\":\"asked\",\"url\":\"u\"}", 0, "the room", "whip", "mine"},
        {"{\"source\":\"livekit\"}", NULL, 0, "the room", "livekit", NULL},
        {"{\"source\":\"carrier pigeon\"}", NULL, 0, "the room", "livekit", NULL},
        {"{\"source\":7,\"room\":8,\"url\":[],\"hold\":\"yes\",\"max_size_bytes\":-3}", NULL, 0,
         "the room", "whip", NULL},
        {"{\"unknown\":{\"a\":1}}", NULL, 0, "the room", "whip", NULL},
        {"{", NULL, -TD_E_PARSE, NULL, NULL, NULL},
        {"[]", NULL, -TD_E_PARSE, NULL, NULL, NULL},
        {"null", NULL, -TD_E_PARSE, NULL, NULL, NULL},
        {"{\"url\":\"a\",\"url\":\"b\"}", NULL, -TD_E_PARSE, NULL, NULL, NULL},
        {NULL, "no JSON", -TD_E_PARSE, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        free(m.request);
        m.request = rows[i].request != NULL ? strdup(rows[i].request) : NULL;
        struct td_order *order = NULL;
        assert_int_equal(td_order_read(rows[i].text, &m, &order), rows[i].r);
        if (rows[i].r < 0) {
            assert_null(order);
            continue;
        }
        assert_string_equal(order->room, rows[i].room);
        assert_string_equal(order->source, rows[i].source);
        assert_true(same(order->url, rows[i].url));
        assert_false(order->hold);
        assert_true(order->max_size_bytes == 0);
        assert_null(order->token);
        td_order_free(order);
    }
    td_manifest_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_formats),    cmocka_unit_test(test_check),
        cmocka_unit_test(test_read),
    };
    return cmocka_run_group_tests_name("api/order", tests, NULL, NULL);
}
