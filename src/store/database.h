/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database: one SQLite connection: its file, its settings, its tables, its transactions.
 * Owner: the catalogue, which embeds it.
 * Thread: one at a time, under the owner's lock. Every call may block.
 * Bound: a page cache of TD_DATABASE_CACHE_KIB, a log that is cut back to TD_DATABASE_LOG_BYTES,
 *        rows of TD_DATABASE_ROW_BYTES, a wait of TD_DATABASE_BUSY_MS for other processes.
 * Does not: know what the tables hold.
 */
#ifndef TD_STORE_DATABASE_H
#define TD_STORE_DATABASE_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/statement.h"

#define TD_DATABASE_CACHE_KIB 512
#define TD_DATABASE_LOG_PAGES 256           /* the log goes over into the file after so many */
#define TD_DATABASE_LOG_BYTES (4u << 20)    /* what it keeps on disk after that */
#define TD_DATABASE_ROW_BYTES (16u << 20)   /* a larger one is not ours: refused */
#define TD_DATABASE_CHECK_BYTES (64u << 20) /* a larger file is not looked through at start */
#define TD_DATABASE_BUSY_MS 2000

struct td_database {
    sqlite3 *handle;
    sqlite3_stmt **statements; /* of td_database_prepare, then begin, commit and rollback */
    size_t statement_count;
};

/* What the tables should be. `steps[v]` is the SQL that makes version v + 1 out of version v. */
struct td_database_schema {
    int32_t application; /* PRAGMA application_id: whose file it is */
    int version;         /* PRAGMA user_version, and the count of steps */
    const char *const *steps;
};

/* Makes (mode 0600) or opens `path`, settled as WAL with synchronous=FULL, and looks through it.
 * `ret_database` needs td_database_done after success. -TD_E_DAMAGED, -errno. */
TD_MUST int td_database_open(const char *path, struct td_fail *ret_fail,
                             struct td_database *ret_database);
/* Takes a zeroed one. */
void td_database_done(struct td_database *db);

/* Brings the tables forward, each step in a transaction of its own. -TD_E_UNSUPPORTED: a newer
 * version, or another program's file; nothing was changed. */
TD_MUST int td_database_migrate(struct td_database *db, const struct td_database_schema *schema,
                                struct td_fail *ret_fail);
/* Once. Statement i is `sql[i]`. -TD_E_DAMAGED: the tables are not what they should be. */
TD_MUST int td_database_prepare(struct td_database *db, const char *const *sql, size_t count,
                                struct td_fail *ret_fail);

/* A transaction that writes. */
TD_MUST int td_database_begin(struct td_database *db);
/* Commits when `r` >= 0 and answers r; else takes everything back and answers the first failure. */
TD_MUST int td_database_end(struct td_database *db, int r);

/* Statement `which` of td_database_prepare, to be used by one at a time. */
struct td_statement td_database_statement(struct td_database *db, size_t which);

#endif
