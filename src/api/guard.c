/* SPDX-License-Identifier: Apache-2.0 */
#include "api/guard.h"

#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/headroom.h"
#include "api/round.h"
#include "base/clock.h"

#define RETENTION_MIN_US INT64_C(10000000) /* many that end together are one occasion */
/* A quota of the user is a full disk that no measure shows: what is let go on stops again at once.
 * Each time it does, the next try waits twice as long. */
#define RESUME_WAIT_MIN_US INT64_C(2000000)
#define RESUME_WAIT_MAX_US INT64_C(300000000)
#define RESUME_GOOD_US INT64_C(60000000) /* what ran for so long ran */
#define COMPLAIN_US INT64_C(60000000)    /* the same failure is not told more often */

/* What goes to the store thread and comes back. Meanwhile it belongs to the job, but for `guard`,
 * which is the control loop's all the time. */
struct flight {
    struct td_round round;
    sem_t landed;           /* posted when the job is done with the round */
    struct td_guard *guard; /* NULL: it was freed meanwhile */
};

struct td_guard {
    struct td_guard_config config;
    struct flight *flight;
    bool away; /* the flight is */
    guint timer;
    struct td_guard_stats stats;
    struct td_headroom_acts acts;
    bool again;       /* look once more when it is back */
    bool ended;       /* a recording ended since the last retention */
    bool disk_paused; /* there may be some that are paused for want of space */
    int64_t retained_us;
    int64_t resumed_us;
    int64_t resume_wait_us;
    int64_t complained_us;
    char ids[TD_RECORDINGS_RUNNING_MAX][TD_ID_MAX]; /* while all of them are acted on */
    unsigned id_count;
};

static const struct td_log *guard_log(const struct td_guard *g)
{
    return g->config.recorder->log;
}

/* ---- acting ---- */

static void collect(void *ctx, struct td_recording *recording)
{
    struct td_guard *g = ctx;
    if (g->id_count < TD_RECORDINGS_RUNNING_MAX)
        (void)snprintf(g->ids[g->id_count++], TD_ID_MAX, "%s", td_recording_id(recording));
}

/* By id, because what is stopped may be gone before the next one is looked at. */
static unsigned for_all(struct td_guard *g, bool (*act)(struct td_recording *recording))
{
    unsigned count = 0;
    g->id_count = 0;
    td_recordings_each(g->config.recordings, collect, g);
    for (unsigned i = 0; i < g->id_count; i++) {
        struct td_recording *recording = td_recordings_by_id(g->config.recordings, g->ids[i]);
        count += recording != NULL && act(recording) ? 1 : 0;
    }
    return count;
}

static bool is_state(const json_t *doc, const char *state, const char *reason)
{
    const char *has_state = json_string_value(json_object_get(doc, "state"));
    const char *has_reason = json_string_value(json_object_get(doc, "reason"));
    return has_state != NULL && has_reason != NULL && strcmp(has_state, state) == 0 &&
           strcmp(has_reason, reason) == 0;
}

static bool is_disk_paused(const struct td_recording *recording)
{
    json_t *doc = td_recording_json(recording);
    bool paused = is_state(doc, "paused", "disk");
    json_decref(doc);
    return paused;
}

static bool end_one(struct td_recording *recording)
{
    td_recording_stop(recording, "disk_full");
    return true;
}

/* One that starts or ends cannot be paused; it is asked again with the next look. */
static bool pause_one(struct td_recording *recording)
{
    return td_recording_pause(recording, "disk") == 0;
}

static bool resume_one(struct td_recording *recording)
{
    return is_disk_paused(recording) && td_recording_resume(recording) == 0;
}

static void tell_act(const struct td_guard *g, const char *event, unsigned count)
{
    if (count > 0)
        td_log_line(guard_log(g), TD_LOG_WARN, "event=%s recordings=%u free_bytes=%" PRIu64, event,
                    count, g->stats.free_bytes);
}

static void refuse(struct td_guard *g, bool refuses)
{
    if (!refuses) {
        if (g->stats.refusing)
            td_recordings_refuse(g->config.recordings, NULL);
        g->stats.refusing = false;
        return;
    }
    const struct td_round *round = &g->flight->round;
    char why[TD_FAIL_TEXT_MAX];
    const double mib = 1024.0 * 1024.0;
    if (round->space.files_free < 2 * TD_HEADROOM_FILES_MIN)
        (void)snprintf(why, sizeof(why), "The disk is full: it can hold %" PRIu64 " more files.",
                       round->space.files_free);
    else
        (void)snprintf(why, sizeof(why),
                       "The disk is full: %.1f MiB are free, and disk.min_free_bytes is %.1f MiB.",
                       (double)round->space.free_bytes / mib,
                       (double)round->rules.min_free_bytes / mib);
    td_recordings_refuse(g->config.recordings, why);
    g->stats.refusing = true;
}

