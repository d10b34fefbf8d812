/* SPDX-License-Identifier: Apache-2.0 */
#include "store/catalog.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/catalog_row.h"
#include "store/catalog_schema.h"
#include "store/database.h"
#include "store/outbox.h"

#define CATALOG_DIGEST_MAX 65u /* with NUL */

struct td_catalog {
    pthread_mutex_t lock; /* a leaf lock: never held while something of the caller runs */
    struct td_database db;
};

/* ---- opening ---- */

int td_catalog_open(const char *path, struct td_fail *ret_fail, struct td_catalog **ret_catalog)
{
    struct td_catalog *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return td_fail_set(ret_fail, -ENOMEM, "%s", td_err_text(-ENOMEM));
    }
    int r = -pthread_mutex_init(&c->lock, NULL);
    if (r < 0) {
        free(c);
        return td_fail_set(ret_fail, r, "%s", td_err_text(r));
    }
    r = td_database_open(path, ret_fail, &c->db);
    if (r == 0) {
        r = td_database_migrate(&c->db, &td_catalog_schema, ret_fail);
    }
    if (r == 0) {
        r = td_database_prepare(&c->db, td_catalog_sql, TD_CATALOG_SQL_COUNT, ret_fail);
    }
    if (r < 0) {
        c = td_catalog_close(c);
        return r;
    }
    *ret_catalog = c;
    return 0;
}

struct td_catalog *td_catalog_close(struct td_catalog *c)
{
    if (c != NULL) {
        td_database_done(&c->db);
        (void)pthread_mutex_destroy(&c->lock); /* fails only while locked: a caller's error */
        free(c);
    }
    return NULL;
}

static void catalog_lock(struct td_catalog *c)
{
    int r = pthread_mutex_lock(&c->lock);
    assert(r == 0);
}

/* Answers `r`. */
static int catalog_unlock(struct td_catalog *c, int r)
{
    int unlocked = pthread_mutex_unlock(&c->lock);
    assert(unlocked == 0);
    return r;
}

/* Locked, in a transaction that writes. */
static int catalog_begin(struct td_catalog *c)
{
    catalog_lock(c);
    int r = td_database_begin(&c->db);
    return r < 0 ? catalog_unlock(c, r) : 0;
}

static int catalog_end(struct td_catalog *c, int r)
{
    return catalog_unlock(c, td_database_end(&c->db, r));
}

/* ---- recordings ---- */

int td_catalog_put(struct td_catalog *c, const struct td_catalog_row *row,
                   const struct td_catalog_letter *letters, size_t letter_count)
{
    int r = catalog_begin(c);
    if (r < 0) {
        return r;
    }
    r = td_catalog_row_put(&c->db, row);
    if (r == 0) {
        r = td_outbox_put(&c->db, letters, letter_count, td_clock_wall_us());
    }
    return catalog_end(c, r);
}

int td_catalog_delete(struct td_catalog *c, const char *id)
{
    int r = catalog_begin(c);
    return r < 0 ? r : catalog_end(c, td_catalog_row_delete(&c->db, id, td_clock_wall_us()));
}

int td_catalog_hold(struct td_catalog *c, const char *id, bool hold)
{
    catalog_lock(c);
    struct td_statement s = td_database_statement(&c->db, TD_CATALOG_SQL_HOLD);
    td_statement_text(&s, id, TD_CATALOG_TEXT_MAX);
    td_statement_number(&s, hold ? 1 : 0);
    int r = td_statement_run(&s);
    return catalog_unlock(c, r < 0 ? r : r == 0 ? TD_CATALOG_NONE : 0);
}

int td_catalog_attempt(struct td_catalog *c, const char *id, bool clear)
{
    int r = catalog_begin(c);
    if (r < 0) {
        return r;
    }
    struct td_statement s = td_database_statement(&c->db, TD_CATALOG_SQL_ATTEMPT);
    td_statement_text(&s, id, TD_CATALOG_TEXT_MAX);
    td_statement_number(&s, clear ? 1 : 0);
    r = td_statement_step(&s);
    int64_t attempts = 0;
    if (r == TD_STATEMENT_ROW) {
        attempts = td_statement_column(&s, 0);
        r = td_statement_step(&s); /* the ids are unique */
    } else if (r == 0) {
        r = -ENOENT;
    }
    r = catalog_end(c, td_statement_end(&s, r));
    return r < 0 ? r : attempts < 0 ? 0 : attempts > INT_MAX ? INT_MAX : (int)attempts;
}

