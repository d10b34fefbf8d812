/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shortform: /api/recording/{start,stop,status}/{mint_id}: one room, no body, everything
 * configured.
 * Owner: rest; freed before the recordings, when the loop has come to rest.
 * Thread: control loop.
 * Bound: that of the calls and starts.
 * Does not: anything that the long form does not do.
 */
#ifndef TD_API_SHORTFORM_H
#define TD_API_SHORTFORM_H

#include "api/call.h"
#include "api/start.h"

struct td_shortform;

/* Adds the routes. */
TD_MUST int td_shortform_new(struct td_http *http, struct td_calls *calls, struct td_starts *starts,
                             struct td_shortform **ret_shortform);
/* Takes NULL, returns NULL. */
struct td_shortform *td_shortform_free(struct td_shortform *s);

#endif
