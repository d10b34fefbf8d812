/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history: the packets sent last, for retransmission (RFC 4585 section 6.2.1).
 * Owner: one sender.
 * Thread: the sender's.
 * Bound: `slots` packets of TD_PACKETIZE_BYTES_MAX, allocated once; the oldest is overwritten.
 * Does not: send.
 */
#ifndef TD_PUBLISHER_HISTORY_H
#define TD_PUBLISHER_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_HISTORY_SLOTS_MAX 4096u
/* One packet is not sent again more often: several receivers and eager ones ask at once. */
#define TD_HISTORY_REPEAT_US 5000

struct td_history;

/* `slots`: a power of two, at most TD_HISTORY_SLOTS_MAX. */
TD_MUST int td_history_new(unsigned slots, struct td_history **ret_history);
struct td_history *td_history_free(struct td_history *h);
/* -TD_E_LIMIT for a packet larger than TD_PACKETIZE_BYTES_MAX. */
TD_MUST int td_history_put(struct td_history *h, uint16_t seq, const uint8_t *bytes, size_t len,
                           int64_t now_us);
/* 1 with the packet, valid until the next put; 0 when it is gone or was given out just now. */
TD_MUST int td_history_get(struct td_history *h, uint16_t seq, int64_t now_us,
                           const uint8_t **ret_bytes, size_t *ret_len);

#endif
