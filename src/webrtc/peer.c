/* SPDX-License-Identifier: Apache-2.0 */
#include "webrtc/peer.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "rtp/packet.h"

/* A peer that failed or was closed waits for td_peer_close only. */
#define TICK_ENDED_US 100000

struct counters {
    atomic_uint_fast64_t datagrams;
    atomic_uint_fast64_t bytes;
    atomic_uint_fast64_t decrypt_failures;
    atomic_uint_fast64_t unknown;
    atomic_uint_fast64_t data;
};

struct credentials {
    char ufrag[TD_ICE_UFRAG_BYTES + 1];
    char pwd[TD_ICE_PWD_BYTES + 1];
};

struct td_peer {
    /* constant */
    struct td_loop *loop;
    struct td_mailbox *control;
    const struct td_certificate *certificate;
    const struct td_ice_ops *transport;
    struct td_peer_events events;
    bool controlling;
    bool loopback_only;
    bool tell_loopback;
    unsigned server_count;
    struct td_ice_server *servers;

    /* control loop */
    bool closing;
    bool restarting; /* td_peer_restart was called, the new remote is not known yet */
    char *remote_ufrag;
    char *remote_fingerprint;
    struct credentials local;

    /* any thread */
    struct counters counters;

    /* media loop */
    bool ticking;
    bool torn_down;
    bool close_posted; /* by the ticker, to itself */
    bool remote_set;
    bool ice_up;
    bool gathered;
    bool report_due; /* the control mailbox was full */
    int64_t connected_us;
    enum td_peer_state state;
    int error;
    struct td_ice *ice;
    struct td_dtls *dtls;
    struct td_srtp *srtp;
    /* Written once by the media loop before it posts the slot, freed with the peer. */
    char *candidates[TD_CANDIDATES_MAX];
    unsigned candidate_count;
    /* Remote candidates that came before the credentials. */
    char *waiting[TD_CANDIDATES_MAX];
    unsigned waiting_count;
    /* A DTLS datagram that came before our own checks were done: the other side is ahead. */
    size_t early_len;
    uint8_t early[TD_PACKET_BYTES_MAX];
    alignas(16) uint8_t in[TD_PACKET_BYTES_MAX];
    alignas(16) uint8_t out[TD_PACKET_BYTES_MAX + TD_SRTP_TRAILER_BYTES];
};

