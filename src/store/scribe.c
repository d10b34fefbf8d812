/* SPDX-License-Identifier: Apache-2.0 */
#include "store/scribe.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

static void on_job(void *target, const void *payload)
{
    struct td_scribe *s = target;
    struct scribe_job *job = *(struct scribe_job *const *)payload;
    const char *bytes = job->memory + job->path_len;
    int r = job->append ? scribe_append(s->fs, job->memory, bytes, job->len)
                        : td_fs_replace(s->fs, job->memory, bytes, job->len);
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

int td_scribe_start(struct td_scribe *s, struct td_fs *fs)
{
    s->fs = fs;
    atomic_init(&s->errors, 0);
    atomic_init(&s->first_error, 0);
    td_budget_init(&s->budget, NULL, TD_SCRIBE_BYTES_MAX);
    return td_worker_start(&s->worker, "td-scribe", TD_SCRIBE_JOBS_MAX, NULL, s);
}

void td_scribe_stop(struct td_scribe *s)
{
    td_worker_stop(&s->worker);
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
