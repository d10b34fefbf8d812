/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/session.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "media/codec.h"
#include "recorder/chronicle.h"
#include "recorder/layout.h"
#include "recorder/recover.h"
#include "recorder/roster.h"

#define ROOM_REORDER_SLOTS (4 * TD_REORDER_SLOTS)

struct td_session {
    struct td_session_config config;
    char id[TD_ID_MAX];
    char room[TD_SOURCE_TEXT_MAX];
    char folder[TD_PATH_MAX];
    char file_base[TD_PATH_MAX];
    struct td_log log;
    struct td_budget budget;
    enum td_session_state state;
    const char *reason;
    struct td_fail fail;
    struct td_roster roster;
    struct td_chronicle chronicle;
    struct td_capture *capture;
    struct td_source *source;
    struct td_capture_stats stats;
    struct td_session_output outputs[TD_SESSION_OUTPUTS_MAX]; /* one a part */
    struct td_part *parts[TD_SESSION_OUTPUTS_MAX];
    unsigned output_count;
    unsigned parts_open;
    bool media_stored;
    bool io_failed;
    bool storage_failed; /* the sentence in `fail` is about the disk */
    bool source_ended;
    bool capture_stopping;
    bool capture_stopped;
    int64_t started_wall_us;
    int64_t accepted_us;    /* monotonic */
    int64_t alone_since_us; /* 0 = somebody is there */
    bool somebody_came;
    uint64_t scribe_errors; /* of the store, as told */
};

const char *td_session_state_name(enum td_session_state state)
{
    static const char *const names[] = {
        [TD_SESSION_STARTING] = "starting",   [TD_SESSION_WAITING] = "waiting",
        [TD_SESSION_RECORDING] = "recording", [TD_SESSION_FINISHING] = "finishing",
        [TD_SESSION_COMPLETE] = "complete",   [TD_SESSION_FAILED] = "failed",
        [TD_SESSION_ABORTED] = "aborted",
    };
    return names[state];
}

bool td_session_state_ended(enum td_session_state state)
{
    return state >= TD_SESSION_COMPLETE;
}

static void save(struct td_session *s)
{
    TD_MANIFEST_SET(s->chronicle.manifest.state, td_session_state_name(s->state));
    TD_MANIFEST_SET(s->chronicle.manifest.reason, s->reason);
    td_chronicle_save(&s->chronicle);
}

static void changed(struct td_session *s)
{
    save(s);
    if (s->config.changed != NULL)
        s->config.changed(s->config.ctx, s);
}

static void enter(struct td_session *s, enum td_session_state state)
{
    if (s->state == state)
        return;
    s->state = state;
    td_log_line(&s->log, TD_LOG_INFO, "event=state state=%s%s%s", td_session_state_name(state),
                s->reason[0] != '\0' ? " reason=" : "", s->reason);
    changed(s);
}

/* ---- the end ---- */

static enum td_session_state final_state(const struct td_session *s)
{
    if (s->media_stored)
        return s->io_failed ? TD_SESSION_FAILED : TD_SESSION_COMPLETE;
    return s->fail.code != 0 ? TD_SESSION_FAILED : TD_SESSION_ABORTED;
}

/* Manifest and timeline are written later than they are handed over; a failure is told here. */
static void watch_sidecars(struct td_session *s)
{
    int error = 0;
    uint64_t errors = td_store_scribe_errors(s->config.recorder->store, &error);
    if (errors == s->scribe_errors)
        return;
    s->scribe_errors = errors;
    td_log_line(&s->log, TD_LOG_ERROR, "event=sidecars_not_written count=%" PRIu64 " error=%s",
                errors, td_err_name(error));
}

static void maybe_end(struct td_session *s)
{
    if (!s->source_ended || !s->capture_stopped || s->parts_open > 0 ||
        td_session_state_ended(s->state))
        return;
    s->source = td_source_free(s->source);
    watch_sidecars(s);
    s->chronicle.manifest.ended_us = td_clock_wall_us();
    enter(s, final_state(s));
    s->config.ended(s->config.ctx, s);
}

