/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "webrtc/srtp.h"

static const struct {
    const char *name;
    enum td_srtp_profile profile;
    size_t key_len;
    size_t rtp_growth;
    size_t rtcp_growth;
} profiles[] = {
    /* Growth: tag of 10 or 16 bytes, RTCP 4 more for its index (RFC 3711 section 3.4). */
    {"AES128_CM_SHA1_80", TD_SRTP_AES128_CM_SHA1_80, 30, 10, 14},
    {"AEAD_AES_128_GCM", TD_SRTP_AEAD_AES_128_GCM, 28, 16, 20},
    {"AEAD_AES_256_GCM", TD_SRTP_AEAD_AES_256_GCM, 44, 16, 20},
};

#define PROFILES (sizeof(profiles) / sizeof(profiles[0]))

struct ends {
    struct td_srtp *a;
    struct td_srtp *b;
};

static void ends_open(struct ends *ends, size_t profile)
{
    struct td_srtp_keys of_a = {.profile = profiles[profile].profile};
    struct td_srtp_keys of_b = {.profile = profiles[profile].profile};

    of_a.len = profiles[profile].key_len;
    of_b.len = of_a.len;
    for (size_t i = 0; i < of_a.len; i++) {
        of_a.local[i] = (uint8_t)(i + 1);
        of_a.remote[i] = (uint8_t)(0x80 + i);
        of_b.local[i] = of_a.remote[i];
        of_b.remote[i] = of_a.local[i];
    }
    assert_int_equal(td_srtp_new(&of_a, &ends->a), 0);
    assert_int_equal(td_srtp_new(&of_b, &ends->b), 0);
}

static void ends_close(struct ends *ends)
{
    assert_null(td_srtp_free(ends->a));
    assert_null(td_srtp_free(ends->b));
}

#define CAPACITY 1500

/* 16-byte aligned as the datagrams of a peer are. */
struct datagram {
    _Alignas(16) uint8_t bytes[CAPACITY];
    size_t len;
};

