/* SPDX-License-Identifier: Apache-2.0 */
#include "api/recovery.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api/document.h"
#include "api/ledger.h"
#include "api/letterbook.h"
#include "base/clock.h"
#include "recorder/layout.h"
#include "recorder/recover.h"

struct item {
    char id[TD_ID_MAX];
    char *room;
    char *folder; /* name */
    char *request;
    char *doc;
    bool hold;
    bool known; /* the catalogue has it */
    bool tells; /* what ends now was running when the process died */
    struct td_recovery *recovery;
    struct td_resume *resume; /* what was found */
};

struct td_recovery {
    struct td_recovery_config config;
    char *data_dir; /* the thread's own */
    GMutex putting; /* over the letters: the thread, and the store's when it closes what cannot go
                       on */
    struct td_letterbook letters;
    bool resume;
    GPtrArray *items;   /* of the thread while it runs */
    GPtrArray *folders; /* names, as they were before anything new began */
    GHashTable *rooms;  /* control loop: room -> how many wait */
    GThread *thread;
    atomic_bool stop;
    atomic_uint on_their_way;       /* answers for the control loop that it has not run yet */
    struct td_recovery_stats stats; /* control loop */
    atomic_uint closed;
    atomic_uint set_aside;
    atomic_uint rebuilt;
};

static void free_item(void *data)
{
    struct item *item = data;
    free(item->room);
    free(item->folder);
    free(item->request);
    free(item->doc);
    td_resume_free(item->resume);
    free(item);
}

static const struct td_log *log_of(const struct td_recovery *r)
{
    return r->config.recorder->log;
}

/* ---- what there is ---- */

static int add_item(struct td_recovery *r, const struct td_catalog_row *row, bool known)
{
    struct item *item = calloc(1, sizeof(*item));
    if (item == NULL)
        return -ENOMEM;
    td_manifest_set(item->id, sizeof(item->id), row->id);
    item->room = strdup(row->room);
    item->folder = strdup(row->folder);
    item->request = strdup(row->request);
    item->doc = strdup(row->doc);
    item->hold = row->hold;
    item->known = known;
    item->recovery = r;
    if (item->room == NULL || item->folder == NULL || item->request == NULL || item->doc == NULL) {
        free_item(item);
        return -ENOMEM;
    }
    g_ptr_array_add(r->items, item);
    return 0;
}

static int add_unfinished(void *ctx, const struct td_catalog_row *row)
{
    struct td_recovery *r = ctx;
    unsigned waiting = GPOINTER_TO_UINT(g_hash_table_lookup(r->rooms, row->room));
    g_hash_table_insert(r->rooms, g_strdup(row->room), GUINT_TO_POINTER(waiting + 1));
    r->stats.interrupted++;
    return add_item(r, row, true);
}

static int put_doc(struct item *item, const json_t *doc, bool final, int attempts)
{
    struct td_recovery *r = item->recovery;
    struct td_catalog_letter letters[TD_LEDGER_LETTERS_MAX];
    char *text = doc != NULL ? json_dumps(doc, JSON_COMPACT) : NULL;
    if (text == NULL)
        return -ENOMEM;
    struct td_catalog_row row = td_ledger_row(doc, text);
    row.final = final;
    row.hold = item->hold;
    row.attempts = attempts;
    /* An end that nobody recorded is told like any other; one that was known before is not told
     * again. */
    g_mutex_lock(&r->putting);
    int count = final && item->tells
                    ? td_letterbook_write(&r->letters, doc, true, td_clock_wall_us(), letters,
                                          TD_LEDGER_LETTERS_MAX)
                    : 0;
    int err = count < 0 ? count : td_catalog_put(r->config.catalog, &row, letters, (size_t)count);
    g_mutex_unlock(&r->putting);
    free(text);
    return err;
}

/* Before anybody can ask: what a process left that is no more is not being recorded. */
static int mark_interrupted(struct item *item)
{
    json_t *doc = json_loads(item->doc, 0, NULL);
    if (doc == NULL)
        return 0; /* shown when it was looked at */
    json_object_set_new(doc, "state", json_string("interrupted"));
    int err = put_doc(item, doc, false, -1);
    json_decref(doc);
    return err;
}

/* ---- on the thread ---- */

static void on_report(void *ctx, const struct td_recover_report *report)
{
    struct td_recovery *r = ctx;
    if (report->error < 0)
        td_log_line(log_of(r), TD_LOG_ERROR, "event=not_recovered path=%s error=%s", report->path,
                    td_err_name(report->error));
    else
        td_log_line(log_of(r), TD_LOG_INFO,
                    "event=recovered path=%s duration_ms=%" PRId64 " bytes=%" PRIu64
                    " cut=%" PRIu64,
                    report->final, report->scan.duration_us / TD_US_PER_MS, report->bytes_after,
                    report->bytes_cut);
}

