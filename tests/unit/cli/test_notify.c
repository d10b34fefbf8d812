/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/notify.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define WAIT_MS 10000

/* The service manager's end. */
struct manager {
    char name[96]; /* as in $NOTIFY_SOCKET */
    int fd;
    struct td_log log;
    bool is_well;
    unsigned asked;
};

static void open_manager(struct manager *m, bool abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *m = (struct manager){.is_well = true};
    td_log_init(&m->log, -1, TD_LOG_ERROR);
    int n = snprintf(m->name, sizeof(m->name), "%stapedeck-test-notify-%ld",
                     abstract ? "@" : "/tmp/", (long)getpid());
    assert_true(n > 0 && (size_t)n < sizeof(m->name));
    memcpy(address.sun_path, m->name, (size_t)n);
    if (abstract)
        address.sun_path[0] = '\0';
    else
        (void)unlink(m->name); /* of a test that was killed */
    m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(m->fd >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);
    assert_int_equal(bind(m->fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", m->name, 1), 0);
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
    assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
}

static void close_manager(struct manager *m)
{
    assert_int_equal(close(m->fd), 0);
    if (m->name[0] == '/')
        assert_int_equal(unlink(m->name), 0);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

static bool is_well(void *ctx)
{
    struct manager *m = ctx;
    m->asked++;
    return m->is_well;
}

/* What was said and not heard yet, or "". */
static const char *hear(struct manager *m)
{
    static char text[256];
    ssize_t n = recv(m->fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void wait_asked(struct manager *m, unsigned count)
{
    int64_t until_us = td_clock_now_us() + WAIT_MS * TD_US_PER_MS;
    while (m->asked < count) {
        assert_true(td_clock_now_us() < until_us);
        (void)g_main_context_iteration(NULL, TRUE);
    }
}

static void test_says(void **state)
{
    (void)state;
    for (unsigned abstract = 0; abstract < 2; abstract++) {
        struct manager m;
        struct td_notify n;
        open_manager(&m, abstract == 1);
        td_notify_open(&n, &m.log, is_well, &m);
        assert_true(n.socket >= 0);
        assert_int_equal(n.timer, 0); /* no watchdog is wanted */
        td_notify_say(&n, "READY=1");
        td_notify_say(&n, "STATUS=two recordings");
        assert_string_equal(hear(&m), "READY=1");
        assert_string_equal(hear(&m), "STATUS=two recordings");
        td_notify_close(&n);
        td_notify_say(&n, "late"); /* harmless */
        td_notify_close(&n);
        assert_string_equal(hear(&m), "");
        close_manager(&m);
    }
}

static void test_watchdog(void **state)
{
    (void)state;
    struct manager m;
    struct td_notify n;
    char pid[32];
    open_manager(&m, false);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_int_equal(setenv("WATCHDOG_USEC", "40000", 1), 0);
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    td_notify_open(&n, &m.log, is_well, &m);
    assert_int_not_equal(n.timer, 0);
    int64_t start_us = td_clock_now_us();
    wait_asked(&m, 3);
    assert_true(td_clock_now_us() - start_us >= 50000); /* half the time, three times */
    for (unsigned i = 0; i < 3; i++)
        assert_string_equal(hear(&m), "WATCHDOG=1");
    m.is_well = false; /* rather be killed than go on */
    wait_asked(&m, 6);
    assert_string_equal(hear(&m), "");
    m.is_well = true;
    wait_asked(&m, 7);
    assert_string_equal(hear(&m), "WATCHDOG=1");
    td_notify_close(&n);
    assert_int_equal(n.timer, 0);
    close_manager(&m);
}

/* Nobody to ask: well as long as the loop runs. */
static void test_watchdog_alone(void **state)
{
    (void)state;
    struct manager m;
    struct td_notify n;
    open_manager(&m, true);
    assert_int_equal(setenv("WATCHDOG_USEC", "20000", 1), 0);
    td_notify_open(&n, &m.log, NULL, NULL);
    struct pollfd polled = {.fd = m.fd, .events = POLLIN};
    int64_t until_us = td_clock_now_us() + WAIT_MS * TD_US_PER_MS;
    while (poll(&polled, 1, 0) == 0) {
        assert_true(td_clock_now_us() < until_us);
        (void)g_main_context_iteration(NULL, TRUE);
    }
    assert_string_equal(hear(&m), "WATCHDOG=1");
    td_notify_close(&n);
    close_manager(&m);
}

/* What is no wish for a watchdog of ours starts none, and what is too short or too long no storm.
 */
static void test_odd_watchdogs(void **state)
{
    (void)state;
    static const struct {
        const char *usec;
        const char *pid;
        bool wanted;
    } rows[] = {
        {"", NULL, false},
        {"0", NULL, false},
        {"soon", NULL, false},
        {"-5", NULL, false},
        {"40000x", NULL, false},
        {"40000", "1", false},
        {"40000", "x", false},
        {"18446744073709551615", NULL, false}, /* none, in the words of sd_watchdog_enabled(3) */
        {"99999999999999999999", NULL, false},
        {"1", NULL, true},
        {"1999", NULL, true},
        {"9000000000000000", NULL, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct manager m;
        struct td_notify n;
        open_manager(&m, false);
        assert_int_equal(setenv("WATCHDOG_USEC", rows[i].usec, 1), 0);
        if (rows[i].pid != NULL)
            assert_int_equal(setenv("WATCHDOG_PID", rows[i].pid, 1), 0);
        td_notify_open(&n, &m.log, is_well, &m);
        if ((n.timer != 0) != rows[i].wanted)
            fail_msg("'%s': %d", rows[i].usec, n.timer != 0);
        unsigned turns = 0;
        int64_t until_us = td_clock_now_us() + 20 * TD_US_PER_MS;
        while (td_clock_now_us() < until_us)
            turns += g_main_context_iteration(NULL, FALSE) ? 1 : 0;
        assert_true(turns <= 25); /* not more than one a millisecond */
        td_notify_close(&n);
        close_manager(&m);
    }
}

static void test_nobody_asked(void **state)
{
    (void)state;
    static const char *const names[] = {NULL,       "", "/", "@", "relative", "/nowhere/notify",
                                        "vsock:2:3"};
    struct td_log log;
    td_log_init(&log, -1, TD_LOG_ERROR);
    assert_int_equal(setenv("WATCHDOG_USEC", "40000", 1), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct td_notify n;
        if (names[i] != NULL)
            assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        else
            assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
        td_notify_open(&n, &log, NULL, NULL);
        assert_int_equal(n.socket, -1);
        assert_int_equal(n.timer, 0);
        td_notify_say(&n, "READY=1");
        td_notify_close(&n);
    }
    char name[400];
    memset(name, 'x', sizeof(name) - 1);
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    struct td_notify n;
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    td_notify_open(&n, &log, NULL, NULL);
    assert_int_equal(n.socket, -1);
    td_notify_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says),           cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_watchdog_alone), cmocka_unit_test(test_odd_watchdogs),
        cmocka_unit_test(test_nobody_asked),
    };
    return cmocka_run_group_tests_name("cli/notify", tests, NULL, NULL);
}
