/* SPDX-License-Identifier: Apache-2.0 */
#include "source/livekit/signal.h"

#include <errno.h>
#include <libsoup/soup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"

#define USER_AGENT "tapedeck/" TD_VERSION /* neutral: the server reads browsers out of it */
#define SENTENCE_MAX 160                  /* of the server's own words in ours */
#define EXPLANATION_BYTES_MAX 1024u       /* read of a refusal's body */
/* Of one message, taken apart: a repeated field can be two bytes on the wire and 100 here. A room
 * of 10000 participants needs half of it. */
#define MESSAGE_MEMORY_MAX (16u << 20)

enum state { CONNECTING, EXPLAINING, OPEN, CLOSING, CLOSED };

struct td_signal {
    struct td_signal_events events;
    const struct td_log *log;
    enum state state;
    char *url;      /* of the WebSocket */
    char *validate; /* of the plain request that explains a refusal */
    char *bearer;
    SoupSession *session;
    SoupMessage *upgrade;
    SoupWebsocketConnection *socket;
    GCancellable *cancel;
    guint start_timer;
    guint ping_timer;
    guint close_timer;
    int64_t ping_timeout_us;
    int64_t last_message_us;
    int64_t rtt_ms;
    unsigned explained_status;
    bool accepted; /* a message came */
    struct td_fail fail;
};

static void clear_timer(guint *timer)
{
    if (*timer != 0)
        g_source_remove(*timer);
    *timer = 0;
}

static void closed(struct td_signal *s)
{
    if (s->state == CLOSED)
        return;
    s->state = CLOSED;
    clear_timer(&s->start_timer);
    clear_timer(&s->ping_timer);
    clear_timer(&s->close_timer);
    s->events.closed(s->events.ctx, &s->fail);
}

/* ---- refusals ---- */

static const char *advice(unsigned status)
{
    switch (status) {
    case SOUP_STATUS_UNAUTHORIZED:
    case SOUP_STATUS_FORBIDDEN:
        return "check the API key and secret, or the token's grants and expiry";
    case SOUP_STATUS_NOT_FOUND:
        return "check the URL, and that the room exists if the server does not create rooms";
    case SOUP_STATUS_BAD_REQUEST:
        return "check the room name and the identity";
    case SOUP_STATUS_SERVICE_UNAVAILABLE:
        return "the server is at its limits; try again later";
    default:
        return "check the URL and the server's log";
    }
}

/* The server's words without tokens, which it likes to repeat: a JWT begins with "eyJ" ({" in
 * base64url). */
static int quotable(const char *words, size_t len, char ret_text[static SENTENCE_MAX])
{
    size_t from = 0;
    size_t to = 0;
    while (from < len && to + 1 < SENTENCE_MAX) {
        if (len - from >= 3 && memcmp(words + from, "eyJ", 3) == 0) {
            while (from < len && strchr(" ,\t\r\n", words[from]) == NULL)
                from++;
            ret_text[to++] = '*';
        } else {
            unsigned char c = (unsigned char)words[from++];
            ret_text[to++] = (char)(c < ' ' ? ' ' : c);
        }
    }
    while (to > 0 && ret_text[to - 1] == ' ')
        to--;
    return (int)to;
}

static void refused(struct td_signal *s, unsigned status, const char *body, size_t len)
{
    char words[SENTENCE_MAX];
    int shown = quotable(body, len, words);
    (void)td_fail_set(&s->fail, -TD_E_REFUSED, "The server refused (%u%s%.*s): %s.", status,
                      shown > 0 ? ", " : "", shown, words, advice(status));
    closed(s);
}

/* `body` may be NULL; a proxy that strips the upgrade looks like success here. */
static void explained(struct td_signal *s, unsigned status, GBytes *body)
{
    size_t len = 0;
    const char *words = body != NULL ? g_bytes_get_data(body, &len) : "";
    if (status >= 400)
        refused(s, status, words, len);
    else
        refused(s, soup_message_get_status(s->upgrade), "", 0);
}

static void on_explanation(GObject *source, GAsyncResult *result, gpointer data)
{
    GError *error = NULL;
    GBytes *body = g_input_stream_read_bytes_finish(G_INPUT_STREAM(source), result, &error);
    struct td_signal *s = data;
    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        explained(s, s->explained_status, body);
    g_clear_pointer(&body, g_bytes_unref);
    g_clear_error(&error);
}

