/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skew: what the results of an inspection say: lost frames, order, distance of flash and beep.
 * Owner: the caller; a pure function.
 * Thread: any.
 * Bound: memory of 16 bytes a frame during the call.
 * Does not: decode, or decide what is good enough.
 *
 * Frames carry a counter modulo the loop's length; it is unwrapped by the pts: a frame's place is
 * the one with its counter that lies nearest to where its pts says it is. A frame whose counter
 * could not be read takes the place its pts says. A flash counts when its very first frame (counter
 * a multiple of the frame rate) is there and bright; so a lost frame is never taken for skew.
 */
#ifndef TD_CODEC_SKEW_H
#define TD_CODEC_SKEW_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/protocol.h"

#define TD_SKEW_FLASH_LUMINANCE 180 /* mean of the flash area; other content stays below 130 */
#define TD_SKEW_PAIR_US 450000      /* a beep belongs to the flash within this, one each second */

struct td_skew_config {
    uint32_t loop_frames; /* 0 = found out: whole seconds above the largest counter */
    uint16_t fps;         /* 0 = found out: median distance of neighbours */
};

struct td_skew_report {
    uint32_t loop_frames; /* as used */
    uint16_t fps;

    uint64_t frames;          /* results given */
    uint64_t readable;        /* with a counter */
    uint64_t damaged;         /* refused or concealed by the decoder, or without a picture */
    uint64_t missing;         /* places between the first and the last frame that nothing fills */
    uint64_t missing_longest; /* in one piece */
    uint64_t duplicated;      /* more than one frame at a place */
    uint64_t reordered;       /* a place lower than one before it */
    int64_t pts_error_us_max; /* largest deviation of pts from place / fps, against the median */

    uint64_t flashes; /* whole ones */
    uint64_t beeps;
    uint64_t pairs;
    /* Beep minus flash: positive = sound is late. */
    int64_t first_us;
    int64_t last_us;
    int64_t median_us;
    int64_t p95_us; /* of the absolute distance */
    int64_t max_us; /* of the absolute distance */
};

/* `video` of one track in the order it came, `beeps` of one track. 0 or -ENOMEM. */
TD_MUST int td_skew_compute(const struct td_skew_config *config,
                            const struct td_inspect_video *video, size_t video_count,
                            const struct td_inspect_beep *beeps, size_t beep_count,
                            struct td_skew_report *ret_report);

#endif
