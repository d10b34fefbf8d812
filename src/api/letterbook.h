/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letterbook: which letters the steps of a recording are worth, and to whom.
 * Owner: the webhook sender, embedded; recovery has one of its own.
 * Thread: its owner's.
 * Bound: an entry for each recording that runs; one text and TD_RECORDINGS_LETTERS_MAX addresses
 *        at a time.
 * Does not: store or send letters.
 */
#ifndef TD_API_LETTERBOOK_H
#define TD_API_LETTERBOOK_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/recordings.h"
#include "base/err.h"
#include "config/config.h"
#include "store/catalog.h"

struct td_letterbook {
    const struct td_config *config;
    struct td_config *copy; /* ours, NULL = borrowed */
    GHashTable *told;       /* id -> what was told of it, of those that run */
    char *text;             /* of the last letters */
    char *urls[TD_RECORDINGS_LETTERS_MAX];
    size_t url_count;
};

/* `config` may be reloaded meanwhile. */
void td_letterbook_init(struct td_letterbook *b, const struct td_config *config);
/* For use on another thread: with URLs and rooms as they are configured now. -ENOMEM. */
TD_MUST int td_letterbook_init_copy(struct td_letterbook *b, const struct td_config *config);
void td_letterbook_done(struct td_letterbook *b);
/* The letters of this step, one for each URL whose rooms have this one; how many. 0 = it is none,
 * or -errno. Their strings are valid until the next call. */
TD_MUST int td_letterbook_write(struct td_letterbook *b, const json_t *doc, bool final,
                                int64_t now_us, struct td_catalog_letter *ret_letters, size_t max);

#endif
