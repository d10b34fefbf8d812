/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern: answers a PATTERN request: draws, sounds and encodes one loop (docs/formats/pattern.md).
 * Owner: main.
 * Thread: main.
 * Bound: one picture and one packet at a time; units are sent as they come.
 * Does not: keep the loop.
 */
#ifndef TD_CODECD_PATTERN_H
#define TD_CODECD_PATTERN_H

#include "base/err.h"
#include "codec/protocol.h"
#include "codecd/wire.h"

TD_MUST int td_serve_pattern(struct td_wire *wire, const struct td_msg *request,
                             struct td_fail *fail);

#endif
