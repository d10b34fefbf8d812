/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "seed.h"

struct row {
    const char *name;
    uint8_t bytes[40];
    size_t len;
    int result;
    size_t payload_len;
    size_t extension_len;
    size_t padding_len;
};

#define HEADER(first, second) first, second, 0x12, 0x34, 1, 2, 3, 4, 0xa, 0xb, 0xc, 0xd

static const struct row rows[] = {
    {"plain", {HEADER(0x80, 0xe0), 1, 2, 3}, 15, 0, 3, 0, 0},
    {"no payload", {HEADER(0x80, 0x60)}, 12, 0, 0, 0, 0},
    {"empty", {0}, 0, -TD_E_PARSE, 0, 0, 0},
    {"cut header", {HEADER(0x80, 0x60)}, 11, -TD_E_PARSE, 0, 0, 0},
    {"version 1", {HEADER(0x40, 0x60)}, 12, -TD_E_PARSE, 0, 0, 0},
    {"one csrc", {HEADER(0x81, 0x60), 0, 0, 0, 1, 9}, 17, 0, 1, 0, 0},
    {"cut csrc", {HEADER(0x82, 0x60), 0, 0, 0, 1, 9}, 17, -TD_E_PARSE, 0, 0, 0},
    {"extension", {HEADER(0x90, 0x60), 0xbe, 0xde, 0, 1, 0x10, 7, 0, 0, 9}, 21, 0, 1, 4, 0},
    {"empty extension", {HEADER(0x90, 0x60), 0xbe, 0xde, 0, 0, 9}, 17, 0, 1, 0, 0},
    {"cut extension", {HEADER(0x90, 0x60), 0xbe, 0xde, 0, 2, 0, 0, 0, 0}, 20, -TD_E_PARSE, 0, 0, 0},
    {"padding", {HEADER(0xa0, 0x60), 9, 9, 0, 2}, 16, 0, 2, 0, 2},
    {"padding only", {HEADER(0xa0, 0x60), 0, 0, 0, 4}, 16, 0, 0, 0, 4},
    {"padding 0", {HEADER(0xa0, 0x60), 0, 0, 0, 0}, 16, -TD_E_PARSE, 0, 0, 0},
    {"padding beyond", {HEADER(0xa0, 0x60), 0, 0, 0, 5}, 16, -TD_E_PARSE, 0, 0, 0},
    {"padding without bytes", {HEADER(0xa0, 0x60)}, 12, -TD_E_PARSE, 0, 0, 0},
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_rtp_packet p = {.arrival_us = 77, .seq = 1};
        int r = td_rtp_parse(rows[i].bytes, rows[i].len, &p);

        if (r != rows[i].result)
            fail_msg("%s: %d", rows[i].name, r);
        assert_int_equal(p.arrival_us, 77);
        if (r < 0) {
            assert_int_equal(p.seq, 1); /* untouched on failure */
            continue;
        }
        assert_int_equal(p.seq, 0x1234);
        assert_int_equal(p.timestamp, 0x01020304);
        assert_int_equal(p.ssrc, 0x0a0b0c0d);
        assert_int_equal(p.payload_type, 0x60);
        assert_int_equal(p.marker, rows[i].bytes[1] >> 7);
        assert_int_equal(p.payload_len, rows[i].payload_len);
        assert_int_equal(p.extension_len, rows[i].extension_len);
        assert_int_equal(p.padding_len, rows[i].padding_len);
    }
}

static void test_is_rtcp(void **state)
{
    static const uint8_t sr[] = {0x80, 200}, rtp[] = {0x80, 96}, first[] = {0x80, 192},
                         last[] = {0x80, 223}, above[] = {0x80, 224};

    (void)state;
    assert_true(td_rtp_is_rtcp(sr, 2));
    assert_true(td_rtp_is_rtcp(first, 2));
    assert_true(td_rtp_is_rtcp(last, 2));
    assert_false(td_rtp_is_rtcp(above, 2));
    assert_false(td_rtp_is_rtcp(rtp, 2));
    assert_false(td_rtp_is_rtcp(sr, 1));
}

static void test_write(void **state)
{
    static const uint8_t payload[] = {5, 6, 7};
    struct td_rtp_packet p = {.ssrc = 1,
                              .timestamp = 2,
                              .seq = 65535,
                              .payload_type = 111,
                              .marker = true,
                              .payload = payload,
                              .payload_len = 3};
    struct td_rtp_packet q = {0};
    uint8_t bytes[15];

    (void)state;
    assert_int_equal(td_rtp_write(&p, bytes, 14), -TD_E_LIMIT);
    assert_int_equal(td_rtp_write(&p, bytes, 15), 15);
    assert_int_equal(td_rtp_parse(bytes, 15, &q), 0);
    assert_int_equal(q.ssrc, 1);
    assert_int_equal(q.timestamp, 2);
    assert_int_equal(q.seq, 65535);
    assert_int_equal(q.payload_type, 111);
    assert_true(q.marker);
    assert_memory_equal(q.payload, payload, 3);
    p.payload = NULL;
    p.payload_len = 0;
    assert_int_equal(td_rtp_write(&p, bytes, 12), 12);
}

static void test_seq_distance(void **state)
{
    (void)state;
    assert_int_equal(td_rtp_seq_distance(1, 2), 1);
    assert_int_equal(td_rtp_seq_distance(2, 1), -1);
    assert_int_equal(td_rtp_seq_distance(65535, 0), 1);
    assert_int_equal(td_rtp_seq_distance(0, 65535), -1);
    assert_int_equal(td_rtp_seq_distance(0, 32767), 32767);
    assert_int_equal(td_rtp_seq_distance(0, 32768), -32768);
}

/* Whatever comes, the views stay inside of the datagram. */
static void test_mutations(void **state)
{
    uint64_t seed = seed_start("packet");

    (void)state;
    for (int round = 0; round < 100000; round++) {
        const struct row *row = &rows[seed_next(&seed) % (sizeof(rows) / sizeof(rows[0]))];
        size_t len = seed_next(&seed) % 41;
        uint8_t *bytes = malloc(len + 1); /* exact end: the sanitizer sees a byte too far */
        struct td_rtp_packet p = {0};

        assert_non_null(bytes);
        bytes = realloc(bytes, len > 0 ? len : 1);
        assert_non_null(bytes);
        memcpy(bytes, row->bytes, len < 40 ? len : 40);
        for (uint64_t n = seed_next(&seed) % 4; n > 0 && len > 0 && len <= 40; n--)
            bytes[seed_next(&seed) % len] = (uint8_t)seed_next(&seed);
        if (len <= 40 && td_rtp_parse(bytes, len, &p) == 0) {
            volatile uint8_t sum = 0;

            for (size_t i = 0; i < p.payload_len; i++)
                sum = (uint8_t)(sum + p.payload[i]);
            for (size_t i = 0; i < p.extension_len; i++)
                sum = (uint8_t)(sum + p.extension[i]);
            assert_true(p.payload_len + p.padding_len + p.extension_len + 12 <= len);
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),     cmocka_unit_test(test_is_rtcp),
        cmocka_unit_test(test_write),     cmocka_unit_test(test_seq_distance),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
