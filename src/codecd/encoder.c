/* SPDX-License-Identifier: Apache-2.0 */
#include "codecd/encoder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>

#include "codecd/averror.h"

struct td_encoder {
    AVCodecContext *ctx;
    AVFrame *frame;
    AVPacket *packet;
    unsigned key_interval; /* video: frames */
    int64_t pushed;        /* video: frames, audio: samples */
    uint32_t popped;
};

struct option {
    const char *key;
    const char *value;
};

/* H.264: what a browser sends, and in each key frame all that is needed to begin there. */
static const struct option x264_options[] = {
    {"preset", "veryfast"}, {"tune", "zerolatency"}, {"forced-idr", "1"}, {"sc_threshold", "0"},
    {NULL, NULL},
};
/* VP8: realtime, one frame in, one frame out, no hidden reference frames. */
static const struct option vpx_options[] = {
    {"deadline", "realtime"}, {"cpu-used", "-12"},     {"lag-in-frames", "0"},
    {"auto-alt-ref", "0"},    {"drop-threshold", "0"}, {NULL, NULL},
};
/* Opus: CELT alone has the sharpest onsets and 2.5 ms of delay; constant rate, so that a load is
 * the same at each moment. */
static const struct option opus_options[] = {
    {"application", "lowdelay"},
    {"frame_duration", "20"},
    {"vbr", "off"},
    {NULL, NULL},
};

static int set_options(AVCodecContext *ctx, const struct option *options)
{
    for (; options->key; options++) {
        int r = av_opt_set(ctx->priv_data, options->key, options->value, 0);
        if (r < 0)
            return r;
    }
    return 0;
}

static int threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > TD_ENCODER_THREADS_MAX ? TD_ENCODER_THREADS_MAX : (int)cores;
}

static int set_h264(AVCodecContext *ctx, const struct td_pattern_config *config)
{
    char params[96];
    /* Slices are asked for by count; threads work on frames, so that they do not add slices. */
    (void)snprintf(params, sizeof(params), "slices=%u:sliced-threads=0:repeat-headers=1",
                   (unsigned)config->slices); /* fits */
    bool main = config->profile == TD_PATTERN_MAIN;
    int r = set_options(ctx, x264_options);
    if (r >= 0)
        r = av_opt_set(ctx->priv_data, "profile", main ? "main" : "baseline", 0);
    if (r >= 0)
        r = av_opt_set(ctx->priv_data, "x264-params", params, 0);
    return r;
}

static void set_video(AVCodecContext *ctx, const struct td_pattern_config *config, int interval)
{
    ctx->width = config->width;
    ctx->height = config->height;
    ctx->pix_fmt = AV_PIX_FMT_YUV420P;
    ctx->time_base = (AVRational){1, config->fps};
    ctx->framerate = (AVRational){config->fps, 1};
    ctx->gop_size = interval;
    ctx->keyint_min = interval;
    ctx->max_b_frames = 0;
    ctx->flags |= (int)AV_CODEC_FLAG_CLOSED_GOP;
    ctx->bit_rate = config->bitrate_bps;
    ctx->rc_max_rate = config->bitrate_bps;
    ctx->rc_min_rate = config->video == TD_CODEC_VP8 ? config->bitrate_bps : 0;
    ctx->rc_buffer_size = (int)config->bitrate_bps; /* one second */
    ctx->thread_count = config->video == TD_CODEC_VP8 ? 1 : threads();
    if (config->video == TD_CODEC_VP8)
        ctx->slices = config->slices;
}

static int make(const char *name, struct td_encoder **ret_encoder, const AVCodec **ret_codec)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec)
        return AVERROR_ENCODER_NOT_FOUND;
    struct td_encoder *e = calloc(1, sizeof(*e));
    if (!e)
        return AVERROR(ENOMEM);
    e->ctx = avcodec_alloc_context3(codec);
    e->frame = av_frame_alloc();
    e->packet = av_packet_alloc();
    if (!e->ctx || !e->frame || !e->packet) {
        (void)td_encoder_free(e);
        return AVERROR(ENOMEM);
    }
    *ret_encoder = e;
    *ret_codec = codec;
    return 0;
}

