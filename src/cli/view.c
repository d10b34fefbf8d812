/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/view.h"

#include <inttypes.h>
#include <string.h>

#include "cli/readable.h"

#define NAME_MAX_WIDTH 32
#define STATE_MAX 96

static const struct td_table_column list_columns[] = {
    {.title = "ID"},
    {.title = "ROOM", .width_max = NAME_MAX_WIDTH},
    {.title = "STARTED (UTC)"},
    {.title = "DURATION", .right = true},
    {.title = "SIZE", .right = true},
    {.title = "STATE"},
};
static const struct td_table_column running_columns[] = {
    {.title = "ID"},
    {.title = "ROOM", .width_max = NAME_MAX_WIDTH},
    {.title = "DURATION", .right = true},
    {.title = "SIZE", .right = true},
    {.title = "LOST", .right = true},
    {.title = "HOLES", .right = true},
    {.title = "STATE"},
};
static const struct td_table_column file_columns[] = {
    {.title = "FROM", .width_max = NAME_MAX_WIDTH},
    {.title = "DURATION", .right = true},
    {.title = "BYTES", .right = true},
    {.title = "STATE"},
    {.title = "FILE"},
};
static const struct td_table_column sheet_columns[] = {{.title = NULL}, {.title = NULL}};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

const char *td_view_text(const json_t *doc, const char *key)
{
    const char *text = json_string_value(json_object_get(doc, key));
    return text != NULL ? text : "";
}

static int64_t number(const json_t *doc, const char *key)
{
    return json_integer_value(json_object_get(doc, key));
}

bool td_view_is_final(const json_t *doc)
{
    static const char *const words[] = {"complete", "failed", "aborted"};
    for (size_t i = 0; i < COUNT(words); i++) {
        if (strcmp(td_view_text(doc, "state"), words[i]) == 0)
            return true;
    }
    return false;
}

static void write_state(const json_t *doc, char ret_text[static STATE_MAX])
{
    const char *reason = td_view_text(doc, "reason");
    (void)snprintf(ret_text, STATE_MAX, "%s%s%s%s", td_view_text(doc, "state"),
                   reason[0] != '\0' ? " (" : "", reason, reason[0] != '\0' ? ")" : "");
}

static void cell_duration(struct td_table *t, int64_t ms, bool exact)
{
    char text[TD_READABLE_MAX];
    td_readable_duration(ms, exact, text);
    td_table_cell(t, "%s", text);
}

static void cell_bytes(struct td_table *t, int64_t bytes)
{
    char text[TD_READABLE_MAX];
    td_readable_bytes(bytes, text);
    td_table_cell(t, "%s", text);
}

static void cell_time(struct td_table *t, const json_t *doc, const char *key)
{
    char text[TD_READABLE_MAX];
    td_readable_time(json_string_value(json_object_get(doc, key)), text);
    td_table_cell(t, "%s", text);
}

/* ---- lists ---- */

int td_view_table(FILE *out, enum td_view view, struct td_table **ret_table)
{
    return view == TD_VIEW_LIST
               ? td_table_new(out, list_columns, COUNT(list_columns), ret_table)
               : td_table_new(out, running_columns, COUNT(running_columns), ret_table);
}

void td_view_row(struct td_table *table, enum td_view view, const json_t *doc)
{
    char state[STATE_MAX];
    write_state(doc, state);
    td_table_cell(table, "%s", td_view_text(doc, "id"));
    td_table_cell(table, "%s", td_view_text(doc, "room"));
    if (view == TD_VIEW_LIST)
        cell_time(table, doc, "started_at");
    cell_duration(table, number(doc, "pts_ms"), false);
    cell_bytes(table, number(doc, "bytes"));
    if (view == TD_VIEW_RUNNING) {
        td_table_cell(table, "%" PRId64, number(doc, "lost"));
        td_table_cell(table, "%zu", json_array_size(json_object_get(doc, "interruptions")));
    }
    td_table_cell(table, "%s", state);
}

/* ---- one ---- */

void td_view_line(FILE *out, const json_t *doc)
{
    char state[STATE_MAX];
    char clean[STATE_MAX];
    char room[256];
    char id[64];
    char error[512];
    write_state(doc, state);
    td_readable_text(state, clean, sizeof(clean));
    td_readable_text(td_view_text(doc, "id"), id, sizeof(id));
    td_readable_text(td_view_text(doc, "room"), room, sizeof(room));
    td_readable_text(td_view_text(doc, "error"), error, sizeof(error));
    fprintf(out, "%s  %s  %s\n", id, room, clean);
    if (error[0] != '\0')
        fprintf(out, "%s\n", error);
}

