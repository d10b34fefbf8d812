/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/output.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/backlog.h"

#define NOT_DECLARED UINT32_MAX
#define PTS_STEP_US TD_US_PER_MS /* two frames of a track never share a time in any container */
#define IDLE_US TD_US_PER_S      /* design section 5, Silence: visibly alive each second */

struct slot {
    bool used;
    struct td_track *track; /* NULL = removed, but frames of it still wait */
    unsigned waiting;       /* frames of it in the backlog */
    uint32_t handle;
    char name[TD_SOURCE_TEXT_MAX]; /* for the container */
    enum td_media_kind kind;
    enum td_codec codec; /* of the last frame */
    unsigned mux_track;  /* in the present part, or NOT_DECLARED */
    bool expected;       /* announced and not muted */
    bool wait_key;       /* video: nothing before the next key frame */
    bool hole;           /* the next frame follows a hole of our own making */
    uint16_t width;
    uint16_t height;
    int64_t last_pts_us; /* of the mux track, so that time never steps back in it */
    bool stored;         /* a frame of it was */
    uint64_t dropped;    /* since the present drop began */
    int64_t dropped_from_us;
};

struct declared { /* a track of the present part: it outlives the one that brings its frames */
    enum td_codec codec;
    bool taken;
    int64_t last_pts_us;
};

enum state {
    IDLE,
    WAITING,
    RECORDING,
    BLOCKED, /* its file failed: goes on with the next part when the recording is resumed */
    ENDED,
};

struct td_output {
    struct td_output_config config;
    char base[TD_PATH_MAX];
    enum state state;
    struct slot slots[TD_MUX_TRACKS_MAX];
    struct td_backlog backlog; /* audio */
    int64_t first_media_us;    /* local time of arrival of the first frame */
    struct td_part *part;
    unsigned part_count;
    const struct td_mux_ops *format; /* of the newest part */
    struct declared declared[TD_MUX_TRACKS_MAX];
    unsigned declared_count;
    bool paused;
    bool holding;         /* what waits belongs behind a join that is not known yet */
    bool keep;            /* parts are closed unfinished: another process goes on */
    int64_t last_emit_us; /* monotonic: for idle */
    int64_t last_emit_pts_us;
    uint64_t bytes_before; /* of closed parts */
    uint64_t latency_before[TD_SPOOL_LATENCY_BUCKETS];
    uint64_t latency_sum_before_us;
    struct td_output_stats stats;
};

static void close_part(struct td_output *o)
{
    if (o->part == NULL)
        return;
    struct td_spool_stats spool;
    td_spool_stats(o->part->spool, &spool);
    o->bytes_before += spool.accepted_bytes;
    o->stats.bytes = o->bytes_before;
    o->stats.written_bytes = o->bytes_before; /* from here on the store's matter */
    o->stats.synced_bytes = o->bytes_before;
    o->stats.part_bytes = 0;
    for (unsigned i = 0; i < TD_SPOOL_LATENCY_BUCKETS; i++)
        o->latency_before[i] += spool.latency_counts[i];
    o->latency_sum_before_us += spool.latency_sum_us;
    td_part_close(o->part, o->keep);
    o->part = NULL;
    o->declared_count = 0;
    for (unsigned i = 0; i < TD_MUX_TRACKS_MAX; i++)
        o->slots[i].mux_track = NOT_DECLARED;
}

static void tell(struct td_output *o, enum td_event_kind kind, const struct slot *slot,
                 int64_t pts_us, int64_t a, int64_t b)
{
    struct td_event event = {
        .kind = kind,
        .track = slot != NULL ? slot->handle : 0,
        .output = o->config.index,
        .wall_us = td_clock_wall_us(),
        .pts_us = pts_us,
        .a = a,
        .b = b,
    };
    o->config.event(o->config.event_ctx, &event);
}

static void end(struct td_output *o, enum td_event_kind why, const struct slot *slot, int64_t a)
{
    if (o->state == ENDED)
        return;
    o->state = ENDED;
    close_part(o);
    tell(o, why, slot, o->stats.pts_us, a, 0);
}

