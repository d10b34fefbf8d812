/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TS file goes on in place: its process is killed at any byte, the file is sealed, and another
 * muxer appends behind its end, again and again. TD_TEST_SEED repeats a run's choices.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "check.h"
#include "mux/ts_format.h"
#include "mux/ts_packet.h"
#include "mux/ts_tail.h"

#define KILLS 20u
#define HOUR_US INT64_C(3600000000)
#define LIFE_US 1500000
#define FRAMES_MAX 4096u

struct bench {
    const struct td_mux_ops *ops;
    struct td_mux *mux;
    struct tape tape; /* of the life in hand */
    struct part part;
    struct reel reel;          /* what the file must hold */
    uint64_t ends[FRAMES_MAX]; /* file offset behind the i-th frame of the reel */
    bool marked[TD_MUX_TRACKS_MAX];
    int64_t clock_us; /* time of the latest frame that was written, lost ones too */
    uint64_t seed;
};

static int setup(void **state)
{
    const char *seed = getenv("TD_TEST_SEED");
    struct bench *b = calloc(1, sizeof(*b));

    if (!b)
        return -1;
    b->ops = td_mux_by_name("ts");
    b->seed = seed ? strtoull(seed, NULL, 10) : (uint64_t)td_clock_wall_us() % 1000000;
    print_message("# TD_TEST_SEED=%llu\n", (unsigned long long)b->seed);
    tape_init(&b->tape);
    part_init(&b->part);
    reel_init(&b->reel);
    *state = b;
    return td_mux_new(b->ops, tape_sink(&b->tape), &b->mux);
}

static int teardown(void **state)
{
    struct bench *b = *state;

    td_mux_free(b->mux);
    tape_done(&b->tape);
    part_done(&b->part);
    reel_done(&b->reel);
    free(b);
    return 0;
}

static uint64_t choose(struct bench *b, uint64_t below)
{
    return test_random(&b->seed) % below;
}

static void add_track(struct bench *b, enum td_codec codec)
{
    struct td_mux_track track = {.codec = codec, .channels = 2, .language = "deu"};
    unsigned index;

    assert_int_equal(td_mux_add_track(b->mux, &track, &index), 0);
}

/* Writes the frame that was just put on the reel, and notes what the file must say of it. */
static void write_last(struct bench *b)
{
    size_t i = b->reel.count - 1;
    struct td_frame frame = reel_frame(&b->reel, i);

    assert_true(i < FRAMES_MAX);
    assert_int_equal(td_mux_write(b->mux, &frame), 0);
    b->reel.frames[i].discontinuity |= b->marked[frame.track];
    b->marked[frame.track] = false;
    b->ends[i] = b->mux->offset[TD_FILE_MEDIA];
    if (frame.pts_us > b->clock_us)
        b->clock_us = frame.pts_us;
}

static void write_video(struct bench *b, unsigned track, int64_t pts_us, bool key, size_t len)
{
    reel_add_h264(&b->reel, track, pts_us, key, false, len, test_random(&b->seed));
    b->reel.frames[b->reel.count - 1].discontinuity = choose(b, 40) == 0;
    write_last(b);
}

static void write_audio(struct bench *b, unsigned track, int64_t pts_us)
{
    reel_add_opus(&b->reel, track, pts_us, 3 + choose(b, 200), test_random(&b->seed));
    write_last(b);
}

/* What was emitted so far comes to be in the file. */
static void write_out(struct bench *b)
{
    part_apply_all(&b->part, &b->tape);
    b->tape.count = 0;
    b->tape.bytes.len = 0;
}

static size_t file_len(const struct bench *b)
{
    return b->part.file[TD_FILE_MEDIA].len;
}

static void seal(struct bench *b)
{
    struct td_read_at media = part_input(&b->part, TD_FILE_MEDIA);
    struct td_op_sink sink;
    struct td_scan scan;
    struct tape ops;

    tape_init(&ops);
    sink = tape_sink(&ops);
    assert_int_equal(td_mux_seal(b->ops, &media, NULL, &sink, &scan), 0);
    part_apply_all(&b->part, &ops);
    tape_done(&ops);
}

/* The process dies when the file has `len` bytes: frames that are not whole by then are gone. */
static void die(struct bench *b, size_t len)
{
    write_out(b);
    assert_true(len <= file_len(b));
    b->part.file[TD_FILE_MEDIA].len = len;
    while (b->reel.count > 0 && b->ends[b->reel.count - 1] > len)
        b->reel.count--;
    b->mux = td_mux_free(b->mux);
    seal(b);
}

