/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link: the family of ways to a server: one connection of a publishing, from its offer to its end.
 * Owner: a td_publish.
 * Thread: control loop (the default GMainContext).
 * Bound: TD_START_TIMEOUT_US until media may flow, TD_LINK_STOP_US to say goodbye.
 * Does not: try again (publish does), or make media (pump does).
 */
#ifndef TD_PUBLISHER_LINK_H
#define TD_PUBLISHER_LINK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"
#include "publisher/pump.h"
#include "webrtc/dtls.h"
#include "webrtc/ice.h"
#include "webrtc/peer.h"
#include "webrtc/sdp.h"

#define TD_LINK_STOP_US 2000000

enum td_link_end {
    TD_LINK_STOPPED,
    TD_LINK_REFUSED, /* asking again would get the same answer */
    TD_LINK_LOST,    /* not reached, or lost: another try may succeed */
};

struct td_link_config { /* the texts live as long as the publishing */
    const char *url;
    const char *token; /* WHIP: NULL = none; LiveKit: NULL = made from key and secret */
    const char *api_key;
    const char *api_secret;
    const char *room;
    const char *identity;
    struct td_loop *loop;
    struct td_mailbox *control;
    const struct td_certificate *certificate;
    const struct td_ice_ops *transport;
    const struct td_log *log;
    struct td_pump *pump; /* prepared for this connection */
    unsigned width;       /* of the video */
    unsigned height;
    unsigned channels; /* of the audio */
};

struct td_link_events {
    void *ctx;
    void (*connected)(void *ctx); /* media flows */
    /* Once, and the last one; not from within open. The link must not be freed from within it. */
    void (*ended)(void *ctx, enum td_link_end end, const struct td_fail *fail);
};

struct td_link;

struct td_link_ops {
    const char *name;
    /* -TD_E_USAGE for a URL that cannot work, -ENOMEM, …; with a sentence. */
    int (*open)(const struct td_link_config *config, const struct td_link_events *events,
                struct td_fail *ret_fail, struct td_link **ret_link);
    /* `ended` follows. */
    void (*stop)(struct td_link *link);
    /* The other side has been silent: find out whether it still knows us. NULL = cannot. */
    void (*doubt)(struct td_link *link);
    /* The other side is as good as gone: `ended` with TD_LINK_LOST follows. NULL = is found out by
     * the link itself. */
    void (*lose)(struct td_link *link);
    /* After `ended`, or when open failed half way. */
    struct td_link *(*free)(struct td_link *link);
};

struct td_link {
    const struct td_link_ops *ops;
};

extern const struct td_link_ops td_link_whip;
extern const struct td_link_ops td_link_livekit;

/* For the implementations. `link` is the context of `state`, `candidate` and `closed`. */
TD_MUST int td_link_open_peer(const struct td_link_config *config, bool publishes,
                              const struct td_peer_events *events, struct td_fail *ret_fail,
                              struct td_peer **ret_peer);
/* malloc'ed offer that sends the pump's tracks; `local` has candidates or trickles. */
TD_MUST int td_link_offer(const struct td_link_config *config, const struct td_peer *peer,
                          const char *const *candidates, unsigned candidate_count, bool trickle,
                          char **ret_text);
/* Hands the transport of a remote description to the peer. `answer`: it answers our offer, else it
 * is an offer that we answer. */
TD_MUST int td_link_set_remote(struct td_peer *peer, const struct td_sdp *sdp, bool answer);

#endif
