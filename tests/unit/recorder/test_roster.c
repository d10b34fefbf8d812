/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint32_t next_handle = 1;

static uint32_t add_role(struct td_roster *r, const char *who, enum td_media_kind kind,
                         enum td_track_role role)
{
    struct td_track_info info = {.handle = next_handle++, .kind = kind, .role = role};
    (void)snprintf(info.participant, sizeof(info.participant), "%s", who);
    (void)snprintf(info.sid, sizeof(info.sid), "TR_%u", info.handle);
    return td_roster_add(r, &info) == 0 ? info.handle : 0;
}

static uint32_t add(struct td_roster *r, const char *who, enum td_media_kind kind)
{
    return add_role(r, who, kind, kind == TD_MEDIA_VIDEO ? TD_ROLE_CAMERA : TD_ROLE_MICROPHONE);
}

/* Takes all that is wanted now; how many. */
static unsigned take(struct td_roster *r)
{
    unsigned count = 0;
    struct td_roster_track *track;
    while ((track = td_roster_next(r)) != NULL) {
        track->recorded = true;
        count++;
    }
    return count;
}

static const char *name_of(struct td_roster *r, uint32_t handle)
{
    return r->outputs[td_roster_find(r, handle)->output].name;
}

static void test_everybody(void **state)
{
    (void)state;
    struct td_roster r;
    assert_int_equal(td_roster_init(&r, false, NULL, NULL), 0);
    uint32_t audio = add(&r, "alice", TD_MEDIA_AUDIO);
    uint32_t video = add(&r, "alice", TD_MEDIA_VIDEO);
    uint32_t screen = add_role(&r, "alice", TD_MEDIA_VIDEO, TD_ROLE_SCREEN);
    uint32_t sound = add_role(&r, "alice", TD_MEDIA_AUDIO, TD_ROLE_SCREEN_AUDIO);
    uint32_t other = add(&r, "bob", TD_MEDIA_VIDEO);
    assert_false(td_roster_choose(&r, true)); /* nothing to choose */
    assert_int_equal(take(&r), 5);
    assert_int_equal(take(&r), 0);
    assert_int_equal(r.output_count, 3);
    assert_string_equal(name_of(&r, audio), "alice");
    assert_string_equal(name_of(&r, video), "alice");
    assert_string_equal(name_of(&r, screen), "alice.screen");
    assert_string_equal(name_of(&r, sound), "alice.screen");
    assert_string_equal(name_of(&r, other), "bob");
    td_roster_remove(&r, video);
    assert_null(td_roster_find(&r, video));
    video = add(&r, "alice", TD_MEDIA_VIDEO); /* published again: the same output */
    assert_int_equal(take(&r), 1);
    assert_int_equal(r.output_count, 3);
    assert_string_equal(name_of(&r, video), "alice");
    td_roster_done(&r);
}

static void test_filters(void **state)
{
    (void)state;
    struct td_roster r;
    assert_int_equal(td_roster_init(&r, false, "bob", NULL), 0);
    (void)add(&r, "alice", TD_MEDIA_VIDEO);
    (void)add(&r, "bob", TD_MEDIA_VIDEO);
    assert_int_equal(take(&r), 1);
    assert_string_equal(r.outputs[0].participant, "bob");
    td_roster_done(&r);
    assert_int_equal(td_roster_init(&r, true, NULL, "TR_1000"), 0);
    next_handle = 999;
    (void)add(&r, "alice", TD_MEDIA_VIDEO);
    assert_false(td_roster_choose(&r, true));
    (void)add(&r, "bob", TD_MEDIA_AUDIO);
    assert_true(td_roster_choose(&r, false)); /* named: no patience for a video */
    assert_string_equal(r.chosen, "bob");
    assert_int_equal(take(&r), 1);
    td_roster_done(&r);
}

