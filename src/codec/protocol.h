/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol: what `tapedeck` and `tapedeck-codec` say to each other over one socketpair.
 * Owner: none; views borrow the message they were parsed from.
 * Thread: any.
 * Bound: a body has at most TD_MSG_BODY_MAX bytes, a media payload TD_FRAME_BYTES_MAX; every count
 *        and size in a request has a ceiling below and is checked by both sides.
 * Does not: read or write sockets (process.c here, wire.c in codecd).
 *
 * A message is a header and a body; all numbers are big-endian:
 *
 *      0               4       6       8
 *     +---------------+-------+-------+----------------------
 *     | body length   | type  | zero  | body
 *     +---------------+-------+-------+----------------------
 *
 * Both sides begin with HELLO (magic, version, zero); another version ends the conversation, for
 * the two executables are always installed together. Then the client asks, one request at a time:
 *
 *     PATTERN          -> PATTERN_VIDEO | PATTERN_AUDIO …, PATTERN_DONE
 *     INSPECT_OPEN, INSPECT_FRAME …, INSPECT_FINISH
 *                      -> INSPECT_VIDEO | INSPECT_BEEP … (from the first frame on), INSPECT_DONE
 *
 * ERROR answers any request, and nothing of that request follows it; the worker then exits. The
 * client must read while it writes: results come while frames are still being sent.
 */
#ifndef TD_CODEC_PROTOCOL_H
#define TD_CODEC_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "media/frame.h"

#define TD_CODEC_MAGIC 0x54444331u /* "TDC1" */
#define TD_CODEC_VERSION 1u

#define TD_MSG_HEADER_BYTES 8u
#define TD_MSG_FIXED_MAX 128u /* largest body part in front of a payload */
#define TD_MSG_BODY_MAX (TD_FRAME_BYTES_MAX + TD_MSG_FIXED_MAX)

enum td_msg_type {
    TD_MSG_HELLO = 1,
    TD_MSG_ERROR = 2,
    TD_MSG_PATTERN = 16,
    TD_MSG_PATTERN_VIDEO = 17,
    TD_MSG_PATTERN_AUDIO = 18,
    TD_MSG_PATTERN_DONE = 19,
    TD_MSG_INSPECT_OPEN = 32,
    TD_MSG_INSPECT_FRAME = 33,
    TD_MSG_INSPECT_FINISH = 34,
    TD_MSG_INSPECT_VIDEO = 35,
    TD_MSG_INSPECT_BEEP = 36,
    TD_MSG_INSPECT_DONE = 37,
};

struct td_msg {
    enum td_msg_type type;
    const uint8_t *body;
    size_t len;
};

/* What a test pattern looks like (docs/formats/pattern.md). */
#define TD_PATTERN_SIDE_MIN 96u /* below it the counter's cells are too small */
#define TD_PATTERN_SIDE_MAX 4096u
#define TD_PATTERN_FPS_MAX 120u
#define TD_PATTERN_SECONDS_MAX 600u
#define TD_PATTERN_FRAMES_MAX 65536u /* the counter has 16 bits */
#define TD_PATTERN_BITRATE_MIN 50000u
#define TD_PATTERN_BITRATE_MAX 50000000u
#define TD_PATTERN_SLICES_MAX 8u

/* Of H.264; constrained baseline is what every WebRTC stack takes. */
enum td_pattern_profile {
    TD_PATTERN_BASELINE,
    TD_PATTERN_MAIN,
};

struct td_pattern_config {
    enum td_codec video; /* TD_CODEC_H264, TD_CODEC_VP8, or TD_CODEC_NONE */
    enum td_pattern_profile profile;
    uint16_t width; /* even */
    uint16_t height;
    uint16_t fps;
    uint16_t seconds;
    uint32_t bitrate_bps;
    uint16_t key_interval_ms; /* rounded to whole frames */
    uint8_t slices;           /* H.264 slices or VP8 token partitions (1, 2, 4, 8) */
    uint8_t channels;         /* of Opus: 1, 2, or 0 for no audio */
    uint32_t audio_bitrate_bps;
};

/* 0, or -TD_E_USAGE. */
TD_MUST int td_pattern_config_check(const struct td_pattern_config *config);

