/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, struct td_fail *ret_fail, struct td_ask *ret_ask)
{
    json_t *body = json_loads(text, 0, NULL);
    *ret_fail = (struct td_fail){.code = 0};
    return td_ask_parse(body, ret_fail, ret_ask);
}

static void test_everything(void **state)
{
    (void)state;
    struct td_ask a;
    struct td_fail fail;
    assert_int_equal(parse("{\"room\":\"r\",\"url\":\"ws://x\",\"token\":\"t\",\"format\":\"mkv\","
                           "\"tier\":\"source\",\"participant\":\"a*\",\"max_duration_s\":5,"
                           "\"max_size_bytes\":7.0,\"hold\":true,\"outputs\":[]}",
                           &fail, &a),
                     0);
    assert_string_equal(a.recording.room, "r");
    assert_string_equal(a.recording.url, "ws://x");
    assert_string_equal(a.recording.token, "t");
    assert_string_equal(a.recording.format, "mkv");
    assert_string_equal(a.recording.tier, "source");
    assert_string_equal(a.recording.participant, "a*");
    assert_int_equal(a.recording.max_duration_us, 5000000);
    assert_int_equal(a.recording.max_size_bytes, 7);
    assert_true(a.recording.hold);
    td_ask_done(&a);
}

static void test_defaults_and_outputs(void **state)
{
    (void)state;
    struct td_ask a;
    struct td_fail fail;
    assert_int_equal(parse("{\"room\":\"Raum \\u00e4\"}", &fail, &a), 0);
    assert_null(a.recording.url);
    assert_null(a.recording.token);
    assert_null(a.recording.format);
    assert_null(a.recording.participant);
    assert_false(a.recording.hold);
    assert_int_equal(a.recording.max_duration_us, 0);
    td_ask_done(&a);
    assert_int_equal(
        parse("{\"outputs\":[{\"participant\":\"bob\",\"format\":\"ts\"}],\"room\":\"r\"}", &fail,
              &a),
        0);
    assert_string_equal(a.recording.participant, "bob");
    assert_string_equal(a.recording.format, "ts");
    td_ask_done(&a);
}

static const struct {
    const char *text;
    int error;
    const char *named; /* in the sentence */
} refused[] = {
    {"[]", -TD_E_PARSE, "object"},
    {"{}", -TD_E_PARSE, "room"},
    {"{\"room\":null}", -TD_E_PARSE, "room"},
    {"{\"room\":\"\"}", -TD_E_PARSE, "room"},
    {"{\"room\":7}", -TD_E_PARSE, "room"},
    {"{\"room\":\"a\\nb\"}", -TD_E_PARSE, "room"},
    {"{\"room\":\"r\",\"colour\":1}", -TD_E_PARSE, "colour"},
    {"{\"room\":\"r\",\"url\":1}", -TD_E_PARSE, "url"},
    {"{\"room\":\"r\",\"hold\":1}", -TD_E_PARSE, "hold"},
    {"{\"room\":\"r\",\"max_duration_s\":\"5\"}", -TD_E_PARSE, "max_duration_s"},
    {"{\"room\":\"r\",\"max_duration_s\":-1}", -TD_E_PARSE, "max_duration_s"},
    {"{\"room\":\"r\",\"max_duration_s\":0.5}", -TD_E_PARSE, "max_duration_s"},
    {"{\"room\":\"r\",\"max_duration_s\":31536001}", -TD_E_PARSE, "max_duration_s"},
    {"{\"room\":\"r\",\"max_duration_s\":true}", -TD_E_PARSE, "max_duration_s"},
    {"{\"room\":\"r\",\"max_size_bytes\":1e300}", -TD_E_PARSE, "max_size_bytes"},
    {"{\"room\":\"r\",\"max_size_bytes\":9223372036854775807}", -TD_E_PARSE, "max_size_bytes"},
    {"{\"room\":\"r\",\"outputs\":{}}", -TD_E_PARSE, "outputs"},
    {"{\"room\":\"r\",\"outputs\":[1]}", -TD_E_PARSE, "outputs"},
    {"{\"room\":\"r\",\"outputs\":[{\"colour\":1}]}", -TD_E_PARSE, "outputs[].colour"},
    {"{\"room\":\"r\",\"outputs\":[{\"format\":1}]}", -TD_E_PARSE, "format"},
    {"{\"room\":\"r\",\"format\":\"ts\",\"outputs\":[{\"format\":\"ts\"}]}", -TD_E_PARSE, "twice"},
    {"{\"room\":\"r\",\"outputs\":[{},{}]}", -TD_E_UNSUPPORTED, "one output"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct td_ask a;
        struct td_fail fail;
        assert_int_equal(parse(refused[i].text, &fail, &a), refused[i].error);
        assert_int_equal(fail.code, refused[i].error);
        assert_non_null(strstr(fail.text, refused[i].named));
    }
    struct td_ask a;
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_ask_parse(NULL, &fail, &a), -TD_E_PARSE); /* no body at all */
}

