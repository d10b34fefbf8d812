/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/jwt.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base64.h"

#define JWT_HS256_BYTES 32 /* RFC 7518 section 3.2 */
#define JWT_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

/* The three parts of a compact serialisation (RFC 7515 section 7.1). */
struct jwt_parts {
    const char *header;
    size_t header_len;
    const char *payload;
    size_t payload_len;
    const char *signature;
    size_t signature_len;
    size_t signed_len; /* header, '.', payload */
};

static int jwt_hmac(const struct td_jwt_key *key, const char *text, size_t len,
                    uint8_t ret_mac[static JWT_HS256_BYTES])
{
    unsigned mac_len = 0;
    if (key->secret_len > INT32_MAX ||
        HMAC(EVP_sha256(), key->secret, (int)key->secret_len, (const unsigned char *)text, len,
             ret_mac, &mac_len) == NULL ||
        mac_len != JWT_HS256_BYTES) {
        return -TD_E_CRYPTO;
    }
    return 0;
}

static bool jwt_key_usable(const struct td_jwt_key *key)
{
    return key->id != NULL && key->id[0] != '\0' && key->secret != NULL && key->secret_len > 0;
}

/* ---- sign ---- */

static json_t *jwt_video(const struct td_jwt_request *request)
{
    if (request->role == TD_JWT_RECORDER) {
        /* Exactly what LiveKit's egress asks for itself. */
        return json_pack("{s:b, s:s, s:b, s:b, s:b, s:b, s:b}", "roomJoin", 1, "room",
                         request->room, "canSubscribe", 1, "canPublish", 0, "canPublishData", 0,
                         "hidden", 1, "recorder", 1);
    }
    return json_pack("{s:b, s:s, s:b, s:b, s:b}", "roomJoin", 1, "room", request->room,
                     "canSubscribe", 1, "canPublish", 1, "canPublishData", 1);
}

static json_t *jwt_new_claims(const struct td_jwt_key *key, const struct td_jwt_request *request)
{
    json_int_t now_s = request->now_s;
    json_int_t expires_s = now_s + (request->valid_s != 0 ? request->valid_s : TD_JWT_VALID_S);
    if (request->role == TD_JWT_BODY) {
        return json_pack("{s:s, s:I, s:I, s:I, s:s}", "iss", key->id, "iat", now_s, "nbf", now_s,
                         "exp", expires_s, "sha256", request->sha256);
    }
    const char *kind = request->role == TD_JWT_RECORDER ? "egress" : "standard";
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:o}", "iss", key->id, "sub",
                     request->identity, "iat", now_s, "nbf", now_s, "exp", expires_s, "kind", kind,
                     "video", jwt_video(request));
}

/* malloc'ed JSON text of the claims; -EINVAL when a text is not UTF-8 or memory is out, which
 * jansson does not tell apart. */
static int jwt_payload(const struct td_jwt_key *key, const struct td_jwt_request *request,
                       char **ret_text)
{
    json_t *claims = jwt_new_claims(key, request);
    if (claims != NULL && request->name != NULL &&
        json_object_set_new(claims, "name", json_string(request->name)) < 0) {
        /* Not by json_pack's "s*": that leaves the name out when memory is short. */
        json_decref(claims);
        return -EINVAL;
    }
    if (claims == NULL) {
        return -EINVAL;
    }
    /* Not json_dumps: jansson 2.14 drops an object's key when its buffer cannot grow, and goes on.
     * A buffer that need not grow can only be too small, which its return value tells. */
    char *text = malloc(TD_JWT_MAX);
    size_t len = text != NULL ? json_dumpb(claims, text, TD_JWT_MAX - 1, JSON_COMPACT) : 0;
    json_decref(claims);
    if (len == 0 || len >= TD_JWT_MAX) {
        free(text);
        return len == 0 ? -EINVAL : -TD_E_LIMIT;
    }
    text[len] = '\0';
    *ret_text = text;
    return 0;
}

/* Appends base64url of the bytes at `*at`, which it moves. */
static int jwt_append(char **at, const char *end, const void *bytes, size_t len)
{
    int n = td_base64_encode(TD_BASE64_URL, bytes, len, *at, (size_t)(end - *at));
    if (n < 0) {
        return n;
    }
    *at += n;
    return 0;
}

