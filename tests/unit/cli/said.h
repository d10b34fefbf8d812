/* SPDX-License-Identifier: Apache-2.0 */
/*
 * said: what a command writes, for tests: its stdout belongs to the test's report otherwise.
 * Owner: the test.
 * Thread: main.
 * Bound: TD_SAID_MAX bytes of each stream; what is longer is cut.
 * Does not: judge; what cannot be redirected fails the test.
 */
#ifndef TD_TESTS_UNIT_CLI_SAID_H
#define TD_TESTS_UNIT_CLI_SAID_H

#include <stdio.h>

#include "cli/options.h"

#define TD_SAID_MAX 16384
#define TD_SAID_WORDS_MAX 12

struct td_said {
    char out[TD_SAID_MAX];
    char err[TD_SAID_MAX];
    char argv[TD_SAID_WORDS_MAX + 1][256]; /* the command line as it left it */
};

/* Runs the command with its name and these words, NULL-terminated; its exit code. */
int td_said_run(const struct td_command *command, const char *const *words, struct td_said *said);
/* All that was written to this temporary file, which it closes. */
void td_said_read(FILE *file, char ret_text[static TD_SAID_MAX]);

#endif
