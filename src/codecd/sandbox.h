/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: what the worker gives up before it reads the first byte.
 * Owner: main.
 * Thread: the only one there is yet.
 * Bound: address space by RLIMIT_AS (TD_CODECD_MEMORY_MB, set by the build; 0 = no limit, for
 *        sanitizers, which reserve terabytes).
 * Does not: filter system calls.
 */
#ifndef TD_CODECD_SANDBOX_H
#define TD_CODECD_SANDBOX_H

#include "base/err.h"

/* No new privileges, no core files, no file writes, limited memory, and no descriptor open but
 * stderr and fd_in, fd_out (which may be one). */
TD_MUST int td_sandbox_enter(int fd_in, int fd_out);

#endif
