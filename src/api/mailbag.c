/* SPDX-License-Identifier: Apache-2.0 */
#include "api/mailbag.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is wanted ---- */

struct td_mailbag *td_mailbag_new(struct td_catalog *catalog, int64_t now_us)
{
    struct td_mailbag *bag = calloc(1, sizeof(*bag));
    if (bag == NULL)
        return NULL;
    bag->catalog = catalog;
    bag->now_us = now_us;
    bag->next_us = INT64_MAX;
    bag->places = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return bag;
}

struct td_mailbag *td_mailbag_free(struct td_mailbag *bag)
{
    if (bag == NULL)
        return NULL;
    for (unsigned i = 0; i < bag->count; i++) {
        free(bag->letters[i].url);
        free(bag->letters[i].body);
    }
    g_hash_table_destroy(bag->places);
    free(bag);
    return NULL;
}

static unsigned places_of(const struct td_mailbag *bag, const char *url)
{
    void *places = NULL;
    bool known = g_hash_table_lookup_extended(bag->places, url, NULL, &places);
    return known ? GPOINTER_TO_UINT(places) : TD_MAILBAG_PLACES;
}

void td_mailbag_limit(struct td_mailbag *bag, const char *url, unsigned places)
{
    (void)g_hash_table_replace(bag->places, g_strdup(url), GUINT_TO_POINTER(places));
}

void td_mailbag_take(struct td_mailbag *bag, const char *url)
{
    unsigned places = places_of(bag, url);
    td_mailbag_limit(bag, url, places > 0 ? places - 1 : 0);
}

/* ---- what is found ---- */

static bool is_busy(const struct td_mailbag *bag, int64_t id)
{
    for (unsigned i = 0; i < bag->busy_count; i++) {
        if (bag->busy[i] == id)
            return true;
    }
    return false;
}

static int on_due(void *ctx, const struct td_catalog_outgoing *letter)
{
    struct td_mailbag *bag = ctx;
    if (bag->count >= bag->want)
        return 1;
    if (is_busy(bag, letter->id) || places_of(bag, letter->url) == 0)
        return 0;
    struct td_mailbag_letter *l = &bag->letters[bag->count++];
    *l = (struct td_mailbag_letter){.id = letter->id,
                                    .url = strdup(letter->url),
                                    .body = strdup(letter->body),
                                    .made_us = letter->made_us,
                                    .tries = letter->tries};
    (void)snprintf(l->recording, sizeof(l->recording), "%s", letter->recording);
    if (l->url == NULL || l->body == NULL)
        return -ENOMEM;
    td_mailbag_take(bag, letter->url);
    return 0;
}

static int on_oldest(void *ctx, const struct td_catalog_outgoing *letter)
{
    struct td_mailbag *bag = ctx;
    bag->oldest_us = letter->made_us;
    return 1;
}

int td_mailbag_fill_job(void *arg)
{
    struct td_mailbag *bag = arg;
    int r = td_catalog_outbox_due(bag->catalog, bag->now_us, TD_CATALOG_PAGE_MAX, on_due, bag);
    if (r >= 0)
        r = td_catalog_outbox_next(bag->catalog, &bag->next_us, &bag->pending);
    /* The oldest of all is the first of its recording and URL, so it would be due at some time. */
    if (r >= 0 && bag->pending > 0)
        r = td_catalog_outbox_due(bag->catalog, INT64_MAX, 1, on_oldest, bag);
    return r < 0 ? r : 0;
}

int td_mailbag_mark_job(void *arg)
{
    const struct td_mailbag_mark *mark = arg;
    if (mark->fate == TD_MAILBAG_LATER)
        return td_catalog_outbox_later(mark->catalog, mark->id, mark->next_us);
    return td_catalog_outbox_done(mark->catalog, mark->id, mark->fate == TD_MAILBAG_DELIVERED);
}

int td_mailbag_replay_job(void *arg)
{
    const struct td_mailbag_replay *replay = arg;
    return td_catalog_outbox_replay(replay->catalog, replay->recording, replay->delivered);
}
