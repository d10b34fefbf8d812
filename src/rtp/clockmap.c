/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/clockmap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rtp/rtcp.h"

#define US_PER_S INT64_C(1000000)
/* Where unwrapped ticks start, so that none is ever negative. */
#define TICKS_BASE (INT64_C(1) << 40)

/* Window of the smallest delay: long enough to hold some undelayed packets on a busy network, short
 * enough that 100 ppm of clock drift stay below a millisecond. */
#define DELAY_SPAN_US (4 * US_PER_S)
/* A target so near is not followed: delays are measured to a tick of the media loop. */
#define DEAD_BAND_DELAY_US 2000
#define DEAD_BAND_REPORTS_US 500
/* An audio track that is silent for so long is the reference no more once another one speaks. */
#define REFERENCE_IDLE_US (2 * US_PER_S)

/* Timestamps that go back, or run ahead of the clock by so much, belong to another stream. */
#define BACKWARD_US_MAX US_PER_S
#define AHEAD_US_MAX (10 * US_PER_S)
/* Timestamps that stood still over a silence: believed when the delay stays for so long. */
#define JUMP_US TD_CLOCKMAP_STEP_US
#define JUMP_WATCH_US (2 * US_PER_S)
#define JUMP_FRAMES_MIN 10u

/* A report about another time than now makes no sense. */
#define REPORT_AGE_US_MAX (5 * US_PER_S)
/* Crystals are within 100 ppm, sound cards within 500; beyond it is noise. */
#define SLOPE_MAX 500e-6
/* A slope needs so many reports over so much time, or it is all noise. */
#define SLOPE_REPORTS_MIN 5u
#define SLOPE_SPAN_US_MIN (20 * US_PER_S)
/* A report off the line by more than six times the median distance is an outlier, within: */
#define OUTLIER_US_MIN 20000
#define OUTLIER_US_MAX 200000
#define OUTLIER_FIRST_US 100000 /* while the spread is not known */
#define OUTLIER_AGREE_US 20000  /* two outliers so near to each other are a new line */
#define OUTLIERS_MAX 5u         /* so many are one in any case */
/* Video stands still until an outlier is explained by its successors, but not for longer. */
#define SHAKEN_US (15 * US_PER_S)
/* How far the reports may contradict arrival and still be followed: encoders take so long. */
#define TRUST_US_MAX (3 * US_PER_S)
#define TRUST_FIRST_US 250000 /* on the word of a single report */

void td_clockmap_init(struct td_clockmap *m)
{
    memset(m, 0, sizeof(*m));
}

void td_clockmap_track_init(struct td_clockmap_track *t, struct td_clockmap *clock,
                            uint32_t clock_hz, bool reference)
{
    assert(clock != NULL && clock_hz > 0);
    memset(t, 0, sizeof(*t));
    t->clock = clock;
    t->clock_hz = clock_hz;
    t->reference = reference;
    if (clock->reference == t) { /* another track lived at this address */
        clock->reference = NULL;
        clock->reference_line = false;
        clock->reference_excess_us = 0;
    }
}

static void forget_reports(struct td_clockmap_track *t)
{
    t->report_count = 0;
    t->report_next = 0;
    t->outliers = 0;
    t->line.count = 0;
}

static bool is_reference(const struct td_clockmap_track *t)
{
    return t->reference && t->clock->reference == t;
}

void td_clockmap_track_restart(struct td_clockmap_track *t, uint32_t clock_hz)
{
    assert(clock_hz > 0);
    t->clock_hz = clock_hz;
    t->unwrapped = false;
    t->restarting = t->started;
    forget_reports(t);
    if (is_reference(t))
        t->clock->reference_line = false;
}

static int64_t ticks_to_us(const struct td_clockmap_track *t, int64_t ticks)
{
    int64_t hz = t->clock_hz;
    int64_t seconds = ticks / hz;

    /* Rounded, so that 48 kHz audio never loses a part of a microsecond a frame. */
    return seconds * US_PER_S + ((ticks - seconds * hz) * US_PER_S + hz / 2) / hz;
}

