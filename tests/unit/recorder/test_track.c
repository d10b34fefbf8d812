/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/track.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OPUS_TYPE 111
#define VP8_TYPE 96
#define H264_TYPE 102
#define OUR_SSRC 7u
#define START_US INT64_C(100000000)
#define FRAME_US 40000 /* a multiple of the tick */
#define DATAGRAM_MAX 256u

struct bench {
    struct td_budget budget;
    struct td_pool slots;
    struct td_clockmap clock;
    struct td_track *track;
    int64_t now_us;
    /* heard */
    unsigned frames;
    unsigned keys;
    unsigned discontinuities;
    enum td_codec codec;
    int64_t last_pts_us;
    uint32_t last_timestamp;
    unsigned gaps;
    struct td_track_gap gap;
    unsigned silences;
    int64_t silent_us;
    /* asked for */
    unsigned plis;
    unsigned nacked;
    uint16_t first_nacked;
};

static void on_frame(void *ctx, struct td_track *track, struct td_frame *frame)
{
    struct bench *b = ctx;
    assert_ptr_equal(track, b->track);
    assert_true(frame->pts_us >= b->last_pts_us);
    b->frames++;
    b->keys += frame->key;
    b->discontinuities += frame->discontinuity;
    b->codec = frame->codec;
    b->last_pts_us = frame->pts_us;
    b->last_timestamp = frame->rtp_timestamp;
}

static void on_gap(void *ctx, struct td_track *track, const struct td_track_gap *gap)
{
    struct bench *b = ctx;
    assert_ptr_equal(track, b->track);
    b->gaps++;
    b->gap = *gap;
}

static void on_silent(void *ctx, struct td_track *track, int64_t silent_us)
{
    struct bench *b = ctx;
    assert_ptr_equal(track, b->track);
    b->silences++;
    b->silent_us = silent_us;
}

static void bind(struct bench *b, uint32_t ssrc)
{
    struct td_track_binding binding = {
        .handle = 1,
        .ssrc = ssrc,
        .payloads = {{OPUS_TYPE, 2, TD_CODEC_OPUS, 48000},
                     {VP8_TYPE, 1, TD_CODEC_VP8, 90000},
                     {H264_TYPE, 1, TD_CODEC_H264, 90000}},
        .payload_count = 3,
    };
    assert_int_equal(td_track_bind(b->track, &binding), 0);
}

static void bench_init(struct bench *b, enum td_media_kind kind, int64_t key_interval_us)
{
    *b = (struct bench){.now_us = START_US};
    td_budget_init(&b->budget, NULL, 0);
    assert_int_equal(td_pool_init(&b->slots, TD_JITTER_SLOT_BYTES, TD_REORDER_SLOTS, &b->budget),
                     0);
    td_clockmap_init(&b->clock);
    struct td_track_info info = {.handle = 1, .kind = kind};
    struct td_track_config config = {
        .info = &info,
        .clock = &b->clock,
        .slots = &b->slots,
        .budget = &b->budget,
        .key_interval_us = key_interval_us,
        .sink = {.ctx = b, .frame = on_frame, .gap = on_gap, .silent = on_silent},
    };
    assert_int_equal(td_track_new(&config, &b->track), 0);
    bind(b, 1000);
}

static void bench_done(struct bench *b)
{
    b->track = td_track_free(b->track);
    td_pool_done(&b->slots);
    td_budget_done(&b->budget);
}

static void send_to(struct bench *b, uint32_t ssrc, uint8_t type, uint16_t seq, uint32_t timestamp,
                    const void *payload, size_t len)
{
    uint8_t bytes[DATAGRAM_MAX];
    struct td_rtp_packet out = {.ssrc = ssrc,
                                .seq = seq,
                                .timestamp = timestamp,
                                .payload_type = type,
                                .marker = true,
                                .payload = payload,
                                .payload_len = len};
    int n = td_rtp_write(&out, bytes, sizeof(bytes));
    assert_true(n > 0);
    struct td_rtp_packet in;
    assert_int_equal(td_rtp_parse(bytes, (size_t)n, &in), 0);
    in.arrival_us = b->now_us;
    td_track_packet(b->track, &in, bytes, (size_t)n);
}

