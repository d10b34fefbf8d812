/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#include "config/value.h"

static int fault(struct td_fail *ret_fail, const char *key, const char *text)
{
    return td_fail_set(ret_fail, -TD_E_USAGE, "%s %s.", key, text);
}

/* ---- what holds for each row ---- */

static bool is_placeholder(const struct td_config_row *row, const void *base)
{
    const char *text = row->secret ? td_config_value_get_text(row, base) : NULL;
    return text != NULL && strcmp(text, TD_CONFIG_SECRET) == 0;
}

static int check_row(const struct td_config_row *row, const void *base, const char *key,
                     struct td_fail *ret_fail)
{
    if (!td_config_value_given(row, base))
        return fault(ret_fail, key, "is missing");
    /* A printed configuration reads well, but must not guard a door: everybody knows the word. */
    if (is_placeholder(row, base))
        return fault(ret_fail, key, "is what stands for a secret in print, not a secret");
    return 0;
}

static int check_list(const struct td_config *c, const struct td_config_row *list,
                      struct td_fail *ret_fail)
{
    size_t count = td_config_list_count(list, c);
    if (count < (size_t)list->min)
        return fault(ret_fail, list->key, "has no entry");
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        const void *entry = td_config_list_entry(list, c, i);
        for (size_t k = 0; k < list->row_count && r == 0; k++) {
            char key[2 * TD_CONFIG_KEY_MAX];
            (void)snprintf(key, sizeof(key), "%s[%zu]%s%s", list->key, i,
                           list->rows[k].key[0] != '\0' ? "." : "", list->rows[k].key);
            r = check_row(&list->rows[k], entry, key, ret_fail);
        }
    }
    return r;
}

static int check_rows(const struct td_config *c, struct td_fail *ret_fail)
{
    size_t count;
    const struct td_config_row *rows = td_config_table(&count);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        if (rows[i].type == TD_CONFIG_LIST)
            r = check_list(c, &rows[i], ret_fail);
        else
            r = check_row(&rows[i], c, rows[i].key, ret_fail);
    }
    return r;
}

/* ---- what holds between rows ---- */

/* One key with two lists of rooms: nobody could say which counts. */
static int check_keys(const struct td_config_keys *keys, const char *key, struct td_fail *ret_fail)
{
    for (size_t i = 0; i < keys->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(keys->items[i].key, keys->items[k].key) == 0)
                return td_fail_set(ret_fail, -TD_E_USAGE, "%s[%zu] is the same as %s[%zu].", key, i,
                                   key, k);
        }
    }
    return 0;
}

static int check_server(const struct td_config *c, struct td_fail *ret_fail)
{
    if (c->api_key != NULL && c->api_secret == NULL)
        return fault(ret_fail, "api_secret", "is missing, but api_key is given");
    if (c->api_key == NULL && c->api_secret != NULL)
        return fault(ret_fail, "api_key", "is missing, but api_secret is given");
    if (c->auto_record.count > 0 && (c->ws_url == NULL || c->api_key == NULL))
        return fault(ret_fail, "auto_record", "needs ws_url, api_key and api_secret");
    return 0;
}

static int check_webhooks(const struct td_config *c, struct td_fail *ret_fail)
{
    for (size_t i = 0; i < c->webhooks.count; i++) {
        const struct td_config_webhook *w = &c->webhooks.items[i];
        if ((w->api_key == NULL) != (w->api_secret == NULL))
            return td_fail_set(ret_fail, -TD_E_USAGE, "webhooks[%zu].%s is missing.", i,
                               w->api_key == NULL ? "api_key" : "api_secret");
        if (w->api_key == NULL && c->api_key == NULL)
            return td_fail_set(ret_fail, -TD_E_USAGE,
                               "webhooks[%zu] needs an api_key and api_secret that sign, its own "
                               "or those of the top.",
                               i);
    }
    return 0;
}

static bool offered(const struct td_config_texts *texts, const char *name)
{
    bool found = name == NULL;
    for (size_t i = 0; i < texts->count && !found; i++)
        found = strcmp(texts->items[i], name) == 0;
    return found;
}

static int check_rules(const struct td_config *c, struct td_fail *ret_fail)
{
    for (size_t i = 0; i < c->auto_record.count; i++) {
        const struct td_config_rule *rule = &c->auto_record.items[i];
        if (!offered(&c->formats, rule->format))
            return td_fail_set(ret_fail, -TD_E_USAGE,
                               "auto_record[%zu].format '%.40s' is not one of formats.", i,
                               rule->format);
        if (!offered(&c->tiers, rule->tier))
            return td_fail_set(ret_fail, -TD_E_USAGE,
                               "auto_record[%zu].tier '%.40s' is not one of tiers.", i, rule->tier);
    }
    return 0;
}

static int check_limits(const struct td_config *c, struct td_fail *ret_fail)
{
    if (c->limits.memory_limit_bytes > c->limits.process_memory_bytes)
        return fault(ret_fail, "limits.memory_limit_mb", "is more than limits.process_memory_mb");
    return 0;
}

int td_config_check(const struct td_config *c, struct td_fail *ret_fail)
{
    int r = check_rows(c, ret_fail);
    if (r == 0)
        r = check_keys(&c->api_keys, "api_keys", ret_fail);
    if (r == 0)
        r = check_keys(&c->whip.tokens, "whip.tokens", ret_fail);
    if (r == 0)
        r = check_server(c, ret_fail);
    if (r == 0)
        r = check_webhooks(c, ret_fail);
    if (r == 0)
        r = check_rules(c, ret_fail);
    return r == 0 ? check_limits(c, ret_fail) : r;
}
