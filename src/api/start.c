/* SPDX-License-Identifier: Apache-2.0 */
#include "api/start.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct start {
    struct td_call call;
    struct td_starts *starts; /* NULL once those are gone */
    struct start *next;       /* of those that wait, or of the followers */
    struct start *followers;  /* the same key and request: answered with this one */
    struct td_ask ask;
    char room[TD_ASK_TEXT_MAX + 1]; /* of the short form, which has no body to hold it */
    char key[TD_ASK_TEXT_MAX + 1];  /* empty = none */
    /* store thread, between td_call_job and its answer */
    char kept_digest[TD_ASK_DIGEST_SIZE];
    char id[TD_ID_MAX]; /* of the recording */
    /* control loop */
    bool starting; /* within td_recordings_start */
    bool settled;
    bool known; /* from an earlier call, by its key or its room: it is shown as it is now */
    unsigned status;
    struct td_fail fail;
    json_t *doc;
};

struct td_starts {
    struct td_calls *calls;
    struct start *first; /* leaders with a key */
};

int td_starts_new(struct td_calls *calls, struct td_starts **ret_starts)
{
    struct td_starts *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->calls = calls;
    *ret_starts = s;
    return 0;
}

struct td_starts *td_starts_free(struct td_starts *s)
{
    if (s == NULL)
        return NULL;
    for (struct start *start = s->first; start != NULL; start = start->next)
        start->starts = NULL;
    free(s);
    return NULL;
}

static void unlink_start(struct start *start)
{
    if (start->starts == NULL)
        return;
    for (struct start **at = &start->starts->first; *at != NULL; at = &(*at)->next) {
        if (*at == start) {
            *at = start->next;
            return;
        }
    }
}

/* ---- answers ---- */

static void end_start(struct start *start)
{
    json_decref(start->doc);
    td_ask_done(&start->ask);
    td_call_end(&start->call);
}

/* Whether its source let it in: not if that refused, or if it was stopped before. */
static bool has_started(const struct start *start)
{
    static const char *const words[] = {"starting", "finishing", "aborted", "failed"};
    const char *is = json_string_value(json_object_get(start->doc, "state"));
    if (start->known)
        return true;
    if (start->fail.code != 0 || is == NULL)
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcmp(is, words[i]) == 0)
            return false;
    }
    return true;
}

static void answer_one(const struct start *result, SoupServerMessage *message)
{
    if (message == NULL)
        return;
    if (!has_started(result)) {
        td_http_fail(message, &result->fail);
        return;
    }
    char location[sizeof("/api/recordings/") + TD_ID_MAX];
    (void)snprintf(location, sizeof(location), "/api/recordings/%s", result->id);
    td_http_json(message, result->status, json_incref(result->doc));
    soup_message_headers_replace(soup_server_message_get_response_headers(message), "Location",
                                 location);
}

static void end_all(struct start *start)
{
    unlink_start(start);
    while (start->followers != NULL) {
        struct start *follower = start->followers;
        start->followers = follower->next;
        end_start(follower);
    }
    end_start(start);
}

static void answer(struct start *start)
{
    answer_one(start, start->call.pending.message);
    for (struct start *f = start->followers; f != NULL; f = f->next)
        answer_one(start, f->call.pending.message);
    end_all(start);
}

static void problem(struct start *start, unsigned status, const char *code, const char *detail)
{
    if (start->call.pending.message != NULL)
        td_http_problem(start->call.pending.message, status, code, detail);
    for (struct start *f = start->followers; f != NULL; f = f->next) {
        if (f->call.pending.message != NULL)
            td_http_problem(f->call.pending.message, status, code, detail);
    }
    end_all(start);
}

/* ---- starting ---- */

static int put_key(struct td_call *call) /* store thread */
{
    struct start *start = (struct start *)call;
    return td_catalog_key_put(td_calls_config(call->calls)->catalog, start->key, start->ask.digest,
                              start->id);
}

static void on_kept(struct td_call *call, int result)
{
    struct start *start = (struct start *)call;
    /* The recording runs and its caller has to know; only a late repetition would not find it. */
    if (result < 0)
        td_log_line(td_calls_config(call->calls)->log, TD_LOG_ERROR,
                    "event=key_not_kept recording=%s error=%s", start->id, td_err_name(result));
    answer(start);
}

static void go_on_settled(struct start *start)
{
    if (has_started(start) && start->key[0] != '\0')
        td_call_job(&start->call, put_key, on_kept);
    else
        answer(start);
}

