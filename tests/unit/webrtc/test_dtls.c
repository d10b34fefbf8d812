/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "webrtc/certificate.h"
#include "webrtc/dtls.h"

/* The library reads the wall clock for its retransmissions by gettimeofday(2); this one takes its
 * place, so that the test's time is the only one. */
struct test_clock {
    int64_t now_us;
};

static struct test_clock test_clock = {.now_us = INT64_C(1700000000000000)};

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    (void)zone;
    ret_time->tv_sec = (time_t)(test_clock.now_us / 1000000);
    ret_time->tv_usec = (suseconds_t)(test_clock.now_us % 1000000);
    return 0;
}

#define QUEUE_MAX 64

struct datagram {
    uint8_t bytes[2048];
    size_t len;
};

struct end {
    struct td_dtls *dtls;
    struct end *other;
    enum td_dtls_state state;
    int error;
    unsigned events;
    unsigned sent;
    size_t longest;
    uint32_t drop; /* bit i: the i-th datagram of this end is lost, bit 31 for all later ones */
    /* towards this end */
    struct datagram queue[QUEUE_MAX];
    unsigned head;
    unsigned count;
};

static int on_send(void *ctx, const uint8_t *bytes, size_t len)
{
    struct end *from = ctx;
    struct end *to = from->other;
    unsigned number = from->sent < 31 ? from->sent : 31;
    struct datagram *d;

    from->sent++;
    if (len > from->longest)
        from->longest = len;
    if ((from->drop >> number & 1) != 0)
        return 0;
    assert_true(to->count < QUEUE_MAX);
    d = &to->queue[(to->head + to->count++) % QUEUE_MAX];
    assert_true(len <= sizeof(d->bytes));
    memcpy(d->bytes, bytes, len);
    d->len = len;
    return 0;
}

static void on_state(void *ctx, enum td_dtls_state state, int error)
{
    struct end *end = ctx;

    end->state = state;
    end->error = error;
    end->events++;
}

struct two {
    struct td_certificate *certificate_a;
    struct td_certificate *certificate_b;
    struct end a; /* client */
    struct end b; /* server */
};

static struct two *two_open(const char *expected_of_a, const char *expected_of_b)
{
    struct two *two = calloc(1, sizeof(*two));
    struct td_dtls_events events = {.send = on_send, .state = on_state};

    assert_non_null(two);
    assert_int_equal(td_certificate_new(&two->certificate_a), 0);
    assert_int_equal(td_certificate_new(&two->certificate_b), 0);
    two->a.other = &two->b;
    two->b.other = &two->a;
    if (expected_of_a == NULL)
        expected_of_a = td_certificate_fingerprint(two->certificate_a);
    if (expected_of_b == NULL)
        expected_of_b = td_certificate_fingerprint(two->certificate_b);
    events.ctx = &two->a;
    assert_int_equal(td_dtls_new(two->certificate_a, true, expected_of_b, &events, &two->a.dtls),
                     0);
    events.ctx = &two->b;
    assert_int_equal(td_dtls_new(two->certificate_b, false, expected_of_a, &events, &two->b.dtls),
                     0);
    return two;
}

static void two_close(struct two *two)
{
    assert_null(td_dtls_free(two->a.dtls));
    assert_null(td_dtls_free(two->b.dtls));
    assert_null(td_certificate_free(two->certificate_a));
    assert_null(td_certificate_free(two->certificate_b));
    free(two);
}

static bool deliver(struct end *end)
{
    struct datagram d;

    if (end->count == 0)
        return false;
    d = end->queue[end->head];
    end->head = (end->head + 1) % QUEUE_MAX;
    end->count--;
    td_dtls_datagram(end->dtls, d.bytes, d.len, test_clock.now_us);
    return true;
}

static bool is_over(const struct end *end)
{
    return end->state != TD_DTLS_HANDSHAKING;
}

