/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_layout: the bytes of a crash pool file, as the writer leaves them and recovery reads them.
 * Owner: the mapping belongs to the crash pool of a living process, then to recovery.
 * Thread: a file entry is written by its opener and the writer thread; a buffer by the media loop
 *         that took it, until it is handed to the writer.
 * Bound: fixed sizes, below; recovery believes none of the numbers before it has checked them.
 * Does not: leave the machine: numbers are in its own byte order, tmpfs ends with the boot.
 *
 *   0          4096          4096 + file_count * 2176, rounded up to 4096
 *   +----------+-------------+----------+----------+-- ... --+----------+
 *   | header   | file table  | buffer 0 | buffer 1 |         | buffer n |
 *   +----------+-------------+----------+----------+-- ... --+----------+
 *
 *   A buffer, TD_CRASHPOOL_BUFFER_BYTES long:
 *   +--------+---------+---------+-----+------------------+-----+----------+----------+
 *   | header | bytes 0 | bytes 1 | ... |  room for more   | ... | record 1 | record 0 |
 *   +--------+---------+---------+-----+------------------+-----+----------+----------+
 *   0        64        --> bytes grow upwards    records grow downwards <--        65536
 *
 * The bytes of the records lie one behind the other without gaps, so that a run of appends is one
 * write(2). Record i says how long bytes i are; their place is the sum of the lengths before.
 *
 * A record counts once `published` says so, and `published` is stored (release) after the record
 * and its bytes: a process that is killed between two instructions leaves whole records only. The
 * same holds for `state`, stored after everything else of the buffer's header, and for `ino`,
 * stored after `dev`. Buffers are replayed by ascending `sequence`, which one counter of the
 * process gives.
 */
#ifndef TD_STORE_POOL_LAYOUT_H
#define TD_STORE_POOL_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fileop.h"
#include "base/limits.h"

#define TD_POOL_MAGIC UINT64_C(0x31306c6f6f706474) /* "tdpool01" on a little-endian machine */
#define TD_POOL_VERSION 1u
#define TD_POOL_HEADER_BYTES 4096u
#define TD_POOL_PAGE_BYTES 4096u
#define TD_POOL_PREFIX "tapedeck-"
#define TD_POOL_SUFFIX ".pool"

enum td_pool_file_state {
    TD_POOL_FILE_FREE = 0,
    TD_POOL_FILE_LIVE = 1,
    TD_POOL_FILE_DEAD = 2, /* open or write failed: what its buffers hold is not to be replayed */
};

enum td_pool_buffer_state {
    TD_POOL_BUFFER_FREE = 0,
    TD_POOL_BUFFER_USED = 1,
};

/* At offset 0; constant once the file has its name. */
struct td_pool_header {
    uint64_t magic;
    uint32_t version;
    uint32_t pid;
    uint64_t total_bytes;
    uint64_t generation; /* random; goes into every record's checksum */
    int64_t created_us;  /* wall time: recovery takes the oldest pool first */
    uint64_t files_at;
    uint64_t buffers_at;
    uint32_t file_bytes; /* size of one entry */
    uint32_t file_count;
    uint32_t buffer_bytes;
    uint32_t buffer_count;
    uint32_t crc; /* of everything above */
    uint32_t reserved;
};

/* The files of one spool. */
struct td_pool_file {
    _Atomic uint32_t state; /* enum td_pool_file_state */
    uint32_t generation; /* counts the uses of this entry; a buffer names the one it belongs to */
    uint64_t dev[TD_FILE_SLOTS];
    _Atomic uint64_t ino[TD_FILE_SLOTS];   /* 0: not open yet */
    char path[TD_FILE_SLOTS][TD_PATH_MAX]; /* absolute; empty: this slot is not written */
    uint64_t resume_bytes; /* 0: the media file is created; else it is there with so many bytes */
    uint8_t reserved[80];
};

struct td_pool_buffer {
    _Atomic uint32_t state; /* enum td_pool_buffer_state */
    uint32_t file;          /* index of its file entry */
    uint32_t file_generation;
    _Atomic uint32_t published; /* records that are whole */
    uint64_t sequence;          /* from 1 */
    uint8_t reserved[40];
};

struct td_pool_record {
    uint8_t kind; /* enum td_file_op_kind */
    uint8_t slot; /* enum td_file_slot */
    uint16_t reserved;
    uint32_t len;    /* bytes in the buffer; 0 for truncate and sync */
    uint64_t offset; /* in the file */
    uint32_t crc;    /* of generation, sequence, the 16 bytes above, the bytes; td_pool_crc */
    uint32_t reserved2;
};

static_assert(sizeof(struct td_pool_header) == 80, "wire format");
static_assert(sizeof(struct td_pool_file) == 2176, "wire format");
static_assert(sizeof(struct td_pool_buffer) == 64, "wire format");
static_assert(sizeof(struct td_pool_record) == 24, "wire format");
static_assert(offsetof(struct td_pool_record, crc) == 16, "the checksum covers what is before it");
static_assert(TD_POOL_HEADER_BYTES >= sizeof(struct td_pool_header), "one page");

/* What bytes and records share. */
#define TD_POOL_ROOM_BYTES (TD_CRASHPOOL_BUFFER_BYTES - sizeof(struct td_pool_buffer))

/* First part of a record's checksum, the same for all records of one use of one buffer: a record of
 * an earlier use, or of another pool, never fits. */
uint32_t td_pool_seed(uint64_t generation, uint64_t sequence);
uint32_t td_pool_crc(uint32_t seed, const struct td_pool_record *record, const void *bytes);
uint32_t td_pool_header_crc(const struct td_pool_header *header);

#endif
