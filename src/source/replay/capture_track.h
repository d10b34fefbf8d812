/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture_track: a track's announcement and binding as the JSON text of a capture's TRACK record.
 * Owner: the caller's buffers.
 * Thread: any.
 * Bound: the caller's capacity; texts of TD_SOURCE_TEXT_MAX, TD_SOURCE_PAYLOADS_MAX payload types.
 * Does not: frame records (capture_file does).
 */
#ifndef TD_SOURCE_REPLAY_CAPTURE_TRACK_H
#define TD_SOURCE_REPLAY_CAPTURE_TRACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "source/source.h"

enum td_capture_track_part {
    TD_CAPTURE_HAS_INFO = 1,
    TD_CAPTURE_HAS_BINDING = 2,
};

/* `info` or `binding` may be NULL. Count of bytes, -TD_E_LIMIT, -ENOMEM. */
TD_MUST int td_capture_track_print(const struct td_track_info *info,
                                   const struct td_track_binding *binding, uint8_t *ret_text,
                                   size_t capacity);
/* Parts found (enum td_capture_track_part, at least one), or -TD_E_PARSE with nothing touched. */
TD_MUST int td_capture_track_parse(const uint8_t *text, size_t len, struct td_track_info *ret_info,
                                   struct td_track_binding *ret_binding);

#endif
