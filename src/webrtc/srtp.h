/* SPDX-License-Identifier: Apache-2.0 */
/*
 * srtp: encrypts and decrypts RTP and RTCP in place (RFC 3711, RFC 7714) by libsrtp2.
 * Owner: one peer.
 * Thread: the media loop.
 * Bound: one template a direction; streams are added per SSRC by the library.
 * Does not: negotiate. Failures are counted, never logged per packet.
 */
#ifndef TD_WEBRTC_SRTP_H
#define TD_WEBRTC_SRTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_SRTP_TRAILER_BYTES 32 /* room a datagram needs behind it for protect */
#define TD_SRTP_KEY_MAX 64

/* IANA DTLS-SRTP protection profiles */
enum td_srtp_profile {
    TD_SRTP_AES128_CM_SHA1_80 = 0x0001,
    TD_SRTP_AEAD_AES_128_GCM = 0x0007,
    TD_SRTP_AEAD_AES_256_GCM = 0x0008,
};

struct td_srtp_keys {
    enum td_srtp_profile profile;
    uint8_t local[TD_SRTP_KEY_MAX];  /* key and salt for what we send */
    uint8_t remote[TD_SRTP_KEY_MAX]; /* for what we receive */
    size_t len;                      /* key + salt */
};

struct td_srtp_stats {
    uint64_t auth_failures;
    uint64_t replays;
    uint64_t other_failures;
};

struct td_srtp;

/* Sets the library up, once in a process: some 20 ms, which a media loop should not spend.
 * td_certificate_new does it; td_srtp_new too when nobody did. 0 or -TD_E_LIBRARY. */
TD_MUST int td_srtp_prepare(void);
TD_MUST int td_srtp_new(const struct td_srtp_keys *keys, struct td_srtp **ret_srtp);
struct td_srtp *td_srtp_free(struct td_srtp *s);
/* In place; `*len` shrinks. 0 or -TD_E_CRYPTO (counted). */
TD_MUST int td_srtp_unprotect(struct td_srtp *s, uint8_t *bytes, size_t *len);
TD_MUST int td_srtp_unprotect_rtcp(struct td_srtp *s, uint8_t *bytes, size_t *len);
/* In place; `capacity` must have TD_SRTP_TRAILER_BYTES behind `*len`. */
TD_MUST int td_srtp_protect(struct td_srtp *s, uint8_t *bytes, size_t *len, size_t capacity);
TD_MUST int td_srtp_protect_rtcp(struct td_srtp *s, uint8_t *bytes, size_t *len, size_t capacity);
const struct td_srtp_stats *td_srtp_stats(const struct td_srtp *s);

#endif
