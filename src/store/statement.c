/* SPDX-License-Identifier: Apache-2.0 */
#include "store/statement.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Of a full disk SQLite tells only the plainest kind; `error` is the last the system said. */
static int io_error(int code, int error)
{
    if (code == SQLITE_IOERR_NOMEM) {
        return -ENOMEM;
    }
    if (code == SQLITE_IOERR_SHMSIZE) {
        return -ENOSPC; /* the index of the log could not grow */
    }
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? -error : -EIO;
}

static int open_error(sqlite3 *handle)
{
    int error = sqlite3_system_errno(handle);
    return error > 0 ? -error : -EIO;
}

int td_statement_error(sqlite3 *handle, int code)
{
    int error = errno;
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_IOERR:
        return io_error(code, error);
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return -EAGAIN;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return -TD_E_DAMAGED;
    case SQLITE_CANTOPEN:
        return open_error(handle);
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_TOOBIG:
        return -TD_E_LIMIT;
    default:
        return -TD_E_LIBRARY;
    }
}

static void statement_took(struct td_statement *s, int code)
{
    s->error = td_statement_error(sqlite3_db_handle(s->stmt), code);
    s->next++;
}

void td_statement_text(struct td_statement *s, const char *text, size_t bytes_max)
{
    td_statement_text_or_null(s, text != NULL ? text : "", bytes_max);
}

void td_statement_text_or_null(struct td_statement *s, const char *text, size_t bytes_max)
{
    if (s->error < 0) {
        return;
    }
    if (text == NULL) {
        statement_took(s, sqlite3_bind_null(s->stmt, s->next));
        return;
    }
    size_t len = strnlen(text, bytes_max + 1);
    if (len > bytes_max) {
        s->error = -TD_E_LIMIT;
        return;
    }
    statement_took(s, sqlite3_bind_text64(s->stmt, s->next, text, len, SQLITE_STATIC, SQLITE_UTF8));
}

void td_statement_number(struct td_statement *s, int64_t number)
{
    if (s->error == 0) {
        statement_took(s, sqlite3_bind_int64(s->stmt, s->next, number));
    }
}

int td_statement_step(struct td_statement *s)
{
    if (s->error < 0) {
        return s->error;
    }
    errno = 0; /* an older one is not what made this fail */
    int code = sqlite3_step(s->stmt);
    if (code == SQLITE_ROW) {
        return TD_STATEMENT_ROW;
    }
    s->error = td_statement_error(sqlite3_db_handle(s->stmt), code);
    return s->error;
}

int td_statement_end(struct td_statement *s, int r)
{
    int code = sqlite3_reset(s->stmt);
    (void)code; /* repeats what the step answered */
    code = sqlite3_clear_bindings(s->stmt);
    assert(code == SQLITE_OK); /* it cannot fail; the texts are their owners' again */
    return r;
}

int td_statement_run(struct td_statement *s)
{
    int r = td_statement_step(s);
    assert(r != TD_STATEMENT_ROW);
    if (r == 0) {
        r = sqlite3_changes(sqlite3_db_handle(s->stmt));
    }
    return td_statement_end(s, r);
}

int64_t td_statement_column(const struct td_statement *s, int column)
{
    return sqlite3_column_int64(s->stmt, column);
}

size_t td_statement_text_bytes(const struct td_statement *s, int column)
{
    return (size_t)sqlite3_column_bytes(s->stmt, column);
}

int64_t td_statement_texts_bytes(const struct td_statement *s, int column, int count)
{
    int64_t bytes = 0;
    for (int i = column; i < column + count; i++) {
        if (sqlite3_column_type(s->stmt, i) == SQLITE_NULL) {
            return -TD_E_DAMAGED; /* no column of ours may be */
        }
        if (sqlite3_column_text(s->stmt, i) == NULL) {
            return -ENOMEM;
        }
        bytes += sqlite3_column_bytes(s->stmt, i) + 1;
    }
    return bytes;
}

void td_statement_texts_copy(const struct td_statement *s, int column, int count, char *memory,
                             const char **ret_texts)
{
    for (int i = 0; i < count; i++) {
        size_t len = td_statement_text_bytes(s, column + i);
        memcpy(memory, sqlite3_column_text(s->stmt, column + i), len);
        memory[len] = '\0';
        ret_texts[i] = memory;
        memory += len + 1;
    }
}