static int jwt_compose(const struct td_jwt_key *key, const char *payload, char *token, size_t room)
{
    char *at = token;
    const char *end = token + room;
    int r = jwt_append(&at, end, JWT_HEADER, strlen(JWT_HEADER));
    if (r == 0) {
        *at++ = '.'; /* in place of the NUL */
        r = jwt_append(&at, end, payload, strlen(payload));
    }
    uint8_t mac[JWT_HS256_BYTES];
    if (r == 0) {
        r = jwt_hmac(key, token, (size_t)(at - token), mac);
    }
    if (r == 0) {
        *at++ = '.';
        r = jwt_append(&at, end, mac, sizeof(mac));
    }
    return r;
}

static bool jwt_has_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

int td_jwt_sign(const struct td_jwt_key *key, const struct td_jwt_request *request,
                char **ret_token)
{
    bool complete = request->role == TD_JWT_BODY
                        ? jwt_has_text(request->sha256)
                        : jwt_has_text(request->identity) && jwt_has_text(request->room);
    if (!jwt_key_usable(key) || !complete) {
        return -EINVAL;
    }
    char *payload = NULL;
    int r = jwt_payload(key, request, &payload);
    if (r < 0) {
        return r;
    }
    size_t room = TD_BASE64_TEXT_SIZE(strlen(JWT_HEADER)) + TD_BASE64_TEXT_SIZE(strlen(payload)) +
                  TD_BASE64_TEXT_SIZE(JWT_HS256_BYTES);
    char *token = malloc(room);
    r = -ENOMEM;
    if (token != NULL) {
        r = room <= TD_JWT_MAX ? jwt_compose(key, payload, token, room) : -TD_E_LIMIT;
    }
    free(payload);
    if (r < 0) {
        free(token);
        return r;
    }
    *ret_token = token;
    return 0;
}

/* ---- read ---- */

static int jwt_split(const char *token, struct jwt_parts *ret_parts)
{
    size_t len = strnlen(token, TD_JWT_MAX + 1);
    if (len > TD_JWT_MAX) {
        return -TD_E_LIMIT;
    }
    const char *first = memchr(token, '.', len);
    if (first == NULL) {
        return -TD_E_PARSE;
    }
    const char *payload = first + 1;
    const char *second = memchr(payload, '.', len - (size_t)(payload - token));
    if (second == NULL) {
        return -TD_E_PARSE;
    }
    const char *signature = second + 1;
    *ret_parts = (struct jwt_parts){
        .header = token,
        .header_len = (size_t)(first - token),
        .payload = payload,
        .payload_len = (size_t)(second - payload),
        .signature = signature,
        .signature_len = len - (size_t)(signature - token), /* a third dot is no base64 letter */
        .signed_len = (size_t)(second - token),
    };
    return 0;
}

