/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher/packetize.h"

#include <string.h>

#include "base/bytes.h"
#include "base/id.h"
#include "base/limits.h"
#include "media/h264_annexb.h"
#include "rtp/packet.h"

enum {
    RTP_FIRST = 0x80, /* version 2, no padding, no CSRC: RFC 3550 section 5.1 */
    RTP_EXTENSION = 0x10,
    RTP_MARKER = 0x80,
    EXTENSION_ONE_BYTE = 0xbede, /* RFC 8285 section 4.2 */
    EXTENSION_ID_MAX = 14,
    NAL_HEADER_KEEP = 0xe0, /* F and NRI of a NAL unit's first byte */
    NAL_TYPE = 0x1f,
    STAP_A = 24, /* RFC 6184 section 5.7.1 */
    FU_A = 28,   /* RFC 6184 section 5.8 */
    FU_START = 0x80,
    FU_END = 0x40,
    /* RFC 7741 section 4.2 */
    VP8_EXTENDED = 0x80,
    VP8_START = 0x10,
    VP8_HAS_PICTURE_ID = 0x80,
    VP8_HAS_TL0 = 0x40,
    VP8_HAS_TID = 0x20,
    VP8_PICTURE_ID_LONG = 0x8000,
    VP8_PICTURE_ID_MASK = 0x7fff,
    NALS_MAX = 64, /* in one frame; a slice each macroblock row of 1080p is 68, nobody sends that */
};

/* One frame on its way. */
struct job {
    struct td_packetizer *p;
    const struct td_packet_sink *sink;
    uint32_t timestamp;
    int packets;
};

int td_packetize_config_random(struct td_packetize_config *config)
{
    uint8_t bytes[12];
    int r = td_random_bytes(bytes, sizeof(bytes));
    if (r < 0)
        return r;
    struct td_reader in;
    td_reader_init(&in, bytes, sizeof(bytes));
    config->ssrc = td_read_be32(&in) | 1; /* 0 means unknown in many a stack */
    config->first_timestamp = td_read_be32(&in);
    /* RFC 3711 section 3.3.1: in the lower half, so that a lost first packet cannot be taken for a
     * roll-over. */
    config->first_seq = td_read_be16(&in) & 0x7fff;
    config->first_picture_id = td_read_be16(&in) & VP8_PICTURE_ID_MASK;
    return 0;
}

int td_packetizer_init(struct td_packetizer *p, const struct td_packetize_config *config)
{
    bool codec = config->codec > TD_CODEC_NONE && config->codec < TD_CODEC_MAX;
    bool size = config->packet_bytes_max == 0 ||
                (config->packet_bytes_max >= TD_PACKETIZE_BYTES_MIN &&
                 config->packet_bytes_max <= TD_PACKETIZE_BYTES_MAX);
    size_t mid_len = strnlen(config->mid, sizeof(config->mid));
    bool mid = config->mid_id == 0 || (config->mid_id <= EXTENSION_ID_MAX && mid_len > 0 &&
                                       mid_len <= TD_PACKETIZE_MID_MAX);
    if (!codec || !size || !mid || config->payload_type > 127)
        return -TD_E_USAGE;
    *p = (struct td_packetizer){
        .config = *config,
        .seq = config->first_seq,
        .picture_id = config->first_picture_id & VP8_PICTURE_ID_MASK,
    };
    if (p->config.packet_bytes_max == 0)
        p->config.packet_bytes_max = TD_PACKETIZE_BYTES_MAX;
    return 0;
}

static void write_extension(struct td_writer *w, const struct td_packetize_config *config)
{
    size_t len = strlen(config->mid);
    size_t words = (1 + len + 3) / 4;
    td_write_be16(w, EXTENSION_ONE_BYTE);
    td_write_be16(w, (uint16_t)words);
    td_write_u8(w, (uint8_t)((unsigned)config->mid_id << 4 | (unsigned)(len - 1)));
    td_write_bytes(w, config->mid, len);
    for (size_t i = 1 + len; i < words * 4; i++)
        td_write_u8(w, 0);
}

