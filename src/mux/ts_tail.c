/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/ts_tail.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "mux/input.h"
#include "mux/psi.h"
#include "mux/ts_format.h"
#include "mux/ts_packet.h"
#include "mux/ts_scan.h"

#define TAIL_WINDOW (TD_TS_PACKET * 512u)
/* A file of ours begins with PAT, PMT and a packet with the first PCR. */
#define TAIL_HEAD_PACKETS 3u
/* A frame is at most TD_REORDER_US ahead of the clock; the rest is for the distance of PCRs and for
 * rounding. */
#define TAIL_LEAD_US (TD_REORDER_US + 100000)

static_assert(sizeof(struct td_ts_tail) <= TD_MUX_TAIL_STATE, "it lies in the state");

/* What the packets of the end say, one window of it. */
struct tail_walk {
    uint8_t pat[TD_TS_PACKET]; /* the last one */
    uint8_t pmt[TD_TS_PACKET];
    bool has_pat;
    bool has_pmt;
    bool has_pcr;  /* those before the first PMT do not count: their turn is not known */
    bool foreign;  /* something is there that we never write */
    unsigned seen; /* a bit for each track with a packet */
    uint8_t cc[TD_MUX_TRACKS_MAX];
    uint8_t half_epoch; /* of the last PMT */
    uint16_t pcr_pid;
    int64_t first_pcr_us;
    int64_t last_pcr_us;
};

/* Microseconds of a PCR that stands near tables of this half epoch; negative: not one of ours. */
static int64_t time_of_pcr(uint64_t raw, uint8_t half_epoch)
{
    const int64_t turn = (INT64_C(1) << TD_TS_PTS_BITS) * 300;
    int64_t middle = (((int64_t)half_epoch << 32) + (INT64_C(1) << 31)) * 300;
    int64_t turns = middle - (int64_t)raw + turn / 2;

    if (turns < 0)
        return -1;
    return ((int64_t)raw + turns / turn * turn) / 27;
}

static int parse_pmt(const uint8_t pmt[static TD_TS_PACKET], struct td_psi_pmt *ret_pmt)
{
    struct td_psi_section section = {.len = 0};

    if (td_psi_push(&section, pmt + 4, TD_TS_PAYLOAD, true) != 1)
        return -TD_E_PARSE;
    return td_psi_parse_pmt(&section, ret_pmt);
}

/* Tables that this writer would write in the same way, byte for byte: then the file's layout is
 * known to the last detail. */
static bool tables_ours(const uint8_t pat[static TD_TS_PACKET],
                        const uint8_t pmt[static TD_TS_PACKET], struct td_psi_pmt *ret_pmt)
{
    uint8_t again[TD_TS_PACKET];

    td_psi_write_pat(again, pat[3] & 15);
    if (memcmp(again, pat, sizeof(again)) != 0)
        return false;
    if (parse_pmt(pmt, ret_pmt) < 0)
        return false;
    for (unsigned i = 0; i < ret_pmt->stream_count; i++)
        if (ret_pmt->streams[i].pid != TD_TS_PID_FIRST + i ||
            ret_pmt->streams[i].codec == TD_CODEC_NONE)
            return false;
    if (ret_pmt->pcr_pid < TD_TS_PID_FIRST ||
        ret_pmt->pcr_pid >= TD_TS_PID_FIRST + ret_pmt->stream_count)
        return false;
    return td_psi_write_pmt(again, pmt[3] & 15, ret_pmt) == 0 &&
           memcmp(again, pmt, sizeof(again)) == 0;
}

/* ---- the beginning ---- */

struct tail_head {
    struct td_psi_pmt pmt;
    int64_t first_us;
};

/* The first PCR is the time of the first frame, unlike all later ones. */
static int read_head(const struct td_read_at *media, struct tail_head *ret_head)
{
    uint8_t bytes[TAIL_HEAD_PACKETS * TD_TS_PACKET];
    struct td_ts_packet p;
    int64_t n = td_input_read(media, 0, bytes, sizeof(bytes));

    if (n < 0)
        return (int)n;
    if (n < (int64_t)sizeof(bytes) || bytes[2 * TD_TS_PACKET] != TD_TS_SYNC ||
        !tables_ours(bytes, bytes + TD_TS_PACKET, &ret_head->pmt))
        return TD_MUX_NEXT_PART;
    td_ts_packet_parse(bytes + (size_t)2 * TD_TS_PACKET, &p);
    if (!p.has_pcr || p.pid != ret_head->pmt.pcr_pid)
        return TD_MUX_NEXT_PART;
    ret_head->first_us = time_of_pcr(p.pcr, ret_head->pmt.half_epoch);
    return ret_head->first_us < 0 ? TD_MUX_NEXT_PART : 0;
}

