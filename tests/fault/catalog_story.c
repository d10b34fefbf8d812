/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog_story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "catalog_fixture.h"

int story_put(struct td_catalog *c, unsigned r, unsigned round)
{
    char id[TD_ID_MAX];
    char body[16];
    (void)snprintf(body, sizeof(body), "%u", round);
    struct td_catalog_row row = row_of(r, id);
    row.bytes = round;
    row.final = round == STORY_ROUNDS;
    struct td_catalog_letter letters[] = {
        {.recording = id, .url = r % 2 == 0 ? "even" : "odd", .body = body},
        {.recording = id, .url = "all", .body = body},
    };
    return td_catalog_put(c, &row, letters, 2);
}

/* True when the call succeeded. */
static bool told(struct story *s, int r)
{
    s->calls++;
    if (r < 0) {
        s->failed++;
        s->first_error = s->first_error < 0 ? s->first_error : r;
    }
    return r >= 0;
}

static int on_any_row(void *ctx, const struct td_catalog_row *row)
{
    size_t *bytes = ctx;
    *bytes += strlen(row->id) + strlen(row->doc) + strlen(row->request);
    return 0;
}

struct heads {
    int64_t ids[2 * STORY_ROWS * STORY_ROUNDS];
    unsigned count;
};

static int on_head(void *ctx, const struct td_catalog_outgoing *letter)
{
    struct heads *h = ctx;
    h->ids[h->count++] = letter->id;
    return h->count == sizeof(h->ids) / sizeof(h->ids[0]) ? 1 : 0;
}

static void tell_reading(struct td_catalog *c, struct story *s)
{
    size_t bytes = 0;
    struct td_catalog_query query = {.state = "recording", .before = "rec_2", .limit = 2};
    (void)told(s, td_catalog_each(c, &query, on_any_row, &bytes));
    (void)told(s, td_catalog_walk(c, true, on_any_row, &bytes));
    char digest[65];
    char recording[TD_ID_MAX];
    (void)told(s, td_catalog_key_get(c, "key", digest, sizeof(digest), recording));
    int64_t next_us;
    uint64_t count;
    (void)told(s, td_catalog_outbox_next(c, &next_us, &count));
}

static void tell_outbox(struct td_catalog *c, struct story *s)
{
    struct heads heads = {.count = 0};
    (void)told(s, td_catalog_outbox_due(c, INT64_MAX, 0, on_head, &heads));
    for (unsigned i = 0; i < heads.count; i++) {
        int r = i % 3 == 0 ? td_catalog_outbox_later(c, heads.ids[i], 5)
                           : td_catalog_outbox_done(c, heads.ids[i], i % 3 == 1);
        (void)told(s, r);
    }
    (void)told(s, td_catalog_outbox_replay(c, "rec_1", false));
    (void)told(s, td_catalog_outbox_replay(c, NULL, true));
}

void story_tell(struct td_catalog *c, struct story *ret_story)
{
    struct story s = {.calls = 0};
    for (unsigned round = 1; round <= STORY_ROUNDS; round++) {
        for (unsigned r = 0; r < STORY_ROWS; r++) {
            s.written[r] = told(&s, story_put(c, r, round)) ? round : s.written[r];
        }
        tell_outbox(c, &s);
    }
    s.attempted = told(&s, td_catalog_attempt(c, "rec_0", false));
    (void)told(&s, td_catalog_hold(c, "rec_1", true));
    s.key_kept = told(&s, td_catalog_key_put(c, "key", "digest", "rec_1"));
    tell_reading(c, &s);
    s.delete_tried = true;
    s.deleted = told(&s, td_catalog_delete(c, "rec_2"));
    *ret_story = s;
}

void story_check_whole(const char *path)
{
    assert_string_equal(sql_text(path, "PRAGMA integrity_check"), "ok");
    /* Letters of a put without the others; rows without the letters of their last put; recordings
     * and urls whose head is not the oldest that waits. */
    assert_int_equal(
        sql_number(path,
                   "SELECT (SELECT count(*) FROM (SELECT count(*) AS letters FROM outbox"
                   " JOIN bodies USING (id) GROUP BY recording, body) WHERE letters <> 2)"
                   " + (SELECT count(*) FROM recordings WHERE bytes <> (SELECT"
                   " max(cast(body AS INTEGER)) FROM outbox JOIN bodies USING (id)"
                   " WHERE recording = recordings.id))"
                   " + (SELECT count(*) FROM (SELECT sum(state = 1) AS heads, min(id) AS oldest,"
                   " max(iif(state = 1, id, 0)) AS head FROM outbox WHERE state <= 1"
                   " GROUP BY recording, url) WHERE heads <> 1 OR head <> oldest)"),
        0);
}

void story_check(const char *path, const struct story *story)
{
    story_check_whole(path);
    for (unsigned r = 0; r < STORY_ROWS; r++) {
        char sql[160];
        (void)snprintf(sql, sizeof(sql),
                       "SELECT count(*) FROM outbox JOIN bodies USING (id)"
                       " WHERE recording = 'rec_%u' AND body = '%u'",
                       r, story->written[r]);
        assert_true(story->written[r] == 0 || sql_number(path, sql) == 2);
        (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM recordings WHERE id = 'rec_%u'", r);
        bool may_be_gone = r + 1 == STORY_ROWS && story->delete_tried;
        int64_t count = sql_number(path, sql);
        assert_true(count == 1 || story->written[r] == 0 || may_be_gone);
        assert_true(count == 0 || r + 1 < STORY_ROWS || !story->deleted);
    }
    if (story->attempted) {
        assert_int_equal(sql_number(path, "SELECT attempts FROM recordings WHERE id = 'rec_0'"), 1);
    }
    if (story->key_kept) {
        assert_int_equal(sql_number(path, "SELECT count(*) FROM keys WHERE key = 'key'"), 1);
    }
}