static void on_explained(GObject *source, GAsyncResult *result, gpointer data)
{
    GError *error = NULL;
    GInputStream *body = soup_session_send_finish(SOUP_SESSION(source), result, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_error_free(error);
        return;
    }
    struct td_signal *s = data;
    SoupMessage *message = soup_session_get_async_result_message(SOUP_SESSION(source), result);
    s->explained_status = message != NULL ? soup_message_get_status(message) : 0;
    if (body != NULL) /* its first bytes only: it may have no end */
        g_input_stream_read_bytes_async(body, EXPLANATION_BYTES_MAX, G_PRIORITY_DEFAULT, s->cancel,
                                        on_explanation, s);
    else
        explained(s, s->explained_status, NULL);
    g_clear_object(&body);
    g_clear_error(&error);
}

/* The body of a failed upgrade is not to be had; the same checks answer a plain request in words.
 */
static void explain(struct td_signal *s)
{
    s->state = EXPLAINING;
    SoupMessage *message = soup_message_new("GET", s->validate);
    if (message == NULL) {
        refused(s, soup_message_get_status(s->upgrade), "", 0);
        return;
    }
    soup_message_headers_append(soup_message_get_request_headers(message), "Authorization",
                                s->bearer);
    soup_message_add_flags(message, SOUP_MESSAGE_NO_REDIRECT);
    soup_session_send_async(s->session, message, G_PRIORITY_DEFAULT, s->cancel, on_explained, s);
    g_object_unref(message);
}

/* ---- messages ---- */

static int64_t wall_ms(void)
{
    return td_clock_wall_us() / TD_US_PER_MS;
}

static gboolean on_ping(gpointer data)
{
    struct td_signal *s = data;
    if (td_clock_now_us() - s->last_message_us > s->ping_timeout_us) {
        (void)td_fail_set(&s->fail, -TD_E_CLOSED, "The server stopped answering.");
        s->ping_timer = 0;
        closed(s);
        return G_SOURCE_REMOVE;
    }
    Lk__SignalRequest request = LK__SIGNAL_REQUEST__INIT;
    request.message_case = LK__SIGNAL_REQUEST__MESSAGE_PING;
    request.ping = wall_ms();
    bool sent = td_signal_send(s, &request) == 0;
    Lk__Ping ping = LK__PING__INIT;
    ping.timestamp = wall_ms();
    ping.rtt = s->rtt_ms;
    request.message_case = LK__SIGNAL_REQUEST__MESSAGE_PING_REQ;
    request.ping_req = &ping;
    sent = td_signal_send(s, &request) == 0 && sent;
    if (!sent) /* a connection that is closing: its end is reported by `closed` */
        td_log_line(s->log, TD_LOG_DEBUG, "event=ping_not_sent");
    return G_SOURCE_CONTINUE;
}

/* The token we came with may be long expired when this connection has to be made again. */
static void keep_token(struct td_signal *s, const char *token)
{
    g_free(s->bearer);
    s->bearer = g_strdup_printf("Bearer %s", token);
}

static void keep_alive(struct td_signal *s, const Lk__JoinResponse *join)
{
    /* LiveKit's own values where the server gives none (fact sheet: 5 s and 15 s). */
    int interval_s = join->ping_interval > 0 && join->ping_interval < 3600 ? join->ping_interval
                                                                           : 5;
    int timeout_s = join->ping_timeout > 0 && join->ping_timeout < 3600 ? join->ping_timeout : 15;
    s->ping_timeout_us = timeout_s * TD_US_PER_S;
    clear_timer(&s->ping_timer);
    s->ping_timer = g_timeout_add_seconds((guint)interval_s, on_ping, s);
}

static void *alloc_bounded(void *data, size_t size)
{
    size_t *left = data;
    if (size > *left)
        return NULL;
    *left -= size;
    return malloc(size);
}

static void free_bounded(void *data, void *memory)
{
    (void)data;
    free(memory);
}

