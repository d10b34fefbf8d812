/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/jitter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "seed.h"

#define MS INT64_C(1000)
#define WAIT_US (100 * MS)

/* What came out, as text: "5" a packet, "[6+2]" a hole, "!" a dropped packet, "h" a held one. */
struct bench {
    struct td_pool pool;
    struct td_jitter *jitter;
    int64_t now_us;
    uint32_t timestamp_bias;
    char out[4096];
};

static void bench_start(struct bench *b, unsigned pool_slots, unsigned slot_max)
{
    memset(b, 0, sizeof(*b));
    b->now_us = 1000 * MS;
    assert_int_equal(td_pool_init(&b->pool, TD_JITTER_SLOT_BYTES, pool_slots, NULL), 0);
    assert_int_equal(td_jitter_new(&b->pool, slot_max, WAIT_US, &b->jitter), 0);
}

static void bench_end(struct bench *b)
{
    b->jitter = td_jitter_free(b->jitter);
    assert_null(b->jitter);
    td_pool_done(&b->pool); /* asserts that every slot came back */
}

static void say(struct bench *b, const char *text)
{
    size_t len = strlen(b->out);

    snprintf(b->out + len, sizeof(b->out) - len, "%s%s", len > 0 ? " " : "", text);
}

static void drain(struct bench *b)
{
    struct td_rtp_packet p;
    struct td_jitter_hole hole;
    char text[32];
    int r;

    while ((r = td_jitter_pop(b->jitter, b->now_us, &p, &hole)) != TD_JITTER_EMPTY) {
        if (r == TD_JITTER_HOLE) {
            snprintf(text, sizeof(text), "[%u+%u]", hole.first_seq, hole.count);
        } else {
            assert_int_equal(r, TD_JITTER_PACKET);
            assert_int_equal(p.payload_len, 2);
            assert_int_equal(p.payload[0] << 8 | p.payload[1], p.seq); /* its own bytes */
            snprintf(text, sizeof(text), "%u", p.seq);
        }
        say(b, text);
    }
}

static int push(struct bench *b, uint16_t seq)
{
    uint8_t payload[2] = {(uint8_t)(seq >> 8), (uint8_t)seq}, bytes[64];
    struct td_rtp_packet p = {.seq = seq,
                              .timestamp = seq * 100u + b->timestamp_bias,
                              .ssrc = 1,
                              .payload = payload,
                              .payload_len = 2};
    int len = td_rtp_write(&p, bytes, sizeof(bytes));

    assert_true(len > 0);
    p.arrival_us = b->now_us;
    assert_int_equal(td_rtp_parse(bytes, (size_t)len, &p), 0);
    return td_jitter_push(b->jitter, &p, bytes, (size_t)len);
}

static void push_say(struct bench *b, uint16_t seq)
{
    char text[16];

    switch (push(b, seq)) {
    case TD_JITTER_NEXT:
        snprintf(text, sizeof(text), "%u", seq);
        say(b, text);
        break;
    case TD_JITTER_HELD:
        say(b, "h");
        break;
    default:
        say(b, "!");
    }
    drain(b);
}

/* Steps: a number is pushed (and drained), -n waits n ms, GIVE + n gives up to n, BIAS + n moves
 * the timestamps by n million ticks. */
#define GIVE 100000
#define BIAS 200000
#define END INT32_MAX

struct row {
    const char *name;
    int32_t steps[24];
    const char *expected;
    struct td_jitter_stats stats;
};

