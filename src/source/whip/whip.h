/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whip: one WHIP publisher (RFC 9725) as a source: an offer in, an answer out, then media.
 * Owner: a session; the HTTP side (api/whip) holds it by its session id while it lives.
 * Thread: control loop; `send_rtcp` on the media loop.
 * Bound: TD_SDP_BYTES_MAX of offer, two media sections that we record (more are rejected).
 * Does not: speak HTTP or check tokens.
 */
#ifndef TD_SOURCE_WHIP_WHIP_H
#define TD_SOURCE_WHIP_WHIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mailbox.h"
#include "source/source.h"
#include "webrtc/dtls.h"
#include "webrtc/ice.h"

#define TD_WHIP_CONNECT_TIMEOUT_US 10000000 /* a publisher that never connects ends */

struct td_whip_config {
    const char *room; /* the path; also the participant's identity */
    bool loopback_only;
    bool tell_loopback; /* publishers may be on this machine */
    struct td_loop *loop;
    struct td_mailbox *control;
    const struct td_certificate *certificate;
    const struct td_ice_ops *transport;
    const struct td_log *log;
};

/* Called once, later: the answer (gathering done, candidates inside), or NULL with the reason. */
typedef void td_whip_answer_fn(void *ctx, const char *answer, const struct td_fail *fail);

/* Whether td_whip_new could use this offer: 0, or negative with a sentence (-TD_E_PARSE,
 * -TD_E_UNSUPPORTED, -TD_E_LIMIT). Makes nothing. */
TD_MUST int td_whip_check(const char *offer, size_t offer_len, struct td_fail *ret_fail);
/* 0, or negative with a sentence when the offer cannot be used, as td_whip_check. */
TD_MUST int td_whip_new(const struct td_whip_config *config, const char *offer, size_t offer_len,
                        const struct td_source_events *events, const struct td_media_sink *sink,
                        td_whip_answer_fn *answered, void *ctx, struct td_fail *ret_fail,
                        struct td_source **ret_source);
/* A trickle-ice-sdpfrag (RFC 8840) of PATCH: candidates of the publisher. -TD_E_PARSE,
 * -TD_E_UNSUPPORTED for an ICE restart. */
TD_MUST int td_whip_trickle(struct td_source *source, const char *fragment, size_t len);
/* The publisher's DELETE: ends with TD_END_LEFT. */
void td_whip_delete(struct td_source *source);

#endif
