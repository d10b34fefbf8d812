/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

const struct td_command td_command_demo = {.name = "demo", .arguments = "", .summary = "not yet"};
