/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/ts.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "mux/psi.h"
#include "mux/ts_format.h"
#include "mux/ts_scan.h"
#include "mux/ts_tail.h"

/* Largest distance of two PCRs: ISO 13818-1 asks for 100 ms, DVB (TS 101 154) for 40 ms. */
#define TS_PCR_US 40000
/* A longer jump of time is a hole: it is not filled with PCRs. */
#define TS_PCR_FILL_US 2500000
/* PAT and PMT are due 500 ms apart at most; frames come up to 50 ms apart. */
#define TS_PSI_US 450000
/* Players and `ffmpeg -c copy` miss a track that the PMT names later, design section 5. */
#define TS_LATE_TRACK_US 5000000
/* Longest Opus access unit taken: its control header must fit the first packet. RTP brings < 2 KB.
 */
#define TS_OPUS_MAX 32000u
#define TS_HEAD_MAX 160u
#define TS_END_PAYLOAD 172u /* what fits beside the end record: 184 - 2 - 1 - 9 */
#define TS_KEEP_BYTES (64u << 10)
#define TS_OUT_MAX (TD_FRAME_BYTES_MAX / TD_TS_PAYLOAD * TD_TS_PACKET + (64u << 10))

struct ts_track {
    uint8_t cc; /* of the next packet with payload */
    bool seen;
    bool after_hole; /* its next frame is, whatever that one says */
    int64_t last_us;
    char language[4];
};

/* Everything a frame changes, so that a frame the sink does not take can be taken back. */
struct ts_clock {
    struct ts_track tracks[TD_MUX_TRACKS_MAX];
    uint8_t pat_cc;
    uint8_t pmt_cc;
    uint8_t version;
    uint8_t half_epoch;
    bool begun;
    bool psi_due;
    unsigned pcr_track;
    int64_t first_us;
    int64_t newest_us;
    int64_t pcr_us; /* the last one written, -1 = none */
    int64_t psi_us;
};

struct ts {
    struct ts_clock clock;
    struct td_bytes out;
};

static int ts_open(struct td_mux *m)
{
    struct ts *ts = td_mux_state(m);

    td_bytes_init(&ts->out, TS_OUT_MAX, NULL);
    ts->clock.pcr_us = -1;
    return 0;
}

/* As if the muxer of the first part of the file had lived on, with a hole in every track. */
static int ts_resume(struct td_mux *m, const struct td_mux_tail *tail)
{
    struct ts *ts = td_mux_state(m);
    struct ts_clock *c = &ts->clock;
    struct td_ts_tail state;

    memcpy(&state, tail->state, sizeof(state));
    if (state.pcr_track >= tail->track_count)
        return -EINVAL;
    *c = (struct ts_clock){
        .pat_cc = state.pat_cc,
        .pmt_cc = state.pmt_cc,
        .version = state.version,
        .half_epoch = state.half_epoch,
        .begun = true,
        .psi_due = true,
        .pcr_track = state.pcr_track,
        .first_us = state.first_us,
        .newest_us = state.newest_us,
        .pcr_us = state.pcr_us,
    };
    for (unsigned i = 0; i < tail->track_count; i++) {
        struct ts_track *t = &c->tracks[i];

        *t = (struct ts_track){
            .cc = state.cc[i],
            .seen = true,
            .after_hole = true,
            .last_us = state.newest_us,
        };
        memcpy(t->language, state.language[i], sizeof(state.language[i]));
    }
    return 0;
}

static void ts_destroy(struct td_mux *m)
{
    struct ts *ts = td_mux_state(m);

    td_bytes_done(&ts->out);
}

static int ts_add_track(struct td_mux *m, const struct td_mux_track *track, unsigned *ret_track)
{
    struct ts *ts = td_mux_state(m);
    struct ts_clock *c = &ts->clock;
    struct ts_track *t = &c->tracks[*ret_track];

    if (c->begun) {
        if (c->newest_us - c->first_us >= TS_LATE_TRACK_US)
            return TD_MUX_NEXT_PART;
        c->version = (c->version + 1) & 31;
        c->psi_due = true;
    }
    *t = (struct ts_track){.cc = 0};
    /* ISO_639_language_descriptor takes three letters; other tags (BCP 47) are left out. */
    if (track->language && strlen(track->language) == 3)
        memcpy(t->language, track->language, 3);
    return 0;
}

