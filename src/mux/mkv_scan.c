/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/mkv_scan.h"

#include <string.h>

#include "base/limits.h"
#include "media/h264.h"
#include "media/opus.h"
#include "mux/mkv_head.h"
#include "mux/mkv_tracks.h"

#define SCAN_HEADER_MAX 4096u      /* the EBML header of strangers */
#define SCAN_TRACKS_MAX (1u << 20) /* Tracks, Info and SeekHead of strangers */
#define SCAN_BLOCK_MAX (TD_FRAME_BYTES_MAX + 1024u)
#define SCAN_TICKS_MAX (INT64_C(1) << 50) /* keeps sums in range; 35 000 years of milliseconds */

enum walk {
    WALK_ON = 0,
    WALK_END = 1,  /* torn here */
    WALK_LOST = 2, /* not an element: look for the next Cluster */
    WALK_STOP = 3, /* a callback said so; its answer is in stop_value */
};

int td_mkv_scan_init(struct td_mkv_scan *s, const struct td_read_at *media, struct td_scan *result)
{
    *s = (struct td_mkv_scan){.result = result, .layout.timestamp_scale = 1000000};
    result->bytes = media->size;
    td_bytes_init(&s->body, SCAN_BLOCK_MAX, NULL);
    td_bytes_init(&s->annexb, SCAN_BLOCK_MAX, NULL);
    return td_input_init(&s->in, media, TD_MKV_WINDOW);
}

void td_mkv_scan_done(struct td_mkv_scan *s)
{
    td_bytes_done(&s->body);
    td_bytes_done(&s->annexb);
    td_input_done(&s->in);
}

static int stop_with(struct td_mkv_scan *s, int answer)
{
    s->stop_value = answer;
    return answer ? WALK_STOP : WALK_ON;
}

/* Parses the element header at `offset`; WALK_*, or a read error. */
static int element_at(struct td_mkv_scan *s, uint64_t offset, struct td_ebml_element *ret_element)
{
    const uint8_t *bytes = NULL;
    int64_t n = td_input_view(&s->in, offset, TD_EBML_HEADER_MAX, &bytes);
    int r;

    if (n < 0)
        return (int)n;
    r = td_ebml_parse(bytes, (size_t)n, ret_element);
    if (r == 1)
        return WALK_END;
    return r < 0 ? WALK_LOST : WALK_ON;
}

/* Reads the body of an element to s->body; WALK_END when the file ends before. */
static int load(struct td_mkv_scan *s, uint64_t offset, uint64_t len)
{
    int r;

    td_bytes_clear(&s->body);
    if (len > SCAN_BLOCK_MAX)
        return WALK_LOST;
    r = td_bytes_reserve(&s->body, (size_t)len + 1);
    if (r < 0)
        return r;
    r = td_input_copy(&s->in, offset, s->body.data, (size_t)len);
    if (r == -TD_E_PARSE)
        return WALK_END;
    if (r < 0)
        return r;
    s->body.len = (size_t)len;
    return WALK_ON;
}

/* Whether the file has bytes up to `end`. */
static int reaches(struct td_mkv_scan *s, uint64_t end)
{
    const uint8_t *bytes = NULL;
    int64_t n;

    if (end <= s->in.file->size || (end >= s->in.start && end <= s->in.start + s->in.len))
        return WALK_ON;
    n = td_input_view(&s->in, end - 1, 1, &bytes);
    if (n < 0)
        return (int)n;
    return n >= 1 ? WALK_ON : WALK_END;
}

static bool is_cluster_child(uint32_t id)
{
    return id == TD_MKV_TIMESTAMP || id == TD_MKV_SIMPLE_BLOCK || id == TD_MKV_BLOCK_GROUP ||
           id == TD_MKV_POSITION || id == TD_MKV_PREV_SIZE || id == TD_EBML_CRC32 ||
           id == TD_MKV_SILENT_TRACKS || id == TD_MKV_ENCRYPTED_BLOCK;
}

static bool is_segment_child(uint32_t id)
{
    return id == TD_MKV_SEEK_HEAD || id == TD_MKV_INFO || id == TD_MKV_TRACKS ||
           id == TD_MKV_CUES || id == TD_MKV_TAGS || id == TD_MKV_ATTACHMENTS ||
           id == TD_MKV_CHAPTERS;
}

