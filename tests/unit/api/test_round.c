/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds over a real catalogue and real folders, on a disk whose size the test says. */
#include "api/round.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fixture.h"

#define MIB (INT64_C(1) << 20)
#define FILE_BYTES 1000

/* ---- a disk: the real one with a free space of our own ---- */

struct disk {
    struct td_fs base;
    struct td_fs_ops ops;
    uint64_t free_bytes;
    uint64_t gain_bytes; /* that the removal of a media file gives back */
    int space_error;
    int unlink_error;
};

static int disk_space(struct td_fs *fs, const char *path, struct td_fs_space *ret_space)
{
    struct disk *d = (struct disk *)fs; /* `base` is the first member */
    struct td_fs_space real;
    int r = td_fs_posix()->ops->space(td_fs_posix(), path, &real);
    if (r == 0 && d->space_error == 0) {
        *ret_space = (struct td_fs_space){.total_bytes = (uint64_t)(1000 * MIB),
                                          .free_bytes = d->free_bytes,
                                          .files_free = 100000};
    }
    return r < 0 ? r : d->space_error;
}

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path);
    return len >= strlen(end) && strcmp(path + len - strlen(end), end) == 0;
}

static int disk_unlink(struct td_fs *fs, const char *path)
{
    struct disk *d = (struct disk *)fs;
    struct td_fs_stat stat;
    bool media = ends_with(path, ".ts");
    bool reserve = ends_with(path, "/reserve") &&
                   td_fs_posix()->ops->stat(td_fs_posix(), path, &stat) == 0;
    if (media && d->unlink_error < 0)
        return d->unlink_error;
    int r = td_fs_posix()->ops->unlink(td_fs_posix(), path);
    d->free_bytes += r == 0 && media ? d->gain_bytes : 0;
    d->free_bytes += r == 0 && reserve ? stat.size : 0;
    return r;
}

static int64_t disk_pwrite(struct td_fs *fs, int handle, const void *bytes, size_t len,
                           uint64_t offset)
{
    struct disk *d = (struct disk *)fs;
    if (d->free_bytes < len)
        return -ENOSPC;
    d->free_bytes -= len;
    return td_fs_posix()->ops->pwrite(td_fs_posix(), handle, bytes, len, offset);
}

/* ---- the stage ---- */

struct stage {
    struct fixture f;
    struct disk disk;
    struct td_catalog *catalog;
    struct td_config config;
    struct td_config_quota quota;
    struct td_round round;
};

static int setup(void **state)
{
    static struct stage s;
    memset(&s, 0, sizeof(s));
    fixture_init(&s.f);
    /* On tmpfs: syncs cost nothing there. */
    char disk[sizeof(s.f.disk)];
    memcpy(disk, s.f.disk, sizeof(disk));
    memcpy(s.f.disk, s.f.shm, sizeof(disk));
    memcpy(s.f.shm, disk, sizeof(disk));
    s.disk = (struct disk){.ops = *td_fs_posix()->ops, .free_bytes = 500 * MIB};
    s.disk.ops.space = disk_space;
    s.disk.ops.unlink = disk_unlink;
    s.disk.ops.pwrite = disk_pwrite;
    s.disk.base.ops = &s.disk.ops;
    char path[TD_PATH_MAX];
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_catalog_open(fixture_path(&s.f, "catalog.db", path), &fail, &s.catalog), 0);
    s.config.disk.min_free_bytes = 100 * MIB;
    assert_int_equal(td_round_init(&s.round, &s.disk.base, s.catalog, s.f.disk), 0);
    s.round.limit_us = INT64_MAX;
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct stage *s = *state;
    td_round_done(&s->round);
    s->catalog = td_catalog_close(s->catalog);
    fixture_done(&s->f);
    return 0;
}

/* "rec_<n>", ended at second n, of `bytes` as the catalogue knows; its folder has two files. */
static void add(struct stage *s, unsigned n, const char *room, int64_t bytes, bool final, bool hold)
{
    char id[TD_ID_MAX];
    char folder[64];
    char name[128];
    char path[TD_PATH_MAX];
    static const char zeros[FILE_BYTES];
    (void)snprintf(id, sizeof(id), "rec_%u", n);
    (void)snprintf(folder, sizeof(folder), "%s_19700101T000000Z_%s", room, id);
    (void)snprintf(name, sizeof(name), "recordings/%s", folder);
    assert_int_equal(td_fs_mkdirs(td_fs_posix(), fixture_path(&s->f, name, path), 0755), 0);
    (void)snprintf(name, sizeof(name), "recordings/%s/alice.ts", folder);
    file_write(fixture_path(&s->f, name, path), zeros, sizeof(zeros));
    (void)snprintf(name, sizeof(name), "recordings/%s/manifest.json", folder);
    file_write(fixture_path(&s->f, name, path), "{}", 2);
    struct td_catalog_row row = {
        .id = id,
        .room = room,
        .state = final ? "complete" : "recording",
        .folder = folder,
        .started_us = n * TD_US_PER_S,
        .ended_us = final ? n * TD_US_PER_S : 0,
        .bytes = (uint64_t)bytes,
        .final = final,
        .hold = hold,
    };
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), 0);
}

