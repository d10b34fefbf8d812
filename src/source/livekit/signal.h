/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal: one signalling connection to a LiveKit server: WebSocket, protobuf, keep-alive.
 * Owner: the livekit source or the livekit publisher.
 * Thread: control loop (the default GMainContext).
 * Bound: TD_SIGNAL_BYTES_MAX a message; TD_START_TIMEOUT_US until the first one.
 * Does not: know tracks or negotiation; it hands decoded messages over. Tokens never reach a log.
 */
#ifndef TD_SOURCE_LIVEKIT_SIGNAL_H
#define TD_SOURCE_LIVEKIT_SIGNAL_H

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"
#include "livekit.pb-c.h"

#define TD_SIGNAL_CLOSE_US 1000000 /* longest wait for the server's close frame */

struct td_signal;

struct td_signal_events {
    void *ctx;
    /* Valid during the call. Pings are answered inside. */
    void (*message)(void *ctx, const Lk__SignalResponse *message);
    /* Last callback, not from within td_signal_open or td_signal_free. fail->code 0 = after
     * td_signal_close; -TD_E_REFUSED, -TD_E_TIMEOUT = never accepted; -TD_E_CLOSED = lost. */
    void (*closed)(void *ctx, const struct td_fail *fail);
};

struct td_signal_config {
    const char *url; /* ws, wss, http, https; an optional path prefix */
    const char *token;
    const char *query; /* behind '?', without the token */
    const struct td_log *log;
};

/* The host of the URL is this machine's loopback: its media addresses may be too. */
bool td_signal_is_local(const char *url);
/* 0, -TD_E_USAGE (the URL), -ENOMEM. */
TD_MUST int td_signal_open(const struct td_signal_config *config,
                           const struct td_signal_events *events, struct td_fail *ret_fail,
                           struct td_signal **ret_signal);
/* 0, -TD_E_STATE when it is not open. */
TD_MUST int td_signal_send(struct td_signal *s, const Lk__SignalRequest *request);
/* `closed` follows, at the latest after TD_SIGNAL_CLOSE_US. */
void td_signal_close(struct td_signal *s);
/* Takes NULL, returns NULL. No callback follows. */
struct td_signal *td_signal_free(struct td_signal *s);

#endif
