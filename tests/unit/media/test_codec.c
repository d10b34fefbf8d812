/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "media/assembly.h"
#include "media/h264_annexb.h"
#include "media/vp8.h"

/* Big payloads are made of this much at a time. */
#define PART_BYTES 1200u
#define MUTATED_STREAMS 1500u
#define SEED_DEFAULT UINT64_C(0x7461706564656b31)

/* What the walk over the table needs of each codec: packets of a short healthy stream, and how a
 * frame begins and goes on in several packets. A row of the table without a sample fails. */
struct sample {
    enum td_codec codec;
    const char *packets[8]; /* hexadecimal, one frame each */
    const char *begin;      /* NULL: frames of one packet only */
    const char *middle;
    const char *end;
};

static const struct sample samples[] = {
    {
        .codec = TD_CODEC_OPUS,
        .packets = {"78 01 02 03", "fb 03 01 02 03 04", "f8 ff fe 00 *77", "01 02 03 02"},
    },
    {
        .codec = TD_CODEC_H264,
        .packets = {"78 0019 6742c01fd9005005bb0110000003001000000300a0f1832480 0005 68cb83cb20"
                    "0005 65 8880 1122",
                    "41 9a 33 44", "5c c1 9a 33 44", "06 06 01 c4 80",
                    "78 0019 6742c01fd9005005bb0110000003001000000300a0f1832480 0005 68cb83cb20"
                    "0005 06 06 01 c4 80 0005 41 8880 5566",
                    "65 8880 3344"},
        .begin = "5c 81 9a 33",
        .middle = "5c 01 ",
        .end = "5c 41 ",
    },
    {
        .codec = TD_CODEC_VP8,
        .packets = {"90 80 01 50 00 00 9d 01 2a 40 01 f0 00 aa bb", "90 e0 81 02 03 20 31 00 00 01",
                    "10 31 00 00 02"},
        .begin = "10 31 00 00 01",
        .middle = "00 ",
        .end = "00 ",
    },
};

static const struct sample *sample_of(enum td_codec codec)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        if (samples[i].codec == codec)
            return &samples[i];
    }
    fail_msg("codec %d has no sample", codec);
    return NULL;
}

static void test_infos(void **state)
{
    (void)state;
    static const struct td_codec_info expected[] = {
        {TD_CODEC_OPUS, TD_MEDIA_AUDIO, "opus", 48000},
        {TD_CODEC_H264, TD_MEDIA_VIDEO, "H264", 90000},
        {TD_CODEC_VP8, TD_MEDIA_VIDEO, "VP8", 90000},
    };
    for (int codec = TD_CODEC_NONE + 1; codec < TD_CODEC_MAX; codec++) {
        const struct td_codec_info *info = td_codec_info((enum td_codec)codec);
        const struct td_codec_info *want = &expected[codec - 1];
        assert_non_null(info);
        assert_int_equal(info->codec, want->codec);
        assert_int_equal(info->kind, want->kind);
        assert_int_equal(info->clock_hz, want->clock_hz);
        assert_string_equal(info->name, want->name);
        assert_ptr_equal(td_codec_by_name(want->name), info);
    }
    assert_ptr_equal(td_codec_by_name("h264"), td_codec_info(TD_CODEC_H264));
    assert_ptr_equal(td_codec_by_name("OPUS"), td_codec_info(TD_CODEC_OPUS));
    assert_null(td_codec_by_name("H26"));
    assert_null(td_codec_by_name("rtx"));
    assert_null(td_codec_by_name(""));
    assert_null(td_codec_info(TD_CODEC_NONE));
    assert_null(td_codec_info(TD_CODEC_MAX));
    assert_true(td_codec_blank_size(2, 2) && td_codec_blank_size(8, 8));
    assert_false(td_codec_blank_size(0, 0) || td_codec_blank_size(8, 9));
}

static int push(struct td_depay *d, const char *hex, size_t extra, uint32_t timestamp, bool marker)
{
    static uint8_t bytes[RIG_BYTES_MAX];
    size_t len = rig_hex(hex, bytes);
    assert_true(len + extra <= sizeof(bytes));
    memset(bytes + len, 0x5a, extra);
    struct td_rtp_packet packet = {
        .timestamp = timestamp,
        .marker = marker,
        .payload = bytes,
        .payload_len = len + extra,
    };
    return td_depay_push(d, &packet);
}

