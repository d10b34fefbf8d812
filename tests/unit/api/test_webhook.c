/* SPDX-License-Identifier: Apache-2.0 */
#include "api/webhook.h"

#include <glib-unix.h>
#include <libsoup/soup.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/letter.h"
#include "auth/signature.h"
#include "base/clock.h"
#include "fixture.h"

#define KEY "APIkey"
#define SECRET "secret-of-the-server"
#define HEARD_MAX 256
#define HELD_MAX 16
#define WAIT_S 30
#define CHUNK_BYTES (64u << 10)

struct heard_letter {
    char path[32];
    char body[64];
    bool verified;
};

static struct world {
    struct fixture f;
    struct td_catalog *catalog;
    struct td_mailbox *control;
    guint mailbox_source;
    SoupServer *server;
    char base[64];
    struct td_config config;
    struct td_config_webhook hooks[4];
    char urls[4][128];
    struct td_log log;
    struct td_webhook *webhook;
    struct heard_letter heard_letters[HEARD_MAX];
    unsigned heard;
    unsigned wanted;   /* see wait_heard */
    unsigned failures; /* requests to /flaky that are still to fail */
    SoupServerMessage *held[HELD_MAX];
    unsigned held_count;
    uint64_t poured_bytes; /* from /endless */
    bool stopped;
    int replayed;
} w;

/* ---- the receiver: what the path says, happens; it asserts nothing, within GLib's loop ---- */

static void remember(SoupServerMessage *message, const char *path)
{
    if (w.heard == HEARD_MAX)
        return;
    struct heard_letter *h = &w.heard_letters[w.heard++];
    GBytes *body = soup_message_body_flatten(soup_server_message_get_request_body(message));
    size_t len = 0;
    const char *text = g_bytes_get_data(body, &len);
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    const char *value = soup_message_headers_get_one(headers, "Authorization");
    struct td_jwt_key key = {.id = KEY, .secret = SECRET, .secret_len = strlen(SECRET)};
    h->verified = g_strcmp0(soup_message_headers_get_content_type(headers, NULL),
                            "application/webhook+json") == 0 &&
                  td_signature_check(&key, text, len, td_clock_wall_us() / TD_US_PER_S, value) == 0;
    (void)snprintf(h->path, sizeof(h->path), "%s", path);
    (void)snprintf(h->body, sizeof(h->body), "%.*s", (int)len, text);
    g_bytes_unref(body);
}

static void on_wrote_chunk(SoupServerMessage *message, gpointer data)
{
    (void)data;
    SoupMessageBody *body = soup_server_message_get_response_body(message);
    soup_message_body_append_take(body, g_malloc0(CHUNK_BYTES), CHUNK_BYTES);
    soup_server_message_unpause(message);
    w.poured_bytes += CHUNK_BYTES;
}

static void on_letter(SoupServer *server, SoupServerMessage *message, const char *path,
                      GHashTable *query, gpointer data)
{
    (void)server;
    (void)query;
    (void)data;
    remember(message, path);
    unsigned status = SOUP_STATUS_OK;
    if (strcmp(path, "/gone") == 0)
        status = SOUP_STATUS_GONE;
    if (strcmp(path, "/flaky") == 0 && w.failures > 0) {
        w.failures--;
        status = SOUP_STATUS_INTERNAL_SERVER_ERROR;
    }
    if (strcmp(path, "/away") == 0) {
        status = SOUP_STATUS_FOUND; /* a POST that is sent there becomes a GET */
        soup_message_headers_replace(soup_server_message_get_response_headers(message), "Location",
                                     "/elsewhere");
    }
    if (strcmp(path, "/silent") == 0 && w.held_count < HELD_MAX) {
        w.held[w.held_count++] = g_object_ref(message);
        soup_server_message_pause(message);
    }
    if (strcmp(path, "/endless") == 0) {
        soup_message_headers_set_encoding(soup_server_message_get_response_headers(message),
                                          SOUP_ENCODING_CHUNKED);
        soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
        g_signal_connect(message, "wrote-chunk", G_CALLBACK(on_wrote_chunk), NULL);
        on_wrote_chunk(message, NULL);
    }
    soup_server_message_set_status(message, status, NULL);
}

/* ---- the world ---- */

static gboolean on_mail(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    (void)td_mailbox_drain(data);
    return G_SOURCE_CONTINUE;
}

static gboolean on_late(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_CONTINUE;
}

static void wait_for(bool (*reached)(void))
{
    bool late = false;
    guint timer = g_timeout_add_seconds(WAIT_S, on_late, &late);
    while (!reached() && !late)
        (void)g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    assert_false(late);
}

