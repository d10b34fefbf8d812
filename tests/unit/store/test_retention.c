/* SPDX-License-Identifier: Apache-2.0 */
#include "store/retention.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fixture.h"

#define NOW (1000 * TD_US_PER_S)

/* ---- the choice ---- */

/* What is chosen, as "id:why id:why". */
static const char *choose(const struct td_retention_rules *rules,
                          const struct td_retention_item *items, size_t count)
{
    static char text[512];
    struct td_retention *r = NULL;
    assert_int_equal(td_retention_new(rules, &r), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(td_retention_add(r, &items[i]), 0);
    }
    size_t len = 0;
    text[0] = '\0';
    struct td_retention_choice choice;
    while (td_retention_next(r, &choice)) {
        int n = snprintf(text + len, sizeof(text) - len, "%s%s:%s", len > 0 ? " " : "", choice.id,
                         choice.why);
        assert_true(n > 0 && (size_t)n < sizeof(text) - len);
        len += (size_t)n;
    }
    assert_null(td_retention_free(r));
    return text;
}

/* Not in the order of their ends; `d` is held and `e` grows. */
static const struct td_retention_item sample[] = {
    {.id = "c", .room = "demo-2", .ended_us = 300 * TD_US_PER_S, .bytes = 30},
    {.id = "a", .room = "demo-1", .ended_us = 100 * TD_US_PER_S, .bytes = 10},
    {.id = "e", .room = "demo-1", .ended_us = 10 * TD_US_PER_S, .bytes = 50, .busy = true},
    {.id = "b", .room = "other", .ended_us = 200 * TD_US_PER_S, .bytes = 20},
    {.id = "d", .room = "demo-1", .ended_us = 20 * TD_US_PER_S, .bytes = 40, .hold = true},
};
#define SAMPLES (sizeof(sample) / sizeof(*sample))

static void test_no_rules(void **state)
{
    (void)state;
    struct td_retention_rules rules = {.now_us = NOW};
    assert_string_equal(choose(&rules, sample, SAMPLES), "");
    rules = (struct td_retention_rules){
        .now_us = NOW, .max_age_us = 1, .max_total_bytes = 1, .need_bytes = 1};
    assert_string_equal(choose(&rules, sample, 0), "");
}

static void test_age(void **state)
{
    (void)state;
    struct td_retention_rules rules = {.now_us = NOW, .max_age_us = 800 * TD_US_PER_S};
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:age b:age");
    rules.max_age_us++; /* the end of b is a microsecond too near */
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:age");
    rules.max_age_us = 1;
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:age b:age c:age");
    rules.now_us = 0; /* a clock that is behind makes nothing old */
    assert_string_equal(choose(&rules, sample, SAMPLES), "");
}

static void test_total(void **state)
{
    (void)state;
    struct td_retention_rules rules = {.now_us = NOW, .max_total_bytes = 150};
    assert_string_equal(choose(&rules, sample, SAMPLES), "");
    rules.max_total_bytes = 149;
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:total");
    rules.max_total_bytes = 139;
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:total b:total");
    rules.max_total_bytes = 1; /* what is held and what grows counts, and stays */
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:total b:total c:total");
}

static void test_quotas(void **state)
{
    (void)state;
    struct td_retention_quota quotas[] = {{"demo-*", 129}, {"other", 20}, {"nobody", 1}};
    struct td_retention_rules rules = {.now_us = NOW, .quotas = quotas, .quota_count = 3};
    /* a 10 + c 30 + d 40 + e 50 = 130. */
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:quota");
    quotas[0].max_bytes = 119;
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:quota c:quota");
    quotas[1].max_bytes = 19;
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:quota c:quota b:quota");
    quotas[0].max_bytes = 0; /* no rule */
    assert_string_equal(choose(&rules, sample, SAMPLES), "b:quota");
    /* One that counts for two helps both. */
    quotas[0] = (struct td_retention_quota){"demo-?", 129};
    quotas[1] = (struct td_retention_quota){"demo-1", 99};
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:quota");
}

static void test_need(void **state)
{
    (void)state;
    struct td_retention_rules rules = {.now_us = NOW, .need_bytes = 1};
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:space");
    rules.need_bytes = 11;
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:space b:space");
    rules.need_bytes = 1000;
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:space b:space c:space");
    /* What goes for another reason frees space too. */
    rules.need_bytes = 30;
    rules.max_age_us = 800 * TD_US_PER_S;
    assert_string_equal(choose(&rules, sample, SAMPLES), "a:age b:age");
}

