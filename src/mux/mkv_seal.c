/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "mux/mkv_cues.h"
#include "mux/mkv_index.h"
#include "mux/mkv_scan.h"

/* A file up to this size is read whole; of a longer one its head, and what the index does not vouch
 * for. */
#define SEAL_WHOLE_BYTES (UINT64_C(32) << 20)
#define SEAL_CHECKED 256u /* Clusters from the end whose headers are looked at: 100 s of them */
#define SEAL_AUDIO_CUE_TICKS (5000000 / TD_MKV_TICK_US)
#define SEAL_SECTOR 512u

struct seal {
    const struct td_read_at *media;
    const struct td_op_sink *sink;
    struct td_mkv_scan scan;
    struct td_mkv_cues cues;
    uint64_t first_offset; /* of the first Cluster with a block, for a file without any cue */
    uint64_t damage_from;  /* damage before the first Cluster, covered when there is one */
    uint64_t damage_to;
    struct td_mkv_record ring[SEAL_CHECKED]; /* the index's last records */
    size_t ring_count;                       /* ever put in */
};

static int emit_patch(const struct seal *s, uint64_t offset, const uint8_t *bytes, size_t len)
{
    const struct td_file_op op = {
        .kind = TD_OP_PATCH,
        .file = TD_FILE_MEDIA,
        .offset = offset,
        .bytes = bytes,
        .len = len,
    };

    return s->sink->emit(s->sink->ctx, &op);
}

/* Patches only what differs, so that a second seal has nothing to do. Strangers' files may have it
 * across a sector: it is then left as it is, it is only a convenience. */
static int patch(struct seal *s, uint64_t offset, const uint8_t *bytes, size_t len)
{
    uint8_t old[32];
    int64_t n;

    if (offset / SEAL_SECTOR != (offset + len - 1) / SEAL_SECTOR)
        return 0;
    n = td_input_read(s->media, offset, old, len);
    if (n < 0)
        return (int)n;
    if ((size_t)n == len && memcmp(old, bytes, len) == 0)
        return 0;
    return emit_patch(s, offset, bytes, len);
}

/* Makes what cannot be read a Void, so that every reader steps over it the same way; its content is
 * left alone. A header that would cross a sector is led up to by a small Void. */
static int cover(struct seal *s, uint64_t from, uint64_t to)
{
    while (to - from >= 2) {
        uint64_t room = SEAL_SECTOR - from % SEAL_SECTOR;
        uint64_t total = to - from;
        uint8_t header[9] = {TD_EBML_VOID};
        unsigned width = 8;
        int r;

        if (room < 2) /* not even id and size: left to the readers */
            return 0;
        if (room < sizeof(header) || total < sizeof(header)) {
            total = room < total ? room : total;
            width = 1;
        }
        if (to - from - total == 1) /* one byte cannot be covered alone */
            total -= total > 2 ? 1 : 0;
        td_ebml_put_size(header + 1, total - 1 - width, width);
        r = patch(s, from, header, 1 + width);
        if (r)
            return r;
        from += total;
    }
    return 0;
}

static int on_damage(void *ctx, uint64_t from, uint64_t to)
{
    struct seal *s = ctx;

    if (s->first_offset)
        return cover(s, from, to);
    s->damage_from = from;
    s->damage_to = to;
    return 0;
}

/* A Cluster was walked to its end: close it, and remember it as a cue. */
static int on_cluster(void *ctx, const struct td_mkv_cluster *c)
{
    struct seal *s = ctx;
    const struct td_mkv_cue cue = {
        .offset = c->offset,
        .time_ticks = c->cue_ticks,
        .track = c->cue_track,
    };
    uint8_t size[8];
    int r = 0;

    if (s->first_offset == 0)
        s->first_offset = c->offset;
    if (s->damage_to > s->damage_from) {
        r = cover(s, s->damage_from, s->damage_to);
        s->damage_to = 0;
        if (r)
            return r;
    }
    if (!s->scan.has_video && s->cues.interval_ticks < SEAL_AUDIO_CUE_TICKS)
        s->cues.interval_ticks = SEAL_AUDIO_CUE_TICKS;
    if (c->cue)
        r = td_mkv_cues_add(&s->cues, &cue);
    if (r < 0 || c->size_right || c->size_width != sizeof(size))
        return r;
    td_ebml_put_size(size, c->end - c->offset - TD_MKV_CLUSTER_HEADER, sizeof(size));
    return patch(s, c->offset + 4, size, sizeof(size));
}

