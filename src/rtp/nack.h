/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nack: which missing packets to ask for, and when to stop asking (RFC 4585 section 6.2.1).
 * Owner: one track.
 * Thread: the media loop's.
 * Bound: TD_REORDER_SLOTS entries; each asked for at most `tries_max` times with doubling back-off.
 * Does not: build RTCP or know the jitter buffer; it is told what is missing.
 */
#ifndef TD_RTP_NACK_H
#define TD_RTP_NACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_NACK_TRIES_MAX 3            /* LiveKit resends a packet 3 times at most */
#define TD_NACK_BATCH_MAX 128          /* sequence numbers in one NACK we send */
#define TD_NACK_FIRST_DELAY_US 10000   /* let plain reordering heal itself first */
#define TD_NACK_INTERVAL_US_MIN 100000 /* LiveKit ignores repeats within max(100 ms, 2 RTT) */

struct td_nack;

TD_MUST int td_nack_new(struct td_nack **ret_nack);
struct td_nack *td_nack_free(struct td_nack *n);
/* Tells the present state: `missing` ascending (td_jitter_missing). Forgets what is no longer
 * there. */
void td_nack_update(struct td_nack *n, const uint16_t *missing, size_t count, int64_t now_us);
/* What to ask for now (at most `max`), marking it as asked. `rtt_us` 0 = unknown. */
size_t td_nack_due(struct td_nack *n, int64_t now_us, int64_t rtt_us, uint16_t *ret_seqs,
                   size_t max);
/* 1 and the highest number whose tries are used up and whose last answer is overdue; else 0. */
int td_nack_exhausted(const struct td_nack *n, int64_t now_us, int64_t rtt_us,
                      uint16_t *ret_up_to_seq);
/* Asked for in all so far. */
uint64_t td_nack_sent(const struct td_nack *n);

#endif
