/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/capture.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/pool.h"
#include "recorder/dump.h"
#include "recorder/track.h"

#define REPORT_US TD_US_PER_S /* receiver reports each second */
#define FEEDBACK_BYTES 1200   /* one RTCP datagram */
#define DETACHED_MAX 64u      /* lost sources the control loop was not told of yet */

struct clock_of { /* one publisher's clock */
    char participant[TD_SOURCE_TEXT_MAX];
    struct td_clockmap map;
};

struct entry {
    struct td_track *track;
    unsigned output;
    bool muted;
    int64_t since_us; /* of its life or its unmuting: silence counts from here */
    int64_t last_frame_us;
};

enum pause {
    RUNNING,
    PAUSED,
    JOINING, /* resumed: the first key frame sets the clock going */
};

struct td_capture {
    struct td_capture_config config;
    struct td_pool slots;
    struct entry tracks[TD_TRACKS_MAX];
    unsigned track_count;
    struct clock_of *clocks[TD_TRACKS_MAX];
    unsigned clock_count;
    struct td_output *outputs[TD_TRACKS_MAX];
    unsigned output_count;
    struct td_source *source;
    struct td_source *detached[DETACHED_MAX];
    unsigned detached_count;
    struct td_dump *dump;
    int64_t zero_us;
    enum pause pause;
    int64_t paused_us;     /* local time when it was paused: earlier frames are still stored … */
    int64_t paused_pts_us; /* … and this is the last moment of the time line */
    int64_t joining_us;    /* when it was resumed */
    int64_t join_us;       /* local time at which it went on: earlier frames are too late */
    uint32_t our_ssrc;
    int64_t next_report_us;
    int64_t next_stats_us;
    uint64_t events_lost;
    struct td_event final; /* one that ends the recording and did not fit into the mailbox … */
    bool final_waits;      /* … is told as soon as it does */
    uint64_t feedback_lost;
    uint64_t stats_late;
    struct td_capture_stats stats;
    struct td_capture_stats gone; /* of tracks that were removed */
    uint64_t frames_received;
    uint64_t gap_us;
    uint64_t written_before; /* at the tick when `unwritten_since_us` was set */
    int64_t unwritten_since_us;
    struct td_capture_stats told; /* on its way to the control loop while `telling` */
    atomic_bool telling;
    bool stopped;
};

/* ---- messages to the control loop ---- */

static void on_event(void *target, const void *payload)
{
    struct td_capture *c = target;
    c->config.events.event(c->config.events.ctx, payload);
}

/* The media loop does not touch what it told until this has read it. */
static void on_stats(void *target, const void *payload)
{
    (void)payload;
    struct td_capture *c = target;
    struct td_capture_stats stats = c->told;
    atomic_store_explicit(&c->telling, false, memory_order_release);
    c->config.events.stats(c->config.events.ctx, &stats);
}

/* The media loop does not touch the capture any more: these numbers are the last. */
static void on_stopped(void *target, const void *payload)
{
    (void)payload;
    struct td_capture *c = target;
    c->config.events.stats(c->config.events.ctx, &c->stats);
    c->config.events.stopped(c->config.events.ctx);
}

/* Without these the control loop would wait for ever for an end. */
static bool is_final(enum td_event_kind kind)
{
    return kind == TD_EVENT_DURATION || kind == TD_EVENT_BACKLOG || kind == TD_EVENT_REFUSED ||
           kind == TD_EVENT_FAILED;
}

static void post_event(void *ctx, const struct td_event *event)
{
    struct td_capture *c = ctx;
    if (td_mailbox_post(c->config.recorder->control, on_event, c, event, sizeof(*event)) == 0)
        return;
    if (is_final(event->kind) && !c->final_waits) {
        c->final = *event;
        c->final_waits = true;
    } else {
        c->events_lost++;
    }
}

static void retry_final(struct td_capture *c)
{
    if (!c->final_waits)
        return;
    struct td_event event = c->final;
    c->final_waits = false;
    post_event(c, &event);
}

/* ---- tracks ---- */

static struct entry *entry_of(struct td_capture *c, uint32_t handle)
{
    for (unsigned i = 0; i < c->track_count; i++) {
        if (td_track_info(c->tracks[i].track)->handle == handle)
            return &c->tracks[i];
    }
    return NULL;
}

