/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc32: inside of td_crc32: the part that needs a processor's carry-less multiplication.
 * Owner: none, stateless.
 * Thread: any.
 * Bound: works on blocks of TD_CRC32_FOLD_BLOCK bytes; the rest is left to the tables.
 * Does not: know the inversion before and after; callers use td_crc32 of bytes.h.
 */
#ifndef TD_BASE_CRC32_H
#define TD_BASE_CRC32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TD_CRC32_FOLD_BLOCK 16u
#define TD_CRC32_FOLD_MIN 64u

/* Whether this processor can; td_crc32_fold may be called only then. */
bool td_crc32_fold_usable(void);
/* `len` is at least TD_CRC32_FOLD_MIN and a multiple of TD_CRC32_FOLD_BLOCK. */
uint32_t td_crc32_fold(uint32_t crc, const uint8_t *p, size_t len);

#endif
