/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/mkv.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/id.h"
#include "base/limits.h"
#include "media/h264.h"
#include "mux/ebml.h"
#include "mux/mkv_head.h"
#include "mux/mkv_index.h"
#include "mux/mkv_scan.h"

#define MKV_KEEP_BYTES (64u << 10)
#define MKV_OUT_MAX (TD_FRAME_BYTES_MAX + (256u << 10))
#define MKV_ENTRIES_MAX (TD_MUX_TRACKS_MAX * TD_MKV_ENTRY_BYTES_MAX)
#define MKV_SECTOR 512u
#define MKV_PREFIX_MAX 64u /* Void, Cluster header, Timestamp, hole mark, block header */
#define MKV_SIZE_WIDTH 4u  /* of a SimpleBlock: TD_FRAME_BYTES_MAX fits */

struct mkv_cluster {
    bool open;
    uint64_t offset;
    int64_t time_ticks;
    int64_t newest_us; /* newest time of all tracks when it began */
};

struct mkv {
    struct td_bytes out;
    struct td_bytes entries; /* TrackEntry elements until the head is written */
    uint8_t uid[TD_MKV_UID_BYTES];
    bool head_done;
    uint64_t slots_at; /* file offset of the kept Voids */
    unsigned slots_used;
    int64_t newest_us;
    struct mkv_cluster cluster;
};

static int mkv_open(struct td_mux *m)
{
    struct mkv *mkv = td_mux_state(m);

    td_bytes_init(&mkv->out, MKV_OUT_MAX, NULL);
    td_bytes_init(&mkv->entries, MKV_ENTRIES_MAX, NULL);
    return td_random_bytes(mkv->uid, sizeof(mkv->uid));
}

static void mkv_destroy(struct td_mux *m)
{
    struct mkv *mkv = td_mux_state(m);

    td_bytes_done(&mkv->out);
    td_bytes_done(&mkv->entries);
}

/* ---- tracks ---- */

static int add_entry(struct mkv *mkv, const struct td_mux_track *track, unsigned number)
{
    uint8_t bytes[TD_MKV_ENTRY_BYTES_MAX];
    struct td_writer w;
    uint8_t *size;
    int r;

    td_writer_init(&w, bytes, sizeof(bytes));
    size = td_ebml_begin(&w, TD_MKV_TRACK_ENTRY, 2);
    r = td_mkv_write_entry(&w, track, number);
    if (r < 0)
        return r;
    td_ebml_end(&w, size, 2);
    return td_bytes_append(&mkv->entries, bytes, td_writer_len(&w));
}

/* Patches never cross a sector, so that power loss leaves each whole or undone (fileop.h). */
static int patch_sectors(struct td_mux *m, uint64_t offset, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t n = MKV_SECTOR - (size_t)(offset % MKV_SECTOR);
        int r;

        if (n > len)
            n = len;
        r = td_mux_patch(m, TD_FILE_MEDIA, offset, bytes, n);
        if (r)
            return r;
        offset += n;
        bytes += n;
        len -= n;
    }
    return 0;
}

/* A kept Void becomes a TrackEntry of the same size: first its body, which nobody reads inside a
 * Void, then the one byte that differs. Until then the file has no such track, and no block of it.
 */
