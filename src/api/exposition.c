/* SPDX-License-Identifier: Apache-2.0 */
#include "api/exposition.h"

#include <errno.h>
#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/utf8.h"

/* Escaping doubles a value at most; an id needs little beside it. */
#define LABELS_MAX (2 * TD_EXPOSITION_VALUE_MAX + 96)
#define NUMBER_MAX 32

/* ---- the table ---- */

#define PROCESS(type_, field_)                                                                     \
    .type = type_, .scope = TD_EXPOSITION_PROCESS,                                                 \
    .offset = offsetof(struct td_exposition_process, field_)
#define RECORDING(type_, field_)                                                                   \
    .type = type_, .scope = TD_EXPOSITION_RECORDING,                                               \
    .offset = offsetof(struct td_exposition_recording, field_)

static const struct td_exposition_row rows[] = {
    {.name = "recording_state",
     .type = "gauge",
     .unit = "",
     .help = "1 for each recording that runs; the state is a label.",
     .scope = TD_EXPOSITION_RUNNING},
    {.name = "recording_memory_usage_mb",
     .unit = "MiB",
     .help = "Memory that the recording holds, its share of the crash pool included.",
     RECORDING("gauge", memory_usage_mb)},
    {.name = "recording_file_size_bytes",
     .unit = "bytes",
     .help = "Size of the recording's files, as far as the system has taken the bytes.",
     RECORDING("gauge", file_size_bytes)},
    {.name = "recording_zero_packet_streak",
     .unit = "seconds",
     .help = "Whole seconds in a row without a packet of any unmuted track.",
     RECORDING("gauge", zero_packet_streak)},
    {.name = "recording_disk_write_rate",
     .unit = "bytes/s",
     .help = "Bytes written a second, over the last 5 s.",
     RECORDING("gauge", disk_write_rate)},
    {.name = "recording_bytes_written_total",
     .unit = "bytes",
     .help = "Bytes written to the recording's files.",
     RECORDING("counter", bytes_written)},
    {.name = "recording_packets_written_total",
     .unit = "",
     .help = "Media packets (encoded frames) stored in the recording's files.",
     RECORDING("counter", packets_written)},
    {.name = "recording_frames_dropped_backpressure_total",
     .unit = "",
     .help = "Frames left out because the disk or the memory budget did not keep up.",
     RECORDING("counter", frames_dropped)},
    {.name = "recording_last_disk_write_timestamp_seconds",
     .unit = "seconds",
     .help = "When a write of the recording last finished, since 1970; none before the first.",
     RECORDING("gauge", last_disk_write_s)},
    {.name = "recording_frames_received_total",
     .unit = "",
     .help = "Whole encoded frames that came in.",
     RECORDING("counter", frames_received)},
    {.name = "recording_bytes_since_last_flush",
     .unit = "bytes",
     .help = "Bytes of the containers that wait to be written.",
     RECORDING("gauge", bytes_since_last_flush)},
    {.name = "recording_av_skew_ms",
     .unit = "ms",
     .help = "Picture against sound, by the publisher's clock: the participant furthest apart.",
     RECORDING("gauge", av_skew_ms)},
    {.name = "recording_rtp_received_total",
     .unit = "",
     .help = "RTP packets that came in.",
     RECORDING("counter", rtp_received)},
    {.name = "recording_rtp_lost_total",
     .unit = "",
     .help = "RTP packets that were given up.",
     RECORDING("counter", rtp_lost)},
    {.name = "recording_rtp_recovered_total",
     .unit = "",
     .help = "RTP packets that were missing and came after all.",
     RECORDING("counter", rtp_recovered)},
    {.name = "recording_gap_seconds_total",
     .unit = "seconds",
     .help = "Time that is missing from the recording's tracks.",
     RECORDING("counter", gap_s)},
    {.name = "recording_unsynced_bytes",
     .unit = "bytes",
     .help = "Bytes that a power loss would take: not written or not synced yet.",
     RECORDING("gauge", unsynced_bytes)},
    {.name = "recording_write_latency_seconds",
     .unit = "seconds",
     .help = "How long writes of the recording took.",
     RECORDING("histogram", write_latency_sum_s)},
    {.name = "tapedeck_build_info",
     .type = "gauge",
     .unit = "",
     .help = "Always 1; the version is a label.",
     .scope = TD_EXPOSITION_BUILD},
    {.name = "tapedeck_recordings_running",
     .unit = "",
     .help = "Recordings that run, in whatever state.",
     PROCESS("gauge", recordings_running)},
    {.name = "tapedeck_recordings_started_total",
     .unit = "",
     .help = "Recordings that this process began or went on with.",
     PROCESS("counter", recordings_started)},
    {.name = "tapedeck_recordings_ended_total",
     .type = "counter",
     .unit = "",
     .help = "Recordings that ended in this process, by final state and reason.",
     .scope = TD_EXPOSITION_ENDED},
    {.name = "tapedeck_memory_budget_bytes",
     .unit = "bytes",
     .help = "Memory that all recordings together may hold.",
     PROCESS("gauge", memory_budget_bytes)},
    {.name = "tapedeck_memory_budget_used_bytes",
     .unit = "bytes",
     .help = "Memory that all recordings together hold.",
     PROCESS("gauge", memory_used_bytes)},
    {.name = "tapedeck_memory_budget_refused_total",
     .unit = "",
     .help = "Charges that did not fit the process's memory budget.",
     PROCESS("counter", memory_refused)},
    {.name = "tapedeck_crash_safe",
     .unit = "",
     .help = "1: a kill loses nothing that was received; 0: the crash pool is private memory.",
     PROCESS("gauge", crash_safe)},
    {.name = "tapedeck_crash_pool_buffers",
     .unit = "",
     .help = "Write buffers of the crash pool.",
     PROCESS("gauge", crash_pool_buffers)},
    {.name = "tapedeck_crash_pool_buffers_used",
     .unit = "",
     .help = "Write buffers in use.",
     PROCESS("gauge", crash_pool_used)},
    {.name = "tapedeck_crash_pool_buffers_peak",
     .unit = "",
     .help = "Most write buffers that were in use at a time.",
     PROCESS("gauge", crash_pool_peak)},
    {.name = "tapedeck_crash_pool_exhausted_total",
     .unit = "",
     .help = "How often no write buffer was free, so that video was dropped.",
     PROCESS("counter", crash_pool_exhausted)},
    {.name = "tapedeck_sync_interval_seconds",
     .unit = "seconds",
     .help = "How often files are synced; 0 = at each write, -1 = never.",
     PROCESS("gauge", sync_interval_s)},
    {.name = "tapedeck_catalog_unwritten",
     .unit = "",
     .help = "Catalogue writes that failed and are tried again.",
     PROCESS("gauge", catalog_unwritten)},
    {.name = "tapedeck_scribe_errors_total",
     .unit = "",
     .help = "Manifest and timeline writes that failed.",
     PROCESS("counter", scribe_errors)},
    {.name = "tapedeck_webhook_pending",
     .unit = "",
     .help = "Webhook messages that wait to be delivered.",
     PROCESS("gauge", webhook_pending)},
    {.name = "tapedeck_webhook_oldest_timestamp_seconds",
     .unit = "seconds",
     .help = "When the oldest message that waits was made, since 1970; none when none waits.",
     PROCESS("gauge", webhook_oldest_s)},
    {.name = "tapedeck_webhook_delivered_total",
     .unit = "",
     .help = "Webhook messages that were delivered.",
     PROCESS("counter", webhook_delivered)},
    {.name = "tapedeck_webhook_failed_total",
     .unit = "",
     .help = "Attempts to deliver a webhook message that failed.",
     PROCESS("counter", webhook_failed)},
    {.name = "tapedeck_webhook_given_up_total",
     .unit = "",
     .help = "Webhook messages that were given up; they can be replayed for a day.",
     PROCESS("counter", webhook_given_up)},
    {.name = "tapedeck_disk_free_bytes",
     .unit = "bytes",
     .help = "Space that is free for us on the volume of the data folder.",
     PROCESS("gauge", disk_free_bytes)},
    {.name = "tapedeck_disk_total_bytes",
     .unit = "bytes",
     .help = "Size of the volume of the data folder.",
     PROCESS("gauge", disk_total_bytes)},
    {.name = "tapedeck_retention_removed_total",
     .unit = "",
     .help = "Recordings removed by age, size or quota.",
     PROCESS("counter", retention_removed)},
    {.name = "tapedeck_interrupted_total",
     .unit = "",
     .help = "Recordings that this start found interrupted.",
     PROCESS("counter", interrupted)},
    {.name = "tapedeck_recovered_total",
     .unit = "",
     .help = "Interrupted recordings that this start made whole, to go on or to end.",
     PROCESS("counter", recovered)},
    {.name = "tapedeck_set_aside_total",
     .unit = "",
     .help = "Recordings set aside because recovering them ended the process three times.",
     PROCESS("counter", set_aside)},
    {.name = "tapedeck_http_requests_total",
     .type = "counter",
     .unit = "",
     .help = "HTTP requests that were answered, by class of status.",
     .scope = TD_EXPOSITION_CLASSES},
    {.name = "tapedeck_http_connections",
     .unit = "",
     .help = "HTTP connections that are open.",
     PROCESS("gauge", http_connections)},
    {.name = "tapedeck_http_turned_away_total",
     .unit = "",
     .help = "HTTP connections above the limit, closed at once.",
     PROCESS("counter", http_turned_away)},
    {.name = "tapedeck_http_too_slow_total",
     .unit = "",
     .help = "HTTP connections cut because a request did not come or an answer was not taken.",
     PROCESS("counter", http_too_slow)},
    {.name = "tapedeck_http_unauthorized_total",
     .unit = "",
     .help = "HTTP requests without a key or token that is known.",
     PROCESS("counter", http_unauthorized)},
    {.name = "process_start_time_seconds",
     .unit = "seconds",
     .help = "When the process started, since 1970.",
     PROCESS("gauge", start_s)},
    {.name = "process_cpu_seconds_total",
     .unit = "seconds",
     .help = "Processor time, user and system.",
     PROCESS("counter", cpu_s)},
    {.name = "process_resident_memory_bytes",
     .unit = "bytes",
     .help = "Resident memory.",
     PROCESS("gauge", resident_bytes)},
    {.name = "process_open_fds",
     .unit = "",
     .help = "Open file descriptors.",
     PROCESS("gauge", open_fds)},
    {.name = "process_max_fds",
     .unit = "",
     .help = "Most file descriptors that may be open.",
     PROCESS("gauge", max_fds)},
};

