/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "catalog_fixture.h"

#define LETTERS_MAX 512u

/* A row with letters for these urls, whose bodies are "<url><n>". */
static void put_letters(struct shelf *s, unsigned row_n, const char *urls, unsigned first)
{
    char id[TD_ID_MAX];
    struct td_catalog_row row = row_of(row_n, id);
    struct td_catalog_letter letters[8];
    char url[8][2];
    char body[8][16];
    size_t count = strlen(urls);
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(url[i], sizeof(url[i]), "%c", urls[i]);
        (void)snprintf(body[i], sizeof(body[i]), "%c%u", urls[i], first + (unsigned)i);
        letters[i] = (struct td_catalog_letter){.recording = id, .url = url[i], .body = body[i]};
    }
    assert_int_equal(td_catalog_put(s->catalog, &row, letters, count), 0);
}

struct due {
    int64_t ids[LETTERS_MAX];
    unsigned tries[LETTERS_MAX];
    char text[1024]; /* "<recording>/<url>/<body> …" */
    unsigned count;
    unsigned stop_after;
    int answer;
};

static int on_letter(void *ctx, const struct td_catalog_outgoing *letter)
{
    struct due *due = ctx;
    assert_true(due->count < LETTERS_MAX);
    assert_true(llabs((long long)(letter->made_us - td_clock_wall_us())) < 600 * TD_US_PER_S);
    due->tries[due->count] = letter->tries;
    due->ids[due->count++] = letter->id;
    size_t len = strlen(due->text);
    (void)snprintf(due->text + len, sizeof(due->text) - len, "%s/%s ", letter->recording,
                   letter->body);
    return due->count == due->stop_after ? due->answer : 0;
}

static const struct due *due_at(struct shelf *s, int64_t now_us)
{
    static struct due due;
    due = (struct due){.count = 0};
    int count = td_catalog_outbox_due(s->catalog, now_us, 0, on_letter, &due);
    assert_int_equal(count, due.count);
    return &due;
}

static void assert_next(struct shelf *s, int64_t next_us, uint64_t count)
{
    int64_t found_us = -1;
    uint64_t found = 0;
    assert_int_equal(td_catalog_outbox_next(s->catalog, &found_us, &found), 0);
    assert_true(found_us == next_us);
    assert_true(found == count);
}

static void test_order(void **state)
{
    struct shelf *s = *state;
    int64_t now = td_clock_wall_us();
    assert_int_equal(due_at(s, now)->count, 0);
    assert_next(s, INT64_MAX, 0);
    put_letters(s, 1, "abaa", 1);
    put_letters(s, 2, "a", 5);
    /* The first of each recording and url. */
    const struct due *due = due_at(s, now);
    assert_string_equal(due->text, "rec_1/a1 rec_1/b2 rec_2/a5 ");
    assert_next(s, 0, 5);
    /* One fails and waits; what is behind it waits too, other rows go on. */
    assert_int_equal(td_catalog_outbox_later(s->catalog, due->ids[0], now + 1000), 0);
    assert_int_equal(td_catalog_outbox_done(s->catalog, due->ids[1], true), 0);
    assert_string_equal(due_at(s, now)->text, "rec_2/a5 ");
    assert_next(s, 0, 4);
    assert_int_equal(td_catalog_outbox_done(s->catalog, due->ids[0], true), 0);
    assert_int_equal(due_at(s, now)->count, 0);
    assert_next(s, now + 1000, 3);
    assert_int_equal(due_at(s, now + 999)->count, 0);
    due = due_at(s, now + 1000);
    assert_string_equal(due->text, "rec_1/a1 ");
    assert_int_equal(due->tries[0], 1);
    /* Delivered at last: the next is due at once. */
    assert_int_equal(td_catalog_outbox_done(s->catalog, due->ids[0], true), 0);
    due = due_at(s, now);
    assert_string_equal(due->text, "rec_1/a3 ");
    assert_int_equal(due->tries[0], 0);
    /* Given up: the next one's turn, after a restart as well. */
    assert_int_equal(td_catalog_outbox_done(s->catalog, due->ids[0], false), 0);
    shelf_close(s);
    shelf_open(s);
    due = due_at(s, now);
    assert_string_equal(due->text, "rec_1/a4 ");
    assert_int_equal(td_catalog_outbox_done(s->catalog, due->ids[0], true), 0);
    assert_next(s, INT64_MAX, 0);
}

