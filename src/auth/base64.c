/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/base64.h"

#include <limits.h>
#include <string.h>

/* The letters that both alphabets share; the last two depend on the kind. */
static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static char base64_letter(enum td_base64_kind kind, uint32_t value)
{
    if (value < 62) {
        return base64_letters[value];
    }
    if (kind == TD_BASE64_URL) {
        return value == 62 ? '-' : '_';
    }
    return value == 62 ? '+' : '/';
}

/* 0 to 63, or -1. */
static int base64_value(enum td_base64_kind kind, char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == base64_letter(kind, 62)) {
        return 62;
    }
    return c == base64_letter(kind, 63) ? 63 : -1;
}

int td_base64_encode(enum td_base64_kind kind, const void *bytes, size_t len, char *ret_text,
                     size_t room)
{
    if (len > INT_MAX / 2 || room < TD_BASE64_TEXT_SIZE(len)) {
        return -TD_E_LIMIT;
    }
    const uint8_t *in = bytes;
    char *out = ret_text;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t group = (uint32_t)in[i] << 16;
        group |= n > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        group |= n > 2 ? (uint32_t)in[i + 2] : 0;
        for (size_t k = 0; k <= n; k++) {
            *out++ = base64_letter(kind, group >> (18 - 6 * k) & 63u);
        }
        for (size_t k = n; k < 3 && kind == TD_BASE64_STANDARD; k++) {
            *out++ = '=';
        }
    }
    *out = '\0';
    return (int)(out - ret_text);
}

int td_base64_decode(enum td_base64_kind kind, const char *text, size_t text_len, void *ret_bytes,
                     size_t room)
{
    if (text_len > INT_MAX) {
        return -TD_E_LIMIT;
    }
    size_t len = text_len;
    if (kind == TD_BASE64_STANDARD) {
        if (len % 4 != 0) {
            return -TD_E_PARSE;
        }
        for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++) {
            len--;
        }
    }
    if (len % 4 == 1) {
        return -TD_E_PARSE;
    }
    size_t count = len / 4 * 3 + (len % 4 > 0 ? len % 4 - 1 : 0);
    if (count > room) {
        return -TD_E_LIMIT;
    }
    uint8_t *out = ret_bytes;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < len; i++) {
        int value = base64_value(kind, text[i]);
        if (value < 0) {
            return -TD_E_PARSE;
        }
        bits = (bits << 6 | (uint32_t)value) & 0xffffu;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *out++ = (uint8_t)(bits >> held & 0xffu);
        }
    }
    /* RFC 4648 section 3.5: bits behind the last byte are zero, or two texts would mean the same.
     */
    if ((bits & ((1u << held) - 1u)) != 0) {
        return -TD_E_PARSE;
    }
    return (int)count;
}
