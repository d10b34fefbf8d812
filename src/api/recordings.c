/* SPDX-License-Identifier: Apache-2.0 */
#include "api/recordings.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/document.h"
#include "api/ledger.h"
#include "api/order.h"
#include "base/clock.h"
#include "base/id.h"
#include "recorder/layout.h"
#include "store/retention.h"

#define RECONNECT_MS 1000u /* between two tries to reach a source that was lost */
#define PROVEN_MS 2000u    /* a daemon that lives this long was not killed by what it resumed */
#define WAITERS_MAX 16u    /* start calls that wait for the same recording */

struct waiter {
    td_recording_settled_fn *settled;
    void *ctx;
};

struct td_recording {
    struct td_recordings *all;
    char id[TD_ID_MAX];
    char state[TD_MANIFEST_WORD_MAX]; /* as announced */
    char reason[TD_MANIFEST_WORD_MAX];
    const char *written; /* state of the last entry that was handed to the ledger */
    struct td_order *order;
    struct td_session *session; /* NULL once ended */
    struct td_source *whip;     /* NULL for other sources and while there is none */
    char whip_session[TD_ID_MAX];
    struct waiter waiters[WAITERS_MAX];
    unsigned waiter_count;
    json_t *last; /* what an ended one looks like */
    struct td_fail fail;
    guint reconnect; /* 0 = no try is due */
    guint proving;   /* 0 = not resumed, or proven */
    bool hold;
    bool unproven; /* resumed just now: it may be what kills the daemon at its start */
    bool settled;
    bool gone; /* nothing follows any more … */
    bool left; /* … for this process: another one goes on with it */
};

struct td_recordings {
    struct td_recordings_config config;
    struct td_ledger *ledger;
    struct td_recordings_observer observers[TD_RECORDINGS_OBSERVERS_MAX];
    unsigned observer_count;
    struct td_recording *items[TD_RECORDINGS_RUNNING_MAX]; /* by age */
    unsigned count;
    char refusal[TD_FAIL_TEXT_MAX]; /* empty = new ones are welcome */
    bool (*awaits)(const void *ctx, const char *room);
    const void *awaits_ctx;
    bool stopping;
    void (*done)(void *ctx);
    void *done_ctx;
    guint done_source; /* 0 = none */
};

static void on_written(void *ctx, const char *id, json_t *doc, bool final, int error);

int td_recordings_new(const struct td_recordings_config *config,
                      struct td_recordings **ret_recordings)
{
    struct td_recordings *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->config = *config;
    struct td_ledger_config ledger = {
        .recorder = config->recorder, .catalog = config->catalog, .ctx = r, .written = on_written};
    int err = td_ledger_new(&ledger, &r->ledger);
    if (err < 0) {
        free(r);
        return err;
    }
    *ret_recordings = r;
    return 0;
}

static void free_recording(struct td_recording *recording)
{
    if (recording->reconnect != 0)
        g_source_remove(recording->reconnect);
    if (recording->proving != 0)
        g_source_remove(recording->proving);
    td_session_free(recording->session);
    td_order_free(recording->order);
    json_decref(recording->last);
    free(recording);
}

struct td_recordings *td_recordings_free(struct td_recordings *r)
{
    if (r == NULL)
        return NULL;
    if (r->done_source != 0)
        g_source_remove(r->done_source);
    r->ledger = td_ledger_free(r->ledger);
    while (r->count > 0)
        free_recording(r->items[--r->count]);
    free(r);
    return NULL;
}

void td_recordings_observe(struct td_recordings *r, const struct td_recordings_observer *observer)
{
    g_assert(r->observer_count < TD_RECORDINGS_OBSERVERS_MAX);
    r->observers[r->observer_count++] = *observer;
}

/* ---- what is shown ---- */

