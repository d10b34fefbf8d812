/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <glib.h>
#include <jansson.h>
#include <libsoup/soup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "publisher/link.h"
#include "webrtc/peer.h"
#include "webrtc/sdp.h"

#define USER_AGENT "tapedeck/" TD_VERSION
#define SDP_TYPE "application/sdp"
#define BODY_BYTES_MAX (64u << 10) /* an answer has two sections; a server's words are shorter */
#define SENTENCE_MAX 160
#define DELETE_LOST_MS 300 /* a server that we gave up may still hear it */

struct whip {
    struct td_link link; /* first */
    struct td_link_config config;
    struct td_link_events events;
    struct td_peer *peer;
    char *candidates[TD_CANDIDATES_MAX];
    unsigned candidate_count;
    SoupSession *session;
    GCancellable *cancel;
    SoupMessage *post;
    char *bearer;   /* NULL = none */
    char *resource; /* absolute URL of our session, NULL before 201 */
    char *body;     /* BODY_BYTES_MAX */
    guint timer;    /* until connected; then of the goodbye */
    bool posted;
    bool probing;
    bool ending;
    bool closing; /* the goodbye is said or given up */
    enum td_link_end end;
    struct td_fail fail;
};

/* ---- the end ---- */

static void clear_timer(struct whip *w)
{
    if (w->timer != 0)
        g_source_remove(w->timer);
    w->timer = 0;
}

static void close_peer(struct whip *w)
{
    if (w->closing)
        return;
    w->closing = true;
    clear_timer(w);
    g_cancellable_cancel(w->cancel);
    td_peer_close(w->peer);
}

static gboolean on_goodbye_timeout(gpointer data)
{
    struct whip *w = data;
    w->timer = 0;
    close_peer(w);
    return G_SOURCE_REMOVE;
}

static void on_deleted(GObject *source, GAsyncResult *result, gpointer data)
{
    GError *error = NULL;
    GInputStream *stream = soup_session_send_finish(SOUP_SESSION(source), result, &error);
    bool cancelled = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_clear_object(&stream);
    g_clear_error(&error);
    if (!cancelled) /* else the link may be gone already */
        close_peer(data);
}

static SoupMessage *new_request(const struct whip *w, const char *method, const char *url)
{
    SoupMessage *message = soup_message_new(method, url);
    if (message != NULL && w->bearer != NULL)
        soup_message_headers_replace(soup_message_get_request_headers(message), "Authorization",
                                     w->bearer);
    return message;
}

/* RFC 9725 section 4.2: the session is ended by a DELETE on its own URL. */
static void say_goodbye(struct whip *w)
{
    SoupMessage *message = w->resource != NULL ? new_request(w, "DELETE", w->resource) : NULL;
    if (message == NULL) {
        close_peer(w);
        return;
    }
    guint ms = w->end == TD_LINK_STOPPED ? (guint)(TD_LINK_STOP_US / TD_US_PER_MS) : DELETE_LOST_MS;
    w->timer = g_timeout_add(ms, on_goodbye_timeout, w);
    soup_session_send_async(w->session, message, G_PRIORITY_DEFAULT, w->cancel, on_deleted, w);
    g_object_unref(message);
}

