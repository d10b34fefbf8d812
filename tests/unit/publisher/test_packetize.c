/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/codec.h"
#include "publisher/packetize.h"
#include "rtp/packet.h"

enum { PACKETS_MAX = 4000 };

static struct {
    uint8_t bytes[TD_PACKETIZE_BYTES_MAX];
    size_t len;
    uint16_t seq;
} sent[PACKETS_MAX];
static size_t sent_count;
static int sink_answer;

static int take(void *ctx, uint16_t seq, const uint8_t *bytes, size_t len)
{
    (void)ctx;
    if (sink_answer < 0)
        return sink_answer;
    assert_true(sent_count < PACKETS_MAX);
    assert_in_range(len, TD_RTP_HEADER_BYTES + 1, TD_PACKETIZE_BYTES_MAX);
    memcpy(sent[sent_count].bytes, bytes, len);
    sent[sent_count].len = len;
    sent[sent_count++].seq = seq;
    return 0;
}

static const struct td_packet_sink sink = {.packet = take};

static struct td_rtp_packet packet(size_t i)
{
    struct td_rtp_packet p = {0};
    assert_true(i < sent_count);
    assert_int_equal(td_rtp_parse(sent[i].bytes, sent[i].len, &p), 0);
    assert_int_equal(p.seq, sent[i].seq);
    return p;
}

static struct td_packetizer packetizer(const struct td_packetize_config *config)
{
    struct td_packetizer p;
    assert_int_equal(td_packetizer_init(&p, config), 0);
    sent_count = 0;
    sink_answer = 0;
    return p;
}

/* Xorshift; the seed is printed by main. */
static uint32_t seed = 0x1badb002;

static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

/* Bytes that hold no start code. */
static void fill(uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(next_random() % 255 + 1);
}

static size_t put_nal(uint8_t *to, uint8_t header, size_t len)
{
    static const uint8_t start_code[] = {0, 0, 0, 1};
    memcpy(to, start_code, 4);
    to[4] = header;
    fill(to + 5, len - 1);
    return 4 + len;
}

static void test_single(void **state)
{
    (void)state;
    static const uint8_t frame_bytes[] = {0, 0, 0, 1, 0x09, 0xf0, 0, 0, 1, 0x41, 1, 2, 3};
    struct td_frame frame = {
        .rtp_timestamp = 3000, .bytes = frame_bytes, .len = sizeof(frame_bytes)};
    struct td_packetizer p =
        packetizer(&(struct td_packetize_config){.codec = TD_CODEC_H264,
                                                 .ssrc = 0xdeadbeef,
                                                 .payload_type = 102,
                                                 .first_seq = 0xffff,
                                                 .first_timestamp = 0xffffffff});
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), 1);
    struct td_rtp_packet out = packet(0);
    assert_int_equal(out.ssrc, 0xdeadbeef);
    assert_int_equal(out.payload_type, 102);
    assert_int_equal(out.seq, 0xffff);
    assert_int_equal(out.timestamp, 2999);
    assert_true(out.marker);
    assert_int_equal(out.payload_len, 4); /* the delimiter is left out */
    assert_memory_equal(out.payload, frame_bytes + 9, 4);
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), 1);
    assert_int_equal(packet(1).seq, 0);
}

static void test_fragments(void **state)
{
    (void)state;
    static uint8_t bytes[4 + 5000];
    size_t len = put_nal(bytes, 0x65, 5000);
    struct td_frame frame = {.key = true, .bytes = bytes, .len = len};
    struct td_packetizer p =
        packetizer(&(struct td_packetize_config){.codec = TD_CODEC_H264, .first_seq = 10});
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), 5); /* 4999 / 1186 */
    size_t at = 5;
    for (size_t i = 0; i < sent_count; i++) {
        struct td_rtp_packet out = packet(i);
        bool last = i + 1 == sent_count;
        assert_int_equal(sent[i].len, last ? 12u + 2u + 4999u - 4u * 1186u : 1200u);
        assert_int_equal(out.payload[0], 0x60 | 28);
        assert_int_equal(out.payload[1], (i == 0 ? 0x80 : 0) | (last ? 0x40 : 0) | 5);
        assert_int_equal(out.marker, last);
        assert_memory_equal(out.payload + 2, bytes + at, out.payload_len - 2);
        at += out.payload_len - 2;
    }
    assert_int_equal(at, len);
}

