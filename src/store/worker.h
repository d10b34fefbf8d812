/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: one thread of the store: runs the messages of its mailbox in order, and a tick.
 * Owner: the store; embedded in the writer, the sync thread, the finisher and the scribe.
 * Thread: start/stop on the control thread, post from any.
 * Bound: the capacity its owner names, with the proof that it suffices.
 * Does not: know files.
 */
#ifndef TD_STORE_WORKER_H
#define TD_STORE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mailbox.h"

#define TD_WORKER_NO_TICK (-1)

/* Runs after each wake-up. Returns how long the thread may sleep, in us; TD_WORKER_NO_TICK: until
 * the next message. */
typedef int64_t td_worker_tick_fn(void *ctx, int64_t now_us);

struct td_worker {
    struct td_mailbox *mailbox; /* NULL: not started */
    pthread_t thread;
    td_worker_tick_fn *tick; /* may be NULL */
    void *ctx;
    const char *name; /* a literal of at most 15 characters */
    atomic_bool stop;
};

TD_MUST int td_worker_start(struct td_worker *w, const char *name, size_t capacity,
                            td_worker_tick_fn *tick, void *ctx);
TD_MUST int td_worker_post(struct td_worker *w, td_message_fn *fn, void *target,
                           const void *payload, size_t len);
/* Runs what is posted, and what that posts here, then joins. Nobody else may post any more. Does
 * nothing when the worker was never started. */
void td_worker_stop(struct td_worker *w);

#endif
