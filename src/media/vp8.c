/* SPDX-License-Identifier: Apache-2.0 */
#include "media/vp8.h"

#include <assert.h>

#include "base/bytes.h"
#include "media/assembly.h"

/* RFC 7741 section 4.2, the payload descriptor. */
#define DESC_EXTENDED 0x80u
#define DESC_START 0x10u
#define DESC_PARTITION 0x07u
#define EXT_PICTURE_ID 0x80u
#define EXT_TL0PICIDX 0x40u
#define EXT_TID 0x20u
#define EXT_KEYIDX 0x10u
#define PICTURE_ID_LONG 0x80u

/* RFC 6386 section 9.1, the frame header. */
#define TAG_BYTES 3u
#define KEY_HEADER_BYTES 10u
#define TAG_INTER 0x01u
#define TAG_SHOWN 0x10u
#define SIDE_MASK 0x3fffu /* the two bits above are the scale */

struct descriptor {
    bool start; /* S: a partition begins here */
    uint8_t partition;
    bool has_picture_id;
    uint16_t picture_id;
};

struct vp8 {
    struct td_assembly assembly;
    struct descriptor first; /* of the frame under assembly */
};

int td_vp8_header(const uint8_t *bytes, size_t len, struct td_vp8_header *ret_header)
{
    assert(ret_header && (bytes || len == 0));
    if (len < TAG_BYTES)
        return -TD_E_PARSE;
    struct td_vp8_header header = {
        .key = (bytes[0] & TAG_INTER) == 0,
        .shown = (bytes[0] & TAG_SHOWN) != 0,
    };
    uint32_t tag = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
    size_t header_len = header.key ? KEY_HEADER_BYTES : TAG_BYTES;
    if (len < header_len || tag >> 5 > len - header_len)
        return -TD_E_PARSE;
    if (header.key) {
        if (bytes[3] != 0x9d || bytes[4] != 0x01 || bytes[5] != 0x2a)
            return -TD_E_PARSE;
        header.width = (uint16_t)((bytes[6] | (unsigned)bytes[7] << 8) & SIDE_MASK);
        header.height = (uint16_t)((bytes[8] | (unsigned)bytes[9] << 8) & SIDE_MASK);
        if (header.width == 0 || header.height == 0)
            return -TD_E_PARSE;
    }
    *ret_header = header;
    return 0;
}

static int read_descriptor(struct td_reader *r, struct descriptor *ret_descriptor)
{
    struct descriptor desc = {.start = false};
    uint8_t first = td_read_u8(r);
    desc.start = (first & DESC_START) != 0;
    desc.partition = first & DESC_PARTITION;
    uint8_t extension = (first & DESC_EXTENDED) != 0 ? td_read_u8(r) : 0;
    if ((extension & EXT_PICTURE_ID) != 0) {
        desc.has_picture_id = true;
        desc.picture_id = td_read_u8(r);
        if ((desc.picture_id & PICTURE_ID_LONG) != 0) {
            unsigned high = desc.picture_id & 0x7fu;
            desc.picture_id = (uint16_t)(high << 8 | td_read_u8(r));
        }
    }
    if ((extension & EXT_TL0PICIDX) != 0)
        (void)td_read_u8(r);
    if ((extension & (EXT_TID | EXT_KEYIDX)) != 0) /* T and K share one byte */
        (void)td_read_u8(r);
    if (r->bad || td_reader_left(r) == 0) /* a descriptor alone carries nothing */
        return -TD_E_PARSE;
    *ret_descriptor = desc;
    return 0;
}

static void vp8_init(struct td_depay *d)
{
    struct vp8 *v = td_depay_state(d);
    td_assembly_init(&v->assembly, d, TD_ASSEMBLY_VIDEO_BYTES);
}

static void vp8_done(struct td_depay *d)
{
    struct vp8 *v = td_depay_state(d);
    td_assembly_done(&v->assembly);
}

