/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ts_packet: one packet of MPEG-TS taken apart (ISO 13818-1 sections 2.4.3.2 to 2.4.3.5).
 * Owner: none; the result borrows the packet's bytes.
 * Thread: any.
 * Bound: 188 bytes.
 * Does not: look into payloads.
 */
#ifndef TD_MUX_TS_PACKET_H
#define TD_MUX_TS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mux/ts_format.h"

/* One TS packet, taken apart. */
struct td_ts_packet {
    uint16_t pid;
    bool pusi;
    bool error;
    bool discontinuity;
    bool random_access;
    bool hole;      /* our record says so */
    bool malformed; /* its adaptation field is longer than it */
    bool has_pcr;
    uint8_t cc;
    uint64_t pcr;           /* in 27 MHz, as it stands there: 33 bits of 90 kHz times 300 */
    size_t end_bytes;       /* of our end record, 0 = none */
    const uint8_t *payload; /* NULL = none */
    size_t payload_len;
};

/* The sync byte is the caller's to check. Never fails: what makes no sense is `malformed`. */
void td_ts_packet_parse(const uint8_t bytes[static TD_TS_PACKET], struct td_ts_packet *ret_packet);

#endif
