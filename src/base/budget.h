/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget: bytes that may be held, nested: process > recording > stage.
 * Owner: whoever owns the thing it limits; a child must be done before its parent.
 * Thread: any; the counters are atomic, a charge walks at most TD_BUDGET_DEPTH_MAX parents.
 * Bound: `max_bytes` (0 = only the parents limit).
 * Does not: allocate, evict, or decide what is dropped when full (the caller's policy does).
 */
#ifndef TD_BASE_BUDGET_H
#define TD_BASE_BUDGET_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/err.h"

#define TD_BUDGET_DEPTH_MAX 4

struct td_budget {
    struct td_budget *parent; /* NULL for the process */
    size_t max_bytes;
    atomic_size_t used_bytes;
    atomic_size_t peak_bytes;
    atomic_size_t refused; /* charges that did not fit */
};

void td_budget_init(struct td_budget *b, struct td_budget *parent, size_t max_bytes);
/* Asserts that everything was given back. */
void td_budget_done(struct td_budget *b);
/* 0, or -TD_E_LIMIT with nothing charged anywhere. NULL budget: always 0. */
TD_MUST int td_budget_charge(struct td_budget *b, size_t bytes);
void td_budget_release(struct td_budget *b, size_t bytes);
size_t td_budget_used(const struct td_budget *b);

#endif