static struct slot *slot_of(struct td_output *o, const struct td_track *track)
{
    for (unsigned i = 0; i < TD_MUX_TRACKS_MAX; i++) {
        if (o->slots[i].used && o->slots[i].track == track)
            return &o->slots[i];
    }
    return NULL;
}

static struct slot *free_slot(struct td_output *o)
{
    for (unsigned i = 0; i < TD_MUX_TRACKS_MAX; i++) {
        if (!o->slots[i].used)
            return &o->slots[i];
    }
    return NULL;
}

int td_output_add(struct td_output *o, struct td_track *track)
{
    struct slot *slot = free_slot(o);
    if (slot == NULL)
        return -TD_E_LIMIT;
    const struct td_track_info *info = td_track_info(track);
    *slot = (struct slot){
        .used = true,
        .track = track,
        .handle = info->handle,
        .kind = info->kind,
        .codec = TD_CODEC_NONE,
        .mux_track = NOT_DECLARED,
        .expected = !info->muted,
        .wait_key = info->kind == TD_MEDIA_VIDEO,
        .last_pts_us = INT64_MIN,
    };
    bool named = info->participant_name[0] != '\0';
    memcpy(slot->name, named ? info->participant_name : info->participant, sizeof(slot->name));
    return 0;
}

void td_output_mute(struct td_output *o, const struct td_track *track, bool muted)
{
    struct slot *slot = slot_of(o, track);
    if (slot != NULL)
        slot->expected = !muted;
}

static bool video_expected(const struct td_output *o)
{
    bool announced = false;
    for (unsigned i = 0; i < TD_MUX_TRACKS_MAX; i++) {
        const struct slot *slot = &o->slots[i];
        if (slot->track == NULL || slot->kind != TD_MEDIA_VIDEO)
            continue;
        if (slot->expected)
            return true;
        announced = true;
    }
    /* None announced yet: audio is often announced first. */
    return !announced && o->config.media != TD_OUTPUT_AUDIO;
}

static const struct td_mux_ops *choose_format(const struct td_output *o, const struct td_frame *key)
{
    if (o->config.format != NULL)
        return o->config.format;
    if (key == NULL && o->format != NULL)
        return o->format; /* another sound is no reason for another container */
    const struct td_mux_ops *ts = td_mux_by_name("ts");
    if (key != NULL && td_mux_takes(ts, key->codec))
        return ts;
    return td_mux_by_name("mkv"); /* takes any video later */
}

/* Of the present part: a track whose publisher left is there for the next one of its codec. */
static bool take_declared(struct td_output *o, struct slot *slot, enum td_codec codec)
{
    for (unsigned i = 0; i < o->declared_count; i++) {
        struct declared *d = &o->declared[i];
        if (d->taken || d->codec != codec)
            continue;
        d->taken = true;
        slot->mux_track = i;
        slot->codec = codec;
        slot->hole = slot->hole || d->last_pts_us != INT64_MIN;
        slot->last_pts_us = d->last_pts_us;
        return true;
    }
    return false;
}

static int add_declared(struct td_output *o, const struct td_mux_track *track, bool taken,
                        unsigned *ret_track)
{
    int r = td_mux_add_track(o->part->mux, track, ret_track);
    if (r != 0)
        return r;
    assert(*ret_track == o->declared_count && *ret_track < TD_MUX_TRACKS_MAX);
    o->declared[o->declared_count++] =
        (struct declared){.codec = track->codec, .taken = taken, .last_pts_us = INT64_MIN};
    return 0;
}

/* Adds the track to the present part; `frame` is the one that begins it. */
static int declare(struct td_output *o, struct slot *slot, const struct td_frame *frame)
{
    if (take_declared(o, slot, frame->codec))
        return 0;
    struct td_mux_track track = {
        .codec = frame->codec,
        .channels = slot->kind == TD_MEDIA_AUDIO ? 2 : 0,
        .width = frame->width,
        .height = frame->height,
        .name = slot->name,
        .first_key = slot->kind == TD_MEDIA_VIDEO ? frame : NULL,
    };
    int r = add_declared(o, &track, true, &slot->mux_track);
    if (r == 0)
        slot->codec = frame->codec;
    return r;
}

