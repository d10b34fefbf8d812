/* SPDX-License-Identifier: Apache-2.0 */
#include "source/replay/replay.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "rtp/packet.h"
#include "source/replay/capture_file.h"
#include "source/replay/capture_track.h"

/* Records in one tick: other recordings live on the same loop. */
#define REPLAY_BATCH 256

static const char replay_room[] = "replay";

struct replay_track {
    uint32_t handle;
    uint32_t ssrc; /* media loop */
    atomic_bool wanted;
};

/* What the control loop has to tell before the packets behind it may follow. The media loop fills
 * it and waits; the mailbox hands it over and back. */
struct replay_notice {
    enum td_capture_type type;
    int parts; /* of a track: enum td_capture_track_part */
    struct td_track_info info;
    struct td_track_binding binding;
    uint32_t handle;
    bool muted;
};

struct replay {
    struct td_source base;
    /* constant */
    struct td_source_events events;
    struct td_media_sink sink;
    struct td_loop *loop;
    struct td_mailbox *control;
    bool fast;
    char *text; /* the file */
    size_t text_len;
    /* control loop */
    bool ended;
    unsigned participant_count;
    char participants[TD_TRACKS_MAX][TD_SOURCE_TEXT_MAX];
    /* any thread; a track's handle is written before it is counted */
    atomic_bool stop_wanted;
    atomic_bool deaf; /* the control loop could not answer */
    atomic_uint track_count;
    struct replay_track tracks[TD_TRACKS_MAX];
    /* media loop */
    struct td_capture_reader reader;
    struct td_capture_record record; /* read, not played yet */
    bool have_record;
    bool waiting; /* for the control loop to tell the notice … */
    bool posted;  /* … which it has */
    bool ending;
    enum td_end_reason reason;
    int error;
    int64_t start_us;
    struct replay_notice notice;
};

static struct replay *replay_of(struct td_source *s);

/* ---- control loop ---- */

static void control_ended(void *target, const void *payload)
{
    struct replay *r = target;
    struct td_fail fail;

    (void)payload;
    td_fail_clear(&fail);
    if (r->reason == TD_END_FAILED && r->error == -TD_E_DAMAGED)
        (void)td_fail_set(&fail, r->error, "The capture is damaged behind its first %llu bytes.",
                          (unsigned long long)r->reader.offset); /* the code is r->error */
    else if (r->reason == TD_END_FAILED)
        (void)td_fail_set(&fail, r->error, "The capture could not be played: %s.",
                          td_err_text(r->error)); /* the same */
    r->ended = true;
    r->events.ended(r->events.ctx, r->reason, &fail);
}

static void media_resume(void *target, const void *payload)
{
    struct replay *r = target;

    (void)payload;
    r->waiting = false;
    r->posted = false;
}

static void tell_participant(struct replay *r, const char *identity)
{
    for (unsigned i = 0; i < r->participant_count; i++) {
        if (strcmp(r->participants[i], identity) == 0)
            return;
    }
    if (r->participant_count == TD_TRACKS_MAX)
        return;
    memcpy(r->participants[r->participant_count++], identity, strlen(identity) + 1);
    r->events.participant(r->events.ctx, identity, true);
}

static void control_notice(void *target, const void *payload)
{
    struct replay *r = target;
    const struct replay_notice *notice = &r->notice;

    (void)payload;
    switch (notice->type) {
    case TD_CAPTURE_TRACK:
        if ((notice->parts & TD_CAPTURE_HAS_INFO) != 0) {
            tell_participant(r, notice->info.participant);
            r->events.track_added(r->events.ctx, &notice->info);
        }
        if ((notice->parts & TD_CAPTURE_HAS_BINDING) != 0)
            r->events.track_bound(r->events.ctx, &notice->binding);
        break;
    case TD_CAPTURE_MUTED:
        r->events.track_muted(r->events.ctx, notice->handle, notice->muted);
        break;
    default:
        r->events.track_removed(r->events.ctx, notice->handle);
    }
    /* Behind whatever the listener posted to its media loop just now. */
    if (td_loop_post(r->loop, media_resume, r, NULL, 0) < 0)
        atomic_store(&r->deaf, true);
}

/* ---- media loop ---- */

/* Hands the end over. After the post the source may be gone: only its address is used. */
static int64_t finish(struct replay *r, enum td_end_reason reason, int error);

static struct replay_track *find_handle(struct replay *r, uint32_t handle)
{
    unsigned count = atomic_load_explicit(&r->track_count, memory_order_acquire);

