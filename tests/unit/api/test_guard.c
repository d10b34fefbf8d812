/* SPDX-License-Identifier: Apache-2.0 */
/* The guard over a real store, catalogue and folders, with recordings of which none runs, on a disk
 * whose free space the test says. */
#include "api/guard.h"

#include <errno.h>
#include <glib-unix.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fixture.h"

#define MIB (INT64_C(1) << 20)
#define WAIT_US (20 * TD_US_PER_S) /* a hang is a failure */

struct disk {
    struct td_fs base;
    struct td_fs_ops ops;
    atomic_llong free_bytes;
    atomic_int error;
};

static int disk_space(struct td_fs *fs, const char *path, struct td_fs_space *ret_space)
{
    struct disk *d = (struct disk *)fs; /* `base` is the first member */
    (void)path;
    *ret_space = (struct td_fs_space){.total_bytes = (uint64_t)(1000 * MIB),
                                      .free_bytes = (uint64_t)atomic_load(&d->free_bytes),
                                      .files_free = 100000};
    return atomic_load(&d->error);
}

static int disk_unlink(struct td_fs *fs, const char *path)
{
    struct disk *d = (struct disk *)fs;
    int r = td_fs_posix()->ops->unlink(td_fs_posix(), path);
    if (r == 0 && strstr(path, "alice.ts") != NULL)
        atomic_fetch_add(&d->free_bytes, 20 * MIB);
    return r;
}

struct stage {
    struct fixture f;
    struct disk disk;
    struct td_config config;
    struct td_log log;
    struct td_budget budget;
    struct td_recorder recorder;
    struct td_catalog *catalog;
    struct td_recordings *recordings;
    struct td_guard *guard;
    guint mail;
};

static gboolean on_mail(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    (void)td_mailbox_drain(data);
    return G_SOURCE_CONTINUE;
}

static int setup(void **state)
{
    static struct stage s;
    memset(&s, 0, sizeof(s));
    fixture_init(&s.f);
    s.disk = (struct disk){.ops = *td_fs_posix()->ops, .free_bytes = 500 * MIB};
    s.disk.ops.space = disk_space;
    s.disk.ops.unlink = disk_unlink;
    s.disk.base.ops = &s.disk.ops;
    fixture_store(&s.f, 4, -1);
    char path[TD_PATH_MAX];
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_catalog_open(fixture_path(&s.f, "catalog.db", path), &fail, &s.catalog), 0);
    assert_int_equal(td_config_init(&s.config), 0);
    free(s.config.data_dir);
    s.config.data_dir = strdup(s.f.disk);
    s.config.ws_url = strdup("ws://127.0.0.1:9");
    s.config.api_key = strdup("key");
    s.config.api_secret = strdup("secret");
    s.config.disk.min_free_bytes = 100 * MIB;
    td_log_init(&s.log, -1, TD_LOG_ERROR);
    td_budget_init(&s.budget, NULL, 64u << 20);
    s.recorder = (struct td_recorder){.fs = &s.disk.base,
                                      .store = s.f.store,
                                      .control = s.f.notify,
                                      .log = &s.log,
                                      .budget = &s.budget};
    s.mail = g_unix_fd_add(td_mailbox_fd(s.f.notify), G_IO_IN, on_mail, s.f.notify);
    struct td_recordings_config recordings = {
        .recorder = &s.recorder, .config = &s.config, .catalog = s.catalog};
    assert_int_equal(td_recordings_new(&recordings, &s.recordings), 0);
    *state = &s;
    return 0;
}

static void start(struct stage *s)
{
    struct td_guard_config config = {.recorder = &s->recorder,
                                     .recordings = s->recordings,
                                     .catalog = s->catalog,
                                     .config = &s->config};
    assert_int_equal(td_guard_new(&config, &s->guard), 0);
}

static int teardown(void **state)
{
    struct stage *s = *state;
    s->guard = td_guard_free(s->guard);
    s->recordings = td_recordings_free(s->recordings);
    g_source_remove(s->mail);
    fixture_store_done(&s->f);
    (void)td_mailbox_drain(s->f.notify); /* the last answers end there */
    s->catalog = td_catalog_close(s->catalog);
    td_budget_done(&s->budget);
    td_config_done(&s->config);
    fixture_done(&s->f);
    return 0;
}

static void add(struct stage *s, unsigned n)
{
    char id[TD_ID_MAX];
    char folder[64];
    char name[128];
    char path[TD_PATH_MAX];
    (void)snprintf(id, sizeof(id), "rec_%u", n);
    (void)snprintf(folder, sizeof(folder), "room_%s", id);
    (void)snprintf(name, sizeof(name), "recordings/%s", folder);
    assert_int_equal(td_fs_mkdirs(td_fs_posix(), fixture_path(&s->f, name, path), 0755), 0);
    (void)snprintf(name, sizeof(name), "recordings/%s/alice.ts", folder);
    file_write(fixture_path(&s->f, name, path), "media", 5);
    struct td_catalog_row row = {.id = id,
                                 .room = "room",
                                 .state = "complete",
                                 .folder = folder,
                                 .started_us = n,
                                 .ended_us = n,
                                 .bytes = (uint64_t)(20 * MIB),
                                 .final = true};
    assert_int_equal(td_catalog_put(s->catalog, &row, NULL, 0), 0);
}

