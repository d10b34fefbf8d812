/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher/history.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "publisher/packetize.h"

struct slot {
    int64_t given_us; /* sent or given out last */
    uint16_t seq;
    uint16_t len; /* 0 = empty */
    uint8_t bytes[TD_PACKETIZE_BYTES_MAX];
};

struct td_history {
    struct slot *slots;
    unsigned count;
};

int td_history_new(unsigned slots, struct td_history **ret_history)
{
    if (slots == 0 || slots > TD_HISTORY_SLOTS_MAX || (slots & (slots - 1)) != 0)
        return -TD_E_USAGE;
    struct td_history *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->slots = calloc(slots, sizeof(*h->slots));
    h->count = slots;
    if (!h->slots) {
        (void)td_history_free(h);
        return -ENOMEM;
    }
    *ret_history = h;
    return 0;
}

struct td_history *td_history_free(struct td_history *h)
{
    if (!h)
        return NULL;
    free(h->slots);
    free(h);
    return NULL;
}

int td_history_put(struct td_history *h, uint16_t seq, const uint8_t *bytes, size_t len,
                   int64_t now_us)
{
    struct slot *slot = &h->slots[seq % h->count];
    if (len > sizeof(slot->bytes))
        return -TD_E_LIMIT;
    slot->given_us = now_us;
    slot->seq = seq;
    slot->len = (uint16_t)len;
    memcpy(slot->bytes, bytes, len);
    return 0;
}

int td_history_get(struct td_history *h, uint16_t seq, int64_t now_us, const uint8_t **ret_bytes,
                   size_t *ret_len)
{
    struct slot *slot = &h->slots[seq % h->count];
    if (slot->len == 0 || slot->seq != seq || now_us - slot->given_us < TD_HISTORY_REPEAT_US)
        return 0;
    slot->given_us = now_us;
    *ret_bytes = slot->bytes;
    *ret_len = slot->len;
    return 1;
}
