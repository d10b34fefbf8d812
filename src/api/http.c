/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/bearer.h"
#include "source/source.h"

#define ROUTES_MAX 16u
#define SLOW_TIMER "td-slow-timer"
/* Connections that wait to be accepted. The library's 10 makes a burst of clients wait for a second
 * and more, until their SYN is sent again. */
#define BACKLOG 256

struct route {
    struct td_http *http;
    const char *prefix;
    bool open;
    td_http_route_fn *fn;
    void *ctx;
};

struct td_http {
    SoupServer *server;
    const struct td_log *log;
    const char *tokens[TD_HTTP_TOKENS_MAX];
    size_t token_count;
    char address[128];
    struct route routes[ROUTES_MAX];
    size_t route_count;
};

/* ---- answers ---- */

void td_http_json(SoupServerMessage *message, unsigned status, json_t *body)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (text == NULL) {
        soup_server_message_set_status(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, NULL);
        return;
    }
    soup_server_message_set_status(message, status, NULL);
    soup_server_message_set_response(message, "application/json", SOUP_MEMORY_COPY, text,
                                     strlen(text));
    free(text);
}

void td_http_problem(SoupServerMessage *message, unsigned status, const char *code,
                     const char *detail)
{
    td_http_json(message, status,
                 json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title",
                           soup_status_get_phrase(status), "status", (int)status, "code", code,
                           "detail", detail));
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    soup_message_headers_replace(headers, "Content-Type", "application/problem+json");
}

void td_http_method(SoupServerMessage *message, const char *allowed)
{
    td_http_problem(message, SOUP_STATUS_METHOD_NOT_ALLOWED, "method_not_allowed",
                    "This resource does not have that method.");
    soup_message_headers_replace(soup_server_message_get_response_headers(message), "Allow",
                                 allowed);
}

bool td_http_is_room(const char *path)
{
    if (path[0] == '\0' || strlen(path) >= TD_SOURCE_TEXT_MAX || !g_utf8_validate(path, -1, NULL))
        return false;
    for (const char *p = path; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
    }
    return true;
}

/* ---- requests ---- */

static void on_chunk(SoupServerMessage *message, GBytes *chunk, gpointer data)
{
    (void)chunk;
    (void)data;
    SoupMessageBody *body = soup_server_message_get_request_body(message);
    if (body->length <= (goffset)TD_HTTP_BODY_MAX ||
        soup_server_message_get_status(message) != SOUP_STATUS_NONE)
        return;
    /* What is over the limit is not kept; the answer is given once the client stops sending. */
    soup_message_body_set_accumulate(body, FALSE);
    soup_message_body_truncate(body);
    td_http_problem(message, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, "body_too_large",
                    "The request body is larger than 1 MiB.");
}

static bool allowed(const struct td_http *h, SoupServerMessage *message)
{
    if (h->token_count == 0)
        return true;
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    const char *value = soup_message_headers_get_one(headers, "Authorization");
    return td_bearer_check(value, h->tokens, h->token_count) == 0;
}

/* Before the body is read: who may not enter does not get to send one. */
static void on_early(SoupServer *server, SoupServerMessage *message, const char *path,
                     GHashTable *query, gpointer data)
{
    (void)server;
    (void)path;
    (void)query;
    struct route *route = data;
    g_signal_connect(message, "got-chunk", G_CALLBACK(on_chunk), NULL);
    if (!route->open && !allowed(route->http, message)) {
        td_http_problem(message, SOUP_STATUS_UNAUTHORIZED, "unauthorized",
                        "A bearer token is needed: Authorization: Bearer TOKEN.");
        soup_message_headers_replace(soup_server_message_get_response_headers(message),
                                     "WWW-Authenticate", "Bearer");
        return;
    }
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    if (soup_message_headers_get_content_length(headers) > (goffset)TD_HTTP_BODY_MAX)
        td_http_problem(message, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, "body_too_large",
                        "The request body is larger than 1 MiB.");
}

/* A client that does not send what it began. */
static gboolean on_slow(gpointer data)
{
    SoupServerMessage *message = data;
    GSocket *socket = soup_server_message_get_socket(message);
    /* The server then sees the end of the connection and lets go of it. */
    if (socket != NULL)
        (void)g_socket_shutdown(socket, TRUE, TRUE, NULL);
    g_object_set_data(G_OBJECT(message), SLOW_TIMER, NULL);
    return G_SOURCE_REMOVE;
}

/* The request is whole, or its connection is gone. */
static void on_read(SoupServer *server, SoupServerMessage *message, gpointer data)
{
    (void)server;
    (void)data;
    guint timer = GPOINTER_TO_UINT(g_object_steal_data(G_OBJECT(message), SLOW_TIMER));
    if (timer != 0)
        g_source_remove(timer);
}

/* One request a connection: libsoup 3.2.2 and 3.2.3 (Debian 12) never notice that a client closed
 * an idle one, so that each health check would cost a descriptor for ever. */
static void on_started(SoupServer *server, SoupServerMessage *message, gpointer data)
{
    (void)server;
    (void)data;
    soup_message_headers_replace(soup_server_message_get_response_headers(message), "Connection",
                                 "close");
    guint timer = g_timeout_add_seconds_full(G_PRIORITY_DEFAULT, TD_HTTP_READ_S, on_slow,
                                             g_object_ref(message), g_object_unref);
    g_object_set_data(G_OBJECT(message), SLOW_TIMER, GUINT_TO_POINTER(timer));
}