static void make_rtp(struct datagram *d, uint32_t ssrc, uint16_t seq, size_t payload_len)
{
    memset(d, 0, sizeof(*d));
    d->bytes[0] = 0x80;
    d->bytes[1] = 96;
    d->bytes[2] = (uint8_t)(seq >> 8);
    d->bytes[3] = (uint8_t)seq;
    for (int i = 0; i < 4; i++)
        d->bytes[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
    for (size_t i = 0; i < payload_len; i++)
        d->bytes[12 + i] = (uint8_t)(i ^ seq);
    d->len = 12 + payload_len;
}

static void make_rtcp(struct datagram *d)
{
    static const uint8_t report[] = {0x81, 201, 0, 7, 1, 2, 3, 4, 9, 9, 9, 9};

    memset(d, 0, sizeof(*d));
    memcpy(d->bytes, report, sizeof(report));
    d->len = 32;
}

static void round_trip_rtp(struct ends *ends, size_t profile, size_t payload_len, uint16_t seq)
{
    struct datagram clear;
    struct datagram sealed;

    make_rtp(&clear, 0xcafe, seq, payload_len);
    sealed = clear;
    assert_int_equal(td_srtp_protect(ends->a, sealed.bytes, &sealed.len, CAPACITY), 0);
    assert_int_equal(sealed.len, clear.len + profiles[profile].rtp_growth);
    if (payload_len > 0)
        assert_memory_not_equal(sealed.bytes + 12, clear.bytes + 12, payload_len);
    assert_int_equal(td_srtp_unprotect(ends->b, sealed.bytes, &sealed.len), 0);
    assert_int_equal(sealed.len, clear.len);
    assert_memory_equal(sealed.bytes, clear.bytes, clear.len);
}

static void test_round_trip(void **state)
{
    static const size_t lens[] = {0, 1, 20, 172, 1188, 1400};

    (void)state;
    for (size_t p = 0; p < PROFILES; p++) {
        struct ends ends;
        struct datagram clear;
        struct datagram sealed;

        ends_open(&ends, p);
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
            round_trip_rtp(&ends, p, lens[i], (uint16_t)(65530 + 2 * i)); /* over the wrap */
        make_rtcp(&clear);
        sealed = clear;
        assert_int_equal(td_srtp_protect_rtcp(ends.a, sealed.bytes, &sealed.len, CAPACITY), 0);
        assert_int_equal(sealed.len, clear.len + profiles[p].rtcp_growth);
        assert_memory_not_equal(sealed.bytes + 8, clear.bytes + 8, clear.len - 8);
        assert_int_equal(td_srtp_unprotect_rtcp(ends.b, sealed.bytes, &sealed.len), 0);
        assert_int_equal(sealed.len, clear.len);
        assert_memory_equal(sealed.bytes, clear.bytes, clear.len);
        assert_int_equal(td_srtp_stats(ends.b)->auth_failures, 0);
        assert_int_equal(td_srtp_stats(ends.b)->replays, 0);
        assert_int_equal(td_srtp_stats(ends.b)->other_failures, 0);
        ends_close(&ends);
    }
}

static void test_tampered(void **state)
{
    (void)state;
    for (size_t p = 0; p < PROFILES; p++) {
        struct ends ends;
        struct datagram sealed;

        ends_open(&ends, p);
        make_rtp(&sealed, 0xcafe, 7, 100);
        assert_int_equal(td_srtp_protect(ends.a, sealed.bytes, &sealed.len, CAPACITY), 0);
        /* Every byte is covered: header, payload and tag. */
        for (size_t at = 1; at < sealed.len; at += 13) {
            struct datagram copy = sealed;
            uint64_t before = td_srtp_stats(ends.b)->auth_failures;

            copy.bytes[at] ^= 0x01;
            assert_int_equal(td_srtp_unprotect(ends.b, copy.bytes, &copy.len), -TD_E_CRYPTO);
            assert_int_equal(td_srtp_stats(ends.b)->auth_failures, before + 1);
        }
        assert_int_equal(td_srtp_unprotect(ends.b, sealed.bytes, &sealed.len), 0);
        make_rtcp(&sealed);
        assert_int_equal(td_srtp_protect_rtcp(ends.a, sealed.bytes, &sealed.len, CAPACITY), 0);
        sealed.bytes[20] ^= 0x80;
        assert_int_equal(td_srtp_unprotect_rtcp(ends.b, sealed.bytes, &sealed.len), -TD_E_CRYPTO);
        ends_close(&ends);
    }
}

static void test_replayed(void **state)
{
    (void)state;
    for (size_t p = 0; p < PROFILES; p++) {
        struct ends ends;
        struct datagram sealed;
        struct datagram copy;

        ends_open(&ends, p);
        make_rtp(&sealed, 0xcafe, 7, 100);
        assert_int_equal(td_srtp_protect(ends.a, sealed.bytes, &sealed.len, CAPACITY), 0);
        copy = sealed;
        assert_int_equal(td_srtp_unprotect(ends.b, copy.bytes, &copy.len), 0);
        copy = sealed;
        assert_int_equal(td_srtp_unprotect(ends.b, copy.bytes, &copy.len), -TD_E_CRYPTO);
        assert_int_equal(td_srtp_stats(ends.b)->replays, 1);
        ends_close(&ends);
    }
}

/* A resend that a NACK asked for comes up to 500 packets late and must pass. */
static void test_late(void **state)
{
    struct ends ends;
    struct datagram late;

    (void)state;
    ends_open(&ends, 2);
    make_rtp(&late, 0xcafe, 1, 100);
    assert_int_equal(td_srtp_protect(ends.a, late.bytes, &late.len, CAPACITY), 0);
    for (unsigned seq = 2; seq < 1500; seq++)
        round_trip_rtp(&ends, 2, 10, (uint16_t)seq);
    assert_int_equal(td_srtp_unprotect(ends.b, late.bytes, &late.len), 0);
    ends_close(&ends);
}

/* The library keeps what it knows of an SSRC; we bound for how many. That an old packet of the
 * first SSRC passes again shows that it was forgotten, and that one of a recent SSRC does not,
 * kept. */
static void test_streams_bounded(void **state)
{
    struct ends ends;
    struct datagram first;
    struct datagram last;
    struct datagram copy;

    (void)state;
    ends_open(&ends, 2);
    for (uint32_t ssrc = 1; ssrc <= 300; ssrc++) {
        struct datagram d;

        make_rtp(&d, ssrc, 9, 20);
        assert_int_equal(td_srtp_protect(ends.a, d.bytes, &d.len, CAPACITY), 0);
        if (ssrc == 1)
            first = d;
        last = d;
        assert_int_equal(td_srtp_unprotect(ends.b, d.bytes, &d.len), 0);
    }
    copy = last;
    assert_int_equal(td_srtp_unprotect(ends.b, copy.bytes, &copy.len), -TD_E_CRYPTO);
    copy = first;
    assert_int_equal(td_srtp_unprotect(ends.b, copy.bytes, &copy.len), 0);
    ends_close(&ends);
}

static void test_short_and_wrong(void **state)
{
    struct ends ends;
    struct td_srtp_keys keys = {.profile = TD_SRTP_AEAD_AES_256_GCM, .len = 30};
    struct td_srtp *none = NULL;

    (void)state;
    assert_true(td_srtp_new(&keys, &none) < 0);
    keys.profile = (enum td_srtp_profile)2;
    assert_int_equal(td_srtp_new(&keys, &none), -TD_E_UNSUPPORTED);
    assert_null(none);
    for (size_t p = 0; p < PROFILES; p++) {
        struct datagram d;

        ends_open(&ends, p);
        for (size_t len = 0; len < 40; len++) {
            memset(&d, 0, sizeof(d));
            d.bytes[0] = 0x9f; /* 15 CSRCs and an extension that are not there */
            d.bytes[1] = 200;
            d.len = len;
            assert_int_equal(td_srtp_unprotect(ends.b, d.bytes, &d.len), -TD_E_CRYPTO);
            d.len = len;
            assert_int_equal(td_srtp_unprotect_rtcp(ends.b, d.bytes, &d.len), -TD_E_CRYPTO);
        }
        d.len = 4;
        assert_int_equal(td_srtp_protect(ends.b, d.bytes, &d.len, CAPACITY), -TD_E_CRYPTO);
        ends_close(&ends);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_tampered),
        cmocka_unit_test(test_replayed),        cmocka_unit_test(test_late),
        cmocka_unit_test(test_streams_bounded), cmocka_unit_test(test_short_and_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
