/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: the control loop of a command: a GLib main loop, its mailbox, signals, and the services
 *          a recorder needs, started in order and stopped in reverse.
 * Owner: the command's run function, on its stack.
 * Thread: main.
 * Bound: TD_CONTROL_MESSAGES_MAX messages in the mailbox.
 * Does not: know recordings.
 */
#ifndef TD_CLI_CONTROL_H
#define TD_CLI_CONTROL_H

#include <glib.h>

#include "base/log.h"
#include "recorder/recorder.h"
#include "webrtc/dtls.h"

#define TD_CONTROL_MESSAGES_MAX 8192u

struct td_control_config {
    enum td_log_level log_level;
    const char *runtime_dir;
    int64_t flush_interval_us; /* 0 = default, as the two below */
    int64_t flush_bytes;
    int64_t crash_pool_bytes;
    int64_t sync_interval_us;
    int64_t memory_bytes; /* of the process; 0 = default */
    bool store;           /* false: no crash pool, no writer (publish) */
};

struct td_control {
    struct td_recorder recorder;
    struct td_certificate *certificate;
    struct td_log log;
    struct td_budget budget;
    bool flushed;
    GMainLoop *main;
    guint mailbox_source;
    guint signal_sources[2];
    int signals;
    int exit_code;
    void (*interrupted)(void *ctx); /* first SIGINT or SIGTERM */
    void *interrupted_ctx;
};

/* The sentence of a failure goes to stderr. */
TD_MUST int td_control_start(struct td_control *c, const struct td_control_config *config,
                             void (*interrupted)(void *ctx), void *ctx);
/* Runs until td_control_quit; answers its code. */
int td_control_run(struct td_control *c);
void td_control_quit(struct td_control *c, int exit_code);
/* Runs the loop until what was handed to the store thread before is done and answered. Nothing new
 * may come from outside meanwhile. */
void td_control_flush(struct td_control *c);
void td_control_stop(struct td_control *c);

#endif
