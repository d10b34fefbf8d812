/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"

#include <fnmatch.h>
#include <stddef.h>

bool td_glob_match(const char *pattern, const char *text)
{
    return pattern == NULL || pattern[0] == '\0' || fnmatch(pattern, text, 0) == 0;
}
