/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clockmap: RTP timestamps to the recording's microseconds (design section 8).
 * Owner: one td_clockmap per participant, one td_clockmap_track per track, embedded.
 * Thread: the media loop's.
 * Bound: fixed size (last TD_CLOCKMAP_REPORTS sender reports a track).
 * Does not: compare participants (their NTP clocks are strangers), reorder frames.
 *
 * Each track unwraps its timestamps and starts from local arrival. Audio is the reference: it keeps
 * the offset of its first frame, so its PTS advance by its own sample clock and are never bent.
 * Video moves to where the participant's audio stands:
 *   - before sender reports of both, by the smallest delays (arrival - timestamp) of both over the
 *     last seconds: what was captured together is taken to need the same time at best;
 *   - with sender reports, by the publisher's NTP: each track's line RTP -> NTP is fitted through
 *     its last reports, robustly, and the audio's line says which local time an NTP instant has.
 * It moves by at most TD_CLOCKMAP_SLEW_US_PER_S (faster in its first second, while the smallest
 * delay is still being found) and its PTS never step back. A stream whose timestamps start anew, or
 * stand still over a silence, is anchored anew by its arrival.
 */
#ifndef TD_RTP_CLOCKMAP_H
#define TD_RTP_CLOCKMAP_H

#include <stdbool.h>
#include <stdint.h>

#define TD_CLOCKMAP_REPORTS 20
#define TD_CLOCKMAP_SLEW_US_PER_S 100000   /* design section 8: 100 ms/s */
#define TD_CLOCKMAP_SETTLE_US 1000000      /* the first second of a video … */
#define TD_CLOCKMAP_SETTLE_US_PER_S 500000 /* … may move so fast */
#define TD_CLOCKMAP_STEP_US 500000         /* larger corrections are events */

struct td_clockmap {         /* one publisher's clock */
    bool mapped;             /* a sender report of any of its tracks was seen */
    int64_t ntp_to_local_us; /* local - NTP: of the reference, else the smallest (arrival - NTP) */
    uint64_t reports;

    /* Told by the reference track; `reference` names it and is never followed. */
    const void *reference;
    int64_t reference_seen_us;
    int64_t reference_excess_us; /* how much later than its smallest delay audio is stamped */
    bool reference_line;         /* local = ntp + delta + slope * (ntp - base) */
    bool reference_sure;         /* by more than one report */
    int64_t reference_shaken_us; /* when its last report disagreed, INT64_MIN = it did not */
    int64_t reference_base_us;
    int64_t reference_delta_us;
    double reference_slope;
};

/* The smallest delay over a sliding window of one to two spans. */
struct td_clockmap_delay {
    bool known;
    int64_t since_us;
    int64_t now_us;    /* smallest of this span */
    int64_t before_us; /* and of the one before */
};

/* NTP - media time of one track as a line over its media time, robustly fitted. */
struct td_clockmap_line {
    unsigned count; /* reports it rests on, 0 = none */
    int64_t base_us;
    int64_t offset_us; /* at base_us */
    double slope;
    int64_t spread_us; /* median distance of the reports from it */
};

struct td_clockmap_track {
    struct td_clockmap *clock;
    uint32_t clock_hz;
    bool reference; /* audio: never bent */
    bool started;
    bool restarting; /* the next frame is of another stream */
    bool unwrapped;  /* last_timestamp is known, by a frame or by a report */
    uint32_t last_timestamp;
    int64_t last_ticks; /* unwrapped last_timestamp */
    int64_t last_arrival_us;
    int64_t started_us; /* arrival of the first frame */
    int64_t offset_us;  /* local = media time + offset + correction */
    int64_t last_media_us;
    int64_t last_pts_us;
    int64_t correction_us; /* applied now */
    int64_t target_us;     /* wanted correction */
    bool by_reports;       /* the target comes from sender reports */
    int64_t error_us;
    struct td_clockmap_delay delay;
    bool jumped; /* arrival ran away from the timestamps after a silence: watched */
    int64_t jumped_us;
    int64_t jumped_delay_us; /* smallest delay since then */
    unsigned jumped_frames;
    struct {
        int64_t media_us;
        int64_t ntp_us;
    } reports[TD_CLOCKMAP_REPORTS], outlier;
    unsigned report_count;
    unsigned report_next;
    unsigned outliers; /* in a row */
    int64_t outlier_arrival_us;
    struct td_clockmap_line line;
    uint64_t
        steps; /* corrections wanted that are larger than TD_CLOCKMAP_STEP_US, and new anchors */
    uint64_t ignored; /* reports that made no sense */
};

void td_clockmap_init(struct td_clockmap *m);
void td_clockmap_track_init(struct td_clockmap_track *t, struct td_clockmap *clock,
                            uint32_t clock_hz, bool reference);
/* The track goes on with another stream (new SSRC, new clock): anchored by its next frame, as late
 * as it was before, and its PTS still never step back. */
void td_clockmap_track_restart(struct td_clockmap_track *t, uint32_t clock_hz);
void td_clockmap_sender_report(struct td_clockmap_track *t, uint64_t ntp, uint32_t rtp_timestamp,
                               int64_t arrival_us);
/* Local monotonic microseconds at which the sample of `timestamp` "happened"; the caller subtracts
 * the recording's zero. Never less than the previous answer of this track. */
int64_t td_clockmap_local_us(struct td_clockmap_track *t, uint32_t timestamp, int64_t arrival_us);
/* How far this track stands from where the publisher's clock wants it (0 before reports). */
int64_t td_clockmap_error_us(const struct td_clockmap_track *t);

#endif
