/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter: what an outgoing webhook says, and when it is tried again.
 * Owner: the caller frees the text.
 * Thread: any; stateless.
 * Bound: TD_CATALOG_TEXT_MAX of text; what would be larger goes without the recording's document.
 * Does not: send, sign or store.
 *
 * The text is LiveKit's WebhookEvent about an egress as protobuf JSON, so that a receiver made for
 * LiveKit reads it, and has our whole document beside it as "recording". A receiver that hears an
 * `id` twice has heard the same letter twice.
 */
#ifndef TD_API_LETTER_H
#define TD_API_LETTER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define TD_LETTER_WAIT_US TD_US_PER_S               /* before the second try, doubling … */
#define TD_LETTER_WAIT_US_MAX (600 * TD_US_PER_S)   /* … up to here … */
#define TD_LETTER_LIFE_US (24 * 3600 * TD_US_PER_S) /* … until it is this old */

enum td_letter_event {
    TD_LETTER_NONE,    /* nothing that matters to others */
    TD_LETTER_STARTED, /* accepted by the source */
    TD_LETTER_UPDATED, /* paused, resumed, interrupted, finishing … */
    TD_LETTER_ENDED,
};

/* "egress_started"; NULL for none. */
const char *td_letter_event_name(enum td_letter_event event);
/* What a recording's step from the state `before` (NULL = not heard of yet) to `state` is to
 * others. `started`: that it started was told before. */
enum td_letter_event td_letter_event_of(const char *before, const char *state, bool started,
                                        bool final);
/* LiveKit's word for a state: "EGRESS_ACTIVE". */
const char *td_letter_status(const char *state, const char *reason);
/* malloc'ed. `doc` as td_recording_json makes it; what it lacks is left out. 0, -ENOMEM,
 * -TD_E_LIMIT, -errno of random numbers. */
TD_MUST int td_letter_write(enum td_letter_event event, const json_t *doc, int64_t now_us,
                            char **ret_text);
/* When a letter made at `made_us` that failed now, after `tries` failures before, is tried again;
 * INT64_MAX = never. `random` spreads the tries of many letters. All times are wall times. */
int64_t td_letter_next_us(int64_t made_us, int64_t now_us, unsigned tries, uint32_t random);

#endif
