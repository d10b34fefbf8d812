/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkv_head: what stands in front of the first Cluster of our Matroska files, and the places in it
 *           that are filled in later.
 * Owner: the caller's buffers.
 * Thread: any.
 * Bound: TD_MKV_FIXED_BYTES, the track entries, and TD_MKV_SLOTS kept Voids.
 * Does not: emit; mkv (late tracks) and mkv_seal (the rest) write the patches.
 */
#ifndef TD_MUX_MKV_HEAD_H
#define TD_MUX_MKV_HEAD_H

#include "base/bytes.h"
#include "mux/mux.h"

/* EBML header, Segment header, SeekHead and Info are the same in all our files; everything in them
 * that is patched lies in the first 512 bytes. */
#define TD_MKV_FIXED_BYTES 184u
/* TimestampScale in microseconds. Finer than the usual millisecond, whose rounding makes two frames
 * share a time for players that count in frames; blocks still reach 3.2 s from their cluster. */
#define TD_MKV_TICK_US 100
#define TD_MKV_UID_BYTES 16u

/* A SeekHead entry with an eight byte position, or the Void that keeps its place: its second byte
 * apart, a Void of the same size differs in the first bytes only. docs/formats/mkv.md. */
#define TD_MKV_SEEK_BYTES 21u
#define TD_MKV_DURATION_BYTES 11u

/* Tracks that come later take a kept Void: same size, one byte (the id) flipped last. */
#define TD_MKV_SLOTS 3u
#define TD_MKV_SLOT_BYTES 1024u
#define TD_MKV_SLOT_HEADER 3u /* id, two bytes of size: the same in both forms */

#define TD_MKV_ENTRY_BYTES_MAX (8192u + 512u)

/* Writes children of a TrackEntry. 0, -TD_E_UNSUPPORTED (more than two Opus channels),
 * -TD_E_PARSE (no parameter sets in first_key), -TD_E_LIMIT when it does not fit. */
TD_MUST int td_mkv_write_entry(struct td_writer *w, const struct td_mux_track *track,
                               unsigned number);
/* Writes the head; `entries` are whole TrackEntry elements. */
TD_MUST int td_mkv_write_head(struct td_writer *w, const uint8_t uid[static TD_MKV_UID_BYTES],
                              const uint8_t *entries, size_t entries_len);
/* The 21 bytes of a Seek entry for Cues at `position` (from the start of the Segment's data). */
void td_mkv_put_seek(uint8_t ret_bytes[static TD_MKV_SEEK_BYTES], uint32_t id, uint64_t position);
void td_mkv_put_duration(uint8_t ret_bytes[static TD_MKV_DURATION_BYTES], double duration);

#endif
