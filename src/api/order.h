/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order: what was asked for when a recording was started, kept so that another process can go on.
 * Owner: a recording.
 * Thread: control loop; td_order_read on any.
 * Bound: TD_ORDER_TEXT_MAX a field.
 * Does not: start anything. Its secrets go into the catalogue only (mode 0600), never into a
 *           manifest, an answer or a log.
 */
#ifndef TD_API_ORDER_H
#define TD_API_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "store/manifest.h"

#define TD_ORDER_TEXT_MAX 4096u

struct td_recording_request {
    const char *room;
    const char *url;         /* NULL = the configured server */
    const char *token;       /* NULL = made from the configured key and secret */
    const char *format;      /* NULL = the default; refused when not in `formats` */
    const char *tier;        /* NULL = the default; refused when not in `tiers` */
    const char *participant; /* pattern of identities to record; NULL = all */
    int64_t max_duration_us; /* 0 = the configured limit; never above it */
    int64_t max_size_bytes;  /* the same */
    bool hold;               /* retention leaves it alone */
};

struct td_order {       /* a copy of it; NULL as there */
    const char *source; /* "livekit", "whip" */
    char *room;
    char *url;
    char *token;
    char *format; /* a container's name; NULL = auto */
    char *participant;
    char *digest; /* SHA-256 of the token a WHIP publisher showed ("" = none); NULL = not known */
    int64_t max_duration_us;
    int64_t max_size_bytes;
    bool hold;
};

/* -TD_E_USAGE with a sentence: a format or tier that is not offered, a text that is too long … */
TD_MUST int td_order_check(const struct td_recording_request *asked, const struct td_config *config,
                           struct td_fail *ret_fail);
/* -ENOMEM. `source` is a static word. */
TD_MUST int td_order_new(const struct td_recording_request *asked, const char *source,
                         const struct td_config *config, struct td_fail *ret_fail,
                         struct td_order **ret_order);
/* Takes NULL, returns NULL. */
struct td_order *td_order_free(struct td_order *o);
/* As JSON, malloc'ed; NULL = no memory. */
char *td_order_text(const struct td_order *o, bool with_secrets);
/* From such a text; from the manifest alone when `text` is NULL or empty. -TD_E_PARSE, -ENOMEM. */
TD_MUST int td_order_read(const char *text, const struct td_manifest *manifest,
                          struct td_order **ret_order);

#endif
