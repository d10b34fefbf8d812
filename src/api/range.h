/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range: which part of a file a Range header asks for (RFC 9110 section 14).
 * Owner: none, stateless.
 * Thread: any.
 * Bound: that of its input.
 * Does not: answer several ranges: those get the whole file, as section 14.2 allows.
 */
#ifndef TD_API_RANGE_H
#define TD_API_RANGE_H

#include <stdint.h>

struct td_range {
    uint64_t first;
    uint64_t last; /* inside the file */
    uint64_t wish; /* the last one as asked for, UINT64_MAX when it was left open */
};

enum td_range_kind {
    TD_RANGE_WHOLE, /* none is asked for, or none that can be understood */
    TD_RANGE_PART,
    TD_RANGE_OUTSIDE, /* it begins at or behind the end; only `first` and `wish` mean something */
};

/* `value` may be NULL (absent). */
enum td_range_kind td_range_parse(const char *value, uint64_t size, struct td_range *ret_range);

#endif