static void run(struct stage *s, int64_t now_s, int64_t wall_s)
{
    assert_int_equal(td_round_ask(&s->round, &s->config), 0);
    td_round_run(&s->round, now_s * TD_US_PER_S, wall_s * TD_US_PER_S);
}

static int count_row(void *ctx, const struct td_catalog_row *row)
{
    struct stage *s = ctx;
    char name[128];
    char path[TD_PATH_MAX];
    (void)snprintf(name, sizeof(name), "recordings/%s/alice.ts", row->folder);
    assert_true(file_exists(fixture_path(&s->f, name, path)));
    return 0;
}

/* Rows there are; each has its folder, and each folder its row. */
static unsigned left(struct stage *s)
{
    char path[TD_PATH_MAX];
    int rows = td_catalog_walk(s->catalog, false, count_row, s);
    assert_true(rows >= 0);
    assert_int_equal(folder_count(fixture_path(&s->f, "recordings", path)), rows);
    return (unsigned)rows;
}

static const char *removed(const struct stage *s)
{
    static char text[1024];
    text[0] = '\0';
    size_t len = 0;
    for (unsigned i = 0; i < s->round.removal_count; i++) {
        const struct td_round_removal *r = &s->round.removals[i];
        int n =
            snprintf(text + len, sizeof(text) - len, "%s%s:%s", i > 0 ? " " : "", r->id, r->why);
        assert_true(n > 0 && (size_t)n < sizeof(text) - len);
        len += (size_t)n;
        assert_int_equal(r->bytes, FILE_BYTES + 2);
        assert_non_null(strstr(r->folder, r->id));
    }
    return text;
}

static void test_rules(void **state)
{
    struct stage *s = *state;
    for (unsigned n = 1; n <= 4; n++)
        add(s, n, n % 2 == 0 ? "even" : "odd", 10 * MIB, true, n == 1);
    add(s, 5, "odd", 0, false, false);
    run(s, 1, 100);
    assert_string_equal(removed(s), "");
    assert_int_equal(s->round.error, 0);
    assert_int_equal(s->round.space.free_bytes, 500 * MIB);
    s->config.disk.max_age_us = 98 * TD_US_PER_S;
    run(s, 1, 100); /* not asked to look at ages */
    assert_int_equal(left(s), 5);
    s->round.retain = true;
    run(s, 1, 100);
    assert_string_equal(removed(s), "rec_2:age");
    assert_false(s->round.more);
    /* What the running one has by now counts for its room. */
    s->config.disk.max_age_us = 0;
    s->quota = (struct td_config_quota){.room = (char *)"o*", .max_bytes = 25 * MIB};
    s->config.disk.quotas = (struct td_config_quotas){.items = &s->quota, .count = 1};
    run(s, 1, 100);
    assert_string_equal(removed(s), "");
    s->round.live[0] = (struct td_round_live){.id = "rec_5", .bytes = (uint64_t)(6 * MIB)};
    s->round.live_count = 1;
    run(s, 1, 100);
    assert_string_equal(removed(s), "rec_3:quota"); /* 1 is on hold */
    s->config.disk.quotas.count = 0;
    s->config.disk.max_total_bytes = 1;
    run(s, 1, 100);
    assert_string_equal(removed(s), "rec_4:total");
    assert_int_equal(left(s), 2);
    assert_int_equal(s->round.failures, 0);
}

static void test_drop_oldest(void **state)
{
    struct stage *s = *state;
    for (unsigned n = 1; n <= 5; n++)
        add(s, n, "room", 10 * MIB, true, false);
    add(s, 6, "room", 50 * MIB, false, false);
    s->config.disk.policy = TD_POLICY_DROP_OLDEST;
    s->disk.gain_bytes = 10 * MIB;
    s->disk.free_bytes = 90 * MIB;
    run(s, 1, 100); /* 105 are wanted */
    assert_string_equal(removed(s), "rec_1:space rec_2:space");
    assert_false(s->round.low || s->round.exhausted);
    assert_int_equal(s->disk.free_bytes, 110 * MIB);
    run(s, 2, 100);
    assert_string_equal(removed(s), "");
    s->disk.free_bytes = 60 * MIB;
    run(s, 3, 100);
    assert_string_equal(removed(s), "rec_3:space rec_4:space rec_5:space");
    assert_true(s->round.low && s->round.exhausted);
    run(s, 4, 100);
    assert_true(s->round.low && s->round.exhausted);
    s->disk.free_bytes = 200 * MIB;
    run(s, 5, 100);
    assert_false(s->round.low || s->round.exhausted);
    assert_int_equal(left(s), 1);
}

