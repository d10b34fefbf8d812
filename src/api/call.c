/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct td_calls {
    struct td_calls_config config;
    unsigned refs;
};

int td_calls_new(const struct td_calls_config *config, struct td_calls **ret_calls)
{
    struct td_calls *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->config = *config;
    c->refs = 1;
    *ret_calls = c;
    return 0;
}

struct td_calls *td_calls_unref(struct td_calls *c)
{
    if (c != NULL && --c->refs == 0)
        free(c);
    return NULL;
}

const struct td_calls_config *td_calls_config(const struct td_calls *c)
{
    return &c->config;
}

void *td_call_begin(struct td_calls *calls, SoupServerMessage *message, size_t size)
{
    struct td_call *call = calloc(1, size);
    if (call == NULL) {
        td_http_problem(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed", "Out of memory.");
        return NULL;
    }
    call->calls = calls;
    calls->refs++;
    td_pending_init(&call->pending, message);
    return call;
}

void td_call_end(struct td_call *call)
{
    td_pending_done(&call->pending);
    td_calls_unref(call->calls);
    free(call);
}

/* ---- looking up ---- */

static void on_found(void *ctx, int error, json_t *docs)
{
    struct td_call *call = ctx;
    json_t *doc = error < 0 ? NULL : json_array_get(docs, 0);
    struct td_recording *running = NULL;
    /* It may have been resumed, and none that runs is shown as ended. */
    const char *id = json_string_value(json_object_get(doc, "id"));
    if (id != NULL && call->pending.message != NULL)
        running = td_recordings_by_id(call->calls->config.recordings, id);
    call->found(call, error, doc, running);
}

static void find(struct td_call *call, const struct td_catalog_query *query,
                 struct td_recording *running)
{
    if (running != NULL) {
        json_t *doc = td_recording_json(running);
        call->found(call, doc != NULL ? 0 : -ENOMEM, doc, running);
        json_decref(doc);
        return;
    }
    int err = td_recordings_find(call->calls->config.recordings, query, on_found, call);
    if (err < 0)
        call->found(call, err, NULL, NULL);
}

void td_call_find_id(struct td_call *call, const char *id, td_call_found_fn *found)
{
    struct td_catalog_query query = {.id = id, .limit = 1};
    call->found = found;
    find(call, &query, td_recordings_by_id(call->calls->config.recordings, id));
}

void td_call_find_room(struct td_call *call, const char *room, td_call_found_fn *found)
{
    struct td_catalog_query query = {.room = room, .limit = 1};
    call->found = found;
    find(call, &query, td_recordings_by_room(call->calls->config.recordings, room));
}

bool td_call_shows(struct td_call *call, int error, json_t *doc)
{
    SoupServerMessage *message = call->pending.message;
    if (message == NULL)
        return false;
    if (error < 0) {
        td_http_problem(message, SOUP_STATUS_SERVICE_UNAVAILABLE, "catalogue",
                        "The catalogue cannot be read now.");
        return false;
    }
    if (doc == NULL) {
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "no_such_recording",
                        "There is no such recording.");
        return false;
    }
    const char *room = json_string_value(json_object_get(doc, "room"));
    if (td_http_may(message, room != NULL ? room : ""))
        return true;
    td_http_forbidden(message);
    return false;
}

/* ---- jobs ---- */

static int run_job(void *arg)
{
    struct td_call *call = arg;
    return call->job(call);
}

static void on_done(void *target, const void *payload)
{
    struct td_call *call = target;
    int result = 0;
    memcpy(&result, payload, sizeof(result));
    call->done(call, result);
}

void td_call_job(struct td_call *call, td_call_job_fn *job, td_call_done_fn *done)
{
    const struct td_calls_config *config = &call->calls->config;
    call->job = job;
    call->done = done;
    int err = td_catalog_post(config->store, run_job, call, config->control, on_done, call);
    if (err < 0)
        done(call, err);
}
