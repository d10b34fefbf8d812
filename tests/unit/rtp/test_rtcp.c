/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/rtcp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "seed.h"

struct list {
    uint16_t seqs[64];
    size_t count;
};

static void note(void *ctx, uint16_t seq)
{
    struct list *list = ctx;

    assert_true(list->count < 64);
    list->seqs[list->count++] = seq;
}

static size_t build(uint8_t *bytes, size_t capacity)
{
    static const uint16_t lost[] = {65534, 65535, 0, 14, 15, 200};
    static const struct td_rtcp_block blocks[] = {
        {.ssrc = 7,
         .fraction_lost = 255,
         .cumulative_lost = -1,
         .highest_seq = 0x10005,
         .jitter_ticks = 9,
         .last_sr = 0x01020304,
         .delay_since_sr = 65536},
        {.ssrc = 8, .cumulative_lost = 0x1000000},
    };
    struct td_writer w;

    td_writer_init(&w, bytes, capacity);
    td_rtcp_write_sender_report(&w, 1, UINT64_C(0x1122334455667788), 99, 3, 4);
    td_rtcp_write_receiver_report(&w, 2, blocks, 2);
    td_rtcp_write_cname(&w, 1, "someone");
    td_rtcp_write_nack(&w, 1, 7, lost, 6);
    td_rtcp_write_pli(&w, 1, 7);
    td_rtcp_write_bye(&w, 1);
    assert_false(w.bad);
    return td_writer_len(&w);
}

static void test_round_trip(void **state)
{
    uint8_t bytes[256];
    struct td_reader r;
    struct td_rtcp_item item;
    struct list list = {.count = 0};

    (void)state;
    td_reader_init(&r, bytes, build(bytes, sizeof(bytes)));
    assert_int_equal(td_rtcp_next(&r, &item), 1);
    assert_int_equal(item.kind, TD_RTCP_SENDER_REPORT);
    assert_int_equal(item.sender_ssrc, 1);
    assert_true(item.ntp == UINT64_C(0x1122334455667788));
    assert_int_equal(item.rtp_timestamp, 99);
    assert_int_equal(item.packet_count, 3);
    assert_int_equal(item.octet_count, 4);
    assert_int_equal(td_rtcp_next(&r, &item), 1);
    assert_int_equal(item.kind, TD_RTCP_RECEIVER_REPORT);
    assert_int_equal(item.block_count, 2);
    assert_int_equal(item.blocks[0].fraction_lost, 255);
    assert_int_equal(item.blocks[0].cumulative_lost, -1);
    assert_int_equal(item.blocks[0].highest_seq, 0x10005);
    assert_int_equal(item.blocks[0].last_sr, 0x01020304);
    assert_int_equal(item.blocks[1].cumulative_lost, 0x7fffff); /* clamped */
    assert_int_equal(td_rtcp_next(&r, &item), 1);
    assert_int_equal(item.kind, TD_RTCP_OTHER);
    assert_int_equal(td_rtcp_next(&r, &item), 1);
    assert_int_equal(item.kind, TD_RTCP_NACK);
    assert_int_equal(item.media_ssrc, 7);
    assert_int_equal(item.body_len, 12); /* 65534 with 65535, 0, 14; then 15; then 200 */
    td_rtcp_nack_each(&item, note, &list);
    assert_int_equal(list.count, 6);
    assert_int_equal(list.seqs[0], 65534);
    assert_int_equal(list.seqs[2], 0);
    assert_int_equal(list.seqs[3], 14);
    assert_int_equal(list.seqs[4], 15);
    assert_int_equal(list.seqs[5], 200);
    assert_int_equal(td_rtcp_next(&r, &item), 1);
    assert_int_equal(item.kind, TD_RTCP_PLI);
    assert_int_equal(td_rtcp_next(&r, &item), 1);
    assert_int_equal(item.kind, TD_RTCP_BYE);
    assert_int_equal(item.sender_ssrc, 1);
    assert_int_equal(td_rtcp_next(&r, &item), 0);
}