static bool is_final(const struct td_manifest *m)
{
    return strcmp(m->state, "complete") == 0 || strcmp(m->state, "failed") == 0 ||
           strcmp(m->state, "aborted") == 0;
}

static int folder_path(const struct td_recovery *r, const char *name,
                       char ret_path[static TD_PATH_MAX])
{
    return td_layout_path(ret_path, "%s/recordings/%s", r->data_dir, name);
}

/* The row says what the manifest says. 0, or negative: then there is no manifest to believe. */
static int put_manifest(struct item *item, const char *folder, bool *ret_final)
{
    char path[TD_PATH_MAX];
    struct td_manifest m;
    int err = td_layout_path(path, "%s/manifest.json", folder);
    if (err == 0)
        err = td_recover_load(item->recovery->config.recorder->fs, path, &m);
    if (err < 0)
        return err;
    json_t *doc = td_document_manifest(&m, folder, item->hold);
    *ret_final = is_final(&m);
    if (doc != NULL && !*ret_final) /* nobody records it now */
        json_object_set_new(doc, "state", json_string("interrupted"));
    err = put_doc(item, doc, *ret_final, 0);
    if (item->doc[0] == '\0' && doc != NULL) { /* what is shown of it from now on */
        free(item->doc);
        item->doc = json_dumps(doc, JSON_COMPACT);
    }
    json_decref(doc);
    td_manifest_done(&m);
    return err;
}

/* Ends it in the catalogue alone; its files stay as they are. */
static void give_up(struct item *item, const char *state, const char *reason)
{
    struct td_recovery *r = item->recovery;
    char now[TD_CLOCK_TEXT_MAX];
    td_clock_rfc3339(td_clock_wall_us(), now);
    json_t *doc = item->doc != NULL ? json_loads(item->doc, 0, NULL) : NULL;
    if (doc == NULL)
        doc = json_pack("{s:s, s:s, s:s, s:[]}", "id", item->id, "room", item->room, "folder",
                        item->folder, "outputs");
    json_object_set_new(doc, "state", json_string(state));
    json_object_set_new(doc, "reason", json_string(reason));
    json_object_set_new(doc, "ended_at", json_string(now));
    json_object_set_new(doc, "bytes", json_integer((json_int_t)td_document_bytes(doc)));
    int err = put_doc(item, doc, true, 0);
    json_decref(doc);
    td_log_line(log_of(r), TD_LOG_ERROR, "event=given_up recording=%s state=%s reason=%s error=%s",
                item->id, state, reason, err < 0 ? td_err_name(err) : "none");
}

/* 0, or what it was given up for; -EAGAIN: another process has it. */
static int close_item(struct item *item, const char *folder)
{
    struct td_recovery *r = item->recovery;
    bool final = false;
    int err = td_recover_close(r->config.recorder->fs, folder, on_report, r);
    if (err == 0)
        err = put_manifest(item, folder, &final);
    if (err == 0 && !final)
        err = -TD_E_STATE;
    if (err == 0)
        atomic_fetch_add(&r->closed, 1);
    return err;
}

/* What could not be done about it is told, and nothing is tried again. */
static void note_failure(struct item *item, int err)
{
    if (err == -EAGAIN)
        td_log_line(log_of(item->recovery), TD_LOG_WARN, "event=in_use recording=%s", item->id);
    else if (err == -ENOENT) /* killed before its manifest was there */
        give_up(item, "aborted", "interrupted");
    else if (err < 0)
        give_up(item, "failed", "recovery_failed");
}

/* ---- answers to the control loop ---- */

static void room_done(struct td_recovery *r, const char *room)
{
    unsigned waiting = GPOINTER_TO_UINT(g_hash_table_lookup(r->rooms, room));
    if (waiting > 1)
        g_hash_table_insert(r->rooms, g_strdup(room), GUINT_TO_POINTER(waiting - 1));
    else
        g_hash_table_remove(r->rooms, room);
}

static int close_job(void *arg)
{
    struct item *item = arg;
    char folder[TD_PATH_MAX];
    int err = folder_path(item->recovery, item->folder, folder);
    if (err == 0)
        err = close_item(item, folder);
    note_failure(item, err);
    return err;
}

static void on_closed(void *target, const void *payload)
{
    (void)payload;
    struct item *item = target;
    struct td_recovery *r = item->recovery;
    room_done(r, item->room);
    atomic_fetch_sub(&r->on_their_way, 1);
    free_item(item);
}

