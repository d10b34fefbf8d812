/* SPDX-License-Identifier: Apache-2.0 */
#include "api/letterbook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/letter.h"
#include "base/glob.h"

#define STATE_MAX 16

struct told {
    char state[STATE_MAX]; /* the last one that was heard of */
    bool started;
};

void td_letterbook_init(struct td_letterbook *b, const struct td_config *config)
{
    *b = (struct td_letterbook){.config = config};
    b->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static void free_copy(struct td_config *copy)
{
    for (size_t i = 0; copy != NULL && i < copy->webhooks.count; i++) {
        g_free(copy->webhooks.items[i].url);
        g_free(copy->webhooks.items[i].rooms);
    }
    if (copy != NULL)
        free(copy->webhooks.items);
    free(copy);
}

int td_letterbook_init_copy(struct td_letterbook *b, const struct td_config *config)
{
    size_t count = config->webhooks.count;
    struct td_config *copy = calloc(1, sizeof(*copy));
    struct td_config_webhook *items = calloc(count > 0 ? count : 1, sizeof(*items));
    if (copy == NULL || items == NULL) {
        free(copy);
        free(items);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        items[i].url = g_strdup(config->webhooks.items[i].url);
        items[i].rooms = g_strdup(config->webhooks.items[i].rooms);
    }
    copy->webhooks = (struct td_config_webhooks){.items = items, .count = count};
    td_letterbook_init(b, copy);
    b->copy = copy;
    return 0;
}

static void forget_letters(struct td_letterbook *b)
{
    free(b->text);
    b->text = NULL;
    for (size_t i = 0; i < b->url_count; i++)
        g_free(b->urls[i]);
    b->url_count = 0;
}

void td_letterbook_done(struct td_letterbook *b)
{
    forget_letters(b);
    g_clear_pointer(&b->told, g_hash_table_destroy);
    free_copy(b->copy);
    b->copy = NULL;
}

static const char *text_of(const json_t *doc, const char *key)
{
    const char *text = json_string_value(json_object_get(doc, key));
    return text != NULL ? text : "";
}

/* A recording that was interrupted has been told of by the process that began it. */
static bool is_resumed(const json_t *doc)
{
    return strcmp(text_of(doc, "state"), "interrupted") == 0 ||
           json_array_size(json_object_get(doc, "interruptions")) > 0;
}

static enum td_letter_event take_step(struct td_letterbook *b, const json_t *doc, bool final)
{
    const char *id = text_of(doc, "id");
    const char *state = text_of(doc, "state");
    struct told *told = g_hash_table_lookup(b->told, id);
    bool started = told != NULL ? told->started : is_resumed(doc);
    enum td_letter_event event =
        td_letter_event_of(told != NULL ? told->state : NULL, state, started, final);
    if (final) {
        (void)g_hash_table_remove(b->told, id); /* it need not be there */
        return event;
    }
    if (told == NULL) {
        told = g_new0(struct told, 1);
        (void)g_hash_table_insert(b->told, g_strdup(id), told); /* it was not there */
    }
    (void)snprintf(told->state, sizeof(told->state), "%s", state);
    told->started = started || event != TD_LETTER_NONE;
    return event;
}

static bool has_url(const struct td_letterbook *b, const char *url)
{
    for (size_t i = 0; i < b->url_count; i++) {
        if (strcmp(b->urls[i], url) == 0)
            return true;
    }
    return false;
}

/* A URL that stands in the configuration twice, for other rooms, gets one letter. */
static void choose_urls(struct td_letterbook *b, const char *room, size_t max)
{
    for (size_t i = 0; i < b->config->webhooks.count; i++) {
        const struct td_config_webhook *hook = &b->config->webhooks.items[i];
        if (b->url_count < max && b->url_count < TD_RECORDINGS_LETTERS_MAX &&
            td_glob_match(hook->rooms, room) && !has_url(b, hook->url))
            b->urls[b->url_count++] = g_strdup(hook->url);
    }
}

int td_letterbook_write(struct td_letterbook *b, const json_t *doc, bool final, int64_t now_us,
                        struct td_catalog_letter *ret_letters, size_t max)
{
    forget_letters(b);
    enum td_letter_event event = take_step(b, doc, final);
    if (event == TD_LETTER_NONE)
        return 0;
    choose_urls(b, text_of(doc, "room"), max);
    int r = b->url_count > 0 ? td_letter_write(event, doc, now_us, &b->text) : 0;
    if (r < 0)
        return r;
    for (size_t i = 0; i < b->url_count; i++)
        ret_letters[i] = (struct td_catalog_letter){
            .recording = text_of(doc, "id"), .url = b->urls[i], .body = b->text};
    return (int)b->url_count;
}
