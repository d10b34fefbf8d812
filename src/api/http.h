/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: the daemon's HTTP server: who may come in, what a request may look like, and JSON answers.
 * Owner: the serve command.
 * Thread: control loop.
 * Bound: TD_HTTP_BODY_MAX of a request body, TD_HEAD_BYTES_MAX of request line and fields,
 *        limits.max_connections, TD_HTTP_READ_S until a request is whole, TD_HTTP_STALL_S for an
 *        answer that the client does not take.
 * Does not: know recordings; routes are added by the nouns beside it.
 *
 * Each connection carries one request: libsoup 3.2.2 and 3.2.3 (Debian 12) never notice that a
 * client closed an idle one. Every message that a route was given emits "finished" once, also when
 * the client left or the server goes.
 */
#ifndef TD_API_HTTP_H
#define TD_API_HTTP_H

#include <jansson.h>
#include <libsoup/soup.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "config/config.h"

#define TD_HTTP_BODY_MAX (1u << 20) /* an SDP offer is the largest thing that is sent to us */
#define TD_HTTP_DISCARD_MAX                                                                        \
    (4u << 20)                        /* of a body that nobody wants; then the connection is cut   \
                                       */
#define TD_HTTP_READ_S 10             /* a request that is not whole by then is cut off */
#define TD_HTTP_STALL_S 30            /* so is an answer of which nothing was taken for so long */
#define TD_HTTP_CONNECTIONS_MAX 1024u /* when the configuration does not say */
#define TD_HTTP_ROUTES_MAX 32u
#define TD_HTTP_JSON_DEPTH_MAX 32u

struct td_http;

struct td_http_config {
    const char *listen;             /* "127.0.0.1:8000", "[::1]:0" (0 = any free port) */
    const struct td_config *config; /* api_keys, whip.tokens, cors_origins, max_connections */
    const char *token;              /* one more API key, for all rooms; NULL = none */
    const struct td_log *log;
    int64_t read_us;  /* 0 = TD_HTTP_READ_S */
    int64_t stall_us; /* 0 = TD_HTTP_STALL_S */
};

/* Who is let in. */
enum td_http_class {
    TD_HTTP_OPEN, /* everybody: /healthz, and what verifies its callers itself */
    TD_HTTP_KEY,  /* an API key, when there are any */
    TD_HTTP_WHIP, /* one of whip.tokens, when there are any, else an API key */
};

#define TD_HTTP_CLASSES 5u

struct td_http_counts {
    uint64_t answers[TD_HTTP_CLASSES]; /* 1xx to 5xx */
    uint64_t connections;              /* now */
    uint64_t requests;                 /* since the start, as all that follow */
    uint64_t turned_away;              /* connections above the limit */
    uint64_t too_slow;     /* cut: the request did not come, or the answer was not taken */
    uint64_t malformed;    /* heads that were refused, which are no requests */
    uint64_t unauthorized; /* 401 */
};

/* All is copied but `log`. -TD_E_USAGE (the address; off loopback without an API key; keys that
 * protect nothing), -errno of listening. */
TD_MUST int td_http_new(const struct td_http_config *config, struct td_fail *ret_fail,
                        struct td_http **ret_http);
struct td_http *td_http_free(struct td_http *h);
/* Keys, tokens, origins and limits as `config` has them now; after a failure the old ones hold. */
TD_MUST int td_http_reload(struct td_http *h, const struct td_config *config,
                           struct td_fail *ret_fail);
/* From now on what is not possible in a state is "unavailable" (503): the daemon goes down. */
void td_http_closing(struct td_http *h);
/* "127.0.0.1:8000" with the real port. */
const char *td_http_address(const struct td_http *h);
struct td_http_counts td_http_counts(const struct td_http *h);

/* `path` is what follows the prefix, decoded, without a leading '/': "" or "abc/def". It is UTF-8
 * without "." and ".." segments; it may have control characters. The body is all there. */
typedef void td_http_route_fn(void *ctx, SoupServerMessage *message, const char *path);
/* The longest prefix wins. */
void td_http_route(struct td_http *h, const char *prefix, enum td_http_class class,
                   td_http_route_fn *fn, void *ctx);

/* ---- the request ---- */

/* The room pattern of the key that was shown; NULL = all rooms. */
const char *td_http_rooms(SoupServerMessage *message);
bool td_http_may(SoupServerMessage *message, const char *room);
/* The bearer token that was shown, NULL = none. A secret. */
const char *td_http_token(SoupServerMessage *message);
bool td_http_is_get(SoupServerMessage *message); /* GET or HEAD */
/* A percent-decoded query parameter; the first of that name counts, unknown ones are ignored. 1, or
 * 0 and "" when it is absent; -TD_E_PARSE (not UTF-8, a control character), -TD_E_LIMIT (does not
 * fit), both with "". */
TD_MUST int td_http_query(SoupServerMessage *message, const char *name, char *ret_value,
                          size_t size);
/* The body as a JSON object or array; NULL when there is no body. Negative: that was answered with
 * 400 "bad_json" or 415 "not_json", and the caller is done. */
TD_MUST int td_http_body_json(SoupServerMessage *message, json_t **ret_json);
/* Whether what a path says can be a room: one to TD_SOURCE_TEXT_MAX - 1 bytes of printable UTF-8.
 */
bool td_http_is_room(const char *path);

/* ---- the answer ---- */

/* `body` is taken over. */
void td_http_json(SoupServerMessage *message, unsigned status, json_t *body);
/* RFC 9457 problem details with a stable `code`. */
void td_http_problem(SoupServerMessage *message, unsigned status, const char *code,
                     const char *detail);
/* The problem that a failure is: 400 not_possible, 409 wrong_state (503 unavailable while closing),
 * 422 not_understood, 429 limit, 502 source_refused, 503 recovering, 504 source_timeout, 507
 * disk_full, else 500 failed. Code 0 says that it was stopped before there was an answer (503
 * stopped). */
void td_http_fail(SoupServerMessage *message, const struct td_fail *fail);
/* 403: not this room with this key. */
void td_http_forbidden(SoupServerMessage *message);
/* What a route says to a method it does not have: 405 with Allow, or to OPTIONS 204 with Allow.
 * OPTIONS is added to `allowed`. */
void td_http_method(SoupServerMessage *message, const char *allowed);
/* Ends the connection now, whatever was promised: rather no answer than a wrong one. */
void td_http_cut(SoupServerMessage *message);

#endif
