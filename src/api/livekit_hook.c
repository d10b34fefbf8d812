/* SPDX-License-Identifier: Apache-2.0 */
#include "api/livekit_hook.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "api/livekit_event.h"
#include "auth/signature.h"
#include "base/clock.h"

#define RETRY_MS 1000

/* The last words heard; the one that was not heard for the longest time makes room. */
struct recall {
    char words[TD_LIVEKIT_HOOK_KEPT][TD_LIVEKIT_WORD_MAX];
    uint64_t heard[TD_LIVEKIT_HOOK_KEPT]; /* 0 = free */
    uint64_t last;
};

struct td_livekit_hook {
    struct td_livekit_hook_config config;
    struct recall events; /* ids */
    struct recall over;   /* sids of rooms that are not recorded any more */
    struct td_livekit_event waiting[TD_LIVEKIT_HOOK_WAITING]; /* for the end of a recording */
    unsigned waiting_count;
    guint retry; /* source that looks at those, 0 = none */
    struct td_livekit_hook_stats stats;
    unsigned refs; /* the owner's, and that of the look into the catalogue */
};

static gboolean on_retry(gpointer data);

/* ---- remembering ---- */

/* Whether it was known; it is now. An empty word is never known. */
static bool recall(struct recall *r, const char *word)
{
    if (word[0] == '\0')
        return false;
    unsigned oldest = 0;
    for (unsigned i = 0; i < TD_LIVEKIT_HOOK_KEPT; i++) {
        if (r->heard[i] != 0 && strcmp(r->words[i], word) == 0) {
            r->heard[i] = ++r->last;
            return true;
        }
        if (r->heard[i] < r->heard[oldest])
            oldest = i;
    }
    if (strlen(word) < TD_LIVEKIT_WORD_MAX) {
        memcpy(r->words[oldest], word, strlen(word) + 1);
        r->heard[oldest] = ++r->last;
    }
    return false;
}

static bool knows(const struct recall *r, const char *word)
{
    for (unsigned i = 0; i < TD_LIVEKIT_HOOK_KEPT; i++) {
        if (r->heard[i] != 0 && strcmp(r->words[i], word) == 0)
            return true;
    }
    return false;
}

static const char *text_of(const json_t *doc, const char *key)
{
    const char *text = json_string_value(json_object_get(doc, key));
    return text != NULL ? text : "";
}

/* Somebody wanted this room's recording to end: the next track in it does not change that. */
static void note_end(struct td_livekit_hook *h, const json_t *doc)
{
    if (strcmp(text_of(doc, "reason"), "stopped") == 0)
        (void)recall(&h->over, text_of(doc, "room_sid")); /* it may be known already */
}

/* ---- starting ---- */

static void on_settled(void *ctx, struct td_recording *recording)
{
    struct td_livekit_hook *h = ctx;
    const struct td_fail *fail = td_recording_fail(recording);
    if (fail->code == 0) {
        h->stats.started++;
        td_log_line(h->config.log, TD_LOG_INFO, "event=auto_recorded recording=%s",
                    td_recording_id(recording));
    } else {
        h->stats.failed++;
        td_log_line(h->config.log, TD_LOG_WARN,
                    "event=auto_record_failed recording=%s error=\"%s\"",
                    td_recording_id(recording), fail->text);
    }
}

/* This room is looked at again later: after the end of the recording that is in the way. */
static void put_off(struct td_livekit_hook *h, const struct td_livekit_event *event)
{
    for (unsigned i = 0; i < h->waiting_count; i++) {
        if (strcmp(h->waiting[i].room, event->room) == 0) {
            h->waiting[i] = *event;
            return;
        }
    }
    if (h->waiting_count < TD_LIVEKIT_HOOK_WAITING)
        h->waiting[h->waiting_count++] = *event;
    else
        td_log_line(h->config.log, TD_LOG_WARN, "event=auto_record_crowded room=\"%s\"",
                    event->room);
}

