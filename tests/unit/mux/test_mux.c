/* SPDX-License-Identifier: Apache-2.0 */
/* The family itself: its table, its wrappers, the null and hash members, and failing memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "mux/mkv_scan.h"

/* Allocations of the code under test are counted; the `fail_at`-th fails (from 1; 0 = none). */
static unsigned long allocations;
static unsigned long fail_at;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static int fails(void)
{
    return fail_at != 0 && ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

static void test_table(void **state)
{
    size_t count = 0;
    const struct td_mux_ops *const *table = td_mux_table(&count);

    (void)state;
    assert_true(count >= 4);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(table[i]->name);
        assert_non_null(table[i]->extension);
        assert_non_null(table[i]->write);
        assert_true(table[i]->codecs != 0);
        assert_ptr_equal(td_mux_by_name(table[i]->name), table[i]);
        assert_false(td_mux_takes(table[i], TD_CODEC_NONE));
    }
    assert_null(td_mux_by_name("avi"));
    assert_null(td_mux_by_name(NULL));
    assert_true(td_mux_takes(td_mux_by_name("mkv"), TD_CODEC_VP8));
    assert_false(td_mux_takes(td_mux_by_name("ts"), TD_CODEC_VP8));
}

/* A short recording into `sink`; the first failure is answered. */
static int record(const struct td_mux_ops *ops, const struct reel *reel, struct tape *tape)
{
    const struct td_frame first = reel_frame(reel, 0);
    struct td_mux_track video = {.codec = TD_CODEC_H264, .first_key = &first};
    struct td_mux_track audio = {.codec = TD_CODEC_OPUS, .channels = 2};
    struct td_mux *m = NULL;
    unsigned track;
    int r = td_mux_new(ops, tape_sink(tape), &m);

    if (r == 0)
        r = td_mux_add_track(m, &video, &track);
    if (r == 0)
        r = td_mux_add_track(m, &audio, &track);
    for (size_t i = 0; r == 0 && i < reel->count; i++) {
        struct td_frame frame = reel_frame(reel, i);

        r = td_mux_write(m, &frame);
    }
    if (r == 0)
        r = td_mux_idle(m, 10000000);
    if (r == 0)
        r = td_mux_close(m);
    if (r == 0) {
        struct td_frame frame = reel_frame(reel, 0);

        assert_int_equal(td_mux_write(m, &frame), -TD_E_STATE);
        assert_int_equal(td_mux_add_track(m, &audio, &track), -TD_E_STATE);
        assert_int_equal(td_mux_close(m), 0);
    }
    td_mux_free(m);
    return r;
}

static void make_reel(struct reel *ret_reel)
{
    reel_init(ret_reel);
    for (int64_t t = 0; t < 1000000; t += 40000) {
        reel_add_h264(ret_reel, 0, t, t % 400000 == 0, false, t == 400000 ? 80000 : 500, 3);
        reel_add_opus(ret_reel, 1, t, 60, 4);
    }
}

static void test_content(void **state)
{
    static const char *const formats[] = {"ts", "mkv"};
    struct reel reel;

    (void)state;
    make_reel(&reel);
    for (size_t i = 0; i < 2; i++) {
        const struct td_mux_ops *ops = td_mux_by_name(formats[i]);
        struct td_read_at media;
        struct tape tape;
        struct part part;

        tape_init(&tape);
        part_init(&part);
        assert_int_equal(record(ops, &reel, &tape), 0);
        part_apply_all(&part, &tape);
        for (size_t len = 0; len < 2000; len += 188) {
            part.file[TD_FILE_MEDIA].len = len;
            media = part_input(&part, TD_FILE_MEDIA);
            assert_ptr_equal(td_mux_by_content(&media), len ? ops : NULL);
        }
        memset(part.file[TD_FILE_MEDIA].data, 'x', 400);
        media = part_input(&part, TD_FILE_MEDIA);
        assert_null(td_mux_by_content(&media));
        tape_done(&tape);
        part_done(&part);
    }
    reel_done(&reel);
}

static void test_null_and_hash(void **state)
{
    const struct td_mux_ops *hash = td_mux_by_name("hash");
    struct td_read_at none = {.read_at = NULL};
    struct td_op_sink sink;
    struct td_scan scan;
    struct tape tape;
    struct tape again;
    struct reel reel;

    (void)state;
    make_reel(&reel);
    tape_init(&tape);
    tape_init(&again);
    assert_int_equal(record(td_mux_by_name("null"), &reel, &tape), 0);
    assert_int_equal(tape.count, 0);
    assert_int_equal(record(hash, &reel, &tape), 0);
    assert_int_equal(tape.count, 1);
    assert_int_equal(memcmp(tape.bytes.data, "track=0 codec=2 frames=25 keys=3 ", 33), 0);
    reel.bytes.data[100] ^= 1; /* another byte, another sum */
    assert_int_equal(record(hash, &reel, &again), 0);
    assert_int_equal(again.bytes.len, tape.bytes.len);
    assert_int_not_equal(memcmp(tape.bytes.data, again.bytes.data, tape.bytes.len), 0);
    sink = tape_sink(&again);
    assert_int_equal(td_mux_seal(hash, &none, NULL, &sink, &scan), 0);
    assert_int_equal(td_mux_scan(hash, &none, NULL, NULL, &scan), -TD_E_UNSUPPORTED);
    tape_done(&tape);
    tape_done(&again);
    reel_done(&reel);
}

