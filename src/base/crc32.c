/* SPDX-License-Identifier: Apache-2.0 */
/* The two CRCs of bytes.h. Every byte of media passes the first one (crash pool, indexes), so it is
 * folded where the processor can, and else computed eight bytes at a time ("slicing by 8"). A CRC
 * table is linear over XOR, therefore the compiler can build each one from the eight rows of its
 * single bits. */
#include "base/bytes.h"

#include "base/crc32.h"

#define CRC_BIT(b, bit, row) (((b) >> (bit)&1u) != 0 ? (row) : 0u)
#define CRC_1(b, r0, r1, r2, r3, r4, r5, r6, r7)                                                   \
    (CRC_BIT(b, 0, r0) ^ CRC_BIT(b, 1, r1) ^ CRC_BIT(b, 2, r2) ^ CRC_BIT(b, 3, r3) ^               \
     CRC_BIT(b, 4, r4) ^ CRC_BIT(b, 5, r5) ^ CRC_BIT(b, 6, r6) ^ CRC_BIT(b, 7, r7))
#define CRC_4(b, ...)                                                                              \
    CRC_1(b, __VA_ARGS__), CRC_1((b) + 1u, __VA_ARGS__), CRC_1((b) + 2u, __VA_ARGS__),             \
        CRC_1((b) + 3u, __VA_ARGS__)
#define CRC_16(b, ...)                                                                             \
    CRC_4(b, __VA_ARGS__), CRC_4((b) + 4u, __VA_ARGS__), CRC_4((b) + 8u, __VA_ARGS__),             \
        CRC_4((b) + 12u, __VA_ARGS__)
#define CRC_64(b, ...)                                                                             \
    CRC_16(b, __VA_ARGS__), CRC_16((b) + 16u, __VA_ARGS__), CRC_16((b) + 32u, __VA_ARGS__),        \
        CRC_16((b) + 48u, __VA_ARGS__)
#define CRC_256(...)                                                                               \
    CRC_64(0u, __VA_ARGS__), CRC_64(64u, __VA_ARGS__), CRC_64(128u, __VA_ARGS__),                  \
        CRC_64(192u, __VA_ARGS__)

/* Row k: the CRC of each byte followed by k zero bytes; polynomial 0xedb88320 (IEEE 802.3,
 * reflected). */
static const uint32_t crc_ieee[8][256] = {
    {CRC_256(0x77073096u, 0xee0e612cu, 0x076dc419u, 0x0edb8832u, 0x1db71064u, 0x3b6e20c8u,
             0x76dc4190u, 0xedb88320u)},
    {CRC_256(0x191b3141u, 0x32366282u, 0x646cc504u, 0xc8d98a08u, 0x4ac21251u, 0x958424a2u,
             0xf0794f05u, 0x3b83984bu)},
    {CRC_256(0x01c26a37u, 0x0384d46eu, 0x0709a8dcu, 0x0e1351b8u, 0x1c26a370u, 0x384d46e0u,
             0x709a8dc0u, 0xe1351b80u)},
    {CRC_256(0xb8bc6765u, 0xaa09c88bu, 0x8f629757u, 0xc5b428efu, 0x5019579fu, 0xa032af3eu,
             0x9b14583du, 0xed59b63bu)},
    {CRC_256(0x3d6029b0u, 0x7ac05360u, 0xf580a6c0u, 0x30704bc1u, 0x60e09782u, 0xc1c12f04u,
             0x58f35849u, 0xb1e6b092u)},
    {CRC_256(0xcb5cd3a5u, 0x4dc8a10bu, 0x9b914216u, 0xec53826du, 0x03d6029bu, 0x07ac0536u,
             0x0f580a6cu, 0x1eb014d8u)},
    {CRC_256(0xa6770bb4u, 0x979f1129u, 0xf44f2413u, 0x33ef4e67u, 0x67de9cceu, 0xcfbd399cu,
             0x440b7579u, 0x8816eaf2u)},
    {CRC_256(0xccaa009eu, 0x4225077du, 0x844a0efau, 0xd3e51bb5u, 0x7cbb312bu, 0xf9766256u,
             0x299dc2edu, 0x533b85dau)},
};

/* Polynomial 0x04c11db7, most significant bit first (ISO 13818-1 annex A). */
static const uint32_t crc_mpeg[256] = {CRC_256(0x04c11db7u, 0x09823b6eu, 0x130476dcu, 0x2608edb8u,
                                               0x4c11db70u, 0x9823b6e0u, 0x34867077u, 0x690ce0eeu)};

uint32_t td_crc32(uint32_t crc, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    crc = ~crc;
    if (len >= TD_CRC32_FOLD_MIN && td_crc32_fold_usable()) {
        size_t folded = len - len % TD_CRC32_FOLD_BLOCK;
        crc = td_crc32_fold(crc, p, folded);
        p += folded;
        len -= folded;
    }
    for (; len >= 8; len -= 8, p += 8) {
        /* Composed byte by byte: correct on any machine, one load on a little-endian one. */
        uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                              (uint32_t)p[3] << 24);
        crc = crc_ieee[7][low & 0xffu] ^ crc_ieee[6][low >> 8 & 0xffu] ^
              crc_ieee[5][low >> 16 & 0xffu] ^ crc_ieee[4][low >> 24] ^ crc_ieee[3][p[4]] ^
              crc_ieee[2][p[5]] ^ crc_ieee[1][p[6]] ^ crc_ieee[0][p[7]];
    }
    for (; len > 0; len--, p++) {
        crc = crc >> 8 ^ crc_ieee[0][(crc ^ *p) & 0xffu];
    }
    return ~crc;
}

uint32_t td_crc32_mpeg(uint32_t crc, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    for (; len > 0; len--, p++) {
        crc = crc << 8 ^ crc_mpeg[(crc >> 24 ^ *p) & 0xffu];
    }
    return crc;
}
