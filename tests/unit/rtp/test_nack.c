/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/nack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"

#define MS INT64_C(1000)

static size_t due(struct td_nack *n, int64_t now_us, int64_t rtt_us)
{
    uint16_t seqs[TD_NACK_BATCH_MAX];

    return td_nack_due(n, now_us, rtt_us, seqs, TD_NACK_BATCH_MAX);
}

static void test_back_off(void **state)
{
    static const struct {
        int64_t rtt_us;
        int64_t asked_ms[3];
        int64_t overdue_ms;
    } rows[] = {
        {0, {10, 110, 310}, 710},
        {20 * MS, {10, 110, 310}, 710},
        {100 * MS, {10, 210, 610}, 1410},
        {3000 * MS, {10, 2010, 6010}, 14010},
    };
    static const uint16_t missing[] = {5};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_nack *n;
        size_t asked = 0;
        int64_t overdue_ms = -1;

        assert_int_equal(td_nack_new(&n), 0);
        for (int64_t ms = 0; ms < 15000 && overdue_ms < 0; ms++) {
            uint16_t seq = 0;

            td_nack_update(n, missing, 1, ms * MS);
            if (due(n, ms * MS, rows[i].rtt_us) == 1) {
                assert_true(asked < 3);
                assert_int_equal(ms, rows[i].asked_ms[asked]);
                asked++;
            }
            if (td_nack_exhausted(n, ms * MS, rows[i].rtt_us, &seq) == 1) {
                assert_int_equal(seq, 5);
                overdue_ms = ms;
            }
        }
        assert_int_equal(asked, 3);
        assert_int_equal(overdue_ms, rows[i].overdue_ms);
        assert_int_equal(td_nack_sent(n), 3);
        td_nack_free(n);
    }
}

static void test_update(void **state)
{
    static const uint16_t first[] = {65534, 65535, 0, 1}, healed[] = {65535, 1, 7};
    uint16_t seqs[8], up_to = 0;
    struct td_nack *n;

    (void)state;
    assert_int_equal(td_nack_new(&n), 0);
    td_nack_update(n, first, 4, 0);
    assert_int_equal(td_nack_due(n, 9 * MS, 0, seqs, 8), 0); /* reordering may heal itself */
    assert_int_equal(td_nack_due(n, 10 * MS, 0, seqs, 3), 3);
    assert_int_equal(seqs[0], 65534);
    assert_int_equal(seqs[2], 0);
    assert_int_equal(td_nack_due(n, 10 * MS, 0, seqs, 8), 1); /* the one that did not fit */
    assert_int_equal(seqs[0], 1);
    td_nack_update(n, healed, 3, 20 * MS);
    assert_int_equal(due(n, 20 * MS, 0), 0);
    assert_int_equal(td_nack_due(n, 30 * MS, 0, seqs, 8), 1); /* only the new one */
    assert_int_equal(seqs[0], 7);
    assert_int_equal(due(n, 500 * MS, 0), 3);
    assert_int_equal(due(n, 1000 * MS, 0), 3);
    assert_int_equal(td_nack_exhausted(n, 1100 * MS, 0, &up_to), 0);
    assert_int_equal(td_nack_exhausted(n, 1400 * MS, 0, &up_to), 1);
    assert_int_equal(up_to, 7);
    td_nack_update(n, NULL, 0, 1400 * MS);
    assert_int_equal(td_nack_exhausted(n, 1400 * MS, 0, &up_to), 0);
    td_nack_free(n);
    assert_null(td_nack_free(NULL));
}

static void test_full(void **state)
{
    uint16_t missing[TD_REORDER_SLOTS + 100];
    size_t asked = 0;
    struct td_nack *n;

    (void)state;
    assert_int_equal(td_nack_new(&n), 0);
    for (size_t i = 0; i < TD_REORDER_SLOTS + 100; i++)
        missing[i] = (uint16_t)(65000 + i);
    td_nack_update(n, missing, TD_REORDER_SLOTS + 100, 0);
    for (int i = 0; i < 10; i++)
        asked += due(n, 10 * MS, 0);
    assert_int_equal(asked, TD_REORDER_SLOTS);
    /* The front is given up: room for the rest. */
    td_nack_update(n, missing + 100, TD_REORDER_SLOTS, 20 * MS);
    assert_int_equal(due(n, 30 * MS, 0), 100);
    td_nack_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
