/* SPDX-License-Identifier: Apache-2.0 */
/* start: has the daemon record a room. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/caller.h"
#include "cli/commands.h"
#include "cli/readable.h"
#include "cli/view.h"

#define FILES_WAIT_US                                                                              \
    (3 * TD_US_PER_S) /* the first file of a room that is alive is there by then */
#define LOOK_US (100 * TD_US_PER_MS)
#define DURATION_S_MAX INT64_C(31536000) /* a year */
#define SIZE_BYTES_MAX (INT64_C(1) << 50)

struct start {
    struct td_caller caller;
    const char *format;
    const char *participant;
    const char *tier;
    const char *url;
    const char *token;
    const char *key;
    int64_t max_duration_us; /* 0 = not given */
    int64_t max_size_bytes;  /* 0 = not given */
    bool hold;
    char *hidden; /* copy of the token: argv has it no more */
};

#define OPTION(field_, type_, argument_, help_)                                                    \
    .type = TD_OPTION_##type_, .offset = offsetof(struct start, field_), .argument = argument_,    \
    .help = help_

static const struct td_option options[] = {
    {.name = "format", .letter = 'f', OPTION(format, TEXT, "FORMAT", "ts, mkv or auto")},
    {.name = "participant",
     .letter = 'p',
     OPTION(participant, TEXT, "PATTERN", "only identities like this; * and ? are understood")},
    {.name = "tier", OPTION(tier, TEXT, "TIER", "one of the daemon's tiers")},
    {.name = "max-duration",
     .min = TD_US_PER_S,
     .max = DURATION_S_MAX * TD_US_PER_S,
     OPTION(max_duration_us, DURATION, "TIME", "end when it is so long")},
    {.name = "max-size",
     .min = 1,
     .max = SIZE_BYTES_MAX,
     OPTION(max_size_bytes, BYTES, "BYTES", "end when its files are so large")},
    {.name = "hold", OPTION(hold, FLAG, NULL, "retention leaves it alone")},
    {.name = "url", OPTION(url, TEXT, "URL", "LiveKit server, when not the daemon's own")},
    {.name = "token",
     OPTION(token, TEXT, "JWT", "LiveKit access token; else the daemon makes one")},
    {.name = "idempotency-key",
     OPTION(key, TEXT, "KEY", "the same call with this key again starts nothing new")},
    TD_CALLER_OPTIONS(struct start, caller),
};

/* ---- the call ---- */

/* Whether the text is not given or is set; only UTF-8 is. */
static bool put_text(json_t *body, const char *key, const char *text)
{
    return text == NULL || json_object_set_new(body, key, json_string(text)) == 0;
}

static bool put_number(json_t *body, const char *key, int64_t value)
{
    return value == 0 || json_object_set_new(body, key, json_integer(value)) == 0;
}

static json_t *make_body(const struct start *s, const char *room)
{
    json_t *body = json_object();
    int64_t seconds = (s->max_duration_us + TD_US_PER_S - 1) / TD_US_PER_S;
    bool ok = put_text(body, "room", room) && put_text(body, "format", s->format) &&
              put_text(body, "participant", s->participant) && put_text(body, "tier", s->tier) &&
              put_text(body, "url", s->url) && put_text(body, "token", s->token) &&
              put_number(body, "max_duration_s", seconds) &&
              put_number(body, "max_size_bytes", s->max_size_bytes) &&
              (!s->hold || json_object_set_new(body, "hold", json_true()) == 0);
    if (ok)
        return body;
    json_decref(body);
    return NULL;
}

static int send_start(struct start *s, const char *room, struct td_client_answer *ret_answer)
{
    json_t *body = make_body(s, room);
    if (body == NULL) {
        fprintf(stderr, "tapedeck: Room, names and addresses have to be UTF-8.\n");
        return TD_EXIT_USAGE;
    }
    struct td_client_request request = {
        .method = "POST", .path = "/api/recordings", .body = body, .key = s->key};
    int code = td_caller_ask(&s->caller, &request, ret_answer);
    json_decref(body);
    return code;
}

/* ---- what came of it ---- */

static bool has_files(const json_t *doc)
{
    return json_array_size(json_object_get(doc, "outputs")) > 0;
}

/* Media may be there already: the file that grows is worth a short wait. */
static int await_files(struct start *s, json_t **doc)
{
    int64_t begin_us = td_clock_now_us();
    s->caller.doing = NULL; /* it runs */
    while (!has_files(*doc) && !td_view_is_final(*doc) &&
           td_clock_now_us() - begin_us < FILES_WAIT_US) {
        json_t *fresh = NULL;
        td_client_pause(s->caller.client, LOOK_US);
        int code = td_caller_find(&s->caller, td_view_text(*doc, "id"), &fresh);
        if (code != TD_EXIT_DONE)
            return code;
        json_decref(*doc);
        *doc = fresh;
    }
    return TD_EXIT_DONE;
}

static int show(const struct start *s, unsigned status, const json_t *doc)
{
    if (status == 200 && s->key != NULL)
        printf("This call was made before, and began:\n");
    else if (status == 200)
        printf("The room is being recorded already:\n");
    td_view_line(stdout, doc);
    if (has_files(doc))
        return td_view_files(stdout, doc) < 0 ? TD_EXIT_FAILED : TD_EXIT_DONE;
    char folder[256];
    td_readable_text(td_view_text(doc, "folder"), folder, sizeof(folder));
    if (!td_view_is_final(doc))
        printf("Nobody sends yet; files will grow in DATA/recordings/%s\n", folder);
    return TD_EXIT_DONE;
}

static int start(struct start *s, const char *room)
{
    struct td_client_answer answer;
    char doing[256];
    (void)snprintf(doing, sizeof(doing), "starting %s", room);
    s->caller.doing = doing;
    int code = send_start(s, room, &answer);
    s->caller.doing = NULL;
    if (code != TD_EXIT_DONE)
        return code;
    json_t *doc = json_incref(answer.json);
    unsigned status = answer.status;
    td_client_answer_done(&answer);
    if (s->caller.json)
        td_caller_print(doc);
    else if ((code = await_files(s, &doc)) == TD_EXIT_DONE)
        code = show(s, status, doc);
    json_decref(doc);
    return code;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct start s = {.caller = TD_CALLER_INIT};
    struct td_positional rooms;
    int err = td_options_parse(command, argc, argv, &s, &rooms);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    if (rooms.count != 1)
        return td_usage_error(command, "name one room.");
    int code = td_options_hide(&s.token, &s.hidden) < 0 ? TD_EXIT_FAILED
                                                        : td_caller_open(&s.caller);
    if (code == TD_EXIT_DONE)
        code = start(&s, rooms.items[0]);
    td_caller_close(&s.caller);
    free(s.hidden);
    return code;
}

const struct td_command td_command_start = {
    .name = "start",
    .arguments = "ROOM",
    .summary = "have the daemon record a LiveKit room",
    .details = "Answers when the LiveKit server let the recorder in, or says why it did not (exit\n"
               "code 3). Of a room that is being recorded already that recording is shown.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
