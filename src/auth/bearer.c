/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/bearer.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define BEARER_DIGEST_BYTES 32

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
static int bearer_digest(const char *text, uint8_t ret_digest[static BEARER_DIGEST_BYTES])
{
    int ok = EVP_Digest(text, strlen(text), ret_digest, NULL, EVP_sha256(), NULL);
    return ok == 1 ? 0 : -TD_E_CRYPTO;
}

int td_bearer_check(const char *header, const char *const *tokens, size_t token_count)
{
    const char *given = td_bearer_token(header);
    uint8_t given_digest[BEARER_DIGEST_BYTES];
    if (given == NULL || bearer_digest(given, given_digest) < 0) {
        return -EACCES;
    }
    unsigned found = 0;
    for (size_t i = 0; i < token_count; i++) {
        uint8_t digest[BEARER_DIGEST_BYTES];
        if (bearer_digest(tokens[i], digest) < 0) {
            continue;
        }
        /* All are compared: the time must not tell which one was right. */
        found |= CRYPTO_memcmp(digest, given_digest, sizeof(digest)) == 0 ? 1u : 0u;
    }
    return found != 0 ? 0 : -EACCES;
}