static unsigned drain(struct td_depay *d, size_t *ret_len)
{
    struct td_frame frame;
    unsigned count = 0;
    while (td_depay_pop(d, &frame) == 1) {
        count++;
        *ret_len = frame.len;
    }
    return count;
}

/* One frame of about `bytes` in packets of PART_BYTES. Count of frames that came out. */
static unsigned push_frame(struct td_depay *d, size_t bytes, uint32_t timestamp, size_t *ret_len)
{
    const struct sample *s = sample_of(d->ops->codec);
    unsigned count = 0;
    assert_int_equal(push(d, s->begin, 0, timestamp, false), 0);
    for (size_t sent = 0; sent < bytes; sent += PART_BYTES) {
        count += drain(d, ret_len);
        assert_int_equal(push(d, s->middle, PART_BYTES, timestamp, false), 0);
    }
    count += drain(d, ret_len);
    assert_int_equal(push(d, s->end, 1, timestamp, true), 0);
    return count + drain(d, ret_len);
}

struct each {
    struct td_budget budget;
    struct td_depay *d;
};

/* The codecs of the table whose frames span packets; `i` counts from 0. False behind the last. */
static bool open_each(struct each *e, size_t i, size_t budget_bytes)
{
    size_t count;
    const struct td_depay_ops *const *table = td_depay_table(&count);
    for (size_t k = 0; k < count; k++) {
        if (sample_of(table[k]->codec)->begin && i-- == 0) {
            td_budget_init(&e->budget, NULL, budget_bytes);
            assert_int_equal(td_depay_new(table[k]->codec, &e->budget, &e->d), 0);
            return true;
        }
    }
    return false;
}

static void close_each(struct each *e)
{
    assert_null(td_depay_free(e->d));
    assert_int_equal(td_budget_used(&e->budget), 0);
    td_budget_done(&e->budget);
}

static void test_new(void **state)
{
    (void)state;
    size_t count;
    const struct td_depay_ops *const *table = td_depay_table(&count);
    assert_true(count >= 3);
    struct td_depay *d = NULL;
    for (size_t i = 0; i < count; i++) {
        struct td_budget budget;
        td_budget_init(&budget, NULL, 64);
        assert_int_equal(td_depay_new(table[i]->codec, &budget, &d), -TD_E_LIMIT);
        assert_null(d);
        assert_int_equal(td_budget_used(&budget), 0);
        td_budget_done(&budget);
        assert_int_equal(td_depay_new(table[i]->codec, NULL, &d), 0);
        assert_int_equal((uintptr_t)td_depay_state(d) % _Alignof(max_align_t), 0);
        d = td_depay_free(d);
    }
    assert_int_equal(td_depay_new(TD_CODEC_NONE, NULL, &d), -TD_E_UNSUPPORTED);
    assert_null(td_depay_free(NULL));
}

static void test_memory_of_small_and_large_streams(void **state)
{
    (void)state;
    struct each e;
    for (size_t i = 0; open_each(&e, i, 64u << 20); i++) {
        size_t idle = td_budget_used(&e.budget);
        assert_true(idle < 16u << 10); /* a muted track costs no buffer */
        size_t len = 0;
        assert_int_equal(push_frame(e.d, 8000, 1, &len), 1);
        size_t small = td_budget_used(&e.budget) - idle;
        assert_int_equal(small, TD_ASSEMBLY_VIDEO_BYTES);
        for (uint32_t k = 0; k < 100; k++) { /* steady: nothing is taken, nothing given back */
            assert_int_equal(push_frame(e.d, 8000, 2 + k, &len), 1);
            assert_int_equal(td_budget_used(&e.budget) - idle, small);
        }
        assert_int_equal(push_frame(e.d, 1u << 20, 200, &len), 1);
        assert_true(len > 1u << 20);
        assert_true(td_budget_used(&e.budget) - idle >= len);
        for (uint32_t k = 0; k <= TD_ASSEMBLY_CALM; k++)
            assert_int_equal(push_frame(e.d, 8000, 300 + k, &len), 1);
        assert_true(td_budget_used(&e.budget) - idle <= TD_ASSEMBLY_KEEP_BYTES);
        close_each(&e);
    }
}

