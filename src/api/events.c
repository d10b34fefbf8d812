/* SPDX-License-Identifier: Apache-2.0 */
#include "api/events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/feed.h"
#include "api/http.h"
#include "base/clock.h"
#include "base/id.h"

#define TICK_MS 1000u
#define END_EVENT "id: end\nevent: end\ndata: {}\n\n"
#define END_ID "end"

/* One client. */
struct stream {
    struct td_events *events;
    struct td_feed *feed; /* NULL once it has all it gets */
    struct stream *next;
    SoupServerMessage *message;
    gulong on_finished;
    gulong on_chunk;
    unsigned pending; /* events that the socket did not take yet, and their bytes */
    uint64_t pending_bytes;
    GQueue sizes;     /* of those, the oldest first */
    int64_t taken_us; /* when it last took one, or had none to take */
    int64_t sent_us;  /* when it was last given one */
    bool cut;
};

/* Somebody who waits for the next state. */
struct waiter {
    struct td_events *events;
    char id[TD_ID_MAX];               /* of the recording */
    char state[TD_MANIFEST_WORD_MAX]; /* that it had */
    struct waiter *next;
    guint timer;
    td_events_heard_fn *heard;
    void *ctx;
};

struct td_events {
    struct td_recordings *recordings;
    char boot[TD_FEED_BOOT_LETTERS + 1];
    struct td_feed *feeds[TD_RECORDINGS_RUNNING_MAX];
    unsigned feed_count;
    struct stream *streams;
    unsigned stream_count;
    guint timer; /* 0 = nobody watches */
    struct waiter *waiters;
};

unsigned td_events_clients(const struct td_events *e)
{
    return e->stream_count;
}

/* ---- streams ---- */

static void free_stream(struct stream *s)
{
    struct td_events *e = s->events;
    struct stream **at = &e->streams;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    e->stream_count--;
    if (e->stream_count == 0 && e->timer != 0) {
        g_source_remove(e->timer);
        e->timer = 0;
    }
    g_signal_handler_disconnect(s->message, s->on_finished);
    g_signal_handler_disconnect(s->message, s->on_chunk);
    g_object_unref(s->message);
    g_queue_clear(&s->sizes);
    free(s);
}

static void on_finished(SoupServerMessage *message, gpointer data)
{
    (void)message;
    free_stream(data);
}

static void on_wrote_chunk(SoupServerMessage *message, gpointer data)
{
    (void)message;
    struct stream *s = data;
    if (s->pending == 0)
        return;
    s->pending--;
    s->pending_bytes -= GPOINTER_TO_UINT(g_queue_pop_head(&s->sizes));
    s->taken_us = td_clock_now_us();
}

/* Its client does not read, and what waits for it must not grow. The next tick ends it, because
 * that may free it. */
static void cut(struct stream *s)
{
    s->cut = true;
    s->feed = NULL;
}

static void give(struct stream *s, GBytes *text)
{
    if (s->cut)
        return;
    int64_t now_us = td_clock_now_us();
    if (s->pending == 0)
        s->taken_us = now_us;
    s->sent_us = now_us;
    s->pending++;
    s->pending_bytes += g_bytes_get_size(text);
    g_queue_push_tail(&s->sizes, GUINT_TO_POINTER((guint)g_bytes_get_size(text)));
    soup_message_body_append_bytes(soup_server_message_get_response_body(s->message), text);
    if (s->pending > TD_EVENTS_PENDING ||
        (s->pending > 1 && s->pending_bytes > TD_EVENTS_PENDING_BYTES))
        cut(s);
    else
        soup_server_message_unpause(s->message);
}

static void give_text(struct stream *s, const char *text)
{
    GBytes *bytes = g_bytes_new(text, strlen(text));
    give(s, bytes);
    g_bytes_unref(bytes);
}

