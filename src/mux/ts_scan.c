/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/ts_scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "media/h264.h"
#include "media/opus.h"
#include "mux/input.h"
#include "mux/psi.h"
#include "mux/ts_format.h"
#include "mux/ts_packet.h"

#define SCAN_WINDOW (TD_TS_PACKET * 512u)
#define SCAN_PES_MAX (TD_FRAME_BYTES_MAX + 1024u)
#define SCAN_TICKS_MASK ((UINT64_C(1) << TD_TS_PTS_BITS) - 1)
static const struct td_ts_windows seal_windows = {
    .whole = UINT64_C(32) << 20,
    .head = UINT64_C(2) << 20,
    .tail = UINT64_C(8) << 20,
};

/* One elementary stream and the PES packet under assembly. */
struct scan_stream {
    uint16_t pid;
    unsigned track; /* in td_scan */
    bool has_cc;
    uint8_t cc;
    bool open; /* a PES packet began */
    bool bad;  /* … and lost a byte */
    bool hole;
    size_t end_bytes;      /* from our end record, 0 = none yet */
    uint64_t packet_end;   /* file offset behind its latest packet */
    uint64_t damaged_then; /* damage counted before it began */
    struct td_bytes pes;
};

struct ts_scan {
    struct td_scan *result;
    td_scan_frame_fn *frame;
    void *ctx;
    struct td_psi_section pat;
    struct td_psi_section pmt;
    uint16_t pmt_pid; /* TD_TS_PID_NULL = not known yet */
    uint16_t pcr_pid;
    bool ours;
    bool unmarked;    /* a whole PES packet of length 0 had no end record: another muxer's file */
    bool wait_tables; /* a tail began: times are unknown up to its first PMT */
    bool has_epoch;
    uint64_t epoch_ticks;    /* middle of the half epoch of the last PMT */
    uint64_t damaged_inside; /* damage up to valid_bytes: what is torn behind is none */
    bool has_ticks;
    int64_t last_ticks; /* unwrapped */
    unsigned stream_count;
    struct scan_stream streams[TD_MUX_TRACKS_MAX];
};

/* ---- time ---- */

/* The 33 bits wrap every 26.5 h. Our PMT says in which half of which turn it was written; without
 * it the time nearest to the last one is taken. */
static int64_t unwrap(struct ts_scan *s, uint64_t raw)
{
    const int64_t turn = INT64_C(1) << TD_TS_PTS_BITS;
    int64_t reference = s->has_epoch ? (int64_t)s->epoch_ticks : s->last_ticks;
    int64_t ticks = (int64_t)raw;

    if (s->has_epoch || s->has_ticks) {
        ticks += reference / turn * turn;
        if (ticks - reference > turn / 2)
            ticks -= turn;
        else if (reference - ticks > turn / 2)
            ticks += turn;
    }
    s->has_ticks = true;
    s->last_ticks = ticks;
    return ticks;
}

static int64_t us_of(int64_t ticks)
{
    int64_t from_zero = ticks - TD_TS_PTS_OFFSET_TICKS;

    return (from_zero * 100 + (from_zero < 0 ? -4 : 4)) / 9;
}

/* ---- frames ---- */

static int deliver(struct ts_scan *s, struct td_frame *frame)
{
    struct td_scan_track *t = &s->result->tracks[frame->track];
    int64_t end = frame->pts_us + frame->duration_us;

    if (t->frames == 0 || frame->pts_us < t->first_pts_us)
        t->first_pts_us = frame->pts_us;
    if (t->frames == 0 || frame->pts_us > t->last_pts_us)
        t->last_pts_us = frame->pts_us;
    if (t->frames == 0 || end > t->end_pts_us)
        t->end_pts_us = end;
    if (frame->key && frame->width != 0 && t->width == 0) {
        t->width = frame->width;
        t->height = frame->height;
    }
    t->frames++;
    t->key_frames += frame->key;
    s->result->discontinuities += frame->discontinuity;
    return s->frame ? s->frame(s->ctx, frame) : 0;
}

static bool has_idr(const uint8_t *bytes, size_t len)
{
    struct td_h264_nal nal;
    size_t offset = 0;

    while (td_h264_next_nal(bytes, len, &offset, &nal) == 1) {
        if (nal.type == TD_H264_NAL_IDR)
            return true;
        if (nal.type == TD_H264_NAL_SLICE || nal.type == TD_H264_NAL_PARTITION_A)
            return false;
    }
    return false;
}

