/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher/pump.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "publisher/sender.h"
#include "rtp/packet.h"
#include "rtp/rtcp.h"

#define STALL_US TD_US_PER_S           /* more than this is not made up for in one burst */
#define STATUS_US (250 * TD_US_PER_MS) /* how often the control loop is told */
#define REPORT_US TD_US_PER_S          /* sender reports */
#define REPORT_EARLY_US (250 * TD_US_PER_MS)
#define REPORTS_EARLY 3u /* the first ones come quickly: a receiver aligns by them */
#define STREAM_ID_LETTERS 16
#define TRACK_ID_LETTERS 12
/* Dynamic payload types (RFC 3551 section 6). */
#define VIDEO_PAYLOAD_TYPE 102
#define AUDIO_PAYLOAD_TYPE 111

struct queued {
    uint16_t len;
    uint8_t bytes[TD_PACKETIZE_BYTES_MAX];
};

struct out {
    struct td_sender *sender;
    int64_t report_due_us;
    unsigned reports;
};

struct td_pump {
    /* constant */
    struct td_loop *loop;
    struct td_mailbox *control;
    char stream_id[TD_PUMP_ID_MAX];

    /* control loop */
    struct td_pump_track tracks[TD_PUMP_TRACKS_MAX];
    unsigned track_count;
    bool attached;
    struct td_pump_status status;

    /* media loop */
    struct td_peer *peer; /* NULL = not attached */
    struct td_pattern_play play;
    bool started;
    bool key_needed;
    bool frame_queued; /* its last packet is still in the queue */
    uint64_t queued_frame;
    unsigned out_count;
    struct out outs[TD_PUMP_TRACKS_MAX];
    struct td_pump_status now;  /* of this connection, and what runs on */
    struct td_pump_status past; /* of the connections before */
    uint64_t unsent;            /* reports */
    uint64_t dropped;           /* frames between the start of a connection and its key frame */
    int64_t told_us;
    /* Emptied from the front, filled at the back, and from the start again once it is empty: only
     * as many pages are touched as the largest frame needs. */
    struct queued *queue;
    unsigned head;
    unsigned tail;
};

/* ---- telling the control loop ---- */

static_assert(sizeof(struct td_pump_status) <= TD_MESSAGE_BYTES, "a status is one message");

static void control_status(void *target, const void *payload)
{
    struct td_pump *p = target;
    memcpy(&p->status, payload, sizeof(p->status));
}

static void add_sender(struct td_pump_status *s, const struct td_sender *sender, bool video)
{
    const struct td_sender_stats *stats = td_sender_stats(sender);
    s->frames += video ? stats->frames : 0;
    s->packets += stats->packets;
    s->bytes += stats->payload_bytes;
    s->nacks += stats->nacks;
    s->resent += stats->resent;
    s->key_requests += stats->key_requests;
    if (stats->rtt_us > 0)
        s->rtt_us = stats->rtt_us;
}

static struct td_pump_status totals(const struct td_pump *p)
{
    struct td_pump_status s = p->now;
    s.frames = p->past.frames;
    s.packets = p->past.packets;
    s.bytes = p->past.bytes;
    s.nacks = p->past.nacks;
    s.resent = p->past.resent;
    s.key_requests = p->past.key_requests;
    s.skipped = p->play.skipped + p->dropped;
    for (unsigned i = 0; i < p->out_count; i++)
        add_sender(&s, p->outs[i].sender, i == 0 && p->play.loop->frame_count > 0);
    return s;
}

static void tell(struct td_pump *p, int64_t now_us)
{
    struct td_pump_status s = totals(p);
    /* A full mailbox: the next status comes at the next tick and says it all. */
    if (td_mailbox_post(p->control, control_status, p, &s, sizeof(s)) == 0)
        p->told_us = now_us;
}

/* ---- sending, on the media loop ---- */

static int queue_packet(void *ctx, uint16_t seq, const uint8_t *bytes, size_t len)
{
    (void)seq;
    struct td_pump *p = ctx;
    if (p->tail == TD_PUMP_QUEUE || len > TD_PACKETIZE_BYTES_MAX)
        return -ENOBUFS;
    struct queued *q = &p->queue[p->tail++];
    q->len = (uint16_t)len;
    memcpy(q->bytes, bytes, len);
    return 0;
}

/* True when the queue is empty now. */
static bool flush(struct td_pump *p, unsigned *left, int64_t now_us)
{
    while (p->head < p->tail) {
        const struct queued *q = &p->queue[p->head];
        if (*left == 0)
            return false;
        int r = td_peer_send_rtp(p->peer, q->bytes, q->len);
        if (r == -EAGAIN)
            return false; /* no room in the socket: at the next tick */
        /* Anything else is like a packet lost on the way: it can be asked for again. */
        p->head++;
        (*left)--;
    }
    p->head = 0;
    p->tail = 0;
    if (p->frame_queued) {
        p->now.last_frame = p->queued_frame;
        p->now.last_frame_us = now_us;
    }
    p->frame_queued = false;
    return true;
}

