/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_head: any bytes as the head of a request. However it is cut, the answer is the same; what is
 * let through is read by libsoup in the same way, and its path and query decode to plain text.
 */
#include "fuzz.h"

#include <libsoup/soup.h>
#include <string.h>

#include "api/head.h"
#include "api/range.h"
#include "api/uri.h"

static void check_range(const char *value)
{
    for (uint64_t size = 0; size < 3000; size = size * 5 + 1) {
        struct td_range range = {.first = 0};
        if (td_range_parse(value, size, &range) == TD_RANGE_PART)
            FUZZ_CHECK(range.first <= range.last && range.last < size && range.wish >= range.last);
    }
}

static void check_target(char *target)
{
    char text[4096];
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    if (td_uri_path(target, text, sizeof(text)) == 0) {
        FUZZ_CHECK(text[0] == '/' && g_utf8_validate(text, -1, NULL));
        FUZZ_CHECK(strstr(text, "//") == NULL && strstr(text, "/./") == NULL &&
                   strstr(text, "/../") == NULL);
        FUZZ_CHECK(!g_str_has_suffix(text, "/..") && !g_str_has_suffix(text, "/."));
    }
    if (td_uri_query(query, "q", text, sizeof(text)) == 1)
        FUZZ_CHECK(g_utf8_validate(text, -1, NULL));
    else
        FUZZ_CHECK(text[0] == '\0');
}

static void check_as_libsoup_reads_it(const char *bytes, size_t len)
{
    char *method = NULL;
    char *target = NULL;
    SoupHTTPVersion version;
    SoupMessageHeaders *headers = soup_message_headers_new(SOUP_MESSAGE_HEADERS_REQUEST);
    FUZZ_CHECK(soup_headers_parse_request(bytes, (int)len, headers, &method, &target, &version) ==
               SOUP_STATUS_OK);
    FUZZ_CHECK(strncmp(bytes, method, strlen(method)) == 0);
    FUZZ_CHECK(strncmp(bytes + strlen(method) + 1, target, strlen(target)) == 0);
    FUZZ_CHECK(soup_message_headers_get_encoding(headers) != SOUP_ENCODING_UNRECOGNIZED);
    FUZZ_CHECK(soup_message_headers_get_content_length(headers) >= 0);
    check_range(soup_message_headers_get_one(headers, "Range"));
    check_target(target);
    g_free(method);
    g_free(target);
    soup_message_headers_unref(headers);
}

/* As libsoup is given it: up to the empty line. */
static size_t head_len(const char *bytes, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        if (bytes[i] == '\n' &&
            (bytes[i - 1] == '\n' || (i > 1 && bytes[i - 1] == '\r' && bytes[i - 2] == '\n')))
            return bytes[i - 1] == '\n' ? i : i - 1;
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const char *text = (const char *)bytes;
    unsigned answer = td_head_check(text, len, 0);
    FUZZ_CHECK(answer == TD_HEAD_PARTIAL || answer == TD_HEAD_WHOLE ||
               (answer >= 400 && answer < 600));
    for (size_t seen = 0; seen < len && seen < 200; seen += 1 + seen / 8) {
        if (td_head_check(text, seen, 0) == TD_HEAD_PARTIAL)
            FUZZ_CHECK(td_head_check(text, len, seen) == answer);
    }
    if (answer == TD_HEAD_WHOLE)
        check_as_libsoup_reads_it(text, head_len(text, len));
    return 0;
}