static void close_stream(struct stream *s)
{
    give_text(s, END_EVENT);
    s->feed = NULL;
    if (s->cut)
        return;
    soup_message_body_complete(soup_server_message_get_response_body(s->message));
    soup_server_message_unpause(s->message);
}

/* ---- feeds ---- */

static void drop_feed(struct td_events *e, struct td_feed *f)
{
    for (struct stream *s = e->streams; s != NULL; s = s->next) {
        if (s->feed == f)
            cut(s);
    }
    for (unsigned i = 0; i < e->feed_count; i++) {
        if (e->feeds[i] == f)
            e->feeds[i] = e->feeds[--e->feed_count];
    }
    td_feed_free(f);
}

/* Of recordings that were left for the next process to go on with. */
static void drop_orphans(struct td_events *e)
{
    for (unsigned i = e->feed_count; i > 0; i--) {
        if (td_recordings_by_id(e->recordings, td_feed_recording(e->feeds[i - 1])) == NULL)
            drop_feed(e, e->feeds[i - 1]);
    }
}

/* NULL when out of memory or of places: those events are lost to watchers, as if they came late. */
static struct td_feed *get_feed(struct td_events *e, const struct td_recording *recording)
{
    for (unsigned i = 0; i < e->feed_count; i++) {
        if (strcmp(td_feed_recording(e->feeds[i]), td_recording_id(recording)) == 0)
            return e->feeds[i];
    }
    if (e->feed_count == TD_RECORDINGS_RUNNING_MAX)
        drop_orphans(e);
    struct td_feed *f = e->feed_count < TD_RECORDINGS_RUNNING_MAX
                            ? td_feed_new(e->boot, td_recording_id(recording))
                            : NULL;
    if (f != NULL)
        e->feeds[e->feed_count++] = f;
    return f;
}

/* Keeps it and gives it to all who watch. */
static void publish(struct td_events *e, struct td_feed *f, const char *name, const char *data)
{
    GBytes *text = td_feed_add(f, name, data);
    for (struct stream *s = e->streams; s != NULL; s = s->next) {
        if (s->feed == f)
            give(s, text);
    }
}

/* ---- waiters ---- */

static const char *state_of(const json_t *doc)
{
    const char *state = json_string_value(json_object_get(doc, "state"));
    return state != NULL ? state : "";
}

static void free_waiter(struct waiter *w)
{
    struct waiter **at = &w->events->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    g_source_remove(w->timer);
    free(w);
}

static void wake(struct waiter *w, json_t *doc)
{
    td_events_heard_fn *heard = w->heard;
    void *ctx = w->ctx;
    free_waiter(w);
    heard(ctx, doc);
}

static gboolean on_waited(gpointer data)
{
    struct waiter *w = data;
    const struct td_recording *recording = td_recordings_by_id(w->events->recordings, w->id);
    json_t *doc = recording != NULL ? td_recording_json(recording) : NULL;
    wake(w, doc); /* removes this source */
    json_decref(doc);
    return G_SOURCE_CONTINUE;
}

int td_events_await(struct td_events *e, const json_t *doc, td_events_heard_fn *heard, void *ctx)
{
    const char *id = json_string_value(json_object_get(doc, "id"));
    struct waiter *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    *w = (struct waiter){.events = e, .heard = heard, .ctx = ctx, .next = e->waiters};
    (void)snprintf(w->id, sizeof(w->id), "%s", id != NULL ? id : "");
    (void)snprintf(w->state, sizeof(w->state), "%s", state_of(doc));
    w->timer = g_timeout_add(TD_EVENTS_AWAIT_MS, on_waited, w);
    e->waiters = w;
    return 0;
}

static void wake_all(struct td_events *e, const char *id, json_t *doc)
{
    const char *state = state_of(doc);
    struct waiter *w = e->waiters;
    while (w != NULL) {
        struct waiter *next = w->next;
        if (strcmp(w->id, id) == 0 && strcmp(w->state, state) != 0)
            wake(w, doc);
        w = next;
    }
}

