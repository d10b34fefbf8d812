/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/psi.h"

#include <string.h>

#include "base/bytes.h"

#define PSI_TABLE_PAT 0x00u
#define PSI_TABLE_PMT 0x02u
#define PSI_PROGRAM 1u
#define PSI_CRC_BYTES 4u

/* Descriptor tags, ISO 13818-1 table 2-45; 0x7f is DVB's extension descriptor (EN 300 468). */
#define PSI_DESC_REGISTRATION 0x05u
#define PSI_DESC_LANGUAGE 0x0au
#define PSI_DESC_EXTENSION 0x7fu
#define PSI_EXT_OPUS 0x80u /* Opus in MPEG-TS, section 4.2: provisional user defined extension */

static const uint8_t opus_id[4] = {'O', 'p', 'u', 's'};

/* Writes the TS header and pointer_field; the section follows. */
static void packet_start(struct td_writer *w, uint8_t *packet, uint16_t pid, uint8_t cc)
{
    memset(packet, 0xff, TD_TS_PACKET); /* stuffing behind the section, section 2.4.4 */
    td_writer_init(w, packet, TD_TS_PACKET);
    td_write_u8(w, TD_TS_SYNC);
    td_write_be16(w, (uint16_t)(TD_TS_PUSI << 8 | pid));
    td_write_u8(w, (uint8_t)(TD_TS_HAS_PAYLOAD | (cc & 15)));
    td_write_u8(w, 0); /* pointer_field */
}

static void section_start(struct td_writer *w, uint8_t table, uint16_t id, uint8_t version)
{
    td_write_u8(w, table);
    td_write_be16(w, 0); /* section_length, set by section_end */
    td_write_be16(w, id);
    td_write_u8(w, (uint8_t)(0xc1 | version << 1)); /* reserved 11, current_next_indicator 1 */
    td_write_be16(w, 0);                            /* section_number, last_section_number */
}

static void section_end(struct td_writer *w)
{
    uint8_t *section = w->start + 5;
    size_t len = (size_t)(w->at - section);
    size_t section_length = len - 3 + PSI_CRC_BYTES;

    section[1] = (uint8_t)(0xb0 | section_length >> 8);
    section[2] = (uint8_t)section_length;
    td_write_be32(w, td_crc32_mpeg(0xffffffff, section, len));
}

void td_psi_write_pat(uint8_t ret_packet[static TD_TS_PACKET], uint8_t cc)
{
    struct td_writer w;

    packet_start(&w, ret_packet, TD_TS_PID_PAT, cc);
    section_start(&w, PSI_TABLE_PAT, 1, 0);
    td_write_be16(&w, PSI_PROGRAM);
    td_write_be16(&w, 0xe000 | TD_TS_PID_PMT);
    section_end(&w);
}

/* Opus in MPEG-TS, table 4-2: 1 to 8 are the channel counts of Vorbis order, 0 is dual mono. */
static uint8_t opus_channel_config(unsigned channels)
{
    return (uint8_t)(channels >= 1 && channels <= 8 ? channels : 2);
}

static void write_stream(struct td_writer *w, const struct td_psi_stream *s, bool language)
{
    uint8_t *info;
    size_t len;

    td_write_u8(w, s->codec == TD_CODEC_H264 ? TD_TS_TYPE_H264 : TD_TS_TYPE_PRIVATE);
    td_write_be16(w, (uint16_t)(0xe000 | s->pid));
    info = w->at;
    td_write_be16(w, 0xf000); /* ES_info_length, below */
    if (s->codec == TD_CODEC_OPUS) {
        td_write_u8(w, PSI_DESC_REGISTRATION);
        td_write_u8(w, sizeof(opus_id));
        td_write_bytes(w, opus_id, sizeof(opus_id));
        td_write_u8(w, PSI_DESC_EXTENSION);
        td_write_u8(w, 2);
        td_write_u8(w, PSI_EXT_OPUS);
        td_write_u8(w, opus_channel_config(s->channels));
    }
    if (language && s->language[0]) {
        td_write_u8(w, PSI_DESC_LANGUAGE);
        td_write_u8(w, 4);
        td_write_bytes(w, s->language, 3);
        td_write_u8(w, 0); /* audio_type: undefined */
    }
    if (w->bad)
        return;
    len = (size_t)(w->at - info) - 2;
    info[1] = (uint8_t)len; /* far below 256 */
}

int td_psi_write_pmt(uint8_t ret_packet[static TD_TS_PACKET], uint8_t cc,
                     const struct td_psi_pmt *pmt)
{
    /* With their languages, more than five Opus streams do not fit one packet. */
    bool language = pmt->stream_count <= 5;
    struct td_writer w;

    packet_start(&w, ret_packet, TD_TS_PID_PMT, cc);
    section_start(&w, PSI_TABLE_PMT, PSI_PROGRAM, pmt->version);
    td_write_be16(&w, (uint16_t)(0xe000 | pmt->pcr_pid));
    td_write_be16(&w, 0xf000 | 5); /* program_info_length */
    td_write_u8(&w, TD_TS_PRIVATE_TAG);
    td_write_u8(&w, 3);
    td_write_u8(&w, 'T');
    td_write_u8(&w, 'D');
    td_write_u8(&w, pmt->half_epoch);
    for (unsigned i = 0; i < pmt->stream_count; i++)
        write_stream(&w, &pmt->streams[i], language);
    if (w.bad || (size_t)(w.end - w.at) < PSI_CRC_BYTES)
        return -TD_E_LIMIT;
    section_end(&w);
    return 0;
}

