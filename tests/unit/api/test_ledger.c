/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ledger.h"

#include <errno.h>
#include <glib-unix.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fixture.h"

#define TOLD_MAX 256u
#define WAIT_US (20 * TD_US_PER_S)

struct told {
    char id[TD_ID_MAX];
    char state[32];
    bool final;
    int error;
};

struct desk {
    struct fixture f;
    struct td_log log;
    struct td_recorder recorder;
    struct td_mailbox *control;
    guint mailbox_source;
    struct td_catalog *catalog;
    struct td_ledger *ledger;
    struct told told[TOLD_MAX];
    unsigned told_count;
    atomic_bool may_go; /* a job that holds the store thread up */
    atomic_uint held;
    unsigned jobs_done;
};

static struct desk d;

static gboolean on_mail(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    (void)td_mailbox_drain(data);
    return G_SOURCE_CONTINUE;
}

static void on_written(void *ctx, const char *id, json_t *doc, bool final, int error)
{
    struct desk *desk = ctx;
    assert_true(desk->told_count < TOLD_MAX);
    struct told *t = &desk->told[desk->told_count++];
    (void)snprintf(t->id, sizeof(t->id), "%s", id);
    (void)snprintf(t->state, sizeof(t->state), "%s",
                   json_string_value(json_object_get(doc, "state")));
    t->final = final;
    t->error = error;
}

static void open_desk(void)
{
    memset(&d, 0, sizeof(d));
    fixture_init(&d.f);
    fixture_store(&d.f, 4, -1);
    td_log_init(&d.log, -1, TD_LOG_ERROR);
    assert_int_equal(td_mailbox_new(4096, &d.control), 0);
    d.mailbox_source = g_unix_fd_add(td_mailbox_fd(d.control), G_IO_IN, on_mail, d.control);
    d.recorder = (struct td_recorder){
        .fs = td_fs_posix(), .store = d.f.store, .control = d.control, .log = &d.log};
    char path[TD_PATH_MAX];
    struct td_fail fail = {.code = 0};
    (void)snprintf(path, sizeof(path), "%s/catalog.db", d.f.shm);
    assert_int_equal(td_catalog_open(path, &fail, &d.catalog), 0);
    struct td_ledger_config config = {
        .recorder = &d.recorder, .catalog = d.catalog, .ctx = &d, .written = on_written};
    assert_int_equal(td_ledger_new(&config, &d.ledger), 0);
}

static void close_desk(void)
{
    atomic_store(&d.may_go, true);
    d.ledger = td_ledger_free(d.ledger);
    fixture_store_done(&d.f); /* what was posted is done */
    (void)td_mailbox_drain(d.control);
    assert_true(g_source_remove(d.mailbox_source));
    d.control = td_mailbox_free(d.control);
    d.catalog = td_catalog_close(d.catalog);
    fixture_done(&d.f);
}

#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        int64_t until_us = td_clock_now_us() + WAIT_US;                                            \
        while (!(condition)) {                                                                     \
            assert_true(td_clock_now_us() < until_us);                                             \
            (void)g_main_context_iteration(NULL, FALSE);                                           \
        }                                                                                          \
    } while (0)

static json_t *doc_of(const char *id, const char *state)
{
    json_t *doc = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:n}", "id", id, "room", "blue",
                            "state", state, "reason", "", "source", "livekit", "folder", "f",
                            "bytes", (json_int_t)7, "started_at", "2026-11-21T09:30:00.000Z",
                            "ended_at");
    assert_non_null(doc);
    return doc;
}

static void write_state(const char *id, const char *state, bool final)
{
    struct td_ledger_entry entry = {.doc = doc_of(id, state), .final = final, .attempts = -1};
    assert_int_equal(td_ledger_write(d.ledger, &entry), 0);
}

struct row {
    unsigned count;
    char state[32];
    char request[64];
    bool final;
    bool hold;
    int attempts;
};

static int on_row(void *ctx, const struct td_catalog_row *row)
{
    struct row *r = ctx;
    r->count++;
    (void)snprintf(r->state, sizeof(r->state), "%s", row->state);
    (void)snprintf(r->request, sizeof(r->request), "%s", row->request);
    r->final = row->final;
    r->hold = row->hold;
    r->attempts = row->attempts;
    return 0;
}

static struct row row_of(const char *id)
{
    struct row row = {.count = 0};
    struct td_catalog_query query = {.id = id, .limit = 1};
    assert_true(td_catalog_each(d.catalog, &query, on_row, &row) >= 0);
    return row;
}

/* Every write of a file fails from now on, as on a disk that is full. */
static void fill_disk(bool full)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 0 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    if (full)
        assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
}