/* ---- what the recordings say ---- */

static void on_changed(void *ctx, struct td_recording *recording, json_t *doc, bool final)
{
    struct td_events *e = ctx;
    wake_all(e, td_recording_id(recording), doc);
    struct td_feed *f = get_feed(e, recording);
    if (f == NULL)
        return;
    char *data = json_dumps(doc, JSON_COMPACT);
    publish(e, f, "state", data != NULL ? data : "{}");
    free(data);
    if (!final)
        return;
    for (struct stream *s = e->streams; s != NULL; s = s->next) {
        if (s->feed == f)
            close_stream(s);
    }
    drop_feed(e, f);
}

static void on_event(void *ctx, struct td_recording *recording, const char *line)
{
    struct td_events *e = ctx;
    struct td_feed *f = get_feed(e, recording);
    if (f == NULL)
        return;
    char *data = g_strndup(line, strcspn(line, "\r\n"));
    publish(e, f, "timeline", data);
    g_free(data);
}

/* ---- time ---- */

static void give_stats(struct stream *s)
{
    const struct td_recording *running =
        td_recordings_by_id(s->events->recordings, td_feed_recording(s->feed));
    const struct td_session *session = running != NULL ? td_recording_session(running) : NULL;
    if (running == NULL)
        cut(s); /* it was left for the next process to go on with: nothing comes here any more */
    if (session == NULL || s->pending > 0) /* numbers that wait are old when they are read */
        return;
    struct td_session_status status;
    td_session_status(session, &status);
    const struct td_capture_stats *n = status.stats;
    char *text =
        g_strdup_printf("event: stats\ndata: {\"pts_ms\":%" PRId64 ",\"bytes\":%" PRIu64
                        ",\"written_bytes\":%" PRIu64 ",\"packets\":%" PRIu64 ",\"frames\":%" PRIu64
                        ",\"dropped\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"recovered\":%" PRIu64
                        ",\"undecodable\":%" PRIu64 ",\"memory_bytes\":%zu}\n\n",
                        n->pts_us / TD_US_PER_MS, n->bytes, n->written_bytes, n->packets, n->frames,
                        n->dropped, n->lost, n->recovered, n->undecodable, status.memory_bytes);
    give_text(s, text);
    g_free(text);
}

static gboolean on_tick(gpointer data)
{
    struct td_events *e = data;
    int64_t now_us = td_clock_now_us();
    struct stream *next = NULL;
    for (struct stream *s = e->streams; s != NULL; s = next) {
        next = s->next;
        if (s->pending > 0 && now_us - s->taken_us > TD_EVENTS_STALL_US)
            cut(s);
        if (s->cut) {
            td_http_cut(s->message);
            continue;
        }
        if (s->feed != NULL)
            give_stats(s);
        if (now_us - s->sent_us > TD_EVENTS_HEARTBEAT_US && s->pending == 0)
            give_text(s, ":\n\n");
    }
    return G_SOURCE_CONTINUE;
}

/* ---- a new client ---- */

static const char *last_id(SoupServerMessage *message)
{
    const char *id = soup_message_headers_get_one(soup_server_message_get_request_headers(message),
                                                  "Last-Event-ID");
    return id != NULL ? id : "";
}

static void set_headers(SoupServerMessage *message)
{
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    soup_message_headers_replace(headers, "Content-Type", "text/event-stream");
    soup_message_headers_replace(headers, "Cache-Control", "no-store");
    soup_message_headers_replace(headers, "X-Accel-Buffering", "no"); /* nginx would hold it back */
    /* libsoup would cut pieces out of it. */
    soup_message_headers_remove(soup_server_message_get_request_headers(message), "Range");
}

