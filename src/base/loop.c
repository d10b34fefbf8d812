/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"

#define LOOP_NAME_MAX 16 /* pthread_setname_np(3), NUL included */
#define LOOP_WAIT_US_MAX TD_US_PER_S
/* Messages of a dying loop may post to it again; a chain longer than this is an endless one. */
#define LOOP_LAST_ROUNDS 64

struct loop_ticker {
    td_tick_fn *fn; /* NULL: removed during the round of ticks that runs now */
    void *ctx;
};

struct td_loop {
    /* any thread */
    struct td_mailbox *mailbox;
    atomic_bool stop;
    atomic_uintptr_t self; /* pthread_self() of the loop, 0 before it runs */
    /* owner */
    pthread_t thread;
    char name[LOOP_NAME_MAX];
    /* the loop's thread */
    bool ticking;
    bool holes; /* some ticker was removed while ticking */
    size_t ticker_count;
    struct loop_ticker tickers[TD_LOOP_TICKERS_MAX];
};

/* Closes the holes that removals left; the order of the others stays. */
static void loop_compact(struct td_loop *loop)
{
    size_t kept = 0;
    for (size_t i = 0; i < loop->ticker_count; i++) {
        if (loop->tickers[i].fn != NULL) {
            loop->tickers[kept++] = loop->tickers[i];
        }
    }
    loop->ticker_count = kept;
    loop->holes = false;
}

/* One round. A ticker added meanwhile runs in this round too. Returns the wait they allow. */
static int64_t loop_tick(struct td_loop *loop, int64_t now_us)
{
    int64_t wait_us = LOOP_WAIT_US_MAX;
    loop->ticking = true;
    for (size_t i = 0; i < loop->ticker_count; i++) {
        struct loop_ticker ticker = loop->tickers[i];
        if (ticker.fn == NULL) {
            continue;
        }
        int64_t us = ticker.fn(ticker.ctx, now_us);
        wait_us = us < wait_us ? us : wait_us;
    }
    loop->ticking = false;
    if (loop->holes) {
        loop_compact(loop);
    }
    return wait_us > TD_TICK_CONNECTING_US ? wait_us : TD_TICK_CONNECTING_US;
}

/* Sleeps until a message waits or the deadline passed. The time that the ticks took is part of the
 * interval, so that a busy loop keeps its rhythm. */
static void loop_wait(struct td_loop *loop, int64_t deadline_us)
{
    struct pollfd pfd = {.fd = td_mailbox_fd(loop->mailbox), .events = POLLIN};
    struct timespec timeout = {.tv_sec = 0};
    bool forever = loop->ticker_count == 0;
    if (!forever) {
        int64_t left_us = deadline_us - td_clock_now_us();
        left_us = left_us > 0 ? left_us : 0;
        timeout.tv_sec = (time_t)(left_us / TD_US_PER_S);
        timeout.tv_nsec = (long)(left_us % TD_US_PER_S * 1000);
    }
    int r = ppoll(&pfd, 1, forever ? NULL : &timeout, NULL);
    /* ENOMEM passes; waiting shorter than asked is harmless. */
    assert(r >= 0 || errno == EINTR || errno == ENOMEM);
}

static void *loop_run(void *arg)
{
    struct td_loop *loop = arg;
    atomic_store(&loop->self, (uintptr_t)pthread_self());
    (void)pthread_setname_np(pthread_self(), loop->name); /* a name is only for the reader of top */
    while (!atomic_load(&loop->stop)) {
        (void)td_mailbox_drain(loop->mailbox); /* how many it were does not matter here */
        int64_t now_us = td_clock_now_us();
        int64_t wait_us = loop_tick(loop, now_us);
        if (!atomic_load(&loop->stop)) {
            loop_wait(loop, now_us + wait_us);
        }
    }
    for (int i = 0; i < LOOP_LAST_ROUNDS && td_mailbox_drain(loop->mailbox) > 0; i++) {
    }
    return NULL;
}

/* The thread starts with all signals blocked: they belong to the control loop. */
static int loop_start(struct td_loop *loop)
{
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    int r = pthread_sigmask(SIG_SETMASK, &all, &old);
    if (r != 0) {
        return -r;
    }
    int created = pthread_create(&loop->thread, NULL, loop_run, loop);
    r = pthread_sigmask(SIG_SETMASK, &old, NULL);
    assert(r == 0);
    return -created;
}

int td_loop_new(const char *name, struct td_loop **ret_loop)
{
    struct td_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return -ENOMEM;
    }
    (void)snprintf(loop->name, sizeof(loop->name), "%s", name); /* long names are cut */
    int r = td_mailbox_new(TD_LOOP_MESSAGES_MAX, &loop->mailbox);
    if (r == 0) {
        r = loop_start(loop);
    }
    if (r < 0) {
        loop->mailbox = td_mailbox_free(loop->mailbox);
        free(loop);
        return r;
    }
    *ret_loop = loop;
    return 0;
}

struct td_loop *td_loop_free(struct td_loop *loop)
{
    if (loop == NULL) {
        return NULL;
    }
    atomic_store(&loop->stop, true);
    /* Wakes the thread without a message, because the mailbox may be full. The count that stays
     * behind in the descriptor does no harm: the loop looks at `stop` before it waits again. */
    int r = eventfd_write(td_mailbox_fd(loop->mailbox), 1);
    assert(r == 0);
    r = pthread_join(loop->thread, NULL);
    assert(r == 0);
    loop->mailbox = td_mailbox_free(loop->mailbox);
    free(loop);
    return NULL;
}

int td_loop_post(struct td_loop *loop, td_message_fn *fn, void *target, const void *payload,
                 size_t len)
{
    return td_mailbox_post(loop->mailbox, fn, target, payload, len);
}

int td_loop_add_ticker(struct td_loop *loop, td_tick_fn *fn, void *ctx)
{
    td_loop_assert(loop);
    assert(fn != NULL);
    if (loop->ticker_count == TD_LOOP_TICKERS_MAX) {
        /* Holes are not reused during a round: a ticker could then run twice or not at all. */
        return -TD_E_LIMIT;
    }
    loop->tickers[loop->ticker_count++] = (struct loop_ticker){.fn = fn, .ctx = ctx};
    return 0;
}

void td_loop_remove_ticker(struct td_loop *loop, td_tick_fn *fn, void *ctx)
{
    td_loop_assert(loop);
    for (size_t i = 0; i < loop->ticker_count; i++) {
        if (loop->tickers[i].fn == fn && loop->tickers[i].ctx == ctx) {
            loop->tickers[i].fn = NULL;
            loop->holes = true;
            break;
        }
    }
    if (loop->holes && !loop->ticking) {
        loop_compact(loop);
    }
}

void td_loop_assert(const struct td_loop *loop)
{
    assert(atomic_load(&loop->self) == (uintptr_t)pthread_self());
}
