/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery: what the daemon does about recordings that were interrupted, at its start: repairs one
 *           after another on a thread of its own and hands those that can go on to recordings.
 * Owner: the serve command.
 * Thread: control loop; the thread touches the catalogue, the folders and nothing else.
 * Bound: one recording at a time; a list of those that are not final.
 * Does not: touch recordings that ended, or one that crashed the daemon
 *           TD_RECOVERY_ATTEMPTS_MAX times: that one is set aside as failed, its files as they are.
 *
 * Also makes the catalogue again from the manifests of folders that it does not know.
 */
#ifndef TD_API_RECOVERY_H
#define TD_API_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "api/recordings.h"

#define TD_RECOVERY_ATTEMPTS_MAX 3

struct td_recovery;

struct td_recovery_config {
    const struct td_recorder *recorder;
    const struct td_config *config;
    struct td_catalog *catalog;
    struct td_recordings *recordings;
    /* The crash pools were replayed: what is left in one would later be written over a file that
     * went on. Without it nothing goes on. */
    bool replayed;
    void (*done)(void *ctx); /* control loop: everything found was looked at */
    void *ctx;
};

struct td_recovery_stats {
    uint64_t interrupted; /* found */
    uint64_t resumed;     /* handed on */
    uint64_t closed;      /* finished as they were */
    uint64_t set_aside;
    uint64_t rebuilt; /* rows made again from manifests */
    bool finished;
};

/* -ENOMEM, or what reading the catalogue failed with. */
TD_MUST int td_recovery_start(const struct td_recovery_config *config,
                              struct td_recovery **ret_recovery);
/* Waits for the recording that is being repaired; the rest stays for the next start. Takes NULL,
 * returns NULL. */
struct td_recovery *td_recovery_free(struct td_recovery *r);
/* Whether a recording of this room still waits to be looked at: a new one would be a second one. */
bool td_recovery_awaits(const struct td_recovery *r, const char *room);
void td_recovery_stats(const struct td_recovery *r, struct td_recovery_stats *ret_stats);

#endif
