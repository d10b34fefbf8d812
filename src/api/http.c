/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/access.h"
#include "api/clients.h"
#include "api/uri.h"
#include "auth/bearer.h"
#include "base/clock.h"
#include "base/glob.h"
#include "source/source.h"

#define REQUEST "td-request"
#define RETRY_S "5" /* when the answer was that it is too much, or not now */
#define CORS_METHODS "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
#define CORS_HEADERS                                                                               \
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-Modified-Since, If-None-Match, "   \
    "If-Range, Last-Event-ID, Range"
#define CORS_EXPOSED                                                                               \
    "Accept-Post, Accept-Ranges, Allow, Content-Range, ETag, Last-Modified, Link, Location, "      \
    "Retry-After"

struct route {
    const char *prefix;
    size_t prefix_len; /* without a '/' at its end */
    enum td_http_class class;
    td_http_route_fn *fn;
    void *ctx;
};

/* What is known of a request once its headers are there; freed with the message. */
struct request {
    struct td_http *http; /* NULL once it is finished */
    const struct route *route;
    char *path;       /* decoded */
    const char *rest; /* of it, behind the prefix */
    char *rooms;      /* pattern of the key; NULL = all */
    uint64_t discarded;
};

struct td_http {
    uint64_t answers[TD_HTTP_CLASSES]; /* given, by the hundred of their status */
    SoupServer *server;
    struct td_clients *clients;
    struct td_access *access;
    const struct td_log *log;
    char *token;
    bool loopback;
    bool closing;
    uint64_t requests;
    uint64_t unauthorized;
    struct route routes[TD_HTTP_ROUTES_MAX];
    size_t route_count;
};

static struct request *request_of(SoupServerMessage *message)
{
    return g_object_get_data(G_OBJECT(message), REQUEST);
}

static const char *request_header(SoupServerMessage *message, const char *name)
{
    return soup_message_headers_get_one(soup_server_message_get_request_headers(message), name);
}

static void set_header(SoupServerMessage *message, const char *name, const char *value)
{
    soup_message_headers_replace(soup_server_message_get_response_headers(message), name, value);
}

/* ---- answers ---- */

void td_http_json(SoupServerMessage *message, unsigned status, json_t *body)
{
    static const char failed[] =
        "{\"type\":\"about:blank\",\"title\":\"Internal Server Error\",\"status\":500,"
        "\"code\":\"failed\",\"detail\":\"The answer could not be made.\"}";
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    soup_server_message_set_status(message,
                                   text != NULL ? status : SOUP_STATUS_INTERNAL_SERVER_ERROR, NULL);
    soup_message_body_truncate(soup_server_message_get_response_body(message));
    if (text != NULL)
        soup_server_message_set_response(message, "application/json", SOUP_MEMORY_COPY, text,
                                         strlen(text));
    else
        soup_server_message_set_response(message, "application/problem+json", SOUP_MEMORY_STATIC,
                                         failed, sizeof(failed) - 1);
    free(text);
    set_header(message, "Cache-Control", "no-store");
    /* libsoup would cut pieces out of it. */
    soup_message_headers_remove(soup_server_message_get_request_headers(message), "Range");
}

void td_http_problem(SoupServerMessage *message, unsigned status, const char *code,
                     const char *detail)
{
    /* A sentence that was cut may end in the middle of a character. */
    char *valid = g_utf8_make_valid(detail, -1);
    td_http_json(message, status,
                 json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title",
                           soup_status_get_phrase(status), "status", (int)status, "code", code,
                           "detail", valid));
    g_free(valid);
    set_header(message, "Content-Type", "application/problem+json");
    if (status == SOUP_STATUS_SERVICE_UNAVAILABLE || status == 429)
        set_header(message, "Retry-After", RETRY_S);
}

