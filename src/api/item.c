/* SPDX-License-Identifier: Apache-2.0 */
#include "api/item.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ask.h"
#include "api/call.h"
#include "api/folder.h"
#include "recorder/layout.h"

#define FILE_MAX 256u /* bytes of a file's name, NUL included */
#define ALLOWED_MAX 64u

struct verb {
    const char *word; /* behind the id; "files/" has a name behind it */
    const char *method;
    void (*on)(struct td_call *call, json_t *doc, struct td_recording *running);
};

/* What follows "/api/recordings/". */
struct item_path {
    char id[TD_ID_MAX];
    const char *word;
    const char *file;
};

/* A call about one recording. */
struct item {
    struct td_call call;
    const struct td_items *items;
    const struct verb *verb;
    char id[TD_ID_MAX];
    char file[FILE_MAX];
    struct td_ask_patch patch;
    /* store thread, between td_call_job and its answer */
    char folder[TD_PATH_MAX];
    struct td_fs *fs;
    json_t *list;
};

/* ---- answers about one recording ---- */

static struct item *item_of(struct td_call *call)
{
    return (struct item *)call;
}

static void end_with(struct td_call *call, json_t *doc)
{
    if (call->pending.message != NULL)
        td_http_json(call->pending.message, SOUP_STATUS_OK, json_incref(doc));
    td_call_end(call);
}

static void end_failed(struct td_call *call, int error, const char *sentence)
{
    struct td_fail fail = {.code = 0};
    (void)td_fail_set(&fail, error, "%s: %s.", sentence, td_err_text(error));
    if (call->pending.message != NULL)
        td_http_fail(call->pending.message, &fail);
    td_call_end(call);
}

static void end_ended(struct td_call *call)
{
    td_http_problem(call->pending.message, SOUP_STATUS_CONFLICT, "ended",
                    "This recording has ended.");
    td_call_end(call);
}

static void on_show(struct td_call *call, json_t *doc, struct td_recording *running)
{
    (void)running;
    end_with(call, doc);
}

/* ---- stop, pause, resume ---- */

static bool is_state(json_t *doc, const char *state)
{
    const char *is = json_string_value(json_object_get(doc, "state"));
    return is != NULL && strcmp(is, state) == 0;
}

static void on_heard(void *ctx, json_t *doc)
{
    struct td_call *call = ctx;
    if (doc != NULL)
        end_with(call, doc);
    else
        end_failed(call, -TD_E_STATE, "The daemon goes down");
}

/* With the state that this leads to, once it was written. */
static void end_changed(struct td_call *call, json_t *doc, bool is_already)
{
    if (is_already || td_events_await(item_of(call)->items->events, doc, on_heard, call) < 0)
        end_with(call, doc);
}

static void on_stop(struct td_call *call, json_t *doc, struct td_recording *running)
{
    if (running == NULL) {
        end_with(call, doc);
        return;
    }
    td_recording_stop(running, "stopped");
    end_changed(call, doc, is_state(doc, "finishing"));
}

static void on_pause(struct td_call *call, json_t *doc, struct td_recording *running)
{
    int err = running != NULL ? td_recording_pause(running, "") : 0;
    if (running == NULL || is_state(doc, "finishing"))
        end_ended(call);
    else if (err < 0)
        end_failed(call, err, "It cannot be paused now");
    else
        end_changed(call, doc, is_state(doc, "paused"));
}

static void on_resume(struct td_call *call, json_t *doc, struct td_recording *running)
{
    int err = running != NULL ? td_recording_resume(running) : 0;
    if (running == NULL || is_state(doc, "finishing"))
        end_ended(call);
    else if (err < 0)
        end_failed(call, err, "It cannot go on now");
    else
        end_changed(call, doc, !is_state(doc, "paused"));
}

/* ---- PATCH ---- */

static void on_held_found(struct td_call *call, int error, json_t *doc,
                          struct td_recording *running)
{
    (void)running;
    if (td_call_shows(call, error, doc))
        end_with(call, doc);
    else
        td_call_end(call);
}

static int hold(struct td_call *call) /* store thread */
{
    const struct item *item = item_of(call);
    return td_catalog_hold(td_calls_config(item->call.calls)->catalog, item->id, item->patch.hold);
}

static void on_held(struct td_call *call, int result)
{
    if (result < 0)
        end_failed(call, result, "The catalogue cannot be written");
    else if (call->pending.message == NULL)
        td_call_end(call);
    else
        td_call_find_id(call, item_of(call)->id, on_held_found);
}

