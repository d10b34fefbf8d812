/* SPDX-License-Identifier: Apache-2.0 */
#include "store/outbox.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "store/catalog_schema.h"

enum { LETTER_RECORDING, LETTER_URL, LETTER_BODY, LETTER_TEXTS };
enum { LETTER_ID = LETTER_TEXTS, LETTER_MADE, LETTER_TRIES };

static int outbox_prune(struct td_database *db, int64_t now_us)
{
    struct td_statement s = td_database_statement(db, TD_CATALOG_SQL_OUTBOX_PRUNE);
    td_statement_number(&s, now_us - TD_CATALOG_KEEP_US);
    return td_statement_run(&s);
}

static int letter_put(struct td_database *db, const struct td_catalog_letter *letter,
                      int64_t now_us)
{
    struct td_statement s = td_database_statement(db, TD_CATALOG_SQL_OUTBOX_PUT);
    td_statement_text(&s, letter->recording, TD_CATALOG_TEXT_MAX);
    td_statement_text(&s, letter->url, TD_CATALOG_TEXT_MAX);
    td_statement_number(&s, now_us);
    int r = td_statement_run(&s);
    if (r < 0) {
        return r;
    }
    s = td_database_statement(db, TD_CATALOG_SQL_OUTBOX_BODY);
    td_statement_text(&s, letter->body, TD_CATALOG_TEXT_MAX);
    return td_statement_run(&s);
}

int td_outbox_put(struct td_database *db, const struct td_catalog_letter *letters, size_t count,
                  int64_t now_us)
{
    int r = count > 0 ? outbox_prune(db, now_us) : 0;
    for (size_t i = 0; i < count && r >= 0; i++) {
        r = letter_put(db, &letters[i], now_us);
    }
    return r < 0 ? r : 0;
}

static int letter_copy(const struct td_statement *s, struct td_outbox_copy **ret_copy,
                       size_t *ret_bytes)
{
    int64_t bytes = td_statement_texts_bytes(s, LETTER_RECORDING, LETTER_TEXTS);
    if (bytes < 0) {
        return (int)bytes;
    }
    struct td_outbox_copy *copy = malloc(sizeof(*copy) + (size_t)bytes);
    if (copy == NULL) {
        return -ENOMEM;
    }
    const char *texts[LETTER_TEXTS];
    td_statement_texts_copy(s, LETTER_RECORDING, LETTER_TEXTS, copy->texts, texts);
    int64_t tries = td_statement_column(s, LETTER_TRIES);
    copy->next = NULL;
    copy->letter = (struct td_catalog_outgoing){
        .id = td_statement_column(s, LETTER_ID),
        .recording = texts[LETTER_RECORDING],
        .url = texts[LETTER_URL],
        .body = texts[LETTER_BODY],
        .made_us = td_statement_column(s, LETTER_MADE),
        .tries = tries < 0          ? 0
                 : tries > UINT_MAX ? UINT_MAX
                                    : (unsigned)tries,
    };
    *ret_copy = copy;
    *ret_bytes = sizeof(*copy) + (size_t)bytes;
    return 0;
}

int td_outbox_due(struct td_database *db, int64_t now_us, int64_t after_id, unsigned limit,
                  struct td_outbox_batch *ret_batch)
{
    struct td_outbox_batch batch = {.last_id = after_id};
    struct td_outbox_copy **end = &batch.first;
    size_t bytes = 0;
    struct td_statement s = td_database_statement(db, TD_CATALOG_SQL_OUTBOX_DUE);
    td_statement_number(&s, now_us);
    td_statement_number(&s, after_id);
    td_statement_number(&s, limit);
    int r = TD_STATEMENT_ROW;
    while (bytes < TD_OUTBOX_BATCH_BYTES && (r = td_statement_step(&s)) == TD_STATEMENT_ROW) {
        size_t copied = 0;
        r = letter_copy(&s, end, &copied);
        if (r < 0) {
            break;
        }
        batch.count++;
        bytes += copied;
        batch.last_id = (*end)->letter.id;
        end = &(*end)->next;
        r = TD_STATEMENT_ROW;
    }
    batch.more = r == TD_STATEMENT_ROW;
    r = td_statement_end(&s, r);
    if (r < 0) {
        td_outbox_batch_free(&batch);
        return r;
    }
    *ret_batch = batch;
    return 0;
}

void td_outbox_batch_free(struct td_outbox_batch *batch)
{
    while (batch->first != NULL) {
        struct td_outbox_copy *copy = batch->first;
        batch->first = copy->next;
        free(copy);
    }
}

int td_outbox_done(struct td_database *db, int64_t id, bool delivered, int64_t now_us)
{
    struct td_statement s = td_database_statement(db, TD_CATALOG_SQL_OUTBOX_END);
    td_statement_number(&s, id);
    td_statement_number(&s, delivered ? TD_OUTBOX_DELIVERED : TD_OUTBOX_GIVEN_UP);
    td_statement_number(&s, now_us);
    int r = td_statement_run(&s);
    if (r <= 0) {
        return r < 0 ? r : TD_CATALOG_NONE;
    }
    s = td_database_statement(db, TD_CATALOG_SQL_OUTBOX_PROMOTE);
    td_statement_number(&s, id);
    r = td_statement_run(&s);
    return r < 0 ? r : 0;
}

int td_outbox_later(struct td_database *db, int64_t id, int64_t next_us)
{
    struct td_statement s = td_database_statement(db, TD_CATALOG_SQL_OUTBOX_LATER);
    td_statement_number(&s, id);
    td_statement_number(&s, next_us);
    int r = td_statement_run(&s);
    return r < 0 ? r : r == 0 ? TD_CATALOG_NONE : 0;
}

/* The only number of a statement's first row, or `otherwise`. */
static int outbox_number(struct td_database *db, size_t which, int64_t otherwise,
                         int64_t *ret_number)
{
    struct td_statement s = td_database_statement(db, which);
    int r = td_statement_step(&s);
    if (r >= 0) {
        *ret_number = r == TD_STATEMENT_ROW ? td_statement_column(&s, 0) : otherwise;
    }
    return td_statement_end(&s, r < 0 ? r : 0);
}

int td_outbox_next(struct td_database *db, int64_t *ret_next_us, uint64_t *ret_count)
{
    int64_t next_us = 0;
    int64_t count = 0;
    int r = outbox_number(db, TD_CATALOG_SQL_OUTBOX_NEXT, INT64_MAX, &next_us);
    r = r < 0 ? r : outbox_number(db, TD_CATALOG_SQL_OUTBOX_COUNT, 0, &count);
    if (r == 0) {
        *ret_next_us = next_us;
        *ret_count = (uint64_t)count;
    }
    return r;
}

int td_outbox_replay(struct td_database *db, const char *recording, bool delivered)
{
    struct td_statement s = td_database_statement(db, TD_CATALOG_SQL_OUTBOX_REVIVE);
    td_statement_text_or_null(&s, recording, TD_CATALOG_TEXT_MAX);
    td_statement_number(&s, delivered ? 1 : 0);
    int count = td_statement_run(&s);
    if (count <= 0) {
        return count;
    }
    static const enum td_catalog_sql heads[] = {TD_CATALOG_SQL_OUTBOX_DEMOTE,
                                                TD_CATALOG_SQL_OUTBOX_PROMOTE_ALL};
    int r = 0;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]) && r >= 0; i++) {
        s = td_database_statement(db, heads[i]);
        td_statement_text_or_null(&s, recording, TD_CATALOG_TEXT_MAX);
        r = td_statement_run(&s);
    }
    return r < 0 ? r : count;
}
