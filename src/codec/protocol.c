/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/protocol.h"

#include <string.h>

enum {
    FLAG_KEY = 1,
    FLAG_DECODED = 1,
    FLAG_DAMAGED = 2,
    /* Fixed body parts in front of a payload, in bytes. */
    PATTERN_FRAME_FIXED = 5,
    INSPECT_FRAME_FIXED = 10,
    TRACK_BYTES = 2,
};

static bool type_known(unsigned type)
{
    return type == TD_MSG_HELLO || type == TD_MSG_ERROR ||
           (type >= TD_MSG_PATTERN && type <= TD_MSG_PATTERN_DONE) ||
           (type >= TD_MSG_INSPECT_OPEN && type <= TD_MSG_INSPECT_DONE);
}

int td_msg_parse_header(const uint8_t bytes[static TD_MSG_HEADER_BYTES], enum td_msg_type *ret_type,
                        size_t *ret_len)
{
    struct td_reader r;
    td_reader_init(&r, bytes, TD_MSG_HEADER_BYTES);
    uint32_t len = td_read_be32(&r);
    unsigned type = td_read_be16(&r);
    unsigned zero = td_read_be16(&r);
    if (r.bad || zero != 0 || !type_known(type))
        return -TD_E_PARSE;
    if (len > TD_MSG_BODY_MAX)
        return -TD_E_LIMIT;
    *ret_type = (enum td_msg_type)type;
    *ret_len = len;
    return 0;
}

static void write_header(struct td_writer *w, enum td_msg_type type, size_t body_len)
{
    if (body_len > TD_MSG_BODY_MAX)
        w->bad = true;
    td_write_be32(w, (uint32_t)body_len);
    td_write_be16(w, (uint16_t)type);
    td_write_be16(w, 0);
}

/* Ready to read `msg` when it has that type; a type that differs makes the reader bad. */
static struct td_reader reader_of(const struct td_msg *msg, enum td_msg_type type)
{
    struct td_reader r;
    td_reader_init(&r, msg->body, msg->len);
    r.bad = msg->type != type;
    return r;
}

/* A body is exact: bytes left over are as wrong as missing ones. */
static int reader_end(const struct td_reader *r)
{
    return r->bad || td_reader_left(r) != 0 ? -TD_E_PARSE : 0;
}

void td_msg_write_hello(struct td_writer *w)
{
    write_header(w, TD_MSG_HELLO, 8);
    td_write_be32(w, TD_CODEC_MAGIC);
    td_write_be16(w, TD_CODEC_VERSION);
    td_write_be16(w, 0);
}

int td_msg_read_hello(const struct td_msg *msg)
{
    struct td_reader r = reader_of(msg, TD_MSG_HELLO);
    uint32_t magic = td_read_be32(&r);
    unsigned version = td_read_be16(&r);
    (void)td_read_be16(&r); /* reserved */
    if (reader_end(&r) < 0 || magic != TD_CODEC_MAGIC)
        return -TD_E_PARSE;
    return version == TD_CODEC_VERSION ? 0 : -TD_E_UNSUPPORTED;
}

void td_msg_write_error(struct td_writer *w, int code, const char *text)
{
    size_t len = strnlen(text, TD_MSG_FIXED_MAX - 4);
    write_header(w, TD_MSG_ERROR, 4 + len);
    td_write_be32(w, (uint32_t)-code);
    td_write_bytes(w, text, len);
}

int td_msg_read_error(const struct td_msg *msg, struct td_fail *ret_fail)
{
    struct td_reader r = reader_of(msg, TD_MSG_ERROR);
    uint32_t code = td_read_be32(&r);
    size_t len = td_reader_left(&r);
    const uint8_t *text = td_read_bytes(&r, len);
    if (reader_end(&r) < 0 || code == 0 || code > UINT16_MAX || len >= TD_FAIL_TEXT_MAX)
        return -TD_E_PARSE;
    td_fail_clear(ret_fail);
    (void)td_fail_set(ret_fail, -(int)code, "%.*s", (int)len, (const char *)text);
    return 0;
}

