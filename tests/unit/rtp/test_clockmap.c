/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/clockmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rtp/rtcp.h"
#include "seed.h"

#define MS INT64_C(1000)
#define S INT64_C(1000000)
#define NEVER INT64_MAX

/* A publisher with clocks of its own behind a network, seen by a receiver that drains every 5 ms.
 * Time 0 of the simulation is when its first sample is captured. */
struct row {
    const char *name;
    double audio_ppm; /* of the sample clock */
    double video_ppm; /* of the video time stamps */
    double ntp_ppm;
    int64_t delay_us;   /* network, at best */
    int64_t jitter_us;  /* up to so much more, mostly much less */
    int64_t encoder_us; /* video leaves so much later than it was captured */
    int64_t queue_us;   /* nothing leaves before: what was captured until then comes as a burst */
    int64_t audio_us;   /* first audio */
    int64_t video_us;   /* first video */
    int64_t first_report_us;
    int64_t report_us;      /* interval of a track's, 0 = 3 s */
    int64_t last_report_us; /* 0 = they never cease */
    int64_t strict_us;      /* from here on the skew is bounded */
    int64_t skew_us_max;    /* 0 = 20 ms */
    int64_t length_us;
    uint32_t audio_timestamp;
    uint32_t video_timestamp;
    int64_t clock_set_us; /* when the publisher's clock is set … */
    int64_t clock_by_us;  /* … by so much */
    unsigned nonsense;    /* every so many reports one makes no sense */
    bool epoch_1970;      /* the publisher's clock was never set */
};

struct sim {
    const struct row *row;
    uint64_t seed;
    struct td_clockmap clock;
    struct td_clockmap_track audio, video;
    int64_t audio_next, video_next; /* frame numbers */
    int64_t audio_last_arrival_us, video_last_arrival_us;
    int64_t next_report_us;
    unsigned reports;
    bool audio_started;
    int64_t audio_first_local_us, audio_first_capture_us;
    int64_t audio_last_us, video_last_us, video_last_media_us;
    int64_t worst_us, worst_at_us;
    int64_t fastest_us; /* largest change of the video's pace in a frame after its first second */
};

#define START_US (1000 * S) /* of the receiver's clock */

static int64_t chance(struct sim *s, int64_t limit)
{
    return limit > 0 ? (int64_t)(seed_next(&s->seed) % (uint64_t)limit) : 0;
}

/* When a packet that left at `left_us` is drained; never before the one in front of it. */
static int64_t arrive(struct sim *s, int64_t left_us, int64_t *last_us)
{
    const struct row *row = s->row;
    int64_t extra = chance(s, row->jitter_us) * chance(s, 1000) / 1000 * chance(s, 1000) / 1000;
    int64_t at_us = (left_us < row->queue_us ? row->queue_us : left_us) + row->delay_us + extra;

    at_us = START_US + (at_us + 4999) / 5000 * 5000;
    if (at_us < *last_us)
        at_us = *last_us;
    *last_us = at_us;
    return at_us;
}

static int64_t audio_capture_us(const struct sim *s, int64_t frame)
{
    return s->row->audio_us + (int64_t)((double)frame * 20000.0 / (1 + s->row->audio_ppm * 1e-6));
}

static int64_t video_capture_us(const struct sim *s, int64_t frame)
{
    return s->row->video_us + frame * 33333;
}

static uint32_t audio_stamp(const struct sim *s, int64_t at_us)
{
    double seconds = (double)(at_us - s->row->audio_us) * 1e-6 * (1 + s->row->audio_ppm * 1e-6);

    return s->row->audio_timestamp + (uint32_t)(int64_t)(seconds * 48000 + 0.5);
}

static uint32_t video_stamp(const struct sim *s, int64_t at_us)
{
    double seconds = (double)(at_us - s->row->video_us) * 1e-6 * (1 + s->row->video_ppm * 1e-6);

    return s->row->video_timestamp + (uint32_t)(int64_t)(seconds * 90000 + 0.5);
}

static int64_t wall_us(const struct sim *s, int64_t at_us)
{
    int64_t wall = s->row->epoch_1970 ? 0 : INT64_C(1795253400123456);

    wall += (int64_t)((double)at_us * (1 + s->row->ntp_ppm * 1e-6));
    if (s->row->clock_set_us != 0 && at_us >= s->row->clock_set_us)
        wall += s->row->clock_by_us;
    return wall;
}

