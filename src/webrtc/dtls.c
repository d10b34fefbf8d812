/* SPDX-License-Identifier: Apache-2.0 */
#include "webrtc/dtls.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/srtp.h>
#include <openssl/ssl.h>

#include "webrtc/certificate.h"

/* What goes into one UDP payload; below any tunnel's path MTU. */
#define DTLS_MTU 1200
/* RFC 6347 section 4.2.4.1 says 1 s; WebRTC stacks start far lower, as media waits for this. */
#define RETRANSMIT_FIRST_US 100000u
#define RETRANSMIT_MAX_US 2000000u
/* pion gives up between 10 and 20 s after ICE is up. */
#define HANDSHAKE_US INT64_C(15000000)
/* RFC 5764 section 4.2. */
#define EXPORT_LABEL "EXTRACTOR-dtls_srtp"
/* Records of one datagram and close_notify: a datagram cannot hold more. */
#define READS_MAX 256

struct td_dtls {
    SSL *ssl;
    struct td_dtls_events events;
    enum td_dtls_state state;
    bool client;
    bool started;
    bool verified; /* the certificate matched the fingerprint */
    const EVP_MD *digest;
    uint8_t expected[EVP_MAX_MD_SIZE];
    size_t expected_len;
    const uint8_t *in; /* the datagram in work, consumed by one BIO read */
    size_t in_len;
    int64_t deadline_us;
    uint64_t discarded;
    uint64_t unsent;
};

/* ---- the BIO: one read or write is one datagram ---- */

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct td_dtls *d = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (len <= 0)
        return 0;
    /* A datagram that cannot leave is a lost one: the timer repeats it. */
    if (d->events.send(d->events.ctx, (const uint8_t *)bytes, (size_t)len) < 0)
        d->unsent++;
    return len;
}

static int bio_read(BIO *bio, char *ret_bytes, int len)
{
    struct td_dtls *d = BIO_get_data(bio);
    size_t n;

    BIO_clear_retry_flags(bio);
    if (d->in == NULL || len <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    n = d->in_len < (size_t)len ? d->in_len : (size_t)len;
    memcpy(ret_bytes, d->in, n);
    d->in = NULL;
    d->in_len = 0;
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long value, void *pointer)
{
    (void)bio;
    (void)value;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
        return DTLS_MTU;
    default:
        return 0;
    }
}

BIO_METHOD *td_dtls_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagram");

    if (m == NULL)
        return NULL;
    if (BIO_meth_set_write(m, bio_write) != 1 || BIO_meth_set_read(m, bio_read) != 1 ||
        BIO_meth_set_ctrl(m, bio_ctrl) != 1) {
        BIO_meth_free(m);
        return NULL;
    }
    return m;
}

/* ---- the fingerprint (RFC 8122 section 5) ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int parse_fingerprint(struct td_dtls *d, const char *text)
{
    static const struct {
        const char *name;
        const EVP_MD *(*digest)(void);
    } rows[] = {
        {"sha-256 ", EVP_sha256},
        {"sha-384 ", EVP_sha384},
        {"sha-512 ", EVP_sha512},
    };
    size_t n = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strncasecmp(text, rows[i].name, strlen(rows[i].name)) == 0) {
            d->digest = rows[i].digest();
            text += strlen(rows[i].name);
            break;
        }
    }
    if (d->digest == NULL)
        return -TD_E_UNSUPPORTED;
    while (n < (size_t)EVP_MD_get_size(d->digest)) {
        int high = hex_value(text[0]);
        int low = high < 0 ? -1 : hex_value(text[1]);

        if (low < 0)
            return -TD_E_PARSE;
        d->expected[n++] = (uint8_t)(high * 16 + low);
        text += 2;
        if (*text == ':')
            text++;
    }
    d->expected_len = n;
    return *text == '\0' || *text == ' ' ? 0 : -TD_E_PARSE;
}

int td_dtls_verify(X509_STORE_CTX *store, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct td_dtls *d = ssl != NULL ? SSL_get_app_data(ssl) : NULL;
    X509 *x509 = X509_STORE_CTX_get0_cert(store);
    uint8_t found[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    (void)arg;
    if (d == NULL || x509 == NULL || X509_digest(x509, d->digest, found, &len) != 1 ||
        len != d->expected_len || CRYPTO_memcmp(found, d->expected, len) != 0) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    d->verified = true;
    return 1;
}

/* ---- the association ---- */

