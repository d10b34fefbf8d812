/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seed: repeatable chance for tests.
 * Owner: the test.
 * Thread: any, one per seed.
 * Bound: none.
 * Does not: be unpredictable; TD_TEST_SEED in the environment replaces the built-in seed.
 */
#ifndef TD_TEST_SEED_H
#define TD_TEST_SEED_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The seed, printed so that a failure can be played again. */
static inline uint64_t seed_start(const char *what)
{
    const char *text = getenv("TD_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : UINT64_C(0x7ade0001);

    fprintf(stderr, "# %s: TD_TEST_SEED=0x%" PRIx64 "\n", what, seed);
    return seed;
}

/* splitmix64 */
static inline uint64_t seed_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#endif