static struct td_sender *sender_of(const struct td_pump *p, enum td_media_kind kind)
{
    bool both = p->out_count == 2;
    return p->outs[both && kind == TD_MEDIA_AUDIO ? 1 : 0].sender;
}

/* Packs the next unit that is due into the queue; false when none is. */
static bool next_unit(struct td_pump *p, int64_t now_us)
{
    struct td_pattern_due due;
    if (td_pattern_play_next(&p->play, now_us, &due) == 0)
        return false;
    bool video = due.kind == TD_MEDIA_VIDEO;
    if (video && p->key_needed && !due.frame.key) {
        p->dropped++;
        return true;
    }
    /* A loop that we made ourselves has no broken frames, and a full queue is counted inside. */
    if (td_sender_frame(sender_of(p, due.kind), &due.frame, now_us) < 0)
        p->dropped++;
    if (video) {
        p->key_needed = false;
        p->frame_queued = true;
        p->queued_frame = due.index;
    }
    return true;
}

static void send_due(struct td_pump *p, int64_t now_us)
{
    unsigned left = TD_PUMP_PACKETS_PER_TICK;
    while (flush(p, &left, now_us) && left > 0 && next_unit(p, now_us))
        ;
}

static void catch_up(struct td_pump *p, int64_t now_us)
{
    td_pattern_play_skip(&p->play, now_us);
    p->key_needed = true;
    p->frame_queued = false;
    p->head = 0;
    p->tail = 0;
}

static void send_rtcp(struct td_pump *p, const struct td_writer *w)
{
    /* A report that does not get out is followed by the next one. */
    if (td_peer_send_rtcp(p->peer, w->start, td_writer_len(w)) < 0)
        p->unsent++;
}

/* The first report follows the first packet at once: until then a receiver can only guess how the
 * clocks of the tracks belong together. */
static void send_reports(struct td_pump *p, int64_t now_us)
{
    for (unsigned i = 0; i < p->out_count; i++) {
        struct out *out = &p->outs[i];
        uint8_t bytes[256];
        struct td_writer w;
        if (now_us < out->report_due_us || td_sender_stats(out->sender)->packets == 0)
            continue;
        td_writer_init(&w, bytes, sizeof(bytes));
        /* Its own clock reading: the pair belongs to the instant at which it is written. */
        td_sender_report(out->sender, td_clock_now_us(), &w);
        send_rtcp(p, &w);
        out->reports++;
        out->report_due_us = now_us + (out->reports < REPORTS_EARLY ? REPORT_EARLY_US : REPORT_US);
    }
}

static int64_t pump_tick(void *ctx, int64_t now_us)
{
    struct td_pump *p = ctx;
    if (now_us - td_pattern_play_next_us(&p->play) > STALL_US)
        catch_up(p, now_us);
    send_due(p, now_us);
    send_reports(p, now_us);
    if (now_us - p->told_us >= STATUS_US)
        tell(p, now_us);
    return TD_TICK_US;
}

void td_pump_packet(void *pump, uint8_t *bytes, size_t len, int64_t now_us)
{
    struct td_pump *p = pump;
    struct td_reader r;
    struct td_rtcp_item item;
    if (p->peer == NULL || !td_rtp_is_rtcp(bytes, len))
        return;
    p->now.heard_us = now_us;
    td_reader_init(&r, bytes, len);
    while (td_rtcp_next(&r, &item) == 1) {
        for (unsigned i = 0; i < p->out_count; i++)
            td_sender_feedback(p->outs[i].sender, &item, now_us);
    }
}

/* ---- attaching, on the media loop ---- */

struct attach_message {
    struct td_peer *peer;
    unsigned track_count;
    struct td_packetize_config rtp[TD_PUMP_TRACKS_MAX];
};
static_assert(sizeof(struct attach_message) <= TD_MESSAGE_BYTES, "it is one message");

static void free_senders(struct td_pump *p)
{
    for (unsigned i = 0; i < TD_PUMP_TRACKS_MAX; i++)
        p->outs[i] = (struct out){.sender = td_sender_free(p->outs[i].sender)};
    p->out_count = 0;
}

static int make_senders(struct td_pump *p, const struct attach_message *m)
{
    struct td_packet_sink sink = {.ctx = p, .packet = queue_packet};
    for (unsigned i = 0; i < m->track_count; i++) {
        struct td_sender_config config = {
            .rtp = m->rtp[i],
            .start_us = p->now.start_us,
            .start_wall_us = p->now.start_wall_us,
        };
        memcpy(config.cname, p->stream_id, sizeof(p->stream_id));
        int r = td_sender_new(&config, &sink, &p->outs[i].sender);
        if (r < 0) {
            free_senders(p);
            return r;
        }
        p->out_count = i + 1;
    }
    return 0;
}

