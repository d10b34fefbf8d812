/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/input.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int td_input_init(struct td_input *in, const struct td_read_at *file, size_t capacity)
{
    *in = (struct td_input){.file = file, .capacity = capacity};
    in->bytes = malloc(capacity);
    return in->bytes ? 0 : -ENOMEM;
}

void td_input_done(struct td_input *in)
{
    free(in->bytes);
    in->bytes = NULL;
    in->len = 0;
}

int64_t td_input_read(const struct td_read_at *file, uint64_t offset, void *ret_bytes, size_t len)
{
    size_t have = 0;

    if (offset > INT64_MAX - len)
        return 0;
    while (have < len) {
        int64_t n =
            file->read_at(file->ctx, offset + have, (uint8_t *)ret_bytes + have, len - have);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (int64_t)have;
}

int64_t td_input_view(struct td_input *in, uint64_t offset, size_t want, const uint8_t **ret_bytes)
{
    size_t keep = 0;
    int64_t n;

    assert(want <= in->capacity);
    if (offset >= in->start && offset - in->start <= in->len) {
        size_t skip = (size_t)(offset - in->start);

        keep = in->len - skip;
        if (keep >= want && keep > 0) {
            *ret_bytes = in->bytes + skip;
            return (int64_t)keep;
        }
        memmove(in->bytes, in->bytes + skip, keep);
    }
    in->start = offset;
    in->len = keep;
    n = td_input_read(in->file, offset + keep, in->bytes + keep, in->capacity - keep);
    if (n < 0)
        return n;
    in->len += (size_t)n;
    *ret_bytes = in->bytes;
    return (int64_t)in->len;
}

int td_input_copy(struct td_input *in, uint64_t offset, void *ret_bytes, size_t len)
{
    const uint8_t *bytes;
    int64_t n;

    if (len <= in->capacity) {
        n = td_input_view(in, offset, len, &bytes);
        if (n >= (int64_t)len)
            memcpy(ret_bytes, bytes, len);
    } else {
        n = td_input_read(in->file, offset, ret_bytes, len);
    }
    if (n < 0)
        return (int)n;
    return n >= (int64_t)len ? 0 : -TD_E_PARSE;
}
