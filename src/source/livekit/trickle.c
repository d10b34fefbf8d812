/* SPDX-License-Identifier: Apache-2.0 */
#include "source/livekit/trickle.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int td_trickle_parse(const char *json, char ret_candidate[static TD_TRICKLE_TEXT_MAX])
{
    json_t *init = json_loads(json, 0, NULL);
    const char *candidate = json_string_value(json_object_get(init, "candidate"));
    int r = init == NULL ? -TD_E_PARSE : 0;
    if (candidate != NULL && candidate[0] != '\0') {
        int len = snprintf(ret_candidate, TD_TRICKLE_TEXT_MAX, "%s", candidate);
        r = len > 0 && len < TD_TRICKLE_TEXT_MAX ? 1 : -TD_E_PARSE;
    }
    json_decref(init);
    return r;
}

static char *to_json(const char *candidate)
{
    json_t *init =
        json_pack("{s:s, s:s, s:i}", "candidate", candidate, "sdpMid", "0", "sdpMLineIndex", 0);
    char *text = init != NULL ? json_dumps(init, JSON_COMPACT) : NULL;
    json_decref(init);
    return text;
}

void td_trickle_add(struct td_trickle *t, const char *candidate)
{
    if (t->send == NULL) {
        char *copy = t->waiting_count < TD_CANDIDATES_MAX ? strdup(candidate) : NULL;
        if (copy != NULL)
            t->waiting[t->waiting_count++] = copy;
        return;
    }
    char *json = to_json(candidate);
    if (json != NULL)
        t->send(t->ctx, json);
    free(json);
}

void td_trickle_open(struct td_trickle *t, void (*send)(void *ctx, const char *json), void *ctx)
{
    t->send = send;
    t->ctx = ctx;
}

void td_trickle_done(struct td_trickle *t)
{
    while (t->waiting_count > 0)
        free(t->waiting[--t->waiting_count]);
}