static size_t header_bytes(const struct td_packetize_config *config)
{
    size_t extension = config->mid_id == 0 ? 0 : 4 + (1 + strlen(config->mid) + 3) / 4 * 4;
    return TD_RTP_HEADER_BYTES + extension;
}

/* What a packet can carry behind its header. */
static size_t room(const struct td_packetizer *p)
{
    return p->config.packet_bytes_max - header_bytes(&p->config);
}

/* One packet of payload head and body. */
static int emit(struct job *job, bool marker, const struct td_writer *head, const uint8_t *body,
                size_t len)
{
    const struct td_packetize_config *config = &job->p->config;
    uint8_t bytes[TD_PACKETIZE_BYTES_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, config->packet_bytes_max);
    td_write_u8(&w, RTP_FIRST | (config->mid_id != 0 ? RTP_EXTENSION : 0));
    td_write_u8(&w, (uint8_t)((marker ? RTP_MARKER : 0) | config->payload_type));
    td_write_be16(&w, job->p->seq);
    td_write_be32(&w, job->timestamp);
    td_write_be32(&w, config->ssrc);
    if (config->mid_id != 0)
        write_extension(&w, config);
    if (head)
        td_write_bytes(&w, head->start, td_writer_len(head));
    td_write_bytes(&w, body, len);
    if (w.bad)
        return -TD_E_LIMIT;
    uint16_t seq = job->p->seq++;
    job->packets++;
    return job->sink->packet(job->sink->ctx, seq, bytes, td_writer_len(&w));
}

/* RFC 6184 section 5.8: the NAL unit's header is carried in parts by the two FU bytes. */
static int emit_fragments(struct job *job, const struct td_h264_nal *nal, bool marker)
{
    size_t step = room(job->p) - 2;
    for (size_t at = 1; at < nal->len; at += step) {
        size_t len = nal->len - at < step ? nal->len - at : step;
        bool last = at + len == nal->len;
        uint8_t bytes[2];
        struct td_writer head;
        td_writer_init(&head, bytes, sizeof(bytes));
        td_write_u8(&head, (uint8_t)((nal->bytes[0] & NAL_HEADER_KEEP) | FU_A));
        td_write_u8(&head, (uint8_t)((at == 1 ? FU_START : 0) | (last ? FU_END : 0) |
                                     (nal->bytes[0] & NAL_TYPE)));
        int r = emit(job, marker && last, &head, nal->bytes + at, len);
        if (r < 0)
            return r;
    }
    return 0;
}

/* RFC 6184 section 5.7.1: F is the or, NRI the maximum of the units'. */
static int emit_aggregate(struct job *job, const struct td_h264_nal *nals, size_t count)
{
    uint8_t bytes[TD_PACKETIZE_BYTES_MAX];
    struct td_writer w;
    unsigned forbidden = 0;
    unsigned importance = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned nri = nals[i].bytes[0] & 0x60;
        forbidden |= nals[i].bytes[0] & 0x80;
        importance = nri > importance ? nri : importance;
    }
    td_writer_init(&w, bytes, sizeof(bytes));
    td_write_u8(&w, (uint8_t)(forbidden | importance | STAP_A));
    for (size_t i = 0; i < count; i++) {
        td_write_be16(&w, (uint16_t)nals[i].len);
        td_write_bytes(&w, nals[i].bytes, nals[i].len);
    }
    return w.bad ? -TD_E_LIMIT : emit(job, false, NULL, bytes, td_writer_len(&w));
}

/* How many of the first units are no slices and fit into one packet together. */
static size_t aggregate_count(const struct td_packetizer *p, const struct td_h264_nal *nals,
                              size_t count)
{
    size_t bytes = 1;
    size_t n = 0;
    while (n < count && nals[n].type > TD_H264_NAL_IDR && bytes + 2 + nals[n].len <= room(p))
        bytes += 2 + nals[n++].len;
    return n;
}

