/* SPDX-License-Identifier: Apache-2.0 */
#include "api/exposition.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The text, to be freed. */
static char *render(const struct td_exposition *e)
{
    struct td_bytes out;
    td_bytes_init(&out, TD_EXPOSITION_BYTES_MAX, NULL);
    assert_int_equal(td_exposition_render(e, &out), 0);
    assert_int_equal(td_bytes_append(&out, "", 1), 0);
    return (char *)out.data;
}

static bool has_line(const char *text, const char *line)
{
    size_t len = strlen(line);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return true;
    }
    return false;
}

static void assert_line(const char *text, const char *line)
{
    if (!has_line(text, line))
        fail_msg("no line '%s' in:\n%s", line, text);
}

static struct td_exposition_recording recording(const char *id, const char *room)
{
    struct td_exposition_recording r;
    td_exposition_recording_init(&r);
    r.id = id;
    r.room = room;
    r.state = "recording";
    r.recording = true;
    return r;
}

static struct td_exposition empty(void)
{
    struct td_exposition e = {.recording_count = 0};
    td_exposition_process_init(&e.process);
    return e;
}

static void test_nothing_known(void **state)
{
    (void)state;
    struct td_exposition e = empty();
    char *text = render(&e);
    assert_string_equal(text, "");
    free(text);
}

static void test_one_family(void **state)
{
    (void)state;
    struct td_exposition e = empty();
    e.process.recordings_running = 3;
    char *text = render(&e);
    assert_string_equal(
        text, "# HELP tapedeck_recordings_running Recordings that run, in whatever state.\n"
              "# TYPE tapedeck_recordings_running gauge\n"
              "tapedeck_recordings_running 3\n");
    free(text);
}

static void test_recordings(void **state)
{
    (void)state;
    struct td_exposition_recording r[3] = {
        recording("rec_a", "standup"), recording("rec_b", "lecture"), recording("rec_c", "pause")};
    for (unsigned i = 0; i < 3; i++) {
        r[i].file_size_bytes = 1000 + i;
        r[i].av_skew_ms = -1.5;
    }
    r[2].recording = false;
    r[2].state = "paused";
    struct td_exposition e = empty();
    e.recordings = r;
    e.recording_count = 3;
    char *text = render(&e);
    assert_line(text, "recording_file_size_bytes{recording_id=\"rec_a\",room=\"standup\"} 1000");
    assert_line(text, "recording_file_size_bytes{recording_id=\"rec_b\",room=\"lecture\"} 1001");
    assert_line(text, "recording_av_skew_ms{recording_id=\"rec_b\",room=\"lecture\"} -1.5");
    assert_null(strstr(text, "bytes{recording_id=\"rec_c\"")); /* not while it is paused */
    assert_line(text,
                "recording_state{recording_id=\"rec_a\",room=\"standup\",state=\"recording\"} 1");
    assert_line(text, "recording_state{recording_id=\"rec_c\",room=\"pause\",state=\"paused\"} 1");
    assert_null(strstr(text, "recording_gap_seconds_total")); /* not known */
    assert_null(strstr(text, "nan"));
    free(text);
}

static void test_escaping(void **state)
{
    (void)state;
    char endless[4 * TD_EXPOSITION_VALUE_MAX];
    memset(endless, '"', sizeof(endless) - 1);
    endless[sizeof(endless) - 1] = '\0';
    static const struct {
        const char *room;
        const char *escaped;
    } values[] = {
        {"", ""},
        {"a\\b", "a\\\\b"},
        {"a\"b", "a\\\"b"},
        {"a\nb", "a\\nb"},
        {"\\\"\n", "\\\\\\\"\\n"},
        {"B\xc3\xbcro \xe2\x82\xac \xf0\x9f\x8e\xa5", "B\xc3\xbcro \xe2\x82\xac \xf0\x9f\x8e\xa5"},
        {"\xff", "?"},
        {"a\xc3", "a?"},
        {"\xed\xa0\x80", "???"}, /* a surrogate */
        {"\xc0\xaf", "??"},      /* too long a form */
        {"tab\tbell\a", "tab\tbell\a"},
        {"}{,=", "}{,="},
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        struct td_exposition_recording r = recording("rec_a", values[i].room);
        struct td_exposition e = empty();
        e.recordings = &r;
        e.recording_count = 1;
        char line[256];
        (void)snprintf(line, sizeof(line),
                       "recording_state{recording_id=\"rec_a\",room=\"%s\",state=\"recording\"} 1",
                       values[i].escaped);
        char *text = render(&e);
        assert_line(text, line);
        free(text);
    }
    struct td_exposition_recording r = recording("rec_a", endless);
    struct td_exposition e = empty();
    e.recordings = &r;
    e.recording_count = 1;
    char *text = render(&e);
    assert_non_null(strstr(text, "\\\"\",state=\"recording\"} 1\n")); /* cut, but whole */
    free(text);
}

