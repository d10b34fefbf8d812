/* SPDX-License-Identifier: Apache-2.0 */
/* start, stop, status: the calls of the short form, from the command line. */
#include <jansson.h>
#include <libsoup/soup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

struct call {
    const char *server;
    const char *token;
    bool json;
};

#define OPTION(field_, type_, argument_, help_)                                                    \
    .type = TD_OPTION_##type_, .offset = offsetof(struct call, field_), .argument = argument_,     \
    .help = help_

static const struct td_option options[] = {
    {.name = "server",
     .environment = "TAPEDECK_SERVER",
     OPTION(server, TEXT, "URL", "the daemon (http://127.0.0.1:8000)")},
    {.name = "token",
     .environment = "TAPEDECK_TOKEN",
     OPTION(token, TEXT, "TOKEN", "bearer token of the daemon")},
    {.name = "json", OPTION(json, FLAG, NULL, "the daemon's answer as it is")},
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void print_recording(const json_t *recording)
{
    printf("%-24s %-20s %-10s %s%s%s\n", text_of(recording, "id"), text_of(recording, "room"),
           text_of(recording, "state"), text_of(recording, "reason"),
           text_of(recording, "error")[0] != '\0' ? ": " : "", text_of(recording, "error"));
    const json_t *outputs = json_object_get(recording, "outputs");
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const json_t *output = json_array_get(outputs, i);
        printf("    %s  %.1f s  %lld bytes\n", text_of(output, "file"),
               (double)json_integer_value(json_object_get(output, "duration_ms")) / 1e3,
               (long long)json_integer_value(json_object_get(output, "bytes")));
    }
}

static int show(const struct call *call, unsigned status, const char *body, size_t len)
{
    json_t *answer = json_loadb(body, len, 0, NULL);
    int code = status < 300 ? TD_EXIT_DONE : status >= 502 ? TD_EXIT_REFUSED : TD_EXIT_FAILED;
    if (call->json)
        printf("%.*s\n", (int)len, body);
    else if (code != TD_EXIT_DONE)
        fprintf(stderr, "tapedeck: %s\n",
                answer != NULL ? text_of(answer, "detail") : "the daemon's answer is no JSON.");
    else if (json_object_get(answer, "recordings") != NULL)
        for (size_t i = 0; i < json_array_size(json_object_get(answer, "recordings")); i++)
            print_recording(json_array_get(json_object_get(answer, "recordings"), i));
    else
        print_recording(answer);
    json_decref(answer);
    return code;
}

static int send_call(const struct call *call, const char *method, const char *path)
{
    char *url = g_strdup_printf("%s%s", call->server, path);
    SoupMessage *message = soup_message_new(method, url);
    if (message == NULL) {
        fprintf(stderr, "tapedeck: '%s' is not a URL.\n", url);
        g_free(url);
        return TD_EXIT_USAGE;
    }
    if (call->token != NULL) {
        char *bearer = g_strdup_printf("Bearer %s", call->token);
        soup_message_headers_append(soup_message_get_request_headers(message), "Authorization",
                                    bearer);
        g_free(bearer);
    }
    SoupSession *session = soup_session_new_with_options("timeout", 20, NULL);
    GError *error = NULL;
    GBytes *body = soup_session_send_and_read(session, message, NULL, &error);
    int code = TD_EXIT_REFUSED;
    if (body == NULL) {
        fprintf(stderr, "tapedeck: no daemon answers at %s (%s).\n", call->server, error->message);
        g_error_free(error);
    } else {
        size_t len = 0;
        const char *text = g_bytes_get_data(body, &len);
        code = show(call, soup_message_get_status(message), text, len);
        g_bytes_unref(body);
    }
    g_object_unref(session);
    g_object_unref(message);
    g_free(url);
    return code;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct call call = {.server = "http://127.0.0.1:8000"};
    struct td_positional rooms;
    int err = td_options_parse(command, argc, argv, &call, &rooms);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    bool is_status = strcmp(command->name, "status") == 0;
    if (is_status && rooms.count == 0)
        return send_call(&call, "GET", "/api/recordings");
    if (rooms.count != 1)
        return td_usage_error(command, "name one room.");
    char *room = g_uri_escape_string(rooms.items[0], NULL, FALSE);
    char *path = g_strdup_printf("/api/recording/%s/%s", command->name, room);
    int code = send_call(&call, is_status ? "GET" : "POST", path);
    g_free(path);
    g_free(room);
    return code;
}

const struct td_command td_command_start = {
    .name = "start",
    .arguments = "ROOM",
    .summary = "have the daemon record a LiveKit room",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};

const struct td_command td_command_stop = {
    .name = "stop",
    .arguments = "ROOM",
    .summary = "stop the daemon's recording of a room",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};

const struct td_command td_command_status = {
    .name = "status",
    .arguments = "[ROOM]",
    .summary = "show the daemon's recordings",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
