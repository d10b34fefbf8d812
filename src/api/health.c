/* SPDX-License-Identifier: Apache-2.0 */
#include "api/health.h"

#include <errno.h>
#include <stdlib.h>

struct td_health {
    struct td_health_config config;
};

/* Whether the route goes on: a GET of exactly this path. */
static bool is_plain_get(SoupServerMessage *message, const char *path)
{
    if (path[0] != '\0') {
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "not_found", "There is nothing here.");
        return false;
    }
    if (!td_http_is_get(message)) {
        td_http_method(message, "GET, HEAD");
        return false;
    }
    return true;
}

static void on_health(void *ctx, SoupServerMessage *message, const char *path)
{
    struct td_health *h = ctx;
    if (!is_plain_get(message, path))
        return;
    td_http_json(message, SOUP_STATUS_OK,
                 json_pack("{s:s, s:s, s:i}", "status", "ok", "version", TD_VERSION, "recordings",
                           (int)td_recordings_running(h->config.recordings)));
}

static void on_ready(void *ctx, SoupServerMessage *message, const char *path)
{
    struct td_health *h = ctx;
    const struct td_health_config *c = &h->config;
    if (!is_plain_get(message, path))
        return;
    bool recovered = c->recovered == NULL || c->recovered(c->ctx);
    bool written = td_recordings_unwritten(c->recordings) == 0;
    bool space = c->disk_low == NULL || !c->disk_low(c->ctx);
    bool ready = recovered && written && space;
    json_t *checks =
        json_pack("{s:b, s:b, s:b}", "recovery", recovered, "catalogue", written, "disk", space);
    td_http_json(message, ready ? SOUP_STATUS_OK : SOUP_STATUS_SERVICE_UNAVAILABLE,
                 json_pack("{s:b, s:o}", "ready", ready, "checks", checks));
}

int td_health_new(const struct td_health_config *config, struct td_health **ret_health)
{
    struct td_health *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return -ENOMEM;
    h->config = *config;
    td_http_route(config->http, "/healthz", TD_HTTP_OPEN, on_health, h);
    td_http_route(config->http, "/readyz", TD_HTTP_KEY, on_ready, h);
    *ret_health = h;
    return 0;
}

struct td_health *td_health_free(struct td_health *h)
{
    free(h);
    return NULL;
}
