/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "catalog_fixture.h"
#include "store/catalog_row.h"
#include "store/catalog_schema.h"

/* ---- opening ---- */

static void test_open(void **state)
{
    struct shelf *s = *state;
    assert_int_equal(sql_number(s->path, "PRAGMA user_version"), TD_CATALOG_SCHEMA);
    assert_int_equal(sql_number(s->path, "PRAGMA application_id"), TD_CATALOG_APPLICATION);
    put_row(s, 1);
    shelf_close(s);
    assert_int_equal(folder_count(s->f.shm), 1); /* a clean end leaves one file */
    shelf_open(s);
    struct shown shown = {.count = 0};
    assert_int_equal(td_catalog_walk(s->catalog, false, on_row, &shown), 1);
    assert_null(td_catalog_close(NULL));
}

/* The code, and a sentence for people. */
static int refused(const char *path)
{
    struct td_catalog *c = NULL;
    struct td_fail fail = {.code = 0};
    int r = td_catalog_open(path, &fail, &c);
    assert_true(r < 0);
    assert_null(c);
    assert_int_equal(fail.code, r);
    assert_true(strlen(fail.text) > 10);
    return r;
}

static void test_versions(void **state)
{
    struct shelf *s = *state;
    shelf_close(s);
    sql_run(s->path, "PRAGMA user_version = 2");
    assert_int_equal(refused(s->path), -TD_E_UNSUPPORTED);
    sql_run(s->path, "PRAGMA user_version = 1; PRAGMA application_id = 5");
    assert_int_equal(refused(s->path), -TD_E_UNSUPPORTED);
    assert_int_equal(unlink(s->path), 0);
    /* Version 0: ours, without any table yet. */
    sql_run(s->path, "PRAGMA application_id = 1952542821");
    shelf_open(s);
    put_row(s, 1);
    assert_int_equal(sql_number(s->path, "PRAGMA user_version"), TD_CATALOG_SCHEMA);
    shelf_close(s);
    sql_run(s->path, "DROP TABLE outbox");
    assert_int_equal(refused(s->path), -TD_E_DAMAGED);
}

static void test_damaged(void **state)
{
    struct shelf *s = *state;
    for (unsigned n = 0; n < 300; n++) {
        put_row(s, n);
    }
    shelf_close(s);
    size_t len = 0;
    char *bytes = file_read(s->path, &len);
    assert_true(len > 20000);
    assert_int_equal(truncate(s->path, (off_t)(len / 8192 * 4096)), 0);
    assert_int_equal(refused(s->path), -TD_E_DAMAGED);
    assert_int_equal(unlink(s->path), 0);
    for (size_t at = len / 2; at < len / 2 + 8192; at++) {
        bytes[at] = (char)(bytes[at] ^ 0x55);
    }
    file_write(s->path, bytes, len);
    assert_int_equal(refused(s->path), -TD_E_DAMAGED);
    assert_int_equal(unlink(s->path), 0);
    memset(bytes, 'x', len);
    file_write(s->path, bytes, len);
    assert_int_equal(refused(s->path), -TD_E_DAMAGED);
    free(bytes);
    assert_int_equal(unlink(s->path), 0);
    shelf_open(s); /* and a new one takes its place */
    put_row(s, 1);
}

static void test_places(void **state)
{
    struct shelf *s = *state;
    char path[TD_PATH_MAX];
    (void)fixture_path(&s->f, "none/catalog.db", path);
    assert_int_equal(refused(path), -ENOENT);
    assert_int_equal(refused(s->f.disk), -EISDIR);
    (void)fixture_path(&s->f, "link", path);
    assert_int_equal(symlink(s->path, path), 0);
    assert_int_equal(refused(path), -ELOOP);
    char *endless = malloc(2000);
    assert_non_null(endless);
    memset(endless, 'x', 1999);
    endless[1999] = '\0';
    assert_int_equal(refused(endless), -ENAMETOOLONG);
    free(endless);
}

/* ---- recordings ---- */

