/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promise of the containers: whatever prefix of the operations reached the disk, cut inside an
 * operation too, the file shows exactly the frames that were written whole; seal keeps them all, is
 * idempotent, and may itself be killed anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "mux/mkv_scan.h"
#include "mux/ts_scan.h"

enum seal_way {
    SEAL_PLAIN,    /* as the store calls it: small files are read whole */
    SEAL_BY_INDEX, /* as for a long file: MKV by its index, TS from head and tail */
    SEAL_NO_INDEX, /* … the index lost */
    SEAL_AHEAD,    /* … the index complete: the disk took it before the media */
    SEAL_BEHIND,   /* … of the index only the first three records and a torn one */
};

struct scenario {
    const char *name; /* argument that selects it */
    const char *format;
    enum td_codec codec;
    enum seal_way way;
};

struct story {
    const struct scenario *scenario;
    const struct td_mux_ops *ops;
    struct reel reel; /* the frames, in the order they were written */
    size_t *written;  /* op that carries the i-th frame */
    struct tape tape;
    struct part full; /* after all of it */
    struct part lies; /* the files as some prefix left them */
    struct part sealed;
    struct part torn;
    uint64_t seed;
    size_t checks;
};

static void add_video(struct story *s, unsigned track, int64_t pts_us, bool key, bool small,
                      size_t len)
{
    if (s->scenario->codec == TD_CODEC_H264)
        reel_add_h264(&s->reel, track, pts_us, key, small, len, test_random(&s->seed));
    else
        reel_add_vp8(&s->reel, track, pts_us, key, small, len, test_random(&s->seed));
}

static void write_last(struct story *s, struct td_mux *m)
{
    size_t i = s->reel.count - 1;
    struct td_frame frame = reel_frame(&s->reel, i);
    size_t before = s->tape.count;

    assert_int_equal(td_mux_write(m, &frame), 0);
    for (size_t op = before; op < s->tape.count; op++)
        if (s->tape.ops[op].kind == TD_OP_APPEND && s->tape.ops[op].file == TD_FILE_MEDIA)
            s->written[i] = op;
}

/* Audio first, video 300 ms later as a late track, a large key frame, a hole, another resolution,
 * a mute with idle beats, and the end. */
static void record(struct story *s)
{
    struct td_mux_track audio = {.codec = TD_CODEC_OPUS, .channels = 2, .name = "microphone"};
    struct td_mux_track video = {.codec = s->scenario->codec, .name = "camera"};
    struct td_frame first;
    struct td_mux *m = NULL;
    unsigned index;
    int64_t t;

    assert_int_equal(td_mux_new(s->ops, tape_sink(&s->tape), &m), 0);
    assert_int_equal(td_mux_add_track(m, &audio, &index), 0);
    for (t = 0; t < 300000; t += 20000) {
        reel_add_opus(&s->reel, 0, t, 20 + (size_t)(test_random(&s->seed) % 200), s->seed);
        write_last(s, m);
    }
    add_video(s, 1, t, true, false, 70000);
    first = reel_frame(&s->reel, s->reel.count - 1);
    video.first_key = &first;
    video.width = first.width;
    video.height = first.height;
    assert_int_equal(td_mux_add_track(m, &video, &index), 0);
    assert_int_equal(index, 1);
    write_last(s, m);
    for (unsigned i = 1; i < 40; i++) {
        bool key = i == 20 || i == 30;

        t = 300000 + (int64_t)i * 40000 + (i >= 20 ? 700000 : 0);
        add_video(s, 1, t, key, i >= 30, key ? 700 : 30 + (size_t)(test_random(&s->seed) % 400));
        s->reel.frames[s->reel.count - 1].discontinuity = i == 20;
        write_last(s, m);
        for (int64_t a = t - 20000; a <= t; a += 20000) {
            reel_add_opus(&s->reel, 0, a, 3 + (size_t)(test_random(&s->seed) % 90), s->seed);
            write_last(s, m);
        }
        if (i == 33)
            assert_int_equal(td_mux_idle(m, t + 1000), 0);
    }
    for (int64_t beat = t; beat < t + 3000000; beat += 1000000)
        assert_int_equal(td_mux_idle(m, beat), 0);
    t += 3500000;
    reel_add_opus(&s->reel, 0, t, 60, s->seed);
    s->reel.frames[s->reel.count - 1].discontinuity = true;
    write_last(s, m);
    assert_int_equal(td_mux_close(m), 0);
    td_mux_free(m);
}

