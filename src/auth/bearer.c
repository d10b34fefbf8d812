/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/bearer.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

const char *td_bearer_token(const char *header)
{
    static const char scheme[] = "Bearer";
    const size_t scheme_len = sizeof(scheme) - 1;
    if (header == NULL || strnlen(header, TD_BEARER_MAX + 1) > TD_BEARER_MAX) {
        return NULL;
    }
    /* The scheme's case does not matter, and one or more spaces follow (RFC 9110 section 11). */
    if (strncasecmp(header, scheme, scheme_len) != 0 || header[scheme_len] != ' ') {
        return NULL;
    }
    const char *token = header + scheme_len;
    token += strspn(token, " ");
    /* Never empty, so that an empty configured token cannot match. */
    return *token != '\0' ? token : NULL;
}

/* Digests have one length, so that comparing them does not tell the length of the token. */
static int bearer_digest(const char *text, uint8_t ret_digest[static TD_BEARER_DIGEST_BYTES])
{
    int ok = EVP_Digest(text, strlen(text), ret_digest, NULL, EVP_sha256(), NULL);
    return ok == 1 ? 0 : -TD_E_CRYPTO;
}

int td_bearer_key_init(struct td_bearer_key *ret_key, const char *token)
{
    const size_t len_max = TD_BEARER_MAX - (sizeof("Bearer ") - 1);
    if (token[0] == '\0' || token[0] == ' ' || strnlen(token, len_max + 1) > len_max) {
        return -EINVAL;
    }
    struct td_bearer_key key;
    int r = bearer_digest(token, key.digest);
    if (r == 0) {
        *ret_key = key;
    }
    return r;
}

int td_bearer_find(const char *header, const struct td_bearer_key *keys, size_t count)
{
    const char *given = td_bearer_token(header);
    uint8_t digest[TD_BEARER_DIGEST_BYTES];
    if (given == NULL || count > INT_MAX || bearer_digest(given, digest) < 0) {
        return -EACCES;
    }
    unsigned found = 0; /* index + 1 */
    for (size_t i = 0; i < count; i++) {
        /* All are compared: the time must not tell which one was right. */
        unsigned equal = CRYPTO_memcmp(keys[i].digest, digest, sizeof(digest)) == 0 ? 1u : 0u;
        unsigned first = equal & (found == 0 ? 1u : 0u);
        found |= (0u - first) & (unsigned)(i + 1);
    }
    return found != 0 ? (int)found - 1 : -EACCES;
}