static void test_aggregate(void **state)
{
    (void)state;
    static uint8_t bytes[4096];
    size_t len = put_nal(bytes, 0x67, 20);
    len += put_nal(bytes + len, 0x28, 5); /* NRI 1 */
    size_t slice = len;
    len += put_nal(bytes + len, 0x65, 100);
    struct td_frame frame = {.key = true, .bytes = bytes, .len = len};
    struct td_packetizer p =
        packetizer(&(struct td_packetize_config){.codec = TD_CODEC_H264, .stap_a = true});
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), 2);
    struct td_rtp_packet out = packet(0);
    assert_false(out.marker);
    assert_int_equal(out.payload[0], 0x60 | 24);
    assert_int_equal(out.payload_len, 1 + 2 + 20 + 2 + 5);
    assert_int_equal(out.payload[1] << 8 | out.payload[2], 20);
    assert_memory_equal(out.payload + 3, bytes + 4, 20);
    out = packet(1);
    assert_true(out.marker);
    assert_memory_equal(out.payload, bytes + slice + 4, 100);
}

static void test_vp8(void **state)
{
    (void)state;
    static uint8_t bytes[3000];
    fill(bytes, sizeof(bytes));
    struct td_frame frame = {.bytes = bytes, .len = sizeof(bytes)};
    struct td_packetizer p = packetizer(
        &(struct td_packetize_config){.codec = TD_CODEC_VP8, .first_picture_id = 0x7fff});
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), 3);
    for (size_t i = 0; i < 3; i++) {
        static const uint8_t first[] = {0x90, 0x80, 0xff, 0xff};
        static const uint8_t later[] = {0x80, 0x80, 0xff, 0xff};
        struct td_rtp_packet out = packet(i);
        assert_memory_equal(out.payload, i == 0 ? first : later, 4);
        assert_int_equal(out.marker, i == 2);
    }
    p.config.tl0 = true;
    frame.len = 10;
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), 1);
    static const uint8_t next[] = {0x90, 0xe0, 0x80, 0x00, 0x01, 0x00}; /* PictureID wrapped */
    assert_memory_equal(packet(3).payload, next, 6);
    assert_int_equal(packet(3).payload_len, 16);
}

static void test_mid(void **state)
{
    static const struct {
        const char *mid;
        size_t bytes;
    } rows[] = {{"0", 4}, {"abc", 4}, {"abcd", 8}, {"abcdefghijklmnop", 20}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static uint8_t bytes[2000];
        struct td_packetize_config config = {.codec = TD_CODEC_VP8, .mid_id = 3};
        (void)snprintf(config.mid, sizeof(config.mid), "%s", rows[i].mid);
        struct td_packetizer p = packetizer(&config);
        fill(bytes, sizeof(bytes));
        struct td_frame frame = {.bytes = bytes, .len = sizeof(bytes)};
        assert_int_equal(td_packetizer_frame(&p, &frame, &sink), 2);
        struct td_rtp_packet out = packet(0);
        assert_int_equal(sent[0].len, 1200);
        assert_int_equal(out.extension_profile, 0xbede);
        assert_int_equal(out.extension_len, rows[i].bytes);
        assert_int_equal(out.extension[0], 3 << 4 | (strlen(rows[i].mid) - 1));
        assert_memory_equal(out.extension + 1, rows[i].mid, strlen(rows[i].mid));
    }
}

static void test_opus(void **state)
{
    (void)state;
    uint8_t bytes[120];
    fill(bytes, sizeof(bytes));
    struct td_frame frame = {.bytes = bytes, .len = sizeof(bytes)};
    struct td_packetizer p = packetizer(&(struct td_packetize_config){.codec = TD_CODEC_OPUS});
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), 1);
    frame.rtp_timestamp = 960;
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), 1);
    assert_true(packet(0).marker);
    assert_false(packet(1).marker);
    assert_int_equal(packet(1).timestamp, 960);
    assert_memory_equal(packet(1).payload, bytes, sizeof(bytes));
}

