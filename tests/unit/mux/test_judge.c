/* SPDX-License-Identifier: Apache-2.0 */
/* What others say of our files: ffprobe, ffmpeg and mkvinfo, where they are installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "media.h"
#include "tape.h"

#define LATE_FRAMES 20u /* of sound, before late video */

struct judge {
    char dir[64];
    bool has_ffmpeg;
};

static bool have(const char *tool)
{
    char command[128];

    snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", tool);
    return system(command) == 0;
}

static int setup(void **state)
{
    struct judge *j = calloc(1, sizeof(*j));

    if (!j)
        return -1;
    snprintf(j->dir, sizeof(j->dir), "/tmp/td_mux_XXXXXX");
    if (!mkdtemp(j->dir))
        return -1;
    j->has_ffmpeg = have("ffmpeg") && have("ffprobe");
    if (!j->has_ffmpeg)
        print_message("# SKIPPED: ffmpeg and ffprobe are not installed, nobody judged the files\n");
    *state = j;
    return 0;
}

static int teardown(void **state)
{
    struct judge *j = *state;
    char command[128];
    int r;

    snprintf(command, sizeof(command), "rm -rf '%s'", j->dir);
    r = system(command);
    free(j);
    return r;
}

/* Output of a command, both streams, cut to `len`. */
static int capture(const char *command, char *ret_text, size_t len)
{
    FILE *f = popen(command, "r");
    size_t have_bytes = 0;
    size_t n;

    assert_non_null(f);
    while ((n = fread(ret_text + have_bytes, 1, len - 1 - have_bytes, f)) > 0)
        have_bytes += n;
    ret_text[have_bytes] = '\0';
    return pclose(f);
}

static void store(const char *path, const struct td_bytes *bytes)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes->data, 1, bytes->len, f), bytes->len);
    assert_int_equal(fclose(f), 0);
}

static void judge_with(const char *path, const char *what, const char *options)
{
    char command[256];
    char text[4096];
    int r;

    snprintf(command, sizeof(command),
             "ffmpeg -nostdin -v warning -i '%s' -map 0 %s -f null - 2>&1", path, options);
    r = capture(command, text, sizeof(text));
    if (r != 0 || text[0])
        print_message("# ffmpeg on %s: %s\n", what, text);
    assert_int_equal(r, 0);
    assert_string_equal(text, "");
}

static void judge_silent(const char *path, const char *what)
{
    judge_with(path, what, "");
}

static unsigned count_frames(const char *path, const char *stream)
{
    char command[256];
    char text[256];

    snprintf(command, sizeof(command),
             "ffprobe -v error -count_frames -select_streams %s -show_entries "
             "stream=nb_read_frames -of csv=p=0 '%s' 2>&1 | head -1",
             stream, path);
    assert_int_equal(capture(command, text, sizeof(text)), 0);
    return (unsigned)strtoul(text, NULL, 10);
}

enum beginning {
    TOGETHER,   /* both tracks are declared at once */
    LATE_VIDEO, /* video comes when the file has begun */
};

static void write_all(const struct td_mux_ops *ops, const struct reel *reel, enum beginning how,
                      struct tape *tape)
{
    const struct td_frame first = reel_frame(reel, reel->frames[0].track == 0 ? 0 : LATE_FRAMES);
    struct td_mux_track video = {
        .codec = first.codec,
        .width = first.width,
        .height = first.height,
        .name = "camera",
        .first_key = &first,
    };
    struct td_mux_track audio = {.codec = TD_CODEC_OPUS, .channels = 2, .language = "deu"};
    struct td_mux *m = NULL;
    unsigned track;

    assert_int_equal(td_mux_new(ops, tape_sink(tape), &m), 0);
    if (how == TOGETHER)
        assert_int_equal(td_mux_add_track(m, &video, &track), 0);
    assert_int_equal(td_mux_add_track(m, &audio, &track), 0);
    for (size_t i = 0; i < reel->count; i++) {
        struct td_frame frame = reel_frame(reel, i);

        if (how == LATE_VIDEO && i == LATE_FRAMES)
            assert_int_equal(td_mux_add_track(m, &video, &track), 0);
        if (how == LATE_VIDEO)
            frame.track = 1 - frame.track;
        if (frame.pts_us > 900000 && frame.pts_us < 950000)
            assert_int_equal(td_mux_idle(m, frame.pts_us), 0);
        frame.discontinuity = i > LATE_FRAMES && frame.key && frame.codec != TD_CODEC_OPUS;
        assert_int_equal(td_mux_write(m, &frame), 0);
    }
    assert_int_equal(td_mux_close(m), 0);
    td_mux_free(m);
}

