/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/inspect.h"
#include "codec/pattern.h"
#include "codec/process.h"
#include "codec/skew.h"

enum { RESULTS_MAX = 2000, PACKET_US = 20000, SKEW_US_MAX = 500 };

struct results {
    struct td_inspect_video video[RESULTS_MAX];
    struct td_inspect_beep beeps[RESULTS_MAX];
    size_t video_count;
    size_t beep_count;
};

/* One row: what is made and inspected. */
struct row {
    enum td_codec codec;
    uint16_t width, height, fps, seconds, key_interval_ms;
    uint32_t bitrate_bps;
    uint8_t slices, channels;
    enum td_pattern_profile profile;
};

static const struct named_row {
    const char *name;
    struct row row;
} rows[] = {
    {"h264-720p", {TD_CODEC_H264, 1280, 720, 30, 2, 1000, 2000000, 1, 1, TD_PATTERN_BASELINE}},
    {"h264-low", {TD_CODEC_H264, 1280, 720, 30, 4, 1000, 300000, 1, 1, TD_PATTERN_BASELINE}},
    {"h264-small", {TD_CODEC_H264, 320, 240, 30, 4, 2000, 300000, 4, 2, TD_PATTERN_MAIN}},
    {"vp8-720p", {TD_CODEC_VP8, 1280, 720, 30, 2, 1000, 2000000, 1, 1, TD_PATTERN_BASELINE}},
    {"vp8-low", {TD_CODEC_VP8, 1280, 720, 30, 4, 1000, 300000, 2, 1, TD_PATTERN_BASELINE}},
    {"vp8-small", {TD_CODEC_VP8, 320, 240, 24, 4, 500, 300000, 1, 2, TD_PATTERN_BASELINE}},
};

static void on_video(void *ctx, const struct td_inspect_video *video)
{
    struct results *r = ctx;
    assert_true(r->video_count < RESULTS_MAX);
    r->video[r->video_count++] = *video;
}

static void on_beep(void *ctx, const struct td_inspect_beep *beep)
{
    struct results *r = ctx;
    assert_true(r->beep_count < RESULTS_MAX);
    r->beeps[r->beep_count++] = *beep;
}

static struct td_frame unit(const struct td_pattern *p, const struct td_pattern_unit *u,
                            unsigned track, int64_t pts_us)
{
    return (struct td_frame){
        .codec = track == 0 ? p->config.video : TD_CODEC_OPUS,
        .key = u->key,
        .pts_us = pts_us,
        .track = track,
        .bytes = p->bytes.data + u->offset,
        .len = u->len,
    };
}

/* Pushes the loop twice, so that the seam is inspected too. */
static void push_twice(struct td_codec_inspect *inspect, const struct td_pattern *p)
{
    for (size_t n = 0; n < 2 * p->frame_count; n++) {
        struct td_frame f =
            unit(p, &p->frames[n % p->frame_count], 0, (int64_t)(n * 1000000 / p->config.fps));
        assert_int_equal(td_codec_inspect_push(inspect, &f), 0);
    }
    for (size_t n = 0; n < 2 * p->packet_count; n++) {
        struct td_frame f = unit(p, &p->packets[n % p->packet_count], 1, (int64_t)n * PACKET_US);
        assert_int_equal(td_codec_inspect_push(inspect, &f), 0);
    }
}

static void inspect(const struct td_pattern *p, struct results *r)
{
    const struct td_inspect_track tracks[] = {{p->config.video, 0},
                                              {TD_CODEC_OPUS, p->config.channels}};
    const struct td_inspect_sink sink = {.ctx = r, .video = on_video, .beep = on_beep};
    struct td_codec_inspect *inspect = NULL;
    struct td_inspect_done done;
    struct td_fail fail = {0};
    assert_int_equal(td_codec_inspect_open(tracks, 2, &sink, &fail, &inspect), 0);
    push_twice(inspect, p);
    assert_int_equal(td_codec_inspect_finish(inspect, &done), 0);
    assert_int_equal(done.frames, 2 * p->frame_count);
    assert_int_equal(done.packets, 2 * p->packet_count);
    assert_int_equal(done.video_errors + done.audio_errors, 0);
    assert_null(td_codec_inspect_free(inspect));
}

static void check_keys(const struct td_pattern *p)
{
    size_t interval = (size_t)p->config.key_interval_ms * p->config.fps / 1000;
    for (size_t n = 0; n < p->frame_count; n++)
        assert_int_equal(p->frames[n].key, n % interval == 0);
}

/* Within a third of what was asked for, or what the smallest quantiser gives. */
static void check_rate(const struct td_pattern *p)
{
    uint64_t bytes = 0;
    for (size_t n = 0; n < p->frame_count; n++)
        bytes += p->frames[n].len;
    uint64_t bps = bytes * 8 / p->config.seconds;
    assert_in_range(bps, p->config.bitrate_bps * 2 / 3, p->config.bitrate_bps * 3 / 2);
}

