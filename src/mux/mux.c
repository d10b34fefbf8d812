/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/mux.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "mux/hash.h"
#include "mux/mkv.h"
#include "mux/null.h"
#include "mux/ts.h"

/* The family, one row per container; probing goes from top to bottom. */
static const struct td_mux_ops *const mux_table[] = {
    &td_ts_mux_ops,
    &td_mkv_mux_ops,
    &td_null_mux_ops,
    &td_hash_mux_ops,
};

#define MUX_COUNT (sizeof(mux_table) / sizeof(mux_table[0]))

const struct td_mux_ops *const *td_mux_table(size_t *ret_count)
{
    *ret_count = MUX_COUNT;
    return mux_table;
}

const struct td_mux_ops *td_mux_by_name(const char *name)
{
    if (!name)
        return NULL;
    for (size_t i = 0; i < MUX_COUNT; i++)
        if (strcmp(mux_table[i]->name, name) == 0)
            return mux_table[i];
    return NULL;
}

const struct td_mux_ops *td_mux_by_content(const struct td_read_at *media)
{
    uint8_t head[TD_MUX_PROBE_BYTES];
    size_t len = 0;

    if (!media || !media->read_at)
        return NULL;
    while (len < sizeof(head)) {
        int64_t n = media->read_at(media->ctx, len, head + len, sizeof(head) - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    for (size_t i = 0; i < MUX_COUNT; i++)
        if (mux_table[i]->probe && mux_table[i]->probe(head, len))
            return mux_table[i];
    return NULL;
}

bool td_mux_takes(const struct td_mux_ops *ops, enum td_codec codec)
{
    return codec > TD_CODEC_NONE && codec < TD_CODEC_MAX && (ops->codecs & (1u << codec)) != 0;
}

static size_t state_offset(void)
{
    size_t align = _Alignof(max_align_t);

    return (sizeof(struct td_mux) + align - 1) / align * align;
}

void *td_mux_state(struct td_mux *m)
{
    return (uint8_t *)m + state_offset();
}

int td_mux_new(const struct td_mux_ops *ops, struct td_op_sink sink, struct td_mux **ret_mux)
{
    struct td_mux *m;
    int r;

    assert(ops && sink.emit);
    m = calloc(1, state_offset() + ops->state_size);
    if (!m)
        return -ENOMEM;
    m->ops = ops;
    m->sink = sink;
    r = ops->open ? ops->open(m) : 0;
    if (r < 0) {
        td_mux_free(m);
        return r;
    }
    *ret_mux = m;
    return 0;
}

int td_mux_resume(const struct td_mux_ops *ops, struct td_op_sink sink,
                  const struct td_mux_tail *tail, struct td_mux **ret_mux)
{
    struct td_mux *m;
    int r;

    if (!ops->resume)
        return -TD_E_UNSUPPORTED;
    if (tail->track_count == 0 || tail->track_count > TD_MUX_TRACKS_MAX)
        return -EINVAL;
    r = td_mux_new(ops, sink, &m);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < tail->track_count; i++) {
        m->tracks[i].codec = tail->tracks[i].codec;
        m->tracks[i].channels = tail->tracks[i].channels;
    }
    m->track_count = tail->track_count;
    m->offset[TD_FILE_MEDIA] = tail->bytes;
    m->started = true;
    r = ops->resume(m, tail);
    if (r < 0) {
        td_mux_free(m);
        return r;
    }
    *ret_mux = m;
    return 0;
}

struct td_mux *td_mux_free(struct td_mux *m)
{
    if (!m)
        return NULL;
    if (m->ops->destroy)
        m->ops->destroy(m);
    free(m);
    return NULL;
}

int td_mux_add_track(struct td_mux *m, const struct td_mux_track *track, unsigned *ret_track)
{
    struct td_mux_track *own;
    unsigned index = m->track_count;
    int r;

    if (m->failed)
        return m->failed;
    if (m->closed)
        return -TD_E_STATE;
    if (!td_mux_takes(m->ops, track->codec))
        return -TD_E_UNSUPPORTED;
    if (index >= TD_MUX_TRACKS_MAX)
        return TD_MUX_NEXT_PART;
    own = &m->tracks[index];
    *own = *track;
    own->name = NULL;
    own->language = NULL;
    own->first_key = NULL;
    r = m->ops->add_track ? m->ops->add_track(m, track, &index) : 0;
    if (r)
        return r;
    m->track_count++;
    *ret_track = index;
    return 0;
}

int td_mux_write(struct td_mux *m, const struct td_frame *frame)
{
    int r;

    if (m->failed)
        return m->failed;
    if (m->closed)
        return -TD_E_STATE;
    if (frame->track >= m->track_count || frame->codec != m->tracks[frame->track].codec)
        return -EINVAL;
    if (!frame->bytes || frame->len == 0 || frame->pts_us < 0)
        return -EINVAL;
    if (frame->len > TD_FRAME_BYTES_MAX)
        return -TD_E_LIMIT;
    r = m->ops->write(m, frame);
    if (r == 0)
        m->started = true;
    return r;
}

int td_mux_idle(struct td_mux *m, int64_t pts_us)
{
    int r;

    if (m->failed)
        return m->failed;
    if (m->closed)
        return -TD_E_STATE;
    if (pts_us < 0)
        return -EINVAL;
    if (!m->ops->idle || m->track_count == 0)
        return 0;
    r = m->ops->idle(m, pts_us);
    if (r == 0)
        m->started = true;
    return r;
}

int td_mux_close(struct td_mux *m)
{
    int r;

    if (m->failed)
        return m->failed;
    if (m->closed)
        return 0;
    r = m->ops->close ? m->ops->close(m) : 0;
    if (r == 0)
        m->closed = true;
    return r;
}

int td_mux_seal(const struct td_mux_ops *ops, const struct td_read_at *media,
                const struct td_read_at *index, const struct td_op_sink *sink,
                struct td_scan *ret_scan)
{
    static const struct td_read_at none = {.read_at = NULL};
    struct td_scan scan = {.sealed = true};
    int r;

    assert(media && sink && sink->emit);
    if (ops->seal) {
        if (!media->read_at)
            return -ENOENT;
        scan.sealed = false;
        r = ops->seal(media, index ? index : &none, sink, &scan);
        if (r)
            return r;
    }
    if (ret_scan)
        *ret_scan = scan;
    return 0;
}

int td_mux_scan(const struct td_mux_ops *ops, const struct td_read_at *media,
                td_scan_frame_fn *frame, void *ctx, struct td_scan *ret_scan)
{
    struct td_scan scan = {.sealed = false};
    int r;

    if (!ops->scan)
        return -TD_E_UNSUPPORTED;
    if (!media->read_at)
        return -ENOENT;
    r = ops->scan(media, frame, ctx, &scan);
    if (r)
        return r;
    if (ret_scan)
        *ret_scan = scan;
    return 0;
}

int td_mux_tail(const struct td_mux_ops *ops, const struct td_read_at *media,
                struct td_mux_tail *ret_tail)
{
    if (!ops->tail)
        return TD_MUX_NEXT_PART;
    if (!media->read_at)
        return -ENOENT;
    return ops->tail(media, ret_tail);
}

static int mux_emit(struct td_mux *m, const struct td_file_op *op)
{
    int r;

    if (m->failed)
        return m->failed;
    r = m->sink.emit(m->sink.ctx, op);
    if (r < 0)
        m->failed = r;
    return r;
}

int td_mux_append(struct td_mux *m, enum td_file_slot file, const void *bytes, size_t len)
{
    const struct td_file_op op = {
        .kind = TD_OP_APPEND,
        .file = file,
        .offset = m->offset[file],
        .bytes = bytes,
        .len = len,
    };
    int r = mux_emit(m, &op);

    if (r == 0)
        m->offset[file] += len;
    return r;
}

int td_mux_patch(struct td_mux *m, enum td_file_slot file, uint64_t offset, const void *bytes,
                 size_t len)
{
    const struct td_file_op op = {
        .kind = TD_OP_PATCH,
        .file = file,
        .offset = offset,
        .bytes = bytes,
        .len = len,
    };

    assert(len > 0 && offset + len <= m->offset[file]);
    assert(offset / 512 == (offset + len - 1) / 512);
    return mux_emit(m, &op);
}
