/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/nack.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "rtp/packet.h"

#define RTT_US_MAX INT64_C(1000000) /* a longer one is a measuring error */

struct entry {
    int64_t due_us; /* when to ask (again), or when the last answer is overdue */
    uint16_t seq;
    uint8_t tries;
};

struct td_nack {
    uint64_t sent;
    size_t count;
    struct entry entries[TD_REORDER_SLOTS]; /* ascending on the circle */
};

int td_nack_new(struct td_nack **ret_nack)
{
    struct td_nack *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return -ENOMEM;
    *ret_nack = n;
    return 0;
}

struct td_nack *td_nack_free(struct td_nack *n)
{
    free(n);
    return NULL;
}

/* Keeps the entries that are still missing. */
static void forget(struct td_nack *n, const uint16_t *missing, size_t count)
{
    size_t kept = 0, at = 0;

    for (size_t i = 0; i < n->count; i++) {
        while (at < count && td_rtp_seq_distance(missing[at], n->entries[i].seq) > 0)
            at++;
        if (at < count && missing[at] == n->entries[i].seq)
            n->entries[kept++] = n->entries[i];
    }
    n->count = kept;
}

static void insert(struct td_nack *n, size_t index, uint16_t seq, int64_t due_us)
{
    memmove(&n->entries[index + 1], &n->entries[index], (n->count - index) * sizeof(n->entries[0]));
    n->entries[index] = (struct entry){.due_us = due_us, .seq = seq};
    n->count++;
}

void td_nack_update(struct td_nack *n, const uint16_t *missing, size_t count, int64_t now_us)
{
    size_t index = 0;

    forget(n, missing, count);
    for (size_t i = 0; i < count && n->count < TD_REORDER_SLOTS; i++) {
        while (index < n->count && td_rtp_seq_distance(n->entries[index].seq, missing[i]) > 0)
            index++;
        if (index == n->count || n->entries[index].seq != missing[i])
            insert(n, index, missing[i], now_us + TD_NACK_FIRST_DELAY_US);
        index++;
    }
}

/* How long an answer to the `tries`-th question is waited for. */
static int64_t patience_us(int64_t rtt_us, unsigned tries)
{
    int64_t base_us = 0;

    if (rtt_us > 0)
        base_us = 2 * (rtt_us < RTT_US_MAX ? rtt_us : RTT_US_MAX);
    if (base_us < TD_NACK_INTERVAL_US_MIN)
        base_us = TD_NACK_INTERVAL_US_MIN;
    return base_us << (tries - 1);
}

size_t td_nack_due(struct td_nack *n, int64_t now_us, int64_t rtt_us, uint16_t *ret_seqs,
                   size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < n->count && count < max && count < TD_NACK_BATCH_MAX; i++) {
        struct entry *e = &n->entries[i];

        if (e->tries >= TD_NACK_TRIES_MAX || now_us < e->due_us)
            continue;
        e->tries++;
        e->due_us = now_us + patience_us(rtt_us, e->tries);
        ret_seqs[count++] = e->seq;
    }
    n->sent += count;
    return count;
}

int td_nack_exhausted(const struct td_nack *n, int64_t now_us, int64_t rtt_us,
                      uint16_t *ret_up_to_seq)
{
    /* The round trip of the question is in its due time already. */
    (void)rtt_us;
    for (size_t i = n->count; i > 0; i--) {
        const struct entry *e = &n->entries[i - 1];

        if (e->tries >= TD_NACK_TRIES_MAX && now_us >= e->due_us) {
            *ret_up_to_seq = e->seq;
            return 1;
        }
    }
    return 0;
}

uint64_t td_nack_sent(const struct td_nack *n)
{
    return n->sent;
}
