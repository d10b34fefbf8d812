/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer: one bundled, rtcp-muxed peer connection: ICE, DTLS and SRTP behind one door.
 * Owner: a source or publisher on the control loop; its inside lives on a media loop.
 * Thread: control loop unless said otherwise; calls are posted to the media loop, state comes back
 *         through the control mailbox. No state callback comes after `closed`.
 * Bound: TD_CANDIDATES_MAX candidates, one datagram in work.
 * Does not: know SDP, signalling, tracks or RTP semantics.
 */
#ifndef TD_WEBRTC_PEER_H
#define TD_WEBRTC_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/mailbox.h"
#include "webrtc/dtls.h"
#include "webrtc/ice.h"

#define TD_ICE_UFRAG_BYTES 8
#define TD_ICE_PWD_BYTES 24

enum td_peer_state {
    TD_PEER_NEW,
    TD_PEER_CONNECTING, /* ICE checks, then DTLS */
    TD_PEER_CONNECTED,  /* SRTP keys are in place */
    TD_PEER_FAILED,     /* ICE or DTLS failed; error says which */
    TD_PEER_CLOSED,     /* by the other side (close_notify) */
};

struct td_peer;

struct td_peer_events {
    void *ctx;
    /* Control loop. `error` of FAILED: -EHOSTUNREACH = ICE found no path or lost it, -TD_E_CRYPTO,
     * -TD_E_TIMEOUT = DTLS, -ENOBUFS = a full control mailbox, other = could not start. */
    void (*state)(void *ctx, enum td_peer_state state, int error);
    void (*candidate)(void *ctx, const char *candidate); /* NULL = gathering is done */
    void (*closed)(void *ctx); /* answer to td_peer_close; the peer is gone */
    /* Media loop: a decrypted RTP or RTCP datagram, writable, valid during the call. */
    void *media_ctx;
    void (*packet)(void *media_ctx, uint8_t *bytes, size_t len, int64_t now_us);
    /* Media loop, with `ctx`: td_peer_close has arrived there. Nothing may be sent from here on,
     * because the control loop frees the peer at any moment after it. May be NULL. */
    void (*silenced)(void *ctx);
};

struct td_peer_config {
    struct td_loop *loop;
    struct td_mailbox *control;
    const struct td_certificate *certificate;
    const struct td_ice_ops *transport;
    bool controlling;
    bool loopback_only;
    bool tell_loopback;                  /* see ice.h */
    const struct td_ice_server *servers; /* copied */
    unsigned server_count;
};

struct td_peer_remote {
    const char *ufrag;
    const char *pwd;
    const char *fingerprint;
    bool dtls_client; /* our role: true = a=setup:active on our side */
    bool lite;        /* a=ice-lite: it never checks, so we do, and nominate */
};

struct td_peer_stats { /* any thread, each value by itself */
    uint64_t received_datagrams;
    uint64_t received_bytes;
    uint64_t decrypt_failures;
    uint64_t unknown_datagrams; /* neither STUN, DTLS nor SRTP, or before keys */
    uint64_t discarded_data;    /* DTLS application data: SCTP */
};

/* Makes credentials and starts gathering. */
TD_MUST int td_peer_new(const struct td_peer_config *config, const struct td_peer_events *events,
                        struct td_peer **ret_peer);
const char *td_peer_ufrag(const struct td_peer *p);
const char *td_peer_pwd(const struct td_peer *p);
/* ICE restart from our side: new credentials at once, candidates are told again, td_peer_set_remote
 * with the other side's new ones must follow. Media goes on over the old path meanwhile. A peer
 * that lost its path (FAILED with -EHOSTUNREACH after CONNECTED) comes back to CONNECTING by it.
 * -TD_E_UNSUPPORTED when the transport cannot, -TD_E_STATE before the first td_peer_set_remote. */
TD_MUST int td_peer_restart(struct td_peer *p);
/* First call starts checks; later ones with the same credentials change nothing. Other credentials
 * are an ICE restart by the other side: td_peer_ufrag and td_peer_pwd are new ones after it, for
 * the answer. DTLS and SRTP stay; -TD_E_UNSUPPORTED when the fingerprint is another one too
 * (another server: make a new peer) or the transport cannot restart. */
TD_MUST int td_peer_set_remote(struct td_peer *p, const struct td_peer_remote *remote);
/* May come before td_peer_set_remote. NULL or "" = the other side has no more. One that we cannot
 * use (ICE-TCP, mDNS, malformed) is skipped: it is a path less, not an error. */
TD_MUST int td_peer_add_candidate(struct td_peer *p, const char *candidate);
/* Ends it; `closed` follows once nothing on the media loop refers to it. */
void td_peer_close(struct td_peer *p);

/* Media loop only. Protects and sends; `bytes` is copied. 0, -TD_E_STATE before CONNECTED,
 * -EAGAIN while the path is not usable or full, -EMSGSIZE, -errno. */
TD_MUST int td_peer_send_rtp(struct td_peer *p, const uint8_t *bytes, size_t len);
TD_MUST int td_peer_send_rtcp(struct td_peer *p, const uint8_t *bytes, size_t len);
void td_peer_stats(const struct td_peer *p, struct td_peer_stats *ret_stats);

#endif
