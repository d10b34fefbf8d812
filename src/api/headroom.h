/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headroom: what the free space of the disk means, and what is done about it; pure.
 * Owner: the caller's values.
 * Thread: any.
 * Bound: none of its own.
 * Does not: measure or act: the guard does.
 *
 * The reserve counts as used, whether it is held or not: else what is given of it would look like
 * space that came back, and what was paused would fill it.
 */
#ifndef TD_API_HEADROOM_H
#define TD_API_HEADROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fs.h"
#include "config/config.h"

/* A disk with less than this is full: a flush of a few recordings. */
#define TD_HEADROOM_FULL_BYTES (UINT64_C(1) << 20)
/* As little space is a full disk, so few names that can be made are one too. */
#define TD_HEADROOM_FILES_MIN UINT64_C(128)

struct td_headroom_rules {
    uint64_t min_free_bytes; /* 0 = not watched */
    enum td_config_policy policy;
    enum td_config_on_full on_full;
};

struct td_headroom_view {
    struct td_fs_space space;
    uint64_t reserve_missing_bytes; /* what the reserve lacks */
    bool was_low;
};

struct td_headroom {
    bool low;   /* below min_free_bytes, and since then not yet 5 % above it */
    bool full;  /* watched, and what runs would write the last bytes */
    bool roomy; /* what was paused for want of space may go on */
    bool make;  /* there is space for the whole reserve */
    /* What is to be freed until it is not low any more; 0 = it is not. */
    uint64_t missing_bytes;
};

void td_headroom_judge(const struct td_headroom_rules *rules, const struct td_headroom_view *view,
                       struct td_headroom *ret_headroom);

struct td_headroom_acts {
    bool refuse; /* new recordings */
    bool end;    /* all that run, "disk_full" */
    bool pause;  /* all that run, "disk" */
    bool resume; /* those paused with "disk" */
};

/* `exhausted`: of the old recordings nothing more can go. A full disk ends or pauses what runs by
 * any policy: the writers would meet it next, and the reserve is for the last words only. */
void td_headroom_decide(const struct td_headroom_rules *rules, const struct td_headroom *headroom,
                        bool exhausted, struct td_headroom_acts *ret_acts);

#endif
