/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/caller.h"

#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/problem.h"
#include "cli/readable.h"
#include "cli/view.h"

int td_caller_open(struct td_caller *c)
{
    struct td_fail fail = {.code = 0};
    c->terminal = isatty(STDERR_FILENO) == 1;
    int err = td_options_hide(&c->token, &c->hidden);
    if (err == 0)
        err = td_client_new(c->server, c->token, &fail, &c->client);
    if (err == 0)
        return TD_EXIT_DONE;
    fprintf(stderr, "tapedeck: %s\n", fail.code != 0 ? fail.text : td_err_text(err));
    return err == -TD_E_USAGE ? TD_EXIT_USAGE : TD_EXIT_FAILED;
}

void td_caller_close(struct td_caller *c)
{
    c->client = td_client_free(c->client);
    free(c->hidden);
    c->hidden = NULL;
}

/* ---- what is shown meanwhile ---- */

void td_caller_waits(struct td_caller *c, int64_t waited_us)
{
    if (!c->terminal || c->json || c->doing == NULL)
        return;
    char doing[256];
    td_readable_text(c->doing, doing, sizeof(doing));
    fprintf(stderr, "\r\033[K%s … %d s", doing, (int)(waited_us / TD_US_PER_S));
    (void)fflush(stderr);
    c->line_open = true;
}

void td_caller_clear(struct td_caller *c)
{
    if (c->line_open)
        fprintf(stderr, "\r\033[K");
    c->line_open = false;
}

static void on_waiting(void *ctx, int64_t waited_us)
{
    td_caller_waits(ctx, waited_us);
}

void td_caller_print(const json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text != NULL)
        printf("%s\n", text);
    free(text);
}

/* ---- calls ---- */

int td_caller_problem(const struct td_caller *c, const struct td_client_answer *answer)
{
    char text[TD_PROBLEM_TEXT_MAX];
    bool success = answer->status >= 200 && answer->status < 300;
    td_problem_say(answer->status, success ? NULL : answer->json, c->token != NULL, text);
    if (c->json)
        td_caller_print(answer->json);
    fprintf(stderr, "tapedeck: %s\n", text);
    return success ? TD_EXIT_FAILED : (int)td_problem_exit(answer->status);
}

int td_caller_send(struct td_caller *c, const struct td_client_request *request,
                   struct td_client_answer *ret_answer)
{
    struct td_client_request timed = *request;
    struct td_fail fail = {.code = 0};
    timed.timeout_us = c->timeout_us;
    timed.waiting = on_waiting;
    timed.ctx = c;
    int err = td_client_call(c->client, &timed, &fail, ret_answer);
    td_caller_clear(c);
    if (err == 0)
        return TD_EXIT_DONE;
    fprintf(stderr, "tapedeck: %s\n", fail.code != 0 ? fail.text : td_err_text(err));
    return TD_EXIT_FAILED;
}

int td_caller_ask(struct td_caller *c, const struct td_client_request *request,
                  struct td_client_answer *ret_answer)
{
    struct td_client_answer answer;
    int code = td_caller_send(c, request, &answer);
    if (code != TD_EXIT_DONE)
        return code;
    if (answer.status >= 200 && answer.status < 300 && json_is_object(answer.json)) {
        *ret_answer = answer;
        return TD_EXIT_DONE;
    }
    code = td_caller_problem(c, &answer);
    td_client_answer_done(&answer);
    return code;
}

int td_caller_get(struct td_caller *c, struct td_client_answer *ret_answer, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *path = g_strdup_vprintf(fmt, args);
    va_end(args);
    struct td_client_request request = {.method = "GET", .path = path};
    int code = td_caller_ask(c, &request, ret_answer);
    g_free(path);
    return code;
}

/* ---- what an argument names ---- */

static bool is_id(const char *word)
{
    return strncmp(word, "rec_", 4) == 0;
}

/* Whether it can be one; as such it stands in a path as it is. */
static bool check_id(const char *id)
{
    if (strspn(id, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(id))
        return true;
    char name[256];
    td_readable_text(id, name, sizeof(name));
    fprintf(stderr, "tapedeck: '%s' is not the id of a recording; 'tapedeck list' shows them.\n",
            name);
    return false;
}

static int find_id(struct td_caller *c, const char *id, json_t **ret_doc)
{
    struct td_client_answer answer;
    if (!check_id(id))
        return TD_EXIT_USAGE;
    int code = td_caller_get(c, &answer, "/api/recordings/%s", id);
    if (code != TD_EXIT_DONE)
        return code;
    *ret_doc = json_incref(answer.json);
    td_client_answer_done(&answer);
    return TD_EXIT_DONE;
}

/* The newest that runs, else the newest; NULL of an empty list. */
static json_t *choose(const json_t *list, unsigned *ret_running)
{
    json_t *chosen = NULL;
    for (size_t i = json_array_size(list); i > 0; i--) {
        json_t *doc = json_array_get(list, i - 1);
        bool runs = !td_view_is_final(doc);
        *ret_running += runs ? 1 : 0;
        if (runs || *ret_running == 0)
            chosen = doc;
    }
    return chosen;
}

static int find_room(struct td_caller *c, const char *room, json_t **ret_doc)
{
    char *escaped = g_uri_escape_string(room, NULL, FALSE);
    struct td_client_answer answer;
    int code = td_caller_get(c, &answer, "/api/recordings?room=%s&limit=%d", escaped,
                             TD_CALLER_ROOM_LIMIT);
    g_free(escaped);
    if (code != TD_EXIT_DONE)
        return code;
    char name[256];
    unsigned running = 0;
    json_t *doc = choose(json_object_get(answer.json, "recordings"), &running);
    td_readable_text(room, name, sizeof(name));
    if (doc == NULL) {
        fprintf(stderr,
                "tapedeck: There is no recording of the room '%s'. 'tapedeck list' shows those "
                "that there are.\n",
                name);
        code = TD_EXIT_FAILED;
    } else if (running > 1) {
        fprintf(stderr,
                "tapedeck: %u recordings of the room '%s' run; this is the newest. Name another "
                "by its id.\n",
                running, name);
    }
    *ret_doc = code == TD_EXIT_DONE ? json_incref(doc) : NULL;
    td_client_answer_done(&answer);
    return code;
}

int td_caller_find(struct td_caller *c, const char *word, json_t **ret_doc)
{
    return is_id(word) ? find_id(c, word, ret_doc) : find_room(c, word, ret_doc);
}

static int order_id(struct td_caller *c, const char *id, const char *verb, json_t **ret_doc)
{
    if (!check_id(id))
        return TD_EXIT_USAGE;
    char *path = g_strdup_printf("/api/recordings/%s/%s", id, verb);
    struct td_client_request request = {.method = "POST", .path = path};
    struct td_client_answer answer;
    int code = td_caller_ask(c, &request, &answer);
    if (code == TD_EXIT_DONE) {
        *ret_doc = json_incref(answer.json);
        td_client_answer_done(&answer);
    }
    g_free(path);
    return code;
}

int td_caller_order(struct td_caller *c, const char *word, const char *verb, json_t **ret_doc)
{
    if (is_id(word))
        return order_id(c, word, verb, ret_doc);
    json_t *doc = NULL;
    int code = find_room(c, word, &doc);
    if (code != TD_EXIT_DONE)
        return code;
    code = order_id(c, td_view_text(doc, "id"), verb, ret_doc);
    json_decref(doc);
    return code;
}
