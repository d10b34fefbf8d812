/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair: two peers of one process that talk over loopback, for tests and measurements.
 * Owner: the test; a td_pair is zeroed by pair_open and must be closed by pair_close.
 * Thread: the test's thread is the control loop; the media callbacks run on the peers' loops.
 * Bound: PAIR_WAIT_MS for each condition.
 * Does not: sleep: it polls the control mailbox.
 */
#ifndef TD_TESTS_WEBRTC_PAIR_H
#define TD_TESTS_WEBRTC_PAIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/mailbox.h"
#include "webrtc/peer.h"

#define PAIR_WAIT_MS 20000

struct pair;

struct pair_end {
    struct pair *pair;
    struct pair_end *other;
    struct td_loop *loop;
    struct td_peer *peer;
    /* control loop */
    enum td_peer_state state;
    int error;
    unsigned state_calls;
    unsigned calls_after_closed;
    unsigned candidates;
    bool gathered;
    bool closed;
    bool hold_candidates; /* do not hand ours on */
    /* media loop */
    atomic_uint rtp;
    atomic_uint rtcp;
    atomic_uint damaged;
    atomic_uint sent;
    atomic_uint silenced;
    atomic_int send_error;
    uint32_t ssrc;
};

struct pair {
    struct td_mailbox *control;
    struct td_certificate *certificate;
    struct pair_end a;
    struct pair_end b;
};

struct pair_options {
    bool two_loops;
    bool all_interfaces;
    const char *fingerprint_of_b;       /* what a expects; NULL = the right one */
    bool no_remote;                     /* the caller connects them */
    const struct td_ice_ops *transport; /* NULL = td_ice_nice */
};

void pair_open(struct pair *pair, const struct pair_options *options);
void pair_connect(struct pair *pair, const struct pair_options *options);
/* Drains the control mailbox until `done` says so; false after PAIR_WAIT_MS. */
bool pair_wait(struct pair *pair, bool (*done)(const struct pair *pair));
bool pair_connected(const struct pair *pair);
bool pair_closed(const struct pair *pair);
/* Sends RTP and RTCP from the end's media loop. */
void pair_send(struct pair_end *end, unsigned rtp, unsigned rtcp);
/* Closes both ends, waits for both `closed`, frees loops, mailbox and certificate. */
bool pair_close(struct pair *pair);

#endif