static void test_large_frames_keep_their_memory(void **state)
{
    (void)state;
    struct each e;
    for (size_t i = 0; open_each(&e, i, 64u << 20); i++) {
        const struct sample *s = sample_of(e.d->ops->codec);
        size_t len = 0;
        assert_int_equal(push_frame(e.d, 100000, 1, &len), 1);
        size_t used = td_budget_used(&e.budget);
        for (uint32_t k = 2; k < 100; k++) {
            assert_int_equal(push(e.d, s->begin, 0, k, false), 0);
            assert_int_equal(td_budget_used(&e.budget), used); /* not given back in between */
            for (size_t sent = 0; sent < 100000; sent += PART_BYTES)
                assert_int_equal(push(e.d, s->middle, PART_BYTES, k, false), 0);
            assert_int_equal(push(e.d, s->end, 1, k, true), 0);
            assert_int_equal(drain(e.d, &len), 1);
        }
        close_each(&e);
    }
}

static void test_frame_over_the_limit(void **state)
{
    (void)state;
    struct each e;
    for (size_t i = 0; open_each(&e, i, 64u << 20); i++) {
        size_t len = 0;
        assert_int_equal(push_frame(e.d, TD_FRAME_BYTES_MAX - 2 * PART_BYTES, 1, &len), 1);
        assert_true(len <= TD_FRAME_BYTES_MAX && len > TD_FRAME_BYTES_MAX - 3 * PART_BYTES);
        assert_int_equal(push_frame(e.d, TD_FRAME_BYTES_MAX, 2, &len), 0);
        assert_int_equal(td_depay_stats(e.d)->oversize, 1);
        assert_true(td_budget_used(&e.budget) < 2 * TD_ASSEMBLY_KEEP_BYTES);
        assert_int_equal(push_frame(e.d, 5000, 3, &len), 1);
        assert_int_equal(td_depay_stats(e.d)->oversize, 1);
        assert_int_equal(td_depay_stats(e.d)->broken, 0);
        close_each(&e);
    }
}

static void test_full_size_frame_without_marker(void **state)
{
    (void)state;
    struct each e;
    for (size_t i = 0; open_each(&e, i, 64u << 20); i++) {
        const struct sample *s = sample_of(e.d->ops->codec);
        size_t len = 0;
        assert_int_equal(push(e.d, s->begin, 0, 1, false), 0);
        for (size_t sent = 0; sent < TD_FRAME_BYTES_MAX - 2 * PART_BYTES; sent += PART_BYTES)
            assert_int_equal(push(e.d, s->middle, PART_BYTES, 1, false), 0);
        assert_int_equal(push(e.d, s->end, 1, 1, false), 0);
        /* Both frames must lie in the buffer at once. */
        assert_int_equal(push(e.d, s->packets[0], 0, 2, true), 0);
        assert_int_equal(drain(e.d, &len), 2);
        assert_int_equal(td_depay_stats(e.d)->oversize, 0);
        assert_int_equal(push_frame(e.d, 5000, 3, &len), 1);
        close_each(&e);
    }
}

static void test_budget_that_runs_out(void **state)
{
    (void)state;
    struct each e;
    for (size_t i = 0; open_each(&e, i, 64u << 10); i++) {
        size_t len = 0;
        assert_int_equal(push_frame(e.d, 100000, 1, &len), 0);
        assert_int_equal(td_depay_stats(e.d)->oversize, 1);
        assert_int_equal(push_frame(e.d, 5000, 2, &len), 1);
        close_each(&e);
    }
}

static void test_frames_not_fetched_are_gone(void **state)
{
    (void)state;
    size_t count;
    const struct td_depay_ops *const *table = td_depay_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct sample *s = sample_of(table[i]->codec);
        struct td_depay *d = NULL;
        size_t len;
        assert_int_equal(td_depay_new(table[i]->codec, NULL, &d), 0);
        for (uint32_t k = 0; k < 1000; k++)
            assert_int_equal(push(d, s->packets[0], 0, k, true), 0);
        assert_int_equal(drain(d, &len), 1);
        assert_int_equal(drain(d, &len), 0);
        assert_int_equal(td_depay_stats(d)->frames, 1);
        d = td_depay_free(d);
    }
}

