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
    struct stage_part *to = NULL;
    for (unsigned i = 0; i < s->part_count; i++) { /* one that goes on */
        if (strcmp(s->parts[i].growing, part->growing) == 0)
            to = &s->parts[i];
    }
    assert_true(to != NULL || s->part_count < STAGE_PARTS_MAX);
    if (to == NULL)
        to = &s->parts[s->part_count++];
    *to = (struct stage_part){.failed = false};
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

static void open_output(struct stage *s, const struct td_mux_ops *format, int64_t duration_us,
                        const struct td_mux_tail *tail)
{
    struct td_output_config config = {
        .recorder = &s->recorder,
        .budget = &s->budget,
        .base = s->base,
        .format = format,
        .duration_us = duration_us,
        .zero_us = &s->zero_us,
        .part_count = s->part_count,
        .resumed = s->part_count > 0 ? td_mux_by_name(s->parts[s->part_count - 1].format) : NULL,
        .tail = tail,
        .parts = {.ctx = s, .started = on_started, .failed = on_failed, .closed = on_closed},
        .event = on_event,
        .event_ctx = s,
    };
    assert_int_equal(td_output_new(&config, &s->output), 0);
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
    (void)fixture_path(&s->f, "out", s->base);
    open_output(s, td_mux_by_name(format), duration_us, NULL);
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

static bool any_failed(const struct stage *s)
{
    for (unsigned i = 0; i < s->part_count; i++) {
        if (s->parts[i].failed)
            return true;
    }
    return false;
}

static void wait_until(struct stage *s, bool (*reached)(const struct stage *s))
{
    stage_hear(s);
    while (!reached(s)) {
        struct pollfd polled = {.fd = td_mailbox_fd(s->f.notify), .events = POLLIN};
        assert_int_equal(poll(&polled, 1, 20000), 1);
        stage_hear(s);
    }
}

void stage_wait_failed(struct stage *s)
{
    wait_until(s, any_failed);
}

void stage_wait_closed(struct stage *s)
{
    wait_until(s, all_closed);
}

void stage_leave(struct stage *s)
{
    s->output = td_output_free(s->output, true);
    stage_wait_closed(s);
}

void stage_go_on(struct stage *s, const struct td_mux_tail *tail)
{
    if (s->output != NULL)
        stage_leave(s);
    open_output(s, NULL, 0, tail);
    s->audio = td_track_free(s->audio);
    s->video = td_track_free(s->video);
    s->audio = stage_track(s, 1, TD_MEDIA_AUDIO, false);
    s->video = stage_track(s, 2, TD_MEDIA_VIDEO, false);
}

int stage_tail(const struct stage *s, struct td_mux_tail *ret_tail)
{
    const struct stage_part *part = &s->parts[s->part_count - 1];
    struct td_fs_file file = {.fs = td_fs_posix(),
                              .handle = td_fs_open(td_fs_posix(), part->growing, TD_FS_READ, 0)};
    assert_true(file.handle >= 0);
    struct td_read_at input;
    assert_int_equal(td_fs_input(&file, &input), 0);
    int r = td_mux_tail(td_mux_by_name(part->format), &input, ret_tail);
    assert_int_equal(td_fs_close(file.fs, file.handle), 0);
    return r;
}

void stage_finish(struct stage *s)
{
    s->output = td_output_free(s->output, false);
    stage_wait_closed(s);
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

static struct td_frame frame_at(const struct reel *reel, int64_t ms)
{
    struct td_frame frame = reel_frame(reel, 0);
    frame.arrival_us = STAGE_START_US + ms * 1000;
    frame.pts_us = frame.arrival_us;
    return frame;
}

static void play(struct stage *s, struct td_track *track, const struct reel *reel, int64_t ms)
{
    struct td_frame frame = frame_at(reel, ms);
    td_output_frame(s->output, track, &frame);
}

void stage_hold(struct stage *s, struct td_track *track, int64_t ms)
{
    struct reel reel;
    reel_init(&reel);
    reel_add_opus(&reel, 0, 0, 160, (uint64_t)ms + 1);
    struct td_frame frame = frame_at(&reel, ms);
    td_output_hold(s->output, track, &frame);
    reel_done(&reel);
}

void stage_pause(struct stage *s, int64_t ms)
{
    td_output_pause(s->output);
    s->paused_pts_us = s->zero_us != INT64_MIN ? STAGE_START_US + ms * 1000 - s->zero_us : 0;
}

void stage_resume(struct stage *s, int64_t join_ms)
{
    int64_t local_us = STAGE_START_US + join_ms * 1000;
    if (s->zero_us != INT64_MIN)
        s->zero_us = local_us - s->paused_pts_us;
    td_output_resume(s->output, local_us);
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

struct td_output_stats stage_stats(const struct stage *s)
{
    struct td_output_stats stats;
    td_output_stats(s->output, &stats);
    return stats;
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
