/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/jwt.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/base64.h"

#define NOW_S INT64_C(1795253400)
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static const struct td_jwt_key key = {
    .id = "APIkey", .secret = "secret-of-the-server", .secret_len = 20};

/* Made by another implementation (Python's hmac, json and base64) from the same claims. */
static const char recorder_token[] =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJpc3MiOiJBUElrZXkiLCJzdWIiOiJFR19kZW1vIiwiaWF0IjoxNzk1MjUzNDAwLCJuYmYiOjE3OTUyNTM0MDAsImV4cC"
    "I6MTc5NTMzOTgwMCwia2luZCI6ImVncmVzcyIsInZpZGVvIjp7InJvb21Kb2luIjp0cnVlLCJyb29tIjoiZGVtbyIsImNh"
    "blN1YnNjcmliZSI6dHJ1ZSwiY2FuUHVibGlzaCI6ZmFsc2UsImNhblB1Ymxpc2hEYXRhIjpmYWxzZSwiaGlkZGVuIjp0cn"
    "VlLCJyZWNvcmRlciI6dHJ1ZX19.NJOoZxKQ9iTD2T_YgxCVMrqs7yLNTrBLOr2IstsM5dg";
static const char publisher_token[] =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJpc3MiOiJBUElrZXkiLCJzdWIiOiJhbm5hIiwiaWF0IjoxNzk1MjUzNDAwLCJuYmYiOjE3OTUyNTM0MDAsImV4cCI6MT"
    "c5NTI1NDAwMCwia2luZCI6InN0YW5kYXJkIiwidmlkZW8iOnsicm9vbUpvaW4iOnRydWUsInJvb20iOiJkZW1vIiwiY2Fu"
    "U3Vic2NyaWJlIjp0cnVlLCJjYW5QdWJsaXNoIjp0cnVlLCJjYW5QdWJsaXNoRGF0YSI6dHJ1ZX0sIm5hbWUiOiJBbm7DpC"
    "J9.rS5VpyVQmRCQmqgUgH34vbrFGjm1rWhNjEi_L2DfoD8";

static const struct td_jwt_request recorder = {
    .role = TD_JWT_RECORDER, .identity = "EG_demo", .room = "demo", .now_s = NOW_S};
static const struct td_jwt_request publisher = {
    .role = TD_JWT_PUBLISHER,
    .identity = "anna",
    .name = "Ann\xc3\xa4",
    .room = "demo",
    .now_s = NOW_S,
    .valid_s = 600,
};

/* A correctly signed token over any header and payload. */
static void forge(const char *header, const char *payload, char ret_token[static TD_JWT_MAX])
{
    int n = td_base64_encode(TD_BASE64_URL, header, strlen(header), ret_token, TD_JWT_MAX);
    assert_true(n >= 0);
    ret_token[n++] = '.';
    int m = td_base64_encode(TD_BASE64_URL, payload, strlen(payload), ret_token + n,
                             TD_JWT_MAX - (size_t)n);
    assert_true(m >= 0);
    n += m;
    uint8_t mac[32];
    unsigned mac_len = 0;
    assert_non_null(HMAC(EVP_sha256(), key.secret, (int)key.secret_len, (unsigned char *)ret_token,
                         (size_t)n, mac, &mac_len));
    ret_token[n++] = '.';
    assert_true(
        td_base64_encode(TD_BASE64_URL, mac, mac_len, ret_token + n, TD_JWT_MAX - (size_t)n) == 43);
}

