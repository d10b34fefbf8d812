/* SPDX-License-Identifier: Apache-2.0 */
/*
 * media: frames to test containers with: made up but well formed, or real ones made by ffmpeg.
 * Owner: the test.
 * Thread: the test's.
 * Bound: memory.
 * Does not: hold decodable pictures unless media_real was asked.
 */
#ifndef TD_TESTS_MUX_MEDIA_H
#define TD_TESTS_MUX_MEDIA_H

#include "base/bytes.h"
#include "media/frame.h"
#include "mux/mux.h"

/* Frames in the order they are written, with their bytes; a stand-in for a recorder. */
struct reel {
    struct td_frame *frames; /* bytes are set by reel_frame */
    size_t *at;
    size_t count;
    size_t capacity;
    struct td_bytes bytes;
};

void reel_init(struct reel *r);
void reel_done(struct reel *r);
void reel_add(struct reel *r, const struct td_frame *frame);
/* The i-th frame with its bytes. */
struct td_frame reel_frame(const struct reel *r, size_t i);

/* Made-up frames of exactly `len` bytes (at least 64 for key frames, 16 for others); contents
 * depend on `seed`. `small` chooses the parameter sets of 640x360 instead of 1280x720. */
void reel_add_h264(struct reel *r, unsigned track, int64_t pts_us, bool key, bool small, size_t len,
                   uint64_t seed);
void reel_add_vp8(struct reel *r, unsigned track, int64_t pts_us, bool key, bool small, size_t len,
                  uint64_t seed);
void reel_add_opus(struct reel *r, unsigned track, int64_t pts_us, size_t len, uint64_t seed);

/* Merges `video` (track 0) and `audio` (track 1) by time. */
void reel_merge(struct reel *ret_merged, const struct reel *video, const struct reel *audio);

/* Real media by the ffmpeg CLI in `dir`: 160x120 at 30 fps, Opus at 20 ms. 0, or -1 without ffmpeg.
 */
int media_real_video(const char *dir, enum td_codec codec, double seconds, struct reel *ret_reel);
int media_real_audio(const char *dir, double seconds, struct reel *ret_reel);

#endif
