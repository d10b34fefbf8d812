/* SPDX-License-Identifier: Apache-2.0 */
#include "api/livekit_hook.h"

#include <glib-unix.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/signature.h"
#include "base/clock.h"
#include "fixture.h"
#include "wire.h"

#define KEY "APIkey"
#define SECRET "secret-of-the-server"

static struct world {
    struct fixture f;
    struct td_catalog *catalog;
    struct td_mailbox *control;
    guint mailbox_source;
    struct td_budget budget;
    struct td_log log;
    struct td_recorder recorder;
    struct td_certificate *certificate;
    struct td_config config;
    struct td_config_rule rules[2];
    GSocket *silent; /* a LiveKit server that never answers, so that a start never settles */
    struct td_http *http;
    struct td_recordings *recordings;
    struct td_livekit_hook *hook;
    bool all_ended;
} w;

/* ---- the world ---- */

static gboolean on_mail(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    (void)td_mailbox_drain(data);
    return G_SOURCE_CONTINUE;
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = text != NULL ? strdup(text) : NULL;
}

static void open_config(void)
{
    assert_int_equal(td_config_init(&w.config), 0);
    w.silent =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
    GSocketAddress *any = g_inet_socket_address_new_from_string("127.0.0.1", 0);
    assert_true(g_socket_bind(w.silent, any, TRUE, NULL) && g_socket_listen(w.silent, NULL));
    GSocketAddress *bound = g_socket_get_local_address(w.silent, NULL);
    char url[64];
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u",
                   (unsigned)g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)));
    g_object_unref(bound);
    g_object_unref(any);
    set_text(&w.config.ws_url, url);
    set_text(&w.config.api_key, KEY);
    set_text(&w.config.api_secret, SECRET);
    set_text(&w.config.data_dir, w.f.disk);
    w.rules[0].room = strdup("class-*");
    w.rules[1].room = strdup("talk");
    w.rules[1].participant = strdup("host");
    w.config.auto_record.items = w.rules;
    w.config.auto_record.count = 2;
}

static void open_hook(void)
{
    struct td_livekit_hook_config config = {
        .config = &w.config, .recordings = w.recordings, .log = &w.log};
    assert_int_equal(td_livekit_hook_new(w.http, &config, &w.hook), 0);
    struct td_recordings_observer observer = td_livekit_hook_observer(w.hook);
    td_recordings_observe(w.recordings, &observer);
}

static int open_world(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    fixture_init(&w.f);
    fixture_store(&w.f, 8, -1);
    open_config();
    char path[TD_PATH_MAX];
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_catalog_open(fixture_path(&w.f, "catalog.db", path), &fail, &w.catalog), 0);
    td_budget_init(&w.budget, NULL, 0);
    td_log_init(&w.log, -1, TD_LOG_ERROR);
    assert_int_equal(td_mailbox_new(256, &w.control), 0);
    w.mailbox_source = g_unix_fd_add(td_mailbox_fd(w.control), G_IO_IN, on_mail, w.control);
    w.recorder = (struct td_recorder){.fs = td_fs_posix(),
                                      .store = w.f.store,
                                      .control = w.control,
                                      .log = &w.log,
                                      .budget = &w.budget};
    assert_int_equal(td_loop_new("media", &w.recorder.loop), 0);
    assert_int_equal(td_certificate_new(&w.certificate), 0);
    struct td_http_config http = {
        .listen = "127.0.0.1:0", .config = &w.config, .token = "correct-horse", .log = &w.log};
    struct td_recordings_config recordings = {.recorder = &w.recorder,
                                              .certificate = w.certificate,
                                              .config = &w.config,
                                              .catalog = w.catalog};
    assert_int_equal(td_http_new(&http, &fail, &w.http), 0);
    assert_int_equal(td_recordings_new(&recordings, &w.recordings), 0);
    return 0;
}

static void on_all_ended(void *ctx)
{
    *(bool *)ctx = true;
}

static int close_world(void **state)
{
    (void)state;
    td_recordings_stop_all(w.recordings, "shutdown", false, on_all_ended, &w.all_ended);
    wire_run_until(&w.all_ended);
    w.http = td_http_free(w.http);
    w.recordings = td_recordings_free(w.recordings);
    w.hook = td_livekit_hook_free(w.hook);
    w.recorder.loop = td_loop_free(w.recorder.loop);
    fixture_store_done(&w.f);
    (void)td_mailbox_drain(w.control); /* replies that nobody waits for */
    w.catalog = td_catalog_close(w.catalog);
    g_source_remove(w.mailbox_source);
    w.control = td_mailbox_free(w.control);
    w.certificate = td_certificate_free(w.certificate);
    td_budget_done(&w.budget);
    w.config.auto_record.items = NULL;
    w.config.auto_record.count = 0;
    for (size_t i = 0; i < 2; i++) {
        free(w.rules[i].room);
        free(w.rules[i].participant);
    }
    td_config_done(&w.config);
    g_clear_object(&w.silent);
    while (g_main_context_iteration(NULL, FALSE))
        continue;
    fixture_done(&w.f);
    return 0;
}

