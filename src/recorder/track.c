/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/track.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "rtp/nack.h"

struct td_track {
    struct td_track_info info;
    struct td_track_binding binding;
    struct td_track_sink sink;
    struct td_pool *slots;
    struct td_budget *budget;
    struct td_clockmap *clock;
    struct td_clockmap_track stamp;
    struct td_report report;
    struct td_jitter *jitter;
    struct td_nack *nack;
    struct td_depay *depay;
    enum td_codec codec;
    int64_t key_interval_us;
    bool muted;

    /* Key frames. */
    bool need_key; /* video: nothing is decodable before the next key frame */
    bool want_pli; /* ask once more */
    int64_t last_pli_us;
    int64_t last_key_us;

    /* The gap that is open, and what is known of it. */
    bool gap_open;
    struct td_track_gap gap;
    int64_t last_frame_us; /* local time of the last frame delivered */

    int64_t last_packet_us;
    int64_t silent_since_us; /* warned at, 0 = not */
    uint16_t asked_up_to;    /* highest number asked for, for `recovered` */
    bool asked;
    struct td_track_stats stats; /* jitter and depay: of the streams before this one */
};

int td_track_new(const struct td_track_config *config, struct td_track **ret_track)
{
    struct td_track *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    t->info = *config->info;
    t->sink = config->sink;
    t->slots = config->slots;
    t->budget = config->budget;
    t->clock = config->clock;
    t->key_interval_us = config->key_interval_us;
    t->muted = config->info->muted;
    t->need_key = config->info->kind == TD_MEDIA_VIDEO;
    *ret_track = t;
    return 0;
}

static void add_jitter(struct td_jitter_stats *sum, const struct td_jitter *jitter)
{
    if (jitter == NULL)
        return;
    const struct td_jitter_stats *s = td_jitter_stats(jitter);
    sum->received += s->received;
    sum->duplicates += s->duplicates;
    sum->late += s->late;
    sum->reordered += s->reordered;
    sum->lost += s->lost;
    sum->dropped += s->dropped;
    sum->resets += s->resets;
}

static void add_depay(struct td_depay_stats *sum, const struct td_depay *depay)
{
    if (depay == NULL)
        return;
    const struct td_depay_stats *s = td_depay_stats(depay);
    sum->frames += s->frames;
    sum->broken += s->broken;
    sum->malformed += s->malformed;
    sum->oversize += s->oversize;
    sum->blanks += s->blanks;
    sum->padding += s->padding;
    sum->dtx += s->dtx;
}

static void drop_depay(struct td_track *t)
{
    add_depay(&t->stats.depay, t->depay);
    t->depay = td_depay_free(t->depay);
    t->codec = TD_CODEC_NONE;
}

static void drop_stream(struct td_track *t)
{
    add_jitter(&t->stats.jitter, t->jitter);
    t->jitter = td_jitter_free(t->jitter);
    t->nack = td_nack_free(t->nack);
    drop_depay(t);
}

struct td_track *td_track_free(struct td_track *t)
{
    if (t == NULL)
        return NULL;
    drop_stream(t);
    free(t);
    return NULL;
}

const struct td_track_info *td_track_info(const struct td_track *t)
{
    return &t->info;
}

const struct td_track_binding *td_track_binding(const struct td_track *t)
{
    return &t->binding;
}

static void open_gap(struct td_track *t)
{
    if (t->gap_open)
        return;
    t->gap_open = true;
    t->gap = (struct td_track_gap){.from_us = t->last_frame_us};
}

int td_track_bind(struct td_track *t, const struct td_track_binding *binding)
{
    if (t->jitter != NULL && t->binding.ssrc == binding->ssrc) {
        t->binding = *binding;
        return 0;
    }
    bool again = t->jitter != NULL;
    drop_stream(t);
    t->binding = *binding;
    int r = td_jitter_new(t->slots, TD_REORDER_SLOTS, TD_REORDER_US, &t->jitter);
    if (r == 0)
        r = td_nack_new(&t->nack);
    if (r < 0) {
        drop_stream(t);
        return r;
    }
    t->asked = false;
    if (again)
        open_gap(t);
    if (t->info.kind == TD_MEDIA_VIDEO) {
        t->need_key = true;
        t->want_pli = true;
        t->last_pli_us = 0; /* another stream: nobody asked it yet */
    }
    return 0;
}

void td_track_mute(struct td_track *t, bool muted)
{
    if (t->muted && !muted && t->info.kind == TD_MEDIA_VIDEO)
        t->want_pli = true;
    t->muted = muted;
    t->silent_since_us = 0;
    t->last_packet_us = 0;
}

static const struct td_payload *payload_of(const struct td_track *t, uint8_t payload_type)
{
    for (unsigned i = 0; i < t->binding.payload_count; i++) {
        if (t->binding.payloads[i].payload_type == payload_type)
            return &t->binding.payloads[i];
    }
    return NULL;
}

