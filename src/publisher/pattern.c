/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher/pattern.h"

#include <stdbool.h>

#include "base/clock.h"

enum {
    VIDEO_HZ = 90000, /* RFC 6184 section 8.2.1, RFC 7741 section 6.1 */
    AUDIO_HZ = 48000, /* RFC 7587 section 4.1 */
    PACKET_US = 20000,
};

void td_pattern_play_init(struct td_pattern_play *p, const struct td_pattern *loop,
                          int64_t start_us)
{
    *p = (struct td_pattern_play){.loop = loop, .start_us = start_us};
}

/* n / fps in units of 1/hz, cut to whole ones; 64 bits last for millions of years. */
static uint64_t frame_time(const struct td_pattern *loop, uint64_t n, uint64_t hz)
{
    return n * hz / loop->config.fps;
}

static int64_t frame_us(const struct td_pattern_play *p)
{
    if (p->loop->frame_count == 0)
        return INT64_MAX;
    return (int64_t)frame_time(p->loop, p->frame, (uint64_t)TD_US_PER_S);
}

static int64_t packet_us(const struct td_pattern_play *p)
{
    return p->loop->packet_count == 0 ? INT64_MAX : (int64_t)(p->packet * PACKET_US);
}

int64_t td_pattern_play_next_us(const struct td_pattern_play *p)
{
    int64_t video_us = frame_us(p);
    int64_t audio_us = packet_us(p);
    return p->start_us + (audio_us <= video_us ? audio_us : video_us);
}

static struct td_frame unit_frame(const struct td_pattern *loop, const struct td_pattern_unit *unit)
{
    return (struct td_frame){
        .key = unit->key,
        .bytes = loop->bytes.data + unit->offset,
        .len = unit->len,
    };
}

static void take_packet(struct td_pattern_play *p, struct td_pattern_due *ret_due)
{
    const struct td_pattern *loop = p->loop;
    *ret_due = (struct td_pattern_due){
        .kind = TD_MEDIA_AUDIO,
        .index = p->packet,
        .media_us = packet_us(p),
        .frame = unit_frame(loop, &loop->packets[p->packet % loop->packet_count]),
    };
    ret_due->frame.codec = TD_CODEC_OPUS;
    ret_due->frame.duration_us = PACKET_US;
    ret_due->frame.rtp_timestamp =
        (uint32_t)(p->packet * (AUDIO_HZ * PACKET_US / (uint64_t)TD_US_PER_S));
    ret_due->frame.pts_us = ret_due->media_us;
    p->packet++;
}

static void take_frame(struct td_pattern_play *p, struct td_pattern_due *ret_due)
{
    const struct td_pattern *loop = p->loop;
    uint32_t counter = (uint32_t)(p->frame % loop->frame_count);
    *ret_due = (struct td_pattern_due){
        .kind = TD_MEDIA_VIDEO,
        .index = p->frame,
        .counter = counter,
        .media_us = frame_us(p),
        .frame = unit_frame(loop, &loop->frames[counter]),
    };
    ret_due->frame.codec = loop->config.video;
    ret_due->frame.rtp_timestamp = (uint32_t)frame_time(loop, p->frame, VIDEO_HZ);
    ret_due->frame.pts_us = ret_due->media_us;
    ret_due->frame.width = ret_due->frame.key ? loop->config.width : 0;
    ret_due->frame.height = ret_due->frame.key ? loop->config.height : 0;
    p->frame++;
}

int td_pattern_play_next(struct td_pattern_play *p, int64_t now_us, struct td_pattern_due *ret_due)
{
    if (td_pattern_play_next_us(p) > now_us)
        return 0;
    if (packet_us(p) <= frame_us(p))
        take_packet(p, ret_due);
    else
        take_frame(p, ret_due);
    return 1;
}

void td_pattern_play_skip(struct td_pattern_play *p, int64_t now_us)
{
    int64_t media_us = now_us - p->start_us;
    if (media_us <= 0)
        return;
    uint64_t packet = ((uint64_t)media_us + PACKET_US - 1) / PACKET_US;
    if (p->loop->packet_count > 0 && packet > p->packet) {
        p->skipped += packet - p->packet;
        p->packet = packet;
    }
    uint64_t second = (uint64_t)TD_US_PER_S;
    uint64_t frame = ((uint64_t)media_us * p->loop->config.fps + second - 1) / second;
    if (p->loop->frame_count == 0 || frame <= p->frame)
        return;
    /* The loop's first frame is a key frame, so that this ends. */
    while (!p->loop->frames[frame % p->loop->frame_count].key)
        frame++;
    p->skipped += frame - p->frame;
    p->frame = frame;
}