static void open_sender(void)
{
    struct td_webhook_config config = {.config = &w.config,
                                       .catalog = w.catalog,
                                       .store = w.f.store,
                                       .control = w.control,
                                       .log = &w.log};
    assert_int_equal(td_webhook_new(&config, &w.webhook), 0);
}

static void listen_here(void)
{
    w.server = soup_server_new("server-header", "receiver", NULL);
    soup_server_add_handler(w.server, NULL, on_letter, NULL, NULL);
    GSocket *s =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
    GSocketAddress *any = g_inet_socket_address_new_from_string("127.0.0.1", 0);
    assert_true(g_socket_bind(s, any, TRUE, NULL) && g_socket_listen(s, NULL));
    GSocketAddress *bound = g_socket_get_local_address(s, NULL);
    (void)snprintf(w.base, sizeof(w.base), "http://127.0.0.1:%u",
                   (unsigned)g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)));
    assert_true(soup_server_listen_socket(w.server, s, 0, NULL));
    g_object_unref(bound);
    g_object_unref(any);
    g_object_unref(s);
}

static int open_world(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    fixture_init(&w.f);
    fixture_store(&w.f, 8, -1);
    char path[TD_PATH_MAX];
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_catalog_open(fixture_path(&w.f, "catalog.db", path), &fail, &w.catalog), 0);
    assert_int_equal(td_mailbox_new(256, &w.control), 0);
    w.mailbox_source = g_unix_fd_add(td_mailbox_fd(w.control), G_IO_IN, on_mail, w.control);
    td_log_init(&w.log, -1, TD_LOG_ERROR);
    listen_here();
    w.config.api_key = strdup(KEY);
    w.config.api_secret = strdup(SECRET);
    static const char *const paths[] = {"good", "flaky", "gone", "away"};
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(w.urls[i], sizeof(w.urls[i]), "%s/%s", w.base, paths[i]);
        w.hooks[i] = (struct td_config_webhook){.url = w.urls[i]};
    }
    w.config.webhooks = (struct td_config_webhooks){.items = w.hooks, .count = 4};
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    w.webhook = td_webhook_free(w.webhook);
    fixture_store_done(&w.f);
    (void)td_mailbox_drain(w.control); /* replies that nobody waits for */
    w.catalog = td_catalog_close(w.catalog);
    g_source_remove(w.mailbox_source);
    w.control = td_mailbox_free(w.control);
    for (unsigned i = 0; i < w.held_count; i++)
        g_object_unref(w.held[i]);
    soup_server_disconnect(w.server);
    g_clear_object(&w.server);
    free(w.config.api_key);
    free(w.config.api_secret);
    while (g_main_context_iteration(NULL, FALSE))
        continue;
    fixture_done(&w.f);
    return 0;
}

static void put(const char *recording, const char *url, const char *body)
{
    struct td_catalog_row row = {.id = recording,
                                 .room = "demo",
                                 .state = "recording",
                                 .doc = "{}",
                                 .request = "{}",
                                 .started_us = td_clock_wall_us()};
    struct td_catalog_letter letter = {.recording = recording, .url = url, .body = body};
    assert_int_equal(td_catalog_put(w.catalog, &row, &letter, 1), 0);
}

static bool nothing_waits(void)
{
    struct td_webhook_stats stats;
    td_webhook_stats(w.webhook, &stats);
    return stats.pending == 0 && stats.delivered + stats.given_up > 0;
}

static bool heard_enough(void)
{
    return w.heard >= w.wanted && nothing_waits();
}

/* So many in all, and the sender knows it. */
static void wait_heard(unsigned count)
{
    w.wanted = count;
    wait_for(heard_enough);
}

static struct td_webhook_stats stats_now(void)
{
    struct td_webhook_stats stats;
    td_webhook_stats(w.webhook, &stats);
    return stats;
}

/* The bodies that came to a path, one after the other. */
static void assert_heard(const char *path, const char *wanted)
{
    char text[1024] = "";
    for (unsigned i = 0; i < w.heard; i++) {
        assert_true(w.heard_letters[i].verified);
        if (strcmp(w.heard_letters[i].path, path) == 0)
            (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ",
                           w.heard_letters[i].body);
    }
    assert_string_equal(text, wanted);
}

/* ---- tests ---- */

