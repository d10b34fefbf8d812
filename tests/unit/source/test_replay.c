/* SPDX-License-Identifier: Apache-2.0 */
#include "source/replay/replay.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rtp/packet.h"
#include "source/replay/capture_file.h"

#define AUDIO_SSRC 100u
#define VIDEO_SSRC 200u

struct bench {
    char folder[64];
    char path[96];
    struct td_loop *loop;
    struct td_mailbox *control;
    struct td_source *source;
    /* control loop */
    char log[1024];
    bool choose_video;
    bool stop_when_bound;
    bool ended;
    enum td_end_reason reason;
    struct td_fail fail;
    /* media loop */
    atomic_bool audio_bound, video_bound;
    atomic_uint audio_packets, video_packets, rtcp_packets, early_packets, misplaced;
    atomic_llong first_us, last_us;
    uint8_t bytes[65536];
    size_t len;
};

static void note(struct bench *b, const char *what, unsigned n)
{
    size_t len = strlen(b->log);

    snprintf(b->log + len, sizeof(b->log) - len, "%s%s%u", len > 0 ? " " : "", what, n);
}

/* ---- listener ---- */

static void on_accepted(void *ctx, const char *sid, const char *name)
{
    (void)sid;
    (void)name;
    note(ctx, "accepted", 0);
}

static void on_participant(void *ctx, const char *identity, bool present)
{
    note(ctx, identity, present ? 1 : 0);
}

static void on_added(void *ctx, const struct td_track_info *track)
{
    struct bench *b = ctx;

    note(b, "added", track->handle);
    if (track->kind == TD_MEDIA_AUDIO || b->choose_video)
        assert_int_equal(td_source_select(b->source, track->handle, true), 0);
}

static void on_bound(void *ctx, const struct td_track_binding *binding)
{
    struct bench *b = ctx;

    note(b, "bound", binding->handle);
    atomic_store(binding->ssrc == AUDIO_SSRC ? &b->audio_bound : &b->video_bound, true);
    if (b->stop_when_bound)
        td_source_stop(b->source);
}

static void on_muted(void *ctx, uint32_t handle, bool muted)
{
    note(ctx, muted ? "muted" : "unmuted", handle);
}

static void on_removed(void *ctx, uint32_t handle)
{
    note(ctx, "removed", handle);
}

static void on_connected(void *ctx)
{
    note(ctx, "connected", 0);
}

static void on_ended(void *ctx, enum td_end_reason reason, const struct td_fail *failure)
{
    struct bench *b = ctx;

    b->ended = true;
    b->reason = reason;
    b->fail = *failure;
    b->source = td_source_free(b->source);
}

static void on_packet(void *ctx, uint8_t *bytes, size_t len, int64_t now_us)
{
    struct td_rtp_packet packet = {.payload = NULL};
    struct bench *b = ctx;

    if (atomic_load(&b->first_us) == 0)
        atomic_store(&b->first_us, now_us);
    if (now_us < atomic_load(&b->last_us))
        atomic_fetch_add(&b->misplaced, 1);
    atomic_store(&b->last_us, now_us);
    if (td_rtp_is_rtcp(bytes, len)) {
        atomic_fetch_add(&b->rtcp_packets, 1);
        return;
    }
    if (td_rtp_parse(bytes, len, &packet) < 0)
        return;
    if (!atomic_load(packet.ssrc == AUDIO_SSRC ? &b->audio_bound : &b->video_bound))
        atomic_fetch_add(&b->early_packets, 1);
    atomic_fetch_add(packet.ssrc == AUDIO_SSRC ? &b->audio_packets : &b->video_packets, 1);
}

/* ---- file ---- */

static void put(struct bench *b, int n)
{
    assert_true(n > 0);
    b->len += (size_t)n;
}

#define ROOM(b) (b)->bytes + (b)->len, sizeof((b)->bytes) - (b)->len

static void put_track(struct bench *b, uint32_t handle, enum td_media_kind kind, uint32_t ssrc)
{
    struct td_track_info info = {.handle = handle, .kind = kind, .participant = "alice"};
    struct td_track_binding binding = {.handle = handle,
                                       .ssrc = ssrc,
                                       .payloads = {{96, 1, TD_CODEC_VP8, 90000}},
                                       .payload_count = 1};

    put(b, td_capture_put_track(&info, NULL, 0, ROOM(b)));
    put(b, td_capture_put_track(NULL, &binding, 0, ROOM(b)));
}

static void put_rtp(struct bench *b, uint32_t ssrc, uint16_t seq, uint64_t at_us)
{
    struct td_rtp_packet packet = {.ssrc = ssrc,
                                   .seq = seq,
                                   .payload_type = 96,
                                   .payload = (const uint8_t *)"x",
                                   .payload_len = 1};
    uint8_t bytes[64];
    int len = td_rtp_write(&packet, bytes, sizeof(bytes));

    assert_true(len > 0);
    put(b, td_capture_put_packet(bytes, (size_t)len, at_us, ROOM(b)));
}

static void build(struct bench *b)
{
    static const uint8_t report[] = {0x80, 201, 0, 1, 0, 0, 0, 1};

    put(b, td_capture_put_header(ROOM(b)));
    put_track(b, 1, TD_MEDIA_AUDIO, AUDIO_SSRC);
    for (uint16_t i = 0; i < 600; i++) {
        if (i == 300)
            put_track(b, 2, TD_MEDIA_VIDEO, VIDEO_SSRC);
        if (i == 400)
            put(b, td_capture_put_muted(2, true, i * 100u, ROOM(b)));
        if (i == 500)
            put(b, td_capture_put_removed(2, i * 100u, ROOM(b)));
        put_rtp(b, AUDIO_SSRC, i, i * 100u);
        if (i >= 300 && i < 400)
            put_rtp(b, VIDEO_SSRC, i, i * 100u);
    }
    put(b, td_capture_put_packet(report, sizeof(report), 60000, ROOM(b)));
    put(b, td_capture_put_removed(77, 60000, ROOM(b))); /* never announced: not told */
}