/* A file always has a place for sound, design section 5. */
static int declare_audio(struct td_output *o)
{
    if (o->config.media == TD_OUTPUT_VIDEO)
        return 0;
    struct td_mux_track track = {.codec = TD_CODEC_OPUS, .channels = 2};
    unsigned number;
    return add_declared(o, &track, false, &number);
}

static int open_part(struct td_output *o, const struct td_mux_ops *format,
                     const struct td_mux_tail *tail)
{
    struct td_part_config config = {
        .recorder = o->config.recorder,
        .base = o->base,
        .output = o->config.index,
        .number = tail != NULL ? o->part_count : o->part_count + 1,
        .format = format,
        .first_pts_us = o->stats.pts_us,
        .zero_us = *o->config.zero_us,
        .replace = o->config.replace,
        .tail = tail,
        .events = o->config.parts,
    };
    int r = td_part_new(&config, &o->part);
    if (r < 0)
        return r;
    o->part_count = config.number;
    o->format = format;
    o->stats.parts = o->part_count;
    return 0;
}

static int begin_part(struct td_output *o, struct slot *video, const struct td_frame *key)
{
    const struct td_mux_ops *format = choose_format(o, key);
    if (key != NULL && !td_mux_takes(format, key->codec)) {
        end(o, TD_EVENT_REFUSED, video, key->codec);
        return -TD_E_UNSUPPORTED;
    }
    int r = open_part(o, format, NULL);
    if (r < 0)
        goto fail;
    /* Video first: players take the first video as the main one, and its clock as the PCR. */
    if (video != NULL)
        r = declare(o, video, key);
    if (r == 0)
        r = declare_audio(o);
    if (r == 0)
        return 0;
    if (r > 0)
        r = -TD_E_STATE;
fail:
    end(o, TD_EVENT_FAILED, video, r);
    return r;
}

static int next_part(struct td_output *o, struct slot *slot, const struct td_frame *frame)
{
    close_part(o);
    for (unsigned i = 0; i < TD_MUX_TRACKS_MAX; i++) {
        struct slot *other = &o->slots[i];
        if (other->track == NULL || other == slot || other->kind != TD_MEDIA_VIDEO)
            continue;
        other->wait_key = true;
        td_track_want_key(other->track);
    }
    if (frame->pts_us > o->stats.pts_us)
        o->stats.pts_us = frame->pts_us; /* where the new one begins */
    bool video = slot->kind == TD_MEDIA_VIDEO;
    return begin_part(o, video ? slot : NULL, video ? frame : NULL);
}

static void note_drop(struct td_output *o, struct slot *slot, const struct td_frame *frame)
{
    if (slot->dropped++ == 0)
        slot->dropped_from_us = frame->pts_us;
    o->stats.dropped++;
    slot->wait_key = true;
    slot->hole = true;
    if (slot->track != NULL)
        td_track_want_key(slot->track);
}

static void end_drop(struct td_output *o, struct slot *slot, int64_t to_us)
{
    if (slot->dropped == 0)
        return;
    struct td_event event = {
        .kind = TD_EVENT_DROP,
        .track = slot->handle,
        .output = o->config.index,
        .wall_us = td_clock_wall_us(),
        .pts_us = slot->dropped_from_us,
        .to_us = to_us > slot->dropped_from_us ? to_us : slot->dropped_from_us,
        .a = (int64_t)slot->dropped,
    };
    o->config.event(o->config.event_ctx, &event);
    slot->dropped = 0;
}

static void release(struct td_output *o, struct slot *slot)
{
    end_drop(o, slot, o->stats.pts_us);
    if (slot->mux_track != NOT_DECLARED)
        o->declared[slot->mux_track].taken = false;
    *slot = (struct slot){.mux_track = NOT_DECLARED};
}

void td_output_remove(struct td_output *o, const struct td_track *track)
{
    struct slot *slot = slot_of(o, track);
    if (slot == NULL)
        return;
    slot->track = NULL;
    slot->expected = false;
    if (slot->waiting == 0 || o->state == ENDED)
        release(o, slot);
}