void td_http_fail(SoupServerMessage *message, const struct td_fail *fail)
{
    static const struct {
        int error; /* negative code */
        unsigned status;
        const char *code;
    } rows[] = {
        {-TD_E_USAGE, SOUP_STATUS_BAD_REQUEST, "not_possible"},
        {-TD_E_STATE, SOUP_STATUS_CONFLICT, "wrong_state"},
        {-TD_E_PARSE, SOUP_STATUS_UNPROCESSABLE_ENTITY, "not_understood"},
        {-TD_E_UNSUPPORTED, SOUP_STATUS_UNPROCESSABLE_ENTITY, "not_understood"},
        {-TD_E_LIMIT, 429, "limit"},
        {-TD_E_REFUSED, SOUP_STATUS_BAD_GATEWAY, "source_refused"},
        {-TD_E_TIMEOUT, SOUP_STATUS_GATEWAY_TIMEOUT, "source_timeout"},
        {-ENOSPC, SOUP_STATUS_INSUFFICIENT_STORAGE, "disk_full"},
        {-EAGAIN, SOUP_STATUS_SERVICE_UNAVAILABLE, "recovering"},
        {0, SOUP_STATUS_SERVICE_UNAVAILABLE, "stopped"},
    };
    const struct request *request = request_of(message);
    const char *text = fail->text[0] != '\0' ? fail->text
                       : fail->code == 0     ? "It was stopped before there was an answer."
                                             : td_err_text(fail->code);
    if (fail->code == -TD_E_STATE && request != NULL && request->http != NULL &&
        request->http->closing) {
        td_http_problem(message, SOUP_STATUS_SERVICE_UNAVAILABLE, "unavailable", text);
        return;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].error == fail->code) {
            td_http_problem(message, rows[i].status, rows[i].code, text);
            return;
        }
    }
    td_http_problem(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed", text);
}

void td_http_forbidden(SoupServerMessage *message)
{
    td_http_problem(message, SOUP_STATUS_FORBIDDEN, "forbidden_room",
                    "The key that was shown is not for this room.");
}

void td_http_method(SoupServerMessage *message, const char *allowed)
{
    bool listed = strstr(allowed, "OPTIONS") != NULL;
    char *all = g_strconcat(allowed, listed ? "" : ", OPTIONS", NULL);
    if (strcmp(soup_server_message_get_method(message), "OPTIONS") == 0)
        soup_server_message_set_status(message, SOUP_STATUS_NO_CONTENT, NULL);
    else
        td_http_problem(message, SOUP_STATUS_METHOD_NOT_ALLOWED, "method_not_allowed",
                        "This resource does not have that method.");
    set_header(message, "Allow", all);
    g_free(all);
}

void td_http_cut(SoupServerMessage *message)
{
    td_clients_cut(message);
}

/* ---- what a route asks about its request ---- */

const char *td_http_rooms(SoupServerMessage *message)
{
    const struct request *request = request_of(message);
    return request != NULL ? request->rooms : NULL;
}

bool td_http_may(SoupServerMessage *message, const char *room)
{
    return td_glob_match(td_http_rooms(message), room);
}

const char *td_http_token(SoupServerMessage *message)
{
    return td_bearer_token(request_header(message, "Authorization"));
}

bool td_http_is_get(SoupServerMessage *message)
{
    const char *method = soup_server_message_get_method(message);
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

int td_http_query(SoupServerMessage *message, const char *name, char *ret_value, size_t size)
{
    return td_uri_query(g_uri_get_query(soup_server_message_get_uri(message)), name, ret_value,
                        size);
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

/* The library's own bound is 2,048 levels, each of which costs stack. */
static bool is_too_deep(const char *text, size_t len)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!quoted && depth > 0 && (text[i] == '}' || text[i] == ']'))
            depth--;
        if (depth > TD_HTTP_JSON_DEPTH_MAX)
            return true;
    }
    return false;
}

static bool is_json(SoupServerMessage *message)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    const char *type = soup_message_headers_get_content_type(headers, NULL);
    if (type == NULL)
        return request_header(message, "Content-Type") == NULL;
    size_t len = strlen(type);
    return g_ascii_strcasecmp(type, "application/json") == 0 ||
           (len > 5 && g_ascii_strcasecmp(type + len - 5, "+json") == 0);
}

static json_t *load_json(SoupServerMessage *message, json_error_t *ret_error)
{
    GBytes *bytes = soup_message_body_flatten(soup_server_message_get_request_body(message));
    size_t len = 0;
    const char *text = g_bytes_get_data(bytes, &len);
    json_t *json = NULL;
    if (is_too_deep(text, len))
        (void)snprintf(ret_error->text, sizeof(ret_error->text), "it is nested too deeply");
    else
        json = json_loadb(text, len, JSON_REJECT_DUPLICATES, ret_error);
    g_bytes_unref(bytes);
    return json;
}