/* The tracks are reported in turns, each with its own error of up to 3 ms. */
static void report(struct sim *s, int64_t at_us)
{
    const struct row *row = s->row;
    uint64_t ntp = td_ntp_from_wall_us(wall_us(s, at_us) + chance(s, 6 * MS) - 3 * MS);
    bool of_audio = s->reports++ % 2 == 0;
    uint32_t timestamp = of_audio ? audio_stamp(s, at_us) : video_stamp(s, at_us);
    int64_t arrival_us = START_US + at_us + row->delay_us + chance(s, row->jitter_us);

    if (row->last_report_us != 0 && at_us > row->last_report_us)
        return;
    if (row->nonsense != 0 && s->reports % row->nonsense == 1) {
        switch (s->reports / row->nonsense % 4) {
        case 0:
            ntp = td_ntp_from_wall_us(0);
            break;
        case 1:
            timestamp += 12345678;
            break;
        case 2:
            timestamp += 90000; /* a second: not absurd, only wrong */
            break;
        default:
            ntp = seed_next(&s->seed);
        }
    }
    if (of_audio && at_us >= row->audio_us)
        td_clockmap_sender_report(&s->audio, ntp, timestamp, arrival_us);
    if (!of_audio && at_us >= row->video_us)
        td_clockmap_sender_report(&s->video, ntp, timestamp, arrival_us);
}

static void audio_frame(struct sim *s)
{
    int64_t capture_us = audio_capture_us(s, s->audio_next++);
    int64_t arrival_us = arrive(s, capture_us, &s->audio_last_arrival_us);
    int64_t local_us = td_clockmap_local_us(&s->audio, audio_stamp(s, capture_us), arrival_us);

    if (!s->audio_started) {
        s->audio_started = true;
        s->audio_first_local_us = local_us;
        s->audio_first_capture_us = capture_us;
    } else if (llabs(local_us - s->audio_last_us - 20000) > 50) {
        fail_msg("%s: audio bent by %lld us", s->row->name,
                 (long long)(local_us - s->audio_last_us - 20000));
    }
    s->audio_last_us = local_us;
}

static void video_frame(struct sim *s)
{
    const struct row *row = s->row;
    int64_t capture_us = video_capture_us(s, s->video_next++);
    int64_t arrival_us = arrive(s, capture_us + row->encoder_us, &s->video_last_arrival_us);
    int64_t local_us = td_clockmap_local_us(&s->video, video_stamp(s, capture_us), arrival_us);
    int64_t audio_us, skew_us;

    if (s->video_next > 1) {
        int64_t bent_us = llabs(local_us - s->video_last_us - 33333);

        if (local_us <= s->video_last_us)
            fail_msg("%s: video stepped back", row->name);
        if (capture_us - row->video_us > 2 * S + row->queue_us && bent_us > s->fastest_us)
            s->fastest_us = bent_us;
    }
    s->video_last_us = local_us;
    if (!s->audio_started)
        return;
    audio_us =
        s->audio_first_local_us +
        (int64_t)((double)(capture_us - s->audio_first_capture_us) * (1 + row->audio_ppm * 1e-6));
    skew_us = llabs(local_us - audio_us);
    if (capture_us >= row->strict_us && skew_us > s->worst_us) {
        s->worst_us = skew_us;
        s->worst_at_us = capture_us;
    }
}