static struct entry *entry_of_track(struct td_capture *c, const struct td_track *track)
{
    for (unsigned i = 0; i < c->track_count; i++) {
        if (c->tracks[i].track == track)
            return &c->tracks[i];
    }
    return NULL;
}

static int64_t to_pts(const struct td_capture *c, int64_t local_us)
{
    return c->zero_us == INT64_MIN || local_us < c->zero_us ? 0 : local_us - c->zero_us;
}

static bool video_is_expected(const struct td_capture *c)
{
    for (unsigned i = 0; i < c->track_count; i++) {
        if (!c->tracks[i].muted && td_track_info(c->tracks[i].track)->kind == TD_MEDIA_VIDEO)
            return true;
    }
    return false;
}

/* Time goes on: what happens at `local_us` comes right behind what was stored before the pause. */
static void join(struct td_capture *c, int64_t local_us)
{
    int64_t stood_us = 0;
    c->pause = RUNNING;
    c->join_us = local_us;
    for (unsigned i = 0; i < c->output_count; i++) {
        struct td_output_stats o;
        td_output_stats(c->outputs[i], &o);
        if (o.started && o.pts_us >= c->paused_pts_us) /* media is stamped a little ahead */
            c->paused_pts_us = o.pts_us + TD_US_PER_MS;
    }
    if (c->zero_us != INT64_MIN) {
        stood_us = local_us - c->paused_pts_us - c->zero_us;
        c->zero_us = local_us - c->paused_pts_us;
    }
    for (unsigned i = 0; i < c->output_count; i++)
        td_output_resume(c->outputs[i], local_us);
    struct td_event event = {
        .kind = TD_EVENT_RESUMED,
        .wall_us = td_clock_wall_us(),
        .pts_us = c->zero_us != INT64_MIN ? c->paused_pts_us : 0,
        .a = stood_us,
    };
    post_event(c, &event);
}

enum fate {
    STORE,
    HOLD, /* sound that may belong behind the join: pictures take longer to arrive */
    SKIP,
};

static enum fate fate_while_joining(struct td_capture *c, const struct td_frame *frame,
                                    enum td_media_kind kind)
{
    if (kind == TD_MEDIA_VIDEO) {
        if (!frame->key)
            return SKIP;
        join(c, frame->pts_us);
    } else if (!video_is_expected(c)) {
        join(c, frame->pts_us);
    } else if (frame->arrival_us - c->joining_us >= TD_VIDEO_WAIT_US) {
        join(c, c->joining_us);
    } else {
        return HOLD;
    }
    return STORE;
}

/* Whether a frame belongs to the time that is recorded. */
static enum fate fate_of(struct td_capture *c, const struct td_frame *frame,
                         enum td_media_kind kind)
{
    if (c->pause == RUNNING)
        return frame->pts_us >= c->join_us ? STORE : SKIP;
    if (frame->pts_us < c->paused_us)
        return c->pause == PAUSED ? STORE : SKIP; /* it was on its way */
    if (c->pause == PAUSED || frame->pts_us < c->joining_us)
        return SKIP;
    return fate_while_joining(c, frame, kind);
}

static void on_track_frame(void *ctx, struct td_track *track, struct td_frame *frame)
{
    struct td_capture *c = ctx;
    struct entry *entry = entry_of_track(c, track);
    if (entry == NULL)
        return;
    c->frames_received++;
    entry->last_frame_us = frame->arrival_us;
    struct td_output *output = c->outputs[entry->output];
    switch (fate_of(c, frame, td_track_info(track)->kind)) {
    case STORE:
        td_output_frame(output, track, frame);
        break;
    case HOLD:
        td_output_hold(output, track, frame);
        break;
    case SKIP:
        break;
    }
}

static void on_track_gap(void *ctx, struct td_track *track, const struct td_track_gap *gap)
{
    struct td_capture *c = ctx;
    struct entry *entry = entry_of_track(c, track);
    if (c->pause != RUNNING)
        return; /* nothing is missing of what is recorded */
    if (gap->from_us != 0 && gap->to_us > gap->from_us)
        c->gap_us += (uint64_t)(gap->to_us - gap->from_us);
    struct td_event event = {
        .kind = TD_EVENT_GAP,
        .track = td_track_info(track)->handle,
        .output = entry != NULL ? entry->output : 0,
        .wall_us = td_clock_wall_us(),
        .pts_us = to_pts(c, gap->from_us),
        .to_us = to_pts(c, gap->to_us),
        .a = gap->packets,
        .b = gap->frames,
    };
    post_event(c, &event);
}

