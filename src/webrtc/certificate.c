/* SPDX-License-Identifier: Apache-2.0 */
#include "webrtc/certificate.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "webrtc/dtls.h"

/* Nobody checks the dates of a certificate that is known by its fingerprint; a day back allows for
 * clocks that differ. */
#define VALID_FROM_S (-86400L)
#define VALID_TO_S (30L * 86400L)

/* Our order of preference (RFC 7714 section 14.2): GCM costs a third of AES-CM with SHA-1. */
#define SRTP_PROFILES "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"

static int name_certificate(X509 *x509)
{
    X509_NAME *name = X509_get_subject_name(x509);
    uint64_t serial = 0;

    if (RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
        return -TD_E_CRYPTO;
    if (ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1) != 1)
        return -TD_E_CRYPTO;
    if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"WebRTC", -1,
                                   -1, 0) != 1)
        return -TD_E_CRYPTO;
    return X509_set_issuer_name(x509, name) == 1 ? 0 : -TD_E_CRYPTO;
}

static int make_certificate(EVP_PKEY *key, X509 **ret_x509)
{
    X509 *x509 = X509_new();
    int r = -TD_E_CRYPTO;

    if (x509 == NULL)
        return -ENOMEM;
    if (X509_set_version(x509, X509_VERSION_3) == 1 && name_certificate(x509) == 0 &&
        X509_gmtime_adj(X509_getm_notBefore(x509), VALID_FROM_S) != NULL &&
        X509_gmtime_adj(X509_getm_notAfter(x509), VALID_TO_S) != NULL &&
        X509_set_pubkey(x509, key) == 1 && X509_sign(x509, key, EVP_sha256()) > 0)
        r = 0;
    if (r < 0) {
        X509_free(x509);
        return r;
    }
    *ret_x509 = x509;
    return 0;
}

static int write_fingerprint(struct td_certificate *c, const X509 *x509)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    size_t at;

    if (X509_digest(x509, EVP_sha256(), digest, &len) != 1)
        return -TD_E_CRYPTO;
    at = (size_t)snprintf(c->fingerprint, sizeof(c->fingerprint), "sha-256 ");
    for (unsigned i = 0; i < len && at + 4 <= sizeof(c->fingerprint); i++)
        at += (size_t)snprintf(c->fingerprint + at, sizeof(c->fingerprint) - at, "%s%02X",
                               i > 0 ? ":" : "", digest[i]);
    return 0;
}

static int configure(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* answers the old mode */
    SSL_CTX_set_read_ahead(ctx, 1);                                /* a datagram is read whole */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, td_dtls_verify, NULL);
    if (SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) != 1)
        return -TD_E_CRYPTO;
    /* A smaller write buffer: 16 KB less for each association, nothing of ours is larger. */
    if (SSL_CTX_set_max_send_fragment(ctx, 2048) != 1)
        return -TD_E_CRYPTO;
    if (SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES256+SHA") != 1)
        return -TD_E_CRYPTO;
    if (SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1)
        return -TD_E_CRYPTO;
    /* This one answers 0 for success. */
    return SSL_CTX_set_tlsext_use_srtp(ctx, SRTP_PROFILES) == 0 ? 0 : -TD_E_CRYPTO;
}

static int fill(struct td_certificate *c)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = NULL;
    int r = key != NULL ? make_certificate(key, &x509) : -TD_E_CRYPTO;

    if (r < 0)
        goto done;
    r = -ENOMEM;
    c->ctx = SSL_CTX_new(DTLS_method());
    c->bio_method = td_dtls_bio_method();
    if (c->ctx == NULL || c->bio_method == NULL)
        goto done;
    r = configure(c->ctx);
    if (r < 0)
        goto done;
    r = write_fingerprint(c, x509);
    if (r < 0)
        goto done;
    if (SSL_CTX_use_certificate(c->ctx, x509) != 1 || SSL_CTX_use_PrivateKey(c->ctx, key) != 1)
        r = -TD_E_CRYPTO;
done:
    X509_free(x509);
    EVP_PKEY_free(key);
    return r;
}

int td_certificate_new(struct td_certificate **ret_certificate)
{
    struct td_certificate *c;
    int r;

    assert(ret_certificate != NULL);
    r = td_srtp_prepare();
    if (r < 0)
        return r;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    ERR_clear_error();
    r = fill(c);
    ERR_clear_error();
    if (r < 0) {
        (void)td_certificate_free(c); /* always NULL */
        return r;
    }
    *ret_certificate = c;
    return 0;
}

struct td_certificate *td_certificate_free(struct td_certificate *c)
{
    if (c == NULL)
        return NULL;
    SSL_CTX_free(c->ctx);
    BIO_meth_free(c->bio_method);
    free(c);
    return NULL;
}

const char *td_certificate_fingerprint(const struct td_certificate *c)
{
    return c->fingerprint;
}
