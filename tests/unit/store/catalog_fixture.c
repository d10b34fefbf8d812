/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog_fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void shelf_init(struct shelf *s)
{
    s->catalog = NULL;
    fixture_init(&s->f);
    int n = snprintf(s->path, sizeof(s->path), "%s/catalog.db", s->f.shm);
    assert_true(n > 0 && (size_t)n < sizeof(s->path));
}

void shelf_done(struct shelf *s)
{
    shelf_close(s);
    fixture_done(&s->f);
}

void shelf_open(struct shelf *s)
{
    struct td_fail fail = {.code = 0};
    int r = td_catalog_open(s->path, &fail, &s->catalog);
    if (r < 0) {
        fail_msg("%s: %s", td_err_name(r), fail.text);
    }
}

void shelf_close(struct shelf *s)
{
    s->catalog = td_catalog_close(s->catalog);
}

int shelf_setup(void **state)
{
    static struct shelf shelf;
    shelf_init(&shelf);
    shelf_open(&shelf);
    *state = &shelf;
    return 0;
}

int shelf_teardown(void **state)
{
    shelf_done(*state);
    return 0;
}

static sqlite3 *sql_open(const char *path)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    return handle;
}

void sql_run(const char *path, const char *sql)
{
    sqlite3 *handle = sql_open(path);
    char *why = NULL;
    if (sqlite3_exec(handle, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s: %s", sql, why);
    }
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

const char *sql_text(const char *path, const char *sql)
{
    static char text[4096];
    sqlite3 *handle = sql_open(path);
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    (void)snprintf(text, sizeof(text), "%s", (const char *)sqlite3_column_text(stmt, 0));
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    return text;
}

int64_t sql_number(const char *path, const char *sql)
{
    return strtoll(sql_text(path, sql), NULL, 10);
}

struct td_catalog_row row_of(unsigned n, char ret_id[TD_ID_MAX])
{
    (void)snprintf(ret_id, TD_ID_MAX, "rec_%u", n);
    return (struct td_catalog_row){
        .id = ret_id,
        .room = n % 3 == 0 ? "red" : "blue",
        .state = n % 2 == 0 ? "complete" : "recording",
        .reason = "",
        .source = "livekit",
        .folder = "folder",
        .doc = "{}",
        .request = "{\"token\":\"secret\"}",
        .started_us = (int64_t)n * 1000000,
        .bytes = n,
        .final = n % 2 == 0,
        .attempts = -1,
    };
}

void put_row(struct shelf *s, unsigned n)
{
    char id[TD_ID_MAX];
    struct td_catalog_row row = row_of(n, id);
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), 0);
}

int on_row(void *ctx, const struct td_catalog_row *row)
{
    struct shown *shown = ctx;
    assert_true(shown->count < SHELF_ROWS_MAX);
    unsigned n = 0;
    assert_int_equal(sscanf(row->id, "rec_%u", &n), 1);
    shown->numbers[shown->count++] = n;
    return shown->count == shown->stop_after ? shown->answer : 0;
}