static int on_expected(void *ctx, const struct td_catalog_row *row)
{
    const struct td_catalog_row *e = ctx;
    assert_string_equal(row->id, e->id);
    assert_string_equal(row->room, e->room);
    assert_string_equal(row->state, e->state);
    assert_string_equal(row->reason, e->reason);
    assert_string_equal(row->source, e->source);
    assert_string_equal(row->folder, e->folder);
    assert_string_equal(row->doc, e->doc);
    assert_string_equal(row->request, e->request);
    assert_true(row->started_us == e->started_us);
    assert_true(row->ended_us == e->ended_us);
    assert_true(row->bytes == e->bytes);
    assert_int_equal(row->final, e->final);
    assert_int_equal(row->hold, e->hold);
    assert_int_equal(row->attempts, e->attempts);
    return 0;
}

static void assert_row(struct shelf *s, const struct td_catalog_row *expected)
{
    struct td_catalog_query query = {.id = expected->id};
    struct td_catalog_row e = *expected;
    assert_int_equal(td_catalog_each(s->catalog, &query, on_expected, &e), 1);
}

static void test_put(void **state)
{
    struct shelf *s = *state;
    struct td_catalog_row row = {
        .id = "rec_abcdefghijklmnop",
        .room = "d\xc3\xa9mo'; DROP TABLE recordings; --",
        .state = "starting",
        .source = "whip",
        .folder = "demo_x",
        .doc = "{\"a\":1}",
        .request = "{\"token\":\"t\"}",
        .started_us = 1795253400456789,
        .bytes = UINT64_MAX,
        .hold = true,
        .attempts = -1,
    };
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), 0);
    struct td_catalog_row stored = row;
    stored.reason = "";
    stored.bytes = INT64_MAX;
    stored.attempts = 0;
    assert_row(s, &stored);
    /* What the new row does not say is kept; hold is not for it to say. */
    assert_int_equal(td_catalog_attempt(s->catalog, row.id, false), 1);
    row.state = stored.state = "complete";
    row.reason = stored.reason = "stopped";
    row.request = NULL;
    row.hold = false;
    row.ended_us = stored.ended_us = 1795253500000000;
    row.bytes = stored.bytes = 5000000000;
    row.final = stored.final = true;
    stored.attempts = 1;
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), 0);
    assert_row(s, &stored);
    row.request = stored.request = "";
    row.attempts = stored.attempts = 7;
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), 0);
    assert_row(s, &stored);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM recordings"), 1);
    /* Rows that cannot be. */
    row.id = "";
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), -TD_E_USAGE);
    row.id = NULL;
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), -TD_E_USAGE);
    row.id = "rec_abcdefghijklmnopqrst"; /* TD_ID_MAX characters */
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), -TD_E_LIMIT);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM recordings"), 1);
}

static void test_changes(void **state)
{
    struct shelf *s = *state;
    char id[TD_ID_MAX];
    struct td_catalog_row row = row_of(3, id);
    assert_int_equal(td_catalog_hold(s->catalog, id, true), TD_CATALOG_NONE);
    assert_int_equal(td_catalog_attempt(s->catalog, id, false), -ENOENT);
    assert_int_equal(td_catalog_delete(s->catalog, id), TD_CATALOG_NONE);
    put_row(s, 3);
    row.attempts = 0;
    assert_row(s, &row);
    assert_int_equal(td_catalog_hold(s->catalog, id, true), 0);
    assert_int_equal(td_catalog_hold(s->catalog, id, true), 0);
    row.hold = true;
    assert_row(s, &row);
    assert_int_equal(td_catalog_hold(s->catalog, id, false), 0);
    row.hold = false;
    for (int n = 1; n <= 3; n++) {
        assert_int_equal(td_catalog_attempt(s->catalog, id, false), n);
        shelf_close(s); /* it counts the starts that end in a crash */
        shelf_open(s);
    }
    row.attempts = 3;
    assert_row(s, &row);
    assert_int_equal(td_catalog_attempt(s->catalog, id, true), 0);
    row.attempts = 0;
    assert_row(s, &row);
    assert_int_equal(td_catalog_delete(s->catalog, id), 0);
    struct shown shown = {.count = 0};
    assert_int_equal(td_catalog_walk(s->catalog, false, on_row, &shown), 0);
    assert_int_equal(td_catalog_delete(s->catalog, id), TD_CATALOG_NONE);
}

/* ---- queries ---- */