static gboolean on_item(gpointer data)
{
    struct item *item = data;
    struct td_recovery *r = item->recovery;
    struct td_resume *resume = item->resume;
    item->resume = NULL;
    struct td_fail fail = {.code = 0};
    int err = resume != NULL
                  ? td_recordings_resume(r->config.recordings, resume, item->request, &fail)
                  : 0;
    /* Told to stop meanwhile: what is to go on at the next start is left to it. */
    bool left = err == -TD_E_STATE && r->config.config->on_shutdown == TD_ON_SHUTDOWN_INTERRUPT;
    if (err < 0)
        td_log_line(log_of(r), left ? TD_LOG_INFO : TD_LOG_ERROR,
                    "event=not_resumed recording=%s text=\"%s\"", item->id, fail.text);
    else if (resume != NULL)
        r->stats.resumed++;
    if (err < 0 && !left &&
        td_catalog_post(r->config.recorder->store, close_job, item, r->config.recorder->control,
                        on_closed, item) == 0)
        return G_SOURCE_REMOVE;
    on_closed(item, NULL);
    return G_SOURCE_REMOVE;
}

static gboolean on_finished(gpointer data)
{
    struct td_recovery *r = data;
    r->stats.finished = true;
    td_log_line(log_of(r), TD_LOG_INFO,
                "event=recovery_finished interrupted=%" PRIu64 " resumed=%" PRIu64
                " closed=%u set_aside=%u rebuilt=%u",
                r->stats.interrupted, r->stats.resumed, atomic_load(&r->closed),
                atomic_load(&r->set_aside), atomic_load(&r->rebuilt));
    atomic_fetch_sub(&r->on_their_way, 1);
    r->config.done(r->config.ctx);
    return G_SOURCE_REMOVE;
}

static void tell(struct td_recovery *r, GSourceFunc fn, void *data)
{
    atomic_fetch_add(&r->on_their_way, 1);
    g_idle_add_full(G_PRIORITY_DEFAULT, fn, data, NULL);
}

/* ---- one recording ---- */

static void recover_item(struct item *item)
{
    struct td_recovery *r = item->recovery;
    char folder[TD_PATH_MAX];
    int attempts = td_catalog_attempt(r->config.catalog, item->id, false);
    if (attempts > TD_RECOVERY_ATTEMPTS_MAX) {
        atomic_fetch_add(&r->set_aside, 1);
        give_up(item, "failed", "crashed_recovery");
        return;
    }
    int err = folder_path(r, item->folder, folder);
    if (err == 0 && item->folder[0] == '\0')
        err = -ENOENT;
    if (err == 0)
        err = td_resume_find(r->config.recorder->fs, folder, on_report, r, &item->resume);
    if (err == 0 && r->resume)
        return; /* goes on */
    item->resume = td_resume_free(item->resume);
    bool final = false;
    if (err == TD_RESUME_NONE)
        err = put_manifest(item, folder, &final);
    else if (err == 0)
        err = close_item(item, folder);
    note_failure(item, err);
}

/* ---- folders that the catalogue does not know ---- */

static int count_row(void *ctx, const struct td_catalog_row *row)
{
    (void)ctx;
    (void)row;
    return 0;
}

static const char *id_in(const char *name)
{
    const char *mark = NULL;
    for (const char *at = strstr(name, "_rec_"); at != NULL; at = strstr(at + 1, "_rec_"))
        mark = at;
    return name[0] == '.' || mark == NULL || strlen(mark + 1) >= TD_ID_MAX ? NULL : mark + 1;
}

static int add_folder(void *ctx, const char *name)
{
    struct td_recovery *r = ctx;
    if (id_in(name) != NULL)
        g_ptr_array_add(r->folders, g_strdup(name));
    return 0;
}

static void list_folders(struct td_recovery *r)
{
    char folder[TD_PATH_MAX];
    int err = td_layout_path(folder, "%s/recordings", r->data_dir);
    if (err == 0)
        err = td_fs_list(r->config.recorder->fs, folder, add_folder, r);
    if (err < 0 && err != -ENOENT)
        td_log_line(log_of(r), TD_LOG_ERROR, "event=folders_not_read path=%s error=%s", folder,
                    td_err_name(err));
}

static int look_at_folder(struct td_recovery *r, const char *name)
{
    const char *id = id_in(name);
    struct td_catalog_query query = {.id = id, .limit = 1};
    int known = td_catalog_each(r->config.catalog, &query, count_row, NULL);
    if (known != 0)
        return known < 0 ? known : 0;
    struct td_catalog_row row = {.id = id, .room = "", .folder = name, .request = "", .doc = ""};
    return add_item(r, &row, false);
}