static int tail_of(struct bench *b, struct td_mux_tail *ret_tail)
{
    struct td_read_at media = part_input(&b->part, TD_FILE_MEDIA);

    return td_mux_tail(b->ops, &media, ret_tail);
}

static void resume(struct bench *b, const struct td_mux_tail *tail)
{
    assert_int_equal(tail->bytes, file_len(b));
    assert_int_equal(td_mux_resume(b->ops, tape_sink(&b->tape), tail, &b->mux), 0);
    for (unsigned i = 0; i < tail->track_count; i++)
        b->marked[i] = true;
}

static void check_file(struct bench *b)
{
    struct td_scan scan;
    const char *wrong = check_frames(b->ops, &b->part, &b->reel, b->reel.count, &scan);

    if (wrong[0])
        fail_msg("%s", wrong);
    assert_int_equal(scan.damaged_units, 0);
    assert_int_equal(scan.valid_bytes, file_len(b));
    assert_true(scan.sealed);
}

static int64_t newest_of(const struct bench *b)
{
    int64_t newest_us = 0;

    for (size_t i = 0; i < b->reel.count; i++)
        if (b->reel.frames[i].pts_us > newest_us)
            newest_us = b->reel.frames[i].pts_us;
    return newest_us;
}

/* What a strict reader says: every counter goes on, the clock never steps back and no frame is
 * behind it. Answers the jumps of counters that were announced. */
static unsigned strict_read(const struct bench *b)
{
    const struct td_bytes *file = &b->part.file[TD_FILE_MEDIA];
    const uint64_t turn = (UINT64_C(1) << 33) * 300;
    uint64_t pcr = 0;
    unsigned announced = 0;
    int cc[0x2000];

    memset(cc, 0xff, sizeof(cc));
    assert_int_equal(file->len % TD_TS_PACKET, 0);
    for (size_t at = 0; at < file->len; at += TD_TS_PACKET) {
        struct td_ts_packet p;

        td_ts_packet_parse(file->data + at, &p);
        assert_int_equal(file->data[at], TD_TS_SYNC);
        assert_false(p.malformed);
        if (cc[p.pid] >= 0 && p.cc != (p.payload ? (cc[p.pid] + 1) & 15 : cc[p.pid])) {
            if (!p.discontinuity)
                fail_msg("PID %x at %zu: counter %d after %d", p.pid, at, p.cc, cc[p.pid]);
            announced++;
        }
        cc[p.pid] = p.cc;
        if (p.has_pcr) {
            assert_true((p.pcr + turn - pcr) % turn < turn / 2);
            pcr = p.pcr;
        }
        if (p.pusi && p.pid >= TD_TS_PID_FIRST && p.pid < TD_TS_PID_FIRST + TD_MUX_TRACKS_MAX) {
            const uint8_t *pes = p.payload;
            uint64_t pts = (uint64_t)(pes[9] & 14) << 29 | (uint64_t)pes[10] << 22 |
                           (uint64_t)(pes[11] & 0xfe) << 14 | (uint64_t)pes[12] << 7 | pes[13] >> 1;

            assert_true((pts * 300 + turn - pcr) % turn < turn / 2);
        }
    }
    return announced;
}

/* ---- killed twenty times ---- */

struct story {
    enum td_codec codecs[2];
    bool late;       /* the second one comes when the file has begun */
    int64_t down_us; /* the longest time between a death and the next life */
};

/* Some media of both tracks, from the time `base_us` on. */
static void live(struct bench *b, const struct story *s, int64_t base_us)
{
    unsigned video = s->codecs[0] == TD_CODEC_H264 ? 0 : 1;
    unsigned audio = 1 - video;
    int64_t lag_us = (int64_t)choose(b, 3) * 60000;

    for (int64_t t = 0; t < LIFE_US; t += 20000) {
        bool late = b->mux->track_count < 2;

        if (late && t == 200000) {
            add_track(b, s->codecs[1]);
            late = false;
        }
        if (t >= lag_us && (t - lag_us) % 40000 == 0 && !(late && video == 1)) {
            bool key = (t - lag_us) % 600000 == 0 || (late && t == 200000);

            write_video(b, video, base_us + t - lag_us, key,
                        key ? 2000 + choose(b, 80000) : 20 + choose(b, 900));
        }
        if (!(late && audio == 1))
            write_audio(b, audio, base_us + t);
        if (choose(b, 60) == 0)
            assert_int_equal(td_mux_idle(b->mux, base_us + t), 0);
    }
}

