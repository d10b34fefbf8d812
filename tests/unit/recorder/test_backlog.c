/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define FRAME_BYTES 320 /* 20 ms of 128 kbit/s */
#define FRAME_US 20000

static struct td_frame frame_at(int64_t index, uint8_t bytes[static FRAME_BYTES])
{
    memset(bytes, (uint8_t)index, FRAME_BYTES);
    return (struct td_frame){.codec = TD_CODEC_OPUS,
                             .key = true,
                             .pts_us = index * FRAME_US,
                             .bytes = bytes,
                             .len = FRAME_BYTES - (size_t)(index % 7)};
}

static void assert_oldest(const struct td_backlog *b, int64_t index)
{
    struct td_frame frame;
    assert_int_equal(td_backlog_peek(b, &frame), 1);
    assert_int_equal(frame.pts_us, index * FRAME_US);
    assert_int_equal(frame.len, FRAME_BYTES - index % 7);
    for (size_t i = 0; i < frame.len; i++)
        assert_int_equal(frame.bytes[i], (uint8_t)index);
}

static void test_order(void **state)
{
    (void)state;
    struct td_budget budget;
    struct td_backlog b;
    uint8_t bytes[FRAME_BYTES];
    struct td_frame none;
    td_budget_init(&budget, NULL, 0);
    td_backlog_init(&b, &budget);
    assert_int_equal(td_backlog_peek(&b, &none), 0);
    for (int64_t i = 0; i < 100; i++) {
        struct td_frame frame = frame_at(i, bytes);
        assert_int_equal(td_backlog_push(&b, &frame), 0);
    }
    for (int64_t i = 0; i < 100; i++) {
        assert_oldest(&b, i);
        td_backlog_drop(&b);
    }
    assert_int_equal(td_backlog_peek(&b, &none), 0);
    assert_true(td_budget_used(&budget) <= 4096); /* what one stall took is given back */
    td_backlog_done(&b);
    td_budget_done(&budget);
}

/* A disk that keeps up but stays behind: the backlog never runs empty, and never fills up. */
static void test_never_empty(void **state)
{
    (void)state;
    struct td_budget budget;
    struct td_backlog b;
    uint8_t bytes[FRAME_BYTES];
    td_budget_init(&budget, NULL, 0);
    td_backlog_init(&b, &budget);
    int64_t oldest = 0;
    for (int64_t i = 0; i < 20000; i++) {
        struct td_frame frame = frame_at(i, bytes);
        assert_int_equal(td_backlog_push(&b, &frame), 0);
        if (b.count > 10) {
            assert_oldest(&b, oldest++);
            td_backlog_drop(&b);
        }
    }
    assert_int_equal(b.count, 10);
    assert_true(td_budget_used(&budget) < 64u << 10);
    td_backlog_done(&b);
    td_budget_done(&budget);
}

static void test_holds_its_promise(void **state)
{
    (void)state;
    struct td_backlog b;
    uint8_t bytes[FRAME_BYTES];
    td_backlog_init(&b, NULL);
    int64_t i = 0;
    for (; i <= TD_BACKLOG_US / FRAME_US; i++) {
        struct td_frame frame = frame_at(i, bytes);
        assert_int_equal(td_backlog_push(&b, &frame), 0);
    }
    struct td_frame frame = frame_at(i, bytes);
    assert_int_equal(td_backlog_push(&b, &frame), -TD_E_LIMIT); /* 30 s */
    assert_int_equal(b.count, TD_BACKLOG_US / FRAME_US + 1);
    assert_oldest(&b, 0);
    td_backlog_drop(&b);
    assert_int_equal(td_backlog_push(&b, &frame), 0);
    td_backlog_done(&b);
}

static void test_budget(void **state)
{
    (void)state;
    struct td_budget budget;
    struct td_backlog b;
    uint8_t bytes[FRAME_BYTES];
    td_budget_init(&budget, NULL, 8192);
    td_backlog_init(&b, &budget);
    int64_t i = 0;
    int r = 0;
    for (; i < 1000 && r == 0; i++) {
        struct td_frame frame = frame_at(i, bytes);
        r = td_backlog_push(&b, &frame);
    }
    assert_int_equal(r, -TD_E_LIMIT);
    assert_int_equal(b.count, i - 1);
    for (int64_t k = 0; k < i - 1; k++) { /* what was taken is whole */
        assert_oldest(&b, k);
        td_backlog_drop(&b);
    }
    td_backlog_done(&b);
    td_budget_done(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_never_empty),
        cmocka_unit_test(test_holds_its_promise),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests_name("recorder/backlog", tests, NULL, NULL);
}
