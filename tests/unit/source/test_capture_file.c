/* SPDX-License-Identifier: Apache-2.0 */
#include "source/replay/capture_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../rtp/seed.h"
#include "source/replay/capture_track.h"

struct file {
    uint8_t bytes[8192];
    size_t len;
    size_t ends[8]; /* of each record */
    size_t count;
};

static int64_t read_file(void *ctx, uint64_t offset, void *ret_bytes, size_t len)
{
    const struct file *f = ctx;
    size_t n;

    if (offset >= f->len)
        return 0;
    n = f->len - (size_t)offset;
    n = n < len ? n : len;
    n = n > 100 ? 100 : n; /* short reads */
    memcpy(ret_bytes, f->bytes + offset, n);
    return (int64_t)n;
}

static const struct td_track_info info = {
    .handle = 7,
    .kind = TD_MEDIA_VIDEO,
    .role = TD_ROLE_SCREEN,
    .participant = "alice",
    .participant_name = "Alice \"A\" \xc3\xa9",
    .sid = "TR_1",
    .muted = true,
    .width = 1280,
    .height = 720,
    .codec = TD_CODEC_H264,
};

static const struct td_track_binding binding = {
    .handle = 7,
    .ssrc = 0xfedcba98u,
    .payloads = {{102, 1, TD_CODEC_H264, 90000}, {111, 2, TD_CODEC_OPUS, 48000}},
    .payload_count = 2,
};

static const uint8_t packet[] = {0x80, 0x60, 0, 1, 0, 0, 0, 2, 0xfe, 0xdc, 0xba, 0x98, 9};

static void append(struct file *f, int n)
{
    assert_true(n > 0);
    f->len += (size_t)n;
    f->ends[f->count++] = f->len;
}

static void build(struct file *f)
{
    memset(f, 0, sizeof(*f));
    assert_int_equal(td_capture_put_header(f->bytes, sizeof(f->bytes)), TD_CAPTURE_HEADER_BYTES);
    f->len = TD_CAPTURE_HEADER_BYTES;
    append(f, td_capture_put_track(&info, &binding, 0, f->bytes + f->len, 4096));
    append(f, td_capture_put_packet(packet, sizeof(packet), 5, f->bytes + f->len, 4096));
    append(f, td_capture_put_muted(7, true, 6, f->bytes + f->len, 4096));
    append(f, td_capture_put_packet(packet, sizeof(packet), UINT64_C(1) << 40, f->bytes + f->len,
                                    4096));
    append(f, td_capture_put_removed(7, UINT64_C(1) << 41, f->bytes + f->len, 4096));
}

static void open_file(struct td_capture_reader *r, struct file *f)
{
    struct td_read_at input = {.read_at = read_file, .ctx = f, .size = f->len};

    assert_int_equal(td_capture_reader_init(r, &input), 0);
}

static void check_track(const struct td_capture_record *record)
{
    struct td_track_info i;
    struct td_track_binding b;

    assert_int_equal(td_capture_track_parse(record->payload, record->len, &i, &b),
                     TD_CAPTURE_HAS_INFO | TD_CAPTURE_HAS_BINDING);
    assert_int_equal(i.handle, 7);
    assert_int_equal(i.kind, TD_MEDIA_VIDEO);
    assert_int_equal(i.role, TD_ROLE_SCREEN);
    assert_string_equal(i.participant, info.participant);
    assert_string_equal(i.participant_name, info.participant_name);
    assert_string_equal(i.sid, info.sid);
    assert_string_equal(i.name, "");
    assert_true(i.muted);
    assert_int_equal(i.width, 1280);
    assert_int_equal(i.height, 720);
    assert_int_equal(i.codec, TD_CODEC_H264);
    assert_int_equal(b.handle, 7);
    assert_int_equal(b.ssrc, 0xfedcba98u);
    assert_int_equal(b.payload_count, 2);
    assert_memory_equal(b.payloads, binding.payloads, sizeof(b.payloads));
}

static void test_round_trip(void **state)
{
    static struct td_capture_reader r;
    struct td_capture_record record;
    uint32_t handle = 0;
    bool muted = false;
    struct file f;

    (void)state;
    build(&f);
    open_file(&r, &f);
    assert_int_equal(td_capture_next(&r, &record), 1);
    assert_int_equal(record.type, TD_CAPTURE_TRACK);
    check_track(&record);
    assert_int_equal(td_capture_next(&r, &record), 1);
    assert_int_equal(record.type, TD_CAPTURE_PACKET);
    assert_int_equal(record.at_us, 5);
    assert_int_equal(record.len, sizeof(packet));
    assert_memory_equal(record.payload, packet, sizeof(packet));
    assert_int_equal(td_capture_next(&r, &record), 1);
    assert_int_equal(record.type, TD_CAPTURE_MUTED);
    assert_int_equal(td_capture_get_handle(&record, &handle, &muted), 0);
    assert_int_equal(handle, 7);
    assert_true(muted);
    assert_int_equal(td_capture_next(&r, &record), 1);
    assert_true(record.at_us == UINT64_C(1) << 40);
    assert_int_equal(td_capture_next(&r, &record), 1);
    assert_int_equal(record.type, TD_CAPTURE_REMOVED);
    assert_int_equal(td_capture_next(&r, &record), 0);
    assert_int_equal(td_capture_next(&r, &record), 0);
    assert_int_equal(r.damaged, 0);
    assert_int_equal(r.torn_bytes, 0);
}

