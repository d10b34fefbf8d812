/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clockmap: RTP timestamps to the recording's microseconds (design section 8).
 * Owner: one td_clockmap per participant, one td_clockmap_track per track, embedded.
 * Thread: the media loop's.
 * Bound: fixed size (last TD_CLOCKMAP_REPORTS sender reports a track).
 * Does not: compare participants (their NTP clocks are strangers), reorder frames.
 *
 * Each track unwraps its timestamps and starts from local arrival. With sender reports the track's
 * RTP -> publisher NTP line is fitted; the participant maps that NTP to local time by the smallest
 * delay seen. Video is then corrected towards the common clock by at most
 * TD_CLOCKMAP_SLEW_US_PER_S; audio is never bent once its first frame was stamped: audio is the
 * reference, video moves. PTS of one track never step back.
 */
#ifndef TD_RTP_CLOCKMAP_H
#define TD_RTP_CLOCKMAP_H

#include <stdbool.h>
#include <stdint.h>

#define TD_CLOCKMAP_REPORTS 20
#define TD_CLOCKMAP_SLEW_US_PER_S 100000 /* design section 8: 100 ms/s */
#define TD_CLOCKMAP_STEP_US 500000       /* larger corrections are events */

struct td_clockmap { /* one publisher's clock */
    bool mapped;            /* a sender report of any of its tracks was seen */
    int64_t ntp_to_local_us; /* smallest (arrival - ntp) */
    uint64_t reports;
};

struct td_clockmap_track {
    struct td_clockmap *clock;
    uint32_t clock_hz;
    bool reference; /* audio: never bent */
    bool started;
    uint32_t last_timestamp;
    int64_t unwrapped_ticks;  /* of last_timestamp */
    int64_t first_ticks;
    int64_t first_arrival_us; /* smoothed by the smallest delay seen */
    int64_t last_pts_us;
    int64_t correction_us;    /* applied now */
    int64_t target_us;        /* wanted correction */
    int64_t last_slew_us;
    struct {
        int64_t ticks;
        int64_t ntp_us;
    } reports[TD_CLOCKMAP_REPORTS];
    unsigned report_count;
    unsigned report_next;
    unsigned outliers;
    uint64_t steps; /* corrections larger than TD_CLOCKMAP_STEP_US */
};

void td_clockmap_init(struct td_clockmap *m);
void td_clockmap_track_init(struct td_clockmap_track *t, struct td_clockmap *clock,
                            uint32_t clock_hz, bool reference);
void td_clockmap_sender_report(struct td_clockmap_track *t, uint64_t ntp, uint32_t rtp_timestamp,
                               int64_t arrival_us);
/* Local monotonic microseconds at which the sample of `timestamp` "happened"; the caller subtracts
 * the recording's zero. Never less than the previous answer of this track. */
int64_t td_clockmap_local_us(struct td_clockmap_track *t, uint32_t timestamp, int64_t arrival_us);
/* How far this track stands from where the publisher's clock wants it (0 before reports). */
int64_t td_clockmap_error_us(const struct td_clockmap_track *t);

#endif