#define QUERY_ROWS 200u

/* What the query should show of rows 0 to QUERY_ROWS - 1. */
static void expect(const struct td_catalog_query *query, unsigned limit, struct shown *ret_shown)
{
    ret_shown->count = 0;
    for (unsigned i = 0; i < QUERY_ROWS && ret_shown->count < limit; i++) {
        unsigned n = query->oldest_first ? i : QUERY_ROWS - 1 - i;
        char id[TD_ID_MAX];
        struct td_catalog_row row = row_of(n, id);
        if ((query->room == NULL || strcmp(query->room, row.room) == 0) &&
            (query->state == NULL || strcmp(query->state, row.state) == 0) &&
            (!query->unfinished || !row.final) &&
            (query->id == NULL || strcmp(query->id, row.id) == 0)) {
            ret_shown->numbers[ret_shown->count++] = n;
        }
    }
}

static void assert_shown(const struct shown *shown, const struct shown *expected)
{
    assert_int_equal(shown->count, expected->count);
    assert_memory_equal(shown->numbers, expected->numbers,
                        sizeof(shown->numbers[0]) * expected->count);
}

/* Page by page, each from the cursor of the last. */
static void read_pages(struct shelf *s, struct td_catalog_query query, struct shown *shown)
{
    char id[TD_ID_MAX];
    int count;
    do {
        count = td_catalog_each(s->catalog, &query, on_row, shown);
        assert_true(count >= 0 && (unsigned)count <= query.limit);
        if (count > 0) {
            (void)row_of(shown->numbers[shown->count - 1], id);
            query.before = id;
        }
    } while (count > 0);
}

static void test_queries(void **state)
{
    struct shelf *s = *state;
    for (unsigned i = 0; i < QUERY_ROWS; i++) {
        put_row(s, i * 77 % QUERY_ROWS); /* in any order */
    }
    static struct shown shown;
    static struct shown expected;
    for (unsigned kind = 0; kind < TD_CATALOG_PAGE_KINDS * 2; kind++) {
        struct td_catalog_query query = {
            .room = (kind & TD_CATALOG_PAGE_ROOM) != 0 ? "red" : NULL,
            .state = (kind & TD_CATALOG_PAGE_STATE) != 0 ? "recording" : NULL,
            .unfinished = (kind & TD_CATALOG_PAGE_UNFINISHED) != 0,
            .oldest_first = (kind & TD_CATALOG_PAGE_OLDEST) != 0,
            .id = kind >= TD_CATALOG_PAGE_KINDS ? "rec_99" : NULL,
        };
        expect(&query, QUERY_ROWS, &expected);
        shown.count = 0;
        assert_int_equal(td_catalog_each(s->catalog, &query, on_row, &shown), expected.count);
        assert_shown(&shown, &expected);
        query.limit = 7;
        shown.count = 0;
        if (query.id == NULL) {
            read_pages(s, query, &shown);
            assert_shown(&shown, &expected);
        }
    }
    struct td_catalog_query none = {.room = "green"};
    assert_int_equal(td_catalog_each(s->catalog, &none, on_row, &shown), 0);
    struct td_catalog_query nobody = {.id = "rec_99", .room = "blue"};
    assert_int_equal(td_catalog_each(s->catalog, &nobody, on_row, &shown), 0);
}

/* Pages are not moved by rows that come while they are read, nor by the end of the row at their
 * border: each row that was there is shown once. */
static void test_paging(void **state)
{
    struct shelf *s = *state;
    for (unsigned n = 0; n < 60; n++) {
        put_row(s, 1000 + n);
    }
    static struct shown shown;
    shown = (struct shown){.count = 0};
    char id[TD_ID_MAX];
    struct td_catalog_query query = {.limit = 7};
    unsigned next = 2000;
    while (td_catalog_each(s->catalog, &query, on_row, &shown) > 0) {
        (void)row_of(shown.numbers[shown.count - 1], id);
        query.before = id;
        put_row(s, next++);
        assert_int_equal(td_catalog_delete(s->catalog, id), 0);
    }
    assert_int_equal(shown.count, 60);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(shown.numbers[i], 1059 - i);
    }
    query.before = "rec_nowhere";
    assert_int_equal(td_catalog_each(s->catalog, &query, on_row, &shown), -ENOENT);
    /* A deleted row is a cursor for a day. */
    query.before = "rec_1053";
    shown.count = 0;
    assert_int_equal(td_catalog_each(s->catalog, &query, on_row, &shown), 7);
    sql_run(s->path, "UPDATE deleted SET deleted_us = deleted_us - 86400000001");
    assert_int_equal(td_catalog_delete(s->catalog, "rec_2000"), 0);
    assert_int_equal(td_catalog_each(s->catalog, &query, on_row, &shown), -ENOENT);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM deleted"), 1);
}