static int packetize_h264(struct job *job, const struct td_frame *frame)
{
    struct td_h264_nal nals[NALS_MAX];
    size_t count = 0;
    size_t offset = 0;
    int r = 1;
    while (r > 0) {
        struct td_h264_nal nal;
        r = td_h264_next_nal(frame->bytes, frame->len, &offset, &nal);
        /* A delimiter says nothing that the marker bit does not. */
        if (r <= 0 || nal.type == TD_H264_NAL_AUD)
            continue;
        if (count == NALS_MAX)
            return -TD_E_LIMIT;
        nals[count++] = nal;
    }
    if (r < 0 || count == 0)
        return r < 0 ? r : -TD_E_PARSE;
    size_t first = job->p->config.stap_a ? aggregate_count(job->p, nals, count) : 0;
    first = first < 2 ? 0 : first;
    if (first > 0)
        r = emit_aggregate(job, nals, first);
    for (size_t i = first; i < count && r >= 0; i++) {
        bool marker = i + 1 == count;
        r = nals[i].len <= room(job->p) ? emit(job, marker, NULL, nals[i].bytes, nals[i].len)
                                        : emit_fragments(job, &nals[i], marker);
    }
    return r;
}

static void write_vp8_descriptor(struct td_writer *w, const struct td_packetizer *p, bool start)
{
    unsigned present = VP8_HAS_PICTURE_ID | (p->config.tl0 ? VP8_HAS_TL0 | VP8_HAS_TID : 0);
    td_write_u8(w, (uint8_t)(VP8_EXTENDED | (start ? VP8_START : 0)));
    td_write_u8(w, (uint8_t)present);
    td_write_be16(w, VP8_PICTURE_ID_LONG | p->picture_id);
    if (p->config.tl0) {
        td_write_u8(w, p->tl0_index);
        td_write_u8(w, 0); /* TID 0, no sync point, no KEYIDX */
    }
}

static int packetize_vp8(struct job *job, const struct td_frame *frame)
{
    struct td_packetizer *p = job->p;
    size_t descriptor = p->config.tl0 ? 6 : 4;
    size_t step = room(p) - descriptor;
    int r = 0;
    for (size_t at = 0; at < frame->len && r >= 0; at += step) {
        size_t len = frame->len - at < step ? frame->len - at : step;
        uint8_t bytes[8];
        struct td_writer head;
        td_writer_init(&head, bytes, sizeof(bytes));
        write_vp8_descriptor(&head, p, at == 0);
        r = emit(job, at + len == frame->len, &head, frame->bytes + at, len);
    }
    p->picture_id = (p->picture_id + 1) & VP8_PICTURE_ID_MASK;
    p->tl0_index++;
    return r;
}

/* RFC 7587 section 4.1: the marker tells the beginning of speech after silence; ours never stops.
 */
static int packetize_opus(struct job *job, const struct td_frame *frame)
{
    return emit(job, !job->p->started, NULL, frame->bytes, frame->len);
}

int td_packetizer_frame(struct td_packetizer *p, const struct td_frame *frame,
                        const struct td_packet_sink *sink)
{
    struct job job = {
        .p = p,
        .sink = sink,
        .timestamp = p->config.first_timestamp + frame->rtp_timestamp,
    };
    if (frame->len == 0)
        return 0;
    if (frame->len > TD_FRAME_BYTES_MAX)
        return -TD_E_LIMIT;
    int r = p->config.codec == TD_CODEC_H264  ? packetize_h264(&job, frame)
            : p->config.codec == TD_CODEC_VP8 ? packetize_vp8(&job, frame)
                                              : packetize_opus(&job, frame);
    p->started = p->started || job.packets > 0;
    return r < 0 ? r : job.packets;
}