static int deliver_h264(struct ts_scan *s, struct td_frame *frame, const uint8_t *bytes, size_t len)
{
    struct td_h264_sps sps;

    if (len > TD_FRAME_BYTES_MAX + 6) { /* the unit delimiter the writer added */
        s->result->damaged_units++;
        return 0;
    }
    frame->key = has_idr(bytes, len);
    if (frame->key && td_h264_frame_sps(bytes, len, &sps) == 0) {
        frame->width = sps.width;
        frame->height = sps.height;
    }
    frame->bytes = bytes;
    frame->len = len;
    return deliver(s, frame);
}

/* opus_control_header; 0, or -TD_E_PARSE. */
static int parse_opus_control(struct td_reader *r, size_t *ret_size)
{
    uint16_t prefix = td_read_be16(r);
    size_t size = 0;
    uint8_t byte;

    if ((prefix & 0xffe0) != 0x7fe0)
        return -TD_E_PARSE;
    do {
        byte = td_read_u8(r);
        size += byte;
    } while (byte == 255 && !r->bad);
    if (prefix & 0x10) /* start_trim_flag */
        (void)td_read_be16(r);
    if (prefix & 0x08) /* end_trim_flag */
        (void)td_read_be16(r);
    if (prefix & 0x04) { /* control_extension_flag */
        uint8_t len = td_read_u8(r);
        (void)td_read_bytes(r, len);
    }
    *ret_size = size;
    return r->bad || size == 0 ? -TD_E_PARSE : 0;
}

static int deliver_opus(struct ts_scan *s, struct td_frame *frame, const uint8_t *bytes, size_t len)
{
    struct td_reader r;

    td_reader_init(&r, bytes, len);
    while (td_reader_left(&r) > 0) {
        size_t size = 0;
        int err = parse_opus_control(&r, &size);

        frame->bytes = err < 0 ? NULL : td_read_bytes(&r, size);
        if (!frame->bytes) {
            s->result->damaged_units++;
            return 0;
        }
        frame->len = size;
        frame->key = true;
        frame->duration_us = td_opus_duration_us(frame->bytes, size);
        if (frame->duration_us < 0)
            frame->duration_us = 0;
        err = deliver(s, frame);
        if (err)
            return err;
        frame->pts_us += frame->duration_us;
        frame->discontinuity = false;
    }
    return 0;
}

/* A whole PES packet lies in stream->pes. */
static int deliver_pes(struct ts_scan *s, struct scan_stream *stream)
{
    const uint8_t *b = stream->pes.data;
    size_t len = stream->pes.len;
    struct td_frame frame = {
        .codec = s->result->tracks[stream->track].codec,
        .discontinuity = stream->hole,
        .track = stream->track,
    };
    size_t head;
    uint64_t ticks;

    if (len < TD_TS_PES_HEADER || (b[6] & 0xc0) != 0x80 || !(b[7] & 0x80) || b[8] < 5) {
        s->result->damaged_units++; /* not a PES header with a PTS */
        return 0;
    }
    head = 9 + (size_t)b[8];
    if (head >= len) {
        s->result->damaged_units++;
        return 0;
    }
    ticks = (uint64_t)(b[9] & 0x0e) << 29 | (uint64_t)b[10] << 22 | (uint64_t)(b[11] & 0xfe) << 14 |
            (uint64_t)b[12] << 7 | b[13] >> 1;
    frame.pts_us = us_of(unwrap(s, ticks & SCAN_TICKS_MASK));
    if (frame.codec == TD_CODEC_H264)
        return deliver_h264(s, &frame, b + head, len - head);
    return deliver_opus(s, &frame, b + head, len - head);
}

static void valid_to(struct ts_scan *s, uint64_t end)
{
    if (end <= s->result->valid_bytes)
        return;
    s->result->valid_bytes = end;
    s->damaged_inside = s->result->damaged_units;
}

static int finish_pes(struct ts_scan *s, struct scan_stream *stream)
{
    stream->open = false;
    valid_to(s, stream->packet_end);
    return s->wait_tables ? 0 : deliver_pes(s, stream);
}

