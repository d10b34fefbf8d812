/* SPDX-License-Identifier: Apache-2.0 */
#include "store/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/utf8.h"

#define MANIFEST_GROW_MIN 4u

void td_manifest_init(struct td_manifest *m)
{
    *m = (struct td_manifest){
        .started_us = TD_MANIFEST_NO_TIME,
        .ended_us = TD_MANIFEST_NO_TIME,
        .zero_us = TD_MANIFEST_NO_TIME,
    };
}

void td_manifest_done(struct td_manifest *m)
{
    for (size_t i = 0; i < m->output_count; i++) {
        free(m->outputs[i].parts);
    }
    free(m->outputs);
    free(m->tracks);
    free(m->breaks);
    free(m->request);
    td_manifest_init(m);
}

void td_manifest_set(char *field, size_t field_size, const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    size_t out = 0;
    for (size_t at = 0; at < len;) {
        size_t n = td_utf8_len(text + at, len - at);
        const char *from = n > 0 ? text + at : "?"; /* a JSON string holds UTF-8 only */
        n = n > 0 ? n : 1;
        if (n >= field_size - out) {
            break;
        }
        memcpy(field + out, from, n);
        out += n;
        at += n;
    }
    field[out] = '\0';
}

/* Room for one more element of `size` bytes in an array of `count`: grows by doubling, so that the
 * count alone says what the capacity is (a power of two from MANIFEST_GROW_MIN). */
static int array_grow(void **array, size_t count, size_t size, size_t count_max)
{
    if (count >= count_max) {
        return -TD_E_LIMIT;
    }
    bool full = count == 0 || (count >= MANIFEST_GROW_MIN && (count & (count - 1)) == 0);
    if (!full) {
        return 0;
    }
    size_t capacity = count == 0 ? MANIFEST_GROW_MIN : count * 2;
    void *grown = realloc(*array, capacity * size);
    if (grown == NULL) {
        return -ENOMEM;
    }
    *array = grown;
    return 0;
}

int td_manifest_add_track(struct td_manifest *m, const struct td_manifest_track *track)
{
    void *array = m->tracks;
    int r = array_grow(&array, m->track_count, sizeof(*m->tracks), TD_MANIFEST_TRACKS_MAX);
    m->tracks = array;
    if (r < 0) {
        return r;
    }
    m->tracks[m->track_count] = *track;
    return (int)m->track_count++;
}

int td_manifest_add_part(struct td_manifest *m, size_t output, const struct td_manifest_part *part)
{
    if (output >= m->output_count) {
        return -TD_E_USAGE;
    }
    struct td_manifest_output *o = &m->outputs[output];
    void *array = o->parts;
    int r = array_grow(&array, o->part_count, sizeof(*o->parts), TD_MANIFEST_PARTS_MAX);
    o->parts = array;
    if (r < 0) {
        return r;
    }
    o->parts[o->part_count] = *part;
    return (int)o->part_count++;
}

int td_manifest_add_output(struct td_manifest *m, const struct td_manifest_output *output)
{
    void *array = m->outputs;
    int r = array_grow(&array, m->output_count, sizeof(*m->outputs), TD_MANIFEST_OUTPUTS_MAX);
    m->outputs = array;
    if (r < 0) {
        return r;
    }
    size_t index = m->output_count++;
    m->outputs[index] = *output;
    m->outputs[index].parts = NULL;
    m->outputs[index].part_count = 0;
    for (size_t i = 0; i < output->part_count && r >= 0; i++) {
        r = td_manifest_add_part(m, index, &output->parts[i]);
    }
    if (r < 0) {
        m->output_count--;
        free(m->outputs[index].parts);
        return r;
    }
    return (int)index;
}

int td_manifest_add_break(struct td_manifest *m, const struct td_manifest_break *entry)
{
    void *array = m->breaks;
    int r = array_grow(&array, m->break_count, sizeof(*m->breaks), TD_MANIFEST_BREAKS_MAX);
    m->breaks = array;
    if (r < 0) {
        return r;
    }
    m->breaks[m->break_count] = *entry;
    return (int)m->break_count++;
}

int td_manifest_set_request(struct td_manifest *m, const char *request)
{
    char *copy = strdup(request);
    if (copy == NULL) {
        return -ENOMEM;
    }
    free(m->request);
    m->request = copy;
    return 0;
}

/* ---- writing ---- */

/* Takes `value` (which may be NULL: no memory) in any case. */
static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static bool put_text(json_t *object, const char *key, const char *text)
{
    return put(object, key, json_string(text));
}

static bool put_number(json_t *object, const char *key, int64_t value)
{
    return put(object, key, json_integer(value));
}

static bool put_known(json_t *object, const char *key, int64_t value)
{
    return value == TD_MANIFEST_NO_TIME || put_number(object, key, value);
}

static bool put_time(json_t *object, const char *key, int64_t wall_us)
{
    if (wall_us == TD_MANIFEST_NO_TIME) {
        return true;
    }
    char text[TD_CLOCK_TEXT_MAX];
    td_clock_rfc3339(wall_us, text);
    return put_text(object, key, text);
}

