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
#define TD_SDP_FMTP_MAX 512 /* parameter sets of H.265 in Base64 go past 256 */
#define TD_SDP_SSRCS_MAX 8

enum td_sdp_kind { TD_SDP_AUDIO, TD_SDP_VIDEO, TD_SDP_APPLICATION, TD_SDP_OTHER };
enum td_sdp_direction { TD_SDP_SENDRECV, TD_SDP_SENDONLY, TD_SDP_RECVONLY, TD_SDP_INACTIVE };
enum td_sdp_setup { TD_SDP_SETUP_NONE, TD_SDP_ACTPASS, TD_SDP_ACTIVE, TD_SDP_PASSIVE };

struct td_sdp_codec {
    uint8_t payload_type;
    char name[24]; /* rtpmap encoding name as written */
    uint32_t clock_hz;
    uint8_t channels; /* 1 when absent */
    char fmtp[TD_SDP_FMTP_MAX];
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
    char fingerprint[128];           /* "sha-256 AA:BB:…", own or session level */
    char stream_id[TD_SDP_TEXT_MAX]; /* msid, first and second token */
    char track_id[TD_SDP_TEXT_MAX];
    uint32_t ssrcs[TD_SDP_SSRCS_MAX]; /* media SSRCs from a=ssrc, RTX ones left out (FID groups) */
    unsigned ssrc_count;
    uint32_t rtx_ssrc; /* of ssrcs[0], 0 = none */
    struct td_sdp_codec *codecs;
    unsigned codec_count;
    bool rtcp_mux;
    bool rtcp_rsize;
    bool bundled;   /* its mid is in the BUNDLE group */
    char media[16]; /* as written: "audio", "video", "application" … */
    char proto[32];
    char formats[TD_SDP_TEXT_MAX]; /* payload types or "webrtc-datachannel"; cut at a whole one */
    uint16_t sctp_port;            /* 0 when absent */
    uint32_t max_message_bytes;
    char **candidates; /* "candidate:…" without "a=" */
    unsigned candidate_count;
};

struct td_sdp {
    bool ice_lite;
    struct td_sdp_section *sections;
    unsigned section_count;
};

/* 0; -TD_E_PARSE: no session description (control bytes, a mid twice, …); -TD_E_LIMIT; -ENOMEM.
 * Unknown lines and attributes are skipped, as are candidates and SSRCs past their bound. A section
 * with port 0 and a=bundle-only is not rejected. */
TD_MUST int td_sdp_parse(const char *text, size_t len, struct td_sdp **ret_sdp);
struct td_sdp *td_sdp_free(struct td_sdp *sdp);

/* What this end contributes to an answer or an offer. */
struct td_sdp_local {
    const char *ufrag;
    const char *pwd;
    const char *fingerprint;       /* "sha-256 AA:…" */
    enum td_sdp_setup setup;       /* ACTIVE, PASSIVE in answers; ACTPASS in offers */
    bool trickle;                  /* a=ice-options:trickle */
    const char *const *candidates; /* written into the first accepted section; may be NULL */
    unsigned candidate_count;
    uint64_t version; /* of the o= line; raise it with each description of one connection */
    bool opus_stereo; /* answers ask for stereo=1 (RFC 7587): browsers encode mono without it */
};

/* Whether we receive this codec of that section. Called for each offered payload type,
 * more than once: it must answer the same each time. */
typedef bool td_sdp_takes_fn(void *ctx, const struct td_sdp_section *offered,
                             const struct td_sdp_codec *codec);

/* An answer that receives: same sections in the same order, mid on each (even rejected), BUNDLE
 * over the accepted, every codec `takes` says yes to (not only one: pion freezes the list at the
 * first answer), recvonly or inactive, header extensions none, rtcp-fb nack, nack pli, ccm fir as
 * offered and nothing for congestion control. Application sections are accepted with their own
 * parameters. A media section without a codec we take is rejected with port 0 when `reject` is set,
 * else answered inactive with the offered codecs. RTX is never taken: retransmissions then come on
 * the media's SSRC. Sections that cannot share the one transport (outside BUNDLE, no rtcp-mux,
 * another protocol) are rejected; -TD_E_UNSUPPORTED when none is left. malloc'ed text in
 * ret_text. */
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
