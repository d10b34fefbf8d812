/* SPDX-License-Identifier: Apache-2.0 */
/*
 * puppet: a session and its room on strings: each event of the source and each packet is the
 * test's.
 * Owner: the test.
 * Thread: the test's, which plays the control loop; packets are fed on the media loop.
 * Bound: fixed sizes.
 * Does not: check anything by itself but that calls succeed.
 */
#ifndef TD_TESTS_RECORDER_PUPPET_H
#define TD_TESTS_RECORDER_PUPPET_H

#include <stdatomic.h>

#include "base/clock.h"
#include "fixture.h"
#include "publisher/packetize.h"
#include "recorder/session.h"

#define PUPPET_TRACKS_MAX 8u
#define PUPPET_LINES_BYTES 65536u
#define PUPPET_FRAMES_MAX 4096u

struct puppet_source {
    struct td_source base;
    struct td_source_events events;
    bool stopped;
    bool ended;
    bool stops_late; /* `ended` follows a stop only when the test says so */
    unsigned *freed;
    unsigned selected;
    atomic_uint rtcp;
};

struct puppet_track {
    struct td_track_info info;
    struct td_packetizer packetizer;
    enum td_codec codec;
    bool there;
};

struct puppet {
    struct fixture f;
    struct td_budget budget;
    struct td_log log;
    struct td_loop *loop;
    struct td_mailbox *control;
    struct td_recorder recorder;
    struct td_session *session;
    struct puppet_source *source; /* the newest; NULL once it ended */
    unsigned freed;               /* sources */
    struct puppet_track tracks[PUPPET_TRACKS_MAX];
    int64_t origin_us; /* monotonic time of puppet time 0 */
    unsigned seed;
    /* heard */
    char states[512]; /* each once, with "/reason" */
    char lines[PUPPET_LINES_BYTES];
    unsigned lost;
    unsigned ended;
    enum td_session_state state; /* at the end */
    char reason[64];
    struct td_fail fail;
    bool left;
    struct td_shelf shelf;
    char folder[TD_PATH_MAX];
};

struct puppet_frame {
    enum td_codec codec;
    bool key;
    int64_t pts_us;
};
struct puppet_tape {
    struct puppet_frame frames[PUPPET_FRAMES_MAX];
    unsigned count;
    struct td_scan scan;
};

void puppet_open(struct puppet *p);
/* Ends what runs. */
void puppet_close(struct puppet *p);
/* Everything of the process but its disk is gone and made again; the session was ended. */
void puppet_restart(struct puppet *p);
/* A whole room; to be changed before puppet_begin. */
struct td_session_config puppet_config(struct puppet *p);
void puppet_begin(struct puppet *p, const struct td_session_config *config);

/* ---- the source ---- */

/* A new one, handed to the session. */
void puppet_attach(struct puppet *p);
void puppet_accept(struct puppet *p, const char *room_sid);
void puppet_present(struct puppet *p, const char *who, bool present);
/* Announces and binds it; its packets begin anew. */
void puppet_track(struct puppet *p, uint32_t handle, const char *who, enum td_codec codec);
void puppet_track_gone(struct puppet *p, uint32_t handle);
void puppet_mute(struct puppet *p, uint32_t handle, bool muted);
/* It ends by itself. */
void puppet_lose(struct puppet *p, enum td_end_reason reason);
/* attach, accept, a microphone (1) and a camera (2) of `who`. */
void puppet_enter(struct puppet *p, const char *who, enum td_codec video);

/* ---- media ---- */

/* Puppet time now, and the same after everything that was asked of the media loop was done. */
int64_t puppet_now_ms(const struct puppet *p);
int64_t puppet_sync_ms(struct puppet *p);
/* One frame of a track, as its packets arrive at `ms`. */
void puppet_frame(struct puppet *p, uint32_t handle, int64_t ms, bool key);
/* Sound each 20 ms on `audio`, a picture each 40 ms on `video` (0 = none), the first a key frame if
 * `key`, in from_ms <= t < to_ms. */
void puppet_play(struct puppet *p, uint32_t audio, uint32_t video, int64_t from_ms, int64_t to_ms,
                 bool key);

/* ---- what is heard ---- */

#define PUPPET_WAIT_US (30 * TD_US_PER_S)
/* Hears what comes until then. */
#define PUPPET_WAIT(p, condition)                                                                  \
    do {                                                                                           \
        int64_t until_us = td_clock_now_us() + PUPPET_WAIT_US;                                     \
        puppet_hear(p);                                                                            \
        while (!(condition)) {                                                                     \
            if (td_clock_now_us() > until_us)                                                      \
                fail_msg("waited in vain; states: %s\n%s", (p)->states, (p)->lines);               \
            puppet_hear_once(p);                                                                   \
        }                                                                                          \
    } while (0)

/* Takes what is there, without waiting. */
void puppet_hear(struct puppet *p);
/* Until the timeline has `count` lines that hold `text`. */
void puppet_wait_lines(struct puppet *p, const char *text, unsigned count);
void puppet_wait_state(struct puppet *p, enum td_session_state state);
/* Until anything is heard: numbers come four times a second. */
void puppet_hear_once(struct puppet *p);
/* Until so many frames were stored. */
void puppet_wait_frames(struct puppet *p, uint64_t frames);
void puppet_wait_ended(struct puppet *p);
unsigned puppet_lines(const struct puppet *p, const char *text);
/* Lines of `lines` that hold `text`; each must be whole. */
unsigned puppet_count_lines(const char *lines, const char *text);
struct td_session_status puppet_status(const struct puppet *p);
/* Stops it, and waits for the end. */
void puppet_stop(struct puppet *p);

/* ---- what is on disk ---- */

/* Waits until the store has written what it was given; the session has ended. */
void puppet_flush(struct puppet *p);
void puppet_manifest(const struct puppet *p, struct td_manifest *ret_manifest);
/* Lines of timeline.jsonl that hold `text`; each line is whole. */
unsigned puppet_timeline(const struct puppet *p, const char *text);
/* Reads folder/name. */
void puppet_read(const struct puppet *p, const char *name, struct puppet_tape *ret_tape);
unsigned puppet_count(const struct puppet_tape *tape, enum td_codec codec);
/* The largest step between two frames of a kind, in milliseconds. */
int64_t puppet_step_ms(const struct puppet_tape *tape, enum td_codec codec);

#endif
