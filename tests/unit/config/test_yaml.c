/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000)

static int read_text(struct td_config *c, const char *text, struct td_fail *fail)
{
    *fail = (struct td_fail){.code = 0};
    assert_int_equal(td_config_init(c), 0);
    return td_config_yaml_read(c, "x.yaml", text, strlen(text), fail);
}

static void take(struct td_config *c, const char *text)
{
    struct td_fail fail;
    if (read_text(c, text, &fail) != 0)
        fail_msg("%s", fail.text);
    assert_int_equal(fail.code, 0);
}

static const char everything[] = "listen: 0.0.0.0:80\n"
                                 "data_dir: /srv/tapedeck\n"
                                 "runtime_dir: '/run/tapedeck'\n"
                                 "log_level: debug\n"
                                 "ws_url: \"wss://livekit.example.com\"\n"
                                 "api_key: 12345\n"
                                 "api_secret: s3cret\n"
                                 "api_keys:\n"
                                 "- key: one\n"
                                 "- {key: two, rooms: 'a*'}\n"
                                 "formats: [mkv, ts]\n"
                                 "tiers:\n"
                                 "    - source\n"
                                 "    - \"low \\u00e4\"\n"
                                 "flush_bytes: 16M\n"
                                 "flush_interval_ms: 10\n"
                                 "sync_interval: off\n"
                                 "key_frame_interval_s: 0\n"
                                 "crash_pool_bytes: 1M\n"
                                 "loopback: true\n"
                                 "resume: false\n"
                                 "on_shutdown: interrupt\n"
                                 "limits:\n"
                                 "    max_recordings: 7\n"
                                 "    memory_limit_mb: 8\n"
                                 "    process_memory_mb: 65536\n"
                                 "    max_duration_s: 2h\n"
                                 "    max_size_bytes: 4G\n"
                                 "    gap_limit_s: 1.5\n"
                                 "    on_gap: wait\n"
                                 "    departure_timeout_s: \"90s\"\n"
                                 "    empty_timeout_s: 10m\n"
                                 "    resume_window_s: 86400\n"
                                 "    max_connections: 16\n"
                                 "disk:\n"
                                 "    min_free_bytes: 0\n"
                                 "    policy: stop_all\n"
                                 "    on_full: pause\n"
                                 "    reserve_bytes: 1048576\n"
                                 "    retention: {max_age_s: 30d, max_bytes: 2T}\n"
                                 "    quotas:\n"
                                 "    -   room: demo-*\n"
                                 "        max_bytes: 10G\n"
                                 "whip:\n"
                                 "    record: false\n"
                                 "    tokens: [{token: w, rooms: stage}]\n"
                                 "webhooks:\n"
                                 "-   url: https://example.com/hook\n"
                                 "    api_key: k\n"
                                 "    api_secret: z\n"
                                 "    rooms: a?\n"
                                 "auto_record:\n"
                                 "-   room: b\n"
                                 "    participant: p\n"
                                 "    format: ts\n"
                                 "    tier: source\n"
                                 "http:\n"
                                 "    cors_origins: ['https://example.com']\n";

