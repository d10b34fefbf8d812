/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static gboolean on_too_late(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_CONTINUE;
}

void wire_run_until(const bool *flag)
{
    bool late = false;
    guint timer = g_timeout_add_seconds(WIRE_WAIT_S, on_too_late, &late);
    while (!*flag && !late)
        (void)g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    assert_false(late);
}

void wire_run(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        continue;
}

static gboolean on_ready(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

static void wait_for(int fd, GIOCondition condition)
{
    bool ready = false;
    (void)g_unix_fd_add(fd, condition, on_ready, &ready);
    wire_run_until(&ready);
}

void wire_wait_readable(int fd)
{
    wait_for(fd, G_IO_IN);
}

int wire_connect(const char *address)
{
    const char *colon = strrchr(address, ':');
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int r = connect(fd, (const struct sockaddr *)&to, sizeof(to));
    assert_true(r == 0 || errno == EINPROGRESS);
    wait_for(fd, G_IO_OUT);
    return fd;
}

void wire_close(int fd)
{
    assert_int_equal(close(fd), 0);
}

bool wire_send(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            wait_for(fd, G_IO_OUT);
            continue;
        }
        if (n < 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool wire_read_some(int fd, GString *into)
{
    char bytes[16384];
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        g_string_append_len(into, bytes, n);
    }
}

bool wire_read(int fd, GString *into, size_t len)
{
    while (into->len < len) {
        wait_for(fd, G_IO_IN);
        if (!wire_read_some(fd, into))
            return false;
    }
    return true;
}

static bool dechunk(GString *body)
{
    GString *out = g_string_new(NULL);
    const char *at = body->str;
    const char *end = body->str + body->len;
    bool whole = false;
    while (at < end) {
        char *line_end = NULL;
        size_t len = strtoul(at, &line_end, 16);
        if (line_end == at || line_end + 2 > end)
            break;
        at = line_end + 2;
        whole = len == 0;
        if (whole)
            break;
        if (len > (size_t)(end - at))
            len = (size_t)(end - at);
        g_string_append_len(out, at, (gssize)len);
        at += len + 2;
    }
    g_string_truncate(body, 0);
    g_string_append_len(body, out->str, (gssize)out->len);
    g_string_free(out, TRUE);
    return whole;
}

void wire_parse(const GString *all, struct wire_answer *ret_answer)
{
    const char *split = strstr(all->str, "\r\n\r\n");
    size_t head = split != NULL ? (size_t)(split - all->str) + 2 : all->len;
    size_t body = split != NULL ? head + 2 : all->len;
    *ret_answer = (struct wire_answer){
        .status = split != NULL ? (unsigned)strtoul(all->str + 9, NULL, 10) : 0,
        .head = g_string_new_len(all->str, (gssize)head),
        .body = g_string_new_len(all->str + body, (gssize)(all->len - body)),
        .whole = split != NULL};
    const char *encoding = wire_field(ret_answer, "Transfer-Encoding");
    if (encoding != NULL)
        ret_answer->whole = dechunk(ret_answer->body);
    const char *length = wire_field(ret_answer, "Content-Length");
    if (length != NULL)
        ret_answer->whole = ret_answer->body->len == strtoul(length, NULL, 10);
}

void wire_ask(const char *address, const void *text, size_t len, struct wire_answer *ret_answer)
{
    GString *all = g_string_new(NULL);
    int fd = wire_connect(address);
    (void)wire_send(fd, text, len); /* what comes back tells */
    (void)wire_read(fd, all, SIZE_MAX);
    wire_close(fd);
    wire_parse(all, ret_answer);
    g_string_free(all, TRUE);
}

void wire_call(const char *address, const char *method, const char *path, const char *fields,
               struct wire_answer *ret_answer)
{
    char *text = g_strdup_printf("%s %s HTTP/1.1\r\nHost: %s\r\n%s%s", method, path, address,
                                 fields, strstr(fields, "\r\n\r\n") != NULL ? "" : "\r\n");
    wire_ask(address, text, strlen(text), ret_answer);
    g_free(text);
}

void wire_done(struct wire_answer *a)
{
    g_string_free(a->head, TRUE);
    g_string_free(a->body, TRUE);
}

const char *wire_field(const struct wire_answer *a, const char *name)
{
    static char value[1024];
    size_t len = strlen(name);
    for (const char *line = a->head->str; *line != '\0';) {
        const char *end = strstr(line, "\r\n");
        if (end == NULL)
            return NULL;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            const char *at = line + len + 1 + strspn(line + len + 1, " ");
            (void)g_strlcpy(value, at,
                            sizeof(value) < (size_t)(end - at) + 1 ? sizeof(value)
                                                                   : (size_t)(end - at) + 1);
            return value;
        }
        line = end + 2;
    }
    return NULL;
}

void wire_expect(const struct wire_answer *a, unsigned status, const char *code)
{
    assert_int_equal(a->status, status);
    assert_string_equal(wire_field(a, "Server"), "tapedeck");
    assert_string_equal(wire_field(a, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(wire_field(a, "Connection"), "close");
    assert_non_null(wire_field(a, "Date"));
    if (code == NULL)
        return;
    assert_string_equal(wire_field(a, "Content-Type"), "application/problem+json"); /* RFC 9457 */
    assert_string_equal(wire_field(a, "Cache-Control"), "no-store");
    json_t *json = json_loadb(a->body->str, a->body->len, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "code")), code);
    assert_int_equal(json_integer_value(json_object_get(json, "status")), status);
    assert_true(strlen(json_string_value(json_object_get(json, "detail"))) > 5);
    json_decref(json);
}
