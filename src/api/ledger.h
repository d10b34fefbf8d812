/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger: a recording's way into the catalogue: one entry for each state, written in order, tried
 *         again until it is there.
 * Owner: recordings.
 * Thread: control loop; the writing is done by the store thread.
 * Bound: one entry on its way for each transition; TD_LEDGER_LETTERS_MAX letters in one.
 * Does not: decide states.
 */
#ifndef TD_API_LEDGER_H
#define TD_API_LEDGER_H

#include <jansson.h>
#include <stdbool.h>

#include "recorder/recorder.h"
#include "store/catalog.h"

#define TD_LEDGER_LETTERS_MAX 64u
#define TD_LEDGER_RETRY_MS 1000u

struct td_ledger;

struct td_ledger_config {
    const struct td_recorder *recorder;
    struct td_catalog *catalog;
    void *ctx;
    /* An entry is in the catalogue; or (error < 0) could not be written and is tried again until it
     * can: told once, so that nobody waits for a full disk. `doc` is borrowed. */
    void (*written)(void *ctx, const char *id, json_t *doc, bool final, int error);
};

TD_MUST int td_ledger_new(const struct td_ledger_config *config, struct td_ledger **ret_ledger);
/* Entries that were not written by now are not. Takes NULL, returns NULL. */
struct td_ledger *td_ledger_free(struct td_ledger *l);

struct td_ledger_entry {
    json_t *doc;         /* taken over */
    const char *request; /* NULL = as it was */
    bool final;
    bool hold;
    int attempts; /* < 0 = as they were */
    const struct td_catalog_letter *letters;
    size_t letter_count;
};
/* -ENOMEM (then `doc` is gone all the same). */
TD_MUST int td_ledger_write(struct td_ledger *l, const struct td_ledger_entry *entry);
/* Entries that could not be written and wait to be tried again. */
unsigned td_ledger_unwritten(const struct td_ledger *l);
/* Entries on their way or waiting. */
unsigned td_ledger_pending(const struct td_ledger *l);

/* The row of a document, for those who write to the catalogue themselves; `text` is its JSON. The
 * strings are borrowed from both. */
struct td_catalog_row td_ledger_row(const json_t *doc, const char *text);

#endif