/* Ticks of a timestamp as seen from the last one: half the circle ahead or back. */
static int64_t unwrap(const struct td_clockmap_track *t, uint32_t timestamp)
{
    return t->last_ticks + (int32_t)(timestamp - t->last_timestamp);
}

static void remember(struct td_clockmap_track *t, uint32_t timestamp)
{
    t->last_ticks = t->unwrapped ? unwrap(t, timestamp) : (int64_t)timestamp + TICKS_BASE;
    t->last_timestamp = timestamp;
    t->unwrapped = true;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    if (v < low)
        return low;
    return v > high ? high : v;
}

/* ---- smallest delay ---- */

static void delay_restart(struct td_clockmap_delay *d, int64_t arrival_us, int64_t delay_us)
{
    d->known = true;
    d->since_us = arrival_us;
    d->now_us = delay_us;
    d->before_us = delay_us;
}

static void delay_add(struct td_clockmap_delay *d, int64_t arrival_us, int64_t delay_us)
{
    if (!d->known) {
        delay_restart(d, arrival_us, delay_us);
    } else if (arrival_us - d->since_us >= DELAY_SPAN_US) {
        d->before_us = d->now_us;
        d->now_us = delay_us;
        d->since_us = arrival_us;
    } else if (delay_us < d->now_us) {
        d->now_us = delay_us;
    }
}

static int64_t delay_smallest(const struct td_clockmap_delay *d)
{
    return d->now_us < d->before_us ? d->now_us : d->before_us;
}

/* ---- line through the sender reports ---- */

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static int64_t line_offset(const struct td_clockmap_line *line, int64_t media_us)
{
    return line->offset_us + (int64_t)(line->slope * (double)(media_us - line->base_us));
}

static int64_t report_offset(const struct td_clockmap_track *t, unsigned i)
{
    return t->reports[i].ntp_us - t->reports[i].media_us;
}

/* Theil and Sen: the median of the slopes between all pairs; a third of the reports may lie. */
static double median_slope(const struct td_clockmap_track *t)
{
    double slopes[TD_CLOCKMAP_REPORTS * (TD_CLOCKMAP_REPORTS - 1) / 2];
    size_t count = 0;
    int64_t first_us = INT64_MAX, last_us = INT64_MIN;
    double slope;

    for (unsigned i = 0; i < t->report_count; i++) {
        int64_t at_us = t->reports[i].media_us;

        first_us = at_us < first_us ? at_us : first_us;
        last_us = at_us > last_us ? at_us : last_us;
        for (unsigned k = 0; k < i; k++) {
            int64_t run_us = at_us - t->reports[k].media_us;

            if (run_us != 0)
                slopes[count++] = (double)(report_offset(t, i) - report_offset(t, k)) /
                                  (double)run_us;
        }
    }
    if (t->report_count < SLOPE_REPORTS_MIN || last_us - first_us < SLOPE_SPAN_US_MIN)
        return 0;
    qsort(slopes, count, sizeof(slopes[0]), compare_double);
    slope = slopes[count / 2];
    if (slope > SLOPE_MAX)
        return SLOPE_MAX;
    return slope < -SLOPE_MAX ? -SLOPE_MAX : slope;
}

static void fit(struct td_clockmap_track *t)
{
    struct td_clockmap_line *line = &t->line;
    unsigned newest = (t->report_next + TD_CLOCKMAP_REPORTS - 1) % TD_CLOCKMAP_REPORTS;
    int64_t rests[TD_CLOCKMAP_REPORTS];

    line->count = t->report_count;
    line->base_us = t->reports[newest].media_us;
    line->offset_us = 0;
    line->slope = median_slope(t);
    for (unsigned i = 0; i < t->report_count; i++)
        rests[i] = report_offset(t, i) - line_offset(line, t->reports[i].media_us);
    qsort(rests, t->report_count, sizeof(rests[0]), compare_i64);
    line->offset_us = rests[t->report_count / 2];
    if (t->report_count % 2 == 0)
        line->offset_us += (rests[t->report_count / 2 - 1] - line->offset_us) / 2;
    for (unsigned i = 0; i < t->report_count; i++)
        rests[i] = llabs(rests[i] - line->offset_us);
    qsort(rests, t->report_count, sizeof(rests[0]), compare_i64);
    line->spread_us = rests[t->report_count / 2];
}

