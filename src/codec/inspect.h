/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect: what is seen and heard in encoded frames: counters, flashes, beeps, decode errors.
 * Owner: an exporter or a verify run.
 * Thread: one that may block (it waits for the worker); the callbacks run inside push and finish.
 * Bound: TD_INSPECT_TRACKS_MAX tracks; nothing is kept here, results go to the callbacks.
 * Does not: read containers or judge: codec/skew computes figures from the results.
 */
#ifndef TD_CODEC_INSPECT_H
#define TD_CODEC_INSPECT_H

#include <stddef.h>

#include "base/err.h"
#include "codec/protocol.h"
#include "media/frame.h"

struct td_inspect_sink {
    void *ctx;
    /* In order of each track's pictures; every pushed video frame gets one. May be NULL. */
    void (*video)(void *ctx, const struct td_inspect_video *video);
    void (*beep)(void *ctx, const struct td_inspect_beep *beep);
};

struct td_codec_inspect;

/* Starts a worker. Track i of `tracks` takes the frames whose `track` is i. */
TD_MUST int td_codec_inspect_open(const struct td_inspect_track *tracks, size_t count,
                                  const struct td_inspect_sink *sink, struct td_fail *fail,
                                  struct td_codec_inspect **ret_inspect);
/* In decode order per track: needs track, pts_us, key and the bytes; an empty frame is refused with
 * -EINVAL. Results may come back in this or any later call. */
TD_MUST int td_codec_inspect_push(struct td_codec_inspect *i, const struct td_frame *frame);
/* Waits for the rest. Afterwards only free is allowed. */
TD_MUST int td_codec_inspect_finish(struct td_codec_inspect *i, struct td_inspect_done *ret_done);
/* What went wrong last; its code is 0 if nothing did. */
const struct td_fail *td_codec_inspect_fail(const struct td_codec_inspect *i);
struct td_codec_inspect *td_codec_inspect_free(struct td_codec_inspect *i);

#endif
