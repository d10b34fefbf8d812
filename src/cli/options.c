/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

int td_usage_error(const struct td_command *command, const char *fmt, ...)
{
    fprintf(stderr, "tapedeck %s: ", command->name);
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nTry 'tapedeck %s --help'.\n", command->name);
    return TD_EXIT_USAGE;
}

static void print_option(const struct td_option *option)
{
    char left[64];
    char letter[8] = "    ";
    if (option->letter != 0)
        (void)snprintf(letter, sizeof(letter), "-%c, ", option->letter);
    (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, option->name,
                   option->argument != NULL ? " " : "",
                   option->argument != NULL ? option->argument : "");
    printf("  %-30s %s", left, option->help);
    if (option->environment != NULL)
        printf(" [%s]", option->environment);
    printf("\n");
}

void td_options_help(const struct td_command *command)
{
    printf("tapedeck %s: %s\n\nUsage: tapedeck %s [options]%s%s\n\nOptions:\n", command->name,
           command->summary, command->name, command->arguments[0] != '\0' ? " " : "",
           command->arguments);
    for (size_t i = 0; i < command->option_count; i++)
        print_option(&command->options[i]);
    printf("  %-30s %s\n", "    --help", "this text");
    if (command->details != NULL)
        printf("\n%s\n", command->details);
}

#define NUMBER_MAX 9e15 /* a double holds every whole number below */

struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", TD_US_PER_MS},      {"s", TD_US_PER_S}, {"m", 60 * TD_US_PER_S},
    {"h", 3600 * TD_US_PER_S}, {"", TD_US_PER_S},
};
static const struct unit byte_units[] = {
    {"K", 1 << 10},
    {"M", 1 << 20},
    {"G", 1 << 30},
    {"", 1},
};
static const struct unit plain_units[] = {{"", 1}};

/* Decimal only: strtod would also take "nan", "inf" and "0x10". */
static int parse_number(const char *text, const struct unit *units, size_t count,
                        int64_t *ret_value)
{
    size_t digits = strspn(text, "0123456789.");
    char *end = NULL;
    errno = 0;
    double number = strtod(text, &end);
    if (errno != 0 || end == text || end != text + digits || number > NUMBER_MAX)
        return -TD_E_USAGE;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].suffix) != 0)
            continue;
        number *= (double)units[i].factor;
        if (number > NUMBER_MAX || (count == 1 && strchr(text, '.') != NULL))
            return -TD_E_USAGE; /* a plain number is a whole one */
        *ret_value = (int64_t)(number + 0.5);
        return 0;
    }
    return -TD_E_USAGE;
}

static int parse_scalar(const struct td_option *option, const char *text, int64_t *ret_value)
{
    switch (option->type) {
    case TD_OPTION_DURATION:
        return parse_number(text, duration_units, sizeof(duration_units) / sizeof(*duration_units),
                            ret_value);
    case TD_OPTION_BYTES:
        return parse_number(text, byte_units, sizeof(byte_units) / sizeof(*byte_units), ret_value);
    case TD_OPTION_NUMBER:
        return parse_number(text, plain_units, 1, ret_value);
    case TD_OPTION_FLAG:
    case TD_OPTION_TEXT:
        break;
    }
    return -TD_E_USAGE;
}

static const char *unit_help(enum td_option_type type)
{
    return type == TD_OPTION_DURATION ? "a duration like 20s, 1500ms, 2m or 1h"
           : type == TD_OPTION_BYTES  ? "a size like 65536, 256K or 4M"
                                      : "a whole number";
}

