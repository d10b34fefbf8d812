/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <gio/gio.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define HEAD_MAX 4096
#define PIECE 65536

/* A server that answers what its path asks for, in the words of HTTP itself. */
struct server {
    GSocketService *service;
    char url[64];
    /* under the lock: what the last request said */
    GMutex lock;
    char head[HEAD_MAX];
    unsigned requests;
};

static const char *answer_to(const char *head)
{
    static const struct {
        const char *path;
        const char *answer;
    } rows[] = {
        {" /ok ", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}"},
        {" /base/ok ", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"b\":1}"},
        {" /problem ", "HTTP/1.1 507 No\r\nContent-Length: 12\r\n\r\n{\"code\":\"x\"}"},
        {" /text ", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
        {" /nul ", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\":1}\0 "},
        {" /twice ", "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"a\":1,\"a\":2}"},
        {" /none ", "HTTP/1.1 204 No Content\r\n\r\n"},
        {" /redirect ", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"},
        {" /packed ", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz"},
        {" /cut ", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":"},
        {" /rubbish ", "\x16\x03\x01 this is no HTTP\r\n\r\n"},
        {" /close ", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (strstr(head, rows[i].path) != NULL)
            return rows[i].answer;
    }
    return NULL;
}

/* The whole head, and a body that Content-Length speaks of; false when the client left. */
static bool read_request(GInputStream *in, char ret_head[static HEAD_MAX])
{
    gsize used = 0;
    ret_head[0] = '\0';
    while (used + 1 < HEAD_MAX) {
        gssize n = g_input_stream_read(in, ret_head + used, HEAD_MAX - 1 - used, NULL, NULL);
        if (n <= 0)
            return false;
        used += (gsize)n;
        ret_head[used] = '\0';
        const char *end = strstr(ret_head, "\r\n\r\n");
        const char *length = strstr(ret_head, "Content-Length: ");
        gsize wanted = length != NULL ? (gsize)g_ascii_strtoull(length + 16, NULL, 10) : 0;
        if (end != NULL && (gsize)(ret_head + used - end - 4) >= wanted)
            return true;
    }
    return false;
}

/* Until the client has had enough of it. */
static void flood(GOutputStream *out)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
    static const char piece[PIECE] = "{";
    gsize limit = 4 * (gsize)TD_CLIENT_ANSWER_MAX;
    bool ok = g_output_stream_write_all(out, head, sizeof(head) - 1, NULL, NULL, NULL);
    for (gsize sent = 0; ok && sent < limit; sent += PIECE)
        ok = g_output_stream_write_all(out, piece, PIECE, NULL, NULL, NULL);
}

static gboolean on_connection(GThreadedSocketService *service, GSocketConnection *connection,
                              GObject *source, gpointer data)
{
    (void)service;
    (void)source;
    struct server *s = data;
    char head[HEAD_MAX];
    GInputStream *in = g_io_stream_get_input_stream(G_IO_STREAM(connection));
    GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(connection));
    if (!read_request(in, head))
        return TRUE;
    g_mutex_lock(&s->lock);
    memcpy(s->head, head, sizeof(head));
    s->requests++;
    g_mutex_unlock(&s->lock);
    const char *answer = answer_to(head);
    gsize len = answer != NULL ? strlen(answer) : 0;
    if (strstr(head, " /nul ") != NULL)
        len += 2; /* its body has a NUL in it */
    if (strstr(head, " /flood ") != NULL)
        flood(out);
    else if (answer != NULL)
        (void)g_output_stream_write_all(out, answer, len, NULL, NULL, NULL);
    else /* hangs until the client goes */
        (void)g_input_stream_read(in, head, sizeof(head), NULL, NULL);
    return TRUE;
}

static int start_server(void **state)
{
    static struct server s;
    g_mutex_init(&s.lock);
    s.service = g_threaded_socket_service_new(8);
    GInetAddress *loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
    GSocketAddress *any = g_inet_socket_address_new(loopback, 0);
    GSocketAddress *bound = NULL;
    bool ok = g_socket_listener_add_address(G_SOCKET_LISTENER(s.service), any, G_SOCKET_TYPE_STREAM,
                                            G_SOCKET_PROTOCOL_TCP, NULL, &bound, NULL);
    g_signal_connect(s.service, "run", G_CALLBACK(on_connection), &s);
    g_socket_service_start(s.service);
    if (ok)
        (void)snprintf(s.url, sizeof(s.url), "http://127.0.0.1:%u",
                       g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)));
    g_clear_object(&bound);
    g_object_unref(any);
    g_object_unref(loopback);
    *state = &s;
    return ok ? 0 : -1;
}

