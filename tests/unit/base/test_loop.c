/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* What the tests of one loop share with it. Assertions stand on the test's thread only: cmocka
 * leaves a failing test by a jump. */
struct world {
    struct td_loop *loop;
    sem_t done;
    sem_t gate;
    atomic_int count;
    atomic_int errors;
    int order[256];
    /* the loop's thread */
    int ticks[8];
    int result;
};

static void world_open(struct world *w)
{
    memset(w, 0, sizeof(*w));
    assert_int_equal(sem_init(&w->done, 0, 0), 0);
    assert_int_equal(sem_init(&w->gate, 0, 0), 0);
    assert_int_equal(td_loop_new("td-test", &w->loop), 0);
}

static void world_close(struct world *w)
{
    w->loop = td_loop_free(w->loop);
    assert_null(w->loop);
    assert_int_equal(atomic_load(&w->errors), 0);
    assert_int_equal(sem_destroy(&w->done), 0);
    assert_int_equal(sem_destroy(&w->gate), 0);
}

static int wait_for(sem_t *sem)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20; /* only so that a hang becomes a failure */
    int r;
    do {
        r = sem_timedwait(sem, &until);
    } while (r < 0 && errno == EINTR);
    return r;
}

static void post(struct world *w, td_message_fn *fn)
{
    assert_int_equal(td_loop_post(w->loop, fn, w, NULL, 0), 0);
}

/* Runs fn on the loop and waits for it. */
static void call(struct world *w, td_message_fn *fn)
{
    post(w, fn);
    assert_int_equal(wait_for(&w->done), 0);
}

static void check(struct world *w, int good)
{
    if (!good) {
        atomic_fetch_add(&w->errors, 1);
    }
}

static void look_around(void *target, const void *payload)
{
    (void)payload;
    struct world *w = target;
    td_loop_assert(w->loop);
    char name[16] = "";
    check(w, pthread_getname_np(pthread_self(), name, sizeof(name)) == 0);
    check(w, strcmp(name, "td-test") == 0);
    sigset_t blocked;
    check(w, pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0);
    check(w, sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGINT) == 1);
    sem_post(&w->done);
}

static void note(void *target, const void *payload)
{
    struct world *w = target;
    int at = atomic_fetch_add(&w->count, 1);
    memcpy(&w->order[at], payload, sizeof(int));
}

static void done(void *target, const void *payload)
{
    (void)payload;
    struct world *w = target;
    sem_post(&w->done);
}

static void test_messages(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    call(&w, look_around);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(td_loop_post(w.loop, note, &w, &i, sizeof(i)), 0);
    }
    call(&w, done);
    assert_int_equal(atomic_load(&w.count), 200);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(w.order[i], i);
    }
    sigset_t mine;
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &mine), 0);
    assert_int_equal(sigismember(&mine, SIGTERM), 0);
    world_close(&w);
    assert_null(td_loop_free(NULL));
}

static void long_chain(void *target, const void *payload)
{
    struct world *w = target;
    int left;
    memcpy(&left, payload, sizeof(left));
    atomic_fetch_add(&w->count, 1);
    if (left > 0) {
        left--;
        check(w, td_loop_post(w->loop, long_chain, w, &left, sizeof(left)) == 0);
    } else {
        sem_post(&w->done);
    }
}

static void test_posting_from_the_loop(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    int left = 1000;
    assert_int_equal(td_loop_post(w.loop, long_chain, &w, &left, sizeof(left)), 0);
    assert_int_equal(wait_for(&w.done), 0);
    assert_int_equal(atomic_load(&w.count), 1001);
    world_close(&w);
}

static void hold(void *target, const void *payload)
{
    (void)payload;
    struct world *w = target;
    sem_post(&w->done);
    check(w, wait_for(&w->gate) == 0);
}

static void count(void *target, const void *payload)
{
    (void)payload;
    struct world *w = target;
    if (atomic_fetch_add(&w->count, 1) == 0) {
        /* A last message may still post one. */
        check(w, td_loop_post(w->loop, count, w, NULL, 0) == 0);
    }
}

static void *open_gate(void *arg)
{
    struct world *w = arg;
    sem_post(&w->gate);
    return NULL;
}

/* A full mailbox refuses, and freeing the loop still runs all that was taken. */
static void test_free_runs_what_waits(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    call(&w, hold);
    int taken = 0;
    while (td_loop_post(w.loop, count, &w, NULL, 0) == 0) {
        taken++;
    }
    assert_int_equal(taken, TD_LOOP_MESSAGES_MAX);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, open_gate, &w), 0);
    w.loop = td_loop_free(w.loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&w.errors), 0);
    assert_int_equal(atomic_load(&w.count), taken + 1);
    world_close(&w);
}

static int64_t tick_three(void *ctx, int64_t now_us)
{
    struct world *w = ctx;
    check(w, now_us > 0);
    td_loop_assert(w->loop);
    if (++w->ticks[0] == 3) {
        td_loop_remove_ticker(w->loop, tick_three, w);
        sem_post(&w->done);
    }
    return 0; /* clamped: the loop does not spin */
}

static void add_three(void *target, const void *payload)
{
    (void)payload;
    struct world *w = target;
    check(w, td_loop_add_ticker(w->loop, tick_three, w) == 0);
}