static int hold_up(void *arg)
{
    struct desk *desk = arg;
    atomic_fetch_add(&desk->held, 1);
    int64_t until_us = td_clock_now_us() + WAIT_US;
    while (!atomic_load(&desk->may_go) && td_clock_now_us() < until_us)
        ;
    return 0;
}

static int no_job(void *arg)
{
    (void)arg;
    return 0;
}

static void on_job_done(void *target, const void *payload)
{
    (void)payload;
    ((struct desk *)target)->jobs_done++;
}

static void hold_store(void)
{
    assert_int_equal(td_catalog_post(d.f.store, hold_up, &d, d.control, on_job_done, &d), 0);
    int64_t until_us = td_clock_now_us() + WAIT_US;
    while (atomic_load(&d.held) == 0)
        assert_true(td_clock_now_us() < until_us);
}

/* ---- tests ---- */

static void test_order(void **state)
{
    (void)state;
    char word[32];
    open_desk();
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(word, sizeof(word), "state%u", i);
        write_state(i % 2 == 0 ? "rec_a" : "rec_b", word, i >= 98);
    }
    assert_int_equal(d.told_count, 0); /* never from within the call */
    assert_int_equal(td_ledger_pending(d.ledger), 100);
    assert_int_equal(td_ledger_unwritten(d.ledger), 0);
    RUN_UNTIL(d.told_count == 100);
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(word, sizeof(word), "state%u", i);
        assert_string_equal(d.told[i].state, word);
        assert_string_equal(d.told[i].id, i % 2 == 0 ? "rec_a" : "rec_b");
        assert_int_equal(d.told[i].error, 0);
        assert_int_equal(d.told[i].final, i >= 98);
    }
    assert_int_equal(td_ledger_pending(d.ledger), 0);
    assert_string_equal(row_of("rec_a").state, "state98");
    assert_string_equal(row_of("rec_b").state, "state99");
    assert_true(row_of("rec_b").final);
    close_desk();
}

/* What is told is there by then. */
static void test_written_before_it_is_told(void **state)
{
    (void)state;
    open_desk();
    hold_store();
    write_state("rec_a", "recording", false);
    assert_int_equal(row_of("rec_a").count, 0);
    atomic_store(&d.may_go, true);
    RUN_UNTIL(d.told_count == 1);
    assert_string_equal(row_of("rec_a").state, "recording");
    close_desk();
}

static int count_letter(void *ctx, const struct td_catalog_outgoing *letter)
{
    unsigned *count = ctx;
    assert_string_equal(letter->recording, "rec_a");
    assert_string_equal(letter->url, "http://u");
    ++*count;
    return 0;
}

/* Columns that an entry leaves alone stay; letters go in with it. */
static void test_columns(void **state)
{
    (void)state;
    open_desk();
    struct td_catalog_letter letters[] = {{"rec_a", "http://u", "one"},
                                          {"rec_a", "http://u", "two"}};
    struct td_ledger_entry entry = {.doc = doc_of("rec_a", "recording"),
                                    .request = "{\"token\":\"t\"}",
                                    .hold = true,
                                    .attempts = 2,
                                    .letters = letters,
                                    .letter_count = 2};
    assert_int_equal(td_ledger_write(d.ledger, &entry), 0);
    entry.doc = doc_of("rec_a", "complete");
    entry.request = NULL;
    entry.attempts = -1;
    entry.letter_count = 0;
    entry.final = true;
    assert_int_equal(td_ledger_write(d.ledger, &entry), 0);
    RUN_UNTIL(d.told_count == 2);
    struct row row = row_of("rec_a");
    assert_string_equal(row.request, "{\"token\":\"t\"}");
    assert_int_equal(row.attempts, 2);
    assert_true(row.hold);
    assert_string_equal(row.state, "complete");
    unsigned count = 0;
    int n = td_catalog_outbox_due(d.catalog, INT64_MAX / 2, 10, count_letter, &count);
    assert_int_equal(n, 1); /* the first one; the second waits behind it */
    uint64_t waiting = 0;
    int64_t next_us = 0;
    assert_int_equal(td_catalog_outbox_next(d.catalog, &next_us, &waiting), 0);
    assert_int_equal(waiting, 2);
    close_desk();
}

/* A full disk: each state is told once, that it could not be written; all are written when it can
 * be, in their order. */