static void test_rfc7515_a1(void **state)
{
    (void)state;
    /* RFC 7515 appendix A.1; the key is binary. */
    static const char token[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                                "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
                                "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
                                "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    static const char key_text[] =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0i"
        "PS4hcgUuTwjAzZr1Z9CAow";
    uint8_t secret[64];
    assert_int_equal(
        td_base64_decode(TD_BASE64_URL, key_text, strlen(key_text), secret, sizeof(secret)), 64);
    const struct td_jwt_key joe = {.id = "joe", .secret = secret, .secret_len = sizeof(secret)};
    struct td_jwt_claims claims;
    assert_int_equal(td_jwt_verify(&joe, token, 1300819380, &claims), 0);
    assert_string_equal(claims.issuer, "joe");
    assert_true(claims.expires_s == 1300819380);
    assert_string_equal(claims.identity, "");
    assert_false(claims.room_join || claims.recorder || claims.hidden);
    assert_true(claims.can_subscribe && claims.can_publish);
    assert_int_equal(td_jwt_verify(&joe, token, 1300819380 + 61, &claims), -EKEYEXPIRED);
}

static void test_sign(void **state)
{
    (void)state;
    char *token = NULL;
    assert_int_equal(td_jwt_sign(&key, &recorder, &token), 0);
    assert_string_equal(token, recorder_token);
    struct td_jwt_claims claims;
    assert_int_equal(td_jwt_verify(&key, token, NOW_S, &claims), 0);
    assert_string_equal(claims.issuer, "APIkey");
    assert_string_equal(claims.identity, "EG_demo");
    assert_string_equal(claims.room, "demo");
    assert_true(claims.room_join && claims.can_subscribe && claims.hidden && claims.recorder);
    assert_false(claims.can_publish);
    assert_true(claims.not_before_s == NOW_S && claims.expires_s == NOW_S + 86400);
    free(token);

    token = NULL;
    assert_int_equal(td_jwt_sign(&key, &publisher, &token), 0);
    assert_string_equal(token, publisher_token);
    assert_int_equal(td_jwt_peek(token, &claims), 0);
    assert_true(claims.room_join && claims.can_subscribe && claims.can_publish);
    assert_false(claims.hidden || claims.recorder);
    free(token);
}

static void test_sign_refuses(void **state)
{
    (void)state;
    struct td_jwt_request bad[6];
    for (size_t i = 0; i < 6; i++) {
        bad[i] = recorder;
    }
    char long_name[TD_JWT_MAX];
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    bad[0].identity = NULL;
    bad[1].identity = "";
    bad[2].room = NULL;
    bad[3].room = "";
    bad[4].identity = "\xff\xfe";
    bad[5].room = "a\xc3";
    char *token = NULL;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(td_jwt_sign(&key, &bad[i], &token), -EINVAL);
    }
    struct td_jwt_request large = recorder;
    large.name = long_name;
    assert_int_equal(td_jwt_sign(&key, &large, &token), -TD_E_LIMIT);
    struct td_jwt_key unusable[] = {key, key, key, key};
    unusable[0].id = NULL;
    unusable[1].id = "";
    unusable[2].secret = NULL;
    unusable[3].secret_len = 0;
    for (size_t i = 0; i < 4; i++) {
        struct td_jwt_claims claims;
        assert_int_equal(td_jwt_sign(&unusable[i], &recorder, &token), -EINVAL);
        assert_int_equal(td_jwt_verify(&unusable[i], recorder_token, NOW_S, &claims),
                         -EKEYREJECTED);
    }
    assert_null(token);
}

/* Any single changed character, missing character or changed key makes it fail. */
static void test_tampering(void **state)
{
    (void)state;
    struct td_jwt_claims claims;
    size_t len = strlen(recorder_token);
    for (size_t i = 0; i < len; i++) {
        static const char others[] = "Ax9-_.=";
        for (size_t k = 0; k < sizeof(others) - 1; k++) {
            char token[sizeof(recorder_token)];
            memcpy(token, recorder_token, sizeof(token));
            if (token[i] == others[k]) {
                continue;
            }
            token[i] = others[k];
            assert_true(td_jwt_verify(&key, token, NOW_S, &claims) < 0);
        }
    }
    for (size_t cut = 0; cut < len; cut++) {
        char token[sizeof(recorder_token)] = "";
        memcpy(token, recorder_token, cut);
        assert_true(td_jwt_verify(&key, token, NOW_S, &claims) < 0);
    }
    char longer[sizeof(recorder_token) + 4];
    for (int k = 0; k < 3; k++) {
        static const char *const tails[] = {"A", ".", "AAAA"};
        (void)snprintf(longer, sizeof(longer), "%s%s", recorder_token, tails[k]);
        assert_true(td_jwt_verify(&key, longer, NOW_S, &claims) < 0);
    }
    struct td_jwt_key other = key;
    other.secret = "Secret-of-the-server";
    assert_int_equal(td_jwt_verify(&other, recorder_token, NOW_S, &claims), -EKEYREJECTED);
    other = key;
    other.secret_len--;
    assert_int_equal(td_jwt_verify(&other, recorder_token, NOW_S, &claims), -EKEYREJECTED);
    other = key;
    other.id = "APIkey2";
    assert_int_equal(td_jwt_verify(&other, recorder_token, NOW_S, &claims), -EKEYREJECTED);
    assert_int_equal(td_jwt_verify(&key, recorder_token, NOW_S, &claims), 0);
}

