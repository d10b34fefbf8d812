/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder: what lies in a recording's folder, as JSON for those who want to fetch it.
 * Owner: the caller's list.
 * Thread: one that may block.
 * Bound: TD_FOLDER_FILES_MAX files; a larger folder is refused, not cut.
 * Does not: read files, follow links, or show what is half-written or only serves recovery.
 */
#ifndef TD_API_FOLDER_H
#define TD_API_FOLDER_H

#include <jansson.h>

#include "base/fs.h"

#define TD_FOLDER_FILES_MAX 4096u

/* [{"name":…,"bytes":…}] by name, as a new reference. -TD_E_LIMIT, -ENOMEM, -errno. */
TD_MUST int td_folder_list(struct td_fs *fs, const char *path, json_t **ret_list);

#endif