static bool there(struct stage *s, unsigned n)
{
    char name[64];
    char path[TD_PATH_MAX];
    (void)snprintf(name, sizeof(name), "recordings/room_rec_%u/alice.ts", n);
    return file_exists(fixture_path(&s->f, name, path));
}

typedef bool condition_fn(const struct td_guard_stats *stats);

static struct td_guard_stats wait_for(struct stage *s, condition_fn *condition)
{
    struct td_guard_stats stats;
    int64_t end_us = td_clock_now_us() + WAIT_US;
    for (;;) {
        td_guard_stats(s->guard, &stats);
        if (condition(&stats))
            return stats;
        assert_true(td_clock_now_us() < end_us);
        (void)g_main_context_iteration(NULL, TRUE); /* the guard's own timer wakes it */
    }
}

static bool is_measured(const struct td_guard_stats *stats)
{
    return stats->measured;
}

static bool is_unmeasured(const struct td_guard_stats *stats)
{
    return !stats->measured;
}

static bool is_low(const struct td_guard_stats *stats)
{
    return stats->low;
}

static bool is_fine(const struct td_guard_stats *stats)
{
    return stats->measured && !stats->low;
}

static bool is_refusing(const struct td_guard_stats *stats)
{
    return stats->refusing;
}

static bool has_removed_two(const struct td_guard_stats *stats)
{
    return stats->removed_total == 2;
}

static bool has_reserve(const struct td_guard_stats *stats)
{
    return stats->measured && stats->reserve_held;
}

static void never_settled(void *ctx, struct td_recording *recording)
{
    (void)ctx;
    (void)recording;
    fail();
}

static int try_to_start(struct stage *s, struct td_fail *ret_fail)
{
    struct td_recording_request request = {.room = "room"};
    struct td_recording *recording = NULL;
    return td_recordings_start(s->recordings, &request, never_settled, NULL, ret_fail, &recording);
}

static void test_look(void **state)
{
    struct stage *s = *state;
    start(s);
    struct td_guard_stats stats = wait_for(s, is_measured);
    assert_int_equal(stats.free_bytes, 500 * MIB);
    assert_int_equal(stats.total_bytes, 1000 * MIB);
    assert_false(stats.low || stats.refusing);
    stats = wait_for(s, has_reserve);
    char path[TD_PATH_MAX];
    assert_true(file_exists(fixture_path(&s->f, "reserve", path)));
}

static void test_refuse(void **state)
{
    struct stage *s = *state;
    atomic_store(&s->disk.free_bytes, 50 * MIB);
    s->config.disk.reserve_bytes = 0;
    start(s);
    (void)wait_for(s, is_refusing);
    struct td_fail fail = {.code = 0};
    assert_int_equal(try_to_start(s, &fail), -ENOSPC);
    assert_non_null(strstr(fail.text, "50.0 MiB"));
    assert_non_null(strstr(fail.text, "100.0 MiB"));
    atomic_store(&s->disk.free_bytes, 104 * MIB);
    td_guard_look(s->guard);
    td_guard_look(s->guard); /* one is under way: once more after it */
    atomic_store(&s->disk.free_bytes, 105 * MIB);
    struct td_guard_stats stats = wait_for(s, is_fine);
    assert_false(stats.refusing);
    /* Not known is not low, and changes nothing. */
    atomic_store(&s->disk.free_bytes, 1);
    atomic_store(&s->disk.error, -EIO);
    td_guard_look(s->guard);
    stats = wait_for(s, is_unmeasured);
    assert_false(stats.low || stats.refusing);
    atomic_store(&s->disk.error, 0);
    stats = wait_for(s, is_low);
    assert_true(stats.refusing);
}

static void test_drop_oldest(void **state)
{
    struct stage *s = *state;
    for (unsigned n = 1; n <= 3; n++)
        add(s, n);
    s->config.disk.policy = TD_POLICY_DROP_OLDEST;
    s->config.disk.reserve_bytes = 0;
    atomic_store(&s->disk.free_bytes, 80 * MIB);
    start(s);
    struct td_guard_stats stats = wait_for(s, has_removed_two);
    assert_int_equal(stats.removed_bytes_total, 10);
    assert_false(stats.low || stats.refusing);
    assert_false(there(s, 1) || there(s, 2));
    assert_true(there(s, 3));
    atomic_store(&s->disk.free_bytes, 20 * MIB);
    td_guard_look(s->guard);
    stats = wait_for(s, is_refusing); /* nothing more can go */
    assert_int_equal(stats.removed_total, 3);
    assert_false(there(s, 3));
}

/* The rules are heard as they are now, not as they were at the start. */
static void test_reload(void **state)
{
    struct stage *s = *state;
    start(s);
    (void)wait_for(s, is_measured);
    s->config.disk.min_free_bytes = 600 * MIB;
    td_guard_look(s->guard);
    (void)wait_for(s, is_refusing);
    s->config.disk.min_free_bytes = 0;
    td_guard_look(s->guard);
    (void)wait_for(s, is_fine);
}

/* Freed while its round is under way. */
static void test_freed_while_away(void **state)
{
    struct stage *s = *state;
    for (unsigned n = 1; n <= 50; n++)
        add(s, n);
    s->config.disk.max_age_us = 1;
    start(s);
    s->guard = td_guard_free(s->guard);
    assert_null(td_guard_free(NULL));
}

#define GUARD(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARD(test_look),   GUARD(test_refuse),           GUARD(test_drop_oldest),
        GUARD(test_reload), GUARD(test_freed_while_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
