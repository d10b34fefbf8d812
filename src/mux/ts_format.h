/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ts_format: the numbers of MPEG-TS (ISO 13818-1) that writer, scanner and PSI share.
 * Owner: none, constants.
 * Thread: any.
 * Bound: none.
 * Does not: hold code.
 */
#ifndef TD_MUX_TS_FORMAT_H
#define TD_MUX_TS_FORMAT_H

#define TD_TS_PACKET 188u  /* ISO 13818-1 section 2.4.3.2 */
#define TD_TS_PAYLOAD 184u /* behind the four header bytes */
#define TD_TS_SYNC 0x47u

#define TD_TS_PID_PAT 0x0000u
#define TD_TS_PID_PMT 0x1000u
#define TD_TS_PID_FIRST 0x0100u /* track i has PID 0x0100 + i */
#define TD_TS_PID_NULL 0x1fffu

/* Header byte 1 and 3. */
#define TD_TS_ERROR 0x80u
#define TD_TS_PUSI 0x40u
#define TD_TS_HAS_ADAPTATION 0x20u
#define TD_TS_HAS_PAYLOAD 0x10u

/* Adaptation field flags, section 2.4.3.4. */
#define TD_TS_AF_DISCONTINUITY 0x80u
#define TD_TS_AF_RANDOM_ACCESS 0x40u
#define TD_TS_AF_PCR 0x10u
#define TD_TS_AF_OPCR 0x08u
#define TD_TS_AF_SPLICE 0x04u
#define TD_TS_AF_PRIVATE 0x02u

/* Our records in transport_private_data and in the PMT: tag and length as ETSI TS 101 154 annex D
 * and ISO 13818-1 section 2.6 lay them out; both keep this tag for users. docs/formats/ts.md. */
#define TD_TS_PRIVATE_TAG 0xe7u
#define TD_TS_PRIVATE_END 1u  /* 'T' 'D' 1 u32: the PES packet ends here and has so many bytes */
#define TD_TS_PRIVATE_HOLE 2u /* 'T' 'D' 2: media is missing before this PES packet */

/* PES, section 2.4.3.6. */
#define TD_TS_PES_HEADER 14u /* with a PTS and nothing else optional */
#define TD_TS_PES_PREFIX 6u  /* start code, stream id, PES_packet_length */
#define TD_TS_STREAM_VIDEO 0xe0u
#define TD_TS_STREAM_PRIVATE1 0xbdu

/* Stream types, table 2-34. */
#define TD_TS_TYPE_PRIVATE 0x06u
#define TD_TS_TYPE_H264 0x1bu

#define TD_TS_PTS_BITS 33
#define TD_TS_PTS_OFFSET_TICKS                                                                     \
    18000 /* 0.2 s at 90 kHz: time zero of the recording, above PCR 0                              \
           */

#endif
