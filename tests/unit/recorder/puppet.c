/* SPDX-License-Identifier: Apache-2.0 */
#include "puppet.h"

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
#include "media.h"
#include "recorder/layout.h"

#define BUFFERS 256u
#define VIDEO_BYTES 400u
#define WAIT_MS 20000

/* ---- the source ---- */

static int source_select(struct td_source *s, uint32_t handle, bool wanted)
{
    struct puppet_source *source = (struct puppet_source *)s;
    (void)handle;
    source->selected += wanted;
    return 0;
}

static void source_end(struct puppet_source *source, enum td_end_reason reason)
{
    struct td_fail fail = {.code = 0};
    if (reason == TD_END_REFUSED || reason == TD_END_FAILED)
        (void)td_fail_set(&fail, -TD_E_REFUSED, "The strings were cut.");
    source->ended = true;
    source->events.ended(source->events.ctx, reason, fail.code != 0 ? &fail : NULL);
}

static void source_stop(struct td_source *s)
{
    struct puppet_source *source = (struct puppet_source *)s;
    if (source->stopped || source->ended)
        return;
    source->stopped = true;
    if (!source->stops_late)
        source_end(source, TD_END_STOPPED);
}

static struct td_source *source_free(struct td_source *s)
{
    struct puppet_source *source = (struct puppet_source *)s;
    assert_true(source->ended);
    (*source->freed)++;
    free(source);
    return NULL;
}

static int source_rtcp(struct td_source *s, const uint8_t *bytes, size_t len)
{
    struct puppet_source *source = (struct puppet_source *)s;
    (void)bytes;
    (void)len;
    atomic_fetch_add(&source->rtcp, 1);
    return 0;
}

static const struct td_source_ops source_ops = {
    .name = "puppet",
    .select = source_select,
    .stop = source_stop,
    .free = source_free,
    .send_rtcp = source_rtcp,
};

void puppet_attach(struct puppet *p)
{
    struct puppet_source *source = calloc(1, sizeof(*source));
    assert_non_null(source);
    source->base.ops = &source_ops;
    source->events = td_session_source_events(p->session);
    source->freed = &p->freed;
    p->source = source;
    td_session_attach(p->session, &source->base);
}

void puppet_accept(struct puppet *p, const char *room_sid)
{
    p->source->events.accepted(p->source->events.ctx, room_sid, "my room");
}

void puppet_present(struct puppet *p, const char *who, bool present)
{
    p->source->events.participant(p->source->events.ctx, who, present);
}

static struct puppet_track *track_of(struct puppet *p, uint32_t handle)
{
    for (unsigned i = 0; i < PUPPET_TRACKS_MAX; i++) {
        if (p->tracks[i].there && p->tracks[i].info.handle == handle)
            return &p->tracks[i];
    }
    fail_msg("no track %u", handle);
    return NULL;
}

static struct puppet_track *free_track(struct puppet *p)
{
    for (unsigned i = 0; i < PUPPET_TRACKS_MAX; i++) {
        if (!p->tracks[i].there)
            return &p->tracks[i];
    }
    fail_msg("too many tracks");
    return NULL;
}

void puppet_track(struct puppet *p, uint32_t handle, const char *who, enum td_codec codec)
{
    bool audio = codec == TD_CODEC_OPUS;
    struct puppet_track *t = free_track(p);
    *t = (struct puppet_track){
        .info = {.handle = handle,
                 .kind = audio ? TD_MEDIA_AUDIO : TD_MEDIA_VIDEO,
                 .role = audio ? TD_ROLE_MICROPHONE : TD_ROLE_CAMERA},
        .codec = codec,
        .there = true,
    };
    (void)snprintf(t->info.participant, sizeof(t->info.participant), "%s", who);
    (void)snprintf(t->info.sid, sizeof(t->info.sid), "TR_%s_%u", who, handle);
    struct td_packetize_config config = {.codec = codec,
                                         .ssrc = 1000 * ++p->seed + handle,
                                         .payload_type = (uint8_t)(96 + codec),
                                         .stap_a = true};
    assert_int_equal(td_packetizer_init(&t->packetizer, &config), 0);
    struct td_track_binding binding = {
        .handle = handle,
        .ssrc = config.ssrc,
        .payloads = {{config.payload_type, 2, codec, audio ? 48000 : 90000}},
        .payload_count = 1,
    };
    p->source->events.track_added(p->source->events.ctx, &t->info);
    p->source->events.track_bound(p->source->events.ctx, &binding);
}

void puppet_track_gone(struct puppet *p, uint32_t handle)
{
    track_of(p, handle)->there = false;
    p->source->events.track_removed(p->source->events.ctx, handle);
}

void puppet_mute(struct puppet *p, uint32_t handle, bool muted)
{
    p->source->events.track_muted(p->source->events.ctx, handle, muted);
}

