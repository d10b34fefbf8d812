/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/session.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fixture.h"
#include "recorder/layout.h"
#include "source/replay/capture_file.h"
#include "source/replay/replay.h"
#include "store/manifest.h"

#define CAPTURE_MAX (256u << 10)
#define DATAGRAM_MAX 512u

struct room {
    struct fixture f;
    struct td_budget budget;
    struct td_log log;
    struct td_loop *loop;
    struct td_mailbox *control;
    struct td_recorder recorder;
    struct td_session *session;
    char base[TD_PATH_MAX];
    char capture[TD_PATH_MAX];
    uint8_t bytes[CAPTURE_MAX];
    size_t len;
    bool fast;
    bool stop_at_recording;
    bool free_in_ended;
    /* heard */
    char states[256];
    unsigned ended;
    enum td_session_state state;
    char reason[64];
    struct td_fail fail;
    unsigned output_count;
    struct td_shelf_entry outputs[8];
    char folder[TD_PATH_MAX];
};

static struct room room;

/* ---- captures ---- */

static void put(int n)
{
    assert_true(n > 0);
    room.len += (size_t)n;
}

#define ROOM room.bytes + room.len, sizeof(room.bytes) - room.len

static void put_track(uint32_t handle, const char *who, enum td_media_kind kind)
{
    struct td_track_info info = {.handle = handle, .kind = kind};
    (void)snprintf(info.participant, sizeof(info.participant), "%s", who);
    (void)snprintf(info.sid, sizeof(info.sid), "TR_%u", handle);
    struct td_track_binding binding = {.handle = handle, .ssrc = 1000 + handle, .payload_count = 1};
    if (kind == TD_MEDIA_VIDEO)
        binding.payloads[0] = (struct td_payload){96, 1, TD_CODEC_VP8, 90000};
    else
        binding.payloads[0] = (struct td_payload){111, 2, TD_CODEC_OPUS, 48000};
    put(td_capture_put_track(&info, &binding, 0, ROOM));
}

static void put_rtp(uint32_t handle, uint8_t type, uint16_t seq, uint32_t timestamp,
                    const uint8_t *payload, size_t len, int64_t at_us)
{
    struct td_rtp_packet packet = {.ssrc = 1000 + handle,
                                   .seq = seq,
                                   .timestamp = timestamp,
                                   .payload_type = type,
                                   .marker = true,
                                   .payload = payload,
                                   .payload_len = len};
    uint8_t bytes[DATAGRAM_MAX];
    int n = td_rtp_write(&packet, bytes, sizeof(bytes));
    assert_true(n > 0);
    put(td_capture_put_packet(bytes, (size_t)n, (uint64_t)at_us, ROOM));
}

/* Sound each 20 ms on `audio`, a picture each 40 ms on `video` (0 = none). `lost`: that picture is
 * missing. */
static void put_media(uint32_t audio, uint32_t video, unsigned ms_count, unsigned lost)
{
    static const uint8_t sound[] = {0x78, 1, 2, 3, 4, 5, 6, 7};
    static const uint8_t key[] = {0x10, 0x10, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x80,
                                  0x02, 0x68, 0x01, 0x11, 0x22, 0x33, 0x44, 0x55};
    static const uint8_t delta[] = {0x10, 0x11, 0x00, 0x00, 0x21, 0x22, 0x23, 0x24};
    for (unsigned ms = 0; ms < ms_count; ms += 20) {
        uint16_t n = (uint16_t)(ms / 20);
        if (audio != 0)
            put_rtp(audio, 111, n, n * 960u, sound, sizeof(sound), ms * 1000);
        unsigned picture = ms / 40;
        if (video == 0 || ms % 40 != 0 || (lost != 0 && picture == lost))
            continue;
        bool is_key = picture % 25 == 0;
        put_rtp(video, 96, (uint16_t)picture, picture * 3600u, is_key ? key : delta,
                is_key ? sizeof(key) : sizeof(delta), ms * 1000);
    }
}

/* ---- control loop ---- */

static void on_changed(void *ctx, struct td_session *session)
{
    struct room *r = ctx;
    struct td_session_status s;
    td_session_status(session, &s);
    const char *name = td_session_state_name(s.state);
    size_t len = strlen(r->states);
    size_t name_len = strlen(name);
    if (len >= name_len && strcmp(r->states + len - name_len, name) == 0)
        return;
    (void)snprintf(r->states + len, sizeof(r->states) - len, "%s%s", len > 0 ? " " : "", name);
    if (r->stop_at_recording && s.state == TD_SESSION_RECORDING) {
        td_session_stop(session, "stopped");
        td_session_stop(session, "again");
    }
}

