/* SPDX-License-Identifier: Apache-2.0 */
#include "store/catalog_row.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "store/catalog_schema.h"

/* Columns of the statements that read rows. */
enum {
    ROW_ID,
    ROW_ROOM,
    ROW_STATE,
    ROW_REASON,
    ROW_SOURCE,
    ROW_FOLDER,
    ROW_DOC,
    ROW_REQUEST,
    ROW_TEXTS,
    ROW_STARTED = ROW_TEXTS,
    ROW_ENDED,
    ROW_BYTES,
    ROW_FINAL,
    ROW_HOLD,
    ROW_ATTEMPTS,
};

int td_catalog_row_put(struct td_database *db, const struct td_catalog_row *row)
{
    if (row->id == NULL || row->id[0] == '\0') {
        return -TD_E_USAGE;
    }
    struct td_statement s = td_database_statement(db, TD_CATALOG_SQL_PUT);
    td_statement_text(&s, row->id, TD_ID_MAX - 1);
    td_statement_text(&s, row->room, TD_CATALOG_TEXT_MAX);
    td_statement_text(&s, row->state, TD_CATALOG_TEXT_MAX);
    td_statement_text(&s, row->reason, TD_CATALOG_TEXT_MAX);
    td_statement_text(&s, row->source, TD_CATALOG_TEXT_MAX);
    td_statement_text(&s, row->folder, TD_CATALOG_TEXT_MAX);
    td_statement_text(&s, row->doc, TD_CATALOG_TEXT_MAX);
    td_statement_text_or_null(&s, row->request, TD_CATALOG_TEXT_MAX);
    td_statement_number(&s, row->started_us);
    td_statement_number(&s, row->ended_us);
    td_statement_number(&s, row->bytes > INT64_MAX ? INT64_MAX : (int64_t)row->bytes);
    td_statement_number(&s, row->final ? 1 : 0);
    td_statement_number(&s, row->hold ? 1 : 0);
    td_statement_number(&s, row->attempts);
    int r = td_statement_run(&s);
    return r < 0 ? r : 0;
}

int td_catalog_row_delete(struct td_database *db, const char *id, int64_t now_us)
{
    struct td_statement s = td_database_statement(db, TD_CATALOG_SQL_DELETED_PUT);
    td_statement_text(&s, id, TD_CATALOG_TEXT_MAX);
    td_statement_number(&s, now_us);
    int r = td_statement_run(&s);
    if (r <= 0) {
        return r < 0 ? r : TD_CATALOG_NONE;
    }
    s = td_database_statement(db, TD_CATALOG_SQL_DELETE);
    td_statement_text(&s, id, TD_CATALOG_TEXT_MAX);
    r = td_statement_run(&s);
    if (r < 0) {
        return r;
    }
    s = td_database_statement(db, TD_CATALOG_SQL_DELETED_PRUNE);
    td_statement_number(&s, now_us - TD_CATALOG_KEEP_US);
    r = td_statement_run(&s);
    return r < 0 ? r : 0;
}

/* ---- places ---- */

void td_catalog_place_start(bool oldest_first, struct td_catalog_place *ret_place)
{
    /* No id is empty, and none is above a byte that UTF-8 does not have. */
    *ret_place = oldest_first ? (struct td_catalog_place){.started_us = INT64_MIN}
                              : (struct td_catalog_place){.started_us = INT64_MAX, .id = "\xff"};
}

static void place_set(struct td_catalog_place *place, int64_t started_us, const char *id)
{
    size_t len = strnlen(id, sizeof(place->id) - 1);
    place->started_us = started_us;
    memcpy(place->id, id, len);
    place->id[len] = '\0';
}

int td_catalog_place_find(struct td_database *db, const char *id,
                          struct td_catalog_place *ret_place)
{
    struct td_statement s = td_database_statement(db, TD_CATALOG_SQL_PLACE);
    td_statement_text(&s, id, TD_CATALOG_TEXT_MAX);
    int r = td_statement_step(&s);
    if (r == TD_STATEMENT_ROW) {
        place_set(ret_place, td_statement_column(&s, 0), id);
        return td_statement_end(&s, 0);
    }
    return td_statement_end(&s, r < 0 ? r : -ENOENT);
}

/* ---- pages ---- */

static int clamp_int(int64_t value)
{
    return value < 0 ? 0 : value > INT_MAX ? INT_MAX : (int)value;
}

