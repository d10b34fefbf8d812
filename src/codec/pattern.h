/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern: one encoded loop of the flash-and-beep test pattern (docs/formats/pattern.md).
 * Owner: whoever asked for it; immutable once made, so that many publishers may share it.
 * Thread: td_codec_pattern blocks for seconds: no media loop, not the control loop. Reading: any.
 * Bound: TD_PATTERN_BYTES_MAX, TD_PATTERN_FRAMES_MAX frames, 50 packets a second.
 * Does not: know time (publisher/pattern does), packetise or keep the loop on disk.
 */
#ifndef TD_CODEC_PATTERN_H
#define TD_CODEC_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/protocol.h"

#define TD_PATTERN_BYTES_MAX (256u << 20)
#define TD_PATTERN_PACKETS_PER_S 50u /* 20 ms of Opus each */

struct td_pattern_unit {
    size_t offset; /* in `bytes` */
    uint32_t len;
    bool key; /* audio: always */
};

struct td_pattern {
    struct td_pattern_config config;
    struct td_pattern_unit *frames; /* fps * seconds of them, the first a key frame; or none */
    size_t frame_count;
    struct td_pattern_unit *packets; /* 50 * seconds of them; or none */
    size_t packet_count;
    uint32_t lookahead_samples; /* of the Opus encoder, already made up for */
    struct td_bytes bytes;
};

/* H.264 constrained baseline 1280x720 at 30 fps and 2 Mbit/s, a key frame each second, mono Opus,
 * 10 s. */
void td_pattern_config_default(struct td_pattern_config *ret_config);
/* Starts a worker, has it encode one loop, and ends it. `fail` may be NULL. */
TD_MUST int td_codec_pattern(const struct td_pattern_config *config, struct td_fail *fail,
                             struct td_pattern **ret_pattern);
struct td_pattern *td_pattern_free(struct td_pattern *p);

#endif
