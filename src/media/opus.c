/* SPDX-License-Identifier: Apache-2.0 */
#include "media/opus.h"

#include <assert.h>

#include "media/assembly.h"

/* RFC 6716 section 3.1: the TOC byte. */
#define TOC_CONFIG_SHIFT 3u
#define TOC_CODE 0x03u
#define FRAME_COUNT 0x3fu /* section 3.2.5 */

/* libopus calls packets of up to two bytes DTX: they need not be sent, and carry nothing to hear.
 */
#define DTX_BYTES_MAX 2u

struct opus {
    struct td_assembly assembly;
};

/* RFC 6716 table 2: frame size by configuration. */
static int64_t frame_us(unsigned config)
{
    static const int64_t silk_us[] = {10000, 20000, 40000, 60000};
    static const int64_t hybrid_us[] = {10000, 20000};
    static const int64_t celt_us[] = {2500, 5000, 10000, 20000};
    if (config < 12)
        return silk_us[config % 4];
    if (config < 16)
        return hybrid_us[config % 2];
    return celt_us[config % 4];
}

int64_t td_opus_duration_us(const uint8_t *bytes, size_t len)
{
    assert(bytes || len == 0);
    if (len == 0)
        return -TD_E_PARSE;
    unsigned code = bytes[0] & TOC_CODE;
    int64_t count = code == 0 ? 1 : 2;
    if (code == 3) {
        if (len < 2)
            return -TD_E_PARSE;
        count = bytes[1] & FRAME_COUNT;
    }
    int64_t duration_us = count * frame_us((unsigned)bytes[0] >> TOC_CONFIG_SHIFT);
    if (duration_us == 0 || duration_us > TD_OPUS_DURATION_US_MAX)
        return -TD_E_PARSE;
    return duration_us;
}

static void opus_init(struct td_depay *d)
{
    struct opus *o = td_depay_state(d);
    td_assembly_init(&o->assembly, d, TD_ASSEMBLY_AUDIO_BYTES);
}

static void opus_done(struct td_depay *d)
{
    struct opus *o = td_depay_state(d);
    td_assembly_done(&o->assembly);
}

static int opus_push(struct td_depay *d, const struct td_rtp_packet *packet)
{
    struct opus *o = td_depay_state(d);
    struct td_assembly *a = &o->assembly;
    td_assembly_turn(a);
    int64_t duration_us = td_opus_duration_us(packet->payload, packet->payload_len);
    if (duration_us < 0) {
        d->stats.broken++;
        return -TD_E_PARSE;
    }
    if (packet->payload_len <= DTX_BYTES_MAX) {
        d->stats.dtx++;
        return 0;
    }
    td_assembly_open(a, packet);
    if (td_assembly_append(a, packet->payload, packet->payload_len) < 0) {
        td_assembly_discard(a); /* dropped and counted there; the next packet stands alone */
        return 0;
    }
    struct td_frame frame = {
        .codec = TD_CODEC_OPUS,
        .key = true,
        .duration_us = duration_us,
    };
    td_assembly_finish(a, &frame);
    return 0;
}

static int opus_pop(struct td_depay *d, struct td_frame *ret_frame)
{
    struct opus *o = td_depay_state(d);
    return td_assembly_pop(&o->assembly, ret_frame);
}

/* Each packet is whole in itself. */
static void opus_hole(struct td_depay *d)
{
    (void)d;
}

const struct td_depay_ops td_opus_depay_ops = {
    .codec = TD_CODEC_OPUS,
    .state_size = sizeof(struct opus),
    .init = opus_init,
    .push = opus_push,
    .pop = opus_pop,
    .hole = opus_hole,
    .done = opus_done,
};