static void stop_capture(struct td_session *s)
{
    if (s->capture_stopping)
        return;
    s->capture_stopping = true;
    /* The loop's mailbox is refilled by nothing while this message waits: see capture's bound. */
    int r = td_capture_stop(s->capture);
    if (r < 0) {
        s->capture_stopping = false;
        td_log_line(&s->log, TD_LOG_ERROR, "event=stop_delayed error=%s", td_err_name(r));
    }
}

void td_session_stop(struct td_session *s, const char *reason)
{
    if (s->state >= TD_SESSION_FINISHING) {
        stop_capture(s);
        maybe_end(s);
        return;
    }
    s->reason = reason;
    stop_capture(s);
    enter(s, TD_SESSION_FINISHING);
    if (s->source != NULL && !s->source_ended)
        td_source_stop(s->source);
    else
        s->source_ended = true;
    maybe_end(s);
}

void td_session_refuse(struct td_session *s, const struct td_fail *fail)
{
    (void)td_fail_set(&s->fail, fail->code, "%s", fail->text);
    s->source_ended = true;
    td_session_stop(s, "refused");
}

static void fail_session(struct td_session *s, const char *reason, int code, const char *text)
{
    (void)td_fail_set(&s->fail, code, "%s", text);
    td_log_line(&s->log, TD_LOG_ERROR, "event=failed reason=%s error=%s text=\"%s\"", reason,
                td_err_name(code), text);
    td_session_stop(s, reason);
}

/* ---- outputs ---- */

/* A single track is neither waited for nor joined by another kind of media. */
static enum td_output_media media_of(const struct td_session *s, const struct td_track_info *info)
{
    if (s->config.track == NULL)
        return TD_OUTPUT_AV;
    return info->kind == TD_MEDIA_VIDEO ? TD_OUTPUT_VIDEO : TD_OUTPUT_AUDIO;
}

static int open_output(struct td_session *s, unsigned index, enum td_output_media media)
{
    const struct td_roster_output *output = &s->roster.outputs[index];
    char base[TD_PATH_MAX];
    int r = s->roster.single ? td_layout_path(base, "%s", s->file_base)
                             : td_layout_path(base, "%s/%s", s->folder, output->name);
    if (r < 0)
        return r;
    struct td_capture_output config = {
        .base = base,
        .format = s->config.format,
        .media = media,
        .replace = s->config.replace,
    };
    r = td_capture_add_output(s->capture, &config);
    if (r < 0)
        return r;
    td_chronicle_output(&s->chronicle, output->participant, output->screen ? "screen" : "av");
    td_log_line(&s->log, TD_LOG_INFO, "event=output participant=\"%s\" base=%s",
                output->participant, base);
    s->roster.outputs[index].opened = true;
    return 0;
}

static int record_track(struct td_session *s, struct td_roster_track *track)
{
    int r = 0;
    if (!s->roster.outputs[track->output].opened)
        r = open_output(s, track->output, media_of(s, &track->info));
    if (r == 0)
        r = td_capture_add_track(s->capture, &track->info, track->output);
    if (r == 0 && track->bound)
        r = td_capture_bind(s->capture, &track->binding);
    if (r == 0 && s->source != NULL)
        r = td_source_select(s->source, track->info.handle, true);
    return r;
}

static void record_wanted(struct td_session *s)
{
    struct td_roster_track *track;
    while (s->state < TD_SESSION_FINISHING && (track = td_roster_next(&s->roster)) != NULL) {
        track->recorded = true;
        int r = record_track(s, track);
        if (r < 0)
            fail_session(s, "internal", r, td_err_text(r));
    }
}

