/* SPDX-License-Identifier: Apache-2.0 */
/*
 * binding: what an SDP section says of the packets of a track, in the words of source.h.
 * Owner: the caller's structures.
 * Thread: control loop.
 * Bound: TD_SOURCE_PAYLOADS_MAX payload types; more are left out.
 * Does not: know a signalling protocol; livekit and whip both negotiate with it.
 */
#ifndef TD_SOURCE_BINDING_H
#define TD_SOURCE_BINDING_H

#include <stdbool.h>

#include "source/source.h"
#include "webrtc/sdp.h"

/* A td_sdp_takes_fn: every codec that has a depacketiser. */
bool td_binding_takes(void *ctx, const struct td_sdp_section *section,
                      const struct td_sdp_codec *codec);
/* The section brings audio or video to us. */
bool td_binding_sends(const struct td_sdp_section *section);
/* SSRC and payload types; false when no codec of it can be received. */
bool td_binding_read(const struct td_sdp_section *section, uint32_t handle,
                     struct td_track_binding *ret_binding);
/* The first accepted section with ICE credentials: that of the bundle. NULL when there is none. */
const struct td_sdp_section *td_binding_transport(const struct td_sdp *sdp);

#endif
