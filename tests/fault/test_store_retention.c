/* SPDX-License-Identifier: Apache-2.0 */
/* A recording is removed while every call to the file system fails in turn, once or from then on,
 * and while the process is killed before every call, in the removal and in the sweep that follows.
 * There is always either the whole recording with its row, or a marked folder that the next sweep
 * finishes; the recordings beside it are never touched. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "store/retention.h"

#define CALLS_MAX 200u /* more than a removal needs */

static const char target[] = "room_20261121T093000Z_rec_a";

/* The files of the recording that goes; what is left to be marked is found by them. */
static const char *const files[] = {"manifest.json", "alice.ts", "hls/alice/1.ts", "hls/bob/1.ts",
                                    "exports/alice.mp4"};
#define FILES (sizeof(files) / sizeof(*files))

/* ---- a file system that ends the process before its n-th call ---- */

struct deadly_fs {
    struct td_fs base;
    unsigned calls;
    unsigned kill_at;
};

static struct td_fs *deadly_next(struct td_fs *fs)
{
    struct deadly_fs *d = (struct deadly_fs *)fs; /* `base` is the first member */
    if (++d->calls == d->kill_at) {
        (void)kill(getpid(), SIGKILL); /* does not return */
    }
    return td_fs_posix();
}

static int deadly_open(struct td_fs *fs, const char *path, unsigned flags, unsigned mode)
{
    struct td_fs *real = deadly_next(fs);
    return real->ops->open(real, path, flags, mode);
}

static int deadly_close(struct td_fs *fs, int handle)
{
    struct td_fs *real = deadly_next(fs);
    return real->ops->close(real, handle);
}

static int deadly_stat(struct td_fs *fs, const char *path, struct td_fs_stat *ret_stat)
{
    struct td_fs *real = deadly_next(fs);
    return real->ops->stat(real, path, ret_stat);
}

static int deadly_rename(struct td_fs *fs, const char *from, const char *to, bool replace)
{
    struct td_fs *real = deadly_next(fs);
    return real->ops->rename(real, from, to, replace);
}

static int deadly_unlink(struct td_fs *fs, const char *path)
{
    struct td_fs *real = deadly_next(fs);
    return real->ops->unlink(real, path);
}

static int deadly_rmdir(struct td_fs *fs, const char *path)
{
    struct td_fs *real = deadly_next(fs);
    return real->ops->rmdir(real, path);
}

static int deadly_sync_dir(struct td_fs *fs, const char *path)
{
    (void)deadly_next(fs);
    (void)path;
    return 0; /* the real one takes its time and changes nothing that a test could see */
}

static int deadly_list(struct td_fs *fs, const char *path, int (*each)(void *ctx, const char *name),
                       void *ctx)
{
    struct td_fs *real = deadly_next(fs);
    return real->ops->list(real, path, each, ctx);
}

static const struct td_fs_ops deadly_ops = {
    .name = "deadly",
    .open = deadly_open,
    .close = deadly_close,
    .stat = deadly_stat,
    .rename = deadly_rename,
    .unlink = deadly_unlink,
    .rmdir = deadly_rmdir,
    .sync_dir = deadly_sync_dir,
    .list = deadly_list,
};

/* ---- a data folder with three recordings; a row is a file of its folder's name ---- */

struct stage {
    struct fixture f;
    struct td_fs_fault fault;
    struct deadly_fs deadly;
    struct td_fs *rows; /* what forgets a row: it fails and dies as well */
};

static void stage_path(const struct stage *s, char ret_path[TD_PATH_MAX], const char *first,
                       const char *second, const char *third)
{
    int n = snprintf(ret_path, TD_PATH_MAX, "%s/%s%s%s", s->f.disk, first, second, third);
    assert_true(n > 0 && n < (int)TD_PATH_MAX);
}

static bool stage_has(const struct stage *s, const char *first, const char *second,
                      const char *third)
{
    char path[TD_PATH_MAX];
    stage_path(s, path, first, second, third);
    return file_exists(path);
}

