/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: what happens to a recording, as server-sent events, for those who watch it.
 * Owner: rest; freed before the recordings, when the loop has come to rest.
 * Thread: control loop.
 * Bound: TD_EVENTS_CLIENTS_MAX streams; a feed for each recording that runs; TD_EVENTS_PENDING
 *        unsent events and TD_EVENTS_STALL_US a client, which is cut off then: it comes back with
 *        its Last-Event-ID.
 * Does not: keep anything of ended recordings.
 *
 * Events: `state` (the recording), `timeline` (a line of timeline.jsonl), `stats` (once a second,
 * numbers only) and `end`, after which the stream closes. `state` and `timeline` have ids
 * "<boot>-<n>": a client that comes back with one that the ring still knows goes on behind it; any
 * other gets a `state` of now first. The id of `end` is "end": who comes back with that gets 204,
 * which tells browsers to stop.
 */
#ifndef TD_API_EVENTS_H
#define TD_API_EVENTS_H

#include <jansson.h>
#include <libsoup/soup.h>

#include "api/recordings.h"

#define TD_EVENTS_CLIENTS_MAX 256u
#define TD_EVENTS_PENDING 256u
#define TD_EVENTS_PENDING_BYTES (1u << 20)
#define TD_EVENTS_STALL_US INT64_C(30000000)
#define TD_EVENTS_HEARTBEAT_US INT64_C(15000000) /* a comment, so that nobody between gives up */
#define TD_EVENTS_AWAIT_MS 2000u

struct td_events;

/* Observes `recordings` from now on. */
TD_MUST int td_events_new(struct td_recordings *recordings, struct td_events **ret_events);
/* Nothing of the recordings calls us any more. Takes NULL, returns NULL. */
struct td_events *td_events_free(struct td_events *e);
/* Answers `message` with a stream (or 204, 503). `running` NULL: `doc` is that of an ended one. */
void td_events_stream(struct td_events *e, SoupServerMessage *message, json_t *doc,
                      struct td_recording *running);
/* Calls `heard` once, later: when a state other than that of `doc` was written, or after
 * TD_EVENTS_AWAIT_MS with what is shown then. Its doc is borrowed, NULL when there is none any
 * more. -ENOMEM: it is not called. */
typedef void td_events_heard_fn(void *ctx, json_t *doc);
TD_MUST int td_events_await(struct td_events *e, const json_t *doc, td_events_heard_fn *heard,
                            void *ctx);
/* Streams that are open. */
unsigned td_events_clients(const struct td_events *e);

#endif
