/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkv_scan: walks Matroska as it lies, ours or not, and tells what seal needs to know of it.
 * Owner: the caller's call.
 * Thread: any that may block.
 * Bound: one block of TD_FRAME_BYTES_MAX, one Tracks element of 1 MiB, one read window.
 * Does not: trust the size of a Cluster: a Cluster ends where the next element of the Segment
 *           begins, so that a size that was never patched, or half, changes nothing.
 */
#ifndef TD_MUX_MKV_SCAN_H
#define TD_MUX_MKV_SCAN_H

#include "base/bytes.h"
#include "mux/ebml.h"
#include "mux/input.h"
#include "mux/mkv_head.h"
#include "mux/mux.h"

#define TD_MKV_HOLE_BYTES 4u      /* body of the Void that marks a hole: 'T' 'D' 'H' track number */
#define TD_MKV_CLUSTER_HEADER 12u /* id 4, size 8 */
#define TD_MKV_WINDOW (64u << 10)

/* One Cluster that was walked. */
struct td_mkv_cluster {
    uint64_t offset;
    uint64_t size;       /* as declared */
    unsigned size_width; /* bytes the size takes */
    uint64_t end;        /* where it really ends */
    bool size_right;     /* the declared end is the end of an element and no block is behind it */
    uint64_t blocks;
    bool cue; /* has a place where players may start */
    uint64_t cue_track;
    int64_t cue_ticks;
};

typedef int td_mkv_cluster_fn(void *ctx, const struct td_mkv_cluster *cluster);
/* From `from` to `to`, where a Cluster begins, nothing could be read. */
typedef int td_mkv_damage_fn(void *ctx, uint64_t from, uint64_t to);

/* File offsets of what seal patches; 0 = not there. */
struct td_mkv_layout {
    uint64_t segment_size_at;
    unsigned segment_size_width;
    uint64_t segment_size;
    uint64_t segment_data;
    uint8_t uid[TD_MKV_UID_BYTES];
    uint64_t seek_at;       /* the SeekHead entry of the Cues, or the Void kept for it */
    bool has_seek;          /* it is the entry … */
    uint64_t seek_position; /* … and says this */
    uint64_t duration_at;   /* Duration with eight bytes of value, or the Void kept for it */
    bool has_duration;
    double duration; /* in ticks */
    uint64_t timestamp_scale;
    uint64_t first_cluster;
    uint64_t clusters_end; /* end of the last whole element inside or behind the last Cluster,
                              Cues and later ones not counted */
    uint64_t cues_at;      /* behind the last Cluster */
    uint64_t cues_end;
    bool foreign_tail; /* something but Cues and Voids is behind the last Cluster */
};

struct td_mkv_scan_track {
    uint64_t number;
    unsigned nal_length; /* H.264: bytes of a NAL length */
    bool known;
};

struct td_mkv_scan {
    struct td_scan *result;
    td_scan_frame_fn *frame;
    void *ctx;
    td_mkv_cluster_fn *on_cluster;
    td_mkv_damage_fn *on_damage;
    void *cluster_ctx; /* of both */
    struct td_mkv_layout layout;
    struct td_mkv_scan_track tracks[TD_MUX_TRACKS_MAX];
    bool has_video;
    struct td_input in;
    struct td_bytes body;   /* of the element in hand */
    struct td_bytes annexb; /* … converted */
    bool in_cluster;
    bool has_time;
    int64_t time;        /* of the Cluster, in ticks */
    uint64_t hole_track; /* announced by the Void before, 0 = none */
    struct td_mkv_cluster cluster;
    bool boundary_seen; /* the declared end was met … */
    bool block_behind;  /* … and a block came after it */
    int stop_value;
    bool stop_after_first; /* the walk ends at the second Cluster */
};

TD_MUST int td_mkv_scan_init(struct td_mkv_scan *s, const struct td_read_at *media,
                             struct td_scan *result);
void td_mkv_scan_done(struct td_mkv_scan *s);
/* Reads EBML header and Segment header. The offset of the first element in the Segment, 0 when the
 * file is too short to have one, or -TD_E_PARSE for another kind of file. */
TD_MUST int64_t td_mkv_scan_open(struct td_mkv_scan *s);
/* Walks from `offset` (an element of the Segment) to the end. */
TD_MUST int td_mkv_scan_walk(struct td_mkv_scan *s, uint64_t offset);
/* Durations and sums of the result. */
void td_mkv_scan_summarise(struct td_mkv_scan *s);

int td_mkv_scan(const struct td_read_at *media, td_scan_frame_fn *frame, void *ctx,
                struct td_scan *ret_scan);
int td_mkv_seal(const struct td_read_at *media, const struct td_read_at *index,
                const struct td_op_sink *sink, struct td_scan *ret_scan);
/* The same with the file size up to which it reads everything, and the index is not needed. */
int td_mkv_seal_above(const struct td_read_at *media, const struct td_read_at *index,
                      const struct td_op_sink *sink, uint64_t whole_bytes,
                      struct td_scan *ret_scan);

#endif
