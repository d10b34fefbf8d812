/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trickle: ICE candidates as LiveKit's signalling carries them: JSON of RTCIceCandidateInit.
 * Owner: the livekit source or publisher, embedded.
 * Thread: control loop.
 * Bound: TD_CANDIDATES_MAX of our own, of TD_TRICKLE_TEXT_MAX bytes, for the first description.
 * Does not: gather, or judge a candidate.
 */
#ifndef TD_SOURCE_LIVEKIT_TRICKLE_H
#define TD_SOURCE_LIVEKIT_TRICKLE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/limits.h"

#define TD_TRICKLE_TEXT_MAX 256

struct td_trickle {
    char *waiting[TD_CANDIDATES_MAX]; /* candidates gathered so far */
    unsigned waiting_count;
    void (*send)(void *ctx, const char *json); /* NULL = not yet */
    void *ctx;
};

/* The candidate of the server's JSON: 1; 0 when there is none in it; -TD_E_PARSE. */
TD_MUST int td_trickle_parse(const char *json, char ret_candidate[static TD_TRICKLE_TEXT_MAX]);
/* One of ours: sent at once when open, else kept. */
void td_trickle_add(struct td_trickle *t, const char *candidate);
/* From now on `send` may be called. What waited has gone into the description (`waiting`): a server
 * that learns our addresses from our checks instead takes them for peer-reflexive ones, and pion
 * waits a second before it nominates those. */
void td_trickle_open(struct td_trickle *t, void (*send)(void *ctx, const char *json), void *ctx);
void td_trickle_done(struct td_trickle *t);

#endif
