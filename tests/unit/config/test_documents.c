/* SPDX-License-Identifier: Apache-2.0 */
/* docs/configuration.md and packaging/tapedeck.yaml say what the table of settings says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "config/yaml.h"

#define LINE_MAX 512

struct paths {
    const char *document;
    const char *example;
};

static void slurp(const char *path, char **ret_text)
{
    size_t len = 0;
    assert_int_equal(td_fs_slurp(td_fs_posix(), path, 1u << 20, ret_text, &len), 0);
}

/* ---- the document: one line of a table for each row, in the order of the rows ---- */

struct walk {
    char *wanted; /* lines, one behind the other */
    size_t len;
    size_t size;
};

/* A bar would end the cell. */
static void escape(const char *text, char ret_cell[static LINE_MAX])
{
    size_t len = 0;
    for (; *text != '\0'; text++) {
        assert_true(len + 3 < LINE_MAX);
        if (*text == '|')
            ret_cell[len++] = '\\';
        ret_cell[len++] = *text;
    }
    ret_cell[len] = '\0';
}

static void on_row(void *ctx, const struct td_config_row_text *row)
{
    struct walk *w = ctx;
    char type[LINE_MAX];
    escape(row->type, type);
    const char *tick = strcmp(row->initial, "required") == 0 ? "" : "`";
    int n = snprintf(w->wanted + w->len, w->size - w->len, "| `%s` | %s | %s%s%s | %s | %s%s |\n",
                     row->key, type, tick, row->initial, tick, row->reload ? "yes" : "no",
                     row->help, row->secret ? " (secret)" : "");
    assert_true(n > 0 && (size_t)n < w->size - w->len);
    w->len += (size_t)n;
}

static void test_document(void **state)
{
    const struct paths *paths = *state;
    static char wanted[64u << 10];
    struct walk w = {.wanted = wanted, .size = sizeof(wanted)};
    td_config_rows(on_row, &w);
    char *text = NULL;
    slurp(paths->document, &text);
    const char *next = wanted;
    bool same = true;
    for (char *line = strstr(text, "\n| `"); line != NULL && same; line = strstr(line, "\n| `")) {
        line++;
        size_t len = strcspn(line, "\n") + 1;
        same = strncmp(line, next, len) == 0;
        next += same ? len : 0;
        line += len - 2;
    }
    if (!same || *next != '\0') {
        fprintf(stderr, "%s must go on with:\n%s", paths->document, next);
        fail();
    }
    free(text);
}

/* ---- the example: as it is all defaults, without the number signs every setting ---- */

static char *print(const struct td_config *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(td_config_print(c, out), 0);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void read_text(struct td_config *c, const char *text)
{
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_config_init(c), 0);
    if (td_config_yaml_read(c, "tapedeck.yaml", text, strlen(text), &fail) < 0)
        fail_msg("%s", fail.text);
}

static void test_example_is_default(void **state)
{
    const struct paths *paths = *state;
    char *text = NULL;
    slurp(paths->example, &text);
    struct td_config c;
    read_text(&c, text);
    struct td_config defaults;
    assert_int_equal(td_config_init(&defaults), 0);
    char *printed = print(&c);
    char *wanted = print(&defaults);
    assert_string_equal(printed, wanted);
    free(printed);
    free(wanted);
    free(text);
    td_config_done(&c);
    td_config_done(&defaults);
}

/* "# Words" stay; "#key: value" and "#    key: value" lose their sign. */
static void uncomment(char *text)
{
    char *out = text;
    for (char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n") + 1;
        bool words = line[0] == '#' && (line[1] == '\n' || (line[1] == ' ' && line[2] != ' '));
        size_t skip = line[0] == '#' && !words ? 1 : 0;
        char *end = line + len;
        memmove(out, line + skip, len - skip);
        out += len - skip;
        line = end;
    }
    *out = '\0';
}

static void on_setting(void *ctx, const struct td_config_row_text *row)
{
    const char *text = ctx;
    const char *last = strrchr(row->key, '.');
    char line[LINE_MAX];
    bool is_default = strcmp(row->initial, "null") != 0 && strcmp(row->initial, "required") != 0 &&
                      row->initial[0] != '[';
    (void)snprintf(line, sizeof(line), " %s:%s%s", last != NULL ? last + 1 : row->key,
                   is_default ? " " : "", is_default ? row->initial : "");
    /* With the line end or the indent in front of it. */
    const char *at = text;
    bool found = false;
    while (!found && (at = strstr(at, line + 1)) != NULL) {
        bool whole = !is_default || at[strlen(line + 1)] == '\n';
        found = whole && (at == text || at[-1] == '\n' || at[-1] == ' ');
        at++;
    }
    if (!found)
        fail_msg("the example lacks '%s'", line + 1);
}

static void test_example_has_all(void **state)
{
    const struct paths *paths = *state;
    char *text = NULL;
    slurp(paths->example, &text);
    uncomment(text);
    struct td_config c;
    read_text(&c, text);
    struct td_fail fail = {.code = 0};
    if (td_config_check(&c, &fail) < 0)
        fail_msg("%s", fail.text);
    assert_true(c.api_keys.count > 0 && c.whip.tokens.count > 0 && c.webhooks.count > 0 &&
                c.auto_record.count > 0 && c.disk.quotas.count > 0 && c.cors_origins.count > 0);
    td_config_rows(on_setting, text);
    free(text);
    td_config_done(&c);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s DOCUMENT EXAMPLE\n", argv[0]);
        return 2;
    }
    struct paths paths = {.document = argv[1], .example = argv[2]};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_document, &paths),
        cmocka_unit_test_prestate(test_example_is_default, &paths),
        cmocka_unit_test_prestate(test_example_has_all, &paths),
    };
    return cmocka_run_group_tests_name("config/documents", tests, NULL, NULL);
}