/* Correctly signed, and yet not to be accepted. */
static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int result;
    } rows[] = {
        {HEADER, 0},
        {"{\"alg\":\"HS256\"}", 0},
        {"{\"typ\":\"x\",\"kid\":\"1\",\"alg\":\"HS256\"}", 0},
        {"{\"alg\":\"none\"}", -TD_E_UNSUPPORTED},
        {"{\"alg\":\"HS384\"}", -TD_E_UNSUPPORTED},
        {"{\"alg\":\"RS256\"}", -TD_E_UNSUPPORTED},
        {"{\"alg\":\"hs256\"}", -TD_E_UNSUPPORTED},
        {"{\"alg\":256}", -TD_E_UNSUPPORTED},
        {"{\"typ\":\"JWT\"}", -TD_E_UNSUPPORTED},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", -TD_E_UNSUPPORTED},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", -TD_E_PARSE},
        {"[\"HS256\"]", -TD_E_PARSE},
        {"\"HS256\"", -TD_E_PARSE},
        {"{\"alg\":\"HS256\"", -TD_E_PARSE},
        {"", -TD_E_PARSE},
    };
    char payload[100];
    (void)snprintf(payload, sizeof(payload), "{\"iss\":\"APIkey\",\"exp\":%lld}", (long long)NOW_S);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char token[TD_JWT_MAX];
        forge(rows[i].header, payload, token);
        struct td_jwt_claims claims;
        assert_int_equal(td_jwt_verify(&key, token, NOW_S, &claims), rows[i].result);
    }
    /* Whatever the clock says, a token without an end is not valid. */
    struct td_jwt_claims none;
    char endless[TD_JWT_MAX];
    forge(HEADER, "{\"iss\":\"APIkey\"}", endless);
    assert_int_equal(td_jwt_verify(&key, endless, 0, &none), -EKEYEXPIRED);
    /* "none" without a signature. */
    char token[TD_JWT_MAX];
    forge("{\"alg\":\"none\"}", payload, token);
    *(strrchr(token, '.') + 1) = '\0';
    struct td_jwt_claims claims;
    assert_int_equal(td_jwt_verify(&key, token, NOW_S, &claims), -TD_E_UNSUPPORTED);
    forge(HEADER, payload, token);
    *(strrchr(token, '.') + 1) = '\0';
    assert_int_equal(td_jwt_verify(&key, token, NOW_S, &claims), -EKEYREJECTED);
}

static void test_payloads(void **state)
{
    (void)state;
#define T "1795253400" /* NOW_S */
    static const struct {
        const char *payload;
        int result;
    } rows[] = {
        {"{\"iss\":\"APIkey\",\"exp\":" T "}", 0},
        {"{\"iss\":\"APIkey\",\"exp\":" T ".75,\"nbf\":0}", 0},
        {"{\"iss\":\"APIkey\",\"exp\":1795253340}", 0}, /* 60 s ago: just within the leeway */
        {"{\"iss\":\"APIkey\",\"exp\":1795253339}", -EKEYEXPIRED},
        {"{\"iss\":\"APIkey\",\"exp\":1800000000,\"nbf\":1795253460}", 0},
        {"{\"iss\":\"APIkey\",\"exp\":1800000000,\"nbf\":1795253461}", -EKEYEXPIRED},
        {"{\"iss\":\"APIkey\"}", -EKEYEXPIRED}, /* exp is required */
        {"{\"iss\":\"APIkey\",\"exp\":null}", -EKEYEXPIRED},
        {"{\"iss\":\"APIkey\",\"exp\":\"" T "\"}", -TD_E_PARSE},
        {"{\"iss\":\"APIkey\",\"exp\":-1}", -TD_E_PARSE},
        {"{\"iss\":\"APIkey\",\"exp\":1e300}", -TD_E_PARSE},
        {"{\"iss\":\"APIkey\",\"exp\":9223372036854775807}", -TD_E_PARSE},
        {"{\"iss\":\"APIkey\",\"exp\":" T ",\"nbf\":true}", -TD_E_PARSE},
        {"{\"exp\":" T "}", -EKEYREJECTED},
        {"{\"iss\":\"apikey\",\"exp\":" T "}", -EKEYREJECTED},
        {"{\"iss\":\"APIkey\\u0000\",\"exp\":" T "}", -TD_E_PARSE}, /* jansson refuses NUL */
        {"{\"iss\":[],\"exp\":" T "}", -TD_E_PARSE},
        {"{\"iss\":\"x\",\"iss\":\"APIkey\",\"exp\":" T "}", -TD_E_PARSE},
        {"{\"iss\":\"APIkey\",\"exp\":" T ",\"sub\":7}", -TD_E_PARSE},
        {"{\"iss\":\"APIkey\",\"exp\":" T ",\"video\":7}", 0}, /* no grants */
        {"[]", -TD_E_PARSE},
        {"{\"iss\":\"APIkey\",\"exp\":" T "} x", -TD_E_PARSE},
        {"", -TD_E_PARSE},
    };
#undef T
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char token[TD_JWT_MAX];
        forge(HEADER, rows[i].payload, token);
        struct td_jwt_claims claims;
        memset(&claims, 0x5a, sizeof(claims));
        struct td_jwt_claims before = claims;
        int r = td_jwt_verify(&key, token, NOW_S, &claims);
        assert_int_equal(r, rows[i].result);
        if (r < 0) { /* the output is untouched */
            assert_memory_equal(&claims, &before, sizeof(claims));
        }
    }
}

