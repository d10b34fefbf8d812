/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "source/source.h"
#include "wire.h"

#define KEY "correct-horse"

/* What the routes below saw and shall say. */
struct seen {
    unsigned calls;
    char path[4096];
    char query[64];
    int query_result;
    char rooms[64];
    char token[64];
    size_t body_bytes;
    struct td_fail fail;
};

static struct seen seen;
static struct td_http *http;

/* ---- routes ---- */

static void on_echo(void *ctx, SoupServerMessage *message, const char *path)
{
    (void)ctx;
    seen.calls++;
    (void)snprintf(seen.path, sizeof(seen.path), "%s", path);
    seen.query_result = td_http_query(message, "q", seen.query, sizeof(seen.query));
    const char *rooms = td_http_rooms(message);
    const char *token = td_http_token(message);
    (void)snprintf(seen.rooms, sizeof(seen.rooms), "%s", rooms != NULL ? rooms : "(all)");
    (void)snprintf(seen.token, sizeof(seen.token), "%s", token != NULL ? token : "(none)");
    seen.body_bytes = (size_t)soup_server_message_get_request_body(message)->length;
    td_http_json(message, SOUP_STATUS_OK, json_pack("{s:s}", "path", path));
}

static void on_room(void *ctx, SoupServerMessage *message, const char *path)
{
    (void)ctx;
    if (!td_http_is_get(message))
        td_http_method(message, "GET, HEAD");
    else if (!td_http_may(message, path))
        td_http_forbidden(message);
    else
        td_http_json(message, SOUP_STATUS_OK, json_pack("{s:s}", "room", path));
}

static void on_body(void *ctx, SoupServerMessage *message, const char *path)
{
    (void)ctx;
    (void)path;
    json_t *json = NULL;
    seen.calls++;
    if (td_http_body_json(message, &json) < 0)
        return;
    td_http_json(message, SOUP_STATUS_OK, json != NULL ? json : json_pack("[s]", "nothing"));
}

static void on_fail(void *ctx, SoupServerMessage *message, const char *path)
{
    (void)ctx;
    (void)path;
    td_http_fail(message, &seen.fail);
}

/* ---- the server ---- */

static int try_open(const struct td_http_config *config, struct td_fail *ret_fail)
{
    http = NULL;
    memset(&seen, 0, sizeof(seen));
    int err = td_http_new(config, ret_fail, &http);
    if (err < 0)
        return err;
    td_http_route(http, "/healthz", TD_HTTP_OPEN, on_echo, NULL);
    td_http_route(http, "/api", TD_HTTP_KEY, on_echo, NULL);
    td_http_route(http, "/api/room", TD_HTTP_KEY, on_room, NULL);
    td_http_route(http, "/api/body", TD_HTTP_KEY, on_body, NULL);
    td_http_route(http, "/api/fail", TD_HTTP_KEY, on_fail, NULL);
    td_http_route(http, "/whip", TD_HTTP_WHIP, on_echo, NULL);
    return 0;
}

static void open_with(const struct td_http_config *config)
{
    struct td_fail fail = {.code = 0};
    assert_int_equal(try_open(config, &fail), 0);
}

static void open_config(const struct td_config *config)
{
    open_with(&(struct td_http_config){.listen = "127.0.0.1:0", .config = config});
}

static void open_plain(void)
{
    static const struct td_config config = {.listen = NULL};
    open_config(&config);
}

static void close_server(void)
{
    http = td_http_free(http);
    wire_run();
}

/* Sends and asserts; the body of the answer, to be freed. */
static char *ask(const char *method, const char *path, const char *fields, unsigned status,
                 const char *code)
{
    struct wire_answer a;
    wire_call(td_http_address(http), method, path, fields, &a);
    wire_expect(&a, status, code);
    assert_true(a.whole || strcmp(method, "HEAD") == 0);
    char *body = strdup(a.body->str);
    wire_done(&a);
    return body;
}

static void expect(const char *method, const char *path, const char *fields, unsigned status,
                   const char *code)
{
    free(ask(method, path, fields, status, code));
}

static void expect_field(const char *method, const char *path, const char *fields, unsigned status,
                         const char *name, const char *value)
{
    struct wire_answer a;
    wire_call(td_http_address(http), method, path, fields, &a);
    wire_expect(&a, status, NULL);
    const char *got = wire_field(&a, name);
    if (value == NULL)
        assert_null(got);
    else
        assert_string_equal(got != NULL ? got : "(absent)", value);
    wire_done(&a);
}

