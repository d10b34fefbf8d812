/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64: RFC 4648 text of bytes: section 4 (padded) and section 5 (URL-safe, not padded here).
 * Owner: the caller's buffers.
 * Thread: any.
 * Bound: the buffers' sizes.
 * Does not: skip white space, accept the other alphabet, or a text that no encoder makes.
 */
#ifndef TD_AUTH_BASE64_H
#define TD_AUTH_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Room that the text of `len` bytes needs, NUL included; and the bytes that a text can hold. */
#define TD_BASE64_TEXT_SIZE(len) (((len) + 2) / 3 * 4 + 1)
#define TD_BASE64_BYTES_MAX(text_len) (((text_len) / 4 + 1) * 3)

enum td_base64_kind {
    TD_BASE64_STANDARD, /* "+/", padded with '=' */
    TD_BASE64_URL,      /* "-_", no padding, as in JSON web tokens (RFC 7515 section 2) */
};

/* Writes text and NUL. Length of the text, or -TD_E_LIMIT with nothing written. */
TD_MUST int td_base64_encode(enum td_base64_kind kind, const void *bytes, size_t len,
                             char *ret_text, size_t room);
/* Count of bytes; -TD_E_PARSE for anything but the one canonical text, -TD_E_LIMIT. */
TD_MUST int td_base64_decode(enum td_base64_kind kind, const char *text, size_t text_len,
                             void *ret_bytes, size_t room);

#endif
