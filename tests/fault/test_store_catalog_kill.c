/* SPDX-License-Identifier: Apache-2.0 */
/* Written before it is announced: a child puts rows with their letters as fast as it can and tells
 * each one, after the put returned, through a pipe. It is killed at a random instant, in one of its
 * starts too. Then the catalogue opens, is sound, and has every row that was told, whole.
 *
 * TD_TEST_SEED repeats a run's choices, TD_TEST_ROUNDS sets how many. */
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

#include "base/clock.h"
#include "catalog_fixture.h"
#include "catalog_story.h"

#define ROUNDS 30
#define ROWS 40u
#define PUTS_MAX 400u /* told before the kill */

struct told {
    unsigned row;
    unsigned round;
};

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Does not return but by failing: 1. */
static int child_run(const char *path, int pipe_fd, uint32_t seed, unsigned round)
{
    struct td_fail fail = {.code = 0};
    struct td_catalog *c = NULL;
    if (td_catalog_open(path, &fail, &c) < 0) {
        return 1;
    }
    for (;;) {
        struct told told = {.row = random_next(&seed) % ROWS, .round = round++};
        if (story_put(c, told.row, told.round) < 0 ||
            write(pipe_fd, &told, sizeof(told)) != (ssize_t)sizeof(told)) {
            return 1;
        }
    }
}

/* Reads what the child tells until that was enough, kills it, and reads the rest. */
static unsigned listen_and_kill(pid_t pid, int pipe_fd, unsigned enough, unsigned *last_round)
{
    unsigned count = 0;
    unsigned round = 0;
    struct told told;
    bool killed = false;
    for (;;) {
        if (!killed && count >= enough) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            killed = true;
        }
        /* Records this small are never cut in a pipe. */
        ssize_t n = read(pipe_fd, &told, sizeof(told));
        if (n == 0) {
            break;
        }
        assert_int_equal(n, sizeof(told));
        assert_true(told.round > round);
        last_round[told.row] = round = told.round;
        count++;
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* it never ends by itself */
    return round;
}

static void check(const char *path, const unsigned *last_round)
{
    struct td_fail fail = {.code = 0};
    struct td_catalog *c = NULL;
    int r = td_catalog_open(path, &fail, &c);
    if (r < 0) {
        fail_msg("%s: %s", td_err_name(r), fail.text);
    }
    assert_null(td_catalog_close(c));
    story_check_whole(path);
    for (unsigned row = 0; row < ROWS; row++) {
        char sql[160];
        (void)snprintf(sql, sizeof(sql), "SELECT max(bytes) FROM recordings WHERE id = 'rec_%u'",
                       row);
        /* What was told, or one that was written and not told any more. */
        assert_true(last_round[row] == 0 || sql_number(path, sql) >= last_round[row]);
    }
}

static unsigned long setting(const char *name, unsigned long value)
{
    const char *text = getenv(name);
    return text != NULL ? strtoul(text, NULL, 10) : value;
}

static void test_kill(void **state)
{
    struct shelf *s = *state;
    uint32_t seed = (uint32_t)setting("TD_TEST_SEED", (unsigned long)td_clock_wall_us() & 0xffffff);
    unsigned long rounds = setting("TD_TEST_ROUNDS", ROUNDS);
    print_message("# TD_TEST_SEED=%u\n", seed);
    unsigned last_round[ROWS] = {0};
    unsigned round = 0;
    for (unsigned long i = 0; i < rounds; i++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        uint32_t child_seed = random_next(&seed);
        unsigned enough = random_next(&seed) % 6 == 0 ? 0 : random_next(&seed) % PUTS_MAX;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            (void)close(fds[0]);
            /* Rounds that were written and not told are behind by at most one. */
            _exit(child_run(s->path, fds[1], child_seed, round + 2));
        }
        assert_int_equal(close(fds[1]), 0);
        unsigned last = listen_and_kill(pid, fds[0], enough, last_round);
        round = last > round ? last : round + 2;
        assert_int_equal(close(fds[0]), 0);
        check(s->path, last_round);
    }
    print_message("# %lu kills, %u puts, none lost\n", rounds, round);
}

static int setup(void **state)
{
    static struct shelf shelf;
    shelf_init(&shelf);
    *state = &shelf;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill, setup, shelf_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
