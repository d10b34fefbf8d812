/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout: the names of files and folders of a recording (design section 4).
 * Owner: the caller's buffers.
 * Thread: any.
 * Bound: TD_PATH_MAX; a longer path is -ENAMETOOLONG.
 * Does not: touch the disk.
 */
#ifndef TD_RECORDER_LAYOUT_H
#define TD_RECORDER_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/limits.h"

/* snprintf that answers 0 or -ENAMETOOLONG. */
TD_MUST int td_layout_path(char ret_path[static TD_PATH_MAX], const char *fmt, ...) TD_PRINTF(2, 3);
/* "BASE.recording.EXT", "BASE.p2.recording.EXT" from the second part on. */
TD_MUST int td_layout_growing(const char *base, unsigned part, const char *extension,
                              char ret_path[static TD_PATH_MAX]);
/* "BASE.EXT", "BASE.p2.EXT". */
TD_MUST int td_layout_final(const char *base, unsigned part, const char *extension,
                            char ret_path[static TD_PATH_MAX]);
/* Growing to final: 1 and the final name when `path` is a growing name, else 0. */
TD_MUST int td_layout_is_growing(const char *path, char ret_final[static TD_PATH_MAX]);
/* "DATA/recordings/<room>_<20261121T093000Z>_<id>" */
TD_MUST int td_layout_folder(const char *data_dir, const char *room, int64_t wall_us,
                             const char *id, char ret_path[static TD_PATH_MAX]);
/* Last component. */
const char *td_layout_name(const char *path);

#endif