static const struct row rows[] = {
    {"in order", {1, 2, 3, END}, "1 2 3", {.received = 3}},
    {"wrap", {65534, 65535, 0, 1, END}, "65534 65535 0 1", {.received = 4}},
    {"swapped", {1, 3, 2, 4, END}, "1 h 2 3 4", {.received = 4, .reordered = 1}},
    {"swapped over the wrap",
     {65535, 1, 0, 2, END},
     "65535 h 0 1 2",
     {.received = 4, .reordered = 1}},
    {"three held, filled from behind",
     {1, 5, 4, 3, 2, END},
     "1 h h h 2 3 4 5",
     {.received = 5, .reordered = 3}},
    {"duplicates",
     {1, 1, 3, 3, 2, 2, 3, END},
     "1 ! h ! 2 3 ! !",
     {.received = 7, .duplicates = 4, .reordered = 1}},
    {"hole by time", {1, 4, -99, 5, -1, 6, END}, "1 h h h [2+2] 4 5 6", {.received = 4, .lost = 2}},
    {"holes wait each from their own notice",
     {1, 3, -60, 5, -40, 6, -60, 7, END},
     "1 h h h [2+1] 3 h [4+1] 5 6 7",
     {.received = 5, .lost = 2}},
    {"a hole filled in part keeps its age",
     {1, 5, -90, 3, -10, 6, END},
     "1 h h h [2+1] 3 [4+1] 5 6",
     {.received = 4, .lost = 2, .reordered = 1}},
    {"late, then twice",
     {1, 3, -100, 4, 2, 2, END},
     "1 h h [2+1] 3 4 ! !",
     {.received = 5, .lost = 1, .late = 1, .duplicates = 1}},
    {"given up", {1, 4, GIVE + 3, 5, END}, "1 h [2+2] 4 5", {.received = 3, .lost = 2}},
    {"given up in part",
     {1, 6, GIVE + 3, 4, 5, END},
     "1 h [2+2] 4 5 6",
     {.received = 4, .lost = 2, .reordered = 2}},
    {"give up what is not there yet",
     {1, GIVE + 2, 4, GIVE + 90, 5, END},
     "1 h [2+2] 4 5",
     {.received = 3, .lost = 2}},
    {"a jump of 2999 is a hole",
     {1, 3000, -100, 3001, END},
     "1 h [2+2550] h [2552+448] 3000 3001",
     {0}},
    {"one stray packet is ignored", {1, 30000, 2, 3, END}, "1 h 2 3", {.received = 4, .late = 1}},
    {"a new start ahead",
     {1, 30000, 30001, 30002, END},
     "1 h h [2+0] 30000 30001 30002",
     {.received = 4, .resets = 1}},
    {"a new start behind",
     {50000, 10, 11, 12, END},
     "50000 h h [50001+0] 10 11 12",
     {.received = 4, .resets = 1}},
    {"what was held comes before the new start",
     {1, 3, 4, 30000, 30001, END},
     "1 h h h h [2+1] 3 4 [5+0] 30000 30001",
     {.received = 5, .lost = 1, .resets = 1}},
    {"an old packet after a new start",
     {1, 30000, 30001, 2, 30002, END},
     "1 h h [2+0] 30000 30001 h 30002",
     {.received = 5, .late = 1, .resets = 1}},
    {"a new start among the numbers just gone, told by its timestamps",
     {1000, 1001, 1002, BIAS + 100, 500, 501, 502, END},
     "1000 1001 1002 h h [1003+0] 500 501 502",
     {.received = 6, .resets = 1}},
};

static void run_step(struct bench *b, int32_t step)
{
    if (step < 0) {
        b->now_us += -step * MS;
    } else if (step >= BIAS) {
        b->timestamp_bias += (uint32_t)(step - BIAS) * 1000000u;
    } else if (step >= GIVE) {
        td_jitter_give_up(b->jitter, (uint16_t)(step - GIVE));
        drain(b);
    } else {
        push_say(b, (uint16_t)step);
    }
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct td_jitter_stats *stats;
        struct bench b;

        bench_start(&b, 64, 64);
        for (size_t k = 0; rows[i].steps[k] != END; k++)
            run_step(&b, rows[i].steps[k]);
        if (strcmp(b.out, rows[i].expected) != 0)
            fail_msg("%s: \"%s\" instead of \"%s\"", rows[i].name, b.out, rows[i].expected);
        stats = td_jitter_stats(b.jitter);
        if (rows[i].stats.received > 0 && memcmp(stats, &rows[i].stats, sizeof(*stats)) != 0)
            fail_msg("%s: received %d duplicates %d late %d reordered %d lost %d dropped %d "
                     "resets %d",
                     rows[i].name, (int)stats->received, (int)stats->duplicates, (int)stats->late,
                     (int)stats->reordered, (int)stats->lost, (int)stats->dropped,
                     (int)stats->resets);
        bench_end(&b);
    }
}