#define ROW_COUNT (sizeof(rows) / sizeof(*rows))

const struct td_exposition_row *td_exposition_rows(size_t *ret_count)
{
    *ret_count = ROW_COUNT;
    return rows;
}

const char *td_exposition_labels(enum td_exposition_scope scope)
{
    static const char *const labels[TD_EXPOSITION_SCOPE_MAX] = {
        [TD_EXPOSITION_RECORDING] = "recording_id, room",
        [TD_EXPOSITION_RUNNING] = "recording_id, room, state",
        [TD_EXPOSITION_ENDED] = "state, reason",
        [TD_EXPOSITION_CLASSES] = "class",
        [TD_EXPOSITION_BUILD] = "version",
        [TD_EXPOSITION_PROCESS] = "",
    };
    return labels[scope];
}

/* ---- snapshots ---- */

static void forget_numbers(void *snapshot, enum td_exposition_scope scope)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].scope == scope)
            *(double *)((char *)snapshot + rows[i].offset) = NAN;
    }
}

void td_exposition_recording_init(struct td_exposition_recording *r)
{
    memset(r, 0, sizeof(*r));
    forget_numbers(r, TD_EXPOSITION_RECORDING);
}

void td_exposition_process_init(struct td_exposition_process *p)
{
    memset(p, 0, sizeof(*p));
    forget_numbers(p, TD_EXPOSITION_PROCESS);
    for (size_t i = 0; i < TD_EXPOSITION_HTTP_CLASSES; i++)
        p->http_requests[i] = NAN;
}

