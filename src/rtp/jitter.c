/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/jitter.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* RFC 3550 appendix A.1: a jump of so much ahead is no loss but another stream. */
#define DROPOUT_MAX 3000
/* How far behind a packet is still one of ours, late or twice. Retransmissions may be as old as the
 * server's buffer (500), more than the 100 of RFC 3550. */
#define HISTORY 1024u
#define HISTORY_WORDS (HISTORY / 64)
/* A packet of the last HISTORY numbers has a timestamp of at most so many ticks before the newest
 * (46 s at 90 kHz); a restarted stream has any. */
#define HISTORY_TICKS (INT32_C(1) << 22)
/* What is beyond the server's memory is given up in steps, so that one long hole is not told number
 * by number. */
#define HORIZON_STEP 64u
/* Where extended numbers start: never below zero, however far back a packet claims to be. */
#define EXT_BASE (UINT64_C(1) << 32)

struct cell { /* lies in a pool slot */
    uint64_t ext;
    int64_t arrival_us;
    int64_t noticed_us; /* since when the hole in front of it is known */
    size_t len;
    uint8_t bytes[];
};

static_assert(sizeof(struct cell) + TD_PACKET_BYTES_MAX <= TD_JITTER_SLOT_BYTES,
              "a datagram and its bookkeeping fit a slot");

struct td_jitter {
    struct td_pool *slots;
    unsigned slot_max;
    int64_t wait_us_max;
    bool started;
    bool shortage; /* the hole in front must go: memory is used up */
    uint64_t next_ext;
    uint64_t reset_ext;   /* where the newest stream began; holes before it are not waited for */
    uint64_t give_up_ext; /* holes up to here are given up */
    uint32_t newest_timestamp;
    uint64_t seen[HISTORY_WORDS]; /* which of the numbers before next_ext came */
    struct cell *lent;            /* handed out by the last pop */
    struct cell *stray;           /* may be the first packet of a restarted stream */
    unsigned head;
    unsigned count;
    struct td_jitter_stats stats;
    struct cell *ring[]; /* slot_max entries, ascending from head */
};

int td_jitter_new(struct td_pool *slots, unsigned slot_max, int64_t wait_us_max,
                  struct td_jitter **ret_jitter)
{
    struct td_jitter *j;

    assert(slots != NULL && slots->slot_bytes >= TD_JITTER_SLOT_BYTES);
    assert(slot_max >= 2 && slot_max <= TD_REORDER_SLOTS);
    j = calloc(1, sizeof(*j) + slot_max * sizeof(struct cell *));
    if (j == NULL)
        return -ENOMEM;
    j->slots = slots;
    j->slot_max = slot_max;
    j->wait_us_max = wait_us_max;
    *ret_jitter = j;
    return 0;
}

static struct cell **at(struct td_jitter *j, unsigned index)
{
    return &j->ring[(j->head + index) % j->slot_max];
}

static const struct cell *peek(const struct td_jitter *j, unsigned index)
{
    return j->ring[(j->head + index) % j->slot_max];
}

static void give_cell(struct td_jitter *j, struct cell **cell)
{
    if (*cell != NULL)
        td_pool_give(j->slots, *cell);
    *cell = NULL;
}

struct td_jitter *td_jitter_free(struct td_jitter *j)
{
    if (j == NULL)
        return NULL;
    for (unsigned i = 0; i < j->count; i++)
        give_cell(j, at(j, i));
    give_cell(j, &j->lent);
    give_cell(j, &j->stray);
    free(j);
    return NULL;
}

static uint64_t highest_ext(const struct td_jitter *j)
{
    return j->count > 0 ? peek(j, j->count - 1)->ext : j->next_ext - 1;
}

static bool was_seen(const struct td_jitter *j, uint64_t ext)
{
    return (j->seen[ext % HISTORY / 64] >> (ext % 64) & 1) != 0;
}

static void mark_seen(struct td_jitter *j, uint64_t ext)
{
    j->seen[ext % HISTORY / 64] |= UINT64_C(1) << (ext % 64);
}

/* Moves the front over a hole. */
static void skip_to(struct td_jitter *j, uint64_t ext)
{
    if (ext - j->next_ext >= HISTORY) {
        memset(j->seen, 0, sizeof(j->seen));
        j->next_ext = ext;
        return;
    }
    for (; j->next_ext < ext; j->next_ext++)
        j->seen[j->next_ext % HISTORY / 64] &= ~(UINT64_C(1) << (j->next_ext % 64));
}

static struct cell *take_cell(struct td_jitter *j, const struct td_rtp_packet *packet,
                              const uint8_t *datagram, size_t datagram_len)
{
    struct cell *cell;

    if (datagram_len > TD_PACKET_BYTES_MAX)
        return NULL;
    cell = td_pool_take(j->slots);
    if (cell == NULL)
        return NULL;
    cell->arrival_us = packet->arrival_us;
    cell->noticed_us = packet->arrival_us;
    cell->len = datagram_len;
    memcpy(cell->bytes, datagram, datagram_len);
    return cell;
}