static int fill_slot(struct td_mux *m, struct mkv *mkv, const struct td_mux_track *track,
                     unsigned number)
{
    uint8_t body[TD_MKV_SLOT_BYTES - TD_MKV_SLOT_HEADER];
    uint64_t slot = mkv->slots_at + (uint64_t)mkv->slots_used * TD_MKV_SLOT_BYTES;
    const uint8_t id = TD_MKV_TRACK_ENTRY;
    struct td_writer w;
    size_t left;
    int r;

    if (mkv->slots_used >= TD_MKV_SLOTS)
        return TD_MUX_NEXT_PART;
    td_writer_init(&w, body, sizeof(body));
    r = td_mkv_write_entry(&w, track, number);
    if (r == -TD_E_LIMIT)
        return TD_MUX_NEXT_PART;
    if (r < 0)
        return r;
    left = (size_t)(w.end - w.at);
    if (left == 1) /* no Void is that small */
        return TD_MUX_NEXT_PART;
    if (left > 0)
        td_ebml_write_void(&w, left);
    r = patch_sectors(m, slot + TD_MKV_SLOT_HEADER, body, sizeof(body));
    if (r == 0)
        r = td_mux_patch(m, TD_FILE_MEDIA, slot, &id, 1);
    if (r == 0)
        mkv->slots_used++;
    return r;
}

static int mkv_add_track(struct td_mux *m, const struct td_mux_track *track, unsigned *ret_track)
{
    struct mkv *mkv = td_mux_state(m);
    unsigned number = *ret_track + 1;

    return mkv->head_done ? fill_slot(m, mkv, track, number) : add_entry(mkv, track, number);
}

/* ---- head and clusters ---- */

/* Puts the head into `out`; it goes to the file with the first block or Void. */
static int put_head(struct mkv *mkv)
{
    size_t capacity = TD_MKV_FIXED_BYTES + 8 + mkv->entries.len + TD_MKV_SLOTS * TD_MKV_SLOT_BYTES;
    struct td_writer w;
    int r = td_bytes_reserve(&mkv->out, capacity + MKV_PREFIX_MAX);

    if (r < 0)
        return r;
    td_writer_init(&w, mkv->out.data, capacity + MKV_PREFIX_MAX);
    r = td_mkv_write_head(&w, mkv->uid, mkv->entries.data, mkv->entries.len);
    if (r < 0)
        return r;
    mkv->out.len = td_writer_len(&w);
    mkv->slots_at = mkv->out.len - TD_MKV_SLOTS * TD_MKV_SLOT_BYTES;
    return 0;
}

static void head_written(struct mkv *mkv)
{
    mkv->head_done = true;
    td_bytes_done(&mkv->entries);
    td_bytes_init(&mkv->entries, 0, NULL);
}

static int close_cluster(struct td_mux *m, struct mkv *mkv)
{
    uint8_t size[8];
    int r;

    if (!mkv->cluster.open)
        return 0;
    td_ebml_put_size(size, m->offset[TD_FILE_MEDIA] - mkv->cluster.offset - TD_MKV_CLUSTER_HEADER,
                     8);
    r = td_mux_patch(m, TD_FILE_MEDIA, mkv->cluster.offset + 4, size, sizeof(size));
    if (r == 0)
        mkv->cluster.open = false;
    return r;
}

static bool cluster_due(const struct mkv *mkv, const struct td_frame *frame, int64_t newest_us)
{
    int64_t relative = frame->pts_us / TD_MKV_TICK_US - mkv->cluster.time_ticks;

    return !mkv->cluster.open || newest_us - mkv->cluster.newest_us >= TD_MUX_UNIT_US ||
           (frame->key && frame->codec != TD_CODEC_OPUS) || relative >= INT16_MAX ||
           relative <= INT16_MIN;
}

/* Cluster header of unknown size; in front of it a Void where the size that is patched at the end
 * would cross a sector. */
static void put_cluster(struct td_writer *w, uint64_t offset, struct mkv_cluster *ret_cluster)
{
    size_t at = (size_t)((offset + 4) % MKV_SECTOR);

    if (at > MKV_SECTOR - 8) {
        size_t pad = MKV_SECTOR - at < 2 ? 2 : MKV_SECTOR - at;

        td_ebml_write_void(w, pad);
        offset += pad;
    }
    ret_cluster->open = true;
    ret_cluster->offset = offset;
    td_ebml_write_id(w, TD_MKV_CLUSTER);
    td_ebml_write_size(w, TD_EBML_UNKNOWN, 8);
    td_ebml_write_uint(w, TD_MKV_TIMESTAMP, (uint64_t)ret_cluster->time_ticks);
}