/* Until both ends are through or nothing can change any more. Returns the time it took. */
static int64_t run(struct two *two)
{
    int64_t start_us = test_clock.now_us;

    assert_int_equal(td_dtls_start(two->b.dtls, test_clock.now_us), 0);
    assert_int_equal(td_dtls_start(two->a.dtls, test_clock.now_us), 0);
    while (!is_over(&two->a) || !is_over(&two->b)) {
        while (deliver(&two->a) || deliver(&two->b))
            ;
        if (test_clock.now_us - start_us > INT64_C(20000000))
            break;
        test_clock.now_us += 5000;
        td_dtls_tick(two->a.dtls, test_clock.now_us);
        td_dtls_tick(two->b.dtls, test_clock.now_us);
    }
    return test_clock.now_us - start_us;
}

static void check_keys(struct two *two, enum td_srtp_profile profile, size_t len)
{
    struct td_srtp_keys a = {.len = 0};
    struct td_srtp_keys b = {.len = 0};

    assert_int_equal(td_dtls_keys(two->a.dtls, &a), 0);
    assert_int_equal(td_dtls_keys(two->b.dtls, &b), 0);
    assert_int_equal(a.profile, profile);
    assert_int_equal(b.profile, profile);
    assert_int_equal(a.len, len);
    assert_int_equal(b.len, len);
    assert_memory_equal(a.local, b.remote, len);
    assert_memory_equal(a.remote, b.local, len);
    assert_memory_not_equal(a.local, a.remote, len);
}

static void test_handshake(void **state)
{
    struct two *two = two_open(NULL, NULL);
    struct td_srtp_keys keys;

    (void)state;
    assert_int_equal(td_dtls_keys(two->a.dtls, &keys), -TD_E_STATE);
    run(two);
    assert_int_equal(two->a.state, TD_DTLS_CONNECTED);
    assert_int_equal(two->b.state, TD_DTLS_CONNECTED);
    assert_int_equal(two->a.events, 1);
    assert_int_equal(two->b.events, 1);
    assert_true(two->a.longest <= 1200 && two->b.longest <= 1200);
    /* Our first choice. */
    check_keys(two, TD_SRTP_AEAD_AES_256_GCM, 44);
    assert_int_equal(td_dtls_start(two->a.dtls, test_clock.now_us), -TD_E_STATE);
    two_close(two);
}

static void test_profiles(void **state)
{
    static const struct {
        const char *name;
        enum td_srtp_profile profile;
        size_t len;
    } rows[] = {
        {"SRTP_AES128_CM_SHA1_80", TD_SRTP_AES128_CM_SHA1_80, 30},
        {"SRTP_AEAD_AES_128_GCM", TD_SRTP_AEAD_AES_128_GCM, 28},
        {"SRTP_AEAD_AES_256_GCM", TD_SRTP_AEAD_AES_256_GCM, 44},
        /* The server's order decides in this library. */
        {"SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM", TD_SRTP_AEAD_AES_128_GCM, 28},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct two *two = two_open(NULL, NULL);

        /* A client that offers less. The association copied the profiles already. */
        two->a.dtls = td_dtls_free(two->a.dtls);
        assert_int_equal(SSL_CTX_set_tlsext_use_srtp(two->certificate_a->ctx, rows[i].name), 0);
        assert_int_equal(
            td_dtls_new(
                two->certificate_a, true, td_certificate_fingerprint(two->certificate_b),
                &(struct td_dtls_events){.send = on_send, .state = on_state, .ctx = &two->a},
                &two->a.dtls),
            0);
        run(two);
        assert_int_equal(two->a.state, TD_DTLS_CONNECTED);
        assert_int_equal(two->b.state, TD_DTLS_CONNECTED);
        check_keys(two, rows[i].profile, rows[i].len);
        two_close(two);
    }
}

/* Every way to lose some of the first datagrams of both ends: the timers repeat them. An end sends
 * two or three when nothing is lost. */
