/* SPDX-License-Identifier: Apache-2.0 */
/* Matroska: clusters, kept Voids, index and Cues, and what the scanner gets back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "mux/mkv_cues.h"
#include "mux/mkv_index.h"
#include "mux/mkv_scan.h"

struct bench {
    const struct td_mux_ops *ops;
    struct td_mux *mux;
    struct tape tape;
    struct tape seal;
    struct part part;
    struct reel reel;
    uint64_t seed;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    if (!b)
        return -1;
    b->ops = td_mux_by_name("mkv");
    b->seed = 9559;
    tape_init(&b->tape);
    tape_init(&b->seal);
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
    tape_done(&b->seal);
    part_done(&b->part);
    reel_done(&b->reel);
    free(b);
    return 0;
}

static int write_last(struct bench *b)
{
    struct td_frame frame = reel_frame(&b->reel, b->reel.count - 1);

    return td_mux_write(b->mux, &frame);
}

static void write_video(struct bench *b, unsigned track, int64_t pts_us, bool key, size_t len)
{
    reel_add_vp8(&b->reel, track, pts_us, key, false, len, test_random(&b->seed));
    assert_int_equal(write_last(b), 0);
}

static void write_audio(struct bench *b, unsigned track, int64_t pts_us, size_t len)
{
    reel_add_opus(&b->reel, track, pts_us, len, test_random(&b->seed));
    assert_int_equal(write_last(b), 0);
}

static void add_track(struct bench *b, enum td_codec codec)
{
    struct td_mux_track track = {.codec = codec, .channels = 2, .width = 1280, .height = 720};
    unsigned index;

    assert_int_equal(td_mux_add_track(b->mux, &track, &index), 0);
}

static void check_all(struct bench *b, struct td_scan *ret_scan)
{
    const char *wrong = check_frames(b->ops, &b->part, &b->reel, b->reel.count, ret_scan);

    if (wrong[0])
        fail_msg("%s", wrong);
}

static void finish(struct bench *b)
{
    assert_int_equal(td_mux_close(b->mux), 0);
    part_apply_all(&b->part, &b->tape);
}

static void seal(struct bench *b, uint64_t whole_bytes, struct td_scan *ret_scan)
{
    struct td_read_at media = part_input(&b->part, TD_FILE_MEDIA);
    struct td_read_at index = part_input(&b->part, TD_FILE_INDEX);
    struct td_op_sink sink = tape_sink(&b->seal);

    b->part.bytes_read = 0;
    assert_int_equal(td_mkv_seal_above(&media, &index, &sink, whole_bytes, ret_scan), 0);
}

struct clusters {
    size_t count;
    size_t wrong;
    int64_t last_ms;
    int64_t longest_ms;
};

static int on_cluster(void *ctx, const struct td_mkv_cluster *c)
{
    struct clusters *all = ctx;

    all->count++;
    all->wrong += !c->size_right;
    /* tape.c asserts that the patch of the size stays in its sector; this one, that it is there. */
    assert_true((c->offset + 4) / 512 == (c->offset + 11) / 512);
    return 0;
}

static void walk_clusters(struct bench *b, struct clusters *ret)
{
    struct td_read_at media = part_input(&b->part, TD_FILE_MEDIA);
    struct td_scan scan = {.bytes = 0};
    struct td_mkv_scan walk;

    *ret = (struct clusters){.count = 0};
    assert_int_equal(td_mkv_scan_init(&walk, &media, &scan), 0);
    walk.on_cluster = on_cluster;
    walk.cluster_ctx = ret;
    assert_int_equal(td_mkv_scan_walk(&walk, (uint64_t)td_mkv_scan_open(&walk)), 0);
    td_mkv_scan_done(&walk);
}

/* Ten minutes: every Cluster is closed, none longer than the unit, none crosses a sector wrongly.
 */
static void test_clusters(void **state)
{
    struct bench *b = *state;
    struct clusters clusters;
    struct td_scan scan;

    add_track(b, TD_CODEC_VP8);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 0; t < 600000000; t += 40000) {
        write_video(b, 0, t, t % 10000000 == 0, 16 + (size_t)(test_random(&b->seed) % 100));
        write_audio(b, 1, t, 20);
        write_audio(b, 1, t + 20000, 20);
    }
    finish(b);
    check_all(b, &scan);
    walk_clusters(b, &clusters);
    assert_int_equal(clusters.wrong, 0);
    assert_true(clusters.count >= 1500 && clusters.count < 1600);
    assert_int_equal(b->part.file[TD_FILE_INDEX].len, clusters.count * TD_MKV_RECORD_BYTES);
    assert_int_equal(scan.damaged_units, 0);
    assert_false(scan.sealed);
    assert_int_equal(scan.tracks[0].width, 1280);
    /* As a long file: the index vouches for nearly all of it. */
    seal(b, 0, &scan);
    assert_true(scan.partial && scan.sealed);
    assert_true(b->part.bytes_read < b->part.file[TD_FILE_MEDIA].len / 4);
    assert_true(scan.duration_us >= 599999000);
    part_apply_all(&b->part, &b->seal);
    check_all(b, &scan);
    assert_true(scan.sealed);
}

