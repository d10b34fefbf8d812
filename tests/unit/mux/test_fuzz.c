/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged files: scan and seal come back, stay inside their bounds, and a sealed file is one that
 * scan and seal agree on. Argument: another seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "check.h"
#include "mux/mkv_index.h"
#include "mux/mkv_scan.h"
#include "mux/ts_scan.h"

#define FUZZ_ROUNDS 400

static uint64_t fuzz_seed = 4711;
static uint64_t fuzz_round; /* of the damage in hand, printed when something fails */

#define FUZZ_CHECK(expression, value)                                                              \
    do {                                                                                           \
        if (!(expression)) {                                                                       \
            print_message("# seed %llu, round seed %llu: %s, value %lld\n",                        \
                          (unsigned long long)fuzz_seed, (unsigned long long)fuzz_round,           \
                          #expression, (long long)(value));                                        \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

struct seen {
    uint64_t frames;
};

static int on_frame(void *ctx, const struct td_frame *frame)
{
    struct seen *seen = ctx;
    uint32_t sum;

    assert_true(frame->len > 0 && frame->len <= TD_FRAME_BYTES_MAX + 1024);
    assert_true(frame->track < TD_MUX_TRACKS_MAX);
    sum = td_crc32(0, frame->bytes, frame->len); /* touches every byte */
    seen->frames += sum == 0 ? 1 : 1;
    return 0;
}

/* The file's random id, and with it the index's generation, is made the same in each run. */
static void fix_uid(struct part *part)
{
    uint64_t generation = UINT64_C(0x0102030405060708);
    struct td_read_at media = part_input(part, TD_FILE_MEDIA);
    struct td_bytes *index = &part->file[TD_FILE_INDEX];
    struct td_mkv_record record;
    struct td_scan scan = {.bytes = 0};
    struct td_mkv_scan walk;
    uint8_t *uid;

    assert_int_equal(td_mkv_scan_init(&walk, &media, &scan), 0);
    assert_int_equal(td_mkv_scan_walk(&walk, (uint64_t)td_mkv_scan_open(&walk)), 0);
    uid = memmem(part->file[TD_FILE_MEDIA].data, 512, walk.layout.uid, TD_MKV_UID_BYTES);
    assert_non_null(uid);
    memset(uid, 0x55, TD_MKV_UID_BYTES);
    memcpy(uid, &generation, sizeof(generation));
    for (size_t at = 0; at + TD_MKV_RECORD_BYTES <= index->len; at += TD_MKV_RECORD_BYTES) {
        assert_int_equal(td_mkv_record_get(index->data + at, &record), 0);
        record.generation = generation;
        td_mkv_record_put(index->data + at, &record);
    }
    td_mkv_scan_done(&walk);
}

static void make(const struct td_mux_ops *ops, enum td_codec codec, struct part *ret_part)
{
    struct td_mux_track audio = {.codec = TD_CODEC_OPUS, .channels = 1, .name = "a"};
    struct td_mux_track video = {.codec = codec};
    struct td_frame first;
    struct tape tape;
    struct reel reel;
    struct td_mux *m = NULL;
    unsigned index;

    reel_init(&reel);
    tape_init(&tape);
    for (int64_t t = 0; t < 1200000; t += 20000) {
        size_t len = t % 600000 == 0 ? 5000 : 150;

        reel_add_opus(&reel, 0, t, 40, (uint64_t)t);
        if (t % 40000 == 0 && codec == TD_CODEC_H264)
            reel_add_h264(&reel, 1, t, t % 600000 == 0, false, len, (uint64_t)t);
        else if (t % 40000 == 0)
            reel_add_vp8(&reel, 1, t, t % 600000 == 0, false, len, (uint64_t)t);
    }
    first = reel_frame(&reel, 1);
    video.first_key = &first;
    assert_int_equal(td_mux_new(ops, tape_sink(&tape), &m), 0);
    assert_int_equal(td_mux_add_track(m, &audio, &index), 0);
    assert_int_equal(td_mux_add_track(m, &video, &index), 0);
    for (size_t i = 0; i < reel.count; i++) {
        struct td_frame frame = reel_frame(&reel, i);

        assert_int_equal(td_mux_write(m, &frame), 0);
    }
    assert_int_equal(td_mux_close(m), 0);
    td_mux_free(m);
    part_apply_all(ret_part, &tape);
    if (ops->has_index)
        fix_uid(ret_part);
    tape_done(&tape);
    reel_done(&reel);
}

/* One to eight damages: bits, bytes, runs of zeros, copies, cuts. */
static void damage(struct td_bytes *file, uint64_t *seed)
{
    unsigned count = 1 + (unsigned)(test_random(seed) % 8);

    while (count-- > 0 && file->len > 16) {
        size_t at = (size_t)(test_random(seed) % file->len);
        size_t from = (size_t)(test_random(seed) % file->len);
        size_t len = (size_t)(test_random(seed) % 600);
        size_t room = file->len - (at > from ? at : from);

        if (test_random(seed) % 3 == 0)
            at %= 4096 < file->len ? 4096 : file->len; /* heads deserve more of it */
        if (len > room)
            len = room;
        switch (test_random(seed) % 6) {
        case 0:
            file->data[at] ^= (uint8_t)(1u << test_random(seed) % 8);
            break;
        case 1:
            file->data[at] = (uint8_t)test_random(seed);
            break;
        case 2:
            file->data[at] = 0xff;
            break;
        case 3:
            memset(file->data + (at < from ? at : from), 0, len);
            break;
        case 4:
            memmove(file->data + at, file->data + from, len);
            break;
        default:
            if (test_random(seed) % 4 == 0)
                file->len = file->len - len > 0 ? file->len - len : 1;
            break;
        }
    }
}

static int seal(const struct td_mux_ops *ops, struct part *part, struct tape *tape, bool tail,
                struct td_scan *scan)
{
    const struct td_ts_windows windows = {.whole = 0, .head = 4000, .tail = 2000};
    struct td_read_at media = part_input(part, TD_FILE_MEDIA);
    struct td_read_at index = part_input(part, TD_FILE_INDEX);
    struct td_op_sink sink = tape_sink(tape);

    if (!tail)
        return td_mux_seal(ops, &media, &index, &sink, scan);
    if (strcmp(ops->name, "ts") == 0)
        return td_ts_seal_windows(&media, &sink, &windows, scan);
    return td_mkv_seal_above(&media, &index, &sink, 0, scan);
}

static void one_round(const struct td_mux_ops *ops, const struct part *clean, struct part *part,
                      uint64_t seed)
{
    struct td_read_at media;
    struct seen before = {0};
    struct seen after = {0};
    struct td_mux_tail end;
    struct td_scan scan;
    struct tape tape;
    bool tail = seed % 2 == 0;
    int r;

    fuzz_round = seed;
    part_copy(part, clean);
    damage(&part->file[TD_FILE_MEDIA], &seed);
    if (part->exists[TD_FILE_INDEX] && test_random(&seed) % 2 == 0)
        damage(&part->file[TD_FILE_INDEX], &seed);
    media = part_input(part, TD_FILE_MEDIA);
    (void)td_mux_by_content(&media);
    r = td_mux_scan(ops, &media, on_frame, &before, &scan);
    FUZZ_CHECK(r == 0 || r == -TD_E_PARSE, r);
    tape_init(&tape);
    r = seal(ops, part, &tape, tail, &scan);
    FUZZ_CHECK(r == 0 || r == -TD_E_DAMAGED, r);
    if (r == 0) {
        part_apply_all(part, &tape);
        media = part_input(part, TD_FILE_MEDIA);
        r = td_mux_scan(ops, &media, on_frame, &after, NULL);
        FUZZ_CHECK(r == 0, r);
        /* With an index seal starts in the middle and may read a damaged place otherwise than a
         * walk from the front that has lost its step before. */
        FUZZ_CHECK(after.frames >= before.frames || (tail && ops->has_index),
                   before.frames - after.frames);
        tape.count = 0;
        r = seal(ops, part, &tape, tail, &scan);
        FUZZ_CHECK(r == 0, r);
        FUZZ_CHECK(tape.count == 0, tape.count);
        r = td_mux_tail(ops, &media, &end);
        FUZZ_CHECK(r == 0 || r == TD_MUX_NEXT_PART, r);
    }
    tape_done(&tape);
}

static void fuzz(const char *format, enum td_codec codec)
{
    const struct td_mux_ops *ops = td_mux_by_name(format);
    uint64_t seed = fuzz_seed;
    struct part clean;
    struct part part;

    part_init(&clean);
    part_init(&part);
    make(ops, codec, &clean);
    for (unsigned i = 0; i < FUZZ_ROUNDS; i++) {
        uint64_t round = test_random(&seed);

        one_round(ops, &clean, &part, round);
    }
    part_done(&clean);
    part_done(&part);
}

static void test_ts(void **state)
{
    (void)state;
    fuzz("ts", TD_CODEC_H264);
}

static void test_mkv_h264(void **state)
{
    (void)state;
    fuzz("mkv", TD_CODEC_H264);
}

static void test_mkv_vp8(void **state)
{
    (void)state;
    fuzz("mkv", TD_CODEC_VP8);
}

/* Nothing but noise, and noise behind a good beginning. */
static void test_noise(void **state)
{
    static const char *const formats[] = {"ts", "mkv"};
    uint64_t seed = fuzz_seed;
    struct part part;

    (void)state;
    part_init(&part);
    for (unsigned i = 0; i < 40; i++) {
        const struct td_mux_ops *ops = td_mux_by_name(formats[i % 2]);
        struct td_read_at media;
        struct tape tape;
        struct td_scan scan;
        int r;

        part.file[TD_FILE_MEDIA].len = 0;
        part.file[TD_FILE_INDEX].len = 0;
        if (i >= 20)
            make(ops, TD_CODEC_H264, &part);
        for (unsigned k = 0; k < 20000; k++) {
            uint64_t noise = test_random(&seed);

            assert_int_equal(td_bytes_append(&part.file[TD_FILE_MEDIA], &noise, sizeof(noise)), 0);
        }
        media = part_input(&part, TD_FILE_MEDIA);
        tape_init(&tape);
        r = td_mux_scan(ops, &media, NULL, NULL, &scan);
        assert_true(r == 0 || r == -TD_E_PARSE);
        r = seal(ops, &part, &tape, i % 4 < 2, &scan);
        assert_int_equal(r, i >= 20 ? 0 : -TD_E_DAMAGED);
        tape_done(&tape);
    }
    part_done(&part);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ts),
        cmocka_unit_test(test_mkv_h264),
        cmocka_unit_test(test_mkv_vp8),
        cmocka_unit_test(test_noise),
    };

    if (argc > 1)
        fuzz_seed = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests_name("mux/fuzz", tests, NULL, NULL);
}
