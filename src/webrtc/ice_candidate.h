/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ice_candidate: the text of one ICE candidate (RFC 8839 section 5.1), taken apart.
 * Owner: a td_ice_candidate is a value.
 * Thread: any.
 * Bound: fixed fields; longer addresses are malformed.
 * Does not: resolve names, judge reachability.
 */
#ifndef TD_WEBRTC_ICE_CANDIDATE_H
#define TD_WEBRTC_ICE_CANDIDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum td_ice_candidate_type {
    TD_ICE_HOST,
    TD_ICE_SERVER_REFLEXIVE,
    TD_ICE_PEER_REFLEXIVE,
    TD_ICE_RELAYED,
};

struct td_ice_candidate {
    char foundation[33]; /* 1*32 ice-char */
    char address[64];
    uint32_t priority;
    uint16_t port;
    uint8_t component;
    bool udp;
    bool name; /* the address is a name, not a number: mDNS (".local") or DNS */
    enum td_ice_candidate_type type;
};

/* With or without "a=" and "candidate:" in front. 0 or -TD_E_PARSE. */
TD_MUST int td_ice_candidate_parse(const char *text, struct td_ice_candidate *ret_candidate);

#endif
