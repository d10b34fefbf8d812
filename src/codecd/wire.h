/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: the worker's end of the protocol, blocking.
 * Owner: main.
 * Thread: main.
 * Bound: one message of TD_MSG_BODY_MAX; the buffer grows to what was needed.
 * Does not: time out: a client that went away closes its end, and that ends the worker.
 */
#ifndef TD_CODECD_WIRE_H
#define TD_CODECD_WIRE_H

#include "base/bytes.h"
#include "base/err.h"
#include "codec/protocol.h"

struct td_wire {
    int fd_in;
    int fd_out;
    struct td_bytes body;
};

void td_wire_init(struct td_wire *w, int fd_in, int fd_out);
void td_wire_done(struct td_wire *w);
/* 1 with a message valid until the next receive, 0 at the end of the conversation. */
TD_MUST int td_wire_receive(struct td_wire *w, struct td_msg *ret_msg);
TD_MUST int td_wire_send(struct td_wire *w, const struct td_writer *head, const void *payload,
                         size_t payload_len);

#endif