/* A track's first frame in this part, or another codec than before. 0 = it may be written,
 * TD_SPOOL_FULL = not now. */
static int ensure_declared(struct td_output *o, struct slot *slot, const struct td_frame *frame)
{
    if (slot->mux_track != NOT_DECLARED && slot->codec == frame->codec)
        return 0;
    if (!td_mux_takes(o->config.format != NULL ? o->config.format : td_mux_by_name("mkv"),
                      frame->codec)) {
        end(o, TD_EVENT_REFUSED, slot, frame->codec);
        return -TD_E_UNSUPPORTED;
    }
    bool other_codec = slot->mux_track != NOT_DECLARED;
    if (other_codec)
        tell(o, TD_EVENT_CODEC, slot, frame->pts_us, slot->codec, frame->codec);
    int r = other_codec || !td_mux_takes(o->part->format, frame->codec) ? TD_MUX_NEXT_PART
                                                                        : declare(o, slot, frame);
    if (r == TD_MUX_NEXT_PART) {
        r = next_part(o, slot, frame);
        if (r == 0 && slot->mux_track == NOT_DECLARED)
            r = declare(o, slot, frame);
    }
    if (r == 0 || r == TD_SPOOL_FULL)
        return r; /* full: not declared; offered again with the next frame */
    r = r < 0 ? r : -TD_E_STATE;
    end(o, TD_EVENT_FAILED, slot, r);
    return r;
}

static void note_written(struct td_output *o, struct slot *slot, const struct td_frame *frame)
{
    if (!slot->stored)
        tell(o, TD_EVENT_FIRST_FRAME, slot, frame->pts_us, 0, 0);
    slot->stored = true;
    if (frame->width != 0 && slot->width != 0 &&
        (frame->width != slot->width || frame->height != slot->height))
        tell(o, TD_EVENT_RESOLUTION, slot, frame->pts_us, frame->width, frame->height);
    if (frame->width != 0) {
        slot->width = frame->width;
        slot->height = frame->height;
    }
    slot->last_pts_us = frame->pts_us;
    o->declared[slot->mux_track].last_pts_us = frame->pts_us;
    slot->hole = false;
    slot->wait_key = false;
    o->stats.frames++;
    if (frame->pts_us > o->stats.pts_us)
        o->stats.pts_us = frame->pts_us;
    if (slot->kind == TD_MEDIA_VIDEO)
        o->stats.video_pts_us = frame->pts_us;
    else
        o->stats.audio_pts_us = frame->pts_us;
    o->last_emit_pts_us = o->stats.pts_us;
}

/* A file that cannot be written blocks the output; the store reports it with its path. */
static void file_failed(struct td_output *o, int r)
{
    struct td_spool_stats spool;
    td_spool_stats(o->part->spool, &spool);
    if (spool.error == 0) {
        end(o, TD_EVENT_FAILED, NULL, r);
        return;
    }
    o->state = BLOCKED;
    close_part(o);
}

/* Whether its file failed; then it is closed. */
static bool lost_file(struct td_output *o)
{
    struct td_spool_stats spool;
    td_spool_stats(o->part->spool, &spool);
    if (spool.error < 0)
        file_failed(o, spool.error);
    return spool.error < 0;
}

/* A frame that the container cannot hold, or has no memory for, is dropped; the rest is final. */
static int refused_write(struct td_output *o, struct slot *slot, const struct td_frame *frame,
                         int r)
{
    struct td_spool_stats spool;
    td_spool_stats(o->part->spool, &spool);
    bool only_this = r == -EINVAL || r == -TD_E_LIMIT || r == -ENOMEM;
    if (spool.error == 0 && only_this) {
        note_drop(o, slot, frame);
        return 0;
    }
    file_failed(o, r);
    return r;
}

/* Time never steps back within a track. */
static void keep_order(const struct slot *slot, struct td_frame *frame)
{
    if (slot->last_pts_us != INT64_MIN && frame->pts_us < slot->last_pts_us + PTS_STEP_US)
        frame->pts_us = slot->last_pts_us + PTS_STEP_US;
}

