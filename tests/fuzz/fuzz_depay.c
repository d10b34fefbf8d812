/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_depay: any packets through any depacketiser.
 *
 * An input is one byte that picks the row of td_depay_table, then records:
 *
 *     +-------+----------+---------+-----------------+
 *     | flags | ts delta | len, 16 | payload of len… |
 *     +-------+----------+---------+-----------------+
 *
 * Flag 1 is the marker, flag 2 says that packets are missing before this one. The last payload is
 * cut where the input ends.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "media/assembly.h"
#include "media/codec.h"
#include "media/h264.h"
#include "media/vp8.h"

#define FLAG_MARKER 1u
#define FLAG_HOLE 2u
#define BUDGET_BYTES (128u << 10)

static void check_frame(const struct td_frame *frame)
{
    FUZZ_CHECK(frame->len > 0 && frame->len <= TD_FRAME_BYTES_MAX);
    if (frame->codec == TD_CODEC_H264) {
        FUZZ_CHECK(frame->len > 4 && memcmp(frame->bytes, "\0\0\0\1", 4) == 0);
        uint8_t avcc[TD_H264_AVCC_BYTES_MAX];
        int r = td_h264_avcc(frame->bytes, frame->len, avcc, sizeof(avcc));
        FUZZ_CHECK(!frame->key || r > 0 || r == -TD_E_LIMIT);
        FUZZ_CHECK(!frame->key || (frame->width > 0 && frame->height > 0));
    }
    if (frame->codec == TD_CODEC_VP8) {
        struct td_vp8_header header;
        FUZZ_CHECK(td_vp8_header(frame->bytes, frame->len, &header) == 0);
        FUZZ_CHECK(header.key == frame->key && header.width == frame->width);
    }
    if (frame->codec == TD_CODEC_OPUS)
        FUZZ_CHECK(frame->duration_us > 0 && frame->duration_us <= 120000);
    /* Every byte must be readable. */
    FUZZ_CHECK(td_crc32(0, frame->bytes, frame->len) <= UINT32_MAX);
}

static void push_record(struct td_depay *d, struct td_reader *in, uint32_t *timestamp)
{
    uint8_t flags = td_read_u8(in);
    *timestamp += td_read_u8(in);
    size_t len = td_read_be16(in);
    size_t left = td_reader_left(in);
    len = len < left ? len : left;
    /* A copy of its own, so that a read past its end is seen. */
    uint8_t *payload = malloc(len + 1);
    FUZZ_CHECK(payload);
    if (len > 0)
        memcpy(payload, td_read_bytes(in, len), len);
    if ((flags & FLAG_HOLE) != 0)
        td_depay_hole(d);
    struct td_rtp_packet packet = {
        .timestamp = *timestamp,
        .marker = (flags & FLAG_MARKER) != 0,
        .payload = payload,
        .payload_len = len,
    };
    int r = td_depay_push(d, &packet);
    FUZZ_CHECK(r == 0 || r == -TD_E_PARSE);
    free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct td_reader in;
    td_reader_init(&in, bytes, len);
    size_t count;
    const struct td_depay_ops *const *table = td_depay_table(&count);
    struct td_budget budget;
    td_budget_init(&budget, NULL, BUDGET_BYTES);
    struct td_depay *d = NULL;
    FUZZ_CHECK(td_depay_new(table[td_read_u8(&in) % count]->codec, &budget, &d) == 0);
    uint32_t timestamp = 0xffffff00u; /* wraps soon */
    while (td_reader_left(&in) > 0) {
        push_record(d, &in, &timestamp);
        struct td_frame frame;
        unsigned popped = 0;
        while (td_depay_pop(d, &frame) == 1) {
            check_frame(&frame);
            popped++;
        }
        FUZZ_CHECK(popped <= TD_ASSEMBLY_READY_MAX);
    }
    d = td_depay_free(d);
    FUZZ_CHECK(td_budget_used(&budget) == 0);
    td_budget_done(&budget);
    return 0;
}
