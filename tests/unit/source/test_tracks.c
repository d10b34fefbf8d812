/* SPDX-License-Identifier: Apache-2.0 */
#include "source/livekit/tracks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "source/livekit/trickle.h"

/* What was told, as text: "+alice added1 bound1:100 muted1 unmuted1 removed1 -alice". */
static char heard[16384];
static struct td_track_info last;

static void note(const char *fmt, ...) TD_PRINTF(1, 2);
static void note(const char *fmt, ...)
{
    size_t len = strlen(heard);
    va_list args;
    va_start(args, fmt);
    if (len > 0 && len + 1 < sizeof(heard))
        heard[len++] = ' ';
    (void)vsnprintf(heard + len, sizeof(heard) - len, fmt, args);
    va_end(args);
}

static void on_participant(void *ctx, const char *identity, bool present)
{
    (void)ctx;
    note("%c%.8s", present ? '+' : '-', identity);
}

static void on_added(void *ctx, const struct td_track_info *track)
{
    (void)ctx;
    last = *track;
    note("added%u", track->handle);
}

static void on_bound(void *ctx, const struct td_track_binding *binding)
{
    (void)ctx;
    note("bound%u:%u", binding->handle, binding->ssrc);
}

static void on_muted(void *ctx, uint32_t handle, bool muted)
{
    (void)ctx;
    note("%smuted%u", muted ? "" : "un", handle);
}

static void on_removed(void *ctx, uint32_t handle)
{
    (void)ctx;
    note("removed%u", handle);
}

static const struct td_source_events events = {
    .participant = on_participant,
    .track_added = on_added,
    .track_bound = on_bound,
    .track_muted = on_muted,
    .track_removed = on_removed,
};

static void assert_heard(const char *wanted)
{
    assert_string_equal(heard, wanted);
    heard[0] = '\0';
}

static struct td_livekit_tracks tracks;

static int open_room(void **state)
{
    (void)state;
    heard[0] = '\0';
    td_livekit_tracks_init(&tracks, &events);
    return 0;
}

static int close_room(void **state)
{
    (void)state;
    td_livekit_tracks_done(&tracks);
    return 0;
}

struct wire_track {
    const char *sid;
    bool video;
    bool muted;
};

/* A participant's snapshot; `sid` NULL ends the list of tracks. */
static void snapshot(const char *identity, const char *sid, bool gone,
                     const struct wire_track *list)
{
    Lk__ParticipantInfo info = LK__PARTICIPANT_INFO__INIT;
    Lk__TrackInfo infos[TD_TRACKS_MAX + 2];
    Lk__TrackInfo *pointers[TD_TRACKS_MAX + 2];
    info.identity = (char *)identity;
    info.sid = (char *)sid;
    info.state = gone ? LK__PARTICIPANT_STATE__DISCONNECTED : LK__PARTICIPANT_STATE__ACTIVE;
    size_t count = 0;
    for (; list != NULL && list[count].sid != NULL; count++) {
        assert_true(count < TD_TRACKS_MAX + 2);
        infos[count] = (Lk__TrackInfo)LK__TRACK_INFO__INIT;
        infos[count].sid = (char *)list[count].sid;
        infos[count].type = list[count].video ? LK__TRACK_TYPE__VIDEO : LK__TRACK_TYPE__AUDIO;
        infos[count].source = list[count].video ? LK__TRACK_SOURCE__CAMERA
                                                : LK__TRACK_SOURCE__MICROPHONE;
        infos[count].muted = list[count].muted;
        infos[count].mime_type = (char *)(list[count].video ? "video/VP8" : "audio/red");
        pointers[count] = &infos[count];
    }
    info.n_tracks = count;
    info.tracks = pointers;
    td_livekit_tracks_participant(&tracks, &info);
}

static void offer(const char *track_id, uint32_t ssrc, bool sends)
{
    char text[2048];
    int n = snprintf(text, sizeof(text),
                     "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
                     "a=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n"
                     "a=mid:0\r\na=%s\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
                     "a=rtpmap:96 VP8/90000\r\na=rtcp-mux\r\na=msid:stream %s\r\n"
                     "a=ssrc:%u cname:x\r\n",
                     sends ? "sendonly" : "inactive", track_id, ssrc);
    assert_true(n > 0 && (size_t)n < sizeof(text));
    struct td_sdp *sdp = NULL;
    assert_int_equal(td_sdp_parse(text, (size_t)n, &sdp), 0);
    td_livekit_tracks_offer(&tracks, sdp);
    td_sdp_free(sdp);
}