static void tell_ended(SoupServerMessage *message, const json_t *doc)
{
    if (strcmp(last_id(message), END_ID) == 0) {
        soup_server_message_set_status(message, SOUP_STATUS_NO_CONTENT, NULL);
        return;
    }
    soup_server_message_set_status(message, SOUP_STATUS_OK, NULL);
    char *data = json_dumps(doc, JSON_COMPACT);
    char *text =
        g_strdup_printf("event: state\ndata: %s\n\n" END_EVENT, data != NULL ? data : "{}");
    soup_server_message_set_response(message, "text/event-stream", SOUP_MEMORY_COPY, text,
                                     strlen(text));
    g_free(text);
    free(data);
    set_headers(message);
}

static struct stream *new_stream(struct td_events *e, SoupServerMessage *message, struct td_feed *f)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->events = e;
    s->feed = f;
    s->message = g_object_ref(message);
    s->on_finished = g_signal_connect(message, "finished", G_CALLBACK(on_finished), s);
    s->on_chunk = g_signal_connect(message, "wrote-chunk", G_CALLBACK(on_wrote_chunk), s);
    g_queue_init(&s->sizes);
    s->next = e->streams;
    e->streams = s;
    e->stream_count++;
    if (e->timer == 0)
        e->timer = g_timeout_add(TICK_MS, on_tick, e);
    return s;
}

static void tell_running(struct td_events *e, SoupServerMessage *message, const json_t *doc,
                         struct td_feed *f)
{
    struct stream *s = new_stream(e, message, f);
    if (s == NULL) {
        td_http_problem(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed", "Out of memory.");
        return;
    }
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    bool chunks = soup_server_message_get_http_version(message) != SOUP_HTTP_1_0;
    soup_message_headers_set_encoding(headers, chunks ? SOUP_ENCODING_CHUNKED : SOUP_ENCODING_EOF);
    soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
    soup_server_message_set_status(message, SOUP_STATUS_OK, NULL);
    set_headers(message);
    GBytes *text = td_feed_after(f, last_id(message));
    if (text == NULL) {
        char *data = json_dumps(doc, JSON_COMPACT);
        text = td_feed_now(f, "state", data != NULL ? data : "{}");
        free(data);
    }
    if (g_bytes_get_size(text) > 0)
        give(s, text); /* as one piece, which counts as one that waits */
    g_bytes_unref(text);
}

void td_events_stream(struct td_events *e, SoupServerMessage *message, json_t *doc,
                      struct td_recording *running)
{
    bool head = strcmp(soup_server_message_get_method(message), "HEAD") == 0;
    struct td_feed *f = running != NULL && !head ? get_feed(e, running) : NULL;
    if (running == NULL) {
        tell_ended(message, doc);
    } else if (head) {
        soup_server_message_set_status(message, SOUP_STATUS_OK, NULL);
        set_headers(message);
    } else if (f == NULL || e->stream_count == TD_EVENTS_CLIENTS_MAX) {
        td_http_problem(message, SOUP_STATUS_SERVICE_UNAVAILABLE, "too_many_streams",
                        "256 clients watch events already; that is the limit.");
    } else {
        tell_running(e, message, doc, f);
    }
}

/* ---- life ---- */

int td_events_new(struct td_recordings *recordings, struct td_events **ret_events)
{
    struct td_events *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return -ENOMEM;
    int err = td_id_token(e->boot, TD_FEED_BOOT_LETTERS);
    if (err < 0) {
        free(e);
        return err;
    }
    e->recordings = recordings;
    struct td_recordings_observer observer = {
        .ctx = e,
        .changed = on_changed,
        .event = on_event,
    };
    td_recordings_observe(recordings, &observer);
    *ret_events = e;
    return 0;
}

struct td_events *td_events_free(struct td_events *e)
{
    if (e == NULL)
        return NULL;
    while (e->streams != NULL)
        free_stream(e->streams);
    while (e->feed_count > 0)
        drop_feed(e, e->feeds[0]);
    while (e->waiters != NULL)
        wake(e->waiters, NULL);
    free(e);
    return NULL;
}
