/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: whether a file holds exactly the first frames of a reel.
 * Owner: the test.
 * Thread: the test's.
 * Bound: none of its own.
 * Does not: look at containers; it reads through td_mux_scan.
 */
#ifndef TD_TESTS_MUX_CHECK_H
#define TD_TESTS_MUX_CHECK_H

#include "media.h"
#include "tape.h"

/* Scans `part` and compares with frames 0 to count - 1 of `reel`: order, bytes, time, key, holes.
 * Empty when all is well, else what is wrong. A file that is too short to be recognised counts as
 * one without frames. */
const char *check_frames(const struct td_mux_ops *ops, struct part *part, const struct reel *reel,
                         size_t count, struct td_scan *ret_scan);

#endif
