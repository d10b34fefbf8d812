/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture_file: the file of received packets that `record --dump` writes and the replay source
 *               reads (docs/formats/capture.md).
 * Owner: builders write into the caller's buffer; a reader borrows its input, and a record borrows
 *        the reader's buffer until the next call.
 * Thread: any, one at a time per reader.
 * Bound: TD_CAPTURE_PAYLOAD_MAX bytes a record; a reader never asks for more.
 * Does not: write files (the store does), pace or interpret packets (replay does).
 */
#ifndef TD_SOURCE_REPLAY_CAPTURE_FILE_H
#define TD_SOURCE_REPLAY_CAPTURE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fileop.h"
#include "base/limits.h"
#include "source/source.h"

#define TD_CAPTURE_HEADER_BYTES 12
#define TD_CAPTURE_FRAMING_BYTES 17 /* of a record: length, type and time in front, crc behind */
/* A track's four texts, every character escaped as \u00XX, its payload types and the braces. */
#define TD_CAPTURE_PAYLOAD_MAX (16u << 10)
#define TD_CAPTURE_RECORD_MAX (TD_CAPTURE_PAYLOAD_MAX + TD_CAPTURE_FRAMING_BYTES)

enum td_capture_type {
    TD_CAPTURE_TRACK = 1,   /* JSON: announcement, binding, or both */
    TD_CAPTURE_REMOVED = 2, /* u32 handle */
    TD_CAPTURE_PACKET = 3,  /* RTP or RTCP datagram, decrypted */
    TD_CAPTURE_MUTED = 4,   /* u32 handle, u8 muted */
};

/* Builders: count of bytes written, -TD_E_LIMIT when `capacity` (or a record) is too small,
 * -ENOMEM. `at_us` counts from the start of the capture. */
TD_MUST int td_capture_put_header(uint8_t *ret_bytes, size_t capacity);
/* `info` or `binding` may be NULL, when only the other is told. */
TD_MUST int td_capture_put_track(const struct td_track_info *info,
                                 const struct td_track_binding *binding, uint64_t at_us,
                                 uint8_t *ret_bytes, size_t capacity);
TD_MUST int td_capture_put_removed(uint32_t handle, uint64_t at_us, uint8_t *ret_bytes,
                                   size_t capacity);
TD_MUST int td_capture_put_muted(uint32_t handle, bool muted, uint64_t at_us, uint8_t *ret_bytes,
                                 size_t capacity);
TD_MUST int td_capture_put_packet(const uint8_t *packet, size_t len, uint64_t at_us,
                                  uint8_t *ret_bytes, size_t capacity);

struct td_capture_record {
    uint8_t type; /* enum td_capture_type, or one of a later version: skip it */
    uint64_t at_us;
    uint8_t *payload; /* writable: it is the reader's copy */
    size_t len;
};

struct td_capture_reader {
    struct td_read_at input;
    uint64_t offset;     /* of the next record: all before it was whole */
    uint64_t damaged;    /* 1 when a record with a wrong checksum or length ended the reading */
    uint64_t torn_bytes; /* of a last record that is not all there */
    bool at_end;
    uint8_t buffer[TD_CAPTURE_RECORD_MAX];
};

/* 0; -TD_E_PARSE when it is no capture, -TD_E_UNSUPPORTED for another version, or a read error. */
TD_MUST int td_capture_reader_init(struct td_capture_reader *r, const struct td_read_at *input);
/* 1 with a record, 0 at the end (`damaged` and `torn_bytes` tell how it ended), or a read error. */
TD_MUST int td_capture_next(struct td_capture_reader *r, struct td_capture_record *ret_record);

/* The content of a TRACK record is read with td_capture_track_parse (capture_track.h). */

/* 0 or -TD_E_PARSE; a REMOVED record leaves `ret_muted` alone. */
TD_MUST int td_capture_get_handle(const struct td_capture_record *record, uint32_t *ret_handle,
                                  bool *ret_muted);

#endif
