/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/manifest.h"

static void make(struct td_manifest *m)
{
    td_manifest_init(m);
    TD_MANIFEST_SET(m->id, "rec_abcdefghijklmnop");
    TD_MANIFEST_SET(m->room, "Blauer Saal \"1\" \xc3\xa4");
    TD_MANIFEST_SET(m->room_sid, "RM_1");
    TD_MANIFEST_SET(m->state, "complete");
    TD_MANIFEST_SET(m->reason, "room_closed");
    TD_MANIFEST_SET(m->software, "tapedeck 0.1.0");
    m->started_us = INT64_C(1795253400123000); /* 2026-11-21T09:30:00.123Z */
    m->ended_us = INT64_C(1795257000000000);
    m->zero_us = INT64_C(1795253400456789);
    m->paused_us = INT64_C(61000001);
    m->paused = true;
    TD_MANIFEST_SET(m->source, "livekit");
    assert_int_equal(td_manifest_set_request(m, "{\"room\":\"\u00e4\"}"), 0);
    struct td_manifest_break entry = {.wall_us = INT64_C(1795253500000000), .pts_us = 99543211};
    for (int i = 0; i < 11; i++) {
        entry.resumed_us = i == 10 ? TD_MANIFEST_NO_TIME : entry.pts_us + i;
        assert_int_equal(td_manifest_add_break(m, &entry), i);
    }
    struct td_manifest_track track = {.offset_us = -1500};
    TD_MANIFEST_SET(track.participant, "alice");
    TD_MANIFEST_SET(track.name, "Alice A.");
    TD_MANIFEST_SET(track.sid, "TR_1");
    TD_MANIFEST_SET(track.kind, "video");
    TD_MANIFEST_SET(track.role, "camera");
    TD_MANIFEST_SET(track.codec, "H264");
    for (int i = 0; i < 37; i++) {
        track.offset_us = i == 7 ? TD_MANIFEST_NO_TIME : i - 5;
        assert_int_equal(td_manifest_add_track(m, &track), i);
    }
    struct td_manifest_part part = {
        .bytes = UINT64_C(5000000000), .duration_ms = 3600000, .first_pts_us = 0, .lost_ms = 120};
    TD_MANIFEST_SET(part.file, "alice.ts");
    TD_MANIFEST_SET(part.format, "ts");
    TD_MANIFEST_SET(part.state, "complete");
    struct td_manifest_output output = {.parts = &part, .part_count = 1};
    TD_MANIFEST_SET(output.participant, "alice");
    TD_MANIFEST_SET(output.role, "av");
    TD_MANIFEST_SET(output.name, "alice-2");
    assert_int_equal(td_manifest_add_output(m, &output), 0);
    output.part_count = 0;
    assert_int_equal(td_manifest_add_output(m, &output), 1);
    for (int i = 0; i < 9; i++) {
        (void)snprintf(part.file, sizeof(part.file), "alice.p%d.mkv", i);
        part.first_pts_us = i == 3 ? TD_MANIFEST_NO_TIME : i * 1000;
        assert_int_equal(td_manifest_add_part(m, 1, &part), i);
    }
    assert_int_equal(td_manifest_add_part(m, 2, &part), -TD_E_USAGE);
}

