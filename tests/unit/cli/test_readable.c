/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/readable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *wanted;
    } rows[] = {
        {NULL, ""},
        {"", ""},
        {"stand-up", "stand-up"},
        {"Besprechung Müller", "Besprechung Müller"},
        {"会议 🎥", "会议 🎥"},
        {"\x1b[2J\x1b[Hgone", "?[2J?[Hgone"},
        {"a\nb\rc\td", "a?b?c?d"},
        {"\x7f", "?"},
        {"c1 \xc2\x9b"
         "31m",
         "c1 ?31m"}, /* U+009B begins a sequence, too */
        {"\xe2\x80\xae"
         "txt.exe",
         "?txt.exe"}, /* right-to-left override */
        {"\xe2\x80\xa8", "?"},
        {"\xff\xfe", "??"},
        {"cut \xc3", "cut ?"},
        {"surrogate \xed\xa0\x80", "surrogate ???"},
    };
    char text[64];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        td_readable_text(rows[i].text, text, sizeof(text));
        assert_string_equal(text, rows[i].wanted);
    }
}

static void test_text_is_cut_between_characters(void **state)
{
    (void)state;
    static const char *const wanted[] = {"", "", "ü", "üx", "üx", "üx", "üx€", "üx€"};
    for (size_t size = 1; size <= 8; size++) {
        char text[9];
        memset(text, '#', sizeof(text));
        td_readable_text("üx€", text, size);
        assert_string_equal(text, wanted[size - 1]);
        assert_int_equal(text[size], '#');
    }
}

static void test_duration(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        int exact;
        const char *wanted;
    } rows[] = {
        {0, 0, "00:00:00"},         {999, 0, "00:00:00"},
        {999, 1, "00:00:00.999"},   {61000, 1, "00:01:01.000"},
        {3599999, 0, "00:59:59"},   {360000000, 0, "100:00:00"},
        {-5, 1, "00:00:00.000"},    {INT64_MAX, 1, "2562047788015:12:55.807"},
        {INT64_MIN, 0, "00:00:00"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char text[TD_READABLE_MAX];
        td_readable_duration(rows[i].ms, rows[i].exact, text);
        assert_string_equal(text, rows[i].wanted);
    }
}

static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        int64_t bytes;
        const char *wanted;
    } rows[] = {
        {0, "0 B"},
        {-1, "0 B"},
        {999, "999 B"},
        {1000, "1.0 kB"},
        {999949, "999.9 kB"},
        {999950, "1.0 MB"}, /* never "1000.0 kB" */
        {12345678, "12.3 MB"},
        {INT64_C(81000000000), "81.0 GB"},
        {INT64_MAX, "9.2 EB"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char text[TD_READABLE_MAX];
        td_readable_bytes(rows[i].bytes, text);
        assert_string_equal(text, rows[i].wanted);
    }
}

static void test_time(void **state)
{
    (void)state;
    char text[TD_READABLE_MAX];
    td_readable_time("2026-11-21T09:30:00.123Z", text);
    assert_string_equal(text, "2026-11-21 09:30:00");
    static const char *const none[] = {NULL, "", "yesterday", "2026-11-21 09:30:00",
                                       "2026-11-21T09:30:00.123Z\x1b[2J"};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        td_readable_time(none[i], text);
        assert_string_equal(text, "-");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),     cmocka_unit_test(test_text_is_cut_between_characters),
        cmocka_unit_test(test_duration), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests_name("cli/readable", tests, NULL, NULL);
}
