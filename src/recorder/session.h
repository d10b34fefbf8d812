/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: one recording's life: its states, its source, its outputs, its end.
 * Owner: the caller (command or daemon); freed after `ended`.
 * Thread: the control loop.
 * Bound: `memory_limit` of budget over everything it holds.
 * Does not: make sources: the caller makes one with td_session_source_events and attaches it.
 *
 * A session always ends, once, through `ended`; every state is written before it is announced.
 */
#ifndef TD_RECORDER_SESSION_H
#define TD_RECORDER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/capture.h"
#include "recorder/recorder.h"
#include "recorder/resume.h"
#include "recorder/shelf.h"
#include "recorder/watchdog.h"
#include "source/source.h"

enum td_session_state { /* design section 5 */
                        TD_SESSION_STARTING,
                        TD_SESSION_WAITING, /* accepted, no media yet */
                        TD_SESSION_RECORDING,
                        TD_SESSION_PAUSED,
                        TD_SESSION_INTERRUPTED, /* its source or its process was lost */
                        TD_SESSION_FINISHING,
                        TD_SESSION_COMPLETE, /* media is stored, whatever the reason of the end */
                        TD_SESSION_FAILED,
                        TD_SESSION_ABORTED, /* ended before any media */
};

/* "recording"; never NULL. */
const char *td_session_state_name(enum td_session_state state);
bool td_session_state_ended(enum td_session_state state);

struct td_session;

struct td_session_config {
    const struct td_recorder *recorder;
    const char *id;                  /* NULL = made here */
    const char *room;                /* as asked for */
    const char *file_base;           /* one participant into this path without extension … */
    const char *data_dir;            /* … or everybody, laid out as in design section 4 */
    const struct td_mux_ops *format; /* NULL = auto */
    bool replace;                    /* an older final file is replaced */
    bool sidecar;                    /* manifest and timeline beside `file_base` */
    const char *participant;  /* a file: this one only; a room: a pattern of those; NULL = any */
    const char *track;        /* a file: this one only */
    const char *source;       /* "livekit", "whip": for the manifest */
    const char *request;      /* JSON of what was asked for, for the manifest; NULL = none */
    struct td_resume *resume; /* goes on with what recovery found; taken over; NULL = a new one */
    int64_t duration_us; /* 0 = no end; to the frame, while a limit is looked at now and then */
    struct td_session_limits limits;
    int64_t key_interval_us;
    size_t memory_limit_bytes; /* 0 = TD_RECORDING_MEMORY_MB */
    const char *dump_path;
    void *ctx;
    void (*changed)(void *ctx, struct td_session *s); /* state or outputs; may be NULL */
    void (*event)(void *ctx, const char *line);       /* of the timeline; may be NULL */
    /* Interrupted: its source is gone; another one may be attached until the resume window is over.
     * NULL with a window of 0 only. */
    void (*lost)(void *ctx, struct td_session *s);
    void (*ended)(void *ctx, struct td_session *s); /* last; may free the session */
};

struct td_session_status {
    const char *id;
    const char *room;
    const char *folder; /* empty for a single file */
    enum td_session_state state;
    const char *reason; /* of the end, "" while it goes on */
    const struct td_fail *fail;
    const struct td_capture_stats *stats;
    const struct td_shelf *shelf;
    const struct td_manifest *manifest;
    int64_t started_wall_us;
    int64_t ended_wall_us; /* TD_MANIFEST_NO_TIME while it goes on */
    size_t memory_bytes;
    bool left;     /* ended for this process: another one goes on (td_session_leave) */
    bool accepted; /* the source let us in at least once */
};

/* `config->recorder`, `data_dir`, `participant` and `track` outlive the session. Makes the folder
 * (-EACCES …, with the sentence in ret_fail); a single file that is in the way is the caller's
 * matter before, and the store's refusal later. */
TD_MUST int td_session_new(const struct td_session_config *config, struct td_fail *ret_fail,
                           struct td_session **ret_session);
struct td_session *td_session_free(struct td_session *s);
/* For each source that is made for it. */
struct td_source_events td_session_source_events(struct td_session *s);
struct td_media_sink td_session_sink(struct td_session *s);
/* Takes the source over. Again after `lost`. */
void td_session_attach(struct td_session *s, struct td_source *source);
/* `reason`: a static word, "stopped". Idempotent. */
void td_session_stop(struct td_session *s, const char *reason);
/* The source could not even be made: ends as failed; or, while it was lost, stays so. */
void td_session_refuse(struct td_session *s, const struct td_fail *fail);
/* Time stands still. `reason`: a static word, "" for a caller's wish, "disk". 0 when it is paused
 * already; -TD_E_STATE before the source accepted and from the end on. */
TD_MUST int td_session_pause(struct td_session *s, const char *reason);
/* 0 when it is not paused; -TD_E_STATE from the end on. */
TD_MUST int td_session_resume(struct td_session *s);
/* Leaves everything on disk as a kill would, but whole, for the next process to go on with. */
void td_session_leave(struct td_session *s);
void td_session_set_limits(struct td_session *s, const struct td_session_limits *limits);
/* Valid until the next call on the control loop. */
void td_session_status(const struct td_session *s, struct td_session_status *ret_status);

#endif