bool td_track_claims(const struct td_track *t, const struct td_rtp_packet *packet)
{
    if (t->jitter == NULL)
        return false;
    if (t->binding.ssrc != 0)
        return t->binding.ssrc == packet->ssrc;
    return payload_of(t, packet->payload_type) != NULL;
}

/* A payload type may change in flight to another codec: the depacketiser is exchanged. */
static int use_payload(struct td_track *t, const struct td_payload *payload)
{
    if (t->depay != NULL && t->codec == payload->codec)
        return 0;
    bool again = t->depay != NULL;
    drop_depay(t);
    int r = td_depay_new(payload->codec, t->budget, &t->depay);
    if (r < 0)
        return r;
    t->codec = payload->codec;
    if (!again)
        return 0;
    open_gap(t);
    t->need_key = t->info.kind == TD_MEDIA_VIDEO;
    return 0;
}

static void close_gap(struct td_track *t, struct td_frame *frame)
{
    if (!t->gap_open)
        return;
    t->gap_open = false;
    frame->discontinuity = t->gap.from_us != 0;
    t->gap.to_us = frame->pts_us;
    if (frame->discontinuity)
        t->sink.gap(t->sink.ctx, t, &t->gap);
}

static void deliver(struct td_track *t, struct td_frame *frame)
{
    bool video = t->info.kind == TD_MEDIA_VIDEO;
    frame->pts_us = td_clockmap_local_us(&t->stamp, frame->rtp_timestamp, frame->arrival_us);
    if (video && frame->key) {
        t->need_key = false;
        t->want_pli = false;
        t->last_key_us = frame->arrival_us;
    }
    if (t->need_key) {
        t->stats.undecodable++;
        if (t->gap_open)
            t->gap.frames++;
        t->want_pli = true;
        return;
    }
    close_gap(t, frame);
    t->last_frame_us = frame->pts_us;
    t->sink.frame(t->sink.ctx, t, frame);
}

/* Frames that a depacketiser gave up by itself: too large, no memory, not what they claimed. */
static uint64_t given_up(const struct td_depay *depay)
{
    const struct td_depay_stats *s = td_depay_stats(depay);
    return s->broken + s->oversize;
}

static void consume(struct td_track *t, const struct td_rtp_packet *packet)
{
    if (packet->payload_len == 0) {
        t->stats.depay.padding++;
        return;
    }
    const struct td_payload *payload = payload_of(t, packet->payload_type);
    if (payload == NULL || use_payload(t, payload) < 0) {
        t->stats.unknown_payload++;
        return;
    }
    uint64_t before = given_up(t->depay);
    if (td_depay_push(t->depay, packet) < 0 || given_up(t->depay) != before) {
        open_gap(t);
        t->need_key = t->info.kind == TD_MEDIA_VIDEO;
        t->want_pli = t->need_key;
    }
    struct td_frame frame;
    while (td_depay_pop(t->depay, &frame) == 1)
        deliver(t, &frame);
}

static void hole(struct td_track *t, const struct td_jitter_hole *lost)
{
    open_gap(t);
    t->gap.packets += lost->count;
    if (t->depay != NULL)
        td_depay_hole(t->depay);
    if (t->info.kind == TD_MEDIA_VIDEO) {
        t->need_key = true;
        t->want_pli = true;
    }
}

static void drain(struct td_track *t, int64_t now_us)
{
    struct td_rtp_packet packet;
    struct td_jitter_hole lost;
    for (;;) {
        int r = td_jitter_pop(t->jitter, now_us, &packet, &lost);
        if (r == TD_JITTER_PACKET)
            consume(t, &packet);
        else if (r == TD_JITTER_HOLE)
            hole(t, &lost);
        else
            return;
    }
}

static void first_packet(struct td_track *t, const struct td_rtp_packet *packet)
{
    const struct td_payload *payload = payload_of(t, packet->payload_type);
    /* All video runs at 90 kHz (RFC 6184, RFC 7741), Opus at 48 kHz (RFC 7587). */
    uint32_t clock_hz = t->info.kind == TD_MEDIA_VIDEO ? 90000 : 48000;
    if (payload != NULL && payload->clock_hz != 0)
        clock_hz = payload->clock_hz;
    bool again = t->report.started;
    t->binding.ssrc = packet->ssrc;
    td_report_init(&t->report, packet->ssrc, clock_hz);
    if (again) /* the same track goes on: its time must not step back */
        td_clockmap_track_restart(&t->stamp, clock_hz);
    else
        td_clockmap_track_init(&t->stamp, t->clock, clock_hz, t->info.kind == TD_MEDIA_AUDIO);
}

