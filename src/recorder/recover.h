/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover: finishes what a killed process left behind: crash pools, growing files, manifests.
 * Owner: the caller's report.
 * Thread: any that may block; never a media loop.
 * Bound: TD_RECOVER_DEPTH_MAX folders deep; one file at a time.
 * Does not: touch a file that another recorder has locked, or make playable media shorter.
 */
#ifndef TD_RECORDER_RECOVER_H
#define TD_RECORDER_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/limits.h"
#include "mux/mux.h"

#define TD_RECOVER_DEPTH_MAX 4

enum td_recover_condition {
    TD_RECOVER_LOCKED = 1,  /* a running recorder owns it: left alone */
    TD_RECOVER_NOTHING = 2, /* no container we know, or sealed already */
};

struct td_recover_report {
    char path[TD_PATH_MAX];  /* as found */
    char final[TD_PATH_MAX]; /* as it is named now */
    const char *format;      /* "ts"; NULL when unknown */
    uint64_t bytes_before;
    uint64_t bytes_after;
    uint64_t bytes_cut;  /* torn tail */
    struct td_scan scan; /* of what is kept */
    int error;           /* 0 or negative */
};

/* Replays the crash pools of dead processes first: call it before anything else. Count or negative.
 */
TD_MUST int td_recover_pools(struct td_fs *fs, const char *runtime_dir,
                             void (*each)(void *ctx, const char *path, uint64_t bytes), void *ctx);
/* One file. A growing name ends as its final one, or the next free of -2, -3 …; any other name is
 * repaired in place. With `dry_run` nothing is written. 0, a condition, or negative (in the report
 * too). */
TD_MUST int td_recover_file(struct td_fs *fs, const char *path, bool dry_run,
                            struct td_recover_report *ret_report);
/* Every growing file under `folder`, and their manifests when they have one. */
TD_MUST int td_recover_folder(struct td_fs *fs, const char *folder, bool dry_run,
                              void (*each)(void *ctx, const struct td_recover_report *report),
                              void *ctx);
/* Whether a link of DATA/live leads to a file that is there. */
bool td_recover_link_lives(struct td_fs *fs, const char *path);
/* Removes the links of DATA/live that lead nowhere: a killed process leaves them. */
TD_MUST int td_recover_live_links(struct td_fs *fs, const char *data_dir);
/* The first of BASE.EXT, BASE-2.EXT … that is neither a file nor growing. */
TD_MUST int td_recover_free_name(struct td_fs *fs, const char *final,
                                 char ret_path[static TD_PATH_MAX]);

#endif