json_t *td_recording_json(const struct td_recording *recording)
{
    json_t *doc = recording->session != NULL
                      ? td_document_session(recording->session, recording->hold)
                      : json_copy(recording->last);
    if (doc != NULL && recording->state[0] != '\0') {
        json_object_set_new(doc, "state", json_string(recording->state));
        json_object_set_new(doc, "reason", json_string(recording->reason));
    }
    if (doc != NULL && recording->whip != NULL) /* where its publisher can be sent away */
        json_object_set_new(doc, "whip_session", json_string(recording->whip_session));
    return doc;
}

const char *td_recording_id(const struct td_recording *recording)
{
    return recording->id;
}

const char *td_recording_room(const struct td_recording *recording)
{
    return recording->order->room;
}

const char *td_recording_whip_session(const struct td_recording *recording)
{
    return recording->whip_session;
}

const struct td_fail *td_recording_fail(const struct td_recording *recording)
{
    return &recording->fail;
}

struct td_session *td_recording_session(const struct td_recording *recording)
{
    return recording->session;
}

/* ---- from state to state ---- */

static void settle(struct td_recording *recording)
{
    recording->settled = true;
    while (recording->waiter_count > 0) {
        struct waiter waiter = recording->waiters[--recording->waiter_count];
        waiter.settled(waiter.ctx, recording);
    }
}

static void finish(struct td_recordings *r)
{
    if (r->count == 0 && r->done != NULL && td_ledger_pending(r->ledger) == 0) {
        void (*done)(void *ctx) = r->done;
        r->done = NULL;
        done(r->done_ctx);
    }
}

static void forget(struct td_recordings *r, struct td_recording *recording)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (r->items[i] != recording)
            continue;
        r->count--;
        memmove(&r->items[i], &r->items[i + 1], (r->count - i) * sizeof(r->items[0]));
        free_recording(recording);
        return;
    }
}

static void set_word(char *field, const json_t *doc, const char *key)
{
    const char *text = json_string_value(json_object_get(doc, key));
    td_manifest_set(field, TD_MANIFEST_WORD_MAX, text);
}

static void on_written(void *ctx, const char *id, json_t *doc, bool final, int error)
{
    struct td_recordings *r = ctx;
    (void)error; /* the ledger counts and logs it; nobody waits for a full disk */
    struct td_recording *recording = td_recordings_by_id(r, id);
    if (recording == NULL) {
        finish(r);
        return;
    }
    set_word(recording->state, doc, "state");
    set_word(recording->reason, doc, "reason");
    if (strcmp(recording->state, "starting") != 0 && !recording->settled)
        settle(recording);
    for (unsigned i = 0; i < r->observer_count; i++) {
        if (r->observers[i].changed != NULL)
            r->observers[i].changed(r->observers[i].ctx, recording, doc, final);
    }
    if (final || (recording->left && strcmp(recording->state, "interrupted") == 0))
        forget(r, recording);
    finish(r);
}

static size_t collect_letters(struct td_recordings *r, const json_t *doc, bool final,
                              struct td_catalog_letter letters[static TD_RECORDINGS_LETTERS_MAX])
{
    size_t count = 0;
    for (unsigned i = 0; i < r->observer_count; i++) {
        const struct td_recordings_observer *o = &r->observers[i];
        if (o->letters != NULL)
            count +=
                o->letters(o->ctx, doc, final, letters + count, TD_RECORDINGS_LETTERS_MAX - count);
    }
    return count;
}

static void write_state(struct td_recording *recording, const char *request)
{
    struct td_recordings *r = recording->all;
    struct td_session_status s;
    struct td_catalog_letter letters[TD_RECORDINGS_LETTERS_MAX];
    td_session_status(recording->session, &s);
    const char *state = td_session_state_name(s.state);
    struct td_ledger_entry entry = {
        .doc = td_document_session(recording->session, recording->hold),
        .request = request,
        .final = td_session_state_ended(s.state),
        .hold = recording->hold,
        .attempts = s.state == TD_SESSION_INTERRUPTED && recording->unproven && !s.left ? -1 : 0,
        .letters = letters,
    };
    if (entry.doc != NULL && recording->written != state)
        entry.letter_count = collect_letters(r, entry.doc, entry.final, letters);
    recording->written = state;
    int err = entry.doc != NULL ? td_ledger_write(r->ledger, &entry) : -ENOMEM;
    if (err < 0)
        td_log_line(r->config.recorder->log, TD_LOG_ERROR,
                    "event=state_not_written recording=%s state=%s error=%s", recording->id, state,
                    td_err_name(err));
}

