/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook: brings the letters of the catalogue's outbox to their URLs, and writes new ones.
 * Owner: the serve command; freed after the recordings, whose observer it is.
 * Thread: control loop; the outbox is read and written on the store thread.
 * Bound: TD_WEBHOOK_FLIGHTS_MAX letters under way; the rest waits on disk.
 * Does not: forget: a letter is delivered (2xx), or after 24 h or a 410 given up and kept a day to
 *           be replayed. A receiver may hear a letter twice, never out of order for one recording.
 *
 * Letters are signed when they are sent, with the keys that are configured then. A URL that is not
 * configured any more is not called; its letters wait for it, like for one that is down.
 */
#ifndef TD_API_WEBHOOK_H
#define TD_API_WEBHOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "api/mailbag.h"
#include "api/recordings.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "config/config.h"
#include "store/catalog.h"
#include "store/store.h"

#define TD_WEBHOOK_FLIGHTS_MAX TD_MAILBAG_LETTERS_MAX

struct td_webhook;

struct td_webhook_config {
    const struct td_config *config; /* may be reloaded while we live */
    struct td_catalog *catalog;
    struct td_store *store;
    struct td_mailbox *control;
    const struct td_log *log;
};

/* Goes on with what an earlier run left in the outbox. */
TD_MUST int td_webhook_new(const struct td_webhook_config *config, struct td_webhook **ret_webhook);
/* What is under way is given up, to be sent again by the next run. Takes NULL, returns NULL. */
struct td_webhook *td_webhook_free(struct td_webhook *w);
/* For td_recordings_observe: writes the letters of each step, and sends them once they are stored.
 */
struct td_recordings_observer td_webhook_observer(struct td_webhook *w);

/* Looks into the outbox now: after a letter was put there. */
void td_webhook_kick(struct td_webhook *w);
/* Letters that were given up (and with `delivered` those that arrived too), of this recording or
 * NULL = all, go out again, in their old order. `done`: their count, or negative. -ENOMEM,
 * -ENOBUFS.
 */
typedef void td_webhook_replayed_fn(void *ctx, int count);
TD_MUST int td_webhook_replay(struct td_webhook *w, const char *recording, bool delivered,
                              td_webhook_replayed_fn *done, void *ctx);
/* Before the catalogue is closed: sends what is due, for at most `linger_us`, then nothing more.
 * `done` once no call of ours is left on the store thread, never from within this call. */
void td_webhook_stop(struct td_webhook *w, int64_t linger_us, void (*done)(void *ctx), void *ctx);

struct td_webhook_stats {
    uint64_t delivered;
    uint64_t failed; /* tries */
    uint64_t given_up;
    uint64_t pending;  /* in the outbox, as of the last look */
    int64_t oldest_us; /* wall time when the oldest of them was made, 0 = none */
};
void td_webhook_stats(const struct td_webhook *w, struct td_webhook_stats *ret_stats);

#endif