/* RFC 7741: a descriptor with S, then a frame of RFC 6386 in one packet. */
static void send_vp8(struct bench *b, uint32_t ssrc, uint16_t seq, bool key)
{
    static const uint8_t key_frame[] = {0x10, 0x10, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x80,
                                        0x02, 0x68, 0x01, 0x11, 0x22, 0x33, 0x44, 0x55};
    static const uint8_t delta[] = {0x10, 0x11, 0x00, 0x00, 0x21, 0x22, 0x23, 0x24};
    uint32_t timestamp = (uint32_t)seq * 3600;
    if (key)
        send_to(b, ssrc, VP8_TYPE, seq, timestamp, key_frame, sizeof(key_frame));
    else
        send_to(b, ssrc, VP8_TYPE, seq, timestamp, delta, sizeof(delta));
}

static void send_opus(struct bench *b, uint16_t seq)
{
    static const uint8_t packet[] = {0x78, 1, 2, 3, 4, 5, 6, 7};
    send_to(b, 1000, OPUS_TYPE, seq, (uint32_t)seq * 960, packet, sizeof(packet));
}

/* Reads what the track wants to send now. */
static void feedback(struct bench *b)
{
    uint8_t bytes[1200];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_track_feedback(b->track, b->now_us, OUR_SSRC, &w);
    assert_false(w.bad);
    struct td_reader r;
    td_reader_init(&r, bytes, td_writer_len(&w));
    struct td_rtcp_item item;
    while (td_rtcp_next(&r, &item) == 1) {
        assert_int_equal(item.sender_ssrc, OUR_SSRC);
        b->plis += item.kind == TD_RTCP_PLI;
        if (item.kind == TD_RTCP_NACK) {
            b->nacked++;
            b->first_nacked = (uint16_t)(item.body[0] << 8 | item.body[1]);
        }
    }
}

/* Time passes as on the media loop. */
static void pass(struct bench *b, int64_t us)
{
    for (int64_t end_us = b->now_us + us; b->now_us < end_us;) {
        b->now_us += TD_TICK_US;
        td_track_tick(b->track, b->now_us);
        feedback(b);
    }
}

static void test_in_order(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    feedback(&b);
    assert_int_equal(b.plis, 1); /* at the start */
    for (uint16_t seq = 10; seq < 20; seq++) {
        send_vp8(&b, 1000, seq, seq == 12);
        pass(&b, FRAME_US);
    }
    /* What came before the first key frame is left out, and is no gap. */
    assert_int_equal(b.frames, 8);
    assert_int_equal(b.keys, 1);
    assert_int_equal(b.gaps, 0);
    assert_int_equal(b.discontinuities, 0);
    assert_int_equal(b.plis, 1);
    struct td_track_stats stats;
    td_track_stats(b.track, &stats);
    assert_int_equal(stats.undecodable, 2);
    assert_int_equal(stats.packets, 10);
    assert_int_equal(stats.nacked, 0);
    bench_done(&b);
}

static void test_reordered(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    static const uint16_t order[] = {10, 12, 11, 14, 13, 15};
    for (size_t i = 0; i < 6; i++)
        send_vp8(&b, 1000, order[i], order[i] == 10);
    assert_int_equal(b.frames, 6);
    assert_int_equal(b.last_timestamp, 15 * 3600);
    assert_int_equal(b.gaps, 0);
    bench_done(&b);
}

