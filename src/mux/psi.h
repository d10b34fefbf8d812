/* SPDX-License-Identifier: Apache-2.0 */
/*
 * psi: program tables of MPEG-TS (ISO 13818-1 section 2.4.4): one program, its PAT and PMT.
 * Owner: the caller's structs.
 * Thread: any.
 * Bound: written tables fit one TS packet; read sections have TD_PSI_SECTION_MAX bytes at most.
 * Does not: know PES or time, or keep tables of several programs (the first one counts).
 */
#ifndef TD_MUX_PSI_H
#define TD_MUX_PSI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "media/frame.h"
#include "mux/mux.h"
#include "mux/ts_format.h"

#define TD_PSI_SECTION_MAX 1024u /* ISO 13818-1 section 2.4.4.8: section_length <= 1021 */

struct td_psi_stream {
    uint16_t pid;
    enum td_codec codec; /* TD_CODEC_NONE: one we do not know */
    unsigned channels;
    char language[4]; /* ISO 639-2, empty = none */
};

struct td_psi_pmt {
    uint16_t pcr_pid;
    uint8_t version;    /* 0 to 31 */
    bool ours;          /* carries our descriptor */
    uint8_t half_epoch; /* bits 32 to 39 of the 90 kHz time of the tables, docs/formats/ts.md */
    unsigned stream_count;
    struct td_psi_stream streams[TD_MUX_TRACKS_MAX];
};

void td_psi_write_pat(uint8_t ret_packet[static TD_TS_PACKET], uint8_t cc);
/* 0, or -TD_E_LIMIT when the streams do not fit. */
TD_MUST int td_psi_write_pmt(uint8_t ret_packet[static TD_TS_PACKET], uint8_t cc,
                             const struct td_psi_pmt *pmt);

/* A section under assembly from TS payloads. */
struct td_psi_section {
    uint8_t bytes[TD_PSI_SECTION_MAX];
    size_t len;
    bool open;
};

/* Takes the payload of one packet. 1 when the section is whole and its CRC is right, 0 when more is
 * needed, -TD_E_PARSE when it was malformed (dropped). */
TD_MUST int td_psi_push(struct td_psi_section *s, const uint8_t *payload, size_t len, bool pusi);
/* Of a whole section: PID of the first program's PMT; 0, or -TD_E_PARSE. */
TD_MUST int td_psi_parse_pat(const struct td_psi_section *s, uint16_t *ret_pmt_pid);
/* More streams than TD_MUX_TRACKS_MAX are left out. */
TD_MUST int td_psi_parse_pmt(const struct td_psi_section *s, struct td_psi_pmt *ret_pmt);

#endif