static void test_limits(void **state)
{
    struct shelf *s = *state;
    /* By other means: it is about reading. */
    sql_run(s->path,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
            "INSERT INTO recordings SELECT 'rec_' || i, '', '', '', '', '', i, 0, 0, i % 4 = 0, 0,"
            "0, hex(zeroblob(iif(i < 40, 30000, 10))), '' FROM n");
    static struct shown shown;
    struct td_catalog_query query = {.limit = 0};
    shown = (struct shown){.count = 0};
    assert_int_equal(td_catalog_each(s->catalog, &query, on_row, &shown), TD_CATALOG_PAGE_MAX);
    query.limit = 100000;
    shown = (struct shown){.count = 0};
    assert_int_equal(td_catalog_each(s->catalog, &query, on_row, &shown), TD_CATALOG_PAGE_MAX);
    shown = (struct shown){.count = 0};
    assert_int_equal(td_catalog_walk(s->catalog, false, on_row, &shown), 1200);
    for (unsigned i = 0; i < 1200; i++) {
        assert_int_equal(shown.numbers[i], 1200 - i);
    }
    shown = (struct shown){.count = 0};
    assert_int_equal(td_catalog_walk(s->catalog, true, on_row, &shown), 900);
    /* Stopping: with the count so far, or with an error. */
    shown = (struct shown){.stop_after = 100, .answer = 1};
    assert_int_equal(td_catalog_walk(s->catalog, false, on_row, &shown), 100);
    shown = (struct shown){.stop_after = 100, .answer = -ENOMEM};
    assert_int_equal(td_catalog_walk(s->catalog, false, on_row, &shown), -ENOMEM);
    assert_int_equal(shown.count, 100);
}

static int on_row_delete(void *ctx, const struct td_catalog_row *row)
{
    return td_catalog_delete(ctx, row->id);
}

/* No lock is held while a row is shown. */
static void test_calls_within(void **state)
{
    struct shelf *s = *state;
    for (unsigned n = 0; n < 150; n++) {
        put_row(s, n);
    }
    assert_int_equal(td_catalog_walk(s->catalog, true, on_row_delete, s->catalog), 75);
    assert_int_equal(td_catalog_walk(s->catalog, false, on_row_delete, s->catalog), 75);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM recordings"), 0);
}

/* No page reads the whole table or sorts it. */
static void test_plans(void **state)
{
    struct shelf *s = *state;
    for (unsigned i = 0; i < TD_CATALOG_SQL_COUNT; i++) {
        sqlite3 *handle = NULL;
        sqlite3_stmt *stmt = NULL;
        char sql[2048];
        int n = snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", td_catalog_sql[i]);
        assert_true(n > 0 && (size_t)n < sizeof(sql));
        assert_int_equal(sqlite3_open(s->path, &handle), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *step = (const char *)sqlite3_column_text(stmt, 3);
            bool scan = strstr(step, "SCAN") != NULL && strstr(step, "USING") == NULL &&
                        strstr(step, "CONSTANT ROW") == NULL;
            bool sort = strstr(step, "TEMP B-TREE") != NULL && i < TD_CATALOG_SQL_ROW;
            if (scan || sort) {
                fail_msg("%s: %s", td_catalog_sql[i], step);
            }
        }
        assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
        assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    }
}

/* ---- all or nothing ---- */

static void assert_counts(const struct shelf *s, int64_t rows, int64_t letters)
{
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM recordings"), rows);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM outbox"), letters);
}