static void on_track_silent(void *ctx, struct td_track *track, int64_t silent_us)
{
    struct td_capture *c = ctx;
    struct entry *entry = entry_of_track(c, track);
    struct td_event event = {
        .kind = TD_EVENT_SILENT,
        .track = td_track_info(track)->handle,
        .output = entry != NULL ? entry->output : 0,
        .wall_us = td_clock_wall_us(),
        .a = silent_us,
    };
    post_event(c, &event);
}

static int clock_for(struct td_capture *c, const char *participant, struct td_clockmap **ret_map)
{
    for (unsigned i = 0; i < c->clock_count; i++) {
        if (strcmp(c->clocks[i]->participant, participant) == 0) {
            *ret_map = &c->clocks[i]->map;
            return 0;
        }
    }
    if (c->clock_count == TD_TRACKS_MAX)
        return -TD_E_LIMIT;
    struct clock_of *clock = calloc(1, sizeof(*clock));
    if (clock == NULL)
        return -ENOMEM;
    memcpy(clock->participant, participant, strlen(participant) + 1);
    td_clockmap_init(&clock->map);
    c->clocks[c->clock_count++] = clock;
    *ret_map = &clock->map;
    return 0;
}

/* ---- packets ---- */

static void read_rtcp(struct td_capture *c, const uint8_t *bytes, size_t len, int64_t now_us)
{
    struct td_reader r;
    td_reader_init(&r, bytes, len);
    struct td_rtcp_item item;
    int more;
    while ((more = td_rtcp_next(&r, &item)) == 1) {
        if (item.kind != TD_RTCP_SENDER_REPORT)
            continue;
        for (unsigned i = 0; i < c->track_count; i++) {
            if (td_track_binding(c->tracks[i].track)->ssrc == item.sender_ssrc)
                td_track_sender_report(c->tracks[i].track, &item, now_us);
        }
    }
    if (more < 0)
        c->stats.bad_packets++;
}

/* By SSRC first; a packet of an unknown SSRC may tell that of a track that waits for it. */
static struct td_track *claim(struct td_capture *c, const struct td_rtp_packet *packet)
{
    struct td_track *guess = NULL;
    for (unsigned i = 0; i < c->track_count; i++) {
        struct td_track *track = c->tracks[i].track;
        if (!td_track_claims(track, packet))
            continue;
        if (td_track_binding(track)->ssrc == packet->ssrc)
            return track;
        if (guess == NULL)
            guess = track;
    }
    return guess;
}

static void packet_in(void *ctx, uint8_t *bytes, size_t len, int64_t now_us)
{
    struct td_capture *c = ctx;
    if (c->stopped)
        return;
    if (c->dump != NULL)
        td_dump_packet(c->dump, bytes, len, now_us);
    if (td_rtp_is_rtcp(bytes, len)) {
        read_rtcp(c, bytes, len, now_us);
        return;
    }
    struct td_rtp_packet packet;
    if (len > TD_PACKET_BYTES_MAX || td_rtp_parse(bytes, len, &packet) < 0) {
        c->stats.bad_packets++;
        return;
    }
    packet.arrival_us = now_us;
    c->stats.last_packet_us = now_us;
    struct td_track *track = claim(c, &packet);
    if (track == NULL)
        c->stats.unknown_packets++;
    else
        td_track_packet(track, &packet, bytes, len);
}

/* ---- feedback and ticks ---- */

static void send_feedback(struct td_capture *c, struct td_writer *w)
{
    if (w->bad || td_writer_len(w) == 0)
        return;
    /* Feedback that cannot be sent is lost like a packet is; the next tick repeats what matters. */
    if (td_source_send_rtcp(c->source, w->start, td_writer_len(w)) < 0)
        c->feedback_lost++;
}

static void feedback(struct td_capture *c, int64_t now_us)
{
    for (unsigned i = 0; i < c->track_count; i++) {
        uint8_t bytes[FEEDBACK_BYTES];
        struct td_writer w;
        td_writer_init(&w, bytes, sizeof(bytes));
        td_track_feedback(c->tracks[i].track, now_us, c->our_ssrc, &w);
        send_feedback(c, &w);
    }
}