static void test_hole_of_video(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    feedback(&b);
    for (uint16_t seq = 10; seq < 14; seq++) {
        send_vp8(&b, 1000, seq, seq == 10);
        pass(&b, FRAME_US);
    }
    /* 14 and 15 never come. */
    for (uint16_t seq = 16; seq < 75; seq++) {
        send_vp8(&b, 1000, seq, false);
        pass(&b, FRAME_US);
    }
    assert_int_equal(b.frames, 4);
    assert_int_equal(b.gaps, 0); /* not over yet */
    assert_true(b.nacked >= 3);
    assert_int_equal(b.first_nacked, 14);
    assert_int_equal(b.plis, 2); /* the start, and one since the hole: at most one in 2 s */
    send_vp8(&b, 1000, 75, true);
    send_vp8(&b, 1000, 76, false);
    assert_int_equal(b.frames, 6);
    assert_int_equal(b.gaps, 1);
    assert_int_equal(b.gap.packets, 2);
    assert_int_equal(b.gap.frames, 59);
    assert_int_equal(b.discontinuities, 1);
    assert_true(b.gap.from_us > 0 && b.gap.to_us > b.gap.from_us);
    pass(&b, 3000000);
    assert_int_equal(b.plis, 2); /* the picture is back: nothing more to ask for */
    struct td_track_stats stats;
    td_track_stats(b.track, &stats);
    assert_int_equal(stats.jitter.lost, 2);
    assert_int_equal(stats.undecodable, 59);
    assert_int_equal(stats.recovered, 0);
    bench_done(&b);
}

static void test_pli_cadence_without_an_answer(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    uint16_t seq = 10;
    for (int i = 0; i < 240; i++) { /* 9.6 s of deltas only */
        send_vp8(&b, 1000, seq++, false);
        pass(&b, FRAME_US);
    }
    assert_int_equal(b.frames, 0);
    assert_int_equal(b.plis, 5); /* at 0, 2, 4, 6 and 8 s */
    bench_done(&b);
}

static void test_retransmission_heals(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    feedback(&b);
    send_vp8(&b, 1000, 10, true);
    send_vp8(&b, 1000, 12, false);
    pass(&b, 50000);
    assert_true(td_track_waiting(b.track));
    assert_int_equal(b.nacked, 1);
    assert_int_equal(b.first_nacked, 11);
    assert_int_equal(b.frames, 1);
    send_vp8(&b, 1000, 11, false);
    send_vp8(&b, 1000, 11, false); /* twice: counted once */
    assert_int_equal(b.frames, 3);
    assert_int_equal(b.gaps, 0);
    struct td_track_stats stats;
    td_track_stats(b.track, &stats);
    assert_int_equal(stats.recovered, 1);
    assert_int_equal(stats.nacked, 1);
    pass(&b, 50000);
    assert_false(td_track_waiting(b.track));
    bench_done(&b);
}

static void test_hole_of_audio(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_AUDIO, 0);
    for (uint16_t seq = 1; seq <= 5; seq++) {
        send_opus(&b, seq);
        pass(&b, 20000);
    }
    for (uint16_t seq = 8; seq <= 60; seq++) {
        send_opus(&b, seq);
        pass(&b, 20000);
    }
    assert_int_equal(b.frames, 58); /* nothing else is left out */
    assert_int_equal(b.gaps, 1);
    assert_int_equal(b.gap.packets, 2);
    assert_int_equal(b.gap.frames, 0);
    assert_int_equal(b.discontinuities, 1);
    assert_int_equal(b.plis, 0);
    bench_done(&b);
}

static void test_new_ssrc(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    feedback(&b);
    send_vp8(&b, 1000, 10, true);
    send_vp8(&b, 1000, 12, false); /* 11 is lost for good */
    pass(&b, 3000000);
    unsigned plis = b.plis;
    bind(&b, 2000);
    struct td_rtp_packet old = {.ssrc = 1000}, fresh = {.ssrc = 2000};
    assert_false(td_track_claims(b.track, &old));
    assert_true(td_track_claims(b.track, &fresh));
    feedback(&b);
    assert_int_equal(b.plis, plis + 1);
    send_vp8(&b, 2000, 500, false);
    assert_int_equal(b.frames, 1);
    send_vp8(&b, 2000, 501, true);
    assert_int_equal(b.frames, 2);
    assert_int_equal(b.gaps, 1);
    assert_int_equal(b.discontinuities, 1);
    struct td_track_stats stats;
    td_track_stats(b.track, &stats);
    assert_int_equal(stats.jitter.lost, 1); /* of the stream before */
    bind(&b, 2000);                         /* the same again changes nothing */
    send_vp8(&b, 2000, 502, false);
    assert_int_equal(b.frames, 3);
    bench_done(&b);
}

