/* SPDX-License-Identifier: Apache-2.0 */
#include "api/recordings.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"

struct td_recording {
    struct td_recordings *all;
    char room[TD_SOURCE_TEXT_MAX];
    char id[TD_ID_MAX];
    struct td_session *session; /* NULL once ended */
    uint64_t ended_no;          /* in the order of their ends */
    struct td_source *whip;     /* NULL for other sources and once ended */
    td_recording_settled_fn *settled;
    void *settled_ctx;
    json_t *last; /* what an ended one looked like */
    struct td_fail fail;
};

struct td_recordings {
    struct td_recordings_config config;
    struct td_recording *items[TD_RECORDINGS_RUNNING_MAX + TD_RECORDINGS_ENDED_MAX]; /* by age */
    unsigned count;
    unsigned running;
    uint64_t ended_count;
    bool stopping;
    void (*done)(void *ctx);
    void *done_ctx;
    guint done_source; /* 0 = none */
};

int td_recordings_new(const struct td_recordings_config *config,
                      struct td_recordings **ret_recordings)
{
    struct td_recordings *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->config = *config;
    *ret_recordings = r;
    return 0;
}

static void free_recording(struct td_recording *recording)
{
    td_session_free(recording->session);
    json_decref(recording->last);
    free(recording);
}

struct td_recordings *td_recordings_free(struct td_recordings *r)
{
    if (r == NULL)
        return NULL;
    if (r->done_source != 0)
        g_source_remove(r->done_source);
    while (r->count > 0)
        free_recording(r->items[--r->count]);
    free(r);
    return NULL;
}

static void remove_item(struct td_recordings *r, unsigned index)
{
    free_recording(r->items[index]);
    r->count--;
    memmove(&r->items[index], &r->items[index + 1], (r->count - index) * sizeof(r->items[0]));
}

static void forget_oldest(struct td_recordings *r)
{
    if (r->count - r->running <= TD_RECORDINGS_ENDED_MAX)
        return;
    unsigned oldest = r->count;
    for (unsigned i = 0; i < r->count; i++) {
        if (r->items[i]->session == NULL &&
            (oldest == r->count || r->items[i]->ended_no < r->items[oldest]->ended_no))
            oldest = i;
    }
    if (oldest < r->count)
        remove_item(r, oldest);
}

static json_t *status_json(const struct td_session *session)
{
    struct td_session_status s;
    td_session_status(session, &s);
    json_t *outputs = json_array();
    for (unsigned i = 0; i < s.output_count; i++) {
        const struct td_session_output *o = &s.outputs[i];
        json_array_append_new(outputs,
                              json_pack("{s:s, s:s, s:I, s:I}", "participant", o->participant,
                                        "file", o->file, "bytes", (json_int_t)o->bytes,
                                        "duration_ms", (json_int_t)o->duration_ms));
    }
    char started[TD_CLOCK_TEXT_MAX];
    td_clock_rfc3339(s.started_wall_us, started);
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I}", "id", s.id, "room", s.room,
        "state", td_session_state_name(s.state), "reason", s.reason, "started_at", started,
        "outputs", outputs, "pts_ms", (json_int_t)(s.stats->pts_us / TD_US_PER_MS), "frames",
        (json_int_t)s.stats->frames, "lost", (json_int_t)s.stats->lost, "recovered",
        (json_int_t)s.stats->recovered, "memory_bytes", (json_int_t)s.memory_bytes);
    if (json != NULL && s.fail->code != 0)
        json_object_set_new(json, "error", json_string(s.fail->text));
    return json;
}

json_t *td_recording_json(const struct td_recording *recording)
{
    return recording->session != NULL ? status_json(recording->session)
                                      : json_incref(recording->last);
}

json_t *td_recordings_json(const struct td_recordings *r)
{
    json_t *list = json_array();
    for (unsigned i = r->count; i > 0; i--)
        json_array_append_new(list, td_recording_json(r->items[i - 1]));
    return list;
}

static void settle(struct td_recording *recording)
{
    td_recording_settled_fn *settled = recording->settled;
    recording->settled = NULL;
    if (settled != NULL)
        settled(recording->settled_ctx, recording);
}

static void on_changed(void *ctx, struct td_session *session)
{
    struct td_recording *recording = ctx;
    struct td_session_status s;
    td_session_status(session, &s);
    recording->fail = *s.fail;
    if (s.state != TD_SESSION_STARTING)
        settle(recording);
}

static void finish(struct td_recordings *r)
{
    if (r->running == 0 && r->done != NULL) {
        void (*done)(void *ctx) = r->done;
        r->done = NULL;
        done(r->done_ctx);
    }
}

static gboolean on_idle(gpointer data)
{
    struct td_recordings *r = data;
    r->done_source = 0;
    finish(r);
    return G_SOURCE_REMOVE;
}

static void on_ended(void *ctx, struct td_session *session)
{
    struct td_recording *recording = ctx;
    struct td_recordings *r = recording->all;
    recording->last = status_json(session);
    recording->whip = NULL;
    settle(recording);
    recording->session = td_session_free(session);
    recording->ended_no = ++r->ended_count;
    r->running--;
    forget_oldest(r);
    finish(r);
}