static void test_all_or_nothing(void **state)
{
    struct shelf *s = *state;
    char id[TD_ID_MAX];
    struct td_catalog_row row = row_of(1, id);
    char *large = malloc(TD_CATALOG_TEXT_MAX + 2);
    assert_non_null(large);
    memset(large, 'x', TD_CATALOG_TEXT_MAX + 1);
    large[TD_CATALOG_TEXT_MAX + 1] = '\0';
    struct td_catalog_letter letters[] = {
        {.recording = id, .url = "http://a", .body = "1"},
        {.recording = id, .url = "http://a", .body = large},
    };
    assert_int_equal(td_catalog_put(s->catalog, &row, letters, 2), -TD_E_LIMIT);
    assert_counts(s, 0, 0);
    large[TD_CATALOG_TEXT_MAX] = '\0';
    assert_int_equal(td_catalog_put(s->catalog, &row, letters, 2), 0);
    assert_counts(s, 1, 2);
    row.doc = row.request = row.folder = large; /* the largest there can be, near enough */
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), 0);
    row.attempts = 0;
    assert_row(s, &row);
    free(large);
}

/* A file that may not grow any more fails in the middle of a transaction. */
static void test_file_limit(void **state)
{
    struct shelf *s = *state;
    static char body[20000];
    memset(body, 'x', sizeof(body) - 1);
    char id[TD_ID_MAX];
    struct td_catalog_letter letters[3];
    for (size_t i = 0; i < 3; i++) {
        letters[i] = (struct td_catalog_letter){.recording = id, .url = "http://a", .body = body};
    }
    put_row(s, 0);
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    struct rlimit small = {.rlim_cur = 300000, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int64_t taken = 0;
    int r = 0;
    for (unsigned n = 1; n < 100 && r == 0; n++) {
        struct td_catalog_row row = row_of(n, id);
        r = td_catalog_put(s->catalog, &row, letters, 3);
        taken += r == 0 ? 1 : 0;
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(r, -EFBIG);
    assert_in_range(taken, 1, 10);
    assert_counts(s, 1 + taken, 3 * taken);
    struct td_catalog_row row = row_of(50, id);
    assert_int_equal(td_catalog_put(s->catalog, &row, letters, 3), 0); /* and then it goes on */
    assert_counts(s, 2 + taken, 3 * taken + 3);
    assert_string_equal(sql_text(s->path, "PRAGMA integrity_check"), "ok");
}

/* Rows with a letter until that fails; how many there are then. */
static unsigned fill(struct td_catalog *c, int *ret_error)
{
    static char body[3000];
    memset(body, 'x', sizeof(body) - 1);
    for (unsigned n = 0; n < 1000; n++) {
        char id[TD_ID_MAX];
        struct td_catalog_row row = row_of(n, id);
        struct td_catalog_letter letter = {.recording = id, .url = "http://a", .body = body};
        *ret_error = td_catalog_put(c, &row, &letter, 1);
        if (*ret_error < 0) {
            return n;
        }
    }
    return 1000;
}

static int mount_small(const char *path)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return -errno;
    }
    return mount("small", path, "tmpfs", 0, "size=400k") == 0 ? 0 : -errno;
}

/* In a child with a disk of its own, which goes with it: 0 when all was well, 99 when there can be
 * none, else the line that found a fault. No assert may end a child. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return __LINE__ % 90 + 1;                                                              \
        }                                                                                          \
    } while (0)

static int on_small_disk(struct fixture *f)
{
    if (mount_small(f->disk) < 0) {
        return 99;
    }
    char ballast[TD_PATH_MAX];
    static const char zeros[30000];
    file_write(fixture_path(f, "ballast", ballast), zeros, sizeof(zeros));
    char path[TD_PATH_MAX];
    struct td_fail fail = {.code = 0};
    struct td_catalog *c = NULL;
    CHECK(td_catalog_open(fixture_path(f, "catalog.db", path), &fail, &c) == 0);
    int error = 0;
    unsigned count = fill(c, &error);
    CHECK(error == -ENOSPC && count > 0);
    static struct shown shown;
    CHECK(td_catalog_walk(c, false, on_row, &shown) == (int)count);
    CHECK(unlink(ballast) == 0);
    char id[TD_ID_MAX];
    struct td_catalog_row row = row_of(count, id);
    CHECK(td_catalog_put(c, &row, NULL, 0) == 0);
    c = td_catalog_close(c);
    CHECK(td_catalog_open(path, &fail, &c) == 0);
    shown.count = 0;
    CHECK(td_catalog_walk(c, false, on_row, &shown) == (int)count + 1);
    c = td_catalog_close(c);
    return 0;
}

static void test_full_disk(void **state)
{
    struct shelf *s = *state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(on_small_disk(&s->f));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 99) {
        print_message("# nothing can be mounted here: not looked at\n");
        return; /* cmocka's own skip is a failure to the reader of its TAP */
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_busy(void **state)
{
    struct shelf *s = *state;
    put_row(s, 1);
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(s->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    char id[TD_ID_MAX];
    struct td_catalog_row row = row_of(2, id);
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), -EAGAIN);
    static struct shown shown;
    assert_int_equal(td_catalog_walk(s->catalog, false, on_row, &shown), 1); /* reads go on */
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    put_row(s, 2);
}

