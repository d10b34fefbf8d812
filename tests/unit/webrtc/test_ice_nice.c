/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "webrtc/ice.h"

#define WAIT_US INT64_C(20000000)

static const struct td_ice_ops *const ops = &td_ice_nice;

struct end {
    struct td_ice *ice;
    struct end *other;
    const char *ufrag;
    const char *pwd;
    enum td_ice_state state;
    unsigned connected; /* times */
    unsigned candidates;
    unsigned gathered;
    unsigned datagrams;
    uint8_t last[TD_PACKET_BYTES_MAX];
    size_t last_len;
    bool hold;
};

static void on_state(void *ctx, enum td_ice_state state)
{
    struct end *end = ctx;

    assert_int_not_equal(state, end->state); /* changes only */
    end->state = state;
    end->connected += state == TD_ICE_CONNECTED;
}

static void on_candidate(void *ctx, const char *candidate)
{
    struct end *end = ctx;

    if (candidate == NULL) {
        end->gathered++;
    } else {
        end->candidates++;
        assert_memory_equal(candidate, "candidate:", 10);
    }
    if (!end->hold)
        assert_int_equal(ops->add_remote(end->other->ice, candidate), 0);
}

static void on_datagram(void *ctx, const uint8_t *bytes, size_t len, int64_t now_us)
{
    struct end *end = ctx;

    assert_true(now_us > 0 && len <= sizeof(end->last));
    end->datagrams++;
    end->last_len = len;
    memcpy(end->last, bytes, len);
}

static void end_open(struct end *end, bool controlling)
{
    struct td_ice_config config = {
        .controlling = controlling,
        .ufrag = end->ufrag,
        .pwd = end->pwd,
        .loopback_only = true,
    };
    struct td_ice_events events = {
        .state = on_state,
        .candidate = on_candidate,
        .datagram = on_datagram,
        .ctx = end,
    };

    assert_int_equal(ops->open(&config, &events, &end->ice), 0);
    assert_int_equal(ops->gather(end->ice), 0);
    assert_int_equal(end->candidates, 0); /* told by drain only */
}

static void remote(struct end *a, struct end *b)
{
    assert_int_equal(ops->set_remote(a->ice, b->ufrag, b->pwd), 0);
    assert_int_equal(ops->set_remote(b->ice, a->ufrag, a->pwd), 0);
}

static bool run(struct end *a, struct end *b,
                bool (*done)(const struct end *a, const struct end *b))
{
    int64_t end_us = td_clock_now_us() + WAIT_US;

    while (!done(a, b)) {
        int64_t now_us = td_clock_now_us();

        if (now_us > end_us)
            return false;
        ops->drain(a->ice, now_us);
        ops->drain(b->ice, now_us);
        (void)poll(NULL, 0, 1);
    }
    return true;
}

static bool both_connected(const struct end *a, const struct end *b)
{
    return a->state == TD_ICE_CONNECTED && b->state == TD_ICE_CONNECTED;
}

static bool both_again(const struct end *a, const struct end *b)
{
    return a->connected >= 2 && b->connected >= 2 && both_connected(a, b);
}

static bool both_heard(const struct end *a, const struct end *b)
{
    return a->datagrams > 0 && b->datagrams > 0;
}

static bool a_gathered(const struct end *a, const struct end *b)
{
    (void)b;
    return a->gathered > 0;
}

static void exchange(struct end *a, struct end *b)
{
    uint8_t bytes[1200];

    a->datagrams = 0;
    b->datagrams = 0;
    memset(bytes, 0x80, sizeof(bytes));
    assert_int_equal(ops->send(a->ice, bytes, sizeof(bytes)), 0);
    assert_int_equal(ops->send(b->ice, bytes, 1), 0);
    assert_true(run(a, b, both_heard));
    assert_int_equal(b->last_len, sizeof(bytes));
    assert_memory_equal(b->last, bytes, sizeof(bytes));
    assert_int_equal(a->last_len, 1);
}