static void assert_same(const struct td_manifest *a, const struct td_manifest *b)
{
    assert_string_equal(a->id, b->id);
    assert_string_equal(a->room, b->room);
    assert_string_equal(a->room_sid, b->room_sid);
    assert_string_equal(a->state, b->state);
    assert_string_equal(a->reason, b->reason);
    assert_string_equal(a->software, b->software);
    assert_true(a->started_us == b->started_us);
    assert_true(a->ended_us == b->ended_us);
    assert_true(a->zero_us == b->zero_us);
    assert_true(a->paused_us == b->paused_us);
    assert_int_equal(a->paused, b->paused);
    assert_string_equal(a->source, b->source);
    assert_true((a->request == NULL) == (b->request == NULL));
    if (a->request != NULL)
        assert_string_equal(a->request, b->request);
    assert_int_equal(a->break_count, b->break_count);
    for (size_t i = 0; i < a->break_count; i++) {
        assert_true(a->breaks[i].wall_us == b->breaks[i].wall_us);
        assert_true(a->breaks[i].pts_us == b->breaks[i].pts_us);
        assert_true(a->breaks[i].resumed_us == b->breaks[i].resumed_us);
    }
    assert_int_equal(a->track_count, b->track_count);
    for (size_t i = 0; i < a->track_count; i++) {
        assert_string_equal(a->tracks[i].participant, b->tracks[i].participant);
        assert_string_equal(a->tracks[i].name, b->tracks[i].name);
        assert_string_equal(a->tracks[i].sid, b->tracks[i].sid);
        assert_string_equal(a->tracks[i].kind, b->tracks[i].kind);
        assert_string_equal(a->tracks[i].role, b->tracks[i].role);
        assert_string_equal(a->tracks[i].codec, b->tracks[i].codec);
        assert_true(a->tracks[i].offset_us == b->tracks[i].offset_us);
    }
    assert_int_equal(a->output_count, b->output_count);
    for (size_t i = 0; i < a->output_count; i++) {
        const struct td_manifest_output *x = &a->outputs[i];
        const struct td_manifest_output *y = &b->outputs[i];
        assert_string_equal(x->participant, y->participant);
        assert_string_equal(x->role, y->role);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->part_count, y->part_count);
        for (size_t k = 0; k < x->part_count; k++) {
            assert_string_equal(x->parts[k].file, y->parts[k].file);
            assert_string_equal(x->parts[k].format, y->parts[k].format);
            assert_string_equal(x->parts[k].state, y->parts[k].state);
            assert_true(x->parts[k].bytes == y->parts[k].bytes);
            assert_true(x->parts[k].duration_ms == y->parts[k].duration_ms);
            assert_true(x->parts[k].first_pts_us == y->parts[k].first_pts_us);
            assert_true(x->parts[k].lost_ms == y->parts[k].lost_ms);
        }
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    struct td_manifest m;
    make(&m);
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(td_manifest_write(&m, &text, &len), 0);
    assert_int_equal(strlen(text), len);
    assert_int_equal(text[len - 1], '\n');
    assert_non_null(strstr(text, "\"started\": \"2026-11-21T09:30:00.123Z\""));
    assert_non_null(strstr(text, "\"format\": 1"));
    struct td_manifest back;
    assert_int_equal(td_manifest_read(text, len, &back), 0);
    assert_same(&m, &back);
    free(text);
    td_manifest_done(&back);
    td_manifest_done(&m);
}

static void test_empty(void **state)
{
    (void)state;
    struct td_manifest m;
    td_manifest_init(&m);
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(td_manifest_write(&m, &text, &len), 0);
    assert_null(strstr(text, "started"));
    assert_null(strstr(text, "paused"));
    assert_null(strstr(text, "request"));
    assert_non_null(strstr(text, "\"interruptions\": []"));
    struct td_manifest back;
    assert_int_equal(td_manifest_read(text, len, &back), 0);
    assert_same(&m, &back);
    free(text);
    td_manifest_done(&back);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"1970-01-01T00:00:00.000Z", 0},
        {"2000-02-29T23:59:59.999Z", INT64_C(951868799999000)},
        {"2100-03-01T00:00:00.000Z", INT64_C(4107542400000000)},
        {"2026-11-21T09:30:00Z", TD_MANIFEST_NO_TIME},
        {"2026-11-21 09:30:00.000Z", TD_MANIFEST_NO_TIME},
        {"2026-11-21T09:30:00.0x0Z", TD_MANIFEST_NO_TIME},
        {"", TD_MANIFEST_NO_TIME},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[128];
        int n = snprintf(text, sizeof(text), "{\"format\":1,\"started\":\"%s\"}", rows[i].text);
        struct td_manifest m;
        assert_int_equal(td_manifest_read(text, (size_t)n, &m), 0);
        assert_true(m.started_us == rows[i].us);
        td_manifest_done(&m);
    }
}