static void count(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static struct td_peer *peer_free(struct td_peer *p)
{
    if (p == NULL)
        return NULL;
    assert(p->ice == NULL && p->dtls == NULL && p->srtp == NULL && !p->ticking);
    for (unsigned i = 0; i < p->candidate_count; i++)
        free(p->candidates[i]);
    for (unsigned i = 0; i < p->waiting_count; i++)
        free(p->waiting[i]);
    free(p->remote_ufrag);
    free(p->remote_fingerprint);
    free(p->servers);
    explicit_bzero(p, sizeof(*p));
    free(p);
    return NULL;
}

/* ---- messages to the control loop ---- */

struct state_message {
    enum td_peer_state state;
    int error;
};

static void control_state(void *target, const void *payload)
{
    struct td_peer *p = target;
    const struct state_message *m = payload;

    if (!p->closing && p->events.state != NULL)
        p->events.state(p->events.ctx, m->state, m->error);
}

static void control_candidate(void *target, const void *payload)
{
    struct td_peer *p = target;
    const char *candidate;

    memcpy(&candidate, payload, sizeof(candidate));
    if (!p->closing && p->events.candidate != NULL)
        p->events.candidate(p->events.ctx, candidate);
}

static void control_closed(void *target, const void *payload)
{
    struct td_peer *p = target;
    struct td_peer_events events = p->events;

    (void)payload;
    (void)peer_free(p); /* always NULL */
    if (events.closed != NULL)
        events.closed(events.ctx);
}

/* ---- state, on the media loop ---- */

/* Tells the newest state; what the full mailbox refused, the ticker tries again. */
static void report(struct td_peer *p)
{
    struct state_message m = {.state = p->state, .error = p->error};

    p->report_due = td_mailbox_post(p->control, control_state, p, &m, sizeof(m)) < 0;
}

static bool is_over(const struct td_peer *p)
{
    return p->state == TD_PEER_FAILED || p->state == TD_PEER_CLOSED;
}

static void set_state(struct td_peer *p, enum td_peer_state state, int error)
{
    if (is_over(p) || p->state == state)
        return;
    p->state = state;
    p->error = error;
    if (state == TD_PEER_CONNECTED)
        p->connected_us = td_clock_now_us();
    report(p);
}

static void fail(struct td_peer *p, int error)
{
    set_state(p, TD_PEER_FAILED, error);
}

static void tell_candidate(struct td_peer *p, const char *candidate)
{
    if (td_mailbox_post(p->control, control_candidate, p, &candidate, sizeof(candidate)) < 0)
        fail(p, -ENOBUFS);
}

/* ---- events of DTLS ---- */

static int on_dtls_send(void *ctx, const uint8_t *bytes, size_t len)
{
    struct td_peer *p = ctx;

    return p->transport->send(p->ice, bytes, len);
}

static int make_srtp(struct td_peer *p)
{
    struct td_srtp_keys keys;
    int r = td_dtls_keys(p->dtls, &keys);

    if (r == 0)
        r = td_srtp_new(&keys, &p->srtp);
    explicit_bzero(&keys, sizeof(keys));
    return r;
}

static void on_dtls_state(void *ctx, enum td_dtls_state state, int error)
{
    struct td_peer *p = ctx;
    int r;

    switch (state) {
    case TD_DTLS_CONNECTED:
        r = make_srtp(p);
        if (r < 0)
            fail(p, r);
        else
            set_state(p, TD_PEER_CONNECTED, 0);
        break;
    case TD_DTLS_CLOSED:
        set_state(p, TD_PEER_CLOSED, 0);
        break;
    case TD_DTLS_FAILED:
        fail(p, error);
        break;
    case TD_DTLS_HANDSHAKING:
        break;
    }
}

static void feed_dtls(struct td_peer *p, const uint8_t *bytes, size_t len, int64_t now_us)
{
    uint64_t before = td_dtls_discarded(p->dtls);

    td_dtls_datagram(p->dtls, bytes, len, now_us);
    count(&p->counters.data, td_dtls_discarded(p->dtls) - before);
}

/* Both halves are there: a path, and the fingerprint to expect on it. */
static void start_dtls(struct td_peer *p, int64_t now_us)
{
    int r;

    if (!p->ice_up || p->dtls == NULL || is_over(p))
        return;
    r = td_dtls_start(p->dtls, now_us);
    if (r == -TD_E_STATE)
        return; /* started already: ICE went down and up again */
    if (r < 0)
        fail(p, r);
    else if (p->early_len > 0)
        feed_dtls(p, p->early, p->early_len, now_us);
    p->early_len = 0;
}

/* ---- events of ICE, from inside drain ---- */

static void on_ice_state(void *ctx, enum td_ice_state state)
{
    struct td_peer *p = ctx;

    switch (state) {
    case TD_ICE_CHECKING:
        if (p->state == TD_PEER_NEW)
            set_state(p, TD_PEER_CONNECTING, 0);
        break;
    case TD_ICE_CONNECTED:
        if (p->state == TD_PEER_NEW)
            set_state(p, TD_PEER_CONNECTING, 0);
        p->ice_up = true; /* the tick that drains starts DTLS */
        if (p->srtp != NULL)
            set_state(p, TD_PEER_CONNECTED, 0); /* back after a restart */
        break;
    case TD_ICE_FAILED:
        fail(p, -EHOSTUNREACH);
        break;
    case TD_ICE_NEW:
        break;
    }
}

static void on_ice_candidate(void *ctx, const char *candidate)
{
    struct td_peer *p = ctx;
    char *copy;

    if (candidate == NULL) {
        p->gathered = true;
        tell_candidate(p, NULL);
        return;
    }
    if (p->candidate_count == TD_CANDIDATES_MAX)
        return;
    copy = strdup(candidate);
    if (copy == NULL) {
        fail(p, -ENOMEM);
        return;
    }
    p->candidates[p->candidate_count++] = copy;
    tell_candidate(p, copy);
}

static void on_media(struct td_peer *p, const uint8_t *bytes, size_t len, int64_t now_us)
{
    size_t clear_len = len;
    int r;

    if (p->srtp == NULL || len > sizeof(p->in)) {
        count(&p->counters.unknown, 1);
        return;
    }
    memcpy(p->in, bytes, len);
    r = td_rtp_is_rtcp(p->in, len) ? td_srtp_unprotect_rtcp(p->srtp, p->in, &clear_len)
                                   : td_srtp_unprotect(p->srtp, p->in, &clear_len);
    if (r < 0)
        count(&p->counters.decrypt_failures, 1);
    else if (p->events.packet != NULL)
        p->events.packet(p->events.media_ctx, p->in, clear_len, now_us);
}

/* RFC 7983 section 7: the first byte says what it is. STUN never comes here. */
static void on_ice_datagram(void *ctx, const uint8_t *bytes, size_t len, int64_t now_us)
{
    struct td_peer *p = ctx;

    count(&p->counters.datagrams, 1);
    count(&p->counters.bytes, len);
    if (is_over(p))
        return;
    if (len > 0 && bytes[0] >= 128 && bytes[0] <= 191) {
        on_media(p, bytes, len, now_us);
    } else if (len > 0 && bytes[0] >= 20 && bytes[0] <= 63) {
        start_dtls(p, now_us);
        if (p->dtls != NULL && p->ice_up) {
            feed_dtls(p, bytes, len, now_us);
        } else if (len <= sizeof(p->early)) {
            memcpy(p->early, bytes, len);
            p->early_len = len;
        }
    } else {
        count(&p->counters.unknown, 1);
    }
}

/* ---- the media loop's side ---- */

static void media_close(void *target, const void *payload);

static int64_t peer_tick(void *ctx, int64_t now_us)
{
    struct td_peer *p = ctx;

    if (p->torn_down) {
        /* `closed` was refused by a full mailbox; from a message the ticker can be removed. When
         * this post is refused too, the next tick tries again; one that waits is enough. */
        if (!p->close_posted)
            p->close_posted = td_loop_post(p->loop, media_close, p, NULL, 0) == 0;
        return TD_TICK_US;
    }
    if (p->report_due)
        report(p);
    if (is_over(p) || p->ice == NULL)
        return p->report_due ? TD_TICK_US : TICK_ENDED_US;
    p->transport->drain(p->ice, now_us);
    start_dtls(p, now_us);
    if (p->dtls != NULL)
        td_dtls_tick(p->dtls, now_us);
    if (p->state == TD_PEER_CONNECTED)
        return now_us - p->connected_us > TD_TICK_SETTLE_US ? TD_TICK_STEADY_US : TD_TICK_US;
    if (p->gathered && !p->remote_set)
        return TD_TICK_US;
    return TD_TICK_CONNECTING_US;
}

static int open_transport(struct td_peer *p, const struct credentials *local)
{
    struct td_ice_config config = {
        .controlling = p->controlling,
        .ufrag = local->ufrag,
        .pwd = local->pwd,
        .loopback_only = p->loopback_only,
        .tell_loopback = p->tell_loopback,
        .servers = p->servers,
        .server_count = p->server_count,
    };
    struct td_ice_events events = {
        .state = on_ice_state,
        .candidate = on_ice_candidate,
        .datagram = on_ice_datagram,
        .ctx = p,
    };
    int r = p->transport->open(&config, &events, &p->ice);

    return r < 0 ? r : p->transport->gather(p->ice);
}

static void media_open(void *target, const void *payload)
{
    struct td_peer *p = target;
    int r = td_loop_add_ticker(p->loop, peer_tick, p);

    p->ticking = r == 0;
    if (r == 0)
        r = open_transport(p, payload);
    if (r < 0)
        fail(p, r);
}

/* The message owns its strings; whoever receives it frees them. */
struct remote_message {
    char *ufrag;
    char *pwd;
    char *fingerprint;
    bool dtls_client;
    bool lite;
};

static void remote_free(struct remote_message *m)
{
    free(m->ufrag);
    free(m->pwd);
    free(m->fingerprint);
}

static void media_restart(void *target, const void *payload)
{
    struct td_peer *p = target;
    const struct credentials *local = payload;
    bool lost = p->state == TD_PEER_FAILED && p->error == -EHOSTUNREACH && p->srtp != NULL;
    int r;

    if (p->ice == NULL || (is_over(p) && !lost))
        return;
    r = p->transport->restart(p->ice, local->ufrag, local->pwd);
    if (r < 0) {
        fail(p, r);
        return;
    }
    p->remote_set = false; /* candidates wait for the new credentials */
    p->gathered = false;
    if (lost) {
        p->state = TD_PEER_NEW; /* so that the next state is told */
        set_state(p, TD_PEER_CONNECTING, 0);
    }
}

static void add_candidate(struct td_peer *p, const char *candidate)
{
    /* One that is malformed or too many is a path less, not the end: the others remain. */
    (void)p->transport->add_remote(p->ice, candidate);
}

static int set_remote(struct td_peer *p, const struct remote_message *m)
{
    struct td_dtls_events events = {.send = on_dtls_send, .state = on_dtls_state, .ctx = p};
    int r;

    if (m->lite && p->transport->control != NULL)
        p->transport->control(p->ice);
    r = p->transport->set_remote(p->ice, m->ufrag, m->pwd);
    if (r < 0)
        return r;
    p->remote_set = true;
    for (unsigned i = 0; i < p->waiting_count; i++) {
        add_candidate(p, p->waiting[i]);
        free(p->waiting[i]);
    }
    p->waiting_count = 0;
    if (p->dtls != NULL)
        return 0; /* a restart: the association stays */
    return td_dtls_new(p->certificate, m->dtls_client, m->fingerprint, &events, &p->dtls);
}

static void media_remote(void *target, const void *payload)
{
    struct td_peer *p = target;
    struct remote_message m;
    int r;

    memcpy(&m, payload, sizeof(m));
    if (p->ice != NULL && !is_over(p)) {
        r = set_remote(p, &m);
        if (r < 0)
            fail(p, r);
    }
    remote_free(&m);
}

static void media_candidate(void *target, const void *payload)
{
    struct td_peer *p = target;
    char *candidate;

    memcpy(&candidate, payload, sizeof(candidate));
    if (p->ice != NULL && !is_over(p)) {
        if (p->remote_set) {
            add_candidate(p, candidate);
        } else if (p->waiting_count < TD_CANDIDATES_MAX) {
            p->waiting[p->waiting_count++] = candidate;
            return;
        }
    }
    free(candidate);
}

static void tear_down(struct td_peer *p)
{
    if (p->events.silenced != NULL)
        p->events.silenced(p->events.ctx);
    if (p->dtls != NULL && p->ice_up)
        td_dtls_shutdown(p->dtls);
    p->dtls = td_dtls_free(p->dtls);
    p->srtp = td_srtp_free(p->srtp);
    if (p->ice != NULL)
        p->ice = p->transport->close(p->ice);
    p->torn_down = true;
}

/* After `closed` was posted the control loop frees the peer: nothing may touch it here. */
static void media_close(void *target, const void *payload)
{
    struct td_peer *p = target;
    struct td_loop *loop = p->loop;

    (void)payload;
    p->close_posted = false;
    if (!p->torn_down)
        tear_down(p);
    if (p->ticking)
        td_loop_remove_ticker(loop, peer_tick, p);
    p->ticking = false;
    if (td_mailbox_post(p->control, control_closed, p, NULL, 0) == 0)
        return;
    p->ticking = td_loop_add_ticker(loop, peer_tick, p) == 0;
    if (!p->ticking) {
        /* No ticker to be had: this message comes again. Its own slot was freed just now, so only
         * a flood from another thread could refuse it, and then it is tried once more. */
        while (td_loop_post(loop, media_close, p, NULL, 0) < 0 &&
               td_mailbox_post(p->control, control_closed, p, NULL, 0) < 0)
            sched_yield();
    }
}

/* ---- the control loop's side ---- */

static int make_credentials(struct credentials *ret_credentials)
{
    int r = td_id_token(ret_credentials->ufrag, TD_ICE_UFRAG_BYTES);

    return r < 0 ? r : td_id_token(ret_credentials->pwd, TD_ICE_PWD_BYTES);
}

static int fill(struct td_peer *p, const struct td_peer_config *config)
{
    int r = make_credentials(&p->local);

    if (r < 0)
        return r;
    p->server_count = config->server_count < TD_ICE_SERVERS_MAX ? config->server_count
                                                                : TD_ICE_SERVERS_MAX;
    if (p->server_count == 0)
        return 0;
    p->servers = calloc(p->server_count, sizeof(*p->servers));
    if (p->servers == NULL)
        return -ENOMEM;
    memcpy(p->servers, config->servers, p->server_count * sizeof(*p->servers));
    return 0;
}

int td_peer_new(const struct td_peer_config *config, const struct td_peer_events *events,
                struct td_peer **ret_peer)
{
    struct td_peer *p;
    int r;

    assert(config != NULL && events != NULL && ret_peer != NULL);
    assert(config->loop != NULL && config->control != NULL && config->certificate != NULL &&
           config->transport != NULL);
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->loop = config->loop;
    p->control = config->control;
    p->certificate = config->certificate;
    p->transport = config->transport;
    p->controlling = config->controlling;
    p->loopback_only = config->loopback_only;
    p->tell_loopback = config->tell_loopback;
    p->events = *events;
    r = fill(p, config);
    if (r == 0)
        r = td_loop_post(p->loop, media_open, p, &p->local, sizeof(p->local));
    if (r < 0) {
        (void)peer_free(p); /* always NULL */
        return r;
    }
    *ret_peer = p;
    return 0;
}

const char *td_peer_ufrag(const struct td_peer *p)
{
    return p->local.ufrag;
}

const char *td_peer_pwd(const struct td_peer *p)
{
    return p->local.pwd;
}

int td_peer_restart(struct td_peer *p)
{
    struct credentials local;
    int r;

    assert(p != NULL && !p->closing);
    if (p->transport->restart == NULL)
        return -TD_E_UNSUPPORTED;
    if (p->remote_ufrag == NULL)
        return -TD_E_STATE;
    r = make_credentials(&local);
    if (r == 0)
        r = td_loop_post(p->loop, media_restart, p, &local, sizeof(local));
    if (r < 0)
        return r;
    p->local = local;
    p->restarting = true;
    return 0;
}

/* Whether this remote needs anything done: 1, 0 when it is the one we have, or an error. */
static int check_remote(struct td_peer *p, const struct td_peer_remote *remote)
{
    if (p->remote_ufrag == NULL)
        return 1;
    if (strcmp(p->remote_ufrag, remote->ufrag) == 0 && !p->restarting)
        return 0;
    if (strcasecmp(p->remote_fingerprint, remote->fingerprint) != 0)
        return -TD_E_UNSUPPORTED;
    if (!p->restarting) {
        int r = td_peer_restart(p);

        if (r < 0)
            return r;
    }
    return 1;
}

int td_peer_set_remote(struct td_peer *p, const struct td_peer_remote *remote)
{
    struct remote_message m;
    char *ufrag;
    char *fingerprint;
    int r;

    assert(p != NULL && remote != NULL && !p->closing);
    assert(remote->ufrag != NULL && remote->pwd != NULL && remote->fingerprint != NULL);
    r = check_remote(p, remote);
    if (r <= 0)
        return r;
    r = -ENOMEM;
    m = (struct remote_message){
        .ufrag = strdup(remote->ufrag),
        .pwd = strdup(remote->pwd),
        .fingerprint = strdup(remote->fingerprint),
        .dtls_client = remote->dtls_client,
        .lite = remote->lite,
    };
    ufrag = strdup(remote->ufrag);
    fingerprint = strdup(remote->fingerprint);
    if (ufrag != NULL && fingerprint != NULL && m.ufrag != NULL && m.pwd != NULL &&
        m.fingerprint != NULL)
        r = td_loop_post(p->loop, media_remote, p, &m, sizeof(m));
    if (r < 0) {
        free(ufrag);
        free(fingerprint);
        remote_free(&m);
        return r;
    }
    free(p->remote_ufrag);
    free(p->remote_fingerprint);
    p->remote_ufrag = ufrag;
    p->remote_fingerprint = fingerprint;
    p->restarting = false;
    return 0;
}

int td_peer_add_candidate(struct td_peer *p, const char *candidate)
{
    char *copy;
    int r;

    assert(p != NULL && !p->closing);
    copy = strdup(candidate != NULL ? candidate : "");
    if (copy == NULL)
        return -ENOMEM;
    r = td_loop_post(p->loop, media_candidate, p, &copy, sizeof(copy));
    if (r < 0)
        free(copy);
    return r;
}

void td_peer_close(struct td_peer *p)
{
    assert(p != NULL && !p->closing);
    p->closing = true;
    /* Must not be refused. The loop empties its mailbox without waiting for anybody, so a full one
     * has room again within a tick. */
    while (td_loop_post(p->loop, media_close, p, NULL, 0) < 0)
        sched_yield();
}

/* ---- sending and counters ---- */

int td_peer_send_rtp(struct td_peer *p, const uint8_t *bytes, size_t len)
{
    size_t sealed_len = len;
    int r;

    td_loop_assert(p->loop);
    if (p->state != TD_PEER_CONNECTED || p->srtp == NULL)
        return -TD_E_STATE;
    if (len > TD_PACKET_BYTES_MAX)
        return -EMSGSIZE;
    memcpy(p->out, bytes, len);
    r = td_srtp_protect(p->srtp, p->out, &sealed_len, sizeof(p->out));
    return r < 0 ? r : p->transport->send(p->ice, p->out, sealed_len);
}

int td_peer_send_rtcp(struct td_peer *p, const uint8_t *bytes, size_t len)
{
    size_t sealed_len = len;
    int r;

    td_loop_assert(p->loop);
    if (p->state != TD_PEER_CONNECTED || p->srtp == NULL)
        return -TD_E_STATE;
    if (len > TD_PACKET_BYTES_MAX)
        return -EMSGSIZE;
    memcpy(p->out, bytes, len);
    r = td_srtp_protect_rtcp(p->srtp, p->out, &sealed_len, sizeof(p->out));
    return r < 0 ? r : p->transport->send(p->ice, p->out, sealed_len);
}

static uint64_t load(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void td_peer_stats(const struct td_peer *p, struct td_peer_stats *ret_stats)
{
    ret_stats->received_datagrams = load(&p->counters.datagrams);
    ret_stats->received_bytes = load(&p->counters.bytes);
    ret_stats->decrypt_failures = load(&p->counters.decrypt_failures);
    ret_stats->unknown_datagrams = load(&p->counters.unknown);
    ret_stats->discarded_data = load(&p->counters.data);
}
