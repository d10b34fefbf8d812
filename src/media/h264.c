/* SPDX-License-Identifier: Apache-2.0 */
#include "media/h264.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "media/assembly.h"
#include "media/h264_bits.h"
#include "media/h264_sets.h"

/* RFC 6184 table 1: the packet types above the NAL unit types. */
#define PACKET_STAP_A 24u
#define PACKET_FU_A 28u
#define SINGLE_MAX 23u

/* RFC 6184 section 1.3 and 5.8. */
#define NAL_FORBIDDEN 0x80u
#define NAL_REF_IDC 0x60u
#define NAL_TYPE 0x1fu
#define FU_START 0x80u
#define FU_END 0x40u

#define SEI_RECOVERY_POINT 6u /* ISO 14496-10 annex D */

static const uint8_t start_code[] = {0, 0, 0, 1};

struct h264_unit { /* the access unit under assembly */
    uint64_t serial;
    size_t nal_at;      /* offset of the open NAL unit's header */
    bool fu_open;       /* a fragmented NAL unit is not complete yet */
    bool has_slice;     /* anything of the picture */
    bool idr;           /* an IDR slice */
    bool intra;         /* I slices only */
    bool recovery;      /* recovery point SEI with recovery_frame_cnt 0 */
    bool blank;         /* the server's own blank frame */
    size_t after_aud;   /* offset behind a leading access unit delimiter, else 0 */
    size_t first_slice; /* offset of the first slice's start code */
    uint32_t pps_id;    /* of the first slice */
};

struct h264 {
    struct td_assembly assembly;
    struct td_h264_sets sets;
    struct h264_unit unit;
    uint64_t serial;
    bool keys_lack_sets; /* the last key frame came without its SPS, and nothing was missing */
};

static void h264_init(struct td_depay *d)
{
    struct h264 *h = td_depay_state(d);
    td_assembly_init(&h->assembly, d, TD_ASSEMBLY_VIDEO_BYTES);
    h->serial = 1; /* 0 stands for never sent */
}

static void h264_done(struct td_depay *d)
{
    struct h264 *h = td_depay_state(d);
    td_assembly_done(&h->assembly);
}

static int take_slice(struct h264 *h, const uint8_t *nal, size_t len, uint8_t type)
{
    /* ISO 14496-10 section 7.3.3. */
    struct td_h264_bits b;
    td_h264_bits_init(&b, nal + 1, len - 1);
    uint32_t first_mb = td_h264_bits_ue(&b);
    uint32_t slice_type = td_h264_bits_ue_max(&b, 9);
    uint32_t pps_id = td_h264_bits_ue_max(&b, 255);
    if (b.bad)
        return -TD_E_PARSE;
    struct h264_unit *unit = &h->unit;
    bool intra = slice_type % 5 == 2 || slice_type % 5 == 4; /* I, SI: table 7-6 */
    if (!unit->has_slice) {
        /* Behind a hole, a picture that does not begin at its first macroblock has lost slices. */
        if (h->assembly.suspect && first_mb != 0)
            return -TD_E_STATE;
        unit->has_slice = true;
        unit->intra = true;
        unit->pps_id = pps_id;
        unit->first_slice = unit->nal_at - sizeof(start_code);
    }
    unit->intra = unit->intra && intra;
    unit->idr = unit->idr || type == TD_H264_NAL_IDR;
    return 0;
}

/* ISO 14496-10 sections 7.3.2.3.1 and D.1.8. A malformed SEI message only hides what follows it. */
static bool sei_is_recovery_point(const uint8_t *nal, size_t len)
{
    struct td_h264_bits b;
    td_h264_bits_init(&b, nal + 1, len - 1);
    while (!b.bad) {
        uint32_t field[2] = {0, 0}; /* payloadType, payloadSize */
        for (unsigned i = 0; i < 2; i++) {
            uint32_t byte;
            do {
                byte = td_h264_bits_u(&b, 8);
                field[i] += byte;
            } while (byte == 0xff && !b.bad);
        }
        if (b.bad)
            return false;
        if (field[0] == SEI_RECOVERY_POINT)
            return td_h264_bits_ue(&b) == 0 && !b.bad;
        for (uint32_t i = 0; i < field[1] && !b.bad; i++)
            (void)td_h264_bits_u(&b, 8);
    }
    return false;
}

/* Where a set is remembered as sent: one behind a slice is of no use to its own access unit. */
static uint64_t sent_in(const struct h264_unit *unit)
{
    return unit->has_slice ? unit->serial - 1 : unit->serial;
}

/* Length of a parameter set without trailing zero bytes; 0 when a reader of Annex B would see it in
 * pieces, so that it would not be the set that was checked here. */
static size_t set_len(const uint8_t *nal, size_t len)
{
    while (len > 0 && nal[len - 1] == 0)
        len--;
    return td_h264_nal_is_escaped(nal, len) ? len : 0;
}

