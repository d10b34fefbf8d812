/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

void td_budget_init(struct td_budget *b, struct td_budget *parent, size_t max_bytes)
{
    size_t depth = 1;
    for (const struct td_budget *p = parent; p != NULL; p = p->parent) {
        depth++;
    }
    assert(depth <= TD_BUDGET_DEPTH_MAX);
    b->parent = parent;
    b->max_bytes = max_bytes;
    atomic_init(&b->used_bytes, 0);
    atomic_init(&b->peak_bytes, 0);
    atomic_init(&b->refused, 0);
}

void td_budget_done(struct td_budget *b)
{
    assert(td_budget_used(b) == 0);
    b->parent = NULL;
}

/* Charges one level; the new level of use goes to ret_used. */
static bool budget_charge_level(struct td_budget *b, size_t bytes, size_t *ret_used)
{
    size_t max = b->max_bytes != 0 ? b->max_bytes : SIZE_MAX;
    size_t used = atomic_load_explicit(&b->used_bytes, memory_order_relaxed);
    do {
        if (used > max || bytes > max - used) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&b->used_bytes, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    *ret_used = used + bytes;
    return true;
}

static void budget_raise_peak(struct td_budget *b, size_t used)
{
    size_t peak = atomic_load_explicit(&b->peak_bytes, memory_order_relaxed);
    while (used > peak &&
           !atomic_compare_exchange_weak_explicit(&b->peak_bytes, &peak, used, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

/* Gives the levels from `b` up to, not including, `end` back. */
static void budget_release_until(struct td_budget *b, const struct td_budget *end, size_t bytes)
{
    for (struct td_budget *p = b; p != end; p = p->parent) {
        size_t used = atomic_fetch_sub_explicit(&p->used_bytes, bytes, memory_order_relaxed);
        assert(used >= bytes);
    }
}

int td_budget_charge(struct td_budget *b, size_t bytes)
{
    size_t used[TD_BUDGET_DEPTH_MAX] = {0};
    size_t depth = 0;
    for (struct td_budget *p = b; p != NULL; p = p->parent) {
        assert(depth < TD_BUDGET_DEPTH_MAX);
        if (!budget_charge_level(p, bytes, &used[depth])) {
            budget_release_until(b, p, bytes);
            /* Counted at every level from the charged one to the one that refused. */
            for (struct td_budget *q = b; q != p->parent; q = q->parent) {
                atomic_fetch_add_explicit(&q->refused, 1, memory_order_relaxed);
            }
            return -TD_E_LIMIT;
        }
        depth++;
    }
    depth = 0;
    for (struct td_budget *p = b; p != NULL; p = p->parent) {
        budget_raise_peak(p, used[depth++]);
    }
    return 0;
}

void td_budget_release(struct td_budget *b, size_t bytes)
{
    budget_release_until(b, NULL, bytes);
}

size_t td_budget_used(const struct td_budget *b)
{
    return atomic_load_explicit(&b->used_bytes, memory_order_relaxed);
}
