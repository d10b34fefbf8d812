/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

#define ID_PREFIX_MAX 4
#define ID_LETTERS 16

int td_random_bytes(void *ret_bytes, size_t len)
{
    uint8_t *at = ret_bytes;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int td_id_new(const char *prefix, char ret_id[static TD_ID_MAX])
{
    /* The base32 letters of RFC 4648 section 6 in lower case: one byte each by its low five bits.
     */
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    size_t prefix_len = strlen(prefix);
    assert(prefix_len <= ID_PREFIX_MAX);
    uint8_t random[ID_LETTERS];
    int r = td_random_bytes(random, sizeof(random));
    if (r < 0) {
        return r;
    }
    char *at = ret_id;
    for (size_t i = 0; i < prefix_len; i++) {
        *at++ = prefix[i];
    }
    *at++ = '_';
    for (size_t i = 0; i < ID_LETTERS; i++) {
        *at++ = letters[random[i] & 31u];
    }
    *at = '\0';
    return 0;
}

int td_id_token(char *ret_text, size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const unsigned count = sizeof(letters) - 1;
    size_t done = 0;
    while (done < len) {
        uint8_t random[64];
        int r = td_random_bytes(random, sizeof(random));
        if (r < 0) {
            return r;
        }
        for (size_t i = 0; i < sizeof(random) && done < len; i++) {
            /* Bytes above the largest multiple of 62 would make the first letters likelier. */
            if (random[i] < 256u / count * count) {
                ret_text[done++] = letters[random[i] % count];
            }
        }
    }
    ret_text[len] = '\0';
    return 0;
}

static bool name_is_safe(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

void td_name_sanitise(const char *name, char ret_safe[static TD_NAME_MAX])
{
    size_t len = 0;
    bool inside = false; /* of a multi-byte character, which becomes one '_' */
    for (const char *at = name; *at != '\0' && len < TD_NAME_MAX - 1; at++) {
        unsigned char c = (unsigned char)*at;
        if (inside && (c & 0xc0u) == 0x80) {
            continue;
        }
        inside = c >= 0xc0;
        ret_safe[len++] = name_is_safe(c) ? (char)c : '_';
    }
    if (len == 0) {
        ret_safe[len++] = '_';
    }
    if (ret_safe[0] == '.') {
        ret_safe[0] = '_';
    }
    ret_safe[len] = '\0';
}
