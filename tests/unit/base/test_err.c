/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_names(void **state)
{
    (void)state;
    static const struct {
        int err;
        const char *name;
        const char *text;
    } rows[] = {
        {-TD_E_PARSE, "TD_E_PARSE", "malformed input"},
        {-TD_E_LIBRARY, "TD_E_LIBRARY", "a library call failed"},
        {-TD_E_LOST, "TD_E_LOST", "the file was removed or cut by somebody else"},
        {-ENOSPC, "ENOSPC", "No space left on device"},
        {0, "OK", "success"},
        {ENOSPC, "UNKNOWN", "unknown error"}, /* positive codes are conditions, not errors */
        {TD_E_PARSE, "UNKNOWN", "unknown error"},
        {-4095, "UNKNOWN", "unknown error"},
        {INT_MIN, "UNKNOWN", "unknown error"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(td_err_name(rows[i].err), rows[i].name);
        assert_string_equal(td_err_text(rows[i].err), rows[i].text);
    }
}

static void test_codes_are_distinct(void **state)
{
    (void)state;
    static const int values[] = {
#define ROW(name, value, text) TD_E_##name,
        TD_ERRORS(ROW)
#undef ROW
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_true(values[i] >= 4096);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(values[i], values[k]);
        }
    }
}

static void test_first_failure_stays(void **state)
{
    (void)state;
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_fail_set(&fail, -EIO, "write %s: %d", "x.ts", 7), -EIO);
    assert_int_equal(td_fail_set(&fail, -ENOSPC, "later"), -ENOSPC);
    assert_int_equal(fail.code, -EIO);
    assert_string_equal(fail.text, "write x.ts: 7");
    td_fail_clear(&fail);
    assert_int_equal(fail.code, 0);
    assert_string_equal(fail.text, "");
    assert_int_equal(td_fail_set(&fail, -ENOSPC, "later"), -ENOSPC);
    assert_int_equal(fail.code, -ENOSPC);
    assert_int_equal(td_fail_set(NULL, -EPERM, "nobody listens"), -EPERM);
}

/* Whatever the place of the cut, no piece of a character stays. */
static void test_cut_between_characters(void **state)
{
    (void)state;
    static const char *const chars[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8e\xa5"};
    for (size_t c = 0; c < 4; c++) {
        size_t width = strlen(chars[c]);
        for (size_t shift = 0; shift < 4; shift++) {
            char text[400];
            memset(text, 'x', shift);
            size_t len = shift;
            while (len + width < sizeof(text)) {
                memcpy(text + len, chars[c], width);
                len += width;
            }
            text[len] = '\0';
            struct td_fail fail = {.code = 0};
            assert_int_equal(td_fail_set(&fail, -EIO, "%s", text), -EIO);
            size_t got = strlen(fail.text);
            assert_memory_equal(fail.text, text, got);
            assert_int_equal((got - shift) % width, 0);
            assert_true(got + width >= TD_FAIL_TEXT_MAX - 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_codes_are_distinct),
        cmocka_unit_test(test_first_failure_stays),
        cmocka_unit_test(test_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