static void start(struct td_livekit_hook *h, const struct td_livekit_event *event,
                  const struct td_config_rule *rule)
{
    struct td_recording_request request = {.room = event->room,
                                           .format = rule->format,
                                           .tier = rule->tier,
                                           .participant = rule->participant};
    struct td_fail fail = {.code = 0};
    struct td_recording *recording = NULL;
    int r = td_recordings_start(h->config.recordings, &request, on_settled, h, &fail, &recording);
    if (r == -EAGAIN) { /* what an earlier run recorded here is being repaired, and may go on */
        put_off(h, event);
        if (h->retry == 0)
            h->retry = g_timeout_add(RETRY_MS, on_retry, h);
        return;
    }
    if (r >= 0) {
        td_log_line(h->config.log, TD_LOG_INFO, "event=auto_record recording=%s room=\"%s\"",
                    td_recording_id(recording), event->room);
        return;
    }
    h->stats.failed++;
    td_log_line(h->config.log, TD_LOG_WARN, "event=auto_record_failed room=\"%s\" error=\"%s\"",
                event->room, fail.text);
}

/* Whether a recording that runs is of the room that the event tells of, and will stay. */
static bool covers(const struct td_recording *running, const struct td_livekit_event *event)
{
    json_t *doc = td_recording_json(running);
    const char *sid = text_of(doc, "room_sid"); /* not known before the source accepted */
    bool another = sid[0] != '\0' && event->room_sid[0] != '\0' &&
                   strcmp(sid, event->room_sid) != 0;
    bool ending = strcmp(text_of(doc, "state"), "finishing") == 0;
    json_decref(doc);
    return !another && !ending;
}

struct search {
    const char *room;
    bool found;
};

static void on_each(void *ctx, struct td_recording *recording)
{
    struct search *search = ctx;
    if (strcmp(td_recording_room(recording), search->room) == 0)
        search->found = true;
}

/* One that has ended, but not said so yet, and why. */
static bool is_ending(const struct td_livekit_hook *h, const char *room)
{
    struct search search = {.room = room};
    td_recordings_each(h->config.recordings, on_each, &search);
    return search.found;
}

static void consider(struct td_livekit_hook *h, const struct td_livekit_event *event)
{
    if (knows(&h->over, event->room_sid))
        return;
    const struct td_config_rule *rule =
        td_livekit_event_rule(event, &h->config.config->auto_record);
    if (rule == NULL)
        return;
    const struct td_recording *running = td_recordings_by_room(h->config.recordings, event->room);
    if (running == NULL && !is_ending(h, event->room))
        start(h, event, rule);
    else if (running == NULL || !covers(running, event))
        put_off(h, event);
}

/* What cannot be tried yet goes back to those that wait. */
static gboolean on_retry(gpointer data)
{
    struct td_livekit_hook *h = data;
    struct td_livekit_event *events = g_memdup2(h->waiting, sizeof(h->waiting));
    unsigned count = h->waiting_count;
    h->retry = 0;
    h->waiting_count = 0;
    for (unsigned i = 0; i < count; i++)
        consider(h, &events[i]);
    g_free(events);
    return G_SOURCE_REMOVE;
}

/* ---- what recordings tell ---- */

static void on_changed(void *ctx, struct td_recording *recording, json_t *doc, bool last)
{
    (void)recording;
    struct td_livekit_hook *h = ctx;
    if (!last)
        return;
    note_end(h, doc);
    if (h->waiting_count > 0 && h->retry == 0) /* not from within: the recording is not gone yet */
        h->retry = g_idle_add(on_retry, h);
}

struct td_recordings_observer td_livekit_hook_observer(struct td_livekit_hook *h)
{
    return (struct td_recordings_observer){.ctx = h, .changed = on_changed};
}

/* ---- what LiveKit tells ---- */

static void take(struct td_livekit_hook *h, const struct td_livekit_event *event)
{
    int64_t now_s = td_clock_wall_us() / TD_US_PER_S;
    h->stats.received++;
    if (event->created_s != 0 && now_s - event->created_s > TD_LIVEKIT_HOOK_AGE_S) {
        h->stats.stale++;
        return;
    }
    if (recall(&h->events, event->id)) {
        h->stats.duplicates++;
        return;
    }
    switch (event->kind) {
    case TD_LIVEKIT_ROOM_FINISHED:
        (void)recall(&h->over, event->room_sid); /* events may overtake each other */
        break;
    case TD_LIVEKIT_ROOM_STARTED:
    case TD_LIVEKIT_PARTICIPANT_JOINED:
    case TD_LIVEKIT_TRACK_PUBLISHED:
        /* We and our like come because of others. */
        if (!event->recorder && td_http_is_room(event->room))
            consider(h, event);
        break;
    case TD_LIVEKIT_OTHER:
        break;
    }
}

