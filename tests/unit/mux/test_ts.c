/* SPDX-License-Identifier: Apache-2.0 */
/* MPEG-TS as ISO 13818-1 wants it: tables, clock, counters, and what the scanner gets back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "mux/psi.h"
#include "mux/ts_format.h"
#include "mux/ts_scan.h"

#define HOUR_US INT64_C(3600000000)

struct bench {
    const struct td_mux_ops *ops;
    struct td_mux *mux;
    struct tape tape;
    struct part part;
    struct reel reel;
    uint64_t seed;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    if (!b)
        return -1;
    b->ops = td_mux_by_name("ts");
    b->seed = 13818;
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

static void add_track(struct bench *b, enum td_codec codec)
{
    struct td_mux_track track = {.codec = codec, .channels = 2};
    unsigned index;

    assert_int_equal(td_mux_add_track(b->mux, &track, &index), 0);
}

/* Writes the last frame of the reel. */
static int write_last(struct bench *b)
{
    struct td_frame frame = reel_frame(&b->reel, b->reel.count - 1);

    return td_mux_write(b->mux, &frame);
}

static void write_video(struct bench *b, unsigned track, int64_t pts_us, bool key, size_t len)
{
    reel_add_h264(&b->reel, track, pts_us, key, false, len, test_random(&b->seed));
    assert_int_equal(write_last(b), 0);
}

static void write_audio(struct bench *b, unsigned track, int64_t pts_us, size_t len)
{
    reel_add_opus(&b->reel, track, pts_us, len, test_random(&b->seed));
    assert_int_equal(write_last(b), 0);
}

static void finish(struct bench *b)
{
    assert_int_equal(td_mux_close(b->mux), 0);
    part_apply_all(&b->part, &b->tape);
}

static void check_all(struct bench *b, struct td_scan *ret_scan)
{
    const char *wrong = check_frames(b->ops, &b->part, &b->reel, b->reel.count, ret_scan);

    if (wrong[0])
        fail_msg("%s", wrong);
}

/* What a strict reader checks packet by packet. */
struct strict {
    int cc[0x2000];
    int64_t pcr;      /* 27 MHz, -1 = none yet */
    int64_t pcr_gap;  /* largest */
    int64_t dts_lead; /* smallest DTS - PCR seen, 90 kHz */
    int64_t psi_gap;  /* largest distance of two PATs in PCR time, 90 kHz */
    int64_t psi_pcr;
    unsigned pats;
    unsigned versions; /* distinct ones in a row */
    int version;
    unsigned indicators; /* discontinuity_indicator */
};

static int64_t pcr_of(const uint8_t *at)
{
    int64_t base = (int64_t)at[0] << 25 | at[1] << 17 | at[2] << 9 | at[3] << 1 | at[4] >> 7;

    return base * 300 + ((at[4] & 1) << 8 | at[5]);
}

static void strict_adaptation(struct strict *s, const uint8_t *p)
{
    size_t len = p[4];

    assert_true(len <= ((p[3] & 0x10) ? 182u : 183u));
    if (len == 0)
        return;
    s->indicators += (p[5] & 0x80) != 0;
    if (p[5] & 0x10) {
        int64_t pcr = pcr_of(p + 6);

        assert_true(len >= 7);
        if (s->pcr >= 0) {
            assert_true(pcr >= s->pcr);
            if (pcr - s->pcr > s->pcr_gap)
                s->pcr_gap = pcr - s->pcr;
        }
        s->pcr = pcr;
    }
}

static void strict_payload(struct strict *s, unsigned pid, const uint8_t *p, const uint8_t *at)
{
    if (pid == TD_TS_PID_PAT) {
        s->pats++;
        if (s->psi_pcr >= 0 && s->pcr >= 0 && s->pcr / 300 - s->psi_pcr > s->psi_gap)
            s->psi_gap = s->pcr / 300 - s->psi_pcr;
        s->psi_pcr = s->pcr / 300;
    } else if (pid == TD_TS_PID_PMT) {
        int version = (at[6] >> 1) & 31;

        if (version != s->version)
            s->versions++;
        s->version = version;
    } else if (p[1] & 0x40) {
        int64_t pts = (int64_t)(at[9] & 14) << 29 | at[10] << 22 | (at[11] & 0xfe) << 14 |
                      at[12] << 7 | at[13] >> 1;

        assert_true(at[0] == 0 && at[1] == 0 && at[2] == 1);
        assert_true(s->pcr >= 0 && s->pats > 0);
        if (pts - s->pcr / 300 < s->dts_lead)
            s->dts_lead = pts - s->pcr / 300;
    }
}