static double number_at(const void *snapshot, const struct td_exposition_row *row)
{
    return *(const double *)((const char *)snapshot + row->offset);
}

/* ---- the text ---- */

struct labels {
    char text[LABELS_MAX]; /* recording_id="…",room="…", without braces */
};

struct page {
    const struct td_exposition *e;
    const struct labels *labels; /* of each recording */
    struct td_bytes *out;
    const struct td_exposition_row *row;
    bool named; /* HELP and TYPE of the row stand there */
    int error;
};

static void put(struct page *p, const char *text)
{
    if (p->error == 0)
        p->error = td_bytes_append(p->out, text, strlen(text));
}

static void put_all(struct page *p, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(p, texts[i]);
}

#define PUT(page_, ...)                                                                            \
    put_all(page_, (const char *const[]){__VA_ARGS__},                                             \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* Backslash, quote and newline are escaped; what is not UTF-8 becomes '?', because one bad byte
 * would cost the whole scrape. */
static void escape(const char *value, char *ret_text, size_t size)
{
    size_t len = strnlen(value, TD_EXPOSITION_VALUE_MAX);
    size_t at = 0;
    for (size_t i = 0; i < len;) {
        size_t step = td_utf8_len(&value[i], len - i);
        if (at + (step > 2 ? step : 2) >= size)
            break;
        if (value[i] == '\\' || value[i] == '"') {
            ret_text[at++] = '\\';
            ret_text[at++] = value[i];
        } else if (value[i] == '\n') {
            ret_text[at++] = '\\';
            ret_text[at++] = 'n';
        } else if (step == 0) {
            ret_text[at++] = '?';
        } else {
            memcpy(&ret_text[at], &value[i], step);
            at += step;
        }
        i += step > 0 ? step : 1;
    }
    ret_text[at] = '\0';
}

/* One line; its family is named before the first. */
static void sample(struct page *p, const char *suffix, const char *labels, double value)
{
    if (isnan(value))
        return;
    const struct td_exposition_row *row = p->row;
    if (!p->named)
        PUT(p, "# HELP ", row->name, " ", row->help, "\n# TYPE ", row->name, " ", row->type, "\n");
    p->named = true;
    char number[NUMBER_MAX];
    /* Whatever the locale: a point. */
    (void)g_ascii_formatd(number, sizeof(number), "%.15g", value);
    bool braces = labels[0] != '\0';
    PUT(p, row->name, suffix, braces ? "{" : "", labels, braces ? "} " : " ", number, "\n");
}

static void histogram(struct page *p, const struct td_exposition_recording *r, const char *labels)
{
    double count = 0;
    for (size_t i = 0; i < TD_SPOOL_LATENCY_BUCKETS; i++) {
        char bound[NUMBER_MAX] = "+Inf";
        if (i < TD_SPOOL_LATENCY_BUCKETS - 1)
            (void)g_ascii_formatd(bound, sizeof(bound), "%.15g",
                                  (double)td_spool_latency_us[i] / 1e6);
        char text[LABELS_MAX + NUMBER_MAX + 8];
        (void)snprintf(text, sizeof(text), "%s,le=\"%s\"", labels, bound);
        count += r->write_latency_counts[i];
        sample(p, "_bucket", text, count);
    }
    sample(p, "_sum", labels, number_at(r, p->row));
    sample(p, "_count", labels, count);
}

static void emit_recording(struct page *p)
{
    bool is_histogram = strcmp(p->row->type, "histogram") == 0;
    for (size_t i = 0; i < p->e->recording_count; i++) {
        const struct td_exposition_recording *r = &p->e->recordings[i];
        if (!r->recording)
            continue;
        if (!is_histogram)
            sample(p, "", p->labels[i].text, number_at(r, p->row));
        else if (!isnan(number_at(r, p->row)))
            histogram(p, r, p->labels[i].text);
    }
}

static void emit_running(struct page *p)
{
    for (size_t i = 0; i < p->e->recording_count; i++) {
        char text[LABELS_MAX + 32];
        (void)snprintf(text, sizeof(text), "%s,state=\"%s\"", p->labels[i].text,
                       p->e->recordings[i].state);
        sample(p, "", text, 1);
    }
}

static void emit_ended(struct page *p)
{
    for (size_t i = 0; i < p->e->ended_count; i++) {
        const struct td_exposition_ended *ended = &p->e->ended[i];
        char text[LABELS_MAX];
        (void)snprintf(text, sizeof(text), "state=\"%s\",reason=\"%s\"", ended->state,
                       ended->reason);
        sample(p, "", text, ended->count);
    }
}

static void emit_classes(struct page *p)
{
    for (unsigned i = 0; i < TD_EXPOSITION_HTTP_CLASSES; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "class=\"%uxx\"", i + 1);
        sample(p, "", text, p->e->process.http_requests[i]);
    }
}