/* ---- showing rows: a page is copied under the lock, and shown without it ---- */

static int page_show(const struct td_catalog_page *page, td_catalog_row_fn *each, void *ctx,
                     unsigned *shown)
{
    int r = 0;
    for (const struct td_catalog_copy *copy = page->first; copy != NULL && r == 0;
         copy = copy->next) {
        ++*shown;
        r = each(ctx, &copy->row);
    }
    return r;
}

static int catalog_show(struct td_catalog *c, const struct td_catalog_query *query,
                        struct td_catalog_place place, unsigned limit, td_catalog_row_fn *each,
                        void *ctx)
{
    unsigned shown = 0;
    bool more = true;
    while (more && shown < limit) {
        struct td_catalog_page page;
        catalog_lock(c);
        int r = td_catalog_page_read(&c->db, query, &place, limit - shown, &page);
        r = catalog_unlock(c, r);
        if (r < 0) {
            return r;
        }
        place = page.end;
        more = page.more;
        r = page_show(&page, each, ctx, &shown);
        td_catalog_page_free(&page);
        if (r < 0) {
            return r;
        }
        more = more && r == 0;
    }
    return (int)shown;
}

int td_catalog_each(struct td_catalog *c, const struct td_catalog_query *query,
                    td_catalog_row_fn *each, void *ctx)
{
    struct td_catalog_place place;
    td_catalog_place_start(query->oldest_first, &place);
    if (query->before != NULL) {
        catalog_lock(c);
        int r = catalog_unlock(c, td_catalog_place_find(&c->db, query->before, &place));
        if (r < 0) {
            return r;
        }
    }
    bool whole = query->limit == 0 || query->limit > TD_CATALOG_PAGE_MAX;
    unsigned limit = whole ? TD_CATALOG_PAGE_MAX : query->limit;
    return catalog_show(c, query, place, limit, each, ctx);
}

int td_catalog_walk(struct td_catalog *c, bool unfinished, td_catalog_row_fn *each, void *ctx)
{
    struct td_catalog_query query = {.unfinished = unfinished};
    struct td_catalog_place place;
    td_catalog_place_start(false, &place);
    return catalog_show(c, &query, place, INT_MAX, each, ctx);
}

/* ---- idempotency keys ---- */

static int key_put(struct td_catalog *c, const char *key, const char *digest, const char *recording,
                   int64_t now_us)
{
    struct td_statement s = td_database_statement(&c->db, TD_CATALOG_SQL_KEY_PRUNE);
    td_statement_number(&s, now_us - TD_CATALOG_KEEP_US);
    int r = td_statement_run(&s);
    if (r < 0) {
        return r;
    }
    s = td_database_statement(&c->db, TD_CATALOG_SQL_KEY_PUT);
    td_statement_text(&s, key, TD_CATALOG_TEXT_MAX);
    td_statement_text(&s, digest, CATALOG_DIGEST_MAX - 1);
    td_statement_text(&s, recording, TD_ID_MAX - 1);
    td_statement_number(&s, now_us);
    td_statement_number(&s, now_us - TD_CATALOG_KEEP_US); /* an older one is none */
    r = td_statement_run(&s);
    return r < 0 ? r : r == 0 ? -EEXIST : 0;
}

int td_catalog_key_put(struct td_catalog *c, const char *key, const char *digest,
                       const char *recording)
{
    int r = catalog_begin(c);
    return r < 0 ? r : catalog_end(c, key_put(c, key, digest, recording, td_clock_wall_us()));
}