static void on_changed(void *ctx, struct td_session *session)
{
    struct td_recording *recording = ctx;
    struct td_session_status s;
    td_session_status(session, &s);
    recording->fail = *s.fail;
    if (recording->session == NULL)
        return; /* it is being made */
    write_state(recording, NULL);
}

static void on_event(void *ctx, const char *line)
{
    struct td_recording *recording = ctx;
    struct td_recordings *r = recording->all;
    for (unsigned i = 0; i < r->observer_count; i++) {
        if (r->observers[i].event != NULL)
            r->observers[i].event(r->observers[i].ctx, recording, line);
    }
}

/* Its last state is on its way to the catalogue; when it is there, the recording goes. */
static void on_ended(void *ctx, struct td_session *session)
{
    struct td_recording *recording = ctx;
    struct td_session_status s;
    td_session_status(session, &s);
    recording->whip = NULL;
    recording->gone = true;
    recording->left = s.left;
    recording->last = td_document_session(session, recording->hold);
    if (s.left)
        write_state(recording, NULL); /* with its files closed; its end for us */
    if (recording->reconnect != 0)
        g_source_remove(recording->reconnect);
    recording->reconnect = 0;
    recording->session = td_session_free(session);
}

/* ---- sources ---- */

static void connect_livekit(struct td_recording *recording)
{
    const struct td_recordings_config *all = &recording->all->config;
    const struct td_order *order = recording->order;
    struct td_livekit_config config = {
        .url = order->url != NULL ? order->url : all->config->ws_url,
        .token = order->token,
        .api_key = all->config->api_key,
        .api_secret = all->config->api_secret,
        .room = order->room,
        .subscribe_all = order->participant == NULL,
        .loop = all->recorder->loop,
        .control = all->recorder->control,
        .certificate = all->certificate,
        .transport = &td_ice_nice,
        .log = all->recorder->log,
    };
    struct td_source_events events = td_session_source_events(recording->session);
    struct td_media_sink sink = td_session_sink(recording->session);
    struct td_fail fail = {.code = 0};
    struct td_source *source = NULL;
    if (td_livekit_new(&config, &events, &sink, &fail, &source) < 0)
        td_session_refuse(recording->session, &fail);
    else
        td_session_attach(recording->session, source);
}

static gboolean on_reconnect(gpointer data)
{
    struct td_recording *recording = data;
    recording->reconnect = 0;
    if (recording->session != NULL)
        connect_livekit(recording);
    return G_SOURCE_REMOVE;
}

static bool is_whip(const struct td_recording *recording)
{
    return strcmp(recording->order->source, "whip") == 0;
}

/* A WHIP publisher comes back by itself; a room is asked for again until the window is over. */
static void on_lost(void *ctx, struct td_session *session)
{
    (void)session;
    struct td_recording *recording = ctx;
    recording->whip = NULL;
    if (!is_whip(recording) && recording->reconnect == 0)
        recording->reconnect = g_timeout_add(RECONNECT_MS, on_reconnect, recording);
}

/* ---- starting ---- */

static int64_t smaller_limit(int64_t asked, int64_t configured)
{
    if (asked == 0 || (configured != 0 && configured < asked))
        return configured;
    return asked;
}

static struct td_session_limits limits_of(const struct td_config *c, const struct td_order *q)
{
    return (struct td_session_limits){
        .departure_timeout_us = c->limits.departure_timeout_us,
        .empty_timeout_us = c->limits.empty_timeout_us,
        .gap_limit_us = c->limits.on_gap == TD_ON_GAP_STOP ? c->limits.gap_limit_us : 0,
        .max_duration_us = smaller_limit(q->max_duration_us, c->limits.max_duration_us),
        .max_size_bytes = smaller_limit(q->max_size_bytes, c->limits.max_size_bytes),
        .resume_window_us = c->limits.resume_window_us,
        .pause_on_full = c->disk.on_full == TD_ON_FULL_PAUSE,
    };
}

