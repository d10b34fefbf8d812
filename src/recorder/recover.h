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
#include "store/manifest.h"

#define TD_RECOVER_DEPTH_MAX 4

enum td_recover_condition {
    TD_RECOVER_LOCKED = 1,   /* a running recorder owns it: left alone */
    TD_RECOVER_NOTHING = 2,  /* no container we know, or sealed already */
    TD_RECOVER_FINISHED = 3, /* td_recover_in_place: it cannot go on, and has its final name */
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
/* A growing file that may go on in place: 0 with its tail, still under its growing name; else it is
 * finished as by td_recover_file, whose answers these are, but TD_RECOVER_FINISHED for 0. */
TD_MUST int td_recover_in_place(struct td_fs *fs, const char *path,
                                struct td_recover_report *ret_report, struct td_mux_tail *ret_tail);
/* Its manifest; as td_manifest_read and td_fs_slurp fail. */
TD_MUST int td_recover_load(struct td_fs *fs, const char *path, struct td_manifest *ret_manifest);
TD_MUST int td_recover_save(struct td_fs *fs, const char *path, const struct td_manifest *m);
/* The part as it is after its file was finished. */
void td_recover_note(struct td_manifest_part *part, const struct td_recover_report *report);
/* A part that is said to grow and whose file has no growing name any more: it is whole under its
 * last one, or was never there. 1, 0, or negative. */
TD_MUST int td_recover_settle(struct td_fs *fs, const char *folder, struct td_manifest_part *part);
/* Where what is stored ends, on the recording's time line; TD_MANIFEST_NO_TIME = nothing is. */
int64_t td_recover_end_us(const struct td_manifest *m);
/* Media of this recording ended (wall and pts of its manifest): the interruption goes into manifest
 * and timeline, unless it is there already. The manifest is not saved. */
TD_MUST int td_recover_interrupted(struct td_fs *fs, const char *folder, struct td_manifest *m,
                                   int64_t pts_us);
/* One recording of ours that does not go on: its files are finished, its manifest says so. -EAGAIN
 * when a running recorder owns one of them; with any error it may be run again. */
TD_MUST int td_recover_close(struct td_fs *fs, const char *folder,
                             void (*each)(void *ctx, const struct td_recover_report *report),
                             void *ctx);
/* Every growing file under `folder`, and their manifests when they have one. */
TD_MUST int td_recover_folder(struct td_fs *fs, const char *folder, bool dry_run,
                              void (*each)(void *ctx, const struct td_recover_report *report),
                              void *ctx);
/* Removes the links of DATA/live, which a killed process leaves, before anything grows again. */
TD_MUST int td_recover_live_links(struct td_fs *fs, const char *data_dir);
/* The first of BASE.EXT, BASE-2.EXT … that is neither a file nor growing. */
TD_MUST int td_recover_free_name(struct td_fs *fs, const char *final,
                                 char ret_path[static TD_PATH_MAX]);

#endif
