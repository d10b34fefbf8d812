/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/events.h"
#include "api/health.h"
#include "api/item.h"
#include "api/openapi.h"
#include "fixture.h"

#define BURST 64u                 /* events at once, which one who reads can take */
#define NOBODY "ws://127.0.0.1:1" /* nobody listens there */

struct daemon {
    struct fixture f;
    struct td_budget budget;
    struct td_log log;
    struct td_config config;
    struct td_config_key keys[2];
    struct td_recorder recorder;
    struct td_mailbox *control;
    guint mailbox_source;
    struct td_certificate *certificate;
    struct td_catalog *catalog;
    struct td_http *http;
    struct td_recordings *recordings;
    struct td_files *files;
    struct td_rest *rest;
    struct td_health *health;
    SoupSession *client;
    bool recovered;
    bool disk_low;
    bool all_ended;
};

struct answer {
    bool done;
    SoupMessage *message;
    GBytes *bytes;
    unsigned status;
    char *text; /* of the body */
    json_t *json;
};

struct call {
    const char *method;
    const char *path;
    const char *body; /* JSON; NULL = none */
    const char *key;  /* API key; NULL = none */
    const char *header;
    const char *value;
};

static struct daemon d;

/* ---- the daemon ---- */

static gboolean on_mail(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    (void)td_mailbox_drain(data);
    return G_SOURCE_CONTINUE;
}

static bool is_recovered(void *ctx)
{
    (void)ctx;
    return d.recovered;
}

static bool is_low(void *ctx)
{
    (void)ctx;
    return d.disk_low;
}

static void set_text(char **place, const char *text)
{
    free(*place);
    *place = text != NULL ? strdup(text) : NULL;
}

static void open_recorder(void)
{
    fixture_init(&d.f);
    fixture_store(&d.f, 8, -1);
    td_budget_init(&d.budget, NULL, 0);
    td_log_init(&d.log, -1, TD_LOG_ERROR);
    assert_int_equal(td_mailbox_new(256, &d.control), 0);
    d.mailbox_source = g_unix_fd_add(td_mailbox_fd(d.control), G_IO_IN, on_mail, d.control);
    d.recorder = (struct td_recorder){.fs = td_fs_posix(),
                                      .store = d.f.store,
                                      .control = d.control,
                                      .log = &d.log,
                                      .budget = &d.budget};
    assert_int_equal(td_loop_new("media", &d.recorder.loop), 0);
    assert_int_equal(td_certificate_new(&d.certificate), 0);
}

static void open_catalog(void)
{
    char path[TD_PATH_MAX];
    struct td_fail fail = {.code = 0};
    (void)snprintf(path, sizeof(path), "%s/catalog.db", d.f.shm);
    assert_int_equal(td_catalog_open(path, &fail, &d.catalog), 0);
}

static void open_api(void)
{
    struct td_fail fail = {.code = 0};
    struct td_http_config http = {.listen = "127.0.0.1:0", .config = &d.config, .log = &d.log};
    struct td_recordings_config recordings = {.recorder = &d.recorder,
                                              .certificate = d.certificate,
                                              .config = &d.config,
                                              .catalog = d.catalog};
    assert_int_equal(td_http_new(&http, &fail, &d.http), 0);
    assert_int_equal(td_recordings_new(&recordings, &d.recordings), 0);
    struct td_files_config files = {
        .fs = d.recorder.fs, .log = &d.log, .growing = td_items_growing, .ctx = d.recordings};
    assert_int_equal(td_files_new(&files, &d.files), 0);
    struct td_rest_config rest = {.http = d.http,
                                  .recordings = d.recordings,
                                  .catalog = d.catalog,
                                  .store = d.f.store,
                                  .control = d.control,
                                  .fs = d.recorder.fs,
                                  .files = d.files,
                                  .data_dir = d.config.data_dir,
                                  .log = &d.log};
    assert_int_equal(td_rest_new(&rest, &d.rest), 0);
    struct td_health_config health = {
        .http = d.http, .recordings = d.recordings, .recovered = is_recovered, .disk_low = is_low};
    assert_int_equal(td_health_new(&health, &d.health), 0);
    td_openapi_serve(d.http);
    d.client = soup_session_new_with_options("max-conns", 32, "max-conns-per-host", 32, NULL);
}