static void make_reel(const struct judge *j, enum td_codec codec, enum beginning how,
                      struct reel *ret_reel)
{
    struct reel video;
    struct reel audio;

    reel_init(&video);
    reel_init(&audio);
    reel_init(ret_reel);
    assert_int_equal(media_real_video(j->dir, codec, 1.6, &video), 0);
    assert_int_equal(media_real_audio(j->dir, 1.6, &audio), 0);
    for (size_t i = 0; how == LATE_VIDEO && i < video.count; i++)
        video.frames[i].pts_us += LATE_FRAMES * 20000 - 10000;
    reel_merge(ret_reel, &video, &audio);
    reel_done(&video);
    reel_done(&audio);
}

static void judge_streams(const char *path, const struct reel *reel, const char *video_name)
{
    char command[256];
    char text[4096];
    size_t video = 0;

    for (size_t i = 0; i < reel->count; i++)
        video += reel->frames[i].track == 0;
    snprintf(command, sizeof(command),
             "ffprobe -v warning -show_entries stream=codec_name,channels,width,height:stream_tags="
             "language -of compact=p=0 '%s' 2>&1",
             path);
    assert_int_equal(capture(command, text, sizeof(text)), 0);
    if (!strstr(text, video_name) || !strstr(text, "width=160") ||
        !strstr(text, "codec_name=opus") || !strstr(text, "channels=2"))
        fail_msg("ffprobe saw: %s", text);
    assert_int_equal(count_frames(path, "v:0"), video);
    assert_int_equal(count_frames(path, "a:0"), reel->count - video);
}

/* A cut at any place, then sealed: whoever reads it has nothing to complain about. */
static void judge_torn(const struct judge *j, const struct td_mux_ops *ops, const struct tape *tape,
                       uint64_t seed)
{
    size_t op = tape->count / 3 + (size_t)(test_random(&seed) % (tape->count / 2));
    struct td_read_at media;
    struct td_read_at index;
    struct td_op_sink sink;
    struct td_scan scan;
    struct tape seal;
    struct part part;
    char path[128];

    while (tape->ops[op].kind != TD_OP_APPEND || tape->ops[op].len < 200)
        op++;
    tape_init(&seal);
    part_init(&part);
    for (size_t i = 0; i < op; i++)
        part_apply(&part, tape, i, SIZE_MAX);
    part_apply(&part, tape, op, 1 + (size_t)(test_random(&seed) % (tape->ops[op].len - 1)));
    media = part_input(&part, TD_FILE_MEDIA);
    index = part_input(&part, TD_FILE_INDEX);
    sink = tape_sink(&seal);
    assert_int_equal(td_mux_seal(ops, &media, &index, &sink, &scan), 0);
    part_apply_all(&part, &seal);
    snprintf(path, sizeof(path), "%s/torn.%s", j->dir, ops->extension);
    store(path, &part.file[TD_FILE_MEDIA]);
    judge_silent(path, "a torn and sealed file");
    assert_int_equal(count_frames(path, "v:0"),
                     scan.tracks[scan.tracks[0].codec == TD_CODEC_OPUS].frames);
    tape_done(&seal);
    part_done(&part);
}

