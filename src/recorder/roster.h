/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roster: who is in the room with which tracks, and which of them go into which output.
 * Owner: a session, embedded.
 * Thread: the control loop.
 * Bound: TD_TRACKS_MAX tracks and outputs, TD_PARTICIPANTS_MAX participants.
 * Does not: subscribe or record: it says what is wanted, the session acts.
 *
 * Two policies (design section 5): all participants, one output each and one more per screen share;
 * or one participant in one output: the named one, else the first with video, else after
 * TD_PARTICIPANT_WAIT_US the first with audio.
 */
#ifndef TD_RECORDER_ROSTER_H
#define TD_RECORDER_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "source/source.h"

struct td_roster_track {
    struct td_track_info info;
    struct td_track_binding binding;
    bool bound;
    bool wanted;   /* belongs to an output */
    bool recorded; /* the session handed it to the capture */
    bool refused;  /* there is no output left for it */
    unsigned output;
};

struct td_roster_output {
    char participant[TD_SOURCE_TEXT_MAX];
    bool screen;
    bool opened;                 /* the session made it */
    char name[TD_NAME_MAX + 16]; /* file name without extension, unique in the recording */
};

struct td_roster {
    bool single;
    const char *participant; /* filter, NULL = any: this one, or in a whole room a pattern */
    const char *track;       /* filter by sid, the same */
    char chosen[TD_SOURCE_TEXT_MAX];
    struct td_roster_track *tracks[TD_TRACKS_MAX];
    unsigned track_count;
    struct td_roster_output outputs[TD_TRACKS_MAX];
    unsigned output_count;
    char (*present)[TD_SOURCE_TEXT_MAX]; /* identities, TD_PARTICIPANTS_MAX of them */
    unsigned present_count;
    uint64_t refused; /* tracks, outputs and participants past the limits */
};

TD_MUST int td_roster_init(struct td_roster *r, bool single, const char *participant,
                           const char *track);
void td_roster_done(struct td_roster *r);
/* An output that a recording has already. `name` is unique there. */
TD_MUST int td_roster_adopt(struct td_roster *r, const char *participant, bool screen,
                            const char *name);
/* The source is lost: nobody is known to be present. */
void td_roster_leave(struct td_roster *r);
void td_roster_presence(struct td_roster *r, const char *identity, bool present);
TD_MUST int td_roster_add(struct td_roster *r, const struct td_track_info *info);
void td_roster_remove(struct td_roster *r, uint32_t handle);
struct td_roster_track *td_roster_find(struct td_roster *r, uint32_t handle);
/* The single-participant policy; `waited` = its patience for video is over. True when it chose now.
 */
bool td_roster_choose(struct td_roster *r, bool waited);
/* The next track that is wanted and not yet recorded (its output is assigned); NULL when none. */
struct td_roster_track *td_roster_next(struct td_roster *r);

#endif
