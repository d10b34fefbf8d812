/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows: the one table of settings, from which reading, printing, reloading and documents are made.
 * Owner: none, constant tables.
 * Thread: any.
 * Bound: TD_CONFIG_ROWS_MAX rows in a table, TD_CONFIG_KEY_MAX bytes of a key.
 * Does not: read or keep a value (config/value.h does).
 */
#ifndef TD_CONFIG_ROWS_H
#define TD_CONFIG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TD_CONFIG_ROWS_MAX 64u
#define TD_CONFIG_KEY_MAX 48u     /* NUL included */
#define TD_CONFIG_TEXT_MAX 1024u  /* bytes of one text, NUL included: a path's length */
#define TD_CONFIG_OFF INT64_C(-1) /* what a row with `off` keeps for the word "off" */

enum td_config_type {
    TD_CONFIG_TEXT,         /* char *, NULL = none */
    TD_CONFIG_CHOICE,       /* enum: the place of the word in `words` */
    TD_CONFIG_BOOL,         /* bool */
    TD_CONFIG_NUMBER,       /* int64_t, as all that follow */
    TD_CONFIG_BYTES,        /* 262144, 256K, 16M, 4G, 2T */
    TD_CONFIG_MEGABYTES,    /* written in MiB, kept in bytes */
    TD_CONFIG_SECONDS,      /* 60, 1.5, 90s, 10m, 2h, 30d; kept in microseconds */
    TD_CONFIG_MILLISECONDS, /* 400, 400ms, 2s; kept in microseconds */
    TD_CONFIG_LIST,         /* array and count, TD_CONFIG_LIST_MAX entries at most */
};

enum td_config_form { /* what a text must look like */
                      TD_CONFIG_ANY,
                      TD_CONFIG_ADDRESS, /* HOST:PORT */
                      TD_CONFIG_SERVER,  /* a LiveKit server: ws, wss, http, https */
                      TD_CONFIG_WEB,     /* http or https */
                      TD_CONFIG_ORIGIN,  /* of CORS: scheme, host, port; or * */
};

struct td_config_row {
    const char *key; /* with dots; within an entry of a list the bare name; "" = the entry itself */
    enum td_config_type type;
    enum td_config_form form;
    size_t offset;            /* in struct td_config, or in the entry of the list */
    int64_t min;              /* as kept; of a list: entries */
    int64_t max;              /* as kept */
    int64_t initial;          /* as kept; of a bool 0 or 1 */
    const char *text;         /* initial text; NULL = none */
    const char *const *words; /* NULL-terminated: of a choice, or of a text that is one of them;
                                 of a list of texts: its initial entries */
    const struct td_config_row *rows; /* of a list's entry */
    size_t row_count;
    size_t entry_bytes;
    const char *environment; /* a second variable, below TAPEDECK_*; NULL = none */
    bool off;                /* takes the word "off" too */
    bool required;           /* an entry must have it */
    bool reload;
    bool secret;
    const char *help;
};

const struct td_config_row *td_config_table(size_t *ret_count);

/* True when the entries of the list are texts, not mappings. */
bool td_config_list_of_texts(const struct td_config_row *row);

#endif
