/* SPDX-License-Identifier: Apache-2.0 */
/* The promise of the crash pool: a process that is killed at any instant has lost nothing of what
 * it emitted. A child emits as fast as it can and notes in a shared page, after each emit returned,
 * how far it came; it is killed when it has come to a random point, or somewhere in its
 * preparations. Then recovery runs, sometimes killed half-way itself, and the files must hold
 * everything up to there, and at most one operation more. Then another child may go on with the
 * same files in place, and die, too.
 *
 * TD_TEST_SEED repeats a run's choices, TD_TEST_ROUNDS sets how many. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fixture.h"
#include "store/crashpool.h"

#define ROUNDS 40
#define PARTS_MAX 48u
#define LIVES 6u
#define STREAMS 2u
#define HEADER_BYTES 16u
#define PATCH_AT 8u
#define OP_BYTES_MAX 150000u

/* Written by the child, read by the parent after its death. */
struct witness {
    atomic_ulong total; /* operations, of all parts */
    atomic_ulong emitted[STREAMS][PARTS_MAX];
};

struct plan {
    uint32_t seed;
    unsigned long part_ops; /* operations in a part before it is closed */
    bool finishes;          /* closed parts get their final name */
    size_t buffers;
    int64_t flush_interval_us;
    int64_t sync_interval_us;
    /* where the first part of each stream goes on; 0: it begins */
    uint64_t start_bytes[STREAMS];
    unsigned long start_ops[STREAMS];
    unsigned long long die_at; /* its own call to the file system that kills the child; 0: none */
};

struct op {
    bool patch;
    uint64_t offset;
    size_t len;
};

