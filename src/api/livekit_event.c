/* SPDX-License-Identifier: Apache-2.0 */
#include "api/livekit_event.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"

#define KIND_EGRESS 2 /* livekit.ParticipantInfo.Kind */

static const struct {
    const char *name;
    enum td_livekit_event_kind kind;
} kinds[] = {
    {"room_started", TD_LIVEKIT_ROOM_STARTED},
    {"room_finished", TD_LIVEKIT_ROOM_FINISHED},
    {"participant_joined", TD_LIVEKIT_PARTICIPANT_JOINED},
    {"track_published", TD_LIVEKIT_TRACK_PUBLISHED},
};

static enum td_livekit_event_kind kind_of(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strcmp(name, kinds[i].name) == 0)
            return kinds[i].kind;
    }
    return TD_LIVEKIT_OTHER;
}

static void copy_text(const json_t *object, const char *key, char *ret_text, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text != NULL && strlen(text) < size)
        memcpy(ret_text, text, strlen(text) + 1);
}

/* 64-bit numbers are texts in protobuf's JSON; plain numbers are read too. */
static int64_t number_of(const json_t *value)
{
    if (json_is_integer(value))
        return json_integer_value(value);
    const char *text = json_string_value(value);
    char *end = NULL;
    long long number = text != NULL ? strtoll(text, &end, 10) : 0;
    return end != NULL && *end == '\0' ? number : 0;
}

static bool records(const json_t *participant)
{
    const json_t *kind = json_object_get(participant, "kind");
    const json_t *permission = json_object_get(participant, "permission");
    const char *name = json_string_value(kind);
    return (name != NULL && strcmp(name, "EGRESS") == 0) ||
           (json_is_integer(kind) && json_integer_value(kind) == KIND_EGRESS) ||
           json_is_true(json_object_get(permission, "hidden")) ||
           json_is_true(json_object_get(permission, "recorder"));
}

int td_livekit_event_parse(const char *text, size_t len, struct td_livekit_event *ret_event)
{
    json_t *body = json_loadb(text, len, 0, NULL);
    if (!json_is_object(body)) {
        json_decref(body);
        return -TD_E_PARSE;
    }
    struct td_livekit_event event = {.kind = TD_LIVEKIT_OTHER};
    const json_t *room = json_object_get(body, "room");
    const json_t *participant = json_object_get(body, "participant");
    event.kind = kind_of(json_string_value(json_object_get(body, "event")));
    event.created_s = number_of(json_object_get(body, "createdAt"));
    copy_text(body, "id", event.id, sizeof(event.id));
    copy_text(room, "name", event.room, sizeof(event.room));
    copy_text(room, "sid", event.room_sid, sizeof(event.room_sid));
    copy_text(participant, "identity", event.identity, sizeof(event.identity));
    event.has_participant = json_is_object(participant);
    event.recorder = records(participant);
    json_decref(body);
    *ret_event = event;
    return 0;
}

const struct td_config_rule *td_livekit_event_rule(const struct td_livekit_event *event,
                                                   const struct td_config_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        const struct td_config_rule *rule = &rules->items[i];
        if (!td_glob_match(rule->room, event->room))
            continue;
        bool everybody = rule->participant == NULL || rule->participant[0] == '\0';
        if (!event->has_participant)
            return everybody ? rule : NULL;
        if (td_glob_match(rule->participant, event->identity))
            return rule;
    }
    return NULL;
}