static void check_scalars(const struct td_config *c)
{
    assert_string_equal(c->listen, "0.0.0.0:80");
    assert_string_equal(c->data_dir, "/srv/tapedeck");
    assert_string_equal(c->runtime_dir, "/run/tapedeck");
    assert_string_equal(c->log_level, "debug");
    assert_string_equal(c->ws_url, "wss://livekit.example.com");
    assert_string_equal(c->api_key, "12345");
    assert_string_equal(c->api_secret, "s3cret");
    assert_int_equal(c->flush_bytes, 16 << 20);
    assert_int_equal(c->flush_interval_us, 10000);
    assert_int_equal(c->sync_interval_us, -1);
    assert_int_equal(c->key_frame_interval_us, 0);
    assert_int_equal(c->crash_pool_bytes, 1 << 20);
    assert_true(c->loopback_only && !c->resume);
    assert_int_equal(c->on_shutdown, TD_ON_SHUTDOWN_INTERRUPT);
    assert_int_equal(c->limits.max_recordings, 7);
    assert_int_equal(c->limits.memory_limit_bytes, 8 << 20);
    assert_int_equal(c->limits.process_memory_bytes, INT64_C(65536) << 20);
    assert_int_equal(c->limits.max_duration_us, 7200 * S);
    assert_int_equal(c->limits.max_size_bytes, INT64_C(4) << 30);
    assert_int_equal(c->limits.gap_limit_us, 3 * S / 2);
    assert_int_equal(c->limits.on_gap, TD_ON_GAP_WAIT);
    assert_int_equal(c->limits.departure_timeout_us, 90 * S);
    assert_int_equal(c->limits.empty_timeout_us, 600 * S);
    assert_int_equal(c->limits.resume_window_us, 86400 * S);
    assert_int_equal(c->limits.max_connections, 16);
    assert_int_equal(c->disk.min_free_bytes, 0);
    assert_int_equal(c->disk.policy, TD_POLICY_STOP_ALL);
    assert_int_equal(c->disk.on_full, TD_ON_FULL_PAUSE);
    assert_int_equal(c->disk.reserve_bytes, 1 << 20);
    assert_int_equal(c->disk.max_age_us, 2592000 * S);
    assert_int_equal(c->disk.max_total_bytes, INT64_C(2) << 40);
    assert_false(c->whip.record);
}

static void test_everything(void **state)
{
    (void)state;
    struct td_config c;
    take(&c, everything);
    check_scalars(&c);
    assert_int_equal(c.api_keys.count, 2);
    assert_string_equal(c.api_keys.items[0].key, "one");
    assert_null(c.api_keys.items[0].rooms);
    assert_string_equal(c.api_keys.items[1].key, "two");
    assert_string_equal(c.api_keys.items[1].rooms, "a*");
    assert_int_equal(c.formats.count, 2);
    assert_string_equal(c.formats.items[0], "mkv");
    assert_string_equal(c.formats.items[1], "ts");
    assert_int_equal(c.tiers.count, 2);
    assert_string_equal(c.tiers.items[1], "low \xc3\xa4");
    assert_int_equal(c.disk.quotas.count, 1);
    assert_string_equal(c.disk.quotas.items[0].room, "demo-*");
    assert_int_equal(c.disk.quotas.items[0].max_bytes, INT64_C(10) << 30);
    assert_int_equal(c.whip.tokens.count, 1);
    assert_string_equal(c.whip.tokens.items[0].key, "w");
    assert_string_equal(c.whip.tokens.items[0].rooms, "stage");
    assert_int_equal(c.webhooks.count, 1);
    assert_string_equal(c.webhooks.items[0].url, "https://example.com/hook");
    assert_string_equal(c.webhooks.items[0].api_key, "k");
    assert_string_equal(c.webhooks.items[0].api_secret, "z");
    assert_string_equal(c.webhooks.items[0].rooms, "a?");
    assert_int_equal(c.auto_record.count, 1);
    assert_string_equal(c.auto_record.items[0].room, "b");
    assert_string_equal(c.auto_record.items[0].participant, "p");
    assert_string_equal(c.auto_record.items[0].format, "ts");
    assert_string_equal(c.auto_record.items[0].tier, "source");
    assert_int_equal(c.cors_origins.count, 1);
    assert_string_equal(c.cors_origins.items[0], "https://example.com");
    td_config_done(&c);
}

/* What says nothing changes nothing. */
static void test_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n# a word\n",
        "\xef\xbb\xbf",
        "---\n...\n",
        "{}",
        "null",
        "limits:\ndisk: ~\nhttp: null\n",
        "disk:\n    retention:\n",
        "api_keys:\nformats:\n",
        "ws_url: null\nruntime_dir: ~\napi_secret:\n",
        "%YAML 1.1\n---\n{}\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct td_config c;
        take(&c, texts[i]);
        assert_string_equal(c.listen, "127.0.0.1:8000");
        assert_null(c.ws_url);
        assert_int_equal(c.formats.count, 3);
        assert_int_equal(c.limits.gap_limit_us, 60 * S);
        td_config_done(&c);
    }
}