/* Goes on behind the end of a file; the first failure is answered. */
static int go_on(const struct td_mux_ops *ops, const struct td_read_at *media,
                 const struct reel *reel, struct tape *tape)
{
    struct td_frame frame = reel_frame(reel, 0);
    struct td_mux_tail tail;
    struct td_mux *m = NULL;
    int r = td_mux_tail(ops, media, &tail);

    if (r)
        return r;
    r = td_mux_resume(ops, tape_sink(tape), &tail, &m);
    frame.pts_us = tail.newest_us + 5000000;
    if (r == 0)
        r = td_mux_write(m, &frame);
    td_mux_free(m);
    return r;
}

/* Each allocation fails once: the call says -ENOMEM, nothing leaks (the sanitizer looks), and what
 * was emitted is readable. The tape has room beforehand, so that only the muxer allocates. */
static void torture(const char *format)
{
    const struct td_mux_ops *ops = td_mux_by_name(format);
    struct reel reel;
    struct tape tape;
    struct part part;
    int r = -ENOMEM;

    make_reel(&reel);
    tape_init(&tape);
    part_init(&part);
    assert_int_equal(record(ops, &reel, &tape), 0);
    for (unsigned long n = 1; r != 0; n++) {
        assert_true(n < 1000);
        tape.count = 0;
        tape.bytes.len = 0;
        allocations = 0;
        fail_at = n;
        r = record(ops, &reel, &tape);
        fail_at = 0;
        assert_true(r == 0 || r == -ENOMEM);
    }
    part_apply_all(&part, &tape);
    r = -ENOMEM;
    for (unsigned long n = 1; r != 0; n++) {
        struct td_read_at media = part_input(&part, TD_FILE_MEDIA);
        struct td_read_at index = part_input(&part, TD_FILE_INDEX);
        struct td_op_sink sink = tape_sink(&tape);
        struct td_scan scan;

        assert_true(n < 1000);
        tape.count = 0;
        tape.bytes.len = 0;
        allocations = 0;
        fail_at = n;
        r = td_mux_scan(ops, &media, NULL, NULL, &scan);
        if (r == 0)
            r = strcmp(format, "mkv") == 0 ? td_mkv_seal_above(&media, &index, &sink, 0, &scan)
                                           : td_mux_seal(ops, &media, &index, &sink, &scan);
        fail_at = 0;
        assert_true(r == 0 || r == -ENOMEM);
    }
    r = -ENOMEM;
    for (unsigned long n = 1; r != 0 && strcmp(format, "ts") == 0; n++) {
        struct td_read_at media = part_input(&part, TD_FILE_MEDIA);

        assert_true(n < 1000);
        tape.count = 0;
        tape.bytes.len = 0;
        allocations = 0;
        fail_at = n;
        r = go_on(ops, &media, &reel, &tape);
        fail_at = 0;
        assert_true(r == 0 || r == -ENOMEM);
    }
    tape_done(&tape);
    part_done(&part);
    reel_done(&reel);
}

static void test_memory_ts(void **state)
{
    (void)state;
    torture("ts");
}

static void test_memory_mkv(void **state)
{
    (void)state;
    torture("mkv");
}

/* Read errors and refusals of the sink come out of scan and seal unchanged. */
static int64_t read_fails(void *ctx, uint64_t offset, void *ret_bytes, size_t len)
{
    struct part *part = ctx;
    struct td_read_at media = part_input(part, TD_FILE_MEDIA);

    if (offset + len > 30000)
        return -EIO;
    return media.read_at(media.ctx, offset, ret_bytes, len);
}

static int stop_at_third(void *ctx, const struct td_frame *frame)
{
    unsigned *count = ctx;

    (void)frame;
    return ++*count == 3 ? 2 : 0;
}

static void test_failures(void **state)
{
    static const char *const formats[] = {"ts", "mkv"};
    struct reel reel;

    (void)state;
    make_reel(&reel);
    for (size_t i = 0; i < 2; i++) {
        const struct td_mux_ops *ops = td_mux_by_name(formats[i]);
        struct td_read_at media;
        struct td_read_at index;
        struct td_op_sink sink;
        struct td_scan scan;
        struct tape tape;
        struct tape seal;
        struct part part;
        unsigned count = 0;

        tape_init(&tape);
        tape_init(&seal);
        part_init(&part);
        assert_int_equal(record(ops, &reel, &tape), 0);
        part_apply_all(&part, &tape);
        part.file[TD_FILE_MEDIA].len -= 5;
        sink = tape_sink(&seal);
        media = part_input(&part, TD_FILE_MEDIA);
        index = part_input(&part, TD_FILE_INDEX);
        assert_int_equal(td_mux_scan(ops, &media, stop_at_third, &count, &scan), 2);
        assert_int_equal(count, 3);
        seal.refuse = -ENOSPC;
        assert_int_equal(td_mux_seal(ops, &media, &index, &sink, &scan), -ENOSPC);
        seal.refuse = 1;
        assert_int_equal(td_mux_seal(ops, &media, &index, &sink, &scan), 1);
        media.read_at = read_fails;
        assert_int_equal(td_mux_scan(ops, &media, NULL, NULL, &scan), -EIO);
        assert_int_equal(td_mux_seal(ops, &media, &index, &sink, &scan), -EIO);
        tape_done(&tape);
        tape_done(&seal);
        part_done(&part);
    }
    reel_done(&reel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),         cmocka_unit_test(test_content),
        cmocka_unit_test(test_null_and_hash), cmocka_unit_test(test_memory_ts),
        cmocka_unit_test(test_memory_mkv),    cmocka_unit_test(test_failures),
    };

    return cmocka_run_group_tests_name("mux/mux", tests, NULL, NULL);
}
