/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void feed(struct td_report *r, uint16_t seq, int64_t arrival_us, uint32_t timestamp)
{
    struct td_rtp_packet p = {.seq = seq, .timestamp = timestamp, .arrival_us = arrival_us};

    td_report_packet(r, &p);
}

static void test_counts(void **state)
{
    struct td_report r;
    struct td_rtcp_block b;

    (void)state;
    td_report_init(&r, 42, 90000);
    td_report_block(&r, 0, &b); /* before any packet */
    assert_int_equal(b.ssrc, 42);
    assert_int_equal(b.fraction_lost, 0);
    assert_int_equal(b.cumulative_lost, 0);
    /* 65530 .. 65539 without every second: 5 of 9 (the last is 65538). */
    for (uint32_t i = 0; i < 10; i += 2)
        feed(&r, (uint16_t)(65530 + i), 0, 0);
    td_report_block(&r, 0, &b);
    assert_int_equal(b.cumulative_lost, 4);
    assert_int_equal(b.fraction_lost, (4 << 8) / 9);
    assert_int_equal(b.highest_seq, 65538);
    td_report_block(&r, 0, &b); /* nothing expected since */
    assert_int_equal(b.fraction_lost, 0);
    for (int i = 0; i < 10; i++)
        feed(&r, 2, 0, 0); /* duplicates make it negative (A.3) */
    td_report_block(&r, 0, &b);
    assert_int_equal(b.cumulative_lost, -6);
    assert_int_equal(b.fraction_lost, 0);
}

static void test_clamps(void **state)
{
    struct td_report r;
    struct td_rtcp_block b;

    (void)state;
    td_report_init(&r, 1, 90000);
    for (uint32_t i = 0; i < 10000000 / 2500; i++)
        feed(&r, (uint16_t)(i * 2500), 0, 0);
    td_report_block(&r, 0, &b);
    assert_int_equal(b.cumulative_lost, 0x7fffff);
    assert_int_equal(b.fraction_lost, 255);
}

static void test_restart(void **state)
{
    struct td_report r;
    struct td_rtcp_block b;

    (void)state;
    td_report_init(&r, 1, 90000);
    for (uint16_t i = 0; i < 10; i++)
        feed(&r, (uint16_t)(100 + i), 0, 0);
    feed(&r, 40000, 0, 0); /* one alone is not believed … */
    td_report_block(&r, 0, &b);
    assert_int_equal(b.highest_seq, 109);
    feed(&r, 40001, 0, 0); /* … two in a row are */
    td_report_block(&r, 0, &b);
    assert_int_equal(b.highest_seq, 40001);
    assert_int_equal(b.cumulative_lost, 0);
}

static void test_jitter(void **state)
{
    struct td_report r;
    struct td_rtcp_block b;

    (void)state;
    td_report_init(&r, 1, 48000);
    for (uint32_t i = 0; i < 200; i++)
        feed(&r, (uint16_t)i, i * INT64_C(20000), i * 960);
    td_report_block(&r, 0, &b);
    assert_int_equal(b.jitter_ticks, 0);
    /* Every second packet 10 ms (480 ticks) late: |D| is 480 each time, so is its mean. */
    for (uint32_t i = 200; i < 600; i++)
        feed(&r, (uint16_t)i, i * INT64_C(20000) + (i % 2) * 10000, i * 960);
    td_report_block(&r, 0, &b);
    assert_in_range(b.jitter_ticks, 475, 485);
}

static void test_sender_report(void **state)
{
    struct td_report r;
    struct td_rtcp_block b;

    (void)state;
    td_report_init(&r, 1, 48000);
    td_report_block(&r, 5000000, &b);
    assert_int_equal(b.last_sr, 0);
    assert_int_equal(b.delay_since_sr, 0);
    td_report_sender_report(&r, UINT64_C(0x1111222233334444), 5000000);
    td_report_block(&r, 6500000, &b);
    assert_int_equal(b.last_sr, 0x22223333);
    assert_int_equal(b.delay_since_sr, 98304);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),        cmocka_unit_test(test_clamps),
        cmocka_unit_test(test_restart),       cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_sender_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