static void test_unknown(void **state)
{
    struct shelf *s = *state;
    assert_int_equal(td_catalog_outbox_done(s->catalog, 1, true), TD_CATALOG_NONE);
    assert_int_equal(td_catalog_outbox_later(s->catalog, 1, 1), TD_CATALOG_NONE);
    assert_int_equal(td_catalog_outbox_replay(s->catalog, NULL, true), 0);
    put_letters(s, 1, "a", 1);
    assert_int_equal(td_catalog_outbox_done(s->catalog, 1, false), 0);
    assert_int_equal(td_catalog_outbox_done(s->catalog, 1, true), TD_CATALOG_NONE);
    assert_int_equal(td_catalog_outbox_later(s->catalog, 1, 1), TD_CATALOG_NONE);
}

static void test_replay(void **state)
{
    struct shelf *s = *state;
    int64_t now = td_clock_wall_us();
    put_letters(s, 1, "aaaa", 1);
    put_letters(s, 2, "a", 5);
    assert_int_equal(td_catalog_outbox_later(s->catalog, 1, now), 0);
    assert_int_equal(td_catalog_outbox_done(s->catalog, 1, false), 0);
    assert_int_equal(td_catalog_outbox_done(s->catalog, 2, true), 0);
    assert_int_equal(td_catalog_outbox_done(s->catalog, 5, false), 0);
    assert_string_equal(due_at(s, now)->text, "rec_1/a3 ");
    /* Letter 1 comes before the one that is on its way, which is answered nonetheless. */
    assert_int_equal(td_catalog_outbox_replay(s->catalog, "rec_1", false), 1);
    const struct due *due = due_at(s, now);
    assert_string_equal(due->text, "rec_1/a1 ");
    assert_int_equal(due->tries[0], 0);
    assert_int_equal(td_catalog_outbox_done(s->catalog, 3, true), 0);
    assert_string_equal(due_at(s, now)->text, "rec_1/a1 ");
    assert_next(s, 0, 2);
    assert_int_equal(td_catalog_outbox_done(s->catalog, 1, true), 0);
    assert_string_equal(due_at(s, now)->text, "rec_1/a4 ");
    /* All, delivered ones as well, in the old order. */
    assert_int_equal(td_catalog_outbox_replay(s->catalog, NULL, true), 4);
    for (int64_t id = 1; id <= 4; id++) {
        due = due_at(s, now);
        assert_int_equal(due->count, 2 - (id > 1 ? 1 : 0));
        assert_int_equal(due->ids[0], id);
        if (id == 1) {
            assert_int_equal(td_catalog_outbox_done(s->catalog, 5, true), 0);
        }
        assert_int_equal(td_catalog_outbox_done(s->catalog, id, true), 0);
    }
    assert_int_equal(due_at(s, now)->count, 0);
}

/* Deleting a recording takes no word back that was given. */
static void test_survives_delete(void **state)
{
    struct shelf *s = *state;
    put_letters(s, 1, "ab", 1);
    assert_int_equal(td_catalog_delete(s->catalog, "rec_1"), 0);
    assert_string_equal(due_at(s, td_clock_wall_us())->text, "rec_1/a1 rec_1/b2 ");
}

