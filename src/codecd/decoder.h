/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder: one libavcodec decoder of one track.
 * Owner: inspect.
 * Thread: one at a time; the library works in the caller's thread only.
 * Bound: what the library holds: a few pictures.
 * Does not: convert pictures or samples.
 */
#ifndef TD_CODECD_DECODER_H
#define TD_CODECD_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libavutil/frame.h>

#include "base/err.h"
#include "codec/protocol.h"

struct td_decoder;

TD_MUST int td_decoder_open(const struct td_inspect_track *track, struct td_fail *fail,
                            struct td_decoder **ret_decoder);
struct td_decoder *td_decoder_free(struct td_decoder *d);
/* -TD_E_DAMAGED when the decoder refuses the frame. NULL = no more come. */
TD_MUST int td_decoder_push(struct td_decoder *d, const struct td_msg_frame *frame);
/* 1 with a picture or samples valid until the next call (its pts is in microseconds), 0 when more
 * must be pushed first. */
TD_MUST int td_decoder_pop(struct td_decoder *d, const AVFrame **ret_frame, bool *ret_damaged);

#endif