static void test_row(void **state)
{
    const struct row *row = *state;
    struct td_pattern_config config;
    struct td_pattern *p = NULL;
    struct td_fail fail = {0};
    struct td_skew_report report;
    struct results *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    td_pattern_config_default(&config);
    config.video = row->codec;
    config.profile = row->profile;
    config.width = row->width;
    config.height = row->height;
    config.fps = row->fps;
    config.seconds = row->seconds;
    config.key_interval_ms = row->key_interval_ms;
    config.bitrate_bps = row->bitrate_bps;
    config.slices = row->slices;
    config.channels = row->channels;
    assert_int_equal(td_codec_pattern(&config, &fail, &p), 0);
    assert_int_equal(p->frame_count, row->fps * row->seconds);
    assert_int_equal(p->packet_count, 50 * row->seconds);
    check_keys(p);
    check_rate(p);
    inspect(p, r);
    assert_int_equal(r->video_count, 2 * p->frame_count);
    for (size_t n = 0; n < r->video_count; n++) {
        assert_int_equal(r->video[n].counter, n % p->frame_count);
        assert_int_equal(r->video[n].pts_us, n * 1000000 / row->fps);
        assert_int_equal(r->video[n].width, row->width);
        bool flash = n % row->fps < (row->fps < 10 ? 1u : row->fps / 10u);
        assert_int_equal(r->video[n].luminance >= TD_SKEW_FLASH_LUMINANCE, flash);
    }
    assert_int_equal(td_skew_compute(&(struct td_skew_config){0}, r->video, r->video_count,
                                     r->beeps, r->beep_count, &report),
                     0);
    assert_int_equal(report.loop_frames, p->frame_count);
    assert_int_equal(report.flashes, 2 * row->seconds);
    assert_int_equal(report.pairs, 2 * row->seconds - 1); /* the first beep has no silence before */
    assert_in_range(report.max_us, 0, SKEW_US_MAX);
    (void)td_pattern_free(p);
    free(r);
}

static struct td_pattern *small_pattern(enum td_codec codec)
{
    struct td_pattern_config config;
    struct td_pattern *p = NULL;
    td_pattern_config_default(&config);
    config.video = codec;
    config.width = 320;
    config.height = 240;
    config.seconds = 2;
    config.bitrate_bps = 300000;
    assert_int_equal(td_codec_pattern(&config, NULL, &p), 0);
    return p;
}

/* What a recorder must never do: leave frames out inside a group of pictures, cut or corrupt them.
 * Each pushed frame gets its answer, and the damage shows. */
static void test_damage(void **state)
{
    static const enum td_codec codecs[] = {TD_CODEC_H264, TD_CODEC_VP8};
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct td_pattern *p = small_pattern(codecs[c]);
        struct results *r = calloc(1, sizeof(*r));
        const struct td_inspect_track tracks[] = {{codecs[c], 0}, {TD_CODEC_OPUS, 1}};
        const struct td_inspect_sink sink = {.ctx = r, .video = on_video};
        struct td_codec_inspect *inspect = NULL;
        struct td_inspect_done done;
        static const uint8_t garbage[64] = {0xff, 0xff, 0xff};
        assert_int_equal(td_codec_inspect_open(tracks, 2, &sink, NULL, &inspect), 0);
        size_t pushed = 0;
        for (size_t n = 0; n < p->frame_count; n++) {
            struct td_frame f = unit(p, &p->frames[n], 0, (int64_t)n * 33333);
            if (n == 10) /* a reference frame is left out */
                continue;
            if (n == 20) {
                f.bytes = garbage;
                f.len = sizeof(garbage);
            }
            if (n == 40)
                f.len = f.len / 3 + 1;
            assert_int_equal(td_codec_inspect_push(inspect, &f), 0);
            pushed++;
        }
        struct td_frame bad = {.track = 1, .bytes = garbage, .len = sizeof(garbage)};
        assert_int_equal(td_codec_inspect_push(inspect, &bad), 0);
        bad.len = 0;
        assert_true(td_codec_inspect_push(inspect, &bad) < 0);
        assert_int_equal(td_codec_inspect_finish(inspect, &done), 0);
        assert_int_equal(done.frames, pushed);
        assert_int_equal(done.audio_errors, 1);
        assert_int_equal(r->video_count, pushed);
        /* Something was wrong in the first second, and all is well again behind the key frame at
         * 30 until the cut frame. */
        assert_true(done.video_errors >= 1);
        for (size_t i = 0; i < pushed; i++) {
            size_t n = (size_t)(r->video[i].pts_us / 33333);
            if (n < 10 || (n >= 30 && n < 40)) {
                assert_int_equal(r->video[i].counter, n);
                assert_false(r->video[i].damaged);
            }
        }
        (void)td_codec_inspect_free(inspect);
        (void)td_pattern_free(p);
        free(r);
    }
}

