/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbag: the letters that the webhook sender takes out of the catalogue's outbox, a few at a
 * time, and what it tells the outbox of them.
 * Owner: whoever made it; between td_catalog_post and its reply the store thread has it.
 * Thread: td_mailbag_*_job on the store thread, the rest on the control loop.
 * Bound: TD_MAILBAG_LETTERS_MAX letters an answer; TD_CATALOG_PAGE_MAX rows are looked at.
 * Does not: send.
 */
#ifndef TD_API_MAILBAG_H
#define TD_API_MAILBAG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "store/catalog.h"

#define TD_MAILBAG_LETTERS_MAX 8u
#define TD_MAILBAG_PLACES 4u /* letters of one URL under way, so that others get through */

struct td_mailbag_letter {
    int64_t id;
    char recording[TD_ID_MAX];
    char *url;
    char *body;
    int64_t made_us;
    unsigned tries;
};

struct td_mailbag {
    struct td_catalog *catalog;
    int64_t now_us;
    unsigned want;                        /* letters, at most TD_MAILBAG_LETTERS_MAX */
    int64_t busy[TD_MAILBAG_LETTERS_MAX]; /* ids that are under way and not wanted again */
    unsigned busy_count;
    GHashTable
        *places; /* URL -> letters it may still get; TD_MAILBAG_PLACES when it is not there */
    /* found */
    struct td_mailbag_letter letters[TD_MAILBAG_LETTERS_MAX];
    unsigned count;
    int64_t next_us;   /* when the next one is due, busy ones included; INT64_MAX = none waits */
    uint64_t pending;  /* all that wait */
    int64_t oldest_us; /* when the oldest of them was made; 0 = none waits */
};

/* Empty. NULL: out of memory. */
struct td_mailbag *td_mailbag_new(struct td_catalog *catalog, int64_t now_us);
struct td_mailbag *td_mailbag_free(struct td_mailbag *bag);
/* One letter less for this URL; so many and no more. */
void td_mailbag_take(struct td_mailbag *bag, const char *url);
void td_mailbag_limit(struct td_mailbag *bag, const char *url, unsigned places);
int td_mailbag_fill_job(void *arg); /* struct td_mailbag; 0 or negative */

enum td_mailbag_fate { TD_MAILBAG_LATER, TD_MAILBAG_DELIVERED, TD_MAILBAG_GIVEN_UP };

struct td_mailbag_mark {
    struct td_catalog *catalog;
    int64_t id;
    enum td_mailbag_fate fate;
    int64_t next_us; /* of TD_MAILBAG_LATER */
};
int td_mailbag_mark_job(void *arg);

struct td_mailbag_replay {
    struct td_catalog *catalog;
    char *recording; /* NULL = all */
    bool delivered;
};
int td_mailbag_replay_job(void *arg); /* count, or negative */

#endif
