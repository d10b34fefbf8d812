/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool: fixed-size slots for the packet path, reused last-in-first-out: few pages are touched.
 * Owner: one loop; slots are given back to the pool they came from.
 * Thread: the owner's only.
 * Bound: `slot_count` slots of `slot_bytes`; one malloc at init, of which pages and budget
 *        are taken as slots are first used: a pool that nobody needs costs nothing.
 * Does not: grow. An empty pool returns NULL and counts it.
 */
#ifndef TD_BASE_POOL_H
#define TD_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/err.h"

struct td_pool {
    uint8_t *memory;
    void *free_head;
    size_t slot_bytes;
    size_t slot_count;
    size_t used_count;
    size_t touched_count; /* slots that were ever used: what is charged */
    uint64_t exhausted;   /* td_pool_take calls that found it empty */
    struct td_budget *budget;
};

TD_MUST int td_pool_init(struct td_pool *p, size_t slot_bytes, size_t slot_count,
                         struct td_budget *budget);
void td_pool_done(struct td_pool *p);  /* asserts that no slot is out */
void *td_pool_take(struct td_pool *p); /* uninitialised slot, or NULL (empty, budget) */
void td_pool_give(struct td_pool *p, void *slot);

#endif