static void test_histogram(void **state)
{
    (void)state;
    struct td_exposition_recording r = recording("rec_a", "x");
    for (unsigned i = 0; i < TD_SPOOL_LATENCY_BUCKETS; i++)
        r.write_latency_counts[i] = i + 1;
    r.write_latency_sum_s = 1.25;
    struct td_exposition e = empty();
    e.recordings = &r;
    e.recording_count = 1;
    char *text = render(&e);
    double sum = 0;
    for (unsigned i = 0; i < TD_SPOOL_LATENCY_BUCKETS; i++) {
        char bound[32] = "+Inf";
        if (i + 1 < TD_SPOOL_LATENCY_BUCKETS)
            (void)snprintf(bound, sizeof(bound), "%g", (double)td_spool_latency_us[i] / 1e6);
        sum += i + 1;
        char line[160];
        (void)snprintf(line, sizeof(line),
                       "recording_write_latency_seconds_bucket{recording_id=\"rec_a\",room=\"x\","
                       "le=\"%s\"} %g",
                       bound, sum);
        assert_line(text, line);
    }
    assert_line(text,
                "recording_write_latency_seconds_sum{recording_id=\"rec_a\",room=\"x\"} 1.25");
    assert_line(text,
                "recording_write_latency_seconds_count{recording_id=\"rec_a\",room=\"x\"} 55");
    assert_line(text, "# TYPE recording_write_latency_seconds histogram");
    free(text);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } values[] = {
        {0, "0"},
        {-1, "-1"},
        {0.001, "0.001"},
        {1763747000.123, "1763747000.123"},
        {9007199254740992.0, "9.00719925474099e+15"},
        {123456789012345.0, "123456789012345"},
    };
    (void)setlocale(LC_ALL, "de_DE.UTF-8"); /* where it exists: a comma must not come of it */
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        struct td_exposition e = empty();
        e.process.disk_free_bytes = values[i].value;
        char line[80];
        (void)snprintf(line, sizeof(line), "tapedeck_disk_free_bytes %s", values[i].text);
        char *text = render(&e);
        assert_line(text, line);
        free(text);
    }
    (void)setlocale(LC_ALL, "C");
}

static void test_process_labels(void **state)
{
    (void)state;
    static const struct td_exposition_ended ended[] = {
        {.state = "complete", .reason = "stopped", .count = 4},
        {.state = "failed", .reason = "disk_full", .count = 1},
    };
    struct td_exposition e = empty();
    e.ended = ended;
    e.ended_count = 2;
    e.process.version = "1.2.3";
    for (unsigned i = 0; i < TD_EXPOSITION_HTTP_CLASSES; i++)
        e.process.http_requests[i] = 10 * i;
    char *text = render(&e);
    assert_line(text, "tapedeck_recordings_ended_total{state=\"complete\",reason=\"stopped\"} 4");
    assert_line(text, "tapedeck_recordings_ended_total{state=\"failed\",reason=\"disk_full\"} 1");
    assert_line(text, "tapedeck_build_info{version=\"1.2.3\"} 1");
    assert_line(text, "tapedeck_http_requests_total{class=\"1xx\"} 0");
    assert_line(text, "tapedeck_http_requests_total{class=\"5xx\"} 40");
    free(text);
}