static int make_session(struct td_recording *recording, struct td_resume *resume,
                        struct td_fail *ret_fail)
{
    const struct td_recordings_config *all = &recording->all->config;
    const struct td_order *order = recording->order;
    char *shown = td_order_text(order, false);
    struct td_session_config config = {
        .recorder = all->recorder,
        .room = order->room,
        .data_dir = all->config->data_dir,
        .format = order->format != NULL ? td_mux_by_name(order->format) : NULL,
        .participant = order->participant,
        .source = order->source,
        .request = shown,
        .resume = resume,
        .limits = limits_of(all->config, order),
        .key_interval_us = all->config->key_frame_interval_us,
        .memory_limit_bytes = (size_t)all->config->limits.memory_limit_bytes,
        .ctx = recording,
        .changed = on_changed,
        .event = on_event,
        .lost = on_lost,
        .ended = on_ended,
    };
    if (shown == NULL) {
        td_resume_free(resume);
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    }
    int err = td_session_new(&config, ret_fail, &recording->session);
    free(shown);
    return err;
}

void td_recordings_await(struct td_recordings *r, bool (*awaits)(const void *ctx, const char *room),
                         const void *ctx)
{
    r->awaits = awaits;
    r->awaits_ctx = ctx;
}

static int may_begin(const struct td_recordings *r, const char *room, bool resumed,
                     struct td_fail *ret_fail)
{
    unsigned limit = (unsigned)r->config.config->limits.max_recordings;
    if (r->stopping)
        return td_fail_set(ret_fail, -TD_E_STATE, "The daemon is shutting down.");
    if (r->count >= (resumed ? TD_RECORDINGS_RUNNING_MAX : limit))
        return td_fail_set(ret_fail, -TD_E_LIMIT,
                           "%u recordings are running; that is the limit "
                           "(limits.max_recordings).",
                           r->count);
    if (!resumed && r->awaits != NULL && r->awaits(r->awaits_ctx, room))
        return td_fail_set(ret_fail, -EAGAIN,
                           "A recording of this room was interrupted and is being repaired; try "
                           "again in a moment.");
    if (!resumed && r->refusal[0] != '\0')
        return td_fail_set(ret_fail, -ENOSPC, "%s", r->refusal);
    return 0;
}

/* Takes `order` (and `resume`) over in any case. */
static int new_recording(struct td_recordings *r, struct td_order *order, struct td_resume *resume,
                         struct td_fail *ret_fail, struct td_recording **ret_recording)
{
    int err = may_begin(r, order->room, resume != NULL, ret_fail);
    struct td_recording *recording = err == 0 ? calloc(1, sizeof(*recording)) : NULL;
    if (recording == NULL) {
        td_order_free(order);
        td_resume_free(resume);
        return err < 0 ? err : td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    }
    recording->all = r;
    recording->order = order;
    recording->hold = order->hold;
    recording->unproven = resume != NULL;
    err = make_session(recording, resume, ret_fail);
    if (err < 0) {
        free_recording(recording);
        return err;
    }
    struct td_session_status s;
    td_session_status(recording->session, &s);
    (void)snprintf(recording->id, sizeof(recording->id), "%s", s.id);
    r->items[r->count++] = recording;
    char *kept = td_order_text(order, true);
    write_state(recording, kept);
    free(kept);
    *ret_recording = recording;
    return 0;
}

static int wait_for(struct td_recording *recording, td_recording_settled_fn *settled, void *ctx,
                    struct td_fail *ret_fail)
{
    if (recording->waiter_count == WAITERS_MAX)
        return td_fail_set(ret_fail, -TD_E_LIMIT, "Too many calls wait for this recording.");
    recording->waiters[recording->waiter_count++] = (struct waiter){.settled = settled, .ctx = ctx};
    return 0;
}

