/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: GET /metrics: collects the numbers of the recordings and of the process for a scrape.
 * Owner: the serve command; freed after http, when no recording runs any more.
 * Thread: control loop.
 * Bound: TD_METRICS_SOURCES_MAX sources, TD_METRICS_WAYS_MAX ways to end, one meter for each
 *        recording that runs, TD_EXPOSITION_BYTES_MAX of text.
 * Does not: know the nouns behind the other numbers: each tells its own through a source.
 *
 * The series of a recording are there while it runs and leave with it. Names and meanings are in
 * the table of api/exposition.h, which docs/metrics.md shows.
 */
#ifndef TD_API_METRICS_H
#define TD_API_METRICS_H

#include <stdint.h>

#include "api/exposition.h"
#include "api/http.h"
#include "api/recordings.h"

#define TD_METRICS_SOURCES_MAX 16u
/* States times reasons are static words, about 30; what comes beyond is counted as "other". */
#define TD_METRICS_WAYS_MAX 64u
#define TD_METRICS_WORD_MAX 32u

struct td_metrics;

struct td_metrics_config {
    struct td_http *http;
    struct td_recordings *recordings;   /* NULL = there are none */
    const struct td_recorder *recorder; /* its budget and store; NULL = not told */
    const int64_t *sync_interval_us;    /* as configured now; NULL = not told */
};

/* Adds the route and an observer of the recordings. */
TD_MUST int td_metrics_new(const struct td_metrics_config *config, struct td_metrics **ret_metrics);
/* Takes NULL, returns NULL. */
struct td_metrics *td_metrics_free(struct td_metrics *m);

/* Fills in the numbers it knows, at each scrape; the others stay as they are. */
typedef void td_metrics_source_fn(void *ctx, struct td_exposition_process *process);
/* -TD_E_LIMIT when there are too many. */
TD_MUST int td_metrics_add(struct td_metrics *m, td_metrics_source_fn *read, void *ctx);

/* The numbers of one recording; `ret` borrows the texts of `status`. `write_rate` in bytes a
 * second.
 */
void td_metrics_measure(const struct td_session_status *status, double write_rate, int64_t now_us,
                        int64_t wall_us, struct td_exposition_recording *ret);

#endif