static void test_limit(void **state)
{
    struct shelf *s = *state;
    int64_t now = td_clock_wall_us();
    for (unsigned n = 0; n < 20; n++) {
        put_letters(s, n, "a", n);
    }
    struct due due = {.count = 0};
    assert_int_equal(td_catalog_outbox_due(s->catalog, now, 7, on_letter, &due), 7);
    due = (struct due){.stop_after = 3, .answer = 1};
    assert_int_equal(td_catalog_outbox_due(s->catalog, now, 0, on_letter, &due), 3);
    due = (struct due){.stop_after = 3, .answer = -ENOMEM};
    assert_int_equal(td_catalog_outbox_due(s->catalog, now, 0, on_letter, &due), -ENOMEM);
    assert_int_equal(due.count, 3);
    assert_int_equal(td_catalog_outbox_due(s->catalog, INT64_MAX, 1, on_letter, &due), 1);
    /* Bodies that are larger than a batch come in several. */
    char *body = malloc(TD_CATALOG_TEXT_MAX);
    assert_non_null(body);
    memset(body, 'x', TD_CATALOG_TEXT_MAX - 1);
    body[TD_CATALOG_TEXT_MAX - 1] = '\0';
    char id[TD_ID_MAX];
    struct td_catalog_row row = row_of(30, id);
    struct td_catalog_letter letters[3] = {
        {.recording = id, .url = "a", .body = body},
        {.recording = id, .url = "b", .body = body},
        {.recording = id, .url = "c", .body = body},
    };
    assert_int_equal(td_catalog_put(s->catalog, &row, letters, 3), 0);
    free(body);
    due = (struct due){.count = 0};
    assert_int_equal(td_catalog_outbox_due(s->catalog, now, 0, on_letter, &due), 23);
    due = (struct due){.count = 0};
    assert_int_equal(td_catalog_outbox_due(s->catalog, now, 22, on_letter, &due), 22);
}

static void test_prune(void **state)
{
    struct shelf *s = *state;
    put_letters(s, 1, "abc", 1);
    assert_int_equal(td_catalog_outbox_done(s->catalog, 1, true), 0);
    assert_int_equal(td_catalog_outbox_done(s->catalog, 2, false), 0);
    put_letters(s, 2, "a", 4);
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM outbox"), 4);
    sql_run(s->path, "UPDATE outbox SET ended_us = ended_us - 86400000001, made_us = 0");
    put_letters(s, 3, "", 5); /* no new letter, no work */
    assert_int_equal(sql_number(s->path, "SELECT count(*) FROM outbox"), 4);
    put_letters(s, 3, "a", 5);
    assert_string_equal(sql_text(s->path, "SELECT group_concat(body) FROM bodies"), "c3,a4,a5");
    /* Ids are not used twice, even of the newest. */
    assert_int_equal(td_catalog_outbox_done(s->catalog, 5, true), 0);
    sql_run(s->path, "UPDATE outbox SET ended_us = 1 WHERE id = 5");
    put_letters(s, 3, "b", 6);
    assert_int_equal(sql_number(s->path, "SELECT max(id) FROM outbox"), 6);
}

/* ---- against a model ---- */

enum model_state { WAITS, DELIVERED, GIVEN_UP };

struct model {
    unsigned pair[LETTERS_MAX]; /* recording * 2 + url */
    enum model_state state[LETTERS_MAX];
    int64_t due_us[LETTERS_MAX];
    unsigned count; /* letter i has id i + 1 */
};

static bool model_is_head(const struct model *m, unsigned i)
{
    for (unsigned k = 0; k < i; k++) {
        if (m->pair[k] == m->pair[i] && m->state[k] == WAITS) {
            return false;
        }
    }
    return m->state[i] == WAITS;
}

static void model_compare(struct shelf *s, const struct model *m, int64_t now_us)
{
    const struct due *due = due_at(s, now_us);
    unsigned at = 0;
    uint64_t waiting = 0;
    int64_t next_us = INT64_MAX;
    for (unsigned i = 0; i < m->count; i++) {
        bool head = model_is_head(m, i);
        waiting += m->state[i] == WAITS ? 1 : 0;
        if (head && m->due_us[i] < next_us) {
            next_us = m->due_us[i];
        }
        if (head && m->due_us[i] <= now_us) {
            assert_true(at < due->count);
            assert_int_equal(due->ids[at++], i + 1);
        }
    }
    assert_int_equal(at, due->count);
    assert_next(s, next_us, waiting);
}

