/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed: what one recording said lately, as numbered server-sent events.
 * Owner: events.
 * Thread: control loop.
 * Bound: TD_FEED_KEPT events and TD_FEED_KEPT_BYTES of them (but always the newest); older ones go.
 * Does not: send.
 *
 * An event's id is "<boot>-<n>": `boot` is another word in each process, n counts from 1.
 */
#ifndef TD_API_FEED_H
#define TD_API_FEED_H

#include <glib.h>

#include "base/id.h"

#define TD_FEED_KEPT 256u
#define TD_FEED_KEPT_BYTES (64u << 10)
#define TD_FEED_BOOT_LETTERS 8u

struct td_feed;

/* `boot` is borrowed: TD_FEED_BOOT_LETTERS letters. NULL = no memory. */
struct td_feed *td_feed_new(const char *boot, const char *recording_id);
/* Takes NULL, returns NULL. */
struct td_feed *td_feed_free(struct td_feed *f);
const char *td_feed_recording(const struct td_feed *f);
/* The next event; `data` has no line ends. The text is borrowed until the next call. */
GBytes *td_feed_add(struct td_feed *f, const char *name, const char *data);
/* An event for one client that is not kept: it has the id of the newest one. The caller's. */
GBytes *td_feed_now(const struct td_feed *f, const char *name, const char *data);
/* All behind the event with this id, as one piece, possibly empty; NULL = that id is not known here
 * any more. The caller's. */
GBytes *td_feed_after(const struct td_feed *f, const char *id);

#endif
