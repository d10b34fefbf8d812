/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_state: the inside of a session, for the files that share it: session (states and ends),
 *                session_source (who is in the room), session_capture (what is stored) and
 *                session_make (how one begins, or goes on).
 * Owner: session.
 * Thread: the control loop.
 * Bound: that of session.
 * Does not: belong into any other file.
 */
#ifndef TD_RECORDER_SESSION_STATE_H
#define TD_RECORDER_SESSION_STATE_H

#include "recorder/chronicle.h"
#include "recorder/roster.h"
#include "recorder/session.h"

struct td_session {
    struct td_session_config config;
    char id[TD_ID_MAX];
    char room[TD_SOURCE_TEXT_MAX];
    char folder[TD_PATH_MAX];
    char file_base[TD_PATH_MAX];
    struct td_log log;
    struct td_budget budget;
    enum td_session_state state;
    const char *reason;
    struct td_fail fail;
    struct td_roster roster;
    struct td_chronicle chronicle;
    struct td_capture *capture;
    struct td_source *source;
    struct td_capture_stats stats;
    struct td_shelf shelf;
    struct td_watchdog watchdog;
    uint64_t bytes_before; /* of parts that another process finished */
    bool media_stored;
    bool io_failed;
    bool storage_failed; /* the sentence in `fail` is about the disk */
    bool source_ended;
    bool capture_stopping;
    bool capture_stopped;
    bool media_seen; /* a file was begun, here or before */
    bool paused;
    bool accepted; /* the present source let us in */
    bool ever_accepted;
    bool leaving;         /* for another process to go on */
    bool over;            /* `ended` was called */
    unsigned detaching;   /* lost sources that the media loop still has to let go of */
    int64_t lost_us;      /* monotonic: since when there is no source; 0 = there is one */
    const char *lost_why; /* reason of the end when none comes back */
    int64_t started_wall_us;
    int64_t accepted_us;    /* monotonic */
    int64_t alone_since_us; /* 0 = somebody is there */
    bool somebody_came;
    uint64_t scribe_errors; /* of the store, as told */
};

/* ---- session.c ---- */

/* Hands the manifest to the store thread. */
void td_session_save(struct td_session *s);
/* Saves and tells the owner. */
void td_session_changed(struct td_session *s);
void td_session_enter(struct td_session *s, enum td_session_state state);
/* Nothing new is begun any more. */
bool td_session_stopping(const struct td_session *s);
void td_session_stop_capture(struct td_session *s);
/* Ends it when nothing is under way any more; the session may be gone then. */
void td_session_maybe_end(struct td_session *s);
void td_session_watch_sidecars(struct td_session *s);
void td_session_fail(struct td_session *s, const char *reason, int code, const char *text);

/* ---- session_source.c ---- */

/* The one participant of a single file, if it can be said by now. */
void td_session_choose(struct td_session *s);
/* Media is stored again. */
void td_session_found(struct td_session *s, int64_t pts_us);
/* Ends it when a lost source did not come back in time. */
void td_session_watch_lost(struct td_session *s);
void td_session_detached(void *ctx, struct td_source *source);

/* ---- session_capture.c ---- */

struct td_capture_events td_session_capture_events(struct td_session *s);

#endif
