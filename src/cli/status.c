/* SPDX-License-Identifier: Apache-2.0 */
/* status: one screen of the daemon, or all that is known of one recording. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/caller.h"
#include "cli/commands.h"
#include "cli/readable.h"
#include "cli/view.h"

#define PAGES_MAX 16 /* of 500; more do not run */

struct status {
    struct td_caller caller;
    /* running */
    json_t *health;
    json_t *ready;
    json_t *recordings; /* those that run */
    double disk_free_bytes;
    double disk_total_bytes; /* not above 0: not known */
};

static const struct td_option options[] = {TD_CALLER_OPTIONS(struct status, caller)};

/* ---- asking ---- */

static int ask_health(struct status *s)
{
    struct td_client_answer answer;
    int code = td_caller_get(&s->caller, &answer, "/healthz");
    if (code != TD_EXIT_DONE)
        return code;
    if (json_is_string(json_object_get(answer.json, "version")))
        s->health = json_incref(answer.json);
    else
        code = td_caller_problem(&s->caller, &answer);
    td_client_answer_done(&answer);
    return code;
}

/* A daemon that is not ready says so with 503, which is an answer here. */
static int ask_ready(struct status *s)
{
    struct td_client_request request = {.method = "GET", .path = "/readyz"};
    struct td_client_answer answer;
    int code = td_caller_send(&s->caller, &request, &answer);
    if (code != TD_EXIT_DONE)
        return code;
    if (json_is_boolean(json_object_get(answer.json, "ready")))
        s->ready = json_incref(answer.json);
    else
        code = td_caller_problem(&s->caller, &answer);
    td_client_answer_done(&answer);
    return code;
}

static double sample(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += line[0] == '\n' ? 1 : 0;
        if (strncmp(line, name, len) == 0 && line[len] == ' ') {
            double value = strtod(line + len + 1, NULL);
            return isfinite(value) && value >= 0 && value < 9e18 ? value : 0;
        }
    }
    return 0;
}

/* Keys that are for some rooms only are not shown metrics: then the disk stays unknown. */
static int ask_disk(struct status *s)
{
    struct td_client_request request = {.method = "GET", .path = "/metrics"};
    struct td_client_answer answer;
    int code = td_caller_send(&s->caller, &request, &answer);
    if (code != TD_EXIT_DONE)
        return code;
    if (answer.status == 200) {
        s->disk_free_bytes = sample(answer.text, "tapedeck_disk_free_bytes");
        s->disk_total_bytes = sample(answer.text, "tapedeck_disk_total_bytes");
    }
    td_client_answer_done(&answer);
    return TD_EXIT_DONE;
}

static bool is_among(const json_t *list, const json_t *doc)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(td_view_text(json_array_get(list, i), "id"), td_view_text(doc, "id")) == 0)
            return true;
    }
    return false;
}

/* Its state may have changed between two calls: none is shown twice. */
static int take_page(struct status *s, const json_t *page)
{
    size_t i = 0;
    json_t *doc = NULL;
    json_array_foreach(json_object_get(page, "recordings"), i, doc)
    {
        if (!is_among(s->recordings, doc) && json_array_append(s->recordings, doc) < 0)
            return TD_EXIT_FAILED;
    }
    return TD_EXIT_DONE;
}

static int ask_state(struct status *s, const char *state)
{
    char cursor[64] = "";
    for (unsigned n = 0; n < PAGES_MAX; n++) {
        struct td_client_answer answer;
        int code = td_caller_get(&s->caller, &answer, "/api/recordings?state=%s&limit=500%s%s",
                                 state, cursor[0] != '\0' ? "&cursor=" : "", cursor);
        if (code != TD_EXIT_DONE)
            return code;
        code = take_page(s, answer.json);
        (void)snprintf(cursor, sizeof(cursor), "%s", td_view_text(answer.json, "next_cursor"));
        td_client_answer_done(&answer);
        if (code != TD_EXIT_DONE || cursor[0] == '\0')
            return code;
    }
    return TD_EXIT_DONE;
}

static int ask_recordings(struct status *s)
{
    static const char *const states[] = {
        "recording", "paused", "waiting", "starting", "finishing", "interrupted",
    };
    int code = TD_EXIT_DONE;
    for (size_t i = 0; i < sizeof(states) / sizeof(*states) && code == TD_EXIT_DONE; i++)
        code = ask_state(s, states[i]);
    return code;
}

/* ---- showing ---- */

