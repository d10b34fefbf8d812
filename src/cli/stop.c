/* SPDX-License-Identifier: Apache-2.0 */
/* stop: ends a recording of the daemon. */
#include <stdio.h>
#include <string.h>

#include "cli/caller.h"
#include "cli/commands.h"
#include "cli/view.h"

#define FINAL_WAIT_US (30 * TD_US_PER_S)
#define LOOK_US (100 * TD_US_PER_MS)

struct stop {
    struct td_caller caller;
    bool no_wait;
};

static const struct td_option options[] = {
    {.name = "no-wait",
     .type = TD_OPTION_FLAG,
     .offset = offsetof(struct stop, no_wait),
     .help = "do not wait until its files are whole"},
    TD_CALLER_OPTIONS(struct stop, caller),
};

static int await_final(struct stop *s, json_t **doc)
{
    int64_t begin_us = td_clock_now_us();
    while (!td_view_is_final(*doc)) {
        int64_t waited_us = td_clock_now_us() - begin_us;
        json_t *fresh = NULL;
        if (waited_us >= FINAL_WAIT_US) {
            fprintf(stderr,
                    "tapedeck: It is still %s; 'tapedeck status %s' shows how it goes on.\n",
                    td_view_text(*doc, "state"), td_view_text(*doc, "id"));
            return TD_EXIT_FAILED;
        }
        td_client_pause(s->caller.client, LOOK_US);
        if (waited_us >= TD_US_PER_S)
            td_caller_waits(&s->caller, waited_us);
        int code = td_caller_find(&s->caller, td_view_text(*doc, "id"), &fresh);
        if (code != TD_EXIT_DONE)
            return code;
        json_decref(*doc);
        *doc = fresh;
    }
    return TD_EXIT_DONE;
}

/* A recording that stored nothing for want of a disk that works is a failure of that disk. */
static int judge(const json_t *doc)
{
    const char *reason = td_view_text(doc, "reason");
    if (strcmp(td_view_text(doc, "state"), "failed") != 0)
        return TD_EXIT_DONE;
    return strcmp(reason, "io_error") == 0 || strcmp(reason, "disk_full") == 0 ? TD_EXIT_STORAGE
                                                                               : TD_EXIT_FAILED;
}

static int show(const struct stop *s, const json_t *doc)
{
    if (s->caller.json) {
        td_caller_print(doc);
        return TD_EXIT_DONE;
    }
    td_view_line(stdout, doc);
    return td_view_files(stdout, doc) < 0 ? TD_EXIT_FAILED : TD_EXIT_DONE;
}

static int stop(struct stop *s, const char *word)
{
    json_t *doc = NULL;
    s->caller.doing = "finishing";
    int code = td_caller_order(&s->caller, word, "stop", &doc);
    if (code != TD_EXIT_DONE)
        return code;
    int awaited = s->no_wait ? TD_EXIT_DONE : await_final(s, &doc);
    td_caller_clear(&s->caller);
    code = show(s, doc);
    if (code == TD_EXIT_DONE)
        code = awaited != TD_EXIT_DONE ? awaited : judge(doc);
    json_decref(doc);
    return code;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct stop s = {.caller = TD_CALLER_INIT};
    struct td_positional words;
    int err = td_options_parse(command, argc, argv, &s, &words);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    if (words.count != 1)
        return td_usage_error(command, "name one recording, by its id or its room.");
    int code = td_caller_open(&s.caller);
    if (code == TD_EXIT_DONE)
        code = stop(&s, words.items[0]);
    td_caller_close(&s.caller);
    return code;
}

const struct td_command td_command_stop = {
    .name = "stop",
    .arguments = "ID|ROOM",
    .summary = "finish a recording of the daemon",
    .details =
        "Waits until its files are whole, 30 s at most, and shows them; of a recording that\n"
        "has ended they are shown as they are. A word that begins with rec_ is an id, any\n"
        "other a room: its newest recording that runs, else its newest.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