/* The pts on the recording's line, never before its zero. */
static void place(const struct td_output *o, const struct slot *slot, struct td_frame *frame)
{
    frame->pts_us -= *o->config.zero_us;
    if (frame->pts_us < 0)
        frame->pts_us = 0;
    keep_order(slot, frame);
}

/* Writes one frame whose pts is on the recording's time line. 1 = the spool is full. */
static int write_frame(struct td_output *o, struct slot *slot, struct td_frame *frame)
{
    int r = ensure_declared(o, slot, frame);
    if (r != 0)
        return r;
    keep_order(slot, frame);
    unsigned waiting_as = frame->track;
    frame->track = slot->mux_track;
    frame->discontinuity = frame->discontinuity || slot->hole;
    r = td_mux_write(o->part->mux, frame);
    if (r > 0) {
        frame->track = waiting_as;
        return 1;
    }
    if (r < 0)
        return refused_write(o, slot, frame, r);
    end_drop(o, slot, frame->pts_us);
    note_written(o, slot, frame);
    o->last_emit_us = frame->arrival_us;
    return 0;
}

static bool past_end(struct td_output *o, const struct slot *slot, const struct td_frame *frame)
{
    if (o->config.duration_us == 0 || frame->pts_us < o->config.duration_us)
        return false;
    end(o, TD_EVENT_DURATION, slot, 0);
    return true;
}

/* Writes what waits; true when nothing waits any more. */
static bool drain_backlog(struct td_output *o)
{
    struct td_frame frame;
    if (o->holding)
        return false;
    while (o->state == RECORDING && td_backlog_peek(&o->backlog, &frame) == 1) {
        assert(frame.track < TD_MUX_TRACKS_MAX);
        struct slot *slot = &o->slots[frame.track]; /* while it waits: the slot's number */
        place(o, slot, &frame);
        if (past_end(o, slot, &frame))
            return false;
        if (write_frame(o, slot, &frame) == 1)
            return false;
        td_backlog_drop(&o->backlog);
        if (--slot->waiting == 0 && slot->track == NULL)
            release(o, slot);
    }
    return o->state == RECORDING;
}

static void keep_audio(struct td_output *o, struct slot *slot, struct td_frame *frame)
{
    frame->track = (unsigned)(slot - o->slots);
    int r = td_backlog_push(&o->backlog, frame);
    if (r < 0)
        end(o, TD_EVENT_BACKLOG, slot, r);
    else
        slot->waiting++;
}

/* The file starts: `key` is the video frame that starts it, NULL = audio alone. */
static void start(struct td_output *o, struct slot *video, struct td_frame *key, int64_t now_us)
{
    struct td_frame first;
    int64_t zero_us = key != NULL ? key->pts_us : INT64_MAX;
    if (td_backlog_peek(&o->backlog, &first) == 1 && first.pts_us < zero_us)
        zero_us = first.pts_us;
    if (*o->config.zero_us == INT64_MIN)
        *o->config.zero_us = zero_us;
    o->stats.pts_us = zero_us - *o->config.zero_us;
    if (o->stats.pts_us < 0)
        o->stats.pts_us = 0;
    if (begin_part(o, video, key) < 0)
        return;
    o->state = RECORDING;
    o->stats.started = true;
    o->last_emit_us = now_us;
    o->last_emit_pts_us = o->stats.pts_us;
}

static void video_frame(struct td_output *o, struct slot *slot, struct td_frame *frame)
{
    if (slot->wait_key && !frame->key) {
        if (slot->dropped > 0)
            note_drop(o, slot, frame);
        return;
    }
    bool first = o->state != RECORDING;
    if (first)
        start(o, slot, frame, frame->arrival_us);
    if (o->state != RECORDING)
        return;
    bool kept_up = drain_backlog(o);
    if (o->state != RECORDING)
        return;
    place(o, slot, frame);
    if (past_end(o, slot, frame))
        return;
    int r = kept_up ? write_frame(o, slot, frame) : 1;
    if (r == 1) {
        note_drop(o, slot, frame);
        return;
    }
    if (r == 0 && first)
        td_spool_flush(o->part->spool); /* the first key frame is on disk at once */
}

