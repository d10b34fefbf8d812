/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox: a bounded queue of small messages from many threads to one, with a wake-up descriptor.
 * Owner: the receiving thread makes and frees it.
 * Thread: post from any; drain from the owner only.
 * Bound: `capacity` messages of TD_MESSAGE_BYTES of payload; when full, post answers -ENOBUFS and
 *        counts it (refuse policy: the poster decides).
 * Does not: order between different posters; each poster's own messages stay in order.
 */
#ifndef TD_BASE_MAILBOX_H
#define TD_BASE_MAILBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_MESSAGE_BYTES 112

/* Called on the receiving thread; `payload` is valid during the call. */
typedef void td_message_fn(void *target, const void *payload);

struct td_mailbox;

TD_MUST int td_mailbox_new(size_t capacity, struct td_mailbox **ret_mailbox);
struct td_mailbox *td_mailbox_free(struct td_mailbox *m); /* takes NULL, returns NULL */
/* Readable while messages wait: for poll(2), epoll(7) or a GSource. */
int td_mailbox_fd(const struct td_mailbox *m);
/* Copies `len` (<= TD_MESSAGE_BYTES, asserted) payload bytes. 0 or -ENOBUFS. */
TD_MUST int td_mailbox_post(struct td_mailbox *m, td_message_fn *fn, void *target,
                            const void *payload, size_t len);
/* Runs what was posted before the call; returns how many. */
size_t td_mailbox_drain(struct td_mailbox *m);
/* Refused posts so far. */
uint64_t td_mailbox_refused(const struct td_mailbox *m);

#endif