int td_encoder_open_video(const struct td_pattern_config *config, struct td_fail *fail,
                          struct td_encoder **ret_encoder)
{
    bool h264 = config->video == TD_CODEC_H264;
    const AVCodec *codec = NULL;
    struct td_encoder *e = NULL;
    int r = make(h264 ? "libx264" : "libvpx", &e, &codec);
    if (r < 0)
        return td_averror(fail, r, h264 ? "libx264" : "libvpx");
    int interval = (config->key_interval_ms * config->fps + 500) / 1000;
    e->key_interval = interval < 1 ? 1 : (unsigned)interval;
    set_video(e->ctx, config, (int)e->key_interval);
    r = h264 ? set_h264(e->ctx, config) : set_options(e->ctx, vpx_options);
    if (r >= 0)
        r = avcodec_open2(e->ctx, codec, NULL);
    if (r >= 0) {
        e->frame->format = e->ctx->pix_fmt;
        e->frame->width = e->ctx->width;
        e->frame->height = e->ctx->height;
        r = av_frame_get_buffer(e->frame, 0);
    }
    if (r < 0) {
        (void)td_encoder_free(e);
        return td_averror(fail, r, h264 ? "libx264" : "libvpx");
    }
    *ret_encoder = e;
    return 0;
}

int td_encoder_open_audio(const struct td_pattern_config *config, struct td_fail *fail,
                          struct td_encoder **ret_encoder)
{
    const AVCodec *codec = NULL;
    struct td_encoder *e = NULL;
    int r = make("libopus", &e, &codec);
    if (r < 0)
        return td_averror(fail, r, "libopus");
    e->ctx->sample_rate = 48000; /* RFC 7587 section 4.1 */
    e->ctx->sample_fmt = AV_SAMPLE_FMT_S16;
    e->ctx->bit_rate = config->audio_bitrate_bps;
    av_channel_layout_default(&e->ctx->ch_layout, config->channels);
    r = set_options(e->ctx, opus_options);
    if (r >= 0)
        r = avcodec_open2(e->ctx, codec, NULL);
    if (r >= 0 && e->ctx->frame_size != TD_OPUS_SAMPLES)
        r = AVERROR_EXTERNAL;
    if (r >= 0) {
        e->frame->format = e->ctx->sample_fmt;
        e->frame->nb_samples = e->ctx->frame_size;
        e->frame->sample_rate = e->ctx->sample_rate;
        r = av_channel_layout_copy(&e->frame->ch_layout, &e->ctx->ch_layout);
    }
    if (r >= 0)
        r = av_frame_get_buffer(e->frame, 0);
    if (r < 0) {
        (void)td_encoder_free(e);
        return td_averror(fail, r, "libopus");
    }
    *ret_encoder = e;
    return 0;
}

struct td_encoder *td_encoder_free(struct td_encoder *e)
{
    if (!e)
        return NULL;
    avcodec_free_context(&e->ctx);
    av_frame_free(&e->frame);
    av_packet_free(&e->packet);
    free(e);
    return NULL;
}

unsigned td_encoder_lookahead(const struct td_encoder *e)
{
    return e->ctx->initial_padding > 0 ? (unsigned)e->ctx->initial_padding : 0;
}

int td_encoder_frame(struct td_encoder *e, AVFrame **ret_frame)
{
    /* The encoder may still hold the last one: then this copies it first. */
    int r = av_frame_make_writable(e->frame);
    if (r < 0)
        return td_averror(NULL, r, "frame");
    *ret_frame = e->frame;
    return 0;
}

int td_encoder_push(struct td_encoder *e, bool more)
{
    if (!more)
        return td_averror(NULL, avcodec_send_frame(e->ctx, NULL), "encode");
    bool video = e->key_interval > 0;
    bool key = video && e->pushed % e->key_interval == 0;
    e->frame->pts = e->pushed;
    e->frame->pict_type = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    e->pushed += video ? 1 : e->frame->nb_samples;
    return td_averror(NULL, avcodec_send_frame(e->ctx, e->frame), "encode");
}

int td_encoder_pop(struct td_encoder *e, struct td_msg_frame *ret_frame)
{
    av_packet_unref(e->packet);
    int r = avcodec_receive_packet(e->ctx, e->packet);
    if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
        return 0;
    if (r < 0)
        return td_averror(NULL, r, "encode");
    if (e->packet->size <= 0 || (unsigned)e->packet->size > TD_FRAME_BYTES_MAX)
        return -TD_E_LIMIT;
    *ret_frame = (struct td_msg_frame){
        .index = e->popped++,
        .key = (e->packet->flags & AV_PKT_FLAG_KEY) != 0,
        .bytes = e->packet->data,
        .len = (size_t)e->packet->size,
    };
    return 1;
}