/* However little of the end is read at first, it says the same; only of a track that is silent
 * there the counter stays unknown. */
static void check_windows(struct bench *b, const struct td_mux_tail *tail)
{
    struct td_read_at media = part_input(&b->part, TD_FILE_MEDIA);
    struct td_ts_tail whole;
    struct td_ts_tail part;
    struct td_mux_tail small;
    uint64_t window = 200 + choose(b, 20000);

    assert_int_equal(td_ts_tail_windows(&media, window, UINT64_C(1) << 40, &small), 0);
    memcpy(&whole, tail->state, sizeof(whole));
    memcpy(&part, small.state, sizeof(part));
    for (unsigned i = 0; i < tail->track_count; i++) {
        assert_true(part.cc[i] == whole.cc[i] || part.cc[i] == 0);
        part.cc[i] = whole.cc[i];
        assert_memory_equal(part.language[i], "deu", 3);
    }
    assert_memory_equal(&part, &whole, sizeof(whole));
    assert_int_equal(small.newest_us, tail->newest_us);
    assert_int_equal(small.track_count, tail->track_count);
    assert_int_equal(small.bytes, tail->bytes);
}

/* Bytes of a life of `len` bytes that its death takes. The first life is long enough for a frame of
 * each track, the last one ends in order. Two that leave nothing, or hardly anything, never follow
 * each other, so that no hole is longer than the clock's half turn. */
static size_t choose_loss(struct bench *b, unsigned kills, size_t len, bool *short_lived)
{
    bool was_short = *short_lived;
    uint64_t way = choose(b, 5);

    *short_lived = false;
    if (kills == 0)
        return (size_t)choose(b, len / 4);
    if (kills == KILLS)
        return 0;
    if (was_short || way > 2)
        return (size_t)choose(b, len / 4);
    *short_lived = true;
    if (way == 0)
        return len;
    return way == 1 ? len - (size_t)choose(b, 3000) : (size_t)choose(b, len);
}

static void kill_twenty_times(struct bench *b, const struct story *s)
{
    struct td_mux_tail tail = {.bytes = 0};
    int64_t base_us = (int64_t)choose(b, (uint64_t)s->down_us + 1);
    bool short_lived = false;

    add_track(b, s->codecs[0]);
    if (!s->late)
        add_track(b, s->codecs[1]);
    for (unsigned kills = 0; kills <= KILLS; kills++) {
        uint64_t from = tail.bytes;
        size_t len;

        live(b, s, base_us);
        len = (size_t)(b->mux->offset[TD_FILE_MEDIA] - from);
        len -= choose_loss(b, kills, len, &short_lived);
        die(b, (size_t)from + len);
        check_file(b);
        assert_int_equal(tail_of(b, &tail), 0);
        assert_int_equal(tail.track_count, 2);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(tail.tracks[i].codec, s->codecs[i]);
        assert_in_range(tail.newest_us + 6 - newest_of(b), 0, 12);
        check_windows(b, &tail);
        /* Time goes on by the clock: frames that were lost were there, too. */
        base_us = b->clock_us + 1000 + (int64_t)choose(b, (uint64_t)s->down_us);
        resume(b, &tail);
    }
    /* A file of this size is seen whole, so that no counter was unknown. */
    assert_int_equal(strict_read(b), 0);
    print_message("# %u kills, %zu frames, %zu bytes\n", KILLS, b->reel.count, file_len(b));
}

static void test_kills(void **state)
{
    const struct story s = {{TD_CODEC_H264, TD_CODEC_OPUS}, false, 4000000};

    kill_twenty_times(*state, &s);
}

static void test_kills_late(void **state)
{
    const struct story s = {{TD_CODEC_OPUS, TD_CODEC_H264}, true, 60000000};

    kill_twenty_times(*state, &s);
}

/* The 33 bits of the clock turn several times; half a turn is 13.25 h. */
static void test_kills_for_days(void **state)
{
    const struct story s = {{TD_CODEC_OPUS, TD_CODEC_H264}, false, 6 * HOUR_US};

    kill_twenty_times(*state, &s);
}

/* ---- what the tail says ---- */

