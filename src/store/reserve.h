/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reserve: DATA/reserve, a file that keeps some space for the last words of a full disk.
 * Owner: embedded in the disk guard; the scribe knows its path.
 * Thread: the store thread, which may block.
 * Bound: `bytes`; a call of make writes at most TD_RESERVE_STEP_BYTES.
 * Does not: decide when. Leaves the file there at the end: the next run finds it.
 */
#ifndef TD_STORE_RESERVE_H
#define TD_STORE_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/limits.h"

#define TD_RESERVE_STEP_BYTES (8u << 20)
/* It is given back in so many slices: each time a manifest finds no space, for what is free is soon
 * taken by the media of others. */
#define TD_RESERVE_SLICES 16u
#define TD_RESERVE_SLICE_BYTES_MIN (64u << 10)

struct td_reserve {
    struct td_fs *fs;
    char path[TD_PATH_MAX];
    uint64_t bytes; /* what is asked for */
    uint64_t held;  /* what the file has, as far as we know */
};

enum td_reserve_condition {
    TD_RESERVE_MORE = 1, /* call again: this was a step of it */
};

/* Touches nothing. -ENAMETOOLONG. */
TD_MUST int td_reserve_init(struct td_reserve *r, struct td_fs *fs, const char *data_dir);
/* How much is wanted from here on, and a look at what there is. -errno. */
TD_MUST int td_reserve_look(struct td_reserve *r, uint64_t bytes);
bool td_reserve_is_held(const struct td_reserve *r);
/* What it lacks. */
uint64_t td_reserve_missing(const struct td_reserve *r);
/* Makes it as large as asked for, and durable; 0 bytes = no file. 0, TD_RESERVE_MORE, or negative:
 * then nothing is held. */
TD_MUST int td_reserve_make(struct td_reserve *r);
/* Gives all of it back. Nothing there is a success. */
TD_MUST int td_reserve_release(struct td_reserve *r);
/* Gives a slice of the file at `path` back. TD_RESERVE_MORE: there is more space now; 0: there was
 * nothing left to give. -errno. */
TD_MUST int td_reserve_cut(struct td_fs *fs, const char *path, uint64_t slice_bytes);
/* The size of a slice of `bytes`. */
uint64_t td_reserve_slice(uint64_t bytes);

#endif