/* Accepting needs somebody to run the loop: a thread of its own. */
static gpointer run_loop(gpointer data)
{
    g_main_loop_run(data);
    return NULL;
}

struct loop {
    GMainLoop *loop;
    GThread *thread;
};

static struct loop start_loop(void)
{
    struct loop l = {.loop = g_main_loop_new(NULL, FALSE)};
    l.thread = g_thread_new("accept", run_loop, l.loop);
    return l;
}

static void stop_loop(struct loop *l)
{
    g_main_loop_quit(l->loop);
    (void)g_thread_join(l->thread);
    g_main_loop_unref(l->loop);
}

static int call_with(struct td_client *c, const struct td_client_request *request,
                     struct td_fail *ret_fail, struct td_client_answer *ret_answer)
{
    struct loop l = start_loop();
    *ret_fail = (struct td_fail){.code = 0};
    *ret_answer = (struct td_client_answer){.status = 0};
    int err = td_client_call(c, request, ret_fail, ret_answer);
    stop_loop(&l);
    return err;
}

static int call(struct td_client *c, const char *path, struct td_fail *ret_fail,
                struct td_client_answer *ret_answer)
{
    struct td_client_request request = {
        .method = "GET", .path = path, .timeout_us = 20 * TD_US_PER_S};
    return call_with(c, &request, ret_fail, ret_answer);
}

static struct td_client *client(const char *server, const char *token)
{
    struct td_client *c = NULL;
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_client_new(server, token, &fail, &c), 0);
    return c;
}

static void test_answers(void **state)
{
    static const struct {
        const char *path;
        unsigned status;
        bool json;
    } rows[] = {
        {"/ok", 200, true},      {"/problem", 507, true},   {"/text", 200, false},
        {"/nul", 200, false},    {"/twice", 200, false},    {"/none", 204, false},
        {"/packed", 200, false}, {"/redirect", 302, false},
    };
    const struct server *s = *state;
    struct td_client *c = client(s->url, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_fail fail;
        struct td_client_answer answer;
        assert_int_equal(call(c, rows[i].path, &fail, &answer), 0);
        assert_int_equal(answer.status, rows[i].status);
        assert_int_equal(answer.json != NULL, rows[i].json);
        assert_non_null(answer.text);
        td_client_answer_done(&answer);
        assert_null(answer.text);
    }
    assert_null(td_client_free(c));
}

static void test_no_answer(void **state)
{
    static const struct {
        const char *path;
        int err;
    } rows[] = {
        {"/cut", -TD_E_CLOSED},
        {"/rubbish", -TD_E_CLOSED},
        {"/close", -TD_E_CLOSED},
        {"/flood", -TD_E_LIMIT},
    };
    const struct server *s = *state;
    struct td_client *c = client(s->url, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_fail fail;
        struct td_client_answer answer;
        assert_int_equal(call(c, rows[i].path, &fail, &answer), rows[i].err);
        assert_int_equal(fail.code, rows[i].err);
        assert_non_null(strstr(fail.text, s->url));
        assert_null(answer.text);
    }
    td_client_free(c);
}

static void on_waiting(void *ctx, int64_t waited_us)
{
    int64_t *last_us = ctx;
    assert_true(waited_us > *last_us);
    *last_us = waited_us;
}

static void test_a_daemon_that_hangs(void **state)
{
    const struct server *s = *state;
    struct td_client *c = client(s->url, NULL);
    int64_t waited_us = 0;
    struct td_client_request request = {.method = "GET",
                                        .path = "/hang",
                                        .timeout_us = 1500 * TD_US_PER_MS,
                                        .waiting = on_waiting,
                                        .ctx = &waited_us};
    struct td_fail fail;
    struct td_client_answer answer;
    int64_t begin_us = td_clock_now_us();
    assert_int_equal(call_with(c, &request, &fail, &answer), -TD_E_TIMEOUT);
    assert_true(td_clock_now_us() - begin_us >= request.timeout_us);
    assert_non_null(strstr(fail.text, "no answer"));
    assert_true(waited_us >= TD_US_PER_S && waited_us < request.timeout_us + TD_US_PER_S);
    assert_int_equal(call(c, "/ok", &fail, &answer), 0); /* it is of use after that */
    td_client_answer_done(&answer);
    td_client_free(c);
}