static void on_ended(void *ctx, struct td_session *session)
{
    struct room *r = ctx;
    struct td_session_status s;
    td_session_status(session, &s);
    r->ended++;
    r->state = s.state;
    (void)snprintf(r->reason, sizeof(r->reason), "%s", s.reason);
    r->fail = *s.fail;
    r->output_count = s.shelf->count;
    assert_true(s.shelf->count <= 8);
    memcpy(r->outputs, s.shelf->entries, s.shelf->count * sizeof(r->outputs[0]));
    (void)snprintf(r->folder, sizeof(r->folder), "%s", s.folder);
    if (r->free_in_ended)
        r->session = td_session_free(r->session);
}

static void hear_until_ended(void)
{
    while (room.ended == 0) {
        struct pollfd polled = {.fd = td_mailbox_fd(room.control), .events = POLLIN};
        assert_int_equal(poll(&polled, 1, 20000), 1);
        (void)td_mailbox_drain(room.control);
    }
}

static struct td_session_config config_of(bool single)
{
    return (struct td_session_config){
        .recorder = &room.recorder,
        .room = "my room",
        .file_base = single ? room.base : NULL,
        .data_dir = single ? NULL : room.f.disk,
        .sidecar = single,
        .ctx = &room,
        .changed = on_changed,
        .ended = on_ended,
    };
}

static void open_room(void)
{
    memset(&room, 0, sizeof(room));
    fixture_init(&room.f);
    fixture_store(&room.f, 32, -1);
    td_budget_init(&room.budget, NULL, 0);
    td_log_init(&room.log, -1, TD_LOG_ERROR);
    assert_int_equal(td_mailbox_new(1024, &room.control), 0);
    assert_int_equal(td_loop_new("media", &room.loop), 0);
    room.recorder = (struct td_recorder){.fs = td_fs_posix(),
                                         .store = room.f.store,
                                         .loop = room.loop,
                                         .control = room.control,
                                         .log = &room.log,
                                         .budget = &room.budget};
    (void)fixture_path(&room.f, "out", room.base);
    (void)snprintf(room.capture, sizeof(room.capture), "%s/capture", room.f.shm);
    room.fast = true;
    put(td_capture_put_header(ROOM));
}

static void close_room(void)
{
    room.session = td_session_free(room.session);
    room.loop = td_loop_free(room.loop);
    fixture_store_done(&room.f); /* the scribe is through */
    (void)td_mailbox_drain(room.control);
    assert_int_equal(room.ended, 1);
    room.control = td_mailbox_free(room.control);
    td_budget_done(&room.budget);
    fixture_done(&room.f);
}

static void begin(const struct td_session_config *config)
{
    file_write(room.capture, room.bytes, room.len);
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_session_new(config, &fail, &room.session), 0);
    struct td_replay_config replay = {.path = room.capture,
                                      .fs = td_fs_posix(),
                                      .loop = room.loop,
                                      .control = room.control,
                                      .fast = room.fast};
    struct td_source_events events = td_session_source_events(room.session);
    struct td_media_sink sink = td_session_sink(room.session);
    struct td_source *source = NULL;
    assert_int_equal(td_replay_new(&replay, &events, &sink, &source), 0);
    td_session_attach(room.session, source);
}

static void play(const struct td_session_config *config)
{
    begin(config);
    hear_until_ended();
}

static void read_manifest(const char *path, struct td_manifest *ret_manifest)
{
    size_t len = 0;
    char *text = file_read(path, &len);
    assert_int_equal(td_manifest_read(text, len, ret_manifest), 0);
    free(text);
}

/* ---- tests ---- */