static void resume(struct td_guard *g)
{
    int64_t now_us = td_clock_now_us();
    if (g->resumed_us != 0 && now_us - g->resumed_us < g->resume_wait_us)
        return;
    g->disk_paused = false;
    unsigned count = for_all(g, resume_one);
    if (count == 0)
        return;
    bool good = g->resumed_us == 0 || now_us - g->resumed_us - g->resume_wait_us > RESUME_GOOD_US;
    int64_t longer_us = g->resume_wait_us < RESUME_WAIT_MAX_US / 2 ? g->resume_wait_us * 2
                                                                   : RESUME_WAIT_MAX_US;
    g->resume_wait_us = good ? RESUME_WAIT_MIN_US : longer_us;
    g->resumed_us = now_us;
    tell_act(g, "disk_resumed", count);
}

static void act(struct td_guard *g, const struct td_headroom_acts *acts)
{
    refuse(g, acts->refuse);
    if (acts->end) {
        unsigned count = for_all(g, end_one);
        tell_act(g, "disk_full_ended", g->acts.end ? 0 : count);
    }
    if (acts->pause) {
        unsigned count = for_all(g, pause_one);
        tell_act(g, "disk_full_paused", g->acts.pause ? 0 : count);
        g->disk_paused = true;
    }
    if (acts->resume && g->disk_paused)
        resume(g);
    g->acts = *acts;
}

/* ---- reading an answer ---- */

static void complain(struct td_guard *g, const struct td_round *round)
{
    int64_t now_us = td_clock_now_us();
    bool failed = round->error < 0 || round->failures > 0 || round->reserve_error < 0;
    if (!failed || (g->complained_us != 0 && now_us - g->complained_us < COMPLAIN_US))
        return;
    g->complained_us = now_us;
    if (round->error < 0)
        td_log_line(guard_log(g), TD_LOG_ERROR, "event=disk_unknown error=%s",
                    td_err_name(round->error));
    if (round->failures > 0)
        td_log_line(guard_log(g), TD_LOG_ERROR, "event=recordings_not_removed count=%u error=%s",
                    round->failures, td_err_name(round->failure));
    if (round->reserve_error < 0)
        td_log_line(guard_log(g), TD_LOG_WARN, "event=no_disk_reserve bytes=%" PRIu64 " error=%s",
                    round->reserve_bytes, td_err_name(round->reserve_error));
}

static void tell_removals(struct td_guard *g, const struct td_round *round)
{
    for (unsigned i = 0; i < round->removal_count; i++) {
        const struct td_round_removal *removal = &round->removals[i];
        td_log_line(guard_log(g), TD_LOG_INFO,
                    "event=recording_removed recording_id=%s folder=%s bytes=%" PRIu64 " why=%s",
                    removal->id, removal->folder, removal->bytes, removal->why);
        g->stats.removed_total++;
        g->stats.removed_bytes_total += removal->bytes;
    }
}

static void tell_low(const struct td_guard *g, const struct td_round *round)
{
    if (round->low == g->stats.low)
        return;
    td_log_line(guard_log(g), round->low ? TD_LOG_WARN : TD_LOG_INFO,
                "event=%s free_bytes=%" PRIu64 " min_free_bytes=%" PRIu64 " files_free=%" PRIu64,
                round->low ? "disk_low" : "disk_ok", round->space.free_bytes,
                round->rules.min_free_bytes, round->space.files_free);
}

static void read_answer(struct td_guard *g, const struct td_round *round)
{
    tell_removals(g, round);
    complain(g, round);
    g->stats.measured = round->error == 0;
    g->stats.reserve_held = round->reserve_held;
    if (round->error < 0)
        return; /* what is not known changes nothing */
    tell_low(g, round);
    g->stats.free_bytes = round->space.free_bytes;
    g->stats.total_bytes = round->space.total_bytes;
    g->stats.low = round->low;
    struct td_headroom_acts acts;
    td_headroom_decide(&round->rules, &round->headroom, round->exhausted, &acts);
    act(g, &acts);
}

/* ---- rounds ---- */

static void wait_landed(struct flight *flight)
{
    int r;
    do {
        r = sem_wait(&flight->landed);
    } while (r < 0 && errno == EINTR);
    assert(r == 0);
}

static void free_flight(struct flight *flight)
{
    td_round_done(&flight->round);
    (void)sem_destroy(&flight->landed); /* fails only for what is no semaphore */
    free(flight);
}

static int run(void *arg) /* the store thread */
{
    struct flight *flight = arg;
    td_round_run(&flight->round, td_clock_now_us(), td_clock_wall_us());
    int r = sem_post(&flight->landed);
    assert(r == 0);
    return 0;
}