static void receiver_reports(struct td_capture *c, int64_t now_us)
{
    struct td_rtcp_block blocks[TD_RTCP_BLOCKS_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < c->track_count; i++) {
        count += (size_t)td_track_report_block(c->tracks[i].track, now_us, &blocks[count]);
        if (count < TD_RTCP_BLOCKS_MAX && i + 1 < c->track_count)
            continue;
        uint8_t bytes[FEEDBACK_BYTES];
        struct td_writer w;
        td_writer_init(&w, bytes, sizeof(bytes));
        td_rtcp_write_receiver_report(&w, c->our_ssrc, blocks, count);
        td_rtcp_write_cname(&w, c->our_ssrc, "tapedeck");
        send_feedback(c, &w);
        count = 0;
    }
}

static void add_track_stats(struct td_capture_stats *s, const struct td_track_stats *t)
{
    s->packets += t->packets;
    s->lost += t->jitter.lost;
    s->recovered += t->recovered;
    s->undecodable += t->undecodable;
}

/* How long the tracks that should bring something have not. */
static void watch_tracks(struct td_capture *c, struct td_capture_stats *s, int64_t now_us)
{
    for (unsigned i = 0; i < c->track_count; i++) {
        const struct entry *entry = &c->tracks[i];
        if (entry->muted)
            continue;
        struct td_track_stats t;
        td_track_stats(entry->track, &t);
        int64_t packet_us = t.last_packet_us > entry->since_us ? t.last_packet_us : entry->since_us;
        int64_t frame_us = entry->last_frame_us > entry->since_us ? entry->last_frame_us
                                                                  : entry->since_us;
        int64_t silent_us = now_us - packet_us;
        int64_t frameless_us = now_us - frame_us;
        if (silent_us > s->silent_us)
            s->silent_us = silent_us;
        if (s->tracks == 0 || silent_us < s->silent_streak_us)
            s->silent_streak_us = silent_us;
        if (s->tracks == 0 || frameless_us < s->frameless_us)
            s->frameless_us = frameless_us;
        s->tracks++;
    }
}

/* Bytes that wait while none is written: the disk stands still. */
static void watch_disk(struct td_capture *c, struct td_capture_stats *s, int64_t now_us)
{
    if (s->written_bytes >= s->bytes || s->written_bytes != c->written_before ||
        c->unwritten_since_us == 0) {
        c->written_before = s->written_bytes;
        c->unwritten_since_us = now_us;
    }
    s->unwritten_us = s->written_bytes < s->bytes ? now_us - c->unwritten_since_us : 0;
}

static void add_output_stats(struct td_capture_stats *s, const struct td_output_stats *o)
{
    s->frames += o->frames;
    s->dropped += o->dropped;
    s->bytes += o->bytes;
    s->growing_bytes += o->part_bytes;
    s->written_bytes += o->written_bytes;
    s->synced_bytes += o->synced_bytes;
    if (o->last_write_us > s->last_write_us)
        s->last_write_us = o->last_write_us;
    if (o->pts_us > s->pts_us)
        s->pts_us = o->pts_us;
    for (unsigned i = 0; i < TD_SPOOL_LATENCY_BUCKETS; i++)
        s->latency_counts[i] += o->latency_counts[i];
    s->latency_sum_us += o->latency_sum_us;
}

/* Of the tracks that go into one output: how far their clocks are from what was stored. */
static void watch_skew(struct td_capture *c, struct td_capture_stats *s)
{
    for (unsigned k = 0; k < c->output_count; k++) {
        int64_t low_us = INT64_MAX;
        int64_t high_us = INT64_MIN;
        for (unsigned i = 0; i < c->track_count; i++) {
            struct td_track_stats t;
            if (c->tracks[i].output != k)
                continue;
            td_track_stats(c->tracks[i].track, &t);
            low_us = t.clock_error_us < low_us ? t.clock_error_us : low_us;
            high_us = t.clock_error_us > high_us ? t.clock_error_us : high_us;
        }
        if (high_us > low_us && high_us - low_us > s->av_skew_us)
            s->av_skew_us = high_us - low_us;
    }
}