TD_PRINTF(4, 5)
static void end(struct whip *w, enum td_link_end how, int code, const char *fmt, ...)
{
    if (w->ending)
        return;
    char text[TD_FAIL_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* long sentences are cut */
    va_end(args);
    w->ending = true;
    w->end = how;
    if (code < 0)
        (void)td_fail_set(&w->fail, code, "%s", text);
    clear_timer(w);
    td_pump_detach(w->config.pump);
    say_goodbye(w);
}

static void forget_session(struct whip *w)
{
    free(w->resource);
    w->resource = NULL;
}

static gboolean on_timeout(gpointer data)
{
    struct whip *w = data;
    w->timer = 0;
    if (w->resource == NULL)
        end(w, TD_LINK_LOST, -TD_E_TIMEOUT,
            "The server did not answer within 10 s: check the URL and that it runs.");
    else
        end(w, TD_LINK_LOST, -TD_E_TIMEOUT,
            "No media connection within 10 s: check that UDP reaches the server.");
    return G_SOURCE_REMOVE;
}

/* ---- the answer ---- */

static int read_answer(struct whip *w, const char *text, size_t len)
{
    struct td_sdp *answer = NULL;
    int r = td_sdp_parse(text, len, &answer);
    if (r == 0)
        r = td_link_set_remote(w->peer, answer, true);
    td_sdp_free(answer);
    return r;
}

/* Location may be relative to where we posted (RFC 9725 section 4.2). */
static char *resource_url(const struct whip *w)
{
    const char *location =
        soup_message_headers_get_one(soup_message_get_response_headers(w->post), "Location");
    GUri *base = soup_message_get_uri(w->post);
    GUri *uri = location != NULL ? g_uri_parse_relative(base, location, SOUP_HTTP_URI_FLAGS, NULL)
                                 : NULL;
    if (uri == NULL)
        return NULL;
    char *text = g_uri_to_string(uri);
    char *copy = strdup(text);
    g_free(text);
    g_uri_unref(uri);
    return copy;
}

static void on_created(struct whip *w, size_t len)
{
    w->resource = resource_url(w);
    if (w->resource == NULL) {
        end(w, TD_LINK_REFUSED, -TD_E_PARSE, "The server gave no session URL (Location).");
        return;
    }
    int r = read_answer(w, w->body, len);
    if (r < 0)
        end(w, TD_LINK_REFUSED, r, "The server's answer cannot be used: %s.", td_err_text(r));
}

/* The server's own words: the detail of a problem document (RFC 9457), or the plain body. */
static void words_of(const struct whip *w, size_t len, char ret_words[static SENTENCE_MAX])
{
    json_t *problem = json_loadb(w->body, len, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    size_t shown = len < SENTENCE_MAX - 1 ? len : SENTENCE_MAX - 1;
    while (shown > 0 && (unsigned char)w->body[shown - 1] <= ' ')
        shown--;
    (void)snprintf(ret_words, SENTENCE_MAX, "%.*s", (int)shown, w->body);
    if (detail != NULL)
        (void)snprintf(ret_words, SENTENCE_MAX, "%s", detail);
    json_decref(problem);
}

static bool may_change(unsigned status)
{
    return status == SOUP_STATUS_NOT_FOUND || status == SOUP_STATUS_REQUEST_TIMEOUT ||
           status == SOUP_STATUS_CONFLICT || status == 429 || status >= 500;
}

static void on_refused(struct whip *w, unsigned status, size_t len)
{
    char words[SENTENCE_MAX];
    words_of(w, len, words);
    const char *advice = status == SOUP_STATUS_UNAUTHORIZED || status == SOUP_STATUS_FORBIDDEN
                             ? "check the token (--whip-token)"
                         : status == SOUP_STATUS_NOT_FOUND ? "check the URL"
                                                           : "check the server's log";
    end(w, may_change(status) ? TD_LINK_LOST : TD_LINK_REFUSED, -TD_E_REFUSED,
        "The server refused (%u%s%s): %s.", status, words[0] != '\0' ? ", " : "", words, advice);
}

static void on_body(GObject *source, GAsyncResult *result, gpointer data)
{
    GError *error = NULL;
    gsize len = 0;
    (void)g_input_stream_read_all_finish(G_INPUT_STREAM(source), result, &len, &error);
    bool cancelled = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    bool broken = error != NULL;
    g_clear_error(&error);
    if (cancelled)
        return;
    struct whip *w = data;
    unsigned status = soup_message_get_status(w->post);
    if (w->ending)
        return;
    if (status != SOUP_STATUS_CREATED)
        on_refused(w, status, len);
    else if (broken || len == BODY_BYTES_MAX)
        end(w, TD_LINK_LOST, -TD_E_PARSE, "The server's answer is cut or too long.");
    else
        on_created(w, len);
}

static void on_response(GObject *source, GAsyncResult *result, gpointer data)
{
    GError *error = NULL;
    GInputStream *stream = soup_session_send_finish(SOUP_SESSION(source), result, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_error_free(error);
        return;
    }
    struct whip *w = data;
    if (stream != NULL) {
        g_input_stream_read_all_async(stream, w->body, BODY_BYTES_MAX, G_PRIORITY_DEFAULT,
                                      w->cancel, on_body, w);
        g_object_unref(stream);
    } else {
        end(w, TD_LINK_LOST, -TD_E_REFUSED,
            "The server cannot be reached (%.120s): check the URL and that it runs.",
            error->message);
    }
    g_clear_error(&error);
}

/* ---- the offer ---- */

/* All candidates are known: the one POST carries them, and nothing has to be trickled. */
static void post_offer(struct whip *w)
{
    char *offer = NULL;
    w->posted = true;
    int r = td_link_offer(&w->config, w->peer, (const char *const *)w->candidates,
                          w->candidate_count, false, &offer);
    if (r < 0) {
        end(w, TD_LINK_REFUSED, r, "No offer could be made: %s.", td_err_text(r));
        return;
    }
    GBytes *body = g_bytes_new(offer, strlen(offer));
    soup_message_set_request_body_from_bytes(w->post, SDP_TYPE, body);
    soup_message_headers_replace(soup_message_get_request_headers(w->post), "Accept", SDP_TYPE);
    soup_session_send_async(w->session, w->post, G_PRIORITY_DEFAULT, w->cancel, on_response, w);
    g_bytes_unref(body);
    free(offer);
}

static void on_peer_candidate(void *ctx, const char *candidate)
{
    struct whip *w = ctx;
    if (w->ending || w->posted)
        return;
    if (candidate == NULL) {
        post_offer(w);
        return;
    }
    char *copy = w->candidate_count < TD_CANDIDATES_MAX ? strdup(candidate) : NULL;
    if (copy != NULL) /* one less is a path less */
        w->candidates[w->candidate_count++] = copy;
}

static void on_peer_state(void *ctx, enum td_peer_state state, int error)
{
    struct whip *w = ctx;
    if (w->ending)
        return;
    switch (state) {
    case TD_PEER_CONNECTED:
        clear_timer(w);
        if (td_pump_attach(w->config.pump, w->peer) < 0)
            end(w, TD_LINK_LOST, -ENOBUFS, "The media loop is overloaded.");
        else
            w->events.connected(w->events.ctx);
        break;
    case TD_PEER_FAILED:
        end(w, TD_LINK_LOST, error < 0 ? error : -TD_E_CLOSED, "The media connection failed (%s).",
            td_err_text(error));
        break;
    case TD_PEER_CLOSED:
        end(w, TD_LINK_LOST, -TD_E_CLOSED, "The server closed the media connection.");
        break;
    case TD_PEER_NEW:
    case TD_PEER_CONNECTING:
        break;
    }
}

static void on_peer_closed(void *ctx)
{
    struct whip *w = ctx;
    w->peer = NULL;
    w->events.ended(w->events.ctx, w->end, &w->fail);
}

/* ---- doubts ---- */

static void on_probed(GObject *source, GAsyncResult *result, gpointer data)
{
    GError *error = NULL;
    GInputStream *stream = soup_session_send_finish(SOUP_SESSION(source), result, &error);
    SoupMessage *message = soup_session_get_async_result_message(SOUP_SESSION(source), result);
    unsigned status = message != NULL ? soup_message_get_status(message) : 0;
    bool cancelled = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    bool reached = stream != NULL;
    g_clear_object(&stream);
    g_clear_error(&error);
    if (cancelled)
        return;
    struct whip *w = data;
    w->probing = false;
    if (w->ending)
        return;
    if (reached && status != SOUP_STATUS_NOT_FOUND && status != SOUP_STATUS_GONE)
        return;
    forget_session(w);
    end(w, TD_LINK_LOST, -TD_E_CLOSED,
        reached ? "The server does not know our session any more." : "The server is gone.");
}

/* A killed server answers no RTCP, but neither does a quiet one. Its HTTP side tells them apart:
 * RFC 9725 section 4.2 has GET on a live session answered with 405. */
static void whip_doubt(struct td_link *link)
{
    struct whip *w = (struct whip *)link;
    if (w->ending || w->probing || w->resource == NULL)
        return;
    SoupMessage *message = new_request(w, "GET", w->resource);
    if (message == NULL)
        return;
    w->probing = true;
    soup_session_send_async(w->session, message, G_PRIORITY_DEFAULT, w->cancel, on_probed, w);
    g_object_unref(message);
}

static void whip_lose(struct td_link *link)
{
    end((struct whip *)link, TD_LINK_LOST, -TD_E_CLOSED, "The server has become silent.");
}

/* ---- making and freeing ---- */

static void whip_stop(struct td_link *link)
{
    end((struct whip *)link, TD_LINK_STOPPED, 0, "%s", "");
}

static struct td_link *whip_free(struct td_link *link)
{
    struct whip *w = (struct whip *)link;
    if (w == NULL)
        return NULL;
    clear_timer(w);
    if (w->cancel != NULL)
        g_cancellable_cancel(w->cancel);
    g_clear_object(&w->post);
    g_clear_object(&w->session);
    g_clear_object(&w->cancel);
    while (w->candidate_count > 0)
        free(w->candidates[--w->candidate_count]);
    free(w->resource);
    free(w->bearer);
    free(w->body);
    free(w);
    return NULL;
}

static int make_bearer(struct whip *w)
{
    static const char prefix[] = "Bearer ";
    if (w->config.token == NULL)
        return 0;
    size_t size = sizeof(prefix) + strlen(w->config.token);
    w->bearer = malloc(size);
    if (w->bearer == NULL)
        return -ENOMEM;
    (void)snprintf(w->bearer, size, "%s%s", prefix, w->config.token);
    return 0;
}

static int prepare(struct whip *w, struct td_fail *ret_fail)
{
    w->body = malloc(BODY_BYTES_MAX);
    if (w->body == NULL || make_bearer(w) < 0)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    w->post = new_request(w, "POST", w->config.url);
    const char *scheme = w->post != NULL ? g_uri_get_scheme(soup_message_get_uri(w->post)) : "";
    if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        return td_fail_set(ret_fail, -TD_E_USAGE, "'%.128s' is not an http:// or https:// URL.",
                           w->config.url);
    w->cancel = g_cancellable_new();
    w->session = soup_session_new_with_options("user-agent", USER_AGENT, "timeout",
                                               (guint)(TD_START_TIMEOUT_US / TD_US_PER_S), NULL);
    return 0;
}

static int whip_open(const struct td_link_config *config, const struct td_link_events *events,
                     struct td_fail *ret_fail, struct td_link **ret_link)
{
    struct whip *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    w->link.ops = &td_link_whip;
    w->config = *config;
    w->events = *events;
    struct td_peer_events peer = {
        .ctx = w,
        .state = on_peer_state,
        .candidate = on_peer_candidate,
        .closed = on_peer_closed,
    };
    int r = prepare(w, ret_fail);
    if (r == 0)
        r = td_link_open_peer(config, true, &peer, ret_fail, &w->peer);
    if (r < 0) {
        (void)whip_free(&w->link);
        return r;
    }
    w->timer = g_timeout_add((guint)(TD_START_TIMEOUT_US / TD_US_PER_MS), on_timeout, w);
    *ret_link = &w->link;
    return 0;
}

const struct td_link_ops td_link_whip = {
    .name = "whip",
    .open = whip_open,
    .stop = whip_stop,
    .doubt = whip_doubt,
    .lose = whip_lose,
    .free = whip_free,
};
