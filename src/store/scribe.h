/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scribe: the thread that writes small files, manifests and timelines, and runs jobs that block.
 * Owner: the store.
 * Thread: its own; replace/append/run are called on any.
 * Bound: TD_SCRIBE_JOBS_MAX jobs and TD_SCRIBE_BYTES_MAX bytes of copies; as many jobs to run that
 *        were not answered yet; when full a call is refused (-ENOBUFS) and counted.
 * Does not: sync what it appends (a timeline line is worth no disk flush); replace does sync.
 */
#ifndef TD_STORE_SCRIBE_H
#define TD_STORE_SCRIBE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/err.h"
#include "base/fs.h"
#include "store/store.h"
#include "store/worker.h"

#define TD_SCRIBE_JOBS_MAX 1024u
#define TD_SCRIBE_BYTES_MAX (16u << 20)

struct td_scribe_run;
struct td_scribe_reserve;

struct td_scribe {
    struct td_worker worker;
    struct td_fs *fs;
    struct td_budget budget;
    atomic_uint_fast64_t errors;
    atomic_int first_error;
    atomic_uint runs; /* posted, and their answer not taken yet */
    /* scribe thread: answers that did not fit into their mailbox yet, oldest first */
    struct td_scribe_run *waiting;
    struct td_scribe_reserve *reserve; /* scribe thread; NULL = none */
};

TD_MUST int td_scribe_start(struct td_scribe *s, struct td_fs *fs);
/* Runs what was posted. Answers that nobody takes even then are dropped. */
void td_scribe_stop(struct td_scribe *s);
TD_MUST int td_scribe_replace(struct td_scribe *s, const char *path, const void *bytes, size_t len);
TD_MUST int td_scribe_append(struct td_scribe *s, const char *path, const void *bytes, size_t len);
TD_MUST int td_scribe_run(struct td_scribe *s, const struct td_store_job *job);
TD_MUST int td_scribe_use_reserve(struct td_scribe *s, const char *path, uint64_t slice_bytes);
uint64_t td_scribe_errors(const struct td_scribe *s, int *ret_first);

#endif
