/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo_judge: what FFmpeg's tools say of a file: a judge that shares no code with the recorder.
 * Owner: the caller's report.
 * Thread: main.
 * Bound: TD_JUDGE_US for one file.
 * Does not: know what is good; `fail` is for what the tools refuse or complain about.
 */
#ifndef TD_CLI_DEMO_JUDGE_H
#define TD_CLI_DEMO_JUDGE_H

#include "base/clock.h"
#include "base/err.h"

#define TD_JUDGE_US (30 * TD_US_PER_S)
#define TD_JUDGE_NAME_MAX 32

struct td_judge_report {
    char container[TD_JUDGE_NAME_MAX];
    char video[TD_JUDGE_NAME_MAX]; /* codecs; "" = none */
    char audio[TD_JUDGE_NAME_MAX];
    unsigned width;
    unsigned height;
    double duration_s;
};

/* ffprobe. `interrupt`: a descriptor that ends the wait, as in td_child_line. */
TD_MUST int td_judge_probe(const char *path, int interrupt, struct td_fail *fail,
                           struct td_judge_report *ret_report);
/* ffmpeg decodes all of it: its first complaint is the failure. */
TD_MUST int td_judge_decode(const char *path, int interrupt, struct td_fail *fail);

#endif
