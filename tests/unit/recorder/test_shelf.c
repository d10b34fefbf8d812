/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/shelf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/layout.h"

static struct td_shelf shelf;

static void clear(void)
{
    memset(&shelf, 0, sizeof(shelf));
}

static struct td_part part_of(unsigned output, unsigned number, const char *format)
{
    struct td_part part = {
        .output = output, .number = number, .format = td_mux_by_name(format), .zero_us = 0};
    char base[TD_PATH_MAX];
    (void)snprintf(base, sizeof(base), "/data/o%u", output);
    assert_int_equal(td_layout_growing(base, number, format, part.growing), 0);
    assert_int_equal(td_layout_final(base, number, format, part.final), 0);
    return part;
}

static void close_whole(struct td_part *part, uint64_t bytes)
{
    part->scan.duration_us = 2000000;
    part->renamed = true;
    td_shelf_closed(&shelf, part, true, bytes);
}

/* "file state bytes duration", of one entry. */
static void assert_entry(unsigned index, const char *wanted)
{
    char found[128];
    assert_true(index < shelf.count);
    const struct td_shelf_entry *e = &shelf.entries[index];
    (void)snprintf(found, sizeof(found), "%s %s %llu %lld", td_layout_name(e->file), e->state,
                   (unsigned long long)e->bytes, (long long)e->duration_ms);
    assert_string_equal(found, wanted);
}

static void test_life_of_a_part(void **state)
{
    (void)state;
    clear();
    struct td_part part = part_of(0, 1, "ts");
    td_shelf_started(&shelf, &part, "alice", "av");
    assert_int_equal(shelf.count, 1);
    assert_int_equal(shelf.growing, 1);
    assert_true(shelf.entries[0].growing);
    assert_string_equal(shelf.entries[0].participant, "alice");
    assert_string_equal(shelf.entries[0].role, "av");
    assert_string_equal(shelf.entries[0].format, "ts");
    assert_int_equal(shelf.entries[0].part, 1);
    assert_entry(0, "o0.recording.ts growing 0 0");
    td_shelf_progress(&shelf, 400, 1000);
    assert_entry(0, "o0.recording.ts growing 1000 400");
    close_whole(&part, 1234);
    assert_entry(0, "o0.ts complete 1234 2000");
    assert_false(shelf.entries[0].growing);
    assert_int_equal(shelf.growing, 0);
    td_shelf_progress(&shelf, 9000, 9000); /* nothing grows */
    assert_entry(0, "o0.ts complete 1234 2000");
}

static void test_part_that_failed(void **state)
{
    (void)state;
    clear();
    struct td_part part = part_of(0, 1, "mkv");
    td_shelf_started(&shelf, &part, "alice", "screen");
    assert_string_equal(shelf.entries[0].role, "screen");
    td_shelf_closed(&shelf, &part, false, 55);
    assert_entry(0, "o0.recording.mkv failed 55 0"); /* where it still is */
}

/* One that is left for another process is neither whole nor failed. */
static void test_part_that_is_kept(void **state)
{
    (void)state;
    clear();
    struct td_part part = part_of(0, 1, "ts");
    td_shelf_started(&shelf, &part, "alice", "av");
    td_shelf_progress(&shelf, 700, 900);
    part.kept = true;
    td_shelf_closed(&shelf, &part, false, 1000);
    assert_entry(0, "o0.recording.ts growing 1000 700");
    assert_false(shelf.entries[0].growing); /* nobody writes to it now */
    assert_int_equal(shelf.growing, 0);
}

/* Only when one grows alone is it known whose the bytes are. */
static void test_progress_of_many(void **state)
{
    (void)state;
    clear();
    struct td_part first = part_of(0, 1, "ts");
    struct td_part second = part_of(1, 1, "mkv");
    td_shelf_started(&shelf, &first, "alice", "av");
    td_shelf_started(&shelf, &second, "bob", "av");
    td_shelf_progress(&shelf, 500, 5000);
    assert_entry(0, "o0.recording.ts growing 0 500");
    assert_entry(1, "o1.recording.mkv growing 0 500");
    close_whole(&first, 3000);
    td_shelf_progress(&shelf, 3000, 2500);
    assert_entry(0, "o0.ts complete 3000 2000");
    assert_entry(1, "o1.recording.mkv growing 2500 3000");
    /* A report from before the other one was closed. */
    td_shelf_progress(&shelf, 3100, 0);
    assert_entry(1, "o1.recording.mkv growing 2500 3100");
}

