/* SPDX-License-Identifier: Apache-2.0 */
#include "source/replay/capture_file.h"

#include <string.h>

#include "base/bytes.h"
#include "source/replay/capture_track.h"

static const uint8_t magic[8] = {'t', 'd', 'c', 'a', 'p', '\r', '\n', 0x1a};

#define CAPTURE_VERSION 1u
#define CAPTURE_FRONT_BYTES 13u /* length, type, time */
#define CAPTURE_CRC_BYTES 4u

int td_capture_put_header(uint8_t *ret_bytes, size_t capacity)
{
    struct td_writer w;

    td_writer_init(&w, ret_bytes, capacity);
    td_write_bytes(&w, magic, sizeof(magic));
    td_write_be32(&w, CAPTURE_VERSION);
    return w.bad ? -TD_E_LIMIT : (int)td_writer_len(&w);
}

static int put(enum td_capture_type type, const void *payload, size_t len, uint64_t at_us,
               uint8_t *ret_bytes, size_t capacity)
{
    struct td_writer w;

    if (len > TD_CAPTURE_PAYLOAD_MAX)
        return -TD_E_LIMIT;
    td_writer_init(&w, ret_bytes, capacity);
    td_write_be32(&w, (uint32_t)len);
    td_write_u8(&w, (uint8_t)type);
    td_write_be64(&w, at_us);
    td_write_bytes(&w, payload, len);
    if (w.bad)
        return -TD_E_LIMIT;
    td_write_be32(&w, td_crc32(0, ret_bytes, td_writer_len(&w)));
    return w.bad ? -TD_E_LIMIT : (int)td_writer_len(&w);
}

int td_capture_put_removed(uint32_t handle, uint64_t at_us, uint8_t *ret_bytes, size_t capacity)
{
    uint8_t payload[4];
    struct td_writer w;

    td_writer_init(&w, payload, sizeof(payload));
    td_write_be32(&w, handle);
    return put(TD_CAPTURE_REMOVED, payload, sizeof(payload), at_us, ret_bytes, capacity);
}

int td_capture_put_muted(uint32_t handle, bool muted, uint64_t at_us, uint8_t *ret_bytes,
                         size_t capacity)
{
    uint8_t payload[5];
    struct td_writer w;

    td_writer_init(&w, payload, sizeof(payload));
    td_write_be32(&w, handle);
    td_write_u8(&w, muted ? 1 : 0);
    return put(TD_CAPTURE_MUTED, payload, sizeof(payload), at_us, ret_bytes, capacity);
}

int td_capture_put_packet(const uint8_t *packet, size_t len, uint64_t at_us, uint8_t *ret_bytes,
                          size_t capacity)
{
    return put(TD_CAPTURE_PACKET, packet, len, at_us, ret_bytes, capacity);
}

int td_capture_put_track(const struct td_track_info *info, const struct td_track_binding *binding,
                         uint64_t at_us, uint8_t *ret_bytes, size_t capacity)
{
    uint8_t text[TD_CAPTURE_PAYLOAD_MAX];
    int len = td_capture_track_print(info, binding, text, sizeof(text));

    if (len < 0)
        return len;
    return put(TD_CAPTURE_TRACK, text, (size_t)len, at_us, ret_bytes, capacity);
}

int td_capture_get_handle(const struct td_capture_record *record, uint32_t *ret_handle,
                          bool *ret_muted)
{
    struct td_reader r;
    uint32_t handle;
    uint8_t muted = 0;

    td_reader_init(&r, record->payload, record->len);
    handle = td_read_be32(&r);
    if (record->type == TD_CAPTURE_MUTED)
        muted = td_read_u8(&r);
    if (r.bad || muted > 1)
        return -TD_E_PARSE;
    *ret_handle = handle;
    if (record->type == TD_CAPTURE_MUTED)
        *ret_muted = muted != 0;
    return 0;
}

/* Fills as much of `len` as the input has: the count, or a read error. */
static int64_t read_whole(struct td_capture_reader *r, uint64_t offset, uint8_t *bytes, size_t len)
{
    size_t done = 0;

    while (done < len) {
        int64_t n = r->input.read_at(r->input.ctx, offset + done, bytes + done, len - done);

        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (int64_t)done;
}

int td_capture_reader_init(struct td_capture_reader *r, const struct td_read_at *input)
{
    struct td_reader header;
    int64_t n;

    r->input = *input;
    r->offset = TD_CAPTURE_HEADER_BYTES;
    r->damaged = 0;
    r->torn_bytes = 0;
    r->at_end = false;
    n = read_whole(r, 0, r->buffer, TD_CAPTURE_HEADER_BYTES);
    if (n < 0)
        return (int)n;
    if (n < TD_CAPTURE_HEADER_BYTES || memcmp(r->buffer, magic, sizeof(magic)) != 0)
        return -TD_E_PARSE;
    td_reader_init(&header, r->buffer + sizeof(magic), TD_CAPTURE_HEADER_BYTES - sizeof(magic));
    return td_read_be32(&header) == CAPTURE_VERSION ? 0 : -TD_E_UNSUPPORTED;
}

static int end(struct td_capture_reader *r, bool damaged, size_t torn_bytes)
{
    r->at_end = true;
    r->damaged = damaged ? 1 : 0;
    r->torn_bytes = torn_bytes;
    return 0;
}

int td_capture_next(struct td_capture_reader *r, struct td_capture_record *ret_record)
{
    struct td_capture_record record;
    struct td_reader front, back;
    size_t rest;
    int64_t n;

    if (r->at_end)
        return 0;
    n = read_whole(r, r->offset, r->buffer, CAPTURE_FRONT_BYTES);
    if (n < 0)
        return (int)n;
    if (n < CAPTURE_FRONT_BYTES)
        return end(r, false, (size_t)n);
    td_reader_init(&front, r->buffer, CAPTURE_FRONT_BYTES);
    record.len = td_read_be32(&front);
    record.type = td_read_u8(&front);
    record.at_us = td_read_be64(&front);
    record.payload = r->buffer + CAPTURE_FRONT_BYTES;
    /* A length of no sense, or a time that fits no clock, cannot even be stepped over. */
    if (record.len > TD_CAPTURE_PAYLOAD_MAX || record.at_us > INT64_MAX / 2)
        return end(r, true, 0);
    rest = record.len + CAPTURE_CRC_BYTES;
    n = read_whole(r, r->offset + CAPTURE_FRONT_BYTES, record.payload, rest);
    if (n < 0)
        return (int)n;
    if ((size_t)n < rest)
        return end(r, false, CAPTURE_FRONT_BYTES + (size_t)n);
    td_reader_init(&back, record.payload + record.len, CAPTURE_CRC_BYTES);
    if (td_read_be32(&back) != td_crc32(0, r->buffer, CAPTURE_FRONT_BYTES + record.len))
        return end(r, true, 0);
    r->offset += CAPTURE_FRONT_BYTES + rest;
    *ret_record = record;
    return 1;
}
