/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "rtp/packet.h"
#include "webrtc/ice.h"

#define PAYLOAD_BYTES 1100

static void on_state(void *ctx, enum td_peer_state state, int error)
{
    struct pair_end *end = ctx;

    end->state_calls++;
    end->calls_after_closed += end->closed;
    end->state = state;
    end->error = error;
}

static void on_candidate(void *ctx, const char *candidate)
{
    struct pair_end *end = ctx;

    end->calls_after_closed += end->closed;
    if (candidate == NULL)
        end->gathered = true;
    else
        end->candidates++;
    if (!end->hold_candidates && end->other->peer != NULL && !end->other->closed) {
        int r = td_peer_add_candidate(end->other->peer, candidate);

        assert(r == 0);
    }
}

static void on_closed(void *ctx)
{
    struct pair_end *end = ctx;

    end->closed = true;
    end->peer = NULL;
}

static bool is_whole(const uint8_t *payload, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (payload[i] != (uint8_t)(i * 7))
            return false;
    return len == PAYLOAD_BYTES;
}

static void on_packet(void *ctx, uint8_t *bytes, size_t len, int64_t now_us)
{
    struct pair_end *end = ctx;

    assert(now_us > 0);
    td_loop_assert(end->loop);
    if (td_rtp_is_rtcp(bytes, len)) {
        atomic_fetch_add(&end->rtcp, 1);
    } else if (len > TD_RTP_HEADER_BYTES &&
               is_whole(bytes + TD_RTP_HEADER_BYTES, len - TD_RTP_HEADER_BYTES)) {
        atomic_fetch_add(&end->rtp, 1);
    } else {
        atomic_fetch_add(&end->damaged, 1);
    }
}

static void open_end(struct pair_end *end, const struct pair_options *options, bool controlling)
{
    struct td_peer_events events = {
        .ctx = end,
        .state = on_state,
        .candidate = on_candidate,
        .closed = on_closed,
        .media_ctx = end,
        .packet = on_packet,
    };
    struct td_peer_config config = {
        .loop = end->loop,
        .control = end->pair->control,
        .certificate = end->pair->certificate,
        .transport = options->transport != NULL ? options->transport : &td_ice_nice,
        .controlling = controlling,
        .loopback_only = !options->all_interfaces,
    };
    int r = td_peer_new(&config, &events, &end->peer);

    assert(r == 0);
}

void pair_open(struct pair *pair, const struct pair_options *options)
{
    int r;

    memset(pair, 0, sizeof(*pair));
    pair->a.pair = pair;
    pair->b.pair = pair;
    pair->a.other = &pair->b;
    pair->b.other = &pair->a;
    pair->a.ssrc = 0x11111111;
    pair->b.ssrc = 0x22222222;
    r = td_mailbox_new(256, &pair->control);
    assert(r == 0);
    r = td_certificate_new(&pair->certificate);
    assert(r == 0);
    r = td_loop_new("media-a", &pair->a.loop);
    assert(r == 0);
    pair->b.loop = pair->a.loop;
    if (options->two_loops) {
        r = td_loop_new("media-b", &pair->b.loop);
        assert(r == 0);
    }
    open_end(&pair->a, options, true);
    open_end(&pair->b, options, false);
    if (!options->no_remote)
        pair_connect(pair, options);
}

void pair_connect(struct pair *pair, const struct pair_options *options)
{
    const char *fingerprint = td_certificate_fingerprint(pair->certificate);
    struct td_peer_remote of_a = {
        .ufrag = td_peer_ufrag(pair->a.peer),
        .pwd = td_peer_pwd(pair->a.peer),
        .fingerprint = fingerprint,
        .dtls_client = true,
    };
    struct td_peer_remote of_b = {
        .ufrag = td_peer_ufrag(pair->b.peer),
        .pwd = td_peer_pwd(pair->b.peer),
        .fingerprint = options->fingerprint_of_b != NULL ? options->fingerprint_of_b : fingerprint,
        .dtls_client = false,
    };
    int r = td_peer_set_remote(pair->a.peer, &of_b);

    assert(r == 0);
    r = td_peer_set_remote(pair->b.peer, &of_a);
    assert(r == 0);
}

bool pair_wait(struct pair *pair, bool (*done)(const struct pair *pair))
{
    int64_t end_us = td_clock_now_us() + PAIR_WAIT_MS * TD_US_PER_MS;

    while (!done(pair)) {
        /* Media counters change without a message, hence the short wait. */
        struct pollfd fd = {.fd = td_mailbox_fd(pair->control), .events = POLLIN};
        int r = poll(&fd, 1, 2);

        assert(r >= 0 || errno == EINTR);
        (void)td_mailbox_drain(pair->control); /* how many is of no interest */
        if (td_clock_now_us() > end_us)
            return false;
    }
    return true;
}

bool pair_connected(const struct pair *pair)
{
    return pair->a.state == TD_PEER_CONNECTED && pair->b.state == TD_PEER_CONNECTED;
}

bool pair_closed(const struct pair *pair)
{
    return pair->a.peer == NULL && pair->b.peer == NULL;
}

struct send_message {
    unsigned rtp;
    unsigned rtcp;
};

static void send_some(void *target, const void *payload)
{
    struct pair_end *end = target;
    const struct send_message *m = payload;
    uint8_t bytes[TD_RTP_HEADER_BYTES + PAYLOAD_BYTES] = {0x80, 96};
    /* An empty receiver report (RFC 3550 section 6.4.2). */
    uint8_t report[8] = {0x80, 201, 0, 1};

    for (size_t i = 0; i < PAYLOAD_BYTES; i++)
        bytes[TD_RTP_HEADER_BYTES + i] = (uint8_t)(i * 7);
    for (unsigned i = 0; i < 4; i++) {
        bytes[8 + i] = (uint8_t)(end->ssrc >> (24 - 8 * i));
        report[4 + i] = bytes[8 + i];
    }
    for (unsigned i = 0; i < m->rtp; i++) {
        unsigned seq = atomic_fetch_add(&end->sent, 1);
        int r;

        bytes[2] = (uint8_t)(seq >> 8);
        bytes[3] = (uint8_t)seq;
        r = td_peer_send_rtp(end->peer, bytes, sizeof(bytes));
        if (r < 0)
            atomic_store(&end->send_error, r);
    }
    for (unsigned i = 0; i < m->rtcp; i++) {
        int r = td_peer_send_rtcp(end->peer, report, sizeof(report));

        if (r < 0)
            atomic_store(&end->send_error, r);
    }
}

void pair_send(struct pair_end *end, unsigned rtp, unsigned rtcp)
{
    struct send_message m = {.rtp = rtp, .rtcp = rtcp};
    int r = td_loop_post(end->loop, send_some, end, &m, sizeof(m));

    assert(r == 0);
}

bool pair_close(struct pair *pair)
{
    bool ok;

    if (pair->a.peer != NULL)
        td_peer_close(pair->a.peer);
    if (pair->b.peer != NULL)
        td_peer_close(pair->b.peer);
    ok = pair_wait(pair, pair_closed);
    if (pair->b.loop != pair->a.loop)
        (void)td_loop_free(pair->b.loop); /* always NULL */
    (void)td_loop_free(pair->a.loop);     /* always NULL */
    (void)td_mailbox_drain(pair->control);
    (void)td_mailbox_free(pair->control);         /* always NULL */
    (void)td_certificate_free(pair->certificate); /* always NULL */
    return ok;
}
