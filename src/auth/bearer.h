/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bearer: which of the configured tokens is in this `Authorization` header (RFC 6750 section 2.1)?
 * Owner: none; a key is a value that the caller keeps, made from a token that need not be kept.
 * Thread: any.
 * Bound: headers longer than TD_BEARER_MAX bytes are refused.
 * Does not: say why it refuses: missing, malformed and wrong look alike from the outside.
 */
#ifndef TD_AUTH_BEARER_H
#define TD_AUTH_BEARER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_BEARER_MAX 4096
#define TD_BEARER_DIGEST_BYTES 32

struct td_bearer_key {
    uint8_t digest[TD_BEARER_DIGEST_BYTES]; /* SHA-256 */
};

/* -EINVAL for a token that no header can show: empty, too long, with a space in front. */
TD_MUST int td_bearer_key_init(struct td_bearer_key *ret_key, const char *token);
/* The token inside a header value `Bearer X`, NULL when it is none; borrows from the header. */
const char *td_bearer_token(const char *header);
/* The index of the first key that fits, or -EACCES. `header` may be NULL (absent). An empty list
 * fits nothing. The time does not depend on where or how a wrong token differs, nor on which key is
 * the right one. */
TD_MUST int td_bearer_find(const char *header, const struct td_bearer_key *keys, size_t count);

#endif
