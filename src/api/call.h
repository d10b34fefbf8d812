/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: a request of the JSON API that waits: for the catalogue, for a folder, for a source.
 * Owner: itself: begun by a route, ended by td_call_end; `calls` is counted, each call holds it.
 * Thread: control loop; jobs run on the store thread.
 * Bound: one a request, and the HTTP server bounds those; the catalogue's own limits.
 * Does not: know routes or what is answered.
 *
 * The client may go away meanwhile: `pending.message` is then NULL, and the rest goes on unheard.
 */
#ifndef TD_API_CALL_H
#define TD_API_CALL_H

#include "api/http.h"
#include "api/pending.h"
#include "api/recordings.h"

struct td_calls_config {
    struct td_recordings *recordings;
    struct td_catalog *catalog;
    struct td_store *store;
    struct td_mailbox *control;
    const struct td_log *log;
};

struct td_calls;

TD_MUST int td_calls_new(const struct td_calls_config *config, struct td_calls **ret_calls);
/* Calls that still wait hold it, until they are answered. Takes NULL, returns NULL. */
struct td_calls *td_calls_unref(struct td_calls *c);
const struct td_calls_config *td_calls_config(const struct td_calls *c);

struct td_call;
/* `doc` is borrowed; NULL = there is none (`error` 0) or it could not be looked up (negative).
 * `running` is NULL for an ended one. */
typedef void td_call_found_fn(struct td_call *call, int error, json_t *doc,
                              struct td_recording *running);
typedef int td_call_job_fn(struct td_call *call); /* store thread */
typedef void td_call_done_fn(struct td_call *call, int result);

/* First member of what a route keeps for its request. */
struct td_call {
    struct td_calls *calls;
    struct td_pending pending;
    td_call_found_fn *found;
    td_call_job_fn *job;
    td_call_done_fn *done;
};

/* `size` zeroed bytes that begin with a td_call, and the message paused. NULL = answered with 500.
 */
void *td_call_begin(struct td_calls *calls, SoupServerMessage *message, size_t size);
/* Sends what was answered and frees the call. */
void td_call_end(struct td_call *call);

/* One of these at a time. `found` is called once, possibly before they return. */
void td_call_find_id(struct td_call *call, const char *id, td_call_found_fn *found);
/* The one that runs, else the newest that ended. */
void td_call_find_room(struct td_call *call, const char *room, td_call_found_fn *found);
/* `done` is called once with what job(call) answered on the store thread, or with the reason why
 * it could not run, possibly before this returns. */
void td_call_job(struct td_call *call, td_call_job_fn *job, td_call_done_fn *done);

/* Whether there is a recording to go on with, and somebody who may see it; else that is answered
 * (404, 403, 500). */
bool td_call_shows(struct td_call *call, int error, json_t *doc);

#endif
