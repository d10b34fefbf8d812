/* SPDX-License-Identifier: Apache-2.0 */
/*
 * amount: numbers with units as people write them, exactly, in both directions.
 * Owner: none, stateless.
 * Thread: any.
 * Bound: what an int64_t holds; more is not an amount.
 * Does not: know ranges or settings.
 */
#ifndef TD_CONFIG_AMOUNT_H
#define TD_CONFIG_AMOUNT_H

#include <stdint.h>

#include "base/err.h"

enum td_amount {
    TD_AMOUNT_NUMBER,       /* 512 */
    TD_AMOUNT_BYTES,        /* 262144, 256K, 16M, 4G, 2T; 1.5G */
    TD_AMOUNT_MEGABYTES,    /* 64: MiB; kept in bytes */
    TD_AMOUNT_SECONDS,      /* 60, 1.5, 500ms, 90s, 10m, 2h, 30d; kept in microseconds */
    TD_AMOUNT_MILLISECONDS, /* 400, 400ms, 2s; kept in microseconds */
};

#define TD_AMOUNT_TEXT_MAX 32

/* Digits, a point with up to six digits behind it, and a unit; nothing else: no sign, no space.
 * -TD_E_PARSE. */
TD_MUST int td_amount_parse(enum td_amount kind, const char *text, int64_t *ret_value);
/* The shortest text that td_amount_parse reads as `value`, which is not negative. */
void td_amount_write(enum td_amount kind, int64_t value, char ret_text[static TD_AMOUNT_TEXT_MAX]);

#endif
