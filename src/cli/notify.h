/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify: tells the service manager how we are: READY=1, WATCHDOG=1, STOPPING=1 … (sd_notify(3)).
 * Owner: the daemon, embedded.
 * Thread: control loop: as long as it tells, that loop runs.
 * Bound: one datagram each; one timer when a watchdog is wanted.
 * Does not: anything without $NOTIFY_SOCKET.
 */
#ifndef TD_CLI_NOTIFY_H
#define TD_CLI_NOTIFY_H

#include <glib.h>
#include <stdbool.h>

#include "base/log.h"

struct td_notify {
    const struct td_log *log;
    int socket; /* -1 = nobody asked */
    guint timer;
    /* Asked before each WATCHDOG=1; false = rather be killed than go on. NULL = always well. */
    bool (*well)(void *ctx);
    void *ctx;
};

void td_notify_open(struct td_notify *n, const struct td_log *log, bool (*well)(void *ctx),
                    void *ctx);
/* A word of sd_notify(3): "READY=1", "STATUS=…". */
void td_notify_say(struct td_notify *n, const char *text);
void td_notify_close(struct td_notify *n);

#endif