/* ---- the end ---- */

static void walk_pmt(struct tail_walk *w, const uint8_t bytes[static TD_TS_PACKET])
{
    struct td_psi_pmt pmt;

    if (parse_pmt(bytes, &pmt) < 0) {
        w->foreign = true;
        return;
    }
    memcpy(w->pmt, bytes, TD_TS_PACKET);
    w->has_pmt = true;
    w->half_epoch = pmt.half_epoch;
}

/* The tables before it say in which turn a PCR is: those behind it may be hours later. */
static void walk_pcr(struct tail_walk *w, const struct td_ts_packet *p)
{
    int64_t us = time_of_pcr(p->pcr, w->half_epoch);

    if (us < 0 || (w->has_pcr && (p->pid != w->pcr_pid || us < w->last_pcr_us))) {
        w->foreign = true;
        return;
    }
    if (!w->has_pcr)
        w->first_pcr_us = us;
    w->has_pcr = true;
    w->last_pcr_us = us;
    w->pcr_pid = p->pid;
}

static void walk_packet(struct tail_walk *w, const uint8_t bytes[static TD_TS_PACKET])
{
    struct td_ts_packet p;
    unsigned track;

    td_ts_packet_parse(bytes, &p);
    if (bytes[0] != TD_TS_SYNC || p.error || p.malformed) {
        w->foreign = true;
        return;
    }
    if (p.pid == TD_TS_PID_PAT) {
        memcpy(w->pat, bytes, TD_TS_PACKET);
        w->has_pat = true;
        return;
    }
    if (p.pid == TD_TS_PID_PMT) {
        walk_pmt(w, bytes);
        return;
    }
    track = (unsigned)p.pid - TD_TS_PID_FIRST; /* a lower PID is a huge one */
    if (track >= TD_MUX_TRACKS_MAX) {
        w->foreign = true;
        return;
    }
    w->seen |= 1u << track;
    w->cc[track] = p.cc;
    if (p.has_pcr && w->has_pmt)
        walk_pcr(w, &p);
}

static int walk(const struct td_read_at *media, uint64_t from, struct tail_walk *ret_walk)
{
    struct td_input in;
    const uint8_t *bytes = NULL;
    int r = td_input_init(&in, media, TAIL_WINDOW);

    *ret_walk = (struct tail_walk){.seen = 0};
    while (r == 0 && from < media->size && !ret_walk->foreign) {
        int64_t n = td_input_view(&in, from, TD_TS_PACKET, &bytes);

        if (n < 0)
            r = (int)n;
        else if (n < (int64_t)TD_TS_PACKET)
            ret_walk->foreign = true; /* shorter than it was said to be */
        else
            walk_packet(ret_walk, bytes);
        from += TD_TS_PACKET;
    }
    td_input_done(&in);
    return r;
}

/* What its frames say. */
struct tail_frames {
    unsigned with; /* a bit for each track with a frame */
    int64_t newest_us;
};

static int read_frames(const struct td_read_at *media, uint64_t from,
                       struct tail_frames *ret_frames)
{
    struct td_scan scan = {.bytes = 0};
    int r = td_ts_scan_from(media, from, NULL, NULL, &scan);

    if (r < 0)
        return r;
    /* Behind a torn unit every later one would be damage in the middle of the file. */
    if (!scan.sealed || scan.damaged_units > 0)
        return TD_MUX_NEXT_PART;
    *ret_frames = (struct tail_frames){.newest_us = INT64_MIN};
    for (unsigned i = 0; i < scan.track_count; i++) {
        if (scan.tracks[i].frames == 0)
            continue;
        ret_frames->with |= 1u << i;
        if (scan.tracks[i].last_pts_us > ret_frames->newest_us)
            ret_frames->newest_us = scan.tracks[i].last_pts_us;
    }
    return 0;
}

struct tail_end {
    bool known; /* the window was long enough for what follows */
    struct tail_walk walk;
    struct tail_frames frames;
    struct td_psi_pmt pmt;
    bool whole; /* no frame before the window can be newer */
};