static int take_sps(struct h264 *h, const uint8_t *nal, size_t len)
{
    struct td_h264_sps info;
    len = set_len(nal, len);
    if (len == 0)
        return -TD_E_PARSE;
    int r = td_h264_sps_parse(nal, len, &info);
    if (r < 0)
        return r;
    /* The sets of a blank frame must not replace those that the publisher's next frames need. */
    if (td_codec_blank_size(info.width, info.height)) {
        h->unit.blank = true;
        return 0;
    }
    r = td_h264_sets_put_sps(&h->sets, &info, nal, len, sent_in(&h->unit));
    return r == -TD_E_LIMIT ? 0 : r;
}

static int take_pps(struct h264 *h, const uint8_t *nal, size_t len)
{
    len = set_len(nal, len);
    if (len == 0)
        return -TD_E_PARSE;
    if (h->unit.blank)
        return 0;
    int r = td_h264_sets_put_pps(&h->sets, nal, len, sent_in(&h->unit));
    return r == -TD_E_LIMIT ? 0 : r;
}

/* Looks at the NAL unit that was just completed. 0, -TD_E_PARSE, or -TD_E_STATE: whole, but what
 * came before it in its access unit is lost. */
static int nal_complete(struct h264 *h)
{
    struct h264_unit *unit = &h->unit;
    const uint8_t *nal = td_assembly_bytes(&h->assembly) + unit->nal_at;
    size_t len = td_assembly_len(&h->assembly) - unit->nal_at;
    uint8_t type = nal[0] & NAL_TYPE;
    switch (type) {
    case TD_H264_NAL_SLICE:
    case TD_H264_NAL_PARTITION_A:
    case TD_H264_NAL_IDR:
        return take_slice(h, nal, len, type);
    case TD_H264_NAL_SPS:
        return take_sps(h, nal, len);
    case TD_H264_NAL_PPS:
        return take_pps(h, nal, len);
    case TD_H264_NAL_SEI:
        unit->recovery = unit->recovery || sei_is_recovery_point(nal, len);
        return 0;
    case TD_H264_NAL_AUD:
        if (unit->nal_at == sizeof(start_code))
            unit->after_aud = unit->nal_at + len;
        return 0;
    default:
        return 0;
    }
}

static int begin_nal(struct h264 *h, const uint8_t *bytes, size_t len)
{
    int r = td_assembly_append(&h->assembly, start_code, sizeof(start_code));
    if (r < 0)
        return r;
    h->unit.nal_at = td_assembly_len(&h->assembly);
    return td_assembly_append(&h->assembly, bytes, len);
}

static int take_single(struct h264 *h, const uint8_t *bytes, size_t len)
{
    uint8_t type = bytes[0] & NAL_TYPE;
    if ((bytes[0] & NAL_FORBIDDEN) != 0 || type == 0 || type > SINGLE_MAX)
        return -TD_E_PARSE;
    int r = begin_nal(h, bytes, len);
    return r < 0 ? r : nal_complete(h);
}

/* RFC 6184 section 5.7.1. */
static int take_stap_a(struct h264 *h, const uint8_t *bytes, size_t len)
{
    struct td_reader reader;
    td_reader_init(&reader, bytes + 1, len - 1);
    if (td_reader_left(&reader) == 0)
        return -TD_E_PARSE;
    while (td_reader_left(&reader) > 0) {
        size_t nal_len = td_read_be16(&reader);
        const uint8_t *nal = td_read_bytes(&reader, nal_len);
        if (reader.bad || nal_len == 0)
            return -TD_E_PARSE;
        int r = take_single(h, nal, nal_len);
        if (r < 0)
            return r;
    }
    return 0;
}

/* RFC 6184 section 5.8. A unit in one fragment is forbidden there, but means only one thing. */
static int take_fu_a(struct h264 *h, const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return -TD_E_PARSE;
    uint8_t fu = bytes[1];
    uint8_t type = fu & NAL_TYPE;
    bool start = (fu & FU_START) != 0;
    if (type == 0 || type > SINGLE_MAX || start == h->unit.fu_open)
        return -TD_E_PARSE;
    int r;
    if (start) {
        uint8_t header = (uint8_t)((bytes[0] & NAL_REF_IDC) | type);
        r = begin_nal(h, &header, 1);
    } else {
        r = type == (td_assembly_bytes(&h->assembly)[h->unit.nal_at] & NAL_TYPE) ? 0 : -TD_E_PARSE;
    }
    if (r == 0 && len > 2)
        r = td_assembly_append(&h->assembly, bytes + 2, len - 2);
    if (r < 0)
        return r;
    h->unit.fu_open = (fu & FU_END) == 0;
    return h->unit.fu_open ? 0 : nal_complete(h);
}

static int take_payload(struct h264 *h, const uint8_t *bytes, size_t len)
{
    if ((bytes[0] & NAL_FORBIDDEN) != 0)
        return -TD_E_PARSE;
    uint8_t type = bytes[0] & NAL_TYPE;
    if (type == PACKET_FU_A)
        return take_fu_a(h, bytes, len);
    if (h->unit.fu_open) /* its end never came, although no packet is missing */
        return -TD_E_PARSE;
    return type == PACKET_STAP_A ? take_stap_a(h, bytes, len) : take_single(h, bytes, len);
}

