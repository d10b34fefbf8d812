/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracks: what a LiveKit server said of the participants and tracks of a room, and how an offer
 *         binds them to SSRCs.
 * Owner: the livekit source, embedded.
 * Thread: control loop.
 * Bound: TD_TRACKS_MAX tracks and TD_PARTICIPANTS_MAX participants; more are counted, not kept.
 * Does not: send anything; it tells its events what changed.
 */
#ifndef TD_SOURCE_LIVEKIT_TRACKS_H
#define TD_SOURCE_LIVEKIT_TRACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "livekit.pb-c.h"
#include "source/source.h"
#include "webrtc/sdp.h"

struct td_livekit_track {
    struct td_track_info info;
    char participant_sid[TD_SOURCE_TEXT_MAX];
    struct td_track_binding binding; /* ssrc 0 = not in an offer yet */
    bool announced;                  /* by signalling; an offer may come first */
    bool seen;                       /* in the snapshot or offer that is being read */
};

struct td_livekit_participant {
    char identity[TD_SOURCE_TEXT_MAX];
    char sid[TD_SOURCE_TEXT_MAX];
    bool holds_room; /* a person or a gateway, not an agent or another recorder */
};

struct td_livekit_tracks {
    const struct td_source_events *events;
    struct td_livekit_track *tracks[TD_TRACKS_MAX];
    unsigned track_count;
    struct td_livekit_participant *participants[TD_PARTICIPANTS_MAX];
    unsigned participant_count;
    uint32_t next_handle;
    uint64_t refused;
};

void td_livekit_tracks_init(struct td_livekit_tracks *t, const struct td_source_events *events);
void td_livekit_tracks_done(struct td_livekit_tracks *t);
/* A participant's whole snapshot (JoinResponse, ParticipantUpdate). */
void td_livekit_tracks_participant(struct td_livekit_tracks *t, const Lk__ParticipantInfo *info);
/* An offer: new and changed bindings, before the answer goes out. */
void td_livekit_tracks_offer(struct td_livekit_tracks *t, const struct td_sdp *offer);
const struct td_livekit_track *td_livekit_tracks_find(const struct td_livekit_tracks *t,
                                                      uint32_t handle);

#endif