static void stage_fill(const struct stage *s, const char *folder)
{
    static const char *const folders[] = {"/hls/alice", "/hls/bob", "/exports", "/thumbs"};
    char path[TD_PATH_MAX];
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        stage_path(s, path, "recordings/", folder, folders[i]);
        assert_int_equal(td_fs_mkdirs(td_fs_posix(), path, 0755), 0);
    }
    for (size_t i = 0; i < FILES; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "/%s", files[i]);
        stage_path(s, path, "recordings/", folder, name);
        if (!file_exists(path)) {
            file_write(path, "x", 1);
        }
    }
    stage_path(s, path, "rows/", folder, "");
    if (!file_exists(path)) {
        file_write(path, "", 0);
    }
}

static void stage_make(struct stage *s)
{
    char path[TD_PATH_MAX];
    fixture_init(&s->f);
    s->rows = td_fs_posix();
    stage_path(s, path, "rows", "", "");
    assert_int_equal(td_fs_mkdirs(td_fs_posix(), path, 0755), 0);
    stage_fill(s, "room_20261121T093000Z_rec_b");
    stage_fill(s, ".hidden");
    stage_fill(s, target);
}

static int forget(void *ctx, const char *folder)
{
    const struct stage *s = ctx;
    char path[TD_PATH_MAX];
    stage_path(s, path, "rows/", folder, "");
    int r = td_fs_unlink(s->rows, path);
    return r == -ENOENT ? 0 : r;
}

static size_t stage_files(const struct stage *s, const char *mark)
{
    size_t count = 0;
    for (size_t i = 0; i < FILES; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%s/%s", target, files[i]);
        count += stage_has(s, "recordings/", mark, name);
    }
    return count;
}

static bool stage_marked(const struct stage *s)
{
    return stage_has(s, "recordings/", ".removed-", target);
}

static bool stage_gone(const struct stage *s)
{
    return !stage_marked(s) && !stage_has(s, "recordings/", target, "");
}

/* What must hold at every instant. */
static void stage_check(const struct stage *s)
{
    static const char *const others[] = {"room_20261121T093000Z_rec_b", ".hidden"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(stage_has(s, "rows/", others[i], ""));
        for (size_t k = 0; k < FILES; k++) {
            char name[64];
            (void)snprintf(name, sizeof(name), "/%s", files[k]);
            assert_true(stage_has(s, "recordings/", others[i], name));
        }
    }
    bool row = stage_has(s, "rows/", target, "");
    if (stage_has(s, "recordings/", target, "")) {
        assert_false(stage_marked(s));
        assert_true(row);
        assert_int_equal(stage_files(s, ""), FILES);
    } else if (stage_marked(s)) {
        assert_true(row || stage_files(s, ".removed-") == 0);
    } else {
        assert_false(row);
    }
}

/* After a start: nothing is marked, and there is a row exactly when there is a recording. */
static void stage_restart(struct stage *s)
{
    bool marked = stage_marked(s);
    bool whole = stage_has(s, "recordings/", target, "");
    assert_int_equal(td_retention_sweep(td_fs_posix(), s->f.disk, forget, s), marked ? 1 : 0);
    assert_false(stage_marked(s));
    assert_int_equal(stage_has(s, "recordings/", target, ""), whole);
    assert_int_equal(stage_has(s, "rows/", target, ""), whole);
    stage_check(s);
}

/* ---- failing calls ---- */