/* Sound that comes seconds late, as behind a lost packet, must not break up the Clusters. */
static void test_lag(void **state)
{
    struct bench *b = *state;
    struct clusters clusters;

    add_track(b, TD_CODEC_VP8);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 2000000; t < 10000000; t += 20000) {
        write_video(b, 0, t, t == 2000000, 30);
        write_audio(b, 1, t - 1900000, 20);
    }
    finish(b);
    check_all(b, NULL);
    walk_clusters(b, &clusters);
    assert_true(clusters.count <= 22);
}

static void test_late_tracks(void **state)
{
    struct bench *b = *state;
    struct td_mux_track video = {.codec = TD_CODEC_VP8, .width = 320, .height = 200};
    struct td_mux_track surround = {.codec = TD_CODEC_OPUS, .channels = 6};
    struct td_scan scan;
    unsigned index;

    add_track(b, TD_CODEC_OPUS);
    assert_int_equal(td_mux_add_track(b->mux, &surround, &index), -TD_E_UNSUPPORTED);
    write_audio(b, 0, 0, 20);
    video.name = "ein Name, der länger ist als der Platz: "
                 "ääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää";
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(td_mux_add_track(b->mux, &video, &index), 0);
        assert_int_equal(index, i);
        write_video(b, i, i * 40000, true, 50);
        write_audio(b, 0, i * 40000, 20);
    }
    assert_int_equal(td_mux_add_track(b->mux, &video, &index), TD_MUX_NEXT_PART);
    finish(b);
    check_all(b, &scan);
    assert_int_equal(scan.track_count, 4);
    assert_int_equal(scan.tracks[3].codec, TD_CODEC_VP8);
    assert_int_equal(scan.tracks[3].width, 320);
}

/* Beats of an idle recorder are seen in the size; the Cluster does not stay open for hours. */
static void test_idle(void **state)
{
    struct bench *b = *state;
    struct clusters clusters;
    uint64_t before;

    add_track(b, TD_CODEC_OPUS);
    assert_int_equal(td_mux_idle(b->mux, 0), 0);
    write_audio(b, 0, 1000000, 20);
    for (int64_t t = 2000000; t < 200000000; t += 1000000) {
        before = b->mux->offset[TD_FILE_MEDIA];
        assert_int_equal(td_mux_idle(b->mux, t), 0);
        assert_true(b->mux->offset[TD_FILE_MEDIA] > before);
    }
    write_audio(b, 0, 200000000, 20);
    finish(b);
    check_all(b, NULL);
    walk_clusters(b, &clusters);
    assert_int_equal(clusters.count, 2);
    assert_int_equal(clusters.wrong, 0);
}

/* Whatever operation the sink has no room for, the file stays right and nothing but that frame is
 * missing. */
static void test_refusal(void **state)
{
    struct bench *b = *state;
    struct clusters clusters;
    struct td_scan scan;

    add_track(b, TD_CODEC_VP8);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 0; t < 10000000; t += 20000) {
        struct reel other;
        struct td_frame frame;
        size_t taken = (size_t)(test_random(&b->seed) % 3);
        int r;

        reel_init(&other);
        reel_add_vp8(&other, 0, t, true, false, 60, 1);
        frame = reel_frame(&other, 0);
        b->tape.refuse = 1;
        b->tape.refuse_after = b->tape.count + taken;
        r = td_mux_write(b->mux, &frame);
        b->tape.refuse = 0;
        if (r == 0)
            reel_add(&b->reel, &frame);
        else
            assert_int_equal(r, 1);
        reel_done(&other);
        write_audio(b, 1, t, 20);
    }
    finish(b);
    check_all(b, &scan);
    walk_clusters(b, &clusters);
    assert_int_equal(clusters.wrong, 0);
    seal(b, 0, &scan);
    part_apply_all(&b->part, &b->seal);
    check_all(b, &scan);
    assert_true(scan.sealed && scan.damaged_units == 0);
}

