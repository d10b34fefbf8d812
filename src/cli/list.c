/* SPDX-License-Identifier: Apache-2.0 */
/* list: the recordings that the daemon knows, newest first. */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/caller.h"
#include "cli/commands.h"
#include "cli/view.h"

#define PAGE_LIMIT 100   /* recordings a call with --all */
#define PAGES_MAX 100000 /* a daemon whose pages never end is cut off */

struct list {
    struct td_caller caller;
    const char *state;
    const char *room;
    int64_t limit; /* 0 = not given */
    bool all;
    /* running */
    struct td_table *table;
    char *cursor; /* of the next page; NULL = there is none */
};

#define OPTION(field_, type_, argument_, help_)                                                    \
    .type = TD_OPTION_##type_, .offset = offsetof(struct list, field_), .argument = argument_,     \
    .help = help_

static const struct td_option options[] = {
    {.name = "state",
     .letter = 's',
     OPTION(state, TEXT, "STATE",
            "starting, waiting, recording, paused, finishing, complete, failed, aborted or "
            "interrupted")},
    {.name = "room", .letter = 'r', OPTION(room, TEXT, "ROOM", "only those of this room")},
    {.name = "limit",
     .letter = 'n',
     .min = 1,
     .max = 500,
     OPTION(limit, NUMBER, "N", "at most so many, the newest (50)")},
    {.name = "all", .letter = 'a', OPTION(all, FLAG, NULL, "all of them, page by page")},
    TD_CALLER_OPTIONS(struct list, caller),
};

static void add_query(GString *path, const char *key, const char *value)
{
    if (value == NULL)
        return;
    char *escaped = g_uri_escape_string(value, NULL, FALSE);
    g_string_append_printf(path, "%c%s=%s", strchr(path->str, '?') == NULL ? '?' : '&', key,
                           escaped);
    g_free(escaped);
}

static char *page_path(const struct list *l)
{
    char limit[8];
    GString *path = g_string_new("/api/recordings");
    (void)snprintf(limit, sizeof(limit), "%d", l->all ? PAGE_LIMIT : (int)l->limit);
    add_query(path, "state", l->state);
    add_query(path, "room", l->room);
    add_query(path, "limit", l->all || l->limit > 0 ? limit : NULL);
    add_query(path, "cursor", l->cursor);
    return g_string_free(path, FALSE);
}

static void show_page(struct list *l, const json_t *page)
{
    if (l->caller.json) {
        td_caller_print(page);
        return;
    }
    size_t i = 0;
    json_t *doc = NULL;
    json_array_foreach(json_object_get(page, "recordings"), i, doc)
        td_view_row(l->table, TD_VIEW_LIST, doc);
    td_table_print(l->table);
}

/* TD_EXIT_DONE with the cursor moved on, or the exit code. */
static int read_page(struct list *l)
{
    char *path = page_path(l);
    struct td_client_request request = {.method = "GET", .path = path};
    struct td_client_answer answer;
    int code = td_caller_ask(&l->caller, &request, &answer);
    g_free(path);
    if (code == TD_EXIT_USAGE && l->cursor != NULL) {
        fprintf(stderr, "tapedeck: The list changed while it was read; try again.\n");
        return TD_EXIT_FAILED;
    }
    if (code != TD_EXIT_DONE)
        return code;
    show_page(l, answer.json);
    g_free(l->cursor);
    l->cursor = g_strdup(json_string_value(json_object_get(answer.json, "next_cursor")));
    td_client_answer_done(&answer);
    return TD_EXIT_DONE;
}

static int read_pages(struct list *l)
{
    int code = read_page(l);
    for (unsigned n = 1; code == TD_EXIT_DONE && l->all && l->cursor != NULL; n++) {
        if (n == PAGES_MAX) {
            fprintf(stderr, "tapedeck: The list does not end.\n");
            return TD_EXIT_FAILED;
        }
        code = read_page(l);
    }
    if (code == TD_EXIT_DONE && l->cursor != NULL && !l->caller.json && l->caller.terminal)
        fprintf(stderr, "There are more: --all shows them.\n");
    return code;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct list l = {.caller = TD_CALLER_INIT};
    int err = td_options_parse(command, argc, argv, &l, NULL);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    if (l.all && l.limit > 0)
        return td_usage_error(command, "--all and --limit exclude each other.");
    int code = td_caller_open(&l.caller);
    if (code == TD_EXIT_DONE && td_view_table(stdout, TD_VIEW_LIST, &l.table) < 0)
        code = TD_EXIT_FAILED;
    if (code == TD_EXIT_DONE)
        code = read_pages(&l);
    td_table_free(l.table);
    g_free(l.cursor);
    td_caller_close(&l.caller);
    return code;
}

const struct td_command td_command_list = {
    .name = "list",
    .arguments = "",
    .summary = "list the daemon's recordings, newest first",
    .details =
        "With --json each page is one line: {\"recordings\": […], \"next_cursor\": …}. With\n"
        "--all there may be several of them.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
