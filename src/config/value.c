/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/amount.h"
#include "config/config.h"

/* Every list of struct td_config is an array and its count. */
struct list {
    void *items;
    size_t count;
};
static_assert(sizeof(struct list) == sizeof(struct td_config_keys) &&
                  sizeof(struct list) == sizeof(struct td_config_texts) &&
                  offsetof(struct list, count) == offsetof(struct td_config_keys, count) &&
                  offsetof(struct list, count) == offsetof(struct td_config_texts, count),
              "lists differ");
static_assert(sizeof(enum td_config_policy) == sizeof(int), "a choice is kept as int");

static void get(const struct td_config_row *row, const void *base, void *ret_value, size_t size)
{
    memcpy(ret_value, (const char *)base + row->offset, size);
}

static void put(const struct td_config_row *row, void *base, const void *value, size_t size)
{
    memcpy((char *)base + row->offset, value, size);
}

static size_t size_of(const struct td_config_row *row)
{
    switch (row->type) {
    case TD_CONFIG_TEXT:
        return sizeof(char *);
    case TD_CONFIG_CHOICE:
        return sizeof(int);
    case TD_CONFIG_BOOL:
        return sizeof(bool);
    case TD_CONFIG_LIST:
        return sizeof(struct list);
    case TD_CONFIG_NUMBER:
    case TD_CONFIG_BYTES:
    case TD_CONFIG_MEGABYTES:
    case TD_CONFIG_SECONDS:
    case TD_CONFIG_MILLISECONDS:
        break;
    }
    return sizeof(int64_t);
}

static enum td_amount amount_of(const struct td_config_row *row)
{
    static const enum td_amount amounts[] = {
        [TD_CONFIG_NUMBER] = TD_AMOUNT_NUMBER,
        [TD_CONFIG_BYTES] = TD_AMOUNT_BYTES,
        [TD_CONFIG_MEGABYTES] = TD_AMOUNT_MEGABYTES,
        [TD_CONFIG_SECONDS] = TD_AMOUNT_SECONDS,
        [TD_CONFIG_MILLISECONDS] = TD_AMOUNT_MILLISECONDS,
    };
    return amounts[row->type];
}

const char *td_config_value_get_text(const struct td_config_row *row, const void *base)
{
    assert(row->type == TD_CONFIG_TEXT);
    char *text;
    get(row, base, &text, sizeof(text));
    return text;
}

/* ---- text to value ---- */

static int put_text(const struct td_config_row *row, void *base, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return -ENOMEM;
    td_config_value_clear(row, base);
    put(row, base, &copy, sizeof(copy));
    return 0;
}

/* The words with " | " between them. */
static void join(const char *const *words, char ret_text[static TD_CONFIG_TYPE_MAX])
{
    size_t len = 0;
    for (size_t i = 0; words[i] != NULL && len < TD_CONFIG_TYPE_MAX; i++) {
        int n = snprintf(ret_text + len, TD_CONFIG_TYPE_MAX - len, "%s%s", i > 0 ? " | " : "",
                         words[i]);
        assert(n > 0 && (size_t)n < TD_CONFIG_TYPE_MAX - len);
        len += (size_t)n;
    }
}

