/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resume: what recovery found of a recording that can go on: its manifest and its open ends.
 * Owner: whoever holds it; a session takes it over.
 * Thread: made on a thread that may block, then passed on.
 * Bound: that of the manifest; one open end an output.
 * Does not: touch files after it was made.
 */
#ifndef TD_RECORDER_RESUME_H
#define TD_RECORDER_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fs.h"
#include "base/limits.h"
#include "mux/mux.h"
#include "recorder/recover.h"
#include "store/manifest.h"

struct td_resume_end { /* of an output of the manifest */
    bool open;         /* its last part goes on in place (TS): it kept its growing name */
    struct td_mux_tail tail;
};

struct td_resume {
    char folder[TD_PATH_MAX]; /* whole path */
    struct td_manifest manifest;
    struct td_resume_end *ends; /* manifest.output_count */
    int64_t last_pts_us;        /* end of what is stored, on the recording's time line */
    int64_t last_wall_us;       /* when that was; TD_MANIFEST_NO_TIME = no media was stored */
};

enum td_resume_condition {
    TD_RESUME_NONE = 1, /* it had ended; what its files needed was done */
};

/* Looks at the folder of a recording whose process died: repairs its files; those that can go on in
 * place keep their growing names, the others are finished. Killed at any point it is simply run
 * again. 0 with `ret_resume`, TD_RESUME_NONE, -EAGAIN when a running recorder owns it, or what
 * reading and repairing failed with. May block. */
TD_MUST int td_resume_find(struct td_fs *fs, const char *folder,
                           void (*each)(void *ctx, const struct td_recover_report *report),
                           void *ctx, struct td_resume **ret_resume);
/* Takes NULL, returns NULL. */
struct td_resume *td_resume_free(struct td_resume *r);

#endif
