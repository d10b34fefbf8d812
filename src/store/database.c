/* SPDX-License-Identifier: Apache-2.0 */
#include "store/database.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/limits.h"

#define DATABASE_STR_(x) #x
#define DATABASE_STR(x) DATABASE_STR_(x)

/* Behind the statements of td_database_prepare. */
enum { DATABASE_BEGIN, DATABASE_COMMIT, DATABASE_ROLLBACK, DATABASE_OWN_COUNT };

static const char *const own_sql[DATABASE_OWN_COUNT] = {
    [DATABASE_BEGIN] = "BEGIN IMMEDIATE",
    [DATABASE_COMMIT] = "COMMIT",
    [DATABASE_ROLLBACK] = "ROLLBACK",
};

/* ---- errors ---- */

/* While it is opened, SQL that does not fit the tables means that the tables are wrong. */
static int open_fail(sqlite3 *handle, struct td_fail *ret_fail, int code)
{
    int r = (code & 0xff) == SQLITE_ERROR ? -TD_E_DAMAGED : td_statement_error(handle, code);
    const char *why = r == -TD_E_DAMAGED ? sqlite3_errmsg(handle) : td_err_text(r);
    return td_fail_set(ret_fail, r, "the catalogue cannot be opened: %s", why);
}

/* ---- files ---- */

static int file_private(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode) ? -EISDIR : -ELOOP;
    }
    /* By path: closing a descriptor of our own would drop the locks that SQLite holds. */
    if ((st.st_mode & 07777) != 0600 && chmod(path, 0600) < 0) {
        return -errno;
    }
    return 0;
}

/* SQLite gives the log and its index the mode of the file; older ones may have another. */
static int files_private(const char *path)
{
    static const char *const suffixes[] = {"-wal", "-shm"};
    int r = file_private(path);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]) && r == 0; i++) {
        char name[TD_PATH_MAX + 8];
        int n = snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        assert(n > 0 && (size_t)n < sizeof(name));
        r = file_private(name);
        r = r == -ENOENT ? 0 : r;
    }
    return r;
}

/* SQLite would make it with 0644; and it takes an empty file for a new database. */
static int file_make(const char *path)
{
    struct td_fs *fs = td_fs_posix();
    int handle = td_fs_open(fs, path, TD_FS_WRITE | TD_FS_CREATE | TD_FS_NOFOLLOW, 0600);
    if (handle < 0) {
        return handle == -EEXIST ? 0 : handle;
    }
    int r = td_fs_close(fs, handle);
    return r < 0 ? r : td_fs_sync_parent(fs, path);
}

/* ---- opening ---- */

/* The first column of the first row of a PRAGMA, as a number, and whether it is `text`. */
static int pragma_ask(sqlite3 *handle, const char *sql, const char *text, int64_t *ret_number,
                      bool *ret_is)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(stmt);
    }
    if (code == SQLITE_ROW) {
        /* First: a text that cannot be had for want of memory takes the number with it. */
        *ret_number = sqlite3_column_int64(stmt, 0);
        const unsigned char *found = text != NULL ? sqlite3_column_text(stmt, 0) : NULL;
        *ret_is = found != NULL && strcmp((const char *)found, text) == 0;
        code = text != NULL && found == NULL ? SQLITE_NOMEM : SQLITE_OK;
    }
    int ended = sqlite3_finalize(stmt);
    (void)ended; /* repeats what the step answered */
    return code;
}

static int pragma_number(sqlite3 *handle, const char *sql, int64_t *ret_number)
{
    bool is;
    return pragma_ask(handle, sql, NULL, ret_number, &is);
}

static const char settings[] =
    "PRAGMA synchronous = FULL;"
    "PRAGMA foreign_keys = ON;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA cache_size = -" DATABASE_STR(
        TD_DATABASE_CACHE_KIB) ";"
                               "PRAGMA wal_autocheckpoint = " DATABASE_STR(
                                   TD_DATABASE_LOG_PAGES) ";";

static int database_settle(sqlite3 *handle, struct td_fail *ret_fail)
{
    (void)sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, (int)TD_DATABASE_ROW_BYTES);
    int code = sqlite3_busy_timeout(handle, TD_DATABASE_BUSY_MS);
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_exec(handle, settings, NULL, NULL, NULL);
    }
    int64_t number = 0;
    bool is_wal = false;
    if (code == SQLITE_OK) {
        code = pragma_ask(handle, "PRAGMA journal_mode = WAL", "wal", &number, &is_wal);
    }
    if (code == SQLITE_OK && !is_wal) {
        return td_fail_set(ret_fail, -EOPNOTSUPP,
                           "the catalogue cannot be opened: its file system has no shared memory");
    }
    if (code == SQLITE_OK) {
        char sql[64];
        int n = snprintf(sql, sizeof(sql), "PRAGMA journal_size_limit = %u", TD_DATABASE_LOG_BYTES);
        assert(n > 0 && (size_t)n < sizeof(sql));
        code = pragma_number(handle, sql, &number);
    }
    return code == SQLITE_OK ? 0 : open_fail(handle, ret_fail, code);
}

