/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/skew.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define FPS_FALLBACK 30 /* when nothing tells: fewer than two readable neighbours */

/* Scratch memory: places of frames and distances, sorted where the figures need it. */
struct scratch {
    int64_t *places;
    int64_t *values;
};

static int compare(const void *a, const void *b)
{
    const int64_t *left = a;
    const int64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static void sort(int64_t *values, size_t count)
{
    if (count > 1)
        qsort(values, count, sizeof(*values), compare);
}

static int64_t magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

static int64_t divide_rounded(int64_t a, int64_t b)
{
    return a >= 0 ? (a + b / 2) / b : -((-a + b / 2) / b);
}

/* Median time of one counter step between readable neighbours. */
static uint16_t infer_fps(const struct td_inspect_video *video, size_t count, int64_t *values)
{
    const struct td_inspect_video *before = NULL;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const struct td_inspect_video *v = &video[i];
        if (v->counter < 0)
            continue;
        if (before && v->counter == before->counter + 1 && v->pts_us > before->pts_us)
            values[used++] = v->pts_us - before->pts_us;
        before = v;
    }
    if (used == 0)
        return FPS_FALLBACK;
    /* The mean of the middle half: a container's milliseconds would round 30 fps to 33 ms. */
    sort(values, used);
    size_t from = used / 4;
    size_t to = used - from;
    int64_t sum = 0;
    for (size_t i = from; i < to; i++)
        sum += values[i];
    int64_t fps = divide_rounded(TD_US_PER_S * (int64_t)(to - from), sum);
    return (uint16_t)(fps < 1 ? 1 : fps > TD_PATTERN_FPS_MAX ? TD_PATTERN_FPS_MAX : fps);
}

/* Loops are whole seconds, and the first frame of the next one tells where this one ended. */
static uint32_t infer_loop(const struct td_inspect_video *video, size_t count, unsigned fps)
{
    int32_t largest = -1;
    bool wrapped = false;
    int32_t before = -1;
    for (size_t i = 0; i < count; i++) {
        int32_t counter = video[i].counter;
        if (counter < 0)
            continue;
        /* Half a second back is no reordering. */
        wrapped = wrapped || counter + (int32_t)fps / 2 < before;
        before = counter;
        largest = counter > largest ? counter : largest;
    }
    if (!wrapped)
        return TD_PATTERN_FRAMES_MAX;
    return ((uint32_t)largest / fps + 1) * fps;
}

static void take_order(struct td_skew_report *report, const int64_t *places, size_t count)
{
    int64_t highest = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        if (places[i] < highest)
            report->reordered++;
        highest = places[i] > highest ? places[i] : highest;
    }
}

/* Fills places[i] for each frame that has one; frames without picture have none but by their pts.
 */
static void unwrap(struct td_skew_report *report, const struct td_inspect_video *video,
                   size_t count, int64_t *places)
{
    int64_t loop = report->loop_frames;
    int64_t place = 0;
    int64_t pts_us = count > 0 ? video[0].pts_us : 0;
    bool anchored = false;
    for (size_t i = 0; i < count; i++) {
        const struct td_inspect_video *v = &video[i];
        int64_t expected = place + divide_rounded((v->pts_us - pts_us) * report->fps, TD_US_PER_S);
        if (v->counter < 0) {
            places[i] = expected;
            continue;
        }
        if (!anchored) { /* frames in front of the first readable one move with it */
            for (size_t k = 0; k < i; k++)
                places[k] += v->counter - expected;
            anchored = true;
            expected = v->counter;
        }
        places[i] = v->counter + divide_rounded(expected - v->counter, loop) * loop;
        place = places[i];
        pts_us = v->pts_us;
    }
}

static void count_missing(struct td_skew_report *report, int64_t *sorted, size_t count)
{
    sort(sorted, count);
    for (size_t i = 1; i < count; i++) {
        int64_t step = sorted[i] - sorted[i - 1];
        if (step == 0)
            report->duplicated++;
        if (step > 1) {
            uint64_t hole = (uint64_t)step - 1;
            report->missing += hole;
            if (hole > report->missing_longest)
                report->missing_longest = hole;
        }
    }
}