static void test_ssrc_learnt_from_a_packet(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    bind(&b, 0);
    feedback(&b);
    assert_int_equal(b.plis, 0); /* nobody to ask yet */
    struct td_rtp_packet packet = {.ssrc = 3000, .payload_type = VP8_TYPE};
    assert_true(td_track_claims(b.track, &packet));
    packet.payload_type = 50;
    assert_false(td_track_claims(b.track, &packet));
    send_vp8(&b, 3000, 1, false);
    feedback(&b);
    assert_int_equal(b.plis, 1);
    packet = (struct td_rtp_packet){.ssrc = 4000, .payload_type = VP8_TYPE};
    assert_false(td_track_claims(b.track, &packet));
    bench_done(&b);
}

static void test_codec_change(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    send_vp8(&b, 1000, 10, true);
    send_vp8(&b, 1000, 11, false);
    assert_int_equal(b.codec, TD_CODEC_VP8);
    static const uint8_t delta[] = {0x41, 0x9a, 0x21, 0x33, 0x44};
    send_to(&b, 1000, H264_TYPE, 12, 12 * 3600, delta, sizeof(delta));
    assert_int_equal(b.frames, 2); /* a delta of the new codec has no base */
    send_vp8(&b, 1000, 13, false);
    assert_int_equal(b.frames, 2); /* and neither has one after the way back */
    send_vp8(&b, 1000, 14, true);
    assert_int_equal(b.frames, 3);
    assert_int_equal(b.gaps, 1);
    bench_done(&b);
}

static void test_unknown_payload(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_AUDIO, 0);
    static const uint8_t other[] = {1, 2, 3};
    send_to(&b, 1000, 13, 1, 960, other, sizeof(other));
    send_opus(&b, 2);
    send_to(&b, 1000, OPUS_TYPE, 3, 3 * 960, other, 0); /* padding only */
    struct td_track_stats stats;
    td_track_stats(b.track, &stats);
    assert_int_equal(stats.unknown_payload, 1);
    assert_int_equal(stats.depay.padding, 1);
    assert_int_equal(b.frames, 1);
    assert_int_equal(b.gaps, 0);
    bench_done(&b);
}

static void test_silence(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    pass(&b, 10000000);
    assert_int_equal(b.silences, 0); /* it never sent anything */
    send_vp8(&b, 1000, 1, true);
    unsigned plis = b.plis;
    pass(&b, TD_TRACK_SILENT_US - TD_TICK_US);
    assert_int_equal(b.silences, 0);
    pass(&b, TD_TICK_US);
    assert_int_equal(b.silences, 1);
    assert_int_equal(b.silent_us, TD_TRACK_SILENT_US);
    assert_int_equal(b.plis, plis + 1);
    pass(&b, 20000000);
    assert_int_equal(b.silences, 1); /* once a silence */
    send_vp8(&b, 1000, 2, true);
    pass(&b, TD_TRACK_SILENT_US);
    assert_int_equal(b.silences, 2);
    bench_done(&b);
}

static void test_mute(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    td_track_mute(b.track, true);
    pass(&b, 3000000);
    assert_int_equal(b.plis, 0);
    assert_false(td_track_waiting(b.track)); /* the loop need not hurry for it */
    td_track_mute(b.track, false);
    pass(&b, TD_TICK_US);
    assert_int_equal(b.plis, 1);
    send_vp8(&b, 1000, 1, true);
    td_track_mute(b.track, true);
    pass(&b, 60000000);
    assert_int_equal(b.silences, 0); /* a muted track is expected to be silent */
    assert_int_equal(b.plis, 1);
    td_track_mute(b.track, false);
    pass(&b, TD_TICK_US);
    assert_int_equal(b.plis, 2);
    bench_done(&b);
}