int td_psi_push(struct td_psi_section *s, const uint8_t *payload, size_t len, bool pusi)
{
    size_t need;

    if (pusi) {
        if (len < 1 || (size_t)payload[0] + 1 > len) {
            s->open = false;
            return -TD_E_PARSE;
        }
        /* The end of a section before the pointer is dropped: tables are repeated. */
        len -= (size_t)payload[0] + 1;
        payload += (size_t)payload[0] + 1;
        s->len = 0;
        s->open = true;
    }
    if (!s->open)
        return 0;
    if (len > sizeof(s->bytes) - s->len)
        len = sizeof(s->bytes) - s->len;
    memcpy(s->bytes + s->len, payload, len);
    s->len += len;
    if (s->len < 3)
        return 0;
    need = 3u + ((s->bytes[1] & 15u) << 8 | s->bytes[2]);
    if (need > sizeof(s->bytes) || need < 8 + PSI_CRC_BYTES) {
        s->open = false;
        return -TD_E_PARSE;
    }
    if (s->len < need)
        return 0;
    s->open = false;
    s->len = need;
    /* The CRC over a section with its CRC is zero, ISO 13818-1 annex A. */
    return td_crc32_mpeg(0xffffffff, s->bytes, need) == 0 ? 1 : -TD_E_PARSE;
}

/* Positions a reader behind the eight header bytes of a section of `table`. */
static int section_open(const struct td_psi_section *s, uint8_t table, struct td_reader *ret_reader)
{
    if (s->len < 8 + PSI_CRC_BYTES || s->bytes[0] != table)
        return -TD_E_PARSE;
    td_reader_init(ret_reader, s->bytes + 8, s->len - 8 - PSI_CRC_BYTES);
    return 0;
}

int td_psi_parse_pat(const struct td_psi_section *s, uint16_t *ret_pmt_pid)
{
    struct td_reader r;
    int err = section_open(s, PSI_TABLE_PAT, &r);

    if (err < 0)
        return err;
    while (td_reader_left(&r) >= 4) {
        uint16_t program = td_read_be16(&r);
        uint16_t pid = td_read_be16(&r) & 0x1fff;

        if (program != 0) { /* 0 is the network PID */
            *ret_pmt_pid = pid;
            return 0;
        }
    }
    return -TD_E_PARSE;
}

static void parse_stream_info(struct td_reader *r, uint8_t type, struct td_psi_stream *ret_stream)
{
    bool opus = false;

    while (td_reader_left(r) >= 2) {
        uint8_t tag = td_read_u8(r);
        uint8_t len = td_read_u8(r);
        const uint8_t *body = td_read_bytes(r, len);

        if (!body)
            break;
        if (tag == PSI_DESC_REGISTRATION && len >= 4 && memcmp(body, opus_id, 4) == 0)
            opus = true;
        else if (tag == PSI_DESC_EXTENSION && len >= 2 && body[0] == PSI_EXT_OPUS)
            ret_stream->channels = body[1] >= 1 && body[1] <= 8 ? body[1] : 2;
        else if (tag == PSI_DESC_LANGUAGE && len >= 3)
            memcpy(ret_stream->language, body, 3);
    }
    if (type == TD_TS_TYPE_H264)
        ret_stream->codec = TD_CODEC_H264;
    else if (type == TD_TS_TYPE_PRIVATE && opus)
        ret_stream->codec = TD_CODEC_OPUS;
    if (ret_stream->codec == TD_CODEC_OPUS && ret_stream->channels == 0)
        ret_stream->channels = 2;
}

static void parse_program_info(struct td_reader *r, struct td_psi_pmt *pmt)
{
    while (td_reader_left(r) >= 2) {
        uint8_t tag = td_read_u8(r);
        uint8_t len = td_read_u8(r);
        const uint8_t *body = td_read_bytes(r, len);

        if (!body)
            return;
        if (tag == TD_TS_PRIVATE_TAG && len == 3 && body[0] == 'T' && body[1] == 'D') {
            pmt->ours = true;
            pmt->half_epoch = body[2];
        }
    }
}

int td_psi_parse_pmt(const struct td_psi_section *s, struct td_psi_pmt *ret_pmt)
{
    struct td_psi_pmt pmt = {.version = (s->bytes[5] >> 1) & 31};
    struct td_reader r;
    struct td_reader info;
    const uint8_t *body;
    size_t len;
    int err = section_open(s, PSI_TABLE_PMT, &r);

    if (err < 0)
        return err;
    pmt.pcr_pid = td_read_be16(&r) & 0x1fff;
    len = td_read_be16(&r) & 0x0fff;
    body = td_read_bytes(&r, len);
    if (!body)
        return -TD_E_PARSE;
    td_reader_init(&info, body, len);
    parse_program_info(&info, &pmt);
    while (td_reader_left(&r) >= 5 && pmt.stream_count < TD_MUX_TRACKS_MAX) {
        struct td_psi_stream *stream = &pmt.streams[pmt.stream_count];
        uint8_t type = td_read_u8(&r);

        stream->pid = td_read_be16(&r) & 0x1fff;
        len = td_read_be16(&r) & 0x0fff;
        body = td_read_bytes(&r, len);
        if (!body)
            return -TD_E_PARSE;
        td_reader_init(&info, body, len);
        parse_stream_info(&info, type, stream);
        pmt.stream_count++;
    }
    *ret_pmt = pmt;
    return 0;
}