static void collect_stats(struct td_capture *c, int64_t now_us)
{
    struct td_capture_stats s = c->gone;
    s.unknown_packets = c->stats.unknown_packets;
    s.bad_packets = c->stats.bad_packets;
    s.last_packet_us = c->stats.last_packet_us;
    s.frames_received = c->frames_received;
    s.gap_us = c->gap_us;
    s.events_lost = (uint32_t)c->events_lost;
    for (unsigned i = 0; i < c->track_count; i++) {
        struct td_track_stats t;
        td_track_stats(c->tracks[i].track, &t);
        add_track_stats(&s, &t);
        if (llabs(t.clock_error_us) > llabs(s.skew_us))
            s.skew_us = t.clock_error_us;
    }
    for (unsigned i = 0; i < c->output_count; i++) {
        struct td_output_stats o;
        td_output_stats(c->outputs[i], &o);
        add_output_stats(&s, &o);
    }
    watch_skew(c, &s);
    watch_tracks(c, &s, now_us);
    watch_disk(c, &s, now_us);
    c->stats = s;
}

static void report_stats(struct td_capture *c, int64_t now_us)
{
    collect_stats(c, now_us);
    /* What the control loop has not read yet, or has no room for, only delays statistics. */
    if (atomic_load_explicit(&c->telling, memory_order_acquire)) {
        c->stats_late++;
        return;
    }
    c->told = c->stats;
    atomic_store_explicit(&c->telling, true, memory_order_relaxed);
    if (td_mailbox_post(c->config.recorder->control, on_stats, c, NULL, 0) < 0) {
        atomic_store_explicit(&c->telling, false, memory_order_relaxed);
        c->stats_late++;
    }
}

static void on_detached(void *target, const void *payload)
{
    struct td_capture *c = target;
    struct td_source *source;
    memcpy(&source, payload, sizeof(source));
    c->config.events.detached(c->config.events.ctx, source);
}

/* Tells of the sources that are not known any more; tried again each tick while the mailbox is
 * full. */
static void tell_detached(struct td_capture *c)
{
    while (c->detached_count > 0) {
        struct td_source *source = c->detached[c->detached_count - 1];
        if (td_mailbox_post(c->config.recorder->control, on_detached, c, (const void *)&source,
                            sizeof(source)) < 0)
            return;
        c->detached_count--;
    }
}

static void want_keys(struct td_capture *c)
{
    for (unsigned i = 0; i < c->track_count; i++) {
        if (td_track_info(c->tracks[i].track)->kind == TD_MEDIA_VIDEO)
            td_track_want_key(c->tracks[i].track);
    }
}

static int64_t tick(void *ctx, int64_t now_us)
{
    struct td_capture *c = ctx;
    retry_final(c);
    tell_detached(c);
    for (unsigned i = 0; i < c->track_count; i++)
        td_track_tick(c->tracks[i].track, now_us);
    if (c->pause == JOINING && now_us - c->joining_us >= TD_TRACK_PLI_INTERVAL_US)
        want_keys(c); /* the one we asked for was lost */
    for (unsigned i = 0; i < c->output_count; i++)
        td_output_tick(c->outputs[i], now_us);
    if (c->dump != NULL)
        td_dump_tick(c->dump, now_us);
    if (c->source != NULL)
        feedback(c, now_us);
    if (c->source != NULL && now_us >= c->next_report_us && c->track_count > 0) {
        receiver_reports(c, now_us);
        c->next_report_us = now_us + REPORT_US;
    }
    if (now_us >= c->next_stats_us) {
        report_stats(c, now_us);
        c->next_stats_us = now_us + TD_CAPTURE_STATS_US;
    }
    for (unsigned i = 0; i < c->track_count; i++) {
        if (td_track_waiting(c->tracks[i].track))
            return TD_TICK_US;
    }
    return 10 * TD_TICK_US;
}

/* ---- what the control loop asks, on the media loop ---- */

struct add_output {
    struct td_capture_output output;
    char base[TD_PATH_MAX];
    struct td_mux_tail tail;
};

static void do_start(void *target, const void *payload)
{
    (void)payload;
    struct td_capture *c = target;
    if (td_loop_add_ticker(c->config.recorder->loop, tick, c) < 0) {
        struct td_event event = {.kind = TD_EVENT_FAILED, .a = -TD_E_LIMIT};
        post_event(c, &event);
    }
}

