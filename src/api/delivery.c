/* SPDX-License-Identifier: Apache-2.0 */
#include "api/delivery.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (16u << 10)
#define CONNECTIONS 8

struct td_delivery {
    td_delivery_done_fn *done; /* NULL: nobody waits for it any more */
    void *ctx;
    SoupMessage *message;
    GInputStream *answer;
    GCancellable *cancel;
    guint timer;
    size_t read_bytes;
};

SoupSession *td_delivery_session(void)
{
    return soup_session_new_with_options(
        "timeout", (guint)(TD_DELIVERY_US / TD_US_PER_S), "idle-timeout", 30, "user-agent",
        "tapedeck/" TD_VERSION, "max-conns", CONNECTIONS, "max-conns-per-host", CONNECTIONS, NULL);
}

/* With no call of GIO under way any more. */
static void dispose(struct td_delivery *d)
{
    g_clear_object(&d->answer);
    g_clear_object(&d->message);
    g_clear_object(&d->cancel);
    free(d);
}

/* Tells once; what is under way goes on without a listener until `d` is disposed of. */
static void tell(struct td_delivery *d, unsigned status, const char *why)
{
    td_delivery_done_fn *done = d->done;
    d->done = NULL;
    if (d->timer != 0)
        g_source_remove(d->timer);
    d->timer = 0;
    if (done != NULL)
        done(d->ctx, status, why);
}

struct td_delivery *td_delivery_free(struct td_delivery *d)
{
    if (d == NULL)
        return NULL;
    d->done = NULL;
    tell(d, 0, NULL);
    g_cancellable_cancel(d->cancel); /* its callback follows, and disposes of it */
    return NULL;
}

static gboolean on_deadline(gpointer data)
{
    struct td_delivery *d = data;
    d->timer = 0;
    unsigned status = d->answer != NULL ? soup_message_get_status(d->message) : 0;
    g_cancellable_cancel(d->cancel);
    tell(d, status, "no answer in time");
    return G_SOURCE_REMOVE;
}

static void on_chunk(GObject *source, GAsyncResult *result, gpointer data);

static void read_on(struct td_delivery *d)
{
    g_input_stream_read_bytes_async(d->answer, CHUNK_BYTES, G_PRIORITY_DEFAULT, d->cancel, on_chunk,
                                    d);
}

/* What it says does not matter, only that we listened to the end of it. */
static void on_chunk(GObject *source, GAsyncResult *result, gpointer data)
{
    struct td_delivery *d = data;
    GBytes *bytes = g_input_stream_read_bytes_finish(G_INPUT_STREAM(source), result, NULL);
    size_t len = bytes != NULL ? g_bytes_get_size(bytes) : 0;
    g_clear_pointer(&bytes, g_bytes_unref);
    d->read_bytes += len;
    if (len > 0 && d->read_bytes < TD_DELIVERY_READ_MAX && d->done != NULL) {
        read_on(d);
        return;
    }
    tell(d, soup_message_get_status(d->message), "");
    dispose(d);
}

static void on_sent(GObject *source, GAsyncResult *result, gpointer data)
{
    struct td_delivery *d = data;
    GError *error = NULL;
    d->answer = soup_session_send_finish(SOUP_SESSION(source), result, &error);
    if (d->answer != NULL && d->done != NULL) {
        read_on(d);
        return;
    }
    tell(d, 0, error != NULL ? error->message : "cancelled");
    g_clear_error(&error);
    dispose(d);
}

static SoupMessage *compose(const char *url, const char *authorization, const char *body)
{
    GUri *uri = g_uri_parse(url, SOUP_HTTP_URI_FLAGS, NULL);
    const char *scheme = uri != NULL ? g_uri_get_scheme(uri) : "";
    bool http = strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0;
    SoupMessage *message = http && g_uri_get_host(uri) != NULL && g_uri_get_host(uri)[0] != '\0'
                               ? soup_message_new_from_uri("POST", uri)
                               : NULL;
    g_clear_pointer(&uri, g_uri_unref);
    if (message == NULL)
        return NULL;
    /* A redirect would take letter and signature to a place nobody configured, and a password in
     * the URL would take the place of the signature. */
    soup_message_add_flags(message, SOUP_MESSAGE_NO_REDIRECT | SOUP_MESSAGE_DO_NOT_USE_AUTH_CACHE);
    soup_message_headers_replace(soup_message_get_request_headers(message), "Authorization",
                                 authorization);
    GBytes *bytes = g_bytes_new(body, strlen(body));
    soup_message_set_request_body_from_bytes(message, "application/webhook+json", bytes);
    g_bytes_unref(bytes);
    return message;
}

int td_delivery_new(SoupSession *session, const char *url, const char *authorization,
                    const char *body, td_delivery_done_fn *done, void *ctx,
                    struct td_delivery **ret_delivery)
{
    struct td_delivery *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return -ENOMEM;
    d->message = compose(url, authorization, body);
    if (d->message == NULL) {
        free(d);
        return -EINVAL;
    }
    d->done = done;
    d->ctx = ctx;
    d->cancel = g_cancellable_new();
    d->timer = g_timeout_add((guint)(TD_DELIVERY_US / TD_US_PER_MS), on_deadline, d);
    soup_session_send_async(session, d->message, G_PRIORITY_DEFAULT, d->cancel, on_sent, d);
    *ret_delivery = d;
    return 0;
}
