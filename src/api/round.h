/* SPDX-License-Identifier: Apache-2.0 */
/*
 * round: one round of the disk guard: measures, removes what has to go, keeps the reserve.
 * Owner: the guard; whoever holds it may touch it: the control loop asks and reads, the store
 *        thread runs it.
 * Thread: init, ask and done on the control loop; run and sweep on one that may block.
 * Bound: TD_ROUND_REMOVALS_MAX removals or TD_ROUND_US of them, since others wait for the thread;
 *        the rest is left to the next round (`more`).
 * Does not: touch a recording that runs.
 */
#ifndef TD_API_ROUND_H
#define TD_API_ROUND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/headroom.h"
#include "base/id.h"
#include "base/limits.h"
#include "config/config.h"
#include "store/catalog.h"
#include "store/reserve.h"
#include "store/retention.h"

#define TD_ROUND_REMOVALS_MAX 32u
#define TD_ROUND_US INT64_C(200000)
#define TD_ROUND_FAILURES_MAX 64u /* the disk may be slow to say no */
#define TD_ROUND_LIVE_MAX 512u
/* Some disks give space back later than they remove, and the catalogue need not be read every time
 * for what was not there a moment ago. For so long nothing more is removed to make space, lest all
 * go for the space of one. */
#define TD_ROUND_SETTLE_US INT64_C(10000000)

struct td_round_live { /* a running recording: the catalogue hears of its size later */
    char id[TD_ID_MAX];
    uint64_t bytes;
};

struct td_round_removal {
    char id[TD_ID_MAX];
    char folder[TD_RETENTION_NAME_MAX + 1];
    uint64_t bytes; /* that its files had */
    const char *why;
};

struct td_round {
    struct td_fs *fs;
    struct td_catalog *catalog;
    char data_dir[TD_PATH_MAX];
    struct td_reserve reserve; /* store thread */
    int64_t limit_us;          /* TD_ROUND_US */
    atomic_bool stop;          /* any thread: ends it after the removal it is at */
    /* asked */
    struct td_headroom_rules rules;
    struct td_retention_rules retention;
    struct td_retention_quota quotas[TD_RETENTION_QUOTAS_MAX]; /* their patterns are ours */
    uint64_t reserve_bytes;
    bool retain; /* the rules of age and size are looked at too */
    struct td_round_live live[TD_ROUND_LIVE_MAX];
    unsigned live_count;
    /* kept from round to round */
    bool low;
    bool exhausted; /* nothing more can go */
    bool unswept;   /* a removal was begun and failed */
    int64_t settled_us;
    /* answered */
    int error; /* of measuring: then `space` and `headroom` are the older ones */
    struct td_fs_space space;
    struct td_headroom headroom;
    bool more; /* there is work for another round at once */
    struct td_round_removal removals[TD_ROUND_REMOVALS_MAX];
    unsigned removal_count;
    unsigned failures; /* recordings that should go and did not */
    int failure;       /* the first one */
    bool reserve_held; /* or none is wanted */
    int reserve_error;
};

/* -ENAMETOOLONG. */
TD_MUST int td_round_init(struct td_round *r, struct td_fs *fs, struct td_catalog *catalog,
                          const char *data_dir);
void td_round_done(struct td_round *r);
/* Copies the rules: they may be reloaded while it runs. -ENOMEM: the older ones are gone. */
TD_MUST int td_round_ask(struct td_round *r, const struct td_config *config);
/* Monotonic and wall time. */
void td_round_run(struct td_round *r, int64_t now_us, int64_t wall_us);
/* Finishes what an earlier run had begun to remove, rows included. At start, before recovery.
 * Count or negative. */
TD_MUST int td_round_sweep(struct td_fs *fs, const char *data_dir, struct td_catalog *catalog);

#endif