static void audio_frame(struct td_output *o, struct slot *slot, struct td_frame *frame)
{
    if (o->state != RECORDING || !drain_backlog(o)) {
        if (o->state == IDLE || o->state == WAITING || o->state == RECORDING)
            keep_audio(o, slot, frame);
        return;
    }
    int64_t local_us = frame->pts_us;
    place(o, slot, frame);
    if (past_end(o, slot, frame))
        return;
    if (write_frame(o, slot, frame) == 1) {
        frame->pts_us = local_us;
        keep_audio(o, slot, frame);
    }
}

void td_output_frame(struct td_output *o, struct td_track *track, struct td_frame *frame)
{
    struct slot *slot = slot_of(o, track);
    if (slot == NULL || o->state >= BLOCKED)
        return;
    if (o->state == IDLE) {
        o->state = WAITING;
        o->first_media_us = frame->arrival_us;
    }
    if (slot->kind == TD_MEDIA_VIDEO)
        video_frame(o, slot, frame);
    else
        audio_frame(o, slot, frame);
}

static void refresh_stats(struct td_output *o)
{
    if (o->part == NULL)
        return;
    struct td_spool_stats spool;
    td_spool_stats(o->part->spool, &spool);
    o->stats.bytes = o->bytes_before + spool.accepted_bytes;
    o->stats.part_bytes = spool.accepted_bytes;
    o->stats.written_bytes = o->bytes_before + spool.written_bytes;
    o->stats.synced_bytes = o->bytes_before + spool.synced_bytes;
    o->stats.last_write_us = spool.last_write_us;
    for (unsigned i = 0; i < TD_SPOOL_LATENCY_BUCKETS; i++)
        o->stats.latency_counts[i] = o->latency_before[i] + spool.latency_counts[i];
    o->stats.latency_sum_us = o->latency_sum_before_us + spool.latency_sum_us;
}

void td_output_tick(struct td_output *o, int64_t now_us)
{
    if (o->state == WAITING && o->backlog.count > 0 && !o->paused &&
        (!video_expected(o) || now_us - o->first_media_us >= TD_VIDEO_WAIT_US)) {
        start(o, NULL, NULL, now_us);
        if (drain_backlog(o))
            td_spool_flush(o->part->spool);
    }
    if (o->backlog.count > 0)
        (void)drain_backlog(o); /* what does not fit yet goes on waiting */
    if (o->state != RECORDING)
        return;
    if (lost_file(o)) /* while nothing is written nobody else would tell */
        return;
    if (!o->paused && now_us - o->last_emit_us >= IDLE_US) {
        o->last_emit_pts_us += now_us - o->last_emit_us;
        o->last_emit_us = now_us;
        int r = td_mux_idle(o->part->mux, o->last_emit_pts_us);
        if (r < 0) {
            file_failed(o, r);
            return;
        }
    }
    td_spool_tick(o->part->spool, now_us);
    refresh_stats(o);
}

/* What still waits finds no file any more, and is told. */
static void forget_backlog(struct td_output *o)
{
    struct td_frame frame;
    while (td_backlog_peek(&o->backlog, &frame) == 1) {
        struct slot *slot = &o->slots[frame.track];
        if (*o->config.zero_us != INT64_MIN)
            place(o, slot, &frame);
        note_drop(o, slot, &frame);
        td_backlog_drop(&o->backlog);
        if (--slot->waiting == 0 && slot->track == NULL)
            release(o, slot);
    }
}

void td_output_pause(struct td_output *o)
{
    if (o->state == WAITING && o->backlog.count > 0) /* it has waited long enough, then */
        start(o, NULL, NULL, o->first_media_us);
    (void)drain_backlog(o); /* what does not fit yet goes on waiting */
    o->paused = true;
}

void td_output_join(struct td_output *o)
{
    (void)drain_backlog(o);
    forget_backlog(o);
    o->holding = o->state != ENDED;
}