static void test_other_policies_keep_all(void **state)
{
    struct stage *s = *state;
    add(s, 1, "room", 10 * MIB, true, false);
    s->disk.free_bytes = 0;
    s->round.retain = true;
    s->config.disk.policy = TD_POLICY_STOP_NEW;
    run(s, 1, 100);
    assert_true(s->round.low && s->round.headroom.full && !s->round.exhausted);
    s->config.disk.policy = TD_POLICY_STOP_ALL;
    run(s, 1, 100);
    assert_true(s->round.low);
    assert_int_equal(left(s), 1);
}

/* The space comes back later: one is removed for it, not all. */
static void test_late_space(void **state)
{
    struct stage *s = *state;
    for (unsigned n = 1; n <= 5; n++)
        add(s, n, "room", 20 * MIB, true, false);
    s->config.disk.policy = TD_POLICY_DROP_OLDEST;
    s->disk.free_bytes = 90 * MIB;
    run(s, 100, 100);
    assert_string_equal(removed(s), "rec_1:space");
    assert_true(s->round.low && !s->round.exhausted && !s->round.more);
    for (int64_t now_s = 101; now_s < 110; now_s++) {
        run(s, now_s, 100);
        assert_string_equal(removed(s), "");
        assert_true(s->round.low && !s->round.exhausted);
    }
    run(s, 110, 100);
    assert_string_equal(removed(s), "rec_2:space");
    s->disk.free_bytes = 130 * MIB;
    run(s, 111, 100);
    assert_false(s->round.low);
    assert_int_equal(left(s), 3);
}

/* What cannot be removed is not waited for: the next ones go. */
static void test_failures(void **state)
{
    struct stage *s = *state;
    char path[TD_PATH_MAX];
    for (unsigned n = 1; n <= 3; n++)
        add(s, n, "room", 20 * MIB, true, false);
    (void)fixture_path(&s->f, "recordings/room_19700101T000000Z_rec_1/backup", path);
    assert_int_equal(td_fs_mkdir(td_fs_posix(), path, 0755), 0);
    s->config.disk.policy = TD_POLICY_DROP_OLDEST;
    s->disk.gain_bytes = 20 * MIB;
    s->disk.free_bytes = 90 * MIB;
    run(s, 1, 100);
    assert_string_equal(removed(s), "rec_2:space");
    assert_int_equal(s->round.failures, 1);
    assert_int_equal(s->round.failure, -TD_E_UNSUPPORTED);
    assert_false(s->round.exhausted);
    assert_int_equal(left(s), 2);
    s->disk.free_bytes = 0;
    run(s, 20, 100);
    assert_string_equal(removed(s), "rec_3:space");
    assert_true(s->round.exhausted);
    assert_int_equal(left(s), 1);
    /* A folder that is held up half-way is finished by a later round, row included. */
    add(s, 4, "room", 20 * MIB, true, false);
    s->disk.unlink_error = -EIO;
    s->disk.free_bytes = 90 * MIB;
    run(s, 40, 100);
    assert_int_equal(s->round.failures, 2);
    assert_true(
        file_exists(fixture_path(&s->f, "recordings/.removed-room_19700101T000000Z_rec_4", path)));
    s->disk.unlink_error = 0;
    s->disk.free_bytes = 500 * MIB;
    run(s, 60, 100);
    assert_true(file_exists(path));
    s->round.retain = true;
    run(s, 61, 100);
    assert_false(file_exists(path));
    assert_int_equal(left(s), 1);
}

static void test_bounded(void **state)
{
    struct stage *s = *state;
    for (unsigned n = 1; n <= TD_ROUND_REMOVALS_MAX + 3; n++)
        add(s, n, "room", 1, true, false);
    s->config.disk.max_age_us = 1;
    s->round.retain = true;
    unsigned total = 0;
    unsigned rounds = 0;
    do {
        run(s, 1, 100);
        assert_true(s->round.removal_count <= TD_ROUND_REMOVALS_MAX);
        total += s->round.removal_count;
        rounds++;
    } while (s->round.more && rounds < 100);
    assert_true(rounds >= 2);
    assert_int_equal(total, TD_ROUND_REMOVALS_MAX + 3);
    assert_int_equal(left(s), 0);
    for (unsigned n = 1; n <= 4; n++)
        add(s, n, "room", 1, true, false);
    s->round.limit_us = -1; /* slower than allowed: one each time */
    run(s, 1, 100);
    assert_string_equal(removed(s), "rec_1:age");
    assert_true(s->round.more);
    atomic_store(&s->round.stop, true);
    run(s, 1, 100);
    assert_int_equal(s->round.removal_count, 0);
    assert_int_equal(left(s), 3);
}

