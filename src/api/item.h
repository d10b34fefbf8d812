/* SPDX-License-Identifier: Apache-2.0 */
/*
 * item: /api/recordings/{id} and what is below it: one recording, shown, changed, removed, fetched.
 * Owner: rest.
 * Thread: control loop; folders are listed on the store thread.
 * Bound: one call a request; what stops, pauses or resumes waits TD_EVENTS_AWAIT_MS to show the new
 *        state.
 * Does not: start recordings or list them.
 */
#ifndef TD_API_ITEM_H
#define TD_API_ITEM_H

#include <stdbool.h>

#include "api/call.h"
#include "api/events.h"
#include "api/files.h"

struct td_items {
    struct td_calls *calls;
    struct td_events *events;
    struct td_fs *fs;
    struct td_files *files;
    const char *data_dir;
};

/* `path` is what follows "/api/recordings/". `items` outlives the answer. */
void td_items_answer(const struct td_items *items, SoupServerMessage *message, const char *path);
/* For td_files_config: whether a running recording still writes this file. `recordings` is a
 * struct td_recordings. */
bool td_items_growing(void *recordings, const char *recording_id, const char *name);

#endif
