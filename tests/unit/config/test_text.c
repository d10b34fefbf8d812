/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_plain(void **state)
{
    (void)state;
    static const char *const plain[] = {
        "", "a b", "\xc3\xa4", "\xe2\x82\xac", "\xed\x9f\xbf", "\xef\xbf\xbd", "\xf0\x9f\x8e\xa5",
    };
    static const char *const refused[] = {
        "a\nb",    /* a line of its own in a log */
        "\x1b[2J", /* steers a terminal */
        "\x7f",
        "\xc2\x85",         /* C1 */
        "\xe2\x80\xa8",     /* line separator */
        "\xef\xbb\xbf",     /* byte order mark */
        "\xef\xbf\xbe",     /* no character */
        "\xf0\x9f\xbf\xbf", /* no character either */
        "\x80",
        "\xc3", /* cut */
        "\xc3(",
        "\xc0\xaf", /* overlong */
        "\xe0\x80\xaf",
        "\xed\xa0\x80",     /* surrogate */
        "\xf4\x90\x80\x80", /* past the end of Unicode */
        "\xf8\x88\x80\x80\x80",
        "\xff",
    };
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
        assert_true(td_config_text_plain(plain[i], strlen(plain[i])));
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
        assert_false(td_config_text_plain(refused[i], strlen(refused[i])));
    assert_false(td_config_text_plain("a\0b", 3));
}

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        enum td_config_form form;
        const char *text;
        const char *fault; /* a part of it; NULL = fine */
    } rows[] = {
        {TD_CONFIG_ANY, "anything @ all", NULL},
        {TD_CONFIG_ADDRESS, "127.0.0.1:8000", NULL},
        {TD_CONFIG_ADDRESS, "[::1]:0", NULL},
        {TD_CONFIG_ADDRESS, "localhost:65535", NULL},
        {TD_CONFIG_ADDRESS, "8000", "HOST:PORT"},
        {TD_CONFIG_ADDRESS, ":8000", "HOST:PORT"},
        {TD_CONFIG_ADDRESS, "host:", "HOST:PORT"},
        {TD_CONFIG_ADDRESS, "host:http", "HOST:PORT"},
        {TD_CONFIG_ADDRESS, "host:80 ", "HOST:PORT"},
        {TD_CONFIG_ADDRESS, "host:008000", "HOST:PORT"},
        {TD_CONFIG_ADDRESS, "host:65536", "65535"},
        {TD_CONFIG_SERVER, "wss://livekit.example.com", NULL},
        {TD_CONFIG_SERVER, "http://127.0.0.1:7880/path", NULL},
        {TD_CONFIG_SERVER, "livekit.example.com", "ws://"},
        {TD_CONFIG_SERVER, "ftp://example.com", "ws://"},
        {TD_CONFIG_SERVER, "wss://", "ws://"},
        {TD_CONFIG_SERVER, "wss:///x", "ws://"},
        {TD_CONFIG_SERVER, "wss://a b", "ws://"},
        {TD_CONFIG_SERVER, "wss://me:word@example.com", "password"},
        {TD_CONFIG_WEB, "https://example.com/hook?at=a@b", NULL},
        {TD_CONFIG_WEB, "https://me@example.com/hook", "password"},
        {TD_CONFIG_WEB, "wss://example.com", "http://"},
        {TD_CONFIG_ORIGIN, "*", NULL},
        {TD_CONFIG_ORIGIN, "http://localhost:3000", NULL},
        {TD_CONFIG_ORIGIN, "https://example.com/", "origin"},
        {TD_CONFIG_ORIGIN, "https://example.com?x", "origin"},
        {TD_CONFIG_ORIGIN, "example.com", "origin"},
        {TD_CONFIG_ORIGIN, "**", "origin"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *fault = td_config_text_fault(rows[i].form, rows[i].text);
        if ((fault == NULL) != (rows[i].fault == NULL))
            fail_msg("%s: %s", rows[i].text, fault != NULL ? fault : "is taken");
        if (fault != NULL)
            assert_non_null(strstr(fault, rows[i].fault));
    }
}

static void test_shown(void **state)
{
    (void)state;
    char shown[TD_CONFIG_SHOWN_MAX];
    td_config_text_show("abc", 3, shown);
    assert_string_equal(shown, "abc");
    td_config_text_show("\x1b[2J", 4, shown);
    assert_string_equal(shown, "(unprintable)");
    for (size_t shift = 0; shift < 4; shift++) { /* no piece of a character stays */
        char text[200];
        memset(text, 'x', shift);
        for (size_t i = shift; i + 4 <= sizeof(text) - 4; i += 4)
            memcpy(text + i, "\xf0\x9f\x8e\xa5", 4);
        size_t len = shift + (sizeof(text) - 4 - shift) / 4 * 4;
        td_config_text_show(text, len, shown);
        size_t got = strlen(shown);
        assert_true(got > 40 && got < sizeof(shown));
        assert_true(td_config_text_plain(shown, got));
        assert_string_equal(shown + got - 3, "...");
    }
}

static void test_quoted(void **state)
{
    (void)state;
    char quoted[TD_CONFIG_QUOTED_MAX];
    td_config_text_quote("a\\b\"c", quoted);
    assert_string_equal(quoted, "\"a\\\\b\\\"c\"");
    char worst[TD_CONFIG_TEXT_MAX];
    memset(worst, '"', sizeof(worst) - 1);
    worst[sizeof(worst) - 1] = '\0';
    td_config_text_quote(worst, quoted);
    assert_int_equal(strlen(quoted), 2 * (sizeof(worst) - 1) + 2);
    char longer[2 * TD_CONFIG_TEXT_MAX];
    memset(longer, '\\', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    td_config_text_quote(longer, quoted);
    assert_int_equal(strlen(quoted), 2 * (sizeof(worst) - 1) + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_quoted),
    };
    return cmocka_run_group_tests_name("config/text", tests, NULL, NULL);
}