static void show_json(const struct status *s)
{
    json_t *disk = s->disk_total_bytes > 0
                       ? json_pack("{s:I, s:I}", "free_bytes", (json_int_t)s->disk_free_bytes,
                                   "total_bytes", (json_int_t)s->disk_total_bytes)
                       : json_null();
    json_t *all = json_pack("{s:O, s:O, s:o, s:O}", "health", s->health, "ready", s->ready, "disk",
                            disk, "recordings", s->recordings);
    td_caller_print(all);
    json_decref(all);
}

static void show_why_not(const json_t *ready)
{
    static const struct {
        const char *check;
        const char *text;
    } rows[] = {
        {"recovery", "it still repairs what its last run left behind"},
        {"catalogue", "the catalogue cannot be written; see its log"},
        {"disk", "the disk is too full for new recordings"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (json_is_false(json_object_get(json_object_get(ready, "checks"), rows[i].check)))
            printf("  %s\n", rows[i].text);
    }
}

static void show_disk(const struct status *s)
{
    char left[TD_READABLE_MAX];
    char total[TD_READABLE_MAX];
    if (!(s->disk_total_bytes > 0))
        return;
    td_readable_bytes((int64_t)s->disk_free_bytes, left);
    td_readable_bytes((int64_t)s->disk_total_bytes, total);
    printf("disk: %s of %s free\n", left, total);
}

static int show_recordings(const json_t *recordings)
{
    struct td_table *table = NULL;
    int err = td_view_table(stdout, TD_VIEW_RUNNING, &table);
    if (err < 0)
        return err;
    for (size_t i = 0; i < json_array_size(recordings); i++)
        td_view_row(table, TD_VIEW_RUNNING, json_array_get(recordings, i));
    printf("%s", json_array_size(recordings) > 0 ? "\n" : "no recording runs\n");
    td_table_print(table);
    td_table_free(table);
    return 0;
}

static int show(const struct status *s)
{
    if (s->caller.json) {
        show_json(s);
        return TD_EXIT_DONE;
    }
    char version[32];
    bool ready = json_is_true(json_object_get(s->ready, "ready"));
    td_readable_text(td_view_text(s->health, "version"), version, sizeof(version));
    printf("tapedeck %s at %s: %s\n", version, s->caller.server, ready ? "ready" : "not ready");
    show_why_not(s->ready);
    show_disk(s);
    return show_recordings(s->recordings) < 0 ? TD_EXIT_FAILED : TD_EXIT_DONE;
}

static int show_daemon(struct status *s)
{
    s->recordings = json_array();
    int code = s->recordings != NULL ? ask_health(s) : TD_EXIT_FAILED;
    if (code == TD_EXIT_DONE)
        code = ask_ready(s);
    if (code == TD_EXIT_DONE)
        code = ask_disk(s);
    if (code == TD_EXIT_DONE)
        code = ask_recordings(s);
    if (code == TD_EXIT_DONE)
        code = show(s);
    json_decref(s->health);
    json_decref(s->ready);
    json_decref(s->recordings);
    return code;
}

static int show_recording(struct status *s, const char *word)
{
    json_t *doc = NULL;
    int code = td_caller_find(&s->caller, word, &doc);
    if (code != TD_EXIT_DONE)
        return code;
    if (s->caller.json)
        td_caller_print(doc);
    else if (td_view_sheet(stdout, doc) < 0)
        code = TD_EXIT_FAILED;
    json_decref(doc);
    return code;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct status s = {.caller = TD_CALLER_INIT};
    struct td_positional words;
    int err = td_options_parse(command, argc, argv, &s, &words);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    if (words.count > 1)
        return td_usage_error(command, "name one recording, by its id or its room.");
    int code = td_caller_open(&s.caller);
    if (code == TD_EXIT_DONE)
        code = words.count == 0 ? show_daemon(&s) : show_recording(&s, words.items[0]);
    td_caller_close(&s.caller);
    return code;
}

const struct td_command td_command_status = {
    .name = "status",
    .arguments = "[ID|ROOM]",
    .summary = "show how the daemon is, or one recording",
    .details =
        "Without an argument: whether it is ready or why not, the disk, and what runs; with\n"
        "--json {\"health\": …, \"ready\": …, \"disk\": …, \"recordings\": […]}. A word that "
        "begins\n"
        "with rec_ is an id, any other a room: its newest recording that runs, else its\n"
        "newest.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
