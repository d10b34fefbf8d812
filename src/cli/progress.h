/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: what a running recording shows: a live line on a terminal, JSON lines for programs.
 * Owner: the record command.
 * Thread: control loop.
 * Bound: one line a second.
 * Does not: log (that is stderr's td_log).
 */
#ifndef TD_CLI_PROGRESS_H
#define TD_CLI_PROGRESS_H

#include <stdbool.h>

#include "recorder/session.h"

struct td_progress {
    bool json;
    bool terminal; /* stderr is one */
    bool line_open;
    int64_t last_us;
};

void td_progress_init(struct td_progress *p, bool json);
/* The state or the outputs changed. */
void td_progress_changed(struct td_progress *p, const struct td_session *session);
/* Each second; answers quietly in between. */
void td_progress_tick(struct td_progress *p, const struct td_session *session, int64_t now_us);
void td_progress_ended(struct td_progress *p, const struct td_session *session);

#endif