static void test_tolerant(void **state)
{
    (void)state;
    static const char text[] =
        "{\"format\":1,\"new\":{\"a\":[1,2]},\"room\":7,\"id\":\"rec_x\","
        "\"tracks\":[{\"sid\":\"TR_1\",\"more\":true},3,null],\"zero_us\":\"soon\","
        "\"outputs\":[{\"parts\":[{\"file\":\"a.ts\",\"bytes\":-5},[]]},{\"parts\":{}}]}";
    struct td_manifest m;
    assert_int_equal(td_manifest_read(text, sizeof(text) - 1, &m), 0);
    assert_string_equal(m.id, "rec_x");
    assert_string_equal(m.room, "");
    assert_true(m.zero_us == TD_MANIFEST_NO_TIME);
    assert_int_equal(m.track_count, 3);
    assert_string_equal(m.tracks[0].sid, "TR_1");
    assert_int_equal(m.output_count, 2);
    assert_int_equal(m.outputs[0].part_count, 2);
    assert_int_equal(m.outputs[0].parts[0].bytes, 0);
    td_manifest_done(&m);
}

/* What an older version wrote has none of these, and what is there may be of another kind. */
static void test_interruptions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        int64_t pts_us;
        int64_t resumed_us;
        bool paused;
    } rows[] = {
        {"", 0, 0, 0, false},
        {",\"interruptions\":7,\"paused\":1,\"paused_us\":\"x\"", 0, 0, 0, false},
        {",\"interruptions\":{\"t\":1},\"paused\":\"true\"", 0, 0, 0, false},
        {",\"interruptions\":[{}],\"paused\":true", 1, 0, TD_MANIFEST_NO_TIME, true},
        {",\"interruptions\":[{\"pts_us\":5,\"resumed_us\":null}]", 1, 5, TD_MANIFEST_NO_TIME,
         false},
        {",\"interruptions\":[{\"pts_us\":5,\"resumed_us\":6,\"why\":\"x\"}],\"paused\":false", 1,
         5, 6, false},
        {",\"request\":{\"room\":\"x\"}", 0, 0, 0, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];
        struct td_manifest m;
        int n = snprintf(text, sizeof(text), "{\"format\":1%s}", rows[i].text);
        assert_int_equal(td_manifest_read(text, (size_t)n, &m), 0);
        assert_int_equal(m.break_count, rows[i].count);
        assert_int_equal(m.paused, rows[i].paused);
        assert_true(m.paused_us == 0);
        assert_null(m.request);
        if (m.break_count > 0) {
            assert_true(m.breaks[0].wall_us == TD_MANIFEST_NO_TIME);
            assert_true(m.breaks[0].pts_us == rows[i].pts_us);
            assert_true(m.breaks[0].resumed_us == rows[i].resumed_us);
        }
        td_manifest_done(&m);
    }
}

/* The last one counts; nothing is kept of the others. */
static void test_request(void **state)
{
    (void)state;
    struct td_manifest m;
    td_manifest_init(&m);
    assert_int_equal(td_manifest_set_request(&m, "{\"a\":1}"), 0);
    assert_int_equal(td_manifest_set_request(&m, "{}"), 0);
    assert_string_equal(m.request, "{}");
    td_manifest_done(&m);
    assert_null(m.request);
    assert_int_equal(m.break_count, 0);
    td_manifest_done(&m); /* harmless */
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"", -TD_E_PARSE},
        {"{", -TD_E_PARSE},
        {"[]", -TD_E_PARSE},
        {"{}", -TD_E_PARSE},
        {"{\"format\":\"1\"}", -TD_E_PARSE},
        {"{\"format\":2}", -TD_E_UNSUPPORTED},
        {"{\"format\":1} x", -TD_E_PARSE},
        {"{\"format\":1,\"id\":\"\xff\"}", -TD_E_PARSE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_manifest m = {.track_count = 77};
        assert_int_equal(td_manifest_read(rows[i].text, strlen(rows[i].text), &m), rows[i].error);
        assert_int_equal(m.track_count, 77);
    }
    struct td_manifest m;
    assert_int_equal(td_manifest_read("", (size_t)TD_MANIFEST_BYTES_MAX + 1, &m), -TD_E_LIMIT);
}