static void store_report(struct td_clockmap_track *t, int64_t media_us, int64_t ntp_us)
{
    t->reports[t->report_next].media_us = media_us;
    t->reports[t->report_next].ntp_us = ntp_us;
    t->report_next = (t->report_next + 1) % TD_CLOCKMAP_REPORTS;
    if (t->report_count < TD_CLOCKMAP_REPORTS)
        t->report_count++;
}

/* Takes the report into the line, or counts it as an outlier. Outliers that agree begin a new line:
 * the publisher's clock was set, or its timestamps moved. */
static void add_report(struct td_clockmap_track *t, int64_t media_us, int64_t ntp_us,
                       int64_t arrival_us)
{
    int64_t offset_us = ntp_us - media_us;
    int64_t allowed_us = OUTLIER_FIRST_US;
    bool agree;

    if (t->line.count >= 3)
        allowed_us = clamp(6 * t->line.spread_us, OUTLIER_US_MIN, OUTLIER_US_MAX);
    if (t->line.count == 0 || llabs(offset_us - line_offset(&t->line, media_us)) <= allowed_us) {
        t->outliers = 0;
        store_report(t, media_us, ntp_us);
        fit(t);
        return;
    }
    agree = t->outliers > 0 &&
            llabs(offset_us - (t->outlier.ntp_us - t->outlier.media_us)) <= OUTLIER_AGREE_US;
    if (agree || t->outliers + 1 >= OUTLIERS_MAX) {
        forget_reports(t);
        if (agree)
            store_report(t, t->outlier.media_us, t->outlier.ntp_us);
        store_report(t, media_us, ntp_us);
        fit(t);
        return;
    }
    t->outliers++;
    t->outlier_arrival_us = arrival_us;
    t->outlier.media_us = media_us;
    t->outlier.ntp_us = ntp_us;
}

/* ---- what the reference tells the participant ---- */

static void publish_line(struct td_clockmap_track *t)
{
    struct td_clockmap *m = t->clock;

    m->reference_line = t->line.count > 0;
    m->reference_sure = t->line.count > 1;
    m->reference_shaken_us = t->outliers > 0 ? t->outlier_arrival_us : INT64_MIN;
    if (!m->reference_line)
        return;
    m->reference_base_us = t->line.base_us + t->line.offset_us;
    m->reference_delta_us = t->offset_us - t->line.offset_us;
    m->reference_slope = -t->line.slope;
    m->ntp_to_local_us = m->reference_delta_us;
}

static void publish_reference(struct td_clockmap_track *t, int64_t arrival_us)
{
    struct td_clockmap *m = t->clock;

    if (m->reference != t && m->reference != NULL &&
        arrival_us - m->reference_seen_us < REFERENCE_IDLE_US)
        return;
    if (m->reference != t) {
        m->reference = t;
        publish_line(t);
    }
    m->reference_seen_us = arrival_us;
    m->reference_excess_us = t->offset_us - delay_smallest(&t->delay);
}

void td_clockmap_sender_report(struct td_clockmap_track *t, uint64_t ntp, uint32_t rtp_timestamp,
                               int64_t arrival_us)
{
    struct td_clockmap *m = t->clock;
    int64_t ntp_us = td_ntp_to_us(ntp);
    int64_t media_us;

    if (ntp == 0) /* RFC 3550 section 6.4.1: a sender without a clock */
        return;
    if (!t->unwrapped)
        remember(t, rtp_timestamp);
    media_us = ticks_to_us(t, unwrap(t, rtp_timestamp));
    if (t->started && !t->restarting &&
        llabs(arrival_us - media_us - delay_smallest(&t->delay)) > REPORT_AGE_US_MAX) {
        t->ignored++;
        return;
    }
    add_report(t, media_us, ntp_us, arrival_us);
    /* Reports go on while a track is muted: they keep the unwrapping up to date. */
    if (unwrap(t, rtp_timestamp) > t->last_ticks)
        remember(t, rtp_timestamp);
    m->reports++;
    if (m->reference == NULL && (!m->mapped || arrival_us - ntp_us < m->ntp_to_local_us))
        m->ntp_to_local_us = arrival_us - ntp_us;
    m->mapped = true;
    if (is_reference(t) && !t->restarting)
        publish_line(t);
}

