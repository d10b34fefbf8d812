/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pump between two real peers over loopback: what arrives, with which times, over two
 * connections.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "codec/pattern.h"
#include "publisher/pump.h"
#include "rtp/packet.h"
#include "rtp/rtcp.h"
#include "webrtc/dtls.h"
#include "webrtc/ice.h"

#define WAIT_US (20 * TD_US_PER_S)
#define FPS 50
#define KEY_EVERY 10
#define FRAME_BYTES 40
#define KEY_BYTES 90000 /* more packets than leave in one tick */
#define NAL_IDR 5
#define NAL_SLICE 1
#define NAL_FU_A 28

enum { VIDEO, AUDIO };

struct heard { /* of one track; written by the media loop until the peer is closed */
    atomic_uint packets;
    atomic_uint frames; /* markers */
    atomic_uint reports;
    atomic_uint goodbyes;
    uint32_t first_timestamp;
    uint32_t last_timestamp;
    uint16_t last_seq;
    unsigned gaps;
    unsigned packets_before_report;
    bool first_is_key;
};

struct end {
    struct end *other;
    struct td_peer *peer;
    enum td_peer_state state;
};

struct rig {
    struct td_loop *loop;
    struct td_mailbox *control;
    struct td_certificate *certificate;
    struct td_pattern *pattern;
    struct td_pump *pump;
    uint32_t ssrcs[2];
    struct end sender;
    struct end receiver;
    struct heard heard[2];
};

/* ---- the receiver, on the media loop ---- */

static bool is_key(const struct td_rtp_packet *packet)
{
    bool fragment = (packet->payload[0] & 0x1f) == NAL_FU_A;
    return (packet->payload[fragment] & 0x1f) == NAL_IDR;
}

static void on_rtp(struct rig *rig, const struct td_rtp_packet *packet)
{
    struct heard *h = &rig->heard[packet->ssrc == rig->ssrcs[VIDEO] ? VIDEO : AUDIO];
    if (h->packets == 0) {
        h->first_timestamp = packet->timestamp;
        h->first_is_key = h == &rig->heard[VIDEO] && is_key(packet);
    } else if (packet->seq != (uint16_t)(h->last_seq + 1)) {
        h->gaps++;
    }
    h->packets_before_report += h->reports == 0;
    h->last_seq = packet->seq;
    h->last_timestamp = packet->timestamp;
    h->frames += packet->marker;
    h->packets++;
}

static void on_rtcp(struct rig *rig, const struct td_rtcp_item *item)
{
    for (unsigned i = 0; i < 2; i++) {
        if (item->sender_ssrc != rig->ssrcs[i])
            continue;
        rig->heard[i].reports += item->kind == TD_RTCP_SENDER_REPORT;
        rig->heard[i].goodbyes += item->kind == TD_RTCP_BYE;
    }
}

static void on_packet(void *ctx, uint8_t *bytes, size_t len, int64_t now_us)
{
    struct rig *rig = ctx;
    struct td_rtp_packet packet;
    struct td_rtcp_item item;
    struct td_reader r;
    (void)now_us;
    if (!td_rtp_is_rtcp(bytes, len)) {
        assert_int_equal(td_rtp_parse(bytes, len, &packet), 0);
        on_rtp(rig, &packet);
        return;
    }
    td_reader_init(&r, bytes, len);
    while (td_rtcp_next(&r, &item) == 1)
        on_rtcp(rig, &item);
}

/* ---- the connection ---- */

static void on_state(void *ctx, enum td_peer_state state, int error)
{
    (void)error;
    ((struct end *)ctx)->state = state;
}

static void on_candidate(void *ctx, const char *candidate)
{
    struct end *end = ctx;
    if (end->other->peer != NULL)
        assert_int_equal(td_peer_add_candidate(end->other->peer, candidate), 0);
}

static void on_closed(void *ctx)
{
    ((struct end *)ctx)->peer = NULL;
}

static void open_end(struct rig *rig, struct end *end, struct end *other)
{
    bool sends = end == &rig->sender;
    struct td_peer_config config = {
        .loop = rig->loop,
        .control = rig->control,
        .certificate = rig->certificate,
        .transport = &td_ice_nice,
        .controlling = sends,
        .loopback_only = true,
    };
    struct td_peer_events events = {
        .ctx = end,
        .state = on_state,
        .candidate = on_candidate,
        .closed = on_closed,
        .media_ctx = sends ? (void *)rig->pump : (void *)rig,
        .packet = sends ? td_pump_packet : on_packet,
    };
    end->other = other;
    end->state = TD_PEER_NEW;
    assert_int_equal(td_peer_new(&config, &events, &end->peer), 0);
}