static void drop_tracks(struct puppet *p)
{
    for (unsigned i = 0; i < PUPPET_TRACKS_MAX; i++)
        p->tracks[i].there = false;
}

void puppet_lose(struct puppet *p, enum td_end_reason reason)
{
    struct puppet_source *source = p->source;
    p->source = NULL;
    drop_tracks(p);
    source_end(source, reason);
}

void puppet_enter(struct puppet *p, const char *who, enum td_codec video)
{
    puppet_attach(p);
    puppet_accept(p, "RM_1");
    puppet_present(p, who, true);
    puppet_track(p, 1, who, TD_CODEC_OPUS);
    if (video != TD_CODEC_NONE)
        puppet_track(p, 2, who, video);
}

/* ---- media ---- */

struct feed { /* a packet on its way to the media loop */
    struct td_media_sink sink;
    int64_t at_us;
    size_t len;
    uint8_t bytes[TD_PACKETIZE_BYTES_MAX];
};

static void on_feed(void *target, const void *payload)
{
    struct feed *feed = target;
    (void)payload;
    feed->sink.packet(feed->sink.ctx, feed->bytes, feed->len, feed->at_us);
    free(feed);
}

struct feeder {
    struct puppet *p;
    int64_t at_us;
};

static int on_packet(void *ctx, uint16_t seq, const uint8_t *bytes, size_t len)
{
    const struct feeder *feeder = ctx;
    (void)seq;
    struct feed *feed = malloc(sizeof(*feed));
    assert_non_null(feed);
    feed->sink = td_session_sink(feeder->p->session);
    feed->at_us = feeder->at_us;
    feed->len = len;
    assert_true(len <= sizeof(feed->bytes));
    memcpy(feed->bytes, bytes, len);
    while (td_loop_post(feeder->p->loop, on_feed, feed, NULL, 0) < 0)
        (void)puppet_sync_ms(feeder->p); /* its mailbox is full: let it work */
    return 0;
}

struct barrier {
    atomic_bool passed;
};

static void on_barrier(void *target, const void *payload)
{
    (void)payload;
    struct barrier *barrier = target;
    atomic_store(&barrier->passed, true);
}

int64_t puppet_now_ms(const struct puppet *p)
{
    return (td_clock_now_us() - p->origin_us) / TD_US_PER_MS;
}

int64_t puppet_sync_ms(struct puppet *p)
{
    struct barrier barrier = {.passed = false};
    int64_t until_us = td_clock_now_us() + WAIT_MS * TD_US_PER_MS;
    while (td_loop_post(p->loop, on_barrier, &barrier, NULL, 0) < 0)
        assert_true(td_clock_now_us() < until_us);
    while (!atomic_load(&barrier.passed))
        assert_true(td_clock_now_us() < until_us);
    return puppet_now_ms(p);
}

/* ITU-T H.264 section 7.3.3: first_mb_in_slice 0, slice_type I or P, pic_parameter_set_id 0. */
static void put_slice_header(struct reel *reel, bool key)
{
    static const uint8_t start[] = {0, 0, 0, 1, 0};
    uint8_t *bytes = reel->bytes.data;
    size_t at = 0;
    for (size_t i = 0; i + sizeof(start) < reel->bytes.len; i++) { /* the last unit is the slice */
        if (memcmp(bytes + i, start, sizeof(start) - 1) == 0)
            at = i + sizeof(start);
    }
    memcpy(bytes + at, key ? (const uint8_t[]){0x88, 0x81} : (const uint8_t[]){0x9b, 0x81}, 2);
}

/* RFC 6386 section 9.1: a first partition that fits the frame. */
static void put_frame_tag(struct reel *reel)
{
    memcpy(reel->bytes.data + 1, (const uint8_t[]){0x02, 0x00}, 2);
}

void puppet_frame(struct puppet *p, uint32_t handle, int64_t ms, bool key)
{
    struct puppet_track *t = track_of(p, handle);
    struct reel reel;
    reel_init(&reel);
    if (t->codec == TD_CODEC_OPUS)
        reel_add_opus(&reel, 0, 0, 80, (uint64_t)ms + 1);
    else if (t->codec == TD_CODEC_H264)
        reel_add_h264(&reel, 0, 0, key, false, VIDEO_BYTES, (uint64_t)ms + 1);
    else
        reel_add_vp8(&reel, 0, 0, key, false, VIDEO_BYTES, (uint64_t)ms + 1);
    if (t->codec == TD_CODEC_H264)
        put_slice_header(&reel, key);
    else if (t->codec == TD_CODEC_VP8)
        put_frame_tag(&reel);
    struct td_frame frame = reel_frame(&reel, 0);
    frame.rtp_timestamp = (uint32_t)(ms * (t->codec == TD_CODEC_OPUS ? 48 : 90));
    struct feeder feeder = {.p = p, .at_us = p->origin_us + ms * TD_US_PER_MS};
    struct td_packet_sink sink = {.ctx = &feeder, .packet = on_packet};
    assert_true(td_packetizer_frame(&t->packetizer, &frame, &sink) > 0);
    reel_done(&reel);
}