/* Times are the recording's, durations the part's own. */
static void test_second_part(void **state)
{
    (void)state;
    clear();
    struct td_part part = part_of(0, 2, "ts");
    part.first_pts_us = 60000000;
    td_shelf_started(&shelf, &part, "alice", "av");
    td_shelf_progress(&shelf, 59000, 1); /* a report from before it */
    assert_entry(0, "o0.p2.recording.ts growing 1 0");
    td_shelf_progress(&shelf, 61500, 10);
    assert_entry(0, "o0.p2.recording.ts growing 10 1500");
}

static void load(struct td_manifest *m, unsigned parts, const char *last_state)
{
    static const char *const roles[] = {"av", "screen"};
    td_manifest_init(m);
    for (unsigned i = 0; i < 2; i++) {
        struct td_manifest_output output = {.parts = NULL};
        TD_MANIFEST_SET(output.participant, "alice");
        TD_MANIFEST_SET(output.role, roles[i]);
        assert_int_equal(td_manifest_add_output(m, &output), (int)i);
        for (unsigned k = 0; k < parts; k++) {
            struct td_manifest_part part = {
                .bytes = 10 + k, .duration_ms = 100 + k, .first_pts_us = k * 5000000};
            (void)snprintf(part.file, sizeof(part.file), "o%u.p%u.ts", i, k + 1);
            TD_MANIFEST_SET(part.format, "ts");
            TD_MANIFEST_SET(part.state, k + 1 < parts ? "complete" : last_state);
            assert_int_equal(td_manifest_add_part(m, i, &part), (int)k);
        }
    }
    td_shelf_load(&shelf, m, "/data");
}

static void test_loaded(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        const char *entry;
    } rows[] = {
        {"complete", "o0.p2.ts complete 11 101"},    {"recovered", "o0.p2.ts recovered 11 101"},
        {"failed", "o0.p2.ts failed 11 101"},        {"growing", "o0.p2.ts growing 11 101"},
        {"something new", "o0.p2.ts failed 11 101"}, {"", "o0.p2.ts failed 11 101"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_manifest m;
        clear();
        load(&m, 2, rows[i].state);
        assert_int_equal(shelf.count, 4);
        assert_int_equal(shelf.growing, 0);
        assert_entry(0, "o0.p1.ts complete 10 100");
        assert_entry(1, rows[i].entry);
        assert_string_equal(shelf.entries[1].role, "av");
        assert_string_equal(shelf.entries[2].role, "screen");
        assert_string_equal(shelf.entries[0].file, "/data/o0.p1.ts");
        td_manifest_done(&m);
    }
}

/* The part that goes on in place has its entry already; the next one gets its own. */
static void test_goes_on(void **state)
{
    (void)state;
    struct td_manifest m;
    clear();
    load(&m, 2, "growing");
    struct td_part same = part_of(0, 2, "ts");
    struct td_part next = part_of(1, 3, "mkv");
    td_shelf_started(&shelf, &same, "alice", "av");
    td_shelf_started(&shelf, &next, "alice", "screen");
    assert_int_equal(shelf.count, 5);
    assert_int_equal(shelf.growing, 2);
    assert_entry(1, "o0.p2.recording.ts growing 11 101");
    assert_true(shelf.entries[1].growing);
    assert_entry(4, "o1.p3.recording.mkv growing 0 0");
    td_shelf_progress(&shelf, 7000, 0);
    assert_entry(1, "o0.p2.recording.ts growing 11 2000");
    close_whole(&same, 99);
    assert_entry(1, "o0.p2.ts complete 99 2000");
    close_whole(&next, 98);
    assert_entry(4, "o1.p3.mkv complete 98 2000");
    td_manifest_done(&m);
}