static bool fail_call(struct stage *s, uint64_t n, bool sticky, int error)
{
    struct td_fs *fs = td_fs_fault_init(&s->fault, td_fs_posix());
    s->fault.fail_at = n;
    s->fault.error = error;
    s->fault.sticky = sticky;
    s->rows = fs;
    int r = td_retention_remove(fs, s->f.disk, target, forget, s, NULL);
    s->rows = td_fs_posix();
    bool reached = s->fault.calls >= n;
    assert_int_equal(r, reached ? error : 0);
    stage_check(s);
    assert_int_equal(stage_gone(s), !reached);
    if (n % 2 == 0) {
        stage_restart(s);
        stage_fill(s, target);
        return reached;
    }
    /* The call again, instead of a start. */
    assert_int_equal(td_retention_remove(td_fs_posix(), s->f.disk, target, forget, s, NULL), 0);
    assert_true(stage_gone(s));
    stage_check(s);
    stage_fill(s, target);
    return reached;
}

static void test_calls(void **state)
{
    (void)state;
    static struct stage s;
    stage_make(&s);
    for (int sticky = 0; sticky < 2; sticky++) {
        uint64_t n = 1;
        while (fail_call(&s, n, sticky == 1, n % 3 == 0 ? -ENOSPC : -EIO)) {
            n++;
        }
        print_message("# %llu calls failed in turn%s\n", (unsigned long long)n - 1,
                      sticky == 1 ? " and for good" : "");
        assert_in_range(n, 40, CALLS_MAX);
    }
    fixture_done(&s.f);
}

/* The sweep says so too, and the next one is through. */
static void test_sweep_calls(void **state)
{
    (void)state;
    static struct stage s;
    stage_make(&s);
    bool reached = true;
    uint64_t n = 1;
    for (; reached; n++) {
        assert_true(n < CALLS_MAX);
        char plain[TD_PATH_MAX];
        char marked[TD_PATH_MAX];
        stage_path(&s, plain, "recordings/", target, "");
        stage_path(&s, marked, "recordings/", ".removed-", target);
        assert_int_equal(td_fs_rename(td_fs_posix(), plain, marked, true), 0);
        struct td_fs *fs = td_fs_fault_init(&s.fault, td_fs_posix());
        s.fault.fail_at = n;
        s.fault.error = -EIO;
        s.rows = fs;
        int r = td_retention_sweep(fs, s.f.disk, forget, &s);
        s.rows = td_fs_posix();
        reached = s.fault.calls >= n;
        /* The last listing only looks for what is left. */
        assert_int_equal(r, !reached ? 1 : -EIO);
        stage_check(&s);
        stage_restart(&s);
        stage_fill(&s, target);
    }
    assert_true(n > 20);
    fixture_done(&s.f);
}

/* ---- killed ---- */

/* Runs the removal, or the sweep, in a process that is killed before its n-th call. True when it
 * was. */
static bool kill_call(struct stage *s, unsigned n, bool sweeps)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        s->deadly = (struct deadly_fs){.base = {.ops = &deadly_ops}, .kill_at = n};
        struct td_fs *fs = s->rows = &s->deadly.base;
        int r = sweeps ? td_retention_sweep(fs, s->f.disk, forget, s)
                       : td_retention_remove(fs, s->f.disk, target, forget, s, NULL);
        _exit(r >= 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    stage_check(s);
    return WIFSIGNALED(status);
}

static void test_kills(void **state)
{
    (void)state;
    static struct stage s;
    stage_make(&s);
    unsigned kills = 0;
    unsigned n = 1;
    for (bool killed = true; killed; n++) {
        assert_true(n < CALLS_MAX);
        killed = kill_call(&s, n, false);
        kills += killed;
        if (stage_marked(&s)) {
            /* The sweeps are killed too: each one a call later than the one before. */
            for (unsigned k = 1; kill_call(&s, k, true); k++) {
                assert_true(k < CALLS_MAX);
                kills++;
            }
            assert_true(stage_gone(&s));
        }
        stage_restart(&s);
        stage_fill(&s, target);
    }
    print_message("# %u kills, of a removal of %u calls and its sweeps\n", kills, n - 2);
    assert_in_range(n, 40, CALLS_MAX);
    fixture_done(&s.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_sweep_calls),
        cmocka_unit_test(test_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
