/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings: the configuration as a command finds it: defaults, the file over them, the environment
 *           over that.
 * Owner: the caller, who ends it with td_config_done.
 * Thread: main.
 * Bound: that of config/config.h.
 * Does not: lay flags over it, or check what only makes sense together: that is the caller's, last.
 */
#ifndef TD_CLI_SETTINGS_H
#define TD_CLI_SETTINGS_H

#include "config/config.h"

/* `path` NULL: no file. -TD_E_USAGE, -ENOMEM, or -errno of reading the file, with a sentence; there
 * is nothing to end then. */
TD_MUST int td_settings_load(const char *path, struct td_fail *ret_fail,
                             struct td_config *ret_config);

#endif
