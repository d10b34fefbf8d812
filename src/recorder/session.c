/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "recorder/session_state.h"

const char *td_session_state_name(enum td_session_state state)
{
    static const char *const names[] = {
        [TD_SESSION_STARTING] = "starting",       [TD_SESSION_WAITING] = "waiting",
        [TD_SESSION_RECORDING] = "recording",     [TD_SESSION_PAUSED] = "paused",
        [TD_SESSION_INTERRUPTED] = "interrupted", [TD_SESSION_FINISHING] = "finishing",
        [TD_SESSION_COMPLETE] = "complete",       [TD_SESSION_FAILED] = "failed",
        [TD_SESSION_ABORTED] = "aborted",
    };
    return names[state];
}

bool td_session_state_ended(enum td_session_state state)
{
    return state >= TD_SESSION_COMPLETE;
}

void td_session_save(struct td_session *s)
{
    TD_MANIFEST_SET(s->chronicle.manifest.state, td_session_state_name(s->state));
    TD_MANIFEST_SET(s->chronicle.manifest.reason, s->reason);
    s->chronicle.manifest.paused = s->paused;
    td_chronicle_save(&s->chronicle);
}

void td_session_changed(struct td_session *s)
{
    td_session_save(s);
    if (s->config.changed != NULL)
        s->config.changed(s->config.ctx, s);
}

void td_session_enter(struct td_session *s, enum td_session_state state)
{
    if (s->state == state)
        return;
    s->state = state;
    td_log_line(&s->log, TD_LOG_INFO, "event=state state=%s%s%s", td_session_state_name(state),
                s->reason[0] != '\0' ? " reason=" : "", s->reason);
    td_session_changed(s);
}

/* ---- the end ---- */

static enum td_session_state final_state(const struct td_session *s)
{
    if (s->media_stored)
        return s->io_failed ? TD_SESSION_FAILED : TD_SESSION_COMPLETE;
    return s->fail.code != 0 ? TD_SESSION_FAILED : TD_SESSION_ABORTED;
}

/* Manifest and timeline are written later than they are handed over; a failure is told here. */
void td_session_watch_sidecars(struct td_session *s)
{
    int error = 0;
    uint64_t errors = td_store_scribe_errors(s->config.recorder->store, &error);
    if (errors == s->scribe_errors)
        return;
    s->scribe_errors = errors;
    td_log_line(&s->log, TD_LOG_ERROR, "event=sidecars_not_written count=%" PRIu64 " error=%s",
                errors, td_err_name(error));
}

void td_session_maybe_end(struct td_session *s)
{
    if (!s->source_ended || !s->capture_stopped || s->shelf.growing > 0 || s->detaching > 0 ||
        s->over)
        return;
    s->over = true;
    s->source = td_source_free(s->source);
    td_session_watch_sidecars(s);
    if (s->leaving) {
        if (s->media_seen)
            td_chronicle_interrupted(&s->chronicle, td_clock_wall_us(), s->stats.pts_us,
                                     "shutdown");
        td_session_save(s);
    } else {
        s->chronicle.manifest.ended_us = td_clock_wall_us();
        td_session_enter(s, final_state(s));
    }
    s->config.ended(s->config.ctx, s);
}

/* Nothing new is begun any more. */
bool td_session_stopping(const struct td_session *s)
{
    return s->leaving || s->state >= TD_SESSION_FINISHING;
}

void td_session_stop_capture(struct td_session *s)
{
    if (s->capture_stopping)
        return;
    s->capture_stopping = true;
    /* The loop's mailbox is refilled by nothing while this message waits: see capture's bound. */
    int r = td_capture_stop(s->capture, s->leaving);
    if (r < 0) {
        s->capture_stopping = false;
        td_log_line(&s->log, TD_LOG_ERROR, "event=stop_delayed error=%s", td_err_name(r));
    }
}

static void stop_source(struct td_session *s)
{
    if (s->source != NULL && !s->source_ended)
        td_source_stop(s->source);
    else
        s->source_ended = true;
}

void td_session_stop(struct td_session *s, const char *reason)
{
    if (td_session_stopping(s)) {
        td_session_stop_capture(s);
        td_session_maybe_end(s);
        return;
    }
    s->reason = reason;
    td_session_stop_capture(s);
    td_session_enter(s, TD_SESSION_FINISHING);
    stop_source(s);
    td_session_maybe_end(s);
}

void td_session_leave(struct td_session *s)
{
    if (td_session_stopping(s))
        return; /* it ends by itself */
    s->leaving = true;
    td_session_stop_capture(s);
    td_session_enter(s, TD_SESSION_INTERRUPTED);
    stop_source(s);
    td_session_maybe_end(s);
}

void td_session_refuse(struct td_session *s, const struct td_fail *fail)
{
    if (s->lost_us != 0)
        return; /* until the window is over */
    (void)td_fail_set(&s->fail, fail->code, "%s", fail->text);
    s->source_ended = true;
    td_session_stop(s, "refused");
}

void td_session_fail(struct td_session *s, const char *reason, int code, const char *text)
{
    (void)td_fail_set(&s->fail, code, "%s", text);
    td_log_line(&s->log, TD_LOG_ERROR, "event=failed reason=%s error=%s text=\"%s\"", reason,
                td_err_name(code), text);
    td_session_stop(s, reason);
}

/* ---- pause ---- */

int td_session_pause(struct td_session *s, const char *reason)
{
    if (td_session_stopping(s) || !s->ever_accepted)
        return -TD_E_STATE;
    if (s->paused)
        return 0;
    int r = td_capture_pause(s->capture);
    if (r < 0)
        return r;
    s->paused = true;
    s->reason = reason;
    if (s->state != TD_SESSION_INTERRUPTED)
        td_session_enter(s, TD_SESSION_PAUSED);
    else
        td_session_changed(s); /* it comes back as paused, also after a crash */
    return 0;
}

int td_session_resume(struct td_session *s)
{
    if (td_session_stopping(s))
        return -TD_E_STATE;
    if (!s->paused)
        return 0;
    int r = td_capture_resume(s->capture);
    if (r < 0)
        return r;
    s->paused = false;
    s->storage_failed = false;
    s->reason = "";
    td_fail_clear(&s->fail);
    if (s->state == TD_SESSION_PAUSED)
        td_session_enter(s, s->media_seen ? TD_SESSION_RECORDING : TD_SESSION_WAITING);
    else
        td_session_changed(s);
    return 0;
}

void td_session_set_limits(struct td_session *s, const struct td_session_limits *limits)
{
    s->config.limits = *limits;
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
        .shelf = &s->shelf,
        .manifest = &s->chronicle.manifest,
        .started_wall_us = s->started_wall_us,
        .ended_wall_us = s->chronicle.manifest.ended_us,
        .memory_bytes = td_budget_used(&s->budget),
        .left = s->leaving,
        .accepted = s->ever_accepted,
    };
}