static void run(const struct row *row, uint64_t seed)
{
    struct sim s = {.row = row, .seed = seed, .next_report_us = row->first_report_us};
    int64_t limit_us = row->skew_us_max != 0 ? row->skew_us_max : 20 * MS;

    td_clockmap_init(&s.clock);
    td_clockmap_track_init(&s.audio, &s.clock, 48000, true);
    td_clockmap_track_init(&s.video, &s.clock, 90000, false);
    for (;;) {
        int64_t audio_us = audio_capture_us(&s, s.audio_next);
        int64_t video_us = video_capture_us(&s, s.video_next) + row->encoder_us;

        if (audio_us > row->length_us && video_us > row->length_us)
            break;
        if (s.next_report_us <= audio_us && s.next_report_us <= video_us) {
            report(&s, s.next_report_us);
            s.next_report_us += (row->report_us != 0 ? row->report_us : 3 * S) / 2;
        } else if (audio_us <= video_us) {
            audio_frame(&s);
        } else {
            video_frame(&s);
        }
    }
    if (s.worst_us > limit_us)
        fail_msg("%s: skew %lld us at %lld us", row->name, (long long)s.worst_us,
                 (long long)s.worst_at_us);
    if (s.fastest_us > 3433)
        fail_msg("%s: a frame moved by %lld us", row->name, (long long)s.fastest_us);
    if (getenv("TD_TEST_VERBOSE") != NULL)
        fprintf(stderr, "# %-50s worst skew %6lld us at %lld ms, ignored %d, steps %d\n", row->name,
                (long long)s.worst_us, (long long)(s.worst_at_us / MS),
                (int)(s.audio.ignored + s.video.ignored), (int)s.video.steps);
}

static const struct row rows[] = {
    {.name = "loopback, no report at all",
     .first_report_us = NEVER,
     .strict_us = 1 * S,
     .length_us = 60 * S},
    {.name = "loopback, no report, an hour of 100 ppm",
     .audio_ppm = 100,
     .video_ppm = -100,
     .first_report_us = NEVER,
     .strict_us = 1 * S,
     .length_us = 3600 * S},
    {.name = "loopback, late first report",
     .jitter_us = 2 * MS,
     .first_report_us = 7 * S,
     .strict_us = 1 * S,
     .length_us = 60 * S},
    {.name = "loopback, media queued for 400 ms",
     .queue_us = 400 * MS,
     .first_report_us = 7 * S,
     .strict_us = 1 * S,
     .length_us = 30 * S},
    {.name = "loopback, queued, video begins later",
     .queue_us = 400 * MS,
     .video_us = 250 * MS,
     .first_report_us = 7 * S,
     .strict_us = 1250 * MS,
     .length_us = 30 * S},
    {.name = "loopback, queued, audio begins later",
     .queue_us = 400 * MS,
     .audio_us = 250 * MS,
     .first_report_us = 7 * S,
     .strict_us = 1 * S,
     .length_us = 30 * S},
    {.name = "video first, audio after 10 s",
     .jitter_us = 5 * MS,
     .audio_us = 10 * S,
     .first_report_us = 3 * S,
     .strict_us = 11 * S,
     .length_us = 60 * S},
    {.name = "audio first, video after 10 s",
     .jitter_us = 5 * MS,
     .video_us = 10 * S,
     .first_report_us = 3 * S,
     .strict_us = 10 * S,
     .length_us = 60 * S},
    {.name = "+100 ppm audio, -100 ppm video, jitter 30 ms, one hour",
     .audio_ppm = 100,
     .video_ppm = -100,
     .delay_us = 40 * MS,
     .jitter_us = 30 * MS,
     .first_report_us = 5 * S,
     .strict_us = 3 * S,
     .length_us = 3600 * S},
    {.name = "-100 ppm audio, +100 ppm NTP, one hour",
     .audio_ppm = -100,
     .ntp_ppm = 100,
     .delay_us = 40 * MS,
     .jitter_us = 30 * MS,
     .first_report_us = 5 * S,
     .strict_us = 3 * S,
     .length_us = 3600 * S},
    {.name = "rare reports",
     .audio_ppm = 80,
     .video_ppm = -80,
     .jitter_us = 20 * MS,
     .first_report_us = 9 * S,
     .report_us = 20 * S,
     .strict_us = 3 * S,
     .length_us = 1200 * S},
    {.name = "reports cease, the clocks drift on",
     .audio_ppm = 100,
     .ntp_ppm = -50,
     .jitter_us = 20 * MS,
     .first_report_us = 2 * S,
     .last_report_us = 65 * S,
     .strict_us = 3 * S,
     .length_us = 150 * S},
    {.name = "slow video encoder: right once reported",
     .encoder_us = 120 * MS,
     .jitter_us = 10 * MS,
     .first_report_us = 4 * S,
     .strict_us = 7 * S,
     .length_us = 120 * S},
    {.name = "slower video encoder: two reports, then the slew",
     .encoder_us = 600 * MS,
     .jitter_us = 10 * MS,
     .first_report_us = 4 * S,
     .strict_us = 15 * S,
     .length_us = 120 * S},
    {.name = "timestamps wrap",
     .audio_timestamp = 0xfffff000u,
     .video_timestamp = 0xfffe0000u,
     .jitter_us = 10 * MS,
     .first_report_us = 1 * S,
     .strict_us = 1 * S,
     .length_us = 60 * S},
    {.name = "timestamps wrap at half the circle",
     .audio_timestamp = 0x7ffff000u,
     .video_timestamp = 0x7ffe0000u,
     .jitter_us = 10 * MS,
     .first_report_us = 1 * S,
     .strict_us = 1 * S,
     .length_us = 60 * S},
    {.name = "the publisher's clock is set by 7 s",
     .audio_ppm = 100,
     .video_ppm = -100,
     .jitter_us = 10 * MS,
     .first_report_us = 2 * S,
     .strict_us = 2 * S,
     .length_us = 600 * S,
     .clock_set_us = 40 * S,
     .clock_by_us = 7 * S},
    {.name = "the publisher's clock is set back by 400 ms",
     .jitter_us = 10 * MS,
     .first_report_us = 2 * S,
     .strict_us = 2 * S,
     .length_us = 120 * S,
     .clock_set_us = 40 * S,
     .clock_by_us = -400 * MS},
    {.name = "the publisher's clock is set by 60 ms",
     .audio_ppm = 100,
     .video_ppm = -100,
     .jitter_us = 10 * MS,
     .first_report_us = 2 * S,
     .strict_us = 2 * S,
     .length_us = 600 * S,
     .clock_set_us = 40 * S,
     .clock_by_us = 60 * MS},
    {.name = "a clock that was never set",
     .jitter_us = 10 * MS,
     .first_report_us = 2 * S,
     .strict_us = 2 * S,
     .length_us = 60 * S,
     .epoch_1970 = true},
    {.name = "every third report makes no sense, the first too",
     .audio_ppm = 50,
     .jitter_us = 10 * MS,
     .first_report_us = 2 * S,
     .strict_us = 2 * S,
     .length_us = 300 * S,
     .nonsense = 3},
    {.name = "wide network, jitter 150 ms",
     .delay_us = 80 * MS,
     .jitter_us = 150 * MS,
     .audio_ppm = 30,
     .first_report_us = 3 * S,
     .strict_us = 8 * S,
     .length_us = 600 * S},
};