static void pair_init(struct end *a, struct end *b)
{
    memset(a, 0, sizeof(*a));
    memset(b, 0, sizeof(*b));
    *a = (struct end){.other = b, .ufrag = "aaaaaaaa", .pwd = "aaaaaaaaaaaaaaaaaaaaaaaa"};
    *b = (struct end){.other = a, .ufrag = "bbbbbbbb", .pwd = "bbbbbbbbbbbbbbbbbbbbbbbb"};
    end_open(a, true);
    end_open(b, false);
}

static void test_connect_and_restart(void **state)
{
    struct end a;
    struct end b;

    (void)state;
    pair_init(&a, &b);
    assert_int_equal(ops->send(a.ice, (const uint8_t *)"x", 1), -EAGAIN);
    remote(&a, &b);
    assert_true(run(&a, &b, both_connected));
    assert_true(a.candidates == 1 && a.gathered == 1); /* 127.0.0.1 alone */
    exchange(&a, &b);
    a.ufrag = "AAAAAAAA";
    b.pwd = "BBBBBBBBBBBBBBBBBBBBBBBB";
    b.ufrag = "BBBBBBBB";
    assert_int_equal(ops->restart(a.ice, a.ufrag, a.pwd), 0);
    assert_int_equal(ops->restart(b.ice, b.ufrag, b.pwd), 0);
    exchange(&a, &b); /* over the old path */
    remote(&a, &b);
    assert_true(run(&a, &b, both_again));
    assert_true(a.candidates == 2 && a.gathered == 2);
    exchange(&a, &b);
    assert_null(ops->close(a.ice));
    assert_null(ops->close(b.ice));
    assert_null(ops->close(NULL));
}

/* Only one side hears of the other: a server that learns us by our checks. */
static void test_one_sided(void **state)
{
    struct end a;
    struct end b;

    (void)state;
    pair_init(&a, &b);
    a.hold = true;
    remote(&a, &b);
    assert_true(run(&a, &b, both_connected));
    exchange(&a, &b);
    assert_null(ops->close(a.ice));
    assert_null(ops->close(b.ice));
}

static void test_candidates(void **state)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"rubbish", -TD_E_PARSE},
        {"candidate:1 1 tcp 9 127.0.0.1 9 typ host tcptype active", 0},
        {"candidate:1 1 udp 9 a.local 9 typ host", 0},
        {"candidate:1 2 udp 9 127.0.0.1 9 typ host", 0},
        {"candidate:1 1 udp 9 127.0.0.1 0 typ host", 0},
        {"1 1 udp 9 127.0.0.1 9 typ host", 0},
        {"a=candidate:1 1 UDP 9 ::1 9 typ srflx raddr ::1 rport 1", 0},
        {"a=end-of-candidates", 0},
        {"", 0},
        {NULL, 0},
    };
    struct end a;
    struct end b;
    unsigned taken = 2; /* of the rows */

    (void)state;
    pair_init(&a, &b);
    a.hold = true;
    b.hold = true;
    assert_int_equal(ops->set_remote(a.ice, NULL, "x"), -TD_E_PARSE);
    assert_int_equal(ops->set_remote(a.ice, "\xff\xff", "x"), -TD_E_PARSE);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(ops->add_remote(a.ice, rows[i].text), rows[i].error);
    for (; taken < TD_CANDIDATES_MAX; taken++) {
        char text[80];

        assert_true(snprintf(text, sizeof(text), "candidate:%u 1 udp 9 127.0.0.1 %u typ host",
                             taken, 20000 + taken) < (int)sizeof(text));
        assert_int_equal(ops->add_remote(a.ice, text), 0);
    }
    assert_int_equal(ops->add_remote(a.ice, "candidate:x 1 udp 9 127.0.0.1 1 typ host"),
                     -TD_E_LIMIT);
    assert_true(run(&a, &b, a_gathered));
    assert_null(ops->close(a.ice));
    assert_null(ops->close(b.ice));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_and_restart),
        cmocka_unit_test(test_one_sided),
        cmocka_unit_test(test_candidates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
