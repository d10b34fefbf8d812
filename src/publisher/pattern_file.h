/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern_file: an encoded loop kept on disk, so that a publisher starts without encoding.
 * Owner: the caller's path; a loaded loop is freed by td_pattern_free.
 * Thread: one that may block.
 * Bound: TD_PATTERN_BYTES_MAX of frames and their table.
 * Does not: encode. A file of another pattern, or a damaged one, is like none.
 *
 *   8  "TDLOOP1\n"
 *   2  length of the request, then the request itself: the PATTERN message of codec/protocol.h
 *   4  video frames   4  audio packets   4  look-ahead of the Opus encoder, samples
 *   4  for each frame, then each packet: its length, top bit = key frame
 *      the bytes of the frames, then of the packets
 *   4  CRC-32 of everything before
 * Numbers are big-endian.
 */
#ifndef TD_PUBLISHER_PATTERN_FILE_H
#define TD_PUBLISHER_PATTERN_FILE_H

#include "base/err.h"
#include "base/fs.h"
#include "codec/pattern.h"

/* -ENOENT; -TD_E_STATE: a loop of another pattern; -TD_E_PARSE: damaged; -errno. */
TD_MUST int td_pattern_file_load(struct td_fs *fs, const char *path,
                                 const struct td_pattern_config *config,
                                 struct td_pattern **ret_pattern);
TD_MUST int td_pattern_file_save(struct td_fs *fs, const char *path,
                                 const struct td_pattern *pattern);

#endif
