/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dtls: one DTLS 1.2 association over datagrams, keying SRTP (RFC 6347, RFC 5764), and the
 *       process's certificate.
 * Owner: a td_dtls belongs to one peer; the certificate to the executable.
 * Thread: the media loop; the certificate is immutable after new and shared.
 * Bound: one flight buffered (memory BIOs), a datagram each way.
 * Does not: own a socket; retransmission is asked for by td_dtls_tick.
 */
#ifndef TD_WEBRTC_DTLS_H
#define TD_WEBRTC_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "webrtc/srtp.h"

struct td_certificate; /* ECDSA P-256, self-signed, and the SSL_CTX that uses it */

TD_MUST int td_certificate_new(struct td_certificate **ret_certificate);
struct td_certificate *td_certificate_free(struct td_certificate *c);
/* "sha-256 AA:BB:…" */
const char *td_certificate_fingerprint(const struct td_certificate *c);

enum td_dtls_state { TD_DTLS_HANDSHAKING, TD_DTLS_CONNECTED, TD_DTLS_FAILED, TD_DTLS_CLOSED };

struct td_dtls_events {
    int (*send)(void *ctx, const uint8_t *bytes, size_t len);
    void (*state)(void *ctx, enum td_dtls_state state, int error);
    void *ctx;
};

struct td_dtls;

/* `remote_fingerprint` (sha-256, sha-384 or sha-512) is checked against the peer's certificate: a
 * mismatch fails the handshake. -TD_E_PARSE, -TD_E_UNSUPPORTED for another hash. */
TD_MUST int td_dtls_new(const struct td_certificate *certificate, bool client,
                        const char *remote_fingerprint, const struct td_dtls_events *events,
                        struct td_dtls **ret_dtls);
struct td_dtls *td_dtls_free(struct td_dtls *d);
TD_MUST int td_dtls_start(struct td_dtls *d, int64_t now_us);
/* A datagram with a first byte of 20..63 (RFC 7983). Application data (SCTP) is counted and
 * discarded. After CONNECTED the last flight is repeated when the other side asks for it. */
void td_dtls_datagram(struct td_dtls *d, const uint8_t *bytes, size_t len, int64_t now_us);
void td_dtls_tick(struct td_dtls *d, int64_t now_us); /* retransmission */
/* After CONNECTED: profile and keys from the exporter (RFC 5764 section 4.2). */
TD_MUST int td_dtls_keys(struct td_dtls *d, struct td_srtp_keys *ret_keys);
void td_dtls_shutdown(struct td_dtls *d);            /* close_notify */
uint64_t td_dtls_discarded(const struct td_dtls *d); /* application records so far */

#endif
