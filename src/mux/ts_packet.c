/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/ts_packet.h"

#include "base/bytes.h"

static void parse_private(struct td_reader *r, struct td_ts_packet *p)
{
    while (td_reader_left(r) >= 2) {
        uint8_t tag = td_read_u8(r);
        uint8_t len = td_read_u8(r);
        const uint8_t *body = td_read_bytes(r, len);

        if (!body)
            return;
        if (tag != TD_TS_PRIVATE_TAG || len < 3 || body[0] != 'T' || body[1] != 'D')
            continue;
        if (body[2] == TD_TS_PRIVATE_HOLE)
            p->hole = true;
        else if (body[2] == TD_TS_PRIVATE_END && len == 7)
            p->end_bytes = (size_t)body[3] << 24 | (size_t)body[4] << 16 | (size_t)body[5] << 8 |
                           body[6];
    }
}

/* program_clock_reference, section 2.4.3.5: 33 bits of 90 kHz, 6 reserved, 9 bits of 27 MHz. */
static void parse_pcr(struct td_reader *r, struct td_ts_packet *p)
{
    const uint8_t *at = td_read_bytes(r, 6);

    if (!at) /* a short field leaves the reader bad, which its caller checks */
        return;
    p->has_pcr = true;
    p->pcr = ((uint64_t)at[0] << 25 | (uint64_t)at[1] << 17 | (uint64_t)at[2] << 9 |
              (uint64_t)at[3] << 1 | at[4] >> 7) *
                 300 +
             ((at[4] & 1u) << 8 | at[5]);
}

static void parse_adaptation(const uint8_t *field, size_t len, struct td_ts_packet *p)
{
    struct td_reader r;
    struct td_reader private_data;
    const uint8_t *body;
    uint8_t flags;
    size_t n;

    if (len == 0)
        return;
    td_reader_init(&r, field, len);
    flags = td_read_u8(&r);
    p->discontinuity = (flags & TD_TS_AF_DISCONTINUITY) != 0;
    p->random_access = (flags & TD_TS_AF_RANDOM_ACCESS) != 0;
    if (flags & TD_TS_AF_PCR)
        parse_pcr(&r, p);
    if (flags & TD_TS_AF_OPCR)
        (void)td_read_bytes(&r, 6);
    if (flags & TD_TS_AF_SPLICE)
        (void)td_read_u8(&r);
    if (!(flags & TD_TS_AF_PRIVATE) || r.bad)
        return;
    n = td_read_u8(&r);
    body = td_read_bytes(&r, n);
    if (!body)
        return;
    td_reader_init(&private_data, body, n);
    parse_private(&private_data, p);
}

void td_ts_packet_parse(const uint8_t bytes[static TD_TS_PACKET], struct td_ts_packet *ret_packet)
{
    struct td_ts_packet p = {
        .pid = (uint16_t)((bytes[1] & 0x1f) << 8 | bytes[2]),
        .pusi = (bytes[1] & TD_TS_PUSI) != 0,
        .error = (bytes[1] & TD_TS_ERROR) != 0,
        .cc = bytes[3] & 15,
    };
    size_t at = 4;

    if (bytes[3] & TD_TS_HAS_ADAPTATION) {
        size_t len = bytes[4];

        if (len > TD_TS_PAYLOAD - 1) {
            p.malformed = true;
            len = TD_TS_PAYLOAD - 1;
        }
        parse_adaptation(bytes + 5, len, &p);
        at += 1 + len;
    }
    if ((bytes[3] & TD_TS_HAS_PAYLOAD) && at < TD_TS_PACKET) {
        p.payload = bytes + at;
        p.payload_len = TD_TS_PACKET - at;
    }
    *ret_packet = p;
}
