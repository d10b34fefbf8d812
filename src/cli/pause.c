/* SPDX-License-Identifier: Apache-2.0 */
/* pause, resume: let the time of a recording stand still, and go on. */
#include "cli/caller.h"
#include "cli/commands.h"
#include "cli/view.h"

struct order {
    struct td_caller caller;
};

static const struct td_option options[] = {TD_CALLER_OPTIONS(struct order, caller)};

static int run(const struct td_command *command, int argc, char **argv)
{
    struct order o = {.caller = TD_CALLER_INIT};
    struct td_positional words;
    int err = td_options_parse(command, argc, argv, &o, &words);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    if (words.count != 1)
        return td_usage_error(command, "name one recording, by its id or its room.");
    json_t *doc = NULL;
    int code = td_caller_open(&o.caller);
    if (code == TD_EXIT_DONE)
        code = td_caller_order(&o.caller, words.items[0], command->name, &doc);
    if (code == TD_EXIT_DONE && o.caller.json)
        td_caller_print(doc);
    else if (code == TD_EXIT_DONE)
        td_view_line(stdout, doc);
    json_decref(doc);
    td_caller_close(&o.caller);
    return code;
}

const struct td_command td_command_pause = {
    .name = "pause",
    .arguments = "ID|ROOM",
    .summary = "let a recording's time stand still",
    .details =
        "Nothing is stored until it is resumed, and no time passes in its files. A word that\n"
        "begins with rec_ is an id, any other a room: its newest recording that runs.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};

const struct td_command td_command_resume = {
    .name = "resume",
    .arguments = "ID|ROOM",
    .summary = "let a paused recording go on",
    .details =
        "It goes on in the same file, at the next key frame. A word that begins with rec_ is\n"
        "an id, any other a room: its newest recording that runs.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
