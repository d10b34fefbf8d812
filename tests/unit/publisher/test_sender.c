/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "publisher/sender.h"
#include "rtp/packet.h"

enum { START_US = 5000000, SECOND_US = 1000000 };
static const int64_t start_wall_us = INT64_C(1790000000000000);

static struct {
    uint16_t seqs[4096];
    size_t count;
    int answer;
} wire;

static int take(void *ctx, uint16_t seq, const uint8_t *bytes, size_t len)
{
    struct td_rtp_packet p = {0};
    (void)ctx;
    if (wire.answer < 0)
        return wire.answer;
    assert_int_equal(td_rtp_parse(bytes, len, &p), 0);
    assert_int_equal(p.seq, seq);
    assert_true(wire.count < 4096);
    wire.seqs[wire.count++] = seq;
    return 0;
}

static struct td_sender *sender(enum td_codec codec, uint32_t ssrc)
{
    struct td_sender_config config = {
        .rtp = {.codec = codec, .ssrc = ssrc, .first_seq = 100, .first_timestamp = 0xfffffff0},
        .start_us = START_US,
        .start_wall_us = start_wall_us,
        .cname = "cname",
    };
    const struct td_packet_sink sink = {.packet = take};
    struct td_sender *s = NULL;
    memset(&wire, 0, sizeof(wire));
    assert_int_equal(td_sender_new(&config, &sink, &s), 0);
    assert_int_equal(td_sender_ssrc(s), ssrc);
    return s;
}

static void send_frames(struct td_sender *s, unsigned count, size_t len, int64_t now_us)
{
    static uint8_t bytes[20000];
    bytes[0] = 1;
    for (unsigned i = 0; i < count; i++) {
        struct td_frame frame = {.rtp_timestamp = i * 3000, .bytes = bytes, .len = len};
        assert_int_equal(td_sender_frame(s, &frame, now_us), 0);
    }
}

static struct td_rtcp_item report_of(struct td_sender *s, int64_t now_us)
{
    uint8_t bytes[256];
    struct td_writer w;
    struct td_reader r;
    struct td_rtcp_item item, cname;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_sender_report(s, now_us, &w);
    assert_false(w.bad);
    td_reader_init(&r, bytes, td_writer_len(&w));
    assert_int_equal(td_rtcp_next(&r, &item), 1);
    assert_int_equal(item.kind, TD_RTCP_SENDER_REPORT);
    assert_int_equal(td_rtcp_next(&r, &cname), 1);
    assert_int_equal(td_rtcp_next(&r, &cname), 0);
    return item;
}

static void test_report(void **state)
{
    (void)state;
    struct td_sender *s = sender(TD_CODEC_VP8, 7);
    uint8_t bytes[256];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_sender_report(s, START_US, &w);
    assert_int_equal(td_writer_len(&w), 0); /* nothing sent yet */
    send_frames(s, 3, 2000, START_US);
    struct td_rtcp_item item = report_of(s, START_US + 2 * SECOND_US + 500000);
    assert_int_equal(item.sender_ssrc, 7);
    assert_int_equal(item.packet_count, 6);
    assert_int_equal(item.octet_count, 6 * 4 + 3 * 2000);
    assert_int_equal(item.rtp_timestamp, (uint32_t)(0xfffffff0u + 225000u));
    assert_true(item.ntp == td_ntp_from_wall_us(start_wall_us + 2500000));
    assert_null(td_sender_free(s));
}

/* Both tracks' reports name the same wall time for the same media time, after days too. */
static void test_aligned(void **state)
{
    (void)state;
    static const int64_t after_us[] = {0, 1, 33333, 59999999, INT64_C(86400000000) * 40 + 12345};
    for (size_t i = 0; i < sizeof(after_us) / sizeof(after_us[0]); i++) {
        struct td_sender *video = sender(TD_CODEC_VP8, 7);
        struct td_sender *audio = sender(TD_CODEC_OPUS, 8);
        send_frames(video, 1, 100, START_US);
        send_frames(audio, 1, 100, START_US);
        struct td_rtcp_item v = report_of(video, START_US + after_us[i]);
        struct td_rtcp_item a = report_of(audio, START_US + after_us[i]);
        assert_true(v.ntp == a.ntp);
        uint64_t video_ticks = (uint64_t)after_us[i] * 9 / 100;
        uint64_t audio_ticks = (uint64_t)after_us[i] * 6 / 125;
        assert_int_equal(v.rtp_timestamp, 0xfffffff0u + (uint32_t)video_ticks);
        assert_int_equal(a.rtp_timestamp, 0xfffffff0u + (uint32_t)audio_ticks);
        (void)td_sender_free(video);
        (void)td_sender_free(audio);
    }
}

