/* SPDX-License-Identifier: Apache-2.0 */
#include "media/assembly.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"

void td_assembly_init(struct td_assembly *a, struct td_depay *d, size_t first_bytes)
{
    *a = (struct td_assembly){.stats = &d->stats, .first_bytes = first_bytes};
    td_bytes_init(&a->bytes, TD_FRAME_BYTES_MAX + TD_ASSEMBLY_SLACK_BYTES, d->budget);
}

void td_assembly_done(struct td_assembly *a)
{
    td_bytes_done(&a->bytes);
}

/* Gives a huge key frame's memory back, but not of a stream whose frames are all large: that would
 * be an allocation per frame. */
static void settle(struct td_assembly *a)
{
    if (a->bytes.capacity <= TD_ASSEMBLY_KEEP_BYTES || a->calm < TD_ASSEMBLY_CALM)
        return;
    if (a->bytes.len <= TD_ASSEMBLY_KEEP_BYTES)
        td_bytes_shrink(&a->bytes, TD_ASSEMBLY_KEEP_BYTES);
}

void td_assembly_turn(struct td_assembly *a)
{
    a->ready_count = 0;
    a->popped = 0;
    if (a->start == 0)
        return;
    size_t open_len = a->bytes.len - a->start;
    if (open_len > 0)
        memmove(a->bytes.data, a->bytes.data + a->start, open_len);
    a->bytes.len = open_len;
    a->start = 0;
    settle(a);
}

bool td_assembly_skips(struct td_assembly *a, const struct td_rtp_packet *packet)
{
    if (a->state != TD_ASSEMBLY_SKIP)
        return false;
    bool same = packet->timestamp == a->rtp_timestamp;
    if (!same || packet->marker) {
        a->state = TD_ASSEMBLY_IDLE;
        /* More may come of a frame that set its marker too early. */
        a->behind_hole = a->behind_hole || same;
    }
    return same;
}

void td_assembly_open(struct td_assembly *a, const struct td_rtp_packet *packet)
{
    assert(a->state != TD_ASSEMBLY_OPEN && a->bytes.len == a->start);
    a->state = TD_ASSEMBLY_OPEN;
    a->rtp_timestamp = packet->timestamp;
    a->arrival_us = packet->arrival_us;
    a->suspect = a->behind_hole;
    a->behind_hole = false;
}

static void empty(struct td_assembly *a, enum td_assembly_state state)
{
    a->bytes.len = a->start;
    a->state = state;
}

/* The frame does not fit; -ENOMEM is told apart because no limit of ours was reached. */
static int refuse(struct td_assembly *a, int err)
{
    if (err == -TD_E_LIMIT)
        a->stats->oversize++;
    else
        a->stats->broken++;
    empty(a, TD_ASSEMBLY_SKIP);
    a->calm = TD_ASSEMBLY_CALM;
    settle(a);
    return err;
}

int td_assembly_append(struct td_assembly *a, const void *bytes, size_t len)
{
    assert(a->state == TD_ASSEMBLY_OPEN);
    if (len > TD_FRAME_BYTES_MAX - td_assembly_len(a))
        return refuse(a, -TD_E_LIMIT);
    if (a->bytes.capacity < a->first_bytes) {
        int r = td_bytes_reserve(&a->bytes, a->first_bytes);
        if (r < 0)
            return refuse(a, r);
    }
    int r = td_bytes_append(&a->bytes, bytes, len);
    return r < 0 ? refuse(a, r) : 0;
}

int td_assembly_insert(struct td_assembly *a, size_t at, const void *bytes, size_t len)
{
    size_t old_len = td_assembly_len(a);
    assert(at <= old_len);
    int r = td_assembly_append(a, bytes, len);
    if (r < 0)
        return r;
    uint8_t *where = a->bytes.data + a->start + at;
    memmove(where + len, where, old_len - at);
    memcpy(where, bytes, len);
    return 0;
}

const uint8_t *td_assembly_bytes(const struct td_assembly *a)
{
    return a->bytes.data + a->start;
}

size_t td_assembly_len(const struct td_assembly *a)
{
    return a->bytes.len - a->start;
}

void td_assembly_finish(struct td_assembly *a, const struct td_frame *frame)
{
    assert(a->state == TD_ASSEMBLY_OPEN && a->ready_count < TD_ASSEMBLY_READY_MAX);
    struct td_frame *ready = &a->ready[a->ready_count];
    *ready = *frame;
    ready->rtp_timestamp = a->rtp_timestamp;
    ready->arrival_us = a->arrival_us;
    ready->len = td_assembly_len(a);
    a->ready_at[a->ready_count++] = a->start;
    a->calm = ready->len > TD_ASSEMBLY_KEEP_BYTES ? 0 : a->calm + 1;
    a->start = a->bytes.len;
    a->state = TD_ASSEMBLY_IDLE;
}

void td_assembly_discard(struct td_assembly *a)
{
    empty(a, TD_ASSEMBLY_IDLE);
}

void td_assembly_drop(struct td_assembly *a)
{
    a->stats->broken++;
    empty(a, TD_ASSEMBLY_SKIP);
}

void td_assembly_hole(struct td_assembly *a)
{
    if (a->state == TD_ASSEMBLY_OPEN)
        td_assembly_drop(a);
    a->behind_hole = true;
}

int td_assembly_pop(struct td_assembly *a, struct td_frame *ret_frame)
{
    if (a->popped >= a->ready_count)
        return 0;
    *ret_frame = a->ready[a->popped];
    ret_frame->bytes = a->bytes.data + a->ready_at[a->popped];
    a->popped++;
    return 1;
}
