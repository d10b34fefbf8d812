/* SPDX-License-Identifier: Apache-2.0 */
#include "tape.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TAPE_BYTES_MAX ((size_t)1 << 30)

void tape_init(struct tape *t)
{
    *t = (struct tape){.count = 0};
    td_bytes_init(&t->bytes, TAPE_BYTES_MAX, NULL);
}

void tape_done(struct tape *t)
{
    free(t->ops);
    td_bytes_done(&t->bytes);
}

static int tape_emit(void *ctx, const struct td_file_op *op)
{
    struct tape *t = ctx;
    int r;

    if (t->refuse && t->count >= t->refuse_after)
        return t->refuse;
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 64;
        t->ops = realloc(t->ops, t->capacity * sizeof(*t->ops));
        assert(t->ops);
    }
    if (op->kind == TD_OP_PATCH) {
        assert(op->len > 0);
        assert(op->offset / 512 == (op->offset + op->len - 1) / 512);
    }
    t->ops[t->count++] = (struct tape_op){
        .kind = op->kind,
        .file = op->file,
        .offset = op->offset,
        .at = t->bytes.len,
        .len = op->len,
    };
    r = op->len > 0 ? td_bytes_append(&t->bytes, op->bytes, op->len) : 0;
    assert(r == 0);
    return 0;
}

struct td_op_sink tape_sink(struct tape *t)
{
    return (struct td_op_sink){.emit = tape_emit, .ctx = t};
}

void part_init(struct part *p)
{
    *p = (struct part){.read_max = 0};
    for (unsigned i = 0; i < TD_FILE_SLOTS; i++)
        td_bytes_init(&p->file[i], TAPE_BYTES_MAX, NULL);
    p->exists[TD_FILE_MEDIA] = true;
}

void part_done(struct part *p)
{
    for (unsigned i = 0; i < TD_FILE_SLOTS; i++)
        td_bytes_done(&p->file[i]);
}

void part_copy(struct part *to, const struct part *from)
{
    for (unsigned i = 0; i < TD_FILE_SLOTS; i++) {
        int r = 0;

        td_bytes_clear(&to->file[i]);
        if (from->file[i].len > 0)
            r = td_bytes_append(&to->file[i], from->file[i].data, from->file[i].len);
        assert(r == 0);
        to->exists[i] = from->exists[i];
    }
    to->read_max = from->read_max;
}

void part_apply(struct part *p, const struct tape *t, size_t op, size_t cut)
{
    const struct tape_op *o = &t->ops[op];
    struct td_bytes *file = &p->file[o->file];
    size_t len = o->len < cut ? o->len : cut;
    int r = 0;

    p->exists[o->file] = true;
    switch (o->kind) {
    case TD_OP_APPEND:
        assert(o->offset == file->len);
        if (len > 0)
            r = td_bytes_append(file, t->bytes.data + o->at, len);
        assert(r == 0);
        break;
    case TD_OP_PATCH:
        assert(o->offset + o->len <= file->len);
        memcpy(file->data + o->offset, t->bytes.data + o->at, len);
        break;
    case TD_OP_TRUNCATE:
        assert(o->offset <= file->len);
        file->len = (size_t)o->offset;
        break;
    case TD_OP_SYNC:
        break;
    }
}

void part_apply_all(struct part *p, const struct tape *t)
{
    for (size_t i = 0; i < t->count; i++)
        part_apply(p, t, i, SIZE_MAX);
}

static int64_t part_read(struct part *p, enum td_file_slot slot, uint64_t offset, void *ret_bytes,
                         size_t len)
{
    const struct td_bytes *file = &p->file[slot];

    if (offset >= file->len)
        return 0;
    if (len > file->len - offset)
        len = (size_t)(file->len - offset);
    if (p->read_max && len > p->read_max)
        len = p->read_max;
    memcpy(ret_bytes, file->data + offset, len);
    p->bytes_read += len;
    return (int64_t)len;
}

static int64_t part_read_media(void *ctx, uint64_t offset, void *ret_bytes, size_t len)
{
    return part_read(ctx, TD_FILE_MEDIA, offset, ret_bytes, len);
}

static int64_t part_read_index(void *ctx, uint64_t offset, void *ret_bytes, size_t len)
{
    return part_read(ctx, TD_FILE_INDEX, offset, ret_bytes, len);
}

struct td_read_at part_input(struct part *p, enum td_file_slot file)
{
    if (!p->exists[file])
        return (struct td_read_at){.read_at = NULL};
    return (struct td_read_at){
        .read_at = file == TD_FILE_MEDIA ? part_read_media : part_read_index,
        .ctx = p,
        .size = p->file[file].len,
    };
}

uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