/* Cut at each byte: every whole record is read, the rest is told. */
static void test_torn(void **state)
{
    static struct td_capture_reader r;
    struct td_capture_record record;
    struct file f;

    (void)state;
    build(&f);
    for (size_t len = f.len; len >= TD_CAPTURE_HEADER_BYTES; len--) {
        size_t whole = 0, count = 0;

        while (whole < f.count && f.ends[whole] <= len)
            whole++;
        f.len = len;
        open_file(&r, &f);
        while (td_capture_next(&r, &record) == 1)
            count++;
        assert_int_equal(count, whole);
        assert_int_equal(r.damaged, 0);
        assert_int_equal(r.torn_bytes,
                         len - (whole > 0 ? f.ends[whole - 1] : TD_CAPTURE_HEADER_BYTES));
    }
    for (; f.len > 0; f.len--) {
        struct td_read_at input = {.read_at = read_file, .ctx = &f};

        f.len--;
        assert_int_equal(td_capture_reader_init(&r, &input), -TD_E_PARSE);
        f.len++;
    }
}

/* A wrong byte anywhere: the records before it are read, nothing from it on. */
static void test_damaged(void **state)
{
    static struct td_capture_reader r;
    struct td_capture_record record;
    struct file f;

    (void)state;
    build(&f);
    for (size_t at = TD_CAPTURE_HEADER_BYTES; at < f.len; at++) {
        size_t whole = 0, count = 0;

        while (f.ends[whole] <= at)
            whole++;
        f.bytes[at] ^= 0x10;
        open_file(&r, &f);
        while (td_capture_next(&r, &record) == 1)
            count++;
        assert_int_equal(count, whole);
        /* A length that grew can also reach beyond the end. */
        assert_true(r.damaged == 1 || r.torn_bytes > 0);
        f.bytes[at] ^= 0x10;
    }
}

static void test_header(void **state)
{
    static struct td_capture_reader r;
    struct td_read_at input = {.read_at = read_file};
    struct file f;

    (void)state;
    build(&f);
    input.ctx = &f;
    f.bytes[11] = 2;
    assert_int_equal(td_capture_reader_init(&r, &input), -TD_E_UNSUPPORTED);
    f.bytes[0] = 'T';
    assert_int_equal(td_capture_reader_init(&r, &input), -TD_E_PARSE);
}

static int64_t read_nothing(void *ctx, uint64_t offset, void *ret_bytes, size_t len)
{
    (void)ctx;
    (void)offset;
    (void)ret_bytes;
    (void)len;
    return -5;
}

static void test_limits(void **state)
{
    static uint8_t big[TD_CAPTURE_RECORD_MAX + 1];
    static struct td_capture_reader r;
    struct td_read_at input = {.read_at = read_nothing};
    struct td_track_info wide = info;
    struct td_track_binding many = binding;
    struct td_track_info i;
    struct td_track_binding b;
    struct file f;

    (void)state;
    build(&f);
    assert_int_equal(td_capture_reader_init(&r, &input), -5);
    assert_int_equal(td_capture_put_header(big, TD_CAPTURE_HEADER_BYTES - 1), -TD_E_LIMIT);
    for (size_t capacity = 0; capacity < f.ends[0] - TD_CAPTURE_HEADER_BYTES; capacity++)
        assert_int_equal(td_capture_put_track(&info, &binding, 0, big, capacity), -TD_E_LIMIT);
    assert_int_equal(td_capture_put_packet(big, TD_CAPTURE_PAYLOAD_MAX + 1, 0, big, sizeof(big)),
                     -TD_E_LIMIT);
    assert_int_equal(td_capture_put_packet(f.bytes, 10, 0, big, 26), -TD_E_LIMIT);
    assert_int_equal(td_capture_put_packet(f.bytes, 10, 0, big, 27), 27);

    /* The widest track there can be fits a record. */
    memset(wide.participant, 1, TD_SOURCE_TEXT_MAX - 1);
    memset(wide.participant_name, 1, TD_SOURCE_TEXT_MAX - 1);
    memset(wide.sid, 1, TD_SOURCE_TEXT_MAX - 1);
    memset(wide.name, 1, TD_SOURCE_TEXT_MAX - 1);
    many.payload_count = TD_SOURCE_PAYLOADS_MAX;
    for (size_t k = 0; k < TD_SOURCE_PAYLOADS_MAX; k++)
        many.payloads[k] = binding.payloads[0];
    assert_true(td_capture_put_track(&wide, &many, 0, big, sizeof(big)) > 6000);

    /* A name that was cut inside of a character. */
    snprintf(wide.name, sizeof(wide.name), "caf\xc3");
    assert_true(td_capture_track_print(&wide, NULL, big, sizeof(big)) > 0);
    assert_int_equal(td_capture_track_parse(big, strcspn((char *)big, "}") + 2, &i, &b),
                     TD_CAPTURE_HAS_INFO);
    assert_string_equal(i.name, "caf?");
}

