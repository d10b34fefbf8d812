/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <errno.h>
#include <libsoup/soup.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define PIECE_BYTES (64u << 10)
#define TICK_MS 1000

struct td_client {
    char *server;
    char *bearer; /* "Bearer …"; NULL = none */
    SoupSession *session;
    GMainContext *context;
};

/* One call on its way. */
struct call {
    const struct td_client *client;
    const struct td_client_request *request;
    SoupMessage *message;
    GCancellable *cancel;
    GInputStream *stream;
    GByteArray *body;
    GError *error;
    int64_t begin_us;
    bool late;
    bool large;
    bool done;
};

/* ---- life ---- */

static bool is_loopback(GUri *uri)
{
    GInetAddress *address = g_inet_address_new_from_string(g_uri_get_host(uri));
    bool loopback = address != NULL ? g_inet_address_get_is_loopback(address)
                                    : g_ascii_strcasecmp(g_uri_get_host(uri), "localhost") == 0;
    g_clear_object(&address);
    return loopback;
}

static bool is_server(GUri *uri)
{
    return uri != NULL && g_uri_get_host(uri) != NULL && g_uri_get_host(uri)[0] != '\0' &&
           g_uri_get_query(uri) == NULL && g_uri_get_fragment(uri) == NULL &&
           g_uri_get_userinfo(uri) == NULL &&
           (strcmp(g_uri_get_scheme(uri), "http") == 0 ||
            strcmp(g_uri_get_scheme(uri), "https") == 0);
}

static SoupSession *new_session(GUri *uri)
{
    SoupSession *session =
        soup_session_new_with_options("user-agent", "tapedeck/" TD_VERSION, NULL);
    /* No daemon of ours compresses, and what is packed has no bound. */
    soup_session_remove_feature_by_type(session, SOUP_TYPE_CONTENT_DECODER);
    if (is_loopback(uri)) /* a proxy would look for it on its own machine */
        soup_session_set_proxy_resolver(session, NULL);
    return session;
}

int td_client_new(const char *server, const char *token, struct td_fail *ret_fail,
                  struct td_client **ret_client)
{
    GUri *uri = g_uri_parse(server, G_URI_FLAGS_NONE, NULL);
    if (!is_server(uri)) {
        g_clear_pointer(&uri, g_uri_unref);
        return td_fail_set(ret_fail, -TD_E_USAGE,
                           "The daemon's address has to look like " TD_CLIENT_DEFAULT_URL ".");
    }
    for (const char *p = token != NULL ? token : ""; *p != '\0'; p++) {
        if (*p > ' ' && *p < 0x7f)
            continue;
        g_uri_unref(uri);
        return td_fail_set(ret_fail, -TD_E_USAGE, "A key has visible ASCII characters only.");
    }
    struct td_client *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        g_uri_unref(uri);
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    }
    c->server = g_strdup(server);
    for (size_t len = strlen(server); len > 0 && c->server[len - 1] == '/'; len--)
        c->server[len - 1] = '\0';
    c->bearer = token != NULL && token[0] != '\0' ? g_strconcat("Bearer ", token, NULL) : NULL;
    c->session = new_session(uri);
    c->context = g_main_context_new();
    g_uri_unref(uri);
    *ret_client = c;
    return 0;
}

struct td_client *td_client_free(struct td_client *c)
{
    if (c == NULL)
        return NULL;
    g_object_unref(c->session);
    g_main_context_unref(c->context);
    g_free(c->server);
    g_free(c->bearer);
    free(c);
    return NULL;
}

/* ---- time ---- */

static GSource *add_timer(const struct td_client *c, int64_t us, GSourceFunc on, void *ctx)
{
    GSource *source = g_timeout_source_new((guint)((us + TD_US_PER_MS - 1) / TD_US_PER_MS));
    g_source_set_callback(source, on, ctx, NULL);
    g_source_attach(source, c->context);
    return source;
}

static void drop_timer(GSource *source)
{
    g_source_destroy(source);
    g_source_unref(source);
}

static gboolean on_late(gpointer data)
{
    struct call *call = data;
    call->late = true;
    g_cancellable_cancel(call->cancel);
    return G_SOURCE_CONTINUE;
}

static gboolean on_tick(gpointer data)
{
    struct call *call = data;
    if (call->request->waiting != NULL && !call->done)
        call->request->waiting(call->request->ctx, td_clock_now_us() - call->begin_us);
    return G_SOURCE_CONTINUE;
}

static gboolean on_paused(gpointer data)
{
    bool *over = data;
    *over = true;
    return G_SOURCE_CONTINUE;
}

void td_client_pause(struct td_client *c, int64_t us)
{
    bool over = false;
    GSource *timer = add_timer(c, us, on_paused, &over);
    while (!over)
        g_main_context_iteration(c->context, TRUE);
    drop_timer(timer);
}

/* ---- a call ---- */

