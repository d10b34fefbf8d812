/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/mkv_cues.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "mux/ebml.h"

#define CUES_PIECE 8192u
#define CUES_POINT_MAX 48u

void td_mkv_cues_init(struct td_mkv_cues *c, size_t max)
{
    *c = (struct td_mkv_cues){.max = max};
}

void td_mkv_cues_done(struct td_mkv_cues *c)
{
    free(c->cues);
    c->cues = NULL;
    c->count = 0;
    c->capacity = 0;
}

/* Halves a full table; the interval becomes what the kept ones are apart on average. */
static void thin_out(struct td_mkv_cues *c)
{
    int64_t span = c->cues[c->count - 1].time_ticks - c->cues[0].time_ticks;
    size_t kept = 0;

    for (size_t i = 0; i < c->count; i += 2)
        c->cues[kept++] = c->cues[i];
    c->count = kept;
    if (kept > 0 && span / (int64_t)kept > c->interval_ticks)
        c->interval_ticks = span / (int64_t)kept;
}

static int grow(struct td_mkv_cues *c)
{
    size_t capacity = c->capacity ? c->capacity * 2 : 256;
    struct td_mkv_cue *cues;

    if (capacity > c->max)
        capacity = c->max;
    cues = realloc(c->cues, capacity * sizeof(*cues));
    if (!cues)
        return -ENOMEM;
    c->cues = cues;
    c->capacity = capacity;
    return 0;
}

int td_mkv_cues_add(struct td_mkv_cues *c, const struct td_mkv_cue *cue)
{
    int r;

    if (cue->time_ticks < 0)
        return 0;
    if (c->count > 0) {
        const struct td_mkv_cue *last = &c->cues[c->count - 1];

        /* Ascending in time and place, RFC 9559 section 22. */
        if (cue->offset <= last->offset || cue->time_ticks <= last->time_ticks ||
            cue->time_ticks - last->time_ticks < c->interval_ticks)
            return 0;
    }
    if (c->count == c->max)
        thin_out(c);
    if (c->count == c->capacity) {
        r = grow(c);
        if (r < 0)
            return r;
    }
    c->cues[c->count++] = *cue;
    return 0;
}

void td_mkv_cues_cut(struct td_mkv_cues *c, uint64_t offset)
{
    while (c->count > 0 && c->cues[c->count - 1].offset >= offset)
        c->count--;
}

static void write_point(struct td_writer *w, const struct td_mkv_cue *cue, uint64_t segment_data)
{
    uint8_t *point = td_ebml_begin(w, TD_MKV_CUE_POINT, 1);
    uint8_t *positions;

    td_ebml_write_uint(w, TD_MKV_CUE_TIME, (uint64_t)cue->time_ticks);
    positions = td_ebml_begin(w, TD_MKV_CUE_POSITIONS, 1);
    td_ebml_write_uint(w, TD_MKV_CUE_TRACK, cue->track);
    td_ebml_write_uint(w, TD_MKV_CUE_CLUSTER, cue->offset - segment_data);
    td_ebml_end(w, positions, 1);
    td_ebml_end(w, point, 1);
}

static int append(const struct td_op_sink *sink, uint64_t *offset, const uint8_t *bytes, size_t len)
{
    const struct td_file_op op = {
        .kind = TD_OP_APPEND,
        .file = TD_FILE_MEDIA,
        .offset = *offset,
        .bytes = bytes,
        .len = len,
    };
    int r = sink->emit(sink->ctx, &op);

    if (r == 0)
        *offset += len;
    return r;
}

int td_mkv_cues_emit(const struct td_mkv_cues *c, uint64_t segment_data,
                     const struct td_op_sink *sink, uint64_t *offset)
{
    uint8_t piece[CUES_PIECE];
    struct td_writer w;
    uint64_t total = 0;
    int r;

    for (size_t i = 0; i < c->count; i++) {
        td_writer_init(&w, piece, sizeof(piece));
        write_point(&w, &c->cues[i], segment_data);
        total += td_writer_len(&w);
    }
    td_writer_init(&w, piece, sizeof(piece));
    td_ebml_write_id(&w, TD_MKV_CUES);
    td_ebml_write_size(&w, total, 8);
    for (size_t i = 0; i < c->count; i++) {
        write_point(&w, &c->cues[i], segment_data);
        if ((size_t)(w.end - w.at) >= CUES_POINT_MAX)
            continue;
        r = append(sink, offset, piece, td_writer_len(&w));
        if (r)
            return r;
        td_writer_init(&w, piece, sizeof(piece));
    }
    return td_writer_len(&w) > 0 ? append(sink, offset, piece, td_writer_len(&w)) : 0;
}