/* It never hands out half a page. */
static void test_limit(void **state)
{
    (void)state;
    struct td_exposition e = empty();
    e.process.recordings_running = 1;
    char *text = render(&e);
    size_t whole = strlen(text);
    free(text);
    for (size_t max = 0; max <= whole; max++) {
        struct td_bytes out;
        td_bytes_init(&out, max, NULL);
        assert_int_equal(td_exposition_render(&e, &out), max < whole ? -TD_E_LIMIT : 0);
        td_bytes_done(&out);
    }
}

/* The worst case stays below the limit: as many recordings as may run, with the worst names. */
static void test_most(void **state)
{
    (void)state;
    static struct td_exposition_recording r[512];
    char room[TD_EXPOSITION_VALUE_MAX + 1];
    memset(room, '"', sizeof(room) - 1);
    room[sizeof(room) - 1] = '\0';
    size_t row_count;
    const struct td_exposition_row *rows = td_exposition_rows(&row_count);
    for (unsigned i = 0; i < 512; i++) {
        r[i] = recording("rec_0123456789abcdef", room);
        for (size_t k = 0; k < row_count; k++) {
            if (rows[k].scope == TD_EXPOSITION_RECORDING)
                *(double *)((char *)&r[i] + rows[k].offset) = -123456789012345.0;
        }
        for (unsigned k = 0; k < TD_SPOOL_LATENCY_BUCKETS; k++)
            r[i].write_latency_counts[k] = 12345678901234.0;
    }
    struct td_exposition e = empty();
    e.recordings = r;
    e.recording_count = 512;
    char *text = render(&e);
    assert_true(strlen(text) > 4u << 20);
    free(text);
}

/* Names are unique, of the right alphabet, and follow the type; every number has its own place. */
static void test_table(void **state)
{
    (void)state;
    size_t count;
    const struct td_exposition_row *rows = td_exposition_rows(&count);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(rows[i].name);
        assert_int_equal(strspn(rows[i].name, "abcdefghijklmnopqrstuvwxyz_"), len);
        bool total = len > 6 && strcmp(&rows[i].name[len - 6], "_total") == 0;
        assert_int_equal(total, strcmp(rows[i].type, "counter") == 0);
        assert_true(strlen(rows[i].help) > 10 && strpbrk(rows[i].help, "\\\n|") == NULL);
        assert_int_equal(rows[i].help[strlen(rows[i].help) - 1], '.');
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(rows[i].name, rows[k].name);
            if (rows[i].scope == rows[k].scope && (rows[i].scope == TD_EXPOSITION_PROCESS ||
                                                   rows[i].scope == TD_EXPOSITION_RECORDING))
                assert_int_not_equal(rows[i].offset, rows[k].offset);
        }
    }
}

/* The names of design that dashboards rely on. */
static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "recording_memory_usage_mb",
        "recording_file_size_bytes",
        "recording_zero_packet_streak",
        "recording_disk_write_rate",
        "recording_bytes_written_total",
        "recording_packets_written_total",
        "recording_frames_dropped_backpressure_total",
        "recording_last_disk_write_timestamp_seconds",
        "recording_frames_received_total",
        "recording_bytes_since_last_flush",
        "recording_av_skew_ms",
        "recording_rtp_lost_total",
        "recording_rtp_recovered_total",
        "recording_gap_seconds_total",
        "recording_unsynced_bytes",
        "recording_write_latency_seconds",
        "recording_state",
    };
    size_t count;
    const struct td_exposition_row *rows = td_exposition_rows(&count);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        size_t k = 0;
        while (k < count && strcmp(rows[k].name, names[i]) != 0)
            k++;
        if (k == count)
            fail_msg("%s is missing", names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known),  cmocka_unit_test(test_one_family),
        cmocka_unit_test(test_recordings),     cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_histogram),      cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_process_labels), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_most),           cmocka_unit_test(test_table),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
