/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view: recordings as people read them: a row of a list, a sheet of one, its files.
 * Owner: the caller's documents, which are those of the API (/openapi.json).
 * Thread: main.
 * Bound: none of its own; what lacks in a document is shown as empty or 0.
 * Does not: ask for anything.
 */
#ifndef TD_CLI_VIEW_H
#define TD_CLI_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/table.h"

enum td_view {
    TD_VIEW_LIST,    /* what was: when, how long, why it ended */
    TD_VIEW_RUNNING, /* what runs: how it goes */
};

/* "" when there is none. */
const char *td_view_text(const json_t *doc, const char *key);
/* complete, failed or aborted: nothing more happens to it. */
bool td_view_is_final(const json_t *doc);

TD_MUST int td_view_table(FILE *out, enum td_view view, struct td_table **ret_table);
void td_view_row(struct td_table *table, enum td_view view, const json_t *doc);

/* "rec_…  ROOM  complete (stopped)" and the sentence of a failure. */
void td_view_line(FILE *out, const json_t *doc);
/* Its files, with state, duration and bytes. -ENOMEM. */
TD_MUST int td_view_files(FILE *out, const json_t *doc);
/* All that is known of it. -ENOMEM. */
TD_MUST int td_view_sheet(FILE *out, const json_t *doc);

#endif