static void strict_read(struct bench *b, struct strict *ret)
{
    const struct td_bytes *file = &b->part.file[TD_FILE_MEDIA];
    struct strict s = {.pcr = -1, .psi_pcr = -1, .dts_lead = INT64_MAX, .version = -1};

    memset(s.cc, 0xff, sizeof(s.cc));
    assert_int_equal(file->len % 188, 0);
    for (size_t at = 0; at < file->len; at += 188) {
        const uint8_t *p = file->data + at;
        unsigned pid = (unsigned)(p[1] & 31) << 8 | p[2];
        bool payload = (p[3] & 0x10) != 0;
        size_t skip = 4;

        assert_int_equal(p[0], 0x47);
        assert_true((p[3] & 0x30) != 0);
        if (s.cc[pid] >= 0)
            assert_int_equal(p[3] & 15, payload ? (s.cc[pid] + 1) & 15 : s.cc[pid]);
        s.cc[pid] = p[3] & 15;
        if (p[3] & 0x20) {
            strict_adaptation(&s, p);
            skip += 1u + p[4];
        }
        if (payload)
            strict_payload(&s, pid, p, p + skip);
    }
    *ret = s;
}

/* Every length around the packet, stuffing and 16-bit borders, with and without each field. */
static void test_lengths(void **state)
{
    static const size_t around[] = {65500, 65515, 65521, 65527, 65535, 65541, 66000, 131072};
    struct bench *b = *state;
    struct strict strict;
    struct td_scan scan;
    int64_t t = 0;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    for (size_t len = 64; len < 64 + 3 * 184; len++) {
        write_video(b, 0, t, len % 7 == 0, len);
        write_audio(b, 1, t, 1 + len % 1500);
        t += 33300;
    }
    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++)
        for (size_t len = around[i] - 14; len < around[i] + 190; len += i < 2 ? 1 : 5) {
            write_video(b, 0, t, (len & 1) != 0, len);
            t += 33300;
        }
    finish(b);
    check_all(b, &scan);
    strict_read(b, &strict);
    assert_int_equal(scan.valid_bytes, scan.bytes);
    assert_int_equal(scan.damaged_units, 0);
    assert_true(scan.sealed);
    assert_int_equal(scan.tracks[0].width, 1280);
    assert_int_equal(scan.tracks[1].channels, 2);
    assert_int_equal(scan.tracks[1].codec, TD_CODEC_OPUS);
}

/* Two seconds each of both, of audio alone (muted video), of nothing but beats, and of both. */
static void test_clock(void **state)
{
    struct bench *b = *state;
    struct strict strict;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 0; t < 12000000; t += 20000) {
        bool beats = t >= 6000000 && t < 8000000;
        bool video = t < 2000000 || t >= 8000000;

        if (beats) {
            if (t % 1000000 == 0)
                assert_int_equal(td_mux_idle(b->mux, t), 0);
            continue;
        }
        if (video && t % 40000 == 0)
            write_video(b, 0, t, t % 4000000 == 0, 900);
        /* Audio comes in bursts, as behind a lost packet. */
        if (t % 200000 == 180000)
            for (int64_t a = t - 180000; a <= t; a += 20000)
                write_audio(b, 1, a, 120);
    }
    finish(b);
    check_all(b, NULL);
    strict_read(b, &strict);
    assert_true(strict.dts_lead >= 0);
    assert_int_equal(strict.indicators, 0);
    assert_int_equal(strict.versions, 1);
    /* The three beats are a second apart, by design. */
    assert_true(strict.pcr_gap <= INT64_C(27000000) * 11 / 10);
}

static void test_clock_steady(void **state)
{
    struct bench *b = *state;
    struct strict strict;

    add_track(b, TD_CODEC_OPUS);
    add_track(b, TD_CODEC_H264);
    for (int64_t t = 0; t < 6000000; t += 20000) {
        write_audio(b, 0, t, 100);
        if (t % 100000 == 0) /* 10 fps: PCRs are needed between the frames */
            write_video(b, 1, t, t % 2000000 == 0, 5000);
    }
    finish(b);
    check_all(b, NULL);
    strict_read(b, &strict);
    assert_true(strict.pcr_gap <= 27000000 / 25);
    assert_true(strict.dts_lead >= 0);
    assert_true(strict.psi_gap <= 45000);
    assert_true(strict.pats >= 12);
}

static void test_audio_only(void **state)
{
    struct bench *b = *state;
    struct strict strict;
    struct td_scan scan;

    add_track(b, TD_CODEC_OPUS);
    /* With DTX a packet comes each 400 ms. */
    for (int64_t t = 0; t < 4000000; t += t < 2000000 ? 20000 : 400000)
        write_audio(b, 0, t, 40);
    finish(b);
    check_all(b, &scan);
    strict_read(b, &strict);
    assert_true(strict.pcr_gap <= 27000000 / 25);
    assert_int_equal(scan.track_count, 1);
    assert_int_equal(scan.tracks[0].end_pts_us, scan.tracks[0].last_pts_us + 20000);
}

