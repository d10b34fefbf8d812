/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/backlog.h"

#include <assert.h>
#include <string.h>

#define KEEP_BYTES (4u << 10) /* memory kept while nothing waits */

void td_backlog_init(struct td_backlog *b, struct td_budget *budget)
{
    *b = (struct td_backlog){0};
    td_bytes_init(&b->bytes, TD_BACKLOG_BYTES, budget);
}

void td_backlog_done(struct td_backlog *b)
{
    td_bytes_done(&b->bytes);
    *b = (struct td_backlog){0};
}

/* What was read makes room: a backlog that never runs empty must not fill up. */
static void compact(struct td_backlog *b)
{
    if (b->read_at == 0)
        return;
    b->bytes.len -= b->read_at;
    memmove(b->bytes.data, b->bytes.data + b->read_at, b->bytes.len);
    b->read_at = 0;
}

int td_backlog_push(struct td_backlog *b, const struct td_frame *frame)
{
    if (b->count > 0 && frame->pts_us - b->first_pts_us > TD_BACKLOG_US)
        return -TD_E_LIMIT;
    size_t needed = sizeof(*frame) + frame->len;
    if (b->bytes.len + needed > b->bytes.capacity)
        compact(b);
    int r = td_bytes_reserve(&b->bytes, b->bytes.len + needed);
    if (r < 0)
        return r;
    r = td_bytes_append(&b->bytes, frame, sizeof(*frame));
    if (r < 0)
        return r;
    r = td_bytes_append(&b->bytes, frame->bytes, frame->len);
    if (r < 0)
        return r;
    if (b->count++ == 0)
        b->first_pts_us = frame->pts_us;
    return 0;
}

int td_backlog_peek(const struct td_backlog *b, struct td_frame *ret_frame)
{
    if (b->count == 0)
        return 0;
    memcpy(ret_frame, b->bytes.data + b->read_at, sizeof(*ret_frame));
    ret_frame->bytes = b->bytes.data + b->read_at + sizeof(*ret_frame);
    return 1;
}

void td_backlog_drop(struct td_backlog *b)
{
    struct td_frame frame;
    int r = td_backlog_peek(b, &frame);
    assert(r == 1);
    b->read_at += sizeof(frame) + frame.len;
    b->count--;
    if (b->count == 0) {
        td_bytes_clear(&b->bytes);
        td_bytes_shrink(&b->bytes, KEEP_BYTES);
        b->read_at = 0;
        return;
    }
    r = td_backlog_peek(b, &frame);
    assert(r == 1);
    b->first_pts_us = frame.pts_us;
}
