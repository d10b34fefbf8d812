/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/settings.h"

struct config {
    const char *file;
};

static const struct td_option options[] = {
    {.name = "config",
     .letter = 'c',
     .type = TD_OPTION_TEXT,
     .offset = offsetof(struct config, file),
     .argument = "FILE",
     .environment = "TAPEDECK_CONFIG",
     .help = "the configuration (print without one: the defaults)"},
};

/* A configuration that is wrong or cannot be read is wrong usage; the rest is ours. */
static int refuse(int err, const struct td_fail *fail)
{
    fprintf(stderr, "tapedeck: %s\n", fail->text);
    return err == -ENOMEM ? TD_EXIT_FAILED : TD_EXIT_USAGE;
}

static int check(const char *path)
{
    struct td_fail fail = {.code = 0};
    struct td_config c;
    int err = td_settings_load(path, &fail, &c);
    if (err < 0)
        return refuse(err, &fail);
    err = td_config_check(&c, &fail);
    td_config_done(&c);
    if (err < 0)
        return refuse(err, &fail);
    printf("%s is a valid configuration.\n", path);
    return TD_EXIT_DONE;
}

static int print(const char *path)
{
    struct td_fail fail = {.code = 0};
    struct td_config c;
    int err = td_settings_load(path, &fail, &c);
    if (err < 0)
        return refuse(err, &fail);
    err = td_config_print(&c, stdout);
    td_config_done(&c);
    if (err < 0)
        fprintf(stderr, "tapedeck: cannot print: %s.\n", td_err_text(err));
    return err < 0 ? TD_EXIT_FAILED : TD_EXIT_DONE;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct config o = {.file = NULL};
    struct td_positional words;
    int err = td_options_parse(command, argc, argv, &o, &words);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    if (words.count == 1 && strcmp(words.items[0], "print") == 0)
        return print(o.file);
    if (words.count == 1 && strcmp(words.items[0], "check") == 0 && o.file != NULL)
        return check(o.file);
    if (words.count == 2 && strcmp(words.items[0], "check") == 0)
        return check(words.items[1]);
    return td_usage_error(command, "say 'check FILE' or 'print'.");
}

const struct td_command td_command_config = {
    .name = "config",
    .arguments = "check FILE | print",
    .summary = "checks or prints the daemon's configuration",
    .details =
        "check says whether the daemon would start with FILE and the TAPEDECK_* environment,\n"
        "and if not, which line and key is wrong (exit code 2). print writes all settings as\n"
        "they are in effect, as YAML that can be a FILE again once \"(secret)\" is replaced.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
