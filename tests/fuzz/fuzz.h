/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz: what every fuzz_<noun>.c shares: the entry point and a check that is never compiled out.
 * Owner: none.
 * Thread: one.
 * Bound: none.
 * Does not: choose inputs: libFuzzer does, or replay_main.c.
 */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* libFuzzer's entry point; `bytes` is exactly `len` long. Always answers 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#endif
