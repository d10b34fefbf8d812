/* SPDX-License-Identifier: Apache-2.0 */
#include "api/listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_MAX 16

struct listing {
    struct td_call call;
    char state[STATE_MAX];
    char room[TD_SOURCE_TEXT_MAX];
    char cursor[TD_ID_MAX]; /* id of the last recording that was looked at */
    unsigned limit;
    unsigned reads;
    json_t *list;
};

/* Design section 5. */
static const char *const states[] = {
    "starting", "waiting", "recording", "paused",      "finishing",
    "complete", "failed",  "aborted",   "interrupted",
};

static bool is_state(const char *word)
{
    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        if (strcmp(word, states[i]) == 0)
            return true;
    }
    return false;
}

/* "rec_…": what an id looks like, whether there is such a recording or not. */
static bool is_id(const char *text)
{
    return text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(text);
}

static bool take_limit(const char *text, unsigned *ret_limit)
{
    char *end = NULL;
    unsigned long n = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    if (n < 1 || n > TD_CATALOG_PAGE_MAX || *end != '\0')
        return false;
    *ret_limit = (unsigned)n;
    return true;
}

/* NULL, or what is wrong with the query. */
static const char *take_query(struct listing *l, SoupServerMessage *message)
{
    char limit[8];
    int has_state = td_http_query(message, "state", l->state, sizeof(l->state));
    int has_room = td_http_query(message, "room", l->room, sizeof(l->room));
    int has_cursor = td_http_query(message, "cursor", l->cursor, sizeof(l->cursor));
    int has_limit = td_http_query(message, "limit", limit, sizeof(limit));
    l->limit = TD_LISTING_LIMIT;
    if (has_state != 0 && (has_state < 0 || !is_state(l->state)))
        return "state: there is no such state.";
    if (has_room != 0 && (has_room < 0 || !td_http_is_room(l->room)))
        return "room: has to be 1 to 255 printable bytes of UTF-8.";
    if (has_cursor != 0 && (has_cursor < 0 || !is_id(l->cursor)))
        return "cursor: has to be the next_cursor of an answer.";
    if (has_limit != 0 && (has_limit < 0 || !take_limit(limit, &l->limit)))
        return "limit: has to be a number from 1 to 500.";
    return NULL;
}

static void end_listing(struct listing *l)
{
    json_decref(l->list);
    td_call_end(&l->call);
}

static void answer(struct listing *l, bool more)
{
    td_http_json(
        l->call.pending.message, SOUP_STATUS_OK,
        json_pack("{s:O, s:s?}", "recordings", l->list, "next_cursor", more ? l->cursor : NULL));
    end_listing(l);
}

static void give_up(struct listing *l, int error)
{
    SoupServerMessage *message = l->call.pending.message;
    if (message != NULL && error == -ENOENT && l->cursor[0] != '\0')
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_request",
                        "cursor: there is no such recording; begin with the first page.");
    else
        (void)td_call_shows(&l->call, error, NULL); /* says so */
    end_listing(l);
}

static void read_page(struct listing *l);

/* A caller who may see few rooms is given more rows to look at. */
static unsigned page_size(const struct listing *l)
{
    return td_http_rooms(l->call.pending.message) != NULL ? TD_CATALOG_PAGE_MAX : l->limit;
}

static void on_page(void *ctx, int error, json_t *docs)
{
    struct listing *l = ctx;
    SoupServerMessage *message = l->call.pending.message;
    if (message == NULL || error < 0) {
        give_up(l, error);
        return;
    }
    size_t i = 0;
    json_t *doc = NULL;
    json_array_foreach(docs, i, doc)
    {
        const char *id = json_string_value(json_object_get(doc, "id"));
        const char *room = json_string_value(json_object_get(doc, "room"));
        (void)snprintf(l->cursor, sizeof(l->cursor), "%s", id != NULL ? id : "");
        if (td_http_may(message, room != NULL ? room : "") && json_array_append(l->list, doc) < 0) {
            give_up(l, -ENOMEM);
            return;
        }
        if (json_array_size(l->list) == l->limit)
            break;
    }
    bool last = json_array_size(docs) < page_size(l) && i >= json_array_size(docs);
    if (last || json_array_size(l->list) == l->limit || ++l->reads == TD_LISTING_READS)
        answer(l, !last);
    else
        read_page(l);
}

static void read_page(struct listing *l)
{
    struct td_catalog_query query = {
        .room = l->room[0] != '\0' ? l->room : NULL,
        .state = l->state[0] != '\0' ? l->state : NULL,
        .before = l->cursor[0] != '\0' ? l->cursor : NULL,
        .limit = page_size(l),
    };
    int err = td_recordings_find(td_calls_config(l->call.calls)->recordings, &query, on_page, l);
    if (err < 0)
        on_page(l, err, NULL);
}

void td_listing_answer(struct td_calls *calls, SoupServerMessage *message)
{
    struct listing *l = td_call_begin(calls, message, sizeof(*l));
    if (l == NULL)
        return;
    l->list = json_array();
    const char *wrong = l->list == NULL ? "Out of memory." : take_query(l, message);
    if (wrong != NULL) {
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_request", wrong);
        end_listing(l);
    } else if (l->room[0] != '\0' && !td_http_may(message, l->room)) {
        td_http_forbidden(message);
        end_listing(l);
    } else {
        read_page(l);
    }
}
