/* SPDX-License-Identifier: Apache-2.0 */
/* EBML numbers and elements, RFC 8794. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mux/ebml.h"

/* RFC 8794 section 6.2: sizes of each width, those next to "unknown" among them. */
static void test_sizes(void **state)
{
    static const struct {
        uint64_t size;
        unsigned width; /* the shortest */
    } rows[] = {
        {0, 1},          {1, 1},
        {126, 1},        {127, 2},
        {16382, 2},      {16383, 3},
        {2097150, 3},    {2097151, 4},
        {268435454, 4},  {268435455, 5},
        {1ull << 40, 6}, {1ull << 48, 7},
        {1ull << 55, 8}, {TD_EBML_SIZE_MAX, 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned width = 0; width <= 8; width++) {
            struct td_ebml_element e;
            struct td_writer w;
            uint8_t bytes[16];

            if (width > 0 && width < rows[i].width)
                continue;
            td_writer_init(&w, bytes, sizeof(bytes));
            td_ebml_write_id(&w, TD_MKV_SEGMENT);
            td_ebml_write_size(&w, rows[i].size, width);
            assert_false(w.bad);
            assert_int_equal(td_writer_len(&w), 4 + (width ? width : rows[i].width));
            for (size_t cut = 0; cut < td_writer_len(&w); cut++)
                assert_int_equal(td_ebml_parse(bytes, cut, &e), 1);
            assert_int_equal(td_ebml_parse(bytes, td_writer_len(&w), &e), 0);
            assert_int_equal(e.id, TD_MKV_SEGMENT);
            assert_true(e.size == rows[i].size);
        }
    for (unsigned width = 1; width <= 8; width++) {
        uint8_t bytes[9] = {TD_EBML_VOID};
        struct td_ebml_element e;

        td_ebml_put_size(bytes + 1, TD_EBML_UNKNOWN, width);
        assert_int_equal(td_ebml_parse(bytes, sizeof(bytes), &e), 0);
        assert_true(e.size == TD_EBML_UNKNOWN && e.size_width == width);
    }
}

/* A Void of any length is exactly that long. */
static void test_voids(void **state)
{
    static uint8_t bytes[20000];

    (void)state;
    for (size_t total = 2; total < sizeof(bytes); total += total < 300 ? 1 : 97) {
        struct td_ebml_element e;
        struct td_writer w;

        td_writer_init(&w, bytes, sizeof(bytes));
        td_ebml_write_void(&w, total);
        assert_false(w.bad);
        assert_int_equal(td_writer_len(&w), total);
        assert_int_equal(td_ebml_parse(bytes, total, &e), 0);
        assert_true(e.id == TD_EBML_VOID && e.header_len + e.size == total);
    }
}

static void test_values(void **state)
{
    uint8_t bytes[256];
    struct td_ebml_element e;
    const uint8_t *body;
    struct td_writer w;
    struct td_reader r;
    uint8_t *size;

    (void)state;
    td_writer_init(&w, bytes, sizeof(bytes));
    size = td_ebml_begin(&w, TD_MKV_INFO, 4);
    td_ebml_write_uint(&w, TD_MKV_TIMESTAMP, 0);
    td_ebml_write_uint(&w, TD_MKV_TIMESTAMP, UINT64_MAX);
    td_ebml_write_double(&w, TD_MKV_DURATION, 1234.5);
    td_ebml_end(&w, size, 4);
    assert_false(w.bad);
    td_reader_init(&r, bytes, td_writer_len(&w));
    assert_int_equal(td_ebml_next(&r, &e, &body), 1);
    assert_int_equal(td_ebml_next(&r, &e, &body), 0);
    assert_false(r.bad);
    td_reader_init(&r, bytes + 8, td_writer_len(&w) - 8);
    assert_int_equal(td_ebml_next(&r, &e, &body), 1);
    assert_true(td_ebml_uint(body, e.size) == 0);
    assert_int_equal(td_ebml_next(&r, &e, &body), 1);
    assert_true(td_ebml_uint(body, e.size) == UINT64_MAX);
    assert_int_equal(td_ebml_next(&r, &e, &body), 1);
    assert_true(td_ebml_double(body, e.size) > 1234.4 && td_ebml_double(body, e.size) < 1234.6);
    td_reader_init(&r, bytes + 8, td_writer_len(&w) - 9); /* cut in the last */
    while (td_ebml_next(&r, &e, &body))
        assert_int_not_equal(e.id, TD_MKV_DURATION);
    assert_true(r.bad);
    assert_int_equal(td_ebml_parse((const uint8_t[]){0, 0x81, 0}, 3, &e), -TD_E_PARSE);
    assert_int_equal(td_ebml_parse((const uint8_t[]){0xec, 0, 0}, 3, &e), -TD_E_PARSE);
    assert_int_equal(td_ebml_parse((const uint8_t[]){0x08, 1, 1}, 3, &e), -TD_E_PARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_voids),
        cmocka_unit_test(test_values),
    };

    return cmocka_run_group_tests_name("mux/ebml", tests, NULL, NULL);
}
