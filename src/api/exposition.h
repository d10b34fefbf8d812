/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exposition: the table of all metrics, and their text for Prometheus (format 0.0.4).
 * Owner: none, stateless; snapshots and the text belong to the caller.
 * Thread: any.
 * Bound: the text grows to the `max` of the caller's td_bytes; one that does not fit is an error,
 *        it is never cut. Label values are at most TD_EXPOSITION_VALUE_MAX bytes before escaping.
 * Does not: measure anything (api/metrics.h does); docs/metrics.md is made from the same table.
 *
 * A number that is not known is NAN and has no line; a metric without a line is left out.
 */
#ifndef TD_API_EXPOSITION_H
#define TD_API_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"
#include "store/store.h"

#define TD_EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* 512 recordings whose rooms have the longest names, all of them escaped, stay below. */
#define TD_EXPOSITION_BYTES_MAX (16u << 20)
#define TD_EXPOSITION_VALUE_MAX 256u
#define TD_EXPOSITION_HTTP_CLASSES 5u /* 1xx to 5xx */

struct td_exposition_recording { /* one that runs */
    const char *id;
    const char *room;  /* untrusted text */
    const char *state; /* static word */
    bool recording;    /* its state is `recording`: it has all of what follows */
    double memory_usage_mb;
    double file_size_bytes;
    double zero_packet_streak;
    double disk_write_rate;
    double bytes_written;
    double packets_written;
    double frames_dropped;
    double last_disk_write_s; /* wall clock, since 1970 */
    double frames_received;
    double bytes_since_last_flush;
    double av_skew_ms;
    double rtp_received;
    double rtp_lost;
    double rtp_recovered;
    double gap_s;
    double unsynced_bytes;
    double write_latency_sum_s;
    double write_latency_counts[TD_SPOOL_LATENCY_BUCKETS]; /* each by itself, not summed up */
};

struct td_exposition_ended { /* how many ended in this way */
    const char *state;
    const char *reason;
    double count;
};

struct td_exposition_process {
    const char *version; /* NULL = not told */
    double start_s;      /* wall clock, since 1970 */
    double cpu_s;
    double resident_bytes;
    double open_fds;
    double max_fds;
    double recordings_running;
    double recordings_started;
    double memory_budget_bytes;
    double memory_used_bytes;
    double memory_refused;
    double crash_safe; /* 1 or 0 */
    double crash_pool_buffers;
    double crash_pool_used;
    double crash_pool_peak;
    double crash_pool_exhausted;
    double sync_interval_s; /* -1 = off */
    double catalog_unwritten;
    double scribe_errors;
    double webhook_pending;
    double webhook_oldest_s; /* wall clock, since 1970; NAN when none waits */
    double webhook_delivered;
    double webhook_failed;
    double webhook_given_up;
    double disk_free_bytes;
    double disk_total_bytes;
    double retention_removed;
    double recovered;
    double interrupted;
    double set_aside;
    double http_requests[TD_EXPOSITION_HTTP_CLASSES];
    double http_connections;
    double http_turned_away;
    double http_too_slow;
    double http_unauthorized;
};

struct td_exposition {
    const struct td_exposition_recording *recordings;
    size_t recording_count;
    const struct td_exposition_ended *ended;
    size_t ended_count;
    struct td_exposition_process process;
};

/* All numbers NAN. */
void td_exposition_recording_init(struct td_exposition_recording *r);
void td_exposition_process_init(struct td_exposition_process *p);

/* Appends the text. -TD_E_LIMIT, -ENOMEM: what `out` holds is then worthless. */
TD_MUST int td_exposition_render(const struct td_exposition *e, struct td_bytes *out);

/* ---- the table ---- */

enum td_exposition_scope {
    TD_EXPOSITION_RECORDING, /* one for each recording whose state is `recording` */
    TD_EXPOSITION_RUNNING,   /* one for each that runs */
    TD_EXPOSITION_ENDED,     /* one for each way to end that happened */
    TD_EXPOSITION_CLASSES,   /* one for each class of HTTP status */
    TD_EXPOSITION_BUILD,
    TD_EXPOSITION_PROCESS,
    TD_EXPOSITION_SCOPE_MAX,
};

struct td_exposition_row {
    const char *name;
    const char *type; /* "counter", "gauge", "histogram" */
    const char *unit; /* "" = a plain number */
    const char *help;
    enum td_exposition_scope scope;
    size_t offset; /* of its number in the snapshot */
};

/* In the order of the text. */
const struct td_exposition_row *td_exposition_rows(size_t *ret_count);
/* "recording_id, room"; "" = none. */
const char *td_exposition_labels(enum td_exposition_scope scope);

#endif