static void test_delivers_in_order(void **state)
{
    (void)state;
    open_sender();
    put("rec_a", w.urls[0], "a1");
    put("rec_a", w.urls[0], "a2");
    put("rec_a", w.urls[0], "a3");
    td_webhook_kick(w.webhook);
    wait_for(nothing_waits);
    assert_heard("/good", "a1 a2 a3 ");
    struct td_webhook_stats stats = stats_now();
    assert_true(stats.delivered == 3 && stats.failed == 0 && stats.given_up == 0);
    assert_true(stats.oldest_us == 0);
}

static void test_goes_on_where_an_earlier_run_ended(void **state)
{
    (void)state;
    put("rec_a", w.urls[0], "a1");
    put("rec_b", w.urls[0], "b1");
    open_sender(); /* nobody kicks */
    wait_for(nothing_waits);
    assert_int_equal(w.heard, 2);
}

static void test_a_failure_holds_back_what_follows(void **state)
{
    (void)state;
    w.failures = 1;
    put("rec_a", w.urls[1], "a1");
    put("rec_a", w.urls[1], "a2");
    put("rec_a", w.urls[0], "good");
    open_sender();
    wait_for(nothing_waits);
    assert_heard("/flaky", "a1 a1 a2 ");
    assert_heard("/good", "good "); /* another receiver does not wait for this one */
    assert_true(stats_now().failed == 1 && stats_now().delivered == 3);
}

static bool tried_three_times(void)
{
    return stats_now().failed >= 3;
}

static void test_redirects_are_not_followed(void **state)
{
    (void)state;
    put("rec_a", w.urls[3], "a1");
    open_sender();
    wait_for(tried_three_times);
    assert_heard("/away", "a1 a1 a1 ");
    assert_heard("/elsewhere", "");
    assert_true(stats_now().pending == 1 && stats_now().oldest_us > 0);
}

static void on_replayed(void *ctx, int count)
{
    *(int *)ctx = count;
}

static bool has_replayed(void)
{
    return w.replayed != -1000;
}

static int replay(const char *recording, bool delivered)
{
    w.replayed = -1000;
    assert_int_equal(td_webhook_replay(w.webhook, recording, delivered, on_replayed, &w.replayed),
                     0);
    wait_for(has_replayed);
    return w.replayed;
}

static void test_gone_is_given_up_and_can_be_replayed(void **state)
{
    (void)state;
    put("rec_a", w.urls[2], "a1");
    put("rec_a", w.urls[2], "a2");
    put("rec_a", w.urls[0], "g1");
    open_sender();
    wait_heard(3);
    assert_heard("/gone", "a1 a2 ");
    assert_true(stats_now().given_up == 2 && stats_now().delivered == 1);
    assert_int_equal(replay("rec_b", true), 0);
    assert_int_equal(replay("rec_a", false), 2);
    wait_heard(5);
    assert_heard("/gone", "a1 a2 a1 a2 ");
    assert_heard("/good", "g1 ");
    assert_int_equal(replay(NULL, true), 3);
    wait_heard(8);
    assert_heard("/gone", "a1 a2 a1 a2 a1 a2 ");
    assert_heard("/good", "g1 g1 ");
}

static bool silent_is_called(void)
{
    return w.held_count >= TD_MAILBAG_PLACES;
}

static bool good_is_called(void)
{
    return stats_now().delivered == 1;
}

/* A receiver that never answers takes its own places only. */
static void test_one_receiver_does_not_hold_up_another(void **state)
{
    (void)state;
    (void)snprintf(w.urls[1], sizeof(w.urls[1]), "%s/silent", w.base);
    for (int i = 0; i < 12; i++) {
        char id[TD_ID_MAX];
        (void)snprintf(id, sizeof(id), "rec_%d", i);
        put(id, w.urls[1], "s");
    }
    put("rec_z", w.urls[0], "z");
    open_sender();
    wait_for(good_is_called);
    wait_for(silent_is_called);
    assert_heard("/good", "z ");
    assert_heard("/silent", "s s s s ");
    assert_true(stats_now().pending >= 12);
}

static bool failed_once(void)
{
    return stats_now().failed >= 1;
}

static void test_only_configured_urls_are_called(void **state)
{
    (void)state;
    w.config.webhooks.count = 0;
    put("rec_a", w.urls[0], "a1");
    open_sender();
    wait_for(failed_once);
    assert_int_equal(w.heard, 0);
    w.config.webhooks.count = 4; /* configured again: it has waited */
    wait_for(nothing_waits);
    assert_heard("/good", "a1 ");
}