/* Finds pages that do not fit together; a file that is too large for that is trusted, and its
 * damage met when a call comes to it. */
static int database_check(sqlite3 *handle, struct td_fail *ret_fail)
{
    int64_t pages = 0;
    int64_t page_bytes = 0;
    int64_t number = 0;
    bool is_ok = false;
    int code = pragma_number(handle, "PRAGMA page_count", &pages);
    if (code == SQLITE_OK) {
        code = pragma_number(handle, "PRAGMA page_size", &page_bytes);
    }
    if (code != SQLITE_OK) {
        return open_fail(handle, ret_fail, code);
    }
    if (page_bytes > 0 && pages > TD_DATABASE_CHECK_BYTES / page_bytes) {
        return 0;
    }
    code = pragma_ask(handle, "PRAGMA quick_check(1)", "ok", &number, &is_ok);
    if (code == SQLITE_OK && !is_ok) {
        return td_fail_set(ret_fail, -TD_E_DAMAGED,
                           "the catalogue cannot be opened: its pages do not fit together");
    }
    return code == SQLITE_OK ? 0 : open_fail(handle, ret_fail, code);
}

static int database_start(struct td_database *db, const char *path, struct td_fail *ret_fail)
{
    int code = sqlite3_open_v2(path, &db->handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                               NULL);
    if (code != SQLITE_OK) {
        /* Without memory there is no handle to ask. */
        return db->handle != NULL ? open_fail(db->handle, ret_fail, code)
                                  : td_fail_set(ret_fail, -ENOMEM, "%s", td_err_text(-ENOMEM));
    }
    if (sqlite3_db_readonly(db->handle, "main") != 0) {
        return td_fail_set(ret_fail, -EACCES, "the catalogue cannot be written");
    }
    int r = database_settle(db->handle, ret_fail);
    return r < 0 ? r : database_check(db->handle, ret_fail);
}

int td_database_open(const char *path, struct td_fail *ret_fail, struct td_database *ret_database)
{
    if (sqlite3_threadsafe() == 0) {
        return td_fail_set(ret_fail, -TD_E_UNSUPPORTED, "this SQLite was built for one thread");
    }
    /* A name that begins with "file:" would be taken for a URI. */
    char name[TD_PATH_MAX];
    int n = snprintf(name, sizeof(name), "%s%s", path[0] == '/' ? "" : "./", path);
    int r = n > 0 && (size_t)n < sizeof(name) ? 0 : -ENAMETOOLONG;
    struct stat st;
    if (r == 0 && lstat(name, &st) < 0 && errno == ENOENT) {
        r = file_make(name);
    }
    r = r < 0 ? r : files_private(name);
    if (r < 0) {
        return td_fail_set(ret_fail, r, "the catalogue cannot be opened: %s", td_err_text(r));
    }
    struct td_database db = {.handle = NULL};
    r = database_start(&db, name, ret_fail);
    if (r == 0) {
        r = files_private(name);
        r = r < 0 ? td_fail_set(ret_fail, r, "the catalogue is not private: %s", td_err_text(r))
                  : 0;
    }
    if (r < 0) {
        td_database_done(&db);
        return r;
    }
    *ret_database = db;
    return 0;
}

void td_database_done(struct td_database *db)
{
    for (size_t i = 0; i < db->statement_count; i++) {
        int ended = sqlite3_finalize(db->statements[i]);
        (void)ended; /* repeats what the last step answered */
    }
    free(db->statements);
    int code = sqlite3_close(db->handle);
    assert(code == SQLITE_OK); /* busy only while a statement is left */
    *db = (struct td_database){.handle = NULL};
}

/* ---- schema ---- */

struct database_version {
    int64_t application;
    int64_t version;
    int64_t objects; /* tables and the like */
};

static int version_read(sqlite3 *handle, struct database_version *ret_version)
{
    int code = pragma_number(handle, "PRAGMA application_id", &ret_version->application);
    if (code == SQLITE_OK) {
        code = pragma_number(handle, "PRAGMA user_version", &ret_version->version);
    }
    if (code == SQLITE_OK) {
        code = pragma_number(handle, "SELECT count(*) FROM sqlite_schema", &ret_version->objects);
    }
    return code;
}