static bool pattern_video_fits(const struct td_pattern_config *c)
{
    if (c->video == TD_CODEC_NONE)
        return true;
    bool size = c->width >= TD_PATTERN_SIDE_MIN && c->width <= TD_PATTERN_SIDE_MAX &&
                c->height >= TD_PATTERN_SIDE_MIN && c->height <= TD_PATTERN_SIDE_MAX &&
                c->width % 2 == 0 && c->height % 2 == 0;
    bool rate = c->bitrate_bps >= TD_PATTERN_BITRATE_MIN &&
                c->bitrate_bps <= TD_PATTERN_BITRATE_MAX && c->key_interval_ms > 0;
    bool slices = c->slices >= 1 && c->slices <= TD_PATTERN_SLICES_MAX;
    bool partitions = c->video != TD_CODEC_VP8 || (c->slices & (c->slices - 1)) == 0;
    return (c->video == TD_CODEC_H264 || c->video == TD_CODEC_VP8) && size && rate && slices &&
           partitions && c->profile <= TD_PATTERN_MAIN;
}

int td_pattern_config_check(const struct td_pattern_config *c)
{
    if (!pattern_video_fits(c) || (c->video == TD_CODEC_NONE && c->channels == 0))
        return -TD_E_USAGE;
    if (c->fps < 1 || c->fps > TD_PATTERN_FPS_MAX || c->seconds < 1 ||
        c->seconds > TD_PATTERN_SECONDS_MAX || c->fps * c->seconds > (int)TD_PATTERN_FRAMES_MAX)
        return -TD_E_USAGE;
    /* RFC 6716 section 2.1.1: 6 to 510 kbit/s. */
    bool audio = c->channels <= 2 && c->audio_bitrate_bps >= 6000 && c->audio_bitrate_bps <= 510000;
    return c->channels == 0 || audio ? 0 : -TD_E_USAGE;
}

void td_msg_write_pattern(struct td_writer *w, const struct td_pattern_config *c)
{
    write_header(w, TD_MSG_PATTERN, 22);
    td_write_u8(w, (uint8_t)c->video);
    td_write_u8(w, (uint8_t)c->profile);
    td_write_be16(w, c->width);
    td_write_be16(w, c->height);
    td_write_be16(w, c->fps);
    td_write_be16(w, c->seconds);
    td_write_be32(w, c->bitrate_bps);
    td_write_be16(w, c->key_interval_ms);
    td_write_u8(w, c->slices);
    td_write_u8(w, c->channels);
    td_write_be32(w, c->audio_bitrate_bps);
}

int td_msg_read_pattern(const struct td_msg *msg, struct td_pattern_config *ret_config)
{
    struct td_reader r = reader_of(msg, TD_MSG_PATTERN);
    struct td_pattern_config c = {0};
    c.video = (enum td_codec)td_read_u8(&r);
    c.profile = (enum td_pattern_profile)td_read_u8(&r);
    c.width = td_read_be16(&r);
    c.height = td_read_be16(&r);
    c.fps = td_read_be16(&r);
    c.seconds = td_read_be16(&r);
    c.bitrate_bps = td_read_be32(&r);
    c.key_interval_ms = td_read_be16(&r);
    c.slices = td_read_u8(&r);
    c.channels = td_read_u8(&r);
    c.audio_bitrate_bps = td_read_be32(&r);
    if (reader_end(&r) < 0 || td_pattern_config_check(&c) < 0)
        return -TD_E_PARSE;
    *ret_config = c;
    return 0;
}

void td_msg_write_pattern_frame(struct td_writer *w, enum td_msg_type type,
                                const struct td_msg_frame *frame)
{
    write_header(w, type, PATTERN_FRAME_FIXED + frame->len);
    td_write_u8(w, frame->key ? FLAG_KEY : 0);
    td_write_be32(w, frame->index);
}