static void test_malformed(void **state)
{
    static const struct {
        const char *name;
        uint8_t bytes[16];
        size_t len;
        int result;
    } rows[] = {
        {"empty", {0}, 0, 0},
        {"cut header", {0x80, 200, 0}, 3, -TD_E_PARSE},
        {"length beyond", {0x80, 201, 0, 2, 0, 0, 0, 1}, 8, -TD_E_PARSE},
        {"version 1", {0x40, 201, 0, 1, 0, 0, 0, 1}, 8, -TD_E_PARSE},
        {"more blocks than bytes", {0x81, 201, 0, 1, 0, 0, 0, 1}, 8, -TD_E_PARSE},
        {"short sender report", {0x80, 200, 0, 1, 0, 0, 0, 1}, 8, -TD_E_PARSE},
        {"bye without sources", {0x80, 203, 0, 0}, 4, 1},
        {"bye with a missing source", {0x81, 203, 0, 0}, 4, -TD_E_PARSE},
        {"nack without media source", {0x81, 205, 0, 1, 0, 0, 0, 1}, 8, -TD_E_PARSE},
        {"padding 0", {0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0}, 12, -TD_E_PARSE},
        {"padding", {0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4}, 12, 1},
        {"padding over all", {0xa0, 201, 0, 1, 0, 0, 0, 5}, 8, -TD_E_PARSE},
        {"odd fir", {0x84, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}, 16, -TD_E_PARSE},
        {"unknown type", {0x80, 210, 0, 0}, 4, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_reader r;
        struct td_rtcp_item item;
        int result;

        td_reader_init(&r, rows[i].bytes, rows[i].len);
        result = td_rtcp_next(&r, &item);
        if (result != rows[i].result)
            fail_msg("%s: %d", rows[i].name, result);
    }
}

static void test_writer_full(void **state)
{
    uint8_t bytes[256];
    size_t whole = build(bytes, sizeof(bytes));

    (void)state;
    for (size_t capacity = 0; capacity < whole; capacity++) {
        struct td_writer w;

        td_writer_init(&w, bytes, capacity);
        td_rtcp_write_cname(&w, 1, "a name of twenty bytes");
        assert_int_equal(w.bad, capacity < 36);
    }
}

static void test_ntp(void **state)
{
    static const int64_t walls[] = {0, 1, 999999, -1, 1795253400123457, 2085978495999999};

    (void)state;
    assert_true(td_ntp_from_wall_us(0) == UINT64_C(2208988800) << 32);
    assert_true(td_ntp_from_wall_us(500000) == (UINT64_C(2208988800) << 32 | 0x80000000));
    for (size_t i = 0; i < sizeof(walls) / sizeof(walls[0]); i++)
        assert_true(td_ntp_to_us(td_ntp_from_wall_us(walls[i])) ==
                    walls[i] + INT64_C(2208988800000000));
}

static void test_mutations(void **state)
{
    uint64_t seed = seed_start("rtcp");
    uint8_t good[256];
    size_t good_len = build(good, sizeof(good));

    (void)state;
    for (int round = 0; round < 60000; round++) {
        size_t len = 1 + seed_next(&seed) % good_len;
        uint8_t *bytes = malloc(len);
        struct td_rtcp_item item;
        struct td_reader r;
        int items = 0;

        assert_non_null(bytes);
        memcpy(bytes, good, len);
        for (uint64_t n = seed_next(&seed) % 6; n > 0; n--)
            bytes[seed_next(&seed) % len] = (uint8_t)seed_next(&seed);
        td_reader_init(&r, bytes, len);
        while (td_rtcp_next(&r, &item) == 1) {
            volatile uint8_t sum = 0;

            assert_true(item.block_count <= TD_RTCP_BLOCKS_MAX);
            for (size_t i = 0; i < item.body_len; i++)
                sum = (uint8_t)(sum + item.body[i]);
            assert_true(++items <= 64);
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_writer_full), cmocka_unit_test(test_ntp),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