static void test_claims(void **state)
{
    (void)state;
    char token[TD_JWT_MAX];
    struct td_jwt_claims claims;
    forge(HEADER,
          "{\"iss\":\"k\",\"jti\":\"me\",\"sha256\":\"abc=\",\"kind\":\"egress\",\"video\":{"
          "\"room\":\"r\",\"canSubscribe\":false,\"canPublish\":null,\"hidden\":1}}",
          token);
    assert_int_equal(td_jwt_peek(token, &claims), 0);
    assert_string_equal(claims.identity, "me"); /* in place of sub */
    assert_string_equal(claims.sha256, "abc=");
    assert_string_equal(claims.room, "r");
    assert_true(claims.recorder && claims.can_publish);
    assert_false(claims.room_join || claims.can_subscribe || claims.hidden);

    for (size_t len = 255; len < 259; len++) {
        char identity[300] = "";
        memset(identity, 'i', len);
        char payload[400];
        (void)snprintf(payload, sizeof(payload), "{\"sub\":\"%s\"}", identity);
        forge(HEADER, payload, token);
        assert_int_equal(td_jwt_peek(token, &claims), len <= 256 ? 0 : -TD_E_LIMIT);
    }
    assert_int_equal(td_jwt_peek("", &claims), -TD_E_PARSE);
    assert_int_equal(td_jwt_peek("..", &claims), -TD_E_PARSE);
    char *large = malloc(TD_JWT_MAX + 2);
    assert_non_null(large);
    memset(large, 'A', TD_JWT_MAX + 1);
    large[TD_JWT_MAX + 1] = '\0';
    assert_int_equal(td_jwt_peek(large, &claims), -TD_E_LIMIT);
    /* Deep nesting is refused by a limit, not by the end of the stack. */
    memset(large, '[', 11000);
    large[11000] = '\0';
    forge(HEADER, large, token);
    assert_int_equal(td_jwt_peek(token, &claims), -TD_E_PARSE);
    free(large);
}

/* Allocations of jansson up to the one that fails; 0: none does. */
static unsigned fail_after;

static void *failing_malloc(size_t size)
{
    return fail_after > 0 && --fail_after == 0 ? NULL : malloc(size);
}

/* Every allocation fails in turn: an error, never half a token, and no leak (ASan). Reading is
 * left out: the lexer of jansson 2.14 itself asserts when its buffer cannot grow. */
static void test_out_of_memory(void **state)
{
    (void)state;
    json_set_alloc_funcs(failing_malloc, free);
    unsigned failures = 0;
    char *token = NULL;
    for (unsigned n = 1; token == NULL; n++) {
        fail_after = n;
        int r = td_jwt_sign(&key, &publisher, &token);
        assert_int_equal(r == 0, token != NULL);
        failures += r < 0 ? 1 : 0;
    }
    assert_true(failures > 10);
    assert_string_equal(token, publisher_token);
    free(token);
    fail_after = 0;
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc7515_a1),   cmocka_unit_test(test_sign),
        cmocka_unit_test(test_sign_refuses), cmocka_unit_test(test_tampering),
        cmocka_unit_test(test_headers),      cmocka_unit_test(test_payloads),
        cmocka_unit_test(test_claims),       cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