int td_http_body_json(SoupServerMessage *message, json_t **ret_json)
{
    if (soup_server_message_get_request_body(message)->length == 0) {
        *ret_json = NULL;
        return 0;
    }
    if (!is_json(message)) {
        td_http_problem(message, SOUP_STATUS_UNSUPPORTED_MEDIA_TYPE, "not_json",
                        "The body has to be application/json.");
        return -TD_E_UNSUPPORTED;
    }
    json_error_t error = {.line = 0};
    json_t *json = load_json(message, &error);
    if (json == NULL) {
        char detail[sizeof(error.text) + 64];
        (void)snprintf(detail, sizeof(detail), "The body is not the JSON it should be: %s.",
                       error.text);
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_json", detail);
        return -TD_E_PARSE;
    }
    *ret_json = json;
    return 0;
}

/* ---- headers of every answer ---- */

static void allow_origin(const struct td_http *h, SoupServerMessage *message)
{
    if (!td_access_has_origins(h->access))
        return;
    set_header(message, "Vary", "Origin"); /* for caches on the way: it is not for everybody */
    const char *origin = request_header(message, "Origin");
    if (origin == NULL || !td_access_origin(h->access, origin))
        return;
    set_header(message, "Access-Control-Allow-Origin", origin);
    set_header(message, "Access-Control-Expose-Headers", CORS_EXPOSED);
}

static void decorate(const struct td_http *h, SoupServerMessage *message)
{
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    set_header(message, "Connection", "close");
    set_header(message, "Server", "tapedeck");
    set_header(message, "X-Content-Type-Options", "nosniff");
    if (soup_message_headers_get_one(headers, "Date") == NULL) {
        GDateTime *now = g_date_time_new_now_utc();
        char *date = soup_date_time_to_string(now, SOUP_DATE_HTTP);
        set_header(message, "Date", date);
        g_free(date);
        g_date_time_unref(now);
    }
    allow_origin(h, message);
}

/* ---- who and what may come in ---- */

static void free_request(gpointer data)
{
    struct request *request = data;
    free(request->path);
    free(request->rooms);
    free(request);
}

static void on_finished(SoupServerMessage *message, gpointer data)
{
    struct request *request = data;
    unsigned class = soup_server_message_get_status(message) / 100;
    if (request->http != NULL && class >= 1 && class <= TD_HTTP_CLASSES)
        request->http->answers[class - 1]++;
    request->http = NULL;
}

static struct request *new_request(struct td_http *h, SoupServerMessage *message)
{
    struct request *request = calloc(1, sizeof(*request));
    if (request == NULL)
        return NULL;
    request->http = h;
    g_object_set_data_full(G_OBJECT(message), REQUEST, request, free_request);
    g_signal_connect(message, "finished", G_CALLBACK(on_finished), request);
    return request;
}

static bool find_route(struct request *request)
{
    const struct td_http *h = request->http;
    for (size_t i = 0; i < h->route_count; i++) {
        const struct route *route = &h->routes[i];
        const char *rest = request->path + route->prefix_len;
        /* "/whipper" is not under "/whip" */
        if (strncmp(request->path, route->prefix, route->prefix_len) == 0 &&
            (*rest == '/' || *rest == '\0') &&
            (request->route == NULL || route->prefix_len >= request->route->prefix_len)) {
            request->route = route;
            request->rest = *rest == '/' ? rest + 1 : rest;
        }
    }
    return request->route != NULL;
}

static bool admit_path(struct request *request, SoupServerMessage *message)
{
    const char *raw = g_uri_get_path(soup_server_message_get_uri(message));
    raw = raw[0] != '\0' ? raw : "/";
    size_t size = strlen(raw) + 1;
    request->path = malloc(size);
    if (request->path != NULL && td_uri_path(raw, request->path, size) == 0 &&
        !soup_server_message_is_options_ping(message))
        return true;
    td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_path",
                    "The path is not one: an escape is broken or means '/' or NUL, it is not "
                    "UTF-8, or it has an empty, '.' or '..' segment.");
    return false;
}

