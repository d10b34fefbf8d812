/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The smallest allocation of a td_bytes: fewer would only mean more reallocations. */
#define BYTES_CAPACITY_MIN 64u

void td_reader_init(struct td_reader *r, const void *bytes, size_t len)
{
    assert(bytes != NULL || len == 0);
    r->at = bytes;
    r->end = len > 0 ? r->at + len : r->at;
    r->bad = false;
}

size_t td_reader_left(const struct td_reader *r)
{
    return (size_t)(r->end - r->at);
}

const uint8_t *td_read_bytes(struct td_reader *r, size_t len)
{
    if (r->bad || len > td_reader_left(r)) {
        r->bad = true;
        r->at = r->end;
        return NULL;
    }
    const uint8_t *p = r->at;
    if (len > 0) {
        r->at += len;
    }
    return p;
}

/* Big-endian number of `len` (at most 8) bytes; 0 past the end. */
static uint64_t read_be(struct td_reader *r, size_t len)
{
    const uint8_t *p = td_read_bytes(r, len);
    uint64_t v = 0;
    for (size_t i = 0; p != NULL && i < len; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

uint8_t td_read_u8(struct td_reader *r)
{
    return (uint8_t)read_be(r, 1);
}

uint16_t td_read_be16(struct td_reader *r)
{
    return (uint16_t)read_be(r, 2);
}

uint32_t td_read_be24(struct td_reader *r)
{
    return (uint32_t)read_be(r, 3);
}

uint32_t td_read_be32(struct td_reader *r)
{
    return (uint32_t)read_be(r, 4);
}

uint64_t td_read_be64(struct td_reader *r)
{
    return read_be(r, 8);
}

void td_writer_init(struct td_writer *w, void *bytes, size_t capacity)
{
    assert(bytes != NULL || capacity == 0);
    w->start = bytes;
    w->at = w->start;
    w->end = capacity > 0 ? w->start + capacity : w->start;
    w->bad = false;
}

size_t td_writer_len(const struct td_writer *w)
{
    return (size_t)(w->at - w->start);
}

/* Room for `len` bytes, or NULL and `bad`: nothing is written after the first refusal. */
static uint8_t *write_room(struct td_writer *w, size_t len)
{
    if (w->bad || len > (size_t)(w->end - w->at)) {
        w->bad = true;
        return NULL;
    }
    uint8_t *p = w->at;
    if (len > 0) {
        w->at += len;
    }
    return p;
}

static void write_be(struct td_writer *w, uint64_t v, size_t len)
{
    uint8_t *p = write_room(w, len);
    for (size_t i = len; p != NULL && i > 0; i--) {
        p[i - 1] = (uint8_t)(v & 0xffu);
        v >>= 8;
    }
}

void td_write_u8(struct td_writer *w, uint8_t v)
{
    write_be(w, v, 1);
}

void td_write_be16(struct td_writer *w, uint16_t v)
{
    write_be(w, v, 2);
}

void td_write_be24(struct td_writer *w, uint32_t v)
{
    if (v >> 24 != 0) {
        w->bad = true; /* a number that does not fit is not cut silently */
        return;
    }
    write_be(w, v, 3);
}

void td_write_be32(struct td_writer *w, uint32_t v)
{
    write_be(w, v, 4);
}

void td_write_be64(struct td_writer *w, uint64_t v)
{
    write_be(w, v, 8);
}

void td_write_bytes(struct td_writer *w, const void *bytes, size_t len)
{
    uint8_t *p = write_room(w, len);
    if (p != NULL && len > 0) {
        memcpy(p, bytes, len);
    }
}

void td_bytes_init(struct td_bytes *b, size_t max, struct td_budget *budget)
{
    *b = (struct td_bytes){.max = max, .budget = budget};
}

void td_bytes_done(struct td_bytes *b)
{
    free(b->data);
    if (b->capacity > 0) {
        td_budget_release(b->budget, b->capacity);
    }
    b->data = NULL;
    b->len = 0;
    b->capacity = 0;
}

void td_bytes_clear(struct td_bytes *b)
{
    b->len = 0;
}

/* Charges first, so that the budget is never exceeded, not even for a moment. */
static int bytes_grow(struct td_bytes *b, size_t capacity)
{
    size_t more = capacity - b->capacity;
    int r = td_budget_charge(b->budget, more);
    if (r < 0) {
        return r;
    }
    uint8_t *data = realloc(b->data, capacity);
    if (data == NULL) {
        td_budget_release(b->budget, more);
        return -ENOMEM;
    }
    b->data = data;
    b->capacity = capacity;
    return 0;
}

int td_bytes_reserve(struct td_bytes *b, size_t capacity)
{
    if (capacity <= b->capacity) {
        return 0;
    }
    if (capacity > b->max) {
        return -TD_E_LIMIT;
    }
    return bytes_grow(b, capacity);
}

int td_bytes_append(struct td_bytes *b, const void *bytes, size_t len)
{
    if (len > b->max || b->len > b->max - len) {
        return -TD_E_LIMIT;
    }
    size_t need = b->len + len;
    if (need > b->capacity) {
        size_t doubled = b->capacity > b->max / 2 ? b->max : b->capacity * 2;
        size_t floor = BYTES_CAPACITY_MIN < b->max ? BYTES_CAPACITY_MIN : b->max;
        size_t wanted = doubled > floor ? doubled : floor;
        wanted = wanted > need ? wanted : need;
        int r = bytes_grow(b, wanted);
        if (r < 0 && wanted > need) {
            /* Doubling does not fit any more, the content still may. */
            r = bytes_grow(b, need);
        }
        if (r < 0) {
            return r;
        }
    }
    if (len > 0) {
        memcpy(b->data + b->len, bytes, len);
        b->len = need;
    }
    return 0;
}

void td_bytes_shrink(struct td_bytes *b, size_t capacity)
{
    size_t target = capacity > b->len ? capacity : b->len;
    if (target >= b->capacity) {
        return;
    }
    size_t less = b->capacity - target;
    if (target == 0) {
        free(b->data);
        b->data = NULL;
    } else {
        uint8_t *data = realloc(b->data, target);
        if (data == NULL) {
            return; /* nothing is lost: the memory merely stays */
        }
        b->data = data;
    }
    b->capacity = target;
    td_budget_release(b->budget, less);
}
