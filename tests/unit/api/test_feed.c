/* SPDX-License-Identifier: Apache-2.0 */
#include "api/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BOOT "Boot1234"

static char *text_of(GBytes *bytes)
{
    size_t len = 0;
    const char *text = g_bytes_get_data(bytes, &len);
    return len > 0 ? g_strndup(text, len) : g_strdup("");
}

static void expect(GBytes *bytes, const char *wanted)
{
    assert_non_null(bytes);
    char *text = text_of(bytes);
    assert_string_equal(text, wanted);
    g_free(text);
}

static void expect_after(const struct td_feed *f, const char *id, const char *wanted)
{
    GBytes *bytes = td_feed_after(f, id);
    expect(bytes, wanted);
    g_bytes_unref(bytes);
}

static void test_numbers(void **state)
{
    (void)state;
    struct td_feed *f = td_feed_new(BOOT, "rec_a");
    assert_string_equal(td_feed_recording(f), "rec_a");
    GBytes *now = td_feed_now(f, "state", "{}");
    expect(now, "id: " BOOT "-0\nevent: state\ndata: {}\n\n");
    g_bytes_unref(now);
    expect_after(f, BOOT "-0", "");
    expect(td_feed_add(f, "state", "{\"a\":1}"),
           "id: " BOOT "-1\nevent: state\ndata: {\"a\":1}\n\n");
    expect(td_feed_add(f, "timeline", "x"), "id: " BOOT "-2\nevent: timeline\ndata: x\n\n");
    now = td_feed_now(f, "state", "{}");
    expect(now, "id: " BOOT "-2\nevent: state\ndata: {}\n\n"); /* it says what the newest did */
    g_bytes_unref(now);
    expect_after(f, BOOT "-0",
                 "id: " BOOT "-1\nevent: state\ndata: {\"a\":1}\n\n"
                 "id: " BOOT "-2\nevent: timeline\ndata: x\n\n");
    expect_after(f, BOOT "-1", "id: " BOOT "-2\nevent: timeline\ndata: x\n\n");
    expect_after(f, BOOT "-2", "");
    td_feed_free(f);
}

static void test_ids_that_are_none(void **state)
{
    (void)state;
    static const char *const ids[] = {
        "",
        "end",
        BOOT,
        BOOT "-",
        BOOT "-x",
        BOOT "--1",
        BOOT "- 1",
        BOOT "-+1",
        BOOT "-1x",
        BOOT "-2",
        BOOT "_1",
        "Boot1235-1",
        "boot1234-1",
        "Boot-1",
        "1",
        BOOT "-1\n",
        BOOT "-0x1",
        BOOT "-1e0",
        BOOT "-4294967297",
        BOOT "-18446744073709551615",
        BOOT "-18446744073709551616",
        BOOT "-99999999999999999999999999",
    };
    struct td_feed *f = td_feed_new(BOOT, "rec_a");
    td_feed_add(f, "state", "{}");
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        assert_null(td_feed_after(f, ids[i]));
    expect_after(f, BOOT "-01", ""); /* a number all the same */
    td_feed_free(f);
}

static void test_count_is_bounded(void **state)
{
    (void)state;
    struct td_feed *f = td_feed_new(BOOT, "rec_a");
    char id[48];
    for (unsigned i = 0; i < 3 * TD_FEED_KEPT; i++)
        td_feed_add(f, "timeline", "x");
    (void)snprintf(id, sizeof(id), BOOT "-%u", 2 * TD_FEED_KEPT);
    GBytes *all = td_feed_after(f, id); /* the last that is not kept, but all behind it is */
    assert_non_null(all);
    char *text = text_of(all);
    unsigned events = 0;
    for (const char *p = text; (p = strstr(p, "event: ")) != NULL; p++)
        events++;
    assert_int_equal(events, TD_FEED_KEPT);
    g_free(text);
    g_bytes_unref(all);
    (void)snprintf(id, sizeof(id), BOOT "-%u", 2 * TD_FEED_KEPT - 1);
    assert_null(td_feed_after(f, id));
    td_feed_free(f);
}

static void test_bytes_are_bounded(void **state)
{
    (void)state;
    struct td_feed *f = td_feed_new(BOOT, "rec_a");
    char *data = g_strnfill(TD_FEED_KEPT_BYTES / 4, 'x');
    for (unsigned i = 0; i < 8; i++)
        td_feed_add(f, "state", data);
    assert_null(td_feed_after(f, BOOT "-4")); /* three of that size fit beside their frames */
    GBytes *kept = td_feed_after(f, BOOT "-5");
    assert_non_null(kept);
    assert_true(g_bytes_get_size(kept) <= TD_FEED_KEPT_BYTES);
    g_bytes_unref(kept);
    g_free(data);
    data = g_strnfill(2 * TD_FEED_KEPT_BYTES, 'y');
    td_feed_add(f, "state", data); /* larger than all: it alone is kept */
    g_free(data);
    kept = td_feed_after(f, BOOT "-8");
    assert_true(g_bytes_get_size(kept) > 2 * TD_FEED_KEPT_BYTES);
    g_bytes_unref(kept);
    assert_null(td_feed_after(f, BOOT "-7"));
    td_feed_free(f);
    assert_null(td_feed_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_ids_that_are_none),
        cmocka_unit_test(test_count_is_bounded),
        cmocka_unit_test(test_bytes_are_bounded),
    };
    return cmocka_run_group_tests_name("api/feed", tests, NULL, NULL);
}