void td_track_packet(struct td_track *t, const struct td_rtp_packet *packet,
                     const uint8_t *datagram, size_t len)
{
    if (!t->report.started || t->report.ssrc != packet->ssrc)
        first_packet(t, packet);
    t->stats.packets++;
    t->last_packet_us = packet->arrival_us;
    t->silent_since_us = 0;
    td_report_packet(&t->report, packet);
    int r = td_jitter_push(t->jitter, packet, datagram, len);
    if (t->asked && r != TD_JITTER_DROPPED &&
        td_rtp_seq_distance(packet->seq, t->asked_up_to) >= 0 &&
        td_rtp_seq_distance(packet->seq, t->asked_up_to) < (int)TD_REORDER_SLOTS)
        t->stats.recovered++;
    if (r == TD_JITTER_NEXT)
        consume(t, packet);
    /* After a dropped one too: a hole given up for want of slots goes only here. */
    drain(t, packet->arrival_us);
}

void td_track_sender_report(struct td_track *t, const struct td_rtcp_item *report, int64_t now_us)
{
    if (!t->report.started)
        return;
    td_report_sender_report(&t->report, report->ntp, now_us);
    td_clockmap_sender_report(&t->stamp, report->ntp, report->rtp_timestamp, now_us);
}

static void watch_silence(struct td_track *t, int64_t now_us)
{
    if (t->muted || t->last_packet_us == 0 || t->silent_since_us != 0)
        return;
    int64_t silent_us = now_us - t->last_packet_us;
    if (silent_us < TD_TRACK_SILENT_US)
        return;
    t->silent_since_us = now_us;
    t->want_pli = t->info.kind == TD_MEDIA_VIDEO;
    t->sink.silent(t->sink.ctx, t, silent_us);
}

void td_track_tick(struct td_track *t, int64_t now_us)
{
    watch_silence(t, now_us);
    if (t->jitter == NULL)
        return;
    uint16_t up_to = 0;
    if (td_nack_exhausted(t->nack, now_us, 0, &up_to) == 1)
        td_jitter_give_up(t->jitter, up_to);
    drain(t, now_us);
    if (t->info.kind == TD_MEDIA_VIDEO && t->key_interval_us > 0 && t->last_key_us > 0 &&
        !t->muted && now_us - t->last_key_us > t->key_interval_us)
        t->want_pli = true;
}

void td_track_flush(struct td_track *t, int64_t now_us)
{
    if (t->jitter == NULL)
        return;
    uint16_t seqs[TD_REORDER_SLOTS];
    size_t count;
    do {
        count = td_jitter_missing(t->jitter, seqs, TD_REORDER_SLOTS);
        if (count > 0)
            td_jitter_give_up(t->jitter, seqs[count - 1]);
        drain(t, now_us);
    } while (count == TD_REORDER_SLOTS); /* a longer hole is given up piece by piece */
}

static void feedback_nack(struct td_track *t, int64_t now_us, uint32_t our_ssrc,
                          struct td_writer *w)
{
    uint16_t seqs[TD_REORDER_SLOTS];
    size_t count = td_jitter_missing(t->jitter, seqs, TD_REORDER_SLOTS);
    td_nack_update(t->nack, seqs, count, now_us);
    if (count == 0) {
        t->asked = false;
        return;
    }
    count = td_nack_due(t->nack, now_us, 0, seqs, TD_NACK_BATCH_MAX);
    if (count == 0)
        return;
    td_rtcp_write_nack(w, our_ssrc, t->binding.ssrc, seqs, count);
    t->stats.nacked += count;
    t->asked = true;
    t->asked_up_to = seqs[count - 1];
}

void td_track_feedback(struct td_track *t, int64_t now_us, uint32_t our_ssrc, struct td_writer *w)
{
    if (t->jitter == NULL || t->binding.ssrc == 0)
        return;
    feedback_nack(t, now_us, our_ssrc, w);
    bool due = t->last_pli_us == 0 || now_us - t->last_pli_us >= TD_TRACK_PLI_INTERVAL_US;
    if (t->want_pli && due && !t->muted) {
        td_rtcp_write_pli(w, our_ssrc, t->binding.ssrc);
        t->last_pli_us = now_us;
        t->want_pli = false;
        t->stats.key_requests++;
    }
}

int td_track_report_block(struct td_track *t, int64_t now_us, struct td_rtcp_block *ret_block)
{
    if (!t->report.started)
        return 0;
    td_report_block(&t->report, now_us, ret_block);
    return 1;
}

void td_track_want_key(struct td_track *t)
{
    if (t->info.kind == TD_MEDIA_VIDEO)
        t->want_pli = true;
}

bool td_track_waiting(const struct td_track *t)
{
    uint16_t seq;
    bool ask = t->want_pli && !t->muted && t->binding.ssrc != 0;
    return ask || (t->jitter != NULL && td_jitter_missing(t->jitter, &seq, 1) > 0);
}

void td_track_stats(const struct td_track *t, struct td_track_stats *ret_stats)
{
    *ret_stats = t->stats;
    ret_stats->last_packet_us = t->last_packet_us;
    ret_stats->clock_error_us = td_clockmap_error_us(&t->stamp);
    add_jitter(&ret_stats->jitter, t->jitter);
    add_depay(&ret_stats->depay, t->depay);
}
