/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands: the subcommands, one file each.
 * Owner: const tables.
 * Thread: main.
 * Bound: none.
 * Does not: hold anything else; what commands share has its own noun (options, control, status).
 */
#ifndef TD_CLI_COMMANDS_H
#define TD_CLI_COMMANDS_H

#include "cli/options.h"

extern const struct td_command td_command_record;
extern const struct td_command td_command_serve;
extern const struct td_command td_command_recover;
extern const struct td_command td_command_verify;
extern const struct td_command td_command_publish;
extern const struct td_command td_command_status;
extern const struct td_command td_command_list;
extern const struct td_command td_command_start;
extern const struct td_command td_command_stop;
extern const struct td_command td_command_pause;
extern const struct td_command td_command_resume;
extern const struct td_command td_command_config;
extern const struct td_command td_command_demo;

#endif
