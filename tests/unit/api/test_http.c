/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http.h"

#include <errno.h>
#include <glib-unix.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/recordings.h"
#include "api/rest.h"
#include "api/whip.h"
#include "fixture.h"

#define TOKEN "correct-horse"

struct daemon {
    struct fixture f;
    struct td_budget budget;
    struct td_log log;
    struct td_recorder recorder;
    struct td_mailbox *control;
    guint mailbox_source;
    struct td_certificate *certificate;
    struct td_http *http;
    struct td_recordings *recordings;
    struct td_rest *rest;
    struct td_whip_endpoint *whip;
    SoupSession *client;
    bool all_ended;
};

struct answer {
    bool done;
    GBytes *body;
};

struct call {
    const char *method;
    const char *path;
    const char *type; /* of the body, NULL = none */
    const char *body;
    size_t body_len; /* 0 = strlen */
    const char *authorization;
    bool chunked;
    /* wanted */
    unsigned status;
    const char *code; /* of the problem */
    const char *header;
    const char *value;
};

static struct daemon d;

static gboolean on_mail(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    (void)td_mailbox_drain(data);
    return G_SOURCE_CONTINUE;
}

static void open_daemon(const char *url, const char *token)
{
    memset(&d, 0, sizeof(d));
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
    struct td_fail fail = {.code = 0};
    struct td_http_config http = {
        .listen = "127.0.0.1:0", .tokens = &token, .token_count = token != NULL, .log = &d.log};
    struct td_recordings_config recordings = {.recorder = &d.recorder,
                                              .certificate = d.certificate,
                                              .data_dir = d.f.disk,
                                              .url = url,
                                              .api_key = "key",
                                              .api_secret = "secret-that-is-long-enough-for-us",
                                              .loopback_only = true};
    assert_int_equal(td_http_new(&http, &fail, &d.http), 0);
    assert_int_equal(td_recordings_new(&recordings, &d.recordings), 0);
    assert_int_equal(td_rest_new(d.http, d.recordings, &d.rest), 0);
    assert_int_equal(td_whip_endpoint_new(d.http, d.recordings, &d.whip), 0);
    d.client = soup_session_new();
}

static void on_all_ended(void *ctx)
{
    *(bool *)ctx = true;
}

static void close_daemon(void)
{
    td_recordings_stop_all(d.recordings, "shutdown", on_all_ended, &d.all_ended);
    assert_false(d.all_ended); /* never from within the call */
    while (!d.all_ended)
        (void)g_main_context_iteration(NULL, TRUE);
    g_clear_object(&d.client);
    d.http = td_http_free(d.http);
    d.whip = td_whip_endpoint_free(d.whip);
    d.rest = td_rest_free(d.rest);
    d.recordings = td_recordings_free(d.recordings);
    d.recorder.loop = td_loop_free(d.recorder.loop);
    fixture_store_done(&d.f);
    g_source_remove(d.mailbox_source);
    d.control = td_mailbox_free(d.control);
    d.certificate = td_certificate_free(d.certificate);
    td_budget_done(&d.budget);
    while (g_main_context_iteration(NULL, FALSE))
        continue;
    fixture_done(&d.f);
}

static void on_answer(GObject *source, GAsyncResult *result, gpointer data)
{
    struct answer *a = data;
    a->body = soup_session_send_and_read_finish(SOUP_SESSION(source), result, NULL);
    a->done = true;
}

/* The answer's body as JSON, NULL when it is none. */
static json_t *ask(const struct call *call)
{
    char *url = g_strdup_printf("http://%s%s", td_http_address(d.http), call->path);
    SoupMessage *message = soup_message_new(call->method, url);
    assert_non_null(message);
    g_free(url);
    SoupMessageHeaders *headers = soup_message_get_request_headers(message);
    if (call->authorization != NULL)
        soup_message_headers_append(headers, "Authorization", call->authorization);
    if (call->type != NULL) {
        size_t len = call->body_len != 0 ? call->body_len : strlen(call->body);
        GInputStream *body = g_memory_input_stream_new_from_data(call->body, (gssize)len, NULL);
        soup_message_set_request_body(message, call->type, body, call->chunked ? -1 : (gssize)len);
        g_object_unref(body);
    }
    struct answer a = {.done = false};
    soup_session_send_and_read_async(d.client, message, G_PRIORITY_DEFAULT, NULL, on_answer, &a);
    while (!a.done)
        (void)g_main_context_iteration(NULL, TRUE);
    assert_non_null(a.body);
    assert_int_equal(soup_message_get_status(message), call->status);
    headers = soup_message_get_response_headers(message);
    if (call->header != NULL)
        assert_string_equal(soup_message_headers_get_one(headers, call->header), call->value);
    size_t len = 0;
    const char *text = g_bytes_get_data(a.body, &len);
    json_t *json = json_loadb(text, len, 0, NULL);
    if (call->code != NULL) { /* RFC 9457 */
        assert_string_equal(soup_message_headers_get_content_type(headers, NULL),
                            "application/problem+json");
        assert_string_equal(json_string_value(json_object_get(json, "code")), call->code);
        assert_int_equal(json_integer_value(json_object_get(json, "status")), call->status);
        assert_true(strlen(json_string_value(json_object_get(json, "detail"))) > 10);
    }
    g_bytes_unref(a.body);
    g_object_unref(message);
    return json;
}

