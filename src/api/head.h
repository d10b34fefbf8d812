/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head: whether what a client has sent so far is the head of a request that may be read on
 *       (RFC 9112, with nothing of what it tolerates for old times' sake).
 * Owner: none, stateless.
 * Thread: any.
 * Bound: TD_HEAD_BYTES_MAX of request line and fields, TD_HEAD_FIELDS_MAX fields.
 * Does not: parse for use; libsoup does that, once nothing in it is ambiguous.
 */
#ifndef TD_API_HEAD_H
#define TD_API_HEAD_H

#include <stddef.h>

#define TD_HEAD_BYTES_MAX (64u << 10)
#define TD_HEAD_FIELDS_MAX 256u

/* Answers of td_head_check that are no HTTP status. */
#define TD_HEAD_PARTIAL 0u
#define TD_HEAD_WHOLE 1u

/* TD_HEAD_PARTIAL, TD_HEAD_WHOLE, or the status to refuse it with: 400 (malformed, ambiguous, "."
 * and ".." segments), 417, 431 (too large), 501 (a transfer coding but chunked), 505. The first
 * `seen` bytes were looked at before. */
unsigned td_head_check(const char *bytes, size_t len, size_t seen);

#endif