/* The payload is what is left; an empty or oversized one is refused. */
static int read_payload(struct td_reader *r, struct td_msg_frame *frame)
{
    frame->len = td_reader_left(r);
    frame->bytes = td_read_bytes(r, frame->len);
    return r->bad || frame->len == 0 || frame->len > TD_FRAME_BYTES_MAX ? -TD_E_PARSE : 0;
}

int td_msg_read_pattern_frame(const struct td_msg *msg, struct td_msg_frame *ret_frame)
{
    bool audio = msg->type == TD_MSG_PATTERN_AUDIO;
    struct td_reader r = reader_of(msg, audio ? TD_MSG_PATTERN_AUDIO : TD_MSG_PATTERN_VIDEO);
    struct td_msg_frame f = {0};
    f.key = (td_read_u8(&r) & FLAG_KEY) != 0;
    f.index = td_read_be32(&r);
    if (read_payload(&r, &f) < 0)
        return -TD_E_PARSE;
    *ret_frame = f;
    return 0;
}

void td_msg_write_pattern_done(struct td_writer *w, const struct td_pattern_done *done)
{
    write_header(w, TD_MSG_PATTERN_DONE, 12);
    td_write_be32(w, done->frames);
    td_write_be32(w, done->packets);
    td_write_be32(w, done->lookahead_samples);
}

int td_msg_read_pattern_done(const struct td_msg *msg, struct td_pattern_done *ret_done)
{
    struct td_reader r = reader_of(msg, TD_MSG_PATTERN_DONE);
    struct td_pattern_done done = {0};
    done.frames = td_read_be32(&r);
    done.packets = td_read_be32(&r);
    done.lookahead_samples = td_read_be32(&r);
    if (reader_end(&r) < 0)
        return -TD_E_PARSE;
    *ret_done = done;
    return 0;
}

void td_msg_write_inspect_open(struct td_writer *w, const struct td_inspect_track *tracks,
                               size_t count)
{
    write_header(w, TD_MSG_INSPECT_OPEN, count * TRACK_BYTES);
    for (size_t i = 0; i < count; i++) {
        td_write_u8(w, (uint8_t)tracks[i].codec);
        td_write_u8(w, tracks[i].channels);
    }
}

int td_msg_read_inspect_open(const struct td_msg *msg,
                             struct td_inspect_track ret_tracks[TD_INSPECT_TRACKS_MAX],
                             size_t *ret_count)
{
    struct td_reader r = reader_of(msg, TD_MSG_INSPECT_OPEN);
    size_t count = td_reader_left(&r) / TRACK_BYTES;
    if (count == 0 || count > TD_INSPECT_TRACKS_MAX)
        return -TD_E_PARSE;
    struct td_inspect_track tracks[TD_INSPECT_TRACKS_MAX] = {0};
    for (size_t i = 0; i < count; i++) {
        unsigned codec = td_read_u8(&r);
        tracks[i].channels = td_read_u8(&r);
        if (codec == TD_CODEC_NONE || codec >= TD_CODEC_MAX || tracks[i].channels > 2)
            return -TD_E_PARSE;
        tracks[i].codec = (enum td_codec)codec;
    }
    if (reader_end(&r) < 0)
        return -TD_E_PARSE;
    memcpy(ret_tracks, tracks, sizeof(tracks));
    *ret_count = count;
    return 0;
}

void td_msg_write_inspect_frame(struct td_writer *w, const struct td_msg_frame *frame)
{
    write_header(w, TD_MSG_INSPECT_FRAME, INSPECT_FRAME_FIXED + frame->len);
    td_write_u8(w, (uint8_t)frame->track);
    td_write_u8(w, frame->key ? FLAG_KEY : 0);
    td_write_be64(w, (uint64_t)frame->pts_us);
}

