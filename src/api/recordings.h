/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recordings: the daemon's recordings: started, resumed, stopped, shown, kept in the catalogue.
 * Owner: the serve command.
 * Thread: control loop; what blocks runs on the store thread.
 * Bound: limits.max_recordings running; ended ones are in the catalogue only.
 * Does not: speak HTTP.
 *
 * Every transition is in the manifest and the catalogue before it is announced: td_recording_json
 * shows the last state that was written, and observers hear of it after that. Numbers (bytes,
 * durations, counters) are live.
 */
#ifndef TD_API_RECORDINGS_H
#define TD_API_RECORDINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "api/order.h"
#include "config/config.h"
#include "recorder/resume.h"
#include "recorder/session.h"
#include "source/livekit/livekit.h"
#include "source/whip/whip.h"
#include "store/catalog.h"

#define TD_RECORDINGS_RUNNING_MAX 512u
#define TD_RECORDINGS_OBSERVERS_MAX 8u
#define TD_RECORDINGS_LETTERS_MAX 64u

struct td_recordings;
struct td_recording; /* one that runs; gone when it has ended and was announced */

/* Who wants to know. All on the control loop; `doc` is borrowed. */
struct td_recordings_observer {
    void *ctx;
    /* A state was written and is now announced; the last one has `final`. */
    void (*changed)(void *ctx, struct td_recording *recording, json_t *doc, bool final);
    /* A line was handed to the timeline: {"t":…,"event":…}. */
    void (*event)(void *ctx, struct td_recording *recording, const char *line);
    /* Messages to go out with this transition, in its transaction: fills at most `max` letters
     * whose strings stay valid until the next call, answers how many. */
    size_t (*letters)(void *ctx, const json_t *doc, bool final, struct td_catalog_letter *ret,
                      size_t max);
};

struct td_recordings_config {
    const struct td_recorder *recorder;
    const struct td_certificate *certificate;
    const struct td_config *config; /* may be reloaded while we live */
    struct td_catalog *catalog;
};

TD_MUST int td_recordings_new(const struct td_recordings_config *config,
                              struct td_recordings **ret_recordings);
/* After all ended. Takes NULL, returns NULL. */
struct td_recordings *td_recordings_free(struct td_recordings *r);
void td_recordings_observe(struct td_recordings *r, const struct td_recordings_observer *observer);

/* ---- starting ---- */

/* While `awaits` says so of a room, nothing new is begun there (-EAGAIN): what was interrupted in
 * it may still go on. */
void td_recordings_await(struct td_recordings *r, bool (*awaits)(const void *ctx, const char *room),
                         const void *ctx);

enum td_recordings_condition {
    TD_RECORDINGS_RUNNING = 1, /* the room is being recorded already: that one is the answer */
};

/* Called once, when the source accepted or refused and that was written. A refused one has
 * td_recording_fail()->code != 0. */
typedef void td_recording_settled_fn(void *ctx, struct td_recording *recording);

/* A LiveKit room. 0 (settled follows), TD_RECORDINGS_RUNNING (settled follows too: at once when it
 * settled before), or negative with ret_fail: -TD_E_USAGE, -TD_E_LIMIT, -TD_E_STATE, -ENOSPC. */
TD_MUST int td_recordings_start(struct td_recordings *r, const struct td_recording_request *request,
                                td_recording_settled_fn *settled, void *ctx,
                                struct td_fail *ret_fail, struct td_recording **ret_recording);
/* A WHIP publisher; `token` is what it showed (NULL = none): the same one within resume_window_s
 * goes on in the same recording. */
TD_MUST int td_recordings_whip(struct td_recordings *r, const char *room, const char *token,
                               const char *offer, size_t offer_len, td_whip_answer_fn *answered,
                               void *ctx, struct td_fail *ret_fail,
                               struct td_recording **ret_recording);
/* Goes on with what recovery found; takes `resume` over. */
TD_MUST int td_recordings_resume(struct td_recordings *r, struct td_resume *resume,
                                 const char *request, struct td_fail *ret_fail);

/* ---- running ones ---- */

/* NULL = none runs. */
struct td_recording *td_recordings_by_room(struct td_recordings *r, const char *room);
struct td_recording *td_recordings_by_id(struct td_recordings *r, const char *id);
void td_recordings_each(struct td_recordings *r,
                        void (*each)(void *ctx, struct td_recording *recording), void *ctx);
/* `reason`: a static word. All three are idempotent; pausing or resuming one that ends is
 * -TD_E_STATE. */
void td_recording_stop(struct td_recording *recording, const char *reason);
TD_MUST int td_recording_pause(struct td_recording *recording, const char *reason);
TD_MUST int td_recording_resume(struct td_recording *recording);
/* The configuration changed: running recordings get their limits anew. */
void td_recordings_reload(struct td_recordings *r);
/* 0 = the configured limit, < 0 = as it is. */
void td_recording_limit(struct td_recording *recording, int64_t max_duration_us,
                        int64_t max_size_bytes);
void td_recording_hold(struct td_recording *recording, bool hold);
/* The WHIP source of this session id while it lives, else NULL. */
struct td_source *td_recordings_whip_session(struct td_recordings *r, const char *session,
                                             struct td_recording **ret_recording);
/* "whs_…": of the WHIP session that began last, for its Location. */
const char *td_recording_whip_session(const struct td_recording *recording);
const char *td_recording_id(const struct td_recording *recording);
const char *td_recording_room(const struct td_recording *recording);
const struct td_fail *td_recording_fail(const struct td_recording *recording);
struct td_session *td_recording_session(const struct td_recording *recording);
/* New reference: design section 10. */
json_t *td_recording_json(const struct td_recording *recording);

/* ---- all of them ---- */

/* Answers of the catalogue come on the control loop; `docs` is an array, newest first, live ones
 * with their live numbers; borrowed. */
typedef void td_recordings_found_fn(void *ctx, int error, json_t *docs);
TD_MUST int td_recordings_find(struct td_recordings *r, const struct td_catalog_query *query,
                               td_recordings_found_fn *found, void *ctx);
/* Removes an ended one with its files. -TD_E_STATE while it runs. `done`: 0, TD_CATALOG_NONE,
 * -errno. */
TD_MUST int td_recordings_remove(struct td_recordings *r, const char *id,
                                 void (*done)(void *ctx, int error), void *ctx);

/* New recordings are refused with this sentence (-ENOSPC); NULL = not any more. Copied. */
void td_recordings_refuse(struct td_recordings *r, const char *why);
/* Stops all; with `interrupt` they are left as a kill would leave them, to go on at the next start.
 * `done` once none runs, never from within this call: no new ones are taken from here on; with
 * `done` NULL only those that run are stopped. */
void td_recordings_stop_all(struct td_recordings *r, const char *reason, bool interrupt,
                            void (*done)(void *ctx), void *ctx);
unsigned td_recordings_running(const struct td_recordings *r);
/* Catalogue writes that failed and are tried again; 0 = what is on disk is what we say. */
unsigned td_recordings_unwritten(const struct td_recordings *r);

#endif
