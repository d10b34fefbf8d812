/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature: how LiveKit signs a webhook: a JSON web token that carries the digest of the body.
 * Owner: the caller frees the made value.
 * Thread: any; stateless.
 * Bound: TD_JWT_MAX of a token.
 * Does not: remember tokens: a signed body may come twice until its token expires.
 */
#ifndef TD_AUTH_SIGNATURE_H
#define TD_AUTH_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#include "auth/jwt.h"
#include "base/err.h"

#define TD_SIGNATURE_VALID_S 300 /* what LiveKit gives its own */

/* malloc'ed value of the `Authorization` header. 0, or as td_jwt_sign. */
TD_MUST int td_signature_make(const struct td_jwt_key *key, const void *body, size_t len,
                              int64_t now_s, char **ret_value);
/* Whether `value` (the header, NULL = absent; the bare token, or "Bearer TOKEN") was made with this
 * key over this body and is valid now. 0, -EACCES when it is absent or of another body, or as
 * td_jwt_verify. */
TD_MUST int td_signature_check(const struct td_jwt_key *key, const void *body, size_t len,
                               int64_t now_s, const char *value);

#endif
