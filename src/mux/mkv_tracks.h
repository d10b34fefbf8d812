/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkv_tracks: what is read from SeekHead, Info and Tracks of a Matroska file.
 * Owner: the scan.
 * Thread: the scan's.
 * Bound: the element's bytes, which the scan limits.
 * Does not: fail on what it does not understand: unknown tracks are left out.
 */
#ifndef TD_MUX_MKV_TRACKS_H
#define TD_MUX_MKV_TRACKS_H

#include "mux/mkv_scan.h"

/* `at` is the file offset of body[0]. */
void td_mkv_take_seek_head(struct td_mkv_scan *s, const uint8_t *body, size_t len, uint64_t at);
void td_mkv_take_info(struct td_mkv_scan *s, const uint8_t *body, size_t len, uint64_t at);
void td_mkv_take_tracks(struct td_mkv_scan *s, const uint8_t *body, size_t len);

#endif