/* `rooms`: what a second key is good for; NULL = there are no keys. */
static void open_daemon(const char *url, const char *rooms)
{
    memset(&d, 0, sizeof(d));
    d.recovered = true;
    open_recorder();
    open_catalog();
    assert_int_equal(td_config_init(&d.config), 0);
    set_text(&d.config.data_dir, d.f.disk);
    set_text(&d.config.ws_url, url);
    set_text(&d.config.api_key, "key");
    set_text(&d.config.api_secret, "secret-that-is-long-enough-for-us");
    if (rooms != NULL) {
        struct td_config_key *items = calloc(2, sizeof(*items));
        items[0].key = strdup("for-all");
        items[1].key = strdup("for-some");
        items[1].rooms = strdup(rooms);
        d.config.api_keys = (struct td_config_keys){.items = items, .count = 2};
    }
    open_api();
}

static void on_all_ended(void *ctx)
{
    *(bool *)ctx = true;
}

static void run_until(const bool *flag)
{
    while (!*flag)
        (void)g_main_context_iteration(NULL, TRUE);
}

static void close_api(void)
{
    d.all_ended = false;
    td_recordings_stop_all(d.recordings, "shutdown", false, on_all_ended, &d.all_ended);
    run_until(&d.all_ended);
    g_clear_object(&d.client);
    d.files = td_files_free(d.files);
    d.rest = td_rest_free(d.rest);
    d.health = td_health_free(d.health);
    d.http = td_http_free(d.http);
    d.recordings = td_recordings_free(d.recordings);
}

static void close_daemon(void)
{
    close_api();
    d.recorder.loop = td_loop_free(d.recorder.loop);
    fixture_store_done(&d.f);
    (void)td_mailbox_drain(d.control);
    d.catalog = td_catalog_close(d.catalog);
    g_source_remove(d.mailbox_source);
    d.control = td_mailbox_free(d.control);
    d.certificate = td_certificate_free(d.certificate);
    td_config_done(&d.config);
    td_budget_done(&d.budget);
    while (g_main_context_iteration(NULL, FALSE))
        continue;
    fixture_done(&d.f);
}