static void on_settled(void *ctx, struct td_recording *recording)
{
    struct start *start = ctx;
    start->settled = true;
    start->fail = *td_recording_fail(recording);
    start->doc = td_recording_json(recording);
    (void)snprintf(start->id, sizeof(start->id), "%s", td_recording_id(recording));
    if (!start->starting)
        go_on_settled(start);
}

static void begin_recording(struct start *start)
{
    struct td_recordings *recordings = td_calls_config(start->call.calls)->recordings;
    struct td_recording *recording = NULL;
    start->starting = true;
    int err = td_recordings_start(recordings, &start->ask.recording, on_settled, start,
                                  &start->fail, &recording);
    start->starting = false;
    start->status = err == TD_RECORDINGS_RUNNING ? SOUP_STATUS_OK : SOUP_STATUS_CREATED;
    if (err < 0) {
        (void)td_fail_set(&start->fail, err, "%s.", td_err_text(err));
        answer(start);
    } else if (start->settled) {
        start->known = err == TD_RECORDINGS_RUNNING;
        go_on_settled(start);
    } /* else on_settled follows */
}

/* ---- keys ---- */

static void on_known_recording(struct td_call *call, int error, json_t *doc,
                               struct td_recording *running)
{
    (void)running;
    struct start *start = (struct start *)call;
    if (error < 0) {
        (void)td_fail_set(&start->fail, error, "The catalogue cannot be read: %s.",
                          td_err_text(error));
        answer(start);
    } else if (doc == NULL) {
        problem(start, SOUP_STATUS_NOT_FOUND, "no_such_recording",
                "The recording that this Idempotency-Key began was removed.");
    } else {
        start->known = true;
        start->status = SOUP_STATUS_OK;
        start->doc = json_incref(doc);
        answer(start);
    }
}

static int get_key(struct td_call *call) /* store thread */
{
    struct start *start = (struct start *)call;
    return td_catalog_key_get(td_calls_config(call->calls)->catalog, start->key, start->kept_digest,
                              sizeof(start->kept_digest), start->id);
}

static void on_key(struct td_call *call, int result)
{
    struct start *start = (struct start *)call;
    if (result < 0) {
        (void)td_fail_set(&start->fail, result, "The catalogue cannot be read: %s.",
                          td_err_text(result));
        answer(start);
    } else if (start->starts == NULL) {
        end_all(start); /* the daemon goes, and nobody waits any more */
    } else if (result == TD_CATALOG_NONE) {
        begin_recording(start);
    } else if (strcmp(start->kept_digest, start->ask.digest) != 0) {
        problem(start, SOUP_STATUS_UNPROCESSABLE_ENTITY, "idempotency_key_reused",
                "This Idempotency-Key came with another request before.");
    } else {
        td_call_find_id(call, start->id, on_known_recording);
    }
}

static void begin_with_key(struct td_starts *s, struct start *start)
{
    struct start *leader = s->first;
    while (leader != NULL && strcmp(leader->key, start->key) != 0)
        leader = leader->next;
    if (leader == NULL) {
        start->next = s->first;
        s->first = start;
        td_call_job(&start->call, get_key, on_key);
    } else if (strcmp(leader->ask.digest, start->ask.digest) == 0) {
        start->next = leader->followers;
        leader->followers = start;
        start->starts = NULL; /* it stands in no list of theirs */
    } else {
        start->starts = NULL;
        problem(start, SOUP_STATUS_UNPROCESSABLE_ENTITY, "idempotency_key_reused",
                "This Idempotency-Key came with another request, which is still waiting.");
    }
}

static struct start *new_start(struct td_starts *s, SoupServerMessage *message)
{
    struct start *start = td_call_begin(s->calls, message, sizeof(*start));
    if (start != NULL)
        start->starts = s;
    return start;
}

void td_starts_begin(struct td_starts *s, SoupServerMessage *message, struct td_ask *ask,
                     const char *key)
{
    struct start *start = new_start(s, message);
    if (start == NULL) {
        td_ask_done(ask);
        return;
    }
    start->ask = *ask;
    *ask = (struct td_ask){.body = NULL};
    if (key == NULL) {
        begin_recording(start);
        return;
    }
    (void)snprintf(start->key, sizeof(start->key), "%s", key);
    begin_with_key(s, start);
}

void td_starts_room(struct td_starts *s, SoupServerMessage *message, const char *room)
{
    struct start *start = new_start(s, message);
    if (start == NULL)
        return;
    (void)snprintf(start->room, sizeof(start->room), "%s", room);
    start->ask.recording.room = start->room;
    begin_recording(start);
}