static unsigned retransmit_us(SSL *ssl, unsigned last_us)
{
    (void)ssl;
    if (last_us == 0)
        return RETRANSMIT_FIRST_US;
    return last_us < RETRANSMIT_MAX_US / 2 ? last_us * 2 : RETRANSMIT_MAX_US;
}

static int open_ssl(struct td_dtls *d, const struct td_certificate *certificate)
{
    BIO *bio;

    d->ssl = SSL_new(certificate->ctx);
    if (d->ssl == NULL)
        return -ENOMEM;
    bio = BIO_new(certificate->bio_method);
    if (bio == NULL)
        return -ENOMEM;
    BIO_set_data(bio, d);
    BIO_set_init(bio, 1);
    SSL_set_bio(d->ssl, bio, bio);
    SSL_set_app_data(d->ssl, d);
    SSL_set_mtu(d->ssl, DTLS_MTU);
    DTLS_set_timer_cb(d->ssl, retransmit_us);
    if (d->client)
        SSL_set_connect_state(d->ssl);
    else
        SSL_set_accept_state(d->ssl);
    return 0;
}

int td_dtls_new(const struct td_certificate *certificate, bool client,
                const char *remote_fingerprint, const struct td_dtls_events *events,
                struct td_dtls **ret_dtls)
{
    struct td_dtls *d;
    int r;

    assert(certificate != NULL && events != NULL && ret_dtls != NULL);
    assert(remote_fingerprint != NULL && events->send != NULL);
    d = calloc(1, sizeof(*d));
    if (d == NULL)
        return -ENOMEM;
    d->client = client;
    d->events = *events;
    r = parse_fingerprint(d, remote_fingerprint);
    if (r == 0)
        r = open_ssl(d, certificate);
    if (r < 0) {
        (void)td_dtls_free(d); /* always NULL */
        return r;
    }
    *ret_dtls = d;
    return 0;
}

struct td_dtls *td_dtls_free(struct td_dtls *d)
{
    if (d == NULL)
        return NULL;
    SSL_free(d->ssl);
    OPENSSL_cleanse(d, sizeof(*d));
    free(d);
    return NULL;
}

static void set_state(struct td_dtls *d, enum td_dtls_state state, int error)
{
    if (d->state == state || d->state == TD_DTLS_FAILED || d->state == TD_DTLS_CLOSED)
        return;
    d->state = state;
    if (d->events.state != NULL)
        d->events.state(d->events.ctx, state, error);
}