/* ---- idempotency keys ---- */

static void test_keys(void **state)
{
    struct shelf *s = *state;
    char digest[65] = "before";
    char recording[TD_ID_MAX] = "before";
    assert_int_equal(td_catalog_key_get(s->catalog, "k", digest, sizeof(digest), recording),
                     TD_CATALOG_NONE);
    assert_string_equal(digest, "before");
    static const char sha[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    assert_int_equal(td_catalog_key_put(s->catalog, "k", sha, "rec_1"), 0);
    assert_int_equal(td_catalog_key_put(s->catalog, "k", "other", "rec_2"), -EEXIST);
    assert_int_equal(td_catalog_key_put(s->catalog, "", "", ""), 0);
    shelf_close(s);
    shelf_open(s);
    assert_int_equal(td_catalog_key_get(s->catalog, "k", digest, sizeof(digest), recording), 0);
    assert_string_equal(digest, sha);
    assert_string_equal(recording, "rec_1");
    char longer[66];
    memset(longer, 'x', 65);
    longer[65] = '\0';
    assert_int_equal(td_catalog_key_put(s->catalog, "l", longer, "rec_1"), -TD_E_LIMIT);
    assert_int_equal(td_catalog_key_put(s->catalog, "l", sha, longer), -TD_E_LIMIT);
    /* After a day it is forgotten, and may be used again, however many are. */
    sql_run(s->path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99)"
                     "INSERT INTO keys SELECT 'old ' || i, '', '', 0 FROM n");
    sql_run(s->path, "UPDATE keys SET made_us = made_us - 86400000001");
    assert_int_equal(td_catalog_key_get(s->catalog, "k", digest, sizeof(digest), recording),
                     TD_CATALOG_NONE);
    assert_int_equal(td_catalog_key_put(s->catalog, "k", "new", "rec_2"), 0);
    assert_int_equal(td_catalog_key_get(s->catalog, "k", digest, sizeof(digest), recording), 0);
    assert_string_equal(recording, "rec_2");
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM keys"), 99 + 2 - 64);
    assert_int_equal(td_catalog_key_put(s->catalog, "k", "newer", "rec_3"), -EEXIST);
    assert_int_equal(td_catalog_key_put(s->catalog, "l", "new", "rec_3"), 0);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM keys"), 2);
    /* Neither digest nor id is trusted to be as short as it was written. */
    sql_run(s->path, "UPDATE keys SET recording = hex(zeroblob(500))");
    assert_int_equal(td_catalog_key_get(s->catalog, "k", digest, sizeof(digest), recording),
                     -TD_E_DAMAGED);
    sql_run(s->path, "UPDATE keys SET recording = '', digest = hex(zeroblob(500))");
    assert_int_equal(td_catalog_key_get(s->catalog, "k", digest, sizeof(digest), recording),
                     -TD_E_DAMAGED);
}

/* Nor are ids, which would be cut as places of pages. */
static void test_long_id(void **state)
{
    struct shelf *s = *state;
    put_row(s, 1);
    sql_run(s->path, "UPDATE recordings SET id = hex(zeroblob(20))");
    static struct shown shown;
    assert_int_equal(td_catalog_walk(s->catalog, false, on_row, &shown), -TD_E_DAMAGED);
}

