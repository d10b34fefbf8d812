/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_schema: the tables of the catalogue, how older ones become newer ones, and all its SQL.
 * Owner: none, constants.
 * Thread: any.
 * Bound: none.
 * Does not: run anything. docs/formats/catalog.md describes the tables.
 */
#ifndef TD_STORE_CATALOG_SCHEMA_H
#define TD_STORE_CATALOG_SCHEMA_H

#include "store/database.h"

#define TD_CATALOG_APPLICATION 0x74617065 /* "tape" */

/* A page of rows is asked for by one of these statements: TD_CATALOG_SQL_PAGE plus flags. Their
 * parameters are room, state, started_us and id of the place behind which it begins, and limit. */
enum td_catalog_page_flags {
    TD_CATALOG_PAGE_ROOM = 1,
    TD_CATALOG_PAGE_STATE = 2,
    TD_CATALOG_PAGE_UNFINISHED = 4,
    TD_CATALOG_PAGE_OLDEST = 8,
    TD_CATALOG_PAGE_KINDS = 16,
};

enum td_catalog_sql {
    TD_CATALOG_SQL_PAGE,
    TD_CATALOG_SQL_ROW = TD_CATALOG_SQL_PAGE + TD_CATALOG_PAGE_KINDS,
    TD_CATALOG_SQL_PUT,
    TD_CATALOG_SQL_HOLD,
    TD_CATALOG_SQL_ATTEMPT,
    TD_CATALOG_SQL_DELETE,
    TD_CATALOG_SQL_DELETED_PUT,
    TD_CATALOG_SQL_DELETED_PRUNE,
    TD_CATALOG_SQL_PLACE,
    TD_CATALOG_SQL_KEY_PUT,
    TD_CATALOG_SQL_KEY_GET,
    TD_CATALOG_SQL_KEY_PRUNE,
    TD_CATALOG_SQL_OUTBOX_PUT,
    TD_CATALOG_SQL_OUTBOX_BODY,
    TD_CATALOG_SQL_OUTBOX_PRUNE,
    TD_CATALOG_SQL_OUTBOX_DUE,
    TD_CATALOG_SQL_OUTBOX_END,
    TD_CATALOG_SQL_OUTBOX_PROMOTE,
    TD_CATALOG_SQL_OUTBOX_LATER,
    TD_CATALOG_SQL_OUTBOX_NEXT,
    TD_CATALOG_SQL_OUTBOX_COUNT,
    TD_CATALOG_SQL_OUTBOX_REVIVE,
    TD_CATALOG_SQL_OUTBOX_DEMOTE,
    TD_CATALOG_SQL_OUTBOX_PROMOTE_ALL,
    TD_CATALOG_SQL_COUNT,
};

/* `outbox.state`: waits behind an older one; is the oldest that waits; was sent; was given up. */
enum td_outbox_state {
    TD_OUTBOX_BEHIND = 0,
    TD_OUTBOX_HEAD = 1,
    TD_OUTBOX_DELIVERED = 2,
    TD_OUTBOX_GIVEN_UP = 3,
};

extern const struct td_database_schema td_catalog_schema;
extern const char *const td_catalog_sql[TD_CATALOG_SQL_COUNT];

#endif
