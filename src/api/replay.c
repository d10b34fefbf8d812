/* SPDX-License-Identifier: Apache-2.0 */
#include "api/replay.h"

#include <stdlib.h>
#include <string.h>

#include "api/pending.h"

static void on_replayed(void *ctx, int count)
{
    struct td_pending *pending = ctx;
    if (pending->message != NULL && count >= 0)
        td_http_json(pending->message, SOUP_STATUS_OK, json_pack("{s:i}", "replayed", count));
    else if (pending->message != NULL)
        td_http_problem(pending->message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed",
                        "The outbox cannot be read.");
    td_pending_done(pending);
    free(pending);
}

static bool read_order(json_t *order, const char **ret_recording, bool *ret_delivered)
{
    const char *key;
    json_t *value;
    if (order == NULL)
        return true; /* everything that was given up */
    if (!json_is_object(order))
        return false;
    json_object_foreach(order, key, value)
    {
        if (strcmp(key, "recording") == 0 && json_is_string(value))
            *ret_recording = json_string_value(value);
        else if (strcmp(key, "delivered") == 0 && json_is_boolean(value))
            *ret_delivered = json_is_true(value);
        else
            return false;
    }
    return true;
}

static void replay(struct td_webhook *w, SoupServerMessage *message, json_t *order)
{
    const char *recording = NULL;
    bool delivered = false;
    if (!read_order(order, &recording, &delivered)) {
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_request",
                        "Send {\"recording\": ID, \"delivered\": BOOLEAN}, one of them or none.");
        return;
    }
    struct td_pending *pending = calloc(1, sizeof(*pending));
    if (pending != NULL)
        td_pending_init(pending, message);
    if (pending != NULL && td_webhook_replay(w, recording, delivered, on_replayed, pending) == 0)
        return; /* on_replayed answers and frees */
    td_http_problem(message, SOUP_STATUS_SERVICE_UNAVAILABLE, "unavailable",
                    "The outbox is busy; try again.");
    if (pending != NULL)
        td_pending_done(pending);
    free(pending);
}

static void on_replay(void *ctx, SoupServerMessage *message, const char *path)
{
    json_t *order = NULL;
    if (path[0] != '\0')
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "not_found", "There is nothing here.");
    else if (strcmp(soup_server_message_get_method(message), "POST") != 0)
        td_http_method(message, "POST");
    else if (td_http_rooms(message) != NULL)
        td_http_forbidden(message); /* letters of all rooms wait there */
    else if (td_http_body_json(message, &order) == 0)
        replay(ctx, message, order);
    json_decref(order);
}

void td_replay_route(struct td_http *http, struct td_webhook *w)
{
    td_http_route(http, "/api/webhooks/replay", TD_HTTP_KEY, on_replay, w);
}
