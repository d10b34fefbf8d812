/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY "correct-horse"

/* ---- one recording ---- */

static void test_measure(void **state)
{
    (void)state;
    struct td_capture_stats stats = {
        .frames = 900,
        .frames_received = 950,
        .dropped = 12,
        .bytes = 5000000,
        .written_bytes = 4900000,
        .synced_bytes = 3000000,
        .packets = 12000,
        .lost = 7,
        .recovered = 70,
        .gap_us = 1500000,
        .av_skew_us = -12500,
        .silent_streak_us = 7999999,
        .last_write_us = 99750000,
        .latency_counts = {1, 2, 3},
        .latency_sum_us = 2500000,
    };
    struct td_session_status status = {.id = "rec_a",
                                       .room = "standup",
                                       .state = TD_SESSION_RECORDING,
                                       .stats = &stats,
                                       .memory_bytes = 3u << 19};
    struct td_exposition_recording r;
    td_metrics_measure(&status, 123.5, 100000000, INT64_C(1763747000000000), &r);
    assert_string_equal(r.id, "rec_a");
    assert_string_equal(r.room, "standup");
    assert_string_equal(r.state, "recording");
    assert_true(r.recording);
    assert_float_equal(r.memory_usage_mb, 1.5, 0);
    assert_float_equal(r.file_size_bytes, 4900000, 0); /* what waits for the disk is in no file */
    assert_float_equal(r.zero_packet_streak, 7, 0);
    assert_float_equal(r.disk_write_rate, 123.5, 0);
    assert_float_equal(r.bytes_written, 4900000, 0);
    assert_float_equal(r.packets_written, 900, 0);
    assert_float_equal(r.frames_dropped, 12, 0);
    assert_float_equal(r.last_disk_write_s, 1763746999.75, 1e-6);
    assert_float_equal(r.frames_received, 950, 0);
    assert_float_equal(r.bytes_since_last_flush, 100000, 0);
    assert_float_equal(r.av_skew_ms, -12.5, 0);
    assert_float_equal(r.rtp_received, 12000, 0);
    assert_float_equal(r.rtp_lost, 7, 0);
    assert_float_equal(r.rtp_recovered, 70, 0);
    assert_float_equal(r.gap_s, 1.5, 0);
    assert_float_equal(r.unsynced_bytes, 2000000, 0);
    assert_float_equal(r.write_latency_sum_s, 2.5, 0);
    assert_float_equal(r.write_latency_counts[2], 3, 0);
}

/* Numbers of several threads need not fit; nothing was written yet; it does not record. */
static void test_measure_edges(void **state)
{
    (void)state;
    struct td_capture_stats stats = {.bytes = 10, .written_bytes = 20, .synced_bytes = 30};
    struct td_session_status status = {
        .id = "rec_a", .room = "x", .state = TD_SESSION_PAUSED, .stats = &stats};
    struct td_exposition_recording r;
    td_metrics_measure(&status, 0, 1, 1, &r);
    assert_false(r.recording);
    assert_string_equal(r.state, "paused");
    assert_float_equal(r.bytes_since_last_flush, 0, 0);
    assert_float_equal(r.unsynced_bytes, 0, 0);
    assert_true(isnan(r.last_disk_write_s));
}

/* ---- over HTTP ---- */

static struct {
    struct td_config config;
    struct td_http *http;
    struct td_metrics *metrics;
    SoupSession *client;
    struct td_budget budget;
    struct td_recorder recorder;
    int64_t sync_us;
} d;

static void open_server(const char *rooms)
{
    memset(&d, 0, sizeof(d));
    assert_int_equal(td_config_init(&d.config), 0);
    struct td_config_key key = {.key = (char[]){KEY}, .rooms = (char *)rooms};
    struct td_config_keys none = d.config.api_keys;
    if (rooms != NULL)
        d.config.api_keys = (struct td_config_keys){.items = &key, .count = 1};
    struct td_http_config http = {
        .listen = "127.0.0.1:0", .config = &d.config, .token = rooms == NULL ? KEY : NULL};
    struct td_fail fail = {.code = 0};
    assert_int_equal(td_http_new(&http, &fail, &d.http), 0);
    d.config.api_keys = none;
    td_budget_init(&d.budget, NULL, 1 << 20);
    d.recorder.budget = &d.budget;
    d.sync_us = 5000000;
    struct td_metrics_config metrics = {
        .http = d.http, .recorder = &d.recorder, .sync_interval_us = &d.sync_us};
    assert_int_equal(td_metrics_new(&metrics, &d.metrics), 0);
    d.client = soup_session_new();
}

static void close_server(void)
{
    g_clear_object(&d.client);
    d.http = td_http_free(d.http);
    d.metrics = td_metrics_free(d.metrics);
    td_budget_done(&d.budget);
    td_config_done(&d.config);
    while (g_main_context_iteration(NULL, FALSE))
        continue;
}

struct answer {
    bool done;
    GBytes *body;
};

static void on_answer(GObject *source, GAsyncResult *result, gpointer data)
{
    struct answer *a = data;
    a->body = soup_session_send_and_read_finish(SOUP_SESSION(source), result, NULL);
    a->done = true;
}