/* A server that takes connections and never says a word: a start waits for it. */
static int listen_silently(char ret_url[static 64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(ret_url, 64, "ws://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    return fd;
}

/* ---- calls ---- */

static void on_answer(GObject *source, GAsyncResult *result, gpointer data)
{
    struct answer *a = data;
    size_t len = 0;
    a->bytes = soup_session_send_and_read_finish(SOUP_SESSION(source), result, NULL);
    assert_non_null(a->bytes);
    const char *text = g_bytes_get_data(a->bytes, &len);
    a->text = len > 0 ? g_strndup(text, len) : g_strdup("");
    a->json = json_loads(a->text, 0, NULL);
    a->status = soup_message_get_status(a->message);
    a->done = true;
}

static void begin(const struct call *call, struct answer *ret)
{
    *ret = (struct answer){.done = false};
    char *url = g_strdup_printf("http://%s%s", td_http_address(d.http), call->path);
    ret->message = soup_message_new(call->method, url);
    assert_non_null(ret->message);
    g_free(url);
    SoupMessageHeaders *headers = soup_message_get_request_headers(ret->message);
    if (call->key != NULL) {
        char *bearer = g_strdup_printf("Bearer %s", call->key);
        soup_message_headers_append(headers, "Authorization", bearer);
        g_free(bearer);
    }
    if (call->header != NULL)
        soup_message_headers_append(headers, call->header, call->value);
    if (call->body != NULL) {
        GBytes *body = g_bytes_new(call->body, strlen(call->body));
        soup_message_set_request_body_from_bytes(ret->message, "application/json", body);
        g_bytes_unref(body);
    }
    soup_session_send_and_read_async(d.client, ret->message, G_PRIORITY_DEFAULT, NULL, on_answer,
                                     ret);
}

static void done(struct answer *a)
{
    json_decref(a->json);
    g_free(a->text);
    g_bytes_unref(a->bytes);
    g_object_unref(a->message);
}

static const char *header_of(const struct answer *a, const char *name)
{
    return soup_message_headers_get_one(soup_message_get_response_headers(a->message), name);
}

static const char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "(none)";
}

static void ask(const struct call *call, struct answer *ret)
{
    begin(call, ret);
    run_until(&ret->done);
}

/* Asserts status and, unless NULL, the code of a problem. */
static void expect(const struct call *call, unsigned status, const char *code)
{
    struct answer a;
    ask(call, &a);
    if (a.status != status)
        print_error("%s %s: %s\n", call->method, call->path, a.text);
    assert_int_equal(a.status, status);
    if (code != NULL) {
        assert_string_equal(header_of(&a, "Content-Type"), "application/problem+json");
        assert_string_equal(text_at(a.json, "code"), code);
        assert_true(strlen(text_at(a.json, "detail")) > 10);
    }
    done(&a);
}

/* POST /api/recordings of this room at a server that refuses; the id of what is left of it. */
static void make_failed(const char *room, char ret_id[static TD_ID_MAX])
{
    char body[128];
    char path[128];
    struct answer a;
    (void)snprintf(body, sizeof(body), "{\"room\":\"%s\"}", room);
    (void)snprintf(path, sizeof(path), "/api/recording/status/%s", room);
    expect(&(struct call){"POST", "/api/recordings", body, "for-all", NULL, NULL}, 502,
           "source_refused");
    while (td_recordings_running(d.recordings) > 0)
        (void)g_main_context_iteration(NULL, TRUE);
    ask(&(struct call){"GET", path, NULL, "for-all", NULL, NULL}, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(text_at(a.json, "state"), "failed");
    (void)snprintf(ret_id, TD_ID_MAX, "%s", text_at(a.json, "id"));
    done(&a);
}

/* ---- tests ---- */

static const struct {
    struct call call;
    unsigned status;
    const char *code;
} routes[] = {
    {{.method = "GET", .path = "/api/recordings"}, 200, NULL},
    {{.method = "HEAD", .path = "/api/recordings"}, 200, NULL},
    {{.method = "PUT", .path = "/api/recordings"}, 405, "method_not_allowed"},
    {{.method = "GET", .path = "/api/recordings?state=recording&limit=1&room=a"}, 200, NULL},
    {{.method = "GET", .path = "/api/recordings?state=running"}, 400, "bad_request"},
    {{.method = "GET", .path = "/api/recordings?state="}, 400, "bad_request"},
    {{.method = "GET", .path = "/api/recordings?limit=0"}, 400, "bad_request"},
    {{.method = "GET", .path = "/api/recordings?limit=501"}, 400, "bad_request"},
    {{.method = "GET", .path = "/api/recordings?limit=-1"}, 400, "bad_request"},
    {{.method = "GET", .path = "/api/recordings?limit=1x"}, 400, "bad_request"},
    {{.method = "GET", .path = "/api/recordings?limit=500"}, 200, NULL},
    {{.method = "GET", .path = "/api/recordings?cursor=../x"}, 400, "bad_request"},
    {{.method = "GET", .path = "/api/recordings?room=a%0ab"}, 400, "bad_request"},
    {{.method = "GET", .path = "/api/recordings/rec_x"}, 404, "no_such_recording"},
    {{.method = "POST", .path = "/api/recordings/rec_x"}, 405, "method_not_allowed"},
    {{.method = "DELETE", .path = "/api/recordings/rec_x"}, 404, "no_such_recording"},
    {{.method = "PATCH", .path = "/api/recordings/rec_x", .body = "{}"}, 404, "no_such_recording"},
    {{.method = "PATCH", .path = "/api/recordings/rec_x"}, 400, "bad_request"},
    {{.method = "PATCH", .path = "/api/recordings/rec_x", .body = "{\"a\":1}"}, 400, "bad_request"},
    {{.method = "PATCH", .path = "/api/recordings/rec_x", .body = "{"}, 400, "bad_json"},
    {{.method = "POST", .path = "/api/recordings/rec_x/stop"}, 404, "no_such_recording"},
    {{.method = "GET", .path = "/api/recordings/rec_x/stop"}, 405, "method_not_allowed"},
    {{.method = "POST", .path = "/api/recordings/rec_x/pause"}, 404, "no_such_recording"},
    {{.method = "POST", .path = "/api/recordings/rec_x/resume"}, 404, "no_such_recording"},
    {{.method = "GET", .path = "/api/recordings/rec_x/timeline"}, 404, "no_such_recording"},
    {{.method = "GET", .path = "/api/recordings/rec_x/events"}, 404, "no_such_recording"},
    {{.method = "GET", .path = "/api/recordings/rec_x/files"}, 404, "no_such_recording"},
    {{.method = "GET", .path = "/api/recordings/rec_x/files/a.ts"}, 404, "no_such_recording"},
    {{.method = "GET", .path = "/api/recordings/rec_x/files/"}, 404, "not_found"},
    {{.method = "GET", .path = "/api/recordings/rec_x/colour"}, 404, "not_found"},
    {{.method = "GET", .path = "/api/recordings/rec_x/stop/more"}, 404, "not_found"},
    {{.method = "GET", .path = "/api/recordings/rec_that_is_longer_than_any"}, 404, "not_found"},
    {{.method = "POST", .path = "/api/recordings"}, 400, "bad_request"},
    {{.method = "POST", .path = "/api/recordings", .body = "[]"}, 400, "bad_request"},
    {{.method = "POST", .path = "/api/recordings", .body = "{\"room\":\"r\",\"x\":1}"},
     400,
     "bad_request"},
    {{.method = "POST", .path = "/api/recordings", .body = "{\"room\":\"r\",\"outputs\":[{},{}]}"},
     422,
     "not_possible"},
    {{.method = "POST", .path = "/api/recordings", .body = "{\"room\":\"r\"}"},
     400,
     "not_possible"}, /* no server is configured */
    {{.method = "POST",
      .path = "/api/recordings",
      .body = "{\"room\":\"r\"}",
      .header = "Idempotency-Key",
      .value = "a b"},
     400,
     "bad_request"},
    {{.method = "GET", .path = "/api/recording/status/room"}, 404, "no_such_recording"},
    {{.method = "POST", .path = "/api/recording/stop/room"}, 404, "no_such_recording"},
    {{.method = "GET", .path = "/api/recording/start/room"}, 405, "method_not_allowed"},
    {{.method = "POST", .path = "/api/recording/start"}, 400, "no_room"},
    {{.method = "POST", .path = "/api/recording/start/a%0ab"}, 400, "no_room"},
    {{.method = "POST", .path = "/api/recording/start/room"}, 400, "not_possible"},
    {{.method = "GET", .path = "/healthz"}, 200, NULL},
    {{.method = "GET", .path = "/healthz/more"}, 404, "not_found"},
    {{.method = "POST", .path = "/healthz"}, 405, "method_not_allowed"},
    {{.method = "GET", .path = "/readyz"}, 200, NULL},
    {{.method = "GET", .path = "/openapi.json"}, 200, NULL},
    {{.method = "POST", .path = "/openapi.json"}, 405, "method_not_allowed"},
    {{.method = "GET", .path = "/openapi.json/more"}, 404, "not_found"},
};

static void test_routes(void **state)
{
    (void)state;
    open_daemon(NULL, NULL);
    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
        expect(&routes[i].call, routes[i].status,
               strcmp(routes[i].call.method, "HEAD") != 0 ? routes[i].code : NULL);
    assert_int_equal(td_recordings_running(d.recordings), 0);
    assert_int_equal(folder_count(d.f.disk), 0);
    close_daemon();
}

static void test_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *allowed;
    } rows[] = {{"/api/recordings", "GET, HEAD, POST, OPTIONS"},
                {"/api/recordings/rec_x", "GET, HEAD, PATCH, DELETE, OPTIONS"},
                {"/api/recordings/rec_x/stop", "POST, OPTIONS"},
                {"/api/recordings/rec_x/events", "GET, HEAD, OPTIONS"},
                {"/api/recording/start/r", "POST, OPTIONS"},
                {"/api/recording/status/r", "GET, HEAD, OPTIONS"}};
    open_daemon(NULL, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct answer a;
        ask(&(struct call){"PUT", rows[i].path, NULL, NULL, NULL, NULL}, &a);
        assert_int_equal(a.status, 405);
        assert_string_equal(header_of(&a, "Allow"), rows[i].allowed);
        done(&a);
    }
    close_daemon();
}