/* Index of the first held packet that is not below `ext`. */
static unsigned find(const struct td_jitter *j, uint64_t ext)
{
    unsigned low = 0, high = j->count;

    if (j->count > 0 && peek(j, j->count - 1)->ext < ext)
        return j->count; /* the usual case */
    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (peek(j, middle)->ext < ext)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct td_jitter *j, unsigned index, struct cell *cell)
{
    assert(j->count < j->slot_max);
    if (index < j->count / 2) {
        /* Retransmissions fill the front: the few before it move. */
        j->head = (j->head + j->slot_max - 1) % j->slot_max;
        for (unsigned i = 0; i < index; i++)
            *at(j, i) = *at(j, i + 1);
    } else {
        for (unsigned i = j->count; i > index; i--)
            *at(j, i) = *at(j, i - 1);
    }
    *at(j, index) = cell;
    j->count++;
    if (j->count == j->slot_max || j->slots->used_count == j->slots->slot_count)
        j->shortage = true;
}

static struct cell *remove_front(struct td_jitter *j)
{
    struct cell *cell = *at(j, 0);

    *at(j, 0) = NULL;
    j->head = (j->head + 1) % j->slot_max;
    j->count--;
    return cell;
}

static void drop_stray(struct td_jitter *j)
{
    if (j->stray != NULL)
        j->stats.late++;
    give_cell(j, &j->stray);
}

static int hold(struct td_jitter *j, uint64_t ext, const struct td_rtp_packet *packet,
                const uint8_t *datagram, size_t datagram_len)
{
    unsigned index = find(j, ext);
    struct cell *cell;

    if (index < j->count && peek(j, index)->ext == ext) {
        j->stats.duplicates++;
        return TD_JITTER_DROPPED;
    }
    cell = j->count < j->slot_max ? take_cell(j, packet, datagram, datagram_len) : NULL;
    if (cell == NULL) {
        j->stats.dropped++;
        j->shortage = true;
        return TD_JITTER_DROPPED;
    }
    cell->ext = ext;
    if (index < j->count) {
        j->stats.reordered++;
        if (peek(j, index)->noticed_us < cell->noticed_us)
            cell->noticed_us = peek(j, index)->noticed_us;
    }
    insert(j, index, cell);
    return TD_JITTER_HELD;
}

/* Takes the stray packet, whose number `packet` continues, as the beginning of a new stream behind
 * everything that is held. */
static int reset(struct td_jitter *j, const struct td_rtp_packet *packet, const uint8_t *datagram,
                 size_t datagram_len)
{
    uint64_t highest = highest_ext(j);
    /* Always ahead, and farther than any ordinary hole: a stray packet is DROPOUT_MAX ahead of the
     * highest, or so far behind it that this wraps around. */
    uint64_t ext = highest + (uint16_t)(packet->seq - 1u - (uint16_t)highest);

    while (j->count + 2 > j->slot_max) {
        struct cell *oldest = remove_front(j);

        give_cell(j, &oldest);
        j->stats.dropped++;
    }
    j->stray->ext = ext;
    insert(j, j->count, j->stray);
    j->stray = NULL;
    j->reset_ext = ext;
    j->newest_timestamp = packet->timestamp;
    memset(j->seen, 0, sizeof(j->seen));
    j->stats.resets++;
    return hold(j, ext + 1, packet, datagram, datagram_len);
}

/* RFC 3550 appendix A.1: a number out of all order is believed once the next one follows. */
static int push_stray(struct td_jitter *j, const struct td_rtp_packet *packet,
                      const uint8_t *datagram, size_t datagram_len)
{
    if (j->stray != NULL && (uint16_t)(j->stray->ext + 1) == packet->seq)
        return reset(j, packet, datagram, datagram_len);
    drop_stray(j);
    j->stray = take_cell(j, packet, datagram, datagram_len);
    if (j->stray == NULL) {
        j->stats.dropped++;
        return TD_JITTER_DROPPED;
    }
    j->stray->ext = packet->seq;
    return TD_JITTER_HELD;
}

/* Whether a number of the recent past belongs to this stream and not to a restarted one. */
static bool plausible_past(const struct td_jitter *j, uint64_t ext, uint64_t floor_ext,
                           uint32_t timestamp)
{
    int32_t behind = (int32_t)(j->newest_timestamp - timestamp);

    return floor_ext - ext <= HISTORY && behind >= 0 && behind < HISTORY_TICKS;
}

static int push_past(struct td_jitter *j, uint64_t ext)
{
    if (was_seen(j, ext)) {
        j->stats.duplicates++;
        return TD_JITTER_DROPPED;
    }
    mark_seen(j, ext);
    j->stats.late++;
    return TD_JITTER_DROPPED;
}