static void fail_output(struct td_capture *c, int error)
{
    struct td_event event = {.kind = TD_EVENT_FAILED,
                             .output = c->output_count,
                             .wall_us = td_clock_wall_us(),
                             .a = error};
    post_event(c, &event);
}

static void do_add_output(void *target, const void *payload)
{
    struct td_capture *c = target;
    struct add_output *add;
    memcpy(&add, payload, sizeof(add));
    struct td_output_config config = {
        .recorder = c->config.recorder,
        .budget = c->config.budget,
        .index = c->output_count,
        .base = add->base,
        .format = add->output.format,
        .media = add->output.media,
        .replace = add->output.replace,
        .part_count = add->output.part_count,
        .resumed = add->output.resumed,
        .tail = add->output.tail != NULL ? &add->tail : NULL,
        .duration_us = c->config.duration_us,
        .zero_us = &c->zero_us,
        .parts = c->config.events.parts,
        .event = post_event,
        .event_ctx = c,
    };
    int r = c->output_count < TD_TRACKS_MAX ? td_output_new(&config, &c->outputs[c->output_count])
                                            : -TD_E_LIMIT;
    if (r < 0) {
        fail_output(c, r);
    } else {
        if (c->pause != RUNNING)
            td_output_pause(c->outputs[c->output_count]);
        if (c->pause == JOINING)
            td_output_join(c->outputs[c->output_count]);
        c->output_count++;
    }
    free(add);
}

struct add_track {
    struct td_track_info info;
    unsigned output;
};

static int add_track(struct td_capture *c, const struct add_track *add)
{
    if (c->track_count == TD_TRACKS_MAX || add->output >= c->output_count)
        return -TD_E_LIMIT;
    struct td_clockmap *clock;
    int r = clock_for(c, add->info.participant, &clock);
    if (r < 0)
        return r;
    struct td_track_config config = {
        .info = &add->info,
        .clock = clock,
        .slots = &c->slots,
        .budget = c->config.budget,
        .key_interval_us = c->config.key_interval_us,
        .sink = {.ctx = c, .frame = on_track_frame, .gap = on_track_gap, .silent = on_track_silent},
    };
    struct td_track *track;
    r = td_track_new(&config, &track);
    if (r < 0)
        return r;
    r = td_output_add(c->outputs[add->output], track);
    if (r < 0) {
        td_track_free(track);
        return r;
    }
    c->tracks[c->track_count++] = (struct entry){
        .track = track,
        .output = add->output,
        .muted = add->info.muted,
        .since_us = td_clock_now_us(),
    };
    if (c->dump != NULL)
        td_dump_track(c->dump, &add->info, NULL, td_clock_now_us());
    return 0;
}

/* One publisher's many tracks do not end everybody's recording. */
static void leave_out(struct td_capture *c, const struct add_track *add)
{
    struct td_event event = {.kind = TD_EVENT_LIMIT,
                             .track = add->info.handle,
                             .output = add->output,
                             .wall_us = td_clock_wall_us()};
    post_event(c, &event);
}

static void do_add_track(void *target, const void *payload)
{
    struct td_capture *c = target;
    struct add_track *add;
    memcpy(&add, payload, sizeof(add));
    int r = add_track(c, add);
    if (r == -TD_E_LIMIT)
        leave_out(c, add);
    else if (r < 0)
        fail_output(c, r);
    free(add);
}

static void do_bind(void *target, const void *payload)
{
    struct td_capture *c = target;
    struct td_track_binding *binding;
    memcpy(&binding, payload, sizeof(binding));
    struct entry *entry = entry_of(c, binding->handle);
    int r = entry == NULL ? 0 : td_track_bind(entry->track, binding);
    if (r < 0)
        fail_output(c, r);
    if (entry != NULL && c->dump != NULL)
        td_dump_track(c->dump, NULL, binding, td_clock_now_us());
    free(binding);
}

struct mute {
    uint32_t handle;
    bool muted;
};

