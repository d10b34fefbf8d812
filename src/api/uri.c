/* SPDX-License-Identifier: Apache-2.0 */
#include "api/uri.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

/* One byte of `*at`, escaped or not; negative when the escape is broken or a NUL. */
static int next_byte(const char **at, const char *end)
{
    const char *p = *at;
    if (*p != '%') {
        *at = p + 1;
        return (unsigned char)*p;
    }
    if (end - p < 3 || !g_ascii_isxdigit(p[1]) || !g_ascii_isxdigit(p[2]))
        return -TD_E_PARSE;
    *at = p + 3;
    int byte = g_ascii_xdigit_value(p[1]) * 16 + g_ascii_xdigit_value(p[2]);
    return byte != 0 ? byte : -TD_E_PARSE;
}

/* "", "." and ".." between '/'; the last one may be empty. */
static bool has_odd_segment(const char *path)
{
    const char *segment = path + 1;
    for (;;) {
        size_t len = strcspn(segment, "/");
        bool last = segment[len] == '\0';
        if ((len == 0 && !last) || (len == 1 && segment[0] == '.') ||
            (len == 2 && segment[0] == '.' && segment[1] == '.'))
            return true;
        if (last)
            return false;
        segment += len + 1;
    }
}

int td_uri_path(const char *raw, char *ret_path, size_t size)
{
    const char *end = raw + strlen(raw);
    size_t len = 0;
    if (raw[0] != '/')
        return -TD_E_PARSE;
    for (const char *at = raw; at < end;) {
        bool escaped = *at == '%';
        int byte = next_byte(&at, end);
        if (byte < 0 || (escaped && byte == '/'))
            return -TD_E_PARSE;
        if (len + 1 >= size)
            return -TD_E_LIMIT;
        ret_path[len++] = (char)byte;
    }
    ret_path[len] = '\0';
    return g_utf8_validate(ret_path, (gssize)len, NULL) && !has_odd_segment(ret_path) ? 0
                                                                                      : -TD_E_PARSE;
}

/* Whether [at, end) decodes to `name`. */
static bool is_name(const char *at, const char *end, const char *name)
{
    while (at < end) {
        bool plus = *at == '+';
        int byte = next_byte(&at, end);
        if (byte < 0 || *name == '\0' || (plus ? ' ' : byte) != (unsigned char)*name)
            return false;
        name++;
    }
    return *name == '\0';
}

static int decode_value(const char *at, const char *end, char *ret_value, size_t size)
{
    size_t len = 0;
    while (at < end) {
        bool plus = *at == '+';
        int byte = next_byte(&at, end);
        if (byte < ' ' || byte == 0x7f)
            return -TD_E_PARSE;
        if (len + 1 >= size)
            return -TD_E_LIMIT;
        ret_value[len++] = (char)(plus ? ' ' : byte);
    }
    ret_value[len] = '\0';
    return g_utf8_validate(ret_value, (gssize)len, NULL) ? 1 : -TD_E_PARSE;
}

int td_uri_query(const char *raw, const char *name, char *ret_value, size_t size)
{
    ret_value[0] = '\0';
    for (const char *at = raw; at != NULL && *at != '\0';) {
        const char *end = at + strcspn(at, "&");
        const char *equals = memchr(at, '=', (size_t)(end - at));
        if (is_name(at, equals != NULL ? equals : end, name)) {
            int r = decode_value(equals != NULL ? equals + 1 : end, end, ret_value, size);
            if (r < 0)
                ret_value[0] = '\0';
            return r;
        }
        at = *end == '&' ? end + 1 : end;
    }
    return 0;
}
