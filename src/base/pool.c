/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A free slot begins with a link. The memory starts zeroed, and a zero link means "the slot behind
 * me", so that init touches no page of slots which are never needed. */
enum pool_link {
    POOL_LINK_NEXT = 0, /* never used so far: the following slot is free too */
    POOL_LINK_NONE = 1, /* the end of the list; slots are aligned, so 1 is no slot's address */
};

int td_pool_init(struct td_pool *p, size_t slot_bytes, size_t slot_count, struct td_budget *budget)
{
    assert(slot_bytes > 0 && slot_count > 0);
    const size_t align = alignof(max_align_t);
    if (slot_bytes > SIZE_MAX - align) {
        return -TD_E_LIMIT;
    }
    size_t bytes = (slot_bytes + align - 1) / align * align;
    if (bytes > SIZE_MAX / slot_count) {
        return -TD_E_LIMIT;
    }
    uint8_t *memory = calloc(slot_count, bytes);
    if (memory == NULL) {
        return -ENOMEM;
    }
    *p = (struct td_pool){
        .memory = memory,
        .free_head = memory,
        .slot_bytes = bytes,
        .slot_count = slot_count,
        .budget = budget,
    };
    return 0;
}

void td_pool_done(struct td_pool *p)
{
    assert(p->used_count == 0);
    if (p->memory != NULL) {
        free(p->memory);
        td_budget_release(p->budget, p->slot_bytes * p->touched_count);
    }
    *p = (struct td_pool){.memory = NULL};
}

void *td_pool_take(struct td_pool *p)
{
    uint8_t *slot = p->free_head;
    if (slot == NULL) {
        p->exhausted++;
        return NULL;
    }
    uintptr_t link;
    memcpy(&link, slot, sizeof(link));
    if (link == POOL_LINK_NEXT) {
        if (td_budget_charge(p->budget, p->slot_bytes) < 0) {
            p->exhausted++;
            return NULL;
        }
        p->touched_count++;
        bool last = slot == p->memory + p->slot_bytes * (p->slot_count - 1);
        p->free_head = last ? NULL : slot + p->slot_bytes;
    } else {
        p->free_head = link == POOL_LINK_NONE ? NULL : (void *)link;
    }
    p->used_count++;
    return slot;
}

void td_pool_give(struct td_pool *p, void *slot)
{
    size_t offset = (size_t)((uint8_t *)slot - p->memory);
    assert(p->used_count > 0);
    assert(offset < p->slot_bytes * p->slot_count && offset % p->slot_bytes == 0);
    uintptr_t link = p->free_head != NULL ? (uintptr_t)p->free_head : POOL_LINK_NONE;
    memcpy(slot, &link, sizeof(link));
    p->free_head = slot;
    p->used_count--;
}
