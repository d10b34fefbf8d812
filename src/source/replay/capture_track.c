/* SPDX-License-Identifier: Apache-2.0 */
#include "source/replay/capture_track.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "media/codec.h"

static const char *const role_names[] = {
    [TD_ROLE_UNKNOWN] = "unknown",           [TD_ROLE_CAMERA] = "camera",
    [TD_ROLE_MICROPHONE] = "microphone",     [TD_ROLE_SCREEN] = "screen",
    [TD_ROLE_SCREEN_AUDIO] = "screen_audio",
};

#define ROLE_COUNT (sizeof(role_names) / sizeof(role_names[0]))

/* ---- to text ---- */

/* A name that was cut inside of a character is no UTF-8 any more: it is told in ASCII then. */
static json_t *text_to_json(const char *text)
{
    char ascii[TD_SOURCE_TEXT_MAX];
    size_t len = strnlen(text, sizeof(ascii) - 1);
    json_t *json = json_stringn(text, len);

    if (json != NULL)
        return json;
    for (size_t i = 0; i < len; i++)
        ascii[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    return json_stringn(ascii, len);
}

/* Sets a key; takes the reference of `value` in any case. Returns 0 or -ENOMEM. */
static int set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0 ? 0 : -ENOMEM;
}

static json_t *codec_to_json(enum td_codec codec)
{
    const struct td_codec_info *info = td_codec_info(codec);

    return info != NULL ? json_string(info->name) : json_null();
}

