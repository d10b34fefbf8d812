/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

struct row {
    const char *pattern;
    const char *text;
    bool fits;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (td_glob_match(rows[i].pattern, rows[i].text) != rows[i].fits)
            fail_msg("'%s' and '%s': not %d", rows[i].pattern, rows[i].text, rows[i].fits);
    }
}

static void test_words(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", "", true},
        {"", "anything", true},
        {"room", "room", true},
        {"room", "Room", false},
        {"room", "rooms", false},
        {"room", "", false},
        {"*", "", true},
        {"*", "a b/c.d", true},
        {"team-*", "team-", true},
        {"team-*", "team-1", true},
        {"team-*", "Team-1", false},
        {"*-team", "a-team", true},
        {"*-team", "a-teams", false},
        {"a*b*c", "abc", true},
        {"a*b*c", "a__b__bc", true},
        {"a*b*c", "acb", false},
        {"?", "", false},
        {"?", "a", true},
        {"?", "ab", false},
        {"room-??", "room-17", true},
        {"room-[0-9]", "room-7", true},
        {"room-[0-9]", "room-x", false},
        {"room-[!0-9]", "room-x", true},
        {"room-[!0-9]", "room-7", false},
        {"[]x]", "]", true},
        {"[[:digit:]]*", "1a", true},
        {"[[:digit:]]*", "a1", false},
    };
    check(rows, sizeof(rows) / sizeof(rows[0]));
    assert_true(td_glob_match(NULL, ""));
    assert_true(td_glob_match(NULL, "anything"));
}

/* Names are no paths, and a pattern that is none stands for itself. */
static void test_odd_ones(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"*", ".hidden", true},
        {"?hidden", ".hidden", true},
        {"a*z", "a/b/z", true},
        {"a?z", "a/z", true},
        {"[.]x", ".x", true},
        {"*", "\n", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"a\\", "a", false},
        {"[", "[", true},
        {"[", "a", false},
        {"room[", "room[", true},
        {"[a", "[a", true},
        {"[a", "a", false},
        {"[z-a]", "m", false},
        {"*\xff", "a\xff", true},
        {"\xc3\xa9*", "\xc3\xa9t\xc3\xa9", true},
        {"*\xc3\xa9", "\xc3\xa9t\xc3\xa9", true},
        {"**", "x", true},
        {"{a,b}", "a", false},
        {"{a,b}", "{a,b}", true},
    };
    check(rows, sizeof(rows) / sizeof(rows[0]));
}

/* Whoever may start a recording may send a pattern: no text makes it take long. */
static void test_many_stars(void **state)
{
    (void)state;
    char pattern[256];
    char text[256];
    for (size_t i = 0; i + 2 < sizeof(pattern); i += 2)
        memcpy(pattern + i, "*a", 2);
    memcpy(pattern + sizeof(pattern) - 2, "b", 2);
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    int64_t start_us = td_clock_now_us();
    assert_false(td_glob_match(pattern, text));
    assert_true(td_clock_now_us() - start_us < 2 * TD_US_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_odd_ones),
        cmocka_unit_test(test_many_stars),
    };
    return cmocka_run_group_tests_name("base/glob", tests, NULL, NULL);
}
