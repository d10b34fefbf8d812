/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_story: every call of a catalogue in a row, and what must be true of it afterwards,
 * whatever failed.
 * Owner: the test.
 * Thread: one.
 * Bound: STORY_ROWS rows, STORY_ROUNDS rounds.
 * Does not: assert while it is told: it may be killed or fail anywhere.
 */
#ifndef TD_TESTS_CATALOG_STORY_H
#define TD_TESTS_CATALOG_STORY_H

#include <stdbool.h>

#include "store/catalog.h"

#define STORY_ROWS 3u
#define STORY_ROUNDS 2u

struct story {
    unsigned calls;
    unsigned failed;
    int first_error;
    unsigned written[STORY_ROWS]; /* the last round whose put succeeded; 0 = none */
    bool attempted;
    bool key_kept;
    bool deleted; /* the last row */
    bool delete_tried;
};

void story_tell(struct td_catalog *c, struct story *ret_story);
/* Looks into the closed database: sound, nothing by half, nothing lost that was said to be there.
 */
void story_check(const char *path, const struct story *story);

/* One put of row `r`: its `bytes` is `round`, and two letters say the same. */
TD_MUST int story_put(struct td_catalog *c, unsigned r, unsigned round);
/* What is true after any puts like that: whole transactions, one head for each that waits. */
void story_check_whole(const char *path);

#endif
