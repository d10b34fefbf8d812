/* SPDX-License-Identifier: Apache-2.0 */
#include "api/headroom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static const struct td_headroom_rules rules = {.min_free_bytes = 100 * MIB,
                                               .policy = TD_POLICY_STOP_NEW};

static struct td_headroom judge(const struct td_headroom_rules *by, uint64_t free_bytes, bool held,
                                bool was_low)
{
    struct td_headroom_view view = {
        .space = {.total_bytes = 1000 * MIB, .free_bytes = free_bytes, .files_free = 1000000},
        .reserve_missing_bytes = held ? 0 : 4 * MIB,
        .was_low = was_low,
    };
    struct td_headroom h;
    td_headroom_judge(by, &view, &h);
    return h;
}

static void test_low(void **state)
{
    (void)state;
    struct td_headroom h = judge(&rules, 100 * MIB, true, false);
    assert_false(h.low || h.full || h.missing_bytes > 0);
    h = judge(&rules, 100 * MIB - 1, true, false);
    assert_true(h.low && !h.full && !h.roomy);
    assert_int_equal(h.missing_bytes, 5 * MIB + 1); /* until it is not low any more */
    /* Then it must come 5 % above. */
    h = judge(&rules, 105 * MIB - 1, true, true);
    assert_true(h.low && !h.roomy);
    assert_int_equal(h.missing_bytes, 1);
    h = judge(&rules, 105 * MIB, true, true);
    assert_true(!h.low && h.roomy);
    assert_int_equal(h.missing_bytes, 0);
    /* Between the two nothing that was paused goes on, whatever was before. */
    assert_false(judge(&rules, 102 * MIB, true, false).roomy);
}

static void test_full(void **state)
{
    (void)state;
    struct td_headroom h = judge(&rules, MIB, true, true);
    assert_true(h.low && !h.full);
    h = judge(&rules, MIB - 1, true, true);
    assert_true(h.low && h.full);
    h = judge(&rules, 0, true, true);
    assert_true(h.low && h.full);
    assert_int_equal(h.missing_bytes, 105 * MIB);
}

/* What was given of the reserve is not space that came back. */
static void test_reserve(void **state)
{
    (void)state;
    struct td_headroom h = judge(&rules, 4 * MIB, false, true);
    assert_true(h.low && h.full && !h.make && !h.roomy);
    h = judge(&rules, 104 * MIB, false, true);
    assert_true(h.low && !h.make);
    h = judge(&rules, 104 * MIB + 1, false, true);
    assert_true(h.low && h.make && !h.roomy); /* 100 MiB are left with it */
    h = judge(&rules, 109 * MIB, false, true);
    assert_true(!h.low && h.make && h.roomy);
    h = judge(&rules, 109 * MIB, true, true);
    assert_true(!h.low && !h.make && h.roomy);
}

static void test_unwatched(void **state)
{
    (void)state;
    struct td_headroom_rules unwatched = rules;
    unwatched.min_free_bytes = 0;
    /* Some disks always say 0: nothing is refused, ended or removed for it. */
    struct td_headroom h = judge(&unwatched, 0, true, false);
    assert_true(!h.low && !h.full && !h.roomy);
    assert_int_equal(h.missing_bytes, 0);
    h = judge(&unwatched, 4 * MIB, false, false);
    assert_true(!h.roomy && !h.make);
    h = judge(&unwatched, 7 * MIB, false, false);
    assert_true(h.roomy && h.make);
}