/* A page of another site can reach a server on loopback by a name that its owner points there. */
static bool admit_host(const struct td_http *h, SoupServerMessage *message)
{
    if (!h->loopback || td_access_guarded(h->access, TD_ACCESS_KEYS))
        return true;
    const char *host = request_header(message, "Host");
    const char *target = g_uri_get_host(soup_server_message_get_uri(message));
    char *authority = g_strdup_printf(strchr(target, ':') != NULL ? "[%s]" : "%s", target);
    bool local = td_access_is_local(authority) && (host == NULL || td_access_is_local(host));
    g_free(authority);
    if (local)
        return true;
    td_http_problem(message, SOUP_STATUS_FORBIDDEN, "bad_host",
                    "Without API keys this server answers to localhost only.");
    return false;
}

static enum td_access_kind kind_of(const struct request *request)
{
    bool whip = request->route != NULL && request->route->class == TD_HTTP_WHIP;
    return whip ? TD_ACCESS_WHIP : TD_ACCESS_KEYS;
}

/* Where nothing has to be shown, a page of any site could still send a simple POST here. */
static bool admit_site(const struct request *request, SoupServerMessage *message)
{
    const struct td_http *h = request->http;
    const char *origin = request_header(message, "Origin");
    const char *host = request_header(message, "Host");
    if (origin == NULL || td_http_is_get(message) ||
        strcmp(soup_server_message_get_method(message), "OPTIONS") == 0 ||
        td_access_guarded(h->access, kind_of(request)) ||
        (host != NULL && td_access_is_same(origin, host)) || td_access_origin(h->access, origin))
        return true;
    td_http_problem(message, SOUP_STATUS_FORBIDDEN, "bad_origin",
                    "Pages of this site may not call here; see http.cors_origins.");
    return false;
}

