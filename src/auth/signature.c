/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/signature.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "auth/base64.h"
#include "auth/bearer.h"

#define SHA256_BYTES 32
#define SHA256_TEXT TD_BASE64_TEXT_SIZE(SHA256_BYTES)

static int digest(const void *body, size_t len, char ret_text[static SHA256_TEXT])
{
    uint8_t bytes[SHA256_BYTES];
    unsigned size = 0;
    if (EVP_Digest(body, len, bytes, &size, EVP_sha256(), NULL) != 1 || size != sizeof(bytes)) {
        return -TD_E_CRYPTO;
    }
    int n = td_base64_encode(TD_BASE64_STANDARD, bytes, sizeof(bytes), ret_text, SHA256_TEXT);
    return n < 0 ? n : 0;
}

int td_signature_make(const struct td_jwt_key *key, const void *body, size_t len, int64_t now_s,
                      char **ret_value)
{
    char sha256[SHA256_TEXT];
    int r = digest(body, len, sha256);
    if (r < 0) {
        return r;
    }
    struct td_jwt_request request = {
        .role = TD_JWT_BODY, .sha256 = sha256, .now_s = now_s, .valid_s = TD_SIGNATURE_VALID_S};
    return td_jwt_sign(key, &request, ret_value);
}

int td_signature_check(const struct td_jwt_key *key, const void *body, size_t len, int64_t now_s,
                       const char *value)
{
    if (value == NULL) {
        return -EACCES;
    }
    const char *token = td_bearer_token(value);
    struct td_jwt_claims claims;
    int r = td_jwt_verify(key, token != NULL ? token : value, now_s, &claims);
    char sha256[SHA256_TEXT];
    r = r < 0 ? r : digest(body, len, sha256);
    if (r < 0) {
        return r;
    }
    /* A join token of the same key has no digest: it must not open this door. */
    bool same = strlen(claims.sha256) == sizeof(sha256) - 1 &&
                CRYPTO_memcmp(claims.sha256, sha256, sizeof(sha256) - 1) == 0;
    return same ? 0 : -EACCES;
}