/* ---- blocks ---- */

/* A Void that says "media of this track is missing here"; players skip it. */
static void put_hole(struct td_writer *w, unsigned number)
{
    td_ebml_write_id(w, TD_EBML_VOID);
    td_ebml_write_size(w, TD_MKV_HOLE_BYTES, 1);
    td_write_u8(w, 'T');
    td_write_u8(w, 'D');
    td_write_u8(w, 'H');
    td_write_u8(w, (uint8_t)number);
}

/* Annex B to four-byte lengths, ISO 14496-15 section 5.3.2. */
static int append_nals(struct td_bytes *out, const struct td_frame *frame)
{
    struct td_h264_nal nal;
    size_t offset = 0;
    size_t total = 0;

    while (td_h264_next_nal(frame->bytes, frame->len, &offset, &nal) == 1) {
        uint8_t length[4] = {(uint8_t)(nal.len >> 24), (uint8_t)(nal.len >> 16),
                             (uint8_t)(nal.len >> 8), (uint8_t)nal.len};
        int r;

        total += sizeof(length) + nal.len;
        if (total > TD_FRAME_BYTES_MAX)
            return -TD_E_LIMIT;
        r = td_bytes_append(out, length, sizeof(length));
        if (r == 0)
            r = td_bytes_append(out, nal.bytes, nal.len);
        if (r < 0)
            return r;
    }
    return total > 0 ? 0 : -EINVAL;
}

/* SimpleBlock, RFC 9559 section 10.2: track, relative time, flags, frame. */
static int put_block(struct mkv *mkv, struct td_writer *w, const struct td_frame *frame,
                     int64_t cluster_ticks)
{
    int16_t relative = (int16_t)(frame->pts_us / TD_MKV_TICK_US - cluster_ticks);
    size_t size_at;
    size_t body_at;
    int r;

    td_ebml_write_id(w, TD_MKV_SIMPLE_BLOCK);
    size_at = (size_t)(w->at - mkv->out.data);
    td_ebml_write_size(w, 0, MKV_SIZE_WIDTH);
    body_at = (size_t)(w->at - mkv->out.data);
    td_ebml_write_size(w, frame->track + 1, 1); /* the track number is a vint too */
    td_write_be16(w, (uint16_t)relative);
    td_write_u8(w, frame->key ? 0x80 : 0);
    assert(!w->bad);
    mkv->out.len = (size_t)(w->at - mkv->out.data);
    if (frame->codec == TD_CODEC_H264)
        r = append_nals(&mkv->out, frame);
    else
        r = td_bytes_append(&mkv->out, frame->bytes, frame->len);
    if (r < 0)
        return r;
    td_ebml_put_size(mkv->out.data + size_at, mkv->out.len - body_at, MKV_SIZE_WIDTH);
    return 0;
}

static int flush(struct td_mux *m, struct mkv *mkv)
{
    int r = td_mux_append(m, TD_FILE_MEDIA, mkv->out.data, mkv->out.len);

    if (r == 0 && !mkv->head_done)
        head_written(mkv);
    return r;
}

static bool has_video(const struct td_mux *m)
{
    for (unsigned i = 0; i < m->track_count; i++)
        if (m->tracks[i].codec != TD_CODEC_OPUS)
            return true;
    return false;
}

static int index_cluster(struct td_mux *m, struct mkv *mkv, const struct td_frame *frame)
{
    uint8_t bytes[TD_MKV_RECORD_BYTES];
    struct td_mkv_record record = {
        .cue = frame->key && (frame->codec != TD_CODEC_OPUS || !has_video(m)),
        .offset = mkv->cluster.offset,
        .time_ticks = frame->pts_us / TD_MKV_TICK_US,
        .track = frame->track + 1,
    };
    int r;

    memcpy(&record.generation, mkv->uid, sizeof(record.generation));
    td_mkv_record_put(bytes, &record);
    r = td_mux_append(m, TD_FILE_INDEX, bytes, sizeof(bytes));
    /* The frame itself was taken. A record without room is left out: seal finds the Cluster by
     * walking, or goes without this one cue. */
    return r > 0 ? 0 : r;
}

