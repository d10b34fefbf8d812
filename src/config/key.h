/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: the row that a name in a file or a variable stands for, and what a misspelt one meant.
 * Owner: none, stateless.
 * Thread: any.
 * Bound: TD_CONFIG_KEY_MAX bytes of a name that is guessed at.
 * Does not: read values.
 */
#ifndef TD_CONFIG_KEY_H
#define TD_CONFIG_KEY_H

#include "config/rows.h"

/* A mapping of the file: the rows of `rows` whose key begins with `prefix`, which is a part of some
 * row's key that ends with a dot, or empty. */
struct td_config_scope {
    const struct td_config_row *rows;
    size_t count;
    const char *prefix;
    size_t prefix_len;
};

/* The first row in the scope whose next name is `name`; `ret_len` bytes of its key lead there: all
 * of them for the row itself, fewer for a mapping above it. NULL when there is none. */
const struct td_config_row *td_config_find(const struct td_config_scope *scope, const char *name,
                                           size_t *ret_len);
/* The key that somebody who wrote `name` may have meant, or false. */
bool td_config_guess(const struct td_config_scope *scope, const char *name,
                     char ret_key[static TD_CONFIG_KEY_MAX]);

#define TD_CONFIG_PREFIX "TAPEDECK_"
#define TD_CONFIG_VARIABLE_MAX (TD_CONFIG_KEY_MAX + sizeof(TD_CONFIG_PREFIX))
/* "TAPEDECK_LIMITS_GAP_LIMIT_S". */
void td_config_variable(const struct td_config_row *row,
                        char ret_name[static TD_CONFIG_VARIABLE_MAX]);
/* The variable that somebody who wrote `name` may have meant, or false. */
bool td_config_guess_variable(const char *name, char ret_name[static TD_CONFIG_VARIABLE_MAX]);

#endif
