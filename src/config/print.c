/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "config/value.h"

#define INDENT "    "

/* The first failure stays; what is printed behind it is lost anyway. */
struct printer {
    FILE *out;
    bool failed;
};

static void say(struct printer *p, const char *text)
{
    p->failed = fputs(text, p->out) < 0 || p->failed;
}

static void say_key(struct printer *p, size_t depth, const char *key, size_t len)
{
    char name[TD_CONFIG_KEY_MAX];
    for (size_t i = 0; i < depth; i++)
        say(p, INDENT);
    (void)snprintf(name, sizeof(name), "%.*s", (int)len, key);
    say(p, name);
    say(p, ":");
}

static void say_value(struct printer *p, const struct td_config_row *row, const void *base)
{
    char text[TD_CONFIG_WRITTEN_MAX];
    td_config_value_write(row, base, text);
    say(p, " ");
    say(p, text);
    say(p, "\n");
}

static void say_entry(struct printer *p, size_t depth, const struct td_config_row *list,
                      const void *entry)
{
    for (size_t k = 0; k < list->row_count; k++) {
        const struct td_config_row *row = &list->rows[k];
        for (size_t i = 0; i < depth; i++)
            say(p, INDENT);
        say(p, k == 0 ? "-" : " ");
        if (row->key[0] != '\0') {
            say(p, " ");
            say_key(p, 0, row->key, strlen(row->key));
        }
        say_value(p, row, entry);
    }
}

static void say_list(struct printer *p, size_t depth, const struct td_config_row *list,
                     const struct td_config *c)
{
    size_t count = td_config_list_count(list, c);
    say(p, count == 0 ? " []\n" : "\n");
    for (size_t i = 0; i < count; i++)
        say_entry(p, depth + 1, list, td_config_list_entry(list, c, i));
}

/* Opens the mappings of `key` that the row before was not in, and answers how deep it lies. */
static size_t say_mappings(struct printer *p, const char *before, const char *key)
{
    size_t depth = 0;
    size_t from = 0;
    bool same = true;
    for (const char *dot = strchr(key, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        size_t end = (size_t)(dot - key) + 1;
        same = same && strncmp(before, key, end) == 0;
        if (!same) {
            say_key(p, depth, key + from, end - 1 - from);
            say(p, "\n");
        }
        from = end;
        depth++;
    }
    return depth;
}

int td_config_print(const struct td_config *c, FILE *out)
{
    struct printer p = {.out = out};
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    const char *before = "";
    for (size_t i = 0; i < count; i++) {
        const struct td_config_row *row = &rows[i];
        size_t depth = say_mappings(&p, before, row->key);
        const char *last = strrchr(row->key, '.');
        last = last != NULL ? last + 1 : row->key;
        say_key(&p, depth, last, strlen(last));
        if (row->type == TD_CONFIG_LIST)
            say_list(&p, depth, row, c);
        else
            say_value(&p, row, c);
        before = row->key;
    }
    return p.failed || fflush(out) != 0 ? -EIO : 0;
}

/* ---- documents ---- */

struct teller {
    void (*each)(void *ctx, const struct td_config_row_text *row);
    void *ctx;
};

#define INITIAL_MAX 128u

/* `["auto", "ts"]`. */
static void write_words(const char *const *words, char ret_text[static INITIAL_MAX])
{
    size_t len = 0;
    for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
        int n =
            snprintf(ret_text + len, INITIAL_MAX - len, "%s\"%s\"", i > 0 ? ", " : "[", words[i]);
        assert(n > 0 && (size_t)n < INITIAL_MAX - len - 1);
        len += (size_t)n;
    }
    (void)snprintf(ret_text + len, INITIAL_MAX - len, "%s", len > 0 ? "]" : "[]");
}

static void tell(const struct teller *t, const struct td_config_row *row, const char *key,
                 const char *initial, bool reload)
{
    char type[TD_CONFIG_TYPE_MAX];
    td_config_type_write(row, type);
    struct td_config_row_text text = {
        .key = key,
        .type = type,
        .initial = initial,
        .reload = reload,
        .secret = row->secret,
        .help = row->help,
    };
    t->each(t->ctx, &text);
}

static void tell_list(const struct teller *t, const struct td_config_row *list)
{
    char initial[INITIAL_MAX];
    write_words(list->words, initial);
    tell(t, list, list->key, initial, list->reload);
    for (size_t i = 0; !td_config_list_of_texts(list) && i < list->row_count; i++) {
        const struct td_config_row *row = &list->rows[i];
        char key[2 * TD_CONFIG_KEY_MAX];
        (void)snprintf(key, sizeof(key), "%s[].%s", list->key, row->key);
        tell(t, row, key, row->required ? "required" : "null", list->reload);
    }
}

void td_config_rows(void (*each)(void *ctx, const struct td_config_row_text *row), void *ctx)
{
    struct teller t = {.each = each, .ctx = ctx};
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].type == TD_CONFIG_LIST) {
            tell_list(&t, &rows[i]);
            continue;
        }
        char initial[TD_CONFIG_WRITTEN_MAX];
        td_config_initial_write(&rows[i], initial);
        tell(&t, &rows[i], rows[i].key, initial, rows[i].reload);
    }
}
