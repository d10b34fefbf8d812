/* SPDX-License-Identifier: Apache-2.0 */
#include "api/letter.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "store/catalog.h"

#define NS_PER_US 1000
#define US_PER_MS 1000

static bool is(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

const char *td_letter_event_name(enum td_letter_event event)
{
    switch (event) {
    case TD_LETTER_STARTED:
        return "egress_started";
    case TD_LETTER_UPDATED:
        return "egress_updated";
    case TD_LETTER_ENDED:
        return "egress_ended";
    case TD_LETTER_NONE:
        break;
    }
    return NULL;
}

enum td_letter_event td_letter_event_of(const char *before, const char *state, bool started,
                                        bool final)
{
    if (final)
        return TD_LETTER_ENDED;
    if (is(state, "starting")) /* the source has not accepted yet */
        return TD_LETTER_NONE;
    if (!started)
        return TD_LETTER_STARTED;
    return before == NULL || !is(before, state) ? TD_LETTER_UPDATED : TD_LETTER_NONE;
}

const char *td_letter_status(const char *state, const char *reason)
{
    static const char *const limits[] = {"duration", "size_limit", "memory_limit", "disk_full"};
    if (is(state, "failed"))
        return "EGRESS_FAILED";
    if (is(state, "aborted"))
        return "EGRESS_ABORTED";
    if (is(state, "finishing"))
        return "EGRESS_ENDING";
    if (is(state, "starting") || is(state, "waiting"))
        return "EGRESS_STARTING";
    if (!is(state, "complete"))
        return "EGRESS_ACTIVE"; /* recording, paused, interrupted */
    for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
        if (is(reason, limits[i]))
            return "EGRESS_LIMIT_REACHED";
    }
    return "EGRESS_COMPLETE";
}

/* ---- reading the document ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* Nanoseconds since 1970 of a time as the document has it; 0 = not there. */
static int64_t time_ns(const json_t *object, const char *key)
{
    GDateTime *time = g_date_time_new_from_iso8601(text_of(object, key), NULL);
    if (time == NULL)
        return 0;
    int64_t us = g_date_time_to_unix(time) * TD_US_PER_S + g_date_time_get_microsecond(time);
    g_date_time_unref(time);
    return us * NS_PER_US;
}

/* ---- writing ---- */

/* Each setter answers whether all went well so far: the last one tells it of all. */
static bool put(bool ok, json_t *object, const char *key, json_t *value)
{
    if (!ok) {
        json_decref(value);
        return false;
    }
    return json_object_set_new(object, key, value) == 0;
}

static bool put_text(bool ok, json_t *object, const char *key, const char *text)
{
    return text[0] != '\0' ? put(ok, object, key, json_string(text)) : ok;
}

/* 64-bit numbers are texts in protobuf's JSON; 0 is its default and is left out. */
static bool put_number(bool ok, json_t *object, const char *key, int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    return number != 0 ? put_text(ok, object, key, text) : ok;
}

static json_t *file_result(const json_t *doc, const json_t *output)
{
    int64_t started_ns = time_ns(output, "started_at");
    int64_t ended_ns = time_ns(output, "ended_at");
    json_t *file = json_object();
    bool ok = put_text(file != NULL, file, "filename", text_of(output, "file"));
    ok = put_text(ok, file, "location", text_of(output, "file"));
    ok = put_number(ok, file, "startedAt",
                    started_ns != 0 ? started_ns : time_ns(doc, "started_at"));
    ok = put_number(ok, file, "endedAt", ended_ns != 0 ? ended_ns : time_ns(doc, "ended_at"));
    ok = put_number(ok, file, "duration",
                    json_integer_value(json_object_get(output, "duration_ms")) * US_PER_MS *
                        NS_PER_US);
    ok = put_number(ok, file, "size", json_integer_value(json_object_get(output, "bytes")));
    if (!ok) {
        json_decref(file);
        return NULL;
    }
    return file;
}