static uint16_t track_pid(unsigned track)
{
    return (uint16_t)(TD_TS_PID_FIRST + track);
}

/* The PCR rides on video, else on the first track; it stays there when tracks come later. */
static void clock_begin(const struct td_mux *m, struct ts_clock *c, int64_t pts_us)
{
    if (c->begun)
        return;
    c->begun = true;
    c->psi_due = true;
    c->first_us = pts_us;
    c->newest_us = pts_us;
    for (unsigned i = m->track_count; i-- > 0;)
        if (m->tracks[i].codec == TD_CODEC_H264)
            c->pcr_track = i;
}

static uint64_t ticks_of(int64_t us)
{
    return ((uint64_t)us * 9 + 50) / 100 + TD_TS_PTS_OFFSET_TICKS;
}

/* The time no coming frame is before: tracks may be up to the reorder time apart. The PCR follows
 * it, so that PCR <= DTS holds although frames are written as they come. */
static int64_t low_water(const struct td_mux *m, const struct ts_clock *c)
{
    int64_t low = c->newest_us;

    for (unsigned i = 0; i < m->track_count; i++) {
        int64_t last = c->tracks[i].seen ? c->tracks[i].last_us : c->first_us;
        if (last < low)
            low = last;
    }
    if (low < c->newest_us - TD_REORDER_US)
        low = c->newest_us - TD_REORDER_US;
    return low > c->pcr_us ? low : c->pcr_us;
}

static uint8_t *packet_add(struct ts *ts)
{
    uint8_t *packet = ts->out.data + ts->out.len;

    assert(ts->out.capacity - ts->out.len >= TD_TS_PACKET);
    ts->out.len += TD_TS_PACKET;
    return packet;
}

static void put_header(uint8_t *packet, uint16_t pid, unsigned flags, uint8_t cc)
{
    packet[0] = TD_TS_SYNC;
    packet[1] = (uint8_t)((flags & TD_TS_PUSI) | pid >> 8);
    packet[2] = (uint8_t)pid;
    packet[3] = (uint8_t)((flags & (TD_TS_HAS_ADAPTATION | TD_TS_HAS_PAYLOAD)) | (cc & 15));
}

/* program_clock_reference, section 2.4.3.5: 33 bits of 90 kHz, 6 reserved, 9 bits of 27 MHz. */
static void put_pcr(uint8_t *at, int64_t us)
{
    uint64_t ticks = (uint64_t)us * 27;
    uint64_t base = (ticks / 300) & ((UINT64_C(1) << TD_TS_PTS_BITS) - 1);
    unsigned ext = (unsigned)(ticks % 300);

    at[0] = (uint8_t)(base >> 25);
    at[1] = (uint8_t)(base >> 17);
    at[2] = (uint8_t)(base >> 9);
    at[3] = (uint8_t)(base >> 1);
    at[4] = (uint8_t)((base & 1) << 7 | 0x7e | ext >> 8);
    at[5] = (uint8_t)ext;
}

/* A packet without payload: the continuity counter stands still (section 2.4.3.3). */
static void add_pcr_packet(struct ts *ts, int64_t us)
{
    struct ts_clock *c = &ts->clock;
    uint8_t *packet = packet_add(ts);

    put_header(packet, track_pid(c->pcr_track), TD_TS_HAS_ADAPTATION,
               (uint8_t)(c->tracks[c->pcr_track].cc - 1));
    packet[4] = TD_TS_PAYLOAD - 1;
    packet[5] = TD_TS_AF_PCR;
    put_pcr(packet + 6, us);
    memset(packet + 12, 0xff, TD_TS_PACKET - 12);
    c->pcr_us = us;
}