/* ---- from threads ---- */

struct worker {
    pthread_t thread;
    struct shelf *shelf;
    unsigned first;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    char id[TD_ID_MAX];
    for (unsigned n = w->first; n < w->first + 100; n++) {
        struct td_catalog_row row = row_of(n, id);
        struct td_catalog_letter letter = {.recording = id, .url = "http://a", .body = "{}"};
        struct shown shown = {.count = 0};
        struct td_catalog_query query = {.limit = 3};
        if (td_catalog_put(w->shelf->catalog, &row, &letter, 1) != 0 ||
            td_catalog_each(w->shelf->catalog, &query, on_row, &shown) < 1) {
            return w;
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct shelf *s = *state;
    struct worker workers[3];
    for (unsigned i = 0; i < 3; i++) {
        workers[i] = (struct worker){.shelf = s, .first = i * 1000};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        void *failed = s;
        assert_int_equal(pthread_join(workers[i].thread, &failed), 0);
        assert_null(failed);
    }
    assert_counts(s, 300, 300);
}

/* A row put on the store's thread, behind a manifest that was handed over before it. */
struct posted {
    struct shelf *shelf;
    char manifest[TD_PATH_MAX];
    unsigned n;
    bool written;
    int answered;
};

static int put_job(void *arg)
{
    struct posted *p = arg;
    char expected[32];
    (void)snprintf(expected, sizeof(expected), "%u", p->n);
    size_t len = 0;
    char *text = NULL;
    p->written = td_fs_slurp(td_fs_posix(), p->manifest, 100, &text, &len) == 0 &&
                 strcmp(text, expected) == 0;
    free(text);
    char id[TD_ID_MAX];
    struct td_catalog_row row = row_of(p->n, id);
    return td_catalog_put(p->shelf->catalog, &row, NULL, 0) == 0 ? (int)p->n : -EIO;
}

static void on_put(void *target, const void *payload)
{
    struct posted *p = target;
    memcpy(&p->answered, payload, sizeof(p->answered));
}

static void test_post(void **state)
{
    struct shelf *s = *state;
    fixture_store(&s->f, 2, -1);
    static struct posted posted[20];
    for (unsigned n = 0; n < 20; n++) {
        struct posted *p = &posted[n];
        *p = (struct posted){.shelf = s, .n = n + 1};
        (void)fixture_path(&s->f, "manifest.json", p->manifest);
        char text[32];
        int len = snprintf(text, sizeof(text), "%u", p->n);
        assert_int_equal(td_store_replace(s->f.store, p->manifest, text, (size_t)len), 0);
        assert_int_equal(td_catalog_post(s->f.store, put_job, p, s->f.notify, on_put, p), 0);
    }
    while (posted[19].answered == 0) {
        struct pollfd pfd = {.fd = td_mailbox_fd(s->f.notify), .events = POLLIN};
        assert_true(poll(&pfd, 1, 10000) == 1); /* a hang is a failure */
        assert_true(td_mailbox_drain(s->f.notify) > 0);
    }
    for (unsigned n = 0; n < 20; n++) {
        assert_true(posted[n].written);
        assert_int_equal(posted[n].answered, n + 1);
    }
    assert_counts(s, 20, 0);
    fixture_store_done(&s->f);
}

#define SHELF_TEST(test) cmocka_unit_test_setup_teardown(test, shelf_setup, shelf_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELF_TEST(test_open),
        SHELF_TEST(test_versions),
        SHELF_TEST(test_damaged),
        SHELF_TEST(test_places),
        SHELF_TEST(test_put),
        SHELF_TEST(test_changes),
        SHELF_TEST(test_queries),
        SHELF_TEST(test_paging),
        SHELF_TEST(test_limits),
        SHELF_TEST(test_plans),
        SHELF_TEST(test_all_or_nothing),
        SHELF_TEST(test_file_limit),
        SHELF_TEST(test_full_disk),
        SHELF_TEST(test_busy),
        SHELF_TEST(test_keys),
        SHELF_TEST(test_long_id),
        SHELF_TEST(test_threads),
        SHELF_TEST(test_post),
        SHELF_TEST(test_calls_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
