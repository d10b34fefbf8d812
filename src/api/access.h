/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access: who may come in over HTTP, for which rooms, and from which sites' pages.
 * Owner: the HTTP server; made anew when the configuration is reloaded.
 * Thread: control loop.
 * Bound: TD_CONFIG_LIST_MAX entries of each list and one key more.
 * Does not: keep a key as text, speak HTTP, or know routes.
 */
#ifndef TD_API_ACCESS_H
#define TD_API_ACCESS_H

#include <stdbool.h>

#include "config/config.h"

struct td_access;

enum td_access_kind {
    TD_ACCESS_KEYS, /* api_keys and the extra key; none = everybody */
    TD_ACCESS_WHIP, /* whip.tokens; none = as TD_ACCESS_KEYS */
};

/* `key`: one more API key, for all rooms; NULL = none. -TD_E_USAGE: a key that no caller can show,
 * or one that is there twice (which rooms would it open?). */
TD_MUST int td_access_new(const struct td_config *config, const char *key, struct td_fail *ret_fail,
                          struct td_access **ret_access);
struct td_access *td_access_free(struct td_access *a);
/* Whether everybody has to show something. */
bool td_access_guarded(const struct td_access *a, enum td_access_kind kind);
/* 0 with the room pattern of the key in `Authorization` (NULL = all rooms; borrowed), or -EACCES.
 */
TD_MUST int td_access_check(const struct td_access *a, enum td_access_kind kind,
                            const char *authorization, const char **ret_rooms);

/* Whether pages of other sites are answered to at all, and those of this one (RFC 6454, exactly as
 * the browser writes it). */
bool td_access_has_origins(const struct td_access *a);
bool td_access_origin(const struct td_access *a, const char *origin);
/* Whether a Host (RFC 9110 section 7.2) is this machine: "localhost" or a loopback address, with
 * any port. Another name that leads here is how a page of another site gets in. */
bool td_access_is_local(const char *host);
/* Whether a page of `origin` came from the server that it calls `host`. */
bool td_access_is_same(const char *origin, const char *host);

#endif