static void test_a_life(void **state)
{
    (void)state;
    snapshot("alice", "PA_1", false, NULL);
    assert_heard("+alice");
    snapshot("alice", "PA_1", false, (struct wire_track[]){{"TR_A", false, true}, {.sid = NULL}});
    assert_heard("added1");
    assert_true(last.muted);
    assert_int_equal(last.codec, TD_CODEC_OPUS); /* RED is taken apart by the server */
    assert_int_equal(last.role, TD_ROLE_MICROPHONE);
    snapshot("alice", "PA_1", false,
             (struct wire_track[]){{"TR_A", false, false}, {"TR_V", true, false}, {.sid = NULL}});
    assert_heard("unmuted1 added2");
    assert_int_equal(last.kind, TD_MEDIA_VIDEO);
    assert_int_equal(last.codec, TD_CODEC_VP8);
    snapshot("alice", "PA_1", false,
             (struct wire_track[]){{"TR_A", false, false}, {"TR_V", true, false}, {.sid = NULL}});
    assert_heard("");
    snapshot("bob", "PA_2", false, (struct wire_track[]){{"TR_B", false, false}, {.sid = NULL}});
    assert_heard("+bob added3");
    snapshot("alice", "PA_1", false, (struct wire_track[]){{"TR_V", true, false}, {.sid = NULL}});
    assert_heard("removed1"); /* and nothing of bob's */
    assert_null(td_livekit_tracks_find(&tracks, 1));
    assert_string_equal(td_livekit_tracks_find(&tracks, 2)->info.sid, "TR_V");
    snapshot("alice", "PA_1", true, NULL);
    assert_heard("removed2 -alice");
    snapshot("alice", "PA_1", true, NULL);
    assert_heard("");
}

static void test_reconnect(void **state)
{
    (void)state;
    snapshot("alice", "PA_1", false, (struct wire_track[]){{"TR_1", true, false}, {.sid = NULL}});
    assert_heard("+alice added1");
    snapshot("alice", "PA_2", false, (struct wire_track[]){{"TR_2", true, false}, {.sid = NULL}});
    assert_heard("removed1 added2");       /* she never left */
    snapshot("alice", "PA_1", true, NULL); /* the late goodbye of the old session */
    assert_heard("");
    snapshot("alice", "PA_2", true, NULL);
    assert_heard("removed2 -alice");
}

static void test_offers(void **state)
{
    (void)state;
    offer("TR_V", 100, true); /* before the announcement */
    assert_heard("");
    snapshot("alice", "PA_1", false, (struct wire_track[]){{"TR_V", true, false}, {.sid = NULL}});
    assert_heard("+alice added1 bound1:100");
    offer("TR_V", 100, true); /* the same again */
    assert_heard("");
    offer("TR_V", 200, true);
    assert_heard("bound1:200");
    offer("TR_V", 300, false); /* switched off */
    assert_heard("");
    snapshot("bob", "PA_2", false, (struct wire_track[]){{"TR_B", true, false}, {.sid = NULL}});
    assert_heard("+bob added2");
    offer("TR_B", 400, true); /* behind the announcement */
    assert_heard("bound2:400");
}

/* Offered, never announced, gone again: must not fill the table. */
static void test_never_announced(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3 * TD_TRACKS_MAX; i++) {
        char sid[16];
        (void)snprintf(sid, sizeof(sid), "TR_%u", i);
        offer(sid, i + 1, true);
    }
    assert_heard("");
    assert_int_equal(tracks.refused, 0);
    assert_int_equal(tracks.track_count, 1);
}

static void test_too_many_tracks(void **state)
{
    (void)state;
    static char sids[TD_TRACKS_MAX + 1][16];
    struct wire_track list[TD_TRACKS_MAX + 2] = {{.sid = NULL}};
    for (unsigned i = 0; i <= TD_TRACKS_MAX; i++) {
        (void)snprintf(sids[i], sizeof(sids[i]), "TR_%u", i);
        list[i] = (struct wire_track){.sid = sids[i]};
    }
    snapshot("alice", "PA_1", false, list);
    assert_int_equal(tracks.track_count, TD_TRACKS_MAX);
    assert_int_equal(tracks.refused, 1);
    assert_string_equal(last.sid, sids[TD_TRACKS_MAX - 1]);
    heard[0] = '\0';
    snapshot("alice", "PA_1", false, list + 1); /* one went: there is room for the last */
    assert_int_equal(tracks.track_count, TD_TRACKS_MAX - 1);
    heard[0] = '\0';
    snapshot("alice", "PA_1", false, list + 1);
    assert_heard("added65");
}

static void test_who_holds_the_room(void **state)
{
    (void)state;
    Lk__ParticipantInfo info = LK__PARTICIPANT_INFO__INIT;
    info.sid = (char *)"PA_E";
    info.identity = (char *)"egress";
    info.kind = LK__PARTICIPANT_KIND__EGRESS;
    td_livekit_tracks_participant(&tracks, &info);
    info.sid = (char *)"PA_A";
    info.identity = (char *)"agent";
    info.kind = LK__PARTICIPANT_KIND__AGENT;
    td_livekit_tracks_participant(&tracks, &info);
    assert_heard("");
    info.state = LK__PARTICIPANT_STATE__DISCONNECTED;
    td_livekit_tracks_participant(&tracks, &info);
    assert_heard("");
}