/* ---- the index ---- */

/* Takes the records of this file in order; the first bad one ends it. */
static int read_index(struct seal *s, const struct td_read_at *index)
{
    uint8_t bytes[TD_MKV_RECORD_BYTES * 64];
    struct td_mkv_record record;
    uint64_t generation;
    uint64_t last = 0;
    uint64_t at = 0;

    memcpy(&generation, s->scan.layout.uid, sizeof(generation));
    for (;;) {
        int64_t n = td_input_read(index, at, bytes, sizeof(bytes));

        if (n < 0)
            return (int)n;
        for (int64_t i = 0; i + (int64_t)TD_MKV_RECORD_BYTES <= n; i += TD_MKV_RECORD_BYTES) {
            struct td_mkv_cue cue;
            int r;

            if (td_mkv_record_get(bytes + i, &record) < 0 || record.generation != generation ||
                record.offset <= last || record.time_ticks < 0)
                return 0;
            if (record.offset + TD_MKV_CLUSTER_HEADER >= s->media->size)
                return 0;
            last = record.offset;
            s->ring[s->ring_count++ % SEAL_CHECKED] = record;
            cue = (struct td_mkv_cue){record.offset, record.time_ticks, record.track};
            r = record.cue ? td_mkv_cues_add(&s->cues, &cue) : 0;
            if (r < 0)
                return r;
        }
        if (n < (int64_t)sizeof(bytes))
            return 0;
        at += sizeof(bytes);
    }
}

/* Whether a Cluster stands at a record's offset, and whether it is closed before `next`.
 * 1 closed, 0 open, -TD_E_PARSE for none, or a read error. */
static int check_record(struct seal *s, const struct td_mkv_record *record, uint64_t next)
{
    uint8_t bytes[TD_MKV_CLUSTER_HEADER + 1];
    struct td_ebml_element e;
    int64_t n = td_input_read(s->media, record->offset, bytes, sizeof(bytes));

    if (n < 0)
        return (int)n;
    if (td_ebml_parse(bytes, (size_t)n, &e) != 0 || e.id != TD_MKV_CLUSTER || e.size_width != 8 ||
        n < (int64_t)sizeof(bytes) || bytes[TD_MKV_CLUSTER_HEADER] != TD_MKV_TIMESTAMP)
        return -TD_E_PARSE;
    return e.size <= next - record->offset - TD_MKV_CLUSTER_HEADER ? 1 : 0;
}

/* From the checked records: where to walk from. One Cluster before the last that stands where the
 * index says, or before the first doubt: that one may have no whole block, but the end of the media
 * has to be seen. 0 = the index is of no use. */
static int choose_start(struct seal *s, uint64_t *ret_start)
{
    size_t count = s->ring_count < SEAL_CHECKED ? s->ring_count : SEAL_CHECKED;
    uint64_t before = 0;
    uint64_t start = 0;

    for (size_t i = 0; i < count; i++) {
        const struct td_mkv_record *record = &s->ring[(s->ring_count - count + i) % SEAL_CHECKED];
        bool last = i + 1 == count;
        uint64_t next = last ? s->media->size
                             : s->ring[(s->ring_count - count + i + 1) % SEAL_CHECKED].offset;
        int r = check_record(s, record, next);

        if (r == -TD_E_PARSE)
            break;
        if (r < 0)
            return r;
        start = before ? before : record->offset;
        before = record->offset;
        if (r == 0)
            break;
    }
    *ret_start = start;
    return 0;
}

/* ---- reading ---- */

static void reset_cues(struct seal *s)
{
    td_mkv_cues_cut(&s->cues, 0);
    s->cues.interval_ticks = 0;
}

/* Head and first Cluster, for the tracks and where time begins. */
static int read_head(struct seal *s, uint64_t at)
{
    int r;

    s->scan.stop_after_first = true;
    s->scan.on_cluster = NULL;
    r = td_mkv_scan_walk(&s->scan, at);
    s->scan.stop_after_first = false;
    s->scan.on_cluster = on_cluster;
    return r;
}