static json_t *track_json(const struct td_manifest_track *t)
{
    json_t *o = json_object();
    bool ok = o != NULL && put_text(o, "participant", t->participant) &&
              put_text(o, "name", t->name) && put_text(o, "sid", t->sid) &&
              put_text(o, "kind", t->kind) && put_text(o, "role", t->role) &&
              put_text(o, "codec", t->codec) && put_known(o, "offset_us", t->offset_us);
    if (!ok) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *part_json(const struct td_manifest_part *p)
{
    json_t *o = json_object();
    bool ok = o != NULL && put_text(o, "file", p->file) && put_text(o, "format", p->format) &&
              put_text(o, "state", p->state) &&
              put_number(o, "bytes", p->bytes > INT64_MAX ? INT64_MAX : (int64_t)p->bytes) &&
              put_number(o, "duration_ms", p->duration_ms) &&
              put_known(o, "first_pts_us", p->first_pts_us) && put_number(o, "lost_ms", p->lost_ms);
    if (!ok) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *parts_json(const struct td_manifest_output *output)
{
    json_t *a = json_array();
    for (size_t i = 0; a != NULL && i < output->part_count; i++) {
        if (json_array_append_new(a, part_json(&output->parts[i])) != 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static json_t *output_json(const struct td_manifest_output *output)
{
    json_t *o = json_object();
    bool ok = o != NULL && put_text(o, "participant", output->participant) &&
              put_text(o, "role", output->role) && put_text(o, "name", output->name) &&
              put(o, "parts", parts_json(output));
    if (!ok) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *tracks_json(const struct td_manifest *m)
{
    json_t *a = json_array();
    for (size_t i = 0; a != NULL && i < m->track_count; i++) {
        if (json_array_append_new(a, track_json(&m->tracks[i])) != 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static json_t *outputs_json(const struct td_manifest *m)
{
    json_t *a = json_array();
    for (size_t i = 0; a != NULL && i < m->output_count; i++) {
        if (json_array_append_new(a, output_json(&m->outputs[i])) != 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static json_t *break_json(const struct td_manifest_break *b)
{
    json_t *o = json_object();
    bool ok = o != NULL && put_time(o, "t", b->wall_us) && put_known(o, "pts_us", b->pts_us) &&
              put_known(o, "resumed_us", b->resumed_us);
    if (!ok) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *breaks_json(const struct td_manifest *m)
{
    json_t *a = json_array();
    for (size_t i = 0; a != NULL && i < m->break_count; i++) {
        if (json_array_append_new(a, break_json(&m->breaks[i])) != 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static json_t *manifest_json(const struct td_manifest *m)
{
    json_t *o = json_object();
    bool ok = o != NULL && put_number(o, "format", TD_MANIFEST_FORMAT) &&
              put_text(o, "id", m->id) && put_text(o, "room", m->room) &&
              put_text(o, "room_sid", m->room_sid) && put_text(o, "state", m->state) &&
              put_text(o, "reason", m->reason) && put_time(o, "started", m->started_us) &&
              put_time(o, "ended", m->ended_us) && put_known(o, "zero_us", m->zero_us) &&
              (m->paused_us == 0 || put_number(o, "paused_us", m->paused_us)) &&
              (!m->paused || put(o, "paused", json_true())) && put_text(o, "source", m->source) &&
              (m->request == NULL || put_text(o, "request", m->request)) &&
              put(o, "interruptions", breaks_json(m)) && put(o, "tracks", tracks_json(m)) &&
              put(o, "outputs", outputs_json(m)) && put_text(o, "software", m->software);
    if (!ok) {
        json_decref(o);
        return NULL;
    }
    return o;
}

int td_manifest_write(const struct td_manifest *m, char **ret_text, size_t *ret_len)
{
    json_t *o = manifest_json(m);
    if (o == NULL) {
        return -ENOMEM;
    }
    char *text = json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    if (text == NULL) {
        return -ENOMEM;
    }
    size_t len = strlen(text);
    char *whole = len < TD_MANIFEST_BYTES_MAX ? realloc(text, len + 2) : NULL;
    if (whole == NULL) {
        free(text);
        return len < TD_MANIFEST_BYTES_MAX ? -ENOMEM : -TD_E_LIMIT;
    }
    whole[len] = '\n';
    whole[len + 1] = '\0';
    *ret_text = whole;
    *ret_len = len + 1;
    return 0;
}

/* ---- reading: a missing key or one of another type leaves the field as it was ---- */

static void get_text(const json_t *object, const char *key, char *field, size_t field_size)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text != NULL) {
        td_manifest_set(field, field_size, text);
    }
}

static void get_number(const json_t *object, const char *key, int64_t *field)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value)) {
        *field = json_integer_value(value);
    }
}

static void get_time(const json_t *object, const char *key, int64_t *field)
{
    const char *text = json_string_value(json_object_get(object, key));
    int64_t wall_us;
    if (text != NULL && td_clock_parse_rfc3339(text, &wall_us) == 0) {
        *field = wall_us;
    }
}

#define GET_TEXT(object, key, field) get_text((object), (key), (field), sizeof(field))

static int read_track(struct td_manifest *m, const json_t *o)
{
    struct td_manifest_track t = {.offset_us = TD_MANIFEST_NO_TIME};
    GET_TEXT(o, "participant", t.participant);
    GET_TEXT(o, "name", t.name);
    GET_TEXT(o, "sid", t.sid);
    GET_TEXT(o, "kind", t.kind);
    GET_TEXT(o, "role", t.role);
    GET_TEXT(o, "codec", t.codec);
    get_number(o, "offset_us", &t.offset_us);
    int r = td_manifest_add_track(m, &t);
    return r < 0 ? r : 0;
}

static int read_part(struct td_manifest *m, size_t output, const json_t *o)
{
    struct td_manifest_part p = {.first_pts_us = TD_MANIFEST_NO_TIME};
    GET_TEXT(o, "file", p.file);
    GET_TEXT(o, "format", p.format);
    GET_TEXT(o, "state", p.state);
    int64_t bytes = 0;
    get_number(o, "bytes", &bytes);
    p.bytes = bytes > 0 ? (uint64_t)bytes : 0;
    get_number(o, "duration_ms", &p.duration_ms);
    get_number(o, "first_pts_us", &p.first_pts_us);
    get_number(o, "lost_ms", &p.lost_ms);
    int r = td_manifest_add_part(m, output, &p);
    return r < 0 ? r : 0;
}

static int read_output(struct td_manifest *m, const json_t *o)
{
    struct td_manifest_output output = {.part_count = 0};
    GET_TEXT(o, "participant", output.participant);
    GET_TEXT(o, "role", output.role);
    GET_TEXT(o, "name", output.name);
    int index = td_manifest_add_output(m, &output);
    if (index < 0) {
        return index;
    }
    const json_t *parts = json_object_get(o, "parts");
    for (size_t i = 0; i < json_array_size(parts); i++) {
        int r = read_part(m, (size_t)index, json_array_get(parts, i));
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int read_break(struct td_manifest *m, const json_t *o)
{
    struct td_manifest_break b = {.wall_us = TD_MANIFEST_NO_TIME,
                                  .resumed_us = TD_MANIFEST_NO_TIME};
    get_time(o, "t", &b.wall_us);
    get_number(o, "pts_us", &b.pts_us);
    get_number(o, "resumed_us", &b.resumed_us);
    int r = td_manifest_add_break(m, &b);
    return r < 0 ? r : 0;
}

static int read_request(struct td_manifest *m, const json_t *o)
{
    const char *request = json_string_value(json_object_get(o, "request"));
    return request != NULL ? td_manifest_set_request(m, request) : 0;
}

/* Each element of the array under `key`, until one fails. */
static int read_array(struct td_manifest *m, const json_t *o, const char *key,
                      int (*read)(struct td_manifest *m, const json_t *o))
{
    const json_t *array = json_object_get(o, key);
    int r = 0;
    for (size_t i = 0; i < json_array_size(array) && r == 0; i++) {
        r = read(m, json_array_get(array, i));
    }
    return r;
}

static int read_all(struct td_manifest *m, const json_t *o)
{
    int64_t format = 0;
    get_number(o, "format", &format);
    if (format != TD_MANIFEST_FORMAT) {
        return format == 0 ? -TD_E_PARSE : -TD_E_UNSUPPORTED;
    }
    GET_TEXT(o, "id", m->id);
    GET_TEXT(o, "room", m->room);
    GET_TEXT(o, "room_sid", m->room_sid);
    GET_TEXT(o, "state", m->state);
    GET_TEXT(o, "reason", m->reason);
    get_time(o, "started", &m->started_us);
    get_time(o, "ended", &m->ended_us);
    get_number(o, "zero_us", &m->zero_us);
    GET_TEXT(o, "software", m->software);
    get_number(o, "paused_us", &m->paused_us);
    m->paused = json_is_true(json_object_get(o, "paused"));
    GET_TEXT(o, "source", m->source);
    int r = read_request(m, o);
    if (r == 0) {
        r = read_array(m, o, "interruptions", read_break);
    }
    if (r == 0) {
        r = read_array(m, o, "tracks", read_track);
    }
    return r < 0 ? r : read_array(m, o, "outputs", read_output);
}

int td_manifest_read(const char *text, size_t len, struct td_manifest *ret_manifest)
{
    if (len > TD_MANIFEST_BYTES_MAX) {
        return -TD_E_LIMIT;
    }
    /* jansson bounds the nesting itself (JSON_PARSER_MAX_DEPTH). */
    json_error_t error;
    json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (o == NULL) {
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -TD_E_PARSE;
    }
    struct td_manifest m;
    td_manifest_init(&m);
    int r = json_is_object(o) ? read_all(&m, o) : -TD_E_PARSE;
    json_decref(o);
    if (r < 0) {
        td_manifest_done(&m);
        return r;
    }
    *ret_manifest = m;
    return 0;
}
