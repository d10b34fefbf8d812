/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml: lays the YAML text of a configuration over settings, by the table of rows.
 * Owner: none; the settings are the caller's.
 * Thread: main.
 * Bound: TD_CONFIG_DEPTH_MAX mappings and lists in each other; what the table does not know ends
 *        the reading at once, so nothing is skipped and nothing is kept but settings.
 * Does not: take anchors, aliases, tags, a second document, or a key twice.
 */
#ifndef TD_CONFIG_YAML_H
#define TD_CONFIG_YAML_H

#include "config/config.h"

#define TD_CONFIG_DEPTH_MAX 6u

/* `name` is the file's, for sentences. -TD_E_USAGE with "NAME:LINE: KEY: sentence", -ENOMEM. After
 * a failure `c` may be half-changed. */
TD_MUST int td_config_yaml_read(struct td_config *c, const char *name, const char *text, size_t len,
                                struct td_fail *ret_fail);

#endif