static json_t *file_results(const json_t *doc)
{
    const json_t *outputs = json_object_get(doc, "outputs");
    json_t *files = json_array();
    bool ok = files != NULL;
    for (size_t i = 0; ok && i < json_array_size(outputs); i++) {
        const json_t *output = json_array_get(outputs, i);
        if (text_of(output, "file")[0] != '\0')
            ok = json_array_append_new(files, file_result(doc, output)) == 0;
    }
    if (!ok) {
        json_decref(files);
        return NULL;
    }
    return files;
}

static json_t *egress_info(const json_t *doc, int64_t now_us)
{
    const char *state = text_of(doc, "state");
    const char *error = text_of(doc, "error");
    const char *status = td_letter_status(state, text_of(doc, "reason"));
    if (is(status, "EGRESS_LIMIT_REACHED") && error[0] == '\0')
        error = "Session limit reached"; /* LiveKit's sentence */
    json_t *info = json_object();
    bool ok = put_text(info != NULL, info, "egressId", text_of(doc, "id"));
    ok = put_text(ok, info, "roomId", text_of(doc, "room_sid"));
    ok = put_text(ok, info, "roomName", text_of(doc, "room"));
    ok = put_text(ok, info, "sourceType", "EGRESS_SOURCE_TYPE_SDK");
    ok = put_text(ok, info, "status", status);
    ok = put_number(ok, info, "startedAt", time_ns(doc, "started_at"));
    ok = put_number(ok, info, "endedAt", time_ns(doc, "ended_at"));
    ok = put_number(ok, info, "updatedAt", now_us * NS_PER_US);
    ok = put_text(ok, info, "error", error);
    ok = put(ok, info, "fileResults", file_results(doc));
    if (!ok) {
        json_decref(info);
        return NULL;
    }
    return info;
}

/* malloc'ed. */
static int dump(const json_t *letter, char **ret_text)
{
    /* Not json_dumps: jansson 2.14 drops an object's key when its buffer cannot grow. */
    size_t size = json_dumpb(letter, NULL, 0, JSON_COMPACT);
    if (size == 0 || size >= TD_CATALOG_TEXT_MAX)
        return size == 0 ? -ENOMEM : -TD_E_LIMIT;
    char *text = malloc(size + 1);
    if (text == NULL)
        return -ENOMEM;
    if (json_dumpb(letter, text, size, JSON_COMPACT) != size) {
        free(text);
        return -ENOMEM;
    }
    text[size] = '\0';
    *ret_text = text;
    return 0;
}

int td_letter_write(enum td_letter_event event, const json_t *doc, int64_t now_us, char **ret_text)
{
    const char *name = td_letter_event_name(event);
    char id[TD_ID_MAX];
    int r = name != NULL ? td_id_new("EV", id) : -EINVAL;
    if (r < 0)
        return r;
    json_t *letter = json_object();
    bool ok = put_text(letter != NULL, letter, "event", name);
    ok = put_text(ok, letter, "id", id);
    ok = put_number(ok, letter, "createdAt", now_us / TD_US_PER_S);
    ok = put(ok, letter, "egressInfo", egress_info(doc, now_us));
    ok = put(ok, letter, "recording", json_deep_copy(doc));
    r = ok ? dump(letter, ret_text) : -ENOMEM;
    if (r == -TD_E_LIMIT && json_object_del(letter, "recording") == 0)
        r = dump(letter, ret_text);
    json_decref(letter);
    return r;
}

/* ---- the next try ---- */

int64_t td_letter_next_us(int64_t made_us, int64_t now_us, unsigned tries, uint32_t random)
{
    int64_t end_us = made_us + TD_LETTER_LIFE_US;
    if (now_us >= end_us)
        return INT64_MAX;
    int64_t wait_us = TD_LETTER_WAIT_US_MAX;
    if (tries < 10) /* 2^10 s are more than the longest wait */
        wait_us = MIN(TD_LETTER_WAIT_US << tries, TD_LETTER_WAIT_US_MAX);
    /* Up to a quarter earlier, so that what failed together does not come back together. */
    wait_us -= (int64_t)(random % 1024) * wait_us / 4096;
    return MIN(now_us + wait_us, end_us); /* the last try is at its end */
}
