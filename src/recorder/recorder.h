/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder: the services of one process that every recording uses.
 * Owner: the executable makes it, fills it, and outlives every session with it.
 * Thread: immutable after start; each service states its own threads.
 * Bound: `budget` is the process's memory for recordings.
 * Does not: list recordings (the caller keeps its sessions).
 */
#ifndef TD_RECORDER_RECORDER_H
#define TD_RECORDER_RECORDER_H

#include "base/budget.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mailbox.h"
#include "store/store.h"

struct td_recorder {
    struct td_fs *fs;
    struct td_store *store;
    struct td_loop *loop;       /* media loop */
    struct td_mailbox *control; /* drained by the control loop */
    const struct td_log *log;
    struct td_budget *budget;
};

#endif