static void check_frame(const struct td_frame *frame)
{
    assert_non_null(frame->bytes);
    assert_in_range(frame->len, 1, TD_FRAME_BYTES_MAX);
    uint8_t avcc[TD_H264_AVCC_BYTES_MAX];
    struct td_h264_sps sps;
    struct td_vp8_header header;
    switch (frame->codec) {
    case TD_CODEC_OPUS:
        assert_true(frame->key);
        assert_in_range(frame->duration_us, 2500, 120000);
        break;
    case TD_CODEC_H264:
        assert_memory_equal(frame->bytes, "\0\0\0\1", 4);
        if (frame->key) {
            assert_in_range(frame->width, 1, TD_H264_SIDE_MAX);
            assert_in_range(frame->height, 1, TD_H264_SIDE_MAX);
            assert_int_equal(td_h264_frame_sps(frame->bytes, frame->len, &sps), 0);
            int r = td_h264_avcc(frame->bytes, frame->len, avcc, sizeof(avcc));
            assert_true(r > 0 || r == -TD_E_LIMIT);
        }
        break;
    case TD_CODEC_VP8:
        assert_int_equal(td_vp8_header(frame->bytes, frame->len, &header), 0);
        assert_int_equal(header.key, frame->key);
        break;
    default:
        fail();
    }
}

/* A healthy packet with some bits, its length, its marker or its place in time changed. */
static void push_mutated(struct td_depay *d, const struct sample *s, uint64_t *random,
                         uint32_t *timestamp)
{
    static uint8_t bytes[RIG_BYTES_MAX];
    const char *parts[] = {s->begin, s->middle, s->end};
    size_t known = 0;
    while (known < 8 && s->packets[known])
        known++;
    size_t pick = rig_random(random) % (known + 3);
    const char *hex = pick < known ? s->packets[pick] : parts[pick - known];
    size_t len = rig_hex(hex ? hex : s->packets[0], bytes);
    if (rig_random(random) % 4 == 0)
        len = rig_random(random) % (len + 1);
    else if (rig_random(random) % 4 == 0)
        len += rig_random(random) % 64; /* with what an earlier packet left there */
    for (uint64_t flips = rig_random(random) % 4; flips > 0 && len > 0; flips--)
        bytes[rig_random(random) % len] ^= (uint8_t)(1u << rig_random(random) % 8);
    if (rig_random(random) % 3 == 0)
        *timestamp += (uint32_t)(rig_random(random) % 3000);
    uint8_t *payload = malloc(len + 1);
    assert_non_null(payload);
    memcpy(payload, bytes, len);
    struct td_rtp_packet packet = {
        .timestamp = *timestamp,
        .marker = rig_random(random) % 3 == 0,
        .payload = payload,
        .payload_len = len,
    };
    int r = td_depay_push(d, &packet);
    assert_true(r == 0 || r == -TD_E_PARSE);
    free(payload);
}

static void run_mutated(const struct td_depay_ops *ops, uint64_t *random)
{
    struct td_budget budget;
    td_budget_init(&budget, NULL, 256u << 10);
    struct td_depay *d = NULL;
    assert_int_equal(td_depay_new(ops->codec, &budget, &d), 0);
    uint32_t timestamp = (uint32_t)rig_random(random);
    uint64_t popped = 0;
    for (unsigned i = 0; i < 60; i++) {
        if (rig_random(random) % 16 == 0)
            td_depay_hole(d);
        push_mutated(d, sample_of(ops->codec), random, &timestamp);
        struct td_frame frame;
        unsigned count = 0;
        while (td_depay_pop(d, &frame) == 1) {
            check_frame(&frame);
            count++;
        }
        assert_true(count <= TD_ASSEMBLY_READY_MAX);
        popped += count;
    }
    assert_int_equal(td_depay_stats(d)->frames, popped);
    d = td_depay_free(d);
    assert_int_equal(td_budget_used(&budget), 0);
    td_budget_done(&budget);
}

static void test_mutated_streams(void **state)
{
    (void)state;
    const char *text = getenv("TD_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : SEED_DEFAULT;
    uint64_t random = seed ? seed : 1;
    print_message("# TD_TEST_SEED=0x%llx\n", (unsigned long long)seed);
    size_t count;
    const struct td_depay_ops *const *table = td_depay_table(&count);
    for (unsigned i = 0; i < MUTATED_STREAMS; i++)
        run_mutated(table[i % count], &random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_infos),
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_memory_of_small_and_large_streams),
        cmocka_unit_test(test_large_frames_keep_their_memory),
        cmocka_unit_test(test_frame_over_the_limit),
        cmocka_unit_test(test_full_size_frame_without_marker),
        cmocka_unit_test(test_budget_that_runs_out),
        cmocka_unit_test(test_frames_not_fetched_are_gone),
        cmocka_unit_test(test_mutated_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