/* Both tracks, from `from_us` on; big frames make big files. */
static void write_both(struct bench *b, int64_t from_us, int64_t to_us, size_t video_len)
{
    for (int64_t t = from_us; t < to_us; t += 40000) {
        write_video(b, 0, t, (t - from_us) % 2000000 == 0, video_len);
        write_audio(b, 1, t);
    }
}

/* The head and the end are read, whatever the size. */
static void test_bounded(void **state)
{
    struct bench *b = *state;
    struct td_mux_tail tail;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    write_both(b, 0, 16000000, 120000);
    write_out(b);
    assert_true(file_len(b) > (40u << 20));
    b->part.bytes_read = 0;
    assert_int_equal(tail_of(b, &tail), 0);
    assert_true(b->part.bytes_read < 2u << 20);
    assert_in_range(tail.newest_us + 6 - newest_of(b), 0, 12);
    /* All is muted but the video: its end is seen when the window covers the time of reordering. */
    for (int64_t t = 16000000; t < 24000000; t += 40000)
        write_video(b, 0, t, false, 120000);
    write_out(b);
    b->part.bytes_read = 0;
    assert_int_equal(tail_of(b, &tail), 0);
    assert_true(b->part.bytes_read < 32u << 20);
    assert_in_range(tail.newest_us + 6 - newest_of(b), 0, 12);
}

/* A track that was silent for long has left no counter near the end: its next frame announces a
 * discontinuity, which lets the counter begin anew. */
static void test_silent_track(void **state)
{
    struct bench *b = *state;
    struct td_mux_tail tail;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    write_both(b, 0, 1000000, 500);
    write_audio(b, 1, 1000000);
    for (int64_t t = 1040000; t < 40000000; t += 40000)
        write_video(b, 0, t, t % 2000000 == 0, 20000);
    die(b, (size_t)b->mux->offset[TD_FILE_MEDIA]);
    assert_int_equal(tail_of(b, &tail), 0);
    assert_int_equal(tail.track_count, 2);
    assert_int_equal(tail.tracks[1].channels, 2);
    resume(b, &tail);
    write_both(b, 50000000, 51000000, 500);
    die(b, (size_t)b->mux->offset[TD_FILE_MEDIA]);
    check_file(b);
    assert_true(strict_read(b) <= 1); /* one in sixteen is right by chance */
}

/* When all is muted only tables and clock go on. */
static void test_silence(void **state)
{
    struct bench *b = *state;
    struct td_read_at media;
    struct td_mux_tail tail;

    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 0; t < 1000000; t += 20000)
        write_audio(b, 0, t);
    for (int64_t t = 1000000; t < 300000000; t += 1000000)
        assert_int_equal(td_mux_idle(b->mux, t), 0);
    write_out(b);
    media = part_input(&b->part, TD_FILE_MEDIA);
    assert_int_equal(tail_of(b, &tail), 0);
    assert_in_range(tail.newest_us, 980000 - 6, 980000 + 6);
    assert_int_equal(td_ts_tail_windows(&media, 20000, 80000, &tail), 0);
    assert_in_range(tail.newest_us, 297000000 - 40000, 299000000);
    b->mux = td_mux_free(b->mux);
    resume(b, &tail);
    write_audio(b, 0, 300000000);
    write_out(b);
    check_file(b);
    assert_int_equal(strict_read(b), 0);
}

/* A track may come within 5 s of the file's first frame, not of the new life. */
static void test_late_track(void **state)
{
    static const int64_t lengths[] = {3000000, 6000000};
    const struct td_mux_track video = {.codec = TD_CODEC_H264};
    struct bench *b = *state;

    for (unsigned i = 0; i < 2; i++) {
        struct td_mux_tail tail;
        unsigned index = 9;

        b->reel.count = 0;
        b->marked[0] = false;
        b->part.file[TD_FILE_MEDIA].len = 0;
        add_track(b, TD_CODEC_OPUS);
        for (int64_t t = 0; t < lengths[i]; t += 20000)
            write_audio(b, 0, HOUR_US + t);
        die(b, (size_t)b->mux->offset[TD_FILE_MEDIA]);
        assert_int_equal(tail_of(b, &tail), 0);
        resume(b, &tail);
        assert_int_equal(td_mux_add_track(b->mux, &video, &index), i == 0 ? 0 : TD_MUX_NEXT_PART);
        if (i == 0) {
            assert_int_equal(index, 1);
            write_video(b, 1, HOUR_US + lengths[i] + 500000, true, 3000);
        }
        write_audio(b, 0, HOUR_US + lengths[i] + 500000);
        if (i == 0)
            assert_int_equal(td_mux_add_track(b->mux, &video, &index), 0);
        write_audio(b, 0, HOUR_US + lengths[i] + 2500000);
        assert_int_equal(td_mux_add_track(b->mux, &video, &index), TD_MUX_NEXT_PART);
        die(b, (size_t)b->mux->offset[TD_FILE_MEDIA]);
        check_file(b);
        assert_int_equal(strict_read(b), 0);
        assert_int_equal(td_mux_new(b->ops, tape_sink(&b->tape), &b->mux), 0);
    }
}