static json_t *info_to_json(const struct td_track_info *info)
{
    size_t role = (size_t)info->role < ROLE_COUNT ? (size_t)info->role : TD_ROLE_UNKNOWN;
    json_t *o = json_object();

    if (o == NULL || set(o, "handle", json_integer(info->handle)) < 0 ||
        set(o, "kind", json_string(info->kind == TD_MEDIA_VIDEO ? "video" : "audio")) < 0 ||
        set(o, "role", json_string(role_names[role])) < 0 ||
        set(o, "participant", text_to_json(info->participant)) < 0 ||
        set(o, "participant_name", text_to_json(info->participant_name)) < 0 ||
        set(o, "sid", text_to_json(info->sid)) < 0 ||
        set(o, "name", text_to_json(info->name)) < 0 ||
        set(o, "muted", json_boolean(info->muted)) < 0 ||
        set(o, "width", json_integer(info->width)) < 0 ||
        set(o, "height", json_integer(info->height)) < 0 ||
        set(o, "codec", codec_to_json(info->codec)) < 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *payload_to_json(const struct td_payload *payload)
{
    json_t *o = json_object();

    if (o == NULL || set(o, "payload_type", json_integer(payload->payload_type)) < 0 ||
        set(o, "codec", codec_to_json(payload->codec)) < 0 ||
        set(o, "clock_hz", json_integer(payload->clock_hz)) < 0 ||
        set(o, "channels", json_integer(payload->channels)) < 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *binding_to_json(const struct td_track_binding *binding)
{
    json_t *o = json_object(), *list = json_array();
    int err = o == NULL || list == NULL ? -ENOMEM : 0;

    for (unsigned i = 0; err == 0 && i < binding->payload_count; i++) {
        if (json_array_append_new(list, payload_to_json(&binding->payloads[i])) != 0)
            err = -ENOMEM;
    }
    if (err < 0 || set(o, "handle", json_integer(binding->handle)) < 0 ||
        set(o, "ssrc", json_integer(binding->ssrc)) < 0 ||
        set(o, "rtx_ssrc", json_integer(binding->rtx_ssrc)) < 0 ||
        json_object_set(o, "payloads", list) != 0) {
        json_decref(o);
        o = NULL;
    }
    json_decref(list);
    return o;
}

int td_capture_track_print(const struct td_track_info *info, const struct td_track_binding *binding,
                           uint8_t *ret_text, size_t capacity)
{
    json_t *o = json_object();
    int r = o == NULL ? -ENOMEM : 0;
    size_t len;

    assert(info != NULL || binding != NULL);
    assert(binding == NULL || binding->payload_count <= TD_SOURCE_PAYLOADS_MAX);
    if (r == 0 && info != NULL)
        r = set(o, "track", info_to_json(info));
    if (r == 0 && binding != NULL)
        r = set(o, "binding", binding_to_json(binding));
    if (r == 0) {
        len = json_dumpb(o, (char *)ret_text, capacity, JSON_COMPACT);
        if (len == 0)
            r = -ENOMEM;
        else
            r = len > capacity ? -TD_E_LIMIT : (int)len;
    }
    json_decref(o);
    return r;
}

/* ---- from text; each of these clears `*ok` when the key is not as it must be ---- */

static uint32_t number(const json_t *object, const char *key, uint32_t max, bool *ok)
{
    const json_t *value = json_object_get(object, key);
    json_int_t v = json_integer_value(value);

    if (!json_is_integer(value) || v < 0 || v > (json_int_t)max) {
        *ok = false;
        return 0;
    }
    return (uint32_t)v;
}

static void text(const json_t *object, const char *key, char ret_text[static TD_SOURCE_TEXT_MAX],
                 bool *ok)
{
    const json_t *value = json_object_get(object, key);
    size_t len = json_string_length(value);

    /* jansson refuses \u0000, so that the length is that of the C string. */
    if (!json_is_string(value) || len >= TD_SOURCE_TEXT_MAX) {
        *ok = false;
        return;
    }
    memcpy(ret_text, json_string_value(value), len + 1);
}

static enum td_codec codec(const json_t *object, bool *ok)
{
    const json_t *value = json_object_get(object, "codec");
    const struct td_codec_info *info;

    if (json_is_null(value))
        return TD_CODEC_NONE;
    info = json_is_string(value) ? td_codec_by_name(json_string_value(value)) : NULL;
    if (info == NULL) {
        *ok = false;
        return TD_CODEC_NONE;
    }
    return info->codec;
}

static enum td_track_role role(const json_t *object, bool *ok)
{
    const char *name = json_string_value(json_object_get(object, "role"));

    for (size_t i = 0; name != NULL && i < ROLE_COUNT; i++) {
        if (strcmp(name, role_names[i]) == 0)
            return (enum td_track_role)i;
    }
    *ok = false;
    return TD_ROLE_UNKNOWN;
}

static enum td_media_kind kind(const json_t *object, bool *ok)
{
    const char *name = json_string_value(json_object_get(object, "kind"));

    if (name != NULL && strcmp(name, "video") == 0)
        return TD_MEDIA_VIDEO;
    if (name == NULL || strcmp(name, "audio") != 0)
        *ok = false;
    return TD_MEDIA_AUDIO;
}

static bool parse_info(const json_t *o, struct td_track_info *ret_info)
{
    const json_t *muted = json_object_get(o, "muted");
    bool ok = json_is_boolean(muted);

    *ret_info = (struct td_track_info){
        .handle = number(o, "handle", UINT32_MAX, &ok),
        .kind = kind(o, &ok),
        .role = role(o, &ok),
        .muted = json_is_true(muted),
        .width = (uint16_t)number(o, "width", UINT16_MAX, &ok),
        .height = (uint16_t)number(o, "height", UINT16_MAX, &ok),
        .codec = codec(o, &ok),
    };
    text(o, "participant", ret_info->participant, &ok);
    text(o, "participant_name", ret_info->participant_name, &ok);
    text(o, "sid", ret_info->sid, &ok);
    text(o, "name", ret_info->name, &ok);
    return ok;
}

static bool parse_binding(const json_t *o, struct td_track_binding *ret_binding)
{
    const json_t *list = json_object_get(o, "payloads");
    size_t count = json_array_size(list);
    bool ok = json_is_array(list) && count <= TD_SOURCE_PAYLOADS_MAX;

    *ret_binding = (struct td_track_binding){
        .handle = number(o, "handle", UINT32_MAX, &ok),
        .ssrc = number(o, "ssrc", UINT32_MAX, &ok),
        .rtx_ssrc = number(o, "rtx_ssrc", UINT32_MAX, &ok),
    };
    for (size_t i = 0; ok && i < count; i++) {
        const json_t *p = json_array_get(list, i);

        ret_binding->payloads[i] = (struct td_payload){
            .payload_type = (uint8_t)number(p, "payload_type", 127, &ok),
            .channels = (uint8_t)number(p, "channels", UINT8_MAX, &ok),
            .codec = codec(p, &ok),
            .clock_hz = number(p, "clock_hz", 1000000, &ok),
        };
        ret_binding->payload_count++;
    }
    return ok;
}

int td_capture_track_parse(const uint8_t *bytes, size_t len, struct td_track_info *ret_info,
                           struct td_track_binding *ret_binding)
{
    json_t *o = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *track = json_object_get(o, "track");
    const json_t *bound = json_object_get(o, "binding");
    struct td_track_info info;
    struct td_track_binding binding;
    bool ok = track != NULL || bound != NULL;
    int parts = 0;

    if (ok && track != NULL) {
        ok = parse_info(track, &info);
        parts |= TD_CAPTURE_HAS_INFO;
    }
    if (ok && bound != NULL) {
        ok = parse_binding(bound, &binding);
        parts |= TD_CAPTURE_HAS_BINDING;
    }
    json_decref(o);
    if (!ok)
        return -TD_E_PARSE;
    if ((parts & TD_CAPTURE_HAS_INFO) != 0)
        *ret_info = info;
    if ((parts & TD_CAPTURE_HAS_BINDING) != 0)
        *ret_binding = binding;
    return parts;
}
