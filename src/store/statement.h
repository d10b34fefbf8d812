/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement: a prepared SQLite statement in use: filled in, stepped, and always ended.
 * Owner: the caller's stack; the statement itself is its database's.
 * Thread: one at a time, under the lock of the database. Stepping may block.
 * Bound: texts of the size the caller names, rows of TD_DATABASE_ROW_BYTES.
 * Does not: prepare, or begin transactions (store/database.h).
 */
#ifndef TD_STORE_STATEMENT_H
#define TD_STORE_STATEMENT_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Of an extended result code of SQLite: 0 or negative. To be asked at once: it looks at errno. */
TD_MUST int td_statement_error(sqlite3 *handle, int code);

enum td_statement_condition {
    TD_STATEMENT_ROW = 1,
};

struct td_statement {
    sqlite3_stmt *stmt;
    int next;  /* parameter to fill in */
    int error; /* the first; later calls do nothing */
};

/* The next parameter. A text is borrowed until the end; NULL is stored as ""; one of more than
 * `bytes_max` is -TD_E_LIMIT. */
void td_statement_text(struct td_statement *s, const char *text, size_t bytes_max);
void td_statement_text_or_null(struct td_statement *s, const char *text, size_t bytes_max);
void td_statement_number(struct td_statement *s, int64_t number);
/* 0 (no more), TD_STATEMENT_ROW, or the first failure since the beginning. */
TD_MUST int td_statement_step(struct td_statement *s);
/* Answers `r`. */
int td_statement_end(struct td_statement *s, int r);
/* A statement that answers no rows, to its end: how many rows it changed. */
TD_MUST int td_statement_run(struct td_statement *s);

/* Columns of the row. */
int64_t td_statement_column(const struct td_statement *s, int column);
/* Of one text, without NUL. */
size_t td_statement_text_bytes(const struct td_statement *s, int column);
/* `count` texts from `column` on: the bytes they need with their NULs; -ENOMEM,
 * -TD_E_DAMAGED. */
TD_MUST int64_t td_statement_texts_bytes(const struct td_statement *s, int column, int count);
/* Copies them to `memory`, which has room for that. */
void td_statement_texts_copy(const struct td_statement *s, int column, int count, char *memory,
                             const char **ret_texts);

#endif
