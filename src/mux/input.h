/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input: a window over a td_read_at, for scanners that walk a file once and skip a lot.
 * Owner: the scan that initialised it.
 * Thread: the scan's; reads may block.
 * Bound: one buffer of the capacity given at init.
 * Does not: trust the file's size: what cannot be read is the end.
 */
#ifndef TD_MUX_INPUT_H
#define TD_MUX_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fileop.h"

struct td_input {
    const struct td_read_at *file;
    uint8_t *bytes;
    size_t capacity;
    uint64_t start; /* file offset of bytes[0] */
    size_t len;
};

TD_MUST int td_input_init(struct td_input *in, const struct td_read_at *file, size_t capacity);
void td_input_done(struct td_input *in);
/* Makes at least `want` bytes (<= capacity) from `offset` visible, fewer only at the end of the
 * file. Count of bytes visible (perhaps more than asked for), or a negative read error. The bytes
 * are valid until the next call. */
TD_MUST int64_t td_input_view(struct td_input *in, uint64_t offset, size_t want,
                              const uint8_t **ret_bytes);
/* Copies exactly `len` bytes: 0, -TD_E_PARSE when the file ends before, or a read error. Does not
 * go through the window when `len` is larger than it. */
TD_MUST int td_input_copy(struct td_input *in, uint64_t offset, void *ret_bytes, size_t len);

/* Reads up to `len` bytes at `offset`, continuing short reads; count, or negative. */
TD_MUST int64_t td_input_read(const struct td_read_at *file, uint64_t offset, void *ret_bytes,
                              size_t len);

#endif