/* ---- routes and paths ---- */

static void test_routes(void **state)
{
    (void)state;
    open_plain();
    static const struct {
        const char *path;
        unsigned status;
        const char *rest;
    } rows[] = {
        {"/healthz", 200, ""},
        {"/healthz/", 200, ""},
        {"/api", 200, ""},
        {"/api/x/y", 200, "x/y"},
        {"/api/a%20b%25", 200, "a b%"},
        {"/%61pi/x?y=z", 200, "x"},
        {"/apis", 404, NULL},
        {"/", 404, NULL},
        {"/whip/caf%C3%A9", 200, "caf\xc3\xa9"},
        {"/whipper", 404, NULL},
        {"/api/rooms", 200, "rooms"}, /* not /api/room */
        {"/API", 404, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        unsigned calls = seen.calls;
        expect("GET", rows[i].path, "", rows[i].status, rows[i].status == 404 ? "not_found" : NULL);
        assert_int_equal(seen.calls, calls + (rows[i].rest != NULL));
        if (rows[i].rest != NULL)
            assert_string_equal(seen.path, rows[i].rest);
    }
    char *body = ask("GET", "/api/room/x", "", 200, NULL);
    assert_string_equal(body, "{\"room\":\"x\"}");
    free(body);
    close_server();
}

static void test_methods(void **state)
{
    (void)state;
    open_plain();
    expect("PUT", "/api/room/x", "Content-Length: 0\r\n", 405, "method_not_allowed");
    expect("BREW", "/api/room/x", "", 405, "method_not_allowed");
    expect_field("DELETE", "/api/room/x", "", 405, "Allow", "GET, HEAD, OPTIONS");
    expect_field("OPTIONS", "/api/room/x", "", 204, "Allow", "GET, HEAD, OPTIONS");
    expect_field("OPTIONS", "/api/room/x", "", 204, "Content-Length", NULL);
    expect_field("HEAD", "/api/room/x", "", 200, "Content-Length", "12");
    char *body = ask("HEAD", "/api/room/x", "", 200, NULL);
    assert_string_equal(body, "");
    free(body);
    expect_field("HEAD", "/nowhere", "", 404, "Content-Type", "application/problem+json");
    expect_field("OPTIONS", "*", "", 204, "Allow", "GET, HEAD, POST, PATCH, DELETE, OPTIONS");
    expect("GET", "*", "", 400, "bad_path");
    expect("CONNECT", "127.0.0.1:80", "", 404, "not_found");
    close_server();
}

/* None of these reaches a route. */
static void test_bad_paths(void **state)
{
    (void)state;
    open_plain();
    static const char *const paths[] = {
        "/api/..",
        "/api/../healthz",
        "/api/../../../etc/passwd",
        "/api/./x",
        "/.",
        "/api/..",
        "/api/../healthz",
        "/api/%2e%2e/x",
        "/api/.%2E",
        "/api/./x",
        "/api/a%2fb",
        "/api/a%2Fb",
        "/api/%00",
        "/api/x%00y",
        "/api/%c0%af",
        "/api/%c0%ae",
        "/api/%ff",
        "/api//x",
        "//api",
        "/api/%",
        "/api/%zz",
        "/api/%e0%80%af",
        "/api/%2e%2e%2fx",
        "/api/..%2fx",
        "/%2e%2e/",
        "/api/\xc0\xae",
        "/api/%ed%a0%80",
        "/api/%u002e",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        struct wire_answer a;
        wire_call(td_http_address(http), "GET", paths[i], "", &a);
        wire_expect(&a, 400, NULL);
        assert_string_equal(wire_field(&a, "Content-Type"), "application/problem+json");
        wire_done(&a);
    }
    assert_int_equal(seen.calls, 0);
    /* One that is decoded twice would be bad; once, it is only odd. */
    expect("GET", "/api/%252e%252e%252f", "", 200, NULL);
    assert_string_equal(seen.path, "%2e%2e%2f");
    close_server();
}

static void test_nonsense(void **state)
{
    (void)state;
    open_plain();
    static const struct {
        const char *text;
        size_t len;
        unsigned status;
    } rows[] = {
#define ROW(text, status) {text, sizeof(text) - 1, status}
        ROW("NONSENSE\r\n\r\n", 400),
        ROW("GET /api HTTP/1.1\r\n\r\n", 400), /* no Host */
        ROW("GET /api HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        ROW("GET /api HTTP/9999999999.1\r\nHost: localhost\r\n\r\n", 505),
        ROW("GET /api\r\n\r\n", 400),
        ROW("GET /a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ROW("GET /api HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n", 400),
        ROW("GET /api HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ROW("GET https://localhost/api HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ROW("POST /api HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: zip\r\n\r\n", 501),
        ROW("POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", 400),
        ROW("POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5x\r\n\r\n", 400),
        ROW("POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length:\r\n\r\n", 400),
        ROW("POST /api HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: 18446744073709551615\r\n\r\n",
            400),
        ROW("POST /api HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            "Content-Length: -1\r\n\r\n",
            400),
        ROW("POST /api HTTP/1.1\r\nHost: localhost\r\nExpect: magic\r\n\r\n", 417),
        ROW("\r\n\r\n\r\n", 400),
#undef ROW
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct wire_answer a;
        wire_ask(td_http_address(http), rows[i].text, rows[i].len, &a);
        assert_int_equal(a.status, rows[i].status);
        wire_expect(&a, rows[i].status, "bad_request");
        assert_true(a.whole);
        wire_done(&a);
    }
    assert_int_equal(seen.calls, 0);
    close_server();
}

/* ---- limits ---- */

/* POST with `bytes` of body; in chunks when `chunked`. */
static void post(size_t bytes, bool chunked, const char *fields, struct wire_answer *ret_answer)
{
    GString *text = g_string_new("POST /api HTTP/1.1\r\nHost: localhost\r\n");
    char *body = g_strnfill(bytes, 'v');
    if (chunked)
        g_string_append_printf(text, "%sTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
                               fields, bytes, body);
    else
        g_string_append_printf(text, "%sContent-Length: %zu\r\n\r\n%s", fields, bytes, body);
    wire_ask(td_http_address(http), text->str, text->len, ret_answer);
    g_free(body);
    g_string_free(text, TRUE);
}

static void test_body_limit(void **state)
{
    (void)state;
    open_plain();
    struct wire_answer a;
    for (unsigned chunked = 0; chunked < 2; chunked++) {
        post(TD_HTTP_BODY_MAX, chunked == 1, "", &a);
        wire_expect(&a, 200, NULL);
        assert_int_equal(seen.body_bytes, TD_HTTP_BODY_MAX);
        wire_done(&a);
        post(TD_HTTP_BODY_MAX + 1, chunked == 1, "", &a);
        wire_expect(&a, 413, "body_too_large");
        wire_done(&a);
        /* Nobody reads for ever what nobody wants. */
        post(TD_HTTP_DISCARD_MAX + 2 * TD_HTTP_BODY_MAX, chunked == 1, "", &a);
        assert_int_equal(a.status, 0);
        wire_done(&a);
    }
    assert_int_equal(seen.calls, 2);
    close_server();
}

static void test_refused_bodies_are_not_kept(void **state)
{
    (void)state;
    struct td_config_key key = {.key = (char *)KEY};
    open_config(&(struct td_config){.api_keys = {&key, 1}});
    struct wire_answer a;
    for (unsigned chunked = 0; chunked < 2; chunked++) {
        post(3 * TD_HTTP_BODY_MAX, chunked == 1, "", &a);
        wire_expect(&a, 401, "unauthorized");
        wire_done(&a);
        post(TD_HTTP_DISCARD_MAX + 2 * TD_HTTP_BODY_MAX, chunked == 1, "", &a);
        assert_int_equal(a.status, 0);
        wire_done(&a);
    }
    assert_int_equal(seen.calls, 0);
    close_server();
}

/* Who may not come in is told before the body is sent; who may keeps all headers. */
static void test_expect_continue(void **state)
{
    (void)state;
    struct td_config_key key = {.key = (char *)KEY};
    open_config(&(struct td_config){.api_keys = {&key, 1}});
    struct wire_answer a;
    const char *const expects = "Content-Length: 2\r\nExpect: 100-continue\r\n";
    wire_call(td_http_address(http), "POST", "/api/body", expects, &a);
    wire_expect(&a, 401, "unauthorized");
    wire_done(&a);
    GString *all = g_string_new(NULL);
    int fd = wire_connect(td_http_address(http));
    char *text = g_strdup_printf("POST /api/body HTTP/1.1\r\nHost: localhost\r\n"
                                 "Authorization: Bearer %s\r\n%s\r\n",
                                 KEY, expects);
    assert_true(wire_send(fd, text, strlen(text)));
    assert_true(wire_read(fd, all, 25));
    assert_memory_equal(all->str, "HTTP/1.1 100 Continue\r\n", 23);
    assert_int_equal(seen.calls, 0);
    g_string_truncate(all, 0);
    assert_true(wire_send(fd, "[]", 2));
    assert_false(wire_read(fd, all, SIZE_MAX)); /* and the connection is closed */
    wire_parse(all, &a);
    wire_expect(&a, 200, NULL);
    wire_done(&a);
    wire_close(fd);
    g_free(text);
    g_string_free(all, TRUE);
    close_server();
}

/* ---- who may come in ---- */

static void test_keys(void **state)
{
    (void)state;
    struct td_config_key keys[] = {{.key = (char *)KEY}, {.key = (char *)"k2", .rooms = "team-*"}};
    open_config(&(struct td_config){.api_keys = {keys, 2}});
    static const char *const wrong[] = {
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer wrong\r\n",
        "Authorization: Basic " KEY "\r\n",
        "Authorization: " KEY "\r\n",
        "X-Api-Key: " KEY "\r\n",
        "Cookie: token=" KEY "\r\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        expect("GET", "/api/room/x", wrong[i], 401, "unauthorized");
        expect("GET", "/whip/x", wrong[i], 401, "unauthorized");
        expect("GET", "/there/is/no/such/thing", wrong[i], 401, "unauthorized");
    }
    assert_int_equal(td_http_counts(http).unauthorized, 3 * sizeof(wrong) / sizeof(*wrong));
    expect("GET", "/api?token=" KEY "&access_token=" KEY, "", 401, "unauthorized");
    expect_field("GET", "/api", "", 401, "WWW-Authenticate", "Bearer");
    expect("OPTIONS", "/api/room/x", "", 401, "unauthorized");
    assert_int_equal(seen.calls, 0);
    expect("GET", "/healthz", "", 200, NULL); /* for whoever watches the daemon */
    assert_string_equal(seen.token, "(none)");
    expect("GET", "/api", "Authorization: Bearer " KEY "\r\n", 200, NULL);
    assert_string_equal(seen.rooms, "(all)");
    assert_string_equal(seen.token, KEY);
    expect("GET", "/whip/x", "Authorization: bearer k2\r\n", 200, NULL);
    assert_string_equal(seen.rooms, "team-*");
    expect("GET", "/api/room/team-1", "Authorization: Bearer k2\r\n", 200, NULL);
    expect("GET", "/api/room/other", "Authorization: Bearer k2\r\n", 403, "forbidden_room");
    expect("GET", "/api/room/other", "Authorization: Bearer " KEY "\r\n", 200, NULL);
    expect("GET", "/nowhere", "Authorization: Bearer " KEY "\r\n", 404, "not_found");
    /* With keys it does not matter by which name we are called. */
    struct wire_answer a;
    const char *const text = "GET /api HTTP/1.1\r\nHost: deck.example\r\nAuthorization: Bearer " KEY
                             "\r\n\r\n";
    wire_ask(td_http_address(http), text, strlen(text), &a);
    wire_expect(&a, 200, NULL);
    wire_done(&a);
    close_server();
}

static void test_whip_tokens(void **state)
{
    (void)state;
    struct td_config_key key = {.key = (char *)KEY};
    struct td_config_key token = {.key = (char *)"cam", .rooms = "stage"};
    open_config(&(struct td_config){.api_keys = {&key, 1}, .whip.tokens = {&token, 1}});
    expect("POST", "/whip/stage", "Content-Length: 0\r\nAuthorization: Bearer cam\r\n", 200, NULL);
    assert_string_equal(seen.rooms, "stage");
    assert_string_equal(seen.token, "cam");
    expect("POST", "/whip/stage", "Content-Length: 0\r\nAuthorization: Bearer " KEY "\r\n", 401,
           "unauthorized");
    expect("GET", "/api", "Authorization: Bearer cam\r\n", 401, "unauthorized");
    close_server();
}

static void test_reload(void **state)
{
    (void)state;
    struct td_config_key keys[] = {{.key = (char *)"old"}, {.key = (char *)"new", .rooms = "a*"}};
    struct td_config config = {.api_keys = {keys, 1}};
    struct td_fail fail = {.code = 0};
    open_with(
        &(struct td_http_config){.listen = "127.0.0.1:0", .config = &config, .token = "flag"});
    expect("GET", "/api", "Authorization: Bearer old\r\n", 200, NULL);
    expect("GET", "/api", "Authorization: Bearer new\r\n", 401, "unauthorized");
    config.api_keys.items = keys + 1;
    assert_int_equal(td_http_reload(http, &config, &fail), 0);
    expect("GET", "/api", "Authorization: Bearer old\r\n", 401, "unauthorized");
    expect("GET", "/api", "Authorization: Bearer new\r\n", 200, NULL);
    assert_string_equal(seen.rooms, "a*");
    expect("GET", "/api", "Authorization: Bearer flag\r\n", 200, NULL); /* stays */
    keys[0].key = (char *)"flag"; /* twice: refused, and nothing has changed */
    config.api_keys = (struct td_config_keys){keys, 1};
    assert_int_equal(td_http_reload(http, &config, &fail), -TD_E_USAGE);
    expect("GET", "/api", "Authorization: Bearer new\r\n", 200, NULL);
    close_server();
}

/* Off loopback nobody comes in without a key, at the start or later. */
static void test_reload_off_loopback(void **state)
{
    (void)state;
    struct td_config_key key = {.key = (char *)KEY};
    struct td_config config = {.api_keys = {&key, 1}};
    struct td_fail fail = {.code = 0};
    open_with(&(struct td_http_config){.listen = "0.0.0.0:0", .config = &config});
    config.api_keys.count = 0;
    assert_int_equal(td_http_reload(http, &config, &fail), -TD_E_USAGE);
    assert_int_equal(fail.code, -TD_E_USAGE);
    expect("GET", "/api", "", 401, "unauthorized");
    expect("GET", "/api", "Authorization: Bearer " KEY "\r\n", 200, NULL);
    close_server();
}

static void test_listen(void **state)
{
    (void)state;
    static struct td_config_key key = {.key = (char *)KEY};
    static const struct td_config open = {.listen = NULL};
    static const struct td_config keyed = {.api_keys = {&key, 1}};
    static const struct td_config whip_only = {.whip.tokens = {&key, 1}};
    static const struct {
        const char *listen;
        const struct td_config *config;
        const char *token;
        int result;
    } rows[] = {
        {"0.0.0.0:0", &open, NULL, -TD_E_USAGE}, /* not without a key */
        {"[::]:0", &open, NULL, -TD_E_USAGE},
        {"0.0.0.0:0", &whip_only, NULL, -TD_E_USAGE}, /* the API would be open */
        {"0.0.0.0:0", &open, "", -TD_E_USAGE},
        {"127.0.0.1:0", &open, "", -TD_E_USAGE}, /* an empty one protects nothing */
        {"127.0.0.1", &open, NULL, -TD_E_USAGE},
        {"127.0.0.1:", &open, NULL, -TD_E_USAGE},
        {"127.0.0.1:x", &open, NULL, -TD_E_USAGE},
        {"127.0.0.1:70000", &open, NULL, -TD_E_USAGE},
        {":8000", &open, NULL, -TD_E_USAGE},
        {"no.such.host:8000", &open, NULL, -TD_E_USAGE},
        {"203.0.113.1:1", &keyed, NULL, -EADDRINUSE}, /* not an address of ours */
        {"127.0.0.1:0", &open, NULL, 0},
        {"localhost:0", &open, NULL, 0},
        {"127.0.0.1:0", &open, KEY, 0},
        {"127.0.0.1:0", &keyed, NULL, 0},
        {"0.0.0.0:0", &keyed, NULL, 0},
        {"0.0.0.0:0", &open, KEY, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_fail fail = {.code = 0};
        struct td_http_config config = {
            .listen = rows[i].listen, .config = rows[i].config, .token = rows[i].token};
        assert_int_equal(try_open(&config, &fail), rows[i].result);
        assert_int_equal(fail.code, rows[i].result);
        assert_true(rows[i].result < 0 ||
                    strtoul(strrchr(td_http_address(http), ':') + 1, NULL, 10) > 0);
        close_server();
    }
}

static void test_log_of_tls(void **state)
{
    (void)state;
    struct td_config_key key = {.key = (char *)KEY};
    struct td_config config = {.api_keys = {&key, 1}};
    char path[] = "/tmp/td-log-XXXXXX";
    struct td_log log;
    td_log_init(&log, g_mkstemp(path), TD_LOG_INFO);
    assert_true(log.fd >= 0);
    open_with(&(struct td_http_config){.listen = "127.0.0.1:0", .config = &config, .log = &log});
    close_server();
    open_with(&(struct td_http_config){.listen = "0.0.0.0:0", .config = &config, .log = &log});
    close_server();
    char *text = NULL;
    gsize len = 0;
    assert_true(g_file_get_contents(path, &text, &len, NULL));
    assert_non_null(strstr(text, "event=no_tls"));
    assert_ptr_equal(strstr(text, "event=no_tls"), g_strrstr(text, "event=no_tls"));
    assert_non_null(strstr(text, "reverse proxy"));
    assert_null(strstr(text, KEY));
    g_free(text);
    wire_close(log.fd);
    assert_int_equal(remove(path), 0);
}

/* ---- pages of other sites ---- */

static void test_names_that_lead_here(void **state)
{
    (void)state;
    open_plain();
    static const struct {
        const char *text;
        unsigned status;
    } rows[] = {
        {"GET /api HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 200},
        {"GET /api HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", 200},
        {"GET /api HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200},
        {"GET /api HTTP/1.0\r\n\r\n", 200},
        {"GET http://localhost/api HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
        {"GET /api HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
        {"GET /api HTTP/1.1\r\nHost: localhost.evil.example:8000\r\n\r\n", 403},
        {"GET /api HTTP/1.1\r\nHost: localhost@evil.example\r\n\r\n", 403},
        {"GET /api HTTP/1.1\r\nHost: x:y@localhost\r\n\r\n", 403},
        {"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
        {"GET http://evil.example/api HTTP/1.1\r\nHost: localhost\r\n\r\n", 403},
        {"GET http://localhost/api HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
        {"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n", 204}, /* says nothing */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct wire_answer a;
        wire_ask(td_http_address(http), rows[i].text, strlen(rows[i].text), &a);
        wire_expect(&a, rows[i].status, rows[i].status == 403 ? "bad_host" : NULL);
        wire_done(&a);
    }
    close_server();
}

static void test_simple_posts_of_other_sites(void **state)
{
    (void)state;
    open_plain();
    expect("POST", "/api", "Origin: http://evil.example\r\nContent-Length: 0\r\n", 403,
           "bad_origin");
    expect("POST", "/whip/x", "Origin: null\r\nContent-Length: 0\r\n", 403, "bad_origin");
    expect("GET", "/api", "Origin: http://evil.example\r\n", 200, NULL);
    char *same =
        g_strdup_printf("Origin: http://%s\r\nContent-Length: 0\r\n", td_http_address(http));
    expect("POST", "/api", same, 200, NULL);
    g_free(same);
    expect("POST", "/healthz", "Origin: http://evil.example\r\nContent-Length: 0\r\n", 200, NULL);
    close_server();
    /* Where a key has to be shown, the page would need it. */
    struct td_config_key key = {.key = (char *)KEY};
    open_config(&(struct td_config){.api_keys = {&key, 1}});
    expect("POST", "/api",
           "Origin: http://a.example\r\nContent-Length: 0\r\nAuthorization: Bearer " KEY "\r\n",
           200, NULL);
    close_server();
}

static void test_cors_off(void **state)
{
    (void)state;
    open_plain();
    const char *const fields = "Origin: http://evil.example\r\n";
    expect_field("GET", "/api/room/x", fields, 200, "Access-Control-Allow-Origin", NULL);
    expect_field("GET", "/api/room/x", fields, 200, "Vary", NULL);
    expect_field("OPTIONS", "/api/room/x",
                 "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n", 204,
                 "Access-Control-Allow-Methods", NULL);
    close_server();
}

static void test_cors(void **state)
{
    (void)state;
    char *origins[] = {(char *)"https://studio.example", (char *)"http://localhost:3000"};
    struct td_config_key key = {.key = (char *)KEY};
    open_config(&(struct td_config){.cors_origins = {origins, 2}, .api_keys = {&key, 1}});
    const char *const good = "Origin: https://studio.example\r\n"
                             "Authorization: Bearer " KEY "\r\n";
    const char *const bad = "Origin: https://studio.example.evil\r\n"
                            "Authorization: Bearer " KEY "\r\n";
    const char *const preflight = "Origin: https://studio.example\r\n"
                                  "Access-Control-Request-Method: PATCH\r\n"
                                  "Access-Control-Request-Headers: authorization\r\n";
    const char *const allow = "Access-Control-Allow-Origin";
    expect_field("GET", "/api/room/x", good, 200, allow, "https://studio.example");
    expect_field("GET", "/api/room/x", good, 200, "Vary", "Origin");
    expect_field("GET", "/api/room/x", bad, 200, allow, NULL);
    expect_field("GET", "/api/room/x", bad, 200, "Vary", "Origin");
    /* A page has to be able to read why it was refused. */
    expect_field("GET", "/api/room/x", "Origin: https://studio.example\r\n", 401, allow,
                 "https://studio.example");
    expect_field("GET", "/api/%00", good, 400, allow, "https://studio.example");
    expect_field("OPTIONS", "/api/room/x", preflight, 204, allow, "https://studio.example");
    expect_field("OPTIONS", "/whip/x", preflight, 204, "Access-Control-Allow-Methods",
                 "GET, HEAD, POST, PATCH, DELETE, OPTIONS");
    struct wire_answer a;
    wire_call(td_http_address(http), "OPTIONS", "/api/x", preflight, &a);
    wire_expect(&a, 204, NULL);
    assert_non_null(strstr(wire_field(&a, "Access-Control-Allow-Headers"), "Authorization"));
    assert_non_null(strstr(wire_field(&a, "Access-Control-Allow-Headers"), "Idempotency-Key"));
    assert_non_null(strstr(wire_field(&a, "Access-Control-Expose-Headers"), "Content-Range"));
    assert_null(wire_field(&a, "Access-Control-Allow-Credentials"));
    wire_done(&a);
    expect("OPTIONS", "/api/x",
           "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n", 401,
           "unauthorized");
    assert_int_equal(seen.calls, 0);
    close_server();
}

/* ---- bodies, queries, failures ---- */

static void test_json_bodies(void **state)
{
    (void)state;
    open_plain();
    static const struct {
        const char *type; /* NULL = none */
        const char *body;
        unsigned status;
        const char *code;
        const char *back;
    } rows[] = {
        {"application/json", "{\"a\": 1}", 200, NULL, "{\"a\":1}"},
        {"application/json; charset=utf-8", "[]", 200, NULL, "[]"},
        {"Application/JSON", "[1]", 200, NULL, "[1]"},
        {"application/merge-patch+json", "{}", 200, NULL, "{}"},
        {NULL, "{\"b\":[true]}", 200, NULL, "{\"b\":[true]}"},
        {NULL, "", 200, NULL, "[\"nothing\"]"},
        {"text/plain", "", 200, NULL, "[\"nothing\"]"},
        {"application/json", "", 200, NULL, "[\"nothing\"]"},
        {"text/plain", "{}", 415, "not_json", NULL},
        {"application/x-www-form-urlencoded", "{}", 415, "not_json", NULL},
        {"garbage", "{}", 415, "not_json", NULL},
        {"application/json", "{", 400, "bad_json", NULL},
        {"application/json", " ", 400, "bad_json", NULL},
        {"application/json", "nul", 400, "bad_json", NULL},
        {"application/json", "17", 400, "bad_json", NULL},
        {"application/json", "{} {}", 400, "bad_json", NULL},
        {"application/json", "{\"a\":1,\"a\":2}", 400, "bad_json", NULL},
        {"application/json", "[\"\\u0000\"]", 400, "bad_json", NULL},
        {"application/json", "{\"\\u0000\":1}", 400, "bad_json", NULL},
        {"application/json", "[\"\xff\"]", 400, "bad_json", NULL},
        {"application/json", "[\"\\ud800\"]", 400, "bad_json", NULL},
        {"application/json", "[99999999999999999999]", 400, "bad_json", NULL},
        {"application/json", "[1e999]", 400, "bad_json", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *fields = g_strdup_printf(
            "%s%s%sContent-Length: %zu\r\n\r\n%s", rows[i].type != NULL ? "Content-Type: " : "",
            rows[i].type != NULL ? rows[i].type : "", rows[i].type != NULL ? "\r\n" : "",
            strlen(rows[i].body), rows[i].body);
        char *body = ask("POST", "/api/body", fields, rows[i].status, rows[i].code);
        if (rows[i].back != NULL)
            assert_string_equal(body, rows[i].back);
        free(body);
        g_free(fields);
    }
    close_server();
}

static void post_nested(unsigned depth, unsigned status, const char *code)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "Content-Length: %u\r\n\r\n", 2 * depth + 12);
    g_string_append(text, "[\"[[[\\\"[\", ");
    for (unsigned i = 1; i < depth; i++)
        g_string_append_c(text, '[');
    g_string_append(text, "1");
    for (unsigned i = 1; i < depth; i++)
        g_string_append_c(text, ']');
    g_string_append(text, " ]");
    expect("POST", "/api/body", text->str, status, code);
    g_string_free(text, TRUE);
}

static void test_json_depth(void **state)
{
    (void)state;
    open_plain();
    post_nested(TD_HTTP_JSON_DEPTH_MAX, 200, NULL);
    post_nested(TD_HTTP_JSON_DEPTH_MAX + 1, 400, "bad_json");
    post_nested(100000, 400, "bad_json");
    close_server();
}

static void test_queries(void **state)
{
    (void)state;
    open_plain();
    expect("GET", "/api/x?a=b&q=%41+b&unknown=1&other", "", 200, NULL);
    assert_int_equal(seen.query_result, 1);
    assert_string_equal(seen.query, "A b");
    expect("GET", "/api/x", "", 200, NULL);
    assert_int_equal(seen.query_result, 0);
    expect("GET", "/api/x?q=%c0%af", "", 200, NULL);
    assert_int_equal(seen.query_result, -TD_E_PARSE);
    assert_string_equal(seen.query, "");
    close_server();
}

static void test_failures(void **state)
{
    (void)state;
    open_plain();
    static const struct {
        int code;
        unsigned status;
        const char *word;
    } rows[] = {
        {-TD_E_USAGE, 400, "not_possible"},
        {-TD_E_STATE, 409, "wrong_state"},
        {-TD_E_PARSE, 422, "not_understood"},
        {-TD_E_UNSUPPORTED, 422, "not_understood"},
        {-TD_E_LIMIT, 429, "limit"},
        {-TD_E_REFUSED, 502, "source_refused"},
        {-TD_E_TIMEOUT, 504, "source_timeout"},
        {-ENOSPC, 507, "disk_full"},
        {-EIO, 500, "failed"},
        {-TD_E_LIBRARY, 500, "failed"},
        {0, 503, "stopped"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        seen.fail = (struct td_fail){.code = rows[i].code};
        expect("GET", "/api/fail", "", rows[i].status, rows[i].word);
        (void)snprintf(seen.fail.text, sizeof(seen.fail.text), "The sentence of a person.");
        char *body = ask("GET", "/api/fail", "", rows[i].status, rows[i].word);
        assert_non_null(strstr(body, "The sentence of a person."));
        free(body);
    }
    expect_field("GET", "/api/fail", "", 503, "Retry-After", "5");
    /* A sentence that was cut inside of a character. */
    seen.fail = (struct td_fail){.code = -EIO, .text = "The disk says: caf\xc3"};
    expect("GET", "/api/fail", "", 500, "failed");
    td_http_closing(http);
    seen.fail = (struct td_fail){.code = -TD_E_STATE, .text = "We are going down."};
    expect("GET", "/api/fail", "", 503, "unavailable");
    close_server();
}

/* libsoup would answer 206 by itself. */
static void test_json_has_no_ranges(void **state)
{
    (void)state;
    open_plain();
    char *body = ask("GET", "/api/room/abc", "Range: bytes=0-3\r\n", 200, NULL);
    assert_string_equal(body, "{\"room\":\"abc\"}");
    free(body);
    expect_field("GET", "/api/room/abc", "", 200, "Cache-Control", "no-store");
    close_server();
}

static void test_room_names(void **state)
{
    (void)state;
    char longest[TD_SOURCE_TEXT_MAX + 1];
    memset(longest, 'r', sizeof(longest));
    longest[TD_SOURCE_TEXT_MAX] = '\0';
    assert_false(td_http_is_room(longest));
    longest[TD_SOURCE_TEXT_MAX - 1] = '\0';
    assert_true(td_http_is_room(longest));
    assert_true(td_http_is_room("r"));
    assert_true(td_http_is_room("caf\xc3\xa9 / 1"));
    assert_false(td_http_is_room(""));
    assert_false(td_http_is_room("a\nb"));
    assert_false(td_http_is_room("a\x7f"));
    assert_false(td_http_is_room("\xff"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_bad_paths),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_refused_bodies_are_not_kept),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_whip_tokens),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_reload_off_loopback),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_log_of_tls),
        cmocka_unit_test(test_names_that_lead_here),
        cmocka_unit_test(test_simple_posts_of_other_sites),
        cmocka_unit_test(test_cors_off),
        cmocka_unit_test(test_cors),
        cmocka_unit_test(test_json_bodies),
        cmocka_unit_test(test_json_depth),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_json_has_no_ranges),
        cmocka_unit_test(test_room_names),
    };
    return cmocka_run_group_tests_name("api/http", tests, NULL, NULL);
}
