/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/bearer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_headers(void **state)
{
    (void)state;
    static const char *const tokens[] = {"alpha-token", "", "beta/token+=="};
    static const struct {
        const char *header;
        int result;
    } rows[] = {
        {"Bearer alpha-token", 0},
        {"Bearer beta/token+==", 0},
        {"bearer alpha-token", 0},
        {"BEARER   alpha-token", 0},
        {NULL, -EACCES},
        {"", -EACCES},
        {"Bearer", -EACCES},
        {"Bearer ", -EACCES}, /* the empty token in the list matches nothing */
        {"Bearer  ", -EACCES},
        {"Beareralpha-token", -EACCES},
        {"Bearer\talpha-token", -EACCES},
        {" Bearer alpha-token", -EACCES},
        {"Basic alpha-token", -EACCES},
        {"alpha-token", -EACCES},
        {"Bearer alpha-toke", -EACCES},
        {"Bearer alpha-tokenx", -EACCES},
        {"Bearer alpha-token ", -EACCES},
        {"Bearer Alpha-token", -EACCES},
        {"Bearer blpha-token", -EACCES},
        {"Bearer alpha-token, Bearer beta", -EACCES},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(td_bearer_check(rows[i].header, tokens, 3), rows[i].result);
    }
    assert_int_equal(td_bearer_check("Bearer alpha-token", tokens, 0), -EACCES);
    assert_int_equal(td_bearer_check("Bearer alpha-token", NULL, 0), -EACCES);
}

static void test_length_limit(void **state)
{
    (void)state;
    char header[TD_BEARER_MAX + 2] = "Bearer ";
    memset(header + 7, 'x', sizeof(header) - 8);
    header[sizeof(header) - 1] = '\0';
    const char *const token = header + 7;
    assert_int_equal(td_bearer_check(header, &token, 1), -EACCES);
    header[TD_BEARER_MAX] = '\0';
    assert_int_equal(td_bearer_check(header, &token, 1), 0);
}

static void test_token(void **state)
{
    (void)state;
    assert_string_equal(td_bearer_token("Bearer  abc"), "abc");
    assert_null(td_bearer_token("Bearer "));
    assert_null(td_bearer_token(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_length_limit),
        cmocka_unit_test(test_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