static void test_reserve(void **state)
{
    struct stage *s = *state;
    char path[TD_PATH_MAX];
    (void)fixture_path(&s->f, "reserve", path);
    s->config.disk.reserve_bytes = 12 * MIB;
    run(s, 1, 100);
    assert_true(s->round.more && !s->round.reserve_held);
    run(s, 1, 100);
    assert_true(!s->round.more && s->round.reserve_held);
    assert_int_equal(s->disk.free_bytes, 488 * MIB);
    s->disk.free_bytes = 50 * MIB; /* low is not full */
    run(s, 2, 100);
    assert_true(s->round.low && file_exists(path));
    s->disk.free_bytes = 0;
    run(s, 3, 100);
    assert_true(s->round.low && s->round.headroom.full && s->round.reserve_held);
    /* A part was given away: it is not made again in such times, and is no space that came back. */
    assert_int_equal(td_reserve_cut(&s->disk.base, path, 8 * MIB), TD_RESERVE_MORE);
    s->disk.free_bytes = 8 * MIB;
    run(s, 4, 100);
    assert_true(s->round.low && s->round.headroom.full && !s->round.reserve_held);
    s->disk.free_bytes = 50 * MIB;
    run(s, 5, 100);
    assert_true(s->round.low && !s->round.headroom.full && !s->round.reserve_held);
    s->disk.free_bytes = 500 * MIB;
    run(s, 6, 100);
    assert_true(s->round.reserve_held && !s->round.low && !s->round.more);
    assert_int_equal(s->disk.free_bytes, 492 * MIB);
    s->config.disk.reserve_bytes = 0; /* as reloaded */
    run(s, 7, 100);
    assert_false(file_exists(path));
    assert_int_equal(s->round.reserve_error, 0);
}

static void test_unmeasured(void **state)
{
    struct stage *s = *state;
    add(s, 1, "room", 10 * MIB, true, false);
    s->config.disk.policy = TD_POLICY_DROP_OLDEST;
    s->disk.free_bytes = 50 * MIB;
    s->disk.space_error = -EIO;
    run(s, 1, 100);
    assert_int_equal(s->round.error, -EIO);
    assert_false(s->round.low); /* nothing is removed for what is not known */
    assert_int_equal(left(s), 1);
    s->config.disk.max_age_us = 1;
    s->round.retain = true;
    run(s, 1, 100);
    assert_string_equal(removed(s), "rec_1:age");
    assert_int_equal(s->round.error, -EIO);
}

static int stop_at_any(void *ctx, const struct td_catalog_row *row)
{
    (void)ctx;
    (void)row;
    return 1;
}

static void test_sweep(void **state)
{
    struct stage *s = *state;
    char from[TD_PATH_MAX];
    char to[TD_PATH_MAX];
    for (unsigned n = 1; n <= 3; n++)
        add(s, n, "room", 10, true, false);
    (void)fixture_path(&s->f, "recordings/room_19700101T000000Z_rec_2", from);
    (void)fixture_path(&s->f, "recordings/.removed-room_19700101T000000Z_rec_2", to);
    assert_int_equal(td_fs_rename(td_fs_posix(), from, to, true), 0);
    assert_int_equal(td_round_sweep(&s->disk.base, s->f.disk, s->catalog), 1);
    assert_int_equal(left(s), 2);
    struct td_catalog_query query = {.id = "rec_2"};
    assert_int_equal(td_catalog_each(s->catalog, &query, stop_at_any, NULL), 0);
    assert_int_equal(td_round_sweep(&s->disk.base, s->f.disk, s->catalog), 0);
}

static void test_a_long_path(void **state)
{
    struct stage *s = *state;
    char path[TD_PATH_MAX + 1];
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    static struct td_round round;
    assert_int_equal(td_round_init(&round, &s->disk.base, s->catalog, path), -ENAMETOOLONG);
}

#define ROUND(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROUND(test_rules),       ROUND(test_drop_oldest), ROUND(test_other_policies_keep_all),
        ROUND(test_late_space),  ROUND(test_failures),    ROUND(test_bounded),
        ROUND(test_reserve),     ROUND(test_unmeasured),  ROUND(test_sweep),
        ROUND(test_a_long_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