static void choose(struct td_session *s)
{
    bool waited = s->accepted_us != 0 &&
                  td_clock_now_us() - s->accepted_us >= TD_PARTICIPANT_WAIT_US;
    if (td_roster_choose(&s->roster, waited))
        td_log_line(&s->log, TD_LOG_INFO, "event=chosen participant=\"%s\"", s->roster.chosen);
    record_wanted(s);
}

/* ---- source ---- */

static void on_accepted(void *ctx, const char *room_sid, const char *room_name)
{
    struct td_session *s = ctx;
    s->accepted_us = td_clock_now_us();
    if (s->roster.present_count == 0)
        s->alone_since_us = s->accepted_us;
    TD_MANIFEST_SET(s->chronicle.manifest.room_sid, room_sid);
    if (room_name != NULL && room_name[0] != '\0')
        TD_MANIFEST_SET(s->chronicle.manifest.room, room_name);
    if (s->state == TD_SESSION_STARTING)
        enter(s, TD_SESSION_WAITING);
}

static void on_participant(void *ctx, const char *identity, bool present)
{
    struct td_session *s = ctx;
    td_roster_presence(&s->roster, identity, present);
    s->somebody_came = s->somebody_came || present;
    if (s->roster.present_count > 0)
        s->alone_since_us = 0;
    else if (s->alone_since_us == 0)
        s->alone_since_us = td_clock_now_us();
    td_log_line(&s->log, TD_LOG_INFO, "event=participant identity=\"%s\" present=%d", identity,
                present);
}

static void on_track_added(void *ctx, const struct td_track_info *info)
{
    struct td_session *s = ctx;
    if (td_roster_add(&s->roster, info) < 0) {
        td_chronicle_note(&s->chronicle, TD_TIMELINE_LIMIT, TD_TIMELINE_NO_PTS, "tracks", NULL, 0);
        return;
    }
    td_chronicle_track(&s->chronicle, info, true);
    choose(s);
    const struct td_roster_track *track = td_roster_find(&s->roster, info->handle);
    if (track != NULL && track->refused)
        td_chronicle_note(&s->chronicle, TD_TIMELINE_LIMIT, TD_TIMELINE_NO_PTS, "outputs", NULL, 0);
}

static void on_track_bound(void *ctx, const struct td_track_binding *binding)
{
    struct td_session *s = ctx;
    struct td_roster_track *track = td_roster_find(&s->roster, binding->handle);
    if (track == NULL)
        return;
    track->binding = *binding;
    track->bound = true;
    td_chronicle_codec(&s->chronicle, binding);
    if (!track->recorded || s->capture_stopping)
        return;
    int r = td_capture_bind(s->capture, binding);
    if (r < 0)
        fail_session(s, "internal", r, td_err_text(r));
}

static void on_track_muted(void *ctx, uint32_t handle, bool muted)
{
    struct td_session *s = ctx;
    struct td_roster_track *track = td_roster_find(&s->roster, handle);
    if (track == NULL)
        return;
    track->info.muted = muted;
    td_chronicle_muted(&s->chronicle, handle, muted);
    if (track->recorded && !s->capture_stopping && td_capture_mute(s->capture, handle, muted) < 0)
        td_log_line(&s->log, TD_LOG_WARN, "event=mute_not_delivered handle=%u", handle);
}

static void on_track_removed(void *ctx, uint32_t handle)
{
    struct td_session *s = ctx;
    struct td_roster_track *track = td_roster_find(&s->roster, handle);
    if (track == NULL)
        return;
    td_chronicle_track(&s->chronicle, &track->info, false);
    if (track->recorded && !s->capture_stopping && td_capture_remove(s->capture, handle) < 0)
        td_log_line(&s->log, TD_LOG_WARN, "event=removal_not_delivered handle=%u", handle);
    td_roster_remove(&s->roster, handle);
    record_wanted(s);
}

static void on_connected(void *ctx)
{
    struct td_session *s = ctx;
    td_log_line(&s->log, TD_LOG_INFO, "event=connected");
}

