/* SPDX-License-Identifier: Apache-2.0 */
#include "media.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/h264.h"
#include "media/opus.h"
#include "tape.h"

#define MEDIA_BYTES_MAX ((size_t)256 << 20)

/* Baseline parameter sets of x264. */
static const uint8_t sets_720p[] = {
    0,    0,    0,    1,    0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16,
    0xe8, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0f, 0x03, 0xc6,
    0x0c, 0xa8, 0,    0,    0,    1,    0x68, 0xce, 0x3c, 0x80,
};
static const uint8_t sets_360p[] = {
    0,    0,    0,    1,    0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f,
    0xf9, 0x61, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x3c,
    0x8f, 0x16, 0x2e, 0x48, 0,    0,    0,    1,    0x68, 0xcb, 0x8c, 0xb2,
};

void reel_init(struct reel *r)
{
    *r = (struct reel){.count = 0};
    td_bytes_init(&r->bytes, MEDIA_BYTES_MAX, NULL);
}

void reel_done(struct reel *r)
{
    free(r->frames);
    free(r->at);
    td_bytes_done(&r->bytes);
}

void reel_add(struct reel *r, const struct td_frame *frame)
{
    int err;

    if (r->count == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 64;
        r->frames = realloc(r->frames, r->capacity * sizeof(*r->frames));
        r->at = realloc(r->at, r->capacity * sizeof(*r->at));
        assert(r->frames && r->at);
    }
    r->frames[r->count] = *frame;
    r->at[r->count++] = r->bytes.len;
    err = td_bytes_append(&r->bytes, frame->bytes, frame->len);
    assert(err == 0);
}

struct td_frame reel_frame(const struct reel *r, size_t i)
{
    struct td_frame frame = r->frames[i];

    frame.bytes = r->bytes.data + r->at[i];
    return frame;
}

/* Bytes without two zeros in a row, so that no start code can appear; never ends in zero. */
static void fill(uint8_t *bytes, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(test_random(&seed) | 1);
}

void reel_add_h264(struct reel *r, unsigned track, int64_t pts_us, bool key, bool small, size_t len,
                   uint64_t seed)
{
    const uint8_t *sets = small ? sets_360p : sets_720p;
    size_t sets_len = small ? sizeof(sets_360p) : sizeof(sets_720p);
    size_t at = 0;
    uint8_t *bytes = malloc(len);
    struct td_frame frame = {
        .codec = TD_CODEC_H264,
        .key = key,
        .pts_us = pts_us,
        .track = track,
        .bytes = bytes,
        .len = len,
    };

    assert(bytes && len >= (key ? 64u : 16u));
    if (key) {
        memcpy(bytes, sets, sets_len);
        at = sets_len;
        frame.width = small ? 640 : 1280;
        frame.height = small ? 360 : 720;
    }
    memcpy(bytes + at, (const uint8_t[]){0, 0, 0, 1, key ? 0x65 : 0x41}, 5);
    fill(bytes + at + 5, len - at - 5, seed);
    reel_add(r, &frame);
    free(bytes);
}

/* RFC 6386 section 9.1: frame tag, and for key frames start code and size. */
void reel_add_vp8(struct reel *r, unsigned track, int64_t pts_us, bool key, bool small, size_t len,
                  uint64_t seed)
{
    uint16_t width = small ? 640 : 1280;
    uint16_t height = small ? 360 : 720;
    uint8_t *bytes = malloc(len);
    struct td_frame frame = {
        .codec = TD_CODEC_VP8,
        .key = key,
        .pts_us = pts_us,
        .track = track,
        .width = key ? width : 0,
        .height = key ? height : 0,
        .bytes = bytes,
        .len = len,
    };

    assert(bytes && len >= 16);
    fill(bytes, len, seed);
    bytes[0] = key ? 0x10 : 0x11;
    if (key)
        memcpy(bytes + 3,
               (const uint8_t[]){0x9d, 0x01, 0x2a, (uint8_t)width, (uint8_t)(width >> 8),
                                 (uint8_t)height, (uint8_t)(height >> 8)},
               7);
    reel_add(r, &frame);
    free(bytes);
}

void reel_add_opus(struct reel *r, unsigned track, int64_t pts_us, size_t len, uint64_t seed)
{
    uint8_t bytes[2048];
    struct td_frame frame = {
        .codec = TD_CODEC_OPUS,
        .key = true,
        .pts_us = pts_us,
        .duration_us = 20000,
        .track = track,
        .bytes = bytes,
        .len = len,
    };

    assert(len >= 1 && len <= sizeof(bytes));
    fill(bytes, len, seed);
    bytes[0] = 0x78; /* RFC 6716 section 3.1: config 15, hybrid 20 ms, mono, one frame */
    reel_add(r, &frame);
}

void reel_merge(struct reel *ret_merged, const struct reel *video, const struct reel *audio)
{
    size_t v = 0;
    size_t a = 0;

    while (v < video->count || a < audio->count) {
        bool take_video = a >= audio->count ||
                          (v < video->count && video->frames[v].pts_us <= audio->frames[a].pts_us);
        struct td_frame frame = take_video ? reel_frame(video, v++) : reel_frame(audio, a++);

        frame.track = take_video ? 0 : 1;
        reel_add(ret_merged, &frame);
    }
}

/* ---- real media ---- */

