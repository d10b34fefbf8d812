/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: a command's options as one table: parsing, help text and (later) man pages.
 * Owner: const tables in the command files; values point into argv or the environment.
 * Thread: main, before anything else runs.
 * Bound: TD_OPTIONS_POSITIONAL_MAX positional arguments.
 * Does not: act; a wrong command line is one sentence on stderr and -TD_E_USAGE.
 */
#ifndef TD_CLI_OPTIONS_H
#define TD_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TD_OPTIONS_POSITIONAL_MAX 256u

enum td_option_type {
    TD_OPTION_FLAG,     /* bool */
    TD_OPTION_TEXT,     /* const char * */
    TD_OPTION_NUMBER,   /* int64_t, within min..max */
    TD_OPTION_DURATION, /* int64_t microseconds: "20s", "1500ms", "2m", "1h"; a bare number is s */
    TD_OPTION_BYTES,    /* int64_t: "256K", "4M", "1G", bare bytes */
};

struct td_option {
    const char *name; /* without "--" */
    char letter;      /* short form, 0 = none */
    enum td_option_type type;
    size_t offset;           /* of the value in the command's structure */
    const char *argument;    /* word in the help, NULL for flags */
    const char *environment; /* read when the option is not given; NULL = none */
    int64_t min;             /* numbers, durations (us), bytes */
    int64_t max;             /* 0 = no limit */
    const char *help;
};

struct td_command {
    const char *name;
    const char *arguments; /* after the options in the usage line, "" for none */
    const char *summary;
    const char *details; /* paragraph under the options; NULL = none */
    const struct td_option *options;
    size_t option_count;
    /* argv[0] is the command's name. The exit code. */
    int (*run)(const struct td_command *command, int argc, char **argv);
};

struct td_positional {
    const char *items[TD_OPTIONS_POSITIONAL_MAX];
    size_t count;
};

enum td_options_condition {
    TD_OPTIONS_HELP = 1, /* help was asked for and printed: exit 0 */
};

/* Fills `values` (defaults are already in it). 0, TD_OPTIONS_HELP, or -TD_E_USAGE after a sentence
 * on stderr. `ret_positional` may be NULL: positional arguments are then refused. */
TD_MUST int td_options_parse(const struct td_command *command, int argc, char **argv, void *values,
                             struct td_positional *ret_positional);
/* Takes a secret out of the command line, which everybody can read: the value becomes a copy, which
 * the caller frees, and argv is blotted out. NULL stays NULL. -ENOMEM. */
TD_MUST int td_options_hide(const char **value, char **ret_copy);
void td_options_help(const struct td_command *command);
/* "tapedeck record: sentence" and how to get help, on stderr; answers the usage exit code. */
int td_usage_error(const struct td_command *command, const char *fmt, ...) TD_PRINTF(2, 3);

/* Exit codes, design section 9. */
enum td_exit {
    TD_EXIT_DONE = 0,
    TD_EXIT_FAILED = 1,
    TD_EXIT_USAGE = 2,
    TD_EXIT_REFUSED = 3,
    TD_EXIT_STORAGE = 4,
    TD_EXIT_DAMAGED = 5,
};

#endif
