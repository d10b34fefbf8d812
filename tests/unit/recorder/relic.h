/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relic: the folder of a recording as a killed process leaves it: growing files and all.
 * Owner: the test; made once by a real session, put down as often as wanted.
 * Thread: the test's.
 * Bound: fixed sizes.
 * Does not: check anything by itself but that calls succeed.
 */
#ifndef TD_TESTS_RECORDER_RELIC_H
#define TD_TESTS_RECORDER_RELIC_H

#include <stddef.h>

#include "base/limits.h"
#include "store/manifest.h"

#define RELIC_FILES_MAX 8u
#define RELIC_MS 2000 /* of media in each */

enum relic_kind {
    RELIC_TS,    /* alice.recording.ts */
    RELIC_MKV,   /* alice.recording.mkv and its index */
    RELIC_BOTH,  /* alice.recording.ts, bob.recording.mkv */
    RELIC_EMPTY, /* nothing was stored yet */
    RELIC_MAX,
};

struct relic_file {
    char name[64];
    char *bytes;
    size_t len;
};

struct relic {
    struct relic_file files[RELIC_FILES_MAX];
    unsigned count;
};

/* Group fixtures of cmocka: make all kinds, and free them. */
int relics_make(void **state);
int relics_drop(void **state);
const struct relic *relic_of(enum relic_kind kind);
/* Makes the folder; `cut` bytes are missing at the end of each growing file. */
void relic_put(enum relic_kind kind, const char *folder, size_t cut);
/* Reads, changes and writes folder/manifest.json. */
void relic_change(const char *folder, void (*change)(void *ctx, struct td_manifest *m), void *ctx);
void relic_manifest(const char *folder, struct td_manifest *ret_manifest);
/* Whole lines of folder/timeline.jsonl that hold `text`. */
unsigned relic_lines(const char *folder, const char *text);
/* folder/name. */
const char *relic_path(const char *folder, const char *name, char ret_path[TD_PATH_MAX]);

#endif