static void do_mute(void *target, const void *payload)
{
    struct td_capture *c = target;
    const struct mute *m = payload;
    struct entry *entry = entry_of(c, m->handle);
    if (entry == NULL)
        return;
    if (c->dump != NULL)
        td_dump_muted(c->dump, m->handle, m->muted, td_clock_now_us());
    entry->muted = m->muted;
    entry->since_us = td_clock_now_us();
    td_track_mute(entry->track, m->muted);
    td_output_mute(c->outputs[entry->output], entry->track, m->muted);
}

static void do_remove(void *target, const void *payload)
{
    struct td_capture *c = target;
    const struct mute *m = payload;
    struct entry *entry = entry_of(c, m->handle);
    if (entry == NULL)
        return;
    if (c->dump != NULL)
        td_dump_removed(c->dump, m->handle, td_clock_now_us());
    td_track_flush(entry->track, td_clock_now_us());
    td_output_remove(c->outputs[entry->output], entry->track);
    struct td_track_stats stats;
    td_track_stats(entry->track, &stats);
    add_track_stats(&c->gone, &stats);
    td_track_free(entry->track);
    *entry = c->tracks[--c->track_count];
}

static void do_attach(void *target, const void *payload)
{
    struct td_capture *c = target;
    memcpy(&c->source, payload, sizeof(c->source));
}

static void do_detach(void *target, const void *payload)
{
    struct td_capture *c = target;
    struct td_source *source;
    memcpy(&source, payload, sizeof(source));
    if (c->source == source)
        c->source = NULL;
    /* Another source comes a second later at the earliest, and the loop ticks in between. */
    assert(c->detached_count < DETACHED_MAX);
    c->detached[c->detached_count++] = source;
    tell_detached(c);
}

static void do_pause(void *target, const void *payload)
{
    (void)payload;
    struct td_capture *c = target;
    if (c->pause == PAUSED || c->stopped)
        return;
    bool running = c->pause == RUNNING;
    c->pause = PAUSED;
    if (!running)
        return; /* it was about to go on; time still stands where it stood */
    c->paused_us = td_clock_now_us();
    for (unsigned i = 0; i < c->output_count; i++)
        td_output_pause(c->outputs[i]); /* may set the zero */
    c->paused_pts_us = to_pts(c, c->paused_us);
    struct td_event event = {
        .kind = TD_EVENT_PAUSED,
        .wall_us = td_clock_wall_us(),
        .pts_us = c->paused_pts_us,
    };
    post_event(c, &event);
}

static void do_resume(void *target, const void *payload)
{
    (void)payload;
    struct td_capture *c = target;
    if (c->pause != PAUSED || c->stopped)
        return;
    c->pause = JOINING;
    c->joining_us = td_clock_now_us();
    for (unsigned i = 0; i < c->output_count; i++)
        td_output_join(c->outputs[i]);
    want_keys(c);
}

/* The one message that may not be lost. Answers 0 when it has to be tried again. */
static int64_t announce(void *ctx, int64_t now_us)
{
    (void)now_us;
    struct td_capture *c = ctx;
    struct td_loop *loop = c->config.recorder->loop; /* once posted, the capture may be gone */
    tell_detached(c);
    if (c->detached_count > 0)
        return 0;
    if (td_mailbox_post(c->config.recorder->control, on_stopped, c, NULL, 0) < 0)
        return 0;
    td_loop_remove_ticker(loop, announce, ctx);
    return TD_US_PER_S;
}

static void do_stop(void *target, const void *payload)
{
    struct td_capture *c = target;
    const bool *keep = payload;
    td_loop_remove_ticker(c->config.recorder->loop, tick, c);
    c->source = NULL;
    c->stopped = true;
    int64_t now_us = td_clock_now_us();
    if (c->pause == JOINING)
        join(c, c->joining_us); /* the sound that is held belongs right behind the pause */
    for (unsigned i = 0; i < c->track_count; i++)
        td_track_flush(c->tracks[i].track, now_us);
    for (unsigned i = 0; i < c->output_count; i++)
        td_output_tick(c->outputs[i], now_us);
    report_stats(c, now_us);
    for (unsigned i = 0; i < c->output_count; i++) /* before their tracks */
        c->outputs[i] = td_output_free(c->outputs[i], *keep);
    c->output_count = 0;
    while (c->track_count > 0)
        td_track_free(c->tracks[--c->track_count].track);
    c->dump = td_dump_close(c->dump);
    struct td_loop *loop = c->config.recorder->loop;
    if (announce(c, now_us) != 0)
        return;
    /* The control mailbox is full: try again each tick until it is not. The slot that our ticker
     * had is free, so this cannot fail. */
    int r = td_loop_add_ticker(loop, announce, c);
    assert(r == 0);
}

