/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that talk to a daemon, as far as that needs none: their command lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/commands.h"
#include "said.h"

#define NOWHERE "--server=http://127.0.0.1:1" /* nobody listens on port 1 */

static const struct td_command *const commands[] = {
    &td_command_status, &td_command_list,  &td_command_start,
    &td_command_stop,   &td_command_pause, &td_command_resume,
};

#define COUNT (sizeof(commands) / sizeof(*commands))

static void test_usage(void **state)
{
    (void)state;
    static const struct {
        const struct td_command *command;
        const char *words[TD_SAID_WORDS_MAX];
    } rows[] = {
        {&td_command_status, {NOWHERE, "a", "b"}},
        {&td_command_list, {NOWHERE, "a"}},
        {&td_command_list, {NOWHERE, "--all", "--limit", "5"}},
        {&td_command_list, {NOWHERE, "--limit", "0"}},
        {&td_command_list, {NOWHERE, "--limit", "501"}},
        {&td_command_start, {NOWHERE}},
        {&td_command_start, {NOWHERE, "a", "b"}},
        {&td_command_start, {NOWHERE, "a", "--max-duration", "500ms"}},
        {&td_command_start, {NOWHERE, "a", "--max-duration", "9999h"}},
        {&td_command_start, {NOWHERE, "a", "--max-size", "0"}},
        {&td_command_start, {NOWHERE, "a", "--hold=yes"}},
        {&td_command_stop, {NOWHERE}},
        {&td_command_stop, {NOWHERE, "a", "b"}},
        {&td_command_pause, {NOWHERE}},
        {&td_command_resume, {NOWHERE}},
        {&td_command_resume, {NOWHERE, "a", "b"}},
        {&td_command_resume, {NOWHERE, "a", "--timeout", "0"}},
        {&td_command_status, {NOWHERE, "--colour"}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_said said;
        assert_int_equal(td_said_run(rows[i].command, rows[i].words, &said), TD_EXIT_USAGE);
        assert_string_equal(said.out, "");
        assert_non_null(strstr(said.err, "--help'."));
    }
}

static void test_addresses_and_texts(void **state)
{
    (void)state;
    static const char *const rows[][TD_SAID_WORDS_MAX] = {
        {"--server", "127.0.0.1:8000", "a"},
        {NOWHERE, "--api-token", "a b", "a"},
        {NOWHERE, "\xff"},
        {NOWHERE, "a", "--participant", "\xff*"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_said said;
        assert_int_equal(td_said_run(&td_command_start, rows[i], &said), TD_EXIT_USAGE);
        assert_string_equal(said.out, "");
        assert_int_equal(strncmp(said.err, "tapedeck: ", 10), 0);
    }
}

/* Each of them says the same of a daemon that is not there, and says nothing else. */
static void test_no_daemon(void **state)
{
    (void)state;
    static const char *const words[][TD_SAID_WORDS_MAX] = {
        {NOWHERE, NULL}, {NOWHERE, "room"}, {NOWHERE, "rec_1"}, {NOWHERE, "--json", "room"}};
    for (size_t i = 0; i < COUNT; i++) {
        bool takes_none = commands[i] == &td_command_list;
        bool needs_one = !takes_none && commands[i] != &td_command_status;
        for (size_t k = needs_one ? 1 : 0; k < (takes_none ? 1 : 4); k++) {
            struct td_said said;
            assert_int_equal(td_said_run(commands[i], words[k], &said), TD_EXIT_FAILED);
            assert_string_equal(said.out, "");
            assert_non_null(strstr(said.err, "No daemon answers at http://127.0.0.1:1 "));
        }
    }
}

static void test_the_environment(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    struct td_said said;
    assert_int_equal(setenv("TAPEDECK_SERVER", "http://127.0.0.1:1/elsewhere", 1), 0);
    assert_int_equal(setenv("TAPEDECK_TOKEN", "hunter2", 1), 0);
    assert_int_equal(td_said_run(&td_command_list, none, &said), TD_EXIT_FAILED);
    assert_non_null(strstr(said.err, "at http://127.0.0.1:1/elsewhere ("));
    assert_null(strstr(said.err, "hunter2"));
    assert_string_equal(getenv("TAPEDECK_TOKEN"), "*******");
    assert_int_equal(unsetenv("TAPEDECK_SERVER"), 0);
    assert_int_equal(unsetenv("TAPEDECK_TOKEN"), 0);
}

/* Everybody can read the command line of a process. */
static void test_secrets_leave_the_command_line(void **state)
{
    (void)state;
    static const char *const words[] = {NOWHERE,          "room",   "--api-token", "hunter2",
                                        "--token=s3cret", "--json", NULL};
    struct td_said said;
    assert_int_equal(td_said_run(&td_command_start, words, &said), TD_EXIT_FAILED);
    assert_string_equal(said.argv[4], "*******");
    assert_string_equal(said.argv[5], "--token=******");
    for (size_t i = 0; i < COUNT; i++) {
        static const char *const some[] = {NOWHERE, "--api-token=hunter2", "room", NULL};
        static const char *const list[] = {NOWHERE, "--api-token=hunter2", NULL};
        bool is_list = commands[i] == &td_command_list;
        assert_int_equal(td_said_run(commands[i], is_list ? list : some, &said), TD_EXIT_FAILED);
        assert_string_equal(said.argv[2], "--api-token=*******");
    }
}

static void test_help(void **state)
{
    (void)state;
    static const char *const words[] = {"--help", NULL};
    for (size_t i = 0; i < COUNT; i++) {
        struct td_said said;
        assert_int_equal(td_said_run(commands[i], words, &said), TD_EXIT_DONE);
        assert_non_null(strstr(said.out, "--server URL"));
        assert_non_null(strstr(said.out, "--api-token TOKEN"));
        assert_non_null(strstr(said.out, "--json"));
        assert_string_equal(said.err, "");
    }
}

/* The settings of whoever runs this. */
static int forget(void **state)
{
    (void)state;
    static const char *const names[] = {"TAPEDECK_SERVER", "TAPEDECK_TOKEN", "http_proxy",
                                        "HTTP_PROXY"};
    int err = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && err == 0; i++)
        err = unsetenv(names[i]);
    return err;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_addresses_and_texts),
        cmocka_unit_test(test_no_daemon),
        cmocka_unit_test(test_the_environment),
        cmocka_unit_test(test_secrets_leave_the_command_line),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests_name("cli/clients", tests, forget, NULL);
}
