/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mux: the family of containers: frames to file operations; and scan, repair and seal of each.
 * Owner: a td_mux belongs to one part of an output.
 * Thread: new/add_track/write/idle/close on the media loop; seal and scan on any thread that may
 *         block, never on a media loop.
 * Bound: a muxer holds no frame back; its own memory is `state_size` and the frame it is framing,
 *        of which 64 KiB are kept.
 * Does not: any I/O. Operations go to the sink in order; any prefix of them, cut inside one too, is
 *           readable as it lies and is completed by seal.
 *
 * Adding a container = one file pair, one row in mux.c, one line in docs/formats.
 */
#ifndef TD_MUX_MUX_H
#define TD_MUX_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fileop.h"
#include "media/frame.h"

#define TD_MUX_TRACKS_MAX 8u
#define TD_MUX_PROBE_BYTES 1024u
#define TD_MUX_UNIT_US 400000 /* longest container unit (cluster, fragment), design section 1 */

enum td_mux_condition {
    /* This track cannot be added to this file any more: begin another part. Not 1: that is what a
     * sink answers that has no room. */
    TD_MUX_NEXT_PART = 2,
};

struct td_mux_track {
    enum td_codec codec;
    unsigned channels; /* audio */
    uint16_t width;    /* video, from the first key frame; 0 = unknown */
    uint16_t height;
    const char *name;     /* UTF-8 title (participant, source), may be NULL */
    const char *language; /* BCP 47, may be NULL */
    /* The first key frame of a video track: parameter sets are taken from it. NULL for audio. */
    const struct td_frame *first_key;
};

struct td_mux;

/* What a scan finds. */
struct td_scan_track {
    enum td_codec codec;
    unsigned channels;
    uint16_t width;
    uint16_t height;
    uint64_t frames;
    uint64_t key_frames;
    int64_t first_pts_us;
    int64_t last_pts_us; /* start of the last frame */
    int64_t end_pts_us;  /* its end, as far as the container or codec says */
};

struct td_scan {
    struct td_scan_track tracks[TD_MUX_TRACKS_MAX];
    unsigned track_count;
    uint64_t bytes;           /* of the file */
    uint64_t valid_bytes;     /* up to the end of the last whole unit */
    uint64_t damaged_units;   /* inside valid_bytes: continuity errors, bad checksums */
    uint64_t discontinuities; /* marked ones: holes the recorder knew of */
    int64_t duration_us;      /* largest end - smallest first */
    bool sealed;              /* finished: nothing left to do */
    bool partial; /* seal read only head and tail of a long file: `frames`, `key_frames`,
                     `damaged_units` and `discontinuities` count only what was read */
};

/* Called for each whole frame of a scan, in file order. Non-zero stops the scan with that value. */
typedef int td_scan_frame_fn(void *ctx, const struct td_frame *frame);

/* Where a file that a killed process left goes on in place: made from the sealed file. */
#define TD_MUX_TAIL_STATE 64u
struct td_mux_tail {
    uint64_t bytes; /* the file's size: the next operation appends there */
    unsigned track_count;
    struct {
        enum td_codec codec;
        unsigned channels;
    } tracks[TD_MUX_TRACKS_MAX];      /* declared, in the order of their numbers */
    int64_t newest_us;                /* pts of the newest frame, on the file's own time line */
    uint8_t state[TD_MUX_TAIL_STATE]; /* the container's counters */
};

struct td_mux_ops {
    const char *name;      /* "ts", "mkv": the --format word */
    const char *extension; /* "ts" */
    unsigned codecs;       /* bit set of 1u << enum td_codec */
    bool has_index;        /* writes TD_FILE_INDEX */
    size_t state_size;
    /* The first bytes of a file (TD_MUX_PROBE_BYTES, or fewer in a shorter file). May be NULL. */
    bool (*probe)(const uint8_t *head, size_t len);
    int (*open)(struct td_mux *m);
    int (*add_track)(struct td_mux *m, const struct td_mux_track *track, unsigned *ret_track);
    int (*write)(struct td_mux *m, const struct td_frame *frame);
    int (*idle)(struct td_mux *m, int64_t pts_us);
    int (*close)(struct td_mux *m);
    void (*destroy)(struct td_mux *m);
    int (*seal)(const struct td_read_at *media, const struct td_read_at *index,
                const struct td_op_sink *sink, struct td_scan *ret_scan);
    int (*scan)(const struct td_read_at *media, td_scan_frame_fn *frame, void *ctx,
                struct td_scan *ret_scan);
    /* Both NULL: the container cannot go on in place. */
    int (*tail)(const struct td_read_at *media, struct td_mux_tail *ret_tail);
    int (*resume)(struct td_mux *m, const struct td_mux_tail *tail);
};

