/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id: random identifiers, and file-name-safe forms of untrusted names.
 * Owner: the caller's buffers.
 * Thread: any.
 * Bound: fixed sizes, below.
 * Does not: make names unique (the folder's owner adds -2, -3 …).
 */
#ifndef TD_BASE_ID_H
#define TD_BASE_ID_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_ID_MAX 24   /* "rec_" + 16 base32 letters + NUL */
#define TD_NAME_MAX 65 /* design section 4: 64 bytes and NUL */

/* Fills with kernel randomness; 0 or -errno. */
TD_MUST int td_random_bytes(void *ret_bytes, size_t len);
/* prefix (at most 4 letters), '_', 16 base32 letters. */
TD_MUST int td_id_new(const char *prefix, char ret_id[static TD_ID_MAX]);
/* `len` characters of [A-Za-z0-9] and NUL: ICE credentials (RFC 8445 section 5.3), tokens. */
TD_MUST int td_id_token(char *ret_text, size_t len);
/* Maps an untrusted name to [A-Za-z0-9._-], at most 64 bytes, not empty, not starting with '.'. */
void td_name_sanitise(const char *name, char ret_safe[static TD_NAME_MAX]);

#endif
