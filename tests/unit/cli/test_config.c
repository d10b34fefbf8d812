/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/commands.h"

#define WORDS_MAX 4
#define SAID_MAX 8192

/* What the command wrote; stdout belongs to the test's report. */
struct said {
    char out[SAID_MAX];
    char err[SAID_MAX];
};

struct redirect {
    FILE *stream;
    FILE *file;
    int kept;
};

static void begin(struct redirect *r, FILE *stream)
{
    r->stream = stream;
    r->file = tmpfile();
    assert_non_null(r->file);
    assert_int_equal(fflush(stream), 0);
    r->kept = dup(fileno(stream));
    assert_true(r->kept >= 0 && dup2(fileno(r->file), fileno(stream)) >= 0);
}

static void end(struct redirect *r, char ret_text[static SAID_MAX])
{
    int flushed = fflush(r->stream);
    assert_true(dup2(r->kept, fileno(r->stream)) >= 0);
    assert_int_equal(flushed, 0);
    assert_int_equal(close(r->kept), 0);
    rewind(r->file);
    ret_text[fread(ret_text, 1, SAID_MAX - 1, r->file)] = '\0';
    assert_int_equal(fclose(r->file), 0);
}

static int run(const char *const words[static WORDS_MAX], struct said *said)
{
    static char texts[WORDS_MAX + 1][256] = {"config"};
    char *argv[WORDS_MAX + 2] = {texts[0]};
    int argc = 1;
    for (; argc <= WORDS_MAX && words[argc - 1] != NULL; argc++) {
        assert_true(strlen(words[argc - 1]) < sizeof(texts[0]));
        memcpy(texts[argc], words[argc - 1], strlen(words[argc - 1]) + 1);
        argv[argc] = texts[argc];
    }
    struct redirect out;
    struct redirect err;
    begin(&out, stdout);
    begin(&err, stderr);
    int code = td_command_config.run(&td_command_config, argc, argv);
    end(&err, said->err);
    end(&out, said->out);
    return code;
}

static char path[] = "/tmp/tapedeck-test-XXXXXX";

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_check(void **state)
{
    (void)state;
    struct said said;
    const char *const words[WORDS_MAX] = {"check", path};
    write_file("limits: {gap_limit_s: 5}\n");
    assert_int_equal(run(words, &said), TD_EXIT_DONE);
    assert_non_null(strstr(said.out, "is a valid configuration."));
    assert_string_equal(said.err, "");
    const char *const option[WORDS_MAX] = {"check", "-c", path};
    assert_int_equal(run(option, &said), TD_EXIT_DONE);
    write_file("\nlimits: {gap_limit_s: abc}\n");
    assert_int_equal(run(words, &said), TD_EXIT_USAGE);
    assert_non_null(strstr(said.err, ":2: limits.gap_limit_s: 'abc' is not a number of seconds."));
    assert_string_equal(said.out, "");
    write_file("api_key: a\n"); /* right by itself, wrong together */
    assert_int_equal(run(words, &said), TD_EXIT_USAGE);
    assert_non_null(strstr(said.err, "api_secret is missing"));
    const char *const absent[WORDS_MAX] = {"check", "/nonexistent/tapedeck.yaml"};
    assert_int_equal(run(absent, &said), TD_EXIT_USAGE);
    assert_non_null(strstr(said.err, "No such file"));
}

static void test_print(void **state)
{
    (void)state;
    struct said said;
    const char *const bare[WORDS_MAX] = {"print"};
    const char *const with[WORDS_MAX] = {"print", "-c", path};
    write_file("limits: {gap_limit_s: 5}\napi_secret: hunter2\n");
    assert_int_equal(setenv("TAPEDECK_LIMITS_MAX_RECORDINGS", "7", 1), 0);
    assert_int_equal(run(bare, &said), TD_EXIT_DONE);
    assert_non_null(strstr(said.out, "    max_recordings: 7\n"));
    assert_non_null(strstr(said.out, "    gap_limit_s: 60\n"));
    assert_int_equal(run(with, &said), TD_EXIT_DONE);
    assert_non_null(strstr(said.out, "    max_recordings: 7\n"));
    assert_non_null(strstr(said.out, "    gap_limit_s: 5\n"));
    assert_non_null(strstr(said.out, "api_secret: \"(secret)\"\n"));
    assert_null(strstr(said.out, "hunter2"));
    assert_int_equal(setenv("TAPEDECK_CONFIG", path, 1), 0);
    assert_int_equal(run(bare, &said), TD_EXIT_DONE);
    assert_non_null(strstr(said.out, "    gap_limit_s: 5\n"));
    assert_int_equal(unsetenv("TAPEDECK_CONFIG"), 0);
    assert_int_equal(setenv("TAPEDECK_LIMITS_MAX_RECORDINGS", "x", 1), 0);
    assert_int_equal(run(bare, &said), TD_EXIT_USAGE);
    assert_non_null(strstr(said.err, "TAPEDECK_LIMITS_MAX_RECORDINGS: 'x'"));
    assert_int_equal(unsetenv("TAPEDECK_LIMITS_MAX_RECORDINGS"), 0);
}

/* What is printed passes as a file, but not as a daemon's: its secrets are no secrets. */
static void test_print_then_check(void **state)
{
    (void)state;
    struct said said;
    const char *const print[WORDS_MAX] = {"print", "-c", path};
    const char *const check[WORDS_MAX] = {"check", path};
    write_file("formats: [mkv]\n");
    assert_int_equal(run(print, &said), TD_EXIT_DONE);
    write_file(said.out);
    assert_int_equal(run(check, &said), TD_EXIT_DONE);
    write_file("api_keys: [{key: hunter2}]\n");
    assert_int_equal(run(print, &said), TD_EXIT_DONE);
    write_file(said.out);
    assert_int_equal(run(check, &said), TD_EXIT_USAGE);
    assert_non_null(strstr(said.err, "api_keys[0].key"));
}

static void test_usage(void **state)
{
    (void)state;
    static const char *const rows[][WORDS_MAX] = {
        {NULL},         {"check"}, {"check", "a", "b"}, {"check", "-c"},
        {"print", "a"}, {"prnt"},  {"--bad"},           {"print", "-c"},
    };
    struct said said;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(run(rows[i], &said), TD_EXIT_USAGE);
        assert_non_null(strstr(said.err, "tapedeck config --help"));
        assert_string_equal(said.out, "");
    }
    const char *const help[WORDS_MAX] = {"--help"};
    assert_int_equal(run(help, &said), TD_EXIT_DONE);
    assert_non_null(strstr(said.out, "check FILE | print"));
}

/* The settings of whoever runs this. */
static void forget(const char *prefix)
{
    for (char **entry = environ; *entry != NULL;) {
        char name[256];
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(*entry, "="), *entry);
        bool ours = strncmp(name, prefix, strlen(prefix)) == 0;
        entry = ours && unsetenv(name) == 0 ? environ : entry + 1;
    }
}

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    forget("TAPEDECK_");
    forget("LIVEKIT_");
    return fd >= 0 ? close(fd) : -1;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_print_then_check),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests_name("cli/config", tests, make_path, remove_path);
}
