/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ENVIRONMENT "TAPEDECK_TEST_OPTION"
#define ARGS_MAX 8

struct values {
    bool flag;
    const char *text;
    int64_t number;
    int64_t time_us;
    int64_t bytes;
};

static const struct td_option options[] = {
    {.name = "flag",
     .letter = 'g',
     .type = TD_OPTION_FLAG,
     .offset = offsetof(struct values, flag),
     .help = "a flag"},
    {.name = "text",
     .letter = 't',
     .type = TD_OPTION_TEXT,
     .offset = offsetof(struct values, text),
     .environment = ENVIRONMENT,
     .argument = "T",
     .help = "a text"},
    {.name = "number",
     .letter = 'n',
     .type = TD_OPTION_NUMBER,
     .offset = offsetof(struct values, number),
     .min = 2,
     .max = 10,
     .argument = "N",
     .help = "a number"},
    {.name = "time",
     .type = TD_OPTION_DURATION,
     .offset = offsetof(struct values, time_us),
     .argument = "T",
     .help = "a time"},
    {.name = "bytes",
     .type = TD_OPTION_BYTES,
     .offset = offsetof(struct values, bytes),
     .argument = "B",
     .help = "a size"},
};
static const struct td_command command = {
    .name = "test",
    .arguments = "FILE...",
    .summary = "a test",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
};

