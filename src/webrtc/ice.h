/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ice: the family of transports that find a path and carry datagrams (RFC 8445).
 * Owner: a td_ice belongs to one peer.
 * Thread: everything on the media loop; drain runs in the loop's ticker.
 * Bound: TD_CANDIDATES_MAX candidates a side; a datagram of TD_PACKET_BYTES_MAX.
 * Does not: show any type of the library behind it (libnice today, plain UDP later).
 */
#ifndef TD_WEBRTC_ICE_H
#define TD_WEBRTC_ICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum td_ice_state { TD_ICE_NEW, TD_ICE_CHECKING, TD_ICE_CONNECTED, TD_ICE_FAILED };

struct td_ice_server {
    char host[256];
    uint16_t port;
    bool turn; /* else STUN */
    bool tcp;
    char username[256];
    char password[256];
};
#define TD_ICE_SERVERS_MAX 8u

struct td_ice_config {
    bool controlling;
    const char *ufrag; /* local credentials, made by the signalling side */
    const char *pwd;
    bool loopback_only; /* tests, demo: gather on 127.0.0.1 alone */
    bool tell_loopback; /* the other side is on this machine: tell it of loopback too */
    const struct td_ice_server *servers;
    unsigned server_count;
};

/* Called from drain only, on the loop's thread; must not free the td_ice. */
struct td_ice_events {
    void (*state)(void *ctx, enum td_ice_state state);
    void (*candidate)(void *ctx, const char *candidate); /* local, "candidate:…"; NULL = gathered */
    void (*datagram)(void *ctx, const uint8_t *bytes, size_t len, int64_t now_us);
    void *ctx;
};

struct td_ice;

struct td_ice_ops {
    const char *name;
    int (*open)(const struct td_ice_config *config, const struct td_ice_events *events,
                struct td_ice **ret_ice);
    struct td_ice *(*close)(struct td_ice *ice);
    int (*gather)(struct td_ice *ice);
    /* The other side is lite: we control whatever was configured (RFC 8445 section 6.1.1). Before
     * set_remote. May be NULL. */
    void (*control)(struct td_ice *ice);
    int (*set_remote)(struct td_ice *ice, const char *ufrag, const char *pwd);
    /* NULL, "" or "end-of-candidates": no more will come. What the transport cannot use is skipped
     * with 0. -TD_E_PARSE, -TD_E_LIMIT */
    int (*add_remote)(struct td_ice *ice, const char *candidate);
    /* New local credentials (RFC 8445 section 9); set_remote with the other side's new ones
     * follows. The old path carries datagrams meanwhile; all candidates are told again. NULL =
     * cannot. */
    int (*restart)(struct td_ice *ice, const char *ufrag, const char *pwd);
    int (*send)(struct td_ice *ice, const uint8_t *bytes, size_t len); /* 0, -EAGAIN, -errno */
    void (*drain)(struct td_ice *ice, int64_t now_us);
};

extern const struct td_ice_ops td_ice_nice;

#endif