static void set_remote(struct rig *rig, struct end *end)
{
    struct td_peer_remote remote = {
        .ufrag = td_peer_ufrag(end->other->peer),
        .pwd = td_peer_pwd(end->other->peer),
        .fingerprint = td_certificate_fingerprint(rig->certificate),
        .dtls_client = end == &rig->sender,
    };
    assert_int_equal(td_peer_set_remote(end->peer, &remote), 0);
}

static void wait_until(struct rig *rig, bool (*done)(const struct rig *rig))
{
    int64_t end_us = td_clock_now_us() + WAIT_US;
    while (!done(rig)) {
        struct pollfd fd = {.fd = td_mailbox_fd(rig->control), .events = POLLIN};
        assert_true(poll(&fd, 1, 2) >= 0);
        (void)td_mailbox_drain(rig->control);
        assert_true(td_clock_now_us() < end_us);
    }
}

static bool connected(const struct rig *rig)
{
    return rig->sender.state == TD_PEER_CONNECTED && rig->receiver.state == TD_PEER_CONNECTED;
}

static bool closed(const struct rig *rig)
{
    return rig->sender.peer == NULL && rig->receiver.peer == NULL;
}

static bool heard_enough(const struct rig *rig)
{
    return rig->heard[VIDEO].frames >= 8 && rig->heard[AUDIO].packets >= 8 &&
           rig->heard[VIDEO].reports > 0 && rig->heard[AUDIO].reports > 0;
}

static bool heard_goodbyes(const struct rig *rig)
{
    return rig->heard[VIDEO].goodbyes > 0 && rig->heard[AUDIO].goodbyes > 0;
}

static void connect_peers(struct rig *rig)
{
    unsigned count = 0;
    const struct td_pump_track *tracks;
    memset(rig->heard, 0, sizeof(rig->heard));
    assert_int_equal(td_pump_prepare(rig->pump), 0);
    tracks = td_pump_tracks(rig->pump, &count);
    assert_int_equal(count, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(tracks[i].kind, i == VIDEO ? TD_MEDIA_VIDEO : TD_MEDIA_AUDIO);
        rig->ssrcs[i] = tracks[i].rtp.ssrc;
    }
    open_end(rig, &rig->sender, &rig->receiver);
    open_end(rig, &rig->receiver, &rig->sender);
    set_remote(rig, &rig->sender);
    set_remote(rig, &rig->receiver);
    wait_until(rig, connected);
    assert_int_equal(td_pump_attach(rig->pump, rig->sender.peer), 0);
}

static void disconnect_peers(struct rig *rig)
{
    td_pump_detach(rig->pump);
    td_pump_detach(rig->pump); /* harmless */
    wait_until(rig, heard_goodbyes);
    td_peer_close(rig->sender.peer);
    td_peer_close(rig->receiver.peer);
    wait_until(rig, closed);
}

/* ---- the pattern ---- */

static void add_frame(struct td_pattern *p, size_t n)
{
    static uint8_t bytes[KEY_BYTES];
    bool key = n % KEY_EVERY == 0;
    size_t len = key ? KEY_BYTES : FRAME_BYTES;
    memset(bytes, 0x55, sizeof(bytes));
    memcpy(bytes, "\0\0\0\1", 4);
    bytes[4] = (uint8_t)(0x60 | (key ? NAL_IDR : NAL_SLICE));
    p->frames[n] =
        (struct td_pattern_unit){.offset = p->bytes.len, .len = (uint32_t)len, .key = key};
    assert_int_equal(td_bytes_append(&p->bytes, bytes, len), 0);
}

