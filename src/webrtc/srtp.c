/* SPDX-License-Identifier: Apache-2.0 */
#include "webrtc/srtp.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <srtp2/srtp.h>

/* A server resends what a NACK asked for long after: LiveKit keeps 500 packets. */
#define REPLAY_WINDOW 2048
/* SSRCs one direction may hold at a time, each some 20 KB inside the library; the one that was
 * silent for longest goes first. More than a room has tracks. */
#define STREAMS_MAX 192

struct stream {
    uint32_t ssrc;
    uint64_t used; /* value of `clock` when last seen */
};

struct td_srtp {
    srtp_t in;
    srtp_t out;
    struct td_srtp_stats stats;
    uint64_t clock;
    unsigned stream_count;
    unsigned last; /* index of the last hit: packets come in bursts of one SSRC */
    struct stream streams[STREAMS_MAX];
};

/* The library keeps process-wide state that must be set up exactly once. */
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_init(void)
{
    /* A failure shows again in srtp_create, where it is reported. */
    (void)srtp_init();
}

static int set_policy(srtp_policy_t *policy, const struct td_srtp_keys *keys)
{
    switch (keys->profile) {
    case TD_SRTP_AES128_CM_SHA1_80:
        srtp_crypto_policy_set_rtp_default(&policy->rtp);
        srtp_crypto_policy_set_rtcp_default(&policy->rtcp);
        return keys->len == SRTP_AES_ICM_128_KEY_LEN_WSALT ? 0 : -EINVAL;
    case TD_SRTP_AEAD_AES_128_GCM:
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtcp);
        return keys->len == SRTP_AES_GCM_128_KEY_LEN_WSALT ? 0 : -EINVAL;
    case TD_SRTP_AEAD_AES_256_GCM:
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtp);
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtcp);
        return keys->len == SRTP_AES_GCM_256_KEY_LEN_WSALT ? 0 : -EINVAL;
    }
    return -TD_E_UNSUPPORTED;
}

static int open_session(const struct td_srtp_keys *keys, bool inbound, srtp_t *ret_session)
{
    uint8_t key[TD_SRTP_KEY_MAX];
    srtp_policy_t policy;
    srtp_err_status_t status;
    int r;

    memset(&policy, 0, sizeof(policy));
    r = set_policy(&policy, keys);
    if (r < 0)
        return r;
    memcpy(key, inbound ? keys->remote : keys->local, sizeof(key));
    policy.ssrc.type = inbound ? ssrc_any_inbound : ssrc_any_outbound;
    policy.key = key;
    policy.window_size = REPLAY_WINDOW;
    policy.allow_repeat_tx = 1;
    status = srtp_create(ret_session, &policy);
    explicit_bzero(key, sizeof(key));
    if (status == srtp_err_status_alloc_fail)
        return -ENOMEM;
    return status == srtp_err_status_ok ? 0 : -TD_E_CRYPTO;
}

int td_srtp_prepare(void)
{
    return pthread_once(&library_once, library_init) == 0 ? 0 : -TD_E_LIBRARY;
}

int td_srtp_new(const struct td_srtp_keys *keys, struct td_srtp **ret_srtp)
{
    struct td_srtp *s;
    int r;

    assert(keys != NULL && ret_srtp != NULL);
    r = td_srtp_prepare();
    if (r < 0)
        return r;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    r = open_session(keys, true, &s->in);
    if (r == 0)
        r = open_session(keys, false, &s->out);
    if (r < 0) {
        (void)td_srtp_free(s); /* always NULL */
        return r;
    }
    *ret_srtp = s;
    return 0;
}

struct td_srtp *td_srtp_free(struct td_srtp *s)
{
    if (s == NULL)
        return NULL;
    /* Deallocation fails only for sessions that were never made. */
    if (s->in != NULL)
        (void)srtp_dealloc(s->in);
    if (s->out != NULL)
        (void)srtp_dealloc(s->out);
    free(s);
    return NULL;
}