static int add_psi(struct td_mux *m, struct ts *ts)
{
    struct ts_clock *c = &ts->clock;
    uint8_t half_epoch = (uint8_t)(ticks_of(c->newest_us) >> 32);
    struct td_psi_pmt pmt = {.pcr_pid = track_pid(c->pcr_track), .stream_count = m->track_count};

    if (half_epoch != c->half_epoch) {
        c->half_epoch = half_epoch;
        c->version = (c->version + 1) & 31;
    }
    pmt.version = c->version;
    pmt.half_epoch = half_epoch;
    for (unsigned i = 0; i < m->track_count; i++) {
        pmt.streams[i].pid = track_pid(i);
        pmt.streams[i].codec = m->tracks[i].codec;
        pmt.streams[i].channels = m->tracks[i].channels;
        memcpy(pmt.streams[i].language, c->tracks[i].language, sizeof(c->tracks[i].language));
    }
    td_psi_write_pat(packet_add(ts), c->pat_cc++);
    c->psi_us = c->newest_us;
    c->psi_due = false;
    return td_psi_write_pmt(packet_add(ts), c->pmt_cc++, &pmt);
}

/* PCRs up to `low` and no more than 40 ms before it; `carried`: the next packet carries `low`. */
static void add_pcrs(struct ts *ts, int64_t low, bool carried)
{
    struct ts_clock *c = &ts->clock;

    if (c->pcr_us < 0 || low - c->pcr_us > TS_PCR_FILL_US) {
        if (!carried)
            add_pcr_packet(ts, low);
        return;
    }
    while (low - c->pcr_us > TS_PCR_US)
        add_pcr_packet(ts, c->pcr_us + TS_PCR_US);
}

static void put_pts(uint8_t *at, uint64_t ticks)
{
    at[0] = (uint8_t)(0x21 | (ticks >> 29 & 0x0e)); /* '0010', bits 32 to 30, marker */
    at[1] = (uint8_t)(ticks >> 22);
    at[2] = (uint8_t)(1 | ticks >> 14);
    at[3] = (uint8_t)(ticks >> 7);
    at[4] = (uint8_t)(1 | ticks << 1);
}

static bool starts_with_aud(const struct td_frame *frame)
{
    const uint8_t *b = frame->bytes;
    size_t zeros = 0;

    while (zeros < frame->len && zeros < 3 && b[zeros] == 0)
        zeros++;
    return zeros >= 2 && frame->len > zeros + 1 && b[zeros] == 1 && (b[zeros + 1] & 31) == 9;
}

/* opus_control_header, Opus in MPEG-TS section 3.2: prefix 0x3ff in eleven bits, no trims, no
 * extension, then the size in bytes as a run of 255s. */
static size_t put_opus_control(uint8_t *at, size_t au_size)
{
    size_t n = 2;

    at[0] = 0x7f;
    at[1] = 0xe0;
    while (au_size >= 255) {
        at[n++] = 255;
        au_size -= 255;
    }
    at[n++] = (uint8_t)au_size;
    return n;
}

/* PES header and what comes between it and the frame. A length of 0 ("unbounded") is allowed for
 * video only and is used only where 16 bits are too few. */
static size_t put_pes_head(const struct td_frame *frame, uint8_t head[static TS_HEAD_MAX])
{
    static const uint8_t aud[] = {0, 0, 0, 1, 9, 0xf0}; /* primary_pic_type 7: any slice */
    bool video = frame->codec == TD_CODEC_H264;
    size_t len = TD_TS_PES_HEADER;
    size_t pes_length;

    memset(head, 0, TD_TS_PES_HEADER);
    if (!video) {
        len += put_opus_control(head + len, frame->len);
    } else if (!starts_with_aud(frame)) {
        memcpy(head + len, aud, sizeof(aud));
        len += sizeof(aud);
    }
    pes_length = len - TD_TS_PES_PREFIX + frame->len;
    if (pes_length > UINT16_MAX)
        pes_length = 0;
    head[2] = 1;
    head[3] = video ? TD_TS_STREAM_VIDEO : TD_TS_STREAM_PRIVATE1;
    head[4] = (uint8_t)(pes_length >> 8);
    head[5] = (uint8_t)pes_length;
    head[6] = 0x84; /* '10', data_alignment_indicator: an access unit starts here */
    head[7] = 0x80; /* PTS only: there are no B-frames, DTS = PTS */
    head[8] = 5;
    put_pts(head + 9, ticks_of(frame->pts_us));
    return len;
}