/* Of a Void, garbage has everything but what comes behind it: something known, or the end. */
static int skip_void(struct td_mkv_scan *s, uint64_t end)
{
    struct td_ebml_element e;
    int r = reaches(s, end);

    if (r)
        return r;
    r = element_at(s, end, &e);
    if (r == WALK_END)
        return WALK_ON;
    if (r)
        return r;
    return e.id == TD_MKV_CLUSTER || e.id == TD_EBML_VOID || is_segment_child(e.id) ||
                   is_cluster_child(e.id)
               ? WALK_ON
               : WALK_LOST;
}

int64_t td_mkv_scan_open(struct td_mkv_scan *s)
{
    struct td_ebml_element e;
    uint64_t at;
    int r = element_at(s, 0, &e);

    if (r)
        return r == WALK_END ? 0 : r == WALK_LOST ? -TD_E_PARSE : r;
    if (e.id != TD_EBML_HEADER || e.size > SCAN_HEADER_MAX)
        return -TD_E_PARSE;
    at = e.header_len + e.size;
    r = element_at(s, at, &e);
    if (r)
        return r == WALK_END ? 0 : r == WALK_LOST ? -TD_E_PARSE : r;
    if (e.id != TD_MKV_SEGMENT)
        return -TD_E_PARSE;
    s->layout.segment_size_at = at + e.header_len - e.size_width;
    s->layout.segment_size_width = e.size_width;
    s->layout.segment_size = e.size;
    s->layout.segment_data = at + e.header_len;
    return (int64_t)s->layout.segment_data;
}

/* ---- frames ---- */

static int64_t ticks_us(const struct td_mkv_scan *s, int64_t ticks)
{
    uint64_t scale = s->layout.timestamp_scale;

    if (scale == TD_MKV_TICK_US * 1000u)
        return ticks * TD_MKV_TICK_US;
    return (int64_t)((double)ticks * (double)scale / 1000.0);
}