void puppet_play(struct puppet *p, uint32_t audio, uint32_t video, int64_t from_ms, int64_t to_ms,
                 bool key)
{
    for (int64_t ms = from_ms; ms < to_ms; ms += 20) {
        /* The picture first: sound that is old already would not wait for it. */
        if (video != 0 && (ms - from_ms) % 40 == 0)
            puppet_frame(p, video, ms, key && ms == from_ms);
        if (audio != 0)
            puppet_frame(p, audio, ms, true);
    }
}

/* ---- what is heard ---- */

static void on_changed(void *ctx, struct td_session *session)
{
    struct puppet *p = ctx;
    struct td_session_status s;
    td_session_status(session, &s);
    char word[128];
    (void)snprintf(word, sizeof(word), "%s%s%s", td_session_state_name(s.state),
                   s.reason[0] != '\0' ? "/" : "", s.reason);
    size_t len = strlen(p->states);
    size_t word_len = strlen(word);
    bool again = len >= word_len && strcmp(p->states + len - word_len, word) == 0 &&
                 (len == word_len || p->states[len - word_len - 1] == ' ');
    if (!again)
        (void)snprintf(p->states + len, sizeof(p->states) - len, "%s%s", len > 0 ? " " : "", word);
}

static void on_line(void *ctx, const char *line)
{
    struct puppet *p = ctx;
    size_t len = strlen(p->lines);
    assert_true(len + strlen(line) < sizeof(p->lines));
    memcpy(p->lines + len, line, strlen(line) + 1);
}

static void on_lost(void *ctx, struct td_session *session)
{
    (void)session;
    ((struct puppet *)ctx)->lost++;
}

static void on_ended(void *ctx, struct td_session *session)
{
    struct puppet *p = ctx;
    struct td_session_status s;
    td_session_status(session, &s);
    p->ended++;
    p->state = s.state;
    (void)snprintf(p->reason, sizeof(p->reason), "%s", s.reason);
    p->fail = *s.fail;
    p->left = s.left;
    p->shelf = *s.shelf;
    (void)snprintf(p->folder, sizeof(p->folder), "%s", s.folder);
}

void puppet_hear(struct puppet *p)
{
    (void)td_mailbox_drain(p->control);
}

void puppet_hear_once(struct puppet *p)
{
    struct pollfd polled = {.fd = td_mailbox_fd(p->control), .events = POLLIN};
    assert_int_equal(poll(&polled, 1, WAIT_MS), 1); /* reports come each 250 ms */
    puppet_hear(p);
}

unsigned puppet_count_lines(const char *lines, const char *text)
{
    unsigned count = 0;
    while (*lines != '\0') {
        const char *end = strchr(lines, '\n');
        assert_non_null(end); /* a line that is not whole */
        const char *at = strstr(lines, text);
        count += at != NULL && at < end;
        lines = end + 1;
    }
    return count;
}

unsigned puppet_lines(const struct puppet *p, const char *text)
{
    return puppet_count_lines(p->lines, text);
}

void puppet_wait_lines(struct puppet *p, const char *text, unsigned count)
{
    PUPPET_WAIT(p, puppet_lines(p, text) >= count);
}

void puppet_wait_state(struct puppet *p, enum td_session_state state)
{
    PUPPET_WAIT(p, puppet_status(p).state == state);
}

void puppet_wait_frames(struct puppet *p, uint64_t frames)
{
    PUPPET_WAIT(p, puppet_status(p).stats->frames >= frames);
}

void puppet_wait_ended(struct puppet *p)
{
    PUPPET_WAIT(p, p->ended > 0);
}

struct td_session_status puppet_status(const struct puppet *p)
{
    struct td_session_status s;
    td_session_status(p->session, &s);
    return s;
}

void puppet_stop(struct puppet *p)
{
    td_session_stop(p->session, "stopped");
    puppet_wait_ended(p);
}

/* ---- what is on disk ---- */

void puppet_flush(struct puppet *p)
{
    p->session = td_session_free(p->session);
    p->loop = td_loop_free(p->loop);
    fixture_store_done(&p->f);
    puppet_hear(p);
}

void puppet_manifest(const struct puppet *p, struct td_manifest *ret_manifest)
{
    char path[TD_PATH_MAX];
    size_t len = 0;
    assert_int_equal(td_layout_path(path, "%s/manifest.json", p->folder), 0);
    char *text = file_read(path, &len);
    assert_int_equal(td_manifest_read(text, len, ret_manifest), 0);
    free(text);
}

