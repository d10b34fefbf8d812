/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "store/scribe.h"

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_init(&fixture);
    fixture_store(&fixture, 2, -1);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_done(*state);
    return 0;
}

static void test_order(void **state)
{
    struct fixture *f = *state;
    char manifest[TD_PATH_MAX];
    char timeline[TD_PATH_MAX];
    (void)fixture_path(f, "manifest.json", manifest);
    (void)fixture_path(f, "timeline.jsonl", timeline);
    char expected[4096];
    size_t len = 0;
    char line[32];
    for (int i = 0; i < 100; i++) {
        int n = snprintf(line, sizeof(line), "line %d\n", i);
        memcpy(expected + len, line, (size_t)n);
        len += (size_t)n;
        assert_int_equal(td_store_append(f->store, timeline, line, (size_t)n), 0);
        assert_int_equal(td_store_replace(f->store, manifest, line, (size_t)n), 0);
    }
    memset(line, 0, sizeof(line)); /* they are copies */
    int first = 1;
    fixture_store_done(f);
    assert_content(timeline, expected, len);
    assert_content(manifest, "line 99\n", 8);
    assert_int_equal(folder_count(f->disk), 2);
    fixture_store(f, 2, -1);
    assert_int_equal(td_store_scribe_errors(f->store, &first), 0);
    assert_int_equal(first, 0);
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    char good[TD_PATH_MAX];
    (void)fixture_path(f, "missing/manifest.json", path);
    (void)fixture_path(f, "good", good);
    assert_int_equal(td_store_replace(f->store, path, "x", 1), 0);
    assert_int_equal(td_store_append(f->store, path, "x", 1), 0);
    assert_int_equal(td_store_append(f->store, good, "y", 1), 0);
    int first = 0;
    uint64_t errors = 0;
    for (int i = 0; i < 10000000 && (errors < 2 || !file_exists(good)); i++) {
        errors = td_store_scribe_errors(f->store, &first);
        (void)sched_yield(); /* between two looks at the condition */
    }
    assert_int_equal(errors, 2);
    assert_int_equal(first, -ENOENT);
    fixture_store_done(f);
    assert_content(good, "y", 1);
}

/* While the disk hangs, calls are refused at the named limits, and counted. */
static void test_full(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    (void)fixture_path(f, "timeline.jsonl", path);
    gate_shut(&f->gate);
    assert_int_equal(td_store_append(f->store, path, "a", 1), 0);
    gate_wait(&f->gate);
    unsigned taken = 0;
    int r;
    while ((r = td_store_append(f->store, path, "b", 1)) == 0) {
        taken++;
    }
    assert_int_equal(r, -ENOBUFS);
    assert_int_equal(taken, TD_SCRIBE_JOBS_MAX);
    int first;
    assert_int_equal(td_store_scribe_errors(f->store, &first), 1);
    assert_int_equal(first, -ENOBUFS);
    gate_open(&f->gate);
    fixture_store_done(f);
    size_t len;
    char *text = file_read(path, &len);
    assert_int_equal(len, taken + 1);
    free(text);
}

static void test_bytes(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    (void)fixture_path(f, "large", path);
    size_t len = TD_SCRIBE_BYTES_MAX / 4;
    char *bytes = calloc(1, len);
    assert_non_null(bytes);
    gate_shut(&f->gate);
    assert_int_equal(td_store_replace(f->store, path, bytes, len), 0);
    assert_int_equal(td_store_replace(f->store, path, bytes, len), 0);
    assert_int_equal(td_store_replace(f->store, path, bytes, len), 0);
    assert_int_equal(td_store_replace(f->store, path, bytes, len), -ENOBUFS);
    assert_int_equal(td_store_replace(f->store, path, bytes, (size_t)TD_SCRIBE_BYTES_MAX + 1),
                     -TD_E_LIMIT);
    gate_open(&f->gate);
    fixture_store_done(f);
    free(bytes);
}

/* A line that could not be written whole is not glued to the next one. */
static void test_append_error(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    file_write(fixture_path(f, "timeline.jsonl", path), "one\n", 4);
    atomic_store(&f->gate.write_error, -ENOSPC);
    assert_int_equal(td_store_append(f->store, path, "two\n", 4), 0);
    int first = 0;
    for (int i = 0; i < 10000000 && td_store_scribe_errors(f->store, &first) == 0; i++) {
        (void)sched_yield(); /* between two looks at the condition */
    }
    assert_int_equal(first, -ENOSPC);
    atomic_store(&f->gate.write_error, 0);
    assert_int_equal(td_store_append(f->store, path, "three\n", 6), 0);
    fixture_store_done(f);
    assert_content(path, "one\nthree\n", 10);
}

/* ---- jobs ---- */

#define ANSWERS_MAX 2048

/* What jobs did and what was heard of them, in order. */
struct diary {
    struct fixture *f;
    char path[TD_PATH_MAX];
    int jobs; /* scribe thread */
    int heard;
    int answers[ANSWERS_MAX];
};

struct entry {
    struct diary *diary;
    int number;
};

/* Answers its number, or -EIO when the line that was handed over before it is not there. */
static int on_job(void *arg)
{
    struct entry *e = arg;
    struct td_fs_stat stat;
    int r = td_fs_stat_path(td_fs_posix(), e->diary->path, &stat);
    e->diary->jobs++;
    return r == 0 && stat.size == (uint64_t)e->number + 1 ? e->number : -EIO;
}

static void on_answer(void *target, const void *payload)
{
    struct diary *d = target;
    assert_true(d->heard < ANSWERS_MAX);
    memcpy(&d->answers[d->heard++], payload, sizeof(int));
}

