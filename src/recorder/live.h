/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live: the links in DATA/live to the files that grow now, for ffplay, ls and scripts.
 * Owner: none.
 * Thread: the control loop (two short calls on a small folder).
 * Bound: one link a growing file.
 * Does not: matter to a recording: a link that cannot be made is a warning of the caller.
 */
#ifndef TD_RECORDER_LIVE_H
#define TD_RECORDER_LIVE_H

#include "base/fs.h"
#include "recorder/part.h"

/* Two rooms whose names become the same share a link: the newest file has it. */
TD_MUST int td_live_link(struct td_fs *fs, const char *data_dir, const char *room,
                         const char *folder, const struct td_part *part);
/* Leaves a link alone that another recording took over. */
TD_MUST int td_live_unlink(struct td_fs *fs, const char *data_dir, const char *room,
                           const struct td_part *part);

#endif