int td_msg_read_inspect_frame(const struct td_msg *msg, struct td_msg_frame *ret_frame)
{
    struct td_reader r = reader_of(msg, TD_MSG_INSPECT_FRAME);
    struct td_msg_frame f = {0};
    f.track = td_read_u8(&r);
    f.key = (td_read_u8(&r) & FLAG_KEY) != 0;
    f.pts_us = (int64_t)td_read_be64(&r);
    if (read_payload(&r, &f) < 0 || f.track >= TD_INSPECT_TRACKS_MAX)
        return -TD_E_PARSE;
    *ret_frame = f;
    return 0;
}

void td_msg_write_inspect_finish(struct td_writer *w)
{
    write_header(w, TD_MSG_INSPECT_FINISH, 0);
}

void td_msg_write_inspect_video(struct td_writer *w, const struct td_inspect_video *video)
{
    write_header(w, TD_MSG_INSPECT_VIDEO, 19);
    td_write_u8(w, (uint8_t)video->track);
    td_write_be64(w, (uint64_t)video->pts_us);
    td_write_be32(w, (uint32_t)video->counter);
    td_write_u8(w, video->luminance);
    td_write_u8(
        w, (uint8_t)((video->decoded ? FLAG_DECODED : 0) | (video->damaged ? FLAG_DAMAGED : 0)));
    td_write_be16(w, video->width);
    td_write_be16(w, video->height);
}

int td_msg_read_inspect_video(const struct td_msg *msg, struct td_inspect_video *ret_video)
{
    struct td_reader r = reader_of(msg, TD_MSG_INSPECT_VIDEO);
    struct td_inspect_video v = {0};
    v.track = td_read_u8(&r);
    v.pts_us = (int64_t)td_read_be64(&r);
    v.counter = (int32_t)td_read_be32(&r);
    v.luminance = td_read_u8(&r);
    unsigned flags = td_read_u8(&r);
    v.width = td_read_be16(&r);
    v.height = td_read_be16(&r);
    v.decoded = (flags & FLAG_DECODED) != 0;
    v.damaged = (flags & FLAG_DAMAGED) != 0;
    if (reader_end(&r) < 0 || v.track >= TD_INSPECT_TRACKS_MAX ||
        v.counter < TD_INSPECT_UNREADABLE || v.counter > UINT16_MAX)
        return -TD_E_PARSE;
    *ret_video = v;
    return 0;
}

void td_msg_write_inspect_beep(struct td_writer *w, const struct td_inspect_beep *beep)
{
    write_header(w, TD_MSG_INSPECT_BEEP, 9);
    td_write_u8(w, (uint8_t)beep->track);
    td_write_be64(w, (uint64_t)beep->pts_us);
}

int td_msg_read_inspect_beep(const struct td_msg *msg, struct td_inspect_beep *ret_beep)
{
    struct td_reader r = reader_of(msg, TD_MSG_INSPECT_BEEP);
    struct td_inspect_beep b = {0};
    b.track = td_read_u8(&r);
    b.pts_us = (int64_t)td_read_be64(&r);
    if (reader_end(&r) < 0 || b.track >= TD_INSPECT_TRACKS_MAX)
        return -TD_E_PARSE;
    *ret_beep = b;
    return 0;
}

void td_msg_write_inspect_done(struct td_writer *w, const struct td_inspect_done *done)
{
    write_header(w, TD_MSG_INSPECT_DONE, 32);
    td_write_be64(w, done->frames);
    td_write_be64(w, done->packets);
    td_write_be64(w, done->video_errors);
    td_write_be64(w, done->audio_errors);
}

int td_msg_read_inspect_done(const struct td_msg *msg, struct td_inspect_done *ret_done)
{
    struct td_reader r = reader_of(msg, TD_MSG_INSPECT_DONE);
    struct td_inspect_done done = {0};
    done.frames = td_read_be64(&r);
    done.packets = td_read_be64(&r);
    done.video_errors = td_read_be64(&r);
    done.audio_errors = td_read_be64(&r);
    if (reader_end(&r) < 0)
        return -TD_E_PARSE;
    *ret_done = done;
    return 0;
}
