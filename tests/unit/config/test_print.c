/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

static char *print(const struct td_config *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(td_config_print(c, out), 0);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_defaults(void **state)
{
    (void)state;
    struct td_config c;
    assert_int_equal(td_config_init(&c), 0);
    char *text = print(&c);
    assert_string_equal(text, "listen: \"127.0.0.1:8000\"\n"
                              "data_dir: \"tapedeck-data\"\n"
                              "runtime_dir: null\n"
                              "log_level: \"info\"\n"
                              "ws_url: null\n"
                              "api_key: null\n"
                              "api_secret: null\n"
                              "api_keys: []\n"
                              "formats:\n"
                              "    - \"auto\"\n"
                              "    - \"ts\"\n"
                              "    - \"mkv\"\n"
                              "tiers:\n"
                              "    - \"source\"\n"
                              "flush_bytes: 256K\n"
                              "flush_interval_ms: 400\n"
                              "sync_interval: 5\n"
                              "key_frame_interval_s: 10\n"
                              "crash_pool_bytes: 16M\n"
                              "loopback: false\n"
                              "resume: true\n"
                              "on_shutdown: finish\n"
                              "limits:\n"
                              "    max_recordings: 512\n"
                              "    memory_limit_mb: 64\n"
                              "    process_memory_mb: 1024\n"
                              "    max_duration_s: 0\n"
                              "    max_size_bytes: 0\n"
                              "    gap_limit_s: 60\n"
                              "    on_gap: stop\n"
                              "    departure_timeout_s: 20\n"
                              "    empty_timeout_s: 300\n"
                              "    resume_window_s: 60\n"
                              "    max_connections: 1024\n"
                              "disk:\n"
                              "    min_free_bytes: 256M\n"
                              "    policy: stop_new\n"
                              "    on_full: end\n"
                              "    reserve_bytes: 4M\n"
                              "    retention:\n"
                              "        max_age_s: 0\n"
                              "        max_bytes: 0\n"
                              "    quotas: []\n"
                              "whip:\n"
                              "    record: true\n"
                              "    tokens: []\n"
                              "webhooks: []\n"
                              "auto_record: []\n"
                              "http:\n"
                              "    cors_origins: []\n");
    free(text);
    td_config_done(&c);
}

static const char changed[] =
    "listen: '[::1]:0'\n"
    "data_dir: \"a \\\"b\\\" \\\\ # : \\u00e4\\U0001F3A5\"\n"
    "runtime_dir: null words\n"
    "log_level: trace\n"
    "ws_url: ws://a\n"
    "api_key: 'true'\n"
    "api_secret: hunter2\n"
    "api_keys: [{key: hunter2, rooms: '*'}, {key: hunter2}]\n"
    "formats: ['null', '- a']\n"
    "flush_bytes: 65537\n"
    "flush_interval_ms: 10.5\n"
    "sync_interval: off\n"
    "resume: false\n"
    "on_shutdown: interrupt\n"
    "limits: {gap_limit_s: 0.000001, on_gap: wait, max_size_bytes: 3G}\n"
    "disk: {policy: drop_oldest, retention: {max_age_s: 30d}, quotas: [{room: a, max_bytes: 1}]}\n"
    "whip: {record: false, tokens: [{token: hunter2}]}\n"
    "webhooks: [{url: 'http://a', api_secret: hunter2}, {url: 'http://b', rooms: c}]\n"
    "auto_record: [{room: a, participant: b, format: c, tier: d}]\n"
    "http: {cors_origins: ['*', 'http://a']}\n";

/* What is printed reads as the same settings, and no secret is in it. */
static void test_round(void **state)
{
    (void)state;
    struct td_config c;
    read_text(&c, changed);
    char *text = print(&c);
    assert_null(strstr(text, "hunter2"));
    struct td_config again;
    read_text(&again, text);
    assert_string_equal(again.data_dir, c.data_dir);
    assert_string_equal(again.runtime_dir, "null words");
    assert_string_equal(again.api_key, "true");
    assert_string_equal(again.api_secret, "(secret)");
    assert_int_equal(again.api_keys.count, 2);
    assert_string_equal(again.api_keys.items[0].key, "(secret)");
    assert_string_equal(again.api_keys.items[0].rooms, "*");
    assert_null(again.api_keys.items[1].rooms);
    assert_string_equal(again.formats.items[0], "null");
    assert_string_equal(again.formats.items[1], "- a");
    assert_int_equal(again.flush_bytes, 65537);
    assert_int_equal(again.flush_interval_us, 10500);
    assert_int_equal(again.sync_interval_us, -1);
    assert_int_equal(again.limits.gap_limit_us, 1);
    assert_int_equal(again.disk.policy, TD_POLICY_DROP_OLDEST);
    assert_int_equal(again.disk.quotas.items[0].max_bytes, 1);
    assert_null(again.webhooks.items[1].api_secret);
    assert_string_equal(again.cors_origins.items[1], "http://a");
    char *text_again = print(&again);
    assert_string_equal(text, text_again);
    free(text);
    free(text_again);
    td_config_done(&again);
    td_config_done(&c);
}

static void test_stream_fails(void **state)
{
    (void)state;
    struct td_config c;
    assert_int_equal(td_config_init(&c), 0);
    char room[64];
    FILE *out = fmemopen(room, sizeof(room), "w"); /* takes the first lines */
    assert_non_null(out);
    assert_int_equal(td_config_print(&c, out), -EIO);
    (void)fclose(out); /* it failed already */
    td_config_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_stream_fails),
    };
    return cmocka_run_group_tests_name("config/print", tests, NULL, NULL);
}