static const struct call routes[] = {
    {.method = "GET", .path = "/healthz", .status = 200},
    {.method = "HEAD", .path = "/healthz", .status = 200},
    {.method = "GET", .path = "/", .status = 404, .code = "not_found"},
    {.method = "GET", .path = "/api", .status = 404, .code = "not_found"},
    {.method = "GET", .path = "/whipper", .status = 404, .code = "not_found"},
    {.method = "GET", .path = "/api/recordings", .status = 200},
    {.method = "POST",
     .path = "/api/recordings",
     .status = 405,
     .code = "method_not_allowed",
     .header = "Allow",
     .value = "GET, HEAD"},
    {.method = "GET", .path = "/api/recordings/rec_x", .status = 404, .code = "no_such_recording"},
    {.method = "GET",
     .path = "/api/recording/status/room",
     .status = 404,
     .code = "no_such_recording"},
    {.method = "POST",
     .path = "/api/recording/stop/room",
     .status = 404,
     .code = "no_such_recording"},
    {.method = "GET",
     .path = "/api/recording/start/room",
     .status = 405,
     .code = "method_not_allowed",
     .header = "Allow",
     .value = "POST"},
    {.method = "POST", .path = "/api/recording/start", .status = 400, .code = "no_room"},
    {.method = "POST", .path = "/api/recording/start/a%0ab", .status = 400, .code = "no_room"},
    {.method = "POST",
     .path = "/api/recording/start/room",
     .status = 400,
     .code = "not_possible"}, /* no server is configured */
    {.method = "GET",
     .path = "/whip/room",
     .status = 405,
     .code = "method_not_allowed",
     .header = "Allow",
     .value = "POST, OPTIONS"},
    {.method = "OPTIONS",
     .path = "/whip/room",
     .status = 204,
     .header = "Accept-Post",
     .value = "application/sdp"},
    {.method = "POST",
     .path = "/whip/room",
     .type = "text/plain",
     .body = "x",
     .status = 415,
     .code = "not_sdp"},
    {.method = "POST",
     .path = "/whip/room",
     .type = "application/sdp",
     .body = "x",
     .status = 422,
     .code = "bad_offer"},
    {.method = "POST",
     .path = "/whip",
     .type = "application/sdp",
     .body = "x",
     .status = 400,
     .code = "no_room"},
    {.method = "DELETE", .path = "/whip/room/rec_abcdef", .status = 404, .code = "no_such_session"},
    {.method = "PATCH", .path = "/whip/room/rec_abcdef", .status = 404, .code = "no_such_session"},
};

static void test_routes(void **state)
{
    (void)state;
    open_daemon(NULL, NULL);
    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
        json_decref(ask(&routes[i]));
    assert_int_equal(td_recordings_running(d.recordings), 0);
    assert_int_equal(folder_count(d.f.disk), 0); /* a bad offer leaves nothing behind */
    close_daemon();
}

static void test_body_limit(void **state)
{
    (void)state;
    open_daemon(NULL, NULL);
    static char body[TD_HTTP_BODY_MAX + 4096];
    memset(body, 'v', sizeof(body));
    struct call call = {.method = "POST",
                        .path = "/whip/room",
                        .type = "application/sdp",
                        .body = body,
                        .body_len = TD_HTTP_BODY_MAX,
                        .status = 422,
                        .code = "bad_offer"};
    json_decref(ask(&call));
    call.chunked = true; /* its length is not known before */
    json_decref(ask(&call));
    call.body_len = sizeof(body);
    call.status = 413;
    call.code = "body_too_large";
    json_decref(ask(&call));
    call.chunked = false;
    json_decref(ask(&call));
    close_daemon();
}

static void test_tokens(void **state)
{
    (void)state;
    open_daemon(NULL, TOKEN);
    struct call call = {.method = "GET",
                        .path = "/api/recordings",
                        .status = 401,
                        .code = "unauthorized",
                        .header = "WWW-Authenticate",
                        .value = "Bearer"};
    static const char *const wrong[] = {NULL,           "Bearer",       "Bearer ",
                                        "Bearer wrong", "Basic " TOKEN, TOKEN};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        call.authorization = wrong[i];
        json_decref(ask(&call));
    }
    call = (struct call){.method = "POST",
                         .path = "/whip/room",
                         .type = "application/sdp",
                         .body = "x",
                         .status = 401,
                         .code = "unauthorized"};
    json_decref(ask(&call));
    call = (struct call){.method = "GET", .path = "/healthz", .status = 200};
    json_decref(ask(&call)); /* for whoever watches the daemon */
    call = (struct call){.method = "GET",
                         .path = "/api/recordings",
                         .authorization = "Bearer " TOKEN,
                         .status = 200};
    json_decref(ask(&call));
    close_daemon();
}

