/* SPDX-License-Identifier: Apache-2.0 */
#include "codecd/beep.h"

#include <math.h>

enum {
    BEEP_SAMPLES = TD_BEEP_HZ * 80 / 1000, /* 80 ms */
    FADE_SAMPLES = TD_BEEP_HZ * 5 / 1000,  /* at its end only: the start must be sharp */
    TONE_PERIOD = TD_BEEP_HZ / 1000,       /* 1 kHz */
    AMPLITUDE = 16384,
    /* A quarter of the amplitude: a sine that starts at zero is there after 40 us, and a codec's
     * pre-echo is not. */
    THRESHOLD = AMPLITUDE / 4,
    QUIET_SAMPLES = TD_BEEP_HZ / 10, /* what must be silent before an onset counts */
    JUMP_US = 15000,                 /* larger deviations are holes, not rounding of timestamps */
};

int16_t td_beep_sample(uint64_t at)
{
    unsigned in_second = (unsigned)(at % TD_BEEP_HZ);
    if (in_second >= BEEP_SAMPLES)
        return 0;
    double level = AMPLITUDE;
    unsigned left = BEEP_SAMPLES - in_second;
    if (left < FADE_SAMPLES)
        level = level * left / FADE_SAMPLES;
    double phase = 2 * 3.14159265358979323846 * (in_second % TONE_PERIOD) / TONE_PERIOD;
    return (int16_t)lrint(level * sin(phase));
}

void td_beep_finder_init(struct td_beep_finder *f)
{
    *f = (struct td_beep_finder){0};
}

static int64_t samples_us(uint64_t samples)
{
    return (int64_t)(samples * 1000000 / TD_BEEP_HZ);
}

int td_beep_finder_push(struct td_beep_finder *f, int64_t pts_us, const int16_t *samples,
                        size_t count, size_t step, int64_t *ret_onset_us)
{
    int found = 0;
    int64_t jump_us = pts_us - f->next_pts_us;
    /* A beep cut by a hole must not pass for one that begins behind it. */
    if (!f->started || jump_us > JUMP_US || jump_us < -JUMP_US)
        f->quiet = 0;
    f->started = true;
    for (size_t i = 0; i < count; i++) {
        int level = samples[i * step];
        if (level < THRESHOLD && level > -THRESHOLD) {
            f->quiet++;
            continue;
        }
        if (f->quiet >= QUIET_SAMPLES) {
            *ret_onset_us = pts_us + samples_us(i);
            found = 1;
        }
        f->quiet = 0;
    }
    f->next_pts_us = pts_us + samples_us(count);
    return found;
}
