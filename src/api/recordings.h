/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recordings: the daemon's recordings: started, found, stopped, shown.
 * Owner: the serve command.
 * Thread: control loop.
 * Bound: TD_RECORDINGS_RUNNING_MAX running; the last TD_RECORDINGS_ENDED_MAX that ended are kept to
 *        be asked for.
 * Does not: speak HTTP.
 */
#ifndef TD_API_RECORDINGS_H
#define TD_API_RECORDINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "recorder/session.h"
#include "source/livekit/livekit.h"
#include "source/whip/whip.h"

#define TD_RECORDINGS_RUNNING_MAX 512u
#define TD_RECORDINGS_ENDED_MAX 128u

struct td_recordings;
struct td_recording;

struct td_recordings_config {
    const struct td_recorder *recorder;
    const struct td_certificate *certificate;
    const char *data_dir;
    const char *url; /* LiveKit, for the short form; NULL = not set up */
    const char *api_key;
    const char *api_secret;
    const struct td_mux_ops *format; /* NULL = auto */
    int64_t departure_timeout_us;
    int64_t empty_timeout_us;
    int64_t key_interval_us;
    bool loopback_only;
};

TD_MUST int td_recordings_new(const struct td_recordings_config *config,
                              struct td_recordings **ret_recordings);
/* After all ended. Takes NULL, returns NULL. */
struct td_recordings *td_recordings_free(struct td_recordings *r);

enum td_recordings_condition {
    TD_RECORDINGS_RUNNING = 1, /* the room is being recorded already: that one is the answer */
};

/* Called once, when the source accepted or refused. */
typedef void td_recording_settled_fn(void *ctx, struct td_recording *recording);

/* A LiveKit room by the configured server. */
TD_MUST int td_recordings_start(struct td_recordings *r, const char *room,
                                td_recording_settled_fn *settled, void *ctx,
                                struct td_fail *ret_fail, struct td_recording **ret_recording);
/* A WHIP publisher. */
TD_MUST int td_recordings_whip(struct td_recordings *r, const char *room, const char *offer,
                               size_t offer_len, td_whip_answer_fn *answered, void *ctx,
                               struct td_fail *ret_fail, struct td_recording **ret_recording);
/* The newest of a room that runs, else the newest; or the one with this id. NULL = there is none.
 */
struct td_recording *td_recordings_by_room(struct td_recordings *r, const char *room);
struct td_recording *td_recordings_by_id(struct td_recordings *r, const char *id);
void td_recording_stop(struct td_recording *recording, const char *reason);
/* The WHIP source while it lives, else NULL. */
struct td_source *td_recording_source(const struct td_recording *recording);
const char *td_recording_id(const struct td_recording *recording);
const struct td_fail *td_recording_fail(const struct td_recording *recording);
/* New references. */
json_t *td_recording_json(const struct td_recording *recording);
json_t *td_recordings_json(const struct td_recordings *r);
/* Stops all; `done` once none runs, never from within this call. */
void td_recordings_stop_all(struct td_recordings *r, const char *reason, void (*done)(void *ctx),
                            void *ctx);
unsigned td_recordings_running(const struct td_recordings *r);

#endif
