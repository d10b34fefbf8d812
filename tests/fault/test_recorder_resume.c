/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a killed process left is looked at, and closed, while each file call fails in turn, and
 * while the process is killed before each in turn: the next run comes to the same end as one that
 * nothing had happened to.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "recorder/resume.h"
#include "relic.h"

#define CALLS_MAX 2000u
#define PRINT_BYTES 4096u
#define CUT 90u /* bytes that are missing of each file: it ends within a unit */

enum way {
    FIND,         /* to go on */
    CLOSE,        /* to end */
    CLOSE_STOPPED /* the same, of one that was about to end by itself */
};

struct ward {
    struct fixture f;
    char folder[TD_PATH_MAX];
    char print[PRINT_BYTES];
    size_t print_len;
};

static void stop_it(void *ctx, struct td_manifest *m)
{
    (void)ctx;
    TD_MANIFEST_SET(m->state, "finishing");
    TD_MANIFEST_SET(m->reason, "stopped");
}

static void open_ward(struct ward *w, enum relic_kind kind, enum way way)
{
    memset(w, 0, sizeof(*w));
    fixture_init(&w->f);
    (void)fixture_path(&w->f, "rec", w->folder);
    relic_put(kind, w->folder, CUT);
    if (way == CLOSE_STOPPED)
        relic_change(w->folder, stop_it, NULL);
}

static void close_ward(struct ward *w)
{
    fixture_done(&w->f);
}

static void on_report(void *ctx, const struct td_recover_report *report)
{
    (void)ctx;
    (void)report;
}

static void print(struct ward *w, const char *fmt, ...) TD_PRINTF(2, 3);
static void print(struct ward *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(w->print + w->print_len, sizeof(w->print) - w->print_len, fmt, args);
    va_end(args);
    assert_true(n >= 0 && w->print_len + (size_t)n < sizeof(w->print));
    w->print_len += (size_t)n;
}

/* ---- what there is ---- */

struct names {
    char items[16][64];
    size_t count;
};

