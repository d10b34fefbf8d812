/* SPDX-License-Identifier: Apache-2.0 */
/*
 * averror: FFmpeg's error numbers to ours.
 * Owner: none.
 * Thread: any.
 * Bound: one sentence.
 * Does not: log.
 */
#ifndef TD_CODECD_AVERROR_H
#define TD_CODECD_AVERROR_H

#include "base/err.h"

/* 0 for success. -ENOMEM, -TD_E_UNSUPPORTED or -TD_E_LIBRARY with "what: FFmpeg's text" in `fail`
 * (may be NULL). */
TD_MUST int td_averror(struct td_fail *fail, int averror, const char *what);

#endif
