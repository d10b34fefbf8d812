/* SPDX-License-Identifier: Apache-2.0 */
#include "api/process.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void test_descriptors(void **state)
{
    (void)state;
    struct td_process before, after;
    td_process_read(&before);
    int one = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int two = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(one >= 0 && two >= 0);
    td_process_read(&after);
    assert_float_equal(after.open_fds, before.open_fds + 2, 0);
    assert_true(before.open_fds >= 1);
    assert_true(after.max_fds >= after.open_fds);
    assert_int_equal(close(one) | close(two), 0);
    td_process_read(&after);
    assert_float_equal(after.open_fds, before.open_fds, 0);
}

#define BIG (64u << 20)

static void test_memory_and_time(void **state)
{
    (void)state;
    struct td_process before, after;
    td_process_read(&before);
    char *big = malloc(BIG);
    assert_non_null(big);
    memset(big, 1, BIG);
    td_process_read(&after);
    assert_true(after.resident_bytes - before.resident_bytes > BIG / 2);
    volatile char last = big[BIG - 1]; /* so that the memory is not optimised away */
    assert_int_equal(last, 1);
    free(big);
    assert_true(after.cpu_s > before.cpu_s && after.cpu_s < 60);
}

/* The kernel made the process's folder when it made the process, give or take a clock tick. */
static void test_start(void **state)
{
    (void)state;
    struct td_process process;
    td_process_read(&process);
    double now_s = (double)time(NULL);
    assert_true(process.start_s <= now_s + 1 && process.start_s > now_s - 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_memory_and_time),
        cmocka_unit_test(test_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
