/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_fixture: a catalogue in a folder of the fixture, and a second way to look into its file.
 * Owner: the test.
 * Thread: the test's.
 * Bound: fixed sizes.
 * Does not: check what the catalogue answers, but for opening it.
 */
#ifndef TD_TESTS_STORE_CATALOG_FIXTURE_H
#define TD_TESTS_STORE_CATALOG_FIXTURE_H

#include "fixture.h"
#include "store/catalog.h"

#define SHELF_ROWS_MAX 4096u

struct shelf {
    struct fixture f;
    char path[TD_PATH_MAX]; /* of the database, on tmpfs: syncs cost nothing there */
    struct td_catalog *catalog;
};

/* Folders only; then open as often as wanted. */
void shelf_init(struct shelf *s);
void shelf_done(struct shelf *s);
void shelf_open(struct shelf *s);
void shelf_close(struct shelf *s);

/* For cmocka: a static shelf with an open catalogue. */
int shelf_setup(void **state);
int shelf_teardown(void **state);

/* Through a connection of its own. */
void sql_run(const char *path, const char *sql);
int64_t sql_number(const char *path, const char *sql);
/* The text that sql answers first, in a buffer that the next call reuses. */
const char *sql_text(const char *path, const char *sql);

/* A row named "rec_<n>", begun at second n of an hour. */
struct td_catalog_row row_of(unsigned n, char ret_id[TD_ID_MAX]);
void put_row(struct shelf *s, unsigned n);

/* Ids in the order shown, as numbers. */
struct shown {
    unsigned numbers[SHELF_ROWS_MAX];
    unsigned count;
    unsigned stop_after; /* 0 = never */
    int answer;          /* then */
};
int on_row(void *ctx, const struct td_catalog_row *row);

#endif