/* A second file is laid over the first: lists and texts are replaced, the rest stays. */
static void test_layers(void **state)
{
    (void)state;
    struct td_config c;
    take(&c, everything);
    static const char over[] = "sync_interval: -1 # off in numbers\n"
                               "api_keys: []\n"
                               "formats: [auto]\n"
                               "ws_url: null\n"
                               "limits: {gap_limit_s: 5}\n";
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_config_yaml_read(&c, "y", over, strlen(over), &fail), 0);
    assert_int_equal(c.api_keys.count, 0);
    assert_null(c.api_keys.items);
    assert_int_equal(c.formats.count, 1);
    assert_string_equal(c.formats.items[0], "auto");
    assert_null(c.ws_url);
    assert_int_equal(c.sync_interval_us, -1);
    assert_int_equal(c.limits.gap_limit_us, 5 * S);
    assert_int_equal(c.limits.max_recordings, 7);
    assert_string_equal(c.api_secret, "s3cret");
    td_config_done(&c);
}

struct refusal {
    const char *text;
    const char *sentence; /* behind "x.yaml:" */
};

static void refuse(const struct refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct td_config c;
        struct td_fail fail;
        assert_int_equal(read_text(&c, rows[i].text, &fail), -TD_E_USAGE);
        assert_int_equal(fail.code, -TD_E_USAGE);
        char wanted[TD_FAIL_TEXT_MAX];
        (void)snprintf(wanted, sizeof(wanted), "x.yaml:%s", rows[i].sentence);
        assert_string_equal(fail.text, wanted);
        td_config_done(&c);
    }
}

static void test_values_refused(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"limits:\n    gap_limit_s: abc\n",
         "2: limits.gap_limit_s: 'abc' is not a number of seconds."},
        {"limits: {gap_limit_s: -1}", "1: limits.gap_limit_s: '-1' is not a number of seconds."},
        {"limits: {gap_limit_s: off}", "1: limits.gap_limit_s: 'off' is not a number of seconds."},
        {"limits: {resume_window_s: 2d}",
         "1: limits.resume_window_s: '2d' is out of range: 0 to 86400."},
        {"sync_interval: of", "1: sync_interval: 'of' is not a number of seconds, nor off."},
        {"flush_interval_ms: 9", "1: flush_interval_ms: '9' is out of range: 10 to 10000."},
        {"flush_interval_ms: 1m", "1: flush_interval_ms: '1m' is not a number of milliseconds."},
        {"flush_bytes: 32K", "1: flush_bytes: '32K' is out of range: 64K to 16M."},
        {"flush_bytes: 1MB",
         "1: flush_bytes: '1MB' is not a number of bytes, like 262144, 256K, 16M or 4G."},
        {"limits: {memory_limit_mb: 64M}",
         "1: limits.memory_limit_mb: '64M' is not a whole number of MiB."},
        {"limits: {max_recordings: 0}", "1: limits.max_recordings: '0' is out of range: 1 to 512."},
        {"limits: {max_recordings: many}",
         "1: limits.max_recordings: 'many' is not a whole number."},
        {"resume: yes", "1: resume: 'yes' is neither true nor false."},
        {"resume: True", "1: resume: 'True' is neither true nor false."},
        {"on_shutdown: leave", "1: on_shutdown: 'leave' is not one of finish | interrupt."},
        {"on_shutdown: ''", "1: on_shutdown: '' is not one of finish | interrupt."},
        {"log_level: loud",
         "1: log_level: 'loud' is not one of error | warn | info | debug | trace."},
        {"listen: 8000", "1: listen: is not HOST:PORT."},
        {"listen: ''", "1: listen: is empty."},
        {"listen: null", "1: listen: needs a value."},
        {"listen:", "1: listen: needs a value."},
        {"resume: ~", "1: resume: needs a value."},
        {"data_dir: \"a\\0b\"", "1: data_dir: holds characters that do not belong in a setting."},
        {"data_dir: \"a\\nb\"", "1: data_dir: holds characters that do not belong in a setting."},
        {"data_dir: |\n    a\n", "1: data_dir: holds characters that do not belong in a setting."},
        {"resume: \"\\e[2J\"", "1: resume: '(unprintable)' is neither true nor false."},
        {"listen: [a]", "1: listen: takes one value, not a list."},
        {"listen: {a: b}", "1: listen: takes one value, not a mapping."},
        {"webhooks:\n- url: me:secret@example.com\n",
         "2: webhooks[0].url: is not an http:// or https:// address."},
        {"http: {cors_origins: [a.example]}",
         "1: http.cors_origins[0]: is not an origin like https://example.com, or *."},
        {"formats: []", "1: formats: needs at least 1 entry."},
        {"formats: [ts, ~]", "1: formats[1]: needs a value."},
        {"formats: [[ts]]", "1: formats[0]: takes one value, not a list."},
        {"disk:\n  quotas:\n  - {room: a, max_bytes: 0}",
         "3: disk.quotas[0].max_bytes: '0' is out of range: 1 to 1024T."},
    };
    refuse(rows, sizeof(rows) / sizeof(*rows));
}

