/* SPDX-License-Identifier: Apache-2.0 */
#include "api/ask.h"

#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http.h"
#include "base/clock.h"

#define NAME_SHOWN_MAX 64u

/* A member's name as a sentence can show it: cutting one could cut a character of it. */
static const char *shown(const char *name)
{
    return strlen(name) <= NAME_SHOWN_MAX ? name : "a member";
}

static int bad(struct td_fail *fail, const char *name, const char *what)
{
    return td_fail_set(fail, -TD_E_PARSE, "%s: %s.", shown(name), what);
}

/* ---- members ---- */

static int take_text(const json_t *value, const char *name, size_t max, struct td_fail *fail,
                     const char **ret_text)
{
    const char *text = json_string_value(value);
    if (text == NULL)
        return bad(fail, name, "has to be a text");
    if (text[0] == '\0' || json_string_length(value) > max)
        return td_fail_set(fail, -TD_E_PARSE, "%s: has to be 1 to %zu bytes long.", name, max);
    *ret_text = text;
    return 0;
}

/* Also a 5.0: to JSON that is a whole number. */
static int take_number(const json_t *value, const char *name, int64_t max, struct td_fail *fail,
                       int64_t *ret_number)
{
    double number = json_number_value(value);
    if (!json_is_number(value) || trunc(number) < number || trunc(number) > number)
        return bad(fail, name, "has to be a whole number");
    if (number < 0 || number > (double)max)
        return td_fail_set(fail, -TD_E_PARSE, "%s: has to be between 0 and %lld.", name,
                           (long long)max);
    *ret_number = (int64_t)number;
    return 0;
}

static int take_truth(const json_t *value, const char *name, struct td_fail *fail, bool *ret_truth)
{
    if (!json_is_boolean(value))
        return bad(fail, name, "has to be true or false");
    *ret_truth = json_is_true(value);
    return 0;
}

static int take_seconds(const json_t *value, const char *name, struct td_fail *fail,
                        int64_t *ret_us)
{
    int64_t seconds = 0;
    int err = take_number(value, name, TD_ASK_DURATION_S_MAX, fail, &seconds);
    if (err == 0)
        *ret_us = seconds * TD_US_PER_S;
    return err;
}

/* ---- POST ---- */

static int take_output(const char *name, const json_t *value, struct td_fail *fail,
                       struct td_recording_request *r)
{
    bool is_format = strcmp(name, "format") == 0;
    if (!is_format && strcmp(name, "participant") != 0)
        return td_fail_set(fail, -TD_E_PARSE, "outputs[].%s: there is no such member.",
                           shown(name));
    const char **place = is_format ? &r->format : &r->participant;
    if (*place != NULL)
        return td_fail_set(fail, -TD_E_PARSE, "outputs[].%s: is given twice.", name);
    return take_text(value, name, is_format ? TD_ASK_WORD_MAX : TD_ASK_TEXT_MAX, fail, place);
}

/* The members of the one output say the same as those beside `outputs`. */
static int take_outputs(const json_t *list, struct td_fail *fail, struct td_recording_request *r)
{
    if (!json_is_array(list))
        return bad(fail, "outputs", "has to be a list");
    if (json_array_size(list) > 1)
        return td_fail_set(fail, -TD_E_UNSUPPORTED,
                           "outputs: one output a recording is what there is so far.");
    json_t *output = json_array_get(list, 0);
    if (output == NULL)
        return 0;
    if (!json_is_object(output))
        return bad(fail, "outputs", "has to hold an object");
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(output, name, value)
    {
        int err = take_output(name, value, fail, r);
        if (err < 0)
            return err;
    }
    return 0;
}

static int take_room(const json_t *value, struct td_fail *fail, const char **ret_room)
{
    int err = take_text(value, "room", TD_ASK_TEXT_MAX, fail, ret_room);
    if (err == 0 && !td_http_is_room(*ret_room))
        return bad(fail, "room", "has to be printable");
    return err;
}