static void test_ready(void **state)
{
    (void)state;
    open_daemon(NULL, NULL);
    struct call ready = {.method = "GET", .path = "/readyz"};
    struct answer a;
    ask(&ready, &a);
    assert_int_equal(a.status, 200);
    assert_true(json_is_true(json_object_get(a.json, "ready")));
    done(&a);
    d.disk_low = true;
    ask(&ready, &a);
    assert_int_equal(a.status, 503);
    assert_true(json_is_false(json_object_get(a.json, "ready")));
    json_t *checks = json_object_get(a.json, "checks");
    assert_true(json_is_false(json_object_get(checks, "disk")));
    assert_true(json_is_true(json_object_get(checks, "recovery")));
    assert_true(json_is_true(json_object_get(checks, "catalogue")));
    done(&a);
    d.disk_low = false;
    d.recovered = false;
    expect(&ready, 503, NULL);
    expect(&(struct call){.method = "GET", .path = "/healthz"}, 200, NULL); /* it lives */
    close_daemon();
}

static void test_openapi(void **state)
{
    (void)state;
    open_daemon(NULL, NULL);
    struct answer a;
    ask(
        &(struct call){
            .method = "GET", .path = "/openapi.json", .header = "Range", .value = "bytes=0-9"},
        &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(text_at(json_object_get(a.json, "info"), "version"), TD_VERSION);
    assert_string_equal(text_at(a.json, "openapi"), "3.1.0");
    assert_null(strstr(a.text, "@VERSION@"));
    done(&a);
    close_daemon();
}

/* What is left of one that its source refused: it is in the catalogue, and can be removed. */
static void test_ended(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char path[128];
    struct answer a;
    open_daemon(NOBODY, NULL);
    make_failed("lost", id);
    (void)snprintf(path, sizeof(path), "/api/recordings/%s", id);
    ask(&(struct call){.method = "GET", .path = path}, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(text_at(a.json, "id"), id);
    assert_string_equal(text_at(a.json, "room"), "lost");
    assert_string_equal(text_at(a.json, "reason"), "refused");
    assert_true(strlen(text_at(a.json, "error")) > 10);
    assert_true(json_is_array(json_object_get(a.json, "outputs")));
    done(&a);
    expect(&(struct call){.method = "PATCH", .path = path, .body = "{\"max_duration_s\":5}"}, 409,
           "ended");
    ask(&(struct call){.method = "PATCH", .path = path, .body = "{\"hold\":true}"}, &a);
    assert_int_equal(a.status, 200);
    assert_true(json_is_true(json_object_get(a.json, "hold")));
    done(&a);
    ask(&(struct call){.method = "PATCH", .path = path, .body = "{}"}, &a);
    assert_true(json_is_true(json_object_get(a.json, "hold")));
    done(&a);
    (void)snprintf(path, sizeof(path), "/api/recordings/%s/stop", id);
    expect(&(struct call){.method = "POST", .path = path}, 200, NULL);
    (void)snprintf(path, sizeof(path), "/api/recordings/%s/pause", id);
    expect(&(struct call){.method = "POST", .path = path}, 409, "ended");
    (void)snprintf(path, sizeof(path), "/api/recordings/%s/resume", id);
    expect(&(struct call){.method = "POST", .path = path}, 409, "ended");
    expect(&(struct call){.method = "POST", .path = "/api/recording/stop/lost"}, 200, NULL);
    (void)snprintf(path, sizeof(path), "/api/recordings/%s/files", id);
    ask(&(struct call){.method = "GET", .path = path}, &a);
    assert_int_equal(a.status, 200);
    json_t *first = json_array_get(json_object_get(a.json, "files"), 0);
    assert_string_equal(text_at(first, "name"), "manifest.json");
    assert_true(json_is_false(json_object_get(first, "growing")));
    done(&a);
    (void)snprintf(path, sizeof(path), "/api/recordings/%s/files/manifest.json", id);
    ask(&(struct call){.method = "GET", .path = path}, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(text_at(a.json, "id"), id);
    done(&a);
    (void)snprintf(path, sizeof(path), "/api/recordings/%s", id);
    expect(&(struct call){.method = "DELETE", .path = path}, 204, NULL);
    expect(&(struct call){.method = "DELETE", .path = path}, 404, "no_such_recording");
    expect(&(struct call){.method = "GET", .path = path}, 404, "no_such_recording");
    close_daemon();
}

static void test_events_of_an_ended_one(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char path[128];
    struct answer a;
    open_daemon(NOBODY, NULL);
    make_failed("lost", id);
    (void)snprintf(path, sizeof(path), "/api/recordings/%s/events", id);
    ask(&(struct call){.method = "GET", .path = path}, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(header_of(&a, "Content-Type"), "text/event-stream");
    assert_int_equal(strncmp(a.text, "event: state\ndata: {", 20), 0);
    const char *end = strstr(a.text, "\n\nid: end\nevent: end\ndata: {}\n\n");
    assert_non_null(end);
    assert_string_equal(end, "\n\nid: end\nevent: end\ndata: {}\n\n");
    done(&a);
    expect(&(struct call){.method = "GET", .path = path, .header = "Last-Event-ID", .value = "end"},
           204, NULL);
    ask(
        &(struct call){
            .method = "GET", .path = path, .header = "Last-Event-ID", .value = "AAAAAAAA-7"},
        &a);
    assert_int_equal(a.status, 200);
    done(&a);
    close_daemon();
}

static void wait_running(void)
{
    while (td_recordings_by_room(d.recordings, "r") == NULL)
        (void)g_main_context_iteration(NULL, TRUE);
}

/* A stream sees how it ends, and then ends itself. */
static void test_events_of_a_running_one(void **state)
{
    (void)state;
    char url[64];
    char path[128];
    char stop[128];
    struct answer start;
    struct answer stream;
    struct answer head;
    int fd = listen_silently(url);
    open_daemon(url, NULL);
    begin(&(struct call){.method = "POST", .path = "/api/recordings", .body = "{\"room\":\"r\"}"},
          &start);
    wait_running();
    const char *id = td_recording_id(td_recordings_by_room(d.recordings, "r"));
    (void)snprintf(path, sizeof(path), "/api/recordings/%s/events", id);
    (void)snprintf(stop, sizeof(stop), "/api/recordings/%s/stop", id);
    ask(&(struct call){.method = "HEAD", .path = path}, &head);
    assert_int_equal(head.status, 200);
    assert_string_equal(head.text, "");
    done(&head);
    begin(&(struct call){.method = "GET", .path = path}, &stream);
    while (td_rest_watchers(d.rest) == 0)
        (void)g_main_context_iteration(NULL, TRUE);
    ask(&(struct call){.method = "POST", .path = stop}, &head);
    assert_int_equal(head.status, 200);
    assert_string_not_equal(text_at(head.json, "state"), "starting"); /* it waited for the next */
    done(&head);
    run_until(&stream.done);
    assert_int_equal(stream.status, 200);
    assert_int_equal(strncmp(stream.text, "id: ", 4), 0);
    assert_non_null(strstr(stream.text, "\"state\":\"starting\""));
    const char *last = strstr(stream.text, "\"state\":\"aborted\"");
    assert_non_null(last);
    assert_non_null(strstr(last, "id: end\nevent: end\ndata: {}\n\n"));
    done(&stream);
    run_until(&start.done);
    assert_int_equal(start.status, 503); /* there never was a recording */
    assert_string_equal(text_at(start.json, "code"), "stopped");
    done(&start);
    while (td_rest_watchers(d.rest) > 0)
        (void)g_main_context_iteration(NULL, TRUE);
    (void)close(fd);
    close_daemon();
}

static void on_state(void *ctx, struct td_recording *recording, json_t *doc, bool final)
{
    (void)recording;
    (void)doc;
    (void) final;
    ++*(unsigned *)ctx;
}

static int connect_lazily(void)
{
    int bytes = 1024;
    unsigned port = (unsigned)strtoul(strrchr(td_http_address(d.http), ':') + 1, NULL, 10);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* What waits for a client that never reads is bounded: it is cut off, and one that reads is not. */
static bool runs(void)
{
    return td_recordings_by_room(d.recordings, "r") != NULL;
}

static void test_a_client_that_does_not_read(void **state)
{
    (void)state;
    char url[64];
    char text[256];
    struct answer start;
    struct answer stream;
    unsigned states = 0;
    int fd = listen_silently(url);
    open_daemon(url, NULL);
    struct td_recordings_observer observer = {.ctx = &states, .changed = on_state};
    td_recordings_observe(d.recordings, &observer);
    begin(&(struct call){.method = "POST", .path = "/api/recording/start/r"}, &start);
    wait_running();
    struct td_recording *r = td_recordings_by_room(d.recordings, "r");
    (void)snprintf(text, sizeof(text),
                   "GET /api/recordings/%s/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
                   td_recording_id(r));
    int lazy = connect_lazily();
    assert_int_equal(send(lazy, text, strlen(text), 0), strlen(text));
    (void)snprintf(text, sizeof(text), "/api/recordings/%s/events", td_recording_id(r));
    begin(&(struct call){.method = "GET", .path = text}, &stream);
    while (td_rest_watchers(d.rest) < 2)
        (void)g_main_context_iteration(NULL, TRUE);
    unsigned said = states;
    for (unsigned n = 0; n < 2000 && runs() && td_rest_watchers(d.rest) == 2; n++) {
        for (unsigned k = 0; k < BURST; k++)
            td_recording_hold(r, k % 2 == 0);
        said += BURST;
        while (states < said && runs())
            (void)g_main_context_iteration(NULL, TRUE);
    }
    /* A machine that needs longer than the silent server is waited for sees the recording end. */
    if (runs()) {
        assert_int_equal(td_rest_watchers(d.rest), 1);
        assert_true(said > TD_EVENTS_PENDING); /* not before there was a reason */
        td_recording_stop(r, "stopped");
    }
    run_until(&stream.done);
    assert_int_equal(stream.status, 200);
    assert_non_null(strstr(stream.text, "event: end\n"));
    done(&stream);
    run_until(&start.done);
    done(&start);
    (void)close(lazy);
    (void)close(fd);
    close_daemon();
}

/* The daemon goes while somebody watches and somebody waits. */
static void test_going_down(void **state)
{
    (void)state;
    char url[64];
    char path[128];
    int fd = listen_silently(url);
    open_daemon(url, NULL);
    char *request = g_strdup_printf("http://%s/api/recording/start/r", td_http_address(d.http));
    SoupMessage *start = soup_message_new("POST", request);
    g_free(request);
    soup_session_send_async(d.client, start, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
    wait_running();
    (void)snprintf(path, sizeof(path), "http://%s/api/recordings/%s/events",
                   td_http_address(d.http),
                   td_recording_id(td_recordings_by_room(d.recordings, "r")));
    SoupMessage *stream = soup_message_new("GET", path);
    soup_session_send_async(d.client, stream, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
    while (td_rest_watchers(d.rest) == 0)
        (void)g_main_context_iteration(NULL, TRUE);
    td_recordings_stop_all(d.recordings, "shutdown", true, on_all_ended, &d.all_ended);
    run_until(&d.all_ended);
    g_object_unref(start);
    g_object_unref(stream);
    (void)close(fd);
    close_daemon();
}

/* Three times the same request while the first waits, and another one with its key. */
static void test_keys_that_wait(void **state)
{
    (void)state;
    char url[64];
    int fd = listen_silently(url);
    open_daemon(url, NULL);
    struct call call = {.method = "POST",
                        .path = "/api/recordings",
                        .body = "{\"room\":\"r\",\"hold\":true}",
                        .header = "Idempotency-Key",
                        .value = "k-1"};
    struct answer same[3];
    begin(&call, &same[0]);
    wait_running();
    call.body = "{ \"hold\": true, \"room\": \"r\" }";
    begin(&call, &same[1]);
    begin(&call, &same[2]);
    call.body = "{\"room\":\"r\"}";
    expect(&call, 422, "idempotency_key_reused");
    call.header = NULL;
    struct answer other;
    begin(&call, &other); /* this room is being started: it waits for that */
    while (td_http_counts(d.http).requests < 5)
        (void)g_main_context_iteration(NULL, TRUE);
    while (g_main_context_iteration(NULL, FALSE)) /* their bodies are there too */
        continue;
    assert_int_equal(td_recordings_running(d.recordings), 1);
    expect(&(struct call){.method = "POST", .path = "/api/recording/stop/r"}, 200, NULL);
    for (size_t i = 0; i < 3; i++) {
        run_until(&same[i].done);
        assert_int_equal(same[i].status, 503);
        assert_string_equal(text_at(same[i].json, "code"), "stopped");
        done(&same[i]);
    }
    run_until(&other.done);
    assert_int_equal(other.status, 503);
    done(&other);
    (void)close(fd);
    close_daemon();
}

static int keep_key(void *arg)
{
    const char *id = arg;
    char digest[65];
    memset(digest, 'a', 64);
    digest[64] = '\0';
    return td_catalog_key_put(d.catalog, "kept", digest, id);
}

/* A key of an earlier process: with another request it is refused; a start that failed keeps none.
 */
static void test_kept_keys(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    open_daemon(NOBODY, NULL);
    make_failed("lost", id);
    assert_int_equal(keep_key(id), 0);
    struct call call = {.method = "POST",
                        .path = "/api/recordings",
                        .body = "{\"room\":\"lost\"}",
                        .header = "Idempotency-Key",
                        .value = "kept"};
    expect(&call, 422, "idempotency_key_reused");
    call.value = "new";
    expect(&call, 502, "source_refused");
    expect(&call, 502, "source_refused"); /* it was tried again */
    char digest[65];
    char recording[TD_ID_MAX];
    assert_int_equal(td_catalog_key_get(d.catalog, "new", digest, sizeof(digest), recording),
                     TD_CATALOG_NONE);
    close_daemon();
}

static size_t count_listed(const char *path, const char *key, char ret_cursor[static TD_ID_MAX])
{
    struct answer a;
    ask(&(struct call){.method = "GET", .path = path, .key = key}, &a);
    assert_int_equal(a.status, 200);
    size_t count = json_array_size(json_object_get(a.json, "recordings"));
    json_t *cursor = json_object_get(a.json, "next_cursor");
    assert_true(json_is_null(cursor) || json_is_string(cursor));
    (void)snprintf(ret_cursor, TD_ID_MAX, "%s",
                   json_is_string(cursor) ? json_string_value(cursor) : "");
    done(&a);
    return count;
}

/* Page after page of what a key may see. */
static size_t count_all(const char *key, unsigned limit)
{
    char cursor[TD_ID_MAX] = "";
    size_t all = 0;
    unsigned pages = 0;
    do {
        char path[128];
        (void)snprintf(path, sizeof(path), "/api/recordings?limit=%u%s%s", limit,
                       cursor[0] != '\0' ? "&cursor=" : "", cursor);
        size_t count = count_listed(path, key, cursor);
        assert_true(count <= limit);
        all += count;
        assert_true(++pages < 20);
    } while (cursor[0] != '\0');
    return all;
}

static void test_pages(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char cursor[TD_ID_MAX];
    open_daemon(NOBODY, "mine-*");
    for (unsigned i = 0; i < 7; i++)
        make_failed(i % 3 == 0 ? "mine-1" : "theirs", id); /* 3 and 4 */
    for (unsigned limit = 1; limit <= 8; limit++) {
        assert_int_equal(count_all("for-all", limit), 7);
        assert_int_equal(count_all("for-some", limit), 3);
    }
    assert_int_equal(count_listed("/api/recordings?room=theirs", "for-all", cursor), 4);
    assert_int_equal(count_listed("/api/recordings?state=failed&room=mine-1", "for-some", cursor),
                     3);
    assert_int_equal(count_listed("/api/recordings?state=complete", "for-all", cursor), 0);
    close_daemon();
}

/* A key that is good for some rooms. */
static void test_rooms_of_a_key(void **state)
{
    (void)state;
    char id[TD_ID_MAX];
    char path[128];
    open_daemon(NOBODY, "mine-*");
    make_failed("theirs", id);
    static const char *const tails[] = {"", "/files", "/files/manifest.json", "/timeline",
                                        "/events"};
    for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
        (void)snprintf(path, sizeof(path), "/api/recordings/%s%s", id, tails[i]);
        expect(&(struct call){.method = "GET", .path = path, .key = "for-some"}, 403,
               "forbidden_room");
        expect(&(struct call){.method = "GET", .path = path}, 401, "unauthorized");
    }
    static const char *const verbs[] = {"stop", "pause", "resume"};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
        (void)snprintf(path, sizeof(path), "/api/recordings/%s/%s", id, verbs[i]);
        expect(&(struct call){.method = "POST", .path = path, .key = "for-some"}, 403,
               "forbidden_room");
    }
    (void)snprintf(path, sizeof(path), "/api/recordings/%s", id);
    struct call call = {.method = "DELETE", .path = path, .key = "for-some"};
    expect(&call, 403, "forbidden_room");
    call = (struct call){"PATCH", path, "{\"hold\":true}", "for-some", NULL, NULL};
    expect(&call, 403, "forbidden_room");
    call =
        (struct call){"POST", "/api/recordings", "{\"room\":\"theirs\"}", "for-some", NULL, NULL};
    expect(&call, 403, "forbidden_room");
    call =
        (struct call){"POST", "/api/recordings", "{\"room\":\"mine-2\"}", "for-some", NULL, NULL};
    expect(&call, 502, "source_refused");
    call = (struct call){"GET", "/api/recordings?room=theirs", NULL, "for-some", NULL, NULL};
    expect(&call, 403, "forbidden_room");
    static const struct call rooms[] = {
        {.method = "POST", .path = "/api/recording/start/theirs", .key = "for-some"},
        {.method = "POST", .path = "/api/recording/stop/theirs", .key = "for-some"},
        {.method = "GET", .path = "/api/recording/status/theirs", .key = "for-some"}};
    for (size_t i = 0; i < sizeof(rooms) / sizeof(*rooms); i++)
        expect(&rooms[i], 403, "forbidden_room");
    expect(&(struct call){.method = "GET", .path = "/healthz"}, 200, NULL);
    expect(&(struct call){.method = "GET", .path = "/readyz"}, 401, "unauthorized");
    close_daemon();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_openapi),
        cmocka_unit_test(test_ended),
        cmocka_unit_test(test_events_of_an_ended_one),
        cmocka_unit_test(test_events_of_a_running_one),
        cmocka_unit_test(test_a_client_that_does_not_read),
        cmocka_unit_test(test_going_down),
        cmocka_unit_test(test_keys_that_wait),
        cmocka_unit_test(test_kept_keys),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_rooms_of_a_key),
    };
    return cmocka_run_group_tests_name("api/rest", tests, NULL, NULL);
}
