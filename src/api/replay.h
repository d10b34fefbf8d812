/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: POST /api/webhooks/replay: letters of webhooks go out again.
 * Owner: none; the route lives as long as the server and the webhook sender.
 * Thread: control loop.
 * Bound: one answer waits for the store thread a request.
 * Does not: choose URLs: letters go where they were meant to go.
 */
#ifndef TD_API_REPLAY_H
#define TD_API_REPLAY_H

#include "api/http.h"
#include "api/webhook.h"

/* {"recording"?: ID, "delivered"?: BOOLEAN} -> {"replayed": N}. Only with a key for all rooms. */
void td_replay_route(struct td_http *http, struct td_webhook *w);

#endif
