/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value: the value of one row: from text, to text, and what it owns.
 * Owner: the structure at `base` (a struct td_config, or an entry of one of its lists); texts and
 *        entries are heap memory that td_config_value_clear frees.
 * Thread: main.
 * Bound: TD_CONFIG_TEXT_MAX bytes of a text, TD_CONFIG_LIST_MAX entries of a list.
 * Does not: know files or names; a refusal is the sentence behind them.
 */
#ifndef TD_CONFIG_VALUE_H
#define TD_CONFIG_VALUE_H

#include "base/err.h"
#include "config/rows.h"
#include "config/text.h"

/* The default; what is there must be cleared or zero. -ENOMEM. */
TD_MUST int td_config_value_init(const struct td_config_row *row, void *base);
/* From text, whose `len` bytes end with a NUL that is not counted. -TD_E_USAGE with a sentence that
 * quotes no secret; -ENOMEM. Not for lists. */
TD_MUST int td_config_value_set(const struct td_config_row *row, void *base, const char *text,
                                size_t len, struct td_fail *ret_fail);
/* Takes a text away; false when the row must have a value. */
bool td_config_value_unset(const struct td_config_row *row, void *base);
/* Frees, and leaves NULL or 0. */
void td_config_value_clear(const struct td_config_row *row, void *base);
/* `from` is left as if cleared. */
void td_config_value_move(const struct td_config_row *row, void *base, void *from);
/* Not for lists. */
bool td_config_value_equal(const struct td_config_row *row, const void *a, const void *b);
/* False for what is required and was never set. */
bool td_config_value_given(const struct td_config_row *row, const void *base);
/* The text at `base`, NULL = none. Only for texts. */
const char *td_config_value_get_text(const struct td_config_row *row, const void *base);

#define TD_CONFIG_WRITTEN_MAX TD_CONFIG_QUOTED_MAX
#define TD_CONFIG_SECRET "(secret)"
/* As YAML on one line, "(secret)" for a secret. Not for lists. */
void td_config_value_write(const struct td_config_row *row, const void *base,
                           char ret_text[static TD_CONFIG_WRITTEN_MAX]);
/* The default, in the same way. */
void td_config_initial_write(const struct td_config_row *row,
                             char ret_text[static TD_CONFIG_WRITTEN_MAX]);

#define TD_CONFIG_TYPE_MAX 128u
/* "seconds, 0 to 86400", "stop | wait", "text" … */
void td_config_type_write(const struct td_config_row *row,
                          char ret_text[static TD_CONFIG_TYPE_MAX]);

/* Lists. */
size_t td_config_list_count(const struct td_config_row *row, const void *base);
void *td_config_list_entry(const struct td_config_row *row, const void *base, size_t index);
/* A new entry at the end, in which nothing is set. -TD_E_LIMIT, -ENOMEM. */
TD_MUST int td_config_list_add(const struct td_config_row *row, void *base, void **ret_entry);

#endif
