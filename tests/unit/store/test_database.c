/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "catalog_fixture.h"
#include "store/database.h"

#define OURS 0x1234

static const char *const two_steps[] = {
    "CREATE TABLE things (name TEXT) STRICT; INSERT INTO things VALUES ('one')",
    "ALTER TABLE things ADD COLUMN size INTEGER; UPDATE things SET size = length(name)",
};
static const char *const broken_steps[] = {
    "CREATE TABLE things (name TEXT) STRICT; INSERT INTO things VALUES ('one')",
    "UPDATE things SET name = 'lost'; CREATE TABLE things (name TEXT)",
};
static const struct td_database_schema first = {OURS, 1, two_steps};
static const struct td_database_schema second = {OURS, 2, two_steps};
static const struct td_database_schema broken = {OURS, 2, broken_steps};

static int setup(void **state)
{
    static struct shelf shelf;
    shelf_init(&shelf);
    *state = &shelf;
    return 0;
}

static void opened(const struct shelf *s, struct td_database *ret_db)
{
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_database_open(s->path, &fail, ret_db), 0);
}

/* Opens, migrates, closes. */
static int migrate(const struct shelf *s, const struct td_database_schema *schema)
{
    struct td_database db;
    opened(s, &db);
    struct td_fail fail = {.code = 0};
    int r = td_database_migrate(&db, schema, &fail);
    assert_int_equal(fail.code, r);
    assert_true(r == 0 || strlen(fail.text) > 0);
    td_database_done(&db);
    return r;
}

static void test_migrate(void **state)
{
    struct shelf *s = *state;
    assert_int_equal(migrate(s, &first), 0);
    assert_int_equal(sql_number(s->path, "PRAGMA user_version"), 1);
    assert_int_equal(sql_number(s->path, "PRAGMA application_id"), OURS);
    sql_run(s->path, "INSERT INTO things VALUES ('three')");
    assert_int_equal(migrate(s, &second), 0);
    assert_int_equal(sql_number(s->path, "PRAGMA user_version"), 2);
    assert_string_equal(sql_text(s->path, "SELECT group_concat(name || size) FROM things"),
                        "one3,three5");
    assert_int_equal(migrate(s, &second), 0);
    /* The older program refuses it, and changes nothing. */
    assert_int_equal(migrate(s, &first), -TD_E_UNSUPPORTED);
    assert_int_equal(sql_number(s->path, "PRAGMA user_version"), 2);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM things"), 2);
}

/* A step that fails leaves the version before it whole. */
static void test_migrate_fails(void **state)
{
    struct shelf *s = *state;
    assert_int_equal(migrate(s, &broken), -TD_E_DAMAGED);
    assert_int_equal(sql_number(s->path, "PRAGMA user_version"), 1);
    assert_string_equal(sql_text(s->path, "SELECT name FROM things"), "one");
    assert_int_equal(migrate(s, &second), 0);
    assert_int_equal(sql_number(s->path, "SELECT size FROM things"), 3);
}

static void test_foreign(void **state)
{
    struct shelf *s = *state;
    sql_run(s->path, "CREATE TABLE theirs (x)");
    assert_int_equal(migrate(s, &first), -TD_E_UNSUPPORTED);
    sql_run(s->path, "DROP TABLE theirs; PRAGMA application_id = 7");
    assert_int_equal(migrate(s, &first), -TD_E_UNSUPPORTED);
    sql_run(s->path, "PRAGMA application_id = 4660; PRAGMA user_version = -1");
    assert_int_equal(migrate(s, &first), -TD_E_UNSUPPORTED);
    sql_run(s->path, "PRAGMA user_version = 0");
    assert_int_equal(migrate(s, &first), 0);
}

