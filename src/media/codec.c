/* SPDX-License-Identifier: Apache-2.0 */
#include "media/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

#include "media/h264.h"
#include "media/opus.h"
#include "media/vp8.h"

/* RFC 6184, RFC 7741: video runs at 90 kHz. */
#define VIDEO_CLOCK_HZ 90000u

#define BLANK_SIDE_MAX 8u

static const struct td_codec_info infos[] = {
    {TD_CODEC_OPUS, TD_MEDIA_AUDIO, "opus", TD_OPUS_CLOCK_HZ},
    {TD_CODEC_H264, TD_MEDIA_VIDEO, "H264", VIDEO_CLOCK_HZ},
    {TD_CODEC_VP8, TD_MEDIA_VIDEO, "VP8", VIDEO_CLOCK_HZ},
};

static const struct td_depay_ops *const depays[] = {
    &td_opus_depay_ops,
    &td_h264_depay_ops,
    &td_vp8_depay_ops,
};

#define INFO_COUNT (sizeof(infos) / sizeof(infos[0]))
#define DEPAY_COUNT (sizeof(depays) / sizeof(depays[0]))

const struct td_codec_info *td_codec_info(enum td_codec codec)
{
    for (size_t i = 0; i < INFO_COUNT; i++) {
        if (infos[i].codec == codec)
            return &infos[i];
    }
    return NULL;
}

const struct td_codec_info *td_codec_by_name(const char *rtpmap_name)
{
    assert(rtpmap_name);
    for (size_t i = 0; i < INFO_COUNT; i++) {
        if (strcasecmp(infos[i].name, rtpmap_name) == 0)
            return &infos[i];
    }
    return NULL;
}

bool td_codec_blank_size(unsigned width, unsigned height)
{
    return width > 0 && height > 0 && width <= BLANK_SIDE_MAX && height <= BLANK_SIDE_MAX;
}

const struct td_depay_ops *const *td_depay_table(size_t *ret_count)
{
    *ret_count = DEPAY_COUNT;
    return depays;
}

/* The state begins behind struct td_depay, aligned for anything. */
static size_t state_at(void)
{
    size_t unit = _Alignof(max_align_t);
    return (sizeof(struct td_depay) + unit - 1) / unit * unit;
}

int td_depay_new(enum td_codec codec, struct td_budget *budget, struct td_depay **ret_depay)
{
    assert(ret_depay);
    const struct td_depay_ops *ops = NULL;
    for (size_t i = 0; i < DEPAY_COUNT; i++) {
        if (depays[i]->codec == codec)
            ops = depays[i];
    }
    if (!ops)
        return -TD_E_UNSUPPORTED;
    size_t bytes = state_at() + ops->state_size;
    int r = td_budget_charge(budget, bytes);
    if (r < 0)
        return r;
    struct td_depay *d = calloc(1, bytes);
    if (!d) {
        td_budget_release(budget, bytes);
        return -ENOMEM;
    }
    d->ops = ops;
    d->budget = budget;
    ops->init(d);
    *ret_depay = d;
    return 0;
}

struct td_depay *td_depay_free(struct td_depay *d)
{
    if (!d)
        return NULL;
    if (d->ops->done)
        d->ops->done(d);
    td_budget_release(d->budget, state_at() + d->ops->state_size);
    free(d);
    return NULL;
}

int td_depay_push(struct td_depay *d, const struct td_rtp_packet *packet)
{
    assert(d && packet && (packet->payload || packet->payload_len == 0));
    if (packet->payload_len == 0) {
        d->stats.padding++;
        return 0;
    }
    int r = d->ops->push(d, packet);
    if (r == -TD_E_PARSE)
        d->stats.malformed++;
    return r;
}

int td_depay_pop(struct td_depay *d, struct td_frame *ret_frame)
{
    assert(d && ret_frame);
    int r = d->ops->pop(d, ret_frame);
    if (r == 1)
        d->stats.frames++;
    return r;
}

void td_depay_hole(struct td_depay *d)
{
    assert(d);
    d->ops->hole(d);
}

const struct td_depay_stats *td_depay_stats(const struct td_depay *d)
{
    assert(d);
    return &d->stats;
}

void *td_depay_state(struct td_depay *d)
{
    return (uint8_t *)d + state_at();
}
