/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard: watches the disk: free space, quotas, ages; frees, refuses, pauses, ends and lets go on.
 * Owner: the serve command; freed after the control loop ended, before the catalogue is closed.
 * Thread: control loop; what blocks is a round, on the store thread.
 * Bound: one round at a time, each TD_GUARD_INTERVAL_US.
 * Does not: remove a recording that runs or is on hold.
 */
#ifndef TD_API_GUARD_H
#define TD_API_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "api/recordings.h"
#include "config/config.h"
#include "recorder/recorder.h"
#include "store/catalog.h"

#define TD_GUARD_INTERVAL_US INT64_C(2000000)
#define TD_GUARD_RETENTION_US INT64_C(60000000) /* … and after the end of a recording */

struct td_guard;

struct td_guard_config {
    const struct td_recorder *recorder; /* its file system, store, mailbox and log */
    struct td_recordings *recordings;
    struct td_catalog *catalog;
    const struct td_config *config; /* may be reloaded while we live */
};

struct td_guard_stats {
    uint64_t free_bytes; /* of the disk that has the recordings */
    uint64_t total_bytes;
    uint64_t removed_total; /* recordings, since the start */
    uint64_t removed_bytes_total;
    bool measured;     /* the last look succeeded: the numbers are of now */
    bool low;          /* below min_free_bytes */
    bool refusing;     /* new recordings are refused */
    bool reserve_held; /* or none is wanted */
};

/* The first look is begun here. Observes the recordings. */
TD_MUST int td_guard_new(const struct td_guard_config *config, struct td_guard **ret_guard);
/* Waits for the round that is under way. Takes NULL, returns NULL. */
struct td_guard *td_guard_free(struct td_guard *g);
/* Looks now and not at the next tick. */
void td_guard_look(struct td_guard *g);
void td_guard_stats(const struct td_guard *g, struct td_guard_stats *ret_stats);

#endif