static void emit_build(struct page *p)
{
    if (p->e->process.version == NULL)
        return;
    char version[TD_EXPOSITION_VALUE_MAX];
    escape(p->e->process.version, version, sizeof(version));
    char text[LABELS_MAX];
    (void)snprintf(text, sizeof(text), "version=\"%s\"", version);
    sample(p, "", text, 1);
}

static void emit_process(struct page *p)
{
    sample(p, "", "", number_at(&p->e->process, p->row));
}

static void (*const emitters[TD_EXPOSITION_SCOPE_MAX])(struct page *p) = {
    [TD_EXPOSITION_RECORDING] = emit_recording, [TD_EXPOSITION_RUNNING] = emit_running,
    [TD_EXPOSITION_ENDED] = emit_ended,         [TD_EXPOSITION_CLASSES] = emit_classes,
    [TD_EXPOSITION_BUILD] = emit_build,         [TD_EXPOSITION_PROCESS] = emit_process,
};

/* The labels of a recording stand in each of its lines, so they are written once. */
static struct labels *label_recordings(const struct td_exposition *e)
{
    struct labels *labels = calloc(e->recording_count + 1, sizeof(*labels));
    for (size_t i = 0; labels != NULL && i < e->recording_count; i++) {
        char id[64];
        char room[2 * TD_EXPOSITION_VALUE_MAX + 1];
        escape(e->recordings[i].id, id, sizeof(id));
        escape(e->recordings[i].room, room, sizeof(room));
        (void)snprintf(labels[i].text, sizeof(labels[i].text), "recording_id=\"%s\",room=\"%s\"",
                       id, room);
    }
    return labels;
}

int td_exposition_render(const struct td_exposition *e, struct td_bytes *out)
{
    struct labels *labels = label_recordings(e);
    if (labels == NULL)
        return -ENOMEM;
    struct page page = {.e = e, .labels = labels, .out = out};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        page.row = &rows[i];
        page.named = false;
        emitters[rows[i].scope](&page);
    }
    free(labels);
    return page.error;
}