static void on_request(SoupServer *server, SoupServerMessage *message, const char *path,
                       GHashTable *query, gpointer data)
{
    (void)server;
    (void)query;
    struct route *route = data;
    const char *rest = path + strlen(route->prefix);
    if (*rest == '/')
        rest++;
    else if (*rest != '\0') { /* "/whipper" is not under "/whip" */
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "not_found", "There is nothing here.");
        return;
    }
    route->fn(route->ctx, message, rest);
}

static void on_nothing(SoupServer *server, SoupServerMessage *message, const char *path,
                       GHashTable *query, gpointer data)
{
    (void)server;
    (void)path;
    (void)query;
    (void)data;
    td_http_problem(message, SOUP_STATUS_NOT_FOUND, "not_found", "There is nothing here.");
}

void td_http_route(struct td_http *h, const char *prefix, bool open, td_http_route_fn *fn,
                   void *ctx)
{
    g_assert(h->route_count < ROUTES_MAX);
    struct route *route = &h->routes[h->route_count++];
    *route = (struct route){.http = h, .prefix = prefix, .open = open, .fn = fn, .ctx = ctx};
    soup_server_add_early_handler(h->server, prefix, on_early, route, NULL);
    soup_server_add_handler(h->server, prefix, on_request, route, NULL);
}

/* ---- listening ---- */

static GSocketAddress *parse_address(const char *listen)
{
    char host[96];
    const char *colon = strrchr(listen, ':');
    if (colon == NULL || colon == listen || (size_t)(colon - listen) >= sizeof(host))
        return NULL;
    char *end = NULL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (colon[1] == '\0' || *end != '\0' || port > 65535)
        return NULL;
    bool bracketed = listen[0] == '[' && colon[-1] == ']';
    size_t len = (size_t)(colon - listen) - (bracketed ? 2 : 0);
    memcpy(host, listen + (bracketed ? 1 : 0), len);
    host[len] = '\0';
    return g_inet_socket_address_new_from_string(
        strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, (guint)port);
}

/* From our own socket: libsoup 3.2.3 leaks what soup_server_get_uris asks for. */
static bool note_address(struct td_http *h, GSocket *s, GError **error)
{
    GSocketAddress *address = g_socket_get_local_address(s, error);
    if (address == NULL)
        return false;
    GInetSocketAddress *inet = G_INET_SOCKET_ADDRESS(address);
    char *host = g_inet_address_to_string(g_inet_socket_address_get_address(inet));
    bool v6 = strchr(host, ':') != NULL;
    (void)snprintf(h->address, sizeof(h->address), "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
                   (unsigned)g_inet_socket_address_get_port(inet));
    g_free(host);
    g_object_unref(address);
    return true;
}

static bool listen_on(struct td_http *h, GSocketAddress *address, GError **error)
{
    GSocket *s = g_socket_new(g_socket_address_get_family(address), G_SOCKET_TYPE_STREAM,
                              G_SOCKET_PROTOCOL_TCP, error);
    if (s == NULL)
        return false;
    g_socket_set_listen_backlog(s, BACKLOG);
    bool ok = g_socket_bind(s, address, TRUE, error) && g_socket_listen(s, error) &&
              note_address(h, s, error) && soup_server_listen_socket(h->server, s, 0, error);
    g_object_unref(s);
    return ok;
}

static int start_listening(struct td_http *h, const struct td_http_config *config,
                           struct td_fail *ret_fail)
{
    GSocketAddress *address = parse_address(config->listen);
    if (address == NULL)
        return td_fail_set(ret_fail, -TD_E_USAGE, "'%.80s' is not HOST:PORT.", config->listen);
    GInetAddress *host = g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address));
    int r = 0;
    if (!g_inet_address_get_is_loopback(host) && h->token_count == 0)
        r = td_fail_set(ret_fail, -TD_E_USAGE,
                        "%.80s is not loopback: give --token, so that not everybody can record.",
                        config->listen);
    GError *error = NULL;
    if (r == 0 && !listen_on(h, address, &error))
        r = td_fail_set(ret_fail, -EADDRINUSE, "Cannot listen on %.80s: %.120s.", config->listen,
                        error->message);
    g_clear_error(&error);
    g_object_unref(address);
    return r;
}

int td_http_new(const struct td_http_config *config, struct td_fail *ret_fail,
                struct td_http **ret_http)
{
    struct td_http *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    h->log = config->log;
    for (size_t i = 0; i < config->token_count && i < TD_HTTP_TOKENS_MAX; i++) {
        if (config->tokens[i][0] == '\0') {
            free(h);
            return td_fail_set(ret_fail, -TD_E_USAGE, "An empty token protects nothing.");
        }
        h->tokens[h->token_count++] = config->tokens[i];
    }
    h->server = soup_server_new("server-header", "tapedeck", NULL);
    soup_server_add_handler(h->server, NULL, on_nothing, NULL, NULL);
    g_signal_connect(h->server, "request-started", G_CALLBACK(on_started), NULL);
    g_signal_connect(h->server, "request-read", G_CALLBACK(on_read), NULL);
    g_signal_connect(h->server, "request-aborted", G_CALLBACK(on_read), NULL);
    int r = start_listening(h, config, ret_fail);
    if (r < 0) {
        td_http_free(h);
        return r;
    }
    *ret_http = h;
    return 0;
}

struct td_http *td_http_free(struct td_http *h)
{
    if (h == NULL)
        return NULL;
    soup_server_disconnect(h->server);
    g_object_unref(h->server);
    free(h);
    return NULL;
}

const char *td_http_address(const struct td_http *h)
{
    return h->address;
}
