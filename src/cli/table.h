/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: rows for people, aligned in columns.
 * Owner: the command.
 * Thread: main.
 * Bound: TD_TABLE_COLUMNS_MAX columns, TD_TABLE_CELL_MAX bytes a cell; TD_TABLE_ROWS_MAX rows wait
 *        to be aligned, then they are printed and the next ones are aligned at least as wide.
 * Does not: decide what is shown, or let a cell steer the terminal (see readable). A character
 *           counts as one column wide.
 */
#ifndef TD_CLI_TABLE_H
#define TD_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

#define TD_TABLE_COLUMNS_MAX 12u
#define TD_TABLE_ROWS_MAX 512u
#define TD_TABLE_CELL_MAX 1280u /* a path fits */

struct td_table_column {
    const char *title; /* NULL in the first column: the table has no line of titles */
    bool right;        /* numbers */
    size_t width_max;  /* characters; what is longer is cut and ends with "…"; 0 = as it is */
};

struct td_table;

/* `columns` stays the caller's and alive. -ENOMEM. */
TD_MUST int td_table_new(FILE *out, const struct td_table_column *columns, size_t count,
                         struct td_table **ret_table);
/* Takes NULL, returns NULL; what was not printed is not. */
struct td_table *td_table_free(struct td_table *t);
/* The next cell; behind the last column of a row begins the next one. */
void td_table_cell(struct td_table *t, const char *fmt, ...) TD_PRINTF(2, 3);
/* Prints the rows that wait, with the titles if those were not printed before. Nothing at all when
 * there was no row. */
void td_table_print(struct td_table *t);

#endif
