/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage: what stands around one output in its tests: store, control mailbox, tracks, made-up
 * frames, and a look at the files that come out.
 * Owner: the test.
 * Thread: the test's, which plays media loop and control loop.
 * Bound: fixed sizes.
 * Does not: check anything by itself but that calls succeed.
 */
#ifndef TD_TESTS_RECORDER_STAGE_H
#define TD_TESTS_RECORDER_STAGE_H

#include "base/clock.h"
#include "fixture.h"
#include "recorder/output.h"

#define STAGE_EVENTS_MAX 64u
#define STAGE_PARTS_MAX 8u
#define STAGE_FRAMES_MAX 4096u
#define STAGE_START_US INT64_C(1000000000) /* local time of stage time 0 */

struct stage_part {
    struct td_part *part;
    const char *format;
    char final[TD_PATH_MAX];
    char growing[TD_PATH_MAX];
    bool failed;
    bool closed;
    int error;
    uint64_t bytes;
    struct td_scan scan;
};

struct stage {
    struct fixture f;
    struct td_budget budget;
    struct td_pool slots;
    struct td_clockmap clock;
    struct td_recorder recorder;
    struct td_track *audio;
    struct td_track *video;
    struct td_output *output;
    char base[TD_PATH_MAX];
    int64_t zero_us;
    int64_t paused_pts_us;
    struct td_event events[STAGE_EVENTS_MAX];
    unsigned event_count;
    struct stage_part parts[STAGE_PARTS_MAX];
    unsigned part_count;
};

/* One frame of a finished file. */
struct stage_frame {
    unsigned track;
    enum td_codec codec;
    bool key;
    int64_t pts_us;
    size_t len;
};
struct stage_tape {
    struct stage_frame frames[STAGE_FRAMES_MAX];
    unsigned count;
    struct td_scan scan;
};

/* `buffers` of crash pool; `format` NULL = auto. Both tracks are announced unless `audio_only`. */
void stage_init(struct stage *s, size_t buffers, const char *format, bool audio_only,
                int64_t duration_us);
/* Leaves the output as a kill would, but whole, and goes on as another process: with `tail` of the
 * newest part (stage_tail) in place, with NULL in the next one. Both tracks are announced again. */
void stage_go_on(struct stage *s, const struct td_mux_tail *tail);
void stage_leave(struct stage *s);
/* The end of the newest part; what td_mux_tail answers. */
int stage_tail(const struct stage *s, struct td_mux_tail *ret_tail);
/* Ends the output and waits until all its parts are closed. */
void stage_finish(struct stage *s);
/* stage_finish, then everything else. */
void stage_done(struct stage *s);

struct td_track *stage_track(struct stage *s, uint32_t handle, enum td_media_kind kind, bool muted);
/* Frames at `ms` of stage time. `size` 0: 1280x720, 1: 640x360. */
void stage_audio(struct stage *s, struct td_track *track, int64_t ms);
void stage_video(struct stage *s, enum td_codec codec, int64_t ms, bool key, unsigned size,
                 size_t len);
void stage_tick(struct stage *s, int64_t ms);
/* Time stands still from `ms` on; goes on at `join_ms`, where nothing has passed since. */
void stage_pause(struct stage *s, int64_t ms);
void stage_resume(struct stage *s, int64_t join_ms);
void stage_hold(struct stage *s, struct td_track *track, int64_t ms);
/* Takes what the store says. */
void stage_hear(struct stage *s);
unsigned stage_events(const struct stage *s, enum td_event_kind kind);
/* The last of its kind; fails the test when there is none. */
const struct td_event *stage_event(const struct stage *s, enum td_event_kind kind);
/* Ticks at `ms` of stage time until then; fails the test when that takes too long. */
#define STAGE_TICK_UNTIL(s, ms, condition)                                                         \
    do {                                                                                           \
        int64_t until_us = td_clock_now_us() + 20 * TD_US_PER_S;                                   \
        do {                                                                                       \
            assert_true(td_clock_now_us() < until_us);                                             \
            stage_tick(s, ms);                                                                     \
        } while (!(condition));                                                                    \
    } while (0)
struct td_output_stats stage_stats(const struct stage *s);

/* Waits until a file is told to have failed, or all that were begun are closed. */
void stage_wait_failed(struct stage *s);
void stage_wait_closed(struct stage *s);
/* Reads a finished part. */
void stage_read(const struct stage *s, unsigned part, struct stage_tape *ret_tape);

#endif
