/* SPDX-License-Identifier: Apache-2.0 */
/*
 * picture: draws the test pattern and reads it back (docs/formats/pattern.md).
 * Owner: an encoder or decoder; planes are borrowed.
 * Thread: any, one at a time per painter.
 * Bound: TD_PATTERN_SIDE_MAX; a painter holds one texture of 256 rows.
 * Does not: scale, know codecs or time.
 */
#ifndef TD_CODECD_PICTURE_H
#define TD_CODECD_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct td_plane {
    uint8_t *at;
    size_t stride;
    unsigned width;
    unsigned height;
};

struct td_painter;

#define TD_PAINTER_DETAIL_MAX 32
#define TD_PAINTER_NOISE_MAX 16

/* `detail`: contrast of what moves; `noise`: amplitude of what changes in every pixel of every
 * picture. */
TD_MUST int td_painter_new(unsigned width, unsigned height, unsigned detail, unsigned noise,
                           struct td_painter **ret_painter);
struct td_painter *td_painter_free(struct td_painter *p);
/* 4:2:0; planes[0] has the painter's size. The same counter gives the same picture. */
void td_painter_draw(struct td_painter *p, uint16_t counter, bool flash,
                     const struct td_plane planes[static 3]);

/* The counter of a luminance plane of any size, or -1. */
int32_t td_picture_read_counter(const struct td_plane *luma);
/* Mean luminance of the inner part of the flash area. */
uint8_t td_picture_read_flash(const struct td_plane *luma);
/* What guards the counter: CRC-8, polynomial 0x07, start 0xff, high byte first. */
uint8_t td_picture_crc8(uint16_t counter);

#endif