static void test_key_interval(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 4000000);
    feedback(&b);
    uint16_t seq = 1;
    send_vp8(&b, 1000, seq++, true);
    for (int i = 0; i < 97; i++) { /* 3.9 s */
        pass(&b, FRAME_US);
        send_vp8(&b, 1000, seq++, false);
    }
    assert_int_equal(b.plis, 1);
    pass(&b, 200000);
    assert_int_equal(b.plis, 2);
    send_vp8(&b, 1000, seq++, true);
    pass(&b, 3000000);
    assert_int_equal(b.plis, 2);
    bench_done(&b);
}

static void test_want_key(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    feedback(&b);
    send_vp8(&b, 1000, 1, true);
    pass(&b, 500000);
    td_track_want_key(b.track);
    pass(&b, 1000000);
    assert_int_equal(b.plis, 1); /* too soon after the first */
    pass(&b, 1000000);
    assert_int_equal(b.plis, 2);
    bench_done(&b);
}

/* Another track holds all slots: this one gives its holes up instead of waiting for memory. */
static void test_no_slots(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_AUDIO, 0);
    void *hogged[TD_REORDER_SLOTS];
    for (size_t i = 0; i < TD_REORDER_SLOTS; i++)
        hogged[i] = td_pool_take(&b.slots);
    send_opus(&b, 1);
    send_opus(&b, 3); /* no slot: lost, but the stream goes on when 2 comes */
    assert_int_equal(b.frames, 1);
    send_opus(&b, 2);
    assert_int_equal(b.frames, 2);
    for (size_t i = 0; i < TD_REORDER_SLOTS; i++)
        td_pool_give(&b.slots, hogged[i]);
    send_opus(&b, 4);
    pass(&b, TD_REORDER_US + 100000);
    assert_int_equal(b.frames, 3);
    struct td_track_stats stats;
    td_track_stats(b.track, &stats);
    assert_int_equal(stats.jitter.dropped, 1);
    assert_int_equal(b.gaps, 1);
    bench_done(&b);
}

static void test_flush(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_AUDIO, 0);
    td_track_flush(b.track, b.now_us);
    static const uint16_t came[] = {1, 2, 5, 6, 9, 700, 701};
    for (size_t i = 0; i < sizeof(came) / sizeof(*came); i++)
        send_opus(&b, came[i]);
    td_track_flush(b.track, b.now_us); /* the end: nothing is waited for */
    assert_int_equal(b.frames, 7);
    assert_int_equal(b.gaps, 3);
    struct td_track_stats stats;
    td_track_stats(b.track, &stats);
    assert_int_equal(stats.jitter.lost, 2 + 2 + 690);
    bench_done(&b);
}

static void test_budget(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, TD_MEDIA_VIDEO, 0);
    b.budget.max_bytes = td_budget_used(&b.budget) + 1; /* nothing fits any more */
    send_vp8(&b, 1000, 1, true);
    send_vp8(&b, 1000, 2, false);
    assert_int_equal(b.frames, 0);
    b.budget.max_bytes = 0;
    send_vp8(&b, 1000, 3, false);
    assert_int_equal(b.frames, 0); /* its base was lost */
    send_vp8(&b, 1000, 4, true);
    assert_int_equal(b.frames, 1);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_reordered),
        cmocka_unit_test(test_hole_of_video),
        cmocka_unit_test(test_pli_cadence_without_an_answer),
        cmocka_unit_test(test_retransmission_heals),
        cmocka_unit_test(test_hole_of_audio),
        cmocka_unit_test(test_new_ssrc),
        cmocka_unit_test(test_ssrc_learnt_from_a_packet),
        cmocka_unit_test(test_codec_change),
        cmocka_unit_test(test_unknown_payload),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_mute),
        cmocka_unit_test(test_key_interval),
        cmocka_unit_test(test_want_key),
        cmocka_unit_test(test_no_slots),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests_name("recorder/track", tests, NULL, NULL);
}
