/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metrics.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/process.h"
#include "api/rate.h"
#include "base/clock.h"

#define MEBIBYTE 1048576.0
#define TICK_MS (TD_RATE_INTERVAL_US / TD_US_PER_MS)

struct meter { /* of a recording that runs */
    char id[TD_ID_MAX];
    struct td_rate rate;
    bool announced; /* counted as started */
    unsigned round; /* of the last look at all recordings that met it */
};

struct way {
    char state[TD_METRICS_WORD_MAX];
    char reason[TD_METRICS_WORD_MAX];
    uint64_t count;
};

struct source {
    td_metrics_source_fn *read;
    void *ctx;
};

struct td_metrics {
    struct td_metrics_config config;
    GHashTable *meters; /* by id */
    unsigned round;
    guint timer;
    uint64_t started;
    double start_s; /* asked once: it is measured against a wall clock that may be set */
    struct way ways[TD_METRICS_WAYS_MAX];
    unsigned way_count;
    struct source sources[TD_METRICS_SOURCES_MAX];
    unsigned source_count;
};

/* ---- one recording ---- */

static double above(uint64_t high, uint64_t low)
{
    /* They are read one after the other from threads that go on. */
    return high > low ? (double)(high - low) : 0;
}

void td_metrics_measure(const struct td_session_status *status, double write_rate, int64_t now_us,
                        int64_t wall_us, struct td_exposition_recording *ret)
{
    const struct td_capture_stats *s = status->stats;
    td_exposition_recording_init(ret);
    ret->id = status->id;
    ret->room = status->room;
    ret->state = td_session_state_name(status->state);
    ret->recording = status->state == TD_SESSION_RECORDING;
    ret->memory_usage_mb = (double)status->memory_bytes / MEBIBYTE;
    /* What the disk took, not what waits for it: a file that does not grow must be seen. */
    ret->file_size_bytes = (double)s->written_bytes;
    ret->zero_packet_streak = (double)(s->silent_streak_us / TD_US_PER_S);
    ret->disk_write_rate = write_rate;
    ret->bytes_written = (double)s->written_bytes;
    ret->packets_written = (double)s->frames;
    ret->frames_dropped = (double)s->dropped;
    if (s->last_write_us > 0)
        ret->last_disk_write_s = (double)((wall_us - (now_us - s->last_write_us)) / TD_US_PER_MS) /
                                 1e3;
    ret->frames_received = (double)s->frames_received;
    ret->bytes_since_last_flush = above(s->bytes, s->written_bytes);
    ret->av_skew_ms = (double)s->av_skew_us / 1e3;
    ret->rtp_received = (double)s->packets;
    ret->rtp_lost = (double)s->lost;
    ret->rtp_recovered = (double)s->recovered;
    ret->gap_s = (double)s->gap_us / 1e6;
    ret->unsynced_bytes = above(s->bytes, s->synced_bytes);
    ret->write_latency_sum_s = (double)s->latency_sum_us / 1e6;
    for (size_t i = 0; i < TD_SPOOL_LATENCY_BUCKETS; i++)
        ret->write_latency_counts[i] = (double)s->latency_counts[i];
}

/* Made at first sight; NULL without memory: then the recording has no rate yet. */
static struct meter *meter_of(struct td_metrics *m, const char *id)
{
    struct meter *meter = g_hash_table_lookup(m->meters, id);
    if (meter != NULL)
        return meter;
    meter = calloc(1, sizeof(*meter));
    if (meter == NULL)
        return NULL;
    (void)snprintf(meter->id, sizeof(meter->id), "%s", id);
    meter->round = m->round;
    g_hash_table_insert(m->meters, meter->id, meter);
    return meter;
}

/* ---- each second ---- */

static void on_tick_one(void *ctx, struct td_recording *recording)
{
    struct td_metrics *m = ctx;
    struct td_session *session = td_recording_session(recording);
    struct meter *meter = meter_of(m, td_recording_id(recording));
    if (meter == NULL)
        return;
    meter->round = m->round;
    if (session == NULL)
        return; /* it has ended, which is not announced yet */
    struct td_session_status status;
    td_session_status(session, &status);
    td_rate_add(&meter->rate, td_clock_now_us(), status.stats->written_bytes);
}

static gboolean is_gone(gpointer key, gpointer value, gpointer data)
{
    (void)key;
    const struct meter *meter = value;
    const struct td_metrics *m = data;
    return meter->round != m->round;
}

static gboolean on_tick(gpointer data)
{
    struct td_metrics *m = data;
    m->round++;
    td_recordings_each(m->config.recordings, on_tick_one, m);
    (void)g_hash_table_foreach_remove(m->meters, is_gone, m);
    return G_SOURCE_CONTINUE;
}

