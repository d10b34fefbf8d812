/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder: one libavcodec encoder, set up as a WebRTC publisher would: no lookahead, no reordering.
 * Owner: pattern.
 * Thread: one at a time; the library has up to TD_ENCODER_THREADS_MAX of its own.
 * Bound: a few frames inside the library.
 * Does not: scale, resample or choose what is encoded.
 */
#ifndef TD_CODECD_ENCODER_H
#define TD_CODECD_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libavutil/frame.h>

#include "base/err.h"
#include "codec/protocol.h"

#define TD_ENCODER_THREADS_MAX 4
#define TD_OPUS_SAMPLES 960 /* 20 ms at 48 kHz */

struct td_encoder;

TD_MUST int td_encoder_open_video(const struct td_pattern_config *config, struct td_fail *fail,
                                  struct td_encoder **ret_encoder);
TD_MUST int td_encoder_open_audio(const struct td_pattern_config *config, struct td_fail *fail,
                                  struct td_encoder **ret_encoder);
struct td_encoder *td_encoder_free(struct td_encoder *e);
/* How many samples the decoded sound lags behind what was pushed. */
unsigned td_encoder_lookahead(const struct td_encoder *e);
/* A frame to be filled and pushed next: writable, planes of 4:2:0 or interleaved 16-bit samples. */
TD_MUST int td_encoder_frame(struct td_encoder *e, AVFrame **ret_frame);
/* Encodes the frame filled last; false = no more come. */
TD_MUST int td_encoder_push(struct td_encoder *e, bool more);
/* 1 with an encoded unit, valid until the next call; 0 when more must be pushed first. */
TD_MUST int td_encoder_pop(struct td_encoder *e, struct td_msg_frame *ret_frame);

#endif