static void test_first_with_video(void **state)
{
    (void)state;
    struct td_roster r;
    assert_int_equal(td_roster_init(&r, true, NULL, NULL), 0);
    (void)add(&r, "alice", TD_MEDIA_AUDIO);
    assert_false(td_roster_choose(&r, false));
    assert_int_equal(take(&r), 0);
    (void)add(&r, "bob", TD_MEDIA_AUDIO);
    (void)add(&r, "bob", TD_MEDIA_VIDEO);
    assert_true(td_roster_choose(&r, false));
    assert_string_equal(r.chosen, "bob");
    assert_false(td_roster_choose(&r, true)); /* once */
    assert_int_equal(take(&r), 2);
    td_roster_done(&r);
}

static void test_audio_after_patience(void **state)
{
    (void)state;
    struct td_roster r;
    assert_int_equal(td_roster_init(&r, true, NULL, NULL), 0);
    assert_false(td_roster_choose(&r, true)); /* nobody */
    (void)add(&r, "alice", TD_MEDIA_AUDIO);
    assert_false(td_roster_choose(&r, false));
    assert_true(td_roster_choose(&r, true));
    assert_string_equal(r.chosen, "alice");
    td_roster_done(&r);
}

static void test_one_picture(void **state)
{
    (void)state;
    struct td_roster r;
    assert_int_equal(td_roster_init(&r, true, "alice", NULL), 0);
    uint32_t screen = add_role(&r, "alice", TD_MEDIA_VIDEO, TD_ROLE_SCREEN);
    uint32_t camera = add(&r, "alice", TD_MEDIA_VIDEO);
    assert_true(td_roster_choose(&r, false));
    assert_int_equal(take(&r), 1);
    assert_true(td_roster_find(&r, camera)->wanted);
    assert_false(td_roster_find(&r, screen)->wanted);
    td_roster_remove(&r, camera);
    assert_int_equal(take(&r), 1); /* without a camera the screen is the picture */
    assert_true(td_roster_find(&r, screen)->wanted);
    camera = add(&r, "alice", TD_MEDIA_VIDEO);
    assert_int_equal(take(&r), 0);
    assert_false(td_roster_find(&r, camera)->wanted);
    td_roster_done(&r);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *identity;
        const char *name;
    } rows[] = {
        {"a b", "a_b"},
        {"a/b", "a_b-2"},
        {"a:b", "a_b-3"},
        {"x.recording.ts", "x_recording.ts"},
        {"x.recording", "x_recording"},
        {"x.recording.recording.mkv", "x_recording_recording.mkv"},
        {"bob", "bob"},
        {"bob.p2", "bob_p2"},
        {"bob.p", "bob.p"},
        {"bob.p2x", "bob.p2x"},
        {"bob-2", "bob-2"},
        {"bob ", "bob_"},
    };
    struct td_roster r;
    assert_int_equal(td_roster_init(&r, false, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        uint32_t handle = add(&r, rows[i].identity, TD_MEDIA_AUDIO);
        assert_int_equal(take(&r), 1);
        assert_string_equal(name_of(&r, handle), rows[i].name);
    }
    /* A participant's name and another's screen do not meet either. */
    uint32_t named = add(&r, "carol.screen", TD_MEDIA_AUDIO);
    assert_int_equal(take(&r), 1);
    uint32_t screen = add_role(&r, "carol", TD_MEDIA_VIDEO, TD_ROLE_SCREEN);
    assert_int_equal(take(&r), 1);
    assert_string_equal(name_of(&r, named), "carol.screen");
    assert_string_not_equal(name_of(&r, screen), "carol.screen");
    td_roster_done(&r);
}