/* ---- beginnings and ends ---- */

/* Labels are for words: anything else would let a text from outside make series. */
static const char *word(const json_t *doc, const char *key)
{
    const char *text = json_string_value(json_object_get(doc, key));
    size_t len = text != NULL ? strspn(text, "abcdefghijklmnopqrstuvwxyz_") : 0;
    return len > 0 && len < TD_METRICS_WORD_MAX && text[len] == '\0' ? text : "other";
}

static struct way *find_way(struct td_metrics *m, const char *state, const char *reason)
{
    for (unsigned i = 0; i < m->way_count; i++) {
        if (strcmp(m->ways[i].state, state) == 0 && strcmp(m->ways[i].reason, reason) == 0)
            return &m->ways[i];
    }
    return NULL;
}

static void count_end(struct td_metrics *m, const char *state, const char *reason)
{
    struct way *way = find_way(m, state, reason);
    if (way == NULL && m->way_count + 1 >= TD_METRICS_WAYS_MAX) { /* the last is for the rest */
        state = reason = "other";
        way = find_way(m, state, reason);
    }
    if (way == NULL) {
        way = &m->ways[m->way_count++];
        (void)snprintf(way->state, sizeof(way->state), "%s", state);
        (void)snprintf(way->reason, sizeof(way->reason), "%s", reason);
    }
    way->count++;
}

static void on_changed(void *ctx, struct td_recording *recording, json_t *doc, bool final)
{
    struct td_metrics *m = ctx;
    const char *id = td_recording_id(recording);
    struct meter *meter = meter_of(m, id);
    if (meter == NULL || !meter->announced)
        m->started++;
    if (meter != NULL)
        meter->announced = true;
    if (!final)
        return;
    count_end(m, word(doc, "state"), word(doc, "reason"));
    (void)g_hash_table_remove(m->meters, id);
}

/* ---- a scrape ---- */

struct scrape {
    struct td_metrics *m;
    struct td_exposition_recording *recordings;
    size_t count;
    size_t capacity;
    int64_t now_us;
    int64_t wall_us;
};

static void on_scrape_one(void *ctx, struct td_recording *recording)
{
    struct scrape *scrape = ctx;
    struct td_session *session = td_recording_session(recording);
    if (session == NULL || scrape->count == scrape->capacity)
        return;
    struct td_session_status status;
    td_session_status(session, &status);
    struct meter *meter = meter_of(scrape->m, status.id);
    double rate = 0;
    if (meter != NULL) {
        if (meter->rate.count == 0)
            td_rate_add(&meter->rate, scrape->now_us, status.stats->written_bytes);
        rate = td_rate_now(&meter->rate, scrape->now_us, status.stats->written_bytes);
    }
    td_metrics_measure(&status, rate, scrape->now_us, scrape->wall_us,
                       &scrape->recordings[scrape->count++]);
}

static void read_recorder(const struct td_recorder *recorder, struct td_exposition_process *p)
{
    const struct td_budget *budget = recorder->budget;
    p->memory_budget_bytes = (double)budget->max_bytes;
    p->memory_used_bytes = (double)td_budget_used(budget);
    p->memory_refused = (double)atomic_load(&budget->refused);
    if (recorder->store == NULL)
        return;
    struct td_crashpool_stats pool;
    td_crashpool_stats(td_store_pool(recorder->store), &pool);
    p->crash_safe = td_store_crash_safe(recorder->store) ? 1 : 0;
    p->crash_pool_buffers = (double)pool.buffer_count;
    p->crash_pool_used = (double)pool.used_count;
    p->crash_pool_peak = (double)pool.used_peak;
    p->crash_pool_exhausted = (double)pool.exhausted;
    int first = 0;
    p->scribe_errors = (double)td_store_scribe_errors(recorder->store, &first);
}

static void read_http(const struct td_http *http, struct td_exposition_process *p)
{
    struct td_http_counts counts = td_http_counts(http);
    p->http_connections = (double)counts.connections;
    p->http_turned_away = (double)counts.turned_away;
    p->http_too_slow = (double)counts.too_slow;
    p->http_unauthorized = (double)counts.unauthorized;
    for (size_t i = 0; i < TD_HTTP_CLASSES && i < TD_EXPOSITION_HTTP_CLASSES; i++)
        p->http_requests[i] = (double)counts.answers[i];
}