static void on_source_ended(void *ctx, enum td_end_reason reason, const struct td_fail *fail)
{
    struct td_session *s = ctx;
    static const char *const words[] = {
        [TD_END_NONE] = "stopped",
        [TD_END_ROOM_CLOSED] = "room_closed",
        [TD_END_DISCONNECTED] = "disconnected",
        [TD_END_REFUSED] = "refused",
        [TD_END_FAILED] = "source_failed",
        [TD_END_STOPPED] = "stopped",
    };
    s->source_ended = true;
    if (fail != NULL && fail->code != 0 && s->state < TD_SESSION_FINISHING)
        (void)td_fail_set(&s->fail, fail->code, "%s", fail->text);
    td_log_line(&s->log, TD_LOG_INFO, "event=source_ended reason=%s text=\"%s\"", words[reason],
                fail != NULL ? fail->text : "");
    td_session_stop(s, words[reason]); /* may be the end */
}

struct td_source_events td_session_source_events(struct td_session *s)
{
    return (struct td_source_events){
        .ctx = s,
        .accepted = on_accepted,
        .participant = on_participant,
        .track_added = on_track_added,
        .track_bound = on_track_bound,
        .track_muted = on_track_muted,
        .track_removed = on_track_removed,
        .connected = on_connected,
        .ended = on_source_ended,
    };
}

struct td_media_sink td_session_sink(struct td_session *s)
{
    return td_capture_sink(s->capture);
}

void td_session_attach(struct td_session *s, struct td_source *source)
{
    assert(s->source == NULL);
    s->source = source;
    if (s->state >= TD_SESSION_FINISHING) {
        s->source_ended = false; /* it was taken for never made */
        td_source_stop(source);
        return;
    }
    int r = td_capture_attach(s->capture, source);
    if (r < 0)
        fail_session(s, "internal", r, td_err_text(r));
}

/* ---- capture ---- */

/* Where everybody is recorded, one publisher's codec does not end the others' recording. */
static void refused_codec(struct td_session *s, const struct td_event *event)
{
    const struct td_codec_info *codec = td_codec_info((enum td_codec)event->a);
    char text[TD_FAIL_TEXT_MAX];
    (void)snprintf(text, sizeof(text),
                   "%s cannot be stored in this format without transcoding; use --format mkv "
                   "or leave the format to tapedeck.",
                   codec != NULL ? codec->name : "This codec");
    if (s->roster.single) {
        fail_session(s, "codec", -TD_E_USAGE, text);
        return;
    }
    (void)td_fail_set(&s->fail, -TD_E_USAGE, "%s", text);
    td_log_line(&s->log, TD_LOG_ERROR, "event=output_refused output=%u text=\"%s\"", event->output,
                text);
}

static void on_event(void *ctx, const struct td_event *event)
{
    struct td_session *s = ctx;
    td_chronicle_event(&s->chronicle, event);
    switch (event->kind) {
    case TD_EVENT_DURATION:
        td_session_stop(s, "duration");
        break;
    case TD_EVENT_BACKLOG:
        fail_session(s, "disk_slow", -ETIMEDOUT,
                     "The disk did not take any data for 30 s; the recording ended with what is "
                     "stored. Check the disk.");
        break;
    case TD_EVENT_REFUSED:
        refused_codec(s, event);
        break;
    case TD_EVENT_FAILED:
        fail_session(s, "internal", (int)event->a, td_err_text((int)event->a));
        break;
    case TD_EVENT_GAP:
    case TD_EVENT_DROP:
    case TD_EVENT_SILENT:
    case TD_EVENT_CODEC:
    case TD_EVENT_RESOLUTION:
    case TD_EVENT_FIRST_FRAME:
    case TD_EVENT_LIMIT:
        break;
    }
}