static bool admit_key(struct request *request, SoupServerMessage *message)
{
    struct td_http *h = request->http;
    const char *rooms = NULL;
    if (td_access_check(h->access, kind_of(request), request_header(message, "Authorization"),
                        &rooms) < 0) {
        h->unauthorized++;
        td_http_problem(message, SOUP_STATUS_UNAUTHORIZED, "unauthorized",
                        "A bearer token is needed: Authorization: Bearer TOKEN.");
        set_header(message, "WWW-Authenticate", "Bearer");
        return false;
    }
    request->rooms = rooms != NULL ? strdup(rooms) : NULL;
    if (rooms == NULL || request->rooms != NULL)
        return true;
    td_http_problem(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed", "Out of memory.");
    return false;
}

static void body_too_large(SoupServerMessage *message)
{
    td_http_problem(message, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, "body_too_large",
                    "The request body is larger than 1 MiB.");
}

/* A browser asks before it lets a page of an allowed site call; it has no key to show then. */
static bool is_preflight(const struct td_http *h, SoupServerMessage *message)
{
    const char *origin = request_header(message, "Origin");
    return origin != NULL && td_access_origin(h->access, origin) &&
           strcmp(soup_server_message_get_method(message), "OPTIONS") == 0 &&
           request_header(message, "Access-Control-Request-Method") != NULL;
}

static void answer_preflight(SoupServerMessage *message)
{
    soup_server_message_set_status(message, SOUP_STATUS_NO_CONTENT, NULL);
    set_header(message, "Access-Control-Allow-Methods", CORS_METHODS);
    set_header(message, "Access-Control-Allow-Headers", CORS_HEADERS);
    set_header(message, "Access-Control-Max-Age", "600");
}

/* Leaves a status when the answer is settled. */
static void admit(struct request *request, SoupServerMessage *message)
{
    const struct td_http *h = request->http;
    if (soup_server_message_is_options_ping(message) &&
        strcmp(soup_server_message_get_method(message), "OPTIONS") == 0) {
        td_http_method(message, CORS_METHODS);
        return;
    }
    if (!admit_host(h, message) || !admit_path(request, message))
        return;
    if (is_preflight(h, message)) {
        answer_preflight(message);
        return;
    }
    /* What does not exist is not told to those who may not come in. */
    bool open = find_route(request) && request->route->class == TD_HTTP_OPEN;
    if (!open && (!admit_site(request, message) || !admit_key(request, message)))
        return;
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    if (soup_message_headers_get_content_length(headers) > (goffset)TD_HTTP_BODY_MAX)
        body_too_large(message);
}

/* ---- requests ---- */

/* What is refused is not kept; libsoup gives the answer once the client stops sending. */
static void discard_body(SoupServerMessage *message)
{
    SoupMessageBody *body = soup_server_message_get_request_body(message);
    soup_message_body_set_accumulate(body, FALSE);
    soup_message_body_truncate(body);
}

static void on_chunk(SoupServerMessage *message, GBytes *chunk, gpointer data)
{
    (void)data;
    struct request *request = request_of(message);
    SoupMessageBody *body = soup_server_message_get_request_body(message);
    if (soup_server_message_get_status(message) == SOUP_STATUS_NONE) {
        if (body->length <= (goffset)TD_HTTP_BODY_MAX)
            return;
        body_too_large(message);
        discard_body(message);
    }
    if (request == NULL)
        return;
    request->discarded += g_bytes_get_size(chunk);
    if (request->discarded > TD_HTTP_DISCARD_MAX)
        td_http_cut(message);
}

/* libsoup has looked at the headers before us. */
static void on_headers(SoupServerMessage *message, gpointer data)
{
    struct td_http *h = data;
    h->requests++;
    struct request *request = new_request(h, message);
    unsigned status = soup_server_message_get_status(message);
    soup_message_body_truncate(soup_server_message_get_response_body(message));
    soup_message_headers_remove(soup_server_message_get_response_headers(message), "Content-Type");
    soup_message_headers_remove(soup_server_message_get_response_headers(message), "Cache-Control");
    if (status != SOUP_STATUS_NONE)
        td_http_problem(message, status, "bad_request", "The request target is not one of ours.");
    else if (request == NULL)
        td_http_problem(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed", "Out of memory.");
    else
        admit(request, message);
    if (soup_server_message_get_status(message) != SOUP_STATUS_NONE)
        discard_body(message);
    decorate(h, message);
}

/* The answer to what cannot be parsed, for which libsoup asks nobody. */
static void expect_nonsense(SoupServerMessage *message)
{
    static const char text[] =
        "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
        "\"code\":\"bad_request\",\"detail\":\"The request target is not one of ours.\"}";
    soup_server_message_set_response(message, "application/problem+json", SOUP_MEMORY_STATIC, text,
                                     sizeof(text) - 1);
    set_header(message, "Cache-Control", "no-store");
}

static void on_started(SoupServer *server, SoupServerMessage *message, gpointer data)
{
    (void)server;
    struct td_http *h = data;
    td_clients_started(h->clients, message);
    g_signal_connect(message, "got-headers", G_CALLBACK(on_headers), h);
    g_signal_connect(message, "got-chunk", G_CALLBACK(on_chunk), NULL);
    expect_nonsense(message);
    decorate(h, message);
}

/* After a "100 Continue" libsoup has forgotten all headers of the answer. */
static void on_read(SoupServer *server, SoupServerMessage *message, gpointer data)
{
    (void)server;
    decorate(data, message);
}

static void on_request(SoupServer *server, SoupServerMessage *message, const char *path,
                       GHashTable *query, gpointer data)
{
    (void)server;
    (void)path;
    (void)query;
    (void)data;
    const struct request *request = request_of(message);
    if (request != NULL && request->route != NULL)
        request->route->fn(request->route->ctx, message, request->rest);
    else
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "not_found", "There is nothing here.");
}

void td_http_route(struct td_http *h, const char *prefix, enum td_http_class class,
                   td_http_route_fn *fn, void *ctx)
{
    g_assert(h->route_count < TD_HTTP_ROUTES_MAX);
    size_t len = strlen(prefix);
    h->routes[h->route_count++] = (struct route){
        .prefix = prefix,
        .prefix_len = len > 0 && prefix[len - 1] == '/' ? len - 1 : len,
        .class = class,
        .fn = fn,
        .ctx = ctx,
    };
}

/* ---- the server ---- */

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

static unsigned connections_max(const struct td_config *config)
{
    int64_t max = config->limits.max_connections;
    return max > 0 && max <= UINT32_MAX ? (unsigned)max : TD_HTTP_CONNECTIONS_MAX;
}

static int load_access(struct td_http *h, const struct td_config *config, struct td_fail *ret_fail)
{
    struct td_access *access = NULL;
    int err = td_access_new(config, h->token, ret_fail, &access);
    if (err == 0 && !h->loopback && !td_access_guarded(access, TD_ACCESS_KEYS))
        err = td_fail_set(ret_fail, -TD_E_USAGE,
                          "The address is not loopback: set api_keys or give --token, so that "
                          "not everybody can record.");
    if (err < 0) {
        td_access_free(access);
        return err;
    }
    td_access_free(h->access);
    h->access = access;
    return 0;
}

int td_http_reload(struct td_http *h, const struct td_config *config, struct td_fail *ret_fail)
{
    int err = load_access(h, config, ret_fail);
    if (err == 0)
        td_clients_limit(h->clients, connections_max(config));
    return err;
}

static int start_listening(struct td_http *h, const struct td_http_config *config,
                           struct td_fail *ret_fail)
{
    GSocketAddress *address = parse_address(config->listen);
    if (address == NULL)
        return td_fail_set(ret_fail, -TD_E_USAGE, "'%.80s' is not HOST:PORT.", config->listen);
    GInetAddress *host = g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address));
    h->loopback = g_inet_address_get_is_loopback(host);
    struct td_clients_config clients = {
        .server = h->server,
        .log = config->log,
        .max = connections_max(config->config),
        .read_us = config->read_us > 0 ? config->read_us : TD_HTTP_READ_S * TD_US_PER_S,
        .stall_us = config->stall_us > 0 ? config->stall_us : TD_HTTP_STALL_S * TD_US_PER_S,
    };
    int err = load_access(h, config->config, ret_fail);
    if (err == 0)
        err = td_clients_new(&clients, address, ret_fail, &h->clients);
    g_object_unref(address);
    return err;
}

