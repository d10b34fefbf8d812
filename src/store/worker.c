/* SPDX-License-Identifier: Apache-2.0 */
#include "store/worker.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/clock.h"

static void worker_wait(struct td_worker *w, int64_t wait_us)
{
    struct pollfd pfd = {.fd = td_mailbox_fd(w->mailbox), .events = POLLIN};
    struct timespec timeout = {
        .tv_sec = (time_t)(wait_us / TD_US_PER_S),
        .tv_nsec = (long)(wait_us % TD_US_PER_S * 1000),
    };
    int r = ppoll(&pfd, 1, wait_us < 0 ? NULL : &timeout, NULL);
    /* ENOMEM passes; waking up early is harmless. */
    assert(r >= 0 || errno == EINTR || errno == ENOMEM);
}

static void *worker_run(void *arg)
{
    struct td_worker *w = arg;
    (void)pthread_setname_np(pthread_self(), w->name); /* a name is only for the reader of top */
    for (;;) {
        /* Read before the mailbox: what was posted before the stop is still run. */
        bool stop = atomic_load(&w->stop);
        size_t ran = td_mailbox_drain(w->mailbox);
        if (stop && ran == 0) {
            return NULL;
        }
        int64_t wait_us = TD_WORKER_NO_TICK;
        if (w->tick != NULL) {
            wait_us = w->tick(w->ctx, td_clock_now_us());
        }
        /* Asked anew: the drain may have taken the wake-up of the stop with that of its messages.
         */
        if (!atomic_load(&w->stop)) {
            worker_wait(w, wait_us);
        }
    }
}

/* The thread starts with all signals blocked: they belong to the control loop. */
static int worker_thread(struct td_worker *w)
{
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    int r = pthread_sigmask(SIG_SETMASK, &all, &old);
    if (r != 0) {
        return -r;
    }
    int created = pthread_create(&w->thread, NULL, worker_run, w);
    r = pthread_sigmask(SIG_SETMASK, &old, NULL);
    assert(r == 0);
    return -created;
}

int td_worker_start(struct td_worker *w, const char *name, size_t capacity, td_worker_tick_fn *tick,
                    void *ctx)
{
    assert(strlen(name) < 16);
    *w = (struct td_worker){.tick = tick, .ctx = ctx, .name = name};
    int r = td_mailbox_new(capacity, &w->mailbox);
    if (r < 0) {
        return r;
    }
    r = worker_thread(w);
    if (r < 0) {
        w->mailbox = td_mailbox_free(w->mailbox);
    }
    return r;
}

int td_worker_post(struct td_worker *w, td_message_fn *fn, void *target, const void *payload,
                   size_t len)
{
    return td_mailbox_post(w->mailbox, fn, target, payload, len);
}

void td_worker_stop(struct td_worker *w)
{
    if (w->mailbox == NULL) {
        return;
    }
    atomic_store(&w->stop, true);
    /* Wakes the thread without a message, because the mailbox may be full. */
    int r = eventfd_write(td_mailbox_fd(w->mailbox), 1);
    assert(r == 0);
    r = pthread_join(w->thread, NULL);
    assert(r == 0);
    w->mailbox = td_mailbox_free(w->mailbox);
}