static void test_one_file(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_track(2, "alice", TD_MEDIA_VIDEO);
    put_media(1, 2, 2000, 7);
    struct td_session_config config = config_of(true);
    play(&config);
    assert_string_equal(room.states, "waiting recording finishing complete");
    assert_int_equal(room.state, TD_SESSION_COMPLETE);
    assert_string_equal(room.reason, "room_closed");
    assert_int_equal(room.fail.code, 0);
    assert_int_equal(room.output_count, 1);
    assert_string_equal(td_layout_name(room.outputs[0].file), "out.mkv");
    assert_string_equal(room.outputs[0].participant, "alice");
    assert_false(room.outputs[0].growing);
    assert_true(room.outputs[0].bytes > 0);
    assert_true(room.outputs[0].duration_ms > 1900 && room.outputs[0].duration_ms <= 2020);
    assert_true(file_exists(room.outputs[0].file));
    room.session = td_session_free(room.session);
    fixture_store_done(&room.f);
    char path[TD_PATH_MAX];
    struct td_manifest m;
    read_manifest(fixture_path(&room.f, "out.json", path), &m);
    assert_string_equal(m.state, "complete");
    assert_string_equal(m.reason, "room_closed");
    assert_string_equal(m.room, "replay"); /* the source knows its name best */
    assert_int_equal(m.track_count, 2);
    assert_string_equal(m.tracks[1].codec, "VP8");
    assert_true(m.tracks[0].offset_us >= 0 && m.tracks[0].offset_us < 100000);
    assert_int_equal(m.output_count, 1);
    assert_int_equal(m.outputs[0].part_count, 1);
    assert_string_equal(m.outputs[0].parts[0].state, "complete");
    assert_string_equal(m.outputs[0].parts[0].file, "out.mkv");
    assert_true(m.zero_us >= m.started_us - 100000 && m.ended_us >= m.started_us);
    td_manifest_done(&m);
    size_t len = 0;
    char *timeline = file_read(fixture_path(&room.f, "out.timeline.jsonl", path), &len);
    assert_non_null(strstr(timeline, "\"track_added\""));
    char *gap = strstr(timeline, "\"gap\"");
    assert_non_null(gap);
    assert_non_null(strstr(gap, "\"packets\":1"));
    assert_non_null(strstr(gap, "\"TR_2\""));
    assert_null(strstr(gap + 1, "\"gap\"")); /* one hole, one event */
    free(timeline);
    close_room();
}

static void test_everybody(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_track(2, "alice", TD_MEDIA_VIDEO);
    put_track(3, "bob", TD_MEDIA_VIDEO);
    put_media(1, 2, 1000, 0);
    put_media(0, 3, 1000, 0);
    struct td_session_config config = config_of(false);
    room.free_in_ended = true;
    play(&config);
    assert_int_equal(room.state, TD_SESSION_COMPLETE);
    assert_int_equal(room.output_count, 2);
    fixture_store_done(&room.f);
    char path[TD_PATH_MAX];
    struct td_manifest m;
    assert_int_equal(td_layout_path(path, "%s/manifest.json", room.folder), 0);
    read_manifest(path, &m);
    assert_int_equal(m.output_count, 2);
    assert_string_equal(m.outputs[0].participant, "alice");
    assert_string_equal(m.outputs[0].parts[0].file, "alice.mkv");
    assert_string_equal(m.outputs[1].parts[0].file, "bob.mkv");
    td_manifest_done(&m);
    assert_int_equal(td_layout_path(path, "%s/live", room.f.disk), 0);
    assert_int_equal(folder_count(path), 0); /* nothing grows any more */
    assert_int_equal(folder_count(room.folder), 4);
    close_room();
}

static void test_nothing_to_record(void **state)
{
    (void)state;
    open_room();
    struct td_session_config config = config_of(true);
    play(&config);
    assert_string_equal(room.states, "waiting finishing aborted");
    assert_string_equal(room.reason, "room_closed");
    assert_int_equal(room.output_count, 0);
    close_room();
}

static void test_stop_twice(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_track(2, "alice", TD_MEDIA_VIDEO);
    put_media(1, 2, 20000, 0);
    room.fast = false; /* stopped long before its end */
    room.stop_at_recording = true;
    struct td_session_config config = config_of(true);
    play(&config);
    assert_string_equal(room.states, "waiting recording finishing complete");
    assert_string_equal(room.reason, "stopped");
    td_session_stop(room.session, "late"); /* harmless */
    assert_int_equal(room.ended, 1);
    close_room();
}

static void test_stop_at_once(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_media(1, 0, 20000, 0);
    room.fast = false;
    struct td_session_config config = config_of(true);
    begin(&config);
    td_session_stop(room.session, "stopped");
    td_session_stop(room.session, "stopped");
    hear_until_ended();
    assert_int_equal(room.state, TD_SESSION_ABORTED);
    assert_string_equal(room.reason, "stopped");
    assert_int_equal(room.output_count, 0);
    close_room();
}

