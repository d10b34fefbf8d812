/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest: the JSON API: /api/recordings and what is below it, and the short form.
 * Owner: the serve command; freed before the recordings, when the loop has come to rest.
 * Thread: control loop; folders are listed on the store thread.
 * Bound: a start waits at most as long as its source does; what stops, pauses or resumes waits
 *        TD_EVENTS_AWAIT_MS to show the new state.
 * Does not: hold recordings, or let a caller see what is not in the rooms of its key.
 */
#ifndef TD_API_REST_H
#define TD_API_REST_H

#include "api/files.h"
#include "api/http.h"
#include "api/recordings.h"

struct td_rest_config {
    struct td_http *http;
    struct td_recordings *recordings;
    struct td_catalog *catalog;
    struct td_store *store;
    struct td_mailbox *control;
    struct td_fs *fs;
    struct td_files *files;
    const char *data_dir;
    const struct td_log *log;
};

struct td_rest;

/* Adds the routes and an observer of the recordings; all of `config` outlives it. */
TD_MUST int td_rest_new(const struct td_rest_config *config, struct td_rest **ret_rest);
/* Takes NULL, returns NULL. */
struct td_rest *td_rest_free(struct td_rest *r);
/* Clients that watch events now. */
unsigned td_rest_watchers(const struct td_rest *r);
#endif
