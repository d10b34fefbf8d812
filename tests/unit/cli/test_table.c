/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "said.h"

static const struct td_table_column columns[] = {
    {.title = "NAME", .width_max = 8},
    {.title = "SIZE", .right = true},
    {.title = "WHY"},
};

struct fixture {
    FILE *file;
    struct td_table *table;
    char text[TD_SAID_MAX];
};

static void begin_with(struct fixture *f, const struct td_table_column *cols, size_t count)
{
    f->file = tmpfile();
    assert_non_null(f->file);
    assert_int_equal(td_table_new(f->file, cols, count, &f->table), 0);
}

static void begin(struct fixture *f)
{
    begin_with(f, columns, sizeof(columns) / sizeof(*columns));
}

static const char *end(struct fixture *f)
{
    f->table = td_table_free(f->table);
    assert_null(f->table);
    td_said_read(f->file, f->text);
    return f->text;
}

static void row(struct td_table *t, const char *name, int size, const char *why)
{
    td_table_cell(t, "%s", name);
    td_table_cell(t, "%d", size);
    td_table_cell(t, "%s", why);
}

static void test_rows_are_aligned(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    row(f.table, "one", 7, "a");
    row(f.table, "Müller", 12345, "");
    td_table_print(f.table);
    assert_string_equal(end(&f), "NAME     SIZE  WHY\n"
                                 "one         7  a\n"
                                 "Müller  12345\n");
}

static void test_nothing_of_no_rows(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    td_table_print(f.table);
    assert_string_equal(end(&f), "");
}

static void test_no_titles(void **state)
{
    (void)state;
    static const struct td_table_column bare[] = {{.title = NULL}, {.title = NULL}};
    struct fixture f;
    begin_with(&f, bare, 2);
    td_table_cell(f.table, "a");
    td_table_cell(f.table, "1");
    td_table_cell(f.table, "long");
    td_table_cell(f.table, "2");
    td_table_print(f.table);
    assert_string_equal(end(&f), "a     1\nlong  2\n");
}

static void test_a_long_cell_is_cut(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    row(f.table, "12345678", 1, "x");
    row(f.table, "123456789", 1, "x");
    row(f.table, "üüüüüüüüü", 1, "x");
    td_table_print(f.table);
    assert_string_equal(end(&f), "NAME      SIZE  WHY\n"
                                 "12345678     1  x\n"
                                 "1234567…     1  x\n"
                                 "üüüüüüü…     1  x\n");
}

static void test_a_cell_does_not_steer_the_terminal(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    row(f.table, "\x1b[2J\n", 1,
        "\xc2\x9b"
        "31m");
    td_table_print(f.table);
    assert_string_equal(end(&f), "NAME   SIZE  WHY\n?[2J?     1  ?31m\n");
}

/* The next page: no second line of titles, and its columns below those of the page before. */
static void test_pages(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    row(f.table, "longer", 1, "x");
    td_table_print(f.table);
    row(f.table, "a", 2, "y");
    td_table_print(f.table);
    assert_string_equal(end(&f), "NAME    SIZE  WHY\n"
                                 "longer     1  x\n"
                                 "a          2  y\n");
}

static void test_more_rows_than_wait(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    unsigned count = TD_TABLE_ROWS_MAX + 1;
    for (unsigned i = 0; i < count; i++)
        row(f.table, "a", (int)i, "");
    td_table_print(f.table);
    end(&f);
    unsigned lines = 0;
    for (const char *p = f.text; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, count + 1);
    assert_non_null(strstr(f.text, "a      512\n"));
}

static void test_what_was_not_printed_is_not(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    row(f.table, "a", 1, "x");
    td_table_cell(f.table, "half a row");
    assert_string_equal(end(&f), "");
    assert_null(td_table_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_aligned),
        cmocka_unit_test(test_nothing_of_no_rows),
        cmocka_unit_test(test_no_titles),
        cmocka_unit_test(test_a_long_cell_is_cut),
        cmocka_unit_test(test_a_cell_does_not_steer_the_terminal),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_more_rows_than_wait),
        cmocka_unit_test(test_what_was_not_printed_is_not),
    };
    return cmocka_run_group_tests_name("cli/table", tests, NULL, NULL);
}