static void judge_container(const struct judge *j, const char *format, enum td_codec codec,
                            const char *codec_name, enum beginning how)
{
    const struct td_mux_ops *ops = td_mux_by_name(format);
    struct td_read_at media;
    struct td_read_at index;
    struct td_op_sink sink;
    struct td_scan scan;
    struct tape tape;
    struct tape seal;
    struct part part;
    struct reel reel;
    char path[128];

    make_reel(j, codec, how, &reel);
    tape_init(&tape);
    tape_init(&seal);
    part_init(&part);
    write_all(ops, &reel, how, &tape);
    part_apply_all(&part, &tape);
    snprintf(path, sizeof(path), "%s/open.%s", j->dir, ops->extension);
    store(path, &part.file[TD_FILE_MEDIA]);
    judge_silent(path, "the growing file");
    judge_streams(path, &reel, codec_name);
    media = part_input(&part, TD_FILE_MEDIA);
    index = part_input(&part, TD_FILE_INDEX);
    sink = tape_sink(&seal);
    assert_int_equal(td_mux_seal(ops, &media, &index, &sink, &scan), 0);
    part_apply_all(&part, &seal);
    snprintf(path, sizeof(path), "%s/sealed.%s", j->dir, ops->extension);
    store(path, &part.file[TD_FILE_MEDIA]);
    judge_silent(path, "the sealed file");
    judge_streams(path, &reel, codec_name);
    for (uint64_t seed = 1; seed <= 2; seed++)
        judge_torn(j, ops, &tape, seed);
    tape_done(&tape);
    tape_done(&seal);
    part_done(&part);
    reel_done(&reel);
}

/* Lets the Matroska authors' own tool read it all. */
static void judge_mkvinfo(const char *path)
{
    char command[256];
    char text[65536];

    if (!have("mkvinfo")) {
        print_message("# SKIPPED: mkvinfo is not installed\n");
        return;
    }
    snprintf(command, sizeof(command),
             "LC_ALL=C mkvinfo -v -v --hex-positions '%s' 2>&1 | tail -c 60000", path);
    assert_int_equal(capture(command, text, sizeof(text)), 0);
    if (strstr(text, "rror") || strstr(text, "arning") || strstr(text, "nknown element"))
        fail_msg("mkvinfo says: %s", text);
    assert_non_null(strstr(text, "Cue"));
}

static void test_mkv_h264(void **state)
{
    const struct judge *j = *state;
    char path[128];

    if (!j->has_ffmpeg)
        skip();
    judge_container(j, "mkv", TD_CODEC_H264, "codec_name=h264", TOGETHER);
    snprintf(path, sizeof(path), "%s/sealed.mkv", j->dir);
    judge_mkvinfo(path);
}

static void test_mkv_vp8(void **state)
{
    const struct judge *j = *state;
    char path[128];

    if (!j->has_ffmpeg)
        skip();
    judge_container(j, "mkv", TD_CODEC_VP8, "codec_name=vp8", LATE_VIDEO);
    snprintf(path, sizeof(path), "%s/sealed.mkv", j->dir);
    judge_mkvinfo(path);
}

static void test_ts(void **state)
{
    const struct judge *j = *state;

    if (!j->has_ffmpeg)
        skip();
    judge_container(j, "ts", TD_CODEC_H264, "codec_name=h264", TOGETHER);
}

static void test_ts_late(void **state)
{
    const struct judge *j = *state;

    if (!j->has_ffmpeg)
        skip();
    judge_container(j, "ts", TD_CODEC_H264, "codec_name=h264", LATE_VIDEO);
}

/* ---- a file that went on after its process was killed, twenty times ---- */

#define KILLS 20u

struct killed {
    struct tape tape; /* of one life */
    struct part part;
    struct td_mux_tail tail;
    struct reel kept;
    int64_t clock_us;
    uint64_t seed;
};

/* One life of the whole reel, later by the time that passed, and its death. Of holes of more than
 * 30 s FFmpeg warns, whoever left them: these are shorter. */
static void live_and_die(struct killed *k, const struct reel *reel, struct td_mux *m, bool last)
{
    const struct td_bytes *file = &k->part.file[TD_FILE_MEDIA];
    int64_t base_us = k->clock_us + (int64_t)(test_random(&k->seed) % 2000000);
    uint64_t *ends = calloc(reel->count, sizeof(*ends));
    size_t from = file->len;
    size_t len;

    assert_non_null(ends);
    for (size_t i = 0; i < reel->count; i++) {
        struct td_frame frame = reel_frame(reel, i);

        frame.pts_us += base_us;
        assert_int_equal(td_mux_write(m, &frame), 0);
        ends[i] = m->offset[TD_FILE_MEDIA];
        k->clock_us = frame.pts_us + 40000;
    }
    td_mux_free(m);
    part_apply_all(&k->part, &k->tape);
    len = last ? file->len - from : 1 + (size_t)(test_random(&k->seed) % (file->len - from));
    if (from == 0 && len < 20000)
        len = 20000;
    k->part.file[TD_FILE_MEDIA].len = from + len;
    for (size_t i = 0; i < reel->count && ends[i] <= from + len; i++) {
        struct td_frame frame = reel_frame(reel, i);

        reel_add(&k->kept, &frame);
    }
    free(ends);
    tape_done(&k->tape);
    tape_init(&k->tape);
}

