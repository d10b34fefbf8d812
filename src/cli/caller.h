/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller: what the commands that talk to a running daemon share: their options, a call with its
 *         problems said, the recording that an argument names, a line while somebody waits.
 * Owner: the command's structure, first zeroed but for TD_CALLER_INIT.
 * Thread: main.
 * Bound: that of client; TD_CALLER_ROOM_LIMIT recordings of a room are looked at.
 * Does not: show recordings (view does).
 */
#ifndef TD_CLI_CALLER_H
#define TD_CLI_CALLER_H

#include "base/clock.h"
#include "cli/client.h"
#include "cli/options.h"

#define TD_CALLER_ROOM_LIMIT 50
#define TD_CALLER_TIMEOUT_US (20 * TD_US_PER_S) /* a start takes up to 10 s by itself */

struct td_caller {
    /* options */
    const char *server;
    const char *token;
    int64_t timeout_us;
    bool json;
    /* running */
    const char *doing; /* "starting ROOM": shown on a terminal while an answer is waited for */
    struct td_client *client;
    char *hidden; /* copy of the token: argv has it no more */
    bool terminal;
    bool line_open;
};

#define TD_CALLER_INIT                                                                             \
    {                                                                                              \
        .server = TD_CLIENT_DEFAULT_URL, .timeout_us = TD_CALLER_TIMEOUT_US                        \
    }

/* A row of the table below. */
#define TD_CALLER_OPTION(values, field, type_, argument_, help_)                                   \
    .type = TD_OPTION_##type_, .offset = offsetof(values, field), .argument = argument_,           \
    .help = help_

/* The rows of a command's option table, behind its own; `member` is the td_caller of `values`. */
#define TD_CALLER_OPTIONS(values, member)                                                          \
    {.name = "server",                                                                             \
     .environment = "TAPEDECK_SERVER",                                                             \
     TD_CALLER_OPTION(values, member.server, TEXT, "URL",                                          \
                      "the daemon (" TD_CLIENT_DEFAULT_URL ")")},                                  \
        {.name = "api-token",                                                                      \
         .environment = "TAPEDECK_TOKEN",                                                          \
         TD_CALLER_OPTION(values, member.token, TEXT, "TOKEN", "an API key of the daemon")},       \
        {.name = "timeout",                                                                        \
         .min = 100 * TD_US_PER_MS,                                                                \
         .max = 3600 * TD_US_PER_S,                                                                \
         TD_CALLER_OPTION(values, member.timeout_us, DURATION, "TIME",                             \
                          "how long an answer may take (20s)")},                                   \
    {                                                                                              \
        .name = "json",                                                                            \
        TD_CALLER_OPTION(values, member.json, FLAG, NULL, "the daemon's JSON instead of a table")  \
    }

/* All of these answer an exit code; but for TD_EXIT_DONE they have said why on stderr. */

/* td_caller_close follows in any case. */
TD_MUST int td_caller_open(struct td_caller *c);
void td_caller_close(struct td_caller *c);
/* Any answer, of any status; td_client_answer_done ends it. timeout_us and waiting are set here. */
TD_MUST int td_caller_send(struct td_caller *c, const struct td_client_request *request,
                           struct td_client_answer *ret_answer);
/* Says what is wrong with this answer; with --json prints it as it is, too. */
TD_MUST int td_caller_problem(const struct td_caller *c, const struct td_client_answer *answer);
/* td_caller_send, and the answer is a success with a JSON object. */
TD_MUST int td_caller_ask(struct td_caller *c, const struct td_client_request *request,
                          struct td_client_answer *ret_answer);
/* GET of a path that printf makes. */
TD_MUST int td_caller_get(struct td_caller *c, struct td_client_answer *ret_answer, const char *fmt,
                          ...) TD_PRINTF(3, 4);
/* A word that begins with "rec_" is an id, any other a room: the newest that runs there, else the
 * newest. A new reference. */
TD_MUST int td_caller_find(struct td_caller *c, const char *word, json_t **ret_doc);
/* POST /api/recordings/ID/VERB of what `word` names. A new reference. */
TD_MUST int td_caller_order(struct td_caller *c, const char *word, const char *verb,
                            json_t **ret_doc);

/* One line of JSON on stdout. */
void td_caller_print(const json_t *json);
/* Shows that it takes long: on a terminal, and not with --json. */
void td_caller_waits(struct td_caller *c, int64_t waited_us);
/* Takes that line away again. */
void td_caller_clear(struct td_caller *c);

#endif