static void test_in_order_copies_nothing(void **state)
{
    struct bench b;

    (void)state;
    bench_start(&b, 4, 4);
    for (uint32_t i = 0; i < 200000; i++) {
        assert_int_equal(push(&b, (uint16_t)i), TD_JITTER_NEXT);
        assert_int_equal(b.pool.used_count, 0);
    }
    bench_end(&b);
}

static void test_slots(void **state)
{
    static const struct {
        unsigned pool_slots, slot_max;
    } sizes[] = {{4, 64}, {64, 4}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench b;

        bench_start(&b, sizes[i].pool_slots, sizes[i].slot_max);
        push_say(&b, 1);
        for (uint16_t seq = 3; seq < 9; seq++)
            push_say(&b, seq);
        assert_string_equal(b.out, "1 h h h h [2+1] 3 4 5 6 7 8");
        assert_int_equal(td_jitter_stats(b.jitter)->dropped, 0);
        bench_end(&b);

        /* A caller that never drains loses packets, not memory. */
        bench_start(&b, sizes[i].pool_slots, sizes[i].slot_max);
        push_say(&b, 1);
        for (uint16_t seq = 3; seq < 9; seq++)
            (void)push(&b, seq);
        assert_int_equal(td_jitter_stats(b.jitter)->dropped, 2);
        (void)push(&b, 40000); /* a new start makes room for itself */
        (void)push(&b, 40001);
        drain(&b);
        (void)push(&b, 40002);
        bench_end(&b);
    }
}

/* A server keeps 500 packets: what is further behind is not waited for. */
static void test_horizon(void **state)
{
    struct bench b;

    (void)state;
    bench_start(&b, 512, 512);
    push_say(&b, 1);
    push_say(&b, 700);
    assert_string_equal(b.out, "1 h [2+250]");
    assert_int_equal(td_jitter_missing(b.jitter, (uint16_t[4]){0}, 4), 4);
    bench_end(&b);
}

static void test_missing(void **state)
{
    uint16_t seqs[8];
    struct bench b;

    (void)state;
    bench_start(&b, 64, 64);
    push_say(&b, 65533);
    assert_int_equal(td_jitter_missing(b.jitter, seqs, 8), 0);
    push_say(&b, 0);
    push_say(&b, 3);
    assert_int_equal(td_jitter_missing(b.jitter, seqs, 8), 4);
    assert_int_equal(seqs[0], 65534);
    assert_int_equal(seqs[1], 65535);
    assert_int_equal(seqs[2], 1);
    assert_int_equal(seqs[3], 2);
    assert_int_equal(td_jitter_missing(b.jitter, seqs, 3), 3);
    td_jitter_give_up(b.jitter, 65534);
    assert_int_equal(td_jitter_missing(b.jitter, seqs, 8), 3);
    assert_int_equal(seqs[0], 65535);
    bench_end(&b);
}

/* Late and twice are told apart by a history that has to forget. */
static void test_history(void **state)
{
    struct bench b;

    (void)state;
    bench_start(&b, 64, 64);
    for (uint16_t seq = 0; seq <= 1100; seq++)
        assert_int_equal(push(&b, seq), TD_JITTER_NEXT);
    push_say(&b, 1103);
    b.now_us += WAIT_US;
    drain(&b);
    push_say(&b, 1101); /* 1024 after one that came */
    assert_int_equal(td_jitter_stats(b.jitter)->late, 1);
    push_say(&b, 1101);
    push_say(&b, 1100);
    assert_int_equal(td_jitter_stats(b.jitter)->duplicates, 2);
    push_say(&b, 3000); /* a hole that is longer than the history */
    b.now_us += WAIT_US;
    drain(&b);
    push_say(&b, 2124); /* 1024 after one that came before the hole */
    assert_int_equal(td_jitter_stats(b.jitter)->late, 2);
    assert_int_equal(td_jitter_stats(b.jitter)->duplicates, 2);
    bench_end(&b);
}

static void test_free_with_everything_out(void **state)
{
    struct td_rtp_packet p;
    struct td_jitter_hole hole;
    struct bench b;

    (void)state;
    bench_start(&b, 64, 64);
    push_say(&b, 1);
    for (uint16_t seq = 3; seq < 6; seq++)
        (void)push(&b, seq);
    (void)push(&b, 30000); /* a stray one */
    b.now_us += WAIT_US;
    assert_int_equal(td_jitter_pop(b.jitter, b.now_us, &p, &hole), TD_JITTER_HOLE);
    assert_int_equal(td_jitter_pop(b.jitter, b.now_us, &p, &hole), TD_JITTER_PACKET);
    bench_end(&b);
}

