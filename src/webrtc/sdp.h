/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sdp: session descriptions as WebRTC uses them (RFC 8866, RFC 8829, RFC 8843, RFC 8839, RFC 8842).
 * Owner: a td_sdp owns everything it points to.
 * Thread: any.
 * Bound: TD_SDP_BYTES_MAX, TD_SDP_SECTIONS_MAX, TD_SDP_CODECS_MAX, TD_CANDIDATES_MAX.
 * Does not: know codecs beyond their rtpmap text; the caller says which ones it takes.
 */
#ifndef TD_WEBRTC_SDP_H
#define TD_WEBRTC_SDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

#define TD_SDP_TEXT_MAX 256 /* ids, attribute values we keep; longer ones are -TD_E_LIMIT */
#define TD_SDP_SSRCS_MAX 8

enum td_sdp_kind { TD_SDP_AUDIO, TD_SDP_VIDEO, TD_SDP_APPLICATION, TD_SDP_OTHER };
enum td_sdp_direction { TD_SDP_SENDRECV, TD_SDP_SENDONLY, TD_SDP_RECVONLY, TD_SDP_INACTIVE };
enum td_sdp_setup { TD_SDP_SETUP_NONE, TD_SDP_ACTPASS, TD_SDP_ACTIVE, TD_SDP_PASSIVE };

struct td_sdp_codec {
    uint8_t payload_type;
    char name[24]; /* rtpmap encoding name as written */
    uint32_t clock_hz;
    uint8_t channels; /* 1 when absent */
    char fmtp[TD_SDP_TEXT_MAX];
    bool nack; /* rtcp-fb */
    bool nack_pli;
    bool ccm_fir;
};

struct td_sdp_section {
    enum td_sdp_kind kind;
    char mid[32];
    bool rejected; /* port 0 */
    enum td_sdp_direction direction;
    enum td_sdp_setup setup;
    char ufrag[TD_SDP_TEXT_MAX]; /* own or session level */
    char pwd[TD_SDP_TEXT_MAX];
    char fingerprint[128]; /* "sha-256 AA:BB:…", own or session level */
    char stream_id[TD_SDP_TEXT_MAX]; /* msid, first and second token */
    char track_id[TD_SDP_TEXT_MAX];
    uint32_t ssrcs[TD_SDP_SSRCS_MAX]; /* media SSRCs from a=ssrc, RTX ones left out (FID groups) */
    unsigned ssrc_count;
    uint32_t rtx_ssrc; /* of ssrcs[0], 0 = none */
    struct td_sdp_codec *codecs;
    unsigned codec_count;
    bool rtcp_mux;
    char **candidates; /* "candidate:…" without "a=" */
    unsigned candidate_count;
};

struct td_sdp {
    bool ice_lite;
    struct td_sdp_section *sections;
    unsigned section_count;
};

TD_MUST int td_sdp_parse(const char *text, size_t len, struct td_sdp **ret_sdp);
struct td_sdp *td_sdp_free(struct td_sdp *sdp);

/* What this end contributes to an answer or an offer. */
struct td_sdp_local {
    const char *ufrag;
    const char *pwd;
    const char *fingerprint; /* "sha-256 AA:…" */
    enum td_sdp_setup setup; /* ACTIVE, PASSIVE in answers; ACTPASS in offers */
    bool trickle;            /* a=ice-options:trickle */
    const char *const *candidates; /* written into the first accepted section; may be NULL */
    unsigned candidate_count;
};

/* Whether we receive this codec of that section. Called for each offered payload type. */
typedef bool td_sdp_takes_fn(void *ctx, const struct td_sdp_section *offered,
                             const struct td_sdp_codec *codec);

/* An answer that receives: same sections in the same order, mid on each (even rejected), BUNDLE over
 * the accepted, every codec `takes` says yes to (not only one: pion freezes the list at the first
 * answer), recvonly or inactive, header extensions none, rtcp-fb nack, nack pli, ccm fir as offered
 * and nothing for congestion control. Application sections are accepted with their own parameters.
 * A media section without a codec we take is rejected with port 0 when `reject` is set, else answered
 * inactive with the offered codecs. malloc'ed text in ret_text. */
TD_MUST int td_sdp_answer(const struct td_sdp *offer, const struct td_sdp_local *local,
                          td_sdp_takes_fn *takes, void *ctx, bool reject, char **ret_text);

/* An offer that sends (publish): one sendonly section per track. */
struct td_sdp_sender {
    enum td_sdp_kind kind;
    uint32_t ssrc;
    uint8_t payload_type;
    const char *codec_name; /* "H264", "VP8", "opus" */
    uint32_t clock_hz;
    uint8_t channels;
    const char *fmtp; /* may be NULL */
    const char *stream_id;
    const char *track_id;
};
TD_MUST int td_sdp_offer(const struct td_sdp_local *local, const struct td_sdp_sender *senders,
                         unsigned count, char **ret_text);

#endif