static int find_word(const struct td_config_row *row, const char *text, size_t len,
                     struct td_fail *ret_fail, int *ret_index)
{
    for (int i = 0; row->words[i] != NULL; i++) {
        if (strcmp(text, row->words[i]) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    char words[TD_CONFIG_TYPE_MAX];
    join(row->words, words);
    char shown[TD_CONFIG_SHOWN_MAX];
    td_config_text_show(text, len, shown);
    return td_fail_set(ret_fail, -TD_E_USAGE, "'%s' is not one of %s.", shown, words);
}

static int set_text(const struct td_config_row *row, void *base, const char *text, size_t len,
                    struct td_fail *ret_fail)
{
    int index;
    if (len == 0)
        return td_fail_set(ret_fail, -TD_E_USAGE, "is empty.");
    if (len >= TD_CONFIG_TEXT_MAX)
        return td_fail_set(ret_fail, -TD_E_USAGE, "is longer than %u bytes.",
                           TD_CONFIG_TEXT_MAX - 1);
    if (!td_config_text_plain(text, len))
        return td_fail_set(ret_fail, -TD_E_USAGE,
                           "holds characters that do not belong in a setting.");
    const char *fault = td_config_text_fault(row->form, text);
    if (fault != NULL)
        return td_fail_set(ret_fail, -TD_E_USAGE, "%s.", fault);
    if (row->words != NULL && find_word(row, text, len, ret_fail, &index) < 0)
        return -TD_E_USAGE;
    int r = put_text(row, base, text);
    return r < 0 ? td_fail_set(ret_fail, r, "%s.", td_err_text(r)) : 0;
}

static int set_bool(const struct td_config_row *row, void *base, const char *text, size_t len,
                    struct td_fail *ret_fail)
{
    bool value = strcmp(text, "true") == 0;
    if (!value && strcmp(text, "false") != 0) {
        char shown[TD_CONFIG_SHOWN_MAX];
        td_config_text_show(text, len, shown);
        return td_fail_set(ret_fail, -TD_E_USAGE, "'%s' is neither true nor false.", shown);
    }
    put(row, base, &value, sizeof(value));
    return 0;
}

static int set_choice(const struct td_config_row *row, void *base, const char *text, size_t len,
                      struct td_fail *ret_fail)
{
    int index = 0;
    if (find_word(row, text, len, ret_fail, &index) < 0)
        return -TD_E_USAGE;
    put(row, base, &index, sizeof(index));
    return 0;
}

static int set_amount(const struct td_config_row *row, void *base, const char *text, size_t len,
                      struct td_fail *ret_fail)
{
    static const char *const nouns[] = {
        [TD_AMOUNT_NUMBER] = "a whole number",
        [TD_AMOUNT_BYTES] = "a number of bytes, like 262144, 256K, 16M or 4G",
        [TD_AMOUNT_MEGABYTES] = "a whole number of MiB",
        [TD_AMOUNT_SECONDS] = "a number of seconds",
        [TD_AMOUNT_MILLISECONDS] = "a number of milliseconds",
    };
    enum td_amount kind = amount_of(row);
    int64_t value = TD_CONFIG_OFF;
    if (!row->off || (strcmp(text, "off") != 0 && strcmp(text, "-1") != 0)) {
        char shown[TD_CONFIG_SHOWN_MAX];
        td_config_text_show(text, len, shown);
        if (td_amount_parse(kind, text, &value) < 0)
            return td_fail_set(ret_fail, -TD_E_USAGE, "'%s' is not %s%s.", shown, nouns[kind],
                               row->off ? ", nor off" : "");
        char min[TD_AMOUNT_TEXT_MAX];
        char max[TD_AMOUNT_TEXT_MAX];
        td_amount_write(kind, row->min, min);
        td_amount_write(kind, row->max, max);
        if (value < row->min || value > row->max)
            return td_fail_set(ret_fail, -TD_E_USAGE, "'%s' is out of range: %s to %s.", shown, min,
                               max);
    }
    put(row, base, &value, sizeof(value));
    return 0;
}

int td_config_value_set(const struct td_config_row *row, void *base, const char *text, size_t len,
                        struct td_fail *ret_fail)
{
    assert(row->type != TD_CONFIG_LIST);
    if (strlen(text) != len) /* YAML can write a NUL */
        return td_fail_set(ret_fail, -TD_E_USAGE,
                           "holds characters that do not belong in a setting.");
    if (row->type == TD_CONFIG_TEXT)
        return set_text(row, base, text, len, ret_fail);
    if (row->type == TD_CONFIG_BOOL)
        return set_bool(row, base, text, len, ret_fail);
    if (row->type == TD_CONFIG_CHOICE)
        return set_choice(row, base, text, len, ret_fail);
    return set_amount(row, base, text, len, ret_fail);
}

bool td_config_value_unset(const struct td_config_row *row, void *base)
{
    if (row->type != TD_CONFIG_TEXT || row->text != NULL || row->required)
        return false;
    td_config_value_clear(row, base);
    return true;
}

/* ---- lives ---- */

static int init_list(const struct td_config_row *row, void *base)
{
    for (size_t i = 0; row->words != NULL && row->words[i] != NULL; i++) {
        void *entry;
        int r = td_config_list_add(row, base, &entry);
        if (r == 0)
            r = put_text(&row->rows[0], entry, row->words[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

int td_config_value_init(const struct td_config_row *row, void *base)
{
    if (row->type == TD_CONFIG_LIST)
        return init_list(row, base);
    if (row->type == TD_CONFIG_TEXT)
        return row->text != NULL ? put_text(row, base, row->text) : 0;
    if (row->type == TD_CONFIG_BOOL) {
        bool value = row->initial != 0;
        put(row, base, &value, sizeof(value));
    } else if (row->type == TD_CONFIG_CHOICE) {
        int value = (int)row->initial;
        put(row, base, &value, sizeof(value));
    } else {
        put(row, base, &row->initial, sizeof(row->initial));
    }
    return 0;
}

static void clear_list(const struct td_config_row *row, void *base)
{
    for (size_t i = 0; i < td_config_list_count(row, base); i++) {
        void *entry = td_config_list_entry(row, base, i);
        for (size_t k = 0; k < row->row_count; k++) {
            char *text = NULL; /* an entry owns texts only: lists do not nest */
            assert(row->rows[k].type != TD_CONFIG_LIST);
            if (row->rows[k].type == TD_CONFIG_TEXT)
                get(&row->rows[k], entry, &text, sizeof(text));
            free(text);
        }
    }
    struct list list;
    get(row, base, &list, sizeof(list));
    free(list.items);
}

void td_config_value_clear(const struct td_config_row *row, void *base)
{
    static const char nothing[sizeof(struct list)];
    if (row->type == TD_CONFIG_LIST)
        clear_list(row, base);
    if (row->type == TD_CONFIG_TEXT) {
        char *text;
        get(row, base, &text, sizeof(text));
        free(text);
    }
    put(row, base, nothing, size_of(row));
}

void td_config_value_move(const struct td_config_row *row, void *base, void *from)
{
    char kept[sizeof(struct list)];
    char moved[sizeof(struct list)];
    get(row, base, kept, size_of(row));
    get(row, from, moved, size_of(row));
    put(row, base, moved, size_of(row));
    put(row, from, kept, size_of(row));
    td_config_value_clear(row, from);
}

bool td_config_value_equal(const struct td_config_row *row, const void *a, const void *b)
{
    assert(row->type != TD_CONFIG_LIST);
    if (row->type != TD_CONFIG_TEXT)
        return memcmp((const char *)a + row->offset, (const char *)b + row->offset, size_of(row)) ==
               0;
    const char *x = td_config_value_get_text(row, a);
    const char *y = td_config_value_get_text(row, b);
    return x == y || (x != NULL && y != NULL && strcmp(x, y) == 0);
}

bool td_config_value_given(const struct td_config_row *row, const void *base)
{
    if (!row->required)
        return true;
    if (row->type == TD_CONFIG_TEXT)
        return td_config_value_get_text(row, base) != NULL;
    int64_t value;
    get(row, base, &value, sizeof(value));
    return value >= row->min;
}

size_t td_config_list_count(const struct td_config_row *row, const void *base)
{
    assert(row->type == TD_CONFIG_LIST);
    struct list list;
    get(row, base, &list, sizeof(list));
    return list.count;
}

void *td_config_list_entry(const struct td_config_row *row, const void *base, size_t index)
{
    struct list list;
    get(row, base, &list, sizeof(list));
    assert(index < list.count);
    return (char *)list.items + index * row->entry_bytes;
}

int td_config_list_add(const struct td_config_row *row, void *base, void **ret_entry)
{
    struct list list;
    get(row, base, &list, sizeof(list));
    if (list.count == TD_CONFIG_LIST_MAX)
        return -TD_E_LIMIT;
    /* All of it at once: 2 KiB, and entries do not move while they are filled. */
    if (list.items == NULL)
        list.items = calloc(TD_CONFIG_LIST_MAX, row->entry_bytes);
    if (list.items == NULL)
        return -ENOMEM;
    list.count++;
    put(row, base, &list, sizeof(list));
    *ret_entry = td_config_list_entry(row, base, list.count - 1);
    return 0;
}

/* ---- value to text ---- */

void td_config_value_write(const struct td_config_row *row, const void *base,
                           char ret_text[static TD_CONFIG_WRITTEN_MAX])
{
    assert(row->type != TD_CONFIG_LIST);
    int64_t amount = 0;
    int index = 0;
    bool truth = false;
    char text[TD_AMOUNT_TEXT_MAX];
    const char *written = text;
    if (row->type == TD_CONFIG_TEXT) {
        written = td_config_value_get_text(row, base);
        if (written != NULL) {
            td_config_text_quote(row->secret ? TD_CONFIG_SECRET : written, ret_text);
            return;
        }
        written = "null";
    } else if (row->type == TD_CONFIG_BOOL) {
        get(row, base, &truth, sizeof(truth));
        written = truth ? "true" : "false";
    } else if (row->type == TD_CONFIG_CHOICE) {
        get(row, base, &index, sizeof(index));
        written = row->words[index];
    } else {
        get(row, base, &amount, sizeof(amount));
        if (row->off && amount == TD_CONFIG_OFF)
            written = "off";
        else
            td_amount_write(amount_of(row), amount, text);
    }
    (void)snprintf(ret_text, TD_CONFIG_WRITTEN_MAX, "%s", written);
}

void td_config_initial_write(const struct td_config_row *row,
                             char ret_text[static TD_CONFIG_WRITTEN_MAX])
{
    struct td_config c = {.listen = NULL};
    if (row->type != TD_CONFIG_TEXT && td_config_value_init(row, &c) == 0) /* allocates nothing */
        td_config_value_write(row, &c, ret_text);
    else if (row->text != NULL)
        td_config_text_quote(row->text, ret_text);
    else
        (void)snprintf(ret_text, TD_CONFIG_WRITTEN_MAX, "null");
}

void td_config_type_write(const struct td_config_row *row, char ret_text[static TD_CONFIG_TYPE_MAX])
{
    static const char *const names[] = {
        [TD_CONFIG_BOOL] = "true | false", [TD_CONFIG_NUMBER] = "number",
        [TD_CONFIG_BYTES] = "bytes",       [TD_CONFIG_MEGABYTES] = "MiB",
        [TD_CONFIG_SECONDS] = "seconds",   [TD_CONFIG_MILLISECONDS] = "milliseconds",
        [TD_CONFIG_LIST] = "list",
    };
    if (row->type == TD_CONFIG_LIST) {
        (void)snprintf(ret_text, TD_CONFIG_TYPE_MAX, "list%s, %d to %d",
                       td_config_list_of_texts(row) ? " of texts" : "", (int)row->min,
                       (int)row->max);
    } else if (row->words != NULL) {
        join(row->words, ret_text);
    } else if (row->type == TD_CONFIG_TEXT) {
        (void)snprintf(ret_text, TD_CONFIG_TYPE_MAX, "%s", td_config_text_form(row->form));
    } else if (row->type == TD_CONFIG_BOOL) {
        (void)snprintf(ret_text, TD_CONFIG_TYPE_MAX, "%s", names[row->type]);
    } else {
        char min[TD_AMOUNT_TEXT_MAX];
        char max[TD_AMOUNT_TEXT_MAX];
        td_amount_write(amount_of(row), row->min, min);
        td_amount_write(amount_of(row), row->max, max);
        (void)snprintf(ret_text, TD_CONFIG_TYPE_MAX, "%s, %s to %s%s", names[row->type], min, max,
                       row->off ? ", or off" : "");
    }
}
