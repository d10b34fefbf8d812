/* SPDX-License-Identifier: Apache-2.0 */
#include "api/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        const char *path; /* NULL = -TD_E_PARSE */
    } rows[] = {
        {"/", "/"},
        {"/api/recordings", "/api/recordings"},
        {"/api/recordings/", "/api/recordings/"},
        {"/%61pi/a%20b+c", "/api/a b+c"},
        {"/caf%C3%A9/\xc3\xa9", "/caf\xc3\xa9/\xc3\xa9"},
        {"/%25%32%46", "/%2F"}, /* decoded once */
        {"/a%0ab", "/a\nb"},    /* for the route to judge */
        {"/..a/.b/c..", "/..a/.b/c.."},
        {"/...", "/..."},
        {"", NULL},
        {"a", NULL},
        {"*", NULL},
        {"/a%2Fb", NULL},
        {"/a%2fb", NULL},
        {"/a%00", NULL},
        {"/%", NULL},
        {"/%4", NULL},
        {"/%4g", NULL},
        {"/%-1", NULL},
        {"/a//b", NULL},
        {"//", NULL},
        {"//a", NULL},
        {"/.", NULL},
        {"/..", NULL},
        {"/../etc/passwd", NULL},
        {"/a/./b", NULL},
        {"/a/../b", NULL},
        {"/a/%2e%2e/b", NULL},
        {"/a/%2E./b", NULL},
        {"/a/..", NULL},
        {"/a/../", NULL},
        {"/%c0%af", NULL},       /* '/' in two bytes */
        {"/%c0%ae%c0%ae", NULL}, /* '.' in two bytes */
        {"/%e0%80%af", NULL},
        {"/%ff", NULL},
        {"/\xc3", NULL},
        {"/%ed%a0%80", NULL}, /* a surrogate */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char path[64];
        int want = rows[i].path != NULL ? 0 : -TD_E_PARSE;
        assert_int_equal(td_uri_path(rows[i].raw, path, sizeof(path)), want);
        if (want == 0)
            assert_string_equal(path, rows[i].path);
    }
    char small[5];
    assert_int_equal(td_uri_path("/abc", small, sizeof(small)), 0);
    assert_int_equal(td_uri_path("/abcd", small, sizeof(small)), -TD_E_LIMIT);
}

static void test_queries(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        const char *name;
        int result;
        const char *value;
    } rows[] = {
        {NULL, "a", 0, ""},
        {"", "a", 0, ""},
        {"a=1", "a", 1, "1"},
        {"a=1", "b", 0, ""},
        {"a=1", "", 0, ""},
        {"aa=1&a=2", "a", 1, "2"},
        {"a=1&a=2", "a", 1, "1"},
        {"x&a=", "a", 1, ""},
        {"x&a=", "x", 1, ""},
        {"&&a=3&", "a", 1, "3"},
        {"a=%20b+c%2B", "a", 1, " b c+"},
        {"%61=b%3Dc=d", "a", 1, "b=c=d"},
        {"b+c=1", "b c", 1, "1"},
        {"a=%E2%82%AC", "a", 1, "\xe2\x82\xac"},
        {"a=%2F..%2F", "a", 1, "/../"}, /* text, not a path */
        {"%zz=1&a=2", "a", 1, "2"},
        {"a=%", "a", -TD_E_PARSE, ""},
        {"a=%4", "a", -TD_E_PARSE, ""},
        {"a=x%00", "a", -TD_E_PARSE, ""},
        {"a=%0a", "a", -TD_E_PARSE, ""},
        {"a=%7f", "a", -TD_E_PARSE, ""},
        {"a=%c0%af", "a", -TD_E_PARSE, ""},
        {"a=12345678901234567", "a", -TD_E_LIMIT, ""},
        {"a=123456789012345", "a", 1, "123456789012345"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char value[16] = "before";
        assert_int_equal(td_uri_query(rows[i].raw, rows[i].name, value, sizeof(value)),
                         rows[i].result);
        assert_string_equal(value, rows[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_queries),
    };
    return cmocka_run_group_tests_name("api/uri", tests, NULL, NULL);
}