    for (unsigned i = 0; i < count; i++) {
        if (r->tracks[i].handle == handle)
            return &r->tracks[i];
    }
    return NULL;
}

static struct replay_track *add_track(struct replay *r, uint32_t handle)
{
    struct replay_track *track = find_handle(r, handle);
    unsigned count = atomic_load_explicit(&r->track_count, memory_order_relaxed);

    if (track != NULL || count == TD_TRACKS_MAX)
        return track;
    track = &r->tracks[count];
    track->handle = handle;
    atomic_store_explicit(&r->track_count, count + 1, memory_order_release);
    return track;
}

/* Whether the listener chose the stream; one that no binding names is let through. */
static bool wanted(struct replay *r, const uint8_t *bytes, size_t len)
{
    unsigned count = atomic_load_explicit(&r->track_count, memory_order_relaxed);
    struct td_rtp_packet packet = {.payload = NULL};

    if (td_rtp_is_rtcp(bytes, len))
        return true;
    if (td_rtp_parse(bytes, len, &packet) < 0)
        return true; /* the listener counts it */
    for (unsigned i = 0; i < count; i++) {
        if (r->tracks[i].ssrc != 0 && r->tracks[i].ssrc == packet.ssrc)
            return atomic_load_explicit(&r->tracks[i].wanted, memory_order_relaxed);
    }
    return true;
}

/* Takes a TRACK record into the notice. 1 to tell it, 0 to pass over it, -TD_E_PARSE. */
static int take_track(struct replay *r, const struct td_capture_record *record)
{
    struct replay_notice *notice = &r->notice;
    struct replay_track *track;
    int parts =
        td_capture_track_parse(record->payload, record->len, &notice->info, &notice->binding);

    if (parts < 0)
        return parts;
    if ((parts & TD_CAPTURE_HAS_INFO) != 0) {
        bool known = find_handle(r, notice->info.handle) != NULL;

        /* A handle is announced once; tracks over the limit are not announced at all. */
        if (known || add_track(r, notice->info.handle) == NULL)
            parts &= ~(int)TD_CAPTURE_HAS_INFO;
    }
    if ((parts & TD_CAPTURE_HAS_BINDING) != 0) {
        track = find_handle(r, notice->binding.handle);
        if (track == NULL)
            parts &= ~(int)TD_CAPTURE_HAS_BINDING;
        else
            track->ssrc = notice->binding.ssrc;
    }
    notice->parts = parts;
    return parts != 0 ? 1 : 0;
}

/* 1 when the control loop has something to tell first, 0, or -TD_E_PARSE. */
static int play(struct replay *r, const struct td_capture_record *record)
{
    struct replay_notice *notice = &r->notice;
    int err;

    switch (record->type) {
    case TD_CAPTURE_PACKET:
        if (wanted(r, record->payload, record->len))
            r->sink.packet(r->sink.ctx, record->payload, record->len,
                           r->start_us + (int64_t)record->at_us);
        return 0;
    case TD_CAPTURE_TRACK:
        notice->type = TD_CAPTURE_TRACK;
        return take_track(r, record);
    case TD_CAPTURE_REMOVED:
    case TD_CAPTURE_MUTED:
        notice->type = (enum td_capture_type)record->type;
        err = td_capture_get_handle(record, &notice->handle, &notice->muted);
        if (err < 0)
            return err;
        return find_handle(r, notice->handle) != NULL ? 1 : 0;
    default:
        return 0; /* of a later version */
    }
}

static int64_t post_notice(struct replay *r)
{
    if (!r->posted) /* tried again with each tick while the mailbox is full */
        r->posted = td_mailbox_post(r->control, control_notice, r, NULL, 0) == 0;
    return TD_TICK_CONNECTING_US;
}

static int64_t tick(void *ctx, int64_t now_us)
{
    struct replay *r = ctx;

    if (r->ending)
        return finish(r, r->reason, r->error);
    if (atomic_load(&r->deaf))
        return finish(r, TD_END_FAILED, -ENOBUFS);
    if (r->waiting)
        return post_notice(r);
    if (atomic_load(&r->stop_wanted))
        return finish(r, TD_END_STOPPED, 0);
    for (int i = 0; i < REPLAY_BATCH; i++) {
        int n = r->have_record ? 1 : td_capture_next(&r->reader, &r->record);

        if (n < 0)
            return finish(r, TD_END_FAILED, n);
        if (n == 0 && r->reader.damaged > 0)
            return finish(r, TD_END_FAILED, -TD_E_DAMAGED);
        if (n == 0)
            return finish(r, TD_END_ROOM_CLOSED, 0);
        r->have_record = !r->fast && (int64_t)r->record.at_us > now_us - r->start_us;
        if (r->have_record)
            return TD_TICK_US;
        n = play(r, &r->record);
        if (n < 0)
            return finish(r, TD_END_FAILED, n);
        r->waiting = n > 0;
        if (r->waiting)
            return post_notice(r);
    }
    return 0;
}