static uint32_t mix(uint32_t seed, unsigned long n)
{
    uint64_t x = (n + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
                 (uint64_t)seed * UINT64_C(0xd1342543de82ef95);
    x ^= x >> 32;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(x >> 32);
}

/* Operation `n` of a part that holds `size` bytes: mostly appends of a packet's size, some of many
 * buffers, now and then a patch of a number in its header. */
static struct op op_at(uint32_t seed, unsigned long n, uint64_t size)
{
    uint32_t r = mix(seed, n);
    if (n == 0) {
        return (struct op){.offset = 0, .len = HEADER_BYTES};
    }
    if (r % 8 == 0) {
        return (struct op){.patch = true, .offset = PATCH_AT, .len = 8};
    }
    size_t len = r % 64 == 1 ? 1 + mix(seed, n + 1000000) % OP_BYTES_MAX : 1 + (r >> 8) % 1500;
    return (struct op){.offset = size, .len = len};
}

static uint32_t part_seed(const struct plan *plan, unsigned stream, unsigned part)
{
    return plan->seed + stream * 1000 + part;
}

static void part_path(const struct fixture *f, unsigned stream, unsigned part, bool final_name,
                      char ret_path[TD_PATH_MAX])
{
    (void)snprintf(ret_path, TD_PATH_MAX, "%s/%u.%u.%s", f->disk, stream, part,
                   final_name ? "ts" : "recording.ts");
}

/* ---- the child ---- */

struct child {
    struct fixture *f;
    const struct plan *plan;
    struct witness *witness;
    struct td_spool *spool[STREAMS];
    unsigned part[STREAMS];
    unsigned long ops[STREAMS];
    uint64_t size[STREAMS];
    uint8_t bytes[OP_BYTES_MAX + 1];
};

static void child_open(struct child *c, unsigned stream)
{
    char path[TD_PATH_MAX];
    part_path(c->f, stream, c->part[stream], false, path);
    bool first = c->part[stream] == 0;
    c->ops[stream] = first ? c->plan->start_ops[stream] : 0;
    c->size[stream] = first ? c->plan->start_bytes[stream] : 0;
    struct td_spool_config config = {.path = {path, NULL}, .resume_bytes = c->size[stream]};
    while (td_spool_open(c->f->store, &config, &c->spool[stream]) == -ENOBUFS) {
        (void)sched_yield(); /* until the finisher has one less */
    }
}

static void child_close(struct child *c, unsigned stream)
{
    struct td_spool_finish finish = {.replace = false};
    part_path(c->f, stream, c->part[stream], true, finish.final_path);
    td_spool_close(c->spool[stream], c->plan->finishes ? &finish : NULL);
    c->part[stream]++;
}

static void child_emit(struct child *c, unsigned stream)
{
    uint32_t seed = part_seed(c->plan, stream, c->part[stream]);
    unsigned long n = c->ops[stream];
    struct op op = op_at(seed, n, c->size[stream]);
    pattern_fill(seed, op.offset, c->bytes, op.len);
    if (op.patch || n == 0) {
        uint64_t number = n;
        memcpy(c->bytes + (op.patch ? 0 : PATCH_AT), &number, sizeof(number));
    }
    int r;
    while ((r = emit(c->spool[stream], op.patch ? TD_OP_PATCH : TD_OP_APPEND, TD_FILE_MEDIA,
                     op.offset, c->bytes, op.len)) == TD_SPOOL_FULL) {
        td_spool_flush(c->spool[0]);
        td_spool_flush(c->spool[1]);
        (void)sched_yield();
    }
    if (r != 0) {
        _exit(1);
    }
    c->size[stream] += op.patch ? 0 : op.len;
    c->ops[stream] = n + 1;
    atomic_store(&c->witness->emitted[stream][c->part[stream]], n + 1);
    atomic_fetch_add(&c->witness->total, 1);
}

static void child_run(struct fixture *f, const struct plan *plan, struct witness *witness)
{
    static struct child c;
    c = (struct child){.f = f, .plan = plan, .witness = witness};
    struct td_store_config config = {
        .fs = &f->gate.base,
        .runtime_dir = f->shm,
        .crashpool_bytes = pool_bytes(plan->buffers),
        .flush_interval_us = plan->flush_interval_us,
        .sync_interval_us = plan->sync_interval_us,
    };
    if (td_store_new(&config, &f->store) < 0 || !td_store_crash_safe(f->store)) {
        _exit(1);
    }
    f->gate.calls = 0;
    f->gate.fail_at = plan->die_at;
    f->gate.kills = true;
    child_open(&c, 0);
    child_open(&c, 1);
    for (unsigned long n = 0;; n++) {
        unsigned stream = mix(plan->seed, n) % STREAMS;
        if (c.ops[stream] >= plan->part_ops && c.part[stream] + 1 < PARTS_MAX) {
            child_close(&c, stream);
            child_open(&c, stream);
        }
        child_emit(&c, stream);
        td_spool_tick(c.spool[stream], td_clock_now_us());
    }
}

/* ---- the parent ---- */

/* The part must hold `emitted` operations and at most one more, which may be there by half if it is
 * an append over several buffers. */
static void check_part(const struct fixture *f, const struct plan *plan, unsigned stream,
                       unsigned part, unsigned long emitted)
{
    char growing[TD_PATH_MAX];
    char finished[TD_PATH_MAX];
    part_path(f, stream, part, false, growing);
    part_path(f, stream, part, true, finished);
    if (emitted == 0) {
        return; /* there may be a file already */
    }
    assert_int_equal(file_exists(growing) + file_exists(finished), 1);
    uint32_t seed = part_seed(plan, stream, part);
    uint64_t size = 0;
    uint64_t number = 0;
    for (unsigned long n = 0; n < emitted; n++) {
        struct op op = op_at(seed, n, size);
        size += op.patch ? 0 : op.len;
        number = op.patch || n == 0 ? n : number;
    }
    struct op next = op_at(seed, emitted, size);
    size_t have = 0;
    char *bytes = file_read(file_exists(growing) ? growing : finished, &have);
    if (have < size || have > size + (next.patch ? 0 : next.len)) {
        fail_msg("stream %u part %u: %zu bytes after %lu operations of %llu bytes", stream, part,
                 have, emitted, (unsigned long long)size);
    }
    uint64_t found;
    memcpy(&found, bytes + PATCH_AT, sizeof(found));
    if (found != number && !(next.patch && found == emitted)) {
        fail_msg("stream %u part %u: number %llu instead of %llu", stream, part,
                 (unsigned long long)found, (unsigned long long)number);
    }
    for (size_t i = HEADER_BYTES; i < have; i++) {
        if ((uint8_t)bytes[i] != pattern_at(seed, i)) {
            fail_msg("stream %u part %u: byte %zu of %zu differs", stream, part, i, have);
        }
    }
    free(bytes);
}

static pid_t start_child(struct fixture *f, const struct plan *plan, struct witness *witness)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child_run(f, plan, witness);
        _exit(1);
    }
    return pid;
}

