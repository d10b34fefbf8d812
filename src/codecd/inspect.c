/* SPDX-License-Identifier: Apache-2.0 */
#include "codecd/inspect.h"

#include <errno.h>
#include <stdlib.h>

#include <libavutil/pixdesc.h>

#include "codecd/beep.h"
#include "codecd/decoder.h"
#include "codecd/picture.h"

/* More than any decoder holds back (16 pictures of H.264, annex A.3.1 MaxDpbFrames). */
#define PENDING_MAX 64

struct track {
    enum td_codec codec;
    struct td_decoder *decoder;
    struct td_beep_finder beeps;
    /* Pushed video frames no picture has come for, oldest first: each gets its answer. */
    int64_t pending_us[PENDING_MAX];
    unsigned pending;
};

struct td_inspect {
    struct td_wire *wire;
    struct track tracks[TD_INSPECT_TRACKS_MAX];
    size_t track_count;
    struct td_inspect_done done;
};

struct td_inspect *td_inspect_free(struct td_inspect *i)
{
    if (!i)
        return NULL;
    for (size_t n = 0; n < i->track_count; n++)
        (void)td_decoder_free(i->tracks[n].decoder);
    free(i);
    return NULL;
}

int td_inspect_new(struct td_wire *wire, const struct td_msg *open, struct td_fail *fail,
                   struct td_inspect **ret_inspect)
{
    struct td_inspect_track wanted[TD_INSPECT_TRACKS_MAX];
    size_t count = 0;
    int r = td_msg_read_inspect_open(open, wanted, &count);
    if (r < 0)
        return r;
    struct td_inspect *i = calloc(1, sizeof(*i));
    if (!i)
        return -ENOMEM;
    i->wire = wire;
    for (; i->track_count < count; i->track_count++) {
        struct track *t = &i->tracks[i->track_count];
        t->codec = wanted[i->track_count].codec;
        td_beep_finder_init(&t->beeps);
        r = td_decoder_open(&wanted[i->track_count], fail, &t->decoder);
        if (r < 0) {
            (void)td_inspect_free(i);
            return r;
        }
    }
    *ret_inspect = i;
    return 0;
}

static int send_video(struct td_inspect *i, const struct td_inspect_video *video)
{
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_inspect_video(&w, video);
    if (!video->decoded || video->damaged)
        i->done.video_errors++;
    return td_wire_send(i->wire, &w, NULL, 0);
}

static int send_no_picture(struct td_inspect *i, unsigned n, int64_t pts_us)
{
    return send_video(i, &(struct td_inspect_video){
                             .track = n,
                             .pts_us = pts_us,
                             .counter = TD_INSPECT_UNREADABLE,
                             .damaged = true,
                         });
}

/* Luminance as bytes in a plane of its own: all 8-bit YUV and grey formats. */
static bool luma_of(const AVFrame *frame, struct td_plane *ret_luma)
{
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get((enum AVPixelFormat)frame->format);
    if (!format || (format->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_HWACCEL)) != 0)
        return false;
    const AVComponentDescriptor *y = &format->comp[0];
    if (y->plane != 0 || y->step != 1 || y->depth != 8 || y->offset != 0 || frame->linesize[0] <= 0)
        return false;
    *ret_luma = (struct td_plane){
        .at = frame->data[0],
        .stride = (size_t)frame->linesize[0],
        .width = (unsigned)frame->width,
        .height = (unsigned)frame->height,
    };
    return true;
}

/* Forgets `pts_us` among the pending frames, if it is there. */
static void settle(struct track *t, int64_t pts_us)
{
    unsigned kept = 0;
    bool found = false;
    for (unsigned k = 0; k < t->pending; k++) {
        if (!found && t->pending_us[k] == pts_us)
            found = true;
        else
            t->pending_us[kept++] = t->pending_us[k];
    }
    t->pending = kept;
}

static int take_picture(struct td_inspect *i, unsigned n, const AVFrame *frame, bool damaged)
{
    struct td_inspect_video video = {
        .track = n,
        .pts_us = frame->pts,
        .counter = TD_INSPECT_UNREADABLE,
        .decoded = true,
        .damaged = damaged,
        .width = (uint16_t)frame->width,
        .height = (uint16_t)frame->height,
    };
    struct td_plane luma;
    if (luma_of(frame, &luma)) {
        video.counter = td_picture_read_counter(&luma);
        video.luminance = td_picture_read_flash(&luma);
    }
    settle(&i->tracks[n], frame->pts);
    return send_video(i, &video);
}

