/* SPDX-License-Identifier: Apache-2.0 */
#include "api/access.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct td_config_key api_keys[] = {{.key = "alpha"}, {.key = "beta", .rooms = "team-*"}};
static struct td_config_key whip_tokens[] = {{.key = "cam", .rooms = "stage"}};
static char *origins[] = {"https://studio.example", "http://localhost:3000"};

static struct td_access *make(const struct td_config *config, const char *key)
{
    struct td_fail fail = {.code = 0};
    struct td_access *a = NULL;
    assert_int_equal(td_access_new(config, key, &fail, &a), 0);
    assert_int_equal(fail.code, 0);
    return a;
}

static void expect(const struct td_access *a, enum td_access_kind kind, const char *authorization,
                   int result, const char *rooms)
{
    const char *got = "untouched";
    assert_int_equal(td_access_check(a, kind, authorization, &got), result);
    if (result < 0)
        assert_string_equal(got, "untouched");
    else if (rooms == NULL)
        assert_null(got);
    else
        assert_string_equal(got, rooms);
}

static void test_nothing_configured(void **state)
{
    (void)state;
    struct td_config config = {.listen = NULL};
    struct td_access *a = make(&config, NULL);
    assert_false(td_access_guarded(a, TD_ACCESS_KEYS));
    assert_false(td_access_guarded(a, TD_ACCESS_WHIP));
    assert_false(td_access_has_origins(a));
    expect(a, TD_ACCESS_KEYS, NULL, 0, NULL);
    expect(a, TD_ACCESS_WHIP, "Bearer anything", 0, NULL);
    assert_null(td_access_free(a));
    assert_null(td_access_free(NULL));
}

static void test_keys(void **state)
{
    (void)state;
    struct td_config config = {.api_keys = {api_keys, 2}};
    struct td_access *a = make(&config, "extra");
    expect(a, TD_ACCESS_KEYS, NULL, -EACCES, NULL);
    expect(a, TD_ACCESS_KEYS, "Bearer gamma", -EACCES, NULL);
    expect(a, TD_ACCESS_KEYS, "Bearer alpha", 0, NULL);
    expect(a, TD_ACCESS_KEYS, "Bearer beta", 0, "team-*");
    expect(a, TD_ACCESS_KEYS, "Bearer extra", 0, NULL);
    /* Without tokens of its own, WHIP takes the same keys. */
    assert_true(td_access_guarded(a, TD_ACCESS_WHIP));
    expect(a, TD_ACCESS_WHIP, "Bearer beta", 0, "team-*");
    expect(a, TD_ACCESS_WHIP, NULL, -EACCES, NULL);
    td_access_free(a);
}

static void test_whip_tokens(void **state)
{
    (void)state;
    struct td_config config = {.api_keys = {api_keys, 2}, .whip.tokens = {whip_tokens, 1}};
    struct td_access *a = make(&config, NULL);
    expect(a, TD_ACCESS_WHIP, "Bearer cam", 0, "stage");
    expect(a, TD_ACCESS_WHIP, "Bearer alpha", -EACCES, NULL);
    expect(a, TD_ACCESS_KEYS, "Bearer cam", -EACCES, NULL);
    td_access_free(a);
    config.api_keys.count = 0; /* publishers have to show something, nobody else has */
    a = make(&config, NULL);
    assert_true(td_access_guarded(a, TD_ACCESS_WHIP));
    assert_false(td_access_guarded(a, TD_ACCESS_KEYS));
    expect(a, TD_ACCESS_WHIP, NULL, -EACCES, NULL);
    expect(a, TD_ACCESS_KEYS, NULL, 0, NULL);
    td_access_free(a);
}

/* What is configured is copied: a reload frees it. */
static void test_copies(void **state)
{
    (void)state;
    char key[] = "short-lived";
    char rooms[] = "room-?";
    char origin[] = "https://a.example";
    char *list[] = {origin};
    struct td_config_key item = {.key = key, .rooms = rooms};
    struct td_config config = {.api_keys = {&item, 1}, .cors_origins = {list, 1}};
    struct td_access *a = make(&config, NULL);
    memset(key, 'x', sizeof(key) - 1);
    memset(rooms, 'x', sizeof(rooms) - 1);
    memset(origin, 'x', sizeof(origin) - 1);
    expect(a, TD_ACCESS_KEYS, "Bearer short-lived", 0, "room-?");
    assert_true(td_access_origin(a, "https://a.example"));
    td_access_free(a);
}

