/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whip: the WHIP endpoint (RFC 9725): POST /whip/ROOM makes a session, PATCH and DELETE on its URL.
 * Owner: the serve command; freed before the recordings.
 * Thread: control loop.
 * Bound: that of the recordings; one answer waits for gathering at a time and session.
 * Does not: negotiate (source/whip does) or restart ICE (PATCH with new credentials: 422).
 */
#ifndef TD_API_WHIP_H
#define TD_API_WHIP_H

#include "api/http.h"
#include "api/recordings.h"

struct td_whip_endpoint;

TD_MUST int td_whip_endpoint_new(struct td_http *http, struct td_recordings *recordings,
                                 struct td_whip_endpoint **ret_endpoint);
struct td_whip_endpoint *td_whip_endpoint_free(struct td_whip_endpoint *e);

#endif
