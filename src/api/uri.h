/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uri: paths and query parameters of requests, decoded into text that can be trusted as text.
 * Owner: none, stateless.
 * Thread: any.
 * Bound: the caller's buffer.
 * Does not: know routes, or which characters a room or a file name may have.
 */
#ifndef TD_API_URI_H
#define TD_API_URI_H

#include <stddef.h>

#include "base/err.h"

/* "/a%20b" to "/a b". -TD_E_PARSE: broken escapes, an escaped '/' or NUL, not UTF-8 (overlong forms
 * too), a segment that is empty, "." or ".." (one '/' at the end is fine). -TD_E_LIMIT: `size`
 * bytes do not hold it. */
TD_MUST int td_uri_path(const char *raw, char *ret_path, size_t size);
/* The value of the first parameter `name` of "a=1&b=%20x+y": 1, or 0 when it is absent or `raw` is
 * NULL; -TD_E_PARSE (broken escapes, not UTF-8, a control character), -TD_E_LIMIT. In all cases but
 * the first `ret_value` is "". */
TD_MUST int td_uri_query(const char *raw, const char *name, char *ret_value, size_t size);

#endif