/* Held for a join that came later. */
static void let_go(struct td_output *o, int64_t before_us)
{
    struct td_frame frame;
    while (td_backlog_peek(&o->backlog, &frame) == 1 && frame.pts_us < before_us) {
        struct slot *slot = &o->slots[frame.track];
        td_backlog_drop(&o->backlog);
        if (--slot->waiting == 0 && slot->track == NULL)
            release(o, slot);
    }
}

void td_output_hold(struct td_output *o, struct td_track *track, struct td_frame *frame)
{
    struct slot *slot = slot_of(o, track);
    if (slot != NULL && o->state != ENDED && slot->kind == TD_MEDIA_AUDIO)
        keep_audio(o, slot, frame);
}

void td_output_resume(struct td_output *o, int64_t local_us)
{
    o->paused = false;
    o->holding = false;
    let_go(o, local_us);
    if (o->state == RECORDING)
        (void)lost_file(o);
    if (o->state == BLOCKED) {
        o->state = o->backlog.count > 0 ? WAITING : IDLE;
        o->first_media_us = local_us;
    }
    if (o->state == RECORDING) { /* the time in between never was */
        o->last_emit_us = local_us;
        if (local_us - *o->config.zero_us > o->last_emit_pts_us)
            o->last_emit_pts_us = local_us - *o->config.zero_us;
    }
    for (unsigned i = 0; i < TD_MUX_TRACKS_MAX; i++) {
        struct slot *slot = &o->slots[i];
        slot->wait_key = slot->kind == TD_MEDIA_VIDEO;
        if (slot->track != NULL && slot->wait_key)
            td_track_want_key(slot->track);
    }
}

/* What waits is written as far as there is room; what is lost then is told. */
static void finish(struct td_output *o)
{
    if (o->state == WAITING && o->backlog.count > 0)
        start(o, NULL, NULL, o->first_media_us);
    (void)drain_backlog(o);
    if (o->state != ENDED)
        forget_backlog(o);
    for (unsigned i = 0; i < TD_MUX_TRACKS_MAX; i++)
        end_drop(o, &o->slots[i], o->stats.pts_us);
}

/* ---- from the first call to the last ---- */

static int resume_part(struct td_output *o, const struct td_mux_tail *tail)
{
    o->stats.pts_us = tail->newest_us;
    int r = open_part(o, o->config.resumed, tail);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < tail->track_count; i++)
        o->declared[i] =
            (struct declared){.codec = tail->tracks[i].codec, .last_pts_us = tail->newest_us};
    o->declared_count = tail->track_count;
    o->state = RECORDING;
    o->stats.started = true;
    o->last_emit_us = td_clock_now_us();
    o->last_emit_pts_us = tail->newest_us;
    return 0;
}

int td_output_new(const struct td_output_config *config, struct td_output **ret_output)
{
    if (strlen(config->base) >= TD_PATH_MAX)
        return -ENAMETOOLONG;
    struct td_output *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return -ENOMEM;
    o->config = *config;
    memcpy(o->base, config->base, strlen(config->base) + 1);
    o->config.base = o->base;
    o->part_count = config->part_count;
    o->format = config->resumed;
    for (unsigned i = 0; i < TD_MUX_TRACKS_MAX; i++)
        o->slots[i].mux_track = NOT_DECLARED;
    td_backlog_init(&o->backlog, config->budget);
    o->config.tail = NULL;
    int r = config->tail != NULL ? resume_part(o, config->tail) : 0;
    if (r < 0) {
        td_backlog_done(&o->backlog);
        free(o);
        return r;
    }
    *ret_output = o;
    return 0;
}

struct td_output *td_output_free(struct td_output *o, bool keep)
{
    if (o == NULL)
        return NULL;
    o->keep = keep;
    finish(o);
    close_part(o);
    td_backlog_done(&o->backlog);
    free(o);
    return NULL;
}

void td_output_stats(const struct td_output *o, struct td_output_stats *ret_stats)
{
    *ret_stats = o->stats;
    ret_stats->ended = o->state >= BLOCKED;
}
