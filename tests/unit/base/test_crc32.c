/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The definitions, bit by bit. */
static uint32_t slow_ieee(uint32_t crc, const uint8_t *p, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xedb88320u : 0u);
        }
    }
    return ~crc;
}

static uint32_t slow_mpeg(uint32_t crc, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint32_t)p[i] << 24;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc << 1) ^ (crc >> 31 != 0 ? 0x04c11db7u : 0u);
        }
    }
    return crc;
}

static void test_check_values(void **state)
{
    (void)state;
    /* The check values of the CRC catalogue: CRC-32/ISO-HDLC and CRC-32/MPEG-2. */
    assert_true(td_crc32(0, "123456789", 9) == 0xcbf43926u);
    assert_true(td_crc32_mpeg(0xffffffffu, "123456789", 9) == 0x0376e6e7u);
    assert_true(td_crc32(0, NULL, 0) == 0);
}

static void test_every_length_and_split(void **state)
{
    (void)state;
    uint8_t bytes[700];
    uint32_t seed = 0x5eed0001u;
    print_message("# seed %u\n", seed);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
    for (size_t len = 0; len < sizeof(bytes); len++) {
        size_t at = len % 5; /* unaligned too */
        size_t n = len < sizeof(bytes) - at ? len : sizeof(bytes) - at;
        uint32_t want = slow_ieee(0, bytes + at, n);
        assert_true(td_crc32(0, bytes + at, n) == want);
        size_t split = n * 2 / 3;
        uint32_t first = td_crc32(0, bytes + at, split);
        assert_true(td_crc32(first, bytes + at + split, n - split) == want);
        assert_true(td_crc32_mpeg(0xffffffffu, bytes + at, n) ==
                    slow_mpeg(0xffffffffu, bytes + at, n));
    }
}

/* Every byte value goes through every table. */
static void test_every_byte(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        for (size_t at = 0; at < 8; at++) {
            uint8_t block[8] = {0};
            block[at] = (uint8_t)v;
            assert_true(td_crc32(0, block, 8) == slow_ieee(0, block, 8));
            assert_true(td_crc32_mpeg(0, block, 8) == slow_mpeg(0, block, 8));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_values),
        cmocka_unit_test(test_every_length_and_split),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