static void test_skew(void **state)
{
    uint64_t seed = seed_start("clockmap");

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int k = 0; k < (rows[i].length_us > 1000 * S ? 1 : 5); k++)
            run(&rows[i], seed_next(&seed));
    }
}

/* ---- single behaviours, with a video and an audio track that are stamped by hand ---- */

struct pair {
    struct td_clockmap clock;
    struct td_clockmap_track audio, video;
};

static void pair_start(struct pair *p)
{
    td_clockmap_init(&p->clock);
    td_clockmap_track_init(&p->audio, &p->clock, 48000, true);
    td_clockmap_track_init(&p->video, &p->clock, 90000, false);
}

static void test_first_frame_is_its_arrival(void **state)
{
    struct pair p;

    (void)state;
    pair_start(&p);
    assert_true(td_clockmap_local_us(&p.audio, 0xffffffffu, 5 * S) == 5 * S);
    assert_true(td_clockmap_local_us(&p.video, 12345, 5 * S + 3) == 5 * S + 3);
    assert_true(td_clockmap_error_us(&p.audio) == 0);
    assert_true(td_clockmap_error_us(&p.video) == 0);
}

/* Timestamps that begin anew go on where the arrival says, for both kinds. */
static void test_restart(void **state)
{
    static const uint32_t starts[] = {0x90000000u, 0x10000000u, 0x00000000u, 0xf0000000u};

    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        int64_t last_us = 0;
        struct pair p;

        pair_start(&p);
        for (uint32_t n = 0; n < 1000; n++) {
            uint32_t base = n < 500 ? 0x40000000u : starts[i];
            int64_t arrival_us = 10 * S + n * 20 * MS;
            int64_t local_us = td_clockmap_local_us(&p.audio, base + n * 960, arrival_us);

            assert_true(local_us == arrival_us);
            local_us = td_clockmap_local_us(&p.video, base + n * 1800, arrival_us);
            assert_true(local_us >= last_us && llabs(local_us - arrival_us) < MS);
            last_us = local_us;
        }
        assert_int_equal(p.audio.steps, 1);
    }
}

