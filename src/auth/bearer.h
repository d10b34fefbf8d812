/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bearer: is this `Authorization` header one of the configured tokens (RFC 6750 section 2.1)?
 * Owner: none, stateless; borrows its arguments.
 * Thread: any.
 * Bound: headers longer than TD_BEARER_MAX bytes are refused.
 * Does not: say why it refuses: missing, malformed and wrong look alike from the outside.
 */
#ifndef TD_AUTH_BEARER_H
#define TD_AUTH_BEARER_H

#include <stddef.h>

#include "base/err.h"

#define TD_BEARER_MAX 4096

/* The token inside a header value `Bearer X`, NULL when it is none; borrows from the header. */
const char *td_bearer_token(const char *header);
/* 0, or -EACCES. `header` may be NULL (absent). An empty list and empty tokens match nothing. The
 * time does not depend on where or how a wrong token differs, nor on which one is right. */
TD_MUST int td_bearer_check(const char *header, const char *const *tokens, size_t token_count);

#endif