int td_view_files(FILE *out, const json_t *doc)
{
    struct td_table *t = NULL;
    int err = td_table_new(out, file_columns, COUNT(file_columns), &t);
    if (err < 0)
        return err;
    size_t i = 0;
    json_t *file = NULL;
    json_array_foreach(json_object_get(doc, "outputs"), i, file)
    {
        td_table_cell(t, "%s", td_view_text(file, "participant"));
        cell_duration(t, number(file, "duration_ms"), true);
        td_table_cell(t, "%" PRId64, number(file, "bytes"));
        td_table_cell(t, "%s", td_view_text(file, "state"));
        td_table_cell(t, "%s", td_view_text(file, "file"));
    }
    td_table_print(t);
    td_table_free(t);
    return 0;
}

static void sheet_media(struct td_table *t, const json_t *doc)
{
    td_table_cell(t, "duration");
    cell_duration(t, number(doc, "pts_ms"), true);
    td_table_cell(t, "size");
    cell_bytes(t, number(doc, "bytes"));
    if (json_object_get(doc, "lost") == NULL)
        return; /* counters live with the process that recorded */
    td_table_cell(t, "packets");
    td_table_cell(t, "%" PRId64 " lost, %" PRId64 " came late or again", number(doc, "lost"),
                  number(doc, "recovered"));
    td_table_cell(t, "frames");
    td_table_cell(t, "%" PRId64 ", %" PRId64 " dropped for want of disk or memory",
                  number(doc, "frames"), number(doc, "dropped"));
    td_table_cell(t, "gaps");
    cell_duration(t, number(doc, "gap_ms"), true);
    td_table_cell(t, "memory");
    cell_bytes(t, number(doc, "memory_bytes"));
}

static void sheet_holes(struct td_table *t, const json_t *doc)
{
    size_t i = 0;
    json_t *hole = NULL;
    json_array_foreach(json_object_get(doc, "interruptions"), i, hole)
    {
        char at[TD_READABLE_MAX];
        char where[TD_READABLE_MAX];
        const json_t *length = json_object_get(hole, "hole_ms");
        td_readable_time(json_string_value(json_object_get(hole, "at")), at);
        td_readable_duration(number(hole, "pts_ms"), true, where);
        td_table_cell(t, "%s", i == 0 ? "holes" : "");
        if (json_is_integer(length))
            td_table_cell(t, "at %s (%s UTC), %.1f s", where, at,
                          (double)json_integer_value(length) / 1e3);
        else
            td_table_cell(t, "at %s (%s UTC), it has not gone on", where, at);
    }
}

static void sheet_time(struct td_table *t, const json_t *doc, const char *title, const char *key)
{
    char text[TD_READABLE_MAX];
    if (!json_is_string(json_object_get(doc, key)))
        return;
    td_readable_time(td_view_text(doc, key), text);
    td_table_cell(t, "%s", title);
    td_table_cell(t, "%s UTC", text);
}

static void sheet_rows(struct td_table *t, const json_t *doc)
{
    static const struct {
        const char *title;
        const char *key;
    } texts[] = {{"room", "room"}, {"source", "source"}, {"error", "error"}, {"folder", "folder"}};
    char state[STATE_MAX];
    write_state(doc, state);
    td_table_cell(t, "recording");
    td_table_cell(t, "%s", td_view_text(doc, "id"));
    td_table_cell(t, "state");
    td_table_cell(t, "%s", state);
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (td_view_text(doc, texts[i].key)[0] == '\0')
            continue;
        td_table_cell(t, "%s", texts[i].title);
        td_table_cell(t, "%s", td_view_text(doc, texts[i].key));
    }
    sheet_time(t, doc, "started", "started_at");
    sheet_time(t, doc, "ended", "ended_at");
    sheet_media(t, doc);
    sheet_holes(t, doc);
    if (json_is_true(json_object_get(doc, "hold"))) {
        td_table_cell(t, "hold");
        td_table_cell(t, "retention leaves it alone");
    }
}

int td_view_sheet(FILE *out, const json_t *doc)
{
    struct td_table *t = NULL;
    int err = td_table_new(out, sheet_columns, COUNT(sheet_columns), &t);
    if (err < 0)
        return err;
    sheet_rows(t, doc);
    td_table_print(t);
    td_table_free(t);
    if (json_array_size(json_object_get(doc, "outputs")) == 0)
        return 0;
    fprintf(out, "\n");
    return td_view_files(out, doc);
}