/* A new PES packet begins, or the file ends: what becomes of the one before? Bounded ones were
 * finished by their length; an unbounded one without our end record is whole in another muxer's
 * file only, and only if nothing was lost since it began. */
static int finish_unbounded(struct ts_scan *s, struct scan_stream *stream, bool at_end)
{
    const uint8_t *b = stream->pes.data;
    bool unbounded = stream->pes.len >= TD_TS_PES_PREFIX && b[4] == 0 && b[5] == 0;

    if (!stream->open)
        return 0;
    if (stream->bad || !unbounded || s->ours || stream->damaged_then != s->result->damaged_units ||
        (at_end && !s->unmarked)) {
        stream->open = false;
        if (!at_end)
            s->result->damaged_units++;
        return 0;
    }
    s->unmarked = true;
    return finish_pes(s, stream);
}

static int pes_append(struct ts_scan *s, struct scan_stream *stream, const struct td_ts_packet *p)
{
    int r = td_bytes_append(&stream->pes, p->payload, p->payload_len);

    if (r == -TD_E_LIMIT) {
        stream->bad = true;
        s->result->damaged_units++;
        return 0;
    }
    return r;
}

/* 1 when the PES packet under assembly is whole, 0 when not yet; sets `bad` when it cannot be. */
static int pes_whole(struct scan_stream *stream)
{
    const uint8_t *b = stream->pes.data;
    size_t len = stream->pes.len;
    size_t need;

    if (len < TD_TS_PES_PREFIX)
        return 0;
    if (b[0] != 0 || b[1] != 0 || b[2] != 1) {
        stream->bad = true;
        return 0;
    }
    need = (size_t)b[4] << 8 | b[5];
    if (need > 0)
        need += TD_TS_PES_PREFIX;
    else
        need = stream->end_bytes;
    if (need == 0 || len < need) {
        stream->bad = need != 0 && stream->end_bytes != 0;
        return 0;
    }
    stream->bad = len > need;
    return !stream->bad;
}

static int stream_packet(struct ts_scan *s, struct scan_stream *stream,
                         const struct td_ts_packet *p, uint64_t end)
{
    bool gap = stream->has_cc && p->cc != ((stream->cc + 1) & 15) && !p->discontinuity;
    int r;

    if (stream->has_cc && p->cc == stream->cc && !p->discontinuity && !p->pusi)
        return 0; /* a duplicate, ISO 13818-1 section 2.4.3.3 */
    stream->cc = p->cc;
    stream->has_cc = true;
    if (gap || p->error || p->malformed) {
        s->result->damaged_units++;
        stream->bad = true;
    }
    if (p->pusi) {
        r = finish_unbounded(s, stream, false);
        if (r)
            return r;
        td_bytes_clear(&stream->pes);
        stream->open = true;
        stream->bad = p->error || p->malformed;
        stream->hole = p->hole || p->discontinuity;
        stream->end_bytes = 0;
        stream->damaged_then = s->result->damaged_units;
    }
    if (!stream->open || stream->bad)
        return 0;
    stream->packet_end = end;
    if (p->end_bytes != 0)
        stream->end_bytes = p->end_bytes;
    r = pes_append(s, stream, p);
    if (r < 0 || stream->bad)
        return r;
    if (pes_whole(stream))
        return finish_pes(s, stream);
    if (stream->bad)
        s->result->damaged_units++;
    return 0;
}

/* ---- tables ---- */

static int add_stream(struct ts_scan *s, const struct td_psi_stream *from)
{
    struct scan_stream *stream;
    struct td_scan_track *t;

    for (unsigned i = 0; i < s->stream_count; i++)
        if (s->streams[i].pid == from->pid)
            return 0;
    if (from->codec == TD_CODEC_NONE || s->stream_count >= TD_MUX_TRACKS_MAX)
        return 0;
    t = &s->result->tracks[s->stream_count];
    *t = (struct td_scan_track){.codec = from->codec, .channels = from->channels};
    stream = &s->streams[s->stream_count];
    *stream = (struct scan_stream){.pid = from->pid, .track = s->stream_count};
    td_bytes_init(&stream->pes, SCAN_PES_MAX, NULL);
    s->result->track_count = ++s->stream_count;
    return 0;
}

