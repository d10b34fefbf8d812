/* SPDX-License-Identifier: Apache-2.0 */
#include "codecd/decoder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>

#include "codecd/averror.h"

struct td_decoder {
    AVCodecContext *ctx;
    AVFrame *frame;
    AVPacket *packet;
};

/* libopus, not FFmpeg's own decoder: it answers a packet with exactly the packet's samples. */
static const char *const names[TD_CODEC_MAX] = {
    [TD_CODEC_OPUS] = "libopus",
    [TD_CODEC_H264] = "h264",
    [TD_CODEC_VP8] = "vp8",
};

static int open_codec(struct td_decoder *d, const struct td_inspect_track *track)
{
    const AVCodec *codec = avcodec_find_decoder_by_name(names[track->codec]);
    if (!codec)
        return AVERROR_DECODER_NOT_FOUND;
    d->ctx = avcodec_alloc_context3(codec);
    d->frame = av_frame_alloc();
    d->packet = av_packet_alloc();
    if (!d->ctx || !d->frame || !d->packet)
        return AVERROR(ENOMEM);
    d->ctx->thread_count = 1;
    d->ctx->pkt_timebase = (AVRational){1, 1000000};
    d->ctx->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER;
    if (track->codec == TD_CODEC_OPUS) {
        d->ctx->sample_rate = 48000; /* RFC 7587 section 4.1 */
        av_channel_layout_default(&d->ctx->ch_layout, track->channels == 1 ? 1 : 2);
    }
    return avcodec_open2(d->ctx, codec, NULL);
}

int td_decoder_open(const struct td_inspect_track *track, struct td_fail *fail,
                    struct td_decoder **ret_decoder)
{
    struct td_decoder *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    int r = open_codec(d, track);
    if (r < 0) {
        (void)td_decoder_free(d);
        return td_averror(fail, r, names[track->codec]);
    }
    *ret_decoder = d;
    return 0;
}

struct td_decoder *td_decoder_free(struct td_decoder *d)
{
    if (!d)
        return NULL;
    avcodec_free_context(&d->ctx);
    av_frame_free(&d->frame);
    av_packet_free(&d->packet);
    free(d);
    return NULL;
}

int td_decoder_push(struct td_decoder *d, const struct td_msg_frame *frame)
{
    int r;
    if (!frame) {
        r = avcodec_send_packet(d->ctx, NULL);
        return r == AVERROR_EOF ? 0 : td_averror(NULL, r, "flush");
    }
    /* A copy: the library reads a few bytes behind a packet and may keep it. */
    av_packet_unref(d->packet);
    r = av_new_packet(d->packet, (int)frame->len);
    if (r < 0)
        return td_averror(NULL, r, "packet");
    memcpy(d->packet->data, frame->bytes, frame->len);
    d->packet->pts = frame->pts_us;
    d->packet->dts = frame->pts_us;
    d->packet->flags = frame->key ? AV_PKT_FLAG_KEY : 0;
    r = avcodec_send_packet(d->ctx, d->packet);
    return r == AVERROR(ENOMEM) ? -ENOMEM : r < 0 ? -TD_E_DAMAGED : 0;
}

int td_decoder_pop(struct td_decoder *d, const AVFrame **ret_frame, bool *ret_damaged)
{
    int r = avcodec_receive_frame(d->ctx, d->frame);
    if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
        return 0;
    if (r < 0)
        return r == AVERROR(ENOMEM) ? -ENOMEM : -TD_E_DAMAGED;
    *ret_damaged = d->frame->decode_error_flags != 0 || (d->frame->flags & AV_FRAME_FLAG_CORRUPT);
    *ret_frame = d->frame;
    return 1;
}
