/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "media.h"
#include "recorder/layout.h"
#include "stage.h"

static struct stage_part *part_of(struct stage *s, const struct td_part *part)
{
    for (unsigned i = 0; i < s->part_count; i++) {
        if (s->parts[i].part == part && !s->parts[i].closed)
            return &s->parts[i];
    }
    assert_true(s->part_count < STAGE_PARTS_MAX);
    struct stage_part *to = &s->parts[s->part_count++];
    to->part = (struct td_part *)part;
    to->format = part->format->name;
    memcpy(to->final, part->final, sizeof(to->final));
    memcpy(to->growing, part->growing, sizeof(to->growing));
    return to;
}

static void on_started(void *ctx, struct td_part *part)
{
    (void)part_of(ctx, part);
}

static void on_failed(void *ctx, struct td_part *part, int error)
{
    struct stage_part *p = part_of(ctx, part);
    p->failed = true;
    p->error = error;
}

static void on_closed(void *ctx, struct td_part *part, int error, uint64_t bytes)
{
    struct stage_part *p = part_of(ctx, part);
    p->closed = true;
    p->error = error;
    p->bytes = bytes;
    p->scan = part->scan;
}

static void on_event(void *ctx, const struct td_event *event)
{
    struct stage *s = ctx;
    assert_true(s->event_count < STAGE_EVENTS_MAX);
    s->events[s->event_count++] = *event;
}

struct td_track *stage_track(struct stage *s, uint32_t handle, enum td_media_kind kind, bool muted)
{
    struct td_track_info info = {.handle = handle, .kind = kind, .muted = muted};
    (void)snprintf(info.participant, sizeof(info.participant), "alice");
    struct td_track_config config = {
        .info = &info, .clock = &s->clock, .slots = &s->slots, .budget = &s->budget};
    struct td_track *track = NULL;
    assert_int_equal(td_track_new(&config, &track), 0);
    assert_int_equal(td_output_add(s->output, track), 0);
    return track;
}

void stage_init(struct stage *s, size_t buffers, const char *format, bool audio_only,
                int64_t duration_us)
{
    memset(s, 0, sizeof(*s));
    fixture_init(&s->f);
    fixture_store(&s->f, buffers, -1);
    td_budget_init(&s->budget, NULL, 0);
    assert_int_equal(td_pool_init(&s->slots, TD_JITTER_SLOT_BYTES, 8, &s->budget), 0);
    td_clockmap_init(&s->clock);
    s->recorder = (struct td_recorder){
        .fs = &s->f.gate.base, .store = s->f.store, .control = s->f.notify, .budget = &s->budget};
    s->zero_us = INT64_MIN;
    struct td_output_config config = {
        .recorder = &s->recorder,
        .budget = &s->budget,
        .base = fixture_path(&s->f, "out", s->base),
        .format = td_mux_by_name(format),
        .duration_us = duration_us,
        .zero_us = &s->zero_us,
        .parts = {.ctx = s, .started = on_started, .failed = on_failed, .closed = on_closed},
        .event = on_event,
        .event_ctx = s,
    };
    assert_int_equal(td_output_new(&config, &s->output), 0);
    s->audio = stage_track(s, 1, TD_MEDIA_AUDIO, false);
    if (!audio_only)
        s->video = stage_track(s, 2, TD_MEDIA_VIDEO, false);
}

void stage_hear(struct stage *s)
{
    (void)td_mailbox_drain(s->f.notify);
}

static bool all_closed(const struct stage *s)
{
    for (unsigned i = 0; i < s->part_count; i++) {
        if (!s->parts[i].closed)
            return false;
    }
    return true;
}

void stage_finish(struct stage *s)
{
    s->output = td_output_free(s->output, false);
    stage_hear(s);
    while (!all_closed(s)) {
        struct pollfd polled = {.fd = td_mailbox_fd(s->f.notify), .events = POLLIN};
        assert_int_equal(poll(&polled, 1, 20000), 1);
        stage_hear(s);
    }
}

void stage_done(struct stage *s)
{
    if (s->output != NULL)
        stage_finish(s);
    (void)td_track_free(s->audio);
    (void)td_track_free(s->video);
    td_pool_done(&s->slots);
    td_budget_done(&s->budget);
    fixture_done(&s->f);
}

static void play(struct stage *s, struct td_track *track, const struct reel *reel, int64_t ms)
{
    struct td_frame frame = reel_frame(reel, 0);
    frame.arrival_us = STAGE_START_US + ms * 1000;
    frame.pts_us = frame.arrival_us;
    td_output_frame(s->output, track, &frame);
}

void stage_audio(struct stage *s, struct td_track *track, int64_t ms)
{
    struct reel reel;
    reel_init(&reel);
    reel_add_opus(&reel, 0, 0, 160, (uint64_t)ms + 1);
    play(s, track, &reel, ms);
    reel_done(&reel);
}

void stage_video(struct stage *s, enum td_codec codec, int64_t ms, bool key, unsigned size,
                 size_t len)
{
    struct reel reel;
    reel_init(&reel);
    if (codec == TD_CODEC_H264)
        reel_add_h264(&reel, 0, 0, key, size == 1, len, (uint64_t)ms + 1);
    else
        reel_add_vp8(&reel, 0, 0, key, size == 1, len, (uint64_t)ms + 1);
    play(s, s->video, &reel, ms);
    reel_done(&reel);
}

void stage_tick(struct stage *s, int64_t ms)
{
    td_output_tick(s->output, STAGE_START_US + ms * 1000);
}

unsigned stage_events(const struct stage *s, enum td_event_kind kind)
{
    unsigned count = 0;
    for (unsigned i = 0; i < s->event_count; i++)
        count += s->events[i].kind == kind;
    return count;
}

const struct td_event *stage_event(const struct stage *s, enum td_event_kind kind)
{
    for (unsigned i = s->event_count; i > 0; i--) {
        if (s->events[i - 1].kind == kind)
            return &s->events[i - 1];
    }
    fail_msg("no event of kind %d", (int)kind);
    return NULL;
}

static int on_frame(void *ctx, const struct td_frame *frame)
{
    struct stage_tape *tape = ctx;
    assert_true(tape->count < STAGE_FRAMES_MAX);
    tape->frames[tape->count++] = (struct stage_frame){.track = frame->track,
                                                       .codec = frame->codec,
                                                       .key = frame->key,
                                                       .pts_us = frame->pts_us,
                                                       .len = frame->len};
    return 0;
}

void stage_read(const struct stage *s, unsigned part, struct stage_tape *ret_tape)
{
    assert_true(part < s->part_count);
    ret_tape->count = 0;
    struct td_fs_file file = {
        .fs = td_fs_posix(),
        .handle = td_fs_open(td_fs_posix(), s->parts[part].final, TD_FS_READ, 0)};
    assert_true(file.handle >= 0);
    struct td_read_at input;
    assert_int_equal(td_fs_input(&file, &input), 0);
    const struct td_mux_ops *ops = td_mux_by_content(&input);
    assert_non_null(ops);
    assert_string_equal(ops->name, s->parts[part].format);
    assert_int_equal(td_mux_scan(ops, &input, on_frame, ret_tape, &ret_tape->scan), 0);
    assert_int_equal(td_fs_close(file.fs, file.handle), 0);
}