static int64_t finish(struct replay *r, enum td_end_reason reason, int error)
{
    struct td_loop *loop = r->loop;

    r->ending = true;
    r->reason = reason;
    r->error = error;
    if (td_mailbox_post(r->control, control_ended, r, NULL, 0) < 0)
        return TD_TICK_US; /* tried again */
    td_loop_remove_ticker(loop, tick, r);
    return TD_TICK_US;
}

static void media_start(void *target, const void *payload)
{
    struct replay *r = target;
    int err = td_loop_add_ticker(r->loop, tick, r);

    (void)payload;
    r->start_us = td_clock_now_us();
    if (err < 0)
        (void)finish(r, TD_END_FAILED, err); /* how long to wait does not matter without a ticker */
}

/* ---- control loop again: the source's verbs ---- */

static void control_begin(void *target, const void *payload)
{
    struct replay *r = target;
    int err;

    (void)payload;
    r->events.accepted(r->events.ctx, replay_room, replay_room);
    r->events.connected(r->events.ctx);
    err = td_loop_post(r->loop, media_start, r, NULL, 0);
    if (err < 0) {
        r->reason = TD_END_FAILED;
        r->error = err;
        control_ended(r, NULL);
    }
}

static int replay_select(struct td_source *s, uint32_t handle, bool on)
{
    struct replay_track *track = find_handle(replay_of(s), handle);

    if (track == NULL)
        return -ENOENT;
    atomic_store_explicit(&track->wanted, on, memory_order_relaxed);
    return 0;
}

static void replay_stop(struct td_source *s)
{
    atomic_store(&replay_of(s)->stop_wanted, true);
}

static struct replay *replay_done(struct replay *r)
{
    free(r->text);
    free(r);
    return NULL;
}

static struct td_source *replay_free(struct td_source *s)
{
    struct replay *r = replay_of(s);

    assert(r->ended);
    replay_done(r);
    return NULL;
}

static int replay_send_rtcp(struct td_source *s, const uint8_t *bytes, size_t len)
{
    (void)s;
    (void)bytes;
    (void)len;
    return 0; /* nobody is there to hear it */
}

static const struct td_source_ops replay_ops = {
    .name = "replay",
    .select = replay_select,
    .stop = replay_stop,
    .free = replay_free,
    .send_rtcp = replay_send_rtcp,
};

static struct replay *replay_of(struct td_source *s)
{
    assert(s->ops == &replay_ops);
    return (struct replay *)s; /* its first member */
}

static int64_t read_text(void *ctx, uint64_t offset, void *ret_bytes, size_t len)
{
    const struct replay *r = ctx;

    if (offset >= r->text_len)
        return 0;
    if (len > r->text_len - offset)
        len = r->text_len - (size_t)offset;
    memcpy(ret_bytes, r->text + offset, len);
    return (int64_t)len;
}

int td_replay_new(const struct td_replay_config *config, const struct td_source_events *events,
                  const struct td_media_sink *sink, struct td_source **ret_source)
{
    struct replay *r = calloc(1, sizeof(*r));
    struct td_read_at input = {.read_at = read_text, .ctx = r};
    int err;

    if (r == NULL)
        return -ENOMEM;
    r->base.ops = &replay_ops;
    r->events = *events;
    r->sink = *sink;
    r->loop = config->loop;
    r->control = config->control;
    r->fast = config->fast;
    err = td_fs_slurp(config->fs, config->path, TD_REPLAY_BYTES_MAX, &r->text, &r->text_len);
    if (err == 0) {
        input.size = r->text_len;
        err = td_capture_reader_init(&r->reader, &input);
    }
    /* Not from here: the caller does not hold the source yet. */
    if (err == 0)
        err = td_mailbox_post(r->control, control_begin, r, NULL, 0);
    if (err < 0) {
        replay_done(r);
        return err;
    }
    *ret_source = &r->base;
    return 0;
}
