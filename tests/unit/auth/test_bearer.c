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
    static const char *const tokens[] = {"alpha-token", "gamma token",
                                         "beta/token+==", "alpha-token"};
    struct td_bearer_key keys[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(td_bearer_key_init(&keys[i], tokens[i]), 0);
    }
    static const struct {
        const char *header;
        int result;
    } rows[] = {
        {"Bearer alpha-token", 0}, /* of two that fit, the first */
        {"Bearer beta/token+==", 2},
        {"Bearer gamma token", 1},
        {"bearer alpha-token", 0},
        {"BEARER   alpha-token", 0},
        {NULL, -EACCES},
        {"", -EACCES},
        {"Bearer", -EACCES},
        {"Bearer ", -EACCES},
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
        assert_int_equal(td_bearer_find(rows[i].header, keys, 4), rows[i].result);
    }
    assert_int_equal(td_bearer_find("Bearer alpha-token", keys, 0), -EACCES);
    assert_int_equal(td_bearer_find("Bearer alpha-token", NULL, 0), -EACCES);
}

static void test_length_limit(void **state)
{
    (void)state;
    char header[TD_BEARER_MAX + 2] = "Bearer ";
    memset(header + 7, 'x', sizeof(header) - 8);
    header[sizeof(header) - 1] = '\0';
    struct td_bearer_key key;
    assert_int_equal(td_bearer_key_init(&key, header + 7), -EINVAL);
    header[TD_BEARER_MAX] = '\0';
    assert_int_equal(td_bearer_key_init(&key, header + 7), 0);
    assert_int_equal(td_bearer_find(header, &key, 1), 0);
    header[TD_BEARER_MAX] = 'x';
    assert_int_equal(td_bearer_find(header, &key, 1), -EACCES);
}

/* What no header could ever show protects nothing. */
static void test_unusable_keys(void **state)
{
    (void)state;
    struct td_bearer_key key;
    assert_int_equal(td_bearer_key_init(&key, ""), -EINVAL);
    assert_int_equal(td_bearer_key_init(&key, " x"), -EINVAL);
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
        cmocka_unit_test(test_unusable_keys),
        cmocka_unit_test(test_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
