/* SPDX-License-Identifier: Apache-2.0 */
/*
 * problem: what a daemon's answer that is no success means: a sentence with what to do, an exit
 * code.
 * Owner: none, stateless.
 * Thread: any.
 * Bound: TD_PROBLEM_TEXT_MAX bytes of the sentence.
 * Does not: print; trust what the daemon wrote (see readable).
 */
#ifndef TD_CLI_PROBLEM_H
#define TD_CLI_PROBLEM_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/options.h"

#define TD_PROBLEM_TEXT_MAX 768

/* Of the HTTP status alone: 401 403 502 504 are refusals, 507 is storage, what the daemon did not
 * understand is usage, the rest failed. Below 300: done. */
enum td_exit td_problem_exit(unsigned status);
/* `answer` is the body as JSON, NULL when it is none; `with_token`: a key was shown. */
void td_problem_say(unsigned status, const json_t *answer, bool with_token,
                    char ret_text[static TD_PROBLEM_TEXT_MAX]);

#endif