static void watch_room(struct td_session *s)
{
    if (s->alone_since_us == 0 || s->state >= TD_SESSION_FINISHING)
        return;
    int64_t limit_us = s->somebody_came ? s->config.departure_timeout_us
                                        : s->config.empty_timeout_us;
    if (limit_us > 0 && td_clock_now_us() - s->alone_since_us >= limit_us)
        td_session_stop(s, s->somebody_came ? "empty_room" : "never_started");
}

static void show_parts(struct td_session *s)
{
    for (unsigned i = 0; i < s->output_count; i++) {
        struct td_session_output *output = &s->outputs[i];
        if (!output->growing)
            continue;
        output->duration_ms = s->stats.pts_us / TD_US_PER_MS;
        if (s->parts_open == 1)
            output->bytes = s->stats.bytes;
    }
}

static void on_stats(void *ctx, const struct td_capture_stats *stats)
{
    struct td_session *s = ctx;
    s->stats = *stats;
    watch_sidecars(s);
    show_parts(s);
    if (s->capture_stopping)
        return;
    if (s->roster.single && s->roster.chosen[0] == '\0')
        choose(s);
    watch_room(s);
    /* A stop that found the loop's mailbox full is carried out now. */
    if (s->state == TD_SESSION_FINISHING)
        stop_capture(s);
}

static void on_stopped(void *ctx)
{
    struct td_session *s = ctx;
    s->capture_stopped = true;
    maybe_end(s);
}

/* ---- parts ---- */

static void link_live(struct td_session *s, const struct td_part *part, bool growing)
{
    if (s->folder[0] == '\0')
        return;
    char safe[TD_NAME_MAX];
    char path[TD_PATH_MAX];
    char target[TD_PATH_MAX];
    td_name_sanitise(s->room, safe);
    int r = td_layout_path(path, "%s/live/%s.%s", s->config.data_dir, safe,
                           td_layout_name(part->final));
    if (r == 0)
        r = td_layout_path(target, "../recordings/%s/%s", td_layout_name(s->folder),
                           td_layout_name(part->growing));
    if (r < 0)
        return;
    struct td_fs *fs = s->config.recorder->fs;
    if (!growing && td_recover_link_lives(fs, path))
        return; /* another recording of this room took the name over, and grows */
    r = td_fs_unlink(fs, path);
    if (growing)
        r = td_fs_symlink(fs, target, path);
    if (r < 0 && r != -ENOENT)
        td_log_line(&s->log, TD_LOG_WARN, "event=live_link path=%s error=%s", path, td_err_name(r));
}

static void on_part_started(void *ctx, struct td_part *part)
{
    struct td_session *s = ctx;
    s->parts_open++;
    if (s->output_count < TD_SESSION_OUTPUTS_MAX) {
        struct td_session_output *output = &s->outputs[s->output_count];
        *output = (struct td_session_output){.growing = true};
        memcpy(output->participant, s->roster.outputs[part->output].participant,
               sizeof(output->participant));
        memcpy(output->file, part->growing, sizeof(output->file));
        s->parts[s->output_count++] = part;
    }
    if (s->chronicle.manifest.zero_us == TD_MANIFEST_NO_TIME)
        s->chronicle.manifest.zero_us = td_clock_wall_us() - (td_clock_now_us() - part->zero_us);
    td_chronicle_part(&s->chronicle, part, "growing", 0);
    link_live(s, part, true);
    if (s->state < TD_SESSION_RECORDING)
        enter(s, TD_SESSION_RECORDING);
    else
        changed(s);
}

