/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    struct td_mailbox *mailbox;
    size_t count;
    int values[64];
};

static void note(void *target, const void *payload)
{
    struct seen *seen = target;
    memcpy(&seen->values[seen->count++], payload, sizeof(int));
}

static bool readable(const struct td_mailbox *m, int timeout_ms)
{
    struct pollfd pfd = {.fd = td_mailbox_fd(m), .events = POLLIN};
    return poll(&pfd, 1, timeout_ms) == 1;
}

static void test_order_and_descriptor(void **state)
{
    (void)state;
    struct seen seen = {.count = 0};
    assert_int_equal(td_mailbox_new(4, &seen.mailbox), 0);
    struct td_mailbox *m = seen.mailbox;
    assert_false(readable(m, 0));
    assert_int_equal(td_mailbox_drain(m), 0);
    int next = 0;
    for (int round = 0; round < 9; round++) { /* the ring wraps at every place */
        int n = round % 4 + 1;
        for (int i = 0; i < n; i++, next++) {
            assert_int_equal(td_mailbox_post(m, note, &seen, &next, sizeof(next)), 0);
            assert_true(readable(m, 0));
        }
        assert_int_equal(td_mailbox_drain(m), n);
        assert_false(readable(m, 0));
    }
    assert_int_equal(seen.count, next);
    for (int i = 0; i < next; i++) {
        assert_int_equal(seen.values[i], i);
    }
    assert_null(td_mailbox_free(m));
    assert_null(td_mailbox_free(NULL));
}

static void test_refusal(void **state)
{
    (void)state;
    struct seen seen = {.count = 0};
    struct td_mailbox *m;
    assert_int_equal(td_mailbox_new(3, &m), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(td_mailbox_post(m, note, &seen, &i, sizeof(i)), 0);
    }
    int lost = 99;
    assert_int_equal(td_mailbox_post(m, note, &seen, &lost, sizeof(lost)), -ENOBUFS);
    assert_int_equal(td_mailbox_post(m, note, &seen, &lost, sizeof(lost)), -ENOBUFS);
    assert_true(td_mailbox_refused(m) == 2);
    assert_int_equal(td_mailbox_drain(m), 3);
    assert_int_equal(seen.count, 3);
    int again = 3;
    assert_int_equal(td_mailbox_post(m, note, &seen, &again, sizeof(again)), 0);
    assert_int_equal(td_mailbox_drain(m), 1);
    assert_int_equal(seen.values[3], 3);
    m = td_mailbox_free(m);
}

static void repost(void *target, const void *payload)
{
    struct seen *seen = target;
    note(seen, payload);
    assert_int_equal(td_mailbox_post(seen->mailbox, repost, seen, payload, sizeof(int)), 0);
}

/* What a message posts runs in the next drain; even in a full box there is room for it. */
static void test_drain_takes_what_was_there(void **state)
{
    (void)state;
    struct seen seen = {.count = 0};
    assert_int_equal(td_mailbox_new(2, &seen.mailbox), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(td_mailbox_post(seen.mailbox, repost, &seen, &i, sizeof(i)), 0);
    }
    for (size_t round = 1; round <= 3; round++) {
        assert_int_equal(td_mailbox_drain(seen.mailbox), 2);
        assert_int_equal(seen.count, 2 * round);
        assert_true(readable(seen.mailbox, 0));
    }
    seen.mailbox = td_mailbox_free(seen.mailbox); /* two are left: they are dropped */
}

static void compare_payload(void *target, const void *payload)
{
    assert_int_equal((uintptr_t)payload % _Alignof(max_align_t), 0);
    assert_memory_equal(target, payload, TD_MESSAGE_BYTES);
}

static void test_largest_payload(void **state)
{
    (void)state;
    uint8_t bytes[TD_MESSAGE_BYTES];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
    struct td_mailbox *m;
    assert_int_equal(td_mailbox_new(1, &m), 0);
    uint8_t copy[TD_MESSAGE_BYTES];
    memcpy(copy, bytes, sizeof(copy));
    assert_int_equal(td_mailbox_post(m, compare_payload, bytes, copy, sizeof(copy)), 0);
    memset(copy, 0, sizeof(copy));
    assert_int_equal(td_mailbox_drain(m), 1);
    m = td_mailbox_free(m);
    assert_int_equal(td_mailbox_new(SIZE_MAX / 2, &m), -TD_E_LIMIT);
}

#define POSTERS 4
#define POSTS 5000

struct flood {
    struct td_mailbox *mailbox;
    atomic_uint_fast64_t refused;
    uint32_t next[POSTERS];
    uint32_t total;
};

struct poster {
    struct flood *flood;
    uint32_t index;
};

struct flood_payload {
    uint32_t index;
    uint32_t number;
};

static void flood_message(void *target, const void *payload)
{
    struct flood *flood = target;
    struct flood_payload p;
    memcpy(&p, payload, sizeof(p));
    assert_int_equal(p.number, flood->next[p.index]);
    flood->next[p.index]++;
    flood->total++;
}

static void *flood_run(void *arg)
{
    const struct poster *poster = arg;
    for (uint32_t i = 0; i < POSTS; i++) {
        const struct flood_payload p = {.index = poster->index, .number = i};
        while (td_mailbox_post(poster->flood->mailbox, flood_message, poster->flood, &p,
                               sizeof(p)) < 0) {
            atomic_fetch_add(&poster->flood->refused, 1);
            (void)sched_yield();
        }
    }
    return NULL;
}

/* Every message of every poster arrives once and in its order, and no wake-up is lost. */
static void test_many_posters(void **state)
{
    (void)state;
    struct flood flood = {.total = 0};
    assert_int_equal(td_mailbox_new(16, &flood.mailbox), 0);
    pthread_t threads[POSTERS];
    struct poster posters[POSTERS];
    for (uint32_t i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.flood = &flood, .index = i};
        assert_int_equal(pthread_create(&threads[i], NULL, flood_run, &posters[i]), 0);
    }
    while (flood.total < POSTERS * POSTS) {
        assert_true(readable(flood.mailbox, 20000));
        assert_true(td_mailbox_drain(flood.mailbox) <= 16);
    }
    for (uint32_t i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(flood.next[i], POSTS);
    }
    assert_false(readable(flood.mailbox, 0));
    assert_true(td_mailbox_refused(flood.mailbox) == atomic_load(&flood.refused));
    flood.mailbox = td_mailbox_free(flood.mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_descriptor),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_drain_takes_what_was_there),
        cmocka_unit_test(test_largest_payload),
        cmocka_unit_test(test_many_posters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