/* Adaptation field of the first packet, without stuffing; 0 = none. */
static size_t put_first_field(uint8_t *at, const struct ts_clock *c, const struct td_frame *frame,
                              bool random_access)
{
    bool on_pcr = frame->track == c->pcr_track;
    unsigned flags = 0;
    size_t n = 2;

    if (random_access)
        flags |= TD_TS_AF_RANDOM_ACCESS;
    if (on_pcr) {
        flags |= TD_TS_AF_PCR;
        put_pcr(at + n, c->pcr_us);
        n += 6;
    }
    if (frame->discontinuity || c->tracks[frame->track].after_hole) {
        /* On the PCR's PID the indicator would announce a new clock (section 2.4.3.5) and players
         * would shift time; a hole is none. Our record says it on every PID. */
        flags |= TD_TS_AF_PRIVATE | (on_pcr ? 0 : TD_TS_AF_DISCONTINUITY);
        at[n++] = 5;
        at[n++] = TD_TS_PRIVATE_TAG;
        at[n++] = 3;
        at[n++] = 'T';
        at[n++] = 'D';
        at[n++] = TD_TS_PRIVATE_HOLE;
    }
    if (flags == 0)
        return 0;
    at[0] = (uint8_t)(n - 1);
    at[1] = (uint8_t)flags;
    return n;
}

/* Lengthens an adaptation field of `have` bytes (0 = none yet) to `want` by stuffing. */
static void stuff_field(uint8_t *at, size_t have, size_t want)
{
    if (want == have)
        return;
    at[0] = (uint8_t)(want - 1);
    if (want == 1)
        return;
    if (have == 0) {
        at[1] = 0;
        have = 2;
    }
    memset(at + have, 0xff, want - have);
}

static size_t put_end_field(uint8_t *at, size_t pes_bytes)
{
    at[0] = 11;
    at[1] = TD_TS_AF_PRIVATE;
    at[2] = 9;
    at[3] = TD_TS_PRIVATE_TAG;
    at[4] = 7;
    at[5] = 'T';
    at[6] = 'D';
    at[7] = TD_TS_PRIVATE_END;
    at[8] = (uint8_t)(pes_bytes >> 24);
    at[9] = (uint8_t)(pes_bytes >> 16);
    at[10] = (uint8_t)(pes_bytes >> 8);
    at[11] = (uint8_t)pes_bytes;
    return TD_TS_PAYLOAD - TS_END_PAYLOAD;
}

/* The packets behind the first one. `end_bytes` != 0: the last one carries the end record. */
static void add_rest(struct ts *ts, uint16_t pid, uint8_t *cc, const uint8_t *at, size_t left,
                     size_t end_bytes)
{
    size_t full_max = end_bytes ? TS_END_PAYLOAD : TD_TS_PAYLOAD - 1;

    while (left > 0) {
        uint8_t *packet = packet_add(ts);
        size_t n = TD_TS_PAYLOAD;
        size_t field = 0;

        if (left <= full_max) { /* the last one */
            n = left;
            if (end_bytes)
                field = put_end_field(packet + 4, end_bytes);
        } else if (end_bytes && left <= TD_TS_PAYLOAD) {
            n = TS_END_PAYLOAD; /* leave some for a last packet that has room for the record */
        }
        put_header(packet, pid, TD_TS_HAS_PAYLOAD | (n < TD_TS_PAYLOAD ? TD_TS_HAS_ADAPTATION : 0),
                   (*cc)++);
        stuff_field(packet + 4, field, TD_TS_PAYLOAD - n);
        memcpy(packet + TD_TS_PACKET - n, at, n);
        at += n;
        left -= n;
    }
}

static void add_pes(struct td_mux *m, struct ts *ts, const struct td_frame *frame)
{
    struct ts_clock *c = &ts->clock;
    struct ts_track *t = &c->tracks[frame->track];
    uint16_t pid = track_pid(frame->track);
    uint8_t *packet = packet_add(ts);
    uint8_t head[TS_HEAD_MAX];
    size_t head_len = put_pes_head(frame, head);
    bool unbounded = head[4] == 0 && head[5] == 0;
    bool sync_point = frame->key && (frame->codec == TD_CODEC_H264 ||
                                     m->tracks[c->pcr_track].codec != TD_CODEC_H264);
    size_t field = put_first_field(packet + 4, c, frame, sync_point);
    size_t room = TD_TS_PAYLOAD - field - head_len;
    size_t n = frame->len < room ? frame->len : room;

    stuff_field(packet + 4, field, TD_TS_PAYLOAD - head_len - n);
    put_header(packet, pid,
               TD_TS_PUSI | TD_TS_HAS_PAYLOAD |
                   (head_len + n < TD_TS_PAYLOAD ? TD_TS_HAS_ADAPTATION : 0),
               t->cc++);
    memcpy(packet + TD_TS_PACKET - n - head_len, head, head_len);
    memcpy(packet + TD_TS_PACKET - n, frame->bytes, n);
    add_rest(ts, pid, &t->cc, frame->bytes + n, frame->len - n,
             unbounded ? head_len + frame->len : 0);
    t->after_hole = false;
}

