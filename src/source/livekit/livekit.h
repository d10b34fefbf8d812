/* SPDX-License-Identifier: Apache-2.0 */
/*
 * livekit: a LiveKit room as a source: joins as a hidden recorder, subscribes, answers offers.
 * Owner: a session.
 * Thread: control loop (the default GMainContext); `send_rtcp` on the media loop.
 * Bound: TD_SIGNAL_BYTES_MAX a message, TD_TRACKS_MAX tracks, TD_START_TIMEOUT_US until accepted.
 * Does not: publish (publisher/livekit does), record, or let a LiveKit word out of this folder.
 */
#ifndef TD_SOURCE_LIVEKIT_LIVEKIT_H
#define TD_SOURCE_LIVEKIT_LIVEKIT_H

#include <stdbool.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mailbox.h"
#include "source/source.h"
#include "webrtc/dtls.h"
#include "webrtc/ice.h"

struct td_livekit_config {
    const char *url;   /* ws://, wss://, http://, https:// with an optional path */
    const char *token; /* ready-made; or NULL and the three below */
    const char *api_key;
    const char *api_secret;
    const char *room;
    const char *identity; /* ours; NULL = made from a random id */
    bool subscribe_all;   /* the server sends every track with its first offer (fastest);
                               else nothing until selected */
    struct td_loop *loop;
    struct td_mailbox *control;
    const struct td_certificate *certificate;
    const struct td_ice_ops *transport;
    const struct td_log *log;
};

/* -TD_E_USAGE with a sentence for a URL, key or room that cannot work; everything that the server
 * says comes through `ended` with TD_END_REFUSED and a sentence that says what to do. */
TD_MUST int td_livekit_new(const struct td_livekit_config *config,
                           const struct td_source_events *events, const struct td_media_sink *sink,
                           struct td_fail *ret_fail, struct td_source **ret_source);

#endif
