/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part: one file of an output, from its first operation to its final name.
 * Owner: made on the media loop, handed to the control loop by `started`; freed by the control loop
 *        after `closed`. The media loop lets go of it in td_part_close.
 * Thread: new, mux and close on the media loop; seal on the store's thread; callbacks on control.
 * Bound: fixed size.
 * Does not: decide when a part begins or ends (output does).
 */
#ifndef TD_RECORDER_PART_H
#define TD_RECORDER_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "mux/mux.h"
#include "recorder/recorder.h"
#include "store/store.h"

struct td_part;

struct td_part_events { /* control loop */
    void *ctx;
    void (*started)(void *ctx, struct td_part *part);
    void (*failed)(void *ctx, struct td_part *part, int error); /* may come before `started` */
    void (*closed)(void *ctx, struct td_part *part, int error, uint64_t bytes); /* then freed */
};

struct td_part {
    unsigned output;
    unsigned number; /* from 1 */
    const struct td_mux_ops *format;
    char growing[TD_PATH_MAX];
    char index[TD_PATH_MAX]; /* empty when the format has none */
    char final[TD_PATH_MAX];
    int64_t first_pts_us;
    int64_t zero_us;     /* monotonic time of pts 0 */
    bool replace;        /* an older final file is replaced */
    struct td_scan scan; /* what seal found; valid in `closed` */
    struct td_part_events events;
    bool told;     /* control loop: its failure was reported */
    bool orphan;   /* could not be announced: nobody hears of it */
    bool kept;     /* closed unfinished, for another process to go on with */
    bool renamed;  /* valid in `closed`: it is whole under its final name */
    int mux_error; /* of closing the muxer, told by `closed` when the files had none */
    /* media loop */
    struct td_mux *mux;
    struct td_spool *spool;
};

struct td_part_config {
    const struct td_recorder *recorder;
    const char *base; /* path without extension */
    unsigned output;
    unsigned number;
    const struct td_mux_ops *format;
    int64_t first_pts_us;
    int64_t zero_us;                /* monotonic time of pts 0 of the recording */
    bool replace;                   /* an older final file is replaced (--force) */
    const struct td_mux_tail *tail; /* its file is there already and goes on; NULL = a new one */
    struct td_part_events events;
};

/* Opens its files and its muxer, and announces itself to the control loop. */
TD_MUST int td_part_new(const struct td_part_config *config, struct td_part **ret_part);
/* Last bytes, then writing, sealing and renaming go on without the media loop. With `keep` it is
 * neither sealed nor renamed: for another process to go on with. */
void td_part_close(struct td_part *part, bool keep);

#endif