/* NULL when there is none. */
const struct td_mux_ops *td_mux_by_name(const char *name);
/* By content first (magic bytes), so that a renamed file is recognised. */
const struct td_mux_ops *td_mux_by_content(const struct td_read_at *media);
const struct td_mux_ops *const *td_mux_table(size_t *ret_count);
bool td_mux_takes(const struct td_mux_ops *ops, enum td_codec codec);

TD_MUST int td_mux_new(const struct td_mux_ops *ops, struct td_op_sink sink,
                       struct td_mux **ret_mux);
struct td_mux *td_mux_free(struct td_mux *m);
/* Before the first write: declared in the header. Later: 0 when the container can still take it,
 * TD_MUX_NEXT_PART when not; -TD_E_UNSUPPORTED for a codec the container never takes. */
TD_MUST int td_mux_add_track(struct td_mux *m, const struct td_mux_track *track,
                             unsigned *ret_track);
/* Writes frame->track's frame; emits at once (no frame is held back). A positive answer of the sink
 * ("not taken, no room") is passed up and leaves the muxer as if the frame had never been offered;
 * a negative one is sticky. -EINVAL for a frame that does not fit its track, -TD_E_LIMIT for one
 * over TD_FRAME_BYTES_MAX; neither writes anything or is sticky. */
TD_MUST int td_mux_write(struct td_mux *m, const struct td_frame *frame);
/* Nothing came for a while (all muted): make the file visibly live. */
TD_MUST int td_mux_idle(struct td_mux *m, int64_t pts_us);
/* Last operations on the media loop. The file is then valid and complete but for what seal adds. */
TD_MUST int td_mux_close(struct td_mux *m);

/* Finishing and repairing are one thing: finds the end of the last whole unit, cuts what is torn,
 * closes what is open, adds what a finished file has (MKV: sizes, Cues, Duration). Idempotent, and
 * restartable after any prefix of its own operations. `index` may have a NULL read_at.
 * 0, -TD_E_DAMAGED when nothing playable is there (and nothing was emitted), a read error, or what
 * the sink answered. Never makes playable media shorter. */
TD_MUST int td_mux_seal(const struct td_mux_ops *ops, const struct td_read_at *media,
                        const struct td_read_at *index, const struct td_op_sink *sink,
                        struct td_scan *ret_scan);
/* Reads a file as it lies. `frame` may be NULL. */
TD_MUST int td_mux_scan(const struct td_mux_ops *ops, const struct td_read_at *media,
                        td_scan_frame_fn *frame, void *ctx, struct td_scan *ret_scan);

/* The end of a sealed file that nothing was appended to since. 0, TD_MUX_NEXT_PART (this container
 * cannot go on in place, or not this file), or a read error. May block. */
TD_MUST int td_mux_tail(const struct td_mux_ops *ops, const struct td_read_at *media,
                        struct td_mux_tail *ret_tail);
/* Like td_mux_new, but goes on behind `tail`: its tracks are declared, the first frame of each is
 * marked as following a hole, whatever its `discontinuity` says. Time goes on in the same line. */
TD_MUST int td_mux_resume(const struct td_mux_ops *ops, struct td_op_sink sink,
                          const struct td_mux_tail *tail, struct td_mux **ret_mux);

/* For implementations (mux/ only). */
struct td_mux {
    const struct td_mux_ops *ops;
    struct td_op_sink sink;
    struct td_mux_track tracks[TD_MUX_TRACKS_MAX]; /* first_key, name, language not kept */
    unsigned track_count;
    uint64_t offset[TD_FILE_SLOTS]; /* bytes emitted */
    bool started;                   /* something was written */
    bool closed;
    int failed; /* first sink error, sticky */
    /* state tail, aligned */
};
void *td_mux_state(struct td_mux *m);
/* Emit helpers that keep `offset` and `failed`. */
TD_MUST int td_mux_append(struct td_mux *m, enum td_file_slot file, const void *bytes, size_t len);
TD_MUST int td_mux_patch(struct td_mux *m, enum td_file_slot file, uint64_t offset,
                         const void *bytes, size_t len);

#endif