static void test_loss(void **state)
{
    (void)state;
    for (uint32_t mask = 0; mask < 256; mask++) {
        struct two *two = two_open(NULL, NULL);
        int64_t took_us;

        two->a.drop = mask & 15;
        two->b.drop = mask >> 4;
        took_us = run(two);
        assert_int_equal(two->a.state, TD_DTLS_CONNECTED);
        assert_int_equal(two->b.state, TD_DTLS_CONNECTED);
        check_keys(two, TD_SRTP_AEAD_AES_256_GCM, 44);
        assert_true((two->a.drop & 1) == 0 || took_us >= 85000);
        assert_true(took_us < INT64_C(5000000));
        two_close(two);
    }
}

/* The server is through, its last flight is lost: the client asks again and is answered. */
static void test_last_flight_lost(void **state)
{
    struct two *two = two_open(NULL, NULL);

    (void)state;
    assert_int_equal(td_dtls_start(two->b.dtls, test_clock.now_us), 0);
    assert_int_equal(td_dtls_start(two->a.dtls, test_clock.now_us), 0);
    for (;;) {
        while (deliver(&two->a))
            ;
        if (!deliver(&two->b))
            break;
        if (two->b.state == TD_DTLS_CONNECTED) {
            two->a.count = 0;
            break;
        }
    }
    assert_int_equal(two->b.state, TD_DTLS_CONNECTED);
    assert_int_equal(two->a.state, TD_DTLS_HANDSHAKING);
    for (int i = 0; i < 100 && two->a.state == TD_DTLS_HANDSHAKING; i++) {
        test_clock.now_us += 5000;
        td_dtls_tick(two->a.dtls, test_clock.now_us);
        td_dtls_tick(two->b.dtls, test_clock.now_us);
        while (deliver(&two->a) || deliver(&two->b))
            ;
    }
    assert_int_equal(two->a.state, TD_DTLS_CONNECTED);
    assert_int_equal(two->b.state, TD_DTLS_CONNECTED);
    check_keys(two, TD_SRTP_AEAD_AES_256_GCM, 44);
    two_close(two);
}

static void test_nobody_there(void **state)
{
    struct two *two = two_open(NULL, NULL);

    (void)state;
    two->a.drop = UINT32_MAX;
    run(two);
    assert_int_equal(two->a.state, TD_DTLS_FAILED);
    assert_int_equal(two->a.error, -TD_E_TIMEOUT);
    assert_int_equal(two->b.state, TD_DTLS_FAILED);
    assert_int_equal(two->b.error, -TD_E_TIMEOUT);
    assert_true(two->a.sent >= 5);
    two_close(two);
}

#define WRONG                                                                                      \
    "sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:" \
    "CC:DD:EE:FF"

static void test_wrong_fingerprint(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct two *two = side == 0 ? two_open(WRONG, NULL) : two_open(NULL, WRONG);
        struct end *deceived = side == 0 ? &two->b : &two->a;
        struct td_srtp_keys keys;

        run(two);
        assert_int_equal(deceived->state, TD_DTLS_FAILED);
        assert_int_equal(deceived->error, -TD_E_CRYPTO);
        assert_int_equal(td_dtls_keys(deceived->dtls, &keys), -TD_E_STATE);
        assert_int_not_equal(deceived->other->state, TD_DTLS_CONNECTED);
        two_close(two);
    }
}

static void digest_text(X509 *x509, const EVP_MD *md, const char *name, char *ret_text, size_t len)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int at = snprintf(ret_text, len, "%s ", name);

    assert_int_equal(X509_digest(x509, md, digest, &n), 1);
    for (unsigned i = 0; i < n; i++)
        at += snprintf(ret_text + at, len - (size_t)at, "%s%02x", i > 0 ? ":" : "", digest[i]);
}

