/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "store/finisher.h"
#include "store/scribe.h"
#include "store/spool.h"
#include "store/sync.h"
#include "store/writer.h"

struct td_store {
    struct td_crashpool *pool;
    int pool_error;
    struct td_store_writer writer;
    struct td_store_sync sync;
    struct td_finisher finisher;
    struct td_scribe scribe;
    bool scribe_started;
    size_t flush_bytes;
    int64_t flush_interval_us;
};

/* A pool that survives us if it can be had, else private memory. */
static int store_open_pool(struct td_store *s, const struct td_store_config *config)
{
    size_t bytes = config->crashpool_bytes != 0 ? config->crashpool_bytes : TD_CRASHPOOL_BYTES;
    int r = td_crashpool_open(config->fs, config->runtime_dir, bytes, false, &s->pool);
    if (r < 0) {
        s->pool_error = r;
        r = td_crashpool_open(config->fs, NULL, bytes, true, &s->pool);
    }
    return r;
}

/* From the end of the way to its beginning, so that each thread finds the next one ready. */
static int store_start(struct td_store *s, const struct td_store_config *config)
{
    size_t files = td_crashpool_file_count(s->pool);
    int r = td_scribe_start(&s->scribe, config->fs);
    s->scribe_started = r == 0;
    if (r == 0) {
        r = td_finisher_start(&s->finisher, config->fs, files);
    }
    if (r == 0) {
        r = td_store_sync_start(&s->sync, config->fs, config->sync_interval_us, files,
                                &s->finisher);
    }
    if (r == 0) {
        r = td_store_writer_start(&s->writer, config->fs, s->pool, &s->sync);
    }
    return r;
}

int td_store_new(const struct td_store_config *config, struct td_store **ret_store)
{
    struct td_store *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return -ENOMEM;
    }
    s->flush_bytes = config->flush_bytes != 0 ? config->flush_bytes : TD_FLUSH_BYTES;
    s->flush_interval_us = config->flush_interval_us != 0 ? config->flush_interval_us
                                                          : TD_FLUSH_INTERVAL_US;
    int r = store_open_pool(s, config);
    if (r == 0) {
        r = store_start(s, config);
    }
    if (r < 0) {
        s = td_store_free(s);
        return r;
    }
    *ret_store = s;
    return 0;
}

struct td_store *td_store_free(struct td_store *s)
{
    if (s == NULL) {
        return NULL;
    }
    /* In the order of the way, so that what is under way arrives. */
    td_store_writer_stop(&s->writer);
    td_store_sync_stop(&s->sync);
    td_finisher_stop(&s->finisher);
    if (s->scribe_started) {
        td_scribe_stop(&s->scribe);
    }
    s->pool = td_crashpool_close(s->pool);
    free(s);
    return NULL;
}

bool td_store_crash_safe(const struct td_store *s)
{
    return s->pool_error == 0;
}

int td_store_pool_error(const struct td_store *s)
{
    return s->pool_error;
}

const struct td_crashpool *td_store_pool(const struct td_store *s)
{
    return s->pool;
}

int td_spool_open(struct td_store *s, const struct td_spool_config *config,
                  struct td_spool **ret_spool)
{
    struct td_spool_setup setup = {
        .pool = s->pool,
        .writer = &s->writer,
        .flush_bytes = s->flush_bytes,
        .flush_interval_us = s->flush_interval_us,
    };
    struct td_spool *spool;
    int r = td_spool_new(&setup, config, &spool);
    if (r < 0) {
        return r;
    }
    r = td_store_writer_open(&s->writer, spool);
    if (r < 0) {
        td_spool_free(spool);
        return r;
    }
    *ret_spool = spool;
    return 0;
}

int td_store_replace(struct td_store *s, const char *path, const void *bytes, size_t len)
{
    return td_scribe_replace(&s->scribe, path, bytes, len);
}

int td_store_append(struct td_store *s, const char *path, const void *bytes, size_t len)
{
    return td_scribe_append(&s->scribe, path, bytes, len);
}

int td_store_run(struct td_store *s, const struct td_store_job *job)
{
    return td_scribe_run(&s->scribe, job);
}

int td_store_use_reserve(struct td_store *s, const char *path, uint64_t slice_bytes)
{
    return td_scribe_use_reserve(&s->scribe, path, slice_bytes);
}

uint64_t td_store_scribe_errors(const struct td_store *s, int *ret_first)
{
    return td_scribe_errors(&s->scribe, ret_first);
}
