/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/signature.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_S INT64_C(1795253400)

static const struct td_jwt_key key = {
    .id = "APIkey", .secret = "secret-of-the-server", .secret_len = 20};
static const char body[] =
    "{\"event\":\"room_started\",\"id\":\"EV_1\",\"createdAt\":\"1795253400\","
    "\"room\":{\"sid\":\"RM_1\",\"name\":\"demo\"}}";
static const size_t body_len = sizeof(body) - 1;

/* Made by other implementations over that body: by PyJWT with the claims LiveKit's server sends,
 * and by Python's hmac, json and base64 with ours. */
static const char theirs[] =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJpc3MiOiJBUElrZXkiLCJuYmYiOjE3OTUyNTM0MDAsImV4cCI6MTc5NTI1MzcwMCwic2hhMjU2IjoiUFFKZUZIOHhVK3"
    "c3LzQyWWM5aTNySUd0cEVYRC9jblhLU2hXcHBiYjNQOD0ifQ.iF43x5o5khX0I-vc8aAA8UoaBu_s_RchBBHs4CLRx_c";
static const char ours[] =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJpc3MiOiJBUElrZXkiLCJpYXQiOjE3OTUyNTM0MDAsIm5iZiI6MTc5NTI1MzQwMCwiZXhwIjoxNzk1MjUzNzAwLCJzaG"
    "EyNTYiOiJQUUplRkg4eFUrdzcvNDJZYzlpM3JJR3RwRVhEL2NuWEtTaFdwcGJiM1A4PSJ9."
    "o0yNtYuNwcwNCwIjDeANTM9l4bJT3PJjWK_4jqP4z1k";

static void test_make(void **state)
{
    (void)state;
    char *value = NULL;
    assert_int_equal(td_signature_make(&key, body, body_len, NOW_S, &value), 0);
    assert_string_equal(value, ours);
    assert_int_equal(td_signature_check(&key, body, body_len, NOW_S, value), 0);
    free(value);
    const struct td_jwt_key none = {.id = "", .secret = "", .secret_len = 0};
    assert_int_equal(td_signature_make(&none, body, body_len, NOW_S, &value), -EINVAL);
    assert_int_equal(td_signature_make(&key, "", 0, NOW_S, &value),
                     0); /* an empty body has one too */
    assert_int_equal(td_signature_check(&key, "", 0, NOW_S, value), 0);
    free(value);
}

static void test_check(void **state)
{
    (void)state;
    assert_int_equal(td_signature_check(&key, body, body_len, NOW_S, theirs), 0);
    char bearer[sizeof(theirs) + 8];
    (void)snprintf(bearer, sizeof(bearer), "Bearer %s", theirs);
    assert_int_equal(td_signature_check(&key, body, body_len, NOW_S, bearer), 0);
    /* A minute of leeway on both sides. */
    assert_int_equal(td_signature_check(&key, body, body_len, NOW_S + 360, theirs), 0);
    assert_int_equal(td_signature_check(&key, body, body_len, NOW_S + 361, theirs), -EKEYEXPIRED);
    assert_int_equal(td_signature_check(&key, body, body_len, NOW_S - 60, theirs), 0);
    assert_int_equal(td_signature_check(&key, body, body_len, NOW_S - 61, theirs), -EKEYEXPIRED);
}

static void test_check_refuses(void **state)
{
    (void)state;
    assert_int_equal(td_signature_check(&key, body, body_len, NOW_S, NULL), -EACCES);
    assert_true(td_signature_check(&key, body, body_len, NOW_S, "") < 0);
    assert_true(td_signature_check(&key, body, body_len, NOW_S, "Bearer ") < 0);
    assert_true(td_signature_check(&key, body, body_len, NOW_S, "Basic dXNlcjpwYXNz") < 0);
    /* Another body: each byte counts, and so does the length. */
    char other[sizeof(body)];
    for (size_t i = 0; i < body_len; i++) {
        memcpy(other, body, sizeof(body));
        other[i] ^= 1;
        assert_int_equal(td_signature_check(&key, other, body_len, NOW_S, theirs), -EACCES);
    }
    assert_int_equal(td_signature_check(&key, body, body_len - 1, NOW_S, theirs), -EACCES);
    /* Another key. */
    struct td_jwt_key stranger = key;
    stranger.secret = "secret-of-the-serveR";
    assert_int_equal(td_signature_check(&stranger, body, body_len, NOW_S, theirs), -EKEYREJECTED);
    stranger = key;
    stranger.id = "APIkez";
    assert_int_equal(td_signature_check(&stranger, body, body_len, NOW_S, theirs), -EKEYREJECTED);
    const struct td_jwt_key none = {.id = NULL, .secret = NULL, .secret_len = 0};
    assert_int_equal(td_signature_check(&none, body, body_len, NOW_S, theirs), -EKEYREJECTED);
}

/* What lets a participant join says nothing about a body. */
static void test_a_join_token_is_no_signature(void **state)
{
    (void)state;
    struct td_jwt_request request = {
        .role = TD_JWT_PUBLISHER, .identity = "anna", .room = "demo", .now_s = NOW_S};
    char *token = NULL;
    assert_int_equal(td_jwt_sign(&key, &request, &token), 0);
    assert_int_equal(td_signature_check(&key, body, body_len, NOW_S, token), -EACCES);
    assert_int_equal(td_signature_check(&key, "", 0, NOW_S, token), -EACCES);
    free(token);
    request = (struct td_jwt_request){.role = TD_JWT_BODY, .sha256 = "", .now_s = NOW_S};
    assert_int_equal(td_jwt_sign(&key, &request, &token), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_refuses),
        cmocka_unit_test(test_a_join_token_is_no_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
