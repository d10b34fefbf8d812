/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format: the container that a user names by --format or by a file's extension.
 * Owner: const tables of mux.
 * Thread: main.
 * Bound: none.
 * Does not: offer the containers that exist for tests (null, hash).
 */
#ifndef TD_CLI_FORMAT_H
#define TD_CLI_FORMAT_H

#include "cli/options.h"
#include "mux/mux.h"

/* NULL when there is none of that name for users. */
const struct td_mux_ops *td_format_by_name(const char *name);
/* --format: NULL and "auto" are NULL. 0, or -TD_E_USAGE after a sentence on stderr. */
TD_MUST int td_format_option(const struct td_command *command, const char *name,
                             const struct td_mux_ops **ret_format);

#endif