static void test_listen(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        const char *token;
        int result;
    } rows[] = {
        {"0.0.0.0:0", NULL, -TD_E_USAGE}, /* not without a token */
        {"[::]:0", NULL, -TD_E_USAGE},      {"0.0.0.0:0", "", -TD_E_USAGE},
        {"127.0.0.1:0", "", -TD_E_USAGE}, /* an empty one protects nothing */
        {"127.0.0.1", NULL, -TD_E_USAGE},   {"127.0.0.1:", NULL, -TD_E_USAGE},
        {"127.0.0.1:x", NULL, -TD_E_USAGE}, {"127.0.0.1:70000", NULL, -TD_E_USAGE},
        {":8000", NULL, -TD_E_USAGE},       {"no.such.host:8000", NULL, -TD_E_USAGE},
        {"127.0.0.1:0", NULL, 0},           {"localhost:0", NULL, 0},
        {"127.0.0.1:0", TOKEN, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_fail fail = {.code = 0};
        struct td_http *http = NULL;
        struct td_http_config config = {.listen = rows[i].listen,
                                        .tokens = &rows[i].token,
                                        .token_count = rows[i].token != NULL};
        assert_int_equal(td_http_new(&config, &fail, &http), rows[i].result);
        assert_int_equal(fail.code, rows[i].result);
        if (rows[i].result == 0)
            assert_int_equal(strncmp(td_http_address(http), "127.0.0.1:", 10), 0);
        else
            assert_null(http);
        (void)td_http_free(http);
    }
}

/* The reason comes with the start call, and stays with the recording. */
static void test_source_refuses(void **state)
{
    (void)state;
    open_daemon("ws://127.0.0.1:1", NULL); /* nobody listens there */
    struct call call = {.method = "POST",
                        .path = "/api/recording/start/my%20room",
                        .status = 502,
                        .code = "source_refused"};
    json_decref(ask(&call));
    call = (struct call){.method = "GET", .path = "/api/recording/status/my%20room", .status = 200};
    json_t *json = ask(&call);
    assert_string_equal(json_string_value(json_object_get(json, "room")), "my room");
    assert_string_equal(json_string_value(json_object_get(json, "reason")), "refused");
    assert_non_null(json_string_value(json_object_get(json, "error")));
    json_decref(json);
    call = (struct call){
        .method = "POST", .path = "/api/recording/stop/my%20room", .status = 200}; /* harmless */
    json_decref(ask(&call));
    while (td_recordings_running(d.recordings) > 0)
        (void)g_main_context_iteration(NULL, TRUE);
    call = (struct call){.method = "GET", .path = "/api/recordings", .status = 200};
    json = ask(&call);
    json_t *list = json_object_get(json, "recordings");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "state")),
                        "failed");
    json_decref(json);
    close_daemon();
}

/* A URL that cannot be one is refused before anything is asked. */
static void test_bad_url(void **state)
{
    (void)state;
    open_daemon("gopher://x", NULL);
    struct call call = {
        .method = "POST", .path = "/api/recording/start/r", .status = 400, .code = "not_possible"};
    json_decref(ask(&call));
    close_daemon();
}

/* The daemon goes down while a start call waits for its answer. */
static void test_shutdown_with_a_waiting_call(void **state)
{
    (void)state;
    open_daemon("ws://127.0.0.1:1", NULL);
    char *url = g_strdup_printf("http://%s/api/recording/start/r", td_http_address(d.http));
    SoupMessage *message = soup_message_new("POST", url);
    g_free(url);
    struct answer a = {.done = false};
    soup_session_send_and_read_async(d.client, message, G_PRIORITY_DEFAULT, NULL, on_answer, &a);
    while (td_recordings_running(d.recordings) == 0 && !a.done)
        (void)g_main_context_iteration(NULL, TRUE);
    td_recordings_stop_all(d.recordings, "shutdown", on_all_ended, &d.all_ended);
    while (!a.done)
        (void)g_main_context_iteration(NULL, TRUE);
    while (!d.all_ended)
        (void)g_main_context_iteration(NULL, TRUE);
    d.all_ended = false;
    g_clear_pointer(&a.body, g_bytes_unref);
    g_object_unref(message);
    close_daemon();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_source_refuses),
        cmocka_unit_test(test_bad_url),
        cmocka_unit_test(test_shutdown_with_a_waiting_call),
    };
    return cmocka_run_group_tests_name("api/http", tests, NULL, NULL);
}