static void test_ties_and_empty_ones(void **state)
{
    (void)state;
    static const struct td_retention_item items[] = {
        {.id = "rec_b", .room = "r", .ended_us = 5, .bytes = 1},
        {.id = "rec_0", .room = "r", .ended_us = 4, .bytes = 0},
        {.id = "rec_c", .room = "r", .ended_us = 5, .bytes = 1},
        {.id = "rec_a", .room = "r", .ended_us = 5, .bytes = 1},
        {.id = "an_id_that_is_longer_than_any_of_ours", .room = "r", .ended_us = 1, .bytes = 1},
    };
    struct td_retention_rules rules = {.now_us = NOW, .need_bytes = 2};
    assert_string_equal(choose(&rules, items, 5), "rec_a:space rec_b:space");
    rules = (struct td_retention_rules){.now_us = NOW, .max_total_bytes = 2};
    assert_string_equal(choose(&rules, items, 5), "rec_a:total rec_b:total");
    rules = (struct td_retention_rules){.now_us = NOW, .max_age_us = 1};
    assert_string_equal(choose(&rules, items, 5), "rec_0:age rec_a:age rec_b:age rec_c:age");
}

static void test_kept(void **state)
{
    (void)state;
    struct td_retention_rules rules = {.now_us = NOW, .max_total_bytes = 149, .need_bytes = 15};
    struct td_retention *r = NULL;
    assert_int_equal(td_retention_new(&rules, &r), 0);
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_int_equal(td_retention_add(r, &sample[i]), 0);
    }
    assert_int_equal(td_retention_missing(r), 15);
    struct td_retention_choice choice;
    assert_true(td_retention_next(r, &choice));
    assert_string_equal(choice.id, "a");
    assert_string_equal(choice.why, "total");
    assert_int_equal(choice.bytes, 10);
    assert_int_equal(td_retention_missing(r), 5);
    td_retention_kept(r);
    assert_int_equal(td_retention_missing(r), 15);
    assert_true(td_retention_next(r, &choice));
    assert_string_equal(choice.id, "b");
    assert_string_equal(choice.why, "total");
    assert_int_equal(td_retention_missing(r), 0);
    assert_false(td_retention_next(r, &choice));
    assert_null(td_retention_free(r));
    assert_null(td_retention_free(NULL));
}

/* Past the limit the newest are forgotten, and their bytes still count. */
static void test_limit(void **state)
{
    (void)state;
    struct td_retention_rules rules = {.now_us = NOW,
                                       .max_total_bytes = TD_RETENTION_ITEMS_MAX + 1};
    struct td_retention *r = NULL;
    assert_int_equal(td_retention_new(&rules, &r), 0);
    char id[TD_ID_MAX];
    struct td_retention_item item = {.id = id, .room = "", .bytes = 1};
    for (unsigned i = TD_RETENTION_ITEMS_MAX + 10; i > 0; i--) { /* the newest first */
        (void)snprintf(id, sizeof(id), "%u", i);
        item.ended_us = i;
        assert_int_equal(td_retention_add(r, &item), 0);
    }
    struct td_retention_choice choice;
    for (unsigned i = 1; i <= 9; i++) {
        assert_true(td_retention_next(r, &choice));
        (void)snprintf(id, sizeof(id), "%u", i);
        assert_string_equal(choice.id, id);
    }
    assert_false(td_retention_next(r, &choice));
    assert_null(td_retention_free(r));
}

#define RANDOM_ITEMS 40u
#define RANDOM_QUOTAS 3u

struct random_case {
    struct td_retention_item items[RANDOM_ITEMS];
    char ids[RANDOM_ITEMS][TD_ID_MAX];
    bool gone[RANDOM_ITEMS];
    struct td_retention_quota quotas[RANDOM_QUOTAS];
    struct td_retention_rules rules;
};