/* 0, or -TD_E_PARSE: what was put together is not a frame, and was dropped. */
static int finish_frame(struct td_depay *d, struct vp8 *v)
{
    struct td_assembly *a = &v->assembly;
    struct td_vp8_header header;
    int r = td_vp8_header(td_assembly_bytes(a), td_assembly_len(a), &header);
    if (r < 0) {
        td_assembly_drop(a);
        return r;
    }
    if (header.key && td_codec_blank_size(header.width, header.height)) {
        d->stats.blanks++;
        td_assembly_discard(a);
        return 0;
    }
    struct td_frame frame = {
        .codec = TD_CODEC_VP8,
        .key = header.key,
        .width = header.width,
        .height = header.height,
    };
    td_assembly_finish(a, &frame);
    return 0;
}

static bool other_picture(const struct vp8 *v, const struct td_rtp_packet *packet,
                          const struct descriptor *desc)
{
    if (packet->timestamp != v->assembly.rtp_timestamp)
        return true;
    const struct descriptor *first = &v->first;
    return desc->has_picture_id && first->has_picture_id && desc->picture_id != first->picture_id;
}

/* 1 when the payload continues or begins a frame, 0 when it is left out, or -TD_E_PARSE. */
static int place(struct td_depay *d, struct vp8 *v, const struct td_rtp_packet *packet,
                 const struct descriptor *desc)
{
    struct td_assembly *a = &v->assembly;
    bool begins = desc->start && desc->partition == 0;
    if (a->state == TD_ASSEMBLY_OPEN && other_picture(v, packet, desc))
        (void)finish_frame(d, v); /* its failure is not this packet's */
    if (a->state == TD_ASSEMBLY_OPEN) {
        /* The same frame cannot begin twice. Without PictureIDs a second beginning is a new one. */
        if (begins && desc->has_picture_id)
            return -TD_E_PARSE;
        if (!begins)
            return 1;
        (void)finish_frame(d, v);
    }
    if (td_assembly_skips(a, packet) && !begins)
        return 0;
    if (a->state == TD_ASSEMBLY_SKIP)
        td_assembly_discard(a);
    bool behind_hole = a->behind_hole;
    td_assembly_open(a, packet);
    v->first = *desc;
    if (begins)
        return 1;
    td_assembly_drop(a); /* its beginning is lost, or never was */
    (void)td_assembly_skips(a, packet);
    return behind_hole ? 0 : -TD_E_PARSE;
}

static int vp8_push(struct td_depay *d, const struct td_rtp_packet *packet)
{
    struct vp8 *v = td_depay_state(d);
    struct td_assembly *a = &v->assembly;
    td_assembly_turn(a);
    struct td_reader reader;
    td_reader_init(&reader, packet->payload, packet->payload_len);
    struct descriptor desc;
    int r = read_descriptor(&reader, &desc);
    if (r == 0)
        r = place(d, v, packet, &desc);
    if (r < 0)
        td_assembly_hole(a); /* as good as missing */
    if (r <= 0)
        return r;
    if (td_assembly_append(a, reader.at, td_reader_left(&reader)) < 0)
        return 0; /* dropped and counted there */
    return packet->marker ? finish_frame(d, v) : 0;
}

static int vp8_pop(struct td_depay *d, struct td_frame *ret_frame)
{
    struct vp8 *v = td_depay_state(d);
    return td_assembly_pop(&v->assembly, ret_frame);
}

static void vp8_hole(struct td_depay *d)
{
    struct vp8 *v = td_depay_state(d);
    td_assembly_hole(&v->assembly);
}

const struct td_depay_ops td_vp8_depay_ops = {
    .codec = TD_CODEC_VP8,
    .state_size = sizeof(struct vp8),
    .init = vp8_init,
    .push = vp8_push,
    .pop = vp8_pop,
    .hole = vp8_hole,
    .done = vp8_done,
};
