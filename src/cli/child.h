/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: a process that a command starts and ends, its standard output read line by line.
 * Owner: the command's structure; td_child_end before it goes away.
 * Thread: main, of a command without other threads (it forks).
 * Bound: lines of TD_CHILD_LINE_MAX bytes, longer ones are cut; every wait has a deadline.
 * Does not: write to the process, or outlive its parent: the kernel kills the orphan.
 */
#ifndef TD_CLI_CHILD_H
#define TD_CLI_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define TD_CHILD_LINE_MAX 4096u

struct td_child {
    pid_t pid;  /* 0 = never started, or reaped */
    int handle; /* pidfd */
    int out;    /* its standard output; -1 = closed */
    int status; /* of waitpid, once reaped */
    size_t len;
    char buffer[TD_CHILD_LINE_MAX];
};

/* `path` is searched in $PATH when it has no slash. Standard error goes to the end of the file
 * `log`, or with NULL into the same pipe as standard output. */
TD_MUST int td_child_start(const char *path, const char *const argv[], const char *log,
                           struct td_child *ret_child);
/* 1 with the next line, without its end; 0 when none came within `wait_us`; -TD_E_CLOSED when there
 * is none any more; -EINTR when `interrupt` (-1 = none) became readable. */
TD_MUST int td_child_line(struct td_child *c, int interrupt, int64_t wait_us,
                          char ret_line[static TD_CHILD_LINE_MAX]);
/* 1 once it has ended (and was reaped), 0 when it has not within `wait_us`, -EINTR as above. */
TD_MUST int td_child_wait(struct td_child *c, int interrupt, int64_t wait_us);
/* Harmless once it has ended. */
void td_child_signal(const struct td_child *c, int number);
bool td_child_ended(struct td_child *c);
/* SIGTERM, SIGKILL after `grace_us`, and reaps. Harmless when called again. */
void td_child_end(struct td_child *c, int64_t grace_us);
/* The exit status, or 128 + the signal, once it has ended. */
int td_child_code(const struct td_child *c);

#endif
