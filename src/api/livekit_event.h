/* SPDX-License-Identifier: Apache-2.0 */
/*
 * livekit_event: a webhook of a LiveKit server, and the auto_record rule that it meets.
 * Owner: the caller's structure; rules are borrowed from the configuration.
 * Thread: any; stateless.
 * Bound: fixed sizes; a text that does not fit is as if it were not there.
 * Does not: verify who sent it (auth/signature.h), or start anything.
 */
#ifndef TD_API_LIVEKIT_EVENT_H
#define TD_API_LIVEKIT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"
#include "source/source.h"

#define TD_LIVEKIT_WORD_MAX 64 /* "participant_joined", "RM_…", "EV_…" */

enum td_livekit_event_kind {
    TD_LIVEKIT_OTHER,
    TD_LIVEKIT_ROOM_STARTED,
    TD_LIVEKIT_ROOM_FINISHED,
    TD_LIVEKIT_PARTICIPANT_JOINED,
    TD_LIVEKIT_TRACK_PUBLISHED,
};

struct td_livekit_event { /* what is absent is empty */
    enum td_livekit_event_kind kind;
    char id[TD_LIVEKIT_WORD_MAX];
    int64_t created_s; /* 0 = not said */
    char room[TD_SOURCE_TEXT_MAX];
    char room_sid[TD_LIVEKIT_WORD_MAX];
    char identity[TD_SOURCE_TEXT_MAX];
    bool has_participant;
    bool recorder; /* the participant is one that records: hidden, or of kind "egress" */
};

/* The protobuf JSON of a WebhookEvent; unknown fields do not matter. -TD_E_PARSE. */
TD_MUST int td_livekit_event_parse(const char *text, size_t len,
                                   struct td_livekit_event *ret_event);
/* The first rule whose room this is and whose participant this is; a rule that names participants
 * waits for one of them, and so does not let a later rule take a room in which nobody is yet. NULL
 * = nothing is to be recorded (now). */
const struct td_config_rule *td_livekit_event_rule(const struct td_livekit_event *event,
                                                   const struct td_config_rules *rules);

#endif