static void test_late_track(void **state)
{
    struct bench *b = *state;
    struct td_mux_track vp8 = {.codec = TD_CODEC_VP8};
    struct td_mux_track video = {.codec = TD_CODEC_H264};
    struct strict strict;
    struct td_scan scan;
    unsigned index = 9;

    assert_int_equal(td_mux_add_track(b->mux, &vp8, &index), -TD_E_UNSUPPORTED);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 0; t < 4900000; t += 20000)
        write_audio(b, 0, t, 80);
    assert_int_equal(td_mux_add_track(b->mux, &video, &index), 0);
    assert_int_equal(index, 1);
    write_video(b, 1, 4900000, true, 3000);
    write_audio(b, 0, 4900000, 80);
    write_audio(b, 0, 5100000, 80);
    assert_int_equal(td_mux_add_track(b->mux, &video, &index), TD_MUX_NEXT_PART);
    finish(b);
    check_all(b, &scan);
    strict_read(b, &strict);
    assert_int_equal(strict.versions, 2);
    assert_int_equal(scan.track_count, 2);
}

/* The 33 bits of the clock wrap after 26.5 hours, the version of the PMT after that. */
static void test_days(void **state)
{
    struct bench *b = *state;
    const struct td_ts_windows windows = {.whole = 0, .head = 1 << 14, .tail = 1 << 13};
    struct td_op_sink sink = tape_sink(&b->tape);
    struct td_read_at media;
    struct td_scan scan;
    struct td_scan sealed;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 30 * HOUR_US; t < 100 * HOUR_US; t += HOUR_US / 6) {
        write_video(b, 0, t, true, 300);
        write_audio(b, 1, t + 1000, 70);
        assert_int_equal(td_mux_idle(b->mux, t + 1000000), 0);
    }
    finish(b);
    check_all(b, &scan);
    assert_int_equal(scan.damaged_units, 0);
    media = part_input(&b->part, TD_FILE_MEDIA);
    assert_int_equal(td_ts_seal_windows(&media, &sink, &windows, &sealed), 0);
    assert_true(sealed.partial);
    assert_int_equal(sealed.duration_us, scan.duration_us);
    assert_true(scan.duration_us > 69 * HOUR_US);
}

/* A hole is marked for readers, and not as a new clock on the PCR's PID. */
static void test_holes(void **state)
{
    struct bench *b = *state;
    struct strict strict;
    struct td_scan scan;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 0; t < 2000000; t += 20000) {
        reel_add_h264(&b->reel, 0, t, t % 500000 == 0, false, 70 + (size_t)(t % 300), 7);
        b->reel.frames[b->reel.count - 1].discontinuity = t == 500000 || t == 520000;
        assert_int_equal(write_last(b), 0);
        reel_add_opus(&b->reel, 1, t, 100 + (size_t)(t / 20000), 7);
        b->reel.frames[b->reel.count - 1].discontinuity = t % 400000 == 0;
        assert_int_equal(write_last(b), 0);
    }
    finish(b);
    check_all(b, &scan);
    strict_read(b, &strict);
    assert_int_equal(scan.discontinuities, 2 + 5);
    assert_int_equal(strict.indicators, 5); /* audio only */
}

/* A frame the sink does not take leaves no trace: counters and clock go on as if it had not been.
 */
static void test_refusal(void **state)
{
    struct bench *b = *state;
    struct strict strict;
    struct td_frame frame;
    struct td_scan scan;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 0; t < 1000000; t += 20000) {
        struct reel other;

        reel_init(&other);
        reel_add_h264(&other, 0, t, true, false, 5000, 1);
        frame = reel_frame(&other, 0);
        b->tape.refuse = 1;
        assert_int_equal(td_mux_write(b->mux, &frame), 1);
        b->tape.refuse = 0;
        reel_done(&other);
        write_audio(b, 1, t, 90);
        if (t % 40000 == 0)
            write_video(b, 0, t, t == 0, 400);
    }
    finish(b);
    check_all(b, &scan);
    strict_read(b, &strict);
    assert_int_equal(scan.damaged_units, 0);
}