/* Longer by one than what is taken; and a name that no sentence could hold. */
static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t max;
    } rows[] = {{"room", TD_ASK_TEXT_MAX},   {"url", TD_ASK_URL_MAX},
                {"token", TD_ASK_TOKEN_MAX}, {"format", TD_ASK_WORD_MAX},
                {"tier", TD_ASK_WORD_MAX},   {"participant", TD_ASK_TEXT_MAX}};
    static char text[TD_ASK_TOKEN_MAX + 2];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (size_t more = 0; more <= 1; more++) {
            memset(text, 'x', rows[i].max + more);
            text[rows[i].max + more] = '\0';
            struct td_ask a;
            struct td_fail fail = {.code = 0};
            json_t *body = json_pack("{s:s}", "room", "r");
            assert_int_equal(json_object_set_new(body, rows[i].name, json_string(text)), 0);
            assert_int_equal(td_ask_parse(body, &fail, &a), more == 0 ? 0 : -TD_E_PARSE);
            if (more == 0)
                td_ask_done(&a);
        }
    }
    memset(text, 'x', 300);
    memcpy(text + 60, "\xc3\xa4\xc3\xa4\xc3\xa4", 6); /* cut anywhere, this would be no text */
    text[300] = '\0';
    struct td_ask a;
    struct td_fail fail = {.code = 0};
    json_t *body = json_pack("{s:s, s:i}", "room", "r", text, 1);
    assert_int_equal(td_ask_parse(body, &fail, &a), -TD_E_PARSE);
    json_t *sentence = json_string(fail.text);
    assert_non_null(sentence);
    json_decref(sentence);
}

/* The same request however it was spelled; another one for any other value. */
static void test_digest(void **state)
{
    (void)state;
    struct td_ask one;
    struct td_ask two;
    struct td_fail fail;
    assert_int_equal(parse("{\"room\":\"r\",\"hold\":true}", &fail, &one), 0);
    assert_int_equal(strlen(one.digest), TD_ASK_DIGEST_SIZE - 1);
    assert_int_equal(parse(" { \"hold\" : true,\n\"room\":\"\\u0072\" }", &fail, &two), 0);
    assert_string_equal(one.digest, two.digest);
    td_ask_done(&two);
    assert_int_equal(parse("{\"room\":\"r\",\"hold\":false}", &fail, &two), 0);
    assert_string_not_equal(one.digest, two.digest);
    td_ask_done(&two);
    assert_int_equal(parse("{\"room\":\"r\"}", &fail, &two), 0);
    assert_string_not_equal(one.digest, two.digest);
    td_ask_done(&two);
    td_ask_done(&one);
}

static void test_patch(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        struct td_ask_patch patch;
    } rows[] = {
        {"{}", 0, {.max_duration_us = -1, .max_size_bytes = -1}},
        {"{\"hold\":false}", 0, {.has_hold = true, .max_duration_us = -1, .max_size_bytes = -1}},
        {"{\"hold\":true,\"max_duration_s\":0}",
         0,
         {.has_hold = true, .hold = true, .max_duration_us = 0, .max_size_bytes = -1}},
        {"{\"max_size_bytes\":10}", 0, {.max_duration_us = -1, .max_size_bytes = 10}},
        {"[]", -TD_E_PARSE, {.hold = false}},
        {"{\"room\":\"r\"}", -TD_E_PARSE, {.hold = false}},
        {"{\"hold\":null}", -TD_E_PARSE, {.hold = false}},
        {"{\"max_size_bytes\":-1}", -TD_E_PARSE, {.hold = false}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_fail fail = {.code = 0};
        struct td_ask_patch patch = {.hold = false};
        json_t *body = json_loads(rows[i].text, 0, NULL);
        assert_int_equal(td_ask_patch_parse(body, &fail, &patch), rows[i].result);
        json_decref(body);
        assert_int_equal(patch.has_hold, rows[i].patch.has_hold);
        assert_int_equal(patch.hold, rows[i].patch.hold);
        assert_int_equal(patch.max_duration_us, rows[i].patch.max_duration_us);
        assert_int_equal(patch.max_size_bytes, rows[i].patch.max_size_bytes);
    }
}

static void test_keys(void **state)
{
    (void)state;
    static char key[TD_ASK_TEXT_MAX + 2];
    assert_true(td_ask_is_key("a"));
    assert_true(td_ask_is_key("8e03978e-40d5-43dd-bc93-6894a57f9324"));
    assert_true(td_ask_is_key("!~"));
    assert_false(td_ask_is_key(""));
    assert_false(td_ask_is_key("a b"));
    assert_false(td_ask_is_key("a\tb"));
    assert_false(td_ask_is_key("\x7f"));
    assert_false(td_ask_is_key("\xc3\xa4"));
    memset(key, 'k', TD_ASK_TEXT_MAX);
    assert_true(td_ask_is_key(key));
    key[TD_ASK_TEXT_MAX] = 'k';
    assert_false(td_ask_is_key(key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything), cmocka_unit_test(test_defaults_and_outputs),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_digest),     cmocka_unit_test(test_patch),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests_name("api/ask", tests, NULL, NULL);
}
