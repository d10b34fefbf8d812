/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt: JSON web tokens as LiveKit uses them: HS256 only (RFC 7515, RFC 7519), grants in `video`.
 * Owner: a signed token belongs to the caller (free); read claims lie in the caller's struct.
 * Thread: any.
 * Bound: tokens of at most TD_JWT_MAX bytes; texts of at most TD_JWT_TEXT_MAX bytes, NUL included.
 * Does not: know other algorithms ("none" included), look keys up, or read the clock.
 */
#ifndef TD_AUTH_JWT_H
#define TD_AUTH_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_JWT_MAX 16384
#define TD_JWT_TEXT_MAX 257                 /* LiveKit's limit for identities and rooms is 256 */
#define TD_JWT_LEEWAY_S 60                  /* LiveKit's verifier allows the same on nbf and exp */
#define TD_JWT_VALID_S (INT64_C(24) * 3600) /* what LiveKit's own egress gives its tokens */

/* LiveKit's API key (`iss`, selects the secret) and API secret. */
struct td_jwt_key {
    const char *id;
    const void *secret;
    size_t secret_len;
};

enum td_jwt_role {
    TD_JWT_RECORDER,  /* hidden, only subscribes, does not hold the room open (kind "egress") */
    TD_JWT_PUBLISHER, /* an ordinary participant that may publish and subscribe */
    TD_JWT_BODY,      /* nobody's: it only carries the digest of a webhook's body (signature.h) */
};

struct td_jwt_request {
    enum td_jwt_role role;
    const char *identity; /* UTF-8, not empty */
    const char *name;     /* shown to others; may be NULL */
    const char *room;     /* UTF-8, not empty */
    const char *sha256;   /* TD_JWT_BODY has this one only */
    int64_t now_s;        /* wall clock; becomes `nbf` */
    int64_t valid_s;      /* 0: TD_JWT_VALID_S */
};

struct td_jwt_claims {
    char issuer[TD_JWT_TEXT_MAX];
    char identity[TD_JWT_TEXT_MAX]; /* `sub`, else `jti` */
    char room[TD_JWT_TEXT_MAX];
    char sha256[TD_JWT_TEXT_MAX]; /* standard base64 of a webhook body's digest */
    int64_t not_before_s;         /* 0 when absent */
    int64_t expires_s;            /* 0 when absent; verify refuses that */
    bool room_join;
    bool can_subscribe; /* absent means true, as at LiveKit */
    bool can_publish;   /* the same */
    bool hidden;
    bool recorder; /* by grant or by kind "egress": does not hold the room open */
};

/* malloc'ed token. 0, -EINVAL (an empty or non-UTF-8 text, or jansson
 * out of memory), -ENOMEM, -TD_E_CRYPTO, -TD_E_LIMIT. */
TD_MUST int td_jwt_sign(const struct td_jwt_key *key, const struct td_jwt_request *request,
                        char **ret_token);
/* Signature, `alg`, `iss`, `nbf` and `exp`. 0; -EKEYREJECTED (signature or key id is another's),
 * -EKEYEXPIRED (expired or not valid yet), -TD_E_UNSUPPORTED (not HS256), -TD_E_PARSE, -TD_E_LIMIT,
 * -ENOMEM, -TD_E_CRYPTO. */
TD_MUST int td_jwt_verify(const struct td_jwt_key *key, const char *token, int64_t now_s,
                          struct td_jwt_claims *ret_claims);
/* The claims without any check of who wrote them: for a token that we only carry to its server. */
TD_MUST int td_jwt_peek(const char *token, struct td_jwt_claims *ret_claims);

#endif