/* Without memory for senders nothing is sent, and the silence that follows ends the connection. */
static void media_attach(void *target, const void *payload)
{
    struct td_pump *p = target;
    struct attach_message m;
    memcpy(&m, payload, sizeof(m));
    int64_t now_us = td_clock_now_us();
    if (!p->started) {
        p->now.start_us = now_us;
        p->now.start_wall_us = td_clock_wall_us();
        td_pattern_play_init(&p->play, p->play.loop, now_us);
    }
    if (make_senders(p, &m) < 0)
        return;
    if (td_loop_add_ticker(p->loop, pump_tick, p) < 0) {
        free_senders(p);
        return;
    }
    if (p->started)
        catch_up(p, now_us);
    p->started = true;
    p->peer = m.peer;
    p->now.attached_us = now_us;
    p->now.heard_us = 0;
    tell(p, now_us);
}

static void media_detach(void *target, const void *payload)
{
    (void)payload;
    struct td_pump *p = target;
    if (p->peer == NULL)
        return;
    unsigned left = TD_PUMP_QUEUE;
    int64_t now_us = td_clock_now_us();
    (void)flush(p, &left, now_us); /* what does not fit now is lost with the connection */
    for (unsigned i = 0; i < p->out_count; i++) {
        uint8_t bytes[256];
        struct td_writer w;
        td_writer_init(&w, bytes, sizeof(bytes));
        td_sender_report(p->outs[i].sender, now_us, &w);
        if (td_writer_len(&w) == 0)
            continue; /* it never sent a packet: RFC 3550 section 6.6 */
        td_sender_bye(p->outs[i].sender, &w);
        send_rtcp(p, &w);
    }
    td_loop_remove_ticker(p->loop, pump_tick, p);
    p->past = totals(p);
    p->peer = NULL;
    p->head = 0;
    p->tail = 0;
    p->frame_queued = false;
    p->now.attached_us = 0;
    free_senders(p);
    tell(p, now_us);
}

/* ---- the control loop's side ---- */

static void add_track(struct td_pump *p, enum td_media_kind kind, enum td_codec codec)
{
    struct td_pump_track *t = &p->tracks[p->track_count++];
    t->kind = kind;
    t->rtp.codec = codec;
    t->rtp.payload_type = kind == TD_MEDIA_VIDEO ? VIDEO_PAYLOAD_TYPE : AUDIO_PAYLOAD_TYPE;
    t->rtp.stap_a = codec == TD_CODEC_H264;
    t->rtp.tl0 = codec == TD_CODEC_VP8;
}

int td_pump_new(const struct td_pump_config *config, struct td_pump **ret_pump)
{
    const struct td_pattern *loop = config->pattern;
    assert(loop->frame_count > 0 || loop->packet_count > 0);
    struct td_pump *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->loop = config->loop;
    p->control = config->control;
    p->play.loop = loop;
    if (loop->frame_count > 0)
        add_track(p, TD_MEDIA_VIDEO, loop->config.video);
    if (loop->packet_count > 0)
        add_track(p, TD_MEDIA_AUDIO, TD_CODEC_OPUS);
    p->queue = malloc(TD_PUMP_QUEUE * sizeof(*p->queue));
    int r = p->queue != NULL ? td_id_token(p->stream_id, STREAM_ID_LETTERS) : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < p->track_count; i++)
        r = td_id_token(p->tracks[i].id, TRACK_ID_LETTERS);
    if (r == 0)
        r = td_pump_prepare(p);
    if (r < 0) {
        (void)td_pump_free(p);
        return r;
    }
    *ret_pump = p;
    return 0;
}

struct td_pump *td_pump_free(struct td_pump *p)
{
    if (p == NULL)
        return NULL;
    assert(!p->attached && p->peer == NULL);
    free(p->queue);
    free(p);
    return NULL;
}

int td_pump_prepare(struct td_pump *p)
{
    int r = 0;
    assert(!p->attached);
    for (unsigned i = 0; r == 0 && i < p->track_count; i++)
        r = td_packetize_config_random(&p->tracks[i].rtp);
    return r;
}

const struct td_pump_track *td_pump_tracks(const struct td_pump *p, unsigned *ret_count)
{
    *ret_count = p->track_count;
    return p->tracks;
}

const char *td_pump_stream_id(const struct td_pump *p)
{
    return p->stream_id;
}

int td_pump_attach(struct td_pump *p, struct td_peer *peer)
{
    struct attach_message m = {.peer = peer, .track_count = p->track_count};
    assert(!p->attached);
    for (unsigned i = 0; i < p->track_count; i++)
        m.rtp[i] = p->tracks[i].rtp;
    int r = td_loop_post(p->loop, media_attach, p, &m, sizeof(m));
    p->attached = r == 0;
    return r;
}

void td_pump_detach(struct td_pump *p)
{
    if (!p->attached)
        return;
    p->attached = false;
    /* Must not be refused; the loop empties its mailbox without waiting for anybody. */
    while (td_loop_post(p->loop, media_detach, p, NULL, 0) < 0)
        sched_yield();
}

const struct td_pump_status *td_pump_status(const struct td_pump *p)
{
    return &p->status;
}