static void nack(struct td_sender *s, uint32_t ssrc, const uint16_t *seqs, size_t count,
                 int64_t now_us)
{
    uint8_t bytes[1024];
    struct td_writer w;
    struct td_reader r;
    struct td_rtcp_item item;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_rtcp_write_nack(&w, 99, ssrc, seqs, count);
    assert_false(w.bad);
    td_reader_init(&r, bytes, td_writer_len(&w));
    assert_int_equal(td_rtcp_next(&r, &item), 1);
    td_sender_feedback(s, &item, now_us);
}

static void test_nack(void **state)
{
    (void)state;
    struct td_sender *s = sender(TD_CODEC_VP8, 7);
    send_frames(s, 20, 2000, START_US); /* 100..139 */
    const uint16_t asked[] = {99, 101, 105, 139, 140};
    wire.count = 0;
    nack(s, 8, asked, 5, START_US + 50000); /* another stream's */
    assert_int_equal(wire.count, 0);
    nack(s, 7, asked, 5, START_US + 50000);
    assert_int_equal(wire.count, 3);
    assert_int_equal(wire.seqs[0], 101);
    assert_int_equal(wire.seqs[1], 105);
    assert_int_equal(wire.seqs[2], 139);
    nack(s, 7, asked, 5, START_US + 51000); /* asked again at once: not doubled */
    assert_int_equal(wire.count, 3);
    nack(s, 7, asked, 5, START_US + 90000);
    assert_int_equal(wire.count, 6);
    const struct td_sender_stats *stats = td_sender_stats(s);
    assert_int_equal(stats->packets, 40);
    assert_int_equal(stats->resent, 6);
    assert_int_equal(stats->nacks, 15);
    (void)td_sender_free(s);
}

/* One feedback packet sets off a bounded burst only. */
static void test_burst(void **state)
{
    (void)state;
    struct td_sender *s = sender(TD_CODEC_VP8, 7);
    uint16_t asked[300];
    send_frames(s, 300, 500, START_US);
    for (size_t i = 0; i < 300; i++)
        asked[i] = (uint16_t)(100 + i);
    wire.count = 0;
    nack(s, 7, asked, 300, START_US + SECOND_US);
    assert_int_equal(wire.count, TD_SENDER_RESEND_MAX);
    (void)td_sender_free(s);
}

static void test_feedback(void **state)
{
    (void)state;
    struct td_sender *s = sender(TD_CODEC_VP8, 7);
    send_frames(s, 1, 100, START_US);
    struct td_rtcp_item pli = {.kind = TD_RTCP_PLI, .media_ssrc = 7};
    td_sender_feedback(s, &pli, START_US);
    pli.media_ssrc = 8;
    td_sender_feedback(s, &pli, START_US);
    static const uint8_t entries[] = {0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0, 0, 0, 0};
    struct td_rtcp_item fir = {.kind = TD_RTCP_FIR, .body = entries, .body_len = sizeof(entries)};
    td_sender_feedback(s, &fir, START_US);
    assert_int_equal(td_sender_stats(s)->key_requests, 2);

    /* Our report left at 1 s, was held 0.5 s, and its answer came at 1.6 s: 100 ms. */
    struct td_rtcp_item sent = report_of(s, START_US + SECOND_US);
    struct td_rtcp_item answer = {
        .kind = TD_RTCP_RECEIVER_REPORT,
        .block_count = 2,
        .blocks = {{.ssrc = 8, .fraction_lost = 200},
                   {.ssrc = 7,
                    .fraction_lost = 26,
                    .cumulative_lost = 12,
                    .last_sr = (uint32_t)(sent.ntp >> 16),
                    .delay_since_sr = 32768}},
    };
    td_sender_feedback(s, &answer, START_US + 1600000);
    const struct td_sender_stats *stats = td_sender_stats(s);
    assert_int_equal(stats->reports, 1);
    assert_int_equal(stats->fraction_lost, 26);
    assert_int_equal(stats->cumulative_lost, 12);
    assert_in_range(stats->rtt_us, 99900, 100100);
    /* A receiver that rounds its delay up makes no round trip of 18 hours. */
    answer.blocks[1].delay_since_sr = 65536;
    td_sender_feedback(s, &answer, START_US + 1600000);
    assert_in_range(td_sender_stats(s)->rtt_us, 99900, 100100);
    (void)td_sender_free(s);
}

/* What could not be sent can still be asked for. */
static void test_send_error(void **state)
{
    (void)state;
    struct td_sender *s = sender(TD_CODEC_VP8, 7);
    wire.answer = -TD_E_STATE;
    send_frames(s, 1, 3000, START_US);
    assert_int_equal(td_sender_stats(s)->send_errors, 3);
    wire.answer = 0;
    nack(s, 7, (const uint16_t[]){100, 101, 102}, 3, START_US + SECOND_US);
    assert_int_equal(wire.count, 3);
    (void)td_sender_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report),   cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_nack),     cmocka_unit_test(test_burst),
        cmocka_unit_test(test_feedback), cmocka_unit_test(test_send_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