struct td_pattern_done {
    uint32_t frames;
    uint32_t packets;
    uint32_t lookahead_samples; /* of the Opus encoder, already made up for */
};

#define TD_INSPECT_TRACKS_MAX 8u

struct td_inspect_track {
    enum td_codec codec;
    uint8_t channels; /* Opus; 0 = stereo */
};

#define TD_INSPECT_UNREADABLE (-1)

struct td_inspect_video { /* one frame that was pushed */
    unsigned track;
    int64_t pts_us;
    int32_t counter;   /* 0..65535 or TD_INSPECT_UNREADABLE */
    uint8_t luminance; /* mean of the flash area */
    bool decoded;      /* a picture came out */
    bool damaged;      /* the decoder refused it or had to conceal something */
    uint16_t width;
    uint16_t height;
};

struct td_inspect_beep {
    unsigned track;
    int64_t pts_us; /* of the first sample above the threshold */
};

struct td_inspect_done {
    uint64_t frames;  /* video frames pushed */
    uint64_t packets; /* audio packets pushed */
    uint64_t video_errors;
    uint64_t audio_errors;
};

struct td_msg_frame { /* a payload on its way, in any of the three directions */
    unsigned track;   /* INSPECT_FRAME */
    uint32_t index;   /* PATTERN_* */
    int64_t pts_us;   /* INSPECT_FRAME */
    bool key;
    const uint8_t *bytes;
    size_t len;
};

/* Header of a message: 0, -TD_E_PARSE for a type nobody knows, -TD_E_LIMIT. */
TD_MUST int td_msg_parse_header(const uint8_t bytes[static TD_MSG_HEADER_BYTES],
                                enum td_msg_type *ret_type, size_t *ret_len);

/* Writers put header and body; those with a payload put all but the payload's bytes, which the
 * sender appends. Check `w->bad` once. TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX hold any of them but
 * td_msg_write_error, which cuts its text to fit. */
void td_msg_write_hello(struct td_writer *w);
void td_msg_write_error(struct td_writer *w, int code, const char *text);
void td_msg_write_pattern(struct td_writer *w, const struct td_pattern_config *config);
void td_msg_write_pattern_frame(struct td_writer *w, enum td_msg_type type,
                                const struct td_msg_frame *frame);
void td_msg_write_pattern_done(struct td_writer *w, const struct td_pattern_done *done);
void td_msg_write_inspect_open(struct td_writer *w, const struct td_inspect_track *tracks,
                               size_t count);
void td_msg_write_inspect_frame(struct td_writer *w, const struct td_msg_frame *frame);
void td_msg_write_inspect_finish(struct td_writer *w);
void td_msg_write_inspect_video(struct td_writer *w, const struct td_inspect_video *video);
void td_msg_write_inspect_beep(struct td_writer *w, const struct td_inspect_beep *beep);
void td_msg_write_inspect_done(struct td_writer *w, const struct td_inspect_done *done);

/* Readers: 0, or -TD_E_PARSE; outputs are untouched then. */
TD_MUST int td_msg_read_hello(const struct td_msg *msg); /* -TD_E_UNSUPPORTED: other version */
TD_MUST int td_msg_read_error(const struct td_msg *msg, struct td_fail *ret_fail);
TD_MUST int td_msg_read_pattern(const struct td_msg *msg, struct td_pattern_config *ret_config);
TD_MUST int td_msg_read_pattern_frame(const struct td_msg *msg, struct td_msg_frame *ret_frame);
TD_MUST int td_msg_read_pattern_done(const struct td_msg *msg, struct td_pattern_done *ret_done);
TD_MUST int td_msg_read_inspect_open(const struct td_msg *msg,
                                     struct td_inspect_track ret_tracks[TD_INSPECT_TRACKS_MAX],
                                     size_t *ret_count);
TD_MUST int td_msg_read_inspect_frame(const struct td_msg *msg, struct td_msg_frame *ret_frame);
TD_MUST int td_msg_read_inspect_video(const struct td_msg *msg, struct td_inspect_video *ret_video);
TD_MUST int td_msg_read_inspect_beep(const struct td_msg *msg, struct td_inspect_beep *ret_beep);
TD_MUST int td_msg_read_inspect_done(const struct td_msg *msg, struct td_inspect_done *ret_done);

#endif