/* The row that the statement stands on. */
static int key_copy(const struct td_statement *s, char *ret_digest, char *ret_recording)
{
    char memory[CATALOG_DIGEST_MAX + TD_ID_MAX];
    int64_t bytes = td_statement_texts_bytes(s, 0, 2);
    if (bytes < 0) {
        return (int)bytes;
    }
    if (td_statement_text_bytes(s, 0) >= CATALOG_DIGEST_MAX ||
        td_statement_text_bytes(s, 1) >= TD_ID_MAX) {
        return -TD_E_DAMAGED; /* none was put */
    }
    const char *texts[2];
    td_statement_texts_copy(s, 0, 2, memory, texts);
    memcpy(ret_digest, texts[0], strlen(texts[0]) + 1);
    memcpy(ret_recording, texts[1], strlen(texts[1]) + 1);
    return 0;
}

int td_catalog_key_get(struct td_catalog *c, const char *key, char *ret_digest, size_t digest_size,
                       char ret_recording[static TD_ID_MAX])
{
    assert(digest_size >= CATALOG_DIGEST_MAX);
    catalog_lock(c);
    struct td_statement s = td_database_statement(&c->db, TD_CATALOG_SQL_KEY_GET);
    td_statement_text(&s, key, TD_CATALOG_TEXT_MAX);
    td_statement_number(&s, td_clock_wall_us() - TD_CATALOG_KEEP_US);
    int r = td_statement_step(&s);
    if (r == TD_STATEMENT_ROW) {
        r = key_copy(&s, ret_digest, ret_recording);
    } else if (r == 0) {
        r = TD_CATALOG_NONE;
    }
    return catalog_unlock(c, td_statement_end(&s, r));
}

/* ---- outbox ---- */

static int batch_show(const struct td_outbox_batch *batch,
                      int (*each)(void *ctx, const struct td_catalog_outgoing *letter), void *ctx,
                      unsigned *shown)
{
    int r = 0;
    for (const struct td_outbox_copy *copy = batch->first; copy != NULL && r == 0;
         copy = copy->next) {
        ++*shown;
        r = each(ctx, &copy->letter);
    }
    return r;
}

int td_catalog_outbox_due(struct td_catalog *c, int64_t now_us, unsigned limit,
                          int (*each)(void *ctx, const struct td_catalog_outgoing *letter),
                          void *ctx)
{
    limit = limit == 0 || limit > TD_CATALOG_PAGE_MAX ? TD_CATALOG_PAGE_MAX : limit;
    unsigned shown = 0;
    int64_t after_id = 0;
    bool more = true;
    while (more && shown < limit) {
        struct td_outbox_batch batch;
        catalog_lock(c);
        int r = td_outbox_due(&c->db, now_us, after_id, limit - shown, &batch);
        r = catalog_unlock(c, r);
        if (r < 0) {
            return r;
        }
        after_id = batch.last_id;
        more = batch.more;
        r = batch_show(&batch, each, ctx, &shown);
        td_outbox_batch_free(&batch);
        if (r < 0) {
            return r;
        }
        more = more && r == 0;
    }
    return (int)shown;
}

int td_catalog_outbox_done(struct td_catalog *c, int64_t id, bool delivered)
{
    int r = catalog_begin(c);
    return r < 0 ? r : catalog_end(c, td_outbox_done(&c->db, id, delivered, td_clock_wall_us()));
}

int td_catalog_outbox_later(struct td_catalog *c, int64_t id, int64_t next_us)
{
    catalog_lock(c);
    return catalog_unlock(c, td_outbox_later(&c->db, id, next_us));
}

int td_catalog_outbox_next(struct td_catalog *c, int64_t *ret_next_us, uint64_t *ret_count)
{
    catalog_lock(c);
    return catalog_unlock(c, td_outbox_next(&c->db, ret_next_us, ret_count));
}

int td_catalog_outbox_replay(struct td_catalog *c, const char *recording, bool delivered)
{
    int r = catalog_begin(c);
    return r < 0 ? r : catalog_end(c, td_outbox_replay(&c->db, recording, delivered));
}

/* ---- from a loop ---- */

int td_catalog_post(struct td_store *store, int (*job)(void *arg), void *arg,
                    struct td_mailbox *reply, td_message_fn *done, void *target)
{
    struct td_store_job run = {
        .job = job, .arg = arg, .reply = reply, .done = done, .target = target};
    return td_store_run(store, &run);
}