static int set_value(const struct td_command *command, const struct td_option *option,
                     const char *text, void *values)
{
    char *target = (char *)values + option->offset;
    if (option->type == TD_OPTION_TEXT) {
        memcpy(target, &text, sizeof(text));
        return 0;
    }
    int64_t value = 0;
    if (parse_scalar(option, text, &value) < 0) {
        (void)td_usage_error(command, "--%s needs %s, not '%s'.", option->name,
                             unit_help(option->type), text);
        return -TD_E_USAGE;
    }
    if (value < option->min || (option->max != 0 && value > option->max)) {
        (void)td_usage_error(command, "--%s '%s' is out of range.", option->name, text);
        return -TD_E_USAGE;
    }
    memcpy(target, &value, sizeof(value));
    return 0;
}

static int read_environment(const struct td_command *command, void *values)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct td_option *option = &command->options[i];
        const char *text = option->environment != NULL ? getenv(option->environment) : NULL;
        if (text == NULL || text[0] == '\0')
            continue;
        int r = set_value(command, option, text, values);
        if (r < 0)
            return r;
    }
    return 0;
}

static const struct td_option *find(const struct td_command *command, const char *name, size_t len)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct td_option *option = &command->options[i];
        if (strlen(option->name) == len && strncmp(option->name, name, len) == 0)
            return option;
    }
    return NULL;
}

static const struct td_option *find_letter(const struct td_command *command, char letter)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (command->options[i].letter == letter)
            return &command->options[i];
    }
    return NULL;
}

/* One option at argv[*at]; moves *at past its argument. */
static int parse_one(const struct td_command *command, int argc, char **argv, int *at, void *values)
{
    const char *word = argv[*at];
    bool is_long = word[1] == '-';
    const char *name = word + (is_long ? 2 : 1);
    const char *value = is_long ? strchr(name, '=') : (name[1] != '\0' ? name + 1 : NULL);
    size_t len = is_long ? (value != NULL ? (size_t)(value - name) : strlen(name)) : 1;
    if (is_long && value != NULL)
        value++;
    const struct td_option *option = is_long ? find(command, name, len)
                                             : find_letter(command, name[0]);
    if (option == NULL) {
        (void)td_usage_error(command, "there is no option '%s'.", word);
        return -TD_E_USAGE;
    }
    if (option->type == TD_OPTION_FLAG) {
        if (value != NULL) {
            (void)td_usage_error(command, "--%s takes no value.", option->name);
            return -TD_E_USAGE;
        }
        *((bool *)((char *)values + option->offset)) = true;
        return 0;
    }
    if (value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (value == NULL) {
        (void)td_usage_error(command, "--%s needs a value.", option->name);
        return -TD_E_USAGE;
    }
    return set_value(command, option, value, values);
}

int td_options_parse(const struct td_command *command, int argc, char **argv, void *values,
                     struct td_positional *ret_positional)
{
    struct td_positional positional = {.count = 0};
    int r = read_environment(command, values);
    bool options_end = false;
    for (int at = 1; r == 0 && at < argc; at++) {
        const char *word = argv[at];
        if (!options_end && strcmp(word, "--") == 0) {
            options_end = true;
        } else if (!options_end && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            td_options_help(command);
            return TD_OPTIONS_HELP;
        } else if (!options_end && word[0] == '-' && word[1] != '\0') {
            r = parse_one(command, argc, argv, &at, values);
        } else if (ret_positional == NULL || positional.count == TD_OPTIONS_POSITIONAL_MAX) {
            (void)td_usage_error(command, "'%s' is one argument too many.", word);
            r = -TD_E_USAGE;
        } else {
            positional.items[positional.count++] = word;
        }
    }
    if (r == 0 && ret_positional != NULL)
        *ret_positional = positional;
    return r;
}

int td_options_hide(const char **value, char **ret_copy)
{
    *ret_copy = NULL;
    if (*value == NULL)
        return 0;
    char *copy = strdup(*value);
    if (copy == NULL)
        return -ENOMEM;
    /* It points into argv or the environment, which are ours to write. */
    memset((char *)(uintptr_t)*value, '*', strlen(*value));
    *value = copy;
    *ret_copy = copy;
    return 0;
}
