/* SPDX-License-Identifier: Apache-2.0 */
#include "store/scribe.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/reserve.h"

#define SCRIBE_RETRY_US (20 * TD_US_PER_MS)

struct td_scribe_run {
    struct td_scribe_run *next;
    struct td_store_job job;
    int result;
};

struct td_scribe_reserve {
    uint64_t slice_bytes;
    char path[];
};

struct scribe_job {
    bool append;
    size_t path_len; /* NUL included; the bytes follow */
    size_t len;
    char memory[];
};

static size_t job_bytes(const struct scribe_job *job)
{
    return sizeof(*job) + job->path_len + job->len;
}

/* A line that was written by half is cut away again: the next one must not be glued to it. */
static int scribe_append(struct td_fs *fs, const char *path, const void *bytes, size_t len)
{
    int handle = td_fs_open(fs, path, TD_FS_WRITE | TD_FS_APPEND | TD_FS_NOFOLLOW, 0644);
    if (handle < 0) {
        return handle;
    }
    struct td_fs_stat stat;
    int r = td_fs_fstat(fs, handle, &stat);
    if (r == 0) {
        r = td_fs_pwrite_all(fs, handle, bytes, len, stat.size);
        if (r < 0) {
            int undone = td_fs_truncate(fs, handle, stat.size);
            (void)undone; /* the first failure is the one to report; readers skip a torn line */
        }
    }
    int closed = td_fs_close(fs, handle);
    return r < 0 ? r : closed;
}

static void scribe_fail(struct td_scribe *s, int error)
{
    int none = 0;
    (void)atomic_compare_exchange_strong(&s->first_error, &none, error); /* an earlier one stays */
    atomic_fetch_add(&s->errors, 1);
}

/* True when a full disk has a little space again: the last words of a recording are worth more than
 * the reserve. */
static bool scribe_relieve(struct td_scribe *s, int error)
{
    return (error == -ENOSPC || error == -EDQUOT) && s->reserve != NULL &&
           td_reserve_cut(s->fs, s->reserve->path, s->reserve->slice_bytes) == TD_RESERVE_MORE;
}

static int job_write(struct td_scribe *s, const struct scribe_job *job)
{
    const char *bytes = job->memory + job->path_len;
    return job->append ? scribe_append(s->fs, job->memory, bytes, job->len)
                       : td_fs_replace(s->fs, job->memory, bytes, job->len);
}

static void on_job(void *target, const void *payload)
{
    struct td_scribe *s = target;
    struct scribe_job *job = *(struct scribe_job *const *)payload;
    int r = job_write(s, job);
    /* Ends, since the reserve is shorter each time. */
    while (r < 0 && scribe_relieve(s, r)) {
        r = job_write(s, job);
    }
    if (r < 0) {
        scribe_fail(s, r);
    }
    td_budget_release(&s->budget, job_bytes(job));
    free(job);
}

static int scribe_post(struct td_scribe *s, bool append, const char *path, const void *bytes,
                       size_t len)
{
    size_t path_len = strlen(path) + 1;
    if (len > TD_SCRIBE_BYTES_MAX || path_len > TD_SCRIBE_BYTES_MAX) {
        return -TD_E_LIMIT;
    }
    size_t size = sizeof(struct scribe_job) + path_len + len;
    if (td_budget_charge(&s->budget, size) < 0) {
        scribe_fail(s, -ENOBUFS);
        return -ENOBUFS;
    }
    struct scribe_job *job = malloc(size);
    if (job == NULL) {
        td_budget_release(&s->budget, size);
        scribe_fail(s, -ENOMEM);
        return -ENOMEM;
    }
    *job = (struct scribe_job){.append = append, .path_len = path_len, .len = len};
    memcpy(job->memory, path, path_len);
    if (len > 0) {
        memcpy(job->memory + path_len, bytes, len);
    }
    int r = td_worker_post(&s->worker, on_job, s, (const void *)&job, sizeof(struct scribe_job *));
    if (r < 0) {
        td_budget_release(&s->budget, size);
        free(job);
        scribe_fail(s, r);
    }
    return r;
}

/* ---- jobs to run, and their answers ---- */

static void run_free(struct td_scribe *s, struct td_scribe_run *run)
{
    td_budget_release(&s->budget, sizeof(*run));
    free(run);
    atomic_fetch_sub(&s->runs, 1);
}

/* An older answer for the same mailbox comes first. */
static bool run_must_wait(const struct td_scribe *s, const struct td_scribe_run *run)
{
    const struct td_scribe_run *older = s->waiting;
    while (older != NULL && older != run && older->job.reply != run->job.reply) {
        older = older->next;
    }
    return older != NULL && older != run;
}

/* True when the answer was taken, or nobody wants one. */
static bool run_answer(const struct td_scribe *s, const struct td_scribe_run *run)
{
    const struct td_store_job *job = &run->job;
    if (job->done == NULL) {
        return true;
    }
    return !run_must_wait(s, run) && td_mailbox_post(job->reply, job->done, job->target,
                                                     &run->result, sizeof(run->result)) == 0;
}

