/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/readable.h"

#define BETWEEN 2 /* blanks between two columns */

struct td_table {
    FILE *out;
    const struct td_table_column *columns;
    size_t column_count;
    size_t widths[TD_TABLE_COLUMNS_MAX]; /* of what was printed, too */
    bool titled;
    size_t cell_count; /* of all rows that wait */
    char *cells[TD_TABLE_ROWS_MAX * TD_TABLE_COLUMNS_MAX];
};

static size_t width_of(const char *text)
{
    return (size_t)g_utf8_strlen(text, -1);
}

int td_table_new(FILE *out, const struct td_table_column *columns, size_t count,
                 struct td_table **ret_table)
{
    assert(count > 0 && count <= TD_TABLE_COLUMNS_MAX);
    struct td_table *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    t->out = out;
    t->columns = columns;
    t->column_count = count;
    t->titled = columns[0].title == NULL;
    for (size_t i = 0; i < count && !t->titled; i++)
        t->widths[i] = width_of(columns[i].title);
    *ret_table = t;
    return 0;
}

static void drop_cells(struct td_table *t)
{
    for (size_t i = 0; i < t->cell_count; i++)
        g_free(t->cells[i]);
    t->cell_count = 0;
}

struct td_table *td_table_free(struct td_table *t)
{
    if (t == NULL)
        return NULL;
    drop_cells(t);
    free(t);
    return NULL;
}

/* The text itself, or as much of it as fits, with a mark. */
static char *fit(const char *text, size_t width_max)
{
    if (width_max == 0 || width_of(text) <= width_max)
        return g_strdup(text);
    char *head = g_utf8_substring(text, 0, (long)width_max - 1);
    char *cut = g_strconcat(head, "…", NULL);
    g_free(head);
    return cut;
}

void td_table_cell(struct td_table *t, const char *fmt, ...)
{
    char text[TD_TABLE_CELL_MAX];
    char clean[TD_TABLE_CELL_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    td_readable_text(text, clean, sizeof(clean));
    if (t->cell_count == TD_TABLE_ROWS_MAX * t->column_count)
        td_table_print(t);
    size_t column = t->cell_count % t->column_count;
    char *cell = fit(clean, t->columns[column].width_max);
    size_t width = width_of(cell);
    if (width > t->widths[column])
        t->widths[column] = width;
    t->cells[t->cell_count++] = cell;
}

static void put_blanks(GString *line, size_t count)
{
    for (size_t i = 0; i < count; i++)
        g_string_append_c(line, ' ');
}

static void put_cell(const struct td_table *t, GString *line, size_t column, const char *text)
{
    size_t blanks = t->widths[column] - width_of(text);
    if (t->columns[column].right)
        put_blanks(line, blanks);
    g_string_append(line, text);
    if (!t->columns[column].right)
        put_blanks(line, blanks);
    put_blanks(line, BETWEEN);
}

static void print_line(const struct td_table *t, GString *line)
{
    while (line->len > 0 && line->str[line->len - 1] == ' ')
        g_string_truncate(line, line->len - 1);
    fprintf(t->out, "%s\n", line->str);
    g_string_truncate(line, 0);
}

void td_table_print(struct td_table *t)
{
    assert(t->cell_count % t->column_count == 0);
    if (t->cell_count == 0)
        return;
    GString *line = g_string_new(NULL);
    for (size_t i = 0; i < t->column_count && !t->titled; i++)
        put_cell(t, line, i, t->columns[i].title);
    if (!t->titled)
        print_line(t, line);
    t->titled = true;
    for (size_t i = 0; i < t->cell_count; i++) {
        put_cell(t, line, i % t->column_count, t->cells[i]);
        if ((i + 1) % t->column_count == 0)
            print_line(t, line);
    }
    g_string_free(line, TRUE);
    drop_cells(t);
}