static int write_frame(struct td_mux *m, struct mkv *mkv, const struct td_frame *frame)
{
    int64_t newest_us = frame->pts_us > mkv->newest_us ? frame->pts_us : mkv->newest_us;
    bool begin = cluster_due(mkv, frame, newest_us);
    struct mkv_cluster cluster = mkv->cluster;
    struct td_writer w;
    int r = begin ? close_cluster(m, mkv) : 0;

    if (r == 0 && !mkv->head_done)
        r = put_head(mkv);
    if (r == 0)
        r = td_bytes_reserve(&mkv->out, mkv->out.len + MKV_PREFIX_MAX + frame->len + 64);
    if (r)
        return r;
    td_writer_init(&w, mkv->out.data + mkv->out.len, MKV_PREFIX_MAX);
    if (begin) {
        cluster.time_ticks = frame->pts_us / TD_MKV_TICK_US;
        cluster.newest_us = newest_us;
        put_cluster(&w, m->offset[TD_FILE_MEDIA] + mkv->out.len, &cluster);
    }
    if (frame->discontinuity)
        put_hole(&w, frame->track + 1);
    r = put_block(mkv, &w, frame, cluster.time_ticks);
    if (r == 0)
        r = flush(m, mkv);
    if (r)
        return r;
    mkv->cluster = cluster;
    mkv->newest_us = newest_us;
    return begin ? index_cluster(m, mkv, frame) : 0;
}

static int mkv_write(struct td_mux *m, const struct td_frame *frame)
{
    struct mkv *mkv = td_mux_state(m);
    int r = write_frame(m, mkv, frame);

    td_bytes_clear(&mkv->out);
    td_bytes_shrink(&mkv->out, MKV_KEEP_BYTES);
    return r;
}

/* An empty Void; the Cluster is closed first, so that its unit does not stay open for hours. */
static int mkv_idle(struct td_mux *m, int64_t pts_us)
{
    static const uint8_t empty_void[2] = {TD_EBML_VOID, 0x80};
    struct mkv *mkv = td_mux_state(m);
    int r = 0;

    if (pts_us - mkv->cluster.newest_us >= TD_MUX_UNIT_US)
        r = close_cluster(m, mkv);
    if (r == 0 && !mkv->head_done)
        r = put_head(mkv);
    if (r == 0)
        r = td_bytes_append(&mkv->out, empty_void, sizeof(empty_void));
    if (r == 0)
        r = flush(m, mkv);
    td_bytes_clear(&mkv->out);
    return r;
}

static int mkv_close(struct td_mux *m)
{
    return close_cluster(m, td_mux_state(m));
}

static bool mkv_probe(const uint8_t *head, size_t len)
{
    static const uint8_t magic[4] = {0x1a, 0x45, 0xdf, 0xa3};

    return len >= sizeof(magic) && memcmp(head, magic, sizeof(magic)) == 0;
}

const struct td_mux_ops td_mkv_mux_ops = {
    .name = "mkv",
    .extension = "mkv",
    .codecs = 1u << TD_CODEC_H264 | 1u << TD_CODEC_VP8 | 1u << TD_CODEC_OPUS,
    .has_index = true,
    .state_size = sizeof(struct mkv),
    .probe = mkv_probe,
    .open = mkv_open,
    .add_track = mkv_add_track,
    .write = mkv_write,
    .idle = mkv_idle,
    .close = mkv_close,
    .destroy = mkv_destroy,
    .seal = td_mkv_seal,
    .scan = td_mkv_scan,
};
