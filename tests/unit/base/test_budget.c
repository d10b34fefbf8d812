/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_nested(void **state)
{
    (void)state;
    struct td_budget process;
    struct td_budget recording;
    struct td_budget stage;
    td_budget_init(&process, NULL, 100);
    td_budget_init(&recording, &process, 80);
    td_budget_init(&stage, &recording, 0);

    assert_int_equal(td_budget_charge(&stage, 80), 0);
    assert_int_equal(td_budget_used(&stage), 80);
    assert_int_equal(td_budget_used(&process), 80);
    /* Refused half-way: nothing is charged anywhere, and every level up to there counts it. */
    assert_int_equal(td_budget_charge(&stage, 1), -TD_E_LIMIT);
    assert_int_equal(td_budget_used(&stage), 80);
    assert_int_equal(td_budget_used(&recording), 80);
    assert_int_equal(td_budget_used(&process), 80);
    assert_int_equal(atomic_load(&stage.refused), 1);
    assert_int_equal(atomic_load(&recording.refused), 1);
    assert_int_equal(atomic_load(&process.refused), 0);
    assert_int_equal(atomic_load(&stage.peak_bytes), 80);

    assert_int_equal(td_budget_charge(&process, 20), 0);
    assert_int_equal(td_budget_charge(&process, 1), -TD_E_LIMIT);
    td_budget_release(&stage, 50);
    assert_int_equal(td_budget_used(&recording), 30);
    assert_int_equal(atomic_load(&recording.peak_bytes), 80);
    assert_int_equal(atomic_load(&process.peak_bytes), 100);

    td_budget_release(&process, 20);
    td_budget_release(&stage, 30);
    td_budget_done(&stage);
    td_budget_done(&recording);
    td_budget_done(&process);
}

static void test_edges(void **state)
{
    (void)state;
    assert_int_equal(td_budget_charge(NULL, SIZE_MAX), 0);
    td_budget_release(NULL, 5);
    struct td_budget open;
    td_budget_init(&open, NULL, 0);
    assert_int_equal(td_budget_charge(&open, SIZE_MAX), 0);
    assert_int_equal(td_budget_charge(&open, 1), -TD_E_LIMIT); /* instead of wrapping around */
    td_budget_release(&open, SIZE_MAX);
    td_budget_done(&open);
    struct td_budget tight;
    td_budget_init(&tight, NULL, 10);
    assert_int_equal(td_budget_charge(&tight, 11), -TD_E_LIMIT);
    assert_int_equal(atomic_load(&tight.peak_bytes), 0);
    assert_int_equal(td_budget_charge(&tight, 10), 0);
    assert_int_equal(td_budget_charge(&tight, 0), 0);
    td_budget_release(&tight, 10);
    td_budget_done(&tight);
}

static void test_done_asserts(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        struct td_budget b;
        td_budget_init(&b, NULL, 10);
        if (td_budget_charge(&b, 1) == 0) {
            td_budget_done(&b);
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

#define ROUNDS 20000
#define CHARGE 3

static void *charge_many(void *arg)
{
    struct td_budget *b = arg;
    uintptr_t held = 0;
    for (int i = 0; i < ROUNDS; i++) {
        if (td_budget_charge(b, CHARGE) == 0) {
            held++;
        }
        if (held > 5 || (i % 3 == 0 && held > 0)) {
            td_budget_release(b, CHARGE);
            held--;
        }
    }
    td_budget_release(b, held * CHARGE);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct td_budget process;
    td_budget_init(&process, NULL, 40);
    struct td_budget child[4];
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        td_budget_init(&child[i], &process, i % 2 == 0 ? 10 : 0);
        assert_int_equal(pthread_create(&threads[i], NULL, charge_many, &child[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(atomic_load(&process.peak_bytes) <= 40);
    assert_true(atomic_load(&child[0].peak_bytes) <= 10);
    assert_true(atomic_load(&child[0].peak_bytes) >= CHARGE);
    for (size_t i = 0; i < 4; i++) {
        td_budget_done(&child[i]);
    }
    td_budget_done(&process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_done_asserts),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