static void on_landed(void *target, const void *payload)
{
    (void)payload;
    struct flight *flight = target;
    struct td_guard *g = flight->guard;
    if (g == NULL) {
        free_flight(flight);
        return;
    }
    wait_landed(flight);
    g->away = false;
    bool more = flight->round.more || g->again;
    g->again = false;
    read_answer(g, &flight->round);
    if (more)
        td_guard_look(g);
}

static void note_live(void *ctx, struct td_recording *recording)
{
    struct td_round *round = ctx;
    const struct td_session *session = td_recording_session(recording);
    if (session == NULL || round->live_count == TD_ROUND_LIVE_MAX)
        return;
    struct td_session_status status;
    td_session_status(session, &status);
    struct td_round_live *live = &round->live[round->live_count++];
    (void)snprintf(live->id, sizeof(live->id), "%s", td_recording_id(recording));
    live->bytes = 0;
    for (unsigned i = 0; i < status.shelf->count; i++)
        live->bytes += status.shelf->entries[i].bytes;
}

void td_guard_look(struct td_guard *g)
{
    if (g->away) {
        g->again = true;
        return;
    }
    struct td_round *round = &g->flight->round;
    int64_t now_us = td_clock_now_us();
    bool due = g->retained_us == 0 ||
               now_us - g->retained_us >= (g->ended ? RETENTION_MIN_US : TD_GUARD_RETENTION_US);
    if (td_round_ask(round, g->config.config) < 0)
        return; /* no memory now: the next tick */
    /* What was cut short goes on by the same rules. */
    round->retain = due || (round->retain && round->more);
    round->live_count = 0;
    if (round->retain)
        td_recordings_each(g->config.recordings, note_live, round);
    const struct td_recorder *recorder = g->config.recorder;
    if (td_catalog_post(recorder->store, run, g->flight, recorder->control, on_landed, g->flight) <
        0)
        return; /* the store thread is behind: the next tick */
    g->away = true;
    if (due) {
        g->retained_us = now_us;
        g->ended = false;
    }
}

static gboolean on_tick(gpointer data)
{
    struct td_guard *g = data;
    if (!g->away)
        td_guard_look(g);
    return G_SOURCE_CONTINUE;
}

static void on_changed(void *ctx, struct td_recording *recording, json_t *doc, bool final)
{
    (void)recording;
    struct td_guard *g = ctx;
    g->ended = g->ended || final;
    if (is_state(doc, "paused", "disk")) {
        g->disk_paused = true;
        td_guard_look(g); /* others will find no space either */
    }
}

/* ---- life ---- */

static int use_reserve(const struct td_guard_config *config, const struct td_round *round)
{
    int64_t bytes = config->config->disk.reserve_bytes;
    if (bytes <= 0)
        return 0;
    return td_store_use_reserve(config->recorder->store, round->reserve.path,
                                td_reserve_slice((uint64_t)bytes));
}

int td_guard_new(const struct td_guard_config *config, struct td_guard **ret_guard)
{
    struct td_guard *g = calloc(1, sizeof(*g));
    struct flight *flight = calloc(1, sizeof(*flight));
    int err = g == NULL || flight == NULL ? -ENOMEM : 0;
    if (err == 0)
        err = td_round_init(&flight->round, config->recorder->fs, config->catalog,
                            config->config->data_dir);
    if (err == 0)
        err = use_reserve(config, &flight->round);
    if (err == 0 && sem_init(&flight->landed, 0, 0) < 0)
        err = -errno;
    if (err < 0) {
        free(flight);
        free(g);
        return err;
    }
    flight->guard = g;
    g->config = *config;
    g->flight = flight;
    g->disk_paused = true; /* an earlier run may have left such */
    g->timer = g_timeout_add((guint)(TD_GUARD_INTERVAL_US / TD_US_PER_MS), on_tick, g);
    struct td_recordings_observer observer = {.ctx = g, .changed = on_changed};
    td_recordings_observe(config->recordings, &observer);
    td_guard_look(g);
    *ret_guard = g;
    return 0;
}

struct td_guard *td_guard_free(struct td_guard *g)
{
    if (g == NULL)
        return NULL;
    g_source_remove(g->timer);
    g->flight->guard = NULL;
    if (g->away) {
        atomic_store(&g->flight->round.stop, true);
        wait_landed(g->flight);
        /* Its answer is in the mailbox: the flight ends there. */
    } else {
        free_flight(g->flight);
    }
    free(g);
    return NULL;
}

void td_guard_stats(const struct td_guard *g, struct td_guard_stats *ret_stats)
{
    *ret_stats = g->stats;
}