static void model_put(struct shelf *s, struct model *m, unsigned pair, unsigned letters)
{
    char urls[4] = "";
    for (unsigned i = 0; i < letters; i++) {
        urls[i] = pair % 2 == 0 ? 'a' : 'b';
        m->pair[m->count] = pair;
        m->due_us[m->count] = 0;
        m->state[m->count++] = WAITS;
    }
    put_letters(s, pair / 2, urls, m->count);
}

static void model_end(struct shelf *s, struct model *m, unsigned i, enum model_state how)
{
    int expected = m->state[i] == WAITS ? 0 : TD_CATALOG_NONE;
    assert_int_equal(td_catalog_outbox_done(s->catalog, i + 1, how == DELIVERED), expected);
    m->state[i] = expected == 0 ? how : m->state[i];
}

static void model_later(struct shelf *s, struct model *m, unsigned i, int64_t next_us)
{
    int expected = m->state[i] == WAITS ? 0 : TD_CATALOG_NONE;
    assert_int_equal(td_catalog_outbox_later(s->catalog, i + 1, next_us), expected);
    m->due_us[i] = expected == 0 ? next_us : m->due_us[i];
}

static void model_replay(struct shelf *s, struct model *m, int recording, bool delivered)
{
    int count = 0;
    for (unsigned i = 0; i < m->count; i++) {
        if ((m->state[i] == GIVEN_UP || (delivered && m->state[i] == DELIVERED)) &&
            (recording < 0 || m->pair[i] / 2 == (unsigned)recording)) {
            m->state[i] = WAITS;
            m->due_us[i] = 0;
            count++;
        }
    }
    char id[TD_ID_MAX];
    (void)row_of((unsigned)(recording < 0 ? 0 : recording), id);
    assert_int_equal(td_catalog_outbox_replay(s->catalog, recording < 0 ? NULL : id, delivered),
                     count);
}

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* The letter that most calls are about: one of the oldest that wait, as in life. */
static unsigned model_pick(const struct model *m, uint32_t random)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (m->state[i] == WAITS && random % 3 == 0) {
            return i;
        }
        random /= 3;
    }
    return random % m->count;
}

static void test_model(void **state)
{
    struct shelf *s = *state;
    const char *text = getenv("TD_TEST_SEED");
    uint32_t seed = text != NULL ? (uint32_t)strtoul(text, NULL, 10)
                                 : (uint32_t)td_clock_wall_us() & 0xffffff;
    print_message("# TD_TEST_SEED=%u\n", seed);
    static struct model m;
    m.count = 0;
    for (unsigned step = 0; step < 1500; step++) {
        uint32_t r = random_next(&seed);
        uint32_t what = r % 16;
        uint32_t detail = random_next(&seed);
        if (m.count == 0 || (what < 4 && m.count + 3 < LETTERS_MAX)) {
            model_put(s, &m, detail % 6, 1 + detail / 6 % 3);
        } else if (what < 9) {
            model_end(s, &m, model_pick(&m, detail), DELIVERED);
        } else if (what < 11) {
            model_end(s, &m, model_pick(&m, detail), GIVEN_UP);
        } else if (what < 15) {
            model_later(s, &m, model_pick(&m, detail), detail % 100);
        } else {
            model_replay(s, &m, (int)(detail % 4) - 1, detail / 4 % 4 == 0);
        }
        model_compare(s, &m, detail % 100);
    }
    assert_true(m.count > 100);
}

#define SHELF_TEST(test) cmocka_unit_test_setup_teardown(test, shelf_setup, shelf_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELF_TEST(test_order), SHELF_TEST(test_unknown),         SHELF_TEST(test_replay),
        SHELF_TEST(test_limit), SHELF_TEST(test_survives_delete), SHELF_TEST(test_prune),
        SHELF_TEST(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