static void hear(struct td_mailbox *mailbox, const struct diary *d, int count)
{
    while (d->heard < count) {
        struct pollfd pfd = {.fd = td_mailbox_fd(mailbox), .events = POLLIN};
        assert_true(poll(&pfd, 1, 10000) == 1); /* a hang is a failure */
        assert_true(td_mailbox_drain(mailbox) > 0);
    }
}

static void assert_in_order(const struct diary *d, int count)
{
    assert_int_equal(d->heard, count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(d->answers[i], i);
    }
}

/* A line, then a job that wants to see it, for the numbers from `first` up to `end`. */
static void post_entries(struct diary *d, struct entry *entries, struct td_mailbox *reply,
                         int first, int end)
{
    for (int i = first; i < end; i++) {
        entries[i] = (struct entry){.diary = d, .number = i};
        struct td_store_job job = {
            .job = on_job, .arg = &entries[i], .reply = reply, .done = on_answer, .target = d};
        assert_int_equal(td_store_append(d->f->store, d->path, "x", 1), 0);
        assert_int_equal(td_store_run(d->f->store, &job), 0);
    }
}

static void test_run_order(void **state)
{
    static struct diary d;
    static struct entry entries[300];
    d = (struct diary){.f = *state};
    (void)fixture_path(d.f, "timeline.jsonl", d.path);
    post_entries(&d, entries, d.f->notify, 0, 300);
    hear(d.f->notify, &d, 300);
    assert_in_order(&d, 300);
    int first;
    assert_int_equal(td_store_scribe_errors(d.f->store, &first), 0);
}

/* Answers wait for a mailbox that is full, in order, and other mailboxes do not wait for it. */
static void test_run_waits(void **state)
{
    static struct diary d;
    static struct diary other;
    static struct entry entries[130];
    static struct entry other_entries[100];
    d = (struct diary){.f = *state};
    other = (struct diary){.f = *state};
    (void)fixture_path(d.f, "timeline.jsonl", d.path);
    (void)fixture_path(d.f, "other.jsonl", other.path);
    struct td_mailbox *narrow = NULL;
    assert_int_equal(td_mailbox_new(3, &narrow), 0);
    post_entries(&d, entries, narrow, 0, 100);
    post_entries(&other, other_entries, d.f->notify, 0, 50);
    hear(d.f->notify, &other, 50);
    assert_in_order(&other, 50);
    assert_int_equal(d.heard, 0);
    /* A new answer does not overtake those that wait, just when there is room. */
    for (int posted = 100; posted < 130; posted++) {
        hear(narrow, &d, d.heard + 1);
        post_entries(&d, entries, narrow, posted, posted + 1);
    }
    hear(narrow, &d, 130);
    assert_in_order(&d, 130);
    assert_true(td_mailbox_refused(narrow) > 0);
    fixture_store_done(d.f);
    assert_null(td_mailbox_free(narrow));
}

/* Jobs without an answer, and what is still under way when the store goes. */
static void test_run_at_end(void **state)
{
    static struct diary d;
    static struct entry entries[200];
    d = (struct diary){.f = *state};
    (void)fixture_path(d.f, "timeline.jsonl", d.path);
    gate_shut(&d.f->gate);
    post_entries(&d, entries, d.f->notify, 0, 60);
    struct td_store_job silent = {.job = on_job, .arg = &entries[0]};
    assert_int_equal(td_store_run(d.f->store, &silent), 0);
    gate_open(&d.f->gate);
    fixture_store_done(d.f);
    assert_int_equal(d.jobs, 61);
    assert_int_equal(td_mailbox_drain(d.f->notify), 60);
    assert_in_order(&d, 60);
    /* More than the mailbox takes: all run, the last answers are dropped. */
    fixture_store(d.f, 2, -1);
    (void)fixture_path(d.f, "again.jsonl", d.path);
    d.jobs = 0;
    post_entries(&d, entries, d.f->notify, 0, 200);
    fixture_store_done(d.f);
    assert_int_equal(d.jobs, 200);
    d.heard = 0;
    assert_int_equal(td_mailbox_drain(d.f->notify), 64);
    assert_in_order(&d, 64);
}

/* Jobs whose answers nobody takes are bounded too, and counted when they are refused. */
static void test_run_full(void **state)
{
    static struct diary d;
    d = (struct diary){.f = *state};
    (void)fixture_path(d.f, "none", d.path);
    static struct entry entry;
    entry = (struct entry){.diary = &d};
    struct td_mailbox *narrow = NULL;
    assert_int_equal(td_mailbox_new(64, &narrow), 0);
    struct td_store_job job = {
        .job = on_job, .arg = &entry, .reply = narrow, .done = on_answer, .target = &d};
    unsigned taken = 0;
    int r;
    while ((r = td_store_run(d.f->store, &job)) == 0) {
        taken++;
    }
    assert_int_equal(r, -ENOBUFS);
    /* Answers that are in the mailbox count no more. */
    assert_in_range(taken, TD_SCRIBE_JOBS_MAX, TD_SCRIBE_JOBS_MAX + 64);
    int first;
    assert_int_equal(td_store_scribe_errors(d.f->store, &first), 1);
    assert_int_equal(first, -ENOBUFS);
    hear(narrow, &d, (int)taken);
    assert_int_equal(td_store_run(d.f->store, &job), 0); /* there is room again */
    hear(narrow, &d, (int)taken + 1);
    for (unsigned i = 0; i <= taken; i++) {
        assert_int_equal(d.answers[i], -EIO); /* there is no such file */
    }
    fixture_store_done(d.f);
    assert_null(td_mailbox_free(narrow));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_at_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_full, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
