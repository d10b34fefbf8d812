/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask: what a caller asks for in JSON: a recording (POST), or a change of one (PATCH).
 * Owner: the caller of parse; the texts belong to the kept body.
 * Thread: any.
 * Bound: the TD_ASK_…_MAX bytes of a text; one output.
 * Does not: know which formats, tiers or servers there are (order does).
 */
#ifndef TD_API_ASK_H
#define TD_API_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/order.h"
#include "base/err.h"

#define TD_ASK_TEXT_MAX 255u
#define TD_ASK_WORD_MAX 32u
#define TD_ASK_URL_MAX 2047u
#define TD_ASK_TOKEN_MAX TD_ORDER_TEXT_MAX
#define TD_ASK_DURATION_S_MAX INT64_C(31536000) /* a year */
#define TD_ASK_SIZE_BYTES_MAX (INT64_C(1) << 50)
#define TD_ASK_DIGEST_SIZE 65 /* hexadecimal SHA-256 and NUL */

struct td_ask {
    json_t *body;
    struct td_recording_request recording;
    char digest[TD_ASK_DIGEST_SIZE]; /* of the body, however it was spelled */
};

/* Takes `body` over, and answers it in `ret_ask` only on success. -TD_E_PARSE: a member that is
 * unknown, missing or wrong, named in the sentence; -TD_E_UNSUPPORTED: understood, but more than we
 * do; -ENOMEM; -TD_E_CRYPTO. */
TD_MUST int td_ask_parse(json_t *body, struct td_fail *ret_fail, struct td_ask *ret_ask);
void td_ask_done(struct td_ask *a);

struct td_ask_patch {
    bool has_hold;
    bool hold;
    int64_t max_duration_us; /* -1 = not given; 0 = the configured limit */
    int64_t max_size_bytes;  /* the same */
};

/* -TD_E_PARSE with the member's name. */
TD_MUST int td_ask_patch_parse(const json_t *body, struct td_fail *ret_fail,
                               struct td_ask_patch *ret_patch);

/* Whether this can be an Idempotency-Key: 1 to 255 visible ASCII characters. */
bool td_ask_is_key(const char *key);

#endif