static void test_statements(void **state)
{
    struct shelf *s = *state;
    static const char *const sql[] = {
        "INSERT INTO things VALUES (?1)",
        "SELECT name, rowid FROM things ORDER BY rowid",
    };
    struct td_database db;
    struct td_fail fail = {.code = 0};
    opened(s, &db);
    assert_int_equal(td_database_prepare(&db, sql, 2, &fail), -TD_E_DAMAGED); /* no such table */
    td_database_done(&db);
    opened(s, &db);
    td_fail_clear(&fail);
    assert_int_equal(td_database_migrate(&db, &first, &fail), 0);
    assert_int_equal(td_database_prepare(&db, sql, 2, &fail), 0);

    struct td_statement st = td_database_statement(&db, 0);
    td_statement_text(&st, "too long", 7);
    td_statement_number(&st, 1); /* does nothing after the first failure */
    assert_int_equal(td_statement_run(&st), -TD_E_LIMIT);
    st = td_database_statement(&db, 0);
    td_statement_text(&st, "just fit", 8);
    assert_int_equal(td_statement_run(&st), 1);
    st = td_database_statement(&db, 0);
    td_statement_text_or_null(&st, NULL, 8);
    assert_int_equal(td_statement_run(&st), 1);

    st = td_database_statement(&db, 1);
    assert_int_equal(td_statement_step(&st), TD_STATEMENT_ROW);
    assert_int_equal(td_statement_column(&st, 1), 1);
    assert_int_equal(td_statement_texts_bytes(&st, 0, 1), 4);
    char memory[4];
    const char *texts[1];
    td_statement_texts_copy(&st, 0, 1, memory, texts);
    assert_string_equal(texts[0], "one");
    assert_int_equal(td_statement_step(&st), TD_STATEMENT_ROW);
    assert_int_equal(td_statement_step(&st), TD_STATEMENT_ROW);
    assert_int_equal(td_statement_texts_bytes(&st, 0, 1), -TD_E_DAMAGED); /* NULL */
    assert_int_equal(td_statement_step(&st), 0);
    assert_int_equal(td_statement_end(&st, 5), 5);
    td_database_done(&db);
}

static int insert(struct td_database *db, const char *name)
{
    struct td_statement st = td_database_statement(db, 0);
    td_statement_text(&st, name, 100);
    return td_statement_run(&st);
}

static void test_transactions(void **state)
{
    struct shelf *s = *state;
    static const char *const sql[] = {"INSERT INTO things VALUES (?1)"};
    struct td_database db;
    struct td_fail fail = {.code = 0};
    opened(s, &db);
    assert_int_equal(td_database_migrate(&db, &first, &fail), 0);
    assert_int_equal(td_database_prepare(&db, sql, 1, &fail), 0);
    assert_int_equal(td_database_begin(&db), 0);
    assert_int_equal(insert(&db, "two"), 1);
    assert_int_equal(td_database_end(&db, 3), 3);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM things"), 2);
    assert_int_equal(td_database_begin(&db), 0);
    assert_int_equal(insert(&db, "three"), 1);
    assert_int_equal(td_database_end(&db, -ENOMEM), -ENOMEM);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM things"), 2);
    /* One that was left open is taken back by the next. */
    assert_int_equal(td_database_begin(&db), 0);
    assert_int_equal(insert(&db, "four"), 1);
    assert_int_equal(td_database_begin(&db), 0);
    assert_int_equal(td_database_end(&db, 0), 0);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM things"), 2);
    td_database_done(&db);
}

static unsigned mode_of(const char *path, const char *suffix)
{
    char name[TD_PATH_MAX + 8];
    (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
    struct stat st;
    assert_int_equal(stat(name, &st), 0);
    return st.st_mode & 07777;
}

/* Nobody else reads it, whatever the umask is, and whatever it was. */
static void test_modes(void **state)
{
    struct shelf *s = *state;
    static const mode_t masks[] = {0, 0777, 022};
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        mode_t old = umask(masks[i]);
        struct td_database db;
        opened(s, &db);
        struct td_fail fail = {.code = 0};
        assert_int_equal(td_database_migrate(&db, &first, &fail), 0);
        (void)umask(old);
        assert_int_equal(mode_of(s->path, ""), 0600);
        assert_int_equal(mode_of(s->path, "-wal"), 0600);
        assert_int_equal(mode_of(s->path, "-shm"), 0600);
        td_database_done(&db);
        if (i == 0) {
            assert_int_equal(chmod(s->path, 0644), 0); /* and the next one makes it private */
        } else {
            assert_int_equal(unlink(s->path), 0);
        }
    }
}

static void test_settings(void **state)
{
    struct shelf *s = *state;
    static const char *const pragmas[] = {"PRAGMA synchronous", "PRAGMA foreign_keys",
                                          "PRAGMA wal_autocheckpoint", "PRAGMA journal_size_limit"};
    static const int64_t expected[] = {2, 1, TD_DATABASE_LOG_PAGES, TD_DATABASE_LOG_BYTES};
    struct td_database db;
    opened(s, &db);
    for (size_t i = 0; i < 4; i++) {
        sqlite3_stmt *stmt = NULL;
        assert_int_equal(sqlite3_prepare_v2(db.handle, pragmas[i], -1, &stmt, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int64(stmt, 0), expected[i]);
        assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    }
    td_database_done(&db);
    assert_string_equal(sql_text(s->path, "PRAGMA journal_mode"), "wal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_migrate, setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(test_migrate_fails, setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(test_foreign, setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(test_statements, setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(test_transactions, setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(test_modes, setup, shelf_teardown),
        cmocka_unit_test_setup_teardown(test_settings, setup, shelf_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
