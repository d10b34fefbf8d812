/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/pending.h"

struct td_rest {
    struct td_recordings *recordings;
};

struct start {
    struct td_pending pending;
};

static bool is_get(SoupServerMessage *message)
{
    const char *method = soup_server_message_get_method(message);
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static bool is_post(SoupServerMessage *message)
{
    return strcmp(soup_server_message_get_method(message), "POST") == 0;
}

static void answer_failure(SoupServerMessage *message, const struct td_fail *fail)
{
    switch (fail->code) {
    case -TD_E_USAGE:
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "not_possible", fail->text);
        break;
    case -TD_E_LIMIT:
    case -TD_E_STATE:
        td_http_problem(message, SOUP_STATUS_SERVICE_UNAVAILABLE, "unavailable", fail->text);
        break;
    case -TD_E_REFUSED:
        td_http_problem(message, SOUP_STATUS_BAD_GATEWAY, "source_refused", fail->text);
        break;
    case -TD_E_TIMEOUT:
        td_http_problem(message, SOUP_STATUS_GATEWAY_TIMEOUT, "source_timeout", fail->text);
        break;
    default:
        td_http_problem(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed", fail->text);
        break;
    }
}

static void on_settled(void *ctx, struct td_recording *recording)
{
    struct start *start = ctx;
    SoupServerMessage *message = start->pending.message;
    if (message != NULL) {
        const struct td_fail *fail = td_recording_fail(recording);
        if (fail->code != 0)
            answer_failure(message, fail);
        else
            td_http_json(message, SOUP_STATUS_CREATED, td_recording_json(recording));
    }
    td_pending_done(&start->pending);
    free(start);
}

static void start_room(struct td_rest *r, SoupServerMessage *message, const char *room)
{
    struct start *start = calloc(1, sizeof(*start));
    if (start == NULL) {
        td_http_problem(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed", "Out of memory.");
        return;
    }
    struct td_fail fail = {.code = 0};
    struct td_recording *recording = NULL;
    td_pending_init(&start->pending, message);
    int err = td_recordings_start(r->recordings, room, on_settled, start, &fail, &recording);
    if (err == 0)
        return; /* on_settled answers and frees */
    if (err == TD_RECORDINGS_RUNNING)
        td_http_json(message, SOUP_STATUS_OK, td_recording_json(recording));
    else
        answer_failure(message, &fail);
    td_pending_done(&start->pending);
    free(start);
}

static void no_room(SoupServerMessage *message)
{
    td_http_problem(message, SOUP_STATUS_NOT_FOUND, "no_such_recording",
                    "No recording of this room is known.");
}

static void on_start(void *ctx, SoupServerMessage *message, const char *path)
{
    if (!is_post(message))
        td_http_method(message, "POST");
    else if (!td_http_is_room(path))
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "no_room",
                        "Name the room: /api/recording/start/ROOM.");
    else
        start_room(ctx, message, path);
}

static void on_stop(void *ctx, SoupServerMessage *message, const char *path)
{
    struct td_rest *r = ctx;
    if (!is_post(message)) {
        td_http_method(message, "POST");
        return;
    }
    struct td_recording *recording = td_recordings_by_room(r->recordings, path);
    if (recording == NULL) {
        no_room(message);
        return;
    }
    td_recording_stop(recording, "stopped");
    td_http_json(message, SOUP_STATUS_OK, td_recording_json(recording));
}

static void on_status(void *ctx, SoupServerMessage *message, const char *path)
{
    struct td_rest *r = ctx;
    if (!is_get(message)) {
        td_http_method(message, "GET, HEAD");
        return;
    }
    struct td_recording *recording = td_recordings_by_room(r->recordings, path);
    if (recording == NULL)
        no_room(message);
    else
        td_http_json(message, SOUP_STATUS_OK, td_recording_json(recording));
}

static void on_list(void *ctx, SoupServerMessage *message, const char *path)
{
    struct td_rest *r = ctx;
    if (!is_get(message)) {
        td_http_method(message, "GET, HEAD");
        return;
    }
    if (path[0] == '\0') {
        td_http_json(message, SOUP_STATUS_OK,
                     json_pack("{s:o}", "recordings", td_recordings_json(r->recordings)));
        return;
    }
    struct td_recording *recording = td_recordings_by_id(r->recordings, path);
    if (recording == NULL)
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "no_such_recording",
                        "No recording has this id.");
    else
        td_http_json(message, SOUP_STATUS_OK, td_recording_json(recording));
}

static void on_health(void *ctx, SoupServerMessage *message, const char *path)
{
    struct td_rest *r = ctx;
    if (path[0] != '\0') {
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "not_found", "There is nothing here.");
        return;
    }
    if (!is_get(message)) {
        td_http_method(message, "GET, HEAD");
        return;
    }
    td_http_json(message, SOUP_STATUS_OK,
                 json_pack("{s:s, s:s, s:i}", "status", "ok", "version", TD_VERSION, "recordings",
                           (int)td_recordings_running(r->recordings)));
}

int td_rest_new(struct td_http *http, struct td_recordings *recordings, struct td_rest **ret_rest)
{
    struct td_rest *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->recordings = recordings;
    td_http_route(http, "/api/recording/start", false, on_start, r);
    td_http_route(http, "/api/recording/stop", false, on_stop, r);
    td_http_route(http, "/api/recording/status", false, on_status, r);
    td_http_route(http, "/api/recordings", false, on_list, r);
    td_http_route(http, "/healthz", true, on_health, r);
    *ret_rest = r;
    return 0;
}

struct td_rest *td_rest_free(struct td_rest *r)
{
    free(r);
    return NULL;
}