/* ---- what a LiveKit server sends ---- */

static int64_t now_s(void)
{
    return td_clock_wall_us() / TD_US_PER_S;
}

static void send_with(const char *authorization, const char *body, unsigned status,
                      const char *code)
{
    char fields[4096];
    struct wire_answer answer;
    (void)snprintf(fields, sizeof(fields),
                   "%s%s%sContent-Type: application/webhook+json\r\nContent-Length: %zu\r\n\r\n%s",
                   authorization != NULL ? "Authorization: " : "",
                   authorization != NULL ? authorization : "", authorization != NULL ? "\r\n" : "",
                   strlen(body), body);
    wire_call(td_http_address(w.http), "POST", "/livekit/webhook", fields, &answer);
    wire_expect(&answer, status, code);
    wire_done(&answer);
}

static char *sign(const char *id, const char *secret, int64_t when_s, const char *body)
{
    struct td_jwt_key key = {.id = id, .secret = secret, .secret_len = strlen(secret)};
    char *value = NULL;
    assert_int_equal(td_signature_make(&key, body, strlen(body), when_s, &value), 0);
    return value;
}

static void send_signed(const char *body, unsigned status, const char *code)
{
    char *value = sign(KEY, SECRET, now_s(), body);
    send_with(value, body, status, code);
    free(value);
}

struct event {
    const char *name;
    const char *room;
    const char *sid;
    const char *participant; /* JSON, NULL = none */
    const char *id;          /* NULL = one of its own */
    int64_t age_s;
};

static void tell(const struct event *event)
{
    static unsigned number;
    char id[32];
    char body[1024];
    (void)snprintf(id, sizeof(id), "EV_%u", number++);
    (void)snprintf(
        body, sizeof(body),
        "{\"event\":\"%s\",\"room\":{\"sid\":\"%s\",\"name\":\"%s\"},%s%s%s\"id\":\"%s\","
        "\"createdAt\":\"%lld\"}",
        event->name, event->sid, event->room, event->participant != NULL ? "\"participant\":" : "",
        event->participant != NULL ? event->participant : "", event->participant != NULL ? "," : "",
        event->id != NULL ? event->id : id, (long long)(now_s() - event->age_s));
    send_signed(body, 200, NULL);
}

static bool records(const char *room)
{
    return td_recordings_by_room(w.recordings, room) != NULL;
}

static struct td_livekit_hook_stats stats_now(void)
{
    struct td_livekit_hook_stats stats;
    td_livekit_hook_stats(w.hook, &stats);
    return stats;
}

/* ---- tests ---- */

static void test_only_signed_events_count(void **state)
{
    (void)state;
    open_hook();
    static const char body[] = "{\"event\":\"room_started\",\"room\":{\"sid\":\"RM_1\",\"name\":"
                               "\"class-1\"},\"id\":\"EV_x\"}";
    static const char other[] = "{\"event\":\"room_started\",\"room\":{\"sid\":\"RM_1\",\"name\":"
                                "\"class-2\"},\"id\":\"EV_x\"}";
    send_with(NULL, body, 401, "bad_signature");
    send_with("Bearer correct-horse", body, 401, "bad_signature"); /* our own API key */
    char *values[] = {
        sign(KEY, "another-secret-of-a-server", now_s(), body),
        sign("APIkez", SECRET, now_s(), body),
        sign(KEY, SECRET, now_s(), other),
        sign(KEY, SECRET, now_s() - 1000, body),
        sign(KEY, SECRET, now_s() + 1000, body),
    };
    for (size_t i = 0; i < 5; i++) {
        send_with(values[i], body, 401, "bad_signature");
        free(values[i]);
    }
    struct td_jwt_request request = {
        .role = TD_JWT_RECORDER, .identity = "x", .room = "class-1", .now_s = now_s()};
    struct td_jwt_key key = {.id = KEY, .secret = SECRET, .secret_len = strlen(SECRET)};
    char *token = NULL;
    assert_int_equal(td_jwt_sign(&key, &request, &token), 0);
    send_with(token, body, 401, "bad_signature"); /* lets in, but says nothing of a body */
    free(token);
    assert_true(stats_now().refused == 8 && stats_now().received == 0);
    send_signed("no event", 400, "bad_event");
    send_signed("[]", 400, "bad_event");
    assert_int_equal(td_recordings_running(w.recordings), 0);
    /* A daemon without a LiveKit key has nobody to listen to. */
    set_text(&w.config.api_key, NULL);
    send_signed(body, 401, "bad_signature");
    set_text(&w.config.api_key, KEY);
    send_signed(body, 200, NULL);
    assert_true(records("class-1"));
}

