/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *standard;
        const char *url;
    } rows[] = {
        /* RFC 4648 section 10 */
        {"", 0, "", ""},
        {"f", 1, "Zg==", "Zg"},
        {"fo", 2, "Zm8=", "Zm8"},
        {"foo", 3, "Zm9v", "Zm9v"},
        {"foob", 4, "Zm9vYg==", "Zm9vYg"},
        {"fooba", 5, "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", 6, "Zm9vYmFy", "Zm9vYmFy"},
        /* RFC 7515 appendix C */
        {"\x03\xec\xff\xe0\xc1", 5, "A+z/4ME=", "A-z_4ME"},
        {"\0\0\0", 3, "AAAA", "AAAA"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int k = 0; k < 2; k++) {
            enum td_base64_kind kind = k == 0 ? TD_BASE64_STANDARD : TD_BASE64_URL;
            const char *want = k == 0 ? rows[i].standard : rows[i].url;
            char text[32];
            size_t room = TD_BASE64_TEXT_SIZE(rows[i].len);
            assert_int_equal(td_base64_encode(kind, rows[i].bytes, rows[i].len, text, room),
                             strlen(want));
            assert_string_equal(text, want);
            assert_int_equal(td_base64_encode(kind, rows[i].bytes, rows[i].len, text, room - 1),
                             -TD_E_LIMIT);
            uint8_t bytes[32];
            assert_int_equal(td_base64_decode(kind, want, strlen(want), bytes, rows[i].len),
                             rows[i].len);
            assert_memory_equal(bytes, rows[i].bytes, rows[i].len);
            if (rows[i].len > 0) {
                assert_int_equal(td_base64_decode(kind, want, strlen(want), bytes, rows[i].len - 1),
                                 -TD_E_LIMIT);
            }
        }
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        enum td_base64_kind kind;
        const char *text;
    } rows[] = {
        {TD_BASE64_URL, "Z"},       /* no byte has 6 bits */
        {TD_BASE64_URL, "Zg=="},    /* padding */
        {TD_BASE64_URL, "Zh"},      /* bits behind the byte */
        {TD_BASE64_URL, "Zm9"},     /* the same for two bytes */
        {TD_BASE64_URL, "A+z_4ME"}, /* the other alphabet */
        {TD_BASE64_URL, "Zm 9"},
        {TD_BASE64_URL, "Zm9v\n"},
        {TD_BASE64_URL, "Zm9\xc3"},
        {TD_BASE64_URL, "Zm.v"},
        {TD_BASE64_STANDARD, "Zg"},
        {TD_BASE64_STANDARD, "Zg="},
        {TD_BASE64_STANDARD, "Zh=="},
        {TD_BASE64_STANDARD, "Z==="},
        {TD_BASE64_STANDARD, "===="},
        {TD_BASE64_STANDARD, "Zg==Zg=="},
        {TD_BASE64_STANDARD, "A-z/4ME="},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t bytes[32];
        assert_int_equal(td_base64_decode(rows[i].kind, rows[i].text, strlen(rows[i].text), bytes,
                                          sizeof(bytes)),
                         -TD_E_PARSE);
    }
}

/* Each length, in exactly as much memory as promised, so that a sanitizer sees any overrun. */
static void test_round_trips(void **state)
{
    (void)state;
    uint32_t seed = 0x5eed0003u;
    print_message("# seed %u\n", seed);
    for (size_t len = 0; len < 130; len++) {
        for (int k = 0; k < 2; k++) {
            enum td_base64_kind kind = k == 0 ? TD_BASE64_STANDARD : TD_BASE64_URL;
            uint8_t bytes[130];
            for (size_t i = 0; i < len; i++) {
                seed = seed * 1664525u + 1013904223u;
                bytes[i] = (uint8_t)(seed >> 24);
            }
            char *text = malloc(TD_BASE64_TEXT_SIZE(len));
            assert_non_null(text);
            int n = td_base64_encode(kind, bytes, len, text, TD_BASE64_TEXT_SIZE(len));
            assert_int_equal(n, strlen(text));
            assert_true(TD_BASE64_BYTES_MAX(strlen(text)) >= len);
            uint8_t *back = malloc(len + 1);
            assert_non_null(back);
            assert_int_equal(td_base64_decode(kind, text, (size_t)n, back, len), len);
            assert_memory_equal(back, bytes, len);
            free(back);
            free(text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