static const char *const rooms[] = {"a-1", "a-2", "b-1"};
static const char *const patterns[] = {"a-*", "*-1", "b-1"};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void random_make(struct random_case *c, uint32_t seed)
{
    for (unsigned i = 0; i < RANDOM_ITEMS; i++) {
        (void)snprintf(c->ids[i], sizeof(c->ids[i]), "rec_%u", i);
        c->gone[i] = false;
        c->items[i] = (struct td_retention_item){
            .id = c->ids[i],
            .room = rooms[next_random(&seed) % 3],
            .ended_us = next_random(&seed) % 20,
            .bytes = next_random(&seed) % 10,
            .hold = next_random(&seed) % 8 == 0,
            .busy = next_random(&seed) % 8 == 0,
        };
    }
    for (unsigned i = 0; i < RANDOM_QUOTAS; i++) {
        c->quotas[i] = (struct td_retention_quota){patterns[i], next_random(&seed) % 200};
    }
    c->rules = (struct td_retention_rules){
        .now_us = 30,
        .max_age_us = next_random(&seed) % 3 == 0 ? 0 : 10 + next_random(&seed) % 20,
        .max_total_bytes = next_random(&seed) % 3 == 0 ? 0 : next_random(&seed) % 300,
        .need_bytes = next_random(&seed) % 3 == 0 ? 0 : next_random(&seed) % 100,
        .quotas = c->quotas,
        .quota_count = next_random(&seed) % (RANDOM_QUOTAS + 1),
    };
}

static uint64_t random_sum(const struct random_case *c, char first, char last, bool gone)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < RANDOM_ITEMS; i++) {
        const char *room = c->items[i].room;
        bool counts = (first == '*' || room[0] == first) && (last == '*' || room[2] == last);
        sum += counts && c->gone[i] == gone ? c->items[i].bytes : 0;
    }
    return sum;
}

/* Whether the rules ask for the removal of item `i` by what is still there: the plain way. */
static bool random_wanted(const struct random_case *c, unsigned i)
{
    const struct td_retention_item *item = &c->items[i];
    const struct td_retention_rules *r = &c->rules;
    static const char first[] = "a*b";
    static const char last[] = "*11";
    if (c->gone[i] || item->hold || item->busy) {
        return false;
    }
    if (r->max_age_us > 0 && r->now_us - item->ended_us >= r->max_age_us) {
        return true;
    }
    bool wanted = r->max_total_bytes > 0 && random_sum(c, '*', '*', false) > r->max_total_bytes;
    wanted = wanted || random_sum(c, '*', '*', true) < r->need_bytes;
    for (unsigned q = 0; q < r->quota_count; q++) {
        bool counts = (first[q] == '*' || item->room[0] == first[q]) &&
                      (last[q] == '*' || item->room[2] == last[q]);
        wanted = wanted || (counts && c->quotas[q].max_bytes > 0 &&
                            random_sum(c, first[q], last[q], false) > c->quotas[q].max_bytes);
    }
    return wanted && item->bytes > 0;
}

static unsigned random_run(struct random_case *c)
{
    struct td_retention *r = NULL;
    assert_int_equal(td_retention_new(&c->rules, &r), 0);
    for (unsigned i = 0; i < RANDOM_ITEMS; i++) {
        assert_int_equal(td_retention_add(r, &c->items[i]), 0);
    }
    unsigned removed = 0;
    struct td_retention_choice choice;
    while (td_retention_next(r, &choice)) {
        unsigned long at = strtoul(choice.id + 4, NULL, 10);
        assert_true(at < RANDOM_ITEMS && random_wanted(c, (unsigned)at));
        /* Nothing older of the same kind was passed over. */
        for (unsigned i = 0; i < RANDOM_ITEMS; i++) {
            const struct td_retention_item *item = &c->items[i];
            bool older = item->ended_us < c->items[at].ended_us && !item->hold && !item->busy;
            assert_false(older && !c->gone[i] && item->bytes > 0 &&
                         item->room == c->items[at].room);
        }
        c->gone[at] = true;
        removed++;
    }
    for (unsigned i = 0; i < RANDOM_ITEMS; i++) {
        assert_false(random_wanted(c, i));
    }
    assert_null(td_retention_free(r));
    return removed;
}

static void test_random(void **state)
{
    (void)state;
    static struct random_case c;
    unsigned removed = 0;
    for (uint32_t seed = 1; seed <= 2000; seed++) {
        random_make(&c, seed * 7919u);
        removed += random_run(&c);
    }
    assert_true(removed > 10000);
}