/* The stop comes before the source: it is stopped when it is handed over, and ended by it. */
static void test_stop_before_the_source(void **state)
{
    (void)state;
    open_room();
    file_write(room.capture, room.bytes, room.len);
    struct td_session_config config = config_of(true);
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_session_new(&config, &fail, &room.session), 0);
    td_session_stop(room.session, "stopped");
    struct td_replay_config replay = {
        .path = room.capture, .fs = td_fs_posix(), .loop = room.loop, .control = room.control};
    struct td_source_events events = td_session_source_events(room.session);
    struct td_media_sink sink = td_session_sink(room.session);
    struct td_source *source = NULL;
    assert_int_equal(td_replay_new(&replay, &events, &sink, &source), 0);
    td_session_attach(room.session, source);
    hear_until_ended();
    assert_int_equal(room.state, TD_SESSION_ABORTED);
    close_room();
}

static void test_refused(void **state)
{
    (void)state;
    open_room();
    struct td_session_config config = config_of(true);
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_session_new(&config, &fail, &room.session), 0);
    (void)td_fail_set(&fail, -TD_E_REFUSED, "No such room.");
    td_session_refuse(room.session, &fail);
    hear_until_ended();
    assert_int_equal(room.state, TD_SESSION_FAILED);
    assert_string_equal(room.reason, "refused");
    assert_string_equal(room.fail.text, "No such room.");
    close_room();
}

static void test_damaged_source(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    room.bytes[room.len - 1] ^= 1; /* the checksum */
    put_media(1, 0, 100, 0);
    struct td_session_config config = config_of(true);
    play(&config);
    assert_int_equal(room.state, TD_SESSION_FAILED);
    assert_string_equal(room.reason, "source_failed");
    assert_int_not_equal(room.fail.code, 0);
    close_room();
}

static void test_codec_refused(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_track(2, "alice", TD_MEDIA_VIDEO);
    put_media(1, 2, 1000, 0);
    struct td_session_config config = config_of(true);
    config.format = td_mux_by_name("ts");
    play(&config);
    assert_int_equal(room.state, TD_SESSION_FAILED);
    assert_int_equal(room.fail.code, -TD_E_USAGE);
    assert_non_null(strstr(room.fail.text, "VP8"));
    assert_int_equal(room.output_count, 0);
    close_room();
}

/* Among many, one publisher's codec ends nobody else's recording. */
static void test_codec_refused_in_a_room(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_track(2, "bob", TD_MEDIA_VIDEO);
    put_media(1, 2, 1000, 0);
    struct td_session_config config = config_of(false);
    config.format = td_mux_by_name("ts");
    play(&config);
    assert_int_equal(room.state, TD_SESSION_COMPLETE);
    assert_string_equal(room.reason, "room_closed");
    assert_int_equal(room.output_count, 1);
    assert_string_equal(td_layout_name(room.outputs[0].file), "alice.ts");
    assert_int_equal(room.fail.code, -TD_E_USAGE); /* and yet it is told */
    close_room();
}

/* More tracks than a container takes: the rest is left out, the recording goes on. */
static void test_too_many_tracks(void **state)
{
    (void)state;
    open_room();
    for (uint32_t handle = 1; handle <= TD_MUX_TRACKS_MAX + 1; handle++)
        put_track(handle, "alice", TD_MEDIA_AUDIO);
    put_media(1, 0, 200, 0);
    struct td_session_config config = config_of(false);
    play(&config);
    assert_int_equal(room.state, TD_SESSION_COMPLETE);
    assert_string_equal(room.reason, "room_closed");
    close_room();
}

static void part_fails(int error)
{
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_track(2, "alice", TD_MEDIA_VIDEO);
    put_media(1, 2, 1000, 0);
    struct td_session_config config = config_of(true);
    config.sidecar = false;
    char path[TD_PATH_MAX];
    if (error == -EEXIST) {
        file_write(fixture_path(&room.f, "out.recording.mkv", path), "x", 1);
    } else { /* the writer's first call makes the file */
        room.f.gate.error = error;
        room.f.gate.fail_at = atomic_load(&room.f.gate.calls) + 1;
    }
    play(&config);
    assert_int_equal(room.state, TD_SESSION_FAILED);
    assert_string_equal(room.reason, error == -ENOSPC ? "disk_full" : "io_error");
    assert_int_equal(room.fail.code, error);
    assert_non_null(strstr(room.fail.text, "out.recording.mkv"));
    if (error == -EEXIST)
        assert_content(path, "x", 1);
    else
        assert_int_equal(folder_count(room.f.disk), 0);
    close_room();
}

static void test_part_that_cannot_be_created(void **state)
{
    (void)state;
    part_fails(-EEXIST);
    part_fails(-EACCES);
    part_fails(-ENOSPC);
}