/* Three-byte start codes, unit delimiters and trailing zeros become four-byte lengths. */
static void test_annexb(void **state)
{
    static const uint8_t bytes[] = {
        0,    0,    0,    1,    9,    0xf0, 0,    0,    1,    0x67, 0x42, 0xc0, 0x1e,
        0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x61, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00,
        0x03, 0x00, 0x3c, 0x8f, 0x16, 0x2e, 0x48, 0,    0,    1,    0x68, 0xcb, 0x8c,
        0xb2, 0,    0,    1,    0x65, 1,    2,    3,    0,    0,
    };
    struct bench *b = *state;
    struct td_frame key = {
        .codec = TD_CODEC_H264, .key = true, .bytes = bytes, .len = sizeof(bytes)};
    struct td_mux_track track = {.codec = TD_CODEC_H264};
    struct td_scan scan;
    unsigned index;

    assert_int_equal(td_mux_add_track(b->mux, &track, &index), -TD_E_PARSE);
    track.first_key = &key;
    assert_int_equal(td_mux_add_track(b->mux, &track, &index), 0);
    assert_int_equal(td_mux_write(b->mux, &key), 0);
    finish(b);
    b->reel.count = 0;
    assert_int_equal(td_mux_scan(b->ops, &(struct td_read_at){.read_at = NULL}, NULL, NULL, &scan),
                     -ENOENT);
    {
        struct td_read_at media = part_input(&b->part, TD_FILE_MEDIA);

        b->part.read_max = 7; /* answers may be short */
        assert_int_equal(td_mux_scan(b->ops, &media, NULL, NULL, &scan), 0);
    }
    assert_int_equal(scan.tracks[0].frames, 1);
    assert_int_equal(scan.tracks[0].width, 640);
    assert_int_equal(scan.tracks[0].height, 360);
}

/* A full table of cues is thinned out and stays in order. */
static void test_cues(void **state)
{
    struct td_mkv_cues cues;

    (void)state;
    td_mkv_cues_init(&cues, 64);
    for (int64_t i = 0; i < 100000; i++) {
        const struct td_mkv_cue cue = {.offset = 100 + (uint64_t)i * 7, .time_ticks = i * 1000};

        assert_int_equal(td_mkv_cues_add(&cues, &cue), 0);
    }
    assert_in_range(cues.count, 32, 64);
    assert_true(cues.cues[0].time_ticks == 0);
    for (size_t i = 1; i < cues.count; i++)
        assert_true(cues.cues[i].time_ticks - cues.cues[i - 1].time_ticks >= 500);
    assert_true(cues.cues[cues.count - 1].time_ticks > 90000000);
    td_mkv_cues_done(&cues);
}

/* A record is taken only whole: any flipped bit is found. */
static void test_record(void **state)
{
    const struct td_mkv_record record = {true, UINT64_MAX - 5, 1u << 30, 123456789, 2};
    struct td_mkv_record got;
    uint8_t bytes[TD_MKV_RECORD_BYTES];

    (void)state;
    td_mkv_record_put(bytes, &record);
    assert_int_equal(td_mkv_record_get(bytes, &got), 0);
    assert_true(got.cue && got.generation == record.generation && got.offset == record.offset);
    assert_true(got.time_ticks == record.time_ticks && got.track == record.track);
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(td_mkv_record_get(bytes, &got), -TD_E_PARSE);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* Power loss: a page of zeros in the middle. What is around it stays readable, sealed or not. */
static void test_zero_page(void **state)
{
    struct bench *b = *state;
    struct td_read_at media;
    struct td_scan scan;
    uint64_t before;

    add_track(b, TD_CODEC_VP8);
    add_track(b, TD_CODEC_OPUS);
    for (int64_t t = 0; t < 20000000; t += 40000) {
        write_video(b, 0, t, t % 2000000 == 0, 300);
        write_audio(b, 1, t, 30);
    }
    finish(b);
    memset(b->part.file[TD_FILE_MEDIA].data + 65536, 0, 4096);
    media = part_input(&b->part, TD_FILE_MEDIA);
    assert_int_equal(td_mux_scan(b->ops, &media, NULL, NULL, &scan), 0);
    before = scan.tracks[0].frames;
    assert_true(before > 450 && before < 500);
    assert_true(scan.damaged_units > 0);
    seal(b, UINT64_MAX, &scan);
    part_apply_all(&b->part, &b->seal);
    media = part_input(&b->part, TD_FILE_MEDIA);
    assert_int_equal(td_mux_scan(b->ops, &media, NULL, NULL, &scan), 0);
    assert_int_equal(scan.tracks[0].frames, before);
    assert_true(scan.sealed);
}

int main(void)
{
#define MKV_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        MKV_TEST(test_clusters),  MKV_TEST(test_lag),          MKV_TEST(test_late_tracks),
        MKV_TEST(test_idle),      MKV_TEST(test_annexb),       MKV_TEST(test_refusal),
        MKV_TEST(test_zero_page), cmocka_unit_test(test_cues), cmocka_unit_test(test_record),
    };

    return cmocka_run_group_tests_name("mux/mkv", tests, NULL, NULL);
}
