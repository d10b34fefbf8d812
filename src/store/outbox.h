/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox: the messages that wait to be sent, in the catalogue's database.
 * Owner: catalog.c, which holds the lock and the transaction around each call.
 * Thread: any, one at a time.
 * Bound: a batch holds TD_OUTBOX_BATCH_BYTES and one letter more; what ended is removed after
 *        TD_CATALOG_KEEP_US.
 * Does not: send. Of those that wait, the oldest of each (recording, url) is its head, always, and
 *           only heads are due: that is the order.
 */
#ifndef TD_STORE_OUTBOX_H
#define TD_STORE_OUTBOX_H

#include "store/catalog.h"
#include "store/database.h"

#define TD_OUTBOX_BATCH_BYTES (256u << 10)

struct td_outbox_copy {
    struct td_outbox_copy *next;
    struct td_catalog_outgoing letter;
    char texts[];
};

struct td_outbox_batch {
    struct td_outbox_copy *first;
    unsigned count;
    bool more;       /* it ends by its bound in bytes */
    int64_t last_id; /* the next one begins behind it */
};

TD_MUST int td_outbox_put(struct td_database *db, const struct td_catalog_letter *letters,
                          size_t count, int64_t now_us);
/* At most `limit` due heads with an id above `after_id`; needs td_outbox_batch_free after success.
 */
TD_MUST int td_outbox_due(struct td_database *db, int64_t now_us, int64_t after_id, unsigned limit,
                          struct td_outbox_batch *ret_batch);
void td_outbox_batch_free(struct td_outbox_batch *batch);
/* 0 or TD_CATALOG_NONE. */
TD_MUST int td_outbox_done(struct td_database *db, int64_t id, bool delivered, int64_t now_us);
TD_MUST int td_outbox_later(struct td_database *db, int64_t id, int64_t next_us);
TD_MUST int td_outbox_next(struct td_database *db, int64_t *ret_next_us, uint64_t *ret_count);
/* Count. */
TD_MUST int td_outbox_replay(struct td_database *db, const char *recording, bool delivered);

#endif