static struct td_recording *running_room(struct td_recordings *r, const char *room)
{
    for (unsigned i = r->count; i > 0; i--) {
        struct td_recording *item = r->items[i - 1];
        if (strcmp(item->order->room, room) == 0 && !item->gone)
            return item;
    }
    return NULL;
}

/* What was stopped does not start again: another one begins beside its last words. */
static bool is_ending(const struct td_recording *recording)
{
    struct td_session_status s;
    td_session_status(recording->session, &s);
    return s.state >= TD_SESSION_FINISHING;
}

/* Whether it is known where the room is. */
static int check_server(const struct td_recordings *r, const struct td_recording_request *request,
                        struct td_fail *ret_fail)
{
    const struct td_config *c = r->config.config;
    bool own = request->url != NULL && request->token != NULL;
    bool configured = c->ws_url != NULL && c->api_key != NULL && c->api_secret != NULL;
    if (!own && request->token != NULL && c->ws_url == NULL)
        return td_fail_set(ret_fail, -TD_E_USAGE,
                           "No LiveKit server is configured; give url with the token, or set "
                           "ws_url.");
    if (!own && request->token == NULL && !configured)
        return td_fail_set(ret_fail, -TD_E_USAGE,
                           "No LiveKit server is configured; set ws_url, api_key and api_secret, "
                           "or give serve --url, --api-key and --api-secret.");
    return 0;
}

int td_recordings_start(struct td_recordings *r, const struct td_recording_request *request,
                        td_recording_settled_fn *settled, void *ctx, struct td_fail *ret_fail,
                        struct td_recording **ret_recording)
{
    int err = td_order_check(request, r->config.config, ret_fail);
    if (err < 0)
        return err;
    struct td_recording *recording = running_room(r, request->room);
    if (recording != NULL && !is_ending(recording)) {
        *ret_recording = recording;
        if (!recording->settled) {
            err = wait_for(recording, settled, ctx, ret_fail);
            return err < 0 ? err : TD_RECORDINGS_RUNNING;
        }
        settled(ctx, recording);
        return TD_RECORDINGS_RUNNING;
    }
    err = check_server(r, request, ret_fail);
    struct td_order *copy = NULL;
    if (err == 0)
        err = td_order_new(request, "livekit", r->config.config, ret_fail, &copy);
    if (err == 0)
        err = new_recording(r, copy, NULL, ret_fail, &recording);
    if (err < 0)
        return err;
    *ret_recording = recording;
    err = wait_for(recording, settled, ctx, ret_fail);
    g_assert(err == 0); /* it is the first */
    connect_livekit(recording);
    return 0;
}

/* ---- WHIP ---- */

static int attach_whip(struct td_recording *recording, const char *offer, size_t offer_len,
                       td_whip_answer_fn *answered, void *ctx, struct td_fail *ret_fail)
{
    const struct td_recordings_config *all = &recording->all->config;
    struct td_whip_config config = {
        .room = recording->order->room,
        .loopback_only = all->config->loopback_only,
        .tell_loopback = true, /* beside a daemon, publishers on the same machine are common */
        .loop = all->recorder->loop,
        .control = all->recorder->control,
        .certificate = all->certificate,
        .transport = &td_ice_nice,
        .log = all->recorder->log,
    };
    int err = td_id_new("whs", recording->whip_session);
    if (err < 0)
        return td_fail_set(ret_fail, err, "No random numbers: %s.", td_err_text(err));
    struct td_source_events events = td_session_source_events(recording->session);
    struct td_media_sink sink = td_session_sink(recording->session);
    struct td_source *source = NULL;
    err = td_whip_new(&config, offer, offer_len, &events, &sink, answered, ctx, ret_fail, &source);
    if (err < 0)
        return err;
    recording->whip = source;
    td_session_attach(recording->session, source);
    return 0;
}

