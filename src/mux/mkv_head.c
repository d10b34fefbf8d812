/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/mkv_head.h"

#include <assert.h>
#include <string.h>

#include "media/h264.h"
#include "mux/ebml.h"

#define HEAD_APP "tapedeck"
#define HEAD_SEGMENT_DATA 52u /* file offset behind the Segment's header */
#define HEAD_INFO_AT (68u + HEAD_SEGMENT_DATA)
#define HEAD_NAME_MAX 128u

static void write_string(struct td_writer *w, uint32_t id, const char *text, size_t len)
{
    td_ebml_write_binary(w, id, text, len);
}

/* Cuts a title to HEAD_NAME_MAX bytes at a character's start (UTF-8: not 10xxxxxx). */
static size_t name_len(const char *name)
{
    size_t len = strnlen(name, HEAD_NAME_MAX + 1);

    if (len <= HEAD_NAME_MAX)
        return len;
    len = HEAD_NAME_MAX;
    while (len > 0 && ((uint8_t)name[len] & 0xc0) == 0x80)
        len--;
    return len;
}

/* RFC 7845 section 5.1. Pre-skip 0: a recording joins a running stream, there is no encoder start
 * to be cut, and block times stay those of the packets. */
static void write_opus(struct td_writer *w, unsigned channels)
{
    uint8_t head[19] = {'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1};
    uint8_t *size;

    head[9] = (uint8_t)channels;
    head[12] = 0x80; /* input sample rate 48000, little endian */
    head[13] = 0xbb;
    write_string(w, TD_MKV_CODEC_ID, "A_OPUS", 6);
    td_ebml_write_binary(w, TD_MKV_CODEC_PRIVATE, head, sizeof(head));
    td_ebml_write_uint(w, TD_MKV_CODEC_DELAY, 0);
    td_ebml_write_uint(w, TD_MKV_SEEK_PRE_ROLL, 80000000); /* ns, RFC 7845 section 4.6 */
    size = td_ebml_begin(w, TD_MKV_AUDIO, 1);
    td_ebml_write_double(w, TD_MKV_SAMPLING_FREQUENCY, 48000);
    td_ebml_write_uint(w, TD_MKV_CHANNELS, channels);
    td_ebml_end(w, size, 1);
}

static void write_video(struct td_writer *w, uint16_t width, uint16_t height)
{
    uint8_t *size = td_ebml_begin(w, TD_MKV_VIDEO, 1);

    /* Zero is not allowed (RFC 9559 section 5.1.4.1.28.6); players trust the stream anyway. */
    td_ebml_write_uint(w, TD_MKV_PIXEL_WIDTH, width ? width : 640);
    td_ebml_write_uint(w, TD_MKV_PIXEL_HEIGHT, height ? height : 480);
    td_ebml_end(w, size, 1);
}

static int write_h264(struct td_writer *w, const struct td_mux_track *track)
{
    const struct td_frame *key = track->first_key;
    uint16_t width = track->width;
    uint16_t height = track->height;
    uint8_t avcc[TD_H264_AVCC_BYTES_MAX];
    struct td_h264_sps sps;
    int n;

    if (!key)
        return -TD_E_PARSE;
    n = td_h264_avcc(key->bytes, key->len, avcc, sizeof(avcc));
    if (n < 0)
        return n;
    if ((!width || !height) && td_h264_frame_sps(key->bytes, key->len, &sps) == 0) {
        width = sps.width;
        height = sps.height;
    }
    write_string(w, TD_MKV_CODEC_ID, "V_MPEG4/ISO/AVC", 15);
    td_ebml_write_binary(w, TD_MKV_CODEC_PRIVATE, avcc, (size_t)n);
    write_video(w, width, height);
    return 0;
}

static void write_vp8(struct td_writer *w, const struct td_mux_track *track)
{
    const struct td_frame *key = track->first_key;
    uint16_t width = track->width;
    uint16_t height = track->height;

    if ((!width || !height) && key && key->len >= 10) { /* RFC 6386 section 9.1 */
        width = (uint16_t)((key->bytes[7] & 0x3f) << 8 | key->bytes[6]);
        height = (uint16_t)((key->bytes[9] & 0x3f) << 8 | key->bytes[8]);
    }
    write_string(w, TD_MKV_CODEC_ID, "V_VP8", 5);
    write_video(w, width, height);
}

int td_mkv_write_entry(struct td_writer *w, const struct td_mux_track *track, unsigned number)
{
    bool audio = track->codec == TD_CODEC_OPUS;
    size_t language = track->language ? strlen(track->language) : 0;
    int r = 0;

    if (audio && track->channels > 2)
        return -TD_E_UNSUPPORTED;
    td_ebml_write_uint(w, TD_MKV_TRACK_NUMBER, number);
    td_ebml_write_uint(w, TD_MKV_TRACK_UID, number);
    td_ebml_write_uint(w, TD_MKV_TRACK_TYPE, audio ? 2 : 1);
    td_ebml_write_uint(w, TD_MKV_FLAG_LACING, 0);
    /* Without Language, players take "eng", its default. It holds ISO 639-2 only. */
    write_string(w, TD_MKV_LANGUAGE, language == 3 ? track->language : "und", 3);
    if (language >= 2 && language <= 35) /* RFC 5646 section 4.4.1 */
        write_string(w, TD_MKV_LANGUAGE_BCP47, track->language, language);
    if (track->name && track->name[0])
        write_string(w, TD_MKV_NAME, track->name, name_len(track->name));
    if (audio)
        write_opus(w, track->channels ? track->channels : 2);
    else if (track->codec == TD_CODEC_H264)
        r = write_h264(w, track);
    else
        write_vp8(w, track);
    if (r < 0)
        return r;
    return w->bad ? -TD_E_LIMIT : 0;
}

void td_mkv_put_seek(uint8_t ret_bytes[static TD_MKV_SEEK_BYTES], uint32_t id, uint64_t position)
{
    struct td_writer w;
    uint8_t *size;

    td_writer_init(&w, ret_bytes, TD_MKV_SEEK_BYTES);
    size = td_ebml_begin(&w, TD_MKV_SEEK, 1);
    td_ebml_write_id(&w, TD_MKV_SEEK_ID);
    td_ebml_write_size(&w, 4, 1);
    td_write_be32(&w, id);
    td_ebml_write_uint64(&w, TD_MKV_SEEK_POSITION, position);
    td_ebml_end(&w, size, 1);
    assert(!w.bad && w.at == w.end);
}

void td_mkv_put_duration(uint8_t ret_bytes[static TD_MKV_DURATION_BYTES], double duration)
{
    struct td_writer w;

    td_writer_init(&w, ret_bytes, TD_MKV_DURATION_BYTES);
    td_ebml_write_double(&w, TD_MKV_DURATION, duration);
    assert(!w.bad && w.at == w.end);
}

static void write_ebml_header(struct td_writer *w)
{
    uint8_t *size = td_ebml_begin(w, TD_EBML_HEADER, 1);

    td_ebml_write_uint(w, TD_EBML_VERSION, 1);
    td_ebml_write_uint(w, TD_EBML_READ_VERSION, 1);
    td_ebml_write_uint(w, TD_EBML_MAX_ID, 4);
    td_ebml_write_uint(w, TD_EBML_MAX_SIZE, 8);
    write_string(w, TD_EBML_DOCTYPE, "matroska", 8);
    td_ebml_write_uint(w, TD_EBML_DOCTYPE_VERSION, 4);
    td_ebml_write_uint(w, TD_EBML_DOCTYPE_READ, 2);
    td_ebml_end(w, size, 1);
}

static void write_seek_head(struct td_writer *w, uint64_t tracks_position)
{
    uint8_t seek[TD_MKV_SEEK_BYTES];
    uint8_t *size = td_ebml_begin(w, TD_MKV_SEEK_HEAD, 1);

    td_mkv_put_seek(seek, TD_MKV_INFO, HEAD_INFO_AT - HEAD_SEGMENT_DATA);
    td_write_bytes(w, seek, sizeof(seek));
    td_mkv_put_seek(seek, TD_MKV_TRACKS, tracks_position);
    td_write_bytes(w, seek, sizeof(seek));
    td_ebml_write_void(w, TD_MKV_SEEK_BYTES); /* becomes the entry of the Cues */
    td_ebml_end(w, size, 1);
}

static void write_info(struct td_writer *w, const uint8_t uid[static TD_MKV_UID_BYTES])
{
    uint8_t *size = td_ebml_begin(w, TD_MKV_INFO, 1);

    td_ebml_write_binary(w, TD_MKV_SEGMENT_UID, uid, TD_MKV_UID_BYTES);
    td_ebml_write_uint(w, TD_MKV_TIMESTAMP_SCALE, TD_MKV_TICK_US * 1000u);
    td_ebml_write_void(w, TD_MKV_DURATION_BYTES); /* becomes Duration */
    write_string(w, TD_MKV_MUXING_APP, HEAD_APP, sizeof(HEAD_APP) - 1);
    write_string(w, TD_MKV_WRITING_APP, HEAD_APP, sizeof(HEAD_APP) - 1);
    td_ebml_end(w, size, 1);
}

int td_mkv_write_head(struct td_writer *w, const uint8_t uid[static TD_MKV_UID_BYTES],
                      const uint8_t *entries, size_t entries_len)
{
    uint8_t *size;

    write_ebml_header(w);
    td_ebml_write_id(w, TD_MKV_SEGMENT);
    td_ebml_write_size(w, TD_EBML_UNKNOWN, 8);
    assert(w->bad || td_writer_len(w) == HEAD_SEGMENT_DATA);
    write_seek_head(w, TD_MKV_FIXED_BYTES - HEAD_SEGMENT_DATA);
    assert(w->bad || td_writer_len(w) == HEAD_INFO_AT);
    write_info(w, uid);
    assert(w->bad || td_writer_len(w) == TD_MKV_FIXED_BYTES);
    size = td_ebml_begin(w, TD_MKV_TRACKS, 4);
    td_write_bytes(w, entries, entries_len);
    for (unsigned i = 0; i < TD_MKV_SLOTS; i++)
        td_ebml_write_void(w, TD_MKV_SLOT_BYTES);
    td_ebml_end(w, size, 4);
    return w->bad ? -TD_E_LIMIT : 0;
}
