/* SPDX-License-Identifier: Apache-2.0 */
#include "webrtc/ice_candidate.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Longest line we look at; real ones have some 200 bytes. */
#define TEXT_MAX 1024

struct token {
    const char *at;
    size_t len;
};

static bool next_token(const char **at, struct token *ret_token)
{
    const char *p = *at;

    while (*p == ' ' || *p == '\t')
        p++;
    ret_token->at = p;
    while (*p != '\0' && *p != ' ' && *p != '\t' && *p != '\r' && *p != '\n')
        p++;
    ret_token->len = (size_t)(p - ret_token->at);
    *at = p;
    return ret_token->len > 0;
}

static bool token_is(const struct token *t, const char *word)
{
    return t->len == strlen(word) && strncasecmp(t->at, word, t->len) == 0;
}

static bool token_copy(const struct token *t, char *ret_text, size_t capacity)
{
    if (t->len >= capacity)
        return false;
    memcpy(ret_text, t->at, t->len);
    ret_text[t->len] = '\0';
    return true;
}

static bool token_number(const struct token *t, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (t->len > 10)
        return false;
    for (size_t i = 0; i < t->len; i++) {
        if (t->at[i] < '0' || t->at[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(t->at[i] - '0');
    }
    if (value > max)
        return false;
    *ret_value = value;
    return true;
}

static bool token_type(const struct token *t, enum td_ice_candidate_type *ret_type)
{
    static const struct {
        const char *name;
        enum td_ice_candidate_type type;
    } rows[] = {
        {"host", TD_ICE_HOST},
        {"srflx", TD_ICE_SERVER_REFLEXIVE},
        {"prflx", TD_ICE_PEER_REFLEXIVE},
        {"relay", TD_ICE_RELAYED},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (token_is(t, rows[i].name)) {
            *ret_type = rows[i].type;
            return true;
        }
    }
    return false;
}

static bool is_number(const char *address)
{
    unsigned char binary[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, address, binary) == 1 || inet_pton(AF_INET6, address, binary) == 1;
}

int td_ice_candidate_parse(const char *text, struct td_ice_candidate *ret_candidate)
{
    struct td_ice_candidate c = {.udp = false};
    struct token token[8]; /* foundation component transport priority address port "typ" type */
    uint64_t component;
    uint64_t priority;
    uint64_t port;

    assert(text != NULL && ret_candidate != NULL);
    if (strnlen(text, TEXT_MAX) == TEXT_MAX)
        return -TD_E_PARSE;
    if (strncmp(text, "a=", 2) == 0)
        text += 2;
    if (strncasecmp(text, "candidate:", 10) == 0)
        text += 10;
    for (size_t i = 0; i < sizeof(token) / sizeof(token[0]); i++)
        if (!next_token(&text, &token[i]))
            return -TD_E_PARSE;
    if (!token_copy(&token[0], c.foundation, sizeof(c.foundation)) ||
        !token_number(&token[1], 256, &component) ||
        !token_number(&token[3], UINT32_MAX, &priority) ||
        !token_copy(&token[4], c.address, sizeof(c.address)) ||
        !token_number(&token[5], UINT16_MAX, &port) || !token_is(&token[6], "typ") ||
        !token_type(&token[7], &c.type))
        return -TD_E_PARSE;
    c.udp = token_is(&token[2], "udp");
    c.component = component > UINT8_MAX ? UINT8_MAX : (uint8_t)component;
    c.priority = (uint32_t)priority;
    c.port = (uint16_t)port;
    c.name = !is_number(c.address);
    *ret_candidate = c;
    return 0;
}