static void wait_killed(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* it never ends by itself */
}

static void kill_child(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    wait_killed(pid);
}

/* Recovery in a process of its own that is killed at its n-th call. */
static void recover_by_half(struct fixture *f, unsigned long long n)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        f->gate.calls = 0;
        f->gate.fail_at = n;
        f->gate.kills = true;
        _exit(td_crashpool_recover(&f->gate.base, f->shm, NULL, NULL) >= 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

static unsigned long run_round(uint32_t seed)
{
    static struct fixture f;
    fixture_init(&f);
    struct witness *witness =
        mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(witness != MAP_FAILED);
    struct plan plan = {
        .seed = seed,
        .part_ops = 20 + mix(seed, 1) % 400,
        .finishes = mix(seed, 2) % 2 == 0,
        .buffers = 8 + mix(seed, 3) % 32,
        .flush_interval_us = 1 + mix(seed, 4) % 3000,
        .sync_interval_us = mix(seed, 5) % 3 == 0 ? 0 : -1,
    };
    unsigned long target = mix(seed, 6) % 8 == 0 ? 0 : mix(seed, 7) % 3000;
    pid_t pid = start_child(&f, &plan, witness);
    while (atomic_load(&witness->total) < target && waitpid(pid, NULL, WNOHANG) == 0) {
        (void)sched_yield();
    }
    kill_child(pid);
    if (mix(seed, 8) % 2 == 0) {
        recover_by_half(&f, 1 + mix(seed, 9) % 200);
    }
    int r = td_crashpool_recover(&f.gate.base, f.shm, NULL, NULL);
    assert_in_range(r, 0, 1); /* none when it died before it had one, or recovery was through */
    assert_int_equal(folder_count(f.shm), 0);
    for (unsigned stream = 0; stream < STREAMS; stream++) {
        for (unsigned part = 0; part < PARTS_MAX; part++) {
            check_part(&f, &plan, stream, part, atomic_load(&witness->emitted[stream][part]));
        }
    }
    unsigned long total = atomic_load(&witness->total);
    assert_true(total >= target);
    assert_int_equal(munmap(witness, sizeof(*witness)), 0);
    fixture_done(&f);
    return total;
}

static unsigned long setting(const char *name, unsigned long value)
{
    const char *text = getenv(name);
    return text != NULL ? strtoul(text, NULL, 10) : value;
}

/* ---- files that go on in place ---- */

/* What a stream's file must hold, and holds. */
struct going {
    uint64_t bytes;
    unsigned long ops;
    uint64_t number; /* of the last patch */
};

/* The same promise as in check_part, counted from where the life began. */
static void check_going(const struct fixture *f, const struct plan *plan, unsigned stream,
                        unsigned long emitted, struct going *g)
{
    char path[TD_PATH_MAX];
    part_path(f, stream, 0, false, path);
    if (!file_exists(path)) {
        assert_true(emitted == 0 && g->bytes == 0);
        return;
    }
    uint32_t seed = part_seed(plan, stream, 0);
    unsigned long end = emitted > g->ops ? emitted : g->ops;
    uint64_t size = g->bytes;
    for (unsigned long n = g->ops; n < end; n++) {
        struct op op = op_at(seed, n, size);
        size += op.patch ? 0 : op.len;
        g->number = op.patch || n == 0 ? n : g->number;
    }
    struct op next = op_at(seed, end, size);
    size_t have = 0;
    char *bytes = file_read(path, &have);
    if (have < size || have > size + (next.patch ? 0 : next.len)) {
        fail_msg("stream %u: %zu bytes after %lu operations, %llu expected", stream, have, end,
                 (unsigned long long)size);
    }
    uint64_t found = 0;
    if (have >= HEADER_BYTES) {
        memcpy(&found, bytes + PATCH_AT, sizeof(found));
    }
    if (found != g->number && !(next.patch && found == end)) {
        fail_msg("stream %u: number %llu instead of %llu", stream, (unsigned long long)found,
                 (unsigned long long)g->number);
    }
    for (size_t i = HEADER_BYTES; i < have; i++) {
        if ((uint8_t)bytes[i] != pattern_at(seed, i)) {
            fail_msg("stream %u: byte %zu of %zu differs", stream, i, have);
        }
    }
    free(bytes);
    /* The header is written once. */
    *g = (struct going){.bytes = have, .ops = end == 0 && have > 0 ? 1 : end, .number = found};
    if (have == 0) {
        assert_int_equal(unlink(path), 0);
    }
}

static unsigned long run_life(struct fixture *f, uint32_t seed, unsigned life,
                              struct going going[STREAMS])
{
    struct witness *witness =
        mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(witness != MAP_FAILED);
    struct plan plan = {
        .seed = seed,
        .part_ops = ULONG_MAX,
        .buffers = 8 + mix(seed, life) % 32,
        .flush_interval_us = 1 + mix(seed, life + 10) % 3000,
        .sync_interval_us = (int64_t)(mix(seed, life + 20) % 3) - 1,
        .start_bytes = {going[0].bytes, going[1].bytes},
        .start_ops = {going[0].ops, going[1].ops},
    };
    /* Many die before their writer has opened the files, or in the midst of it. */
    unsigned long way = mix(seed, life + 30) % 4;
    unsigned long target = way == 0 ? 0 : way == 1 ? 1 : mix(seed, life + 40) % 1000;
    plan.die_at = way == 2 ? 1 + mix(seed, life + 50) % 12 : 0;
    pid_t pid = start_child(f, &plan, witness);
    while (plan.die_at == 0 && atomic_load(&witness->total) < target &&
           waitpid(pid, NULL, WNOHANG) == 0) {
        (void)sched_yield();
    }
    if (plan.die_at == 0) {
        kill_child(pid);
    } else {
        wait_killed(pid);
    }
    if (mix(seed, life + 60) % 3 == 0) {
        recover_by_half(f, 1 + mix(seed, life + 70) % 40);
    }
    assert_in_range(td_crashpool_recover(&f->gate.base, f->shm, NULL, NULL), 0, 1);
    assert_int_equal(folder_count(f->shm), 0);
    for (unsigned stream = 0; stream < STREAMS; stream++) {
        check_going(f, &plan, stream, atomic_load(&witness->emitted[stream][0]), &going[stream]);
    }
    unsigned long total = atomic_load(&witness->total);
    assert_int_equal(munmap(witness, sizeof(*witness)), 0);
    return total;
}

static unsigned long run_lives(uint32_t seed)
{
    static struct fixture f;
    struct going going[STREAMS] = {{.bytes = 0}};
    unsigned long total = 0;
    fixture_init(&f);
    for (unsigned life = 0; life < LIVES; life++) {
        total += run_life(&f, seed, life, going);
    }
    fixture_done(&f);
    return total;
}

static uint32_t choose_seed(void)
{
    uint32_t seed = (uint32_t)setting("TD_TEST_SEED", (unsigned long)td_clock_wall_us() & 0xffffff);
    print_message("# TD_TEST_SEED=%u\n", seed);
    return seed;
}

static void test_kill_resumed(void **state)
{
    (void)state;
    uint32_t seed = choose_seed();
    unsigned long rounds = setting("TD_TEST_ROUNDS", ROUNDS);
    unsigned long total = 0;
    for (unsigned long i = 0; i < rounds; i++) {
        total += run_lives(seed + (uint32_t)i * 100000);
    }
    print_message("# %lu kills, %lu operations, none lost\n", rounds * LIVES, total);
}

static void test_kill(void **state)
{
    (void)state;
    uint32_t seed = choose_seed();
    unsigned long rounds = setting("TD_TEST_ROUNDS", ROUNDS);
    unsigned long total = 0;
    for (unsigned long i = 0; i < rounds; i++) {
        total += run_round(seed + (uint32_t)i * 100000);
    }
    print_message("# %lu kills, %lu operations, none lost\n", rounds, total);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_kill_resumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
