/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/mkv_index.h"

#include "base/bytes.h"

#define RECORD_MAGIC 0x54444958u /* "TDIX" */
#define RECORD_CUE 1u

void td_mkv_record_put(uint8_t ret_bytes[static TD_MKV_RECORD_BYTES],
                       const struct td_mkv_record *record)
{
    struct td_writer w;

    td_writer_init(&w, ret_bytes, TD_MKV_RECORD_BYTES);
    td_write_be32(&w, RECORD_MAGIC);
    td_write_be32(&w, record->cue ? RECORD_CUE : 0);
    td_write_be64(&w, record->generation);
    td_write_be64(&w, record->offset);
    td_write_be64(&w, (uint64_t)record->time_ticks);
    td_write_be32(&w, record->track);
    td_write_be32(&w, td_crc32(0, ret_bytes, TD_MKV_RECORD_BYTES - 4));
}

int td_mkv_record_get(const uint8_t bytes[static TD_MKV_RECORD_BYTES],
                      struct td_mkv_record *ret_record)
{
    struct td_mkv_record record = {.cue = false};
    struct td_reader r;

    td_reader_init(&r, bytes, TD_MKV_RECORD_BYTES);
    if (td_read_be32(&r) != RECORD_MAGIC)
        return -TD_E_PARSE;
    record.cue = (td_read_be32(&r) & RECORD_CUE) != 0;
    record.generation = td_read_be64(&r);
    record.offset = td_read_be64(&r);
    record.time_ticks = (int64_t)td_read_be64(&r);
    record.track = td_read_be32(&r);
    if (td_read_be32(&r) != td_crc32(0, bytes, TD_MKV_RECORD_BYTES - 4))
        return -TD_E_PARSE;
    *ret_record = record;
    return 0;
}