static int read_end(const struct td_read_at *media, uint64_t from, struct tail_end *ret_end)
{
    struct tail_end e = {.known = false};
    int r = walk(media, from, &e.walk);

    if (r < 0)
        return r;
    if (e.walk.foreign)
        return TD_MUX_NEXT_PART;
    if (!e.walk.has_pat || !e.walk.has_pmt || !e.walk.has_pcr) {
        ret_end->known = false;
        return 0;
    }
    if (!tables_ours(e.walk.pat, e.walk.pmt, &e.pmt) || e.pmt.pcr_pid != e.walk.pcr_pid ||
        e.walk.seen >> e.pmt.stream_count)
        return TD_MUX_NEXT_PART;
    r = read_frames(media, from, &e.frames);
    if (r)
        return r;
    if (e.frames.with && e.frames.newest_us > e.walk.last_pcr_us + TAIL_LEAD_US)
        return TD_MUX_NEXT_PART;
    /* The times of a track never step back, and no frame is further ahead of the PCR than that. */
    e.whole = e.frames.with + 1 == 1u << e.pmt.stream_count ||
              (e.frames.with && e.frames.newest_us - e.walk.first_pcr_us >= TAIL_LEAD_US);
    e.known = true;
    *ret_end = e;
    return 0;
}

static int find_end(const struct td_read_at *media, uint64_t window, uint64_t window_max,
                    struct tail_end *ret_end)
{
    for (;; window *= 2) {
        uint64_t at = window < media->size ? media->size - window : 0;
        uint64_t from = at - at % TD_TS_PACKET;
        int r = read_end(media, from, ret_end);

        if (r)
            return r;
        if (ret_end->known && ret_end->whole)
            return 0;
        if (from == 0 || window >= window_max)
            return ret_end->known ? 0 : TD_MUX_NEXT_PART;
    }
}

/* ---- both ---- */

static bool agree(const struct tail_head *head, const struct tail_end *end)
{
    if (head->pmt.pcr_pid != end->pmt.pcr_pid || head->pmt.stream_count > end->pmt.stream_count)
        return false;
    for (unsigned i = 0; i < head->pmt.stream_count; i++)
        if (head->pmt.streams[i].codec != end->pmt.streams[i].codec)
            return false;
    return head->first_us <= end->walk.last_pcr_us;
}

static void put_state(const struct tail_head *head, const struct tail_end *end,
                      struct td_mux_tail *tail)
{
    struct td_ts_tail s = {
        .first_us = head->first_us,
        .newest_us = tail->newest_us > end->walk.last_pcr_us ? tail->newest_us
                                                             : end->walk.last_pcr_us,
        .pcr_us = end->walk.last_pcr_us,
        .pat_cc = (end->walk.pat[3] + 1) & 15,
        .pmt_cc = (end->walk.pmt[3] + 1) & 15,
        .version = end->pmt.version,
        .half_epoch = end->pmt.half_epoch,
        .pcr_track = (uint8_t)(end->pmt.pcr_pid - TD_TS_PID_FIRST),
    };

    for (unsigned i = 0; i < end->pmt.stream_count; i++) {
        memcpy(s.language[i], end->pmt.streams[i].language, sizeof(s.language[i]));
        /* A packet without payload has the counter of the last one that had some. */
        if (end->walk.seen & 1u << i)
            s.cc[i] = (end->walk.cc[i] + 1) & 15;
    }
    memcpy(tail->state, &s, sizeof(s));
}

int td_ts_tail_windows(const struct td_read_at *media, uint64_t window, uint64_t window_max,
                       struct td_mux_tail *ret_tail)
{
    struct td_mux_tail tail = {.bytes = media->size};
    struct tail_head head = {.first_us = 0};
    struct tail_end end = {.known = false};
    uint8_t byte;
    int64_t n = td_input_read(media, media->size, &byte, 1);
    int r;

    if (n < 0)
        return (int)n;
    if (n > 0 || media->size % TD_TS_PACKET != 0)
        return TD_MUX_NEXT_PART; /* it has grown, or ends in the middle of a packet */
    r = read_head(media, &head);
    if (r == 0)
        r = find_end(media, window, window_max, &end);
    if (r)
        return r;
    if (!agree(&head, &end))
        return TD_MUX_NEXT_PART;
    tail.track_count = end.pmt.stream_count;
    for (unsigned i = 0; i < tail.track_count; i++) {
        tail.tracks[i].codec = end.pmt.streams[i].codec;
        tail.tracks[i].channels = end.pmt.streams[i].channels;
    }
    /* After hours of silence no frame is near: then the clock alone says how far the file is. */
    tail.newest_us = end.frames.with ? end.frames.newest_us : end.walk.last_pcr_us;
    put_state(&head, &end, &tail);
    *ret_tail = tail;
    return 0;
}

int td_ts_tail(const struct td_read_at *media, struct td_mux_tail *ret_tail)
{
    return td_ts_tail_windows(media, TD_TS_TAIL_BYTES, TD_TS_TAIL_BYTES_MAX, ret_tail);
}
