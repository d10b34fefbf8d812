/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes: bounded reading and writing of wire formats, and one growable byte array with a ceiling.
 * Owner: the caller; td_reader and td_writer borrow the memory they walk.
 * Thread: any, one at a time per object.
 * Bound: a reader never leaves its range: past the end it returns 0 and sets `bad`; a writer stops
 *        at its capacity and sets `bad`; a td_bytes refuses to grow past `max` or its budget.
 * Does not: know any format. (td_bytes is in bytes.h because it is the writer's usual backing.)
 */
#ifndef TD_BASE_BYTES_H
#define TD_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/err.h"

struct td_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

void td_reader_init(struct td_reader *r, const void *bytes, size_t len);
size_t td_reader_left(const struct td_reader *r);
uint8_t td_read_u8(struct td_reader *r);
uint16_t td_read_be16(struct td_reader *r);
uint32_t td_read_be24(struct td_reader *r);
uint32_t td_read_be32(struct td_reader *r);
uint64_t td_read_be64(struct td_reader *r);
/* Pointer to the next `len` bytes and skips them; NULL and `bad` when there are fewer. */
const uint8_t *td_read_bytes(struct td_reader *r, size_t len);

struct td_writer {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    bool bad;
};

void td_writer_init(struct td_writer *w, void *bytes, size_t capacity);
size_t td_writer_len(const struct td_writer *w);
void td_write_u8(struct td_writer *w, uint8_t v);
void td_write_be16(struct td_writer *w, uint16_t v);
void td_write_be24(struct td_writer *w, uint32_t v);
void td_write_be32(struct td_writer *w, uint32_t v);
void td_write_be64(struct td_writer *w, uint64_t v);
void td_write_bytes(struct td_writer *w, const void *bytes, size_t len);

/* Growable array: doubles, never above `max`, every byte charged to `budget` (may be NULL). */
struct td_bytes {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t max;
    struct td_budget *budget;
};

void td_bytes_init(struct td_bytes *b, size_t max, struct td_budget *budget);
void td_bytes_done(struct td_bytes *b);
void td_bytes_clear(struct td_bytes *b); /* len = 0, memory kept */
/* 0, -TD_E_LIMIT past max or budget, -ENOMEM. On failure the content is untouched. */
TD_MUST int td_bytes_append(struct td_bytes *b, const void *bytes, size_t len);
TD_MUST int td_bytes_reserve(struct td_bytes *b, size_t capacity);
/* Gives memory above `capacity` back when len allows it (after one huge key frame). */
void td_bytes_shrink(struct td_bytes *b, size_t capacity);

/* CRC-32 (IEEE 802.3, reflected), start with 0. */
uint32_t td_crc32(uint32_t crc, const void *bytes, size_t len);
/* CRC-32 of MPEG-2 sections (ISO 13818-1 annex A), start with 0xffffffff. */
uint32_t td_crc32_mpeg(uint32_t crc, const void *bytes, size_t len);

#endif
