/* SPDX-License-Identifier: Apache-2.0 */
#include "config/key.h"

#include <stdio.h>
#include <string.h>

/* A guess may differ from what was written in a third of its letters. */
#define GUESS_PART 3u

const struct td_config_row *td_config_find(const struct td_config_scope *scope, const char *name,
                                           size_t *ret_len)
{
    size_t len = strlen(name);
    if (len == 0 || strchr(name, '.') != NULL)
        return NULL;
    for (size_t i = 0; i < scope->count; i++) {
        const char *key = scope->rows[i].key;
        if (strncmp(key, scope->prefix, scope->prefix_len) != 0)
            continue;
        const char *rest = key + scope->prefix_len;
        if (strncmp(rest, name, len) == 0 && (rest[len] == '\0' || rest[len] == '.')) {
            *ret_len = scope->prefix_len + len;
            return &scope->rows[i];
        }
    }
    return NULL;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Letters to insert, remove or change. Both are shorter than TD_CONFIG_VARIABLE_MAX. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t row[TD_CONFIG_VARIABLE_MAX + 1];
    for (size_t k = 0; k <= b_len; k++)
        row[k] = k;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b_len; k++) {
            size_t above = row[k];
            row[k] = smallest(above + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

bool td_config_guess(const struct td_config_scope *scope, const char *name,
                     char ret_key[static TD_CONFIG_KEY_MAX])
{
    size_t len = strlen(name);
    if (len == 0 || len >= TD_CONFIG_KEY_MAX)
        return false;
    size_t best = len / GUESS_PART + 1;
    const char *found = NULL;
    size_t found_len = 0;
    for (size_t i = 0; i < scope->count; i++) {
        const char *key = scope->rows[i].key;
        const char *last = strrchr(key, '.');
        /* The right name in a wrong place needs no guessing, nor does one written with dots. */
        if (strcmp(last != NULL ? last + 1 : key, name) == 0 || strcmp(key, name) == 0) {
            found = key;
            found_len = strlen(key);
            break;
        }
        if (strncmp(key, scope->prefix, scope->prefix_len) != 0)
            continue;
        size_t rest_len = strcspn(key + scope->prefix_len, ".");
        size_t d = distance(name, len, key + scope->prefix_len, rest_len);
        if (d < best) {
            best = d;
            found = key;
            found_len = scope->prefix_len + rest_len;
        }
    }
    if (found == NULL)
        return false;
    (void)snprintf(ret_key, TD_CONFIG_KEY_MAX, "%.*s", (int)found_len, found);
    return true;
}

void td_config_variable(const struct td_config_row *row,
                        char ret_name[static TD_CONFIG_VARIABLE_MAX])
{
    (void)snprintf(ret_name, TD_CONFIG_VARIABLE_MAX, TD_CONFIG_PREFIX "%s", row->key);
    for (char *p = ret_name; *p != '\0'; p++) {
        if (*p == '.')
            *p = '_';
        else if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    }
}

bool td_config_guess_variable(const char *name, char ret_name[static TD_CONFIG_VARIABLE_MAX])
{
    size_t len = strlen(name);
    size_t prefix_len = strlen(TD_CONFIG_PREFIX);
    if (len < prefix_len || len >= TD_CONFIG_VARIABLE_MAX)
        return false;
    size_t best = (len - prefix_len) / GUESS_PART + 1;
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        char variable[TD_CONFIG_VARIABLE_MAX];
        td_config_variable(&rows[i], variable);
        size_t d = distance(name, len, variable, strlen(variable));
        if (rows[i].type != TD_CONFIG_LIST && d < best) {
            best = d;
            memcpy(ret_name, variable, sizeof(variable));
            found = true;
        }
    }
    return found;
}
