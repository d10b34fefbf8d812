/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo_stage: what the demo plays with: a folder, the daemon, a publisher, signals.
 * Owner: the demo command, on its stack.
 * Thread: main.
 * Bound: every wait has a deadline, and ends at SIGINT, SIGTERM or when an actor dies unasked.
 * Does not: print, or judge what it sees.
 */
#ifndef TD_CLI_DEMO_STAGE_H
#define TD_CLI_DEMO_STAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "cli/child.h"

#define TD_STAGE_ROOM "demo"

struct td_stage {
    char folder[TD_PATH_MAX];
    char data[TD_PATH_MAX];
    char runtime[TD_PATH_MAX]; /* on tmpfs; "" = none of our own */
    int signals;               /* signalfd; -1 = none */
    unsigned port;
    struct td_child daemon;
    struct td_child publisher;
    /* What the publisher says of itself. */
    unsigned connections;
    int64_t connected_wall_us; /* of the last connection */
    int64_t lost_wall_us;      /* when it noticed that the server was gone; 0 = not */
    int64_t start_wall_us;     /* of frame 0; 0 = unknown yet */
    unsigned fps;
};

/* A folder of our own under $TMPDIR or /tmp; signals are held back from now on. */
TD_MUST int td_stage_open(struct td_stage *s, struct td_fail *fail);
/* On the same port again, once there is one. Returns when it listens. */
TD_MUST int td_stage_daemon(struct td_stage *s, struct td_fail *fail);
TD_MUST int td_stage_publisher(struct td_stage *s, struct td_fail *fail);
/* SIGINT, and it has to end well. */
TD_MUST int td_stage_dismiss(struct td_stage *s, struct td_child *actor, struct td_fail *fail);
/* Listens to the publisher for `wait_us` or up to its next word; an actor that has ended by itself
 * is a failure. */
TD_MUST int td_stage_listen(struct td_stage *s, int64_t wait_us, struct td_fail *fail);
/* The file that grows now; false when there is none. */
bool td_stage_growing(const struct td_stage *s, char ret_path[static TD_PATH_MAX]);
/* The last lines of what an actor ("serve", "publish") said on standard error, into `ret_text`. */
void td_stage_last_words(const struct td_stage *s, const char *name, char *ret_text, size_t size);
/* Ends all processes and removes the folder unless it is kept. */
void td_stage_close(struct td_stage *s, bool keep);

/* 0 when there is no such file. */
uint64_t td_stage_size(const char *path);
/* Resident memory of a process, 0 when it is gone. */
uint64_t td_stage_memory(pid_t pid);

#endif