static int run_ffmpeg(const char *dir, const char *args, const char *name, struct td_bytes *ret)
{
    char command[1024];
    uint8_t chunk[65536];
    size_t n;
    int r;
    FILE *f;

    n = (size_t)snprintf(command, sizeof(command),
                         "ffmpeg -nostdin -v error -y %s '%s/%s' >/dev/null 2>&1", args, dir, name);
    if (n >= sizeof(command) || system(command) != 0)
        return -1;
    n = (size_t)snprintf(command, sizeof(command), "%s/%s", dir, name);
    f = n < sizeof(command) ? fopen(command, "rb") : NULL;
    if (!f)
        return -1;
    td_bytes_init(ret, MEDIA_BYTES_MAX, NULL);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0) {
        r = td_bytes_append(ret, chunk, n);
        assert(r == 0);
    }
    r = fclose(f);
    return r == 0 ? 0 : -1;
}

/* One slice per picture: an access unit ends with its slice. */
static void split_annexb(const struct td_bytes *in, struct reel *reel)
{
    struct td_frame frame = {.codec = TD_CODEC_H264};
    struct td_h264_nal nal;
    size_t offset = 0;
    struct td_bytes unit;
    int r;

    td_bytes_init(&unit, MEDIA_BYTES_MAX, NULL);
    while (td_h264_next_nal(in->data, in->len, &offset, &nal) == 1) {
        r = td_bytes_append(&unit, (const uint8_t[]){0, 0, 0, 1}, 4);
        assert(r == 0);
        r = td_bytes_append(&unit, nal.bytes, nal.len);
        assert(r == 0);
        if (nal.type != TD_H264_NAL_SLICE && nal.type != TD_H264_NAL_IDR)
            continue;
        frame.key = nal.type == TD_H264_NAL_IDR;
        frame.width = 160;
        frame.height = 120;
        frame.pts_us = (int64_t)reel->count * 1000000 / 30;
        frame.bytes = unit.data;
        frame.len = unit.len;
        reel_add(reel, &frame);
        td_bytes_clear(&unit);
    }
    td_bytes_done(&unit);
}

/* IVF: 32 bytes of file header, then length (4, little endian), time (8), frame. */
static void split_ivf(const struct td_bytes *in, struct reel *reel)
{
    struct td_frame frame = {.codec = TD_CODEC_VP8, .width = 160, .height = 120};
    size_t at = 32;

    while (at + 12 <= in->len) {
        const uint8_t *b = in->data + at;
        size_t len = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;

        at += 12;
        if (len == 0 || len > in->len - at)
            break;
        frame.key = (in->data[at] & 1) == 0;
        frame.pts_us = (int64_t)reel->count * 1000000 / 30;
        frame.bytes = in->data + at;
        frame.len = len;
        reel_add(reel, &frame);
        at += len;
    }
}

int media_real_video(const char *dir, enum td_codec codec, double seconds, struct reel *ret_reel)
{
    struct td_bytes file;
    char args[512];

    snprintf(args, sizeof(args),
             "-f lavfi -i testsrc2=size=160x120:rate=30 -t %.2f -pix_fmt yuv420p %s", seconds,
             codec == TD_CODEC_H264
                 ? "-c:v libx264 -profile:v baseline -preset ultrafast -g 20 -bf 0 -threads 1 "
                   "-x264-params slices=1:sliced-threads=0 -f h264"
                 : "-c:v libvpx -deadline realtime -cpu-used 8 -g 20 -b:v 200k -threads 1 "
                   "-auto-alt-ref 0 -lag-in-frames 0 -f ivf");
    if (run_ffmpeg(dir, args, "video.bin", &file) < 0)
        return -1;
    if (codec == TD_CODEC_H264)
        split_annexb(&file, ret_reel);
    else
        split_ivf(&file, ret_reel);
    td_bytes_done(&file);
    return ret_reel->count > 0 ? 0 : -1;
}

/* Ogg (RFC 3533): packets of lacing values; the first two are OpusHead and OpusTags (RFC 7845). */
static void split_ogg(const struct td_bytes *in, struct reel *reel)
{
    struct td_frame frame = {.codec = TD_CODEC_OPUS, .key = true};
    struct td_bytes packet;
    size_t packets = 0;
    size_t at = 0;
    int64_t time_us = 0;

    td_bytes_init(&packet, MEDIA_BYTES_MAX, NULL);
    while (at + 27 <= in->len && memcmp(in->data + at, "OggS", 4) == 0) {
        const uint8_t *lacing = in->data + at + 27;
        size_t count = in->data[at + 26];
        const uint8_t *body = lacing + count;

        for (size_t i = 0; i < count; i++) {
            int r = lacing[i] ? td_bytes_append(&packet, body, lacing[i]) : 0;

            assert(r == 0);
            body += lacing[i];
            if (lacing[i] == 255)
                continue;
            if (packets++ >= 2) {
                frame.duration_us = td_opus_duration_us(packet.data, packet.len);
                frame.pts_us = time_us;
                frame.bytes = packet.data;
                frame.len = packet.len;
                reel_add(reel, &frame);
                time_us += frame.duration_us;
            }
            td_bytes_clear(&packet);
        }
        at = (size_t)(body - in->data);
    }
    td_bytes_done(&packet);
}

int media_real_audio(const char *dir, double seconds, struct reel *ret_reel)
{
    struct td_bytes file;
    char args[512];

    snprintf(args, sizeof(args),
             "-f lavfi -i sine=frequency=440:sample_rate=48000 -t %.2f -ac 2 -c:a libopus -b:a 48k "
             "-frame_duration 20 -f ogg",
             seconds);
    if (run_ffmpeg(dir, args, "audio.bin", &file) < 0)
        return -1;
    split_ogg(&file, ret_reel);
    td_bytes_done(&file);
    return ret_reel->count > 0 ? 0 : -1;
}
