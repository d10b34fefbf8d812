/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention: which ended recordings have to go, and how the folder of one goes from the disk.
 * Owner: the caller.
 * Thread: one that may block: the store thread, or main before anything else runs.
 * Bound: TD_RETENTION_ITEMS_MAX candidates (past that the newest are forgotten, they are the last
 *        to go anyway); folders TD_RETENTION_DEPTH_MAX deep.
 * Does not: know the catalogue: its caller forgets the row. Log.
 */
#ifndef TD_STORE_RETENTION_H
#define TD_STORE_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/id.h"

#define TD_RETENTION_ITEMS_MAX 65536u /* 56 bytes each, while a choice is made */
#define TD_RETENTION_QUOTAS_MAX 64u
#define TD_RETENTION_NAME_MAX 200u  /* bytes of a folder's name; the mark comes in front of it */
#define TD_RETENTION_DEPTH_MAX 4u   /* recording / hls / participant / … */
#define TD_RETENTION_PASSES_MAX 16u /* listings of a folder whose entries go meanwhile */

/* ---- the choice: pure ---- */

struct td_retention_quota {
    const char *room; /* pattern (base/glob.h) */
    uint64_t max_bytes;
};

struct td_retention_rules { /* 0 = no such rule */
    int64_t now_us;         /* wall */
    int64_t max_age_us;     /* since its end */
    uint64_t max_total_bytes;
    const struct td_retention_quota *quotas; /* borrowed until the free */
    size_t quota_count;                      /* those past TD_RETENTION_QUOTAS_MAX are not heard */
    uint64_t need_bytes;                     /* to be freed now */
};

struct td_retention_item {
    const char *id;
    const char *room;
    int64_t ended_us; /* wall */
    uint64_t bytes;
    bool hold; /* stays, but its bytes count */
    bool busy; /* grows or is in use: the same */
};

struct td_retention_choice {
    char id[TD_ID_MAX];
    uint64_t bytes;
    const char *why; /* "age", "quota", "total", "space" */
};

struct td_retention;

/* -ENOMEM. */
TD_MUST int td_retention_new(const struct td_retention_rules *rules,
                             struct td_retention **ret_retention);
/* Takes NULL, returns NULL. */
struct td_retention *td_retention_free(struct td_retention *r);
/* In any order, all before the first choice. -ENOMEM. */
TD_MUST int td_retention_add(struct td_retention *r, const struct td_retention_item *item);
/* The next one to remove: oldest end first, then by id; for age, then quotas, then the total, then
 * the need. Counts as gone from here on. One without bytes goes for its age only. False = the rules
 * are kept, or there is nothing more that could go. */
bool td_retention_next(struct td_retention *r, struct td_retention_choice *ret_choice);
/* The last choice could not be removed: its bytes count again, and it is not chosen any more. */
void td_retention_kept(struct td_retention *r);
/* What the need still lacks. */
uint64_t td_retention_missing(const struct td_retention *r);

/* ---- the removal ----
 *
 * The folder is renamed to .removed-NAME and the folder above is synced: from here on the recording
 * is removed, whatever happens. Then the files go (which may be what makes the space that the
 * catalogue needs), then the row, and the marked folder, empty by then, as the last. So after a
 * kill there is either the whole recording with its row, or a marked folder, and each marked folder
 * stands for work that td_retention_sweep does again from its beginning. */

/* Forgets the row of this folder; that there is none is a success. 0 or negative. */
typedef int td_retention_forget_fn(void *ctx, const char *folder);

/* Removes DATA/recordings/FOLDER. An empty name or a folder that is not there (DATA/recordings is)
 * is only forgotten. Nothing is touched with -TD_E_USAGE (no name of ours), -ENOTDIR (a link, a
 * file), -TD_E_STATE (a recorder has a file of it locked), -TD_E_UNSUPPORTED (a folder inside that
 * no recording has), -TD_E_LIMIT (too deep). -errno otherwise; calling again, or the sweep,
 * finishes what was begun. `forget` may be NULL. `ret_bytes` may be NULL. */
TD_MUST int td_retention_remove(struct td_fs *fs, const char *data_dir, const char *folder,
                                td_retention_forget_fn *forget, void *ctx, uint64_t *ret_bytes);
/* Finishes the removals that were marked; what is not marked is not looked at. Before recovery.
 * Count; or the first failure, after all were tried. */
TD_MUST int td_retention_sweep(struct td_fs *fs, const char *data_dir,
                               td_retention_forget_fn *forget, void *ctx);

#endif
