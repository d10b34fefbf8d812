/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/ask.h"
#include "api/item.h"
#include "api/listing.h"
#include "api/shortform.h"
#include "api/start.h"

struct td_rest {
    struct td_rest_config config;
    struct td_calls *calls;
    struct td_starts *starts;
    struct td_events *events;
    struct td_shortform *shortform;
    struct td_items items;
};

/* ---- the collection ---- */

static void create(struct td_rest *r, SoupServerMessage *message)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    const char *key = soup_message_headers_get_list(headers, "Idempotency-Key");
    struct td_fail fail = {.code = 0};
    struct td_ask ask;
    json_t *body = NULL;
    if (key != NULL && !td_ask_is_key(key)) {
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_request",
                        "Idempotency-Key: has to be 1 to 255 visible ASCII characters.");
        return;
    }
    if (td_http_body_json(message, &body) < 0)
        return;
    int err = td_ask_parse(body, &fail, &ask);
    if (err == -TD_E_PARSE) {
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_request", fail.text);
    } else if (err == -TD_E_UNSUPPORTED) {
        td_http_problem(message, SOUP_STATUS_UNPROCESSABLE_ENTITY, "not_possible", fail.text);
    } else if (err < 0) {
        td_http_fail(message, &fail);
    } else if (!td_http_may(message, ask.recording.room)) {
        td_http_forbidden(message);
        td_ask_done(&ask);
    } else {
        td_starts_begin(r->starts, message, &ask, key);
    }
}

static void on_collection(struct td_rest *r, SoupServerMessage *message)
{
    if (td_http_is_get(message))
        td_listing_answer(r->calls, message);
    else if (strcmp(soup_server_message_get_method(message), "POST") == 0)
        create(r, message);
    else
        td_http_method(message, "GET, HEAD, POST");
}

static void on_recordings(void *ctx, SoupServerMessage *message, const char *path)
{
    struct td_rest *r = ctx;
    if (path[0] == '\0')
        on_collection(r, message);
    else
        td_items_answer(&r->items, message, path);
}

/* ---- life ---- */

static int open_rest(struct td_rest *r)
{
    const struct td_rest_config *c = &r->config;
    struct td_calls_config calls = {
        .recordings = c->recordings,
        .catalog = c->catalog,
        .store = c->store,
        .control = c->control,
        .log = c->log,
    };
    int err = td_calls_new(&calls, &r->calls);
    if (err == 0)
        err = td_starts_new(r->calls, &r->starts);
    if (err == 0)
        err = td_events_new(c->recordings, &r->events);
    if (err == 0)
        err = td_shortform_new(c->http, r->calls, r->starts, &r->shortform);
    r->items = (struct td_items){.calls = r->calls,
                                 .events = r->events,
                                 .fs = c->fs,
                                 .files = c->files,
                                 .data_dir = c->data_dir};
    return err;
}

int td_rest_new(const struct td_rest_config *config, struct td_rest **ret_rest)
{
    struct td_rest *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->config = *config;
    int err = open_rest(r);
    if (err < 0) {
        td_rest_free(r);
        return err;
    }
    td_http_route(config->http, "/api/recordings", TD_HTTP_KEY, on_recordings, r);
    *ret_rest = r;
    return 0;
}

struct td_rest *td_rest_free(struct td_rest *r)
{
    if (r == NULL)
        return NULL;
    r->shortform = td_shortform_free(r->shortform);
    r->events = td_events_free(r->events);
    r->starts = td_starts_free(r->starts);
    r->calls = td_calls_unref(r->calls);
    free(r);
    return NULL;
}

unsigned td_rest_watchers(const struct td_rest *r)
{
    return td_events_clients(r->events);
}