static int parse(const char *const args[static ARGS_MAX], struct values *values,
                 struct td_positional *positional)
{
    static char words[ARGS_MAX + 1][64];
    char *argv[ARGS_MAX + 2] = {words[0]};
    int argc = 1;
    for (; argc <= ARGS_MAX && args[argc - 1] != NULL; argc++) {
        assert_true(strlen(args[argc - 1]) < sizeof(words[0]));
        memcpy(words[argc], args[argc - 1], strlen(args[argc - 1]) + 1);
        argv[argc] = words[argc];
    }
    return td_options_parse(&command, argc, argv, values, positional);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *args[ARGS_MAX];
        struct values wanted;
    } rows[] = {
        {{NULL}, {.text = "default"}},
        {{"--flag"}, {.flag = true, .text = "default"}},
        {{"-g", "--text", "x"}, {.flag = true, .text = "x"}},
        {{"--text=x=y"}, {.text = "x=y"}},
        {{"--text="}, {.text = ""}},
        {{"-tx"}, {.text = "x"}},
        {{"-t", "-x"}, {.text = "-x"}},
        {{"--number", "2"}, {.text = "default", .number = 2}},
        {{"-n10"}, {.text = "default", .number = 10}},
        {{"--number=3", "-n", "4"}, {.text = "default", .number = 4}},
        {{"--time", "20"}, {.text = "default", .time_us = 20000000}},
        {{"--time", "1.5s"}, {.text = "default", .time_us = 1500000}},
        {{"--time=1500ms"}, {.text = "default", .time_us = 1500000}},
        {{"--time=2m"}, {.text = "default", .time_us = 120000000}},
        {{"--time=1h"}, {.text = "default", .time_us = INT64_C(3600000000)}},
        {{"--time=0"}, {.text = "default"}},
        {{"--bytes=65536"}, {.text = "default", .bytes = 65536}},
        {{"--bytes=256K"}, {.text = "default", .bytes = 256 << 10}},
        {{"--bytes=4M"}, {.text = "default", .bytes = 4 << 20}},
        {{"--bytes=1G"}, {.text = "default", .bytes = 1 << 30}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct values v = {.text = "default"};
        assert_int_equal(parse(rows[i].args, &v, NULL), 0);
        assert_int_equal(v.flag, rows[i].wanted.flag);
        assert_string_equal(v.text, rows[i].wanted.text);
        assert_int_equal(v.number, rows[i].wanted.number);
        assert_int_equal(v.time_us, rows[i].wanted.time_us);
        assert_int_equal(v.bytes, rows[i].wanted.bytes);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const rows[][ARGS_MAX] = {
        {"--unknown"},
        {"-x"},
        {"--fla"},
        {"--flagx"},
        {"--flag=1"},
        {"-g1"},
        {"--=x"},
        {"--text"},
        {"-t"},
        {"--number"},
        {"--number", "1"},
        {"--number=11"},
        {"--number=x"},
        {"--number="},
        {"--number=3.5"},
        {"--number=-3"},
        {"--number=0x3"},
        {"--number=nan"},
        {"--number=3 "},
        {"--number= 3"},
        {"--number=3e0"},
        {"--time=x"},
        {"--time=1d"},
        {"--time=1e300h"},
        {"--time=inf"},
        {"--time=nan"},
        {"--time=-1"},
        {"--time=1.2.3"},
        {"--time=9999999999999h"},
        {"--bytes=1T"},
        {"--bytes=4k"},
        {"--bytes=99999999999999999999G"},
        {"one"},
        {"--", "one"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct values v = {.text = "default", .number = 5};
        assert_int_equal(parse(rows[i], &v, NULL), -TD_E_USAGE);
        assert_string_equal(v.text, "default");
        assert_int_equal(v.number, 5);
        assert_int_equal(v.time_us, 0);
    }
}

static void test_positional(void **state)
{
    (void)state;
    struct values v = {.text = NULL};
    struct td_positional p;
    static const char *const args[ARGS_MAX] = {"one", "-g", "-", "--", "--flag", "--"};
    assert_int_equal(parse(args, &v, &p), 0);
    assert_true(v.flag);
    assert_int_equal(p.count, 4);
    assert_string_equal(p.items[0], "one");
    assert_string_equal(p.items[1], "-");
    assert_string_equal(p.items[2], "--flag");
    assert_string_equal(p.items[3], "--");
}

static void test_help(void **state)
{
    (void)state;
    struct values v = {.text = NULL};
    static const char *const rows[][ARGS_MAX] = {{"--help"}, {"-h"}, {"-g", "--help", "--bad"}};
    FILE *help = tmpfile(); /* in the place of stdout, which belongs to the test's report */
    assert_non_null(help);
    assert_int_equal(fflush(stdout), 0);
    int out = dup(STDOUT_FILENO);
    assert_true(out >= 0 && dup2(fileno(help), STDOUT_FILENO) >= 0);
    int results[3];
    for (size_t i = 0; i < 3; i++)
        results[i] = parse(rows[i], &v, NULL);
    assert_int_equal(fflush(stdout), 0);
    assert_true(dup2(out, STDOUT_FILENO) >= 0);
    assert_int_equal(close(out), 0);
    char text[4096] = "";
    rewind(help);
    size_t len = fread(text, 1, sizeof(text) - 1, help);
    text[len] = '\0';
    assert_int_equal(fclose(help), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(results[i], TD_OPTIONS_HELP);
    static const char *const said[] = {"Usage: tapedeck test [options] FILE...", "-g, --flag",
                                       "--text T", "[" ENVIRONMENT "]", "--help"};
    for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++)
        assert_non_null(strstr(text, said[i]));
    static const char *const value[ARGS_MAX] = {"--text", "--help"};
    assert_int_equal(parse(value, &v, NULL), 0);
    assert_string_equal(v.text, "--help");
}

static void test_environment(void **state)
{
    (void)state;
    static const char *const none[ARGS_MAX] = {NULL};
    static const char *const given[ARGS_MAX] = {"--text=given"};
    struct values v = {.text = "default"};
    assert_int_equal(setenv(ENVIRONMENT, "from outside", 1), 0);
    assert_int_equal(parse(none, &v, NULL), 0);
    assert_string_equal(v.text, "from outside");
    assert_int_equal(parse(given, &v, NULL), 0);
    assert_string_equal(v.text, "given");
    v.text = "default";
    assert_int_equal(setenv(ENVIRONMENT, "", 1), 0); /* as if it were not there */
    assert_int_equal(parse(none, &v, NULL), 0);
    assert_string_equal(v.text, "default");
    assert_int_equal(unsetenv(ENVIRONMENT), 0);
}

/* A secret leaves the command line, and whoever needs it keeps it. */
static void test_hidden(void **state)
{
    (void)state;
    static char word[] = "--text=a secret";
    char *copy = NULL;
    const char *value = strchr(word, '=') + 1;
    assert_int_equal(td_options_hide(&value, &copy), 0);
    assert_string_equal(word, "--text=********");
    assert_string_equal(value, "a secret");
    assert_ptr_equal(value, copy);
    free(copy);
}

/* Out of the environment too; the others there are as they were. */
static void test_hidden_in_the_environment(void **state)
{
    (void)state;
    static const char *const none[ARGS_MAX] = {NULL};
    struct values v = {.text = NULL};
    char *copy = NULL;
    assert_int_equal(setenv(ENVIRONMENT, "secret", 1), 0);
    assert_int_equal(parse(none, &v, NULL), 0);
    assert_int_equal(td_options_hide(&v.text, &copy), 0);
    assert_string_equal(v.text, "secret");
    assert_string_equal(getenv(ENVIRONMENT), "******");
    free(copy);
    assert_int_equal(unsetenv(ENVIRONMENT), 0);
}

static void test_nothing_to_hide(void **state)
{
    (void)state;
    static char empty[] = "";
    static char stale;
    char *copy = &stale;
    const char *value = NULL;
    assert_int_equal(td_options_hide(&value, &copy), 0);
    assert_null(value);
    assert_null(copy); /* free() may be called all the same */
    value = empty;
    assert_int_equal(td_options_hide(&value, &copy), 0);
    assert_string_equal(value, "");
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_positional),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_hidden_in_the_environment),
        cmocka_unit_test(test_nothing_to_hide),
    };
    return cmocka_run_group_tests_name("cli/options", tests, NULL, NULL);
}