/* A disk that fills up while it records: what was stored is there, and the end says why. */
static void test_disk_full(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_track(2, "alice", TD_MEDIA_VIDEO);
    put_media(1, 2, 5000, 0);
    room.fast = false;
    struct td_session_config config = config_of(true);
    config.sidecar = false; /* only media is written */
    begin(&config);
    while (atomic_load(&room.f.gate.writes) < 2 && room.ended == 0) {
        struct pollfd polled = {.fd = td_mailbox_fd(room.control), .events = POLLIN};
        assert_true(poll(&polled, 1, 50) >= 0);
        (void)td_mailbox_drain(room.control);
    }
    atomic_store(&room.f.gate.write_error, -ENOSPC);
    hear_until_ended();
    assert_int_equal(room.state, TD_SESSION_COMPLETE);
    assert_string_equal(room.reason, "disk_full");
    assert_int_equal(room.fail.code, -ENOSPC);
    close_room();
}

/* A file that cannot get its final name is a failure of the disk, however the recording ended. */
static void test_final_name_taken(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_track(2, "alice", TD_MEDIA_VIDEO);
    put_media(1, 2, 1000, 0);
    char path[TD_PATH_MAX];
    file_write(fixture_path(&room.f, "out.mkv", path), "old", 3);
    struct td_session_config config = config_of(true);
    play(&config);
    assert_int_equal(room.state, TD_SESSION_FAILED);
    assert_string_equal(room.reason, "io_error");
    assert_int_equal(room.fail.code, -EEXIST);
    assert_content(path, "old", 3);
    assert_true(file_exists(fixture_path(&room.f, "out.recording.mkv", path)));
    close_room();
}

static void test_replace(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_track(2, "alice", TD_MEDIA_VIDEO);
    put_media(1, 2, 1000, 0);
    char path[TD_PATH_MAX];
    file_write(fixture_path(&room.f, "out.mkv", path), "old", 3);
    struct td_session_config config = config_of(true);
    config.replace = true;
    play(&config);
    assert_int_equal(room.state, TD_SESSION_COMPLETE);
    size_t len = 0;
    free(file_read(path, &len));
    assert_true(len > 3);
    close_room();
}

static void test_duration(void **state)
{
    (void)state;
    open_room();
    put_track(1, "alice", TD_MEDIA_AUDIO);
    put_track(2, "alice", TD_MEDIA_VIDEO);
    put_media(1, 2, 3000, 0);
    struct td_session_config config = config_of(true);
    config.duration_us = TD_US_PER_S;
    play(&config);
    assert_int_equal(room.state, TD_SESSION_COMPLETE);
    assert_true(room.outputs[0].duration_ms >= 980 && room.outputs[0].duration_ms <= 1040);
    close_room();
}

static void test_nobody_comes(void **state)
{
    (void)state;
    open_room();
    put_rtp(9, 111, 1, 0, (const uint8_t *)"x", 1, 20 * TD_US_PER_S); /* nobody's */
    room.fast = false;
    struct td_session_config config = config_of(true);
    config.limits.empty_timeout_us = 1; /* the first look ends it */
    play(&config);
    assert_int_equal(room.state, TD_SESSION_ABORTED);
    assert_string_equal(room.reason, "never_started");
    close_room();
}

static void test_folder_cannot_be_made(void **state)
{
    (void)state;
    open_room();
    char path[TD_PATH_MAX];
    file_write(fixture_path(&room.f, "file", path), "x", 1);
    struct td_session_config config = config_of(false);
    config.data_dir = path;
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_session_new(&config, &fail, &room.session), -ENOTDIR);
    assert_non_null(strstr(fail.text, path));
    assert_null(room.session);
    room.ended = 1; /* there is nothing to end */
    close_room();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_file),
        cmocka_unit_test(test_everybody),
        cmocka_unit_test(test_nothing_to_record),
        cmocka_unit_test(test_stop_twice),
        cmocka_unit_test(test_stop_at_once),
        cmocka_unit_test(test_stop_before_the_source),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged_source),
        cmocka_unit_test(test_codec_refused),
        cmocka_unit_test(test_codec_refused_in_a_room),
        cmocka_unit_test(test_too_many_tracks),
        cmocka_unit_test(test_part_that_cannot_be_created),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_final_name_taken),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_nobody_comes),
        cmocka_unit_test(test_folder_cannot_be_made),
    };
    return cmocka_run_group_tests_name("recorder/session", tests, NULL, NULL);
}
