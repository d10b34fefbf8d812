/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rate.h"

/* Below it, one write more or less would be the whole answer. */
#define SHORTEST_US 250000

void td_rate_add(struct td_rate *r, int64_t now_us, uint64_t value)
{
    r->samples[r->next].at_us = now_us;
    r->samples[r->next].value = value;
    r->next = (r->next + 1) % TD_RATE_SAMPLES;
    if (r->count < TD_RATE_SAMPLES)
        r->count++;
}

double td_rate_now(const struct td_rate *r, int64_t now_us, uint64_t value)
{
    unsigned oldest = r->count < TD_RATE_SAMPLES ? 0 : r->next;
    if (r->count == 0 || now_us - r->samples[oldest].at_us < SHORTEST_US ||
        value < r->samples[oldest].value)
        return 0;
    double seconds = (double)(now_us - r->samples[oldest].at_us) / 1e6;
    return (double)(value - r->samples[oldest].value) / seconds;
}