static void test_odd_manifest(void **state)
{
    (void)state;
    char folder[TD_PATH_MAX];
    struct td_manifest m;
    clear();
    load(&m, 1, "complete");
    TD_MANIFEST_SET(m.outputs[0].parts[0].format, "no such container");
    TD_MANIFEST_SET(m.outputs[0].role, "no such role");
    clear();
    td_shelf_load(&shelf, &m, "/data");
    assert_string_equal(shelf.entries[0].format, "");
    assert_string_equal(shelf.entries[0].role, "av");
    /* A path that cannot be is not half an entry. */
    memset(folder, 'x', sizeof(folder) - 1);
    folder[sizeof(folder) - 1] = '\0';
    clear();
    td_shelf_load(&shelf, &m, folder);
    assert_int_equal(shelf.count, 0);
    td_manifest_done(&m);
}

/* Old ones make room, oldest first; those that grow never do. */
static void test_full(void **state)
{
    (void)state;
    static struct td_part parts[2 * TD_SHELF_MAX];
    clear();
    parts[0] = part_of(0, 1, "ts"); /* grows all the time */
    td_shelf_started(&shelf, &parts[0], "alice", "av");
    for (unsigned i = 1; i < 2 * TD_SHELF_MAX; i++) {
        parts[i] = part_of(1, i, "mkv");
        td_shelf_started(&shelf, &parts[i], "bob", "av");
        assert_true(shelf.count <= TD_SHELF_MAX);
        close_whole(&parts[i], i);
    }
    assert_int_equal(shelf.count, TD_SHELF_MAX);
    assert_int_equal(shelf.growing, 1);
    assert_entry(0, "o0.recording.ts growing 0 0");
    assert_int_equal(shelf.entries[1].part, TD_SHELF_MAX + 1);
    assert_int_equal(shelf.entries[TD_SHELF_MAX - 1].part, 2 * TD_SHELF_MAX - 1);
    close_whole(&parts[0], 7);
    assert_entry(0, "o0.ts complete 7 2000");
}

/* More at once than can be shown: the rest is counted, and ends well. */
static void test_all_grow(void **state)
{
    (void)state;
    static struct td_part parts[TD_SHELF_MAX + 2];
    clear();
    for (unsigned i = 0; i < TD_SHELF_MAX + 2; i++) {
        parts[i] = part_of(i, 1, "ts");
        td_shelf_started(&shelf, &parts[i], "alice", "av");
    }
    assert_int_equal(shelf.count, TD_SHELF_MAX);
    assert_int_equal(shelf.growing, TD_SHELF_MAX + 2);
    for (unsigned i = TD_SHELF_MAX + 2; i > 0; i--)
        close_whole(&parts[i - 1], i);
    assert_int_equal(shelf.growing, 0);
    for (unsigned i = 0; i < TD_SHELF_MAX; i++)
        assert_string_equal(shelf.entries[i].state, "complete");
}

static void test_many_loaded(void **state)
{
    (void)state;
    struct td_manifest m;
    clear();
    load(&m, TD_SHELF_MAX, "complete");
    assert_int_equal(shelf.count, TD_SHELF_MAX);
    assert_int_equal(shelf.entries[0].output, 1); /* the newest are kept */
    assert_int_equal(shelf.entries[0].part, 1);
    td_manifest_done(&m);
}

/* A publisher's name that is no UTF-8 is shown all the same. */
static void test_name_that_is_no_text(void **state)
{
    (void)state;
    clear();
    struct td_part part = part_of(0, 1, "ts");
    td_shelf_started(&shelf, &part,
                     "al\xff"
                     "ce",
                     "av");
    assert_string_equal(shelf.entries[0].participant, "al?ce");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_part),
        cmocka_unit_test(test_part_that_failed),
        cmocka_unit_test(test_part_that_is_kept),
        cmocka_unit_test(test_progress_of_many),
        cmocka_unit_test(test_second_part),
        cmocka_unit_test(test_loaded),
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_odd_manifest),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_all_grow),
        cmocka_unit_test(test_many_loaded),
        cmocka_unit_test(test_name_that_is_no_text),
    };
    return cmocka_run_group_tests_name("recorder/shelf", tests, NULL, NULL);
}
