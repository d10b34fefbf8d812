/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text: which texts a setting may hold, and how sentences and YAML quote them.
 * Owner: none, stateless.
 * Thread: any.
 * Bound: never reads past `len`; what is written has the size that its parameter names.
 * Does not: resolve hosts, or look whether anything that is named exists.
 */
#ifndef TD_CONFIG_TEXT_H
#define TD_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "config/rows.h"

/* UTF-8 (RFC 3629) without control characters, line separators, byte order marks and code points
 * that are no characters: what YAML takes within quotes as it is. */
bool td_config_text_plain(const char *text, size_t len);

/* What is wrong with it, without quoting it: "is not HOST:PORT". NULL when nothing is. */
const char *td_config_text_fault(enum td_config_form form, const char *text);
/* "HOST:PORT", "text" … */
const char *td_config_text_form(enum td_config_form form);

#define TD_CONFIG_SHOWN_MAX 48u
/* As a sentence may quote it: cut, and nothing that steers a terminal. */
void td_config_text_show(const char *text, size_t len, char ret_shown[static TD_CONFIG_SHOWN_MAX]);

/* Quotes, and a backslash in front of each byte at the worst. */
#define TD_CONFIG_QUOTED_MAX (2u * TD_CONFIG_TEXT_MAX + 2u)
/* In double quotes, for YAML, when `text` is plain and shorter than TD_CONFIG_TEXT_MAX; what is
 * longer is cut. */
void td_config_text_quote(const char *text, char ret_quoted[static TD_CONFIG_QUOTED_MAX]);

#endif