/* ---- frames ---- */

/* The stream begins anew: this frame is where the smallest delay would put it. */
static void anchor(struct td_clockmap_track *t, int64_t media_us, int64_t delay_us,
                   int64_t arrival_us)
{
    int64_t excess_us = t->offset_us - delay_smallest(&t->delay);

    delay_restart(&t->delay, arrival_us, delay_us);
    t->offset_us = delay_us + excess_us;
    t->last_media_us = media_us;
    t->jumped = false;
    t->steps++;
    if (!t->restarting) /* else they were forgotten before, and are of the new stream */
        forget_reports(t);
    t->restarting = false;
    if (is_reference(t))
        publish_line(t);
}

/* Timestamps that stood still while nothing was sent look like a network that stood still, until
 * the delay does not go away. */
static void watch_jump(struct td_clockmap_track *t, int64_t media_us, int64_t arrival_us)
{
    int64_t delay_us = arrival_us - media_us;
    int64_t usual_us = delay_smallest(&t->delay);

    if (!t->jumped) {
        t->jumped = arrival_us - t->last_arrival_us >= JUMP_US && delay_us - usual_us >= JUMP_US;
        t->jumped_us = arrival_us;
        t->jumped_delay_us = delay_us;
        t->jumped_frames = 0;
        return;
    }
    t->jumped_frames++;
    if (delay_us < t->jumped_delay_us)
        t->jumped_delay_us = delay_us;
    if (t->jumped_delay_us - usual_us < JUMP_US * 4 / 5)
        t->jumped = false;
    else if (arrival_us - t->jumped_us >= JUMP_WATCH_US && t->jumped_frames >= JUMP_FRAMES_MIN)
        anchor(t, media_us, t->jumped_delay_us, arrival_us);
}

static void start(struct td_clockmap_track *t, int64_t media_us, int64_t arrival_us)
{
    t->started = true;
    t->started_us = arrival_us;
    t->last_arrival_us = arrival_us;
    t->last_media_us = media_us;
    t->last_pts_us = INT64_MIN;
    t->offset_us = arrival_us - media_us;
    delay_restart(&t->delay, arrival_us, t->offset_us);
}

/* Where the reports want the video; false while they are not to be trusted. */
static bool target_by_reports(const struct td_clockmap_track *t, int64_t media_us,
                              int64_t by_delay_us, int64_t *ret_target_us)
{
    const struct td_clockmap *m = t->clock;
    bool sure = t->line.count > 1 && m->reference_sure;
    int64_t ntp_us, local_us, target_us;

    if (t->line.count == 0 || !m->reference_line)
        return false;
    ntp_us = media_us + line_offset(&t->line, media_us);
    local_us = ntp_us + m->reference_delta_us +
               (int64_t)(m->reference_slope * (double)(ntp_us - m->reference_base_us));
    target_us = local_us - media_us - t->offset_us;
    if (llabs(target_us - by_delay_us) > (sure ? TRUST_US_MAX : TRUST_FIRST_US))
        return false;
    *ret_target_us = target_us;
    return true;
}

static bool shaken(const struct td_clockmap_track *t, int64_t arrival_us)
{
    const struct td_clockmap *m = t->clock;

    if (t->outliers > 0 && arrival_us - t->outlier_arrival_us < SHAKEN_US)
        return true;
    return m->reference_line && m->reference_shaken_us != INT64_MIN &&
           arrival_us - m->reference_shaken_us < SHAKEN_US;
}