struct h264_missing { /* sets to insert, start codes included */
    uint8_t bytes[(TD_H264_PPS_KEPT + 1) * (TD_H264_SET_BYTES_MAX + sizeof(start_code))];
    struct td_writer writer;
};

static void add_missing(struct h264_missing *m, const struct td_h264_set *set)
{
    td_write_bytes(&m->writer, start_code, sizeof(start_code));
    td_write_bytes(&m->writer, set->bytes, set->len);
}

/* Makes sure that a key frame carries its parameter sets in front of its slices. 0, -TD_E_STATE
 * when they are not known, or what the insertion said. */
static int dress_key(struct h264 *h, struct td_frame *frame)
{
    const struct h264_unit *unit = &h->unit;
    const struct td_h264_set *pps = td_h264_sets_pps(&h->sets, unit->pps_id);
    const struct td_h264_sps *info = NULL;
    const struct td_h264_set *sps = pps ? td_h264_sets_sps(&h->sets, pps->sps_id, &info) : NULL;
    if (!sps)
        return -TD_E_STATE;
    frame->width = info->width;
    frame->height = info->height;
    bool sps_sent = sps->unit == unit->serial;
    /* Who sends sets with every key frame did so with this one: here they are lost, and the ones we
     * know may be of another picture size. */
    if (!sps_sent && h->assembly.suspect && !h->keys_lack_sets)
        return -TD_E_STATE;
    h->keys_lack_sets = !sps_sent;
    if (sps_sent && pps->unit == unit->serial)
        return 0;
    struct h264_missing m;
    td_writer_init(&m.writer, m.bytes, sizeof(m.bytes));
    if (!sps_sent)
        add_missing(&m, sps);
    for (size_t i = 0; i < TD_H264_PPS_KEPT; i++) {
        const struct td_h264_set *set = &h->sets.pps[i];
        if (set->len > 0 && set->sps_id == sps->id && set->unit != unit->serial)
            add_missing(&m, set);
    }
    assert(!m.writer.bad);
    /* A PPS comes behind its SPS; an access unit delimiter stays first (section 7.4.1.2.3). */
    size_t at = sps_sent ? unit->first_slice : unit->after_aud;
    return td_assembly_insert(&h->assembly, at, m.bytes, td_writer_len(&m.writer));
}

static void finish_unit(struct td_depay *d, struct h264 *h)
{
    const struct h264_unit *unit = &h->unit;
    struct td_assembly *a = &h->assembly;
    if (unit->fu_open) {
        td_assembly_drop(a);
        return;
    }
    if (unit->blank && unit->has_slice) {
        d->stats.blanks++;
        td_assembly_discard(a);
        return;
    }
    if (!unit->has_slice) { /* parameter sets that travelled alone: they are remembered */
        td_assembly_discard(a);
        return;
    }
    struct td_frame frame = {
        .codec = TD_CODEC_H264,
        .key = unit->idr || (unit->recovery && unit->intra),
    };
    int r = frame.key ? dress_key(h, &frame) : 0;
    if (r == -TD_E_STATE)
        td_assembly_drop(a);
    if (r == 0)
        td_assembly_finish(a, &frame);
}

static int h264_push(struct td_depay *d, const struct td_rtp_packet *packet)
{
    struct h264 *h = td_depay_state(d);
    struct td_assembly *a = &h->assembly;
    td_assembly_turn(a);
    /* Some encoders forget the marker: another timestamp is another access unit all the same. */
    if (a->state == TD_ASSEMBLY_OPEN && packet->timestamp != a->rtp_timestamp)
        finish_unit(d, h);
    if (td_assembly_skips(a, packet))
        return 0;
    if (a->state != TD_ASSEMBLY_OPEN) {
        td_assembly_open(a, packet);
        h->unit = (struct h264_unit){.serial = ++h->serial};
    }
    int r = take_payload(h, packet->payload, packet->payload_len);
    if (r == 0 && packet->marker && h->unit.fu_open)
        r = -TD_E_PARSE;
    if (r == -TD_E_PARSE || r == -TD_E_STATE)
        td_assembly_drop(a);
    if (r < 0) {
        (void)td_assembly_skips(a, packet); /* this packet may be the last of what is skipped */
        return r == -TD_E_PARSE ? r : 0;
    }
    if (packet->marker && h->unit.has_slice)
        finish_unit(d, h);
    return 0;
}

static int h264_pop(struct td_depay *d, struct td_frame *ret_frame)
{
    struct h264 *h = td_depay_state(d);
    return td_assembly_pop(&h->assembly, ret_frame);
}

static void h264_hole(struct td_depay *d)
{
    struct h264 *h = td_depay_state(d);
    td_assembly_hole(&h->assembly);
}

const struct td_depay_ops td_h264_depay_ops = {
    .codec = TD_CODEC_H264,
    .state_size = sizeof(struct h264),
    .init = h264_init,
    .push = h264_push,
    .pop = h264_pop,
    .hole = h264_hole,
    .done = h264_done,
};
