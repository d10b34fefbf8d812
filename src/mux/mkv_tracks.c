/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/mkv_tracks.h"

#include <string.h>

#include "mux/ebml.h"

#define TRACKS_HALF_SEEK 0x4d93u /* Void turned into Seek, killed after the first byte of two */

void td_mkv_take_seek_head(struct td_mkv_scan *s, const uint8_t *body, size_t len, uint64_t at)
{
    struct td_mkv_layout *l = &s->layout;
    struct td_ebml_element e;
    const uint8_t *child;
    struct td_reader r;

    td_reader_init(&r, body, len);
    while (td_ebml_next(&r, &e, &child)) {
        uint64_t total = e.header_len + e.size;
        uint64_t child_at = at + (uint64_t)(child - body) - e.header_len;
        uint8_t expected[TD_MKV_SEEK_BYTES];
        uint64_t position;

        if (total != TD_MKV_SEEK_BYTES)
            continue;
        if ((e.id == TD_EBML_VOID || e.id == TRACKS_HALF_SEEK) && l->seek_at == 0) {
            l->seek_at = child_at;
        } else if (e.id == TD_MKV_SEEK) {
            position = td_ebml_uint(child + e.size - 8, 8);
            td_mkv_put_seek(expected, TD_MKV_CUES, position);
            if (memcmp(child - e.header_len, expected, sizeof(expected)) != 0)
                continue;
            l->seek_at = child_at;
            l->has_seek = true;
            l->seek_position = position;
        }
    }
}

void td_mkv_take_info(struct td_mkv_scan *s, const uint8_t *body, size_t len, uint64_t at)
{
    struct td_mkv_layout *l = &s->layout;
    struct td_ebml_element e;
    const uint8_t *child;
    struct td_reader r;

    td_reader_init(&r, body, len);
    while (td_ebml_next(&r, &e, &child)) {
        uint64_t total = e.header_len + e.size;
        uint64_t child_at = at + (uint64_t)(child - body) - e.header_len;

        if (e.id == TD_MKV_TIMESTAMP_SCALE && td_ebml_uint(child, e.size) > 0)
            l->timestamp_scale = td_ebml_uint(child, e.size);
        else if (e.id == TD_MKV_SEGMENT_UID && e.size == TD_MKV_UID_BYTES)
            memcpy(l->uid, child, TD_MKV_UID_BYTES);
        else if (e.id == TD_EBML_VOID && total == TD_MKV_DURATION_BYTES && l->duration_at == 0)
            l->duration_at = child_at;
        if (e.id != TD_MKV_DURATION)
            continue;
        l->has_duration = true;
        l->duration = td_ebml_double(child, e.size);
        l->duration_at = total == TD_MKV_DURATION_BYTES ? child_at : 0;
    }
}

static void take_codec(struct td_scan_track *t, const uint8_t *id, uint64_t len)
{
    static const struct {
        const char *id;
        enum td_codec codec;
    } names[] = {
        {"V_MPEG4/ISO/AVC", TD_CODEC_H264},
        {"V_VP8", TD_CODEC_VP8},
        {"A_OPUS", TD_CODEC_OPUS},
    };

    while (len > 0 && id[len - 1] == 0) /* RFC 8794 section 7.4: zero padding */
        len--;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i].id) == len && memcmp(id, names[i].id, (size_t)len) == 0)
            t->codec = names[i].codec;
}

static void take_media(struct td_scan_track *t, const uint8_t *body, uint64_t len)
{
    struct td_ebml_element e;
    const uint8_t *child;
    struct td_reader r;

    td_reader_init(&r, body, (size_t)len);
    while (td_ebml_next(&r, &e, &child)) {
        uint64_t value = td_ebml_uint(child, e.size);

        if (e.id == TD_MKV_PIXEL_WIDTH && value <= UINT16_MAX)
            t->width = (uint16_t)value;
        else if (e.id == TD_MKV_PIXEL_HEIGHT && value <= UINT16_MAX)
            t->height = (uint16_t)value;
        else if (e.id == TD_MKV_CHANNELS && value <= 255)
            t->channels = (unsigned)value;
    }
}

static void take_entry(struct td_mkv_scan *s, const uint8_t *body, uint64_t len)
{
    struct td_scan_track t = {.codec = TD_CODEC_NONE};
    struct td_mkv_scan_track track = {.nal_length = 4};
    struct td_ebml_element e;
    const uint8_t *child;
    struct td_reader r;

    td_reader_init(&r, body, (size_t)len);
    while (td_ebml_next(&r, &e, &child)) {
        if (e.id == TD_MKV_TRACK_NUMBER)
            track.number = td_ebml_uint(child, e.size);
        else if (e.id == TD_MKV_CODEC_ID)
            take_codec(&t, child, e.size);
        else if (e.id == TD_MKV_CODEC_PRIVATE && e.size > 4)
            track.nal_length = (child[4] & 3u) + 1; /* avcC, ISO 14496-15 section 5.3.3.1 */
        else if (e.id == TD_MKV_VIDEO || e.id == TD_MKV_AUDIO)
            take_media(&t, child, e.size);
    }
    if (t.codec == TD_CODEC_OPUS && t.channels == 0)
        t.channels = 1; /* the element's default */
    if (t.codec == TD_CODEC_NONE || track.number == 0 ||
        s->result->track_count >= TD_MUX_TRACKS_MAX)
        return;
    for (unsigned i = 0; i < s->result->track_count; i++)
        if (s->tracks[i].number == track.number)
            return;
    if (t.codec != TD_CODEC_OPUS)
        s->has_video = true;
    s->tracks[s->result->track_count] = track;
    s->result->tracks[s->result->track_count++] = t;
}

void td_mkv_take_tracks(struct td_mkv_scan *s, const uint8_t *body, size_t len)
{
    struct td_ebml_element e;
    const uint8_t *child;
    struct td_reader r;

    td_reader_init(&r, body, len);
    while (td_ebml_next(&r, &e, &child))
        if (e.id == TD_MKV_TRACK_ENTRY)
            take_entry(s, child, e.size);
}
