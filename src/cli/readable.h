/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readable: what a daemon says, made fit for people: names that cannot steer a terminal, durations,
 *           sizes, times.
 * Owner: the caller's buffers.
 * Thread: any.
 * Bound: `size` of the buffer; what is longer is cut between two characters.
 * Does not: print, or measure how wide a character is.
 */
#ifndef TD_CLI_READABLE_H
#define TD_CLI_READABLE_H

#include <stddef.h>
#include <stdint.h>

#define TD_READABLE_MAX 32 /* bytes of a number, NUL included */

/* Characters that are not there to be seen (controls of ASCII and Unicode, marks that turn the
 * direction of writing) and bytes that are no UTF-8 become '?'. NULL becomes "". `size` > 0. */
void td_readable_text(const char *text, char *ret_text, size_t size);
/* "00:12:34"; with `exact` "00:12:34.567". Hours go on behind 99. */
void td_readable_duration(int64_t ms, int exact, char ret_text[static TD_READABLE_MAX]);
/* "999 B", "12.3 MB": powers of 1000, as disks are sold. */
void td_readable_bytes(int64_t bytes, char ret_text[static TD_READABLE_MAX]);
/* "2026-11-21 09:30:00" of the RFC 3339 that the API speaks; NULL and what is none of it: "-". */
void td_readable_time(const char *rfc3339, char ret_text[static TD_READABLE_MAX]);

#endif