static void test_full_disk(void **state)
{
    (void)state;
    open_desk();
    write_state("rec_a", "starting", false);
    RUN_UNTIL(d.told_count == 1);
    fill_disk(true);
    write_state("rec_a", "waiting", false);
    write_state("rec_b", "starting", false);
    write_state("rec_a", "recording", false);
    RUN_UNTIL(d.told_count == 4);
    for (unsigned i = 1; i < 4; i++)
        assert_true(d.told[i].error < 0);
    assert_string_equal(d.told[3].state, "recording");
    assert_int_equal(td_ledger_unwritten(d.ledger), 3);
    assert_int_equal(td_ledger_pending(d.ledger), 3);
    assert_string_equal(row_of("rec_a").state, "starting");
    /* One that comes while it is full is told with the next try. */
    write_state("rec_a", "finishing", false);
    RUN_UNTIL(d.told_count == 5);
    assert_true(d.told[4].error < 0);
    assert_string_equal(d.told[4].state, "finishing");
    fill_disk(false);
    write_state("rec_a", "complete", true);
    RUN_UNTIL(td_ledger_pending(d.ledger) == 0);
    assert_int_equal(td_ledger_unwritten(d.ledger), 0);
    assert_int_equal(d.told_count, 6); /* only what had not been told */
    assert_int_equal(d.told[5].error, 0);
    assert_string_equal(d.told[5].state, "complete");
    assert_true(d.told[5].final);
    assert_string_equal(row_of("rec_a").state, "complete");
    assert_string_equal(row_of("rec_b").state, "starting");
    write_state("rec_b", "recording", false); /* as if nothing had been */
    RUN_UNTIL(d.told_count == 7);
    assert_int_equal(d.told[6].error, 0);
    close_desk();
}

/* Freed while an entry is on its way: it is written, and nobody is told. */
static void test_freed_on_the_way(void **state)
{
    (void)state;
    open_desk();
    hold_store();
    write_state("rec_a", "recording", false);
    write_state("rec_a", "complete", true); /* behind it: never sent */
    d.ledger = td_ledger_free(d.ledger);
    atomic_store(&d.may_go, true);
    RUN_UNTIL(d.jobs_done == 1 && row_of("rec_a").count == 1);
    fixture_store_done(&d.f);
    (void)td_mailbox_drain(d.control);
    assert_int_equal(d.told_count, 0);
    assert_string_equal(row_of("rec_a").state, "recording");
    close_desk();
}

static void test_freed_while_it_waits(void **state)
{
    (void)state;
    open_desk();
    fill_disk(true);
    write_state("rec_a", "recording", false);
    write_state("rec_a", "complete", true);
    RUN_UNTIL(d.told_count == 2);
    d.ledger = td_ledger_free(d.ledger);
    fill_disk(false);
    close_desk();
    assert_int_equal(d.told_count, 2);
}

/* So much waits for the store thread that it takes no more: it is asked again. */
static void test_store_behind(void **state)
{
    (void)state;
    open_desk();
    hold_store();
    unsigned posted = 0;
    while (td_catalog_post(d.f.store, no_job, NULL, NULL, NULL, NULL) == 0)
        assert_true(posted++ < 1000000);
    write_state("rec_a", "recording", false);
    write_state("rec_a", "complete", true);
    assert_int_equal(td_ledger_pending(d.ledger), 2);
    atomic_store(&d.may_go, true);
    RUN_UNTIL(d.told_count == 2);
    assert_int_equal(d.told[0].error, 0);
    assert_string_equal(row_of("rec_a").state, "complete");
    close_desk();
}

static void test_freed_while_the_store_is_behind(void **state)
{
    (void)state;
    open_desk();
    hold_store();
    while (td_catalog_post(d.f.store, no_job, NULL, NULL, NULL, NULL) == 0)
        ;
    write_state("rec_a", "recording", false);
    d.ledger = td_ledger_free(d.ledger);
    close_desk();
    assert_int_equal(d.told_count, 0);
}

static void test_row(void **state)
{
    (void)state;
    json_t *doc = json_pack("{s:s,s:s,s:i,s:b,s:s,s:s}", "id", "rec_a", "room", "blue", "bytes", -5,
                            "hold", 1, "started_at", "2026-11-21T09:30:00.000Z", "ended_at",
                            "soon");
    struct td_catalog_row row = td_ledger_row(doc, "text");
    assert_string_equal(row.id, "rec_a");
    assert_string_equal(row.room, "blue");
    assert_string_equal(row.state, "");
    assert_string_equal(row.doc, "text");
    assert_true(row.bytes == 0);
    assert_true(row.hold);
    assert_true(row.started_us == INT64_C(1795253400000000));
    assert_true(row.ended_us == 0);
    assert_int_equal(row.attempts, -1);
    assert_null(row.request);
    json_decref(doc);
    doc = json_object();
    row = td_ledger_row(doc, "");
    assert_string_equal(row.id, "");
    assert_true(row.started_us == 0);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_written_before_it_is_told),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_freed_on_the_way),
        cmocka_unit_test(test_freed_while_it_waits),
        cmocka_unit_test(test_store_behind),
        cmocka_unit_test(test_freed_while_the_store_is_behind),
        cmocka_unit_test(test_row),
    };
    return cmocka_run_group_tests_name("api/ledger", tests, NULL, NULL);
}