static int take_sound(struct td_inspect *i, unsigned n, const AVFrame *frame)
{
    struct td_inspect_beep beep = {.track = n};
    size_t channels = (size_t)frame->ch_layout.nb_channels;
    if (frame->format != AV_SAMPLE_FMT_S16 || frame->sample_rate != TD_BEEP_HZ || channels == 0)
        return -TD_E_LIBRARY;
    const int16_t *samples = (const int16_t *)(const void *)frame->data[0];
    if (td_beep_finder_push(&i->tracks[n].beeps, frame->pts, samples, (size_t)frame->nb_samples,
                            channels, &beep.pts_us) == 0)
        return 0;
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_inspect_beep(&w, &beep);
    return td_wire_send(i->wire, &w, NULL, 0);
}

/* Takes all the decoder has. A frame it cannot decode is counted and passed over. */
static int drain(struct td_inspect *i, unsigned n)
{
    struct track *t = &i->tracks[n];
    for (;;) {
        const AVFrame *frame;
        bool damaged;
        int r = td_decoder_pop(t->decoder, &frame, &damaged);
        if (r == -TD_E_DAMAGED && t->codec == TD_CODEC_OPUS) {
            i->done.audio_errors++;
            return 0;
        }
        if (r == -TD_E_DAMAGED || r == 0)
            return 0; /* a video frame without picture stays pending and is answered later */
        if (r > 0)
            r = t->codec == TD_CODEC_OPUS ? take_sound(i, n, frame)
                                          : take_picture(i, n, frame, damaged);
        if (r < 0)
            return r;
    }
}

/* Answers the frames no picture came for: all, or the oldest when there are too many. */
static int answer_pending(struct td_inspect *i, unsigned n, unsigned keep)
{
    struct track *t = &i->tracks[n];
    while (t->pending > keep) {
        int64_t pts_us = t->pending_us[0];
        int r = send_no_picture(i, n, pts_us);
        if (r < 0)
            return r;
        settle(t, pts_us);
    }
    return 0;
}

static int push_video(struct td_inspect *i, const struct td_msg_frame *frame)
{
    struct track *t = &i->tracks[frame->track];
    int r = answer_pending(i, frame->track, PENDING_MAX - 1);
    if (r < 0)
        return r;
    i->done.frames++;
    t->pending_us[t->pending++] = frame->pts_us;
    r = td_decoder_push(t->decoder, frame);
    if (r == -TD_E_DAMAGED) {
        settle(t, frame->pts_us);
        r = send_no_picture(i, frame->track, frame->pts_us);
    }
    return r < 0 ? r : drain(i, frame->track);
}

static int push_audio(struct td_inspect *i, const struct td_msg_frame *frame)
{
    i->done.packets++;
    int r = td_decoder_push(i->tracks[frame->track].decoder, frame);
    if (r == -TD_E_DAMAGED) {
        i->done.audio_errors++;
        return 0;
    }
    return r < 0 ? r : drain(i, frame->track);
}

int td_inspect_frame(struct td_inspect *i, const struct td_msg *msg)
{
    struct td_msg_frame frame;
    int r = td_msg_read_inspect_frame(msg, &frame);
    if (r < 0)
        return r;
    if (frame.track >= i->track_count)
        return -TD_E_PARSE;
    return i->tracks[frame.track].codec == TD_CODEC_OPUS ? push_audio(i, &frame)
                                                         : push_video(i, &frame);
}

int td_inspect_finish(struct td_inspect *i)
{
    for (unsigned n = 0; n < i->track_count; n++) {
        int r = td_decoder_push(i->tracks[n].decoder, NULL);
        if (r == 0)
            r = drain(i, n);
        if (r == 0)
            r = answer_pending(i, n, 0);
        if (r < 0)
            return r;
    }
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_inspect_done(&w, &i->done);
    return td_wire_send(i->wire, &w, NULL, 0);
}