static int version_check(const struct database_version *found,
                         const struct td_database_schema *schema, struct td_fail *ret_fail)
{
    bool fresh = found->application == 0 && found->version == 0 && found->objects == 0;
    if (!fresh && found->application != schema->application) {
        return td_fail_set(ret_fail, -TD_E_UNSUPPORTED,
                           "the catalogue is a database of another program");
    }
    if (found->version < 0 || found->version > schema->version) {
        return td_fail_set(ret_fail, -TD_E_UNSUPPORTED,
                           "the catalogue has version %lld, made by a newer tapedeck; this one "
                           "knows versions up to %d",
                           (long long)found->version, schema->version);
    }
    return 0;
}

static int migrate_step(sqlite3 *handle, const struct td_database_schema *schema, int64_t version)
{
    char sql[128];
    int n = snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %lld",
                     (int)schema->application, (long long)version + 1);
    assert(n > 0 && (size_t)n < sizeof(sql));
    int code = sqlite3_exec(handle, schema->steps[version], NULL, NULL, NULL);
    return code == SQLITE_OK ? sqlite3_exec(handle, sql, NULL, NULL, NULL) : code;
}

/* One step, unless nothing is left to do. The version is read inside: another process may have been
 * here first. */
static int migrate_once(sqlite3 *handle, const struct td_database_schema *schema,
                        struct td_fail *ret_fail, int64_t *ret_version)
{
    struct database_version found;
    int code = version_read(handle, &found);
    int r = code == SQLITE_OK ? version_check(&found, schema, ret_fail)
                              : open_fail(handle, ret_fail, code);
    if (r < 0) {
        return r;
    }
    if (found.version < schema->version) {
        code = migrate_step(handle, schema, found.version);
        found.version++;
    }
    if (code == SQLITE_OK) {
        code = sqlite3_exec(handle, own_sql[DATABASE_COMMIT], NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        return open_fail(handle, ret_fail, code);
    }
    *ret_version = found.version;
    return 0;
}

int td_database_migrate(struct td_database *db, const struct td_database_schema *schema,
                        struct td_fail *ret_fail)
{
    int64_t version = -1;
    /* At most one round a step: each raises the version. */
    while (version < schema->version) {
        int code = sqlite3_exec(db->handle, own_sql[DATABASE_BEGIN], NULL, NULL, NULL);
        if (code != SQLITE_OK) {
            return open_fail(db->handle, ret_fail, code);
        }
        int r = migrate_once(db->handle, schema, ret_fail, &version);
        if (r < 0) {
            /* Fails when SQLite has taken it back already; else the close does. */
            int undone = sqlite3_exec(db->handle, own_sql[DATABASE_ROLLBACK], NULL, NULL, NULL);
            (void)undone; /* the first failure is the one to report */
            return r;
        }
    }
    return 0;
}

int td_database_prepare(struct td_database *db, const char *const *sql, size_t count,
                        struct td_fail *ret_fail)
{
    assert(db->statements == NULL);
    db->statements = calloc(count + DATABASE_OWN_COUNT, sizeof(sqlite3_stmt *));
    if (db->statements == NULL) {
        return td_fail_set(ret_fail, -ENOMEM, "%s", td_err_text(-ENOMEM));
    }
    db->statement_count = count + DATABASE_OWN_COUNT;
    for (size_t i = 0; i < db->statement_count; i++) {
        const char *text = i < count ? sql[i] : own_sql[i - count];
        int code = sqlite3_prepare_v3(db->handle, text, -1, SQLITE_PREPARE_PERSISTENT,
                                      &db->statements[i], NULL);
        if (code != SQLITE_OK) {
            return open_fail(db->handle, ret_fail, code);
        }
    }
    return 0;
}

/* ---- transactions ---- */

static int own_run(struct td_database *db, size_t which)
{
    struct td_statement s =
        td_database_statement(db, db->statement_count - DATABASE_OWN_COUNT + which);
    return td_statement_end(&s, td_statement_step(&s));
}

static int roll_back(struct td_database *db)
{
    /* After some failures SQLite has done it by itself. */
    return sqlite3_get_autocommit(db->handle) == 0 ? own_run(db, DATABASE_ROLLBACK) : 0;
}

int td_database_begin(struct td_database *db)
{
    int r = roll_back(db); /* left over only when that failed before */
    return r < 0 ? r : own_run(db, DATABASE_BEGIN);
}

int td_database_end(struct td_database *db, int r)
{
    int ended = r < 0 ? r : own_run(db, DATABASE_COMMIT);
    if (ended < 0) {
        int undone = roll_back(db);
        (void)undone; /* the first failure is the one to report; the next begin tries again */
        return ended;
    }
    return r;
}

struct td_statement td_database_statement(struct td_database *db, size_t which)
{
    assert(which < db->statement_count);
    return (struct td_statement){.stmt = db->statements[which], .next = 1};
}