static void on_message(SoupWebsocketConnection *socket, gint type, GBytes *bytes, gpointer data)
{
    (void)socket;
    struct td_signal *s = data;
    size_t len = 0;
    const uint8_t *body = g_bytes_get_data(bytes, &len);
    s->last_message_us = td_clock_now_us();
    if (type != SOUP_WEBSOCKET_DATA_BINARY || s->state != OPEN)
        return;
    size_t left = MESSAGE_MEMORY_MAX;
    ProtobufCAllocator allocator = {
        .alloc = alloc_bounded, .free = free_bounded, .allocator_data = &left};
    Lk__SignalResponse *message = lk__signal_response__unpack(&allocator, len, body);
    if (message == NULL) {
        td_log_line(s->log, TD_LOG_WARN, "event=signal_malformed bytes=%zu", len);
        return;
    }
    s->accepted = true;
    clear_timer(&s->start_timer);
    if (message->message_case == LK__SIGNAL_RESPONSE__MESSAGE_JOIN)
        keep_alive(s, message->join);
    if (message->message_case == LK__SIGNAL_RESPONSE__MESSAGE_REFRESH_TOKEN)
        keep_token(s, message->refresh_token);
    if (message->message_case == LK__SIGNAL_RESPONSE__MESSAGE_PONG_RESP)
        s->rtt_ms = wall_ms() - message->pong_resp->last_ping_timestamp;
    s->events.message(s->events.ctx, message);
    lk__signal_response__free_unpacked(message, &allocator);
}

static void on_socket_closed(SoupWebsocketConnection *socket, gpointer data)
{
    struct td_signal *s = data;
    if (s->state != CLOSING) {
        const char *why = soup_websocket_connection_get_close_data(socket);
        (void)td_fail_set(&s->fail, s->accepted ? -TD_E_CLOSED : -TD_E_REFUSED,
                          "The server closed the signalling connection (%u%s%.100s).",
                          soup_websocket_connection_get_close_code(socket), why != NULL ? ", " : "",
                          why != NULL ? why : "");
    }
    closed(s);
}

static void on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
    GError *error = NULL;
    SoupWebsocketConnection *socket =
        soup_session_websocket_connect_finish(SOUP_SESSION(source), result, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_error_free(error);
        return;
    }
    struct td_signal *s = data;
    if (s->state != CONNECTING) { /* closed meanwhile: that is reported by its own timer */
        g_clear_object(&socket);
        g_clear_error(&error);
        return;
    }
    if (socket == NULL && soup_message_get_status(s->upgrade) != SOUP_STATUS_NONE) {
        explain(s);
    } else if (socket == NULL) {
        (void)td_fail_set(&s->fail, -TD_E_REFUSED,
                          "The server cannot be reached (%.120s): check the URL and that it runs.",
                          error->message);
        closed(s);
    } else {
        s->socket = socket;
        s->state = OPEN;
        s->last_message_us = td_clock_now_us();
        soup_websocket_connection_set_max_incoming_payload_size(socket, TD_SIGNAL_BYTES_MAX);
        g_signal_connect(socket, "message", G_CALLBACK(on_message), s);
        g_signal_connect(socket, "closed", G_CALLBACK(on_socket_closed), s);
    }
    g_clear_error(&error);
}

static gboolean on_start_timeout(gpointer data)
{
    struct td_signal *s = data;
    s->start_timer = 0;
    (void)td_fail_set(&s->fail, -TD_E_TIMEOUT,
                      "The server did not answer within %d s: check the URL and that it runs.",
                      (int)(TD_START_TIMEOUT_US / TD_US_PER_S));
    closed(s);
    return G_SOURCE_REMOVE;
}

/* ---- opening and closing ---- */

bool td_signal_is_local(const char *url)
{
    GUri *uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
    const char *host = uri != NULL ? g_uri_get_host(uri) : NULL;
    bool local = host != NULL && (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
                                  strncmp(host, "127.", 4) == 0);
    g_clear_pointer(&uri, g_uri_unref);
    return local;
}

/* "ws://host/prefix" to "ws://host/prefix/rtc?query" and the plain "http://…/rtc/validate?query".
 */
