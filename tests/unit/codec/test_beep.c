/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codecd/beep.h"

enum { PACKET = 960, PACKET_US = 20000 };

/* Packet n of the pattern, stereo when `step` is 2. */
static void packet(uint64_t n, size_t step, int16_t *ret_samples)
{
    for (size_t i = 0; i < PACKET; i++)
        for (size_t k = 0; k < step; k++)
            ret_samples[i * step + k] = td_beep_sample(n * PACKET + i);
}

static void test_sound(void **state)
{
    (void)state;
    for (uint64_t second = 0; second < 3; second++) {
        uint64_t at = second * TD_BEEP_HZ;
        assert_int_equal(td_beep_sample(at), 0);
        assert_int_equal(td_beep_sample(at + 12), 16384); /* a quarter of 1 kHz */
        assert_int_equal(td_beep_sample(at + 36), -16384);
        assert_int_equal(td_beep_sample(at + 3840), 0); /* 80 ms */
        for (uint64_t i = 3840; i < TD_BEEP_HZ; i += 7)
            assert_int_equal(td_beep_sample(at + i), 0);
    }
}

static void test_found(void **state)
{
    (void)state;
    for (size_t step = 1; step <= 2; step++) {
        struct td_beep_finder f;
        int16_t samples[PACKET * 2];
        unsigned found = 0;
        td_beep_finder_init(&f);
        for (uint64_t n = 0; n < 150; n++) {
            int64_t onset_us = -1;
            packet(n, step, samples);
            /* A container's milliseconds: timestamps that wobble are no holes. */
            int64_t pts_us = (int64_t)n * PACKET_US + (n % 3 == 1 ? 400 : 0);
            if (td_beep_finder_push(&f, pts_us, samples, PACKET, step, &onset_us) == 0)
                continue;
            found++;
            assert_in_range(onset_us, found * 1000000, found * 1000000 + 500);
        }
        assert_int_equal(found, 2); /* none at 0: no silence was heard before it */
    }
}

static void test_hole(void **state)
{
    (void)state;
    struct td_beep_finder f;
    int16_t samples[PACKET];
    unsigned found = 0;
    td_beep_finder_init(&f);
    for (uint64_t n = 10; n < 150; n++) {
        int64_t onset_us = -1;
        if (n >= 45 && n < 52) /* takes the onset at 1 s away */
            continue;
        packet(n, 1, samples);
        if (td_beep_finder_push(&f, (int64_t)n * PACKET_US, samples, PACKET, 1, &onset_us) == 1) {
            found++;
            assert_in_range(onset_us, 2000000, 2000100);
        }
    }
    assert_int_equal(found, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
