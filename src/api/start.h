/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start: the calls that start a recording, answered once its source accepted or refused.
 * Owner: rest; freed before the recordings, when the loop has come to rest.
 * Thread: control loop; idempotency keys are read and kept on the store thread.
 * Bound: a start waits at most as long as its source does (TD_START_TIMEOUT_US and a second).
 * Does not: read requests (ask does) or check whether the caller may record that room.
 *
 * 201 with a Location for a new recording, 200 with the one that runs already. With a key, the same
 * request again is answered with the same recording: with the same status while the first call
 * still waits, with 200 later, after a restart too. A start that failed keeps no key: it may be
 * tried again.
 */
#ifndef TD_API_START_H
#define TD_API_START_H

#include "api/ask.h"
#include "api/call.h"

struct td_starts;

TD_MUST int td_starts_new(struct td_calls *calls, struct td_starts **ret_starts);
/* Takes NULL, returns NULL. */
struct td_starts *td_starts_free(struct td_starts *s);
/* Takes `ask` over. `key`: td_ask_is_key, or NULL for none. */
void td_starts_begin(struct td_starts *s, SoupServerMessage *message, struct td_ask *ask,
                     const char *key);
/* The short form: this room, everything else as configured. */
void td_starts_room(struct td_starts *s, SoupServerMessage *message, const char *room);

#endif