static void test_what_is_sent(void **state)
{
    struct server *s = *state;
    char with_path[96];
    (void)snprintf(with_path, sizeof(with_path), "%s/base/", s->url);
    struct td_client *c = client(with_path, "the-key");
    json_t *body = json_pack("{s:s}", "room", "stand-up");
    struct td_client_request request = {.method = "POST",
                                        .path = "/ok",
                                        .body = body,
                                        .key = "once",
                                        .timeout_us = 20 * TD_US_PER_S};
    struct td_fail fail;
    struct td_client_answer answer;
    assert_int_equal(call_with(c, &request, &fail, &answer), 0);
    assert_int_equal(json_integer_value(json_object_get(answer.json, "b")), 1);
    td_client_answer_done(&answer);
    json_decref(body);
    td_client_free(c);
    static const char *const said[] = {
        "POST /base/ok HTTP/1.1\r\n",      "Authorization: Bearer the-key\r\n",
        "Idempotency-Key: once\r\n",       "Content-Type: application/json\r\n",
        "\r\n\r\n{\"room\":\"stand-up\"}", "User-Agent: tapedeck/",
    };
    g_mutex_lock(&s->lock);
    for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++) {
        if (strstr(s->head, said[i]) == NULL)
            fail_msg("'%s' is not in\n%s", said[i], s->head);
    }
    g_mutex_unlock(&s->lock);
}

static unsigned requests_of(struct server *s)
{
    g_mutex_lock(&s->lock);
    unsigned n = s->requests;
    g_mutex_unlock(&s->lock);
    return n;
}

/* Where the answer points to is not asked: the key would go along. */
static void test_redirects_are_not_followed(void **state)
{
    struct server *s = *state;
    struct td_client *c = client(s->url, "the-key");
    struct td_fail fail;
    struct td_client_answer answer;
    unsigned before = requests_of(s);
    assert_int_equal(call(c, "/redirect", &fail, &answer), 0);
    assert_int_equal(answer.status, 302);
    assert_int_equal(requests_of(s), before + 1);
    td_client_answer_done(&answer);
    td_client_free(c);
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct td_client *c = client("http://127.0.0.1:1", NULL);
    struct td_client_request request = {
        .method = "GET", .path = "/healthz", .timeout_us = 20 * TD_US_PER_S};
    struct td_fail fail = {.code = 0};
    struct td_client_answer answer;
    assert_int_equal(td_client_call(c, &request, &fail, &answer), -TD_E_CLOSED);
    assert_non_null(strstr(fail.text, "No daemon answers at http://127.0.0.1:1 ("));
    assert_non_null(strstr(fail.text, "tapedeck serve"));
    td_client_free(c);
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"http://127.0.0.1:8000", "http://[::1]:8000/",
                                       "https://recorder.example/tapedeck", "http://localhost"};
    static const char *const bad[] = {"",
                                      "127.0.0.1:8000",
                                      "localhost:8000",
                                      "ftp://127.0.0.1/",
                                      "http://",
                                      "http:///x",
                                      "http://user:secret@127.0.0.1:8000",
                                      "http://127.0.0.1:8000/?x=1",
                                      "http://127.0.0.1:8000/#x",
                                      "http://127.0.0.1:port"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        td_client_free(client(good[i], NULL));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct td_client *c = NULL;
        struct td_fail fail = {.code = 0};
        assert_int_equal(td_client_new(bad[i], NULL, &fail, &c), -TD_E_USAGE);
        assert_null(c);
        assert_null(strstr(fail.text, "secret"));
    }
    static const char *const tokens[] = {"a\r\nX: y", "a b", "\x80"};
    for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
        struct td_client *c = NULL;
        struct td_fail fail = {.code = 0};
        assert_int_equal(td_client_new("http://[::1]", tokens[i], &fail, &c), -TD_E_USAGE);
    }
    assert_null(td_client_free(NULL));
}

static void test_pause(void **state)
{
    (void)state;
    struct td_client *c = client("http://127.0.0.1:1", NULL);
    int64_t begin_us = td_clock_now_us();
    td_client_pause(c, 30 * TD_US_PER_MS);
    assert_true(td_clock_now_us() - begin_us >= 30 * TD_US_PER_MS);
    td_client_free(c);
}

static int stop_server(void **state)
{
    struct server *s = *state;
    g_socket_service_stop(s->service);
    g_socket_listener_close(G_SOCKET_LISTENER(s->service));
    g_object_unref(s->service);
    g_mutex_clear(&s->lock);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_a_daemon_that_hangs),
        cmocka_unit_test(test_what_is_sent),
        cmocka_unit_test(test_redirects_are_not_followed),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_pause),
    };
    return cmocka_run_group_tests_name("cli/client", tests, start_server, stop_server);
}
