/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "media/codec.h"
#include "recorder/layout.h"
#include "recorder/live.h"
#include "recorder/session_state.h"

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
        td_session_fail(s, "codec", -TD_E_USAGE, text);
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
    if (td_session_stopping(s))
        return;
    switch (event->kind) {
    case TD_EVENT_DURATION:
        td_session_stop(s, "duration");
        break;
    case TD_EVENT_FIRST_FRAME:
        td_session_found(s, event->pts_us);
        break;
    case TD_EVENT_RESUMED:
        td_session_found(s, event->pts_us);
        td_session_changed(s);
        break;
    case TD_EVENT_BACKLOG:
        if (event->a == -ENOBUFS) {
            td_session_fail(
                s, "memory_limit", -ENOBUFS,
                "The memory of this recording is used up; it ended with what is stored. "
                "Raise limits.memory_limit_mb.");
            break;
        }
        td_session_fail(s, "disk_slow", -ETIMEDOUT,
                        "The disk did not take any data for 30 s; the recording ended with what is "
                        "stored. Check the disk.");
        break;
    case TD_EVENT_REFUSED:
        refused_codec(s, event);
        break;
    case TD_EVENT_FAILED:
        td_session_fail(s, "internal", (int)event->a, td_err_text((int)event->a));
        break;
    case TD_EVENT_GAP:
    case TD_EVENT_DROP:
    case TD_EVENT_SILENT:
    case TD_EVENT_CODEC:
    case TD_EVENT_RESOLUTION:
    case TD_EVENT_PAUSED:
    case TD_EVENT_LIMIT:
        break;
    }
}

static void watch_room(struct td_session *s)
{
    if (s->alone_since_us == 0 || td_session_stopping(s))
        return;
    const struct td_session_limits *limits = &s->config.limits;
    int64_t limit_us = s->somebody_came ? limits->departure_timeout_us : limits->empty_timeout_us;
    if (limit_us > 0 && td_clock_now_us() - s->alone_since_us >= limit_us)
        td_session_stop(s, s->somebody_came ? "empty_room" : "never_started");
}

static void alarm(struct td_session *s, enum td_timeline_kind kind, const char *word)
{
    td_log_line(&s->log, TD_LOG_WARN, "event=%s", word);
    td_chronicle_note(&s->chronicle, kind, s->stats.pts_us / TD_US_PER_MS, word, NULL, 0);
}

static void watch_numbers(struct td_session *s)
{
    if (td_session_stopping(s))
        return;
    unsigned alarms = 0;
    if (s->state == TD_SESSION_RECORDING)
        alarms = td_watchdog_check(&s->watchdog, &s->stats, td_clock_now_us());
    else
        s->watchdog = (struct td_watchdog){.grown_us = 0}; /* nothing has to grow */
    if ((alarms & TD_ALARM_DISK_SLOW) != 0)
        alarm(s, TD_TIMELINE_DISK_SLOW, "no_disk_write");
    if ((alarms & TD_ALARM_NOT_GROWING) != 0)
        alarm(s, TD_TIMELINE_LIMIT, "not_growing");
    struct td_session_limits limits = s->config.limits;
    if (s->state != TD_SESSION_RECORDING && s->state != TD_SESSION_WAITING)
        limits.gap_limit_us = 0; /* nothing is expected */
    const char *reason = td_watchdog_limit(&limits, &s->stats);
    if (reason != NULL) {
        td_chronicle_note(&s->chronicle, TD_TIMELINE_LIMIT, s->stats.pts_us / TD_US_PER_MS, reason,
                          NULL, 0);
        td_session_stop(s, reason);
    }
}

/* Before the media loop has made its outputs, or stored anything in them, its numbers are none. */
static void keep_known(struct td_session *s, const struct td_capture_stats *known)
{
    if (s->stats.pts_us < known->pts_us)
        s->stats.pts_us = known->pts_us;
    if (s->stats.bytes >= known->bytes)
        return;
    s->stats.bytes = known->bytes;
    s->stats.written_bytes = known->written_bytes;
    s->stats.synced_bytes = known->synced_bytes;
}

