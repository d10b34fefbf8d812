/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_exit_codes(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        enum td_exit code;
    } rows[] = {
        {200, TD_EXIT_DONE},    {201, TD_EXIT_DONE},    {204, TD_EXIT_DONE},
        {302, TD_EXIT_FAILED},  {400, TD_EXIT_USAGE},   {401, TD_EXIT_REFUSED},
        {403, TD_EXIT_REFUSED}, {404, TD_EXIT_FAILED},  {405, TD_EXIT_FAILED},
        {409, TD_EXIT_FAILED},  {413, TD_EXIT_USAGE},   {422, TD_EXIT_USAGE},
        {429, TD_EXIT_FAILED},  {500, TD_EXIT_FAILED},  {502, TD_EXIT_REFUSED},
        {503, TD_EXIT_FAILED},  {504, TD_EXIT_REFUSED}, {507, TD_EXIT_STORAGE},
        {0, TD_EXIT_FAILED},    {100, TD_EXIT_FAILED},  {999, TD_EXIT_FAILED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(td_problem_exit(rows[i].status), rows[i].code);
}

static void say(unsigned status, const char *code, const char *detail, bool with_token,
                char ret_text[static TD_PROBLEM_TEXT_MAX])
{
    json_t *answer = json_pack("{s:s*, s:s*}", "code", code, "detail", detail);
    assert_non_null(answer);
    td_problem_say(status, answer, with_token, ret_text);
    json_decref(answer);
}

static void test_sentences(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        const char *detail;
        const char *wanted;
    } rows[] = {
        {"failed", "It broke.", "It broke."},
        {"failed", "It broke", "It broke."},
        {"failed", "", "It failed."},
        {"source_refused", "The server refused: 401.",
         "The server refused: 401. Check --url and --token, or ws_url, api_key and api_secret of "
         "the daemon."},
        {"ended", "This recording has ended.",
         "This recording has ended. 'tapedeck status' says how it ended."},
        {"something_new", "\x1b]0;title\a was set.", "?]0;title? was set."},
    };
    char text[TD_PROBLEM_TEXT_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        say(500, rows[i].code, rows[i].detail, false, text);
        assert_string_equal(text, rows[i].wanted);
    }
}

static void test_what_to_do_about_a_key(void **state)
{
    (void)state;
    char text[TD_PROBLEM_TEXT_MAX];
    say(401, "unauthorized", "A key is needed.", false, text);
    assert_non_null(strstr(text, "Show a key: --api-token"));
    say(401, "unauthorized", "A key is needed.", true, text);
    assert_null(strstr(text, "Show a key"));
    assert_non_null(strstr(text, "none of its api_keys"));
}

/* Whatever is no problem document of ours: a proxy, another server, a liar. */
static void test_somebody_else(void **state)
{
    (void)state;
    char text[TD_PROBLEM_TEXT_MAX];
    td_problem_say(404, NULL, false, text);
    assert_non_null(strstr(text, "HTTP status 404 is no tapedeck daemon"));
    say(404, NULL, "Not here.", false, text);
    assert_non_null(strstr(text, "no tapedeck daemon"));
    say(404, "not_found", NULL, false, text);
    assert_non_null(strstr(text, "no tapedeck daemon"));
    json_t *list = json_array();
    td_problem_say(500, list, false, text);
    json_decref(list);
    assert_non_null(strstr(text, "no tapedeck daemon"));
    char detail[4 * TD_PROBLEM_TEXT_MAX];
    memset(detail, 'x', sizeof(detail) - 1);
    detail[sizeof(detail) - 1] = '\0';
    say(502, "source_refused", detail, false, text);
    assert_non_null(strstr(text, "x. Check --url"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_what_to_do_about_a_key),
        cmocka_unit_test(test_somebody_else),
    };
    return cmocka_run_group_tests_name("cli/problem", tests, NULL, NULL);
}
