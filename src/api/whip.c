/* SPDX-License-Identifier: Apache-2.0 */
#include "api/whip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/pending.h"

#define SDP_TYPE "application/sdp"
#define FRAGMENT_TYPE "application/trickle-ice-sdpfrag"

struct td_whip_endpoint {
    struct td_recordings *recordings;
};

struct offer {
    struct td_pending pending;
    struct td_recording *recording;
    bool taking;   /* take_offer is still at work and frees it */
    bool answered; /* meanwhile: the session could not even begin */
    char room[TD_SOURCE_TEXT_MAX];
};

static bool has_type(SoupServerMessage *message, const char *wanted)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    const char *type = soup_message_headers_get_content_type(headers, NULL);
    return type != NULL && g_ascii_strcasecmp(type, wanted) == 0;
}

static void answer_failure(SoupServerMessage *message, const struct td_fail *fail)
{
    if (fail->code == -TD_E_PARSE || fail->code == -TD_E_UNSUPPORTED)
        td_http_problem(message, SOUP_STATUS_UNPROCESSABLE_ENTITY, "bad_offer", fail->text);
    else
        td_http_fail(message, fail);
}

static void answer_offer(struct offer *offer, const char *answer)
{
    SoupServerMessage *message = offer->pending.message;
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    char *room = g_uri_escape_string(offer->room, "/", FALSE);
    char *location =
        g_strdup_printf("/whip/%s/%s", room, td_recording_whip_session(offer->recording));
    soup_server_message_set_status(message, SOUP_STATUS_CREATED, NULL);
    soup_message_headers_replace(headers, "Location", location);
    soup_server_message_set_response(message, SDP_TYPE, SOUP_MEMORY_COPY, answer, strlen(answer));
    g_free(location);
    g_free(room);
}

static void on_answer(void *ctx, const char *answer, const struct td_fail *fail)
{
    struct offer *offer = ctx;
    if (offer->pending.message != NULL) {
        if (answer == NULL)
            answer_failure(offer->pending.message, fail);
        else
            answer_offer(offer, answer);
    } else if (offer->recording != NULL) {
        /* Nobody will ever use this answer. */
        td_recording_stop(offer->recording, "disconnected");
    }
    td_pending_done(&offer->pending);
    if (offer->taking)
        offer->answered = true;
    else
        free(offer);
}

static void take_offer(struct td_whip_endpoint *e, SoupServerMessage *message, const char *room)
{
    struct offer *offer = calloc(1, sizeof(*offer));
    if (offer == NULL) {
        td_http_problem(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed", "Out of memory.");
        return;
    }
    (void)snprintf(offer->room, sizeof(offer->room), "%s", room);
    td_pending_init(&offer->pending, message);
    SoupMessageBody *body = soup_server_message_get_request_body(message);
    GBytes *bytes = soup_message_body_flatten(body);
    size_t len = 0;
    const char *text = g_bytes_get_data(bytes, &len);
    struct td_fail fail = {.code = 0};
    struct td_recording *recording = NULL;
    offer->taking = true;
    int err = td_recordings_whip(e->recordings, room, td_http_token(message), text, len, on_answer,
                                 offer, &fail, &recording);
    offer->taking = false;
    g_bytes_unref(bytes);
    if (err < 0 && !offer->answered) {
        answer_failure(message, &fail);
        td_pending_done(&offer->pending);
    }
    if (err < 0 || offer->answered)
        free(offer);
    else
        offer->recording = recording; /* the answer comes from the loop */
}

static void on_post(struct td_whip_endpoint *e, SoupServerMessage *message, const char *room)
{
    if (!td_http_is_room(room))
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "no_room",
                        "Name the room: POST /whip/ROOM.");
    else if (!td_http_may(message, room))
        td_http_forbidden(message);
    else if (!has_type(message, SDP_TYPE))
        td_http_problem(message, SOUP_STATUS_UNSUPPORTED_MEDIA_TYPE, "not_sdp",
                        "The body has to be application/sdp.");
    else
        take_offer(e, message, room);
}

static void on_patch(struct td_source *source, SoupServerMessage *message)
{
    if (!has_type(message, FRAGMENT_TYPE)) {
        td_http_problem(message, SOUP_STATUS_UNSUPPORTED_MEDIA_TYPE, "not_a_fragment",
                        "The body has to be application/trickle-ice-sdpfrag.");
        return;
    }
    GBytes *bytes = soup_message_body_flatten(soup_server_message_get_request_body(message));
    size_t len = 0;
    const char *text = g_bytes_get_data(bytes, &len);
    int err = td_whip_trickle(source, text, len);
    g_bytes_unref(bytes);
    if (err == -TD_E_UNSUPPORTED)
        td_http_problem(message, SOUP_STATUS_UNPROCESSABLE_ENTITY, "no_ice_restart",
                        "ICE restarts are not supported; DELETE and POST again.");
    else if (err < 0)
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_fragment", td_err_text(err));
    else
        soup_server_message_set_status(message, SOUP_STATUS_NO_CONTENT, NULL);
}

static void on_session(struct td_whip_endpoint *e, SoupServerMessage *message, const char *id)
{
    struct td_recording *recording = NULL;
    struct td_source *source = td_recordings_whip_session(e->recordings, id, &recording);
    const char *method = soup_server_message_get_method(message);
    if (source == NULL) {
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "no_such_session",
                        "This WHIP session is over or never was.");
    } else if (!td_http_may(message, td_recording_room(recording))) {
        td_http_forbidden(message);
    } else if (strcmp(method, "DELETE") == 0) {
        td_whip_delete(source);
        soup_server_message_set_status(message, SOUP_STATUS_OK, NULL);
    } else if (strcmp(method, "PATCH") == 0) {
        on_patch(source, message);
    } else {
        td_http_method(message, "PATCH, DELETE");
    }
}

static void on_whip(void *ctx, SoupServerMessage *message, const char *path)
{
    struct td_whip_endpoint *e = ctx;
    const char *method = soup_server_message_get_method(message);
    const char *slash = strrchr(path, '/');
    if (slash != NULL && strncmp(slash + 1, "whs_", 4) == 0) {
        on_session(e, message, slash + 1);
    } else if (strcmp(method, "POST") == 0) {
        on_post(e, message, path);
    } else if (strcmp(method, "OPTIONS") == 0) {
        soup_server_message_set_status(message, SOUP_STATUS_NO_CONTENT, NULL);
        soup_message_headers_replace(soup_server_message_get_response_headers(message),
                                     "Accept-Post", SDP_TYPE);
    } else {
        td_http_method(message, "POST, OPTIONS");
    }
}

int td_whip_endpoint_new(struct td_http *http, struct td_recordings *recordings,
                         struct td_whip_endpoint **ret_endpoint)
{
    struct td_whip_endpoint *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return -ENOMEM;
    e->recordings = recordings;
    td_http_route(http, "/whip", TD_HTTP_WHIP, on_whip, e);
    *ret_endpoint = e;
    return 0;
}

struct td_whip_endpoint *td_whip_endpoint_free(struct td_whip_endpoint *e)
{
    free(e);
    return NULL;
}
