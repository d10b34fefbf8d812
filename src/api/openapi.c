/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi.h"

static void on_openapi(void *ctx, SoupServerMessage *message, const char *path)
{
    (void)ctx;
    if (path[0] != '\0') {
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "not_found", "There is nothing here.");
    } else if (!td_http_is_get(message)) {
        td_http_method(message, "GET, HEAD");
    } else {
        /* libsoup would cut pieces out of it. */
        soup_message_headers_remove(soup_server_message_get_request_headers(message), "Range");
        soup_server_message_set_status(message, SOUP_STATUS_OK, NULL);
        soup_server_message_set_response(message, "application/json", SOUP_MEMORY_STATIC,
                                         (const char *)td_openapi_text, td_openapi_text_len);
    }
}

void td_openapi_serve(struct td_http *http)
{
    td_http_route(http, "/openapi.json", TD_HTTP_KEY, on_openapi, NULL);
}