static void test_methods_and_paths(void **state)
{
    (void)state;
    open_hook();
    struct wire_answer answer;
    wire_call(td_http_address(w.http), "GET", "/livekit/webhook", "\r\n", &answer);
    wire_expect(&answer, 405, "method_not_allowed");
    wire_done(&answer);
    wire_call(td_http_address(w.http), "POST", "/livekit/webhook/x", "Content-Length: 0\r\n\r\n",
              &answer);
    wire_expect(&answer, 404, "not_found");
    wire_done(&answer);
}

static void test_rules_start_recordings(void **state)
{
    (void)state;
    open_hook();
    tell(&(struct event){.name = "room_started", .room = "other", .sid = "RM_0"});
    tell(&(struct event){.name = "room_started", .room = "talk", .sid = "RM_t"});
    tell(&(struct event){.name = "participant_joined",
                         .room = "talk",
                         .sid = "RM_t",
                         .participant = "{\"identity\":\"guest\"}"});
    tell(&(struct event){.name = "participant_left",
                         .room = "class-1",
                         .sid = "RM_1",
                         .participant = "{\"identity\":\"anna\"}"});
    assert_int_equal(td_recordings_running(w.recordings), 0);
    tell(&(struct event){.name = "track_published",
                         .room = "talk",
                         .sid = "RM_t",
                         .participant = "{\"identity\":\"host\"}"});
    assert_true(records("talk"));
    for (int i = 0; i < 3; i++)
        tell(&(struct event){.name = "room_started", .room = "class-1", .sid = "RM_1"});
    assert_true(records("class-1"));
    assert_int_equal(td_recordings_running(w.recordings), 2);
}

static void test_recorders_start_nothing(void **state)
{
    (void)state;
    open_hook();
    static const char *const recorders[] = {
        "{\"identity\":\"rec_x\",\"kind\":\"EGRESS\"}",
        "{\"identity\":\"rec_x\",\"permission\":{\"hidden\":true,\"recorder\":true}}",
    };
    for (size_t i = 0; i < 2; i++)
        tell(&(struct event){.name = "participant_joined",
                             .room = "class-1",
                             .sid = "RM_1",
                             .participant = recorders[i]});
    assert_int_equal(td_recordings_running(w.recordings), 0);
}

static void test_old_and_repeated_events(void **state)
{
    (void)state;
    open_hook();
    tell(&(struct event){.name = "room_started",
                         .room = "class-1",
                         .sid = "RM_1",
                         .age_s = TD_LIVEKIT_HOOK_AGE_S + 5});
    assert_int_equal(td_recordings_running(w.recordings), 0);
    assert_true(stats_now().stale == 1);
    tell(&(struct event){.name = "room_finished", .room = "class-2", .sid = "RM_2", .id = "EV_a"});
    tell(&(struct event){.name = "room_started", .room = "class-3", .sid = "RM_3", .id = "EV_a"});
    assert_int_equal(td_recordings_running(w.recordings), 0);
    assert_true(stats_now().duplicates == 1 && stats_now().received == 3);
    tell(&(struct event){.name = "room_started",
                         .room = "class-3",
                         .sid = "RM_3",
                         .age_s = TD_LIVEKIT_HOOK_AGE_S - 60});
    assert_true(records("class-3"));
}

static void note(const char *sid, const char *reason, bool final)
{
    struct td_recordings_observer observer = td_livekit_hook_observer(w.hook);
    json_t *doc =
        json_pack("{s:s, s:s, s:s}", "room", "class-1", "room_sid", sid, "reason", reason);
    observer.changed(observer.ctx, NULL, doc, final);
    json_decref(doc);
}

