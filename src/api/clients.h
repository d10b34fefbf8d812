/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients: the connections of the HTTP server: accepted, looked at, counted, cut when slow or gone.
 * Owner: the HTTP server.
 * Thread: control loop.
 * Bound: `max` connections, the next ones are closed at once; TD_HEAD_BYTES_MAX of a request's
 *        head; one timer for all of them.
 * Does not: read what libsoup reads. libsoup 3.2.3 gets a connection when the whole head of its
 *           request is there and found to be in order (head.h): left to itself it loses a socket
 *           object of each connection, the path of each request that it cannot parse, and its
 *           listener when descriptors run out.
 */
#ifndef TD_API_CLIENTS_H
#define TD_API_CLIENTS_H

#include <libsoup/soup.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct td_clients;

struct td_clients_config {
    SoupServer *server;
    const struct td_log *log;
    unsigned max;
    int64_t read_us;  /* a request has to be whole within */
    int64_t stall_us; /* an answer may wait so long for the client to take some of it */
};

struct td_clients_counts {
    unsigned now;
    uint64_t turned_away; /* above `max` */
    uint64_t too_slow;
    uint64_t malformed; /* heads that were refused */
};

/* Listens. -errno. */
TD_MUST int td_clients_new(const struct td_clients_config *config, GSocketAddress *address,
                           struct td_fail *ret_fail, struct td_clients **ret_clients);
/* After soup_server_disconnect. */
struct td_clients *td_clients_free(struct td_clients *c);
/* Holds for those who come from now on. */
void td_clients_limit(struct td_clients *c, unsigned max);
/* "127.0.0.1:8000" with the real port. */
const char *td_clients_address(const struct td_clients *c);
struct td_clients_counts td_clients_counts(const struct td_clients *c);

/* From "request-started". After it `message` emits "finished" in any case, once. */
void td_clients_started(struct td_clients *c, SoupServerMessage *message);
/* Ends its connection now. The message finishes from the main loop. */
void td_clients_cut(SoupServerMessage *message);

#endif
