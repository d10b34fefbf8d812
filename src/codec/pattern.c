/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pattern.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "codec/process.h"
#include "media/h264_annexb.h"

void td_pattern_config_default(struct td_pattern_config *ret_config)
{
    *ret_config = (struct td_pattern_config){
        .video = TD_CODEC_H264,
        .profile = TD_PATTERN_BASELINE,
        .width = 1280,
        .height = 720,
        .fps = 30,
        .seconds = 10,
        .bitrate_bps = 2000000,
        .key_interval_ms = 1000,
        .slices = 1,
        .channels = 1,
        .audio_bitrate_bps = 48000,
    };
}

struct td_pattern *td_pattern_free(struct td_pattern *p)
{
    if (!p)
        return NULL;
    free(p->frames);
    free(p->packets);
    td_bytes_done(&p->bytes);
    free(p);
    return NULL;
}

static size_t frames_wanted(const struct td_pattern_config *c)
{
    return c->video == TD_CODEC_NONE ? 0 : (size_t)c->fps * c->seconds;
}

static size_t packets_wanted(const struct td_pattern_config *c)
{
    return c->channels == 0 ? 0 : (size_t)TD_PATTERN_PACKETS_PER_S * c->seconds;
}

static struct td_pattern *pattern_new(const struct td_pattern_config *config)
{
    struct td_pattern *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->config = *config;
    td_bytes_init(&p->bytes, TD_PATTERN_BYTES_MAX, NULL);
    p->frames = calloc(frames_wanted(config) + 1, sizeof(*p->frames));
    p->packets = calloc(packets_wanted(config) + 1, sizeof(*p->packets));
    return p->frames && p->packets ? p : td_pattern_free(p);
}

/* The encoder's start codes have three or four bytes; a td_frame's always have four. */
static int append_annexb(struct td_bytes *to, const struct td_msg_frame *frame)
{
    static const uint8_t start_code[] = {0, 0, 0, 1};
    size_t offset = 0;
    struct td_h264_nal nal;
    int r;
    while ((r = td_h264_next_nal(frame->bytes, frame->len, &offset, &nal)) > 0) {
        r = td_bytes_append(to, start_code, sizeof(start_code));
        if (r == 0)
            r = td_bytes_append(to, nal.bytes, nal.len);
        if (r < 0)
            return r;
    }
    return r;
}

/* Units come in order, each once; anything else is a broken worker. */
static int add_unit(struct td_pattern *p, const struct td_msg *msg)
{
    bool audio = msg->type == TD_MSG_PATTERN_AUDIO;
    struct td_pattern_unit *units = audio ? p->packets : p->frames;
    size_t *count = audio ? &p->packet_count : &p->frame_count;
    size_t wanted = audio ? packets_wanted(&p->config) : frames_wanted(&p->config);
    struct td_msg_frame frame;
    int r = td_msg_read_pattern_frame(msg, &frame);
    if (r < 0)
        return r;
    if (frame.index != *count || *count >= wanted)
        return -TD_E_PARSE;
    size_t offset = p->bytes.len;
    r = !audio && p->config.video == TD_CODEC_H264
            ? append_annexb(&p->bytes, &frame)
            : td_bytes_append(&p->bytes, frame.bytes, frame.len);
    if (r < 0)
        return r;
    if (p->bytes.len == offset)
        return -TD_E_PARSE;
    units[(*count)++] = (struct td_pattern_unit){
        .offset = offset,
        .len = (uint32_t)(p->bytes.len - offset),
        .key = frame.key || audio,
    };
    return 0;
}

static int check_done(struct td_pattern *p, const struct td_msg *msg)
{
    struct td_pattern_done done;
    int r = td_msg_read_pattern_done(msg, &done);
    if (r < 0)
        return r;
    if (p->frame_count != frames_wanted(&p->config) || done.frames != p->frame_count ||
        p->packet_count != packets_wanted(&p->config) || done.packets != p->packet_count ||
        (p->frame_count > 0 && !p->frames[0].key))
        return -TD_E_PARSE;
    p->lookahead_samples = done.lookahead_samples;
    return 0;
}

static int receive_loop(struct td_codec_process *worker, struct td_pattern *p, struct td_fail *fail)
{
    for (;;) {
        struct td_msg msg;
        int r = td_codec_process_receive(worker, TD_CODEC_WAIT_US, &msg, fail);
        if (r <= 0)
            return r < 0 ? r : -TD_E_TIMEOUT;
        if (msg.type == TD_MSG_PATTERN_DONE)
            return check_done(p, &msg);
        r = msg.type == TD_MSG_PATTERN_VIDEO || msg.type == TD_MSG_PATTERN_AUDIO ? add_unit(p, &msg)
                                                                                 : -TD_E_PARSE;
        if (r < 0)
            return r;
    }
}

static int request(struct td_pattern *p, struct td_fail *fail)
{
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_pattern(&w, &p->config);
    struct td_codec_process *worker = NULL;
    int r = td_codec_process_start(fail, &worker);
    if (r == 0)
        r = td_codec_process_send(worker, &w, NULL, 0);
    if (r == 0)
        r = receive_loop(worker, p, fail);
    (void)td_codec_process_free(worker);
    return r;
}

int td_codec_pattern(const struct td_pattern_config *config, struct td_fail *fail,
                     struct td_pattern **ret_pattern)
{
    struct td_fail unused = {0};
    fail = fail ? fail : &unused;
    if (td_pattern_config_check(config) < 0)
        return td_fail_set(fail, -TD_E_USAGE,
                           "this test pattern cannot be made: size, rate or codec");
    struct td_pattern *p = pattern_new(config);
    if (!p)
        return td_fail_set(fail, -ENOMEM, "no memory for a test pattern");
    int r = request(p, fail);
    if (r < 0) {
        (void)td_pattern_free(p);
        return td_fail_set(fail, r, "tapedeck-codec made no test pattern: %s", td_err_text(r));
    }
    *ret_pattern = p;
    return 0;
}