/* Killed between making it and the first word in it. 0 when nothing is left of it. */
static int remove_unused(struct td_fs *fs, const char *folder)
{
    char temporary[TD_PATH_MAX];
    int err = td_layout_path(temporary, "%s/manifest.json.tmp", folder);
    if (err == 0)
        err = td_fs_unlink(fs, temporary);
    return err == 0 || err == -ENOENT ? td_fs_rmdir(fs, folder) : err;
}

/* True when there is more to do about it. */
static bool rebuild(struct item *item)
{
    struct td_recovery *r = item->recovery;
    char folder[TD_PATH_MAX];
    bool final = true;
    int err = folder_path(r, item->folder, folder);
    if (err == 0)
        err = put_manifest(item, folder, &final);
    if (err == 0)
        atomic_fetch_add(&r->rebuilt, 1);
    else if (err == -ENOENT && remove_unused(r->config.recorder->fs, folder) == 0)
        td_log_line(log_of(r), TD_LOG_INFO, "event=unused_folder_removed folder=%s", item->folder);
    else
        td_log_line(log_of(r), TD_LOG_WARN, "event=folder_left_alone folder=%s error=%s",
                    item->folder, td_err_name(err));
    return err == 0 && !final;
}

static void *run(void *data)
{
    struct td_recovery *r = data;
    int err = 0;
    for (guint i = 0; i < r->folders->len && err == 0; i++)
        err = look_at_folder(r, g_ptr_array_index(r->folders, i));
    if (err < 0)
        td_log_line(log_of(r), TD_LOG_ERROR, "event=folders_not_known error=%s", td_err_name(err));
    for (guint i = 0; i < r->items->len && !atomic_load(&r->stop); i++) {
        struct item *item = g_ptr_array_index(r->items, i);
        bool unfinished = item->known || rebuild(item);
        item->tells = true;
        if (unfinished)
            recover_item(item);
        r->items->pdata[i] = NULL;
        tell(r, on_item, item);
    }
    tell(r, on_finished, r);
    return NULL;
}

/* ---- from the control loop ---- */

static void free_item_or_null(void *data)
{
    if (data != NULL)
        free_item(data);
}

int td_recovery_start(const struct td_recovery_config *config, struct td_recovery **ret_recovery)
{
    struct td_recovery *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->config = *config;
    r->resume = config->config->resume && config->replayed;
    r->data_dir = strdup(config->config->data_dir);
    r->items = g_ptr_array_new_with_free_func(free_item_or_null);
    g_mutex_init(&r->putting);
    r->folders = g_ptr_array_new_with_free_func(g_free);
    r->rooms = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    int err = td_letterbook_init_copy(&r->letters, config->config);
    if (err == 0)
        err = r->data_dir == NULL ? -ENOMEM
                                  : td_catalog_walk(config->catalog, true, add_unfinished, r);
    for (guint i = 0; err >= 0 && i < r->items->len; i++)
        err = mark_interrupted(g_ptr_array_index(r->items, i));
    if (err < 0) {
        td_recovery_free(r);
        return err;
    }
    err = td_recover_live_links(config->recorder->fs, r->data_dir);
    if (err < 0)
        td_log_line(log_of(r), TD_LOG_WARN, "event=live_links error=%s", td_err_name(err));
    list_folders(r);
    r->thread = g_thread_new("td-recovery", run, r);
    *ret_recovery = r;
    return 0;
}

struct td_recovery *td_recovery_free(struct td_recovery *r)
{
    if (r == NULL)
        return NULL;
    atomic_store(&r->stop, true);
    if (r->thread != NULL)
        g_thread_join(r->thread);
    while (atomic_load(&r->on_their_way) > 0)
        g_main_context_iteration(NULL, TRUE);
    g_ptr_array_free(r->items, TRUE);
    g_ptr_array_free(r->folders, TRUE);
    g_hash_table_destroy(r->rooms);
    td_letterbook_done(&r->letters);
    g_mutex_clear(&r->putting);
    free(r->data_dir);
    free(r);
    return NULL;
}

bool td_recovery_awaits(const struct td_recovery *r, const char *room)
{
    return g_hash_table_contains(r->rooms, room);
}

void td_recovery_stats(const struct td_recovery *r, struct td_recovery_stats *ret_stats)
{
    *ret_stats = r->stats;
    ret_stats->closed = atomic_load(&r->closed);
    ret_stats->set_aside = atomic_load(&r->set_aside);
    ret_stats->rebuilt = atomic_load(&r->rebuilt);
}
