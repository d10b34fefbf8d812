/* SPDX-License-Identifier: Apache-2.0 */
#include "store/catalog_schema.h"

#include "store/catalog.h"

/* Large columns stand last, so that a page that looks at the others does not read them. */
static const char version_1[] =
    "CREATE TABLE recordings ("
    " id TEXT PRIMARY KEY NOT NULL,"
    " room TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " source TEXT NOT NULL,"
    " folder TEXT NOT NULL,"
    " started_us INTEGER NOT NULL,"
    " ended_us INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " final INTEGER NOT NULL,"
    " hold INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " doc TEXT NOT NULL,"
    " request TEXT NOT NULL) STRICT;"
    "CREATE INDEX recordings_time ON recordings (started_us, id);"
    "CREATE INDEX recordings_room ON recordings (room, started_us, id);"
    "CREATE INDEX recordings_state ON recordings (state, started_us, id);"
    "CREATE INDEX recordings_unfinished ON recordings (started_us, id) WHERE final = 0;"

    "CREATE TABLE deleted ("
    " id TEXT PRIMARY KEY NOT NULL,"
    " started_us INTEGER NOT NULL,"
    " deleted_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX deleted_time ON deleted (deleted_us);"

    "CREATE TABLE keys ("
    " key TEXT PRIMARY KEY NOT NULL,"
    " digest TEXT NOT NULL,"
    " recording TEXT NOT NULL,"
    " made_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX keys_time ON keys (made_us);"

    "CREATE TABLE outbox ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " recording TEXT NOT NULL,"
    " url TEXT NOT NULL,"
    " made_us INTEGER NOT NULL,"
    " due_us INTEGER NOT NULL,"
    " ended_us INTEGER NOT NULL,"
    " tries INTEGER NOT NULL,"
    " state INTEGER NOT NULL) STRICT;"
    "CREATE INDEX outbox_waiting ON outbox (recording, url, id) WHERE state <= 1;"
    "CREATE INDEX outbox_due ON outbox (due_us) WHERE state = 1;"
    "CREATE INDEX outbox_ended ON outbox (ended_us) WHERE state >= 2;"
    /* Apart, so that a new state of a letter does not write its body again. */
    "CREATE TABLE bodies ("
    " id INTEGER PRIMARY KEY REFERENCES outbox (id) ON DELETE CASCADE,"
    " body TEXT NOT NULL) STRICT;";

static const char *const steps[TD_CATALOG_SCHEMA] = {
    [0] = version_1,
};

const struct td_database_schema td_catalog_schema = {
    .application = TD_CATALOG_APPLICATION,
    .version = TD_CATALOG_SCHEMA,
    .steps = steps,
};

/* The order of catalog_row.c. */
#define ROW_COLUMNS                                                                                \
    "id, room, state, reason, source, folder, doc, request,"                                       \
    " started_us, ended_us, bytes, final, hold, attempts"

/* SQLite uses a partial index only for a condition that is written like the index's own. */
#define PAGE_ROOM "room = ?1 AND "
#define PAGE_STATE "state = ?2 AND "
#define PAGE_UNFINISHED "final = 0 AND "
#define PAGE(where)                                                                                \
    "SELECT " ROW_COLUMNS " FROM recordings WHERE " where "(started_us, id) < (?3, ?4)"            \
    " ORDER BY started_us DESC, id DESC LIMIT ?5"
#define PAGE_OLDEST(where)                                                                         \
    "SELECT " ROW_COLUMNS " FROM recordings WHERE " where "(started_us, id) > (?3, ?4)"            \
    " ORDER BY started_us, id LIMIT ?5"
/* The four combinations of the first two flags. */
#define PAGES(first, page, where)                                                                  \
    [(first)] = page(where), [(first) + TD_CATALOG_PAGE_ROOM] = page(PAGE_ROOM where),             \
    [(first) + TD_CATALOG_PAGE_STATE] = page(PAGE_STATE where),                                    \
    [(first) + TD_CATALOG_PAGE_ROOM + TD_CATALOG_PAGE_STATE] = page(PAGE_ROOM PAGE_STATE where)

/* Many that are old at once, after a long pause, go over many calls: none of them is long. */
#define PRUNE_LIMIT " LIMIT 64)"

