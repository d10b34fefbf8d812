/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish: one publishing: a pattern played to one server, over as many connections as it takes.
 * Owner: the publish command, the demo.
 * Thread: control loop (the default GMainContext).
 * Bound: one connection at a time; back-off TD_PUBLISH_BACKOFF_US_MIN to _MAX.
 * Does not: encode the pattern, or print.
 *
 * The first connection must succeed, else it ends with the reason. Once it has succeeded, a lost
 * server is asked again until td_publish_stop, or until it refuses for good.
 */
#ifndef TD_PUBLISHER_PUBLISH_H
#define TD_PUBLISHER_PUBLISH_H

#include "publisher/link.h"
#include "publisher/pump.h"

#define TD_PUBLISH_BACKOFF_US_MIN 250000
/* Not longer: after a restart of the server a recording's hole must stay below 3 s. */
#define TD_PUBLISH_BACKOFF_US_MAX 1000000
#define TD_PUBLISH_DOUBT_US 1250000 /* receivers report at least each second */
#define TD_PUBLISH_SILENCE_US 3000000

struct td_publish;

enum td_publish_state {
    TD_PUBLISH_CONNECTING,
    TD_PUBLISH_SENDING,
    TD_PUBLISH_WAITING, /* lost its server, asks again soon */
    TD_PUBLISH_ENDING,
    TD_PUBLISH_ENDED,
};

struct td_publish_config {
    const struct td_link_ops *kind;
    struct td_link_config link; /* all but the pump and the pattern's properties */
    const struct td_pattern *pattern;
    void *ctx;
    void (*changed)(void *ctx, struct td_publish *p); /* the state; may be NULL */
    /* Once, at the end; not from within new. fail->code 0 = stopped. */
    void (*ended)(void *ctx, struct td_publish *p, const struct td_fail *fail);
};

struct td_publish_status {
    enum td_publish_state state;
    uint64_t connections; /* that came about */
    uint64_t losses;      /* and were lost */
    struct td_pump_status media;
    const struct td_fail *fail; /* why the last connection was lost, or it ended */
};

/* Starts at once. Negative with a sentence when it cannot. */
TD_MUST int td_publish_new(const struct td_publish_config *config, struct td_fail *ret_fail,
                           struct td_publish **ret_publish);
void td_publish_stop(struct td_publish *p); /* `ended` follows */
/* After `ended`; also from within it. */
struct td_publish *td_publish_free(struct td_publish *p);
void td_publish_status(const struct td_publish *p, struct td_publish_status *ret_status);

#endif
