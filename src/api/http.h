/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: the daemon's HTTP server: listening, bounded request bodies, JSON and problem answers.
 * Owner: the serve command.
 * Thread: control loop.
 * Bound: TD_HTTP_BODY_MAX of a request body, TD_HTTP_READ_S until it is there.
 * Does not: know recordings; routes are added by rest and whip.
 */
#ifndef TD_API_HTTP_H
#define TD_API_HTTP_H

#include <jansson.h>
#include <libsoup/soup.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/log.h"

#define TD_HTTP_BODY_MAX (1u << 20) /* an SDP offer is the largest thing that is sent to us */
#define TD_HTTP_TOKENS_MAX 16u
#define TD_HTTP_READ_S 10 /* a request that is not whole by then is cut off */

struct td_http;

struct td_http_config {
    const char *listen;        /* "127.0.0.1:8000", "[::1]:0" (0 = any free port) */
    const char *const *tokens; /* bearer tokens; NULL or empty = none asked for */
    size_t token_count;
    const struct td_log *log;
};

/* -TD_E_USAGE (the address; or off loopback without a token), -errno of listening. */
TD_MUST int td_http_new(const struct td_http_config *config, struct td_fail *ret_fail,
                        struct td_http **ret_http);
struct td_http *td_http_free(struct td_http *h);
/* "127.0.0.1:8000" with the real port. */
const char *td_http_address(const struct td_http *h);

/* `path` is what follows the prefix, without a leading '/': "" or "abc/def". The body is all
 * there. */
typedef void td_http_route_fn(void *ctx, SoupServerMessage *message, const char *path);
/* `open`: without a token too (healthz). */
void td_http_route(struct td_http *h, const char *prefix, bool open, td_http_route_fn *fn,
                   void *ctx);

/* Answers; `body` is taken over. */
void td_http_json(SoupServerMessage *message, unsigned status, json_t *body);
/* RFC 9457 problem details with a stable `code`. */
void td_http_problem(SoupServerMessage *message, unsigned status, const char *code,
                     const char *detail);
/* Whether what a path says can be a room: one to TD_SOURCE_TEXT_MAX - 1 bytes of printable UTF-8.
 */
bool td_http_is_room(const char *path);
/* 405 with Allow. */
void td_http_method(SoupServerMessage *message, const char *allowed);

#endif
