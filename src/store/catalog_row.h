/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_row: the rows of recordings in the database: written, and read in pages of copies.
 * Owner: catalog.c, which holds the lock around each call.
 * Thread: any, one at a time.
 * Bound: a page holds TD_CATALOG_PAGE_ROWS rows, and no more once it has TD_CATALOG_PAGE_BYTES.
 * Does not: call back; the copies are shown when the lock is free again.
 */
#ifndef TD_STORE_CATALOG_ROW_H
#define TD_STORE_CATALOG_ROW_H

#include "store/catalog.h"
#include "store/database.h"

#define TD_CATALOG_PAGE_ROWS 64u
#define TD_CATALOG_PAGE_BYTES (256u << 10)

/* A row's place in the order of pages: the next page begins behind it. */
struct td_catalog_place {
    int64_t started_us;
    char id[TD_ID_MAX];
};

struct td_catalog_copy {
    struct td_catalog_copy *next;
    struct td_catalog_row row;
    char texts[];
};

struct td_catalog_page {
    struct td_catalog_copy *first;
    unsigned count;
    bool more; /* it ends by a bound, not because there are no more */
    struct td_catalog_place end;
};

TD_MUST int td_catalog_row_put(struct td_database *db, const struct td_catalog_row *row);
/* 0 or TD_CATALOG_NONE. */
TD_MUST int td_catalog_row_delete(struct td_database *db, const char *id, int64_t now_us);

/* Before all others. */
void td_catalog_place_start(bool oldest_first, struct td_catalog_place *ret_place);
/* Of a row that is there, or was deleted not long ago; else -ENOENT. */
TD_MUST int td_catalog_place_find(struct td_database *db, const char *id,
                                  struct td_catalog_place *ret_place);

/* At most `limit` rows that the query asks for, behind `place`; its own limit and cursor are not
 * looked at. The page needs td_catalog_page_free after success. */
TD_MUST int td_catalog_page_read(struct td_database *db, const struct td_catalog_query *query,
                                 const struct td_catalog_place *place, unsigned limit,
                                 struct td_catalog_page *ret_page);
void td_catalog_page_free(struct td_catalog_page *page);

#endif
