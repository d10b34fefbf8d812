/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery: one try to bring one letter to its URL, by HTTP POST.
 * Owner: whoever began it; it is gone after `done`, or after td_delivery_free.
 * Thread: control loop.
 * Bound: TD_DELIVERY_US in all; TD_DELIVERY_READ_MAX bytes of the answer are read.
 * Does not: try again, follow redirects, or keep what was answered but for the status.
 */
#ifndef TD_API_DELIVERY_H
#define TD_API_DELIVERY_H

#include <libsoup/soup.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define TD_DELIVERY_US (10 * TD_US_PER_S)
#define TD_DELIVERY_READ_MAX (64u << 10) /* read, so that the connection can be used again */

struct td_delivery;

/* `status` of HTTP, or 0 and why there was no answer (borrowed; no secret is in it). */
typedef void td_delivery_done_fn(void *ctx, unsigned status, const char *why);

/* For all deliveries of one sender: system trust, idle connections kept for a while. */
SoupSession *td_delivery_session(void);
/* `authorization`: the header's value. Copies what it needs. -EINVAL: not an http or https URL.
 * -ENOMEM. */
TD_MUST int td_delivery_new(SoupSession *session, const char *url, const char *authorization,
                            const char *body, td_delivery_done_fn *done, void *ctx,
                            struct td_delivery **ret_delivery);
/* Gives it up: `done` is not called. Takes NULL, returns NULL. */
struct td_delivery *td_delivery_free(struct td_delivery *d);

#endif