static void test_what_was_stopped_stays_stopped(void **state)
{
    (void)state;
    open_hook();
    struct event published = {.name = "track_published",
                              .room = "class-1",
                              .sid = "RM_1",
                              .participant = "{\"identity\":\"anna\"}"};
    note("RM_1", "stopped", true);
    tell(&published);
    published.sid = "RM_2";
    tell(&(struct event){.name = "room_finished", .room = "class-1", .sid = "RM_2"});
    tell(&published);
    assert_int_equal(td_recordings_running(w.recordings), 0);
    note("RM_3", "gap_limit", true);
    note("RM_3", "stopped", false);
    note("", "stopped", true); /* a WHIP room has no sid, and blocks nobody */
    published.sid = "RM_3";
    tell(&published);
    assert_true(records("class-1"));
}

/* The room that was heard of last is the last to be forgotten. */
static void test_memory_is_bounded(void **state)
{
    (void)state;
    open_hook();
    char sid[32];
    note("RM_first", "stopped", true);
    note("RM_second", "stopped", true);
    for (unsigned i = 0; i < TD_LIVEKIT_HOOK_KEPT - 2; i++) {
        (void)snprintf(sid, sizeof(sid), "RM_%u", i);
        note(sid, "stopped", true);
    }
    note("RM_first", "stopped", true); /* again: now RM_second is the oldest */
    note("RM_last", "stopped", true);
    tell(&(struct event){.name = "room_started", .room = "class-1", .sid = "RM_first"});
    tell(&(struct event){.name = "room_started", .room = "class-1", .sid = "RM_last"});
    assert_int_equal(td_recordings_running(w.recordings), 0);
    tell(&(struct event){.name = "room_started", .room = "class-1", .sid = "RM_second"});
    assert_true(records("class-1"));
}

static bool heard_catalogue;

static void on_found(void *ctx, int error, json_t *docs)
{
    (void)ctx;
    assert_int_equal(error, 0);
    assert_int_equal(json_array_size(docs), 2);
    heard_catalogue = true;
}

/* An earlier run was told to stop. */
static void test_a_restart_does_not_forget(void **state)
{
    (void)state;
    static const char stopped[] = "{\"id\":\"rec_a\",\"room\":\"class-1\",\"room_sid\":\"RM_1\","
                                  "\"state\":\"complete\",\"reason\":\"stopped\"}";
    static const char closed[] = "{\"id\":\"rec_b\",\"room\":\"class-2\",\"room_sid\":\"RM_2\","
                                 "\"state\":\"complete\",\"reason\":\"departure\"}";
    struct td_catalog_row row = {.id = "rec_a",
                                 .room = "class-1",
                                 .state = "complete",
                                 .reason = "stopped",
                                 .doc = stopped,
                                 .started_us = 1,
                                 .ended_us = 2,
                                 .final = true};
    assert_int_equal(td_catalog_put(w.catalog, &row, NULL, 0), 0);
    row.id = "rec_b";
    row.room = "class-2";
    row.doc = closed;
    assert_int_equal(td_catalog_put(w.catalog, &row, NULL, 0), 0);
    open_hook();
    struct td_catalog_query query = {.limit = 10};
    heard_catalogue = false; /* asked after the hook's own look: answered after it */
    assert_int_equal(td_recordings_find(w.recordings, &query, on_found, NULL), 0);
    wire_run_until(&heard_catalogue);
    tell(&(struct event){.name = "room_started", .room = "class-1", .sid = "RM_1"});
    assert_int_equal(td_recordings_running(w.recordings), 0);
    tell(&(struct event){.name = "room_started", .room = "class-2", .sid = "RM_2"});
    assert_true(records("class-2"));
}

static void test_a_start_that_is_not_possible(void **state)
{
    (void)state;
    open_hook();
    td_recordings_refuse(w.recordings, "The disk is full.");
    tell(&(struct event){.name = "room_started", .room = "class-1", .sid = "RM_1"});
    assert_int_equal(td_recordings_running(w.recordings), 0);
    assert_true(stats_now().failed == 1);
    td_recordings_refuse(w.recordings, NULL);
    tell(&(struct event){.name = "participant_joined",
                         .room = "class-1",
                         .sid = "RM_1",
                         .participant = "{\"identity\":\"anna\"}"});
    assert_true(records("class-1"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(test_only_signed_events_count),
        TEST(test_methods_and_paths),
        TEST(test_rules_start_recordings),
        TEST(test_recorders_start_nothing),
        TEST(test_old_and_repeated_events),
        TEST(test_what_was_stopped_stays_stopped),
        TEST(test_memory_is_bounded),
        TEST(test_a_restart_does_not_forget),
        TEST(test_a_start_that_is_not_possible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