static void test_keys_of_their_own(void **state)
{
    (void)state;
    w.hooks[0].api_key = w.config.api_key;
    w.hooks[0].api_secret = w.config.api_secret;
    w.config.api_key = NULL;
    w.config.api_secret = NULL;
    put("rec_a", w.urls[0], "a1");
    put("rec_a", w.urls[1], "unsigned");
    open_sender();
    wait_for(good_is_called);
    assert_heard("/good", "a1 ");
    wait_for(failed_once); /* without a key nothing is sent */
    assert_heard("/flaky", "");
    w.config.api_key = w.hooks[0].api_key;
    w.config.api_secret = w.hooks[0].api_secret;
}

static void test_urls_that_are_none(void **state)
{
    (void)state;
    static char odd[][32] = {"ftp://host/x", "nonsense", "http://", ""};
    for (size_t i = 0; i < 4; i++) {
        w.hooks[i].url = odd[i];
        put("rec_a", odd[i], "a1");
    }
    open_sender();
    wait_for(tried_three_times);
    assert_int_equal(w.heard, 0);
}

static void test_long_answers_are_not_read(void **state)
{
    (void)state;
    (void)snprintf(w.urls[0], sizeof(w.urls[0]), "%s/endless", w.base);
    put("rec_a", w.urls[0], "a1");
    put("rec_a", w.urls[0], "a2");
    open_sender();
    wait_for(nothing_waits);
    assert_heard("/endless", "a1 a2 ");
    /* The rest lies in the buffers of two sockets. */
    assert_true(w.poured_bytes < 2 * (16u << 20));
}

static void on_stopped(void *ctx)
{
    *(bool *)ctx = true;
}

static bool has_stopped(void)
{
    return w.stopped;
}

static void test_stop_sends_what_is_due(void **state)
{
    (void)state;
    open_sender();
    put("rec_a", w.urls[0], "a1");
    put("rec_a", w.urls[0], "a2");
    td_webhook_stop(w.webhook, WAIT_S * TD_US_PER_S, on_stopped, &w.stopped);
    assert_false(w.stopped);
    wait_for(has_stopped);
    assert_heard("/good", "a1 a2 ");
}

static void test_stop_does_not_wait_for_the_dead(void **state)
{
    (void)state;
    (void)snprintf(w.urls[1], sizeof(w.urls[1]), "%s/silent", w.base);
    for (int i = 0; i < 4; i++) {
        char id[TD_ID_MAX];
        (void)snprintf(id, sizeof(id), "rec_%d", i);
        put(id, w.urls[1], "s");
    }
    open_sender();
    wait_for(silent_is_called);
    td_webhook_stop(w.webhook, 50 * TD_US_PER_MS, on_stopped, &w.stopped);
    wait_for(has_stopped);
    /* The next run brings them. */
    w.webhook = td_webhook_free(w.webhook);
    int64_t next_us = 0;
    uint64_t count = 0;
    assert_int_equal(td_catalog_outbox_next(w.catalog, &next_us, &count), 0);
    assert_true(count == 4);
}

/* Letters of the observer are put by the recordings; here by hand. */
static void test_observer(void **state)
{
    (void)state;
    open_sender();
    w.config.webhooks.count = 1;
    struct td_recordings_observer observer = td_webhook_observer(w.webhook);
    struct td_catalog_letter letters[TD_RECORDINGS_LETTERS_MAX];
    json_t *doc = json_pack("{s:s, s:s, s:s}", "id", "rec_a", "room", "demo", "state", "waiting");
    assert_int_equal(observer.letters(observer.ctx, doc, false, letters, TD_RECORDINGS_LETTERS_MAX),
                     1);
    put(letters[0].recording, letters[0].url, letters[0].body);
    observer.changed(observer.ctx, NULL, doc, false);
    wait_for(nothing_waits);
    assert_int_equal(w.heard, 1);
    assert_true(w.heard_letters[0].verified);
    assert_non_null(strstr(w.heard_letters[0].body, "egress_started"));
    assert_int_equal(observer.letters(observer.ctx, doc, false, letters, TD_RECORDINGS_LETTERS_MAX),
                     0);
    json_decref(doc);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(test_delivers_in_order),
        TEST(test_goes_on_where_an_earlier_run_ended),
        TEST(test_a_failure_holds_back_what_follows),
        TEST(test_redirects_are_not_followed),
        TEST(test_gone_is_given_up_and_can_be_replayed),
        TEST(test_one_receiver_does_not_hold_up_another),
        TEST(test_only_configured_urls_are_called),
        TEST(test_keys_of_their_own),
        TEST(test_urls_that_are_none),
        TEST(test_long_answers_are_not_read),
        TEST(test_stop_sends_what_is_due),
        TEST(test_stop_does_not_wait_for_the_dead),
        TEST(test_observer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