/* ---- the removal ---- */

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_done(*state);
    return 0;
}

static void make_folder(const struct fixture *f, const char *name)
{
    char path[TD_PATH_MAX];
    assert_int_equal(td_fs_mkdirs(td_fs_posix(), fixture_path(f, name, path), 0755), 0);
}

static void make_file(const struct fixture *f, const char *name, size_t bytes)
{
    char path[TD_PATH_MAX];
    static const char zeros[4096];
    assert_true(bytes <= sizeof(zeros));
    file_write(fixture_path(f, name, path), zeros, bytes);
}

static bool there(const struct fixture *f, const char *name)
{
    char path[TD_PATH_MAX];
    return file_exists(fixture_path(f, name, path));
}

struct forgotten {
    int error; /* what forgetting answers */
    unsigned count;
    char last[TD_RETENTION_NAME_MAX + 1];
};

static int forget(void *ctx, const char *folder)
{
    struct forgotten *g = ctx;
    g->count++;
    (void)snprintf(g->last, sizeof(g->last), "%s", folder);
    return g->error;
}

static int remove_it(const struct fixture *f, const char *folder, struct forgotten *g,
                     uint64_t *ret_bytes)
{
    return td_retention_remove(td_fs_posix(), f->disk, folder, forget, g, ret_bytes);
}

static void test_a_whole_folder(void **state)
{
    struct fixture *f = *state;
    char outside[TD_PATH_MAX];
    char link[TD_PATH_MAX];
    make_folder(f, "recordings/x_rec_1/hls/alice/low");
    make_folder(f, "recordings/x_rec_1/exports");
    make_folder(f, "recordings/x_rec_1/thumbs");
    make_folder(f, "recordings/x_rec_2");
    make_folder(f, "outside");
    make_file(f, "outside/precious", 9);
    make_file(f, "recordings/x_rec_2/alice.ts", 9);
    make_file(f, "recordings/x_rec_1/manifest.json", 100);
    make_file(f, "recordings/x_rec_1/alice.ts", 1000);
    make_file(f, "recordings/x_rec_1/.hidden", 1);
    make_file(f, "recordings/x_rec_1/hls/alice/low/1.ts", 2000);
    make_file(f, "recordings/x_rec_1/exports/a.mp4", 4000);
    (void)fixture_path(f, "outside", outside);
    (void)fixture_path(f, "recordings/x_rec_1/to-folder", link);
    assert_int_equal(td_fs_symlink(td_fs_posix(), outside, link), 0);
    (void)fixture_path(f, "outside/precious", outside);
    (void)fixture_path(f, "recordings/x_rec_1/hls/to-file", link);
    assert_int_equal(td_fs_symlink(td_fs_posix(), outside, link), 0);
    struct forgotten g = {.error = 0};
    uint64_t bytes = 0;
    assert_int_equal(remove_it(f, "x_rec_1", &g, &bytes), 0);
    assert_int_equal(bytes, 7101);
    assert_int_equal(g.count, 1);
    assert_string_equal(g.last, "x_rec_1");
    char home[TD_PATH_MAX];
    assert_int_equal(folder_count(fixture_path(f, "recordings", home)), 1);
    assert_true(there(f, "recordings/x_rec_2/alice.ts"));
    assert_true(there(f, "outside/precious"));
    /* Nobody need listen. */
    assert_int_equal(td_retention_remove(td_fs_posix(), f->disk, "x_rec_2", NULL, NULL, NULL), 0);
    assert_int_equal(folder_count(home), 0);
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    char longest[TD_RETENTION_NAME_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    make_folder(f, "recordings/x_rec_1");
    make_folder(f, "recordings/.hidden");
    make_folder(f, "recordings/.removed-y");
    make_folder(f, "recordings/a b");
    const char *const refused[] = {
        "..", ".",   ".hidden",     ".removed-y", "../recordings", "x_rec_1/", "x_rec_1/hls",
        "/",  "a b", "caf\xc3\xa9", "x\n",        longest,         "-/..",     "x\x7f",
    };
    struct forgotten g = {.error = 0};
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        assert_int_equal(remove_it(f, refused[i], &g, NULL), -TD_E_USAGE);
    }
    assert_int_equal(g.count, 0);
    char home[TD_PATH_MAX];
    assert_int_equal(folder_count(fixture_path(f, "recordings", home)), 4);
    longest[TD_RETENTION_NAME_MAX] = '\0';
    char path[TD_PATH_MAX];
    (void)snprintf(path, sizeof(path), "recordings/%s", longest);
    make_folder(f, path);
    assert_int_equal(remove_it(f, longest, &g, NULL), 0);
    assert_false(there(f, path));
}

