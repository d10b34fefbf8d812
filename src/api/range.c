/* SPDX-License-Identifier: Apache-2.0 */
#include "api/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Digits at `*at`; what is too large stands for the end of any file. */
static bool read_number(const char **at, uint64_t *ret_number)
{
    const char *p = *at;
    uint64_t number = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
    }
    bool any = p != *at;
    *at = p;
    *ret_number = number;
    return any;
}

static void skip_space(const char **at)
{
    *at += strspn(*at, " \t");
}

/* "bytes=" A "-" [B], or "bytes=-" N; nothing behind it. */
static bool read_spec(const char *value, bool *ret_suffix, uint64_t *ret_a, uint64_t *ret_b)
{
    static const char unit[] = "bytes=";
    if (value == NULL || strncasecmp(value, unit, sizeof(unit) - 1) != 0)
        return false;
    const char *at = value + sizeof(unit) - 1;
    skip_space(&at);
    *ret_suffix = !read_number(&at, ret_a);
    if (*at != '-')
        return false;
    at++;
    bool closed = read_number(&at, ret_b);
    if (!closed)
        *ret_b = UINT64_MAX;
    skip_space(&at);
    return *at == '\0' && (closed || !*ret_suffix);
}

enum td_range_kind td_range_parse(const char *value, uint64_t size, struct td_range *ret_range)
{
    bool suffix = false;
    uint64_t first = 0;
    uint64_t last = 0;
    if (!read_spec(value, &suffix, &first, &last) || (!suffix && first > last))
        return TD_RANGE_WHOLE;
    if (suffix) {
        first = last < size ? size - last : 0;
        last = UINT64_MAX;
    }
    *ret_range =
        (struct td_range){.first = first, .last = last < size ? last : size - 1, .wish = last};
    return first < size ? TD_RANGE_PART : TD_RANGE_OUTSIDE;
}
