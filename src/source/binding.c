/* SPDX-License-Identifier: Apache-2.0 */
#include "source/binding.h"

#include <stddef.h>

#include "media/codec.h"

bool td_binding_takes(void *ctx, const struct td_sdp_section *section,
                      const struct td_sdp_codec *codec)
{
    (void)ctx;
    (void)section;
    return td_codec_by_name(codec->name) != NULL;
}

bool td_binding_sends(const struct td_sdp_section *section)
{
    bool media = section->kind == TD_SDP_AUDIO || section->kind == TD_SDP_VIDEO;
    bool sends = section->direction == TD_SDP_SENDRECV || section->direction == TD_SDP_SENDONLY;
    return media && sends && !section->rejected;
}

bool td_binding_read(const struct td_sdp_section *section, uint32_t handle,
                     struct td_track_binding *ret_binding)
{
    struct td_track_binding binding = {
        .handle = handle,
        .ssrc = section->ssrc_count > 0 ? section->ssrcs[0] : 0,
        .rtx_ssrc = section->rtx_ssrc,
    };
    for (unsigned i = 0; i < section->codec_count; i++) {
        const struct td_sdp_codec *offered = &section->codecs[i];
        const struct td_codec_info *codec = td_codec_by_name(offered->name);
        if (codec == NULL || binding.payload_count == TD_SOURCE_PAYLOADS_MAX)
            continue;
        binding.payloads[binding.payload_count++] = (struct td_payload){
            .payload_type = offered->payload_type,
            .channels = offered->channels,
            .codec = codec->codec,
            .clock_hz = offered->clock_hz,
        };
    }
    if (binding.payload_count == 0)
        return false;
    *ret_binding = binding;
    return true;
}

const struct td_sdp_section *td_binding_transport(const struct td_sdp *sdp)
{
    for (unsigned i = 0; i < sdp->section_count; i++) {
        if (!sdp->sections[i].rejected && sdp->sections[i].ufrag[0] != '\0')
            return &sdp->sections[i];
    }
    return NULL;
}
