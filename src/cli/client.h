/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: calls of the HTTP API of a running daemon, one at a time.
 * Owner: a client command.
 * Thread: the one that made it.
 * Bound: TD_CLIENT_ANSWER_MAX bytes of an answer, timeout_us for all of a call.
 * Does not: follow redirects (the key would go along), keep connections, or know what the calls
 *           mean. The key is sent, never printed.
 */
#ifndef TD_CLI_CLIENT_H
#define TD_CLI_CLIENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_CLIENT_ANSWER_MAX (16u << 20) /* a page of 500 recordings with many files each */
#define TD_CLIENT_DEFAULT_URL "http://127.0.0.1:8000"

struct td_client;

struct td_client_request {
    const char *method;
    const char *path;                              /* behind the daemon's URL, escaped */
    const json_t *body;                            /* NULL = none */
    const char *key;                               /* Idempotency-Key; NULL = none */
    int64_t timeout_us;                            /* > 0 */
    void (*waiting)(void *ctx, int64_t waited_us); /* each second; may be NULL */
    void *ctx;
};

struct td_client_answer {
    unsigned status;
    json_t *json; /* NULL = it is none */
    char *text;   /* NUL-terminated */
};

/* `server`: "http://HOST:PORT" or https, a path may follow; `token` NULL = none is shown. Both are
 * copied. -TD_E_USAGE with a sentence; -ENOMEM. */
TD_MUST int td_client_new(const char *server, const char *token, struct td_fail *ret_fail,
                          struct td_client **ret_client);
/* Takes NULL, returns NULL. */
struct td_client *td_client_free(struct td_client *c);

/* 0 = there is an answer, whatever its status, which td_client_answer_done ends. Negative with a
 * sentence: -TD_E_CLOSED nobody answers, -TD_E_TIMEOUT, -TD_E_LIMIT it is too large, -ENOMEM. */
TD_MUST int td_client_call(struct td_client *c, const struct td_client_request *request,
                           struct td_fail *ret_fail, struct td_client_answer *ret_answer);
void td_client_answer_done(struct td_client_answer *answer);

/* Lets so much time pass between two looks at something that has no end of its own. */
void td_client_pause(struct td_client *c, int64_t us);

#endif
