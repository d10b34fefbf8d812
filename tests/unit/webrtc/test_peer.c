/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pair.h"

#define PACKETS 60
#define REPORTS 3

static bool exchanged(const struct pair *pair)
{
    return atomic_load(&pair->a.rtp) >= PACKETS && atomic_load(&pair->b.rtp) >= PACKETS &&
           atomic_load(&pair->a.rtcp) >= REPORTS && atomic_load(&pair->b.rtcp) >= REPORTS;
}

static void check_media(struct pair *pair)
{
    pair_send(&pair->a, PACKETS, REPORTS);
    pair_send(&pair->b, PACKETS, REPORTS);
    assert_true(pair_wait(pair, exchanged));
    assert_int_equal(atomic_load(&pair->a.damaged) + atomic_load(&pair->b.damaged), 0);
    assert_int_equal(atomic_load(&pair->a.send_error), 0);
    assert_int_equal(atomic_load(&pair->b.send_error), 0);
}

static void check_closed(struct pair *pair)
{
    assert_true(pair_close(pair));
    assert_int_equal(pair->a.calls_after_closed, 0);
    assert_int_equal(pair->b.calls_after_closed, 0);
}

static void test_rounds(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct pair_options options = {.two_loops = round % 2 == 1};
        struct td_peer_stats stats;
        struct pair pair;

        pair_open(&pair, &options);
        assert_true(pair_wait(&pair, pair_connected));
        assert_int_equal(pair.a.state_calls, 2); /* connecting, connected */
        assert_true(pair.a.candidates > 0 && pair.a.gathered);
        check_media(&pair);
        td_peer_stats(pair.a.peer, &stats);
        assert_true(stats.received_datagrams >= PACKETS + REPORTS);
        assert_true(stats.received_bytes > PACKETS * 1100);
        assert_int_equal(stats.decrypt_failures, 0);
        assert_int_equal(stats.unknown_datagrams, 0);
        check_closed(&pair);
    }
}

