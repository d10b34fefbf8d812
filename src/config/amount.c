/* SPDX-License-Identifier: Apache-2.0 */
#include "config/amount.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define DIGITS_MAX 6u /* behind the point; a microsecond */
#define UNITS_MAX 7u

struct unit {
    const char *suffix;
    int64_t factor;
};

/* What is written without a unit comes first, but for bytes, whose largest unit is looked for. */
static const struct unit units[][UNITS_MAX] = {
    [TD_AMOUNT_NUMBER] = {{"", 1}},
    [TD_AMOUNT_BYTES] = {{"T", INT64_C(1) << 40},
                         {"G", INT64_C(1) << 30},
                         {"M", INT64_C(1) << 20},
                         {"K", INT64_C(1) << 10},
                         {"", 1}},
    [TD_AMOUNT_MEGABYTES] = {{"", INT64_C(1) << 20}},
    [TD_AMOUNT_SECONDS] = {{"", TD_US_PER_S},
                           {"s", TD_US_PER_S},
                           {"ms", TD_US_PER_MS},
                           {"m", 60 * TD_US_PER_S},
                           {"h", 3600 * TD_US_PER_S},
                           {"d", 86400 * TD_US_PER_S}},
    [TD_AMOUNT_MILLISECONDS] = {{"", TD_US_PER_MS}, {"ms", TD_US_PER_MS}, {"s", TD_US_PER_S}},
};

/* Reads digits from *at on; false when there are none or too many. */
static bool read_digits(const char **at, int64_t *ret_value, int64_t *ret_scale)
{
    const char *p = *at;
    int64_t value = 0;
    int64_t scale = 1;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *p - '0', &value))
            return false;
        if (ret_scale != NULL && p - *at == DIGITS_MAX)
            return false;
        scale = ret_scale != NULL ? scale * 10 : scale;
    }
    if (p == *at)
        return false;
    *at = p;
    *ret_value = value;
    if (ret_scale != NULL)
        *ret_scale = scale;
    return true;
}

/* A part of a byte is no amount of them, but of 1.1G what is below a byte does not matter. */
static bool takes_fraction(enum td_amount kind, const struct unit *unit)
{
    return unit->factor > 1 && kind != TD_AMOUNT_MEGABYTES;
}

int td_amount_parse(enum td_amount kind, const char *text, int64_t *ret_value)
{
    int64_t whole = 0;
    int64_t fraction = 0;
    int64_t scale = 1;
    if (!read_digits(&text, &whole, NULL))
        return -TD_E_PARSE;
    bool has_point = *text == '.';
    if (has_point) {
        text++;
        if (!read_digits(&text, &fraction, &scale))
            return -TD_E_PARSE;
    }
    for (size_t i = 0; i < UNITS_MAX && units[kind][i].suffix != NULL; i++) {
        const struct unit *unit = &units[kind][i];
        if (strcmp(text, unit->suffix) != 0)
            continue;
        int64_t value;
        if ((has_point && !takes_fraction(kind, unit)) ||
            __builtin_mul_overflow(whole, unit->factor, &value) ||
            /* Below 10^6 times 2^40, which fits. */
            __builtin_add_overflow(value, fraction * unit->factor / scale, &value))
            return -TD_E_PARSE;
        *ret_value = value;
        return 0;
    }
    return -TD_E_PARSE;
}

/* `value` of the unit `factor`, with as many digits behind the point as it needs. */
static void write_decimal(int64_t value, int64_t factor, char ret_text[static TD_AMOUNT_TEXT_MAX])
{
    int64_t rest = value % factor;
    int n = snprintf(ret_text, TD_AMOUNT_TEXT_MAX, "%" PRId64 ".", value / factor);
    assert(n > 0 && (size_t)n + DIGITS_MAX < TD_AMOUNT_TEXT_MAX);
    char *at = ret_text + n;
    for (; rest > 0; rest %= factor) {
        rest *= 10;
        *at++ = (char)('0' + rest / factor);
    }
    *(at[-1] == '.' ? at - 1 : at) = '\0';
}

void td_amount_write(enum td_amount kind, int64_t value, char ret_text[static TD_AMOUNT_TEXT_MAX])
{
    assert(value >= 0);
    if (kind != TD_AMOUNT_BYTES) {
        write_decimal(value, units[kind][0].factor, ret_text);
        return;
    }
    const struct unit *unit = units[kind];
    while (value % unit->factor != 0 || (value == 0 && unit->factor > 1))
        unit++;
    (void)snprintf(ret_text, TD_AMOUNT_TEXT_MAX, "%" PRId64 "%s", value / unit->factor,
                   unit->suffix);
}