/* The same track under a new SSRC, with timestamps that look like the old ones or not, and another
 * clock: the same place in time, late by as much as before, never a step back. */
static void test_restart_told(void **state)
{
    static const uint32_t starts[] = {500 * 960 - 4800, 500 * 960 + 96000, 0x90000000u};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        int64_t last_us = 0;
        struct pair p;

        pair_start(&p);
        for (uint32_t n = 0; n < 1000; n++) {
            uint32_t hz = n < 500 ? 48000 : 16000, base = n < 500 ? 0 : starts[i] - 500 * 320;
            int64_t arrival_us = 10 * S + n * 20 * MS + (n == 0 ? 70 * MS : 0);
            uint32_t timestamp = base + n * (hz / 50);
            int64_t audio_us;

            if (n == 500) {
                td_clockmap_track_restart(&p.audio, hz);
                td_clockmap_sender_report(&p.audio, td_ntp_from_wall_us(arrival_us), timestamp,
                                          arrival_us);
            }
            audio_us = td_clockmap_local_us(&p.audio, timestamp, arrival_us);
            assert_true(audio_us == 10 * S + n * 20 * MS + 70 * MS && audio_us > last_us);
            last_us = audio_us;
        }
        assert_int_equal(p.audio.line.count, 1);
    }
}

/* A sender whose timestamps stand still over a silence; and a network that does so. */
static void test_stall(void **state)
{
    (void)state;
    for (int network = 0; network < 2; network++) {
        int64_t local_us = 0, arrival_us = 0;
        struct pair p;

        pair_start(&p);
        for (uint32_t n = 0; n < 1000; n++) {
            arrival_us = 10 * S + n * 20 * MS;
            if (network == 0 && n >= 300)
                arrival_us += 8 * S; /* a silence without timestamps */
            else if (network == 1 && n >= 300 && n < 400)
                arrival_us = 10 * S + 400 * 20 * MS; /* two seconds come at once */
            local_us = td_clockmap_local_us(&p.audio, n * 960, arrival_us);
        }
        assert_true(llabs(local_us - arrival_us) < MS);
        assert_int_equal(p.audio.steps, network == 0 ? 1 : 0);
    }
}

static void test_reference_goes_and_another_comes(void **state)
{
    struct pair p;
    int64_t audio_us = 0, video_us = 0;

    (void)state;
    pair_start(&p);
    for (uint32_t n = 0; n < 3000; n++) {
        int64_t now_us = 10 * S + n * 20 * MS;

        if (n == 1000) /* published again, at the same address */
            td_clockmap_track_init(&p.audio, &p.clock, 48000, true);
        if (n < 800 || n >= 1000)
            audio_us = td_clockmap_local_us(&p.audio, n * 960 + (n >= 1000 ? 77777777u : 0),
                                            now_us + (n == 1000 ? 60 * MS : 0));
        video_us = td_clockmap_local_us(&p.video, n * 1800, now_us);
        if (n % 150 == 149 && n != 1049) {
            uint64_t ntp = td_ntp_from_wall_us(now_us);

            td_clockmap_sender_report(&p.video, ntp, n * 1800, now_us);
            td_clockmap_sender_report(&p.audio, ntp, n * 960 + (n >= 1000 ? 77777777u : 0), now_us);
        }
        if (n > 1100)
            assert_true(llabs(video_us - audio_us) <= 5 * MS);
    }
    assert_true(llabs(td_clockmap_error_us(&p.video)) <= MS);
    assert_true(p.clock.mapped);
}

