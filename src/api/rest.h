/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest: the JSON routes of design section 10 that exist so far: the short form (start, stop,
 *       status), the list, and /healthz.
 * Owner: the serve command; freed before the recordings.
 * Thread: control loop.
 * Bound: a start waits at most as long as its source does (TD_START_TIMEOUT_US and a second).
 * Does not: hold recordings.
 */
#ifndef TD_API_REST_H
#define TD_API_REST_H

#include "api/http.h"
#include "api/recordings.h"

struct td_rest;

TD_MUST int td_rest_new(struct td_http *http, struct td_recordings *recordings,
                        struct td_rest **ret_rest);
struct td_rest *td_rest_free(struct td_rest *r);

#endif
