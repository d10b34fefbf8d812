/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/key.h"
#include "folder.h"

#define S INT64_C(1000000)
#define ENVIRONMENT_MAX 4

static void test_defaults(void **state)
{
    (void)state;
    struct td_config c;
    assert_int_equal(td_config_init(&c), 0);
    assert_string_equal(c.listen, "127.0.0.1:8000");
    assert_string_equal(c.data_dir, "tapedeck-data");
    assert_string_equal(c.log_level, "info");
    assert_null(c.runtime_dir);
    assert_true(c.ws_url == NULL && c.api_key == NULL && c.api_secret == NULL);
    assert_int_equal(c.formats.count, 3);
    assert_string_equal(c.formats.items[0], "auto");
    assert_string_equal(c.formats.items[1], "ts");
    assert_string_equal(c.formats.items[2], "mkv");
    assert_int_equal(c.tiers.count, 1);
    assert_string_equal(c.tiers.items[0], "source");
    assert_int_equal(c.flush_bytes, 256 << 10);
    assert_int_equal(c.flush_interval_us, 400000);
    assert_int_equal(c.sync_interval_us, 5 * S);
    assert_int_equal(c.key_frame_interval_us, 10 * S);
    assert_int_equal(c.crash_pool_bytes, 16 << 20);
    assert_true(!c.loopback_only && c.resume);
    assert_int_equal(c.on_shutdown, TD_ON_SHUTDOWN_FINISH);
    assert_int_equal(c.limits.max_recordings, 512);
    assert_int_equal(c.limits.memory_limit_bytes, 64 << 20);
    assert_int_equal(c.limits.process_memory_bytes, 1024 << 20);
    assert_int_equal(c.limits.max_duration_us, 0);
    assert_int_equal(c.limits.max_size_bytes, 0);
    assert_int_equal(c.limits.gap_limit_us, 60 * S);
    assert_int_equal(c.limits.on_gap, TD_ON_GAP_STOP);
    assert_int_equal(c.limits.departure_timeout_us, 20 * S);
    assert_int_equal(c.limits.empty_timeout_us, 300 * S);
    assert_int_equal(c.limits.resume_window_us, 60 * S);
    assert_int_equal(c.limits.max_connections, 1024);
    assert_int_equal(c.disk.min_free_bytes, 256 << 20);
    assert_int_equal(c.disk.policy, TD_POLICY_STOP_NEW);
    assert_int_equal(c.disk.on_full, TD_ON_FULL_END);
    assert_int_equal(c.disk.reserve_bytes, 4 << 20);
    assert_int_equal(c.disk.max_age_us, 0);
    assert_int_equal(c.disk.max_total_bytes, 0);
    assert_true(c.whip.record);
    assert_int_equal(c.api_keys.count + c.disk.quotas.count + c.whip.tokens.count +
                         c.webhooks.count + c.auto_record.count + c.cors_origins.count,
                     0);
    td_config_done(&c);
    td_config_done(&c); /* nothing is left to free twice */
    assert_null(c.listen);
    td_config_done(NULL);
}

static void test_table(void **state)
{
    (void)state;
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    for (size_t i = 0; i < count; i++) {
        assert_true(strlen(rows[i].key) < TD_CONFIG_KEY_MAX);
        assert_non_null(rows[i].help);
        /* td_config_reload moves lists, it cannot compare them. */
        assert_true(rows[i].reload || rows[i].type != TD_CONFIG_LIST);
        for (size_t k = 0; k < i; k++) {
            char a[TD_CONFIG_VARIABLE_MAX];
            char b[TD_CONFIG_VARIABLE_MAX];
            td_config_variable(&rows[i], a);
            td_config_variable(&rows[k], b);
            assert_string_not_equal(a, b);
            assert_int_not_equal(rows[i].offset, rows[k].offset);
        }
    }
}

static void test_file(void **state)
{
    (void)state;
    struct test_folder folder;
    test_folder_make(&folder);
    char path[TEST_PATH_MAX];
    test_folder_path(&folder, "a.yaml", path);
    struct td_config c;
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_config_init(&c), 0);
    assert_int_equal(td_config_load(&c, path, &fail), -ENOENT);
    assert_non_null(strstr(fail.text, "a.yaml: No such file or directory."));
    test_file_write(path, "", 0);
    td_fail_clear(&fail);
    assert_int_equal(td_config_load(&c, path, &fail), 0);
    test_file_write(path, "resume: false\n", 14);
    assert_int_equal(td_config_load(&c, path, &fail), 0);
    assert_false(c.resume);
    char *large = malloc(TD_CONFIG_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, '#', TD_CONFIG_BYTES_MAX + 1);
    test_file_write(path, large, TD_CONFIG_BYTES_MAX);
    assert_int_equal(td_config_load(&c, path, &fail), 0);
    test_file_write(path, large, TD_CONFIG_BYTES_MAX + 1);
    assert_int_equal(td_config_load(&c, path, &fail), -TD_E_USAGE);
    assert_non_null(strstr(fail.text, "is larger than 1048576 bytes."));
    td_fail_clear(&fail);
    assert_int_equal(td_config_load(&c, folder.path, &fail), -EISDIR);
    free(large);
    td_config_done(&c);
    test_folder_remove(&folder);
}