static void test_refused(void **state)
{
    (void)state;
    static const struct td_packetize_config bad[] = {
        {.codec = TD_CODEC_NONE},
        {.codec = TD_CODEC_MAX},
        {.codec = TD_CODEC_VP8, .payload_type = 128},
        {.codec = TD_CODEC_VP8, .packet_bytes_max = 1201},
        {.codec = TD_CODEC_VP8, .packet_bytes_max = 63},
        {.codec = TD_CODEC_VP8, .mid_id = 15, .mid = "0"},
        {.codec = TD_CODEC_VP8, .mid_id = 1, .mid = ""},
    };
    struct td_packetizer p;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(td_packetizer_init(&p, &bad[i]), -TD_E_USAGE);

    static const uint8_t no_start_code[] = {1, 2, 3, 4, 5, 6};
    struct td_frame frame = {.bytes = no_start_code, .len = sizeof(no_start_code)};
    p = packetizer(&(struct td_packetize_config){.codec = TD_CODEC_H264});
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), -TD_E_PARSE);
    /* An Opus packet is never cut. */
    static uint8_t large[1300];
    frame = (struct td_frame){.bytes = large, .len = sizeof(large)};
    p = packetizer(&(struct td_packetize_config){.codec = TD_CODEC_OPUS});
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), -TD_E_LIMIT);
    assert_int_equal(sent_count, 0);
    sink_answer = -TD_E_CLOSED;
    frame.len = 10;
    assert_int_equal(td_packetizer_frame(&p, &frame, &sink), -TD_E_CLOSED);
}

/* Frames of any size, through packets of any size, out of the depacketiser unchanged. */
static void round_trip(enum td_codec codec, uint16_t packet_bytes_max, bool option)
{
    static uint8_t bytes[200000];
    struct td_packetize_config config = {
        .codec = codec, .packet_bytes_max = packet_bytes_max, .stap_a = option, .tl0 = option};
    assert_int_equal(td_packetize_config_random(&config), 0);
    struct td_packetizer p = packetizer(&config);
    struct td_depay *depay = NULL;
    assert_int_equal(td_depay_new(codec, NULL, &depay), 0);
    for (unsigned n = 0; n < 60; n++) {
        size_t len = next_random() % (n % 10 == 0 ? 60000 : 3000) + 20;
        size_t at = 0;
        struct td_frame frame = {.rtp_timestamp = n * 3000, .bytes = bytes};
        if (codec == TD_CODEC_H264) {
            unsigned slices = next_random() % 4 + 1;
            for (unsigned i = 0; i < slices; i++) {
                size_t slice = at;
                at += put_nal(bytes + at, 0x41, len / slices + 2);
                bytes[slice + 5] = 0xe1; /* first_mb 0, slice_type P, PPS 0 */
            }
        } else {
            fill(bytes, len);
            /* RFC 6386 section 9.1: an inter frame that is shown, first partition of 8 bytes. */
            memcpy(bytes, (const uint8_t[]){0x11, 1, 0}, 3);
            at = codec == TD_CODEC_OPUS ? len % (packet_bytes_max - 20u) + 3 : len;
            bytes[0] = codec == TD_CODEC_OPUS ? 0x78 : bytes[0]; /* CELT 20 ms, one frame */
        }
        frame.len = at;
        sent_count = 0;
        assert_true(td_packetizer_frame(&p, &frame, &sink) > 0);
        struct td_frame out;
        for (size_t i = 0; i < sent_count; i++) {
            struct td_rtp_packet in = packet(i);
            assert_true(sent[i].len <= packet_bytes_max);
            assert_int_equal(td_depay_push(depay, &in), 0);
        }
        assert_int_equal(td_depay_pop(depay, &out), 1);
        assert_int_equal(out.len, frame.len);
        assert_memory_equal(out.bytes, bytes, frame.len);
        assert_int_equal(out.rtp_timestamp, config.first_timestamp + n * 3000);
        assert_false(out.discontinuity);
        assert_int_equal(td_depay_pop(depay, &out), 0);
    }
    assert_null(td_depay_free(depay));
}

static void test_round_trip(void **state)
{
    static const uint16_t sizes[] = {64, 200, 1200};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int option = 0; option < 2; option++) {
            round_trip(TD_CODEC_H264, sizes[i], option == 1);
            round_trip(TD_CODEC_VP8, sizes[i], option == 1);
            round_trip(TD_CODEC_OPUS, sizes[i], option == 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),    cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_aggregate), cmocka_unit_test(test_vp8),
        cmocka_unit_test(test_mid),       cmocka_unit_test(test_opus),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_round_trip),
    };
    (void)fprintf(stderr, "# seed %08x\n", seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
