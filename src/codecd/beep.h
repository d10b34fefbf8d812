/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beep: the sound of the test pattern, made sample by sample and found again.
 * Owner: a td_beep_finder belongs to one audio track, embedded.
 * Thread: any.
 * Bound: fixed size.
 * Does not: encode or decode; everything is 48 kHz.
 */
#ifndef TD_CODECD_BEEP_H
#define TD_CODECD_BEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TD_BEEP_HZ 48000

/* Sample at position `at` (>= 0) of the pattern: a beep at the start of each second. */
int16_t td_beep_sample(uint64_t at);

struct td_beep_finder {
    bool started;
    int64_t next_pts_us; /* where the next packet should begin */
    uint64_t quiet;      /* samples below the threshold until now */
};

void td_beep_finder_init(struct td_beep_finder *f);
/* Samples of one channel, `step` apart, the first at pts_us. 1 with the onset in it, else 0. */
int td_beep_finder_push(struct td_beep_finder *f, int64_t pts_us, const int16_t *samples,
                        size_t count, size_t step, int64_t *ret_onset_us);

#endif
