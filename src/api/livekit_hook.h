/* SPDX-License-Identifier: Apache-2.0 */
/*
 * livekit_hook: POST /livekit/webhook: a LiveKit server tells what happens, auto_record rules
 * answer.
 * Owner: the serve command; freed after the HTTP server and after the recordings, whose observer it
 *        is.
 * Thread: control loop.
 * Bound: TD_LIVEKIT_HOOK_KEPT events and rooms are remembered, TD_LIVEKIT_HOOK_WAITING rooms wait.
 * Does not: wait with its answer until a recording has started: its outcome goes to the log.
 *
 * An event counts when it is signed with the configured LiveKit key, not older than
 * TD_LIVEKIT_HOOK_AGE_S, and heard for the first time. A room whose recording was stopped by a
 * call, or that is over, is not recorded again; another room of the same name is, once the
 * recording of the one before has ended.
 */
#ifndef TD_API_LIVEKIT_HOOK_H
#define TD_API_LIVEKIT_HOOK_H

#include <stdint.h>

#include "api/http.h"
#include "api/recordings.h"
#include "base/log.h"
#include "config/config.h"

#define TD_LIVEKIT_HOOK_KEPT 256u
#define TD_LIVEKIT_HOOK_WAITING 64u
#define TD_LIVEKIT_HOOK_AGE_S 300

struct td_livekit_hook;

struct td_livekit_hook_config {
    const struct td_config *config; /* auto_record, api_key, api_secret; may be reloaded */
    struct td_recordings *recordings;
    const struct td_log *log;
};

/* Makes the route, and asks the catalogue which rooms were stopped before. */
TD_MUST int td_livekit_hook_new(struct td_http *http, const struct td_livekit_hook_config *config,
                                struct td_livekit_hook **ret_hook);
/* Takes NULL, returns NULL. */
struct td_livekit_hook *td_livekit_hook_free(struct td_livekit_hook *h);
/* For td_recordings_observe. */
struct td_recordings_observer td_livekit_hook_observer(struct td_livekit_hook *h);

struct td_livekit_hook_stats {
    uint64_t received;   /* signed ones */
    uint64_t refused;    /* without a valid signature, or not an event */
    uint64_t stale;      /* too old */
    uint64_t duplicates; /* heard before */
    uint64_t started;    /* recordings that began by a rule */
    uint64_t failed;     /* recordings that could not */
};
void td_livekit_hook_stats(const struct td_livekit_hook *h,
                           struct td_livekit_hook_stats *ret_stats);

#endif
