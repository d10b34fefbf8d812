/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate: how fast a counter grows, over the last seconds.
 * Owner: embedded; no init beyond zero, nothing to free.
 * Thread: one at a time.
 * Bound: TD_RATE_SAMPLES samples; adding one more forgets the oldest.
 * Does not: read clocks.
 */
#ifndef TD_API_RATE_H
#define TD_API_RATE_H

#include <stdint.h>

#define TD_RATE_INTERVAL_US INT64_C(1000000) /* how often the owner adds a sample */
#define TD_RATE_SAMPLES 5u                   /* so the window is of 5 s */

struct td_rate {
    struct {
        int64_t at_us;
        uint64_t value;
    } samples[TD_RATE_SAMPLES];
    unsigned count;
    unsigned next;
};

void td_rate_add(struct td_rate *r, int64_t now_us, uint64_t value);
/* Growth a second from the oldest sample to `value` now. 0 without a sample, within the first
 * quarter of a second, and when the counter went back. */
double td_rate_now(const struct td_rate *r, int64_t now_us, uint64_t value);

#endif