static int check(const struct td_livekit_hook *h, SoupServerMessage *message, const char *text,
                 size_t len)
{
    const struct td_config *config = h->config.config;
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    const char *value = soup_message_headers_get_one(headers, "Authorization");
    if (config->api_key == NULL || config->api_secret == NULL)
        return -EACCES;
    struct td_jwt_key key = {.id = config->api_key,
                             .secret = config->api_secret,
                             .secret_len = strlen(config->api_secret)};
    return td_signature_check(&key, text, len, td_clock_wall_us() / TD_US_PER_S, value);
}

static void on_signed(struct td_livekit_hook *h, SoupServerMessage *message, const char *text,
                      size_t len)
{
    struct td_livekit_event event;
    if (td_livekit_event_parse(text, len, &event) < 0) {
        h->stats.refused++;
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_event",
                        "The body is not a LiveKit webhook event.");
        return;
    }
    take(h, &event);
    td_http_json(message, SOUP_STATUS_OK, json_object());
}

static void on_post(struct td_livekit_hook *h, SoupServerMessage *message)
{
    GBytes *body = soup_message_body_flatten(soup_server_message_get_request_body(message));
    size_t len = 0;
    const char *text = g_bytes_get_data(body, &len);
    int r = check(h, message, text, len);
    if (r == 0) {
        on_signed(h, message, text, len);
    } else {
        h->stats.refused++;
        td_log_line(h->config.log, TD_LOG_DEBUG, "event=livekit_webhook_refused error=%s",
                    td_err_name(r));
        td_http_problem(message, SOUP_STATUS_UNAUTHORIZED, "bad_signature",
                        "The event is not signed with the LiveKit key of this daemon.");
    }
    g_bytes_unref(body);
}

static void on_request(void *ctx, SoupServerMessage *message, const char *path)
{
    if (path[0] != '\0')
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "not_found", "There is nothing here.");
    else if (strcmp(soup_server_message_get_method(message), "POST") != 0)
        td_http_method(message, "POST");
    else
        on_post(ctx, message);
}

/* ---- life ---- */

static void unref(struct td_livekit_hook *h)
{
    if (--h->refs == 0)
        free(h);
}

/* What an earlier run was told to stop stays stopped. */
static void on_found(void *ctx, int error, json_t *docs)
{
    struct td_livekit_hook *h = ctx;
    if (error < 0)
        td_log_line(h->config.log, TD_LOG_WARN, "event=stopped_rooms_unknown error=%s",
                    td_err_name(error));
    for (size_t i = json_array_size(docs); i > 0; i--) /* the newest last, to be kept longest */
        note_end(h, json_array_get(docs, i - 1));
    unref(h);
}

static void ask_catalogue(struct td_livekit_hook *h)
{
    struct td_catalog_query query = {.limit = TD_LIVEKIT_HOOK_KEPT};
    h->refs++;
    int r = td_recordings_find(h->config.recordings, &query, on_found, h);
    if (r < 0)
        on_found(h, r, NULL);
}

int td_livekit_hook_new(struct td_http *http, const struct td_livekit_hook_config *config,
                        struct td_livekit_hook **ret_hook)
{
    struct td_livekit_hook *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return -ENOMEM;
    h->config = *config;
    h->refs = 1;
    td_http_route(http, "/livekit/webhook", TD_HTTP_OPEN, on_request, h);
    ask_catalogue(h);
    *ret_hook = h;
    return 0;
}

struct td_livekit_hook *td_livekit_hook_free(struct td_livekit_hook *h)
{
    if (h == NULL)
        return NULL;
    if (h->retry != 0)
        g_source_remove(h->retry);
    h->retry = 0;
    unref(h);
    return NULL;
}

void td_livekit_hook_stats(const struct td_livekit_hook *h, struct td_livekit_hook_stats *ret_stats)
{
    *ret_stats = h->stats;
}
