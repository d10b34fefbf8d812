/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/watchdog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

static const char *word(const char *text)
{
    return text != NULL ? text : "";
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        struct td_session_limits limits;
        struct td_capture_stats stats;
    } rows[] = {
        {"", {.max_duration_us = 0}, {.pts_us = INT64_MAX, .bytes = INT64_MAX}},
        {"", {.max_duration_us = 10}, {.pts_us = 9}},
        {"duration", {.max_duration_us = 10}, {.pts_us = 10}},
        {"duration", {.max_duration_us = 10}, {.pts_us = INT64_MAX}},
        {"", {.max_size_bytes = 10}, {.bytes = 9}},
        {"size_limit", {.max_size_bytes = 10}, {.bytes = 10}},
        {"size_limit", {.max_size_bytes = 10}, {.bytes = INT64_MAX}},
        {"", {.gap_limit_us = 10}, {.tracks = 1, .frameless_us = 9}},
        {"gap_limit", {.gap_limit_us = 10}, {.tracks = 1, .frameless_us = 10}},
        /* All muted, or nobody there: silence is expected. */
        {"", {.gap_limit_us = 10}, {.tracks = 0, .frameless_us = 1000}},
        {"", {.gap_limit_us = 0}, {.tracks = 1, .frameless_us = INT64_MAX}},
        /* Packets alone are nothing stored, and do not hold it up either. */
        {"", {.gap_limit_us = 10}, {.tracks = 1, .silent_us = 99, .silent_streak_us = 99}},
        /* More than one at once: the one that says how much there is. */
        {"duration",
         {.max_duration_us = 1, .max_size_bytes = 1, .gap_limit_us = 1},
         {.pts_us = 1, .bytes = 1, .tracks = 1, .frameless_us = 1}},
        {"size_limit",
         {.max_size_bytes = 1, .gap_limit_us = 1},
         {.bytes = 1, .tracks = 1, .frameless_us = 1}},
        /* These two are the session's. */
        {"", {.departure_timeout_us = 1, .empty_timeout_us = 1}, {.frameless_us = 10}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *reason = td_watchdog_limit(&rows[i].limits, &rows[i].stats);
        if (strcmp(word(reason), rows[i].reason) != 0)
            fail_msg("row %zu: '%s'", i, word(reason));
    }
}

static void test_slow_disk(void **state)
{
    (void)state;
    static const struct {
        int64_t unwritten_us;
        unsigned alarms;
    } rows[] = {
        {0, 0},
        {TD_WATCHDOG_DISK_US - 1, 0},
        {TD_WATCHDOG_DISK_US, TD_ALARM_DISK_SLOW},
        {TD_WATCHDOG_DISK_US + 1, 0}, /* told once … */
        {60 * TD_US_PER_S, 0},
        {0, 0},
        {TD_WATCHDOG_DISK_US, TD_ALARM_DISK_SLOW}, /* … each time */
    };
    struct td_watchdog w = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_capture_stats stats = {.unwritten_us = rows[i].unwritten_us};
        assert_int_equal(td_watchdog_check(&w, &stats, (int64_t)i * TD_US_PER_S), rows[i].alarms);
    }
}

struct feed {
    struct td_watchdog w;
    struct td_capture_stats stats;
    int64_t now_us;
};

/* Seconds of reports, four each, in which so many frames came and were stored; alarms in them. */
static unsigned run(struct feed *f, unsigned seconds, unsigned came, unsigned stored)
{
    unsigned alarms = 0;
    for (unsigned i = 0; i < 4 * seconds; i++) {
        f->now_us += TD_CAPTURE_STATS_US;
        f->stats.frames_received += came;
        f->stats.frames += stored;
        alarms += td_watchdog_check(&f->w, &f->stats, f->now_us) == TD_ALARM_NOT_GROWING;
    }
    return alarms;
}

static void test_not_growing(void **state)
{
    (void)state;
    struct feed f = {.now_us = INT64_C(5000000000)};
    assert_int_equal(run(&f, 30, 10, 10), 0);
    assert_int_equal(run(&f, 9, 10, 0), 0);
    assert_int_equal(run(&f, 3, 10, 0), 1);
    assert_int_equal(run(&f, 30, 10, 0), 0); /* once */
    assert_int_equal(run(&f, 1, 10, 10), 0);
    assert_int_equal(run(&f, 12, 10, 0), 1); /* again */
    assert_int_equal(run(&f, 1, 10, 1), 0);
    assert_int_equal(run(&f, 60, 0, 0), 0); /* nothing comes: another's matter */
    assert_int_equal(run(&f, 9, 10, 0), 0);
    assert_int_equal(run(&f, 3, 10, 0), 1);
}

/* The first report may come at any time of the machine's life. */
static void test_first_report(void **state)
{
    (void)state;
    struct td_watchdog w = {0};
    struct td_capture_stats stats = {.frames_received = 5};
    assert_int_equal(td_watchdog_check(&w, &stats, INT64_C(1000000000000)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_slow_disk),
        cmocka_unit_test(test_not_growing),
        cmocka_unit_test(test_first_report),
    };
    return cmocka_run_group_tests_name("recorder/watchdog", tests, NULL, NULL);
}