static void choose_target(struct td_clockmap_track *t, int64_t media_us, int64_t arrival_us)
{
    const struct td_clockmap *m = t->clock;
    int64_t by_delay_us = delay_smallest(&t->delay) - t->offset_us;
    int64_t target_us, before_us = t->target_us;

    if (m->reference != NULL)
        by_delay_us += m->reference_excess_us;
    if (shaken(t, arrival_us))
        return; /* a clock was set: wait for the reports to agree again */
    if (target_by_reports(t, media_us, by_delay_us, &target_us)) {
        t->by_reports = true;
        t->error_us = t->correction_us - target_us;
    } else {
        t->by_reports = false;
        t->error_us = 0;
        target_us = by_delay_us;
    }
    t->target_us = target_us;
    if (t->last_pts_us != INT64_MIN && llabs(target_us - before_us) > TD_CLOCKMAP_STEP_US)
        t->steps++;
}

static void slew(struct td_clockmap_track *t, int64_t media_us, int64_t arrival_us)
{
    bool settling = arrival_us - t->started_us < TD_CLOCKMAP_SETTLE_US;
    int64_t rate = settling ? TD_CLOCKMAP_SETTLE_US_PER_S : TD_CLOCKMAP_SLEW_US_PER_S;
    int64_t dead_us = t->by_reports ? DEAD_BAND_REPORTS_US : DEAD_BAND_DELAY_US;
    int64_t error_us = t->target_us - t->correction_us;
    int64_t run_us = media_us - t->last_media_us;
    int64_t most_us;

    if (llabs(error_us) <= dead_us)
        return;
    /* In a burst the estimates are half informed: move with both clocks only. */
    if (arrival_us - t->last_arrival_us < run_us)
        run_us = arrival_us - t->last_arrival_us;
    run_us = clamp(run_us, 0, 10 * US_PER_S);
    most_us = run_us * rate / US_PER_S;
    t->correction_us += clamp(error_us, -most_us, most_us);
    if (t->by_reports)
        t->error_us = t->correction_us - t->target_us;
}

/* How a reference that is not the participant's first stands to it. */
static void compare_reference(struct td_clockmap_track *t, int64_t media_us)
{
    const struct td_clockmap *m = t->clock;
    int64_t ntp_us;

    t->error_us = 0;
    if (m->reference == t || t->line.count == 0 || !m->reference_line)
        return;
    ntp_us = media_us + line_offset(&t->line, media_us);
    t->error_us = media_us + t->offset_us -
                  (ntp_us + m->reference_delta_us +
                   (int64_t)(m->reference_slope * (double)(ntp_us - m->reference_base_us)));
}

static void follow(struct td_clockmap_track *t, int64_t media_us, int64_t arrival_us)
{
    if (t->reference) {
        publish_reference(t, arrival_us);
        compare_reference(t, media_us);
        return;
    }
    choose_target(t, media_us, arrival_us);
    if (t->last_pts_us == INT64_MIN) /* the first frame: nothing before it could be bent */
        t->correction_us = t->target_us;
    slew(t, media_us, arrival_us);
}

int64_t td_clockmap_local_us(struct td_clockmap_track *t, uint32_t timestamp, int64_t arrival_us)
{
    int64_t media_us, delay_us, pts_us;

    remember(t, timestamp);
    media_us = ticks_to_us(t, t->last_ticks);
    delay_us = arrival_us - media_us;
    if (!t->started) {
        start(t, media_us, arrival_us);
    } else {
        if (t->restarting || t->last_media_us - media_us > BACKWARD_US_MAX ||
            delay_smallest(&t->delay) - delay_us > AHEAD_US_MAX)
            anchor(t, media_us, delay_us, arrival_us);
        watch_jump(t, media_us, arrival_us);
        delay_add(&t->delay, arrival_us, delay_us);
    }
    follow(t, media_us, arrival_us);
    pts_us = media_us + t->offset_us + t->correction_us;
    if (pts_us < t->last_pts_us)
        pts_us = t->last_pts_us;
    t->last_pts_us = pts_us;
    t->last_media_us = media_us;
    t->last_arrival_us = arrival_us;
    return pts_us;
}

int64_t td_clockmap_error_us(const struct td_clockmap_track *t)
{
    return t->error_us;
}
