/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern: plays an encoded loop for hours: which frame or packet is due, with its true time.
 * Owner: one publisher; the loop itself is borrowed and may be shared by many.
 * Thread: one at a time.
 * Bound: fixed size.
 * Does not: send, sleep, or know any clock but the `now_us` it is given.
 *
 * Frame n of the playback has media time n / fps, packet n has n * 20 ms, exactly: no error adds
 * up. The counter seen in the picture is n modulo the loop's frames.
 */
#ifndef TD_PUBLISHER_PATTERN_H
#define TD_PUBLISHER_PATTERN_H

#include <stdint.h>

#include "base/err.h"
#include "codec/pattern.h"
#include "media/frame.h"

struct td_pattern_play {
    const struct td_pattern *loop;
    int64_t start_us; /* monotonic time of media time 0 */
    uint64_t frame;   /* next ones */
    uint64_t packet;
    uint64_t skipped; /* units left out by td_pattern_play_skip */
};

struct td_pattern_due {
    enum td_media_kind kind;
    uint64_t index;   /* since the start */
    uint32_t counter; /* video: what the picture says */
    int64_t media_us;
    /* rtp_timestamp counts from 0 at the start (90 kHz or 48 kHz); pts_us is media_us. The bytes
     * live as long as the loop. */
    struct td_frame frame;
};

void td_pattern_play_init(struct td_pattern_play *p, const struct td_pattern *loop,
                          int64_t start_us);
/* 1 with the next unit that is due, in order of media time, audio first; 0 when none is. */
TD_MUST int td_pattern_play_next(struct td_pattern_play *p, int64_t now_us,
                                 struct td_pattern_due *ret_due);
/* When the next unit will be due. */
int64_t td_pattern_play_next_us(const struct td_pattern_play *p);
/* After a long stall: leaves out what should have been sent by now instead of sending it in one
 * burst, up to the next key frame. Times stay true. */
void td_pattern_play_skip(struct td_pattern_play *p, int64_t now_us);

#endif