static void on_stats(void *ctx, const struct td_capture_stats *stats)
{
    struct td_session *s = ctx;
    struct td_capture_stats known = s->stats;
    s->stats = *stats;
    s->stats.bytes += s->bytes_before;
    s->stats.written_bytes += s->bytes_before;
    s->stats.synced_bytes += s->bytes_before;
    keep_known(s, &known);
    td_session_watch_sidecars(s);
    td_shelf_progress(&s->shelf, s->stats.pts_us / TD_US_PER_MS, stats->growing_bytes);
    if (s->capture_stopping)
        return;
    if (s->roster.single && s->roster.chosen[0] == '\0')
        td_session_choose(s);
    watch_room(s);
    td_session_watch_lost(s);
    watch_numbers(s);
    /* A stop that found the loop's mailbox full is carried out now. */
    if (td_session_stopping(s))
        td_session_stop_capture(s);
}

static void on_stopped(void *ctx)
{
    struct td_session *s = ctx;
    s->capture_stopped = true;
    td_session_maybe_end(s);
}

/* ---- parts ---- */

static void link_live(struct td_session *s, const struct td_part *part, bool growing)
{
    if (s->folder[0] == '\0')
        return;
    struct td_fs *fs = s->config.recorder->fs;
    int r = growing ? td_live_link(fs, s->config.data_dir, s->room, s->folder, part)
                    : td_live_unlink(fs, s->config.data_dir, s->room, part);
    if (r < 0)
        td_log_line(&s->log, TD_LOG_WARN, "event=live_link file=%s error=%s",
                    td_layout_name(part->growing), td_err_name(r));
}

static void on_part_started(void *ctx, struct td_part *part)
{
    struct td_session *s = ctx;
    struct td_manifest *manifest = &s->chronicle.manifest;
    const struct td_roster_output *output = &s->roster.outputs[part->output];
    td_shelf_started(&s->shelf, part, output->participant, output->screen ? "screen" : "av");
    s->media_seen = true;
    if (manifest->zero_us == TD_MANIFEST_NO_TIME)
        manifest->zero_us = td_clock_wall_us() - (td_clock_now_us() - part->zero_us) -
                            manifest->paused_us;
    td_chronicle_part(&s->chronicle, part, "growing", 0);
    link_live(s, part, true);
    if (s->state < TD_SESSION_RECORDING)
        td_session_enter(s, TD_SESSION_RECORDING);
    else
        td_session_changed(s);
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
    if (full && s->config.limits.pause_on_full && td_session_pause(s, "disk") == 0) {
        (void)td_fail_set(&s->fail, error, "%s", text);
        td_session_changed(s);
        return;
    }
    const char *reason = full ? "disk_full" : error == -TD_E_LOST ? "file_lost" : "io_error";
    if (s->state >= TD_SESSION_FINISHING)
        s->reason = reason; /* a file that cannot be finished is no ordinary end */
    td_session_fail(s, reason, error, text);
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

static void on_part_closed(void *ctx, struct td_part *part, int error, uint64_t bytes)
{
    struct td_session *s = ctx;
    bool empty = error == -TD_E_DAMAGED && bytes == 0;
    if (!part->kept) {
        td_chronicle_part(&s->chronicle, part, part->renamed ? "complete" : "failed", bytes);
        s->media_stored = s->media_stored || (bytes > 0 && error != -TD_E_DAMAGED);
    }
    if (empty)
        remove_empty(s, part);
    else if (error < 0)
        on_part_failed(s, part, error == -TD_E_DAMAGED ? -EIO : error);
    link_live(s, part, false);
    td_shelf_closed(&s->shelf, part, part->renamed, bytes);
    td_session_changed(s);
    td_session_maybe_end(s);
}

struct td_capture_events td_session_capture_events(struct td_session *s)
{
    return (struct td_capture_events){
        .ctx = s,
        .event = on_event,
        .stats = on_stats,
        .stopped = on_stopped,
        .detached = td_session_detached,
        .parts = {.ctx = s,
                  .started = on_part_started,
                  .failed = on_part_failed,
                  .closed = on_part_closed},
    };
}