/* Other hashes, small letters. */
static void test_fingerprint_hashes(void **state)
{
    static const char *const names[] = {"SHA-256", "sha-384", "sha-512"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const EVP_MD *md = i == 0 ? EVP_sha256() : i == 1 ? EVP_sha384() : EVP_sha512();
        struct two *two = two_open(NULL, NULL);
        char text[256];

        digest_text(SSL_CTX_get0_certificate(two->certificate_b->ctx), md, names[i], text,
                    sizeof(text));
        two->a.dtls = td_dtls_free(two->a.dtls);
        assert_int_equal(td_dtls_new(two->certificate_a, true, text,
                                     &(struct td_dtls_events){
                                         .send = on_send, .state = on_state, .ctx = &two->a},
                                     &two->a.dtls),
                         0);
        run(two);
        assert_int_equal(two->a.state, TD_DTLS_CONNECTED);
        two_close(two);
    }
}

static void test_fingerprint_text(void **state)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"", -TD_E_UNSUPPORTED},        {"sha-1 00:11", -TD_E_UNSUPPORTED},
        {"sha-256", -TD_E_UNSUPPORTED}, {"sha-256 ", -TD_E_PARSE},
        {"sha-256 00:11", -TD_E_PARSE}, {"sha-256 0", -TD_E_PARSE},
        {"sha-256 XX:11", -TD_E_PARSE}, {WRONG ":00", -TD_E_PARSE},
        {WRONG "0", -TD_E_PARSE},
    };
    struct td_dtls_events events = {.send = on_send, .state = on_state};
    struct td_certificate *certificate;
    struct td_dtls *dtls = NULL;

    (void)state;
    assert_int_equal(td_certificate_new(&certificate), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(td_dtls_new(certificate, true, rows[i].text, &events, &dtls),
                         rows[i].error);
    assert_null(dtls);
    assert_null(td_dtls_free(NULL));
    assert_null(td_certificate_free(NULL));
    assert_null(td_certificate_free(certificate));
}

static void test_close_notify(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct two *two = two_open(NULL, NULL);
        struct end *leaving = side == 0 ? &two->a : &two->b;

        run(two);
        while (deliver(&two->a) || deliver(&two->b))
            ;
        td_dtls_shutdown(leaving->dtls);
        td_dtls_shutdown(leaving->dtls); /* twice is once */
        assert_int_equal(leaving->other->count, 1);
        while (deliver(&two->a) || deliver(&two->b))
            ;
        assert_int_equal(leaving->other->state, TD_DTLS_CLOSED);
        assert_int_equal(leaving->other->error, 0);
        assert_int_equal(leaving->events, 1); /* who leaves is told nothing */
        assert_int_equal(leaving->other->events, 2);
        two_close(two);
    }
}

/* Rubbish, cut and changed datagrams do no harm to an association that stands. */
static void test_rubbish(void **state)
{
    struct two *two = two_open(NULL, NULL);
    uint8_t bytes[600];

    (void)state;
    run(two);
    for (unsigned i = 0; i < 400; i++) {
        for (size_t k = 0; k < sizeof(bytes); k++)
            bytes[k] = (uint8_t)((k * 31 + i) * 17 >> (i % 5));
        bytes[0] = (uint8_t)(20 + i % 44);
        bytes[1] = 0xfe;
        bytes[2] = 0xfd;
        bytes[4] = (uint8_t)(i % 2); /* epoch 0 or 1 */
        td_dtls_datagram(two->a.dtls, bytes, 1 + (i * 7) % sizeof(bytes), test_clock.now_us);
        td_dtls_datagram(two->b.dtls, bytes, 1 + (i * 7) % sizeof(bytes), test_clock.now_us);
    }
    assert_int_equal(two->a.state, TD_DTLS_CONNECTED);
    assert_int_equal(two->b.state, TD_DTLS_CONNECTED);
    assert_int_equal(td_dtls_discarded(two->a.dtls), 0);
    two->a.count = 0;
    two->b.count = 0;
    td_dtls_shutdown(two->a.dtls);
    while (deliver(&two->b))
        ;
    assert_int_equal(two->b.state, TD_DTLS_CLOSED);
    two_close(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_last_flight_lost),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_wrong_fingerprint),
        cmocka_unit_test(test_fingerprint_hashes),
        cmocka_unit_test(test_fingerprint_text),
        cmocka_unit_test(test_close_notify),
        cmocka_unit_test(test_rubbish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