static int start_bench(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    assert_non_null(b);
    snprintf(b->folder, sizeof(b->folder), "/tmp/td_replay_XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->path, sizeof(b->path), "%s/a.tdcap", b->folder);
    assert_int_equal(td_loop_new("replay", &b->loop), 0);
    assert_int_equal(td_mailbox_new(64, &b->control), 0);
    build(b);
    *state = b;
    return 0;
}

static int end_bench(void **state)
{
    struct bench *b = *state;

    b->loop = td_loop_free(b->loop);
    b->control = td_mailbox_free(b->control);
    assert_int_equal(td_fs_unlink(td_fs_posix(), b->path), 0);
    assert_int_equal(td_fs_rmdir(td_fs_posix(), b->folder), 0);
    free(b);
    return 0;
}

static int open_source(struct bench *b, bool fast)
{
    struct td_replay_config config = {
        .path = b->path, .fs = td_fs_posix(), .loop = b->loop, .control = b->control, .fast = fast};
    struct td_source_events events = {
        .ctx = b,
        .accepted = on_accepted,
        .participant = on_participant,
        .track_added = on_added,
        .track_bound = on_bound,
        .track_muted = on_muted,
        .track_removed = on_removed,
        .connected = on_connected,
        .ended = on_ended,
    };
    struct td_media_sink sink = {.ctx = b, .packet = on_packet};

    return td_replay_new(&config, &events, &sink, &b->source);
}

static void run(struct bench *b, bool fast)
{
    assert_int_equal(td_fs_replace(td_fs_posix(), b->path, b->bytes, b->len), 0);
    assert_int_equal(open_source(b, fast), 0);
    assert_string_equal(b->log, ""); /* nothing is told before the caller holds the source */
    while (!b->ended) {
        struct pollfd p = {.fd = td_mailbox_fd(b->control), .events = POLLIN};

        assert_int_equal(poll(&p, 1, 20000), 1);
        td_mailbox_drain(b->control);
    }
    assert_null(b->source);
}

static void test_plays_all(void **state)
{
    struct bench *b = *state;

    b->choose_video = true;
    run(b, true);
    assert_string_equal(b->log, "accepted0 connected0 alice1 added1 bound1 added2 bound2 muted2 "
                                "removed2");
    assert_int_equal(b->reason, TD_END_ROOM_CLOSED);
    assert_int_equal(b->audio_packets, 600);
    assert_int_equal(b->video_packets, 100);
    assert_int_equal(b->rtcp_packets, 1);
    assert_int_equal(b->early_packets, 0);
    assert_int_equal(b->misplaced, 0);
    assert_int_equal(b->last_us - b->first_us, 60000);
}

static void test_selects(void **state)
{
    struct bench *b = *state;

    run(b, true);
    assert_int_equal(b->audio_packets, 600);
    assert_int_equal(b->video_packets, 0);
}

static void test_recorded_pace(void **state)
{
    struct bench *b = *state;
    int64_t began_us = td_clock_now_us();

    run(b, false);
    assert_int_equal(b->audio_packets, 600);
    assert_int_equal(b->last_us - b->first_us, 60000);
    /* Never ahead of the recorded time; behind it is the machine's affair. */
    assert_true(td_clock_now_us() - began_us >= 60000);
}

static void test_stop(void **state)
{
    struct bench *b = *state;

    b->stop_when_bound = true;
    run(b, true);
    assert_int_equal(b->reason, TD_END_STOPPED);
    assert_string_equal(b->log, "accepted0 connected0 alice1 added1 bound1");
    assert_int_equal(b->audio_packets, 0);
}

static void test_torn(void **state)
{
    struct bench *b = *state;

    b->len -= 3;
    run(b, true);
    assert_int_equal(b->reason, TD_END_ROOM_CLOSED);
    assert_int_equal(b->audio_packets, 600);
}

static void test_damaged(void **state)
{
    struct bench *b = *state;

    b->bytes[b->len - 40] ^= 1;
    run(b, true);
    assert_int_equal(b->reason, TD_END_FAILED);
    assert_int_equal(b->fail.code, -TD_E_DAMAGED);
    assert_true(strlen(b->fail.text) > 0);
}

static void test_no_capture(void **state)
{
    struct bench *b = *state;

    assert_int_equal(open_source(b, true), -2); /* ENOENT */
    assert_int_equal(td_fs_replace(td_fs_posix(), b->path, "nothing like it", 15), 0);
    assert_int_equal(open_source(b, true), -TD_E_PARSE);
    assert_null(b->source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plays_all, start_bench, end_bench),
        cmocka_unit_test_setup_teardown(test_selects, start_bench, end_bench),
        cmocka_unit_test_setup_teardown(test_recorded_pace, start_bench, end_bench),
        cmocka_unit_test_setup_teardown(test_stop, start_bench, end_bench),
        cmocka_unit_test_setup_teardown(test_torn, start_bench, end_bench),
        cmocka_unit_test_setup_teardown(test_damaged, start_bench, end_bench),
        cmocka_unit_test_setup_teardown(test_no_capture, start_bench, end_bench),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
