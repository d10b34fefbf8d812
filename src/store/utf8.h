/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8: where one character of untrusted text ends.
 * Owner: none, stateless.
 * Thread: any.
 * Bound: never reads past `len`.
 * Does not: normalise or convert.
 */
#ifndef TD_STORE_UTF8_H
#define TD_STORE_UTF8_H

#include <stddef.h>

/* Bytes of the well-formed character (RFC 3629 section 4) at the start of `text`; 0 when there is
 * none: the first byte is then a stray one. */
size_t td_utf8_len(const char *text, size_t len);

#endif
