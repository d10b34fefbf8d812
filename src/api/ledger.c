/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ledger.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct entry {
    struct td_ledger *ledger; /* NULL: it was freed meanwhile */
    struct td_catalog *catalog;
    struct entry *next;
    json_t *doc;
    char *text;
    char *request;
    struct td_catalog_row row;
    struct td_catalog_letter letters[TD_LEDGER_LETTERS_MAX];
    size_t letter_count;
    bool told;
};

/* Entries are written one after another: an older state never comes after a newer one. */
struct td_ledger {
    struct td_ledger_config config;
    struct entry *first; /* the one on its way */
    struct entry *last;
    unsigned count;
    bool failing;
    guint timer;
};

static struct entry *free_entry(struct entry *e)
{
    if (e == NULL)
        return NULL;
    for (size_t i = 0; i < e->letter_count; i++) {
        free((char *)e->letters[i].recording);
        free((char *)e->letters[i].url);
        free((char *)e->letters[i].body);
    }
    json_decref(e->doc);
    free(e->text);
    free(e->request);
    free(e);
    return NULL;
}

static const char *text_of(const json_t *doc, const char *key)
{
    const char *text = json_string_value(json_object_get(doc, key));
    return text != NULL ? text : "";
}

static int64_t time_of(const json_t *doc, const char *key)
{
    const char *text = json_string_value(json_object_get(doc, key));
    int64_t wall_us = 0;
    return text != NULL && td_clock_parse_rfc3339(text, &wall_us) == 0 ? wall_us : 0;
}

struct td_catalog_row td_ledger_row(const json_t *doc, const char *text)
{
    json_int_t bytes = json_integer_value(json_object_get(doc, "bytes"));
    return (struct td_catalog_row){
        .id = text_of(doc, "id"),
        .room = text_of(doc, "room"),
        .state = text_of(doc, "state"),
        .reason = text_of(doc, "reason"),
        .source = text_of(doc, "source"),
        .folder = text_of(doc, "folder"),
        .doc = text,
        .started_us = time_of(doc, "started_at"),
        .ended_us = time_of(doc, "ended_at"),
        .bytes = bytes > 0 ? (uint64_t)bytes : 0,
        .hold = json_is_true(json_object_get(doc, "hold")),
        .attempts = -1,
    };
}

/* ---- writing ---- */

static int write_entry(void *arg)
{
    struct entry *e = arg;
    return td_catalog_put(e->catalog, &e->row, e->letters, e->letter_count);
}

static void on_written(void *target, const void *payload);

static gboolean on_retry(gpointer data);

static void send_first(struct td_ledger *l)
{
    if (l->first == NULL)
        return;
    int r = td_catalog_post(l->config.recorder->store, write_entry, l->first,
                            l->config.recorder->control, on_written, l->first);
    if (r < 0 && l->timer == 0) /* the store thread is behind */
        l->timer = g_timeout_add(TD_LEDGER_RETRY_MS, on_retry, l);
}

static gboolean on_retry(gpointer data)
{
    struct td_ledger *l = data;
    l->timer = 0;
    send_first(l);
    return G_SOURCE_REMOVE;
}

static void tell(struct td_ledger *l, struct entry *e, int error)
{
    if (e->told)
        return;
    e->told = true;
    l->config.written(l->config.ctx, e->row.id, e->doc, e->row.final, error);
}

/* The newer states are told too, although they wait behind the one that cannot be written. */
static void fail_all(struct td_ledger *l, int error)
{
    l->failing = true;
    td_log_line(l->config.recorder->log, TD_LOG_ERROR,
                "event=catalog_not_written entries=%u error=%s", l->count, td_err_name(error));
    for (struct entry *e = l->first; e != NULL; e = e->next)
        tell(l, e, error);
    if (l->timer == 0)
        l->timer = g_timeout_add(TD_LEDGER_RETRY_MS, on_retry, l);
}

static void on_written(void *target, const void *payload)
{
    struct entry *e = target;
    struct td_ledger *l = e->ledger;
    int error;
    memcpy(&error, payload, sizeof(error));
    if (l == NULL) {
        free_entry(e);
        return;
    }
    if (error < 0) {
        fail_all(l, error);
        return;
    }
    l->failing = false;
    l->first = e->next;
    if (l->first == NULL)
        l->last = NULL;
    l->count--;
    send_first(l);
    tell(l, e, 0);
    free_entry(e);
}

/* ---- entries ---- */

static int copy_letters(struct entry *e, const struct td_ledger_entry *from)
{
    for (size_t i = 0; i < from->letter_count && i < TD_LEDGER_LETTERS_MAX; i++) {
        struct td_catalog_letter *letter = &e->letters[e->letter_count++];
        letter->recording = strdup(from->letters[i].recording);
        letter->url = strdup(from->letters[i].url);
        letter->body = strdup(from->letters[i].body);
        if (letter->recording == NULL || letter->url == NULL || letter->body == NULL)
            return -ENOMEM;
    }
    return 0;
}

static int fill(struct entry *e, const struct td_ledger_entry *from)
{
    e->text = json_dumps(from->doc, JSON_COMPACT);
    e->request = from->request != NULL ? strdup(from->request) : NULL;
    if (e->text == NULL || (from->request != NULL && e->request == NULL))
        return -ENOMEM;
    e->row = td_ledger_row(e->doc, e->text);
    e->row.request = e->request;
    e->row.final = from->final;
    e->row.hold = from->hold;
    e->row.attempts = from->attempts;
    return copy_letters(e, from);
}

int td_ledger_write(struct td_ledger *l, const struct td_ledger_entry *entry)
{
    struct entry *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        json_decref(entry->doc);
        return -ENOMEM;
    }
    e->ledger = l;
    e->catalog = l->config.catalog;
    e->doc = entry->doc;
    int r = fill(e, entry);
    if (r < 0) {
        free_entry(e);
        return r;
    }
    if (l->last != NULL)
        l->last->next = e;
    else
        l->first = e;
    l->last = e;
    if (l->count++ == 0)
        send_first(l);
    return 0;
}

int td_ledger_new(const struct td_ledger_config *config, struct td_ledger **ret_ledger)
{
    struct td_ledger *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    l->config = *config;
    *ret_ledger = l;
    return 0;
}

struct td_ledger *td_ledger_free(struct td_ledger *l)
{
    if (l == NULL)
        return NULL;
    if (l->timer != 0)
        g_source_remove(l->timer);
    else if (l->first != NULL) { /* the store thread has it, and will answer */
        struct entry *sent = l->first;
        l->first = sent->next;
        sent->ledger = NULL;
    }
    while (l->first != NULL) {
        struct entry *e = l->first;
        l->first = e->next;
        free_entry(e);
    }
    free(l);
    return NULL;
}

unsigned td_ledger_unwritten(const struct td_ledger *l)
{
    return l->failing ? l->count : 0;
}

unsigned td_ledger_pending(const struct td_ledger *l)
{
    return l->count;
}
