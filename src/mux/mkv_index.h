/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkv_index: the append-only index beside a growing Matroska file: one record per Cluster.
 * Owner: the caller's buffers.
 * Thread: any.
 * Bound: TD_MKV_RECORD_BYTES a record.
 * Does not: trust a record: checksum, generation, order and the media file itself must agree.
 *
 *   0        4        8                16               24               32       36       40
 *   +--------+--------+----------------+----------------+----------------+--------+--------+
 *   | "TDIX" | flags  | generation     | cluster offset | time, ms       | track  | CRC-32 |
 *   +--------+--------+----------------+----------------+----------------+--------+--------+
 * Big endian. The generation is the first half of the file's SegmentUID; the CRC covers bytes 0 to
 * 35; `track` is the TrackNumber of the Cluster's first block.
 */
#ifndef TD_MUX_MKV_INDEX_H
#define TD_MUX_MKV_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fileop.h"

#define TD_MKV_RECORD_BYTES 40u

struct td_mkv_record {
    bool cue; /* players may start here: a video key frame comes first, or there is no video */
    uint64_t generation;
    uint64_t offset;
    int64_t time_ticks;
    uint32_t track;
};

void td_mkv_record_put(uint8_t ret_bytes[static TD_MKV_RECORD_BYTES],
                       const struct td_mkv_record *record);
/* 0, or -TD_E_PARSE. */
TD_MUST int td_mkv_record_get(const uint8_t bytes[static TD_MKV_RECORD_BYTES],
                              struct td_mkv_record *ret_record);

#endif
