/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/layout.h"
#include "recorder/session_state.h"

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
    td_chronicle_output(&s->chronicle, output->participant, output->screen ? "screen" : "av",
                        output->name);
    td_chronicle_save(&s->chronicle); /* its file is known by name before it is there */
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
    while (!td_session_stopping(s) && (track = td_roster_next(&s->roster)) != NULL) {
        track->recorded = true;
        int r = record_track(s, track);
        if (r < 0)
            td_session_fail(s, "internal", r, td_err_text(r));
    }
}

void td_session_choose(struct td_session *s)
{
    bool waited = s->accepted_us != 0 &&
                  td_clock_now_us() - s->accepted_us >= TD_PARTICIPANT_WAIT_US;
    if (td_roster_choose(&s->roster, waited))
        td_log_line(&s->log, TD_LOG_INFO, "event=chosen participant=\"%s\"", s->roster.chosen);
    record_wanted(s);
}

/* ---- source ---- */

static void back_in_pause(struct td_session *s)
{
    if (!s->storage_failed) /* what the old source said is past */
        td_fail_clear(&s->fail);
    td_session_enter(s, TD_SESSION_PAUSED);
}

static void on_accepted(void *ctx, const char *room_sid, const char *room_name)
{
    struct td_session *s = ctx;
    struct td_manifest *manifest = &s->chronicle.manifest;
    bool other = manifest->room_sid[0] != '\0' && strcmp(manifest->room_sid, room_sid) != 0;
    s->accepted = true;
    s->ever_accepted = true;
    s->lost_us = 0;
    s->accepted_us = td_clock_now_us();
    if (other && s->state == TD_SESSION_INTERRUPTED) {
        td_session_stop(s, s->lost_why); /* design section 5: another room of the same name */
        return;
    }
    if (s->roster.present_count == 0)
        s->alone_since_us = s->accepted_us;
    TD_MANIFEST_SET(manifest->room_sid, room_sid);
    if (room_name != NULL && room_name[0] != '\0')
        TD_MANIFEST_SET(manifest->room, room_name);
    if (s->state == TD_SESSION_STARTING)
        td_session_enter(s, TD_SESSION_WAITING);
    else if (s->state == TD_SESSION_INTERRUPTED && s->paused)
        back_in_pause(s);
    else if (s->state == TD_SESSION_INTERRUPTED && !s->media_seen)
        td_session_enter(s, TD_SESSION_WAITING);
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
    td_session_choose(s);
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
        td_session_fail(s, "internal", r, td_err_text(r));
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

/* ---- a source that is lost and may come back ---- */

static bool may_return(const struct td_session *s, enum td_end_reason reason)
{
    if (s->config.limits.resume_window_us == 0 || !s->ever_accepted || td_session_stopping(s))
        return false;
    bool lost = reason == TD_END_DISCONNECTED || reason == TD_END_FAILED;
    return lost || (reason == TD_END_REFUSED && s->state == TD_SESSION_INTERRUPTED);
}

static void forget_tracks(struct td_session *s)
{
    while (s->roster.track_count > 0)
        on_track_removed(s, s->roster.tracks[0]->info.handle);
    td_roster_leave(&s->roster);
    s->alone_since_us = 0;
}

/* The files stay open; whoever owns us may attach another source. */
static void lose_source(struct td_session *s, const char *why)
{
    struct td_source *source = s->source;
    s->source = NULL;
    s->accepted = false;
    int r = td_capture_detach(s->capture, source);
    if (r < 0) {
        s->source = source;
        td_session_fail(s, "internal", r, td_err_text(r));
        return;
    }
    s->detaching++;
    forget_tracks(s);
    if (s->lost_us == 0)
        s->lost_us = td_clock_now_us();
    s->lost_why = why;
    if (s->media_seen)
        td_chronicle_interrupted(&s->chronicle, td_clock_wall_us(), s->stats.pts_us, why);
    td_session_enter(s, TD_SESSION_INTERRUPTED);
    s->config.lost(s->config.ctx, s);
}

void td_session_detached(void *ctx, struct td_source *source)
{
    struct td_session *s = ctx;
    td_source_free(source);
    s->detaching--;
    td_session_maybe_end(s);
}

/* Media is stored again. */
void td_session_found(struct td_session *s, int64_t pts_us)
{
    if (s->lost_us != 0)
        return; /* the last of a source that is gone */
    td_chronicle_recovered(&s->chronicle, pts_us);
    if (s->state != TD_SESSION_INTERRUPTED)
        return;
    td_fail_clear(&s->fail);
    td_session_enter(s, TD_SESSION_RECORDING);
}

void td_session_watch_lost(struct td_session *s)
{
    if (s->lost_us != 0 && !td_session_stopping(s) &&
        td_clock_now_us() - s->lost_us >= s->config.limits.resume_window_us)
        td_session_stop(s, s->lost_why);
}

static void on_source_ended(void *ctx, enum td_end_reason reason, const struct td_fail *fail)
{
    struct td_session *s = ctx;
    static const char *const words[] = {
        [TD_END_NONE] = "stopped",
        [TD_END_ROOM_CLOSED] = "room_closed",
        [TD_END_DISCONNECTED] = "disconnected",
        [TD_END_LEFT] = "disconnected",
        [TD_END_REFUSED] = "refused",
        [TD_END_FAILED] = "source_failed",
        [TD_END_STOPPED] = "stopped",
    };
    td_log_line(&s->log, TD_LOG_INFO, "event=source_ended reason=%s text=\"%s\"", words[reason],
                fail != NULL ? fail->text : "");
    if (fail != NULL && fail->code != 0 && !td_session_stopping(s))
        (void)td_fail_set(&s->fail, fail->code, "%s", fail->text);
    if (may_return(s, reason)) {
        lose_source(s, s->lost_us != 0 ? s->lost_why : words[reason]);
        return;
    }
    s->source_ended = true;
    if (s->leaving)
        td_session_maybe_end(s);
    else
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
    if (td_session_stopping(s)) {
        s->source_ended = false; /* it was taken for never made */
        td_source_stop(source);
        return;
    }
    int r = td_capture_attach(s->capture, source);
    if (r < 0)
        td_session_fail(s, "internal", r, td_err_text(r));
}
