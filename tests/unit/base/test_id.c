/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_ids(void **state)
{
    (void)state;
    char ids[64][TD_ID_MAX];
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(td_id_new("rec", ids[i]), 0);
        assert_int_equal(strlen(ids[i]), 20);
        assert_memory_equal(ids[i], "rec_", 4);
        assert_int_equal(strspn(ids[i] + 4, "abcdefghijklmnopqrstuvwxyz234567"), 16);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(ids[i], ids[k]);
        }
    }
    char longest[TD_ID_MAX];
    assert_int_equal(td_id_new("abcd", longest), 0);
    assert_int_equal(strlen(longest), 21);
}

static void test_tokens(void **state)
{
    (void)state;
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char text[4001];
    for (size_t len = 0; len < 70; len++) {
        memset(text, '!', sizeof(text));
        assert_int_equal(td_id_token(text, len), 0);
        assert_int_equal(strlen(text), len);
        assert_int_equal(strspn(text, letters), len);
        assert_int_equal(text[len + 1], '!');
    }
    /* 4,000 draws of 62 letters: one that never comes has a chance of 62 * (61/62)^4000 < 1e-26. */
    assert_int_equal(td_id_token(text, 4000), 0);
    for (size_t i = 0; i < sizeof(letters) - 1; i++) {
        assert_non_null(strchr(text, letters[i]));
    }
}

static void test_random_fills_all(void **state)
{
    (void)state;
    uint8_t bytes[1000] = {0};
    assert_int_equal(td_random_bytes(bytes, 999), 0);
    assert_int_equal(bytes[999], 0);
    size_t zeros = 0;
    for (size_t i = 0; i < 999; i++) {
        zeros += bytes[i] == 0 ? 1 : 0;
    }
    assert_true(zeros < 60);
    assert_int_equal(td_random_bytes(bytes, 0), 0);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *safe;
    } rows[] = {
        {"demo", "demo"},
        {"Az09._-", "Az09._-"},
        {"", "_"},
        {".", "_"},
        {"..", "_."},
        {".hidden", "_hidden"},
        {"../../etc/passwd", "_._.._etc_passwd"},
        {"a b\tc\nd", "a_b_c_d"},
        {"caf\xc3\xa9", "caf_"},
        {"\xe6\x97\xa5\xe6\x9c\xac", "__"},
        {"\x80\x80", "__"}, /* no character at all */
        {"a\xffz", "a_z"},
        {"a\\b:c*d?e\"f<g>h|i", "a_b_c_d_e_f_g_h_i"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char safe[TD_NAME_MAX];
        td_name_sanitise(rows[i].name, safe);
        assert_string_equal(safe, rows[i].safe);
    }
    char name[200];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    char safe[TD_NAME_MAX];
    td_name_sanitise(name, safe);
    assert_int_equal(strlen(safe), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_random_fills_all),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