static void on_patch(struct td_call *call, json_t *doc, struct td_recording *running)
{
    const struct td_ask_patch *patch = &item_of(call)->patch;
    bool limits = patch->max_duration_us >= 0 || patch->max_size_bytes >= 0;
    if (running == NULL && limits) {
        end_ended(call);
        return;
    }
    if (limits)
        td_recording_limit(running, patch->max_duration_us, patch->max_size_bytes);
    if (running != NULL && patch->has_hold)
        td_recording_hold(running, patch->hold);
    if (patch->has_hold)
        td_call_job(call, hold, on_held);
    else
        end_with(call, doc);
}

/* ---- DELETE ---- */

static void on_removed(void *ctx, int error)
{
    struct td_call *call = ctx;
    SoupServerMessage *message = call->pending.message;
    if (error < 0) {
        end_failed(call, error, "It could not be removed");
        return;
    }
    if (message != NULL && error == TD_CATALOG_NONE)
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "no_such_recording",
                        "There is no such recording.");
    else if (message != NULL)
        soup_server_message_set_status(message, SOUP_STATUS_NO_CONTENT, NULL);
    td_call_end(call);
}

static void on_delete(struct td_call *call, json_t *doc, struct td_recording *running)
{
    (void)doc;
    struct item *item = item_of(call);
    int err = running != NULL ? -TD_E_STATE
                              : td_recordings_remove(td_calls_config(item->call.calls)->recordings,
                                                     item->id, on_removed, call);
    if (err == -TD_E_STATE) {
        td_http_problem(call->pending.message, SOUP_STATUS_CONFLICT, "still_recording",
                        "This recording still runs; stop it first.");
        td_call_end(call);
    } else if (err < 0) {
        end_failed(call, err, "It could not be removed");
    }
}

/* ---- files ---- */

/* The recording's folder, absolute or as data_dir is; false = it has none. */
static bool folder_of(const struct td_items *items, json_t *doc, char ret_path[static TD_PATH_MAX])
{
    const char *name = json_string_value(json_object_get(doc, "folder"));
    return name != NULL && name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           td_layout_path(ret_path, "%s/recordings/%s", items->data_dir, name) == 0;
}

static void end_without_folder(struct td_call *call)
{
    td_http_problem(call->pending.message, SOUP_STATUS_NOT_FOUND, "no_such_file",
                    "This recording has no files.");
    td_call_end(call);
}

static int list_files(struct td_call *call) /* store thread */
{
    struct item *item = item_of(call);
    return td_folder_list(item->fs, item->folder, &item->list);
}

/* Which of them grow is known here alone. */
static int mark_growing(const struct item *item, json_t *list)
{
    size_t i = 0;
    json_t *entry = NULL;
    json_array_foreach(list, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        bool growing =
            td_items_growing(td_calls_config(item->call.calls)->recordings, item->id, name);
        if (json_object_set_new(entry, "growing", json_boolean(growing)) < 0)
            return -ENOMEM;
    }
    return 0;
}

static void on_listed(struct td_call *call, int result)
{
    struct item *item = item_of(call);
    json_t *list = item->list != NULL ? item->list
                                      : json_array(); /* -ENOENT: nothing was written */
    int err = result == -ENOENT ? 0 : result;
    if (err == 0 && call->pending.message != NULL)
        err = mark_growing(item, list);
    if (err < 0) {
        json_decref(list);
        end_failed(call, err, "The folder cannot be read");
        return;
    }
    json_t *body = json_pack("{s:o}", "files", list);
    end_with(call, body);
    json_decref(body);
}

static void on_files(struct td_call *call, json_t *doc, struct td_recording *running)
{
    (void)running;
    struct item *item = item_of(call);
    item->fs = item->items->fs;
    if (folder_of(item->items, doc, item->folder))
        td_call_job(call, list_files, on_listed);
    else
        end_without_folder(call);
}

/* The files answer in their own time, so this call ends before. */
static void on_file(struct td_call *call, json_t *doc, struct td_recording *running)
{
    (void)running;
    struct item item = *item_of(call);
    if (!folder_of(item.items, doc, item.folder)) {
        end_without_folder(call);
        return;
    }
    SoupServerMessage *message = g_object_ref(call->pending.message);
    td_call_end(call);
    struct td_files_request request = {
        .folder = item.folder, .name = item.file, .recording_id = item.id};
    td_files_serve(item.items->files, message, &request);
    g_object_unref(message);
}

static void on_timeline(struct td_call *call, json_t *doc, struct td_recording *running)
{
    struct item *item = item_of(call);
    (void)snprintf(item->file, sizeof(item->file), "timeline.jsonl");
    on_file(call, doc, running);
}

static void on_events(struct td_call *call, json_t *doc, struct td_recording *running)
{
    td_events_stream(item_of(call)->items->events, call->pending.message, doc, running);
    td_call_end(call);
}