int td_jitter_push(struct td_jitter *j, const struct td_rtp_packet *packet, const uint8_t *datagram,
                   size_t datagram_len)
{
    uint64_t ext, highest, floor_ext;
    int distance;

    give_cell(j, &j->lent);
    j->stats.received++;
    if (!j->started) {
        j->started = true;
        j->next_ext = EXT_BASE + packet->seq;
        j->newest_timestamp = packet->timestamp;
    }
    highest = highest_ext(j);
    distance = td_rtp_seq_distance((uint16_t)highest, packet->seq);
    ext = distance < 0 ? highest - (uint64_t)-distance : highest + (uint64_t)distance;
    floor_ext = j->next_ext > j->reset_ext ? j->next_ext : j->reset_ext;
    if (distance >= DROPOUT_MAX)
        return push_stray(j, packet, datagram, datagram_len);
    if (ext < floor_ext) {
        if (!plausible_past(j, ext, floor_ext, packet->timestamp))
            return push_stray(j, packet, datagram, datagram_len);
        return push_past(j, ext);
    }
    drop_stray(j);
    if (distance > 0)
        j->newest_timestamp = packet->timestamp;
    if (ext != j->next_ext || (j->count > 0 && peek(j, 0)->ext == ext))
        return hold(j, ext, packet, datagram, datagram_len);
    if (j->count > 0)
        j->stats.reordered++;
    mark_seen(j, ext);
    j->next_ext++;
    return TD_JITTER_NEXT;
}

/* The end of what may be given up of the hole in front; next_ext when nothing may. */
static uint64_t hole_end(const struct td_jitter *j, int64_t now_us)
{
    const struct cell *front = peek(j, 0);
    uint64_t highest = highest_ext(j);
    uint64_t end = j->next_ext;

    if (j->next_ext < j->reset_ext || j->shortage || now_us - front->noticed_us >= j->wait_us_max)
        return front->ext;
    if (j->give_up_ext >= end)
        end = j->give_up_ext + 1;
    /* The server keeps no more than this many to send again. */
    if (highest - j->next_ext >= TD_REORDER_SLOTS &&
        end < highest - TD_REORDER_SLOTS + HORIZON_STEP)
        end = highest - TD_REORDER_SLOTS + HORIZON_STEP;
    return end < front->ext ? end : front->ext;
}

static int pop_hole(struct td_jitter *j, int64_t now_us, struct td_jitter_hole *ret_hole)
{
    uint64_t end = hole_end(j, now_us);
    uint64_t count = end - j->next_ext;

    if (count == 0)
        return TD_JITTER_EMPTY;
    ret_hole->first_seq = (uint16_t)j->next_ext;
    /* Across a new start nobody knows how many are missing. */
    ret_hole->count = count >= DROPOUT_MAX ? 0 : (uint16_t)count;
    j->stats.lost += ret_hole->count;
    j->shortage = false;
    skip_to(j, end);
    return TD_JITTER_HOLE;
}

int td_jitter_pop(struct td_jitter *j, int64_t now_us, struct td_rtp_packet *ret_packet,
                  struct td_jitter_hole *ret_hole)
{
    give_cell(j, &j->lent);
    while (j->count > 0) {
        int64_t arrival_us;

        if (peek(j, 0)->ext != j->next_ext)
            return pop_hole(j, now_us, ret_hole);
        j->lent = remove_front(j);
        mark_seen(j, j->next_ext);
        j->next_ext++;
        arrival_us = j->lent->arrival_us;
        if (td_rtp_parse(j->lent->bytes, j->lent->len, ret_packet) == 0) {
            ret_packet->arrival_us = arrival_us;
            return TD_JITTER_PACKET;
        }
        /* Not the datagram that was parsed before: as good as lost. */
        j->stats.dropped++;
        give_cell(j, &j->lent);
    }
    j->shortage = false;
    return TD_JITTER_EMPTY;
}

void td_jitter_give_up(struct td_jitter *j, uint16_t up_to_seq)
{
    int distance = td_rtp_seq_distance((uint16_t)j->next_ext, up_to_seq);

    if (j->count == 0 || distance < 0 || j->next_ext < j->reset_ext)
        return;
    if (j->next_ext + (uint64_t)distance < highest_ext(j))
        j->give_up_ext = j->next_ext + (uint64_t)distance;
    else
        j->give_up_ext = highest_ext(j);
}

size_t td_jitter_missing(const struct td_jitter *j, uint16_t *ret_seqs, size_t max)
{
    uint64_t ext = j->next_ext > j->reset_ext ? j->next_ext : j->reset_ext;
    size_t count = 0;

    if (ext <= j->give_up_ext)
        ext = j->give_up_ext + 1;
    for (unsigned i = 0; i < j->count; i++) {
        const struct cell *cell = peek(j, i);

        for (; ext < cell->ext; ext++) {
            if (count == max)
                return count;
            ret_seqs[count++] = (uint16_t)ext;
        }
        if (ext == cell->ext)
            ext++;
    }
    return count;
}

const struct td_jitter_stats *td_jitter_stats(const struct td_jitter *j)
{
    return &j->stats;
}