static void test_errors(void **state)
{
    struct bench *b = *state;
    struct td_frame frame;

    add_track(b, TD_CODEC_H264);
    reel_add_h264(&b->reel, 0, 0, true, false, 300, 1);
    frame = reel_frame(&b->reel, 0);
    frame.track = 1;
    assert_int_equal(td_mux_write(b->mux, &frame), -EINVAL);
    frame.track = 0;
    frame.len = 0;
    assert_int_equal(td_mux_write(b->mux, &frame), -EINVAL);
    frame.len = 300;
    frame.pts_us = -1;
    assert_int_equal(td_mux_write(b->mux, &frame), -EINVAL);
    frame.pts_us = 0;
    b->tape.refuse = -ENOSPC;
    assert_int_equal(td_mux_write(b->mux, &frame), -ENOSPC);
    b->tape.refuse = 0;
    assert_int_equal(td_mux_write(b->mux, &frame), -ENOSPC); /* sticky */
    assert_int_equal(td_mux_close(b->mux), -ENOSPC);
}

/* Another muxer's files: PES packets of length 0 without our end record, tables of many packets. */
static void strip_marks(struct td_bytes *file)
{
    for (size_t at = 0; at + 188 <= file->len; at += 188) {
        uint8_t *p = file->data + at;
        unsigned pid = (unsigned)(p[1] & 31) << 8 | p[2];

        if (pid == TD_TS_PID_PMT) {
            uint32_t crc;

            p[5 + 12] = 0x80; /* our descriptor's tag */
            crc = td_crc32_mpeg(0xffffffff, p + 5, (size_t)p[7] + 3 - 4);
            for (unsigned i = 0; i < 4; i++)
                p[5u + p[7] + 3u - 4u + i] = (uint8_t)(crc >> (24 - 8 * i));
        }
        if ((p[3] & 0x20) && p[4] > 0)
            p[5] &= (uint8_t)~0x02;
        if ((p[1] & 0x40) && pid == TD_TS_PID_FIRST) {
            uint8_t *pes = p + 4 + ((p[3] & 0x20) ? 1 + p[4] : 0);

            pes[4] = 0;
            pes[5] = 0;
        }
    }
}

static void test_foreign(void **state)
{
    struct bench *b = *state;
    struct td_read_at media;
    struct td_scan scan;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 0; t < 2000000; t += 40000) {
        write_audio(b, 1, t, 100);
        write_video(b, 0, t, t == 0, 700);
    }
    finish(b);
    strip_marks(&b->part.file[TD_FILE_MEDIA]);
    /* Each picture is known to be whole when the next begins, so they come later than the sound. */
    media = part_input(&b->part, TD_FILE_MEDIA);
    assert_int_equal(td_mux_scan(b->ops, &media, NULL, NULL, &scan), 0);
    assert_int_equal(scan.tracks[0].frames, 50);
    assert_int_equal(scan.tracks[0].key_frames, 1);
    assert_int_equal(scan.tracks[1].frames, 50);
    assert_int_equal(scan.damaged_units, 0);
    assert_int_equal(scan.valid_bytes, scan.bytes);
}

/* A lost packet in the middle costs its frame and nothing else, and never shows half a frame. */
static void test_lost_packets(void **state)
{
    struct bench *b = *state;
    struct part copy;
    struct td_bytes *file;
    size_t packets;

    add_track(b, TD_CODEC_H264);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 0; t < 400000; t += 40000) {
        write_video(b, 0, t, t == 0, t == 0 ? 70000 : 700);
        write_audio(b, 1, t, 100);
    }
    finish(b);
    part_init(&copy);
    packets = b->part.file[TD_FILE_MEDIA].len / 188;
    for (size_t lost = 2; lost < packets; lost += lost < 370 ? 23 : 1) {
        struct td_read_at media;
        struct td_scan scan;

        part_copy(&copy, &b->part);
        file = &copy.file[TD_FILE_MEDIA];
        memset(file->data + lost * 188, 0, 188);
        media = part_input(&copy, TD_FILE_MEDIA);
        assert_int_equal(td_mux_scan(b->ops, &media, NULL, NULL, &scan), 0);
        assert_true(scan.damaged_units > 0 || scan.valid_bytes < scan.bytes);
        assert_in_range(scan.tracks[0].frames + scan.tracks[1].frames, b->reel.count - 1,
                        b->reel.count);
    }
    part_done(&copy);
}

int main(void)
{
#define TS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TS_TEST(test_lengths),    TS_TEST(test_clock),        TS_TEST(test_clock_steady),
        TS_TEST(test_audio_only), TS_TEST(test_late_track),   TS_TEST(test_days),
        TS_TEST(test_holes),      TS_TEST(test_refusal),      TS_TEST(test_errors),
        TS_TEST(test_foreign),    TS_TEST(test_lost_packets),
    };

    return cmocka_run_group_tests_name("mux/ts", tests, NULL, NULL);
}
