/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon: everything that runs in `tapedeck serve`, opened in order and closed in reverse.
 * Owner: the serve command, on its stack.
 * Thread: main.
 * Bound: that of what it holds.
 * Does not: read options or files of settings (serve does).
 */
#ifndef TD_CLI_DAEMON_H
#define TD_CLI_DAEMON_H

#include "api/events.h"
#include "api/files.h"
#include "api/guard.h"
#include "api/health.h"
#include "api/http.h"
#include "api/livekit_hook.h"
#include "api/metrics.h"
#include "api/recordings.h"
#include "api/recovery.h"
#include "api/rest.h"
#include "api/webhook.h"
#include "api/whip.h"
#include "cli/control.h"
#include "cli/notify.h"
#include "config/config.h"

#define TD_DAEMON_LINGER_US 2000000 /* for webhooks that are due when it is stopped */

struct td_daemon {
    struct td_config *config;
    const char *token; /* one more API key; NULL = none */
    struct td_control control;
    bool replayed; /* the crash pools of earlier runs */
    int lock;      /* handle of DATA/tapedeck.lock; -1 = not held */
    struct td_notify notify;
    struct td_catalog *catalog;
    struct td_http *http;
    struct td_recordings *recordings;
    struct td_recovery *recovery;
    struct td_guard *guard;
    struct td_webhook *webhook;
    struct td_livekit_hook *hook;
    struct td_files *files;
    struct td_rest *rest;
    struct td_whip_endpoint *whip;
    struct td_health *health;
    struct td_metrics *metrics;
};

/* Exit code, after a sentence on stderr when it is not 0. `d->config` and `d->token` are set. */
TD_MUST int td_daemon_open(struct td_daemon *d, enum td_log_level level);
/* Until it was stopped by a signal; the exit code. */
TD_MUST int td_daemon_run(struct td_daemon *d);
void td_daemon_close(struct td_daemon *d);
/* The configuration has changed: everybody looks at it again. */
void td_daemon_reload(struct td_daemon *d);

#endif