static void test_what_is_not_ours(void **state)
{
    struct fixture *f = *state;
    char outside[TD_PATH_MAX];
    char path[TD_PATH_MAX];
    struct forgotten g = {.error = 0};
    make_folder(f, "recordings");
    make_folder(f, "outside");
    make_file(f, "outside/precious", 9);
    (void)fixture_path(f, "outside", outside);
    assert_int_equal(
        td_fs_symlink(td_fs_posix(), outside, fixture_path(f, "recordings/linked", path)), 0);
    make_file(f, "recordings/file", 1);
    assert_int_equal(remove_it(f, "linked", &g, NULL), -ENOTDIR);
    assert_int_equal(remove_it(f, "file", &g, NULL), -ENOTDIR);
    make_folder(f, "recordings/strange/backup");
    make_file(f, "recordings/strange/alice.ts", 1);
    assert_int_equal(remove_it(f, "strange", &g, NULL), -TD_E_UNSUPPORTED);
    make_folder(f, "recordings/deep/hls/a/b/c");
    make_file(f, "recordings/deep/alice.ts", 1);
    assert_int_equal(remove_it(f, "deep", &g, NULL), -TD_E_LIMIT);
    assert_int_equal(g.count, 0);
    assert_true(there(f, "recordings/strange/alice.ts"));
    assert_true(there(f, "recordings/strange/backup"));
    assert_true(there(f, "recordings/deep/alice.ts"));
    assert_true(there(f, "recordings/linked"));
    assert_true(there(f, "outside/precious"));
    /* What was marked by another hand is not taken either. */
    make_file(f, "recordings/.removed-file", 1);
    assert_int_equal(
        td_fs_symlink(td_fs_posix(), outside, fixture_path(f, "recordings/.removed-link", path)),
        0);
    make_folder(f, "recordings/.removed-.dots");
    assert_int_equal(td_retention_sweep(td_fs_posix(), f->disk, forget, &g), 0);
    assert_true(there(f, "recordings/.removed-file"));
    assert_true(there(f, "recordings/.removed-link"));
    assert_true(there(f, "recordings/.removed-.dots"));
    assert_true(there(f, "outside/precious"));
    assert_int_equal(g.count, 0);
}

static void test_a_locked_file(void **state)
{
    struct fixture *f = *state;
    char path[TD_PATH_MAX];
    struct forgotten g = {.error = 0};
    make_folder(f, "recordings/x");
    make_file(f, "recordings/x/alice.recording.ts", 5);
    (void)fixture_path(f, "recordings/x/alice.recording.ts", path);
    int handle = td_fs_open(td_fs_posix(), path, TD_FS_READ | TD_FS_WRITE, 0);
    assert_true(handle >= 0);
    assert_int_equal(td_fs_lock(td_fs_posix(), handle), 0);
    assert_int_equal(remove_it(f, "x", &g, NULL), -TD_E_STATE);
    assert_true(there(f, "recordings/x/alice.recording.ts"));
    assert_int_equal(g.count, 0);
    assert_int_equal(td_fs_close(td_fs_posix(), handle), 0);
    assert_int_equal(remove_it(f, "x", &g, NULL), 0);
    assert_false(there(f, "recordings/x"));
}

static void test_a_folder_that_is_gone(void **state)
{
    struct fixture *f = *state;
    struct forgotten g = {.error = 0};
    /* A disk that is not mounted is no reason to forget what is on it. */
    assert_int_equal(remove_it(f, "x", &g, NULL), -ENOENT);
    assert_int_equal(g.count, 0);
    assert_int_equal(td_retention_sweep(td_fs_posix(), f->disk, forget, &g), 0);
    make_folder(f, "recordings");
    uint64_t bytes = 7;
    assert_int_equal(remove_it(f, "x", &g, &bytes), 0);
    assert_int_equal(g.count, 1);
    assert_int_equal(bytes, 0);
    assert_int_equal(remove_it(f, "", &g, &bytes), 0);
    assert_int_equal(g.count, 2);
    g.error = -EIO;
    assert_int_equal(remove_it(f, "x", &g, NULL), -EIO);
    assert_int_equal(remove_it(f, "", &g, NULL), -EIO);
}