static int to_annexb(struct td_mkv_scan *s, const uint8_t *bytes, size_t len, unsigned nal_length)
{
    static const uint8_t start_code[4] = {0, 0, 0, 1};
    struct td_reader r;

    td_bytes_clear(&s->annexb);
    td_reader_init(&r, bytes, len);
    while (td_reader_left(&r) > 0) {
        const uint8_t *length = td_read_bytes(&r, nal_length);
        uint64_t nal_len = length ? td_ebml_uint(length, nal_length) : 0;
        const uint8_t *nal = length && nal_len <= len ? td_read_bytes(&r, (size_t)nal_len) : NULL;
        int err;

        if (!nal)
            return -TD_E_PARSE;
        err = td_bytes_append(&s->annexb, start_code, sizeof(start_code));
        if (err == 0)
            err = td_bytes_append(&s->annexb, nal, (size_t)nal_len);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Takes the frame's bytes apart as far as its codec needs it; -TD_E_PARSE for a damaged one. */
static int complete_frame(struct td_mkv_scan *s, unsigned index, struct td_frame *frame)
{
    struct td_h264_sps sps;
    int r;

    switch (frame->codec) {
    case TD_CODEC_OPUS:
        frame->duration_us = td_opus_duration_us(frame->bytes, frame->len);
        if (frame->duration_us < 0)
            frame->duration_us = 0;
        return 0;
    case TD_CODEC_H264:
        r = to_annexb(s, frame->bytes, frame->len, s->tracks[index].nal_length);
        if (r < 0)
            return r;
        frame->bytes = s->annexb.data;
        frame->len = s->annexb.len;
        if (frame->key && td_h264_frame_sps(frame->bytes, frame->len, &sps) == 0) {
            frame->width = sps.width;
            frame->height = sps.height;
        }
        return 0;
    default:
        if (frame->key && frame->len >= 10) { /* RFC 6386 section 9.1 */
            frame->width = (uint16_t)((frame->bytes[7] & 0x3f) << 8 | frame->bytes[6]);
            frame->height = (uint16_t)((frame->bytes[9] & 0x3f) << 8 | frame->bytes[8]);
        }
        return 0;
    }
}

static int deliver(struct td_mkv_scan *s, struct td_frame *frame)
{
    struct td_scan_track *t = &s->result->tracks[frame->track];
    int64_t end = frame->pts_us + frame->duration_us;

    if (t->frames == 0 || frame->pts_us < t->first_pts_us)
        t->first_pts_us = frame->pts_us;
    if (t->frames == 0 || frame->pts_us > t->last_pts_us)
        t->last_pts_us = frame->pts_us;
    if (t->frames == 0 || end > t->end_pts_us)
        t->end_pts_us = end;
    t->frames++;
    t->key_frames += frame->key;
    s->result->discontinuities += frame->discontinuity;
    return stop_with(s, s->frame ? s->frame(s->ctx, frame) : 0);
}

static void note_cue(struct td_mkv_scan *s, const struct td_frame *frame, uint64_t number,
                     int64_t ticks)
{
    struct td_mkv_cluster *c = &s->cluster;

    c->blocks++;
    if (c->cue || !frame->key || (s->has_video && frame->codec == TD_CODEC_OPUS))
        return;
    c->cue = true;
    c->cue_track = number;
    c->cue_ticks = ticks;
}

/* A whole Block or SimpleBlock body, RFC 9559 sections 10.1 and 10.2. */
static int take_block(struct td_mkv_scan *s, const uint8_t *body, size_t len, bool simple, bool key)
{
    struct td_frame frame = {.codec = TD_CODEC_NONE};
    struct td_reader r;
    uint64_t number;
    uint8_t flags;
    int64_t ticks;
    unsigned index;
    int err;

    td_reader_init(&r, body, len);
    number = td_ebml_read_vint(&r);
    ticks = s->time + (int16_t)td_read_be16(&r);
    flags = td_read_u8(&r);
    if (r.bad || !s->has_time || td_reader_left(&r) == 0 ||
        td_reader_left(&r) > TD_FRAME_BYTES_MAX) {
        s->result->damaged_units++;
        return 0;
    }
    for (index = 0; index < s->result->track_count; index++)
        if (s->tracks[index].number == number)
            break;
    if (index == s->result->track_count || (flags & 0x06)) /* laced: not by us, not read */
        return 0;
    frame.codec = s->result->tracks[index].codec;
    frame.key = simple ? (flags & 0x80) != 0 : key;
    frame.discontinuity = s->hole_track == number;
    frame.pts_us = ticks_us(s, ticks);
    frame.track = index;
    frame.bytes = r.at;
    frame.len = td_reader_left(&r);
    err = complete_frame(s, index, &frame);
    if (err == -TD_E_PARSE || err == -TD_E_LIMIT) {
        s->result->damaged_units++;
        return 0;
    }
    if (err < 0)
        return err;
    note_cue(s, &frame, number, ticks);
    return deliver(s, &frame);
}

static int take_group(struct td_mkv_scan *s)
{
    const uint8_t *block = NULL;
    size_t block_len = 0;
    bool key = true;
    struct td_ebml_element e;
    const uint8_t *child;
    struct td_reader r;

    td_reader_init(&r, s->body.data, s->body.len);
    while (td_ebml_next(&r, &e, &child)) {
        if (e.id == TD_MKV_BLOCK) {
            block = child;
            block_len = (size_t)e.size;
        } else if (e.id == TD_MKV_REFERENCE_BLOCK) {
            key = false;
        }
    }
    return block && block_len > 0 ? take_block(s, block, block_len, false, key) : 0;
}

/* ---- clusters ---- */

static int end_cluster(struct td_mkv_scan *s, uint64_t end)
{
    struct td_mkv_cluster *c = &s->cluster;

    if (!s->in_cluster)
        return 0;
    s->in_cluster = false;
    c->end = end;
    if (c->size != TD_EBML_UNKNOWN && c->offset + TD_MKV_CLUSTER_HEADER + c->size == end)
        s->boundary_seen = true;
    c->size_right = s->boundary_seen && !s->block_behind;
    return stop_with(s, s->on_cluster && c->blocks > 0 ? s->on_cluster(s->cluster_ctx, c) : 0);
}

static void begin_cluster(struct td_mkv_scan *s, uint64_t offset, const struct td_ebml_element *e)
{
    s->in_cluster = true;
    s->has_time = false;
    s->hole_track = 0;
    s->boundary_seen = false;
    s->block_behind = false;
    s->cluster = (struct td_mkv_cluster){
        .offset = offset,
        .size = e->size,
        .size_width = e->size_width,
    };
    if (s->layout.first_cluster == 0)
        s->layout.first_cluster = offset;
    s->layout.cues_at = 0;
    s->layout.cues_end = 0;
    s->layout.foreign_tail = false;
}

/* The end of a whole element that is part of the media. */
static void valid_to(struct td_mkv_scan *s, uint64_t end)
{
    s->result->valid_bytes = end;
    s->layout.clusters_end = end;
}

/* Something inside a Cluster, or a Void anywhere behind the first one. */
static int walk_child(struct td_mkv_scan *s, uint64_t offset, const struct td_ebml_element *e)
{
    uint64_t body = offset + e->header_len;
    uint64_t end = body + e->size;
    bool block = e->id == TD_MKV_SIMPLE_BLOCK || e->id == TD_MKV_BLOCK_GROUP;
    uint64_t declared = s->cluster.offset + TD_MKV_CLUSTER_HEADER + s->cluster.size;
    int r = e->id == TD_EBML_VOID && e->size != TD_MKV_HOLE_BYTES ? skip_void(s, end)
                                                                  : load(s, body, e->size);

    if (r)
        return r;
    if (s->cluster.size != TD_EBML_UNKNOWN && offset == declared)
        s->boundary_seen = true;
    if (s->boundary_seen && block)
        s->block_behind = true;
    if (e->id == TD_MKV_TIMESTAMP && e->size <= 8) {
        uint64_t time = td_ebml_uint(s->body.data, e->size);

        s->has_time = time < SCAN_TICKS_MAX;
        s->time = s->has_time ? (int64_t)time : 0;
        return 0; /* a Cluster without a block is worth nothing at the end of a file */
    }
    if (e->id == TD_EBML_VOID && e->size == TD_MKV_HOLE_BYTES &&
        memcmp(s->body.data, "TDH", 3) == 0) {
        s->hole_track = s->body.data[3];
        return 0; /* it belongs to the block behind it */
    }
    if (e->id == TD_MKV_SIMPLE_BLOCK)
        r = take_block(s, s->body.data, s->body.len, true, false);
    else if (e->id == TD_MKV_BLOCK_GROUP)
        r = take_group(s);
    if (block)
        s->hole_track = 0;
    if (s->cluster.blocks > 0 && !s->layout.cues_at)
        valid_to(s, end);
    return r;
}

/* An element of the Segment that is not a Cluster. */
static int walk_segment_child(struct td_mkv_scan *s, uint64_t offset,
                              const struct td_ebml_element *e)
{
    uint64_t body = offset + e->header_len;
    bool head = e->id == TD_MKV_SEEK_HEAD || e->id == TD_MKV_INFO || e->id == TD_MKV_TRACKS;
    int r;

    if (e->size == TD_EBML_UNKNOWN)
        return WALK_LOST;
    r = reaches(s, body + e->size);
    if (e->id == TD_MKV_CUES && s->layout.first_cluster && !s->layout.cues_at) {
        s->layout.cues_at = offset; /* perhaps torn: then the end stays 0 */
        s->layout.cues_end = r == WALK_ON ? body + e->size : 0;
    } else if (s->layout.first_cluster && r == WALK_ON) {
        s->layout.foreign_tail = true;
    }
    if (r)
        return r;
    if (head && e->size <= SCAN_TRACKS_MAX) {
        r = load(s, body, e->size);
        if (r)
            return r;
    }
    if (e->id == TD_MKV_SEEK_HEAD && head)
        td_mkv_take_seek_head(s, s->body.data, s->body.len, body);
    else if (e->id == TD_MKV_INFO)
        td_mkv_take_info(s, s->body.data, s->body.len, body);
    else if (e->id == TD_MKV_TRACKS)
        td_mkv_take_tracks(s, s->body.data, s->body.len);
    s->result->valid_bytes = body + e->size;
    return WALK_ON;
}

/* One element at `*offset`, which moves behind it; WALK_*, or what a callback or read answered. */
static int walk_element(struct td_mkv_scan *s, uint64_t *offset)
{
    struct td_ebml_element e;
    int r = element_at(s, *offset, &e);

    if (r)
        return r;
    if (e.id == TD_MKV_CLUSTER) {
        r = end_cluster(s, *offset);
        if (r)
            return r;
        if (s->stop_after_first && s->layout.first_cluster)
            return WALK_END;
        begin_cluster(s, *offset, &e);
        *offset += e.header_len;
        return WALK_ON;
    }
    if (e.size > TD_EBML_SIZE_MAX)
        return WALK_LOST;
    if (is_segment_child(e.id)) {
        r = end_cluster(s, *offset);
        if (r == 0)
            r = walk_segment_child(s, *offset, &e);
    } else if (s->layout.first_cluster && (is_cluster_child(e.id) || e.id == TD_EBML_VOID)) {
        r = walk_child(s, *offset, &e);
    } else if (s->layout.first_cluster ||
               (e.id <= 0xffffff && e.id != TD_EBML_VOID && e.id != TD_EBML_CRC32)) {
        /* Garbage is far more likely than an element nobody has heard of; those of the Segment have
         * four byte ids. */
        return WALK_LOST;
    } else {
        r = skip_void(s, *offset + e.header_len + e.size);
    }
    if (r == WALK_ON)
        *offset += e.header_len + e.size;
    return r;
}

/* What every Cluster of ours begins with, and those of most others: id, eight bytes of size,
 * Timestamp. Twelve fixed bits of size and two of the Timestamp make a false one unlikely. */
static bool looks_like_cluster(const uint8_t *bytes, size_t len)
{
    return len >= 14 && bytes[1] == 0x43 && bytes[2] == 0xb6 && bytes[3] == 0x75 &&
           bytes[4] == 0x01 && bytes[12] == TD_MKV_TIMESTAMP && (bytes[13] & 0xf0) == 0x80;
}

/* Finds the next Cluster from `*offset` on; WALK_ON, WALK_END, or a read error. */
static int resync(struct td_mkv_scan *s, uint64_t *offset)
{
    for (;;) {
        const uint8_t *bytes = NULL;
        int64_t n = td_input_view(&s->in, *offset, 4096, &bytes);
        size_t at = 0;

        if (n < 0)
            return (int)n;
        if (n < 14)
            return WALK_END;
        while (at + 14 <= (size_t)n) {
            const uint8_t *hit = memchr(bytes + at, 0x1f, (size_t)n - at - 13);

            if (!hit) {
                at = (size_t)n - 13;
                break;
            }
            at = (size_t)(hit - bytes);
            if (looks_like_cluster(hit, (size_t)n - at)) {
                *offset += at;
                return WALK_ON;
            }
            at++;
        }
        *offset += at;
    }
}

int td_mkv_scan_walk(struct td_mkv_scan *s, uint64_t offset)
{
    uint64_t end;
    int r = WALK_ON;

    for (;;) {
        r = walk_element(s, &offset);
        if (r == WALK_ON)
            continue;
        if (r != WALK_LOST && r != WALK_END)
            return r == WALK_STOP ? s->stop_value : r;
        if (s->stop_after_first && s->layout.first_cluster && !s->in_cluster && r == WALK_END)
            return 0;
        /* A torn tail looks like a damaged middle until no Cluster is found behind it. */
        end = s->result->valid_bytes;
        offset += 1;
        r = resync(s, &offset);
        if (r < 0)
            return r;
        if (end_cluster(s, end) == WALK_STOP)
            return s->stop_value;
        if (r == WALK_END)
            return 0;
        s->result->damaged_units++;
        if (s->on_damage && stop_with(s, s->on_damage(s->cluster_ctx, end, offset)) == WALK_STOP)
            return s->stop_value;
    }
}

void td_mkv_scan_summarise(struct td_mkv_scan *s)
{
    const struct td_mkv_layout *l = &s->layout;
    struct td_scan *scan = s->result;
    int64_t first = INT64_MAX;
    int64_t end = INT64_MIN;

    for (unsigned i = 0; i < scan->track_count; i++) {
        const struct td_scan_track *t = &scan->tracks[i];

        if (t->frames == 0)
            continue;
        if (t->first_pts_us < first)
            first = t->first_pts_us;
        if (t->end_pts_us > end)
            end = t->end_pts_us;
    }
    scan->duration_us = end > first ? end - first : 0;
    if (scan->valid_bytes > scan->bytes)
        scan->bytes = scan->valid_bytes;
    scan->sealed = l->segment_size != TD_EBML_UNKNOWN && scan->bytes > 0 &&
                   l->segment_data + l->segment_size == scan->bytes &&
                   scan->valid_bytes == scan->bytes;
}

int td_mkv_scan(const struct td_read_at *media, td_scan_frame_fn *frame, void *ctx,
                struct td_scan *ret_scan)
{
    struct td_mkv_scan s;
    int64_t at;
    int r = td_mkv_scan_init(&s, media, ret_scan);

    s.frame = frame;
    s.ctx = ctx;
    at = r == 0 ? td_mkv_scan_open(&s) : r;
    if (at > 0)
        r = td_mkv_scan_walk(&s, (uint64_t)at);
    else
        r = (int)at;
    if (r == 0)
        td_mkv_scan_summarise(&s);
    td_mkv_scan_done(&s);
    return r;
}