/* A first frame that the sink does not take leaves its mark to the next one. */
static void test_refusal(void **state)
{
    struct bench *b = *state;
    struct td_mux_tail tail;
    struct td_frame frame;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    write_both(b, 0, 2000000, 700);
    die(b, (size_t)b->mux->offset[TD_FILE_MEDIA] - 100);
    assert_int_equal(tail_of(b, &tail), 0);
    resume(b, &tail);
    frame = reel_frame(&b->reel, 0);
    frame.pts_us = 3000000;
    b->tape.refuse = 1;
    assert_int_equal(td_mux_write(b->mux, &frame), 1);
    b->tape.refuse = 0;
    write_both(b, 3000000, 4000000, 700);
    write_out(b);
    check_file(b);
    assert_int_equal(strict_read(b), 0);
}

/* ---- files that do not go on ---- */

/* Each byte of the head and of the last tables is wrong in turn. */
static void test_damaged_tables(void **state)
{
    struct bench *b = *state;
    struct td_bytes *file = &b->part.file[TD_FILE_MEDIA];
    struct td_mux_tail tail = {.bytes = 77};
    size_t last;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    write_both(b, 0, 1000000, 300);
    last = (size_t)b->mux->offset[TD_FILE_MEDIA];
    assert_int_equal(td_mux_idle(b->mux, 1000000), 0);
    write_out(b);
    for (size_t i = 0; i < 4 * TD_TS_PACKET; i++) {
        size_t at = i < 2 * TD_TS_PACKET ? i : last + i - 2 * TD_TS_PACKET;
        uint8_t right = file->data[at];

        if (at % TD_TS_PACKET == 3)
            continue; /* the counter: any value is a right one */
        file->data[at] ^= 0x10;
        assert_int_equal(tail_of(b, &tail), TD_MUX_NEXT_PART);
        assert_int_equal(tail.bytes, 77);
        file->data[at] = right;
    }
    assert_int_equal(tail_of(b, &tail), 0);
}

static int64_t read_fails(void *ctx, uint64_t offset, void *ret_bytes, size_t len)
{
    (void)ctx;
    (void)offset;
    (void)ret_bytes;
    (void)len;
    return -EIO;
}

static void test_not_so(void **state)
{
    static const char *const others[] = {"mkv", "hash", "null"};
    static const uint8_t stuffing[TD_TS_PACKET] = {TD_TS_SYNC, 0x1f, 0xff, 0x10};
    struct bench *b = *state;
    struct td_bytes *file = &b->part.file[TD_FILE_MEDIA];
    struct td_mux_tail tail = {.bytes = 77};
    struct td_mux *m = NULL;
    struct td_read_at media;
    size_t len;

    assert_int_equal(tail_of(b, &tail), TD_MUX_NEXT_PART); /* empty */
    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    write_both(b, 0, 1000000, 300);
    write_video(b, 0, 1000000, false, 500);
    write_out(b);
    media = part_input(&b->part, TD_FILE_MEDIA);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const struct td_mux_ops *ops = td_mux_by_name(others[i]);

        assert_int_equal(td_mux_tail(ops, &media, &tail), TD_MUX_NEXT_PART);
        assert_int_equal(td_mux_resume(ops, tape_sink(&b->tape), &tail, &m), -TD_E_UNSUPPORTED);
    }
    len = file->len;
    for (size_t cut = 1; cut < 2 * TD_TS_PACKET; cut++) { /* not sealed */
        file->len = len - cut;
        assert_int_equal(tail_of(b, &tail), TD_MUX_NEXT_PART);
        assert_int_equal(td_mux_tail(b->ops, &media, &tail), TD_MUX_NEXT_PART);
    }
    file->len = len;
    assert_int_equal(td_bytes_append(file, stuffing, sizeof(stuffing)), 0);
    assert_int_equal(tail_of(b, &tail), TD_MUX_NEXT_PART);
    assert_int_equal(td_mux_tail(b->ops, &media, &tail), TD_MUX_NEXT_PART); /* it has grown */
    file->len = len;
    media.read_at = read_fails;
    assert_int_equal(td_mux_tail(b->ops, &media, &tail), -EIO);
    media.read_at = NULL;
    assert_int_equal(td_mux_tail(b->ops, &media, &tail), -ENOENT);
    assert_int_equal(tail.bytes, 77);
    assert_int_equal(tail_of(b, &tail), 0);
    tail.track_count = 0;
    assert_int_equal(td_mux_resume(b->ops, tape_sink(&b->tape), &tail, &m), -EINVAL);
    tail.track_count = TD_MUX_TRACKS_MAX + 1;
    assert_int_equal(td_mux_resume(b->ops, tape_sink(&b->tape), &tail, &m), -EINVAL);
    assert_null(m);
}