static void test_long_names_stay_apart(void **state)
{
    (void)state;
    struct td_roster r;
    assert_int_equal(td_roster_init(&r, false, NULL, NULL), 0);
    char identity[TD_SOURCE_TEXT_MAX];
    for (unsigned i = 0; i < TD_TRACKS_MAX; i++) {
        memset(identity, 'x', sizeof(identity));
        (void)snprintf(identity + 200, sizeof(identity) - 200, "%u", i);
        assert_int_not_equal(add(&r, identity, TD_MEDIA_AUDIO), 0);
    }
    assert_int_equal(take(&r), TD_TRACKS_MAX);
    for (unsigned i = 0; i < r.output_count; i++) {
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(r.outputs[i].name, r.outputs[k].name);
    }
    td_roster_done(&r);
}

static void test_limits(void **state)
{
    (void)state;
    struct td_roster r;
    char identity[32];
    assert_int_equal(td_roster_init(&r, false, NULL, NULL), 0);
    for (unsigned i = 0; i < TD_TRACKS_MAX; i++) {
        (void)snprintf(identity, sizeof(identity), "p%u", i);
        assert_int_not_equal(add(&r, identity, TD_MEDIA_AUDIO), 0);
    }
    assert_int_equal(add(&r, "late", TD_MEDIA_AUDIO), 0);
    assert_int_equal(r.refused, 1);
    assert_int_equal(take(&r), TD_TRACKS_MAX);
    /* A place for a track, but no output left: refused once, and not in everybody's way. */
    td_roster_remove(&r, r.tracks[0]->info.handle);
    uint32_t late = add(&r, "late", TD_MEDIA_AUDIO);
    assert_int_equal(take(&r), 0);
    assert_true(td_roster_find(&r, late)->refused);
    assert_int_equal(take(&r), 0);
    assert_int_equal(r.refused, 2);
    td_roster_done(&r);
}

static void test_presence(void **state)
{
    (void)state;
    struct td_roster r;
    char identity[32];
    assert_int_equal(td_roster_init(&r, false, NULL, NULL), 0);
    td_roster_presence(&r, "a", true);
    td_roster_presence(&r, "a", true);
    td_roster_presence(&r, "b", true);
    assert_int_equal(r.present_count, 2);
    td_roster_presence(&r, "nobody", false);
    td_roster_presence(&r, "b", false); /* the last of the list */
    td_roster_presence(&r, "a", false);
    assert_int_equal(r.present_count, 0);
    for (unsigned i = 0; i <= TD_PARTICIPANTS_MAX; i++) {
        (void)snprintf(identity, sizeof(identity), "p%u", i);
        td_roster_presence(&r, identity, true);
    }
    assert_int_equal(r.present_count, TD_PARTICIPANTS_MAX);
    assert_int_equal(r.refused, 1);
    td_roster_done(&r);
    td_roster_done(&r); /* harmless */
}

/* What a recording had before goes on under the same names. */
static void test_adopted(void **state)
{
    (void)state;
    struct td_roster r;
    assert_int_equal(td_roster_init(&r, false, NULL, NULL), 0);
    assert_int_equal(td_roster_adopt(&r, "a b", false, "a_b"), 0);
    assert_int_equal(td_roster_adopt(&r, "a b", true, "a_b.screen"), 0);
    assert_int_equal(td_roster_adopt(&r, "a/b", false, "a_b-2"), 0);
    assert_true(r.outputs[0].opened);
    /* Whoever comes first: each finds what was theirs. */
    uint32_t third = add(&r, "a/b", TD_MEDIA_VIDEO);
    uint32_t screen = add_role(&r, "a b", TD_MEDIA_VIDEO, TD_ROLE_SCREEN);
    uint32_t first = add(&r, "a b", TD_MEDIA_AUDIO);
    uint32_t stranger = add(&r, "a:b", TD_MEDIA_AUDIO);
    assert_int_equal(take(&r), 4);
    assert_string_equal(name_of(&r, first), "a_b");
    assert_string_equal(name_of(&r, screen), "a_b.screen");
    assert_string_equal(name_of(&r, third), "a_b-2");
    assert_string_equal(name_of(&r, stranger), "a_b-3");
    assert_int_equal(r.output_count, 4);
    assert_false(r.outputs[3].opened); /* the session makes it */
    td_roster_done(&r);
}