static int seal(struct story *s, struct part *part, struct tape *ops, struct td_scan *scan)
{
    const struct td_ts_windows windows = {.whole = 0, .head = 20000, .tail = 2000};
    struct td_read_at media = part_input(part, TD_FILE_MEDIA);
    struct td_read_at index = part_input(part, TD_FILE_INDEX);
    struct td_op_sink sink = tape_sink(ops);

    if (s->scenario->way == SEAL_PLAIN)
        return td_mux_seal(s->ops, &media, &index, &sink, scan);
    if (s->scenario->way == SEAL_NO_INDEX)
        index.read_at = NULL;
    if (s->scenario->way == SEAL_AHEAD)
        index = part_input(&s->full, TD_FILE_INDEX);
    if (s->scenario->way == SEAL_BEHIND && part->file[TD_FILE_INDEX].len > 135)
        part->file[TD_FILE_INDEX].len = 135;
    if (strcmp(s->ops->name, "ts") == 0)
        return td_ts_seal_windows(&media, &sink, &windows, scan);
    return td_mkv_seal_above(&media, &index, &sink, 0, scan);
}

#define CHECK(s, expression, ...)                                                                  \
    do {                                                                                           \
        (s)->checks++;                                                                             \
        if (!(expression)) {                                                                       \
            print_message("# " __VA_ARGS__);                                                       \
            print_message("\n");                                                                   \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* Every cue leads to a Cluster whose first block is what the cue says. */
static void check_cues(struct story *s, size_t op, size_t cut)
{
    const struct td_bytes *file = &s->sealed.file[TD_FILE_MEDIA];
    struct td_read_at media = part_input(&s->sealed, TD_FILE_MEDIA);
    struct td_scan scan = {.bytes = 0};
    struct td_mkv_scan walk;
    struct td_ebml_element e;
    const uint8_t *point;
    struct td_reader r;
    size_t cues = 0;

    assert_int_equal(td_mkv_scan_init(&walk, &media, &scan), 0);
    assert_int_equal(td_mkv_scan_walk(&walk, (uint64_t)td_mkv_scan_open(&walk)), 0);
    CHECK(s, walk.layout.has_seek && walk.layout.has_duration && walk.layout.cues_at,
          "op %zu cut %zu: not finished", op, cut);
    td_reader_init(&r, file->data + walk.layout.cues_at + 12,
                   (size_t)(walk.layout.cues_end - walk.layout.cues_at - 12));
    while (td_ebml_next(&r, &e, &point)) {
        /* CueTime (short), CueTrackPositions { CueTrack (3 bytes), CueClusterPosition } */
        size_t positions = 2u + (point[1] & 0x7fu);
        const uint8_t *at = point + positions + 2 + 3;
        uint64_t offset = walk.layout.segment_data + td_ebml_uint(at + 2, at[1] & 0x7f);
        uint64_t time = td_ebml_uint(point + 2, point[1] & 0x7f);
        const uint8_t *cluster = file->data + offset;

        CHECK(s, offset + 16 < file->len && memcmp(cluster, "\x1f\x43\xb6\x75", 4) == 0,
              "op %zu cut %zu: cue %zu leads to no Cluster", op, cut, cues);
        CHECK(s, time == 0 || time == td_ebml_uint(cluster + 14, cluster[13] & 0x7f),
              "op %zu cut %zu: cue %zu is of another time", op, cut, cues);
        cues++;
    }
    CHECK(s, cues > 0 && !r.bad, "op %zu cut %zu: %zu cues", op, cut, cues);
    td_mkv_scan_done(&walk);
}

/* s->lies holds `count` whole frames. Seals a copy; with `torture`, kills the seal everywhere too.
 */
static void check_seal(struct story *s, size_t count, size_t op, size_t cut, bool torture)
{
    struct td_scan scan = {.bytes = 0};
    int64_t duration_us;
    const char *wrong;
    struct tape ops;
    struct tape again;
    int r;

    tape_init(&ops);
    tape_init(&again);
    r = seal(s, &s->lies, &ops, &scan);
    if (count == 0) {
        CHECK(s, r == -TD_E_DAMAGED && ops.count == 0, "op %zu cut %zu: seal of nothing: %d", op,
              cut, r);
        tape_done(&ops);
        tape_done(&again);
        return;
    }
    CHECK(s, r == 0 && scan.sealed, "op %zu cut %zu: seal answered %d", op, cut, r);
    duration_us = scan.duration_us;
    part_copy(&s->sealed, &s->lies);
    part_apply_all(&s->sealed, &ops);
    CHECK(s, scan.bytes == s->sealed.file[TD_FILE_MEDIA].len, "op %zu cut %zu: sealed size", op,
          cut);
    wrong = check_frames(s->ops, &s->sealed, &s->reel, count, &scan);
    CHECK(s, !wrong[0], "op %zu cut %zu, sealed: %s", op, cut, wrong);
    CHECK(s, duration_us == scan.duration_us, "op %zu cut %zu: sealed says %lld us, scan %lld", op,
          cut, (long long)duration_us, (long long)scan.duration_us);
    CHECK(s, scan.sealed && scan.damaged_units == 0, "op %zu cut %zu: sealed but damaged", op, cut);
    if (strcmp(s->ops->name, "mkv") == 0)
        check_cues(s, op, cut);
    r = seal(s, &s->sealed, &again, &scan);
    CHECK(s, r == 0 && again.count == 0 && scan.sealed, "op %zu cut %zu: second seal %d, %zu ops",
          op, cut, r, again.count);
    for (size_t k = 0; torture && k < ops.count; k++) {
        size_t len = ops.ops[k].len;

        for (size_t c = 0; c<(len > 0 ? len : 1); c += len> 64 ? len / 16 : 1) {
            part_copy(&s->torn, &s->lies);
            for (size_t i = 0; i < k; i++)
                part_apply(&s->torn, &ops, i, SIZE_MAX);
            if (len > 0)
                part_apply(&s->torn, &ops, k, c);
            wrong = check_frames(s->ops, &s->torn, &s->reel, count, NULL);
            CHECK(s, !wrong[0], "op %zu cut %zu, seal cut in %zu at %zu: %s", op, cut, k, c, wrong);
            again.count = 0;
            r = seal(s, &s->torn, &again, &scan);
            CHECK(s, r == 0, "op %zu cut %zu, seal cut in %zu at %zu: %d", op, cut, k, c, r);
            part_apply_all(&s->torn, &again);
            wrong = check_frames(s->ops, &s->torn, &s->reel, count, &scan);
            CHECK(s, !wrong[0] && scan.sealed, "op %zu cut %zu, resealed after %zu at %zu: %s", op,
                  cut, k, c, wrong);
            CHECK(s,
                  s->torn.file[TD_FILE_MEDIA].len == s->sealed.file[TD_FILE_MEDIA].len &&
                      memcmp(s->torn.file[TD_FILE_MEDIA].data, s->sealed.file[TD_FILE_MEDIA].data,
                             s->torn.file[TD_FILE_MEDIA].len) == 0,
                  "op %zu cut %zu: seal killed in %zu at %zu ends differently", op, cut, k, c);
        }
    }
    tape_done(&ops);
    tape_done(&again);
}

/* Frames that are whole once the first `ops` operations were carried out. */
static size_t whole_frames(const struct story *s, size_t ops)
{
    size_t n = 0;

    while (n < s->reel.count && s->written[n] < ops)
        n++;
    return n;
}

static void check_prefix(struct story *s, const struct part *before, size_t op, size_t cut,
                         bool torture)
{
    size_t count = whole_frames(s, op);
    struct td_scan scan;
    const char *wrong;

    part_copy(&s->lies, before);
    if (op < s->tape.count && cut > 0)
        part_apply(&s->lies, &s->tape, op, cut);
    wrong = check_frames(s->ops, &s->lies, &s->reel, count, &scan);
    CHECK(s, !wrong[0], "op %zu cut %zu, as it lies: %s", op, cut, wrong);
    CHECK(s, scan.damaged_units == 0 && scan.valid_bytes <= scan.bytes,
          "op %zu cut %zu: damaged %llu", op, cut, (unsigned long long)scan.damaged_units);
    check_seal(s, count, op, cut, torture);
}

static void cut_everywhere(struct story *s)
{
    static const size_t places[] = {1, 2, 4, 5, 11, 12, 13, 24, 187, 188, 189, 375, 376, 377, 564};
    struct part before;

    part_init(&before);
    for (size_t op = 0; op <= s->tape.count; op++) {
        size_t len = op < s->tape.count ? s->tape.ops[op].len : 0;

        check_prefix(s, &before, op, 0, op % 41 == 0 || op + 2 >= s->tape.count);
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
            if (len > 64 && places[i] < len)
                check_prefix(s, &before, op, places[i], false);
        for (size_t cut = 1; len <= 64 && cut < len; cut++)
            check_prefix(s, &before, op, cut, false);
        for (unsigned i = 0; len > 64 && i < 3; i++)
            check_prefix(s, &before, op, 1 + (size_t)(test_random(&s->seed) % (len - 1)),
                         i == 0 && op % 29 == 0);
        if (len > 64)
            check_prefix(s, &before, op, len - 1, false);
        if (op < s->tape.count)
            part_apply(&before, &s->tape, op, SIZE_MAX);
    }
    part_done(&before);
}

static void test_prefixes(void **state)
{
    const struct scenario *scenario = *state;
    struct story s = {
        .scenario = scenario,
        .ops = td_mux_by_name(scenario->format),
        .seed = 20261121,
    };

    print_message("# seed %llu\n", (unsigned long long)s.seed);
    reel_init(&s.reel);
    tape_init(&s.tape);
    part_init(&s.full);
    part_init(&s.lies);
    part_init(&s.sealed);
    part_init(&s.torn);
    s.written = calloc(1024, sizeof(*s.written));
    assert_non_null(s.written);
    record(&s);
    part_apply_all(&s.full, &s.tape);
    cut_everywhere(&s);
    print_message("# %zu frames, %zu operations, %zu checks\n", s.reel.count, s.tape.count,
                  s.checks);
    free(s.written);
    part_done(&s.full);
    part_done(&s.lies);
    part_done(&s.sealed);
    part_done(&s.torn);
    tape_done(&s.tape);
    reel_done(&s.reel);
}

static struct scenario scenarios[] = {
    {"ts", "ts", TD_CODEC_H264, SEAL_PLAIN},
    {"ts-tail", "ts", TD_CODEC_H264, SEAL_BY_INDEX},
    {"mkv-h264", "mkv", TD_CODEC_H264, SEAL_PLAIN},
    {"mkv-index", "mkv", TD_CODEC_H264, SEAL_BY_INDEX},
    {"mkv-vp8", "mkv", TD_CODEC_VP8, SEAL_BY_INDEX},
    {"mkv-no-index", "mkv", TD_CODEC_VP8, SEAL_NO_INDEX},
    {"mkv-index-ahead", "mkv", TD_CODEC_VP8, SEAL_AHEAD},
    {"mkv-index-behind", "mkv", TD_CODEC_H264, SEAL_BEHIND},
};

/* With a name: that scenario only, so that they can run side by side. */
int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_prestate(test_prefixes, &scenarios[i]),
        };
        int r;

        if (argc > 1 && strcmp(argv[1], scenarios[i].name) != 0)
            continue;
        r = cmocka_run_group_tests_name(scenarios[i].name, tests, NULL, NULL);
        if (r != 0)
            return r;
    }
    return 0;
}
