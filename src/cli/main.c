/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

static const struct td_command *const commands[] = {
    &td_command_record,  &td_command_serve,  &td_command_status,  &td_command_list,
    &td_command_start,   &td_command_stop,   &td_command_pause,   &td_command_resume,
    &td_command_recover, &td_command_verify, &td_command_publish, &td_command_config,
    &td_command_demo,
};

static void print_help(FILE *out)
{
    fprintf(out, "tapedeck " TD_VERSION
                 ": records LiveKit and WebRTC rooms to files that survive anything.\n\n"
                 "Usage: tapedeck COMMAND [options]\n\nCommands:\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out, "\n'tapedeck COMMAND --help' tells more. Exit codes: 0 done, 1 failed, 2 usage,\n"
                 "3 the source refused, 4 storage failed, 5 verify found damage.\n");
}

int main(int argc, char **argv)
{
    /* Desktop settings would bring two threads and a connection to the session bus. */
    (void)setenv("GSETTINGS_BACKEND", "memory", 0);
    if (argc < 2) {
        print_help(stderr);
        return TD_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return TD_EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("tapedeck " TD_VERSION "\n");
        return TD_EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        if (strcmp(argv[1], commands[i]->name) == 0)
            return commands[i]->run(commands[i], argc - 1, argv + 1);
    }
    fprintf(stderr, "tapedeck: there is no command '%s'. Try 'tapedeck --help'.\n", argv[1]);
    return TD_EXIT_USAGE;
}