/* ---- the control loop's side ---- */

static int post(struct td_capture *c, td_message_fn *fn, const void *payload, size_t len)
{
    return td_loop_post(c->config.recorder->loop, fn, c, payload, len);
}

/* Hands a malloc'ed copy over; freed by the receiver. */
static int post_copy(struct td_capture *c, td_message_fn *fn, const void *bytes, size_t len)
{
    void *copy = malloc(len);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, bytes, len);
    int r = post(c, fn, &copy, sizeof(copy));
    if (r < 0)
        free(copy);
    return r;
}

int td_capture_new(const struct td_capture_config *config, struct td_capture **ret_capture)
{
    struct td_capture *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->config = *config;
    c->zero_us = config->zero_us;
    c->join_us = INT64_MIN;
    if (config->paused_pts_us != INT64_MIN) {
        c->pause = PAUSED;
        c->paused_us = INT64_MIN;
        c->paused_pts_us = config->paused_pts_us;
    }
    int r = td_random_bytes(&c->our_ssrc, sizeof(c->our_ssrc));
    size_t slots = config->reorder_slots != 0 ? config->reorder_slots : TD_REORDER_SLOTS;
    if (r == 0)
        r = td_pool_init(&c->slots, TD_JITTER_SLOT_BYTES, slots, config->budget);
    if (r == 0 && config->dump_path != NULL)
        r = td_dump_open(config->recorder->store, config->dump_path, &c->dump);
    c->config.dump_path = NULL;
    if (r == 0)
        r = post(c, do_start, NULL, 0);
    if (r < 0) {
        c->dump = td_dump_close(c->dump);
        td_capture_free(c);
        return r;
    }
    *ret_capture = c;
    return 0;
}

struct td_capture *td_capture_free(struct td_capture *c)
{
    if (c == NULL)
        return NULL;
    for (unsigned i = 0; i < c->clock_count; i++)
        free(c->clocks[i]);
    if (c->slots.memory != NULL)
        td_pool_done(&c->slots);
    free(c);
    return NULL;
}

struct td_media_sink td_capture_sink(struct td_capture *c)
{
    return (struct td_media_sink){.ctx = c, .packet = packet_in};
}

int td_capture_add_output(struct td_capture *c, const struct td_capture_output *output)
{
    if (strlen(output->base) >= TD_PATH_MAX)
        return -ENAMETOOLONG;
    struct add_output add = {.output = *output};
    memcpy(add.base, output->base, strlen(output->base) + 1);
    if (output->tail != NULL)
        add.tail = *output->tail;
    return post_copy(c, do_add_output, &add, sizeof(add));
}

int td_capture_add_track(struct td_capture *c, const struct td_track_info *info, unsigned output)
{
    struct add_track add = {.info = *info, .output = output};
    return post_copy(c, do_add_track, &add, sizeof(add));
}

int td_capture_bind(struct td_capture *c, const struct td_track_binding *binding)
{
    return post_copy(c, do_bind, binding, sizeof(*binding));
}

int td_capture_mute(struct td_capture *c, uint32_t handle, bool muted)
{
    struct mute m = {.handle = handle, .muted = muted};
    return post(c, do_mute, &m, sizeof(m));
}

int td_capture_remove(struct td_capture *c, uint32_t handle)
{
    struct mute m = {.handle = handle};
    return post(c, do_remove, &m, sizeof(m));
}

int td_capture_attach(struct td_capture *c, struct td_source *source)
{
    return post(c, do_attach, &source, sizeof(source));
}

int td_capture_detach(struct td_capture *c, struct td_source *source)
{
    return post(c, do_detach, (const void *)&source, sizeof(source));
}

int td_capture_pause(struct td_capture *c)
{
    return post(c, do_pause, NULL, 0);
}

int td_capture_resume(struct td_capture *c)
{
    return post(c, do_resume, NULL, 0);
}

int td_capture_stop(struct td_capture *c, bool keep)
{
    return post(c, do_stop, &keep, sizeof(keep));
}