/* A server beside us says 127.0.0.1, and does not hear our candidates in time. */
static void test_loopback_remote(void **state)
{
    struct td_mailbox *control;
    struct pair_options local = {.no_remote = true, .all_interfaces = true};
    struct pair_options remote = {.no_remote = true};
    struct pair here;
    struct pair there;

    (void)state;
    /* Two pairs, of which each lends one end. */
    pair_open(&here, &local);
    pair_open(&there, &remote);
    here.a.other = &there.b;
    there.b.other = &here.a;
    here.a.hold_candidates = true;
    here.b.hold_candidates = true;
    there.a.hold_candidates = true;
    control = there.control;
    {
        struct td_peer_remote of_local = {
            .ufrag = td_peer_ufrag(here.a.peer),
            .pwd = td_peer_pwd(here.a.peer),
            .fingerprint = td_certificate_fingerprint(here.certificate),
            .dtls_client = false,
        };
        struct td_peer_remote of_remote = {
            .ufrag = td_peer_ufrag(there.b.peer),
            .pwd = td_peer_pwd(there.b.peer),
            .fingerprint = td_certificate_fingerprint(there.certificate),
            .dtls_client = true,
        };

        assert_int_equal(td_peer_set_remote(there.b.peer, &of_local), 0);
        assert_int_equal(td_peer_set_remote(here.a.peer, &of_remote), 0);
    }
    for (int i = 0;
         i < 20000 && (here.a.state != TD_PEER_CONNECTED || there.b.state != TD_PEER_CONNECTED);
         i++) {
        (void)td_mailbox_drain(here.control);
        (void)td_mailbox_drain(control);
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(here.a.state, TD_PEER_CONNECTED);
    assert_int_equal(there.b.state, TD_PEER_CONNECTED);
    here.a.other = &here.b;
    there.b.other = &there.a;
    check_closed(&here);
    check_closed(&there);
}

/* Both ends on all interfaces, as with a server announced by the host's own address. */
static void test_all_interfaces(void **state)
{
    struct pair_options options = {.all_interfaces = true, .two_loops = true};
    struct pair pair;

    (void)state;
    pair_open(&pair, &options);
    assert_true(pair_wait(&pair, pair_connected));
    check_media(&pair);
    check_closed(&pair);
}

static bool a_failed(const struct pair *pair)
{
    return pair->a.state == TD_PEER_FAILED;
}

static bool a_closed_by_b(const struct pair *pair)
{
    return pair->a.state == TD_PEER_CLOSED && pair->b.closed;
}

static void test_wrong_fingerprint(void **state)
{
    static const char wrong[] = "sha-256 00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:"
                                "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00";
    static const struct {
        const char *fingerprint;
        int error;
    } rows[] = {
        {wrong, -TD_E_CRYPTO},
        {"sha-256 00", -TD_E_PARSE},
        {"md5 00", -TD_E_UNSUPPORTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pair_options options = {.fingerprint_of_b = rows[i].fingerprint};
        struct pair pair;

        pair_open(&pair, &options);
        assert_true(pair_wait(&pair, a_failed));
        assert_int_equal(pair.a.error, rows[i].error);
        assert_int_not_equal(pair.b.state, TD_PEER_CONNECTED);
        check_closed(&pair);
    }
}

static void test_closed_by_other(void **state)
{
    struct pair_options options = {.two_loops = true};
    struct pair pair;

    (void)state;
    pair_open(&pair, &options);
    assert_true(pair_wait(&pair, pair_connected));
    td_peer_close(pair.b.peer);
    assert_true(pair_wait(&pair, a_closed_by_b));
    assert_int_equal(pair.a.error, 0);
    check_closed(&pair);
}

/* Closing is clean at any moment: straight after new, and so many events later. */
static void test_close_early(void **state)
{
    (void)state;
    for (int events = -1; events < 9; events++) {
        struct pair_options options = {.two_loops = events % 2 == 0, .no_remote = events < 0};
        struct pair pair;

        pair_open(&pair, &options);
        for (int i = 0; i < events * 3; i++) {
            (void)poll(NULL, 0, 1); /* only moves the moment; nothing depends on it */
            (void)td_mailbox_drain(pair.control);
        }
        check_closed(&pair);
    }
}

static void send_now(void *target, const void *payload)
{
    struct pair_end *end = target;
    static const uint8_t packet[20] = {0x80, 96};
    static const uint8_t report[8] = {0x80, 201, 0, 1};
    int rtp = td_peer_send_rtp(end->peer, packet, sizeof(packet));
    int rtcp = td_peer_send_rtcp(end->peer, report, sizeof(report));

    (void)payload;
    atomic_store(&end->send_error, rtp == rtcp ? rtp : 1);
}

static bool send_answered(const struct pair *pair)
{
    return atomic_load(&pair->a.send_error) != 0;
}

static void test_send_too_early(void **state)
{
    struct pair_options options = {.no_remote = true};
    struct pair pair;

    (void)state;
    pair_open(&pair, &options);
    assert_int_equal(td_loop_post(pair.a.loop, send_now, &pair.a, NULL, 0), 0);
    assert_true(pair_wait(&pair, send_answered));
    assert_int_equal(atomic_load(&pair.a.send_error), -TD_E_STATE);
    check_closed(&pair);
}

static void test_second_remote(void **state)
{
    struct pair_options options = {.two_loops = false};
    struct td_peer_remote other = {
        .ufrag = "otherufrag", .pwd = "otherpasswordotherpassword", .fingerprint = "sha-256 00"};
    struct pair pair;

    (void)state;
    pair_open(&pair, &options);
    pair_connect(&pair, &options); /* the same once more is no change */
    /* Another fingerprint is another server. */
    assert_int_equal(td_peer_set_remote(pair.a.peer, &other), -TD_E_UNSUPPORTED);
    assert_true(pair_wait(&pair, pair_connected));
    check_closed(&pair);
}

static bool exchanged_again(const struct pair *pair)
{
    return atomic_load(&pair->a.rtp) >= 2 * PACKETS && atomic_load(&pair->b.rtp) >= 2 * PACKETS &&
           pair->a.gathered && pair->b.gathered;
}

/* One side asks for it, the other learns it from the new credentials; media runs all along. */
static void test_restart(void **state)
{
    struct pair_options options = {.two_loops = true};
    char ufrag_a[TD_ICE_UFRAG_BYTES + 1];
    char ufrag_b[TD_ICE_UFRAG_BYTES + 1];
    struct td_peer_remote remote = {.lite = false};
    struct pair pair;

    (void)state;
    pair_open(&pair, &options);
    remote.fingerprint = td_certificate_fingerprint(pair.certificate);
    assert_true(pair_wait(&pair, pair_connected));
    check_media(&pair);
    pair.a.gathered = false;
    pair.b.gathered = false;
    memcpy(ufrag_a, td_peer_ufrag(pair.a.peer), sizeof(ufrag_a));
    memcpy(ufrag_b, td_peer_ufrag(pair.b.peer), sizeof(ufrag_b));
    assert_int_equal(td_peer_restart(pair.a.peer), 0);
    remote.ufrag = td_peer_ufrag(pair.a.peer);
    remote.pwd = td_peer_pwd(pair.a.peer);
    remote.dtls_client = true;
    assert_string_not_equal(remote.ufrag, ufrag_a);
    assert_int_equal(td_peer_set_remote(pair.b.peer, &remote), 0);
    remote.ufrag = td_peer_ufrag(pair.b.peer);
    remote.pwd = td_peer_pwd(pair.b.peer);
    remote.dtls_client = false;
    assert_string_not_equal(remote.ufrag, ufrag_b);
    assert_int_equal(td_peer_set_remote(pair.a.peer, &remote), 0);
    pair_send(&pair.a, PACKETS, 0);
    pair_send(&pair.b, PACKETS, 0);
    assert_true(pair_wait(&pair, exchanged_again));
    assert_true(pair_connected(&pair));
    assert_int_equal(pair.a.state_calls, 2); /* nothing new was told */
    check_closed(&pair);
}

/* What cannot be used is skipped, before the credentials and after them. */
static void test_bad_candidates(void **state)
{
    static const char *const texts[] = {
        "rubbish",
        "",
        "candidate:1 1 tcp 2105458943 127.0.0.1 9 typ host tcptype active",
        "candidate:1 1 udp 2105458943 0aa1bb2c-d9b1-4d2a-8c11-000000000000.local 50000 typ host",
        "a=candidate:1 2 UDP 2105458943 127.0.0.1 40000 typ host",
        "a=candidate:1 1 UDP 2105458943 999.0.0.1 40000 typ host",
        "end-of-candidates",
    };
    struct pair_options options = {.no_remote = true};
    struct pair pair;

    (void)state;
    pair_open(&pair, &options);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
            assert_int_equal(td_peer_add_candidate(pair.a.peer, texts[i]), 0);
        if (round == 0)
            pair_connect(&pair, &options);
    }
    assert_int_equal(td_peer_add_candidate(pair.a.peer, NULL), 0);
    assert_true(pair_wait(&pair, pair_connected));
    check_closed(&pair);
}

static void nothing(void *target, const void *payload)
{
    (void)target;
    (void)payload;
}

static void fill_mailbox(struct td_mailbox *m)
{
    while (td_mailbox_post(m, nothing, NULL, NULL, 0) == 0)
        ;
}

/* Waits without draining until the full mailbox refused something anew. */
static void wait_refused(struct td_mailbox *m, uint64_t before)
{

    for (int i = 0; i < 10000 && td_mailbox_refused(m) == before; i++)
        (void)poll(NULL, 0, 1);
    assert_true(td_mailbox_refused(m) > before);
}

/* ---- two peers over a wire in memory ---- */

#define WIRE_MAX 64

struct wire_datagram {
    uint8_t bytes[4096];
    size_t len;
};

/* Both ends live on one media loop, so that nothing here needs a lock but `wanted`. */
struct td_ice {
    struct td_ice_events events;
    struct td_ice *other;
    enum td_ice_state state;
    unsigned count;
    struct wire_datagram queue[WIRE_MAX];
};

struct wire {
    struct td_ice end[2];
    atomic_int wanted[2]; /* enum td_ice_state */
    atomic_uint restarts;
};

static struct wire wire;

static int wire_open(const struct td_ice_config *config, const struct td_ice_events *events,
                     struct td_ice **ret_ice)
{
    struct td_ice *ice = &wire.end[config->controlling ? 0 : 1];

    memset(ice, 0, sizeof(*ice));
    ice->events = *events;
    ice->other = &wire.end[config->controlling ? 1 : 0];
    *ret_ice = ice;
    return 0;
}

static struct td_ice *wire_close(struct td_ice *ice)
{
    ice->count = 0;
    return NULL;
}

static int wire_gather(struct td_ice *ice)
{
    (void)ice;
    return 0;
}

static int wire_set_remote(struct td_ice *ice, const char *ufrag, const char *pwd)
{
    (void)ice;
    assert(ufrag[0] != '\0' && pwd[0] != '\0');
    return 0;
}

static int wire_add_remote(struct td_ice *ice, const char *candidate)
{
    (void)ice;
    (void)candidate;
    return 0;
}

static int wire_restart(struct td_ice *ice, const char *ufrag, const char *pwd)
{
    (void)ice;
    assert(ufrag[0] != '\0' && pwd[0] != '\0');
    atomic_fetch_add(&wire.restarts, 1);
    return 0;
}

static int wire_send(struct td_ice *ice, const uint8_t *bytes, size_t len)
{
    struct td_ice *to = ice->other;

    if (to->count == WIRE_MAX || len > sizeof(to->queue[0].bytes))
        return -EAGAIN;
    memcpy(to->queue[to->count].bytes, bytes, len);
    to->queue[to->count++].len = len;
    return 0;
}

static void wire_drain(struct td_ice *ice, int64_t now_us)
{
    enum td_ice_state wanted = (enum td_ice_state)atomic_load(&wire.wanted[ice - wire.end]);
    unsigned count = ice->count;

    if (ice->state != wanted) {
        ice->state = wanted;
        ice->events.state(ice->events.ctx, wanted);
    }
    for (unsigned i = 0; i < count; i++)
        ice->events.datagram(ice->events.ctx, ice->queue[i].bytes, ice->queue[i].len, now_us);
    memmove(ice->queue, ice->queue + count, (ice->count - count) * sizeof(ice->queue[0]));
    ice->count -= count;
}

static const struct td_ice_ops wire_ops = {
    .name = "wire",
    .open = wire_open,
    .close = wire_close,
    .gather = wire_gather,
    .set_remote = wire_set_remote,
    .add_remote = wire_add_remote,
    .restart = wire_restart,
    .send = wire_send,
    .drain = wire_drain,
};

static void wire_want(enum td_ice_state a, enum td_ice_state b)
{
    atomic_store(&wire.wanted[0], (int)a);
    atomic_store(&wire.wanted[1], (int)b);
}

/* a is the DTLS server; the hello waits with it. */
static bool early_hello(const struct pair *pair)
{
    struct td_peer_stats stats;

    td_peer_stats(pair->a.peer, &stats);
    return stats.received_datagrams > 0;
}

static bool a_connecting(const struct pair *pair)
{
    return pair->a.state == TD_PEER_CONNECTING;
}

/* The client's path is up before the server's: the server keeps the hello until its own is. */
static void test_early_hello(void **state)
{
    struct pair_options options = {.transport = &wire_ops};
    struct pair pair;

    (void)state;
    wire_want(TD_ICE_CHECKING, TD_ICE_CONNECTED);
    pair_open(&pair, &options);
    assert_true(pair_wait(&pair, early_hello));
    assert_false(pair_connected(&pair));
    wire_want(TD_ICE_CONNECTED, TD_ICE_CONNECTED);
    assert_true(pair_wait(&pair, pair_connected));
    check_closed(&pair);
}

/* The path is lost after a time of media, and found again by a restart. */
static void test_lost_and_found(void **state)
{
    struct pair_options options = {.transport = &wire_ops};
    struct td_peer_remote remote;
    struct pair pair;

    (void)state;
    wire_want(TD_ICE_CONNECTED, TD_ICE_CONNECTED);
    pair_open(&pair, &options);
    assert_true(pair_wait(&pair, pair_connected));
    wire_want(TD_ICE_FAILED, TD_ICE_CONNECTED);
    assert_true(pair_wait(&pair, a_failed));
    assert_int_equal(pair.a.error, -EHOSTUNREACH);
    wire_want(TD_ICE_CHECKING, TD_ICE_CONNECTED);
    remote = (struct td_peer_remote){
        .ufrag = "newufrag",
        .pwd = "newpassword",
        .fingerprint = td_certificate_fingerprint(pair.certificate),
    };
    assert_int_equal(td_peer_set_remote(pair.a.peer, &remote), 0);
    assert_true(pair_wait(&pair, a_connecting));
    assert_int_equal(atomic_load(&wire.restarts), 1);
    wire_want(TD_ICE_CONNECTED, TD_ICE_CONNECTED);
    assert_true(pair_wait(&pair, pair_connected));
    pair_send(&pair.b, 1, 1);
    check_closed(&pair);
}

static void inject(void *target, const void *payload)
{
    static const uint8_t first_bytes[] = {4, 19, 64, 127, 192, 255};
    static uint8_t bytes[3000];
    (void)target;
    (void)payload;
    for (size_t i = 0; i < sizeof(first_bytes); i++) {
        bytes[0] = first_bytes[i];
        assert(wire_send(&wire.end[0], bytes, 100) == 0);
    }
    bytes[0] = 0x80; /* RTP: too long, without a right tag, too short */
    assert(wire_send(&wire.end[0], bytes, sizeof(bytes)) == 0);
    assert(wire_send(&wire.end[0], bytes, 100) == 0);
    assert(wire_send(&wire.end[0], bytes, 1) == 0);
    assert(wire_send(&wire.end[0], bytes, 0) == 0);
}

static bool b_counted(const struct pair *pair)
{
    struct td_peer_stats stats;

    td_peer_stats(pair->b.peer, &stats);
    return stats.unknown_datagrams == 8 && stats.decrypt_failures == 2;
}

static void test_strange_datagrams(void **state)
{
    struct pair_options options = {.transport = &wire_ops};
    struct pair pair;

    (void)state;
    wire_want(TD_ICE_CONNECTED, TD_ICE_CONNECTED);
    pair_open(&pair, &options);
    assert_true(pair_wait(&pair, pair_connected));
    assert_int_equal(td_loop_post(pair.a.loop, inject, &pair, NULL, 0), 0);
    assert_true(pair_wait(&pair, b_counted));
    assert_true(pair_connected(&pair));
    assert_int_equal(atomic_load(&pair.b.rtp) + atomic_load(&pair.b.damaged), 0);
    check_closed(&pair);
}

/* ---- one peer alone ---- */

static void on_state(void *ctx, enum td_peer_state state, int error)
{
    struct pair_end *end = ctx;

    end->state = state;
    end->error = error;
}

static void on_closed(void *ctx)
{
    struct pair_end *end = ctx;

    assert_int_equal(atomic_load(&end->silenced), 1); /* before it, and only once */
    end->closed = true;
}

static void on_silenced(void *ctx)
{
    struct pair_end *end = ctx;

    atomic_fetch_add(&end->silenced, 1);
}

static void solo_open(struct pair *solo, const struct td_ice_ops *transport, bool full_mailbox)
{
    struct td_peer_events events = {
        .ctx = &solo->a, .state = on_state, .closed = on_closed, .silenced = on_silenced};
    struct td_peer_config config = {.transport = transport, .loopback_only = true};

    memset(solo, 0, sizeof(*solo));
    assert_int_equal(td_mailbox_new(8, &solo->control), 0);
    assert_int_equal(td_certificate_new(&solo->certificate), 0);
    assert_int_equal(td_loop_new("media", &solo->a.loop), 0);
    if (full_mailbox)
        fill_mailbox(solo->control);
    config.loop = solo->a.loop;
    config.control = solo->control;
    config.certificate = solo->certificate;
    assert_int_equal(td_peer_new(&config, &events, &solo->a.peer), 0);
}

static bool solo_gone(const struct pair *solo)
{
    return solo->a.closed;
}

static void solo_free(struct pair *solo)
{
    assert_null(td_loop_free(solo->a.loop));
    assert_null(td_mailbox_free(solo->control));
    assert_null(td_certificate_free(solo->certificate));
}

/* A control loop that does not come to read: the peer fails, says so later, and still closes. */
static void test_full_mailbox(void **state)
{
    struct pair solo;
    uint64_t before;

    (void)state;
    solo_open(&solo, &td_ice_nice, true);
    wait_refused(solo.control, 1); /* the first was ours */
    assert_true(pair_wait(&solo, a_failed));
    assert_int_equal(solo.a.error, -ENOBUFS);
    fill_mailbox(solo.control);
    before = td_mailbox_refused(solo.control);
    td_peer_close(solo.a.peer);
    wait_refused(solo.control, before);
    assert_false(solo.a.closed);
    assert_true(pair_wait(&solo, solo_gone));
    solo_free(&solo);
}

static int failing_open(const struct td_ice_config *config, const struct td_ice_events *events,
                        struct td_ice **ret_ice)
{
    (void)config;
    (void)events;
    (void)ret_ice;
    return -ENOMEM;
}

static void test_no_transport(void **state)
{
    static const struct td_ice_ops transport = {.name = "fault", .open = failing_open};
    struct td_peer_remote remote = {
        .ufrag = "aaaa", .pwd = "bbbbbbbbbbbbbbbbbbbbbb", .fingerprint = "sha-256 00"};
    struct pair solo;

    (void)state;
    solo_open(&solo, &transport, false);
    assert_int_equal(td_peer_add_candidate(solo.a.peer, "x"), 0);
    assert_int_equal(td_peer_set_remote(solo.a.peer, &remote), 0);
    assert_int_equal(td_peer_add_candidate(solo.a.peer, "y"), 0);
    assert_true(pair_wait(&solo, a_failed));
    assert_int_equal(solo.a.error, -ENOMEM);
    td_peer_close(solo.a.peer);
    assert_true(pair_wait(&solo, solo_gone));
    solo_free(&solo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_loopback_remote),
        cmocka_unit_test(test_all_interfaces),
        cmocka_unit_test(test_wrong_fingerprint),
        cmocka_unit_test(test_closed_by_other),
        cmocka_unit_test(test_close_early),
        cmocka_unit_test(test_send_too_early),
        cmocka_unit_test(test_second_remote),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_bad_candidates),
        cmocka_unit_test(test_early_hello),
        cmocka_unit_test(test_lost_and_found),
        cmocka_unit_test(test_strange_datagrams),
        cmocka_unit_test(test_full_mailbox),
        cmocka_unit_test(test_no_transport),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