static void seal_and_go_on(struct killed *k, const struct td_mux_ops *ops, struct td_mux **ret_mux)
{
    struct td_read_at media = part_input(&k->part, TD_FILE_MEDIA);
    struct td_op_sink sink = tape_sink(&k->tape);
    struct td_scan scan;

    assert_int_equal(td_mux_seal(ops, &media, NULL, &sink, &scan), 0);
    part_apply_all(&k->part, &k->tape);
    tape_done(&k->tape);
    tape_init(&k->tape);
    media = part_input(&k->part, TD_FILE_MEDIA);
    assert_int_equal(td_mux_tail(ops, &media, &k->tail), 0);
    assert_int_equal(td_mux_resume(ops, sink, &k->tail, ret_mux), 0);
}

static void judge_killed(const char *path, const struct killed *k)
{
    char command[256];
    char text[4096];

    store(path, &k->part.file[TD_FILE_MEDIA]);
    snprintf(command, sizeof(command),
             "ffprobe -v error -show_packets -show_frames -of compact '%s' 2>&1 >/dev/null", path);
    assert_int_equal(capture(command, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    judge_streams(path, &k->kept, "codec_name=h264");
    /* Holes are no multiples of a frame's time: it must not be made to fit a frame rate. */
    judge_with(path, "a file that went on after its process was killed",
               "-fps_mode passthrough -enc_time_base -1");
}

static void test_ts_killed(void **state)
{
    const struct judge *j = *state;
    const struct td_mux_ops *ops = td_mux_by_name("ts");
    struct td_mux_track video = {.codec = TD_CODEC_H264};
    struct td_mux_track audio = {.codec = TD_CODEC_OPUS, .channels = 2, .language = "deu"};
    struct killed k = {.seed = (uint64_t)td_clock_wall_us() % 1000000};
    struct td_mux *m = NULL;
    struct reel reel;
    unsigned track;
    char path[128];

    if (!j->has_ffmpeg)
        skip();
    if (getenv("TD_TEST_SEED"))
        k.seed = strtoull(getenv("TD_TEST_SEED"), NULL, 10);
    print_message("# TD_TEST_SEED=%llu\n", (unsigned long long)k.seed);
    make_reel(j, TD_CODEC_H264, TOGETHER, &reel);
    tape_init(&k.tape);
    part_init(&k.part);
    reel_init(&k.kept);
    assert_int_equal(td_mux_new(ops, tape_sink(&k.tape), &m), 0);
    assert_int_equal(td_mux_add_track(m, &video, &track), 0);
    assert_int_equal(td_mux_add_track(m, &audio, &track), 0);
    for (unsigned i = 0; i < KILLS; i++) {
        live_and_die(&k, &reel, m, false);
        seal_and_go_on(&k, ops, &m);
    }
    live_and_die(&k, &reel, m, true);
    snprintf(path, sizeof(path), "%s/killed.ts", j->dir);
    judge_killed(path, &k);
    print_message("# %u kills, %zu of %zu frames\n", KILLS, k.kept.count, (KILLS + 1) * reel.count);
    tape_done(&k.tape);
    part_done(&k.part);
    reel_done(&k.kept);
    reel_done(&reel);
}

/* With a name: that one only, so that they can run side by side. */
int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ts),        cmocka_unit_test(test_ts_late),
        cmocka_unit_test(test_ts_killed), cmocka_unit_test(test_mkv_h264),
        cmocka_unit_test(test_mkv_vp8),
    };

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        const struct CMUnitTest one[] = {tests[i]};
        int r;

        if (argc > 1 && strcmp(argv[1], tests[i].name) != 0)
            continue;
        r = cmocka_run_group_tests_name(tests[i].name, one, setup, teardown);
        if (r != 0)
            return r;
    }
    return 0;
}