static void test_adopted_too_many(void **state)
{
    (void)state;
    struct td_roster r;
    char name[32];
    assert_int_equal(td_roster_init(&r, false, NULL, NULL), 0);
    for (unsigned i = 0; i < TD_TRACKS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "p%u", i);
        assert_int_equal(td_roster_adopt(&r, name, false, name), 0);
    }
    assert_int_equal(td_roster_adopt(&r, "late", false, "late"), -TD_E_LIMIT);
    assert_int_equal(r.output_count, TD_TRACKS_MAX);
    uint32_t handle = add(&r, "p7", TD_MEDIA_AUDIO);
    assert_int_equal(take(&r), 1);
    assert_string_equal(name_of(&r, handle), "p7");
    td_roster_done(&r);
}

/* The source is lost and comes back with the same handles: the same outputs. */
static void test_lost_and_back(void **state)
{
    (void)state;
    struct td_roster r;
    assert_int_equal(td_roster_init(&r, false, NULL, NULL), 0);
    td_roster_presence(&r, "alice", true);
    td_roster_presence(&r, "bob", true);
    for (unsigned life = 0; life < 3; life++) {
        next_handle = 1;
        uint32_t alice = add(&r, "alice", TD_MEDIA_VIDEO);
        uint32_t bob = add(&r, "bob", TD_MEDIA_VIDEO);
        assert_int_equal(take(&r), 2);
        assert_string_equal(name_of(&r, alice), "alice");
        assert_string_equal(name_of(&r, bob), "bob");
        td_roster_remove(&r, alice);
        td_roster_remove(&r, bob);
        td_roster_leave(&r);
        assert_int_equal(r.present_count, 0);
        assert_int_equal(r.track_count, 0);
        td_roster_presence(&r, "bob", true);
        assert_int_equal(r.present_count, 1);
    }
    assert_int_equal(r.output_count, 2);
    assert_int_equal(r.refused, 0);
    td_roster_done(&r);
}

/* In a whole room the filter is a pattern, in one file a name. */
static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        bool single;
        const char *taken; /* of alice, alan, al*, bob, in this order */
    } rows[] = {
        {NULL, false, "alice alan al* bob"},
        {"", false, "alice alan al* bob"},
        {"al*", false, "alice alan al*"},
        {"al\\*", false, "al*"},
        {"?ob", false, "bob"},
        {"[a-m]*", false, "alice alan al* bob"},
        {"[!a]*", false, "bob"},
        {"Al*", false, ""},
        {"*n", false, "alan"},
        {"al*", true, "al*"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static const char *const people[] = {"alice", "alan", "al*", "bob"};
        char taken[1024] = "";
        struct td_roster r;
        assert_int_equal(td_roster_init(&r, rows[i].single, rows[i].pattern, NULL), 0);
        for (size_t k = 0; k < sizeof(people) / sizeof(people[0]); k++)
            (void)add(&r, people[k], TD_MEDIA_AUDIO);
        (void)td_roster_choose(&r, true);
        struct td_roster_track *track;
        while ((track = td_roster_next(&r)) != NULL) {
            track->recorded = true;
            size_t len = strlen(taken);
            (void)snprintf(taken + len, sizeof(taken) - len, "%s%s", len > 0 ? " " : "",
                           track->info.participant);
        }
        assert_string_equal(taken, rows[i].taken);
        td_roster_done(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everybody),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_first_with_video),
        cmocka_unit_test(test_audio_after_patience),
        cmocka_unit_test(test_one_picture),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_long_names_stay_apart),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_presence),
        cmocka_unit_test(test_adopted),
        cmocka_unit_test(test_adopted_too_many),
        cmocka_unit_test(test_lost_and_back),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests_name("recorder/roster", tests, NULL, NULL);
}