int td_http_new(const struct td_http_config *config, struct td_fail *ret_fail,
                struct td_http **ret_http)
{
    struct td_http *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    h->log = config->log;
    h->token = config->token != NULL ? strdup(config->token) : NULL;
    /* Paths are decoded here, once, and strictly. */
    h->server = soup_server_new("raw-paths", TRUE, NULL);
    soup_server_add_handler(h->server, NULL, on_request, NULL, NULL);
    g_signal_connect(h->server, "request-started", G_CALLBACK(on_started), h);
    g_signal_connect(h->server, "request-read", G_CALLBACK(on_read), h);
    int err = config->token != NULL && h->token == NULL
                  ? td_fail_set(ret_fail, -ENOMEM, "Out of memory.")
                  : start_listening(h, config, ret_fail);
    if (err < 0) {
        td_http_free(h);
        return err;
    }
    if (!h->loopback)
        td_log_line(h->log, TD_LOG_WARN,
                    "topic=http event=no_tls address=%s text=\"Keys and recordings cross the "
                    "network in the clear. Let a reverse proxy (nginx, Caddy) end TLS and listen "
                    "on 127.0.0.1 behind it.\"",
                    td_http_address(h));
    *ret_http = h;
    return 0;
}

struct td_http *td_http_free(struct td_http *h)
{
    if (h == NULL)
        return NULL;
    soup_server_disconnect(h->server);
    td_clients_free(h->clients);
    g_object_unref(h->server);
    td_access_free(h->access);
    free(h->token);
    free(h);
    return NULL;
}

void td_http_closing(struct td_http *h)
{
    h->closing = true;
}

const char *td_http_address(const struct td_http *h)
{
    return td_clients_address(h->clients);
}

struct td_http_counts td_http_counts(const struct td_http *h)
{
    struct td_clients_counts clients = td_clients_counts(h->clients);
    struct td_http_counts counts = {
        .connections = clients.now,
        .requests = h->requests,
        .turned_away = clients.turned_away,
        .too_slow = clients.too_slow,
        .malformed = clients.malformed,
        .unauthorized = h->unauthorized,
    };
    memcpy(counts.answers, h->answers, sizeof(counts.answers));
    return counts;
}