/* The recording that lost this publisher, if there is one. */
static struct td_recording *lost_whip(struct td_recordings *r, const char *room, const char *digest)
{
    for (unsigned i = 0; i < r->count; i++) {
        struct td_recording *item = r->items[i];
        if (item->gone || item->whip != NULL || !is_whip(item) ||
            strcmp(item->order->room, room) != 0)
            continue;
        struct td_session_status s;
        td_session_status(item->session, &s);
        bool same = item->order->digest == NULL || strcmp(item->order->digest, digest) == 0;
        if (s.state == TD_SESSION_INTERRUPTED && !s.left && same)
            return item;
    }
    return NULL;
}

static int new_whip(struct td_recordings *r, const char *room, const char *digest,
                    struct td_fail *ret_fail, struct td_recording **ret_recording)
{
    struct td_recording_request asked = {.room = room};
    struct td_order *order = NULL;
    int err = td_order_new(&asked, "whip", r->config.config, ret_fail, &order);
    if (err < 0)
        return err;
    order->digest = strdup(digest);
    if (order->digest == NULL) {
        td_order_free(order);
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    }
    return new_recording(r, order, NULL, ret_fail, ret_recording);
}

int td_recordings_whip(struct td_recordings *r, const char *room, const char *token,
                       const char *offer, size_t offer_len, td_whip_answer_fn *answered, void *ctx,
                       struct td_fail *ret_fail, struct td_recording **ret_recording)
{
    if (!r->config.config->whip.record)
        return td_fail_set(ret_fail, -TD_E_STATE, "WHIP ingest is off (whip.record).");
    int err = td_whip_check(offer, offer_len, ret_fail); /* before a folder is made for it */
    if (err < 0)
        return err;
    char *digest = token != NULL ? g_compute_checksum_for_string(G_CHECKSUM_SHA256, token, -1)
                                 : g_strdup("");
    struct td_recording *recording = lost_whip(r, room, digest);
    bool begun = recording == NULL;
    if (begun)
        err = new_whip(r, room, digest, ret_fail, &recording);
    g_free(digest);
    if (err < 0)
        return err;
    err = attach_whip(recording, offer, offer_len, answered, ctx, ret_fail);
    if (err < 0) {
        if (begun)
            td_session_refuse(recording->session, ret_fail);
        return err;
    }
    *ret_recording = recording;
    return 0;
}

struct td_source *td_recordings_whip_session(struct td_recordings *r, const char *session,
                                             struct td_recording **ret_recording)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (r->items[i]->whip == NULL || strcmp(r->items[i]->whip_session, session) != 0)
            continue;
        *ret_recording = r->items[i];
        return r->items[i]->whip;
    }
    return NULL;
}

/* ---- going on ---- */

/* Although nobody came back yet: what ends the daemon from now on is not this. */
static gboolean on_proven(gpointer data)
{
    struct td_recording *recording = data;
    recording->proving = 0;
    recording->unproven = false;
    if (recording->session != NULL)
        write_state(recording, NULL);
    return G_SOURCE_REMOVE;
}

int td_recordings_resume(struct td_recordings *r, struct td_resume *resume, const char *request,
                         struct td_fail *ret_fail)
{
    struct td_order *copy = NULL;
    int err = td_order_read(request, &resume->manifest, &copy);
    if (err < 0) {
        td_resume_free(resume);
        return td_fail_set(ret_fail, err, "What was asked for cannot be read: %s.",
                           td_err_text(err));
    }
    struct td_recording *recording = NULL;
    err = new_recording(r, copy, resume, ret_fail, &recording);
    if (err < 0)
        return err;
    recording->settled = true;
    recording->proving = g_timeout_add(PROVEN_MS, on_proven, recording);
    if (!is_whip(recording))
        connect_livekit(recording);
    return 0;
}

/* ---- running ones ---- */

struct td_recording *td_recordings_by_room(struct td_recordings *r, const char *room)
{
    return running_room(r, room);
}

struct td_recording *td_recordings_by_id(struct td_recordings *r, const char *id)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (strcmp(r->items[i]->id, id) == 0)
            return r->items[i];
    }
    return NULL;
}

void td_recordings_each(struct td_recordings *r,
                        void (*each)(void *ctx, struct td_recording *recording), void *ctx)
{
    for (unsigned i = r->count; i > 0; i--)
        each(ctx, r->items[i - 1]);
}

