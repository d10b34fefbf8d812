/* SPDX-License-Identifier: Apache-2.0 */
/* Through the HTTP server, since only libsoup ends what clients.h begins. */
#include "api/clients.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/http.h"
#include "wire.h"

#define BIG_BYTES (32u << 20)

/* What the routes below saw and shall say. */
struct seen {
    unsigned calls;
    char path[256];
    SoupServerMessage *waiting; /* of /wait */
    bool finished;
};

static struct seen seen;
static struct td_http *http;

/* ---- routes ---- */

static void on_echo(void *ctx, SoupServerMessage *message, const char *path)
{
    (void)ctx;
    seen.calls++;
    (void)snprintf(seen.path, sizeof(seen.path), "%s", path);
    td_http_json(message, SOUP_STATUS_OK, json_pack("{s:s}", "path", path));
}

static void on_big(void *ctx, SoupServerMessage *message, const char *path)
{
    (void)ctx;
    (void)path;
    char *bytes = g_malloc0(BIG_BYTES);
    soup_server_message_set_status(message, SOUP_STATUS_OK, NULL);
    soup_server_message_set_response(message, "application/octet-stream", SOUP_MEMORY_TAKE, bytes,
                                     BIG_BYTES);
}

static void on_finished(SoupServerMessage *message, gpointer data)
{
    (void)data;
    seen.finished = true;
    assert_ptr_equal(message, seen.waiting);
    g_clear_object(&seen.waiting);
}

/* Waits for something that does not come. */
static void on_wait(void *ctx, SoupServerMessage *message, const char *path)
{
    (void)ctx;
    (void)path;
    seen.waiting = g_object_ref(message);
    g_signal_connect(message, "finished", G_CALLBACK(on_finished), NULL);
    soup_server_message_pause(message);
}

/* ---- the server ---- */

static void open_server(unsigned max_connections, int64_t read_us, int64_t stall_us)
{
    struct td_config config = {.limits.max_connections = max_connections};
    struct td_fail fail = {.code = 0};
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(td_http_new(&(struct td_http_config){.listen = "127.0.0.1:0",
                                                          .config = &config,
                                                          .read_us = read_us,
                                                          .stall_us = stall_us},
                                 &fail, &http),
                     0);
    td_http_route(http, "/healthz", TD_HTTP_OPEN, on_echo, NULL);
    td_http_route(http, "/api", TD_HTTP_KEY, on_echo, NULL);
    td_http_route(http, "/api/big", TD_HTTP_KEY, on_big, NULL);
    td_http_route(http, "/api/wait", TD_HTTP_KEY, on_wait, NULL);
}

static void close_server(void)
{
    http = td_http_free(http);
    wire_run();
}

static void expect_fine(const char *fields)
{
    struct wire_answer a;
    wire_call(td_http_address(http), "GET", "/healthz", fields, &a);
    wire_expect(&a, 200, NULL);
    wire_done(&a);
}

static void wait_for_none(void)
{
    while (td_http_counts(http).connections > 0)
        (void)g_main_context_iteration(NULL, TRUE);
}

/* A connection with a request that waits for something that does not come. */
static int open_waiting(void)
{
    const char *const text = "POST /api/wait HTTP/1.1\r\nHost: localhost\r\n"
                             "Content-Length: 0\r\n\r\n";
    int fd = wire_connect(td_http_address(http));
    assert_true(wire_send(fd, text, strlen(text)));
    while (seen.waiting == NULL)
        (void)g_main_context_iteration(NULL, TRUE);
    return fd;
}

/* ---- tests ---- */

static void ask_with_padding(size_t bytes, const char *format, struct wire_answer *ret_answer)
{
    char *padding = g_strnfill(bytes, 'x');
    char *text = g_strdup_printf(format, padding); /* NOLINT(clang-diagnostic-format-nonliteral) */
    wire_ask(td_http_address(http), text, strlen(text), ret_answer);
    g_free(text);
    g_free(padding);
}

static void expect_431(const char *format, size_t bytes)
{
    struct wire_answer a;
    ask_with_padding(bytes, format, &a);
    wire_expect(&a, 431, "bad_request");
    wire_done(&a);
}

static void test_head_limit(void **state)
{
    (void)state;
    open_server(0, 0, 0);
    struct wire_answer a;
    const char *const field = "GET /api HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n";
    const char *const line = "GET /api/%s HTTP/1.1\r\nHost: localhost\r\n\r\n";
    ask_with_padding(65000, field, &a);
    wire_expect(&a, 200, NULL);
    wire_done(&a);
    ask_with_padding(65000, line, &a);
    wire_expect(&a, 200, NULL);
    wire_done(&a);
    assert_int_equal(seen.calls, 2);
    expect_431(field, 66000);
    expect_431(line, 66000);
    expect_431("%s", 100000);
    assert_int_equal(td_http_counts(http).malformed, 3);
    ask_with_padding(16u << 20, line, &a); /* an answer may be lost in what is still coming */
    assert_true(a.status == 0 || a.status == 431);
    wire_done(&a);
    assert_int_equal(seen.calls, 2);
    expect_fine("");
    close_server();
}

