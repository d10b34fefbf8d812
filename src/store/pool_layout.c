/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pool_layout.h"

#include "base/bytes.h"

uint32_t td_pool_seed(uint64_t generation, uint64_t sequence)
{
    uint64_t both[2] = {generation, sequence};
    return td_crc32(0, both, sizeof(both));
}

uint32_t td_pool_crc(uint32_t seed, const struct td_pool_record *record, const void *bytes)
{
    uint32_t crc = td_crc32(seed, record, offsetof(struct td_pool_record, crc));
    return record->len > 0 ? td_crc32(crc, bytes, record->len) : crc;
}

uint32_t td_pool_header_crc(const struct td_pool_header *header)
{
    return td_crc32(0, header, offsetof(struct td_pool_header, crc));
}