static struct td_pattern *make_pattern(void)
{
    static const uint8_t opus[] = {0x78, 1, 2, 3};
    struct td_pattern *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    td_pattern_config_default(&p->config);
    p->config.fps = FPS;
    p->config.seconds = 1;
    td_bytes_init(&p->bytes, TD_PATTERN_BYTES_MAX, NULL);
    p->frame_count = FPS;
    p->packet_count = TD_PATTERN_PACKETS_PER_S;
    p->frames = calloc(p->frame_count, sizeof(*p->frames));
    p->packets = calloc(p->packet_count, sizeof(*p->packets));
    assert_non_null(p->frames);
    assert_non_null(p->packets);
    for (size_t i = 0; i < p->frame_count; i++)
        add_frame(p, i);
    for (size_t i = 0; i < p->packet_count; i++) {
        p->packets[i] =
            (struct td_pattern_unit){.offset = p->bytes.len, .len = sizeof(opus), .key = true};
        assert_int_equal(td_bytes_append(&p->bytes, opus, sizeof(opus)), 0);
    }
    return p;
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    assert_int_equal(td_mailbox_new(256, &rig->control), 0);
    assert_int_equal(td_loop_new("media", &rig->loop), 0);
    assert_int_equal(td_certificate_new(&rig->certificate), 0);
    rig->pattern = make_pattern();
    struct td_pump_config config = {
        .loop = rig->loop, .control = rig->control, .pattern = rig->pattern};
    assert_int_equal(td_pump_new(&config, &rig->pump), 0);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    rig->loop = td_loop_free(rig->loop);
    rig->pump = td_pump_free(rig->pump);
    rig->control = td_mailbox_free(rig->control);
    rig->certificate = td_certificate_free(rig->certificate);
    rig->pattern = td_pattern_free(rig->pattern);
    free(rig);
    return 0;
}

/* ---- tests ---- */

static uint32_t media_ticks(const struct rig *rig, unsigned track, uint32_t timestamp)
{
    unsigned count;
    return timestamp - td_pump_tracks(rig->pump, &count)[track].rtp.first_timestamp;
}

static void test_one_connection(void **state)
{
    struct rig *rig = *state;
    connect_peers(rig);
    wait_until(rig, heard_enough);
    disconnect_peers(rig);
    const struct heard *video = &rig->heard[VIDEO];
    const struct td_pump_status *s = td_pump_status(rig->pump);
    assert_true(video->first_is_key);
    assert_int_equal(media_ticks(rig, VIDEO, video->first_timestamp), 0);
    assert_int_equal(media_ticks(rig, AUDIO, rig->heard[AUDIO].first_timestamp), 0);
    assert_int_equal(video->gaps, 0);
    assert_int_equal(rig->heard[AUDIO].gaps, 0);
    /* The report follows what one tick sends. */
    assert_in_range(video->packets_before_report, 1, TD_PUMP_PACKETS_PER_TICK);
    assert_in_range(rig->heard[AUDIO].packets_before_report, 1, TD_PUMP_PACKETS_PER_TICK);
    assert_int_equal(s->frames, video->frames);
    assert_int_equal(s->packets, video->packets + rig->heard[AUDIO].packets);
    assert_int_equal(s->last_frame, media_ticks(rig, VIDEO, video->last_timestamp) / (90000 / FPS));
    assert_true(s->last_frame_us >= s->start_us);
    assert_int_equal(s->attached_us, 0);
}

/* Frame numbers and timestamps go on over the gap; the second connection begins with a key frame.
 */
static void test_second_connection(void **state)
{
    struct rig *rig = *state;
    connect_peers(rig);
    wait_until(rig, heard_enough);
    disconnect_peers(rig);
    struct td_pump_status first = *td_pump_status(rig->pump);
    connect_peers(rig);
    wait_until(rig, heard_enough);
    disconnect_peers(rig);
    const struct td_pump_status *s = td_pump_status(rig->pump);
    const struct heard *video = &rig->heard[VIDEO];
    uint32_t ticks = media_ticks(rig, VIDEO, video->first_timestamp);
    assert_true(video->first_is_key);
    assert_int_equal(ticks % (KEY_EVERY * 90000 / FPS), 0);
    assert_true(ticks / (90000 / FPS) > first.last_frame);
    assert_int_equal(s->start_us, first.start_us);
    assert_int_equal(s->frames, first.frames + video->frames);
    assert_int_equal(s->last_frame, media_ticks(rig, VIDEO, video->last_timestamp) / (90000 / FPS));
    /* Each frame was sent or left out. */
    assert_true(s->skipped > 0);
    assert_true(s->last_frame + 1 >= s->frames);
}

static void test_never_attached(void **state)
{
    struct rig *rig = *state;
    td_pump_detach(rig->pump);
    assert_int_equal(td_pump_status(rig->pump)->frames, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_attached, setup, teardown),
    };
    return cmocka_run_group_tests_name("publisher/pump", tests, NULL, NULL);
}
