/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: a thread that runs messages and ticks: the media loop.
 * Owner: the control thread makes and frees it; everything registered on it lives on its thread.
 * Thread: post from any; td_loop_add/remove_ticker and td_loop_assert on the loop's thread only.
 * Bound: TD_LOOP_TICKERS_MAX tickers; a mailbox of TD_LOOP_MESSAGES_MAX messages.
 * Does not: watch descriptors (transports drain theirs from their ticker: one wake-up for all;
 *           measured 3 to 7 times cheaper than a wake-up per packet).
 */
#ifndef TD_BASE_LOOP_H
#define TD_BASE_LOOP_H

#include <stdint.h>

#include "base/mailbox.h"

#define TD_LOOP_TICKERS_MAX 1024
#define TD_LOOP_MESSAGES_MAX 4096

struct td_loop;

/* Runs every tick. Returns the longest time in us that this ticker can wait for its next tick. */
typedef int64_t td_tick_fn(void *ctx, int64_t now_us);

TD_MUST int td_loop_new(const char *name, struct td_loop **ret_loop);
/* Runs all waiting messages, stops the thread, joins it. Takes NULL, returns NULL. */
struct td_loop *td_loop_free(struct td_loop *loop);
/* Runs fn(target, payload) on the loop's thread; see td_mailbox_post. */
TD_MUST int td_loop_post(struct td_loop *loop, td_message_fn *fn, void *target, const void *payload,
                         size_t len);
/* 0 or -TD_E_LIMIT. While no ticker is registered the thread sleeps in poll(2). */
TD_MUST int td_loop_add_ticker(struct td_loop *loop, td_tick_fn *fn, void *ctx);
void td_loop_remove_ticker(struct td_loop *loop, td_tick_fn *fn, void *ctx);
/* Asserts that the caller runs on the loop's thread. */
void td_loop_assert(const struct td_loop *loop);

#endif