static int make_urls(struct td_signal *s, const struct td_signal_config *config,
                     struct td_fail *ret_fail)
{
    static const struct {
        const char *scheme;
        const char *socket;
        const char *plain;
    } schemes[] = {
        {"ws://", "ws://", "http://"},
        {"wss://", "wss://", "https://"},
        {"http://", "ws://", "http://"},
        {"https://", "wss://", "https://"},
    };
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        size_t len = strlen(schemes[i].scheme);
        if (strncmp(config->url, schemes[i].scheme, len) != 0 || config->url[len] == '\0')
            continue;
        const char *rest = config->url + len;
        int rest_len = (int)strcspn(rest, "?#");
        while (rest_len > 0 && rest[rest_len - 1] == '/')
            rest_len--;
        s->url = g_strdup_printf("%s%.*s/rtc?%s", schemes[i].socket, rest_len, rest, config->query);
        s->validate = g_strdup_printf("%s%.*s/rtc/validate?%s", schemes[i].plain, rest_len, rest,
                                      config->query);
        return 0;
    }
    return td_fail_set(ret_fail, -TD_E_USAGE,
                       "'%.100s' is not a LiveKit URL; it begins with ws:// or wss://.",
                       config->url);
}

int td_signal_open(const struct td_signal_config *config, const struct td_signal_events *events,
                   struct td_fail *ret_fail, struct td_signal **ret_signal)
{
    struct td_signal *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    s->events = *events;
    s->log = config->log;
    int r = make_urls(s, config, ret_fail);
    if (r == 0) {
        s->upgrade = soup_message_new("GET", s->url);
        if (s->upgrade == NULL)
            r = td_fail_set(ret_fail, -TD_E_USAGE, "'%.100s' is not a valid URL.", config->url);
    }
    if (r < 0) {
        td_signal_free(s);
        return r;
    }
    s->bearer = g_strdup_printf("Bearer %s", config->token);
    s->session = soup_session_new_with_options("user-agent", USER_AGENT, NULL);
    s->cancel = g_cancellable_new();
    /* The token is for the server that was named, and for no other that it may point to. */
    soup_message_add_flags(s->upgrade, SOUP_MESSAGE_NO_REDIRECT);
    soup_message_headers_append(soup_message_get_request_headers(s->upgrade), "Authorization",
                                s->bearer);
    s->start_timer =
        g_timeout_add((guint)(TD_START_TIMEOUT_US / TD_US_PER_MS), on_start_timeout, s);
    soup_session_websocket_connect_async(s->session, s->upgrade, NULL, NULL, G_PRIORITY_DEFAULT,
                                         s->cancel, on_connected, s);
    *ret_signal = s;
    return 0;
}

int td_signal_send(struct td_signal *s, const Lk__SignalRequest *request)
{
    if (s->state != OPEN ||
        soup_websocket_connection_get_state(s->socket) != SOUP_WEBSOCKET_STATE_OPEN)
        return -TD_E_STATE;
    size_t len = lk__signal_request__get_packed_size(request);
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    if (bytes == NULL)
        return -ENOMEM;
    (void)lk__signal_request__pack(request, bytes);
    soup_websocket_connection_send_binary(s->socket, bytes, len);
    free(bytes);
    return 0;
}

static gboolean on_close_timeout(gpointer data)
{
    struct td_signal *s = data;
    s->close_timer = 0;
    closed(s);
    return G_SOURCE_REMOVE;
}

void td_signal_close(struct td_signal *s)
{
    if (s->state == CLOSING || s->state == CLOSED)
        return;
    bool open = s->state == OPEN &&
                soup_websocket_connection_get_state(s->socket) == SOUP_WEBSOCKET_STATE_OPEN;
    s->state = CLOSING;
    clear_timer(&s->start_timer);
    clear_timer(&s->ping_timer);
    if (open)
        soup_websocket_connection_close(s->socket, SOUP_WEBSOCKET_CLOSE_NORMAL, NULL);
    /* Even a close that is done at once is reported from the loop, never from within this call. */
    s->close_timer =
        g_timeout_add(open ? (guint)(TD_SIGNAL_CLOSE_US / TD_US_PER_MS) : 0, on_close_timeout, s);
}

struct td_signal *td_signal_free(struct td_signal *s)
{
    if (s == NULL)
        return NULL;
    clear_timer(&s->start_timer);
    clear_timer(&s->ping_timer);
    clear_timer(&s->close_timer);
    if (s->cancel != NULL)
        g_cancellable_cancel(s->cancel);
    if (s->socket != NULL)
        g_signal_handlers_disconnect_by_data(s->socket, s);
    g_clear_object(&s->socket);
    g_clear_object(&s->upgrade);
    g_clear_object(&s->session);
    g_clear_object(&s->cancel);
    g_free(s->url);
    g_free(s->validate);
    g_free(s->bearer);
    free(s);
    return NULL;
}
