/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog: the SQLite database of a data folder: recordings, idempotency keys, webhook outbox.
 * Owner: the serve command; closed after the store was freed, which runs what was posted.
 * Thread: any that may block, under one leaf lock; a control loop uses td_catalog_post only, which
 *         runs its job on the store thread (the scribe's) after everything posted before it.
 * Bound: the scribe's job and byte limits; texts of TD_CATALOG_TEXT_MAX; TD_CATALOG_PAGE_MAX rows
 *        an answer; ended outbox rows, keys and cursors of deleted rows are kept
 *        TD_CATALOG_KEEP_US, and removed as new ones come.
 * Does not: know JSON or states: `doc` and `request` are texts of the caller. Truth about media is
 *           in the manifests; a lost catalogue is made again from them.
 *
 * WAL mode, synchronous=FULL, file mode 0600 (a request may hold a token). user_version is the
 * schema; older ones are migrated forward in one transaction a step, newer ones are refused.
 *
 * Every call answers negative when it failed: -ENOSPC, -EIO, -ENOMEM, -EAGAIN (another process
 * holds the database), -TD_E_DAMAGED, -TD_E_LIMIT (a text that is too long); nothing was changed
 * then. After -EIO a restart may still find the change: it was written, and only its sync failed.
 *
 * No lock is held while a callback runs: it may call the catalogue, and texts it is given are
 * copies that live as long as it. What it is shown was read in pages of some rows; a row that
 * changes between two pages is shown as it is then.
 */
#ifndef TD_STORE_CATALOG_H
#define TD_STORE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "store/store.h"

#define TD_CATALOG_SCHEMA 1
#define TD_CATALOG_TEXT_MAX (1u << 20)
#define TD_CATALOG_PAGE_MAX 500u
#define TD_CATALOG_KEEP_US INT64_C(86400000000) /* a day */

struct td_catalog;

/* Makes or opens `path`. -TD_E_UNSUPPORTED: made by a newer tapedeck, or by another program.
 * -TD_E_DAMAGED: not a database or a broken one: the caller moves it away, with its -wal and -shm,
 * and starts over from the manifests. -errno. */
TD_MUST int td_catalog_open(const char *path, struct td_fail *ret_fail,
                            struct td_catalog **ret_catalog);
/* Takes NULL, returns NULL. */
struct td_catalog *td_catalog_close(struct td_catalog *c);

/* ---- recordings ---- */

struct td_catalog_row { /* NULL texts are stored as "" */
    const char *id;     /* not empty, shorter than TD_ID_MAX */
    const char *room;
    const char *state;
    const char *reason;
    const char *source;  /* "livekit", "whip" */
    const char *folder;  /* name under DATA/recordings */
    const char *doc;     /* what the API shows */
    const char *request; /* what is needed to go on; never shown */
    int64_t started_us;  /* wall */
    int64_t ended_us;    /* 0 = not yet */
    uint64_t bytes;
    bool final; /* ended */
    bool hold;  /* retention leaves it alone */
    int attempts;
};

/* One message of the outbox, to go out in the same transaction as the row it tells of. */
struct td_catalog_letter {
    const char *recording; /* id: letters of one recording and url go out in this order */
    const char *url;
    const char *body; /* as it is sent */
};

/* Inserts or replaces (attempts, hold and request of an existing row are kept when the new row has
 * attempts < 0, and request NULL; hold is only written on insert), and adds the letters: all or
 * nothing. */
TD_MUST int td_catalog_put(struct td_catalog *c, const struct td_catalog_row *row,
                           const struct td_catalog_letter *letters, size_t letter_count);
/* 0 or TD_CATALOG_NONE. Letters and keys of the recording stay. */
TD_MUST int td_catalog_delete(struct td_catalog *c, const char *id);
/* 0 or TD_CATALOG_NONE. */
TD_MUST int td_catalog_hold(struct td_catalog *c, const char *id, bool hold);
/* Adds one to `attempts` (durably) and answers the new count; `clear` sets 0. -ENOENT. */
TD_MUST int td_catalog_attempt(struct td_catalog *c, const char *id, bool clear);

/* Positive stops; negative stops and is what the caller answers. */
typedef int td_catalog_row_fn(void *ctx, const struct td_catalog_row *row);

struct td_catalog_query {
    const char *id;     /* NULL = any */
    const char *room;   /* exact; NULL = any */
    const char *state;  /* NULL = any */
    const char *before; /* cursor: id of the last row of the page before; NULL = from the start */
    bool unfinished;    /* only rows that are not final */
    bool oldest_first;
    unsigned limit; /* 0 = TD_CATALOG_PAGE_MAX */
};
/* Newest first by started_us, then id. The texts are borrowed for the call. Count of rows shown.
 * -ENOENT: the cursor's row is not there, and was not deleted within the last day either. */
TD_MUST int td_catalog_each(struct td_catalog *c, const struct td_catalog_query *query,
                            td_catalog_row_fn *each, void *ctx);
/* Like each, but of all rows, newest first, without a page limit: for start-up and retention. */
TD_MUST int td_catalog_walk(struct td_catalog *c, bool unfinished, td_catalog_row_fn *each,
                            void *ctx);

/* ---- idempotency keys ---- */

enum td_catalog_condition {
    TD_CATALOG_NONE = 1, /* there is no such row */
};

/* Remembers that `key` with this request (any digest text of at most 64 bytes) began this
 * recording. -EEXIST. */
TD_MUST int td_catalog_key_put(struct td_catalog *c, const char *key, const char *digest,
                               const char *recording);
/* 0 or TD_CATALOG_NONE; a key older than TD_CATALOG_KEEP_US is none. `ret_digest` is at least 65
 * bytes. */
TD_MUST int td_catalog_key_get(struct td_catalog *c, const char *key, char *ret_digest,
                               size_t digest_size, char ret_recording[static TD_ID_MAX]);

/* ---- outbox ---- */

struct td_catalog_outgoing {
    int64_t id;
    const char *recording;
    const char *url;
    const char *body;
    int64_t made_us; /* wall */
    unsigned tries;
};
/* The head letter of each (recording, url) that is due at `now_us` (wall), oldest first. Letters
 * behind an undelivered one of the same recording and url wait. `limit` 0 = TD_CATALOG_PAGE_MAX.
 * A callback that answers non-zero stops as with rows. Count of letters shown. */
TD_MUST int td_catalog_outbox_due(struct td_catalog *c, int64_t now_us, unsigned limit,
                                  int (*each)(void *ctx, const struct td_catalog_outgoing *letter),
                                  void *ctx);
/* Delivered, or given up (kept a day, to be replayed). 0, or TD_CATALOG_NONE when it does not wait
 * (any more). */
TD_MUST int td_catalog_outbox_done(struct td_catalog *c, int64_t id, bool delivered);
/* Not now: again at `next_us` (wall); adds one to `tries`. 0 or TD_CATALOG_NONE. */
TD_MUST int td_catalog_outbox_later(struct td_catalog *c, int64_t id, int64_t next_us);
/* When the next letter is due (wall), INT64_MAX = none waits; and how many wait. */
TD_MUST int td_catalog_outbox_next(struct td_catalog *c, int64_t *ret_next_us, uint64_t *ret_count);
/* Letters of this recording (NULL = all) that were given up, or with `delivered` those delivered
 * too, are due again at once, in their old order, `tries` 0. Count. */
TD_MUST int td_catalog_outbox_replay(struct td_catalog *c, const char *recording, bool delivered);

/* ---- from a loop ---- */

/* Runs job(arg) on the store thread, then posts done(target, &result) to `reply` with the int it
 * answered (payload: int). `arg` is taken over by the job; when posting fails (-ENOBUFS, -ENOMEM)
 * it is the caller's again. `done` may be NULL. The same as td_store_run, which says more. */
TD_MUST int td_catalog_post(struct td_store *store, int (*job)(void *arg), void *arg,
                            struct td_mailbox *reply, td_message_fn *done, void *target);

#endif