bool td_items_growing(void *recordings, const char *recording_id, const char *name)
{
    struct td_recording *running = td_recordings_by_id(recordings, recording_id);
    const struct td_session *session = running != NULL ? td_recording_session(running) : NULL;
    if (session == NULL || name == NULL)
        return false;
    if (strcmp(name, "timeline.jsonl") == 0)
        return true;
    struct td_session_status status;
    td_session_status(session, &status);
    for (unsigned i = 0; i < status.shelf->count; i++) {
        const struct td_shelf_entry *e = &status.shelf->entries[i];
        if (e->growing && strcmp(td_layout_name(e->file), name) == 0)
            return true;
    }
    return false;
}

/* ---- routes ---- */

static const struct verb verbs[] = {
    {"", "GET", on_show},
    {"", "PATCH", on_patch},
    {"", "DELETE", on_delete},
    {"stop", "POST", on_stop},
    {"pause", "POST", on_pause},
    {"resume", "POST", on_resume},
    {"timeline", "GET", on_timeline},
    {"events", "GET", on_events},
    {"files", "GET", on_files},
    {"files/", "GET", on_file},
};

/* The verb of this method, or NULL with what the word has instead ("" = there is no such word). */
static const struct verb *find_verb(const char *word, SoupServerMessage *message,
                                    char ret_allowed[static ALLOWED_MAX])
{
    const char *method = soup_server_message_get_method(message);
    size_t used = 0;
    ret_allowed[0] = '\0';
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
        const struct verb *v = &verbs[i];
        if (strcmp(v->word, word) != 0)
            continue;
        bool get = strcmp(v->method, "GET") == 0;
        if (strcmp(v->method, method) == 0 || (get && td_http_is_get(message)))
            return v;
        int n = snprintf(ret_allowed + used, ALLOWED_MAX - used, "%s%s%s", used > 0 ? ", " : "",
                         v->method, get ? ", HEAD" : "");
        used += n > 0 && (size_t)n < ALLOWED_MAX - used ? (size_t)n : 0;
    }
    return NULL;
}

static void on_item_found(struct td_call *call, int error, json_t *doc,
                          struct td_recording *running)
{
    if (td_call_shows(call, error, doc))
        item_of(call)->verb->on(call, doc, running);
    else
        td_call_end(call);
}

/* What is behind a PATCH is read before anything is looked up. */
static bool take_patch(SoupServerMessage *message, struct td_ask_patch *ret_patch)
{
    json_t *body = NULL;
    struct td_fail fail = {.code = 0};
    if (td_http_body_json(message, &body) < 0)
        return false;
    int err = td_ask_patch_parse(body, &fail, ret_patch);
    json_decref(body);
    if (err < 0)
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_request", fail.text);
    return err == 0;
}

static void begin_item(const struct td_items *items, SoupServerMessage *message,
                       const struct item_path *path, const struct verb *verb)
{
    struct td_ask_patch patch = {.has_hold = false};
    if (verb->on == on_patch && !take_patch(message, &patch))
        return;
    struct item *item = td_call_begin(items->calls, message, sizeof(*item));
    if (item == NULL)
        return;
    item->items = items;
    item->verb = verb;
    item->patch = patch;
    (void)snprintf(item->id, sizeof(item->id), "%s", path->id);
    (void)snprintf(item->file, sizeof(item->file), "%s", path->file);
    td_call_find_id(&item->call, item->id, on_item_found);
}

/* "ID", "ID/WORD", "ID/files/NAME". What is too long to be any of them names nothing. */
static bool split(const char *path, struct item_path *ret_path)
{
    struct item_path p = {.file = ""};
    size_t id = strcspn(path, "/");
    const char *tail = path[id] == '/' ? path + id + 1 : path + id;
    if (id >= sizeof(p.id))
        return false;
    memcpy(p.id, path, id);
    p.id[id] = '\0';
    bool named = strncmp(tail, "files/", 6) == 0;
    const char *name = named ? tail + 6 : "";
    p.word = named ? "files/" : tail;
    p.file = name;
    if (strlen(name) >= FILE_MAX || (named && name[0] == '\0'))
        return false;
    *ret_path = p;
    return true;
}

void td_items_answer(const struct td_items *items, SoupServerMessage *message, const char *path)
{
    char allowed[ALLOWED_MAX] = "";
    struct item_path item;
    const struct verb *verb = NULL;
    if (split(path, &item))
        verb = find_verb(item.word, message, allowed);
    if (verb != NULL)
        begin_item(items, message, &item, verb);
    else if (allowed[0] != '\0')
        td_http_method(message, allowed);
    else
        td_http_problem(message, SOUP_STATUS_NOT_FOUND, "not_found", "There is nothing here.");
}