static int take_pmt(struct ts_scan *s)
{
    struct td_psi_pmt pmt;
    int r = td_psi_parse_pmt(&s->pmt, &pmt);

    if (r < 0)
        return r;
    s->pcr_pid = pmt.pcr_pid;
    s->ours = pmt.ours;
    s->has_epoch = pmt.ours;
    s->wait_tables = false;
    s->epoch_ticks = ((uint64_t)pmt.half_epoch << 32) + (UINT64_C(1) << 31);
    for (unsigned i = 0; i < pmt.stream_count; i++) {
        r = add_stream(s, &pmt.streams[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static void table_packet(struct ts_scan *s, const struct td_ts_packet *p, uint64_t end)
{
    struct td_psi_section *section = p->pid == TD_TS_PID_PAT ? &s->pat : &s->pmt;
    int r = td_psi_push(section, p->payload, p->payload_len, p->pusi);

    if (r == 1) {
        r = p->pid == TD_TS_PID_PAT ? td_psi_parse_pat(section, &s->pmt_pid) : take_pmt(s);
        if (r == 0)
            valid_to(s, end);
    }
    if (r < 0)
        s->result->damaged_units++;
}

/* ---- the walk ---- */

static int scan_packet(struct ts_scan *s, const uint8_t bytes[static TD_TS_PACKET], uint64_t end)
{
    struct td_ts_packet p;

    td_ts_packet_parse(bytes, &p);
    if (p.payload && (p.pid == TD_TS_PID_PAT || p.pid == s->pmt_pid)) {
        table_packet(s, &p, end);
        return 0;
    }
    for (unsigned i = 0; i < s->stream_count; i++) {
        if (s->streams[i].pid != p.pid)
            continue;
        if (p.payload)
            return stream_packet(s, &s->streams[i], &p, end);
        break;
    }
    /* A packet that is a unit of its own: PCR only, stuffing, or of a stream we do not know. The
     * last two say nothing about media, so only our own PCR is worth keeping at the end. */
    if (p.pid == s->pcr_pid && !p.payload && !p.malformed && !p.error)
        valid_to(s, end);
    return 0;
}

/* Distance to the next place that looks like a packet start, at least 1. */
static size_t resync(const uint8_t *bytes, size_t len)
{
    size_t at = 1;

    while (at < len) {
        const uint8_t *sync = memchr(bytes + at, TD_TS_SYNC, len - at);

        if (!sync)
            return len;
        at = (size_t)(sync - bytes);
        if (at + TD_TS_PACKET >= len || bytes[at + TD_TS_PACKET] == TD_TS_SYNC)
            return at;
        at++;
    }
    return len;
}

static int scan_range(struct ts_scan *s, const struct td_read_at *media, uint64_t from, uint64_t to)
{
    struct td_input in;
    const uint8_t *bytes = NULL;
    bool synced = true;
    int r = td_input_init(&in, media, SCAN_WINDOW);

    while (r == 0 && from < to) {
        int64_t n = td_input_view(&in, from, 2 * TD_TS_PACKET, &bytes);

        if (n < 0) {
            r = (int)n;
            break;
        }
        if (n < (int64_t)TD_TS_PACKET)
            break;
        if (bytes[0] == TD_TS_SYNC) {
            synced = true;
            from += TD_TS_PACKET;
            r = scan_packet(s, bytes, from);
            continue;
        }
        if (synced) {
            s->result->damaged_units++;
            for (unsigned i = 0; i < s->stream_count; i++)
                s->streams[i].bad = true;
        }
        synced = false;
        from += resync(bytes, (size_t)n);
    }
    for (unsigned i = 0; r == 0 && i < s->stream_count; i++)
        r = finish_unbounded(s, &s->streams[i], true);
    s->result->damaged_units = s->damaged_inside;
    td_input_done(&in);
    return r;
}

static struct ts_scan *scan_new(struct td_scan *result)
{
    struct ts_scan *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->result = result;
    s->pmt_pid = TD_TS_PID_NULL;
    s->pcr_pid = TD_TS_PID_NULL;
    return s;
}

static void scan_free(struct ts_scan *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->stream_count; i++)
        td_bytes_done(&s->streams[i].pes);
    free(s);
}

static uint64_t media_size(const struct td_read_at *media)
{
    uint8_t byte;

    /* `size` may be stale for a growing file; a file that has become longer is read to its end. */
    return media->read_at(media->ctx, media->size, &byte, 1) > 0 ? UINT64_MAX : media->size;
}

static void summarise(struct td_scan *scan)
{
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
    if (scan->valid_bytes > scan->bytes) /* it grew meanwhile */
        scan->bytes = scan->valid_bytes;
    scan->sealed = scan->valid_bytes == scan->bytes && scan->bytes > 0;
}

int td_ts_scan_from(const struct td_read_at *media, uint64_t from, td_scan_frame_fn *frame,
                    void *ctx, struct td_scan *ret_scan)
{
    struct ts_scan *s = scan_new(ret_scan);
    int r;

    if (!s)
        return -ENOMEM;
    s->frame = frame;
    s->ctx = ctx;
    ret_scan->bytes = media->size;
    r = scan_range(s, media, from, media_size(media));
    scan_free(s);
    if (r == 0)
        summarise(ret_scan);
    return r;
}

int td_ts_scan(const struct td_read_at *media, td_scan_frame_fn *frame, void *ctx,
               struct td_scan *ret_scan)
{
    return td_ts_scan_from(media, 0, frame, ctx, ret_scan);
}

/* ---- seal ---- */

static uint64_t frame_count(const struct td_scan *scan)
{
    uint64_t frames = 0;

    for (unsigned i = 0; i < scan->track_count; i++)
        frames += scan->tracks[i].frames;
    return frames;
}

/* The tail alone shows where the last whole unit ends, because a unit there begins and ends, and
 * when, if a frame follows its tables. The window doubles until it has such a frame. The result
 * holds what the head gave. */
static int scan_tail(struct ts_scan *s, const struct td_read_at *media, uint64_t window)
{
    const struct td_scan head = *s->result;
    uint64_t size = media->size;

    for (;;) {
        uint64_t at = window < size ? size - window : 0;
        uint64_t from = at - at % TD_TS_PACKET;
        int r;

        while (s->stream_count > head.track_count)
            td_bytes_done(&s->streams[--s->stream_count].pes);
        for (unsigned i = 0; i < s->stream_count; i++) {
            s->streams[i].has_cc = false;
            s->streams[i].open = false;
            s->streams[i].bad = false;
        }
        *s->result = head;
        s->result->valid_bytes = 0;
        s->wait_tables = s->ours;
        r = scan_range(s, media, from, size);
        if (r || from == 0 || frame_count(s->result) > frame_count(&head))
            return r;
        window *= 2;
    }
}

static int scan_for_seal(const struct td_read_at *media, const struct td_ts_windows *windows,
                         struct td_scan *scan)
{
    struct ts_scan *s = scan_new(scan);
    int r;

    if (!s)
        return -ENOMEM;
    scan->bytes = media->size;
    if (media->size <= windows->whole) {
        r = scan_range(s, media, 0, media->size);
    } else {
        scan->partial = true;
        r = scan_range(s, media, 0, windows->head);
        if (r == 0)
            r = scan_tail(s, media, windows->tail);
    }
    scan_free(s);
    if (r == 0)
        summarise(scan);
    return r;
}

int td_ts_seal_windows(const struct td_read_at *media, const struct td_op_sink *sink,
                       const struct td_ts_windows *windows, struct td_scan *ret_scan)
{
    struct td_scan scan = {.bytes = 0};
    int r = scan_for_seal(media, windows, &scan);

    if (r < 0)
        return r;
    if (frame_count(&scan) == 0)
        return -TD_E_DAMAGED;
    if (scan.valid_bytes < scan.bytes) {
        const struct td_file_op cut = {
            .kind = TD_OP_TRUNCATE,
            .file = TD_FILE_MEDIA,
            .offset = scan.valid_bytes,
        };

        r = sink->emit(sink->ctx, &cut);
        if (r)
            return r;
        scan.bytes = scan.valid_bytes;
    }
    scan.sealed = true;
    *ret_scan = scan;
    return 0;
}

int td_ts_seal(const struct td_read_at *media, const struct td_read_at *index,
               const struct td_op_sink *sink, struct td_scan *ret_scan)
{
    (void)index; /* TS has none */
    return td_ts_seal_windows(media, sink, &seal_windows, ret_scan);
}
