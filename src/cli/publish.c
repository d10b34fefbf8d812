/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

const struct td_command td_command_publish = {
    .name = "publish", .arguments = "", .summary = "not yet"};
