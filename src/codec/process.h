/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: one running `tapedeck-codec` and the messages to and from it.
 * Owner: whoever started it; it is killed and reaped by free at the latest.
 * Thread: any one that may block; never a media loop or the control loop.
 * Bound: one message is sent at a time; answers that come meanwhile wait in a buffer of
 *        TD_CODEC_INBOX_BYTES_MAX; every wait has a deadline.
 * Does not: know what the messages mean, restart the worker, or hand it our environment's secrets.
 */
#ifndef TD_CODEC_PROCESS_H
#define TD_CODEC_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/protocol.h"

#define TD_CODEC_INBOX_BYTES_MAX (2u * (TD_MSG_HEADER_BYTES + TD_MSG_BODY_MAX))
#define TD_CODEC_WAIT_US 60000000  /* longest silence of a worker that encodes or decodes */
#define TD_CODEC_START_US 10000000 /* from its start to its HELLO */

struct td_codec_process;

/* Finds the worker ($TAPEDECK_CODEC; beside our executable; ../libexec/tapedeck; $PATH), starts it
 * and exchanges HELLO. `fail` may be NULL; it gets a sentence. */
TD_MUST int td_codec_process_start(struct td_fail *fail, struct td_codec_process **ret_process);
/* Closes the socket, waits a second for the worker to end by itself, then kills it. */
struct td_codec_process *td_codec_process_free(struct td_codec_process *p);

/* Its process id, for figures of its memory; 0 once it ended and was reaped. */
int td_codec_process_pid(const struct td_codec_process *p);

/* Sends head and payload as one message. -TD_E_CLOSED when the worker is gone, -TD_E_TIMEOUT when
 * it takes nothing for TD_CODEC_WAIT_US, -TD_E_LIMIT when its answers were left unread. */
TD_MUST int td_codec_process_send(struct td_codec_process *p, const struct td_writer *head,
                                  const void *payload, size_t payload_len);
/* 1 with the next message, its body valid until the next call on `p`; 0 when none came within
 * `wait_us` (0 = do not wait). ERROR messages are turned into their code and stored in `fail` (may
 * be NULL), as is how the worker ended (-TD_E_CLOSED). */
TD_MUST int td_codec_process_receive(struct td_codec_process *p, int64_t wait_us,
                                     struct td_msg *ret_msg, struct td_fail *fail);

#endif