const char *const td_catalog_sql[TD_CATALOG_SQL_COUNT] = {
    PAGES(TD_CATALOG_SQL_PAGE, PAGE, ""),
    PAGES(TD_CATALOG_SQL_PAGE + TD_CATALOG_PAGE_UNFINISHED, PAGE, PAGE_UNFINISHED),
    PAGES(TD_CATALOG_SQL_PAGE + TD_CATALOG_PAGE_OLDEST, PAGE_OLDEST, ""),
    PAGES(TD_CATALOG_SQL_PAGE + TD_CATALOG_PAGE_OLDEST + TD_CATALOG_PAGE_UNFINISHED, PAGE_OLDEST,
          PAGE_UNFINISHED),
    [TD_CATALOG_SQL_ROW] = "SELECT " ROW_COLUMNS " FROM recordings WHERE id = ?1"
                           " AND (?2 IS NULL OR room = ?2) AND (?3 IS NULL OR state = ?3)"
                           " AND final <= ?4",

    [TD_CATALOG_SQL_PUT] =
        "INSERT INTO recordings (" ROW_COLUMNS ")"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce(?8, ''),"
        " ?9, ?10, ?11, ?12, ?13, max(?14, 0))"
        " ON CONFLICT (id) DO UPDATE SET room = excluded.room, state = excluded.state,"
        " reason = excluded.reason, source = excluded.source, folder = excluded.folder,"
        " doc = excluded.doc, request = coalesce(?8, request), started_us = excluded.started_us,"
        " ended_us = excluded.ended_us, bytes = excluded.bytes, final = excluded.final,"
        " attempts = iif(?14 < 0, attempts, ?14)",
    [TD_CATALOG_SQL_HOLD] = "UPDATE recordings SET hold = ?2 WHERE id = ?1",
    [TD_CATALOG_SQL_ATTEMPT] = "UPDATE recordings SET attempts = iif(?2, 0, attempts + 1)"
                               " WHERE id = ?1 RETURNING attempts",
    [TD_CATALOG_SQL_DELETE] = "DELETE FROM recordings WHERE id = ?1",

    [TD_CATALOG_SQL_DELETED_PUT] = "INSERT OR REPLACE INTO deleted"
                                   " SELECT id, started_us, ?2 FROM recordings WHERE id = ?1",
    [TD_CATALOG_SQL_DELETED_PRUNE] = "DELETE FROM deleted WHERE id IN"
                                     " (SELECT id FROM deleted WHERE deleted_us < ?1" PRUNE_LIMIT,
    [TD_CATALOG_SQL_PLACE] = "SELECT started_us FROM recordings WHERE id = ?1"
                             " UNION ALL SELECT started_us FROM deleted WHERE id = ?1 LIMIT 1",

    [TD_CATALOG_SQL_KEY_PUT] = "INSERT INTO keys (key, digest, recording, made_us)"
                               " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO UPDATE"
                               " SET digest = ?2, recording = ?3, made_us = ?4 WHERE made_us < ?5",
    [TD_CATALOG_SQL_KEY_GET] =
        "SELECT digest, recording FROM keys WHERE key = ?1 AND made_us >= ?2",
    [TD_CATALOG_SQL_KEY_PRUNE] =
        "DELETE FROM keys WHERE key IN (SELECT key FROM keys WHERE made_us < ?1" PRUNE_LIMIT,

    [TD_CATALOG_SQL_OUTBOX_PUT] =
        "INSERT INTO outbox (recording, url, made_us, due_us, ended_us, tries, state)"
        " VALUES (?1, ?2, ?3, 0, 0, 0, NOT EXISTS"
        " (SELECT 1 FROM outbox WHERE recording = ?1 AND url = ?2 AND state <= 1))",
    [TD_CATALOG_SQL_OUTBOX_BODY] = "INSERT INTO bodies (id, body) VALUES (last_insert_rowid(), ?1)",
    [TD_CATALOG_SQL_OUTBOX_PRUNE] =
        "DELETE FROM outbox WHERE id IN"
        " (SELECT id FROM outbox WHERE state >= 2 AND ended_us < ?1" PRUNE_LIMIT,
    [TD_CATALOG_SQL_OUTBOX_DUE] =
        "SELECT recording, url, body, id, made_us, tries FROM outbox JOIN bodies USING (id)"
        " WHERE id IN"
        " (SELECT id FROM outbox WHERE state = 1 AND due_us <= ?1 AND id > ?2 ORDER BY id LIMIT ?3)"
        " ORDER BY id",
    [TD_CATALOG_SQL_OUTBOX_END] =
        "UPDATE outbox SET state = ?2, ended_us = ?3 WHERE id = ?1 AND state <= 1",
    /* The oldest that waits among those that share recording and url with letter ?1. */
    [TD_CATALOG_SQL_OUTBOX_PROMOTE] =
        "UPDATE outbox SET state = 1 WHERE id = (SELECT next.id FROM outbox AS ended"
        " JOIN outbox AS next ON next.recording = ended.recording AND next.url = ended.url"
        " WHERE ended.id = ?1 AND next.state <= 1 ORDER BY next.id LIMIT 1)",
    [TD_CATALOG_SQL_OUTBOX_LATER] =
        "UPDATE outbox SET due_us = ?2, tries = tries + 1 WHERE id = ?1 AND state <= 1",
    [TD_CATALOG_SQL_OUTBOX_NEXT] =
        "SELECT due_us FROM outbox WHERE state = 1 ORDER BY due_us LIMIT 1",
    [TD_CATALOG_SQL_OUTBOX_COUNT] = "SELECT count(*) FROM outbox WHERE state <= 1",
    /* A replay: the letters wait again, then each recording and url has its oldest as head again.
     * What fails takes the whole transaction back, and so needs no journal of its own in memory. */
    [TD_CATALOG_SQL_OUTBOX_REVIVE] =
        "UPDATE OR ROLLBACK outbox SET state = 0, due_us = 0, ended_us = 0, tries = 0"
        " WHERE state >= 2 AND (state = 3 OR ?2) AND (?1 IS NULL OR recording = ?1)",
    [TD_CATALOG_SQL_OUTBOX_DEMOTE] =
        "UPDATE OR ROLLBACK outbox SET state = 0"
        " WHERE state = 1 AND (?1 IS NULL OR recording = ?1) AND EXISTS"
        " (SELECT 1 FROM outbox AS older WHERE older.recording = outbox.recording"
        " AND older.url = outbox.url AND older.state <= 1 AND older.id < outbox.id)",
    [TD_CATALOG_SQL_OUTBOX_PROMOTE_ALL] =
        "UPDATE OR ROLLBACK outbox SET state = 1 WHERE state = 0 AND id IN"
        " (SELECT min(id) FROM outbox WHERE state <= 1 AND (?1 IS NULL OR recording = ?1)"
        " GROUP BY recording, url)",
};