static void test_files(void **state)
{
    (void)state;
    struct td_headroom_view view = {
        .space = {.free_bytes = 500 * MIB, .files_free = TD_HEADROOM_FILES_MIN}};
    struct td_headroom h;
    td_headroom_judge(&rules, &view, &h);
    assert_true(!h.low && !h.roomy);
    view.space.files_free--;
    td_headroom_judge(&rules, &view, &h);
    assert_true(h.low && !h.full);
    assert_int_equal(h.missing_bytes, 1); /* any recording helps */
    view.was_low = true;
    view.space.files_free = 2 * TD_HEADROOM_FILES_MIN - 1;
    td_headroom_judge(&rules, &view, &h);
    assert_true(h.low && !h.roomy);
    view.space.files_free++;
    td_headroom_judge(&rules, &view, &h);
    assert_true(!h.low && h.roomy);
    view.space.files_free = 0;
    struct td_headroom_rules unwatched = rules;
    unwatched.min_free_bytes = 0;
    td_headroom_judge(&unwatched, &view, &h);
    assert_true(!h.low && !h.roomy);
}

static void test_extremes(void **state)
{
    (void)state;
    struct td_headroom_rules all = {.min_free_bytes = UINT64_MAX};
    struct td_headroom_view view = {.reserve_missing_bytes = UINT64_MAX, .was_low = true};
    view.space.free_bytes = UINT64_MAX;
    struct td_headroom h;
    td_headroom_judge(&all, &view, &h);
    assert_true(h.low && h.full && !h.roomy && !h.make);
    assert_true(h.missing_bytes == UINT64_MAX);
}

static const struct {
    enum td_config_policy policy;
    enum td_config_on_full on_full;
    bool low;
    bool full;
    bool exhausted;
    bool roomy;
    const char *acts;
} decisions[] = {
    {TD_POLICY_STOP_NEW, TD_ON_FULL_END, false, false, false, true, "resume"},
    {TD_POLICY_STOP_NEW, TD_ON_FULL_END, false, false, false, false, ""},
    {TD_POLICY_STOP_NEW, TD_ON_FULL_END, true, false, false, false, "refuse"},
    {TD_POLICY_STOP_NEW, TD_ON_FULL_END, true, true, false, false, "refuse end"},
    {TD_POLICY_STOP_NEW, TD_ON_FULL_PAUSE, true, true, false, false, "refuse pause"},
    {TD_POLICY_DROP_OLDEST, TD_ON_FULL_END, true, false, false, false, ""},
    {TD_POLICY_DROP_OLDEST, TD_ON_FULL_END, true, true, false, false, ""},
    {TD_POLICY_DROP_OLDEST, TD_ON_FULL_END, true, false, true, false, "refuse"},
    {TD_POLICY_DROP_OLDEST, TD_ON_FULL_END, true, true, true, false, "refuse end"},
    {TD_POLICY_DROP_OLDEST, TD_ON_FULL_PAUSE, true, true, true, false, "refuse pause"},
    {TD_POLICY_STOP_ALL, TD_ON_FULL_END, true, false, false, false, "refuse end"},
    {TD_POLICY_STOP_ALL, TD_ON_FULL_PAUSE, true, false, false, false, "refuse pause"},
    {TD_POLICY_STOP_ALL, TD_ON_FULL_PAUSE, false, false, false, true, "resume"},
};

static void test_decide(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(decisions) / sizeof(*decisions); i++) {
        struct td_headroom_rules by = rules;
        by.policy = decisions[i].policy;
        by.on_full = decisions[i].on_full;
        struct td_headroom h = {
            .low = decisions[i].low, .full = decisions[i].full, .roomy = decisions[i].roomy};
        struct td_headroom_acts acts;
        td_headroom_decide(&by, &h, decisions[i].exhausted, &acts);
        char text[64];
        (void)snprintf(text, sizeof(text), "%s%s%s%s", acts.refuse ? "refuse" : "",
                       acts.end ? " end" : "", acts.pause ? " pause" : "",
                       acts.resume ? "resume" : "");
        assert_string_equal(text, decisions[i].acts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_low),       cmocka_unit_test(test_full),
        cmocka_unit_test(test_reserve),

        cmocka_unit_test(test_unwatched), cmocka_unit_test(test_files),
        cmocka_unit_test(test_extremes),  cmocka_unit_test(test_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