/* Whatever tail makes of it: it comes back, and what it lets go on does. */
static void test_hostile(void **state)
{
    struct bench *b = *state;
    struct td_bytes *file = &b->part.file[TD_FILE_MEDIA];
    struct part clean;
    unsigned taken = 0;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    write_both(b, 0, 1200000, 400);
    write_out(b);
    b->mux = td_mux_free(b->mux);
    part_init(&clean);
    part_copy(&clean, &b->part);
    for (unsigned round = 0; round < 4000; round++) {
        struct td_frame frame = reel_frame(&b->reel, 0);
        struct td_read_at media;
        struct td_mux_tail tail;
        unsigned flips = 1 + (unsigned)choose(b, 4);
        int r;

        part_copy(&b->part, &clean);
        if (round % 16 == 0)
            file->len -= (size_t)choose(b, file->len / TD_TS_PACKET) * TD_TS_PACKET;
        while (flips-- > 0 && file->len > 0)
            file->data[choose(b, round % 2 ? file->len : file->len % 1500 + 1)] ^=
                (uint8_t)(1u << choose(b, 8));
        media = part_input(&b->part, TD_FILE_MEDIA);
        r = td_ts_tail_windows(&media, 600 + choose(b, 30000), 1 << 20, &tail);
        assert_true(r == 0 || r == TD_MUX_NEXT_PART);
        if (r != 0)
            continue;
        taken++;
        b->tape.count = 0;
        b->tape.bytes.len = 0;
        assert_int_equal(td_mux_resume(b->ops, tape_sink(&b->tape), &tail, &b->mux), 0);
        frame.pts_us = tail.newest_us + 1000000;
        assert_int_equal(td_mux_write(b->mux, &frame), 0);
        b->mux = td_mux_free(b->mux);
    }
    assert_true(taken > 0);
    for (unsigned round = 0; round < 50; round++) { /* noise with the right beginning of packets */
        struct td_mux_tail tail;

        file->len = 0;
        for (size_t i = 0; i < 200 * TD_TS_PACKET; i += 4) {
            uint32_t noise = (uint32_t)test_random(&b->seed);

            if (i % TD_TS_PACKET == 0)
                noise = (noise & 0xff1f0000) | (round % 2 ? 0x0147u : noise >> 16);
            assert_int_equal(td_bytes_append(file, &noise, sizeof(noise)), 0);
        }
        if (round % 5 > 0)
            memcpy(file->data, clean.file[TD_FILE_MEDIA].data, (round % 5) * TD_TS_PACKET);
        assert_int_equal(tail_of(b, &tail), TD_MUX_NEXT_PART);
    }
    part_done(&clean);
}

int main(void)
{
#define TAIL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TAIL_TEST(test_kills),      TAIL_TEST(test_kills_late),   TAIL_TEST(test_kills_for_days),
        TAIL_TEST(test_bounded),    TAIL_TEST(test_silent_track), TAIL_TEST(test_silence),
        TAIL_TEST(test_late_track), TAIL_TEST(test_refusal),      TAIL_TEST(test_damaged_tables),
        TAIL_TEST(test_not_so),     TAIL_TEST(test_hostile),
    };

    return cmocka_run_group_tests_name("mux/tail", tests, NULL, NULL);
}