/* Sums of the head are kept: the walk of the tail adds to them. Walking everything starts anew. */
static int read_media(struct seal *s, const struct td_read_at *index, uint64_t whole_bytes,
                      uint64_t at)
{
    struct td_scan *result = s->scan.result;
    uint64_t start = 0;
    int r;

    s->scan.on_cluster = on_cluster;
    s->scan.on_damage = on_damage;
    s->scan.cluster_ctx = s;
    if (s->media->size <= whole_bytes || !index->read_at)
        return td_mkv_scan_walk(&s->scan, at);
    r = read_head(s, at);
    if (r)
        return r;
    if (!s->scan.has_video)
        s->cues.interval_ticks = SEAL_AUDIO_CUE_TICKS;
    r = read_index(s, index);
    if (r == 0)
        r = choose_start(s, &start);
    if (r < 0)
        return r;
    s->first_offset = s->scan.layout.first_cluster;
    if (start > s->scan.layout.first_cluster) {
        td_mkv_cues_cut(&s->cues, start);
        result->partial = true;
        /* What is before was checked; the walk only moves these on. */
        result->valid_bytes = start;
        s->scan.layout.clusters_end = start;
        return td_mkv_scan_walk(&s->scan, start);
    }
    reset_cues(s);
    s->scan.in_cluster = false;
    result->track_count = 0;
    memset(result->tracks, 0, sizeof(result->tracks));
    result->damaged_units = 0;
    result->discontinuities = 0;
    return td_mkv_scan_walk(&s->scan, at);
}

/* ---- writing ---- */

static int emit_plain(const struct seal *s, enum td_file_op_kind kind, uint64_t offset)
{
    const struct td_file_op op = {.kind = kind, .file = TD_FILE_MEDIA, .offset = offset};

    return s->sink->emit(s->sink->ctx, &op);
}

/* Seek entry: everything but the first three bytes lies inside the Void and is not read; then the
 * three that turn it. docs/formats/mkv.md shows that any part of them leaves a readable file. */
static int patch_seek(struct seal *s, uint64_t cues_at)
{
    const struct td_mkv_layout *l = &s->scan.layout;
    uint8_t seek[TD_MKV_SEEK_BYTES];
    int r;

    if (!l->seek_at)
        return 0;
    td_mkv_put_seek(seek, TD_MKV_CUES, cues_at - l->segment_data);
    if (l->has_seek)
        return patch(s, l->seek_at, seek, sizeof(seek));
    r = patch(s, l->seek_at + 2, seek + 2, sizeof(seek) - 2);
    return r ? r : patch(s, l->seek_at, seek, 2);
}

/* Duration: the second byte of its id is the size byte of the Void, so one byte turns it. */
static int patch_duration(struct seal *s)
{
    const struct td_mkv_layout *l = &s->scan.layout;
    uint8_t bytes[TD_MKV_DURATION_BYTES];
    double ticks = (double)s->scan.result->duration_us * 1000.0 /
                   (double)s->scan.layout.timestamp_scale;
    int r;

    if (!l->duration_at)
        return 0;
    td_mkv_put_duration(bytes, ticks);
    r = patch(s, l->duration_at + 2, bytes + 2, sizeof(bytes) - 2);
    return r ? r : patch(s, l->duration_at, bytes, 2);
}

static int patch_segment(struct seal *s, uint64_t end)
{
    const struct td_mkv_layout *l = &s->scan.layout;
    uint8_t size[8];

    if (l->segment_size_width != sizeof(size))
        return 0;
    td_ebml_put_size(size, end - l->segment_data, sizeof(size));
    return patch(s, l->segment_size_at, size, sizeof(size));
}

/* The media ends at `end`. In order: cut, Cues, sync, then the patches that point at them, and last
 * the Segment's size, which says that all is done. Any prefix is readable and is begun again from
 * the cut by the next seal. */
static int finish(struct seal *s, uint64_t end)
{
    struct td_scan *result = s->scan.result;
    const struct td_mkv_cue first = {.offset = s->first_offset, .time_ticks = 0, .track = 1};
    uint64_t cues_at = end;
    int r = 0;

    if (end < s->media->size)
        r = emit_plain(s, TD_OP_TRUNCATE, end);
    if (r == 0 && s->cues.count == 0 && s->first_offset)
        r = td_mkv_cues_add(&s->cues, &first);
    if (r == 0)
        r = td_mkv_cues_emit(&s->cues, s->scan.layout.segment_data, s->sink, &end);
    if (r == 0)
        r = emit_plain(s, TD_OP_SYNC, 0);
    if (r == 0)
        r = patch_seek(s, cues_at);
    if (r == 0)
        r = patch_duration(s);
    if (r == 0)
        r = patch_segment(s, end);
    if (r == 0) {
        result->bytes = end;
        result->valid_bytes = end;
        result->sealed = true;
    }
    return r;
}

