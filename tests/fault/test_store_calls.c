/* SPDX-License-Identifier: Apache-2.0 */
/* Every call to the file system fails in turn, once or from then on, while two parts are recorded
 * and closed and two small files are written. Each run must end, leak nothing, say that something
 * failed, and leave no wrong byte: a file holds the beginning of what was emitted. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#define FRAME_BYTES 40000u
#define FRAMES 6u
#define PARTS 2

struct run {
    int closed_errors;
    uint64_t scribe_errors;
};

/* Appends the end mark that tells a sealed file. */
static int seal(void *ctx, const struct td_read_at *media, const struct td_read_at *index,
                const struct td_op_sink *sink)
{
    (void)ctx;
    (void)index;
    uint8_t byte;
    int64_t n = media->read_at(media->ctx, 0, &byte, 1);
    if (n < 0) {
        return (int)n;
    }
    struct td_file_op op = {
        .kind = TD_OP_APPEND, .offset = media->size, .bytes = (const uint8_t *)"end", .len = 3};
    return sink->emit(sink->ctx, &op);
}

static void part_name(unsigned part, bool growing, char ret_name[32])
{
    (void)snprintf(ret_name, 32, "%u.%s", part, growing ? "recording.mkv" : "mkv");
}

static void record_part(struct fixture *f, struct td_spool *spool, uint32_t seed)
{
    static uint8_t bytes[FRAME_BYTES];
    for (unsigned i = 0; i < FRAMES; i++) {
        uint64_t at = (uint64_t)i * FRAME_BYTES;
        pattern_fill(seed, at, bytes, sizeof(bytes));
        int r = emit(spool, TD_OP_APPEND, TD_FILE_MEDIA, at, bytes, sizeof(bytes));
        assert_true(r == 0 || r == f->gate.error);
        r = emit(spool, TD_OP_APPEND, TD_FILE_INDEX, i, "i", 1);
        assert_true(r == 0 || r == f->gate.error);
        td_spool_flush(spool);
    }
}

static void run_once(struct fixture *f, struct run *ret_run)
{
    char name[32];
    char path[TD_PATH_MAX];
    struct td_spool *spool[PARTS];
    for (unsigned part = 0; part < PARTS; part++) {
        part_name(part, true, name);
        spool[part] = fixture_spool(f, name, true);
        record_part(f, spool[part], part);
    }
    assert_int_equal(td_store_append(f->store, fixture_path(f, "timeline.jsonl", path), "x\n", 2),
                     0);
    assert_int_equal(td_store_replace(f->store, fixture_path(f, "manifest.json", path), "{}", 2),
                     0);
    for (unsigned part = 0; part < PARTS; part++) {
        struct td_spool_finish finish = {.seal = seal};
        part_name(part, false, name);
        (void)snprintf(finish.final_path, sizeof(finish.final_path), "%s",
                       fixture_path(f, name, path));
        f->heard.report.error = 0;
        td_spool_close(spool[part], &finish);
        fixture_wait_closed(f, (int)part + 1);
        assert_true(f->heard.report.error == 0 || f->heard.report.error == f->gate.error);
        ret_run->closed_errors += f->heard.report.error < 0 ? 1 : 0;
    }
}

/* At least one name, and under it the beginning of the stream. */
static void check_part(struct fixture *f, unsigned part, bool whole)
{
    char name[32];
    char growing[TD_PATH_MAX];
    char finished[TD_PATH_MAX];
    part_name(part, true, name);
    (void)fixture_path(f, name, growing);
    part_name(part, false, name);
    (void)fixture_path(f, name, finished);
    assert_true(file_exists(growing) + file_exists(finished) <= 1);
    bool sealed = file_exists(finished);
    assert_true(sealed || !whole);
    if (!sealed && !file_exists(growing)) {
        return;
    }
    size_t len = 0;
    char *bytes = file_read(sealed ? finished : growing, &len);
    const size_t all = (size_t)FRAMES * FRAME_BYTES;
    /* After a full disk what is there is sealed and gets its name. */
    bool cut = sealed && !whole && f->gate.error == -ENOSPC;
    if (sealed) {
        assert_true(cut ? len >= 3 && len <= all + 3 : len == all + 3);
        assert_memory_equal(bytes + len - 3, "end", 3);
    }
    /* A growing file may be sealed too: after a full disk, or before a rename that failed. */
    if (len >= 3 && memcmp(bytes + len - 3, "end", 3) == 0) {
        len -= 3;
    }
    assert_true(len <= all && (!sealed || cut || len == all));
    for (size_t i = 0; i < len; i++) {
        assert_int_equal((uint8_t)bytes[i], pattern_at(part, i));
    }
    free(bytes);
}

/* Until the scribe has written both files, or said that it could not. */
static uint64_t wait_scribe(struct fixture *f)
{
    char manifest[TD_PATH_MAX];
    char timeline[TD_PATH_MAX];
    (void)fixture_path(f, "timeline.jsonl", timeline);
    (void)fixture_path(f, "manifest.json", manifest);
    int first;
    uint64_t errors;
    do {
        (void)sched_yield();
        errors = td_store_scribe_errors(f->store, &first);
    } while (errors == 0 && (!file_exists(manifest) || !file_exists(timeline)));
    return errors;
}

/* Fails call `n`; false when there are not so many. `silent` counts the failures nobody heard of.
 */
static bool fail_call(unsigned long long n, bool sticky, int error, unsigned *silent)
{
    static struct fixture f;
    fixture_init(&f);
    f.gate.fail_at = n;
    f.gate.sticky = sticky;
    f.gate.error = error;
    fixture_store(&f, 40, 0);
    struct run run = {.closed_errors = 0};
    run_once(&f, &run);
    run.scribe_errors = wait_scribe(&f);
    bool reached = f.gate.calls >= n;
    fixture_store_done(&f);
    if (!reached) {
        assert_int_equal(run.closed_errors, 0);
        assert_int_equal(run.scribe_errors, 0);
    }
    *silent += reached && run.closed_errors == 0 && run.scribe_errors == 0 ? 1 : 0;
    for (unsigned part = 0; part < PARTS; part++) {
        check_part(&f, part, run.closed_errors == 0);
    }
    f.gate.fail_at = 0;
    /* Nothing is left in the pool that a recovery could bring back. */
    assert_in_range(td_crashpool_recover(&f.gate.base, f.shm, NULL, NULL), 0, 1);
    for (unsigned part = 0; part < PARTS; part++) {
        check_part(&f, part, run.closed_errors == 0);
    }
    fixture_done(&f);
    return reached;
}

static void test_calls(void **state)
{
    (void)state;
    static const int errors[] = {-ENOSPC, -EIO};
    for (int sticky = 0; sticky < 2; sticky++) {
        unsigned long long n = 1;
        unsigned silent = 0;
        while (fail_call(n, sticky == 1, errors[n % 2], &silent)) {
            n++;
        }
        print_message("# %llu calls failed in turn%s, %u unheard\n", n - 1,
                      sticky == 1 ? " and for good" : "", silent);
        assert_in_range(n, 40, 1000);
        /* The unlink of the empty pool, which nobody is left to hear of, and the last call of the
         * scribe, after its file is there to be seen. */
        assert_in_range(silent, 0, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
