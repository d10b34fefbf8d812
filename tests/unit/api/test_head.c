/* SPDX-License-Identifier: Apache-2.0 */
#include "api/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define G "GET / HTTP/1.1\r\nHost: a\r\n"

static const struct {
    const char *text;
    size_t len;
    unsigned answer;
} rows[] = {
#define ROW(text, answer)                                                                          \
    {                                                                                              \
        text, sizeof(text) - 1, answer                                                             \
    }
    ROW("GET / HTTP/1.1\r\nHost: a\r\n\r\n", TD_HEAD_WHOLE),
    ROW("GET / HTTP/1.1\nHost: a\n\n", TD_HEAD_WHOLE),
    ROW("GET / HTTP/1.1\r\nHost: a\n\r\n", TD_HEAD_WHOLE),
    ROW("GET / HTTP/1.0\r\n\r\n", TD_HEAD_WHOLE),
    ROW("M-SEARCH * HTTP/1.1\r\nhOsT:\r\n\r\n", TD_HEAD_WHOLE),
    ROW("OPTIONS http://a/b?c=/../ HTTP/1.1\r\nHost: a\r\n\r\nbody", TD_HEAD_WHOLE),
    ROW("POST /..a/b../... HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345", TD_HEAD_WHOLE),
    ROW("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n", TD_HEAD_WHOLE),
    ROW("GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\nX:\t caf\xc3\xa9 \t\r\n\r\n", TD_HEAD_WHOLE),
    ROW(G "Accept: x\r\nAccept: y\r\nEmpty:\r\n\r\n", TD_HEAD_WHOLE),
    ROW(G "Content-Length: 999999999999999999\r\n\r\n", TD_HEAD_WHOLE),
    /* not yet */
    ROW("", TD_HEAD_PARTIAL),
    ROW("G", TD_HEAD_PARTIAL),
    ROW("GET / HTTP/1.1\r\nHost: a\r\n", TD_HEAD_PARTIAL),
    ROW("GET / HTTP/1.1\r\nHost: a\r\n\r", TD_HEAD_PARTIAL),
    ROW("GET / HTTP/1.1\r\nHost: a\r\n\rX", TD_HEAD_PARTIAL),
    /* the request line */
    ROW("\r\n", 400),
    ROW(" GET / HTTP/1.1\r\n\r\n", 400),
    ROW("\x16\x03\x01\x02", 400), /* TLS */
    ROW("GET\r\n\r\n", 400),
    ROW("GET /\r\n\r\n", 400),
    ROW("GET / \r\n\r\n", 400),
    ROW("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    ROW("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    ROW("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ROW("GET / HTTP/1\r\nHost: a\r\n\r\n", 400),
    ROW("GET / HTTP/1.1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET / HTTP/+1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET / ICY/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET /.. HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET /. HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET http://a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET /a/.%2e HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET /%2e/a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ROW("GET /%2e%2e%2e/%2/%/.%2ea HTTP/1.1\r\nHost: a\r\n\r\n", TD_HEAD_WHOLE),
    /* fields */
    ROW(G "X\r\n\r\n", 400),
    ROW(G ": x\r\n\r\n", 400),
    ROW(G "X : y\r\n\r\n", 400),
    ROW(G "X: y\r\n z\r\n\r\n", 400), /* a line that is continued */
    ROW(G " X: y\r\n\r\n", 400),
    ROW(G "X: \0\r\n\r\n", 400),
    ROW(G "X: a\rb\r\n\r\n", 400),
    ROW(G "X: a\x01\r\n\r\n", 400),
    ROW(G "caf\xc3\xa9: x\r\n\r\n", 400),
    ROW("GET / HTTP/1.1\r\n\r\n", 400),
    /* what two readers could read in two ways */
    ROW(G "Host: b\r\n\r\n", 400),
    ROW(G "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
    ROW(G "Content-Length: 1, 1\r\n\r\n", 400),
    ROW(G "Content-Length: -1\r\n\r\n", 400),
    ROW(G "Content-Length: +1\r\n\r\n", 400),
    ROW(G "Content-Length: 0x1\r\n\r\n", 400),
    ROW(G "Content-Length: \r\n\r\n", 400),
    ROW(G "Content-Length: 9999999999999999999\r\n\r\n", 400),
    ROW(G "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ROW(G "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", 400),
    ROW(G "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ROW(G "Transfer-Encoding: xchunked\r\n\r\n", 501),
    ROW("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ROW(G "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400),
    ROW(G "Expect: tea\r\n\r\n", 417),
#undef ROW
};

/* In memory of exactly that size, so that nothing behind it is read unseen. */
static unsigned check(const char *text, size_t len, size_t seen)
{
    char *bytes = malloc(len > 0 ? len : 1);
    assert_non_null(bytes);
    memcpy(bytes, text, len);
    unsigned answer = td_head_check(bytes, len, seen);
    free(bytes);
    return answer;
}

static void test_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(check(rows[i].text, rows[i].len, 0), rows[i].answer);
}

/* However it is cut into pieces, the answer is the same, and comes with the last byte at latest. */
static void test_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        unsigned answer = TD_HEAD_PARTIAL;
        size_t seen = 0;
        for (size_t len = 1; len <= rows[i].len && answer == TD_HEAD_PARTIAL; len++) {
            answer = check(rows[i].text, len, seen);
            seen = len;
        }
        assert_int_equal(answer, rows[i].answer);
    }
}

static void test_limits(void **state)
{
    (void)state;
    static const char begin[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    size_t size = TD_HEAD_BYTES_MAX + 16;
    char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 'x', size);
    memcpy(bytes, begin, sizeof(begin) - 1);
    assert_int_equal(td_head_check(bytes, TD_HEAD_BYTES_MAX - 1, 0), TD_HEAD_PARTIAL);
    assert_int_equal(td_head_check(bytes, TD_HEAD_BYTES_MAX, 0), 431);
    memcpy(bytes + TD_HEAD_BYTES_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(td_head_check(bytes, TD_HEAD_BYTES_MAX, 0), TD_HEAD_WHOLE);
    memset(bytes + TD_HEAD_BYTES_MAX - 4, 'x', 8);
    memcpy(bytes + TD_HEAD_BYTES_MAX, "\r\n\r\n", 4);
    assert_int_equal(td_head_check(bytes, TD_HEAD_BYTES_MAX + 4, 0), 431);
    free(bytes);
}

static void test_field_count(void **state)
{
    (void)state;
    char text[64 + 8 * (TD_HEAD_FIELDS_MAX + 1)];
    for (unsigned fields = TD_HEAD_FIELDS_MAX; fields <= TD_HEAD_FIELDS_MAX + 1; fields++) {
        int len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
        for (unsigned i = 1; i < fields; i++)
            len += snprintf(text + len, sizeof(text) - (size_t)len, "a:b\r\n");
        len += snprintf(text + len, sizeof(text) - (size_t)len, "\r\n");
        assert_int_equal(check(text, (size_t)len, 0),
                         fields <= TD_HEAD_FIELDS_MAX ? TD_HEAD_WHOLE : 431);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_field_count),
    };
    return cmocka_run_group_tests_name("api/head", tests, NULL, NULL);
}
