/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "config/key.h"
#include "config/value.h"
#include "config/yaml.h"

int td_config_init(struct td_config *c)
{
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    *c = (struct td_config){.listen = NULL};
    for (size_t i = 0; i < count; i++) {
        int r = td_config_value_init(&rows[i], c);
        if (r < 0) {
            td_config_done(c);
            return r;
        }
    }
    return 0;
}

void td_config_done(struct td_config *c)
{
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    for (size_t i = 0; c != NULL && i < count; i++)
        td_config_value_clear(&rows[i], c);
}

int td_config_load(struct td_config *c, const char *path, struct td_fail *ret_fail)
{
    char *text = NULL;
    size_t len = 0;
    int r = td_fs_slurp(td_fs_posix(), path, TD_CONFIG_BYTES_MAX, &text, &len);
    if (r == -TD_E_LIMIT)
        return td_fail_set(ret_fail, -TD_E_USAGE, "%.128s: is larger than %u bytes.", path,
                           TD_CONFIG_BYTES_MAX);
    if (r < 0)
        return td_fail_set(ret_fail, r, "%.128s: %s.", path, td_err_text(r));
    r = td_config_yaml_read(c, path, text, len, ret_fail);
    free(text);
    return r;
}

/* ---- environment ---- */

/* `entry` is NAME=VALUE; an empty value is as if the variable were not there. */
static const char *value_of(const char *entry, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(entry, name, len) != 0 || entry[len] != '=' || entry[len + 1] == '\0')
        return NULL;
    return entry + len + 1;
}

static int set_from(struct td_config *c, const struct td_config_row *row, const char *name,
                    const char *value, struct td_fail *ret_fail)
{
    struct td_fail reason = {.code = 0};
    int r = td_config_value_set(row, c, value, strlen(value), &reason);
    return r < 0 ? td_fail_set(ret_fail, r, "%s: %s", name, reason.text) : 0;
}

/* The variables with names of others, which ours are laid over. */
static int read_foreign(struct td_config *c, char *const *environment, struct td_fail *ret_fail)
{
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        for (size_t k = 0; rows[i].environment != NULL && environment[k] != NULL && r == 0; k++) {
            const char *value = value_of(environment[k], rows[i].environment);
            if (value != NULL)
                r = set_from(c, &rows[i], rows[i].environment, value, ret_fail);
        }
    }
    return r;
}

static bool is_known(const char *entry, const char *const *known, size_t count)
{
    static const char token[] = TD_CONFIG_PREFIX "TOKEN="; /* the serve command's */
    if (strncmp(entry, token, strlen(token)) == 0)
        return true;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(known[i]);
        if (strncmp(entry, known[i], len) == 0 && entry[len] == '=')
            return true;
    }
    return false;
}

static int unknown_variable(const char *entry, struct td_fail *ret_fail)
{
    char name[TD_CONFIG_SHOWN_MAX];
    char meant[TD_CONFIG_VARIABLE_MAX];
    size_t len = strcspn(entry, "=");
    td_config_text_show(entry, len, name);
    if (len < TD_CONFIG_SHOWN_MAX && td_config_guess_variable(name, meant))
        return td_fail_set(ret_fail, -TD_E_USAGE, "%s: there is no such setting; is it %s?", name,
                           meant);
    return td_fail_set(ret_fail, -TD_E_USAGE, "%s: there is no such setting.", name);
}

static int read_own(struct td_config *c, const char *entry, struct td_fail *ret_fail)
{
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    for (size_t i = 0; i < count; i++) {
        char name[TD_CONFIG_VARIABLE_MAX];
        td_config_variable(&rows[i], name);
        size_t len = strlen(name);
        if (strncmp(entry, name, len) != 0 || entry[len] != '=')
            continue;
        if (rows[i].type == TD_CONFIG_LIST)
            return td_fail_set(ret_fail, -TD_E_USAGE,
                               "%s: is a list, which only the file can hold.", name);
        const char *value = value_of(entry, name);
        return value != NULL ? set_from(c, &rows[i], name, value, ret_fail) : 0;
    }
    return unknown_variable(entry, ret_fail);
}

int td_config_environment(struct td_config *c, char *const *environment, const char *const *known,
                          size_t known_count, struct td_fail *ret_fail)
{
    int r = read_foreign(c, environment, ret_fail);
    for (size_t i = 0; environment[i] != NULL && r == 0; i++) {
        const char *entry = environment[i];
        if (strncmp(entry, TD_CONFIG_PREFIX, strlen(TD_CONFIG_PREFIX)) == 0 &&
            !is_known(entry, known, known_count))
            r = read_own(c, entry, ret_fail);
    }
    return r;
}

/* ---- SIGHUP ---- */

void td_config_reload(struct td_config *c, struct td_config *fresh,
                      void (*kept)(void *ctx, const char *key), void *ctx)
{
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].reload)
            td_config_value_move(&rows[i], c, fresh);
        else if (!td_config_value_equal(&rows[i], c, fresh))
            kept(ctx, rows[i].key);
    }
    td_config_done(fresh);
}
