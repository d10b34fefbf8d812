/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pending: an HTTP answer that has to wait: the request is paused, and may go away meanwhile.
 * Owner: whoever made it; ends with td_pending_done.
 * Thread: control loop.
 * Bound: one message.
 * Does not: time out; what it waits for does.
 */
#ifndef TD_API_PENDING_H
#define TD_API_PENDING_H

#include <libsoup/soup.h>

struct td_pending {
    SoupServerMessage *message; /* NULL once the client went away */
    gulong handler;
};

void td_pending_init(struct td_pending *p, SoupServerMessage *message);
/* Sends what was set on the message, if anybody still waits for it. */
void td_pending_done(struct td_pending *p);

#endif
