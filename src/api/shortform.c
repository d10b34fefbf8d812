/* SPDX-License-Identifier: Apache-2.0 */
#include "api/shortform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct td_shortform {
    struct td_calls *calls;
    struct td_starts *starts;
};

/* Whether the route goes on: the right method, and a room that the caller may use. */
static bool is_call(SoupServerMessage *message, const char *method, const char *room)
{
    bool get = strcmp(method, "GET") == 0;
    if (get ? !td_http_is_get(message)
            : strcmp(soup_server_message_get_method(message), method) != 0) {
        td_http_method(message, get ? "GET, HEAD" : method);
        return false;
    }
    if (!td_http_is_room(room)) {
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "no_room",
                        "The path has to end with a room: 1 to 255 printable bytes of UTF-8.");
        return false;
    }
    if (!td_http_may(message, room)) {
        td_http_forbidden(message);
        return false;
    }
    return true;
}

static void on_start(void *ctx, SoupServerMessage *message, const char *path)
{
    struct td_shortform *s = ctx;
    if (is_call(message, "POST", path))
        td_starts_room(s->starts, message, path);
}

static void stop_found(struct td_call *call, int error, json_t *doc, struct td_recording *running)
{
    if (td_call_shows(call, error, doc)) {
        if (running != NULL)
            td_recording_stop(running, "stopped");
        td_http_json(call->pending.message, SOUP_STATUS_OK, json_incref(doc));
    }
    td_call_end(call);
}

static void status_found(struct td_call *call, int error, json_t *doc, struct td_recording *running)
{
    (void)running;
    if (td_call_shows(call, error, doc))
        td_http_json(call->pending.message, SOUP_STATUS_OK, json_incref(doc));
    td_call_end(call);
}

static void find(struct td_shortform *s, SoupServerMessage *message, const char *room,
                 td_call_found_fn *found)
{
    struct td_call *call = td_call_begin(s->calls, message, sizeof(*call));
    if (call != NULL)
        td_call_find_room(call, room, found);
}

static void on_stop(void *ctx, SoupServerMessage *message, const char *path)
{
    if (is_call(message, "POST", path))
        find(ctx, message, path, stop_found);
}

static void on_status(void *ctx, SoupServerMessage *message, const char *path)
{
    if (is_call(message, "GET", path))
        find(ctx, message, path, status_found);
}

int td_shortform_new(struct td_http *http, struct td_calls *calls, struct td_starts *starts,
                     struct td_shortform **ret_shortform)
{
    struct td_shortform *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->calls = calls;
    s->starts = starts;
    td_http_route(http, "/api/recording/start", TD_HTTP_KEY, on_start, s);
    td_http_route(http, "/api/recording/stop", TD_HTTP_KEY, on_stop, s);
    td_http_route(http, "/api/recording/status", TD_HTTP_KEY, on_status, s);
    *ret_shortform = s;
    return 0;
}

struct td_shortform *td_shortform_free(struct td_shortform *s)
{
    free(s);
    return NULL;
}