void td_recording_stop(struct td_recording *recording, const char *reason)
{
    if (recording->session != NULL)
        td_session_stop(recording->session, reason);
}

int td_recording_pause(struct td_recording *recording, const char *reason)
{
    return recording->session != NULL ? td_session_pause(recording->session, reason) : -TD_E_STATE;
}

int td_recording_resume(struct td_recording *recording)
{
    return recording->session != NULL ? td_session_resume(recording->session) : -TD_E_STATE;
}

void td_recording_limit(struct td_recording *recording, int64_t max_duration_us,
                        int64_t max_size_bytes)
{
    if (max_duration_us >= 0)
        recording->order->max_duration_us = max_duration_us;
    if (max_size_bytes >= 0)
        recording->order->max_size_bytes = max_size_bytes;
    td_recordings_reload(recording->all);
}

void td_recording_hold(struct td_recording *recording, bool hold)
{
    recording->hold = hold;
    recording->order->hold = hold;
    if (recording->session != NULL)
        write_state(recording, NULL);
}

void td_recordings_reload(struct td_recordings *r)
{
    for (unsigned i = 0; i < r->count; i++) {
        struct td_recording *item = r->items[i];
        struct td_session_limits limits = limits_of(r->config.config, item->order);
        if (item->session != NULL)
            td_session_set_limits(item->session, &limits);
    }
}

/* ---- all of them ---- */

struct search { /* of the catalogue, on its way */
    struct td_recordings *all;
    struct td_catalog *catalog;
    struct td_catalog_query query;
    char *texts[4]; /* of the query */
    json_t *docs;
    td_recordings_found_fn *found;
    void *ctx;
};

static int add_row(void *ctx, const struct td_catalog_row *row)
{
    struct search *search = ctx;
    json_t *doc = json_loads(row->doc, 0, NULL);
    if (doc == NULL)
        return 0;
    json_object_set_new(doc, "hold", json_boolean(row->hold));
    return json_array_append_new(search->docs, doc) == 0 ? 0 : -ENOMEM;
}

static int run_search(void *arg)
{
    struct search *search = arg;
    return td_catalog_each(search->catalog, &search->query, add_row, search);
}

/* Live numbers in place of those that were written with the last state. */
static void show_live(struct td_recordings *r, json_t *docs)
{
    size_t index;
    json_t *doc;
    json_array_foreach(docs, index, doc)
    {
        const char *id = json_string_value(json_object_get(doc, "id"));
        struct td_recording *live = id != NULL ? td_recordings_by_id(r, id) : NULL;
        json_t *now = live != NULL ? td_recording_json(live) : NULL;
        if (now != NULL)
            json_array_set_new(docs, index, now);
    }
}

static void on_found(void *target, const void *payload)
{
    struct search *search = target;
    int error;
    memcpy(&error, payload, sizeof(error));
    if (error >= 0)
        show_live(search->all, search->docs);
    search->found(search->ctx, error < 0 ? error : 0, search->docs);
    json_decref(search->docs);
    for (size_t i = 0; i < 4; i++)
        free(search->texts[i]);
    free(search);
}

static const char *keep_text(struct search *search, size_t index, const char *text)
{
    search->texts[index] = text != NULL ? strdup(text) : NULL;
    return search->texts[index];
}

int td_recordings_find(struct td_recordings *r, const struct td_catalog_query *query,
                       td_recordings_found_fn *found, void *ctx)
{
    struct search *search = calloc(1, sizeof(*search));
    if (search == NULL)
        return -ENOMEM;
    *search = (struct search){
        .all = r, .catalog = r->config.catalog, .query = *query, .found = found, .ctx = ctx};
    search->query.id = keep_text(search, 0, query->id);
    search->query.room = keep_text(search, 1, query->room);
    search->query.state = keep_text(search, 2, query->state);
    search->query.before = keep_text(search, 3, query->before);
    search->docs = json_array();
    int err = search->docs == NULL ? -ENOMEM
                                   : td_catalog_post(r->config.recorder->store, run_search, search,
                                                     r->config.recorder->control, on_found, search);
    if (err < 0) {
        json_decref(search->docs);
        for (size_t i = 0; i < 4; i++)
            free(search->texts[i]);
        free(search);
    }
    return err;
}