static void on_piece(GObject *source, GAsyncResult *result, gpointer data)
{
    struct call *call = data;
    GBytes *piece = g_input_stream_read_bytes_finish(G_INPUT_STREAM(source), result, &call->error);
    size_t len = piece != NULL ? g_bytes_get_size(piece) : 0;
    if (len > TD_CLIENT_ANSWER_MAX - call->body->len)
        call->large = true;
    if (len > 0 && !call->large)
        g_byte_array_append(call->body, g_bytes_get_data(piece, NULL), (guint)len);
    if (len == 0 || call->large)
        call->done = true;
    else
        g_input_stream_read_bytes_async(call->stream, PIECE_BYTES, G_PRIORITY_DEFAULT, call->cancel,
                                        on_piece, call);
    g_clear_pointer(&piece, g_bytes_unref);
}

static void on_head(GObject *source, GAsyncResult *result, gpointer data)
{
    struct call *call = data;
    call->stream = soup_session_send_finish(SOUP_SESSION(source), result, &call->error);
    if (call->stream == NULL)
        call->done = true;
    else
        g_input_stream_read_bytes_async(call->stream, PIECE_BYTES, G_PRIORITY_DEFAULT, call->cancel,
                                        on_piece, call);
}

static int put_body(SoupMessage *message, const json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    if (text == NULL)
        return -ENOMEM;
    GBytes *bytes = g_bytes_new(text, strlen(text));
    soup_message_set_request_body_from_bytes(message, "application/json", bytes);
    g_bytes_unref(bytes);
    free(text);
    return 0;
}

static int make_message(const struct td_client *c, const struct td_client_request *request,
                        SoupMessage **ret_message)
{
    char *url = g_strconcat(c->server, request->path, NULL);
    SoupMessage *message = soup_message_new(request->method, url);
    g_free(url);
    if (message == NULL)
        return -TD_E_USAGE;
    SoupMessageHeaders *headers = soup_message_get_request_headers(message);
    soup_message_add_flags(message, SOUP_MESSAGE_NO_REDIRECT | SOUP_MESSAGE_NEW_CONNECTION);
    if (c->bearer != NULL)
        soup_message_headers_replace(headers, "Authorization", c->bearer);
    if (request->key != NULL)
        soup_message_headers_replace(headers, "Idempotency-Key", request->key);
    int err = request->body != NULL ? put_body(message, request->body) : 0;
    if (err < 0)
        g_object_unref(message);
    else
        *ret_message = message;
    return err;
}

static void run_call(struct call *call)
{
    GMainContext *context = call->client->context;
    g_main_context_push_thread_default(context);
    GSource *late = add_timer(call->client, call->request->timeout_us, on_late, call);
    GSource *tick = add_timer(call->client, TICK_MS * TD_US_PER_MS, on_tick, call);
    soup_session_send_async(call->client->session, call->message, G_PRIORITY_DEFAULT, call->cancel,
                            on_head, call);
    while (!call->done)
        g_main_context_iteration(context, TRUE);
    /* To close an answer that was not read to its end would read on. */
    g_cancellable_cancel(call->cancel);
    if (call->stream != NULL)
        (void)g_input_stream_close(call->stream, call->cancel, NULL); /* nothing was written */
    soup_session_abort(call->client->session);
    g_clear_object(&call->stream);
    drop_timer(late);
    drop_timer(tick);
    g_main_context_pop_thread_default(context);
}

static int judge(const struct call *call, struct td_fail *ret_fail)
{
    const char *server = call->client->server;
    if (call->late)
        return td_fail_set(ret_fail, -TD_E_TIMEOUT, "The daemon at %.100s gave no answer in %d s.",
                           server, (int)(call->request->timeout_us / TD_US_PER_S));
    if (call->large)
        return td_fail_set(ret_fail, -TD_E_LIMIT, "The answer of %.100s is larger than %u MiB.",
                           server, TD_CLIENT_ANSWER_MAX >> 20);
    if (call->error != NULL)
        return td_fail_set(ret_fail, -TD_E_CLOSED,
                           "No daemon answers at %.100s (%.60s). Does 'tapedeck serve' run, and is "
                           "--server right?",
                           server, call->error->message);
    return 0;
}

/* Takes the body over. */
static void take_answer(struct call *call, struct td_client_answer *ret_answer)
{
    guint8 nul = 0;
    size_t len = call->body->len;
    g_byte_array_append(call->body, &nul, 1);
    char *text = (char *)g_byte_array_free(call->body, FALSE);
    call->body = NULL;
    *ret_answer = (struct td_client_answer){
        .status = soup_message_get_status(call->message),
        .json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL),
        .text = text,
    };
}

int td_client_call(struct td_client *c, const struct td_client_request *request,
                   struct td_fail *ret_fail, struct td_client_answer *ret_answer)
{
    struct call call = {.client = c, .request = request, .begin_us = td_clock_now_us()};
    int err = make_message(c, request, &call.message);
    if (err < 0)
        return td_fail_set(ret_fail, err, "The call cannot be made: %s.", td_err_text(err));
    call.cancel = g_cancellable_new();
    call.body = g_byte_array_new();
    run_call(&call);
    err = judge(&call, ret_fail);
    if (err == 0)
        take_answer(&call, ret_answer);
    if (call.body != NULL)
        g_byte_array_unref(call.body);
    g_clear_error(&call.error);
    g_object_unref(call.cancel);
    g_object_unref(call.message);
    return err;
}

void td_client_answer_done(struct td_client_answer *answer)
{
    json_decref(answer->json);
    g_free(answer->text);
    *answer = (struct td_client_answer){.status = 0};
}