unsigned puppet_timeline(const struct puppet *p, const char *text)
{
    char path[TD_PATH_MAX];
    size_t len = 0;
    assert_int_equal(td_layout_path(path, "%s/timeline.jsonl", p->folder), 0);
    char *lines = file_read(path, &len);
    unsigned count = puppet_count_lines(lines, text);
    free(lines);
    return count;
}

static int on_tape(void *ctx, const struct td_frame *frame)
{
    struct puppet_tape *tape = ctx;
    assert_true(tape->count < PUPPET_FRAMES_MAX);
    tape->frames[tape->count++] =
        (struct puppet_frame){.codec = frame->codec, .key = frame->key, .pts_us = frame->pts_us};
    return 0;
}

void puppet_read(const struct puppet *p, const char *name, struct puppet_tape *ret_tape)
{
    char path[TD_PATH_MAX];
    assert_int_equal(td_layout_path(path, "%s/%s", p->folder, name), 0);
    ret_tape->count = 0;
    struct td_fs_file file = {.fs = td_fs_posix(),
                              .handle = td_fs_open(td_fs_posix(), path, TD_FS_READ, 0)};
    if (file.handle < 0)
        fail_msg("cannot read %s", path);
    struct td_read_at input;
    assert_int_equal(td_fs_input(&file, &input), 0);
    const struct td_mux_ops *ops = td_mux_by_content(&input);
    assert_non_null(ops);
    assert_int_equal(td_mux_scan(ops, &input, on_tape, ret_tape, &ret_tape->scan), 0);
    assert_int_equal(td_fs_close(file.fs, file.handle), 0);
}

unsigned puppet_count(const struct puppet_tape *tape, enum td_codec codec)
{
    unsigned count = 0;
    for (unsigned i = 0; i < tape->count; i++)
        count += tape->frames[i].codec == codec;
    return count;
}

int64_t puppet_step_ms(const struct puppet_tape *tape, enum td_codec codec)
{
    int64_t last_us = INT64_MIN;
    int64_t step_us = 0;
    for (unsigned i = 0; i < tape->count; i++) {
        if (tape->frames[i].codec != codec)
            continue;
        int64_t pts_us = tape->frames[i].pts_us;
        assert_true(last_us == INT64_MIN || pts_us > last_us);
        if (last_us != INT64_MIN && pts_us - last_us > step_us)
            step_us = pts_us - last_us;
        last_us = pts_us;
    }
    return step_us / TD_US_PER_MS;
}

/* ---- all of it ---- */

static void open_process(struct puppet *p)
{
    fixture_store(&p->f, BUFFERS, -1);
    assert_int_equal(td_mailbox_new(4096, &p->control), 0);
    assert_int_equal(td_loop_new("media", &p->loop), 0);
    p->recorder = (struct td_recorder){.fs = td_fs_posix(),
                                       .store = p->f.store,
                                       .loop = p->loop,
                                       .control = p->control,
                                       .log = &p->log,
                                       .budget = &p->budget};
}

static void close_process(struct puppet *p)
{
    if (p->session != NULL && p->ended == 0) {
        td_session_stop(p->session, "stopped");
        if (p->ended == 0 && p->source != NULL && p->source->stops_late)
            puppet_lose(p, TD_END_STOPPED);
        puppet_wait_ended(p);
    }
    puppet_flush(p);
    p->control = td_mailbox_free(p->control);
}

void puppet_open(struct puppet *p)
{
    memset(p, 0, sizeof(*p));
    fixture_init(&p->f);
    td_budget_init(&p->budget, NULL, 0);
    td_log_init(&p->log, -1, TD_LOG_ERROR);
    p->origin_us = td_clock_now_us();
    open_process(p);
}

void puppet_restart(struct puppet *p)
{
    close_process(p);
    p->source = NULL;
    drop_tracks(p);
    p->states[0] = '\0';
    p->lines[0] = '\0';
    p->ended = 0;
    p->lost = 0;
    open_process(p);
}

void puppet_close(struct puppet *p)
{
    close_process(p);
    td_budget_done(&p->budget);
    fixture_done(&p->f);
}

struct td_session_config puppet_config(struct puppet *p)
{
    return (struct td_session_config){
        .recorder = &p->recorder,
        .room = "my room",
        .data_dir = p->f.disk,
        .source = "puppet",
        .limits = {.resume_window_us = 60 * TD_US_PER_S},
        .ctx = p,
        .changed = on_changed,
        .event = on_line,
        .lost = on_lost,
        .ended = on_ended,
    };
}

void puppet_begin(struct puppet *p, const struct td_session_config *config)
{
    struct td_fail fail = {.code = 0};
    int r = td_session_new(config, &fail, &p->session);
    if (r < 0)
        fail_msg("%s", fail.text);
    (void)snprintf(p->folder, sizeof(p->folder), "%s", puppet_status(p).folder);
}
