/* SPDX-License-Identifier: Apache-2.0 */
#include "codecd/pattern.h"

#include <errno.h>

#include "codecd/beep.h"
#include "codecd/encoder.h"
#include "codecd/picture.h"

enum {
    WARMUP_PACKETS =
        50, /* a second of Opus encoded and thrown away: the loop's seam is inaudible */
    PACKETS_PER_S = TD_BEEP_HZ / TD_OPUS_SAMPLES,
    NOISE_MAX = 8,
    DETAIL_MIN = 3,
};

static int send_unit(struct td_wire *wire, enum td_msg_type type, const struct td_msg_frame *unit)
{
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_pattern_frame(&w, type, unit);
    return td_wire_send(wire, &w, unit->bytes, unit->len);
}

/* Sends what the encoder has finished, leaving out the first `skip` units. */
static int send_finished(struct td_wire *wire, enum td_msg_type type, struct td_encoder *e,
                         uint32_t skip, uint32_t *sent)
{
    for (;;) {
        struct td_msg_frame unit;
        int r = td_encoder_pop(e, &unit);
        if (r <= 0)
            return r;
        if (unit.index < skip)
            continue;
        unit.index -= skip;
        r = send_unit(wire, type, &unit);
        if (r < 0)
            return r;
        (*sent)++;
    }
}

/* What an encoder can afford: a camera's contrast from 0.064 bits a pixel on, less below; noise
 * from 0.025 bits a pixel on. */
static unsigned detail_for(const struct td_pattern_config *c)
{
    uint64_t pixels = (uint64_t)c->width * c->height * c->fps;
    uint64_t detail = (uint64_t)c->bitrate_bps * 500 / pixels;
    return detail > TD_PAINTER_DETAIL_MAX ? TD_PAINTER_DETAIL_MAX
           : detail < DETAIL_MIN          ? DETAIL_MIN
                                          : (unsigned)detail;
}

static unsigned noise_for(const struct td_pattern_config *c)
{
    uint64_t pixels = (uint64_t)c->width * c->height * c->fps;
    uint64_t noise = (uint64_t)c->bitrate_bps * 40 / pixels;
    return noise > NOISE_MAX ? NOISE_MAX : (unsigned)noise;
}

static void draw(struct td_painter *painter, const struct td_pattern_config *c, unsigned n,
                 AVFrame *frame)
{
    struct td_plane planes[3];
    for (unsigned i = 0; i < 3; i++)
        planes[i] = (struct td_plane){
            .at = frame->data[i],
            .stride = (size_t)frame->linesize[i],
            .width = i == 0 ? c->width : c->width / 2u,
            .height = i == 0 ? c->height : c->height / 2u,
        };
    unsigned flash_frames = c->fps < 10 ? 1 : c->fps / 10u; /* a tenth of a second */
    td_painter_draw(painter, (uint16_t)n, n % c->fps < flash_frames, planes);
}

static int encode_video(struct td_wire *wire, const struct td_pattern_config *c,
                        struct td_encoder *e, struct td_painter *painter, uint32_t *sent)
{
    unsigned count = (unsigned)c->fps * c->seconds;
    for (unsigned n = 0; n <= count; n++) {
        AVFrame *frame = NULL;
        int r = n < count ? td_encoder_frame(e, &frame) : 0;
        if (r < 0)
            return r;
        if (n < count)
            draw(painter, c, n, frame);
        r = td_encoder_push(e, n < count);
        if (r == 0)
            r = send_finished(wire, TD_MSG_PATTERN_VIDEO, e, 0, sent);
        if (r < 0)
            return r;
    }
    return *sent == count ? 0 : -TD_E_LIBRARY; /* an encoder that drops frames is of no use */
}

static int make_video(struct td_wire *wire, const struct td_pattern_config *c,
                      struct td_pattern_done *done, struct td_fail *fail)
{
    struct td_encoder *e = NULL;
    struct td_painter *painter = NULL;
    int r = td_encoder_open_video(c, fail, &e);
    if (r == 0)
        r = td_painter_new(c->width, c->height, detail_for(c), noise_for(c), &painter);
    if (r == 0)
        r = encode_video(wire, c, e, painter, &done->frames);
    (void)td_painter_free(painter);
    (void)td_encoder_free(e);
    return r;
}

/* Packet n of the loop decodes to the samples [960 n, 960 n + 960) of the pattern: the encoder is
 * fed ahead by its own delay. */
static void synthesize(const struct td_pattern_config *c, uint32_t packet, unsigned lookahead,
                       AVFrame *frame)
{
    uint64_t loop = (uint64_t)c->seconds * TD_BEEP_HZ;
    uint64_t warmup = (uint64_t)WARMUP_PACKETS * TD_OPUS_SAMPLES;
    uint64_t at = loop - warmup + (uint64_t)packet * TD_OPUS_SAMPLES + lookahead;
    int16_t *samples = (int16_t *)(void *)frame->data[0];
    for (unsigned i = 0; i < TD_OPUS_SAMPLES; i++)
        for (unsigned channel = 0; channel < c->channels; channel++)
            samples[i * c->channels + channel] = td_beep_sample((at + i) % loop);
}

static int encode_audio(struct td_wire *wire, const struct td_pattern_config *c,
                        struct td_encoder *e, uint32_t *sent)
{
    uint32_t count = (uint32_t)c->seconds * PACKETS_PER_S;
    for (uint32_t n = 0; n < WARMUP_PACKETS + count; n++) {
        AVFrame *frame;
        int r = td_encoder_frame(e, &frame);
        if (r < 0)
            return r;
        synthesize(c, n, td_encoder_lookahead(e), frame);
        r = td_encoder_push(e, true);
        if (r == 0)
            r = send_finished(wire, TD_MSG_PATTERN_AUDIO, e, WARMUP_PACKETS, sent);
        if (r < 0)
            return r;
    }
    return *sent == count ? 0 : -TD_E_LIBRARY;
}

static int make_audio(struct td_wire *wire, const struct td_pattern_config *c,
                      struct td_pattern_done *done, struct td_fail *fail)
{
    struct td_encoder *e = NULL;
    int r = td_encoder_open_audio(c, fail, &e);
    if (r == 0) {
        done->lookahead_samples = td_encoder_lookahead(e);
        r = encode_audio(wire, c, e, &done->packets);
    }
    (void)td_encoder_free(e);
    return r;
}

int td_serve_pattern(struct td_wire *wire, const struct td_msg *request, struct td_fail *fail)
{
    struct td_pattern_config config;
    struct td_pattern_done done = {0};
    int r = td_msg_read_pattern(request, &config);
    if (r < 0)
        return r;
    if (config.channels > 0)
        r = make_audio(wire, &config, &done, fail);
    if (r == 0 && config.video != TD_CODEC_NONE)
        r = make_video(wire, &config, &done, fail);
    if (r < 0)
        return r;
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_pattern_done(&w, &done);
    return td_wire_send(wire, &w, NULL, 0);
}
