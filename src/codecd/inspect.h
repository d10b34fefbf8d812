/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect: answers INSPECT requests: decodes, reads counters and flashes, listens for beeps.
 * Owner: main; from INSPECT_OPEN to INSPECT_FINISH.
 * Thread: main.
 * Bound: TD_INSPECT_TRACKS_MAX decoders, 64 frames between push and picture.
 * Does not: judge.
 */
#ifndef TD_CODECD_INSPECT_H
#define TD_CODECD_INSPECT_H

#include "base/err.h"
#include "codec/protocol.h"
#include "codecd/wire.h"

struct td_inspect;

TD_MUST int td_inspect_new(struct td_wire *wire, const struct td_msg *open, struct td_fail *fail,
                           struct td_inspect **ret_inspect);
struct td_inspect *td_inspect_free(struct td_inspect *i);
TD_MUST int td_inspect_frame(struct td_inspect *i, const struct td_msg *frame);
/* Sends what is left, then INSPECT_DONE. */
TD_MUST int td_inspect_finish(struct td_inspect *i);

#endif