static void test_keys_refused(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"limits:\n    gap_limt_s: 5\n",
         "2: limits: there is no key 'gap_limt_s'; is it 'limits.gap_limit_s'?"},
        {"gap_limit_s: 5", "1: there is no key 'gap_limit_s'; is it 'limits.gap_limit_s'?"},
        {"limits.gap_limit_s: 5",
         "1: there is no key 'limits.gap_limit_s'; is it 'limits.gap_limit_s'?"},
        {"limit: {a: 5}", "1: there is no key 'limit'; is it 'limits'?"},
        {"disk: {max_age_s: 5}",
         "1: disk: there is no key 'max_age_s'; is it 'disk.retention.max_age_s'?"},
        {"quite_other: 5", "1: there is no key 'quite_other'."},
        {"'': 5", "1: there is no key ''."},
        {"\"listen\\0\": 5", "1: there is no key '(unprintable)'; is it 'listen'?"},
        {"\"\\e\": 5", "1: there is no key '(unprintable)'."},
        {"listen: a:1\nlisten: b:1\n", "2: listen: is there twice."},
        {"limits: {}\nlimits: {}\n", "2: limits: is there twice."},
        {"disk:\n  retention: {}\n  policy: stop_all\n  retention: {}\n",
         "4: disk.retention: is there twice."},
        {"api_keys:\n- key: a\n  key: b\n", "3: api_keys[0].key: is there twice."},
        {"limits: 5", "1: limits: takes a mapping of keys."},
        {"disk: {retention: [5]}", "1: disk.retention: takes a mapping of keys."},
        {"[listen]", "1: is not a mapping of keys."},
        {"listen", "1: is not a mapping of keys."},
        {"? [a]\n: b\n", "1: a key is one word."},
        {"whip: {? {a: b} : c}", "1: whip: a key is one word."},
        {"api_keys: one", "1: api_keys: takes a list."},
        {"api_keys: {key: one}", "1: api_keys: takes a list."},
        {"api_keys: [one]", "1: api_keys[0]: takes a mapping of keys."},
        {"api_keys: [[one]]", "1: api_keys[0]: takes a mapping of keys."},
        {"api_keys:\n- key: one\n- rooms: a\n", "3: api_keys[1].key: is missing."},
        {"webhooks: [{}]", "1: webhooks[0].url: is missing."},
        {"disk: {quotas: [{room: a}]}", "1: disk.quotas[0].max_bytes: is missing."},
        {"auto_record: [{format: ts}]", "1: auto_record[0].room: is missing."},
        {"auto_record: [{room: [a]}]", "1: auto_record[0].room: takes one value, not a list."},
        {"whip: {tokens: [{tokn: a}]}",
         "1: whip.tokens[0]: there is no key 'tokn'; is it 'token'?"},
    };
    refuse(rows, sizeof(rows) / sizeof(*rows));
}

static void test_yaml_refused(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"formats: [", "2: not YAML: did not find expected node content."},
        {"data_dir: b: c", "1: not YAML: mapping values are not allowed in this context."},
        {"resume: true\n\tlisten: x\n",
         "2: not YAML: found a tab character that violates indentation."},
        {"resume: true\ndata_dir: \x01\n", "2: not YAML: control characters are not allowed."},
        {"resume: true\n\n\xff\n", "3: not YAML: invalid leading UTF-8 octet."},
        {"{}\n---\n{}\n", "2: a second document begins."},
        {"listen: &a b:1\n", "1: listen: anchors are not taken."},
        {"&a listen: b:1\n", "1: anchors are not taken."},
        {"limits: &a {}\n", "1: limits: anchors are not taken."},
        {"formats: &a [ts]\n", "1: formats: anchors are not taken."},
        {"listen: *a\n", "1: listen: aliases are not taken."},
        {"listen: !!str b:1\n", "1: listen: tags are not taken."},
        {"!mine {}\n", "1: tags are not taken."},
        {"formats: !!seq [ts]\n", "1: formats: tags are not taken."},
    };
    refuse(rows, sizeof(rows) / sizeof(*rows));
}