/* ---- environment ---- */

static const char *const known[] = {"TAPEDECK_SERVER", "TAPEDECK_CODEC"};

static int from_environment(struct td_config *c, const char *const entries[static ENVIRONMENT_MAX],
                            struct td_fail *fail)
{
    static char texts[ENVIRONMENT_MAX][128];
    char *environment[ENVIRONMENT_MAX + 1] = {NULL};
    for (size_t i = 0; i < ENVIRONMENT_MAX && entries[i] != NULL; i++) {
        assert_true(strlen(entries[i]) < sizeof(texts[i]));
        memcpy(texts[i], entries[i], strlen(entries[i]) + 1);
        environment[i] = texts[i];
    }
    *fail = (struct td_fail){.code = 0};
    assert_int_equal(td_config_init(c), 0);
    return td_config_environment(c, environment, known, sizeof(known) / sizeof(*known), fail);
}

static void test_environment(void **state)
{
    (void)state;
    struct td_config c;
    struct td_fail fail;
    static const char *const values[ENVIRONMENT_MAX] = {
        "TAPEDECK_LIMITS_GAP_LIMIT_S=10m", "TAPEDECK_DISK_RETENTION_MAX_AGE_S=30d",
        "TAPEDECK_LISTEN=[::1]:80", "TAPEDECK_WHIP_RECORD=false"};
    assert_int_equal(from_environment(&c, values, &fail), 0);
    assert_int_equal(c.limits.gap_limit_us, 600 * S);
    assert_int_equal(c.disk.max_age_us, 2592000 * S);
    assert_string_equal(c.listen, "[::1]:80");
    assert_false(c.whip.record);
    td_config_done(&c);

    static const char *const others[ENVIRONMENT_MAX] = {"TAPEDECK_TOKEN=t", "TAPEDECK_SERVER=s",
                                                        "TAPEDECKS=2", "TAPEDECK_DATA_DIR="};
    assert_int_equal(from_environment(&c, others, &fail), 0);
    assert_string_equal(c.data_dir, "tapedeck-data"); /* empty is as if it were not there */
    td_config_done(&c);
}

static void test_environment_of_livekit(void **state)
{
    (void)state;
    struct td_config c;
    struct td_fail fail;
    static const char *const values[ENVIRONMENT_MAX] = {
        "TAPEDECK_API_KEY=ours", "LIVEKIT_URL=ws://127.0.0.1:7880", "LIVEKIT_API_KEY=theirs",
        "LIVEKIT_API_SECRET=secret"};
    assert_int_equal(from_environment(&c, values, &fail), 0);
    assert_string_equal(c.ws_url, "ws://127.0.0.1:7880");
    assert_string_equal(c.api_key, "ours");
    assert_string_equal(c.api_secret, "secret");
    td_config_done(&c);
    static const char *const wrong[ENVIRONMENT_MAX] = {"LIVEKIT_URL=example.com"};
    assert_int_equal(from_environment(&c, wrong, &fail), -TD_E_USAGE);
    assert_string_equal(fail.text, "LIVEKIT_URL: is not a ws:// or wss:// address.");
    td_config_done(&c);
}

static void test_environment_refused(void **state)
{
    (void)state;
    static const struct {
        const char *entry;
        const char *sentence;
    } rows[] = {
        {"TAPEDECK_LIMITS_GAP_LIMIT_S=abc",
         "TAPEDECK_LIMITS_GAP_LIMIT_S: 'abc' is not a number of seconds."},
        {"TAPEDECK_LIMITS_GAP_LIMT_S=1",
         "TAPEDECK_LIMITS_GAP_LIMT_S: there is no such setting; is it "
         "TAPEDECK_LIMITS_GAP_LIMIT_S?"},
        {"TAPEDECK_FRESH_COFFEE=1", "TAPEDECK_FRESH_COFFEE: there is no such setting."},
        {"TAPEDECK_=1", "TAPEDECK_: there is no such setting."},
        {"TAPEDECK_TOKENS=1", "TAPEDECK_TOKENS: there is no such setting."},
        {"TAPEDECK_API_KEYS=a", "TAPEDECK_API_KEYS: is a list, which only the file can hold."},
        {"TAPEDECK_LOG_LEVEL=\x1b[2J",
         "TAPEDECK_LOG_LEVEL: holds characters that do not belong in a setting."},
        {"TAPEDECK_DATA_DIR=\xff",
         "TAPEDECK_DATA_DIR: holds characters that do not belong in a setting."},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct td_config c;
        struct td_fail fail;
        const char *const entries[ENVIRONMENT_MAX] = {rows[i].entry};
        assert_int_equal(from_environment(&c, entries, &fail), -TD_E_USAGE);
        assert_string_equal(fail.text, rows[i].sentence);
        td_config_done(&c);
    }
}

