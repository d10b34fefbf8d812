/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: what a recorder and a test publisher both say to a LiveKit server: the token they join
 *          with, descriptions, candidates, goodbye.
 * Owner: none, stateless; a token belongs to the caller.
 * Thread: control loop.
 * Bound: one message a call.
 * Does not: wait for answers, or know subscriptions and publications.
 */
#ifndef TD_SOURCE_LIVEKIT_REQUEST_H
#define TD_SOURCE_LIVEKIT_REQUEST_H

#include "auth/jwt.h"
#include "source/livekit/signal.h"

struct td_livekit_credentials {
    const char *token; /* ready-made; else the rest */
    const char *api_key;
    const char *api_secret;
    const char *room;
    const char *identity; /* NULL = made from a random id */
    enum td_jwt_role role;
};

/* malloc'ed. 0, or negative with a sentence (-TD_E_USAGE for what cannot be signed). */
TD_MUST int td_request_token(const struct td_livekit_credentials *credentials,
                             struct td_fail *ret_fail, char **ret_token);

/* As td_signal_send. */
TD_MUST int td_request_offer(struct td_signal *s, const char *sdp, uint32_t id);
TD_MUST int td_request_answer(struct td_signal *s, const char *sdp, uint32_t id);
TD_MUST int td_request_trickle(struct td_signal *s, Lk__SignalTarget target, const char *json);
/* Says goodbye if it still can, and closes. */
void td_request_leave(struct td_signal *s);

#endif