static int flush(struct td_mux *m, struct ts *ts, const struct ts_clock *before)
{
    int r = td_mux_append(m, TD_FILE_MEDIA, ts->out.data, ts->out.len);

    td_bytes_clear(&ts->out);
    td_bytes_shrink(&ts->out, TS_KEEP_BYTES);
    if (r != 0)
        ts->clock = *before;
    return r;
}

static int ts_write(struct td_mux *m, const struct td_frame *frame)
{
    struct ts *ts = td_mux_state(m);
    struct ts_clock *c = &ts->clock;
    const struct ts_clock before = *c;
    size_t extra = TS_PCR_FILL_US / TS_PCR_US + 8;
    int64_t low;
    int r;

    if (frame->codec == TD_CODEC_OPUS && frame->len > TS_OPUS_MAX)
        return -TD_E_LIMIT;
    r = td_bytes_reserve(&ts->out, (frame->len / TD_TS_PAYLOAD + extra) * TD_TS_PACKET);
    if (r < 0)
        return r;
    clock_begin(m, c, frame->pts_us);
    c->tracks[frame->track].seen = true;
    c->tracks[frame->track].last_us = frame->pts_us;
    if (frame->pts_us > c->newest_us)
        c->newest_us = frame->pts_us;
    if (c->psi_due || c->newest_us - c->psi_us >= TS_PSI_US ||
        (frame->key && frame->codec == TD_CODEC_H264)) {
        r = add_psi(m, ts);
        if (r < 0) {
            td_bytes_clear(&ts->out);
            *c = before;
            return r;
        }
    }
    low = low_water(m, c);
    add_pcrs(ts, low, frame->track == c->pcr_track);
    if (frame->track == c->pcr_track)
        c->pcr_us = low;
    add_pes(m, ts, frame);
    return flush(m, ts, &before);
}

static int ts_idle(struct td_mux *m, int64_t pts_us)
{
    struct ts *ts = td_mux_state(m);
    struct ts_clock *c = &ts->clock;
    const struct ts_clock before = *c;
    int r = td_bytes_reserve(&ts->out, (size_t)4 * TD_TS_PACKET);

    if (r < 0)
        return r;
    clock_begin(m, c, pts_us);
    if (pts_us > c->newest_us)
        c->newest_us = pts_us;
    r = add_psi(m, ts);
    if (r < 0) {
        td_bytes_clear(&ts->out);
        *c = before;
        return r;
    }
    add_pcr_packet(ts, low_water(m, c));
    return flush(m, ts, &before);
}

/* Three sync bytes a packet apart, or as many as a short file has. */
static bool ts_probe(const uint8_t *head, size_t len)
{
    if (len < TD_TS_PACKET)
        return false;
    for (size_t at = 0; at < len && at <= 4 * TD_TS_PACKET; at += TD_TS_PACKET)
        if (head[at] != TD_TS_SYNC)
            return false;
    return true;
}

const struct td_mux_ops td_ts_mux_ops = {
    .name = "ts",
    .extension = "ts",
    .codecs = 1u << TD_CODEC_H264 | 1u << TD_CODEC_OPUS,
    .state_size = sizeof(struct ts),
    .probe = ts_probe,
    .open = ts_open,
    .add_track = ts_add_track,
    .write = ts_write,
    .idle = ts_idle,
    .destroy = ts_destroy,
    .seal = td_ts_seal,
    .scan = td_ts_scan,
    .tail = td_ts_tail,
    .resume = ts_resume,
};