static void test_track_json(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"track\":1}",
        "{\"track\":{}}",
        "{\"binding\":{}}",
        "{\"binding\":{\"handle\":1,\"ssrc\":4294967296,\"rtx_ssrc\":0,\"payloads\":[]}}",
        "{\"binding\":{\"handle\":-1,\"ssrc\":0,\"rtx_ssrc\":0,\"payloads\":[]}}",
        "{\"binding\":{\"handle\":1.0,\"ssrc\":0,\"rtx_ssrc\":0,\"payloads\":[]}}",
        "{\"binding\":{\"handle\":1,\"ssrc\":0,\"rtx_ssrc\":0,\"payloads\":[1]}}",
        "{\"binding\":{\"handle\":1,\"ssrc\":0,\"rtx_ssrc\":0,\"payloads\":[{\"payload_type\":128,"
        "\"channels\":1,\"codec\":\"VP8\",\"clock_hz\":90000}]}}",
        "{\"binding\":{\"handle\":1,\"ssrc\":0,\"rtx_ssrc\":0,\"payloads\":[{\"payload_type\":96,"
        "\"channels\":1,\"codec\":\"VP99\",\"clock_hz\":90000}]}}",
        "{\"binding\":{\"handle\":1,\"ssrc\":0,\"rtx_ssrc\":0,\"payloads\":{}}}",
    };
    static const char good[] =
        "{\"binding\":{\"handle\":1,\"ssrc\":0,\"rtx_ssrc\":3,\"payloads\":[{\"payload_type\":96,"
        "\"channels\":1,\"codec\":\"vp8\",\"clock_hz\":90000}]}}";
    struct td_track_info i = {.handle = 99};
    struct td_track_binding b = {.handle = 99};

    (void)state;
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        if (td_capture_track_parse((const uint8_t *)bad[k], strlen(bad[k]), &i, &b) != -TD_E_PARSE)
            fail_msg("accepted: %s", bad[k]);
        assert_int_equal(i.handle, 99);
        assert_int_equal(b.handle, 99);
    }
    assert_int_equal(td_capture_track_parse((const uint8_t *)good, sizeof(good) - 1, &i, &b),
                     TD_CAPTURE_HAS_BINDING);
    assert_int_equal(i.handle, 99);
    assert_int_equal(b.payloads[0].codec, TD_CODEC_VP8);
}

/* Whatever the bytes are, reading ends and stays inside. */
static void test_mutations(void **state)
{
    uint64_t seed = seed_start("capture");
    static struct td_capture_reader r;
    struct file good;

    (void)state;
    build(&good);
    for (int round = 0; round < 20000; round++) {
        struct td_capture_record record;
        struct td_track_info i;
        struct td_track_binding b;
        struct file f = good;

        f.len = TD_CAPTURE_HEADER_BYTES + seed_next(&seed) % (f.len - TD_CAPTURE_HEADER_BYTES + 1);
        for (uint64_t n = seed_next(&seed) % 4; n > 0; n--)
            f.bytes[TD_CAPTURE_HEADER_BYTES +
                    seed_next(&seed) % (good.len - TD_CAPTURE_HEADER_BYTES)] =
                (uint8_t)seed_next(&seed);
        open_file(&r, &f);
        for (int n = 0; td_capture_next(&r, &record) == 1; n++)
            assert_true(n < 10);
        /* The text is read in spite of the checksum, as a later writer's might be. */
        assert_true(td_capture_track_parse(f.bytes + TD_CAPTURE_HEADER_BYTES + 13,
                                           good.ends[0] - TD_CAPTURE_HEADER_BYTES - 17, &i,
                                           &b) <= 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_torn),
        cmocka_unit_test(test_damaged),    cmocka_unit_test(test_header),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_track_json),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