/* ---- a network with loss, reordering, duplicates and retransmission ---- */

struct walk {
    uint32_t next; /* the number that must come out next */
    uint64_t packets;
    uint64_t lost;
};

static void walk_packet(struct walk *w, uint16_t seq)
{
    assert_int_equal(seq, (uint16_t)w->next);
    w->next++;
    w->packets++;
}

static void walk_drain(struct walk *w, struct bench *b)
{
    struct td_rtp_packet p;
    struct td_jitter_hole hole;
    int r;

    while ((r = td_jitter_pop(b->jitter, b->now_us, &p, &hole)) != TD_JITTER_EMPTY) {
        if (r == TD_JITTER_PACKET) {
            walk_packet(w, p.seq);
            continue;
        }
        assert_int_equal(hole.first_seq, (uint16_t)w->next);
        assert_true(hole.count > 0);
        w->next += hole.count;
        w->lost += hole.count;
    }
}

static void walk_push(struct walk *w, struct bench *b, uint32_t seq)
{
    if (push(b, (uint16_t)seq) == TD_JITTER_NEXT)
        walk_packet(w, (uint16_t)seq);
    walk_drain(w, b);
}

static void test_random_network(void **state)
{
    uint64_t seed = seed_start("jitter");

    (void)state;
    for (int round = 0; round < 60; round++) {
        uint32_t first = (uint32_t)(seed_next(&seed) % 65536), late[64], late_count = 0;
        unsigned loss = (unsigned)(seed_next(&seed) % 30);
        struct walk w = {.next = first};
        struct bench b;

        bench_start(&b, 128, 100);
        for (uint32_t i = 0; i < 5000; i++) {
            uint32_t seq = first + i;

            b.now_us += 1 * MS;
            if (i > 0 && seed_next(&seed) % 100 < loss) {
                if (late_count < 64)
                    late[late_count++] = seq; /* sent again later, or never */
                continue;
            }
            walk_push(&w, &b, seq);
            if (seed_next(&seed) % 50 == 0)
                walk_push(&w, &b, seq); /* twice */
            if (late_count > 0 && seed_next(&seed) % 3 == 0) {
                uint32_t pick = (uint32_t)(seed_next(&seed) % late_count);

                walk_push(&w, &b, late[pick]);
                late[pick] = late[--late_count];
            }
        }
        b.now_us += WAIT_US;
        walk_drain(&w, &b);
        /* Each number came out once, as a packet or in a hole. */
        assert_int_equal(w.packets + w.lost, w.next - first);
        assert_int_equal(w.lost, td_jitter_stats(b.jitter)->lost);
        assert_int_equal(td_jitter_stats(b.jitter)->resets, 0);
        assert_true(w.next - first >= 4900);
        bench_end(&b);
    }
}

/* Numbers and timestamps of no sense at all: nothing breaks and nothing is kept. */
static void test_random_numbers(void **state)
{
    uint64_t seed = seed_start("jitter numbers");
    struct bench b;

    (void)state;
    bench_start(&b, 32, 16);
    for (int i = 0; i < 200000; i++) {
        struct td_rtp_packet p;
        struct td_jitter_hole hole;
        uint64_t chance = seed_next(&seed);

        b.now_us += (int64_t)(chance % 3000);
        b.timestamp_bias = chance % 97 == 0 ? (uint32_t)seed_next(&seed) : b.timestamp_bias;
        (void)push(&b, (uint16_t)(chance % 7 == 0 ? chance >> 20 : (uint64_t)i + (chance >> 60)));
        if (chance % 11 == 0)
            td_jitter_give_up(b.jitter, (uint16_t)(chance >> 30));
        for (int n = 0; n < 100 && chance % 5 != 0; n++) {
            if (td_jitter_pop(b.jitter, b.now_us, &p, &hole) == TD_JITTER_EMPTY)
                break;
        }
    }
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_in_order_copies_nothing),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_horizon),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_free_with_everything_out),
        cmocka_unit_test(test_random_network),
        cmocka_unit_test(test_random_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
