/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/ebml.h"

#include <assert.h>
#include <string.h>

void td_ebml_write_id(struct td_writer *w, uint32_t id)
{
    if (id > 0xffffff)
        td_write_u8(w, (uint8_t)(id >> 24));
    if (id > 0xffff)
        td_write_u8(w, (uint8_t)(id >> 16));
    if (id > 0xff)
        td_write_u8(w, (uint8_t)(id >> 8));
    td_write_u8(w, (uint8_t)id);
}

/* A size whose value bits are all ones means unknown, so that value takes one more byte. */
static unsigned size_width(uint64_t size)
{
    unsigned width = 1;

    while (width < 8 && size >= (UINT64_C(1) << (7 * width)) - 1)
        width++;
    return width;
}

void td_ebml_put_size(uint8_t *at, uint64_t size, unsigned width)
{
    uint64_t mask = (UINT64_C(1) << (7 * width)) - 1;
    uint64_t value = (size & mask) | (mask + 1);

    for (unsigned i = width; i-- > 0; value >>= 8)
        at[i] = (uint8_t)value;
}

void td_ebml_write_size(struct td_writer *w, uint64_t size, unsigned width)
{
    uint8_t bytes[8];

    if (width == 0)
        width = size_width(size);
    assert(width <= 8);
    td_ebml_put_size(bytes, size, width);
    td_write_bytes(w, bytes, width);
}

void td_ebml_write_uint(struct td_writer *w, uint32_t id, uint64_t value)
{
    unsigned width = 1;

    while (width < 8 && value >> (8 * width) != 0)
        width++;
    td_ebml_write_id(w, id);
    td_ebml_write_size(w, width, 1);
    while (width-- > 0)
        td_write_u8(w, (uint8_t)(value >> (8 * width)));
}

void td_ebml_write_uint64(struct td_writer *w, uint32_t id, uint64_t value)
{
    td_ebml_write_id(w, id);
    td_ebml_write_size(w, 8, 1);
    td_write_be64(w, value);
}

void td_ebml_write_double(struct td_writer *w, uint32_t id, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    td_ebml_write_uint64(w, id, bits);
}

void td_ebml_write_binary(struct td_writer *w, uint32_t id, const void *bytes, size_t len)
{
    td_ebml_write_id(w, id);
    td_ebml_write_size(w, len, 0);
    td_write_bytes(w, bytes, len);
}

void td_ebml_write_void(struct td_writer *w, size_t total)
{
    unsigned width = total < 128 ? 1 : total < 16384 ? 2 : 8;

    assert(total >= 2);
    td_ebml_write_id(w, TD_EBML_VOID);
    td_ebml_write_size(w, total - 1 - width, width);
    for (size_t i = 1 + width; i < total; i++)
        td_write_u8(w, 0);
}

uint8_t *td_ebml_begin(struct td_writer *w, uint32_t id, unsigned width)
{
    uint8_t *at;

    td_ebml_write_id(w, id);
    at = w->at;
    td_ebml_write_size(w, 0, width);
    return at;
}

void td_ebml_end(struct td_writer *w, uint8_t *size_at, unsigned width)
{
    if (!w->bad)
        td_ebml_put_size(size_at, (uint64_t)(w->at - size_at) - width, width);
}

/* Length of an id or size from the leading zero bits of its first byte; 0 = none. */
static unsigned vint_len(uint8_t first)
{
    unsigned len = 1;

    for (uint8_t bit = 0x80; bit != 0; bit >>= 1, len++)
        if (first & bit)
            return len;
    return 0;
}

int td_ebml_parse(const uint8_t *bytes, size_t len, struct td_ebml_element *ret_element)
{
    struct td_ebml_element e = {.id = 0};
    unsigned id_len;
    uint64_t mask;

    if (len < 1)
        return 1;
    id_len = vint_len(bytes[0]);
    if (id_len < 1 || id_len > 4)
        return -TD_E_PARSE;
    if (len < id_len + 1)
        return 1;
    for (unsigned i = 0; i < id_len; i++)
        e.id = e.id << 8 | bytes[i];
    e.size_width = vint_len(bytes[id_len]);
    if (e.size_width == 0)
        return -TD_E_PARSE;
    if (len < id_len + e.size_width)
        return 1;
    for (unsigned i = 0; i < e.size_width; i++)
        e.size = e.size << 8 | bytes[id_len + i];
    mask = (UINT64_C(1) << (7 * e.size_width)) - 1;
    e.size &= mask;
    if (e.size == mask)
        e.size = TD_EBML_UNKNOWN;
    e.header_len = id_len + e.size_width;
    *ret_element = e;
    return 0;
}

int td_ebml_next(struct td_reader *r, struct td_ebml_element *ret_element, const uint8_t **ret_body)
{
    size_t left = td_reader_left(r);

    if (r->bad || left == 0)
        return 0;
    if (td_ebml_parse(r->at, left, ret_element) != 0 ||
        ret_element->size > left - ret_element->header_len) {
        r->bad = true;
        return 0;
    }
    (void)td_read_bytes(r, ret_element->header_len); /* both checked above */
    *ret_body = td_read_bytes(r, (size_t)ret_element->size);
    return 1;
}

uint64_t td_ebml_read_vint(struct td_reader *r)
{
    uint8_t first = td_read_u8(r);
    unsigned len = vint_len(first);
    uint64_t value = first;

    if (len == 0) {
        r->bad = true;
        return 0;
    }
    for (unsigned i = 1; i < len; i++)
        value = value << 8 | td_read_u8(r);
    return value & ((UINT64_C(1) << (7 * len)) - 1);
}

uint64_t td_ebml_uint(const uint8_t *body, uint64_t size)
{
    uint64_t value = 0;

    for (uint64_t i = 0; i < size && i < 8; i++)
        value = value << 8 | body[i];
    return value;
}

double td_ebml_double(const uint8_t *body, uint64_t size)
{
    uint64_t bits = td_ebml_uint(body, size);
    uint32_t bits32 = (uint32_t)bits;
    float single;
    double value;

    if (size == 4) {
        memcpy(&single, &bits32, sizeof(single));
        return (double)single;
    }
    if (size != 8)
        return 0;
    memcpy(&value, &bits, sizeof(value));
    return value;
}
