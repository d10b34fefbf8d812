/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher/link.h"

#include <stddef.h>

#include "media/codec.h"
#include "source/binding.h"

int td_link_open_peer(const struct td_link_config *config, bool publishes,
                      const struct td_peer_events *events, struct td_fail *ret_fail,
                      struct td_peer **ret_peer)
{
    struct td_peer_config peer = {
        .loop = config->loop,
        .control = config->control,
        .certificate = config->certificate,
        .transport = config->transport,
        .controlling = publishes, /* the offerer controls (RFC 8445 section 6.1.1) */
    };
    struct td_peer_events all = *events;
    if (publishes) {
        all.media_ctx = config->pump;
        all.packet = td_pump_packet;
    }
    int r = td_peer_new(&peer, &all, ret_peer);
    return r < 0 ? td_fail_set(ret_fail, r, "No media transport: %s.", td_err_text(r)) : 0;
}

static const char *fmtp(enum td_codec codec, unsigned channels)
{
    switch (codec) {
    case TD_CODEC_H264: /* constrained baseline, any level: RFC 7742 section 6.2 */
        return "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    case TD_CODEC_OPUS:
        return channels > 1 ? "minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1"
                            : "minptime=10;useinbandfec=1";
    default:
        return NULL;
    }
}

int td_link_offer(const struct td_link_config *config, const struct td_peer *peer,
                  const char *const *candidates, unsigned candidate_count, bool trickle,
                  char **ret_text)
{
    unsigned count;
    const struct td_pump_track *tracks = td_pump_tracks(config->pump, &count);
    struct td_sdp_sender senders[TD_PUMP_TRACKS_MAX];
    for (unsigned i = 0; i < count; i++) {
        const struct td_codec_info *info = td_codec_info(tracks[i].rtp.codec);
        bool video = tracks[i].kind == TD_MEDIA_VIDEO;
        senders[i] = (struct td_sdp_sender){
            .kind = video ? TD_SDP_VIDEO : TD_SDP_AUDIO,
            .ssrc = tracks[i].rtp.ssrc,
            .payload_type = tracks[i].rtp.payload_type,
            .codec_name = info->name,
            .clock_hz = info->clock_hz,
            .channels = video ? 1 : 2, /* Opus is always written so: RFC 7587 section 7 */
            .fmtp = fmtp(tracks[i].rtp.codec, config->channels),
            .stream_id = td_pump_stream_id(config->pump),
            .track_id = tracks[i].id,
        };
    }
    struct td_sdp_local local = {
        .ufrag = td_peer_ufrag(peer),
        .pwd = td_peer_pwd(peer),
        .fingerprint = td_certificate_fingerprint(config->certificate),
        .setup = TD_SDP_ACTPASS, /* RFC 8842 section 5.2 */
        .trickle = trickle,
        .candidates = candidates,
        .candidate_count = candidate_count,
    };
    return td_sdp_offer(&local, senders, count, ret_text);
}

int td_link_set_remote(struct td_peer *peer, const struct td_sdp *sdp, bool answer)
{
    const struct td_sdp_section *section = td_binding_transport(sdp);
    if (section == NULL)
        return -TD_E_PARSE;
    struct td_peer_remote remote = {
        .ufrag = section->ufrag,
        .pwd = section->pwd,
        .fingerprint = section->fingerprint,
        .lite = sdp->ice_lite,
        .dtls_client = !answer || section->setup != TD_SDP_ACTIVE, /* answers of ours are active */
    };
    int r = td_peer_set_remote(peer, &remote);
    for (unsigned i = 0; r == 0 && i < section->candidate_count; i++)
        r = td_peer_add_candidate(peer, section->candidates[i]);
    return r;
}
