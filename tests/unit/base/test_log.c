/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define STAMP_LEN 24 /* "2026-11-21T09:30:00.000Z" */

/* A datagram socket keeps the borders between writes: one line must be one write. */
struct sink {
    int fds[2];
    struct td_log log;
    char line[TD_LOG_LINE_MAX * 2];
};

static void sink_open(struct sink *s, enum td_log_level level)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s->fds), 0);
    td_log_init(&s->log, s->fds[0], level);
}

static void sink_close(struct sink *s)
{
    assert_int_equal(close(s->fds[0]), 0);
    assert_int_equal(close(s->fds[1]), 0);
}

/* The next line without time stamp and line end, or NULL when nothing was written. */
static const char *sink_line(struct sink *s)
{
    ssize_t n = read(s->fds[1], s->line, sizeof(s->line) - 1);
    if (n < 0) {
        return NULL;
    }
    assert_true(n > STAMP_LEN + 1 && n <= TD_LOG_LINE_MAX);
    assert_int_equal(s->line[n - 1], '\n');
    s->line[n - 1] = '\0';
    assert_int_equal(strlen(s->line), n - 1);
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (shape[i] == 'd') {
            assert_in_range(s->line[i], '0', '9');
        } else {
            assert_int_equal(s->line[i], shape[i]);
        }
    }
    return s->line + STAMP_LEN + 1;
}

static void test_lines(void **state)
{
    (void)state;
    struct sink s;
    sink_open(&s, TD_LOG_INFO);
    td_log_line(&s.log, TD_LOG_INFO, "started room=%s n=%d", "demo", 7);
    assert_string_equal(sink_line(&s), "level=info started room=demo n=7");
    td_log_line(&s.log, TD_LOG_ERROR, "x");
    assert_string_equal(sink_line(&s), "level=error x");
    td_log_line(&s.log, TD_LOG_DEBUG, "above the level");
    assert_null(sink_line(&s));
    td_log_line(NULL, TD_LOG_ERROR, "nobody");
    struct td_log off;
    td_log_init(&off, -1, TD_LOG_TRACE);
    td_log_line(&off, TD_LOG_ERROR, "nowhere");
    assert_null(sink_line(&s));
    sink_close(&s);
}

static void test_scopes(void **state)
{
    (void)state;
    struct sink s;
    sink_open(&s, TD_LOG_WARN);
    struct td_log room;
    struct td_log track;
    td_log_scope(&room, &s.log, "room=%s", "demo");
    td_log_scope(&track, &room, "track=%d", 3);
    td_log_line(&track, TD_LOG_WARN, "late");
    assert_string_equal(sink_line(&s), "level=warn room=demo track=3 late");
    td_log_line(&track, TD_LOG_INFO, "quiet");
    assert_null(sink_line(&s));
    td_log_scope(&room, &room, "%s", "again=1"); /* onto itself */
    td_log_line(&room, TD_LOG_WARN, "y");
    assert_string_equal(sink_line(&s), "level=warn room=demo again=1 y");
    /* Scopes are cut at their size, they never run over. */
    struct td_log deep = room;
    for (int i = 0; i < 30; i++) {
        td_log_scope(&deep, &deep, "depth=%d", i);
        assert_true(strlen(deep.scope) < TD_LOG_SCOPE_MAX);
    }
    td_log_line(&deep, TD_LOG_WARN, "z");
    assert_non_null(sink_line(&s));
    struct td_log orphan;
    td_log_scope(&orphan, NULL, "a=1");
    td_log_line(&orphan, TD_LOG_ERROR, "dropped");
    assert_null(sink_line(&s));
    sink_close(&s);
}

static void test_cleaning(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *clean;
    } rows[] = {
        {"a\nlevel=error forged", "a?level=error forged"},
        {"\x1b[31mred\x7f\t", "?[31mred??"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xa5", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xa5"},
        {"c1 \xc2\x9b"
         "31m",
         "c1 ??31m"},
        {"\xff\xfe", "??"},
        {"cut \xe2\x82", "cut ??"},
        {"overlong \xc0\xaf \xe0\x80\xaf", "overlong ?? ???"},
        {"surrogate \xed\xa0\x80", "surrogate ???"},
        {"high \xf4\x90\x80\x80 \xf5", "high ???? ?"},
    };
    struct sink s;
    sink_open(&s, TD_LOG_INFO);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        td_log_line(&s.log, TD_LOG_INFO, "%s", rows[i].text);
        const char *line = sink_line(&s);
        assert_non_null(line);
        assert_string_equal(line + strlen("level=info "), rows[i].clean);
    }
    sink_close(&s);
}

static void test_cutting(void **state)
{
    (void)state;
    struct sink s;
    sink_open(&s, TD_LOG_INFO);
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    td_log_line(&s.log, TD_LOG_INFO, "%s", text);
    assert_non_null(sink_line(&s));
    assert_int_equal(strlen(s.line), TD_LOG_LINE_MAX - 1);
    assert_null(sink_line(&s));
    sink_close(&s);
}

static void test_levels(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
    enum td_log_level level = TD_LOG_INFO;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(td_log_level_parse(names[i], &level), 0);
        assert_int_equal(level, i);
    }
    assert_int_equal(td_log_level_parse("INFO", &level), -EINVAL);
    assert_int_equal(td_log_level_parse("", &level), -EINVAL);
    assert_int_equal(level, TD_LOG_TRACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),    cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_cleaning), cmocka_unit_test(test_cutting),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