/* Prefixes of a real one: an error or, at the very end, success. */
static void test_prefixes(void **state)
{
    (void)state;
    struct td_manifest m;
    make(&m);
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(td_manifest_write(&m, &text, &len), 0);
    td_manifest_done(&m);
    for (size_t cut = 0; cut < len - 1; cut += 7) {
        assert_int_equal(td_manifest_read(text, cut, &m), -TD_E_PARSE);
    }
    free(text);
}

static void test_limits(void **state)
{
    (void)state;
    struct td_manifest m;
    td_manifest_init(&m);
    struct td_manifest_track track = {.offset_us = 0};
    for (unsigned i = 0; i < TD_MANIFEST_TRACKS_MAX; i++) {
        assert_int_equal(td_manifest_add_track(&m, &track), i);
    }
    assert_int_equal(td_manifest_add_track(&m, &track), -TD_E_LIMIT);
    struct td_manifest_output output = {.part_count = 0};
    for (unsigned i = 0; i < TD_MANIFEST_OUTPUTS_MAX; i++) {
        assert_int_equal(td_manifest_add_output(&m, &output), i);
    }
    assert_int_equal(td_manifest_add_output(&m, &output), -TD_E_LIMIT);
    struct td_manifest_part part = {.bytes = 0};
    for (unsigned i = 0; i < TD_MANIFEST_PARTS_MAX; i++) {
        assert_int_equal(td_manifest_add_part(&m, 3, &part), i);
    }
    assert_int_equal(td_manifest_add_part(&m, 3, &part), -TD_E_LIMIT);
    struct td_manifest_break entry = {.pts_us = 0};
    for (unsigned i = 0; i < TD_MANIFEST_BREAKS_MAX; i++) {
        assert_int_equal(td_manifest_add_break(&m, &entry), i);
    }
    assert_int_equal(td_manifest_add_break(&m, &entry), -TD_E_LIMIT);
    assert_int_equal(m.break_count, TD_MANIFEST_BREAKS_MAX);
    /* All of it at once is still a manifest. */
    char *text = NULL;
    size_t len = 0;
    struct td_manifest back;
    assert_int_equal(td_manifest_write(&m, &text, &len), 0);
    assert_int_equal(td_manifest_read(text, len, &back), 0);
    assert_int_equal(back.break_count, TD_MANIFEST_BREAKS_MAX);
    assert_int_equal(back.output_count, TD_MANIFEST_OUTPUTS_MAX);
    free(text);
    td_manifest_done(&back);
    td_manifest_done(&m);
}

static void test_set(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *field;
    } rows[] = {
        {NULL, ""},
        {"", ""},
        {"abcdefg", "abcdefg"},
        {"abcdefgh", "abcdefg"},
        {"abcdef\xc3\xa4", "abcdef"}, /* does not fit whole */
        {"abcde\xc3\xa4", "abcde\xc3\xa4"},
        {"a\xffz", "a?z"},         /* no UTF-8 at all */
        {"a\xc0\x80z", "a??z"},    /* overlong */
        {"a\xed\xa0\x80", "a???"}, /* surrogate */
        {"\xf0\x9f\x8e\xa5x", "\xf0\x9f\x8e\xa5x"},
        {"a\xe2\x82", "a??"},         /* cut short */
        {"\xf4\x90\x80\x80", "????"}, /* above U+10FFFF */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char field[8] = "xxxxxxx";
        TD_MANIFEST_SET(field, rows[i].text);
        assert_string_equal(field, rows[i].field);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_empty),
        cmocka_unit_test(test_times),         cmocka_unit_test(test_tolerant),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_set),
        cmocka_unit_test(test_interruptions), cmocka_unit_test(test_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