static void test_ticker_removes_itself(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    post(&w, add_three);
    assert_int_equal(wait_for(&w.done), 0);
    call(&w, done);
    call(&w, done); /* each message would bring one more tick */
    assert_int_equal(w.ticks[0], 3);
    world_close(&w);
}

static int64_t tick_a(void *ctx, int64_t now_us);
static int64_t tick_b(void *ctx, int64_t now_us);
static int64_t tick_c(void *ctx, int64_t now_us);
static int64_t tick_d(void *ctx, int64_t now_us);

/* In its first round A removes B, which has not run yet, and itself, and adds D. */
static int64_t tick_a(void *ctx, int64_t now_us)
{
    (void)now_us;
    struct world *w = ctx;
    w->ticks[0]++;
    td_loop_remove_ticker(w->loop, tick_b, w);
    td_loop_remove_ticker(w->loop, tick_a, w);
    check(w, td_loop_add_ticker(w->loop, tick_d, w) == 0);
    return INT64_MAX;
}

static int64_t tick_b(void *ctx, int64_t now_us)
{
    (void)now_us;
    struct world *w = ctx;
    w->ticks[1]++;
    return INT64_MAX;
}

static int64_t tick_c(void *ctx, int64_t now_us)
{
    (void)now_us;
    struct world *w = ctx;
    w->ticks[2]++;
    return INT64_MAX;
}

static int64_t tick_d(void *ctx, int64_t now_us)
{
    (void)now_us;
    struct world *w = ctx;
    if (++w->ticks[3] == 2) {
        td_loop_remove_ticker(w->loop, tick_c, w); /* an earlier one, which ran already */
        td_loop_remove_ticker(w->loop, tick_d, w);
        td_loop_remove_ticker(w->loop, tick_d, w); /* unknown by now: nothing happens */
        sem_post(&w->done);
    }
    return -5;
}

static void add_abc(void *target, const void *payload)
{
    (void)payload;
    struct world *w = target;
    check(w, td_loop_add_ticker(w->loop, tick_a, w) == 0);
    check(w, td_loop_add_ticker(w->loop, tick_b, w) == 0);
    check(w, td_loop_add_ticker(w->loop, tick_c, w) == 0);
}

static void test_changes_while_ticking(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    post(&w, add_abc);
    assert_int_equal(wait_for(&w.done), 0);
    call(&w, done);
    call(&w, done);
    assert_int_equal(w.ticks[0], 1);
    assert_int_equal(w.ticks[1], 0);
    assert_int_equal(w.ticks[2], 2);
    assert_int_equal(w.ticks[3], 2);
    world_close(&w);
}

static void fill_tickers(void *target, const void *payload)
{
    (void)payload;
    struct world *w = target;
    int added = 0;
    while (td_loop_add_ticker(w->loop, tick_c, w) == 0) {
        added++;
    }
    w->result = added;
    td_loop_remove_ticker(w->loop, tick_c, w);
    check(w, td_loop_add_ticker(w->loop, tick_c, w) == 0);
    check(w, td_loop_add_ticker(w->loop, tick_c, w) == -TD_E_LIMIT);
    for (int i = 0; i < added; i++) {
        td_loop_remove_ticker(w->loop, tick_c, w);
    }
    sem_post(&w->done);
}

static int64_t tick_once(void *ctx, int64_t now_us)
{
    (void)now_us;
    struct world *w = ctx;
    td_loop_remove_ticker(w->loop, tick_once, w);
    w->ticks[4]++;
    return INT64_MAX;
}

static void fill_once(void *target, const void *payload)
{
    (void)payload;
    struct world *w = target;
    for (int i = 0; i < TD_LOOP_TICKERS_MAX; i++) {
        check(w, td_loop_add_ticker(w->loop, tick_once, w) == 0);
    }
    sem_post(&w->done);
}

/* Tickers that go during a round leave their places to others. */
static void test_ticker_places_are_reused(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    for (int round = 1; round <= 3; round++) {
        call(&w, fill_once);
        call(&w, done); /* either right behind fill_once, or after its tick */
        call(&w, done);
        assert_int_equal(w.ticks[4], round * TD_LOOP_TICKERS_MAX);
    }
    world_close(&w);
}

static void test_ticker_limit(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    call(&w, fill_tickers);
    assert_int_equal(w.result, TD_LOOP_TICKERS_MAX);
    world_close(&w);
}

static void add_c(void *target, const void *payload)
{
    (void)payload;
    struct world *w = target;
    check(w, td_loop_add_ticker(w->loop, tick_c, w) == 0);
}

/* A ticker that could wait a second does not delay a message: fifty lost wake-ups would outlast the
 * test's time limit. */
static void test_message_wakes_a_ticking_loop(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    post(&w, add_c);
    for (int i = 0; i < 50; i++) {
        call(&w, done);
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_posting_from_the_loop),
        cmocka_unit_test(test_free_runs_what_waits),
        cmocka_unit_test(test_ticker_removes_itself),
        cmocka_unit_test(test_changes_while_ticking),
        cmocka_unit_test(test_ticker_limit),
        cmocka_unit_test(test_ticker_places_are_reused),
        cmocka_unit_test(test_message_wakes_a_ticking_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