/* The files are gone, the row is not: what is left says so until it is. */
static void test_a_row_that_stays(void **state)
{
    struct fixture *f = *state;
    struct forgotten g = {.error = -ENOSPC};
    make_folder(f, "recordings/x");
    make_file(f, "recordings/x/alice.ts", 5);
    assert_int_equal(remove_it(f, "x", &g, NULL), -ENOSPC);
    char marked[TD_PATH_MAX];
    assert_int_equal(folder_count(fixture_path(f, "recordings/.removed-x", marked)), 0);
    assert_false(there(f, "recordings/x"));
    assert_int_equal(td_retention_sweep(td_fs_posix(), f->disk, forget, &g), -ENOSPC);
    assert_true(there(f, "recordings/.removed-x"));
    g.error = 0;
    assert_int_equal(remove_it(f, "x", &g, NULL), 0); /* the call again, instead of the sweep */
    assert_false(there(f, "recordings/.removed-x"));
    assert_int_equal(g.count, 3);
}

static void test_sweep(void **state)
{
    struct fixture *f = *state;
    struct forgotten g = {.error = 0};
    make_folder(f, "recordings/.removed-x/hls/alice");
    make_file(f, "recordings/.removed-x/hls/alice/1.ts", 5);
    make_file(f, "recordings/.removed-x/alice.recording.ts", 5);
    make_folder(f, "recordings/.removed-y");
    make_folder(f, "recordings/.removed-z/backup"); /* another hand put it there */
    make_file(f, "recordings/.removed-z/alice.ts", 5);
    make_folder(f, "recordings/z");
    make_file(f, "recordings/z/alice.ts", 5);
    assert_int_equal(td_retention_sweep(td_fs_posix(), f->disk, forget, &g), -TD_E_UNSUPPORTED);
    assert_int_equal(g.count, 2);
    assert_false(there(f, "recordings/.removed-x"));
    assert_false(there(f, "recordings/.removed-y"));
    assert_false(there(f, "recordings/.removed-z/alice.ts"));
    assert_true(there(f, "recordings/.removed-z/backup"));
    assert_true(there(f, "recordings/z/alice.ts"));
    char path[TD_PATH_MAX];
    (void)fixture_path(f, "recordings/.removed-z/backup", path);
    assert_int_equal(td_fs_rmdir(td_fs_posix(), path), 0);
    assert_int_equal(td_retention_sweep(td_fs_posix(), f->disk, forget, &g), 1);
    assert_string_equal(g.last, "z");
    assert_int_equal(td_retention_sweep(td_fs_posix(), f->disk, forget, &g), 0);
    assert_true(there(f, "recordings/z/alice.ts"));
}

/* A marked folder of the same name that was never finished makes way. */
static void test_a_name_that_is_marked_already(void **state)
{
    struct fixture *f = *state;
    struct forgotten g = {.error = 0};
    make_folder(f, "recordings/.removed-x");
    make_file(f, "recordings/.removed-x/old.ts", 5);
    make_folder(f, "recordings/x");
    make_file(f, "recordings/x/new.ts", 6);
    uint64_t bytes = 0;
    assert_int_equal(remove_it(f, "x", &g, &bytes), 0);
    assert_int_equal(bytes, 11);
    char home[TD_PATH_MAX];
    assert_int_equal(folder_count(fixture_path(f, "recordings", home)), 0);
    make_file(f, "recordings/.removed-y", 1);
    make_folder(f, "recordings/y");
    assert_int_equal(remove_it(f, "y", &g, NULL), -ENOTDIR);
    assert_true(there(f, "recordings/y"));
}

#define REMOVAL(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_rules),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_need),
        cmocka_unit_test(test_ties_and_empty_ones),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_random),
        REMOVAL(test_a_whole_folder),
        REMOVAL(test_names),
        REMOVAL(test_what_is_not_ours),
        REMOVAL(test_a_locked_file),
        REMOVAL(test_a_folder_that_is_gone),
        REMOVAL(test_a_row_that_stays),
        REMOVAL(test_sweep),
        REMOVAL(test_a_name_that_is_marked_already),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