static void test_refused(void **state)
{
    (void)state;
    static struct td_config_key twice[] = {{.key = "hush", .rooms = "a"}, {.key = "hush"}};
    static struct td_config_key empty[] = {{.key = ""}};
    static struct td_config_key none[] = {{.key = NULL}};
    const struct {
        struct td_config config;
        const char *key;
    } rows[] = {
        {{.api_keys = {twice, 2}}, NULL},  {{.whip.tokens = {twice, 2}}, NULL},
        {{.api_keys = {empty, 1}}, NULL},  {{.whip.tokens = {empty, 1}}, NULL},
        {{.api_keys = {none, 1}}, NULL},   {{.api_keys = {api_keys, 2}}, "alpha"},
        {{.api_keys = {api_keys, 2}}, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_fail fail = {.code = 0};
        struct td_access *a = NULL;
        assert_int_equal(td_access_new(&rows[i].config, rows[i].key, &fail, &a), -TD_E_USAGE);
        assert_null(a);
        assert_int_equal(fail.code, -TD_E_USAGE);
        assert_null(strstr(fail.text, "hush")); /* no secret in the sentence */
        assert_null(strstr(fail.text, "alpha"));
    }
}

/* As many as the configuration may hold, and one more. */
static void test_full_list(void **state)
{
    (void)state;
    static char names[TD_CONFIG_LIST_MAX][16];
    static struct td_config_key items[TD_CONFIG_LIST_MAX];
    for (size_t i = 0; i < TD_CONFIG_LIST_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "key-%zu", i);
        items[i] = (struct td_config_key){.key = names[i], .rooms = names[i]};
    }
    struct td_config config = {.api_keys = {items, TD_CONFIG_LIST_MAX}};
    struct td_access *a = make(&config, "extra");
    expect(a, TD_ACCESS_KEYS, "Bearer key-0", 0, "key-0");
    expect(a, TD_ACCESS_KEYS, "Bearer key-63", 0, "key-63");
    expect(a, TD_ACCESS_KEYS, "Bearer extra", 0, NULL);
    td_access_free(a);
}

static void test_origins(void **state)
{
    (void)state;
    struct td_config config = {.cors_origins = {origins, 2}};
    struct td_access *a = make(&config, NULL);
    assert_true(td_access_has_origins(a));
    assert_true(td_access_origin(a, "https://studio.example"));
    assert_true(td_access_origin(a, "http://localhost:3000"));
    static const char *const others[] = {"http://studio.example",   "https://studio.example:443",
                                         "https://studio.example.", "https://studio.example.evil",
                                         "https://evil.example",    "null",
                                         "https://studio.exampl",   "",
                                         "https://Studio.example",  "*"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_false(td_access_origin(a, others[i]));
    td_access_free(a);
}

static void test_local_hosts(void **state)
{
    (void)state;
    static const char *const local[] = {"localhost",    "LocalHost:8000", "127.0.0.1",
                                        "127.0.0.1:1",  "[::1]",          "[::1]:8000",
                                        "127.1.2.3:80", "localhost:"};
    static const char *const other[] = {"",
                                        ":8000",
                                        "evil.example",
                                        "localhost.evil.example",
                                        "127.0.0.1.evil.example:8000",
                                        "localhost@evil.example",
                                        "evil.example@localhost:80x",
                                        "10.0.0.1",
                                        "0.0.0.0:8000",
                                        "[::]",
                                        "[::1",
                                        "[::1]x",
                                        "[fe80::1]:8000",
                                        "localhost:8000x",
                                        "localhost:80:80",
                                        "localhost."};
    for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
        assert_true(td_access_is_local(local[i]));
    for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++)
        assert_false(td_access_is_local(other[i]));
    char longest[1024];
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_false(td_access_is_local(longest));
}

static void test_same_site(void **state)
{
    (void)state;
    assert_true(td_access_is_same("http://localhost:8000", "localhost:8000"));
    assert_true(td_access_is_same("https://deck.example", "Deck.example"));
    assert_false(td_access_is_same("http://localhost:3000", "localhost:8000"));
    assert_false(td_access_is_same("http://localhost", "localhost:8000"));
    assert_false(td_access_is_same("ftp://localhost", "localhost"));
    assert_false(td_access_is_same("null", "null"));
    assert_false(td_access_is_same("", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_configured),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_whip_tokens),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_full_list),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_local_hosts),
        cmocka_unit_test(test_same_site),
    };
    return cmocka_run_group_tests_name("api/access", tests, NULL, NULL);
}