/* With two audio tracks video stays with the first, however differently they began. */
static void test_two_references(void **state)
{
    struct td_clockmap_track screen;
    struct pair p;

    (void)state;
    pair_start(&p);
    td_clockmap_track_init(&screen, &p.clock, 48000, true);
    for (uint32_t n = 0; n < 1500; n++) {
        int64_t now_us = 10 * S + n * 20 * MS;
        int64_t audio_us = td_clockmap_local_us(&p.audio, n * 960, now_us);
        int64_t video_us = td_clockmap_local_us(&p.video, n * 1800, now_us);
        int64_t late_us = n == 0 ? 80 * MS : 0;

        assert_true(td_clockmap_local_us(&screen, n * 960, now_us + late_us) == now_us + 80 * MS);
        assert_true(llabs(video_us - audio_us) <= 5 * MS);
        if (n % 150 == 149) {
            uint64_t ntp = td_ntp_from_wall_us(now_us);

            td_clockmap_sender_report(&p.video, ntp, n * 1800, now_us);
            td_clockmap_sender_report(&p.audio, ntp, n * 960, now_us);
            td_clockmap_sender_report(&screen, ntp, n * 960, now_us);
        }
    }
    assert_true(llabs(td_clockmap_error_us(&screen) - 80 * MS) <= MS);
}

/* A report may be about a moment before the newest frame. */
static void test_report_of_the_past(void **state)
{
    struct pair p;

    (void)state;
    pair_start(&p);
    for (uint32_t n = 0; n < 10; n++)
        (void)td_clockmap_local_us(&p.video, 5 + n * 3000, 10 * S + n * 33333);
    td_clockmap_sender_report(&p.video, td_ntp_from_wall_us(7 * S), 5 + 8 * 3000 - 90,
                              10 * S + 9 * 33333);
    assert_int_equal(p.video.line.count, 1);
    assert_int_equal(p.video.ignored, 0);
    assert_true(p.clock.mapped);
}

/* Reports of random content between honest frames: nothing but the target may suffer, and only by
 * what the arrival allows. */
static void test_random_reports(void **state)
{
    uint64_t seed = seed_start("clockmap reports");
    int64_t last_audio_us = 0, last_video_us = 0;
    struct pair p;

    (void)state;
    pair_start(&p);
    for (uint32_t n = 0; n < 50000; n++) {
        int64_t now_us = 10 * S + n * 20 * MS;
        int64_t audio_us = td_clockmap_local_us(&p.audio, n * 960, now_us);
        int64_t video_us = td_clockmap_local_us(&p.video, n * 1800, now_us);

        assert_true(audio_us == now_us);
        assert_true(video_us > last_video_us && audio_us > last_audio_us);
        assert_true(llabs(video_us - audio_us) <= 20 * MS);
        last_audio_us = audio_us;
        last_video_us = video_us;
        if (n % 10 == 0) {
            struct td_clockmap_track *t = seed_next(&seed) % 2 == 0 ? &p.audio : &p.video;
            uint64_t ntp = seed_next(&seed);
            uint32_t timestamp = (uint32_t)seed_next(&seed);

            td_clockmap_sender_report(t, ntp, timestamp, now_us);
        }
    }
}

/* Random frames: PTS never step back. */
static void test_random_frames(void **state)
{
    uint64_t seed = seed_start("clockmap frames");
    int64_t now_us = 10 * S, last_us[2] = {INT64_MIN, INT64_MIN};
    struct pair p;

    (void)state;
    pair_start(&p);
    for (int n = 0; n < 200000; n++) {
        struct td_clockmap_track *t = n % 2 == 0 ? &p.audio : &p.video;
        uint64_t dice = seed_next(&seed);
        uint32_t timestamp = t->last_timestamp + (uint32_t)(dice % 5000);
        int64_t local_us;

        now_us += (int64_t)(seed_next(&seed) % 40000);
        if (dice % 101 == 0)
            timestamp = (uint32_t)(dice >> 32);
        if (dice % 31 == 0)
            td_clockmap_sender_report(t, td_ntp_from_wall_us(now_us) + (dice >> 40), timestamp,
                                      now_us);
        local_us = td_clockmap_local_us(t, timestamp, now_us);
        assert_true(local_us >= last_us[n % 2]);
        last_us[n % 2] = local_us;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_skew),
        cmocka_unit_test(test_first_frame_is_its_arrival),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_restart_told),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_reference_goes_and_another_comes),
        cmocka_unit_test(test_two_references),
        cmocka_unit_test(test_report_of_the_past),
        cmocka_unit_test(test_random_reports),
        cmocka_unit_test(test_random_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