static char *repeat(const char *head, const char *piece, size_t times)
{
    size_t len = strlen(piece);
    char *text = malloc(strlen(head) + len * times + 1);
    assert_non_null(text);
    char *at = stpncpy(text, head, strlen(head));
    for (size_t i = 0; i < times; i++)
        memcpy(at + i * len, piece, len);
    at[len * times] = '\0';
    return text;
}

static void test_bounds(void **state)
{
    (void)state;
    struct td_config c;
    struct td_fail fail;
    char *text = repeat("api_keys:\n", "- key: a\n", TD_CONFIG_LIST_MAX);
    take(&c, text);
    assert_int_equal(c.api_keys.count, TD_CONFIG_LIST_MAX);
    td_config_done(&c);
    free(text);

    text = repeat("tiers:\n", "- a\n", TD_CONFIG_LIST_MAX + 1);
    assert_int_equal(read_text(&c, text, &fail), -TD_E_USAGE);
    assert_string_equal(fail.text, "x.yaml:66: tiers[63]: is one entry too many, 64 are the most.");
    td_config_done(&c);
    free(text);

    text = repeat("data_dir: ", "a", 1023);
    take(&c, text);
    assert_int_equal(strlen(c.data_dir), 1023);
    td_config_done(&c);
    free(text);

    text = repeat("data_dir: ", "a", 1024);
    assert_int_equal(read_text(&c, text, &fail), -TD_E_USAGE);
    assert_string_equal(fail.text, "x.yaml:1: data_dir: is longer than 1023 bytes.");
    td_config_done(&c);
    free(text);

    static const char *const deep[] = {"[", "{a: ", "- ", "? "};
    for (size_t i = 0; i < sizeof(deep) / sizeof(*deep); i++) {
        text = repeat("", deep[i], 100000);
        assert_int_equal(read_text(&c, text, &fail), -TD_E_USAGE);
        td_config_done(&c);
        free(text);
    }
}

/* A long name keeps its end, and the sentence its point. */
static void test_long_name(void **state)
{
    (void)state;
    char *name = repeat("", "\xc3\xa4", 500);
    struct td_config c;
    assert_int_equal(td_config_init(&c), 0);
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_config_yaml_read(&c, name, "resume: 1", 9, &fail), -TD_E_USAGE);
    assert_non_null(strstr(fail.text, "\xc3\xa4:1: resume: '1' is neither true nor false."));
    td_config_done(&c);
    free(name);
}

/* What may be a secret in a wrong place is not repeated. */
static void test_no_secret_told(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "api_secret: \"hunter2\\n\"",
        "api_secret: [hunter2]",
        "api_keys: hunter2",
        "api_keys: {hunter2: '*'}",
        "api_keys: [hunter2]",
        "api_keys: [{hunter2: '*'}]",
        "api_keys: [{key: hunter2, key: hunter2}]",
        "api_keys: [{key: [hunter2]}]",
        "api_keys: [{key: \"hunter2\\0\"}]",
        "webhooks: [{api_secret: hunter2}]",
        "webhooks: [{url: 'https://me:hunter2@example.com'}]",
        "ws_url: 'wss://me:hunter2@example.com'",
        "ws_url: hunter2",
        "api_secret: *hunter2",
        "api_secret: !hunter2 x",
        "api_secret: 'hunter2",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct td_config c;
        struct td_fail fail;
        assert_int_equal(read_text(&c, texts[i], &fail), -TD_E_USAGE);
        assert_null(strstr(fail.text, "hunter2"));
        td_config_done(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),     cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_layers),         cmocka_unit_test(test_values_refused),
        cmocka_unit_test(test_keys_refused),   cmocka_unit_test(test_yaml_refused),
        cmocka_unit_test(test_bounds),         cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_no_secret_told),
    };
    return cmocka_run_group_tests_name("config/yaml", tests, NULL, NULL);
}
