/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: the two clocks of the process and their text form.
 * Owner: none, stateless.
 * Thread: any.
 * Bound: none.
 * Does not: convert RTP time (rtp/clockmap does). Layers below source take `now_us` as an argument.
 */
#ifndef TD_BASE_CLOCK_H
#define TD_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_US_PER_S INT64_C(1000000)
#define TD_US_PER_MS INT64_C(1000)

/* CLOCK_MONOTONIC in microseconds. */
int64_t td_clock_now_us(void);
/* CLOCK_REALTIME in microseconds since 1970. */
int64_t td_clock_wall_us(void);

#define TD_CLOCK_TEXT_MAX 32
/* RFC 3339 with milliseconds, UTC: "2026-11-21T09:30:00.000Z". */
void td_clock_rfc3339(int64_t wall_us, char ret_text[static TD_CLOCK_TEXT_MAX]);
/* Reads exactly what td_clock_rfc3339 writes; -TD_E_PARSE. */
TD_MUST int td_clock_parse_rfc3339(const char *text, int64_t *ret_wall_us);
/* Basic ISO 8601, seconds, for folder names: "20261121T093000Z". */
void td_clock_basic(int64_t wall_us, char ret_text[static TD_CLOCK_TEXT_MAX]);

#endif