static void on_part_failed(void *ctx, struct td_part *part, int error)
{
    struct td_session *s = ctx;
    char text[TD_FAIL_TEXT_MAX];
    if (part->told || error == -TD_E_DAMAGED)
        return; /* whether an unplayable file is a failure is known once it is closed */
    part->told = true;
    bool full = error == -ENOSPC || error == -EDQUOT;
    if (!s->storage_failed)
        td_fail_clear(&s->fail); /* what was lost matters more than why the source went */
    s->storage_failed = true;
    s->io_failed = s->io_failed || !full;
    (void)snprintf(text, sizeof(text), "Cannot write %.150s: %s%s", part->growing,
                   td_err_text(error),
                   full ? "; free some space; what was recorded before is valid." : ".");
    if (full)
        td_chronicle_note(&s->chronicle, TD_TIMELINE_DISK_FULL, s->stats.pts_us / TD_US_PER_MS,
                          NULL, NULL, 0);
    const char *reason = full ? "disk_full" : "io_error";
    if (s->state >= TD_SESSION_FINISHING)
        s->reason = reason; /* a file that cannot be finished is no ordinary end */
    fail_session(s, reason, error, text);
}

/* A part that ended before the disk took a byte of it: its empty files go. */
static void remove_empty(struct td_session *s, const struct td_part *part)
{
    struct td_fs *fs = s->config.recorder->fs;
    int r = td_fs_unlink(fs, part->growing);
    if (r == 0 && part->index[0] != '\0')
        r = td_fs_unlink(fs, part->index);
    if (r < 0 && r != -ENOENT)
        td_log_line(&s->log, TD_LOG_WARN, "event=empty_file path=%s error=%s", part->growing,
                    td_err_name(r));
}

static struct td_session_output *output_of(struct td_session *s, const struct td_part *part)
{
    for (unsigned i = 0; i < s->output_count; i++) {
        if (s->parts[i] == part)
            return &s->outputs[i];
    }
    return NULL;
}

static void on_part_closed(void *ctx, struct td_part *part, int error, uint64_t bytes)
{
    struct td_session *s = ctx;
    bool empty = error == -TD_E_DAMAGED && bytes == 0;
    link_live(s, part, false);
    struct td_session_output *output = output_of(s, part);
    if (output != NULL) {
        output->growing = false;
        output->bytes = bytes;
        output->duration_ms = part->scan.duration_us / TD_US_PER_MS;
        if (error == 0)
            memcpy(output->file, part->final, sizeof(output->file));
        s->parts[output - s->outputs] = NULL;
    }
    td_chronicle_part(&s->chronicle, part, error == 0 ? "complete" : "failed", bytes);
    s->media_stored = s->media_stored || (bytes > 0 && error != -TD_E_DAMAGED);
    if (empty)
        remove_empty(s, part);
    else if (error < 0)
        on_part_failed(s, part, error == -TD_E_DAMAGED ? -EIO : error);
    changed(s);
    s->parts_open--; /* last, so that nothing above can be the end */
    maybe_end(s);
}

/* ---- making one ---- */

static int make_folder(struct td_session *s, struct td_fail *ret_fail)
{
    struct td_fs *fs = s->config.recorder->fs;
    char live[TD_PATH_MAX];
    int r = td_layout_folder(s->config.data_dir, s->room, s->started_wall_us, s->id, s->folder);
    if (r == 0)
        r = td_layout_path(live, "%s/live", s->config.data_dir);
    if (r == 0)
        r = td_fs_mkdirs(fs, s->folder, 0755);
    if (r == 0)
        r = td_fs_mkdirs(fs, live, 0755);
    if (r == 0)
        r = td_layout_path(s->chronicle.manifest_path, "%s/manifest.json", s->folder);
    if (r == 0)
        r = td_layout_path(s->chronicle.timeline_path, "%s/timeline.jsonl", s->folder);
    if (r < 0)
        return td_fail_set(ret_fail, r, "Cannot make the folder %.150s: %s.", s->folder,
                           td_err_text(r));
    return 0;
}

static int name_single(struct td_session *s, struct td_fail *ret_fail)
{
    int r = td_layout_path(s->file_base, "%s", s->config.file_base);
    if (r == 0 && s->config.sidecar)
        r = td_layout_path(s->chronicle.manifest_path, "%s.json", s->file_base);
    if (r == 0 && s->config.sidecar)
        r = td_layout_path(s->chronicle.timeline_path, "%s.timeline.jsonl", s->file_base);
    return r < 0 ? td_fail_set(ret_fail, r, "The path is too long.") : 0;
}