/* One part as a JSON object; the caller gives it back with json_decref. */
static int jwt_object(const char *text, size_t text_len, json_t **ret_object)
{
    size_t room = TD_BASE64_BYTES_MAX(text_len);
    char *bytes = malloc(room);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    int n = td_base64_decode(TD_BASE64_URL, text, text_len, bytes, room);
    if (n < 0) {
        free(bytes);
        return n;
    }
    /* Without repeated names: two readers could take different ones (RFC 7515 section 4). */
    json_t *object = json_loadb(bytes, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    free(bytes);
    if (!json_is_object(object)) {
        json_decref(object);
        return -TD_E_PARSE;
    }
    *ret_object = object;
    return 0;
}

static int jwt_check_header(const struct jwt_parts *parts)
{
    json_t *header;
    int r = jwt_object(parts->header, parts->header_len, &header);
    if (r < 0) {
        return r;
    }
    const char *alg = json_string_value(json_object_get(header, "alg"));
    /* "crit" names extensions that a reader must know, and we know none (RFC 7515 4.1.11). */
    bool known = alg != NULL && strcmp(alg, "HS256") == 0 &&
                 json_object_get(header, "crit") == NULL;
    json_decref(header);
    return known ? 0 : -TD_E_UNSUPPORTED;
}

static int jwt_check_signature(const struct td_jwt_key *key, const char *token,
                               const struct jwt_parts *parts)
{
    uint8_t given[TD_BASE64_BYTES_MAX(TD_BASE64_TEXT_SIZE(JWT_HS256_BYTES))];
    int n = td_base64_decode(TD_BASE64_URL, parts->signature, parts->signature_len, given,
                             sizeof(given));
    if (n < 0) {
        return n == -TD_E_LIMIT ? -EKEYREJECTED : n;
    }
    uint8_t wanted[JWT_HS256_BYTES];
    int r = jwt_hmac(key, token, parts->signed_len, wanted);
    if (r < 0) {
        return r;
    }
    bool equal = n == JWT_HS256_BYTES && CRYPTO_memcmp(given, wanted, sizeof(wanted)) == 0;
    return equal ? 0 : -EKEYREJECTED;
}

/* Copies a text claim; absent is empty. */
static int jwt_text(const json_t *object, const char *name, char ret_text[static TD_JWT_TEXT_MAX])
{
    const json_t *value = json_object_get(object, name);
    ret_text[0] = '\0';
    if (value == NULL || json_is_null(value)) {
        return 0;
    }
    if (!json_is_string(value)) {
        return -TD_E_PARSE;
    }
    size_t len = json_string_length(value);
    if (len >= TD_JWT_TEXT_MAX) {
        return -TD_E_LIMIT;
    }
    memcpy(ret_text, json_string_value(value), len + 1);
    return 0;
}

/* A NumericDate (RFC 7519 section 2), which may have a fraction; absent is 0. */
static int jwt_time(const json_t *object, const char *name, int64_t *ret_s)
{
    const json_t *value = json_object_get(object, name);
    *ret_s = 0;
    if (value == NULL || json_is_null(value)) {
        return 0;
    }
    if (!json_is_number(value)) {
        return -TD_E_PARSE;
    }
    double s = json_number_value(value);
    /* Beyond any calendar, and far from where adding the leeway could overflow. */
    if (!(s >= 0 && s < 1e15)) {
        return -TD_E_PARSE;
    }
    *ret_s = (int64_t)s;
    return 0;
}

static bool jwt_flag(const json_t *object, const char *name, bool absent)
{
    const json_t *value = json_object_get(object, name);
    return json_is_boolean(value) ? json_is_true(value) : absent;
}

static int jwt_fill(const json_t *object, struct td_jwt_claims *ret_claims)
{
    struct td_jwt_claims claims = {.not_before_s = 0};
    char kind[TD_JWT_TEXT_MAX];
    const json_t *video = json_object_get(object, "video");
    int r = jwt_text(object, "iss", claims.issuer);
    r = r < 0 ? r : jwt_text(object, "sub", claims.identity);
    if (r == 0 && claims.identity[0] == '\0') {
        r = jwt_text(object, "jti", claims.identity);
    }
    r = r < 0 ? r : jwt_text(object, "sha256", claims.sha256);
    r = r < 0 ? r : jwt_text(object, "kind", kind);
    r = r < 0 ? r : jwt_text(video, "room", claims.room);
    r = r < 0 ? r : jwt_time(object, "nbf", &claims.not_before_s);
    r = r < 0 ? r : jwt_time(object, "exp", &claims.expires_s);
    if (r < 0) {
        return r;
    }
    claims.room_join = jwt_flag(video, "roomJoin", false);
    claims.can_subscribe = jwt_flag(video, "canSubscribe", true);
    claims.can_publish = jwt_flag(video, "canPublish", true);
    claims.hidden = jwt_flag(video, "hidden", false);
    claims.recorder = jwt_flag(video, "recorder", false) || strcmp(kind, "egress") == 0;
    *ret_claims = claims;
    return 0;
}

static int jwt_claims(const struct jwt_parts *parts, struct td_jwt_claims *ret_claims)
{
    json_t *object;
    int r = jwt_object(parts->payload, parts->payload_len, &object);
    if (r < 0) {
        return r;
    }
    r = jwt_fill(object, ret_claims);
    json_decref(object);
    return r;
}

int td_jwt_verify(const struct td_jwt_key *key, const char *token, int64_t now_s,
                  struct td_jwt_claims *ret_claims)
{
    if (!jwt_key_usable(key)) {
        return -EKEYREJECTED; /* an unconfigured key must never be one that fits */
    }
    struct jwt_parts parts;
    int r = jwt_split(token, &parts);
    r = r < 0 ? r : jwt_check_header(&parts);
    /* Nothing of the payload is read before it is known who wrote it. */
    r = r < 0 ? r : jwt_check_signature(key, token, &parts);
    struct td_jwt_claims claims;
    r = r < 0 ? r : jwt_claims(&parts, &claims);
    if (r < 0) {
        return r;
    }
    if (strcmp(claims.issuer, key->id) != 0) {
        return -EKEYREJECTED;
    }
    if (claims.expires_s == 0 || now_s > claims.expires_s + TD_JWT_LEEWAY_S ||
        now_s < claims.not_before_s - TD_JWT_LEEWAY_S) {
        return -EKEYEXPIRED;
    }
    *ret_claims = claims;
    return 0;
}

int td_jwt_peek(const char *token, struct td_jwt_claims *ret_claims)
{
    struct jwt_parts parts;
    int r = jwt_split(token, &parts);
    return r < 0 ? r : jwt_claims(&parts, ret_claims);
}