/* The head comes in as many pieces as it has bytes. */
static void test_trickled_head(void **state)
{
    (void)state;
    open_server(0, 0, 0);
    GString *all = g_string_new(NULL);
    const char *const text = "GET /api/slowly HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int fd = wire_connect(td_http_address(http));
    for (const char *p = text; *p != '\0'; p++) {
        assert_true(wire_send(fd, p, 1));
        wire_run();
    }
    assert_false(wire_read(fd, all, SIZE_MAX));
    struct wire_answer a;
    wire_parse(all, &a);
    wire_expect(&a, 200, NULL);
    wire_done(&a);
    assert_string_equal(seen.path, "slowly");
    wire_close(fd);
    g_string_free(all, TRUE);
    close_server();
}

static void test_connection_limit(void **state)
{
    (void)state;
    open_server(16, 0, 0);
    int fds[16];
    GString *all = g_string_new(NULL);
    for (unsigned i = 0; i < 16; i++) {
        fds[i] = wire_connect(td_http_address(http));
        while (td_http_counts(http).connections <= i)
            (void)g_main_context_iteration(NULL, TRUE);
    }
    int fd = wire_connect(td_http_address(http));
    assert_false(wire_read(fd, all, 1)); /* closed at once */
    wire_close(fd);
    assert_int_equal(all->len, 0);
    assert_int_equal(td_http_counts(http).turned_away, 1);
    wire_close(fds[0]);
    while (td_http_counts(http).connections == 16)
        (void)g_main_context_iteration(NULL, TRUE);
    expect_fine("");
    for (unsigned i = 1; i < 16; i++)
        wire_close(fds[i]);
    wait_for_none();
    g_string_free(all, TRUE);
    close_server();
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    assert_int_equal(closedir(dir), 0);
    return count;
}

/* Clients of all manners leave nothing behind. */
static void test_nothing_stays(void **state)
{
    (void)state;
    open_server(0, 0, 0);
    expect_fine("");
    size_t before = open_descriptors();
    for (unsigned i = 0; i < 50; i++) {
        struct wire_answer a;
        expect_fine("Connection: keep-alive\r\n");
        wire_ask(td_http_address(http), "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                 49, &a);
        wire_expect(&a, 200, NULL);
        wire_done(&a);
        int fd = wire_connect(td_http_address(http));
        assert_true(i % 2 == 0 || wire_send(fd, "GET /hea", 8));
        wire_run();
        wire_close(fd);
    }
    wait_for_none();
    assert_int_equal(open_descriptors(), before);
    close_server();
}

/* ---- slow and gone clients ---- */

static void test_slow_requests(void **state)
{
    (void)state;
    open_server(0, 200000, 0);
    static const char *const texts[] = {
        "", "GET /api", "GET /api HTTP/1.1\r\nHost: localhost\r\n",
        "POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345",
        "POST /api HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct wire_answer a;
        wire_ask(td_http_address(http), texts[i], strlen(texts[i]), &a);
        assert_int_equal(a.status, 0);
        wire_done(&a);
        assert_int_equal(td_http_counts(http).too_slow, i + 1);
    }
    assert_int_equal(seen.calls, 0);
    wait_for_none();
    close_server();
}

/* An answer that the client does not take; and one that it takes piece by piece. */
static void test_stalled_answers(void **state)
{
    (void)state;
    open_server(0, 0, 300000);
    int fd = wire_connect(td_http_address(http));
    const char *const text = "GET /api/big HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_true(wire_send(fd, text, strlen(text)));
    while (td_http_counts(http).too_slow == 0)
        (void)g_main_context_iteration(NULL, TRUE);
    wait_for_none();
    GString *all = g_string_new(NULL);
    assert_false(wire_read(fd, all, SIZE_MAX));
    assert_true(all->len < BIG_BYTES);
    wire_close(fd);
    g_string_free(all, TRUE);
    struct wire_answer a;
    wire_ask(td_http_address(http), text, strlen(text), &a);
    wire_expect(&a, 200, NULL);
    assert_true(a.whole && a.body->len == BIG_BYTES);
    wire_done(&a);
    assert_int_equal(td_http_counts(http).too_slow, 1);
    close_server();
}

/* A client that leaves while its answer is being made is noticed, though nothing is written. */
static void test_gone_clients(void **state)
{
    (void)state;
    open_server(0, 0, 400000);
    int fd = open_waiting();
    wire_close(fd);
    wire_run_until(&seen.finished);
    assert_null(seen.waiting);
    assert_int_equal(td_http_counts(http).too_slow, 0);
    wait_for_none();
    close_server();
}

/* The server goes while an answer is being made: whoever makes it is told. */
static void test_free_with_waiting_request(void **state)
{
    (void)state;
    open_server(0, 0, 0);
    int fd = open_waiting();
    http = td_http_free(http);
    assert_true(seen.finished);
    wire_close(fd);
    wire_run();
}

static void test_cut(void **state)
{
    (void)state;
    open_server(0, 0, 0);
    GString *all = g_string_new(NULL);
    int fd = open_waiting();
    td_http_cut(seen.waiting);
    td_http_cut(seen.waiting); /* harmless */
    assert_false(seen.finished);
    assert_false(wire_read(fd, all, 1));
    assert_int_equal(all->len, 0);
    wire_run_until(&seen.finished);
    wire_close(fd);
    g_string_free(all, TRUE);
    close_server();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_limit),
        cmocka_unit_test(test_trickled_head),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_nothing_stays),
        cmocka_unit_test(test_slow_requests),
        cmocka_unit_test(test_stalled_answers),
        cmocka_unit_test(test_gone_clients),
        cmocka_unit_test(test_free_with_waiting_request),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests_name("api/clients", tests, NULL, NULL);
}