/* Longer than we keep, not UTF-8, empty: known again all the same. */
static void test_hostile_strings(void **state)
{
    (void)state;
    char longest[600];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    char euro[600];
    for (size_t i = 0; i + 3 < sizeof(euro); i += 3)
        memcpy(euro + i, "\xe2\x82\xac", 4);
    const char *names[] = {longest, euro, "\xff\xfe\x80", "a\n\"b\\", ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snapshot(names[i], names[i], false,
                 (struct wire_track[]){{names[i], true, false}, {.sid = NULL}});
        unsigned participants = tracks.participant_count;
        unsigned count = tracks.track_count;
        heard[0] = '\0';
        snapshot(names[i], names[i], false,
                 (struct wire_track[]){{names[i], true, false}, {.sid = NULL}});
        assert_heard("");
        assert_int_equal(tracks.participant_count, participants);
        assert_int_equal(tracks.track_count, count);
    }
    assert_int_equal(tracks.participant_count, 5);
    assert_int_equal(tracks.track_count, 4); /* a track without a name is none */
    for (unsigned i = 0; i < tracks.track_count; i++) {
        const char *text = tracks.tracks[i]->info.participant;
        size_t len = strlen(text);
        assert_true(len < TD_SOURCE_TEXT_MAX);
        assert_true(len == 0 || (unsigned char)text[len - 1] < 0xc0); /* no half character */
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        snapshot(names[i], names[i], true, NULL);
    assert_int_equal(tracks.participant_count, 0);
    assert_int_equal(tracks.track_count, 0);
}

static void test_too_many_participants(void **state)
{
    (void)state;
    char identity[16];
    for (unsigned i = 0; i <= TD_PARTICIPANTS_MAX; i++) {
        (void)snprintf(identity, sizeof(identity), "p%u", i);
        snapshot(identity, identity, false, NULL);
    }
    assert_int_equal(tracks.participant_count, TD_PARTICIPANTS_MAX);
    assert_int_equal(tracks.refused, 1);
}

/* ---- trickle ---- */

static unsigned sent;

static void on_send(void *ctx, const char *json)
{
    char candidate[TD_TRICKLE_TEXT_MAX];
    assert_null(ctx);
    assert_int_equal(td_trickle_parse(json, candidate), 1);
    assert_string_equal(candidate, "candidate:1 1 udp 1 127.0.0.1 9 typ host");
    sent++;
}

static void test_trickle(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int result;
    } rows[] = {
        {"{\"candidate\":\"candidate:1 1 udp\",\"sdpMid\":\"0\"}", 1},
        {"{\"candidate\":\"\"}", 0},
        {"{}", 0},
        {"{\"candidate\":5}", 0},
        {"[]", 0},
        {"", -TD_E_PARSE},
        {"{\"candidate\":\"x\"", -TD_E_PARSE},
        {"[[[[[[[[[[", -TD_E_PARSE},
    };
    char candidate[TD_TRICKLE_TEXT_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(td_trickle_parse(rows[i].json, candidate), rows[i].result);
    char big[400];
    (void)snprintf(big, sizeof(big), "{\"candidate\":\"%0300d\"}", 1);
    assert_int_equal(td_trickle_parse(big, candidate), -TD_E_PARSE);
    struct td_trickle t = {.send = NULL};
    for (unsigned i = 0; i <= TD_CANDIDATES_MAX; i++)
        td_trickle_add(&t, "candidate:1 1 udp 1 127.0.0.1 9 typ host");
    assert_int_equal(t.waiting_count, TD_CANDIDATES_MAX);
    td_trickle_open(&t, on_send, NULL);
    td_trickle_add(&t, "candidate:1 1 udp 1 127.0.0.1 9 typ host");
    assert_int_equal(sent, 1); /* what waited went into the description */
    td_trickle_done(&t);
}

int main(void)
{
#define ROOM_TEST(test) cmocka_unit_test_setup_teardown(test, open_room, close_room)
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_a_life),          ROOM_TEST(test_reconnect),
        ROOM_TEST(test_offers),          ROOM_TEST(test_never_announced),
        ROOM_TEST(test_too_many_tracks), ROOM_TEST(test_who_holds_the_room),
        ROOM_TEST(test_hostile_strings), ROOM_TEST(test_too_many_participants),
        cmocka_unit_test(test_trickle),
    };
    return cmocka_run_group_tests_name("source/tracks", tests, NULL, NULL);
}
