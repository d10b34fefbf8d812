/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate: what dtls.c sees of the process's certificate; the rest of the world uses dtls.h.
 * Owner: the executable.
 * Thread: immutable after td_certificate_new, shared by all loops.
 * Bound: one key pair, one SSL_CTX, one BIO_METHOD.
 * Does not: leave this folder; no other folder includes it.
 */
#ifndef TD_WEBRTC_CERTIFICATE_H
#define TD_WEBRTC_CERTIFICATE_H

#include <openssl/bio.h>
#include <openssl/ssl.h>

#define TD_FINGERPRINT_TEXT_MAX 128

struct td_certificate {
    SSL_CTX *ctx;
    BIO_METHOD *bio_method;
    char fingerprint[TD_FINGERPRINT_TEXT_MAX];
};

/* Implemented by dtls.c. */
BIO_METHOD *td_dtls_bio_method(void);
int td_dtls_verify(X509_STORE_CTX *store, void *arg);

#endif
