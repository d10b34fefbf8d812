/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Length of the character (RFC 3629 section 4) at `p`, with its code point; 0 when there is none.
 */
static size_t decode(const unsigned char *p, size_t left, uint32_t *ret_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len == 0 || len > left || p[0] > 0xf4)
        return 0;
    uint32_t point = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0u) != 0x80)
            return 0;
        point = point << 6 | (p[i] & 0x3fu);
    }
    if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *ret_point = point;
    return len;
}

static bool point_plain(uint32_t point)
{
    bool control = point < 0x20 || (point >= 0x7f && point < 0xa0);
    bool separator = point == 0x2028 || point == 0x2029;
    return !control && !separator && point != 0xfeff && (point & 0xfffe) != 0xfffe;
}

bool td_config_text_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t point;
        size_t n = decode((const unsigned char *)text + i, len - i, &point);
        if (n == 0 || !point_plain(point))
            return false;
        i += n;
    }
    return true;
}

/* Behind the scheme when it is one of `schemes`; NULL otherwise. */
static const char *behind_scheme(const char *text, const char *const *schemes)
{
    for (; *schemes != NULL; schemes++) {
        size_t len = strlen(*schemes);
        if (strncmp(text, *schemes, len) == 0)
            return text + len;
    }
    return NULL;
}

static const char *const web_schemes[] = {"http://", "https://", NULL};
static const char *const server_schemes[] = {"ws://", "wss://", "http://", "https://", NULL};

static const char *url_fault(const char *text, const char *const *schemes, const char *fault)
{
    const char *host = behind_scheme(text, schemes);
    size_t host_len = host != NULL ? strcspn(host, "/?#") : 0;
    if (host_len == 0 || strchr(text, ' ') != NULL)
        return fault;
    if (memchr(host, '@', host_len) != NULL)
        return "must not hold a user name or password"; /* it would be printed */
    return NULL;
}

static const char *address_fault(const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t digits = colon != NULL ? strspn(colon + 1, "0123456789") : 0;
    if (colon == text || digits == 0 || digits > 5 || colon[1 + digits] != '\0' ||
        strchr(text, ' ') != NULL)
        return "is not HOST:PORT";
    uint32_t port = 0;
    for (size_t i = 0; i < digits; i++)
        port = port * 10 + (uint32_t)(colon[1 + i] - '0');
    return port <= 65535 ? NULL : "has a port above 65535";
}

static const char *origin_fault(const char *text)
{
    static const char fault[] = "is not an origin like https://example.com, or *";
    if (strcmp(text, "*") == 0)
        return NULL;
    const char *host = behind_scheme(text, web_schemes);
    if (host != NULL && host[strcspn(host, "/?#")] != '\0')
        return fault;
    return url_fault(text, web_schemes, fault);
}

const char *td_config_text_fault(enum td_config_form form, const char *text)
{
    switch (form) {
    case TD_CONFIG_ADDRESS:
        return address_fault(text);
    case TD_CONFIG_SERVER:
        return url_fault(text, server_schemes, "is not a ws:// or wss:// address");
    case TD_CONFIG_WEB:
        return url_fault(text, web_schemes, "is not an http:// or https:// address");
    case TD_CONFIG_ORIGIN:
        return origin_fault(text);
    case TD_CONFIG_ANY:
        break;
    }
    return NULL;
}

const char *td_config_text_form(enum td_config_form form)
{
    static const char *const forms[] = {
        [TD_CONFIG_ANY] = "text",
        [TD_CONFIG_ADDRESS] = "HOST:PORT",
        [TD_CONFIG_SERVER] = "ws(s):// or http(s):// address",
        [TD_CONFIG_WEB] = "http(s):// address",
        [TD_CONFIG_ORIGIN] = "origin",
    };
    return forms[form];
}

void td_config_text_show(const char *text, size_t len, char ret_shown[static TD_CONFIG_SHOWN_MAX])
{
    static const char more[] = "...";
    if (!td_config_text_plain(text, len)) {
        (void)snprintf(ret_shown, TD_CONFIG_SHOWN_MAX, "(unprintable)");
        return;
    }
    bool cut = len >= TD_CONFIG_SHOWN_MAX;
    if (cut) {
        len = TD_CONFIG_SHOWN_MAX - sizeof(more);
        while (len > 0 && ((unsigned char)text[len] & 0xc0u) == 0x80)
            len--;
    }
    (void)snprintf(ret_shown, TD_CONFIG_SHOWN_MAX, "%.*s%s", (int)len, text, cut ? more : "");
}

void td_config_text_quote(const char *text, char ret_quoted[static TD_CONFIG_QUOTED_MAX])
{
    char *at = ret_quoted;
    const char *last = ret_quoted + TD_CONFIG_QUOTED_MAX - 4; /* an escape, a quote, a NUL */
    *at++ = '"';
    for (; *text != '\0' && at <= last; text++) {
        if (*text == '"' || *text == '\\')
            *at++ = '\\';
        *at++ = *text;
    }
    *at++ = '"';
    *at = '\0';
}
