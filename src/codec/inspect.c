/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/inspect.h"

#include <errno.h>
#include <stdlib.h>

#include "codec/process.h"

struct td_codec_inspect {
    struct td_codec_process *worker;
    struct td_inspect_sink sink;
    size_t track_count;
    struct td_fail fail;
};

struct td_codec_inspect *td_codec_inspect_free(struct td_codec_inspect *i)
{
    if (!i)
        return NULL;
    (void)td_codec_process_free(i->worker);
    free(i);
    return NULL;
}

const struct td_fail *td_codec_inspect_fail(const struct td_codec_inspect *i)
{
    return &i->fail;
}

static int open_worker(struct td_codec_inspect *i, const struct td_inspect_track *tracks,
                       size_t count)
{
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_inspect_open(&w, tracks, count);
    int r = td_codec_process_start(&i->fail, &i->worker);
    return r < 0 ? r : td_codec_process_send(i->worker, &w, NULL, 0);
}

int td_codec_inspect_open(const struct td_inspect_track *tracks, size_t count,
                          const struct td_inspect_sink *sink, struct td_fail *fail,
                          struct td_codec_inspect **ret_inspect)
{
    if (count == 0 || count > TD_INSPECT_TRACKS_MAX)
        return -TD_E_USAGE;
    struct td_codec_inspect *i = calloc(1, sizeof(*i));
    if (!i)
        return -ENOMEM;
    i->sink = *sink;
    i->track_count = count;
    int r = open_worker(i, tracks, count);
    if (r < 0) {
        if (fail)
            (void)td_fail_set(fail, r, "%s", i->fail.code ? i->fail.text : td_err_text(r));
        (void)td_codec_inspect_free(i);
        return r;
    }
    *ret_inspect = i;
    return 0;
}

/* 1 = DONE was read into `ret_done`, 0 = a result was handed on. */
static int handle(struct td_codec_inspect *i, const struct td_msg *msg,
                  struct td_inspect_done *ret_done)
{
    struct td_inspect_video video;
    struct td_inspect_beep beep;
    int r;
    switch (msg->type) {
    case TD_MSG_INSPECT_VIDEO:
        r = td_msg_read_inspect_video(msg, &video);
        if (r == 0 && i->sink.video)
            i->sink.video(i->sink.ctx, &video);
        return r;
    case TD_MSG_INSPECT_BEEP:
        r = td_msg_read_inspect_beep(msg, &beep);
        if (r == 0 && i->sink.beep)
            i->sink.beep(i->sink.ctx, &beep);
        return r;
    case TD_MSG_INSPECT_DONE:
        r = ret_done ? td_msg_read_inspect_done(msg, ret_done) : -TD_E_PARSE;
        return r < 0 ? r : 1;
    default:
        return -TD_E_PARSE;
    }
}

/* Hands on what has come; waits for nothing. */
static int drain(struct td_codec_inspect *i)
{
    for (;;) {
        struct td_msg msg;
        int r = td_codec_process_receive(i->worker, 0, &msg, &i->fail);
        if (r <= 0)
            return r;
        r = handle(i, &msg, NULL);
        if (r < 0)
            return r;
    }
}

/* A worker that gave up says why before it goes; that is worth more than "closed". */
static int failed(struct td_codec_inspect *i, int code)
{
    if (code == -TD_E_CLOSED && i->fail.code == 0)
        code = drain(i) < 0 && i->fail.code < 0 ? i->fail.code : code;
    return td_fail_set(&i->fail, code, "tapedeck-codec stopped decoding: %s", td_err_text(code));
}

int td_codec_inspect_push(struct td_codec_inspect *i, const struct td_frame *frame)
{
    if (frame->len == 0 || frame->len > TD_FRAME_BYTES_MAX || frame->track >= i->track_count)
        return -EINVAL;
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_inspect_frame(&w, &(struct td_msg_frame){
                                       .track = frame->track,
                                       .pts_us = frame->pts_us,
                                       .key = frame->key,
                                       .len = frame->len,
                                   });
    int r = td_codec_process_send(i->worker, &w, frame->bytes, frame->len);
    if (r == 0)
        r = drain(i);
    return r < 0 ? failed(i, r) : 0;
}

int td_codec_inspect_finish(struct td_codec_inspect *i, struct td_inspect_done *ret_done)
{
    uint8_t bytes[TD_MSG_HEADER_BYTES];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_inspect_finish(&w);
    int r = td_codec_process_send(i->worker, &w, NULL, 0);
    while (r == 0) {
        struct td_msg msg;
        r = td_codec_process_receive(i->worker, TD_CODEC_WAIT_US, &msg, &i->fail);
        if (r == 0)
            r = -TD_E_TIMEOUT;
        if (r > 0)
            r = handle(i, &msg, ret_done);
    }
    return r < 0 ? failed(i, r) : 0;
}