static int add_name(void *ctx, const char *name)
{
    struct names *names = ctx;
    assert_true(names->count < 16);
    (void)snprintf(names->items[names->count++], sizeof(names->items[0]), "%s", name);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void print_files(struct ward *w)
{
    struct names names = {.count = 0};
    assert_int_equal(td_fs_list(td_fs_posix(), w->folder, add_name, &names), 0);
    qsort(names.items, names.count, sizeof(names.items[0]), compare);
    for (size_t i = 0; i < names.count; i++) {
        char path[TD_PATH_MAX];
        struct td_fs_stat st;
        assert_int_equal(
            td_fs_stat_path(td_fs_posix(), relic_path(w->folder, names.items[i], path), &st), 0);
        bool text = strstr(names.items[i], ".json") != NULL; /* holds times of day */
        print(w, "%s %llu\n", names.items[i], text ? 0ull : (unsigned long long)st.size);
    }
}

/* Who gave a file its last name is not known later: it is whole. */
static const char *whole(const char *state)
{
    return strcmp(state, "recovered") == 0 ? "complete" : state;
}

static void print_manifest(struct ward *w)
{
    struct td_manifest m;
    relic_manifest(w->folder, &m);
    print(w, "%s/%s ended %d\n", m.state, m.reason, m.ended_us != TD_MANIFEST_NO_TIME);
    for (size_t i = 0; i < m.output_count; i++) {
        for (size_t k = 0; k < m.outputs[i].part_count; k++) {
            const struct td_manifest_part *part = &m.outputs[i].parts[k];
            print(w, "%s %s %s %llu %lld\n", part->file, part->format, whole(part->state),
                  (unsigned long long)part->bytes, (long long)part->duration_ms);
        }
    }
    for (size_t i = 0; i < m.break_count; i++)
        print(w, "break %lld %lld\n", (long long)m.breaks[i].wall_us,
              (long long)m.breaks[i].pts_us);
    td_manifest_done(&m);
    print(w, "interrupted %u recovered %u\n", relic_lines(w->folder, "\"interrupted\""),
          relic_lines(w->folder, "\"recovered\""));
}

static void print_resume(struct ward *w, const struct td_resume *resume)
{
    print(w, "last %lld %lld\n", (long long)resume->last_pts_us, (long long)resume->last_wall_us);
    for (size_t i = 0; i < resume->manifest.output_count; i++) {
        const struct td_resume_end *end = &resume->ends[i];
        print(w, "end %d %llu %lld\n", end->open,
              end->open ? (unsigned long long)end->tail.bytes : 0ull,
              end->open ? (long long)end->tail.newest_us : 0);
    }
}

/* Runs it; with `prints` what it came to is written down, and must be success. */
static int run(struct ward *w, enum way way, bool prints)
{
    struct td_resume *resume = NULL;
    int r = way == FIND ? td_resume_find(&w->f.gate.base, w->folder, on_report, w, &resume)
                        : td_recover_close(&w->f.gate.base, w->folder, on_report, w);
    assert_int_equal(w->f.gate.handles, 0);
    if (prints) {
        assert_int_equal(r, 0);
        print_files(w);
        print_manifest(w);
        if (way == FIND)
            print_resume(w, resume);
    }
    td_resume_free(resume);
    return r;
}

static void reference(enum relic_kind kind, enum way way, struct ward *w)
{
    open_ward(w, kind, way);
    (void)run(w, way, true);
    close_ward(w);
}

/* True when the n-th call was made. */
static bool fail_call(enum relic_kind kind, enum way way, unsigned n, int error, bool sticky,
                      const char *wanted)
{
    struct ward w;
    open_ward(&w, kind, way);
    w.f.gate.error = error;
    w.f.gate.sticky = sticky;
    w.f.gate.fail_at = n;
    int r = run(&w, way, false);
    bool made = atomic_load(&w.f.gate.calls) >= n;
    if (made && sticky)
        assert_true(r < 0);
    if (!made)
        assert_int_equal(r, 0);
    w.f.gate.fail_at = 0;
    (void)run(&w, way, true);
    if (strcmp(w.print, wanted) != 0)
        fail_msg("call %u failed with %d:\n%s\ninstead of:\n%s", n, error, w.print, wanted);
    close_ward(&w);
    return made;
}

static void fail_each(enum relic_kind kind, enum way way)
{
    static const int errors[] = {-EIO, -ENOSPC};
    struct ward ref;
    reference(kind, way, &ref);
    for (unsigned i = 0; i < 4; i++) {
        unsigned n = 1;
        while (fail_call(kind, way, n, errors[i % 2], i >= 2, ref.print))
            assert_true(n++ < CALLS_MAX);
        assert_true(n > 20);
    }
}

/* True when it was killed. */
static bool kill_before(enum relic_kind kind, enum way way, unsigned n, const char *wanted)
{
    struct ward w;
    open_ward(&w, kind, way);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct td_resume *resume = NULL;
        w.f.gate.fail_at = n;
        w.f.gate.kills = true;
        int r = way == FIND ? td_resume_find(&w.f.gate.base, w.folder, on_report, &w, &resume)
                            : td_recover_close(&w.f.gate.base, w.folder, on_report, &w);
        td_resume_free(resume);
        _exit(r == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool killed = WIFSIGNALED(status);
    assert_true(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    (void)run(&w, way, true);
    if (strcmp(w.print, wanted) != 0)
        fail_msg("killed before call %u:\n%s\ninstead of:\n%s", n, w.print, wanted);
    close_ward(&w);
    return killed;
}

static void kill_each(enum relic_kind kind, enum way way)
{
    struct ward ref;
    reference(kind, way, &ref);
    unsigned n = 1;
    while (kill_before(kind, way, n, ref.print))
        assert_true(n++ < CALLS_MAX);
    assert_true(n > 20);
}

static void test_find_fails(void **state)
{
    (void)state;
    for (unsigned kind = RELIC_TS; kind <= RELIC_BOTH; kind++)
        fail_each((enum relic_kind)kind, FIND);
}

static void test_close_fails(void **state)
{
    (void)state;
    for (unsigned kind = RELIC_TS; kind <= RELIC_BOTH; kind++)
        fail_each((enum relic_kind)kind, CLOSE);
}

static void test_close_stopped(void **state)
{
    (void)state;
    for (unsigned kind = RELIC_TS; kind <= RELIC_MKV; kind++) {
        fail_each((enum relic_kind)kind, CLOSE_STOPPED);
        kill_each((enum relic_kind)kind, CLOSE_STOPPED);
    }
}

static void test_find_killed(void **state)
{
    (void)state;
    for (unsigned kind = RELIC_TS; kind <= RELIC_BOTH; kind++)
        kill_each((enum relic_kind)kind, FIND);
}

static void test_close_killed(void **state)
{
    (void)state;
    for (unsigned kind = RELIC_TS; kind <= RELIC_BOTH; kind++)
        kill_each((enum relic_kind)kind, CLOSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_fails),    cmocka_unit_test(test_close_fails),
        cmocka_unit_test(test_find_killed),   cmocka_unit_test(test_close_killed),
        cmocka_unit_test(test_close_stopped),
    };
    return cmocka_run_group_tests_name("recorder/resume faults", tests, relics_make, relics_drop);
}