/* The body, to be freed; `ret_type` (may be NULL) is its type. */
static char *ask(const char *method, const char *path, const char *authorization, unsigned status,
                 char **ret_type)
{
    char *url = g_strdup_printf("http://%s%s", td_http_address(d.http), path);
    SoupMessage *message = soup_message_new(method, url);
    g_free(url);
    if (authorization != NULL)
        soup_message_headers_append(soup_message_get_request_headers(message), "Authorization",
                                    authorization);
    struct answer a = {.done = false};
    soup_session_send_and_read_async(d.client, message, G_PRIORITY_DEFAULT, NULL, on_answer, &a);
    while (!a.done)
        (void)g_main_context_iteration(NULL, TRUE);
    assert_non_null(a.body);
    assert_int_equal(soup_message_get_status(message), status);
    if (ret_type != NULL)
        *ret_type = g_strdup(soup_message_headers_get_one(
            soup_message_get_response_headers(message), "Content-Type"));
    size_t len;
    const char *bytes = g_bytes_get_data(a.body, &len);
    char *text = g_strndup(len > 0 ? bytes : "", len);
    g_bytes_unref(a.body);
    g_object_unref(message);
    return text;
}

static void read_disk(void *ctx, struct td_exposition_process *process)
{
    process->disk_free_bytes = *(const double *)ctx;
}

static void read_webhook(void *ctx, struct td_exposition_process *process)
{
    (void)ctx;
    process->webhook_pending = 4;
}

static void test_page(void **state)
{
    (void)state;
    open_server(NULL);
    double space = 1e9;
    assert_int_equal(td_metrics_add(d.metrics, read_disk, &space), 0);
    assert_int_equal(td_metrics_add(d.metrics, read_webhook, NULL), 0);
    assert_int_equal(td_budget_charge(&d.budget, 4096), 0);
    char *type;
    char *text = ask("GET", "/metrics", "Bearer " KEY, 200, &type);
    assert_string_equal(type, "text/plain; version=0.0.4; charset=utf-8");
    g_free(type);
    static const char *const lines[] = {
        "\ntapedeck_build_info{version=\"" TD_VERSION "\"} 1\n",
        "\ntapedeck_disk_free_bytes 1000000000\n",
        "\ntapedeck_webhook_pending 4\n",
        "\ntapedeck_memory_budget_bytes 1048576\n",
        "\ntapedeck_memory_budget_used_bytes 4096\n",
        "\ntapedeck_sync_interval_seconds 5\n",
        "\ntapedeck_http_connections 1\n",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_cpu_seconds_total ",
        "\nprocess_open_fds ",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        if (strstr(text, lines[i]) == NULL)
            fail_msg("no line '%s' in:\n%s", lines[i], text);
    }
    assert_null(strstr(text, "tapedeck_disk_total_bytes")); /* nobody told */
    assert_null(strstr(text, "recording_"));
    char *start = strstr(text, "\nprocess_start_time_seconds ");
    assert_non_null(start);
    char *first = g_strndup(start, strcspn(&start[1], "\n") + 2);
    g_free(text);
    space = 5;
    d.sync_us = -1;
    text = ask("GET", "/metrics", "Bearer " KEY, 200, NULL);
    assert_non_null(strstr(text, "\ntapedeck_disk_free_bytes 5\n")); /* asked each time */
    assert_non_null(strstr(text, "\ntapedeck_sync_interval_seconds -1\n"));
    assert_non_null(strstr(text, first)); /* does not tremble: a change is a restart */
    g_free(first);
    g_free(text);
    td_budget_release(&d.budget, 4096);
    close_server();
}

static void test_who_may(void **state)
{
    (void)state;
    open_server(NULL);
    g_free(ask("GET", "/metrics", NULL, 401, NULL));
    g_free(ask("GET", "/metrics", "Bearer wrong", 401, NULL));
    g_free(ask("POST", "/metrics", "Bearer " KEY, 405, NULL));
    g_free(ask("GET", "/metrics/deeper", "Bearer " KEY, 404, NULL));
    char *text = ask("HEAD", "/metrics", "Bearer " KEY, 200, NULL);
    assert_string_equal(text, "");
    g_free(text);
    text = ask("GET", "/metrics", "Bearer " KEY, 200, NULL);
    assert_non_null(strstr(text, "\ntapedeck_http_unauthorized_total 2\n"));
    g_free(text);
    close_server();
    open_server("standup-*"); /* it tells of all rooms, so a key for some is not enough */
    g_free(ask("GET", "/metrics", "Bearer " KEY, 403, NULL));
    close_server();
}

static void test_sources_are_bounded(void **state)
{
    (void)state;
    open_server(NULL);
    for (unsigned i = 0; i < TD_METRICS_SOURCES_MAX; i++)
        assert_int_equal(td_metrics_add(d.metrics, read_webhook, NULL), 0);
    assert_int_equal(td_metrics_add(d.metrics, read_webhook, NULL), -TD_E_LIMIT);
    close_server();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_measure_edges),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_who_may),
        cmocka_unit_test(test_sources_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
