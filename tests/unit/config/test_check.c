/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/yaml.h"

static void read_text(struct td_config *c, const char *text)
{
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_config_init(c), 0);
    if (td_config_yaml_read(c, "x", text, strlen(text), &fail) < 0)
        fail_msg("%s", fail.text);
}

static void test_passes(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "api_key: a\napi_secret: b\n",
        "ws_url: ws://a\n", /* the caller may bring a token */
        "api_keys: [{key: a}, {key: b}]\nwhip: {tokens: [{token: a}]}\n",
        "api_key: a\napi_secret: b\nwebhooks: [{url: 'http://a'}]\n",
        "webhooks: [{url: 'http://a', api_key: a, api_secret: b}]\n",
        ("ws_url: ws://a\napi_key: a\napi_secret: b\n"
         "auto_record: [{room: a}, {room: b, format: mkv, tier: source}]\n"),
        "limits: {memory_limit_mb: 64, process_memory_mb: 64}\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct td_config c;
        struct td_fail fail = {.code = 0};
        read_text(&c, texts[i]);
        if (td_config_check(&c, &fail) != 0)
            fail_msg("%s", fail.text);
        td_config_done(&c);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *sentence;
    } rows[] = {
        {"api_key: a\n", "api_secret is missing, but api_key is given."},
        {"api_secret: a\n", "api_key is missing, but api_secret is given."},
        {"api_keys: [{key: a}, {key: b}, {key: a, rooms: c}]\n",
         "api_keys[2] is the same as api_keys[0]."},
        {"whip: {tokens: [{token: a}, {token: a}]}\n",
         "whip.tokens[1] is the same as whip.tokens[0]."},
        {"webhooks: [{url: 'http://a'}]\n",
         "webhooks[0] needs an api_key and api_secret that sign, its own or those of the top."},
        {"webhooks: [{url: 'http://a', api_key: a}]\n", "webhooks[0].api_secret is missing."},
        {"webhooks: [{url: 'http://a', api_secret: a}]\n", "webhooks[0].api_key is missing."},
        {"auto_record: [{room: a}]\n", "auto_record needs ws_url, api_key and api_secret."},
        {"ws_url: ws://a\nauto_record: [{room: a}]\n",
         "auto_record needs ws_url, api_key and api_secret."},
        {"ws_url: ws://a\napi_key: a\napi_secret: b\nauto_record: [{room: a, format: mp4}]\n",
         "auto_record[0].format 'mp4' is not one of formats."},
        {"ws_url: ws://a\napi_key: a\napi_secret: b\nauto_record: [{room: a, tier: low}]\n",
         "auto_record[0].tier 'low' is not one of tiers."},
        {"limits: {memory_limit_mb: 65, process_memory_mb: 64}\n",
         "limits.memory_limit_mb is more than limits.process_memory_mb."},
        {"api_keys: [{key: (secret)}]\n",
         "api_keys[0].key is what stands for a secret in print, not a secret."},
        {"api_key: a\napi_secret: (secret)\n",
         "api_secret is what stands for a secret in print, not a secret."},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_config c;
        struct td_fail fail = {.code = 0};
        read_text(&c, rows[i].text);
        assert_int_equal(td_config_check(&c, &fail), -TD_E_USAGE);
        assert_string_equal(fail.text, rows[i].sentence);
        td_config_done(&c);
    }
}

/* A configuration that no reader made. */
static void test_incomplete(void **state)
{
    (void)state;
    struct td_config c;
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_config_init(&c), 0);
    struct td_config_quota quota = {.max_bytes = 1};
    c.disk.quotas.items = &quota;
    c.disk.quotas.count = 1;
    assert_int_equal(td_config_check(&c, &fail), -TD_E_USAGE);
    assert_string_equal(fail.text, "disk.quotas[0].room is missing.");
    char room[] = "a";
    quota = (struct td_config_quota){.room = room};
    td_fail_clear(&fail);
    assert_int_equal(td_config_check(&c, &fail), -TD_E_USAGE);
    assert_string_equal(fail.text, "disk.quotas[0].max_bytes is missing.");
    c.disk.quotas.items = NULL;
    c.disk.quotas.count = 0;
    size_t formats = c.formats.count;
    c.formats.count = 0;
    td_fail_clear(&fail);
    assert_int_equal(td_config_check(&c, &fail), -TD_E_USAGE);
    assert_string_equal(fail.text, "formats has no entry.");
    c.formats.count = formats;
    td_config_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_incomplete),
    };
    return cmocka_run_group_tests_name("config/check", tests, NULL, NULL);
}