/* Set for one start, and put back: the worker of this build is named by the environment. */
static int start_as(const char *path, struct td_fail *fail)
{
    struct td_codec_process *process = NULL;
    char *kept = strdup(getenv("TAPEDECK_CODEC"));
    assert_non_null(kept);
    assert_int_equal(setenv("TAPEDECK_CODEC", path, 1), 0);
    int r = td_codec_process_start(fail, &process);
    assert_int_equal(setenv("TAPEDECK_CODEC", kept, 1), 0);
    free(kept);
    assert_null(process);
    return r;
}

static void test_no_worker(void **state)
{
    (void)state;
    struct td_fail fail = {0};
    assert_true(start_as("/nonexistent/tapedeck-codec", &fail) < 0);
    assert_non_null(strstr(fail.text, "/nonexistent/tapedeck-codec"));
    td_fail_clear(&fail);
    /* Ends at once: */
    assert_int_equal(start_as("/bin/true", &fail), -TD_E_CLOSED);
    assert_int_equal(fail.code, -TD_E_CLOSED);
}

/* Requests out of order end the worker with its reason, never hang it. */
static void test_wrong_order(void **state)
{
    (void)state;
    struct td_codec_process *process = NULL;
    struct td_fail fail = {0};
    struct td_msg msg;
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    assert_int_equal(td_codec_process_start(&fail, &process), 0);
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_inspect_finish(&w);
    assert_int_equal(td_codec_process_send(process, &w, NULL, 0), 0);
    assert_int_equal(td_codec_process_receive(process, TD_CODEC_WAIT_US, &msg, &fail), -TD_E_STATE);
    assert_int_equal(fail.code, -TD_E_STATE);
    assert_int_equal(td_codec_process_receive(process, TD_CODEC_WAIT_US, &msg, &fail),
                     -TD_E_CLOSED);
    assert_null(td_codec_process_free(process));
}

/* Bytes that are no message. */
static void test_garbage(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2; n++) {
        struct td_codec_process *process = NULL;
        struct td_fail fail = {0};
        struct td_msg msg;
        uint8_t bytes[64];
        struct td_writer w;
        assert_int_equal(td_codec_process_start(&fail, &process), 0);
        td_writer_init(&w, bytes, sizeof(bytes));
        td_write_be32(&w, n == 0 ? 16 : UINT32_MAX);
        td_write_be16(&w, n == 0 ? TD_MSG_PATTERN : TD_MSG_INSPECT_FRAME);
        for (unsigned i = 0; i < 9; i++)
            td_write_be16(&w, 0);
        assert_int_equal(td_codec_process_send(process, &w, NULL, 0), 0);
        assert_int_equal(td_codec_process_receive(process, TD_CODEC_WAIT_US, &msg, &fail),
                         n == 0 ? -TD_E_PARSE : -TD_E_LIMIT);
        (void)td_codec_process_free(process);
    }
}

/* A worker that dies while it is fed is an error with a reason, not a hang. */
static void test_killed(void **state)
{
    (void)state;
    struct td_codec_process *process = NULL;
    struct td_fail fail = {0};
    struct td_msg msg;
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    assert_int_equal(td_codec_process_start(&fail, &process), 0);
    assert_true(td_codec_process_pid(process) > 0);
    assert_int_equal(kill(td_codec_process_pid(process), SIGKILL), 0);
    assert_int_equal(td_codec_process_receive(process, TD_CODEC_WAIT_US, &msg, &fail),
                     -TD_E_CLOSED);
    assert_non_null(strstr(fail.text, "signal 9"));
    assert_int_equal(td_codec_process_pid(process), 0);
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_inspect_finish(&w);
    assert_int_equal(td_codec_process_send(process, &w, NULL, 0), -TD_E_CLOSED);
    assert_int_equal(td_codec_process_receive(process, 0, &msg, &fail), -TD_E_CLOSED);
    assert_null(td_codec_process_free(process));
}

static void test_refused_here(void **state)
{
    (void)state;
    struct td_pattern_config config;
    struct td_pattern *p = NULL;
    struct td_fail fail = {0};
    td_pattern_config_default(&config);
    config.width = 33;
    assert_int_equal(td_codec_pattern(&config, &fail, &p), -TD_E_USAGE);
    assert_int_equal(fail.code, -TD_E_USAGE);
    assert_null(p);
}

int main(int argc, char **argv)
{
    const char *group = argc > 1 ? argv[1] : "rest";
    const struct CMUnitTest rest[] = {
        cmocka_unit_test(test_damage),      cmocka_unit_test(test_no_worker),
        cmocka_unit_test(test_wrong_order), cmocka_unit_test(test_refused_here),
        cmocka_unit_test(test_garbage),     cmocka_unit_test(test_killed),
    };
    if (strcmp(group, "rest") == 0)
        return cmocka_run_group_tests_name("rest", rest, NULL, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct row row = rows[i].row;
        const struct CMUnitTest one[] = {cmocka_unit_test_prestate(test_row, &row)};
        if (strcmp(group, rows[i].name) == 0)
            return cmocka_run_group_tests_name(rows[i].name, one, NULL, NULL);
    }
    return 2;
}