/* Somebody else's file with elements behind the Clusters: only what is torn is cut. */
static int finish_foreign(struct seal *s)
{
    struct td_scan *result = s->scan.result;
    int r = 0;

    if (result->valid_bytes < s->media->size)
        r = emit_plain(s, TD_OP_TRUNCATE, result->valid_bytes);
    if (r == 0) {
        result->bytes = result->valid_bytes;
        result->sealed = true;
    }
    return r;
}

/* Whether all is done that can be: Cues at the end, and head and sizes say so, where the head has
 * (still) a place to say it. */
static bool is_sealed(const struct seal *s)
{
    const struct td_mkv_layout *l = &s->scan.layout;
    bool sized = l->segment_size_width == 8;

    if (!l->cues_at || l->cues_end != s->media->size)
        return false;
    if (sized && l->segment_data + l->segment_size != s->media->size)
        return false;
    if (l->seek_at && (!l->has_seek || l->seek_position != l->cues_at - l->segment_data))
        return false;
    return l->has_duration || !l->duration_at;
}

static bool has_frames(const struct td_scan *scan)
{
    for (unsigned i = 0; i < scan->track_count; i++)
        if (scan->tracks[i].frames > 0)
            return true;
    return false;
}

/* A long file that is sealed already is not walked: size, SeekHead and Cues agree. */
static int already_sealed(struct seal *s, uint64_t at, bool *ret_sealed)
{
    const struct td_mkv_layout *l = &s->scan.layout;
    struct td_scan *result = s->scan.result;
    uint64_t cues;
    int r;

    *ret_sealed = false;
    if (l->segment_size == TD_EBML_UNKNOWN || l->segment_data + l->segment_size != s->media->size)
        return 0;
    r = read_head(s, at);
    if (r)
        return r;
    cues = l->segment_data + l->seek_position;
    if (l->has_seek && cues > l->first_cluster && cues < s->media->size) {
        s->scan.in_cluster = false;
        r = td_mkv_scan_walk(&s->scan, cues);
        if (r)
            return r;
        td_mkv_scan_summarise(&s->scan);
        *ret_sealed = is_sealed(s);
    }
    if (*ret_sealed) {
        result->partial = true;
        result->duration_us = (int64_t)(l->duration * (double)l->timestamp_scale / 1000.0);
    }
    return 0;
}

static int seal_run(struct seal *s, const struct td_read_at *index, uint64_t whole_bytes)
{
    struct td_scan *result = s->scan.result;
    bool sealed = false;
    int64_t at = td_mkv_scan_open(&s->scan);
    int r;

    if (at <= 0)
        return at < 0 && at != -TD_E_PARSE ? (int)at : -TD_E_DAMAGED;
    if (s->media->size > whole_bytes) {
        r = already_sealed(s, (uint64_t)at, &sealed);
        if (r || sealed)
            return r;
        td_mkv_scan_done(&s->scan);
        memset(result, 0, sizeof(*result));
        r = td_mkv_scan_init(&s->scan, s->media, result);
        at = r == 0 ? td_mkv_scan_open(&s->scan) : r;
        if (at < 0)
            return (int)at;
    }
    r = read_media(s, index, whole_bytes, (uint64_t)at);
    if (r)
        return r;
    td_mkv_scan_summarise(&s->scan);
    if (!has_frames(result) || s->scan.layout.clusters_end == 0)
        return -TD_E_DAMAGED;
    if (is_sealed(s)) {
        result->sealed = true;
        return 0;
    }
    if (s->scan.layout.foreign_tail)
        return finish_foreign(s);
    return finish(s, s->scan.layout.clusters_end);
}

int td_mkv_seal_above(const struct td_read_at *media, const struct td_read_at *index,
                      const struct td_op_sink *sink, uint64_t whole_bytes, struct td_scan *ret_scan)
{
    struct td_scan result = {.bytes = 0};
    struct seal s = {.media = media, .sink = sink};
    int r = td_mkv_scan_init(&s.scan, media, &result);

    td_mkv_cues_init(&s.cues, TD_MKV_CUES_MAX);
    if (r == 0)
        r = seal_run(&s, index, whole_bytes);
    td_mkv_cues_done(&s.cues);
    td_mkv_scan_done(&s.scan);
    if (r == 0)
        *ret_scan = result;
    return r;
}

int td_mkv_seal(const struct td_read_at *media, const struct td_read_at *index,
                const struct td_op_sink *sink, struct td_scan *ret_scan)
{
    return td_mkv_seal_above(media, index, sink, SEAL_WHOLE_BYTES, ret_scan);
}