struct removal {
    struct td_catalog *catalog;
    struct td_fs *fs;
    char *data_dir;
    char id[TD_ID_MAX];
    char folder[TD_PATH_MAX];
    bool final;
    void (*done)(void *ctx, int error);
    void *ctx;
};

static int note_folder(void *ctx, const struct td_catalog_row *row)
{
    struct removal *removal = ctx;
    removal->final = row->final;
    return td_layout_path(removal->folder, "%s", row->folder);
}

static int forget_row(void *ctx, const char *folder)
{
    struct removal *removal = ctx;
    (void)folder;
    int r = td_catalog_delete(removal->catalog, removal->id);
    return r == TD_CATALOG_NONE ? 0 : r;
}

static int run_removal(void *arg)
{
    struct removal *removal = arg;
    struct td_catalog_query query = {.id = removal->id, .limit = 1};
    int n = td_catalog_each(removal->catalog, &query, note_folder, removal);
    if (n < 0)
        return n;
    if (n == 0)
        return TD_CATALOG_NONE;
    if (!removal->final)
        return -TD_E_STATE;
    return td_retention_remove(removal->fs, removal->data_dir, removal->folder, forget_row, removal,
                               NULL);
}

static void on_removed(void *target, const void *payload)
{
    struct removal *removal = target;
    int error;
    memcpy(&error, payload, sizeof(error));
    removal->done(removal->ctx, error);
    free(removal->data_dir);
    free(removal);
}

int td_recordings_remove(struct td_recordings *r, const char *id,
                         void (*done)(void *ctx, int error), void *ctx)
{
    if (td_recordings_by_id(r, id) != NULL)
        return -TD_E_STATE;
    if (strlen(id) >= TD_ID_MAX)
        return -TD_E_USAGE;
    struct removal *removal = calloc(1, sizeof(*removal));
    if (removal == NULL)
        return -ENOMEM;
    removal->catalog = r->config.catalog;
    removal->fs = r->config.recorder->fs;
    removal->data_dir = strdup(r->config.config->data_dir);
    memcpy(removal->id, id, strlen(id) + 1);
    removal->done = done;
    removal->ctx = ctx;
    int err = removal->data_dir == NULL
                  ? -ENOMEM
                  : td_catalog_post(r->config.recorder->store, run_removal, removal,
                                    r->config.recorder->control, on_removed, removal);
    if (err < 0) {
        free(removal->data_dir);
        free(removal);
    }
    return err;
}

void td_recordings_refuse(struct td_recordings *r, const char *why)
{
    (void)snprintf(r->refusal, sizeof(r->refusal), "%s", why != NULL ? why : "");
}

static gboolean on_idle(gpointer data)
{
    struct td_recordings *r = data;
    r->done_source = 0;
    finish(r);
    return G_SOURCE_REMOVE;
}

void td_recordings_stop_all(struct td_recordings *r, const char *reason, bool interrupt,
                            void (*done)(void *ctx), void *ctx)
{
    r->stopping = r->stopping || done != NULL;
    if (done != NULL) {
        r->done = done;
        r->done_ctx = ctx;
    }
    for (unsigned i = r->count; i > 0; i--) {
        struct td_recording *item = r->items[i - 1];
        if (item->session != NULL && interrupt)
            td_session_leave(item->session);
        else
            td_recording_stop(item, reason);
    }
    /* From the loop, so that `done` never comes within this call. */
    if (r->done_source == 0 && done != NULL)
        r->done_source = g_idle_add(on_idle, r);
}

unsigned td_recordings_running(const struct td_recordings *r)
{
    return r->count;
}

unsigned td_recordings_unwritten(const struct td_recordings *r)
{
    return td_ledger_unwritten(r->ledger);
}