/* Every scalar has its variable, whatever the depth of its key. */
static void test_environment_reaches_all(void **state)
{
    (void)state;
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    for (size_t i = 0; i < count; i++) {
        char entry[TD_CONFIG_VARIABLE_MAX + 16];
        td_config_variable(&rows[i], entry);
        memcpy(entry + strlen(entry), "=\x01", 3);
        const char *const entries[ENVIRONMENT_MAX] = {entry};
        struct td_config c;
        struct td_fail fail;
        assert_int_equal(from_environment(&c, entries, &fail), -TD_E_USAGE);
        entry[strlen(entry) - 2] = '\0';
        assert_memory_equal(fail.text, entry, strlen(entry));
        assert_null(strstr(fail.text, "no such setting"));
        td_config_done(&c);
    }
}

/* ---- SIGHUP ---- */

static void load(struct td_config *c, const char *text)
{
    struct test_folder folder;
    test_folder_make(&folder);
    char path[TEST_PATH_MAX];
    test_folder_path(&folder, "a.yaml", path);
    test_file_write(path, text, strlen(text));
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_config_init(c), 0);
    assert_int_equal(td_config_load(c, path, &fail), 0);
    test_folder_remove(&folder);
}

static void on_kept(void *ctx, const char *key)
{
    char *keys = ctx;
    size_t len = strlen(keys);
    assert_true(len + strlen(key) + 2 < 512);
    memcpy(keys + len, key, strlen(key));
    memcpy(keys + len + strlen(key), " ", 2);
}

static void test_reload(void **state)
{
    (void)state;
    struct td_config c;
    struct td_config fresh;
    load(&c, "listen: a:1\n"
             "api_keys: [{key: one}, {key: two}]\n"
             "limits: {gap_limit_s: 1}\n");
    load(&fresh, "listen: b:1\n"
                 "runtime_dir: /run\n"
                 "api_secret: new\n"
                 "api_keys: [{key: three}]\n"
                 "formats: [mkv]\n"
                 "flush_bytes: 64K\n"
                 "loopback: true\n"
                 "on_shutdown: interrupt\n"
                 "limits: {gap_limit_s: 2, max_connections: 16}\n"
                 "disk: {policy: stop_all, reserve_bytes: 0}\n"
                 "whip: {tokens: [{token: t}]}\n");
    char keys[512] = "";
    td_config_reload(&c, &fresh, on_kept, keys);
    assert_string_equal(keys, "listen runtime_dir flush_bytes loopback limits.max_connections "
                              "disk.reserve_bytes ");
    assert_string_equal(c.listen, "a:1");
    assert_null(c.runtime_dir);
    assert_int_equal(c.limits.max_connections, 1024);
    assert_string_equal(c.api_secret, "new");
    assert_int_equal(c.api_keys.count, 1);
    assert_string_equal(c.api_keys.items[0].key, "three");
    assert_int_equal(c.formats.count, 1);
    assert_int_equal(c.limits.gap_limit_us, 2 * S);
    assert_int_equal(c.disk.policy, TD_POLICY_STOP_ALL);
    assert_int_equal(c.on_shutdown, TD_ON_SHUTDOWN_INTERRUPT);
    assert_string_equal(c.whip.tokens.items[0].key, "t");
    assert_null(fresh.listen);
    assert_null(fresh.api_keys.items);
    td_config_done(&fresh);
    td_config_done(&c);
}

static void test_reload_of_the_same(void **state)
{
    (void)state;
    struct td_config c;
    struct td_config fresh;
    static const char text[] = "runtime_dir: /run\nsync_interval: off\n";
    load(&c, text);
    load(&fresh, text);
    char keys[512] = "";
    td_config_reload(&c, &fresh, on_kept, keys);
    assert_string_equal(keys, "");
    assert_string_equal(c.runtime_dir, "/run");
    td_config_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_environment_of_livekit),
        cmocka_unit_test(test_environment_refused),
        cmocka_unit_test(test_environment_reaches_all),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_reload_of_the_same),
    };
    return cmocka_run_group_tests_name("config/config", tests, NULL, NULL);
}