/* How far a frame's pts lies from where its counter says, after the common offset is taken out. */
static void measure_pts(struct td_skew_report *report, const struct td_inspect_video *video,
                        size_t count, const struct scratch *s)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (video[i].counter >= 0)
            s->values[used++] = video[i].pts_us -
                                divide_rounded(s->places[i] * TD_US_PER_S, report->fps);
    if (used == 0)
        return;
    sort(s->values, used);
    int64_t median = s->values[used / 2];
    int64_t low = magnitude(s->values[0] - median);
    int64_t high = magnitude(s->values[used - 1] - median);
    report->pts_error_us_max = low > high ? low : high;
}

/* The beep nearest to a flash, or NULL when none is near enough. */
static const struct td_inspect_beep *nearest(const struct td_inspect_beep *beeps, size_t count,
                                             size_t *from, int64_t flash_us)
{
    while (*from + 1 < count && magnitude(beeps[*from + 1].pts_us - flash_us) <=
                                    magnitude(beeps[*from].pts_us - flash_us))
        (*from)++;
    if (*from >= count || magnitude(beeps[*from].pts_us - flash_us) > TD_SKEW_PAIR_US)
        return NULL;
    return &beeps[*from];
}

/* Collects the distances in the order of the flashes. */
static size_t pair_up(struct td_skew_report *report, const struct td_inspect_video *video,
                      size_t count, const struct td_inspect_beep *beeps, int64_t *values)
{
    size_t from = 0;
    size_t pairs = 0;
    for (size_t i = 0; i < count; i++) {
        const struct td_inspect_video *v = &video[i];
        if (v->counter < 0 || v->counter % report->fps != 0 ||
            v->luminance < TD_SKEW_FLASH_LUMINANCE)
            continue;
        report->flashes++;
        const struct td_inspect_beep *beep = nearest(beeps, report->beeps, &from, v->pts_us);
        if (beep)
            values[pairs++] = beep->pts_us - v->pts_us;
    }
    return pairs;
}

static void summarize(struct td_skew_report *report, int64_t *values, size_t pairs)
{
    report->pairs = pairs;
    if (pairs == 0)
        return;
    report->first_us = values[0];
    report->last_us = values[pairs - 1];
    sort(values, pairs);
    report->median_us = pairs % 2 == 1 ? values[pairs / 2]
                                       : (values[pairs / 2 - 1] + values[pairs / 2]) / 2;
    for (size_t i = 0; i < pairs; i++)
        values[i] = magnitude(values[i]);
    sort(values, pairs);
    /* Nearest rank: the smallest value that at least 95 % do not exceed. */
    report->p95_us = values[(pairs * 95 + 99) / 100 - 1];
    report->max_us = values[pairs - 1];
}

int td_skew_compute(const struct td_skew_config *config, const struct td_inspect_video *video,
                    size_t video_count, const struct td_inspect_beep *beeps, size_t beep_count,
                    struct td_skew_report *ret_report)
{
    struct td_skew_report report = {.frames = video_count, .beeps = beep_count};
    struct scratch s = {
        .places = calloc(video_count + 1, sizeof(int64_t)),
        .values = calloc(video_count + 1, sizeof(int64_t)),
    };
    if (!s.places || !s.values) {
        free(s.places);
        free(s.values);
        return -ENOMEM;
    }
    for (size_t i = 0; i < video_count; i++) {
        report.readable += video[i].counter >= 0 ? 1 : 0;
        report.damaged += video[i].damaged || !video[i].decoded ? 1 : 0;
    }
    report.fps = config->fps > 0 ? config->fps : infer_fps(video, video_count, s.values);
    report.loop_frames = config->loop_frames > 0 ? config->loop_frames
                                                 : infer_loop(video, video_count, report.fps);
    unwrap(&report, video, video_count, s.places);
    take_order(&report, s.places, video_count);
    measure_pts(&report, video, video_count, &s);
    summarize(&report, s.values, pair_up(&report, video, video_count, beeps, s.values));
    count_missing(&report, s.places, video_count);
    free(s.places);
    free(s.values);
    *ret_report = report;
    return 0;
}