static int count_failure(struct td_srtp *s, srtp_err_status_t status)
{
    switch (status) {
    case srtp_err_status_auth_fail:
        s->stats.auth_failures++;
        break;
    case srtp_err_status_replay_fail:
    case srtp_err_status_replay_old:
        s->stats.replays++;
        break;
    default:
        s->stats.other_failures++;
        break;
    }
    return -TD_E_CRYPTO;
}

/* Drops the stream that was silent for longest and returns its place. */
static unsigned evict(struct td_srtp *s)
{
    unsigned oldest = 0;

    for (unsigned i = 1; i < s->stream_count; i++)
        if (s->streams[i].used < s->streams[oldest].used)
            oldest = i;
    /* Failure means the library does not know it any more, which is what is wanted. */
    (void)srtp_remove_stream(s->in, htonl(s->streams[oldest].ssrc));
    return oldest;
}

/* Remembers which SSRCs the library made a stream for, so that a long room stays bounded. */
static void note_stream(struct td_srtp *s, uint32_t ssrc)
{
    unsigned at = s->last;

    s->clock++;
    if (at >= s->stream_count || s->streams[at].ssrc != ssrc) {
        for (at = 0; at < s->stream_count && s->streams[at].ssrc != ssrc; at++)
            ;
        if (at == s->stream_count) {
            if (s->stream_count == STREAMS_MAX)
                at = evict(s);
            else
                s->stream_count++;
            s->streams[at].ssrc = ssrc;
        }
        s->last = at;
    }
    s->streams[at].used = s->clock;
}

static uint32_t read_be32(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

int td_srtp_unprotect(struct td_srtp *s, uint8_t *bytes, size_t *len)
{
    srtp_err_status_t status = srtp_err_status_bad_param;
    int n;

    assert(s != NULL && bytes != NULL && len != NULL);
    if (*len < 12 || *len > INT_MAX)
        return count_failure(s, status);
    n = (int)*len;
    status = srtp_unprotect(s->in, bytes, &n);
    if (status != srtp_err_status_ok)
        return count_failure(s, status);
    note_stream(s, read_be32(bytes + 8));
    *len = (size_t)n;
    return 0;
}

int td_srtp_unprotect_rtcp(struct td_srtp *s, uint8_t *bytes, size_t *len)
{
    srtp_err_status_t status = srtp_err_status_bad_param;
    int n;

    assert(s != NULL && bytes != NULL && len != NULL);
    if (*len < 8 || *len > INT_MAX)
        return count_failure(s, status);
    n = (int)*len;
    status = srtp_unprotect_rtcp(s->in, bytes, &n);
    if (status != srtp_err_status_ok)
        return count_failure(s, status);
    note_stream(s, read_be32(bytes + 4));
    *len = (size_t)n;
    return 0;
}

int td_srtp_protect(struct td_srtp *s, uint8_t *bytes, size_t *len, size_t capacity)
{
    int n;

    assert(s != NULL && bytes != NULL && len != NULL);
    assert(*len <= INT_MAX && capacity >= *len && capacity - *len >= TD_SRTP_TRAILER_BYTES);
    if (*len < 12)
        return count_failure(s, srtp_err_status_bad_param);
    n = (int)*len;
    if (srtp_protect(s->out, bytes, &n) != srtp_err_status_ok)
        return count_failure(s, srtp_err_status_fail);
    *len = (size_t)n;
    return 0;
}

int td_srtp_protect_rtcp(struct td_srtp *s, uint8_t *bytes, size_t *len, size_t capacity)
{
    int n;

    assert(s != NULL && bytes != NULL && len != NULL);
    assert(*len <= INT_MAX && capacity >= *len && capacity - *len >= TD_SRTP_TRAILER_BYTES);
    if (*len < 8)
        return count_failure(s, srtp_err_status_bad_param);
    n = (int)*len;
    if (srtp_protect_rtcp(s->out, bytes, &n) != srtp_err_status_ok)
        return count_failure(s, srtp_err_status_fail);
    *len = (size_t)n;
    return 0;
}

const struct td_srtp_stats *td_srtp_stats(const struct td_srtp *s)
{
    return &s->stats;
}
