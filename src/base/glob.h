/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glob: whether a name fits an operator's pattern: '*', '?' and '[a-z]' as in a shell.
 * Owner: none.
 * Thread: any.
 * Bound: that of its inputs.
 * Does not: treat '/' or a leading '.' specially: these are rooms and people, not paths.
 */
#ifndef TD_BASE_GLOB_H
#define TD_BASE_GLOB_H

#include <stdbool.h>

/* A NULL or empty pattern fits everything. */
bool td_glob_match(const char *pattern, const char *text);

#endif