static int prepare(struct td_session *s, struct td_fail *ret_fail)
{
    const struct td_session_config *config = &s->config;
    int r = 0;
    if (config->id != NULL)
        (void)snprintf(s->id, sizeof(s->id), "%s", config->id);
    else
        r = td_id_new("rec", s->id);
    if (r < 0)
        return td_fail_set(ret_fail, r, "No random numbers: %s.", td_err_text(r));
    TD_MANIFEST_SET(s->room, config->room);
    s->started_wall_us = td_clock_wall_us();
    td_log_scope(&s->log, config->recorder->log, "recording=%s room=\"%s\"", s->id, s->room);
    td_chronicle_init(&s->chronicle, config->recorder, &s->log);
    struct td_manifest *manifest = &s->chronicle.manifest;
    TD_MANIFEST_SET(manifest->id, s->id);
    TD_MANIFEST_SET(manifest->room, s->room);
    manifest->started_us = s->started_wall_us;
    return config->file_base != NULL ? name_single(s, ret_fail) : make_folder(s, ret_fail);
}

int td_session_new(const struct td_session_config *config, struct td_fail *ret_fail,
                   struct td_session **ret_session)
{
    assert((config->file_base != NULL) != (config->data_dir != NULL));
    struct td_session *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    s->config = *config;
    s->reason = "";
    size_t limit = config->memory_limit_bytes != 0 ? config->memory_limit_bytes
                                                   : (size_t)TD_RECORDING_MEMORY_MB << 20;
    td_budget_init(&s->budget, config->recorder->budget, limit);
    struct td_capture_config capture = {
        .recorder = config->recorder,
        .budget = &s->budget,
        .duration_us = config->duration_us,
        .key_interval_us = config->key_interval_us,
        /* In a whole room many tracks wait at once; memory that is not needed is not touched. */
        .reorder_slots = config->file_base != NULL ? TD_REORDER_SLOTS : ROOM_REORDER_SLOTS,
        .dump_path = config->dump_path,
        .events = {.ctx = s,
                   .event = on_event,
                   .stats = on_stats,
                   .stopped = on_stopped,
                   .parts = {.ctx = s,
                             .started = on_part_started,
                             .failed = on_part_failed,
                             .closed = on_part_closed}},
    };
    int r = prepare(s, ret_fail);
    if (r == 0 && (r = td_roster_init(&s->roster, config->file_base != NULL, config->participant,
                                      config->track)) < 0)
        (void)td_fail_set(ret_fail, r, "Out of memory.");
    if (r == 0 && (r = td_capture_new(&capture, &s->capture)) < 0)
        (void)td_fail_set(ret_fail, r, "The recording cannot start: %s.", td_err_text(r));
    if (r < 0) {
        td_session_free(s);
        return r;
    }
    save(s);
    *ret_session = s;
    return 0;
}

struct td_session *td_session_free(struct td_session *s)
{
    if (s == NULL)
        return NULL;
    td_capture_free(s->capture);
    td_chronicle_done(&s->chronicle);
    td_roster_done(&s->roster);
    td_budget_done(&s->budget);
    free(s);
    return NULL;
}

void td_session_status(const struct td_session *s, struct td_session_status *ret_status)
{
    *ret_status = (struct td_session_status){
        .id = s->id,
        .room = s->room,
        .folder = s->folder,
        .state = s->state,
        .reason = s->reason,
        .fail = &s->fail,
        .stats = &s->stats,
        .outputs = s->outputs,
        .output_count = s->output_count,
        .started_wall_us = s->started_wall_us,
        .memory_bytes = td_budget_used(&s->budget),
    };
}
