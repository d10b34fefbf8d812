/* SPDX-License-Identifier: Apache-2.0 */
#include "api/access.h"

#include <errno.h>
#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/bearer.h"

#define KEYS_MAX (TD_CONFIG_LIST_MAX + 1) /* and the extra one */
#define HOST_MAX 256u

struct keys {
    struct td_bearer_key items[KEYS_MAX];
    char *rooms[KEYS_MAX]; /* NULL = all */
    size_t count;
};

struct td_access {
    struct keys api;
    struct keys whip;
    char *origins[TD_CONFIG_LIST_MAX];
    size_t origin_count;
};

/* ---- making one ---- */

static int add_key(struct keys *keys, const char *what, const char *key, const char *rooms,
                   struct td_fail *ret_fail)
{
    struct td_bearer_key *item = &keys->items[keys->count];
    if (keys->count == KEYS_MAX)
        return td_fail_set(ret_fail, -TD_E_USAGE, "%s: more than %u keys.", what, KEYS_MAX);
    if (key == NULL || td_bearer_key_init(item, key) < 0)
        return td_fail_set(ret_fail, -TD_E_USAGE,
                           "%s: an empty key, or one that no caller could show.", what);
    for (size_t i = 0; i < keys->count; i++) {
        if (memcmp(&keys->items[i], item, sizeof(*item)) == 0)
            return td_fail_set(ret_fail, -TD_E_USAGE,
                               "%s: the same key is there twice: which rooms does it open?", what);
    }
    if (rooms != NULL && (keys->rooms[keys->count] = strdup(rooms)) == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    keys->count++;
    return 0;
}

static int add_keys(struct keys *keys, const char *what, const struct td_config_keys *from,
                    struct td_fail *ret_fail)
{
    int err = 0;
    for (size_t i = 0; i < from->count && err == 0; i++)
        err = add_key(keys, what, from->items[i].key, from->items[i].rooms, ret_fail);
    return err;
}

static int add_origins(struct td_access *a, const struct td_config_texts *from,
                       struct td_fail *ret_fail)
{
    for (size_t i = 0; i < from->count && i < TD_CONFIG_LIST_MAX; i++) {
        a->origins[i] = strdup(from->items[i]);
        if (a->origins[i] == NULL)
            return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
        a->origin_count++;
    }
    return 0;
}

int td_access_new(const struct td_config *config, const char *key, struct td_fail *ret_fail,
                  struct td_access **ret_access)
{
    struct td_access *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    int err = add_keys(&a->api, "api_keys", &config->api_keys, ret_fail);
    if (err == 0 && key != NULL)
        err = add_key(&a->api, "--token", key, NULL, ret_fail);
    if (err == 0)
        err = add_keys(&a->whip, "whip.tokens", &config->whip.tokens, ret_fail);
    if (err == 0)
        err = add_origins(a, &config->cors_origins, ret_fail);
    if (err < 0)
        td_access_free(a);
    else
        *ret_access = a;
    return err;
}

struct td_access *td_access_free(struct td_access *a)
{
    if (a == NULL)
        return NULL;
    for (size_t i = 0; i < KEYS_MAX; i++) {
        free(a->api.rooms[i]);
        free(a->whip.rooms[i]);
    }
    for (size_t i = 0; i < a->origin_count; i++)
        free(a->origins[i]);
    free(a);
    return NULL;
}

/* ---- keys ---- */

static const struct keys *keys_of(const struct td_access *a, enum td_access_kind kind)
{
    return kind == TD_ACCESS_WHIP && a->whip.count > 0 ? &a->whip : &a->api;
}

bool td_access_guarded(const struct td_access *a, enum td_access_kind kind)
{
    return keys_of(a, kind)->count > 0;
}

int td_access_check(const struct td_access *a, enum td_access_kind kind, const char *authorization,
                    const char **ret_rooms)
{
    const struct keys *keys = keys_of(a, kind);
    if (keys->count == 0) {
        *ret_rooms = NULL;
        return 0;
    }
    int i = td_bearer_find(authorization, keys->items, keys->count);
    if (i < 0)
        return i;
    *ret_rooms = keys->rooms[i];
    return 0;
}

/* ---- sites ---- */

bool td_access_has_origins(const struct td_access *a)
{
    return a->origin_count > 0;
}

bool td_access_origin(const struct td_access *a, const char *origin)
{
    for (size_t i = 0; i < a->origin_count; i++) {
        if (strcmp(a->origins[i], origin) == 0)
            return true;
    }
    return false;
}

/* What stands in front of ":PORT", without brackets. */
static bool host_name(const char *host, char ret_name[static HOST_MAX])
{
    size_t len = strlen(host);
    const char *end = host + len;
    const char *colon = strrchr(host, ':');
    const char *bracket = strrchr(host, ']');
    if (colon != NULL && (bracket == NULL || colon > bracket)) {
        if (colon[1 + strspn(colon + 1, "0123456789")] != '\0')
            return false;
        end = colon;
    }
    if (host[0] == '[') {
        if (bracket == NULL || bracket + 1 != end)
            return false;
        host++;
        end = bracket;
    }
    len = (size_t)(end - host);
    if (len == 0 || len >= HOST_MAX)
        return false;
    memcpy(ret_name, host, len);
    ret_name[len] = '\0';
    return true;
}

bool td_access_is_local(const char *host)
{
    char name[HOST_MAX];
    if (!host_name(host, name))
        return false;
    if (strcasecmp(name, "localhost") == 0)
        return true;
    /* An address is where it leads; only a name can be made to lead here by somebody else. */
    GInetAddress *address = g_inet_address_new_from_string(name);
    bool local = address != NULL && g_inet_address_get_is_loopback(address);
    g_clear_object(&address);
    return local;
}

bool td_access_is_same(const char *origin, const char *host)
{
    /* https: a proxy in front of us ends TLS. */
    const char *site = g_str_has_prefix(origin, "http://")    ? origin + strlen("http://")
                       : g_str_has_prefix(origin, "https://") ? origin + strlen("https://")
                                                              : NULL;
    return site != NULL && strcasecmp(site, host) == 0;
}
