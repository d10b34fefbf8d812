/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jitter: puts one stream's packets in sequence, waiting for lost ones as long as they can still
 *         come: a recorder has no latency to defend (design section 7).
 * Owner: one track; packets behind a hole are copied into slots of the given pool.
 * Thread: the media loop's.
 * Bound: `slot_max` packets (<= TD_REORDER_SLOTS), `wait_us_max` of waiting; when either is reached
 *        the oldest hole is given up and counted.
 * Does not: copy packets that come in order, send NACKs (nack does), or look at payloads.
 */
#ifndef TD_RTP_JITTER_H
#define TD_RTP_JITTER_H

#include <stdint.h>

#include "base/limits.h"
#include "base/pool.h"
#include "rtp/packet.h"

/* Slot size the pool must have: a datagram and its bookkeeping. */
#define TD_JITTER_SLOT_BYTES (TD_PACKET_BYTES_MAX + 64u)

enum td_jitter_push {
    TD_JITTER_NEXT = 1,    /* next in order: process `packet` now, then drain with td_jitter_pop */
    TD_JITTER_HELD = 2,    /* copied, behind a hole */
    TD_JITTER_DROPPED = 3, /* duplicate, too old, or no slot: counted */
};

enum td_jitter_pop {
    TD_JITTER_EMPTY = 0,
    TD_JITTER_PACKET = 1, /* `ret_packet` is valid until the next call on this jitter */
    TD_JITTER_HOLE = 2,   /* `ret_hole` was given up */
};

struct td_jitter_hole {
    uint16_t first_seq;
    uint16_t count; /* 0: the stream started anew, nobody knows how many are missing */
};

struct td_jitter;

struct td_jitter_stats {
    uint64_t received;
    uint64_t duplicates;
    uint64_t late;      /* came after its hole was given up */
    uint64_t reordered; /* came behind a higher number, in time */
    uint64_t lost;      /* given up */
    uint64_t dropped;   /* no slot */
    uint64_t resets;    /* sequence jumps taken as a new start */
};

/* `slot_max` at least 2. A pool may be shared by the tracks of one loop. */
TD_MUST int td_jitter_new(struct td_pool *slots, unsigned slot_max, int64_t wait_us_max,
                          struct td_jitter **ret_jitter);
struct td_jitter *td_jitter_free(struct td_jitter *j);

/* Drain with td_jitter_pop after each push: a hole given up for want of slots goes only there.
 * `packet` must lie in a datagram of `datagram_len` bytes at `datagram` (what is copied when held).
 */
TD_MUST int td_jitter_push(struct td_jitter *j, const struct td_rtp_packet *packet,
                           const uint8_t *datagram, size_t datagram_len);
TD_MUST int td_jitter_pop(struct td_jitter *j, int64_t now_us, struct td_rtp_packet *ret_packet,
                          struct td_jitter_hole *ret_hole);
/* Gives up the hole in front now (nack ran out of tries). */
void td_jitter_give_up(struct td_jitter *j, uint16_t up_to_seq);
/* The sequence numbers missing right now, ascending; at most `max`. */
size_t td_jitter_missing(const struct td_jitter *j, uint16_t *ret_seqs, size_t max);
const struct td_jitter_stats *td_jitter_stats(const struct td_jitter *j);

#endif