/* The row that the statement stands on; `ret_bytes` is what the copy takes. */
static int row_copy(const struct td_statement *s, struct td_catalog_copy **ret_copy,
                    size_t *ret_bytes)
{
    int64_t bytes = td_statement_texts_bytes(s, ROW_ID, ROW_TEXTS);
    if (bytes < 0) {
        return (int)bytes;
    }
    if (td_statement_text_bytes(s, ROW_ID) >= TD_ID_MAX) {
        return -TD_E_DAMAGED; /* none was put; as a place it would be cut, and met again */
    }
    struct td_catalog_copy *copy = malloc(sizeof(*copy) + (size_t)bytes);
    if (copy == NULL) {
        return -ENOMEM;
    }
    const char *texts[ROW_TEXTS];
    td_statement_texts_copy(s, ROW_ID, ROW_TEXTS, copy->texts, texts);
    int64_t media_bytes = td_statement_column(s, ROW_BYTES);
    copy->next = NULL;
    copy->row = (struct td_catalog_row){
        .id = texts[ROW_ID],
        .room = texts[ROW_ROOM],
        .state = texts[ROW_STATE],
        .reason = texts[ROW_REASON],
        .source = texts[ROW_SOURCE],
        .folder = texts[ROW_FOLDER],
        .doc = texts[ROW_DOC],
        .request = texts[ROW_REQUEST],
        .started_us = td_statement_column(s, ROW_STARTED),
        .ended_us = td_statement_column(s, ROW_ENDED),
        .bytes = media_bytes > 0 ? (uint64_t)media_bytes : 0,
        .final = td_statement_column(s, ROW_FINAL) != 0,
        .hold = td_statement_column(s, ROW_HOLD) != 0,
        .attempts = clamp_int(td_statement_column(s, ROW_ATTEMPTS)),
    };
    *ret_copy = copy;
    *ret_bytes = sizeof(*copy) + (size_t)bytes;
    return 0;
}

static struct td_statement page_statement(struct td_database *db,
                                          const struct td_catalog_query *query,
                                          const struct td_catalog_place *place, unsigned limit)
{
    struct td_statement s;
    if (query->id != NULL) {
        s = td_database_statement(db, TD_CATALOG_SQL_ROW);
        td_statement_text(&s, query->id, TD_CATALOG_TEXT_MAX);
        td_statement_text_or_null(&s, query->room, TD_CATALOG_TEXT_MAX);
        td_statement_text_or_null(&s, query->state, TD_CATALOG_TEXT_MAX);
        td_statement_number(&s, query->unfinished ? 0 : 1);
        return s;
    }
    unsigned flags = (query->room != NULL ? TD_CATALOG_PAGE_ROOM : 0u) |
                     (query->state != NULL ? TD_CATALOG_PAGE_STATE : 0u) |
                     (query->unfinished ? TD_CATALOG_PAGE_UNFINISHED : 0u) |
                     (query->oldest_first ? TD_CATALOG_PAGE_OLDEST : 0u);
    s = td_database_statement(db, TD_CATALOG_SQL_PAGE + flags);
    td_statement_text_or_null(&s, query->room, TD_CATALOG_TEXT_MAX);
    td_statement_text_or_null(&s, query->state, TD_CATALOG_TEXT_MAX);
    td_statement_number(&s, place->started_us);
    td_statement_text(&s, place->id, TD_CATALOG_TEXT_MAX);
    td_statement_number(&s, limit);
    return s;
}

int td_catalog_page_read(struct td_database *db, const struct td_catalog_query *query,
                         const struct td_catalog_place *place, unsigned limit,
                         struct td_catalog_page *ret_page)
{
    limit = limit < TD_CATALOG_PAGE_ROWS ? limit : TD_CATALOG_PAGE_ROWS;
    struct td_catalog_page page = {.count = 0};
    struct td_catalog_copy **end = &page.first;
    size_t bytes = 0;
    struct td_statement s = page_statement(db, query, place, limit);
    int r = TD_STATEMENT_ROW;
    while (page.count < limit && bytes < TD_CATALOG_PAGE_BYTES &&
           (r = td_statement_step(&s)) == TD_STATEMENT_ROW) {
        size_t copied = 0;
        r = row_copy(&s, end, &copied);
        if (r < 0) {
            break;
        }
        page.count++;
        bytes += copied;
        place_set(&page.end, (*end)->row.started_us, (*end)->row.id);
        end = &(*end)->next;
        r = TD_STATEMENT_ROW;
    }
    page.more = r == TD_STATEMENT_ROW && query->id == NULL;
    r = td_statement_end(&s, r);
    if (r < 0) {
        td_catalog_page_free(&page);
        return r;
    }
    *ret_page = page;
    return 0;
}

void td_catalog_page_free(struct td_catalog_page *page)
{
    while (page->first != NULL) {
        struct td_catalog_copy *copy = page->first;
        page->first = copy->next;
        free(copy);
    }
}