static void answer_waiting(struct td_scribe *s)
{
    for (struct td_scribe_run **at = &s->waiting; *at != NULL;) {
        struct td_scribe_run *run = *at;
        if (run_answer(s, run)) {
            *at = run->next;
            run_free(s, run);
        } else {
            at = &run->next;
        }
    }
}

static int64_t scribe_tick(void *ctx, int64_t now_us)
{
    (void)now_us;
    struct td_scribe *s = ctx;
    answer_waiting(s);
    return s->waiting != NULL ? SCRIBE_RETRY_US : TD_WORKER_NO_TICK;
}

static void on_run(void *target, const void *payload)
{
    struct td_scribe *s = target;
    struct td_scribe_run *run = *(struct td_scribe_run *const *)payload;
    run->result = run->job.job(run->job.arg);
    /* Whoever tries again finds some space. */
    (void)scribe_relieve(s, run->result);
    if (run_answer(s, run)) {
        run_free(s, run);
        return;
    }
    struct td_scribe_run **end = &s->waiting;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = run;
}

static int run_new(struct td_scribe *s, const struct td_store_job *job,
                   struct td_scribe_run **ret_run)
{
    if (atomic_fetch_add(&s->runs, 1) >= TD_SCRIBE_JOBS_MAX) {
        atomic_fetch_sub(&s->runs, 1);
        return -ENOBUFS;
    }
    struct td_scribe_run *run = NULL;
    int r = td_budget_charge(&s->budget, sizeof(*run));
    if (r < 0) {
        atomic_fetch_sub(&s->runs, 1);
        return -ENOBUFS;
    }
    run = malloc(sizeof(*run));
    if (run == NULL) {
        td_budget_release(&s->budget, sizeof(*run));
        atomic_fetch_sub(&s->runs, 1);
        return -ENOMEM;
    }
    *run = (struct td_scribe_run){.job = *job};
    *ret_run = run;
    return 0;
}

int td_scribe_run(struct td_scribe *s, const struct td_store_job *job)
{
    assert(job->job != NULL && (job->reply != NULL || job->done == NULL));
    struct td_scribe_run *run = NULL;
    int r = run_new(s, job, &run);
    if (r == 0) {
        r = td_worker_post(&s->worker, on_run, s, (const void *)&run, sizeof(run));
        if (r < 0) {
            run_free(s, run);
        }
    }
    if (r < 0) {
        scribe_fail(s, r);
    }
    return r;
}

/* ---- the reserve ---- */

static void on_reserve(void *target, const void *payload)
{
    struct td_scribe *s = target;
    free(s->reserve);
    s->reserve = *(struct td_scribe_reserve *const *)payload;
}

int td_scribe_use_reserve(struct td_scribe *s, const char *path, uint64_t slice_bytes)
{
    size_t len = strlen(path) + 1;
    struct td_scribe_reserve *reserve = malloc(sizeof(*reserve) + len);
    if (reserve == NULL) {
        return -ENOMEM;
    }
    reserve->slice_bytes = slice_bytes;
    memcpy(reserve->path, path, len);
    int r = td_worker_post(&s->worker, on_reserve, s, (const void *)&reserve, sizeof(reserve));
    if (r < 0) {
        free(reserve);
    }
    return r;
}

/* ---- the thread ---- */

int td_scribe_start(struct td_scribe *s, struct td_fs *fs)
{
    s->fs = fs;
    s->waiting = NULL;
    s->reserve = NULL;
    atomic_init(&s->errors, 0);
    atomic_init(&s->first_error, 0);
    atomic_init(&s->runs, 0);
    td_budget_init(&s->budget, NULL, TD_SCRIBE_BYTES_MAX);
    return td_worker_start(&s->worker, "td-scribe", TD_SCRIBE_JOBS_MAX, scribe_tick, s);
}

void td_scribe_stop(struct td_scribe *s)
{
    td_worker_stop(&s->worker);
    answer_waiting(s);
    while (s->waiting != NULL) {
        struct td_scribe_run *run = s->waiting;
        s->waiting = run->next;
        run_free(s, run);
    }
    free(s->reserve);
    s->reserve = NULL;
    td_budget_done(&s->budget);
}

int td_scribe_replace(struct td_scribe *s, const char *path, const void *bytes, size_t len)
{
    return scribe_post(s, false, path, bytes, len);
}

int td_scribe_append(struct td_scribe *s, const char *path, const void *bytes, size_t len)
{
    return scribe_post(s, true, path, bytes, len);
}

uint64_t td_scribe_errors(const struct td_scribe *s, int *ret_first)
{
    uint64_t errors = atomic_load(&s->errors);
    *ret_first = atomic_load(&s->first_error);
    return errors;
}
