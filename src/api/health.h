/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health: GET /healthz (the process answers) and GET /readyz (it can be trusted with a recording).
 * Owner: the serve command.
 * Thread: control loop.
 * Bound: none of its own.
 * Does not: check anything itself; it asks those who know.
 */
#ifndef TD_API_HEALTH_H
#define TD_API_HEALTH_H

#include <stdbool.h>

#include "api/http.h"
#include "api/recordings.h"

struct td_health_config {
    struct td_http *http;
    struct td_recordings *recordings;
    void *ctx;
    /* What others know; NULL = nothing is wrong there. */
    bool (*recovered)(void *ctx); /* what the last run left behind is dealt with */
    bool (*disk_low)(void *ctx);  /* new recordings are refused for want of space */
};

struct td_health;

/* Adds the routes. */
TD_MUST int td_health_new(const struct td_health_config *config, struct td_health **ret_health);
/* Takes NULL, returns NULL. */
struct td_health *td_health_free(struct td_health *h);

#endif