static void read_process(struct td_metrics *m, struct td_exposition_process *p)
{
    struct td_process process;
    td_process_read(&process);
    td_exposition_process_init(p);
    p->version = TD_VERSION;
    p->start_s = m->start_s;
    p->cpu_s = process.cpu_s;
    p->resident_bytes = process.resident_bytes;
    p->open_fds = process.open_fds;
    p->max_fds = process.max_fds;
    read_http(m->config.http, p);
    if (m->config.recordings != NULL) {
        p->recordings_running = td_recordings_running(m->config.recordings);
        p->recordings_started = (double)m->started;
        p->catalog_unwritten = td_recordings_unwritten(m->config.recordings);
    }
    if (m->config.recorder != NULL)
        read_recorder(m->config.recorder, p);
    if (m->config.sync_interval_us != NULL) {
        int64_t interval_us = *m->config.sync_interval_us;
        p->sync_interval_s = interval_us < 0 ? -1 : (double)interval_us / 1e6;
    }
    for (unsigned i = 0; i < m->source_count; i++)
        m->sources[i].read(m->sources[i].ctx, p);
}

static int collect_recordings(struct scrape *scrape)
{
    struct td_recordings *recordings = scrape->m->config.recordings;
    scrape->capacity = TD_RECORDINGS_RUNNING_MAX;
    scrape->recordings = calloc(scrape->capacity, sizeof(*scrape->recordings));
    if (scrape->recordings == NULL)
        return -ENOMEM;
    if (recordings != NULL)
        td_recordings_each(recordings, on_scrape_one, scrape);
    return 0;
}

static int render(struct td_metrics *m, struct td_bytes *text)
{
    struct scrape scrape = {.m = m, .now_us = td_clock_now_us(), .wall_us = td_clock_wall_us()};
    int err = collect_recordings(&scrape);
    struct td_exposition_ended ended[TD_METRICS_WAYS_MAX];
    for (unsigned i = 0; i < m->way_count; i++)
        ended[i] = (struct td_exposition_ended){.state = m->ways[i].state,
                                                .reason = m->ways[i].reason,
                                                .count = (double)m->ways[i].count};
    struct td_exposition exposition = {.recordings = scrape.recordings,
                                       .recording_count = scrape.count,
                                       .ended = ended,
                                       .ended_count = m->way_count};
    if (err == 0) {
        read_process(m, &exposition.process);
        err = td_exposition_render(&exposition, text);
    }
    free(scrape.recordings);
    return err;
}

static void answer(struct td_metrics *m, SoupServerMessage *message)
{
    struct td_bytes text;
    td_bytes_init(&text, TD_EXPOSITION_BYTES_MAX, NULL);
    int err = render(m, &text);
    if (err < 0) {
        td_http_problem(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed", td_err_text(err));
    } else {
        soup_server_message_set_status(message, SOUP_STATUS_OK, NULL);
        soup_server_message_set_response(message, TD_EXPOSITION_TYPE, SOUP_MEMORY_COPY,
                                         (const char *)text.data, text.len);
    }
    td_bytes_done(&text);
}

static void on_metrics(void *ctx, SoupServerMessage *message, const char *path)
{
    if (path[0] != '\0')
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "not_found", "There is nothing here.");
    else if (!td_http_is_get(message))
        td_http_method(message, "GET, HEAD");
    else if (td_http_rooms(message) != NULL)
        td_http_forbidden(message); /* all rooms are told of here */
    else
        answer(ctx, message);
}

/* ---- life ---- */

int td_metrics_add(struct td_metrics *m, td_metrics_source_fn *read, void *ctx)
{
    if (m->source_count == TD_METRICS_SOURCES_MAX)
        return -TD_E_LIMIT;
    m->sources[m->source_count++] = (struct source){.read = read, .ctx = ctx};
    return 0;
}

int td_metrics_new(const struct td_metrics_config *config, struct td_metrics **ret_metrics)
{
    struct td_metrics *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return -ENOMEM;
    m->config = *config;
    m->meters = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free);
    struct td_process process;
    td_process_read(&process);
    m->start_s = process.start_s;
    if (config->recordings != NULL) {
        struct td_recordings_observer observer = {.ctx = m, .changed = on_changed};
        td_recordings_observe(config->recordings, &observer);
        m->timer = g_timeout_add(TICK_MS, on_tick, m);
    }
    td_http_route(config->http, "/metrics", TD_HTTP_KEY, on_metrics, m);
    *ret_metrics = m;
    return 0;
}

struct td_metrics *td_metrics_free(struct td_metrics *m)
{
    if (m == NULL)
        return NULL;
    if (m->timer != 0)
        g_source_remove(m->timer);
    g_hash_table_destroy(m->meters);
    free(m);
    return NULL;
}