static int take_member(const char *name, const json_t *value, struct td_fail *fail,
                       struct td_recording_request *r)
{
    if (strcmp(name, "room") == 0)
        return take_room(value, fail, &r->room);
    if (strcmp(name, "url") == 0)
        return take_text(value, name, TD_ASK_URL_MAX, fail, &r->url);
    if (strcmp(name, "token") == 0)
        return take_text(value, name, TD_ASK_TOKEN_MAX, fail, &r->token);
    if (strcmp(name, "format") == 0)
        return take_text(value, name, TD_ASK_WORD_MAX, fail, &r->format);
    if (strcmp(name, "tier") == 0)
        return take_text(value, name, TD_ASK_WORD_MAX, fail, &r->tier);
    if (strcmp(name, "participant") == 0)
        return take_text(value, name, TD_ASK_TEXT_MAX, fail, &r->participant);
    if (strcmp(name, "max_duration_s") == 0)
        return take_seconds(value, name, fail, &r->max_duration_us);
    if (strcmp(name, "max_size_bytes") == 0)
        return take_number(value, name, TD_ASK_SIZE_BYTES_MAX, fail, &r->max_size_bytes);
    if (strcmp(name, "hold") == 0)
        return take_truth(value, name, fail, &r->hold);
    return strcmp(name, "outputs") == 0 ? 0 : bad(fail, name, "there is no such member");
}

static int parse(json_t *body, struct td_fail *fail, struct td_recording_request *ret)
{
    if (!json_is_object(body))
        return td_fail_set(fail, -TD_E_PARSE, "The body has to be a JSON object.");
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(body, name, value)
    {
        int err = take_member(name, value, fail, ret);
        if (err < 0)
            return err;
    }
    value = json_object_get(body, "outputs"); /* after those that it might say again */
    int err = value != NULL ? take_outputs(value, fail, ret) : 0;
    if (err == 0 && ret->room == NULL)
        return bad(fail, "room", "is missing");
    return err;
}

/* The same for the same members and values, whatever their order and white space. */
static int digest(const json_t *body, char ret_digest[static TD_ASK_DIGEST_SIZE])
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    if (text == NULL)
        return -ENOMEM;
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int ok = EVP_Digest(text, strlen(text), sum, &len, EVP_sha256(), NULL);
    free(text);
    if (ok != 1 || len * 2 + 1 != TD_ASK_DIGEST_SIZE)
        return -TD_E_CRYPTO;
    for (unsigned i = 0; i < len; i++)
        (void)snprintf(ret_digest + 2 * i, 3, "%02x", sum[i]);
    return 0;
}

int td_ask_parse(json_t *body, struct td_fail *ret_fail, struct td_ask *ret_ask)
{
    struct td_ask a = {.body = body};
    int err = parse(body, ret_fail, &a.recording);
    if (err == 0) {
        err = digest(body, a.digest);
        if (err < 0)
            (void)td_fail_set(ret_fail, err, "The request cannot be read: %s.", td_err_text(err));
    }
    if (err < 0) {
        json_decref(body);
        return err;
    }
    *ret_ask = a;
    return 0;
}

void td_ask_done(struct td_ask *a)
{
    json_decref(a->body);
    *a = (struct td_ask){.body = NULL};
}

/* ---- PATCH ---- */

static int take_change(const char *name, const json_t *value, struct td_fail *fail,
                       struct td_ask_patch *patch)
{
    if (strcmp(name, "hold") == 0) {
        patch->has_hold = true;
        return take_truth(value, name, fail, &patch->hold);
    }
    if (strcmp(name, "max_duration_s") == 0)
        return take_seconds(value, name, fail, &patch->max_duration_us);
    if (strcmp(name, "max_size_bytes") == 0)
        return take_number(value, name, TD_ASK_SIZE_BYTES_MAX, fail, &patch->max_size_bytes);
    return bad(fail, name, "there is no such member");
}

int td_ask_patch_parse(const json_t *body, struct td_fail *ret_fail, struct td_ask_patch *ret_patch)
{
    struct td_ask_patch patch = {.max_duration_us = -1, .max_size_bytes = -1};
    if (!json_is_object(body))
        return td_fail_set(ret_fail, -TD_E_PARSE, "The body has to be a JSON object.");
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)body, name, value)
    {
        int err = take_change(name, value, ret_fail, &patch);
        if (err < 0)
            return err;
    }
    *ret_patch = patch;
    return 0;
}

bool td_ask_is_key(const char *key)
{
    size_t len = strlen(key);
    if (len == 0 || len > TD_ASK_TEXT_MAX)
        return false;
    for (const char *p = key; *p != '\0'; p++) {
        if (*p <= ' ' || *p >= 0x7f) /* where char is signed, bytes above ASCII are below ' ' */
            return false;
    }
    return true;
}
