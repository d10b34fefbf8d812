/* SPDX-License-Identifier: Apache-2.0 */
#include "api/document.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/layout.h"

static bool put(json_t *doc, const char *key, json_t *value)
{
    return json_object_set_new(doc, key, value) == 0;
}

static json_t *time_json(int64_t wall_us)
{
    char text[TD_CLOCK_TEXT_MAX];
    if (wall_us == TD_MANIFEST_NO_TIME)
        return json_null();
    td_clock_rfc3339(wall_us, text);
    return json_string(text);
}

static json_t *output_json(const struct td_shelf_entry *e)
{
    return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:I, s:I}", "participant", e->participant,
                     "role", e->role, "part", (int)e->part, "format",
                     e->format != NULL ? e->format : "", "state", e->state, "file", e->file, "name",
                     td_layout_name(e->file), "bytes", (json_int_t)e->bytes, "duration_ms",
                     (json_int_t)e->duration_ms);
}

static json_t *outputs_json(const struct td_shelf *shelf)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < shelf->count; i++)
        json_array_append_new(array, output_json(&shelf->entries[i]));
    return array;
}

static json_t *breaks_json(const struct td_manifest *m)
{
    json_t *array = json_array();
    for (size_t i = 0; i < m->break_count; i++) {
        const struct td_manifest_break *b = &m->breaks[i];
        json_t *entry = json_object();
        put(entry, "at", time_json(b->wall_us));
        put(entry, "pts_ms", json_integer(b->pts_us / TD_US_PER_MS));
        put(entry, "hole_ms",
            b->resumed_us != TD_MANIFEST_NO_TIME
                ? json_integer((b->resumed_us - b->pts_us) / TD_US_PER_MS)
                : json_null());
        json_array_append_new(array, entry);
    }
    return array;
}

/* What a manifest says alone. */
static json_t *base_json(const struct td_manifest *m, const struct td_shelf *shelf,
                         const char *folder, bool hold)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o}", "id",
                     m->id, "room", m->room, "room_sid", m->room_sid, "state", m->state, "reason",
                     m->reason, "source", m->source, "folder", td_layout_name(folder), "hold", hold,
                     "paused", m->paused, "started_at", time_json(m->started_us), "ended_at",
                     time_json(m->ended_us), "outputs", outputs_json(shelf), "interruptions",
                     breaks_json(m));
}

uint64_t td_document_bytes(const json_t *doc)
{
    uint64_t bytes = 0;
    size_t index;
    json_t *output;
    json_array_foreach(json_object_get(doc, "outputs"), index, output)
    {
        json_int_t n = json_integer_value(json_object_get(output, "bytes"));
        bytes += n > 0 ? (uint64_t)n : 0;
    }
    return bytes;
}

static json_int_t longest_ms(const struct td_shelf *shelf, const struct td_manifest *m)
{
    json_int_t longest = 0;
    for (unsigned i = 0; i < shelf->count; i++) {
        const struct td_shelf_entry *e = &shelf->entries[i];
        int64_t first_us = 0;
        if (e->output < m->output_count && e->part <= m->outputs[e->output].part_count)
            first_us = m->outputs[e->output].parts[e->part - 1].first_pts_us;
        int64_t end_ms = e->duration_ms + (first_us > 0 ? first_us / TD_US_PER_MS : 0);
        longest = end_ms > longest ? end_ms : longest;
    }
    return longest;
}

json_t *td_document_manifest(const struct td_manifest *manifest, const char *folder, bool hold)
{
    struct td_shelf *shelf = calloc(1, sizeof(*shelf));
    if (shelf == NULL)
        return NULL;
    td_shelf_load(shelf, manifest, folder);
    json_t *doc = base_json(manifest, shelf, folder, hold);
    if (doc != NULL) {
        put(doc, "bytes", json_integer((json_int_t)td_document_bytes(doc)));
        put(doc, "pts_ms", json_integer(longest_ms(shelf, manifest)));
    }
    free(shelf);
    return doc;
}

json_t *td_document_session(const struct td_session *session, bool hold)
{
    struct td_session_status s;
    td_session_status(session, &s);
    json_t *doc = base_json(s.manifest, s.shelf, s.folder, hold);
    if (doc == NULL)
        return NULL;
    const struct td_capture_stats *n = s.stats;
    json_t *numbers = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "room",
                                s.room, "state", td_session_state_name(s.state), "reason", s.reason,
                                "pts_ms", (json_int_t)(n->pts_us / TD_US_PER_MS), "frames",
                                (json_int_t)n->frames, "lost", (json_int_t)n->lost, "recovered",
                                (json_int_t)n->recovered, "dropped", (json_int_t)n->dropped,
                                "gap_ms", (json_int_t)(n->gap_us / TD_US_PER_MS), "bytes",
                                (json_int_t)n->bytes, "memory_bytes", (json_int_t)s.memory_bytes);
    if (numbers == NULL || json_object_update_new(doc, numbers) != 0) {
        json_decref(doc);
        return NULL;
    }
    if (td_session_state_ended(s.state)) /* closed files know better */
        put(doc, "bytes", json_integer((json_int_t)td_document_bytes(doc)));
    if (s.fail->code != 0)
        put(doc, "error", json_string(s.fail->text));
    return doc;
}
