/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t wire[20];
    struct td_writer w;
    td_writer_init(&w, wire, sizeof(wire));
    td_write_u8(&w, 0x01);
    td_write_be16(&w, 0x0203);
    td_write_be24(&w, 0x040506);
    td_write_be32(&w, 0x0708090a);
    td_write_be64(&w, UINT64_C(0x0b0c0d0e0f101112));
    td_write_bytes(&w, "\x13\x14", 2);
    assert_false(w.bad);
    assert_int_equal(td_writer_len(&w), sizeof(wire));
    for (size_t i = 0; i < sizeof(wire); i++) {
        assert_int_equal(wire[i], i + 1);
    }
    struct td_reader r;
    td_reader_init(&r, wire, sizeof(wire));
    assert_int_equal(td_read_u8(&r), 0x01);
    assert_int_equal(td_read_be16(&r), 0x0203);
    assert_int_equal(td_read_be24(&r), 0x040506);
    assert_int_equal(td_read_be32(&r), 0x0708090a);
    assert_true(td_read_be64(&r) == UINT64_C(0x0b0c0d0e0f101112));
    assert_int_equal(td_reader_left(&r), 2);
    assert_ptr_equal(td_read_bytes(&r, 2), wire + 18);
    assert_false(r.bad);
    assert_int_equal(td_reader_left(&r), 0);
}

/* Each verb with one byte too few: it answers 0, and so does everything after it. */
static void test_reader_ends(void **state)
{
    (void)state;
    static const uint8_t wire[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const size_t widths[] = {1, 2, 3, 4, 8};
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        struct td_reader r;
        td_reader_init(&r, wire, widths[i] - 1);
        uint64_t v = 1;
        switch (widths[i]) {
        case 1:
            v = td_read_u8(&r);
            break;
        case 2:
            v = td_read_be16(&r);
            break;
        case 3:
            v = td_read_be24(&r);
            break;
        case 4:
            v = td_read_be32(&r);
            break;
        default:
            v = td_read_be64(&r);
            break;
        }
        assert_true(v == 0);
        assert_true(r.bad);
        assert_int_equal(td_reader_left(&r), 0);
        assert_int_equal(td_read_u8(&r), 0);
        assert_null(td_read_bytes(&r, 0));
    }
    struct td_reader r;
    td_reader_init(&r, wire, sizeof(wire));
    assert_null(td_read_bytes(&r, SIZE_MAX));
    assert_true(r.bad);
    td_reader_init(&r, NULL, 0);
    assert_int_equal(td_reader_left(&r), 0);
    assert_int_equal(td_read_u8(&r), 0);
    assert_true(r.bad);
}

static void test_writer_stops(void **state)
{
    (void)state;
    uint8_t wire[4] = {9, 9, 9, 9};
    struct td_writer w;
    td_writer_init(&w, wire, 3);
    td_write_be16(&w, 0x0102);
    td_write_be16(&w, 0x0304);
    assert_true(w.bad);
    assert_int_equal(td_writer_len(&w), 2);
    td_write_u8(&w, 5); /* would fit, but there is a hole before it */
    assert_int_equal(td_writer_len(&w), 2);
    assert_int_equal(wire[2], 9);
    assert_int_equal(wire[3], 9);
    td_writer_init(&w, wire, 4);
    td_write_be24(&w, 1u << 24);
    assert_true(w.bad);
    td_writer_init(&w, NULL, 0);
    td_write_bytes(&w, NULL, 0);
    assert_false(w.bad);
    td_write_u8(&w, 1);
    assert_true(w.bad);
}

static void test_array_grows_within_budget(void **state)
{
    (void)state;
    struct td_budget budget;
    td_budget_init(&budget, NULL, 1000);
    struct td_bytes b;
    td_bytes_init(&b, 900, &budget);
    uint8_t block[50];
    for (uint8_t i = 0; i < 18; i++) {
        memset(block, i, sizeof(block));
        assert_int_equal(td_bytes_append(&b, block, sizeof(block)), 0);
        assert_int_equal(td_budget_used(&budget), b.capacity);
    }
    assert_int_equal(b.len, 900);
    assert_int_equal(b.capacity, 900);
    for (size_t i = 0; i < b.len; i++) {
        assert_int_equal(b.data[i], i / 50);
    }
    assert_int_equal(td_bytes_append(&b, block, 1), -TD_E_LIMIT);
    assert_int_equal(td_bytes_append(&b, block, SIZE_MAX), -TD_E_LIMIT);
    assert_int_equal(td_bytes_reserve(&b, 901), -TD_E_LIMIT);
    assert_int_equal(b.len, 900);
    assert_int_equal(td_bytes_append(&b, NULL, 0), 0);
    td_bytes_clear(&b);
    assert_int_equal(b.capacity, 900);
    td_bytes_shrink(&b, 100);
    assert_int_equal(b.capacity, 100);
    assert_int_equal(td_budget_used(&budget), 100);
    assert_int_equal(td_bytes_append(&b, block, 50), 0);
    td_bytes_shrink(&b, 10); /* never below the content */
    assert_int_equal(b.capacity, 50);
    assert_int_equal(b.data[0], 17);
    td_bytes_clear(&b);
    td_bytes_shrink(&b, 0);
    assert_int_equal(td_budget_used(&budget), 0);
    assert_int_equal(td_bytes_reserve(&b, 10), 0);
    td_bytes_done(&b);
    td_bytes_done(&b);
    td_budget_done(&budget);
}

/* Doubling would not fit the budget, the content does. */
static void test_array_uses_the_last_bytes(void **state)
{
    (void)state;
    struct td_budget budget;
    td_budget_init(&budget, NULL, 100);
    struct td_bytes b;
    td_bytes_init(&b, 1000, &budget);
    uint8_t block[99] = {1};
    assert_int_equal(td_bytes_append(&b, block, 70), 0);
    assert_int_equal(td_bytes_append(&b, block, 29), 0);
    assert_int_equal(b.capacity, 99);
    assert_int_equal(td_bytes_append(&b, block, 2), -TD_E_LIMIT);
    assert_int_equal(b.len, 99);
    assert_int_equal(td_budget_used(&budget), 99);
    td_bytes_done(&b);
    td_budget_done(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_reader_ends),
        cmocka_unit_test(test_writer_stops),
        cmocka_unit_test(test_array_grows_within_budget),
        cmocka_unit_test(test_array_uses_the_last_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
