/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ebml: elements of EBML (RFC 8794) and the ids of Matroska (RFC 9559) we write or read.
 * Owner: none; borrows the caller's writer or bytes.
 * Thread: any.
 * Bound: ids of 4 and sizes of 8 bytes, the default limits of RFC 8794 section 11.2.
 * Does not: know which element may stand where.
 */
#ifndef TD_MUX_EBML_H
#define TD_MUX_EBML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* RFC 8794 section 11.2 and RFC 9559 section 5.1, ids with their length marker. */
enum td_ebml_id {
    TD_EBML_HEADER = 0x1a45dfa3,
    TD_EBML_VERSION = 0x4286,
    TD_EBML_READ_VERSION = 0x42f7,
    TD_EBML_MAX_ID = 0x42f2,
    TD_EBML_MAX_SIZE = 0x42f3,
    TD_EBML_DOCTYPE = 0x4282,
    TD_EBML_DOCTYPE_VERSION = 0x4287,
    TD_EBML_DOCTYPE_READ = 0x4285,
    TD_EBML_VOID = 0xec,
    TD_EBML_CRC32 = 0xbf,
    TD_MKV_SEGMENT = 0x18538067,
    TD_MKV_SEEK_HEAD = 0x114d9b74,
    TD_MKV_SEEK = 0x4dbb,
    TD_MKV_SEEK_ID = 0x53ab,
    TD_MKV_SEEK_POSITION = 0x53ac,
    TD_MKV_INFO = 0x1549a966,
    TD_MKV_SEGMENT_UID = 0x73a4,
    TD_MKV_TIMESTAMP_SCALE = 0x2ad7b1,
    TD_MKV_DURATION = 0x4489,
    TD_MKV_MUXING_APP = 0x4d80,
    TD_MKV_WRITING_APP = 0x5741,
    TD_MKV_TRACKS = 0x1654ae6b,
    TD_MKV_TRACK_ENTRY = 0xae,
    TD_MKV_TRACK_NUMBER = 0xd7,
    TD_MKV_TRACK_UID = 0x73c5,
    TD_MKV_TRACK_TYPE = 0x83,
    TD_MKV_FLAG_LACING = 0x9c,
    TD_MKV_NAME = 0x536e,
    TD_MKV_LANGUAGE = 0x22b59c,
    TD_MKV_LANGUAGE_BCP47 = 0x22b59d,
    TD_MKV_CODEC_ID = 0x86,
    TD_MKV_CODEC_PRIVATE = 0x63a2,
    TD_MKV_CODEC_DELAY = 0x56aa,
    TD_MKV_SEEK_PRE_ROLL = 0x56bb,
    TD_MKV_VIDEO = 0xe0,
    TD_MKV_PIXEL_WIDTH = 0xb0,
    TD_MKV_PIXEL_HEIGHT = 0xba,
    TD_MKV_AUDIO = 0xe1,
    TD_MKV_SAMPLING_FREQUENCY = 0xb5,
    TD_MKV_CHANNELS = 0x9f,
    TD_MKV_CLUSTER = 0x1f43b675,
    TD_MKV_TIMESTAMP = 0xe7,
    TD_MKV_POSITION = 0xa7,
    TD_MKV_PREV_SIZE = 0xab,
    TD_MKV_SIMPLE_BLOCK = 0xa3,
    TD_MKV_BLOCK_GROUP = 0xa0,
    TD_MKV_BLOCK = 0xa1,
    TD_MKV_BLOCK_DURATION = 0x9b,
    TD_MKV_REFERENCE_BLOCK = 0xfb,
    TD_MKV_SILENT_TRACKS = 0x5854,
    TD_MKV_ENCRYPTED_BLOCK = 0xaf,
    TD_MKV_CUES = 0x1c53bb6b,
    TD_MKV_CUE_POINT = 0xbb,
    TD_MKV_CUE_TIME = 0xb3,
    TD_MKV_CUE_POSITIONS = 0xb7,
    TD_MKV_CUE_TRACK = 0xf7,
    TD_MKV_CUE_CLUSTER = 0xf1,
    TD_MKV_TAGS = 0x1254c367,
    TD_MKV_ATTACHMENTS = 0x1941a469,
    TD_MKV_CHAPTERS = 0x1043a770,
};

#define TD_EBML_UNKNOWN UINT64_MAX /* RFC 8794 section 6.2: all value bits set */
#define TD_EBML_SIZE_MAX ((UINT64_C(1) << 56) - 2)
#define TD_EBML_HEADER_MAX 12u /* id and size */

void td_ebml_write_id(struct td_writer *w, uint32_t id);
/* `width` bytes (1 to 8); TD_EBML_UNKNOWN is written as unknown. 0: as few as possible. */
void td_ebml_write_size(struct td_writer *w, uint64_t size, unsigned width);
void td_ebml_write_uint(struct td_writer *w, uint32_t id, uint64_t value);
/* Always eight bytes of value, so that it can be patched. */
void td_ebml_write_uint64(struct td_writer *w, uint32_t id, uint64_t value);
void td_ebml_write_double(struct td_writer *w, uint32_t id, double value);
void td_ebml_write_binary(struct td_writer *w, uint32_t id, const void *bytes, size_t len);
/* A Void of `total` bytes (>= 2) in all; its content is zero. */
void td_ebml_write_void(struct td_writer *w, size_t total);
/* Master elements: begin leaves a size of `width` bytes, end fills it in. Returns its position. */
uint8_t *td_ebml_begin(struct td_writer *w, uint32_t id, unsigned width);
void td_ebml_end(struct td_writer *w, uint8_t *size_at, unsigned width);
void td_ebml_put_size(uint8_t *at, uint64_t size, unsigned width);

struct td_ebml_element {
    uint32_t id;
    uint64_t size; /* TD_EBML_UNKNOWN */
    unsigned header_len;
    unsigned size_width;
};

/* Parses id and size. 0, 1 when `len` is too small to say, -TD_E_PARSE for no element. */
TD_MUST int td_ebml_parse(const uint8_t *bytes, size_t len, struct td_ebml_element *ret_element);
/* Next child inside `r`, which moves behind it; 1, or 0 at the end or where it is malformed (the
 * reader is then bad). Children of unknown size are malformed here. */
TD_MUST int td_ebml_next(struct td_reader *r, struct td_ebml_element *ret_element,
                         const uint8_t **ret_body);
/* A number coded like a size (the track number of a block). */
uint64_t td_ebml_read_vint(struct td_reader *r);
uint64_t td_ebml_uint(const uint8_t *body, uint64_t size);
double td_ebml_double(const uint8_t *body, uint64_t size);

#endif
