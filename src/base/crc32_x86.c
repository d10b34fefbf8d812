/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 by folding with PCLMULQDQ: Gopal et al., "Fast CRC Computation for Generic Polynomials
 * Using PCLMULQDQ Instruction" (Intel, 2009), bit-reflected form. Several times faster than the
 * tables, and every byte that is recorded is checksummed. */
#include "base/crc32.h"

#include <assert.h>
#include <immintrin.h>

/* x^n mod P(x) for the distances folded over, reflected and shifted by one (section "Constants"):
 * 512 + 32 and 512 - 32 bits, 128 + 32 and 128 - 32 bits, 64 bits; then P and floor(x^64 / P). */
static const uint64_t fold_512[2] = {0x0154442bd4, 0x01c6e41596};
static const uint64_t fold_128[2] = {0x01751997d0, 0x00ccaa009e};
static const uint64_t fold_64[2] = {0x0163cd6124, 0};
static const uint64_t fold_barrett[2] = {0x01db710641, 0x01f7011641};

#define FOLD_TARGET __attribute__((target("pclmul,sse4.1")))

bool td_crc32_fold_usable(void)
{
    return __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.1") != 0;
}

FOLD_TARGET static __m128i fold_load(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

/* Moves `x` over the distance of the constants and adds what lies there. */
FOLD_TARGET static __m128i fold_step(__m128i x, __m128i constants, __m128i there)
{
    __m128i low = _mm_clmulepi64_si128(x, constants, 0x00);
    __m128i high = _mm_clmulepi64_si128(x, constants, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), there);
}

/* The last 128 bits: down to 64, to 32, and the division's remainder by Barrett's method. */
FOLD_TARGET static uint32_t fold_reduce(__m128i x)
{
    const __m128i low_words = _mm_setr_epi32(-1, 0, -1, 0);
    __m128i y = _mm_clmulepi64_si128(x, fold_load(fold_128), 0x10);
    x = _mm_xor_si128(_mm_srli_si128(x, 8), y);
    y = _mm_srli_si128(x, 4);
    x = _mm_clmulepi64_si128(_mm_and_si128(x, low_words), fold_load(fold_64), 0x00);
    x = _mm_xor_si128(x, y);
    const __m128i barrett = fold_load(fold_barrett);
    y = _mm_clmulepi64_si128(_mm_and_si128(x, low_words), barrett, 0x10);
    y = _mm_clmulepi64_si128(_mm_and_si128(y, low_words), barrett, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(x, y), 1);
}

FOLD_TARGET uint32_t td_crc32_fold(uint32_t crc, const uint8_t *p, size_t len)
{
    assert(len >= TD_CRC32_FOLD_MIN && len % TD_CRC32_FOLD_BLOCK == 0);
    /* Four lanes hide the multiplication's latency. */
    __m128i x0 = _mm_xor_si128(fold_load(p), _mm_cvtsi32_si128((int)crc));
    __m128i x1 = fold_load(p + 16);
    __m128i x2 = fold_load(p + 32);
    __m128i x3 = fold_load(p + 48);
    const __m128i far = fold_load(fold_512);
    for (p += 64, len -= 64; len >= 64; p += 64, len -= 64) {
        x0 = fold_step(x0, far, fold_load(p));
        x1 = fold_step(x1, far, fold_load(p + 16));
        x2 = fold_step(x2, far, fold_load(p + 32));
        x3 = fold_step(x3, far, fold_load(p + 48));
    }
    const __m128i near = fold_load(fold_128);
    x0 = fold_step(x0, near, x1);
    x0 = fold_step(x0, near, x2);
    x0 = fold_step(x0, near, x3);
    for (; len >= 16; p += 16, len -= 16) {
        x0 = fold_step(x0, near, fold_load(p));
    }
    return fold_reduce(x0);
}
