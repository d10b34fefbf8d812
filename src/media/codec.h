/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec: the codecs we know by name, kind and clock, and the family of depacketisers.
 * Owner: a td_depay belongs to one track.
 * Thread: the media loop's.
 * Bound: the frame under assembly: TD_FRAME_BYTES_MAX and the track's budget; a larger one is
 *        dropped whole and counted.
 * Does not: decode. Adding a codec = one file pair, one row in codec.c, one test vector, one line
 *           of docs.
 */
#ifndef TD_MEDIA_CODEC_H
#define TD_MEDIA_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/bytes.h"
#include "base/err.h"
#include "media/frame.h"
#include "rtp/packet.h"

struct td_codec_info {
    enum td_codec codec;
    enum td_media_kind kind;
    const char *name; /* rtpmap encoding name, "H264"; compared without case */
    uint32_t clock_hz;
};

/* NULL for an unknown codec or name. */
const struct td_codec_info *td_codec_info(enum td_codec codec);
const struct td_codec_info *td_codec_by_name(const char *rtpmap_name);

struct td_depay;

struct td_depay_stats {
    uint64_t frames;
    uint64_t broken;    /* frames dropped for a missing or malformed packet */
    uint64_t malformed; /* packets */
    uint64_t oversize;  /* frames over the limit */
    uint64_t blanks;    /* the SFU's blank frames, recognised and left out */
    uint64_t padding;   /* padding-only packets */
    uint64_t dtx;       /* audio packets that only say that there is nothing to hear, left out */
};

struct td_depay_ops {
    enum td_codec codec;
    size_t state_size;                /* bytes behind struct td_depay, zeroed */
    void (*init)(struct td_depay *d); /* once, before anything else; takes no memory */
    /* Takes the next packet in order. A packet may end the frame before it and be a frame itself,
     * so finished frames are queued in the state (2 at most) and fetched with pop. 0, or
     * -TD_E_PARSE (counted, the frame under assembly is dropped). Padding-only packets never get
     * here. */
    int (*push)(struct td_depay *d, const struct td_rtp_packet *packet);
    /* 1 with a frame whose bytes are valid until the next push, else 0. Frames that were not
     * fetched by then are gone. */
    int (*pop)(struct td_depay *d, struct td_frame *ret_frame);
    /* Packets are missing here: drop what is under assembly. */
    void (*hole)(struct td_depay *d);
    void (*done)(struct td_depay *d); /* may be NULL */
};

TD_MUST int td_depay_new(enum td_codec codec, struct td_budget *budget,
                         struct td_depay **ret_depay);
struct td_depay *td_depay_free(struct td_depay *d);
TD_MUST int td_depay_push(struct td_depay *d, const struct td_rtp_packet *packet);
TD_MUST int td_depay_pop(struct td_depay *d, struct td_frame *ret_frame);
void td_depay_hole(struct td_depay *d);
const struct td_depay_stats *td_depay_stats(const struct td_depay *d);
/* The table, for tests that walk it. */
const struct td_depay_ops *const *td_depay_table(size_t *ret_count);

/* True for the size of a server's blank frame (LiveKit: VP8 8x8, H.264 2x2), which must not become
 * the size of a recording. No publisher sends pictures that small. */
bool td_codec_blank_size(unsigned width, unsigned height);

/* For implementations (media/ only). */
struct td_depay {
    const struct td_depay_ops *ops;
    struct td_budget *budget;
    struct td_depay_stats stats;
    /* state tail, aligned */
};
void *td_depay_state(struct td_depay *d);

#endif
