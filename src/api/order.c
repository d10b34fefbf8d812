/* SPDX-License-Identifier: Apache-2.0 */
#include "api/order.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct td_order *td_order_free(struct td_order *o)
{
    if (o == NULL)
        return NULL;
    free(o->room);
    free(o->url);
    free(o->token);
    free(o->format);
    free(o->participant);
    free(o->digest);
    free(o);
    return NULL;
}

/* ---- checking ---- */

static bool offered(const struct td_config_texts *texts, const char *word)
{
    for (size_t i = 0; i < texts->count; i++) {
        if (strcmp(texts->items[i], word) == 0)
            return true;
    }
    return false;
}

static bool too_long(const char *text)
{
    return text != NULL && strlen(text) > TD_ORDER_TEXT_MAX;
}

int td_order_check(const struct td_recording_request *asked, const struct td_config *config,
                   struct td_fail *ret_fail)
{
    if (too_long(asked->room) || too_long(asked->url) || too_long(asked->token) ||
        too_long(asked->participant))
        return td_fail_set(ret_fail, -TD_E_USAGE, "A text of the request is longer than %u bytes.",
                           TD_ORDER_TEXT_MAX);
    if (asked->format != NULL && !offered(&config->formats, asked->format))
        return td_fail_set(ret_fail, -TD_E_USAGE,
                           "The format '%.32s' is not offered here (formats).", asked->format);
    if (asked->tier != NULL && !offered(&config->tiers, asked->tier))
        return td_fail_set(ret_fail, -TD_E_USAGE, "The tier '%.32s' is not offered here (tiers).",
                           asked->tier);
    return 0;
}

/* ---- copying ---- */

/* NULL stays NULL. */
static bool copy(char **ret, const char *text)
{
    if (text == NULL)
        return true;
    *ret = strdup(text);
    return *ret != NULL;
}

/* "auto" is the choice by the codec, which is made without a name. */
static const char *format_name(const char *asked, const struct td_config *config)
{
    const char *name = asked;
    if (name == NULL && config->formats.count > 0)
        name = config->formats.items[0];
    return name == NULL || strcmp(name, "auto") == 0 ? NULL : name;
}

int td_order_new(const struct td_recording_request *asked, const char *source,
                 const struct td_config *config, struct td_fail *ret_fail,
                 struct td_order **ret_order)
{
    struct td_order *o = calloc(1, sizeof(*o));
    bool ok = o != NULL && copy(&o->room, asked->room) && copy(&o->url, asked->url) &&
              copy(&o->token, asked->token) && copy(&o->participant, asked->participant) &&
              copy(&o->format, format_name(asked->format, config));
    if (!ok) {
        td_order_free(o);
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    }
    o->source = source;
    o->max_duration_us = asked->max_duration_us;
    o->max_size_bytes = asked->max_size_bytes;
    o->hold = asked->hold;
    *ret_order = o;
    return 0;
}

/* ---- as text ---- */

static bool put_text(json_t *json, const char *key, const char *text)
{
    return text == NULL || json_object_set_new(json, key, json_string(text)) == 0;
}

static bool put_number(json_t *json, const char *key, int64_t value)
{
    return value == 0 || json_object_set_new(json, key, json_integer(value)) == 0;
}

char *td_order_text(const struct td_order *o, bool with_secrets)
{
    json_t *json = json_object();
    bool ok = put_text(json, "source", o->source) && put_text(json, "room", o->room) &&
              put_text(json, "url", o->url) && put_text(json, "format", o->format) &&
              put_text(json, "participant", o->participant) &&
              put_number(json, "max_duration_us", o->max_duration_us) &&
              put_number(json, "max_size_bytes", o->max_size_bytes) &&
              json_object_set_new(json, "hold", json_boolean(o->hold)) == 0;
    if (ok && with_secrets)
        ok = put_text(json, "token", o->token) && put_text(json, "whip_token_sha256", o->digest);
    char *text = ok ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

static bool get_text(const json_t *json, const char *key, char **ret)
{
    const char *text = json_string_value(json_object_get(json, key));
    return too_long(text) || copy(ret, text);
}

static int64_t get_number(const json_t *json, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(json, key));
    return value > 0 ? value : 0;
}

static bool read_order(struct td_order *o, const json_t *json, const struct td_manifest *manifest)
{
    const char *source = json_string_value(json_object_get(json, "source"));
    if (source == NULL)
        source = manifest->source;
    o->source = strcmp(source, "whip") == 0 ? "whip" : "livekit";
    o->max_duration_us = get_number(json, "max_duration_us");
    o->max_size_bytes = get_number(json, "max_size_bytes");
    o->hold = json_is_true(json_object_get(json, "hold"));
    return get_text(json, "url", &o->url) && get_text(json, "token", &o->token) &&
           get_text(json, "format", &o->format) && get_text(json, "participant", &o->participant) &&
           get_text(json, "whip_token_sha256", &o->digest) && get_text(json, "room", &o->room) &&
           (o->room != NULL || copy(&o->room, manifest->room));
}

int td_order_read(const char *text, const struct td_manifest *manifest, struct td_order **ret_order)
{
    if (text == NULL || text[0] == '\0')
        text = manifest->request != NULL ? manifest->request : "{}";
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(json)) {
        json_decref(json);
        return -TD_E_PARSE;
    }
    struct td_order *o = calloc(1, sizeof(*o));
    bool ok = o != NULL && read_order(o, json, manifest);
    json_decref(json);
    if (!ok) {
        td_order_free(o);
        return -ENOMEM;
    }
    *ret_order = o;
    return 0;
}