static void handshake(struct td_dtls *d)
{
    int r;

    ERR_clear_error();
    r = SSL_do_handshake(d->ssl);
    if (r == 1) {
        if (d->verified)
            set_state(d, TD_DTLS_CONNECTED, 0);
        else
            set_state(d, TD_DTLS_FAILED, -TD_E_CRYPTO);
        return;
    }
    switch (SSL_get_error(d->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        break;
    default:
        set_state(d, TD_DTLS_FAILED, -TD_E_CRYPTO);
        break;
    }
    ERR_clear_error();
}

/* Reads what the datagram held: data is counted, close_notify closes. The library also repeats our
 * last flight from here when the other side asks for it by repeating its own. */
static void drain(struct td_dtls *d)
{
    uint8_t scratch[2048];

    for (int i = 0; i < READS_MAX && d->state == TD_DTLS_CONNECTED; i++) {
        int r;

        ERR_clear_error();
        r = SSL_read(d->ssl, scratch, (int)sizeof(scratch));
        if (r > 0) {
            d->discarded++;
            continue;
        }
        switch (SSL_get_error(d->ssl, r)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            break;
        case SSL_ERROR_ZERO_RETURN:
            (void)SSL_shutdown(d->ssl); /* our close_notify; nothing depends on it */
            set_state(d, TD_DTLS_CLOSED, 0);
            break;
        default:
            set_state(d, TD_DTLS_FAILED, -TD_E_CRYPTO);
            break;
        }
        ERR_clear_error();
        return;
    }
}

int td_dtls_start(struct td_dtls *d, int64_t now_us)
{
    assert(d != NULL);
    if (d->started)
        return -TD_E_STATE;
    d->started = true;
    d->deadline_us = now_us + HANDSHAKE_US;
    if (d->client)
        handshake(d);
    return 0;
}

void td_dtls_datagram(struct td_dtls *d, const uint8_t *bytes, size_t len, int64_t now_us)
{
    assert(d != NULL && (bytes != NULL || len == 0));
    (void)now_us;
    if (!d->started || len == 0 || len > INT32_MAX || d->state == TD_DTLS_FAILED ||
        d->state == TD_DTLS_CLOSED)
        return;
    d->in = bytes;
    d->in_len = len;
    if (d->state == TD_DTLS_HANDSHAKING)
        handshake(d);
    if (d->state == TD_DTLS_CONNECTED)
        drain(d);
    d->in = NULL;
    d->in_len = 0;
}

void td_dtls_tick(struct td_dtls *d, int64_t now_us)
{
    struct timeval left;

    assert(d != NULL);
    if (!d->started || d->state != TD_DTLS_HANDSHAKING)
        return;
    if (now_us >= d->deadline_us) {
        set_state(d, TD_DTLS_FAILED, -TD_E_TIMEOUT);
        return;
    }
    if (DTLSv1_get_timeout(d->ssl, &left) != 1 || left.tv_sec != 0 || left.tv_usec != 0)
        return;
    ERR_clear_error();
    if (DTLSv1_handle_timeout(d->ssl) < 0)
        set_state(d, TD_DTLS_FAILED, -TD_E_TIMEOUT);
    ERR_clear_error();
}

static size_t profile_salt_bytes(unsigned long id)
{
    return id == TD_SRTP_AES128_CM_SHA1_80 ? 14
                                           : 12; /* RFC 3711 section 8.2, RFC 7714 section 12 */
}

static size_t profile_key_bytes(unsigned long id)
{
    return id == TD_SRTP_AEAD_AES_256_GCM ? 32 : 16;
}

int td_dtls_keys(struct td_dtls *d, struct td_srtp_keys *ret_keys)
{
    const SRTP_PROTECTION_PROFILE *profile;
    struct td_srtp_keys keys = {.len = 0};
    uint8_t block[2 * TD_SRTP_KEY_MAX];
    uint8_t *client = d->client ? keys.local : keys.remote;
    uint8_t *server = d->client ? keys.remote : keys.local;
    size_t key;
    size_t salt;
    int r;

    assert(ret_keys != NULL);
    if (d->state != TD_DTLS_CONNECTED)
        return -TD_E_STATE;
    profile = SSL_get_selected_srtp_profile(d->ssl);
    if (profile == NULL)
        return -TD_E_UNSUPPORTED;
    key = profile_key_bytes(profile->id);
    salt = profile_salt_bytes(profile->id);
    r = SSL_export_keying_material(d->ssl, block, 2 * (key + salt), EXPORT_LABEL,
                                   strlen(EXPORT_LABEL), NULL, 0, 0);
    if (r != 1)
        return -TD_E_CRYPTO;
    /* client key, server key, client salt, server salt */
    memcpy(client, block, key);
    memcpy(server, block + key, key);
    memcpy(client + key, block + 2 * key, salt);
    memcpy(server + key, block + 2 * key + salt, salt);
    keys.profile = (enum td_srtp_profile)profile->id;
    keys.len = key + salt;
    *ret_keys = keys;
    OPENSSL_cleanse(block, sizeof(block));
    OPENSSL_cleanse(&keys, sizeof(keys));
    return 0;
}

void td_dtls_shutdown(struct td_dtls *d)
{
    assert(d != NULL);
    if (d->state != TD_DTLS_CONNECTED)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(d->ssl); /* answers 0 until the other side's comes; we do not wait for it */
    ERR_clear_error();
    d->state = TD_DTLS_CLOSED;
}

uint64_t td_dtls_discarded(const struct td_dtls *d)
{
    return d->discarded;
}