static int new_recording(struct td_recordings *r, const char *room, struct td_fail *ret_fail,
                         struct td_recording **ret_recording)
{
    if (r->stopping)
        return td_fail_set(ret_fail, -TD_E_STATE, "The daemon is shutting down.");
    if (r->running == TD_RECORDINGS_RUNNING_MAX)
        return td_fail_set(ret_fail, -TD_E_LIMIT, "%u recordings are running; that is the limit.",
                           TD_RECORDINGS_RUNNING_MAX);
    struct td_recording *recording = calloc(1, sizeof(*recording));
    if (recording == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    recording->all = r;
    (void)snprintf(recording->room, sizeof(recording->room), "%s", room);
    struct td_session_config config = {
        .recorder = r->config.recorder,
        .room = room,
        .data_dir = r->config.data_dir,
        .format = r->config.format,
        .departure_timeout_us = r->config.departure_timeout_us,
        .empty_timeout_us = r->config.empty_timeout_us,
        .key_interval_us = r->config.key_interval_us,
        .ctx = recording,
        .changed = on_changed,
        .ended = on_ended,
    };
    int err = td_session_new(&config, ret_fail, &recording->session);
    if (err < 0) {
        free(recording);
        return err;
    }
    struct td_session_status s;
    td_session_status(recording->session, &s);
    (void)snprintf(recording->id, sizeof(recording->id), "%s", s.id);
    r->items[r->count++] = recording;
    r->running++;
    *ret_recording = recording;
    return 0;
}

int td_recordings_start(struct td_recordings *r, const char *room, td_recording_settled_fn *settled,
                        void *ctx, struct td_fail *ret_fail, struct td_recording **ret_recording)
{
    if (r->config.url == NULL || r->config.api_key == NULL || r->config.api_secret == NULL)
        return td_fail_set(ret_fail, -TD_E_USAGE,
                           "No LiveKit server is configured; give serve --url, --api-key and "
                           "--api-secret.");
    struct td_recording *recording = td_recordings_by_room(r, room);
    if (recording != NULL && recording->session != NULL) {
        *ret_recording = recording;
        return TD_RECORDINGS_RUNNING;
    }
    int err = new_recording(r, room, ret_fail, &recording);
    if (err < 0)
        return err;
    recording->settled = settled;
    recording->settled_ctx = ctx;
    *ret_recording = recording;
    struct td_livekit_config config = {
        .url = r->config.url,
        .api_key = r->config.api_key,
        .api_secret = r->config.api_secret,
        .room = room,
        .subscribe_all = true,
        .loop = r->config.recorder->loop,
        .control = r->config.recorder->control,
        .certificate = r->config.certificate,
        .transport = &td_ice_nice,
        .log = r->config.recorder->log,
    };
    struct td_source_events events = td_session_source_events(recording->session);
    struct td_media_sink sink = td_session_sink(recording->session);
    struct td_fail fail = {.code = 0};
    struct td_source *source = NULL;
    if (td_livekit_new(&config, &events, &sink, &fail, &source) < 0)
        td_session_refuse(recording->session, &fail);
    else
        td_session_attach(recording->session, source);
    return 0;
}

int td_recordings_whip(struct td_recordings *r, const char *room, const char *offer,
                       size_t offer_len, td_whip_answer_fn *answered, void *ctx,
                       struct td_fail *ret_fail, struct td_recording **ret_recording)
{
    struct td_recording *recording = NULL;
    int err = td_whip_check(offer, offer_len, ret_fail); /* before a folder is made for it */
    if (err == 0)
        err = new_recording(r, room, ret_fail, &recording);
    if (err < 0)
        return err;
    struct td_whip_config config = {
        .room = room,
        .loopback_only = r->config.loopback_only,
        .tell_loopback = true, /* beside a daemon, publishers on the same machine are common */
        .loop = r->config.recorder->loop,
        .control = r->config.recorder->control,
        .certificate = r->config.certificate,
        .transport = &td_ice_nice,
        .log = r->config.recorder->log,
    };
    struct td_source_events events = td_session_source_events(recording->session);
    struct td_media_sink sink = td_session_sink(recording->session);
    err = td_whip_new(&config, offer, offer_len, &events, &sink, answered, ctx, ret_fail,
                      &recording->whip);
    if (err < 0) {
        td_session_refuse(recording->session, ret_fail);
        return err;
    }
    td_session_attach(recording->session, recording->whip);
    *ret_recording = recording;
    return 0;
}

struct td_recording *td_recordings_by_room(struct td_recordings *r, const char *room)
{
    struct td_recording *newest = NULL;
    for (unsigned i = r->count; i > 0; i--) {
        struct td_recording *item = r->items[i - 1];
        if (strcmp(item->room, room) != 0)
            continue;
        if (item->session != NULL)
            return item;
        newest = newest == NULL ? item : newest;
    }
    return newest;
}

struct td_recording *td_recordings_by_id(struct td_recordings *r, const char *id)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (strcmp(r->items[i]->id, id) == 0)
            return r->items[i];
    }
    return NULL;
}

void td_recording_stop(struct td_recording *recording, const char *reason)
{
    if (recording->session != NULL)
        td_session_stop(recording->session, reason);
}

struct td_source *td_recording_source(const struct td_recording *recording)
{
    return recording->whip;
}

const char *td_recording_id(const struct td_recording *recording)
{
    return recording->id;
}

const struct td_fail *td_recording_fail(const struct td_recording *recording)
{
    return &recording->fail;
}

void td_recordings_stop_all(struct td_recordings *r, const char *reason, void (*done)(void *ctx),
                            void *ctx)
{
    r->stopping = true;
    r->done = done;
    r->done_ctx = ctx;
    for (unsigned i = r->count; i > 0; i--)
        td_recording_stop(r->items[i - 1], reason);
    /* From the loop, so that `done` never comes within this call. */
    if (r->done_source == 0)
        r->done_source = g_idle_add(on_idle, r);
}

unsigned td_recordings_running(const struct td_recordings *r)
{
    return r->running;
}
