/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "config/key.h"
#include "config/value.h"

#define WHERE_MAX (2u * TD_CONFIG_KEY_MAX)
#define NAME_SHOWN_MAX 80u /* bytes of a long file name that a sentence shows: its end */

/* One mapping or list that is open. The keys of an entry of a list have a table of their own. */
struct frame {
    bool is_list;
    bool is_entry;
    struct td_config_scope scope;     /* of a mapping */
    const struct td_config_row *list; /* of a list */
    void *base;                       /* what the offsets of its rows count from */
    const struct td_config_row *row;  /* whose value comes next; NULL: a key comes next */
    size_t key_len;                   /* the part of row->key that was written */
    size_t line;
    bool seen[TD_CONFIG_ROWS_MAX];
};

struct reader {
    yaml_parser_t parser;
    const char *name;
    const char *text;
    size_t line; /* of the event at hand */
    unsigned documents;
    struct td_config *config;
    struct frame frames[TD_CONFIG_DEPTH_MAX];
    size_t depth;
    struct td_fail *fail;
};

/* ---- sentences ---- */

/* "api_keys[1].key": all that is open, and the key at hand. Keys of the table are whole, so only an
 * entry of a list adds to what stands there. */
static void where(const struct reader *r, char ret_key[static WHERE_MAX])
{
    ret_key[0] = '\0';
    for (size_t i = 0; i < r->depth; i++) {
        const struct frame *f = &r->frames[i];
        size_t len = f->is_entry ? strlen(ret_key) : 0;
        size_t count = f->is_list ? td_config_list_count(f->list, f->base) : 0;
        if (count > 0)
            (void)snprintf(ret_key, WHERE_MAX, "%s[%zu]", f->list->key, count - 1);
        else if (f->row != NULL)
            (void)snprintf(ret_key + len, WHERE_MAX - len, "%s%.*s", f->is_entry ? "." : "",
                           (int)f->key_len, f->row->key);
    }
}

static int fault(struct reader *r, const char *fmt, ...) TD_PRINTF(2, 3);

static int fault(struct reader *r, const char *fmt, ...)
{
    char text[TD_FAIL_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    char key[WHERE_MAX];
    where(r, key);
    return td_fail_set(r->fail, -TD_E_USAGE, "%s:%zu: %s%s%s", r->name, r->line, key,
                       key[0] != '\0' ? ": " : "", n >= 0 ? text : "");
}

static int no_memory(struct reader *r)
{
    return td_fail_set(r->fail, -ENOMEM, "%s:%zu: %s.", r->name, r->line, td_err_text(-ENOMEM));
}

/* What libyaml says; the reader of its bytes knows an offset, the rest a line. */
static int syntax_fault(struct reader *r, size_t len)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return no_memory(r);
    r->line = p->problem_mark.line + 1;
    if (p->error == YAML_READER_ERROR) {
        size_t end = p->problem_offset < len ? p->problem_offset : len;
        r->line = 1;
        for (size_t i = 0; i < end; i++)
            r->line += r->text[i] == '\n';
    }
    r->depth = 0; /* a mistake in the writing has no key */
    return fault(r, "not YAML: %s.", p->problem != NULL ? p->problem : "malformed");
}

/* The name somebody wrote is not quoted where it may be a secret in the wrong place. */
static int unknown_key(struct reader *r, const char *name, size_t len)
{
    const struct frame *f = &r->frames[r->depth - 1];
    char meant[TD_CONFIG_KEY_MAX];
    bool guessed = td_config_guess(&f->scope, name, meant);
    bool secret = false;
    for (size_t i = 0; f->is_entry && i < f->scope.count; i++)
        secret = secret || f->scope.rows[i].secret;
    if (secret && !guessed)
        return fault(r, "holds a key that does not exist.");
    char shown[TD_CONFIG_SHOWN_MAX];
    td_config_text_show(name, len, shown);
    return guessed ? fault(r, "there is no key '%s'; is it '%s'?", shown, meant)
                   : fault(r, "there is no key '%s'.", shown);
}

/* ---- frames ---- */

static int push(struct reader *r, struct frame frame)
{
    if (r->depth == TD_CONFIG_DEPTH_MAX)
        return fault(r, "is nested too deeply.");
    frame.line = r->line;
    r->frames[r->depth++] = frame;
    return 0;
}

static int push_list(struct reader *r, const struct td_config_row *row)
{
    td_config_value_clear(row, r->config); /* the file's list stands for the whole list */
    return push(r, (struct frame){.is_list = true, .list = row, .base = r->config});
}

/* The value of a key is complete: the next key of the mapping comes. */
static void value_done(struct reader *r)
{
    if (r->depth > 0 && !r->frames[r->depth - 1].is_list)
        r->frames[r->depth - 1].row = NULL;
}

static int pop(struct reader *r)
{
    struct frame *f = &r->frames[r->depth - 1];
    if (f->is_list && td_config_list_count(f->list, f->base) < (size_t)f->list->min) {
        r->depth--;
        return fault(r, "needs at least %d entry.", (int)f->list->min);
    }
    for (size_t i = 0; f->is_entry && i < f->scope.count; i++) {
        const struct td_config_row *row = &f->scope.rows[i];
        if (td_config_value_given(row, f->base))
            continue;
        r->line = f->line;
        f->row = row;
        f->key_len = strlen(row->key);
        return fault(r, "is missing.");
    }
    r->depth--;
    value_done(r);
    return 0;
}

/* ---- nodes ---- */

static bool is_null(const yaml_event_t *e)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (e->type != YAML_SCALAR_EVENT || e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp((const char *)e->data.scalar.value, words[i]) == 0)
            return true;
    }
    return false;
}

static int set_scalar(struct reader *r, const struct td_config_row *row, void *base,
                      const yaml_event_t *e)
{
    if (e->type != YAML_SCALAR_EVENT)
        return fault(r, "takes one value, not a %s.",
                     e->type == YAML_MAPPING_START_EVENT ? "mapping" : "list");
    if (is_null(e))
        return td_config_value_unset(row, base) ? 0 : fault(r, "needs a value.");
    struct td_fail reason = {.code = 0};
    int err = td_config_value_set(row, base, (const char *)e->data.scalar.value,
                                  e->data.scalar.length, &reason);
    if (err == -ENOMEM)
        return no_memory(r);
    return err < 0 ? fault(r, "%s", reason.text) : 0;
}

static int push_below(struct reader *r, const struct frame *above)
{
    struct frame frame = {.scope = above->scope, .base = above->base};
    frame.scope.prefix = above->row->key;
    frame.scope.prefix_len = above->key_len + 1; /* with its dot */
    return push(r, frame);
}

/* A row of the top, or a mapping of rows. */
static int on_value(struct reader *r, const yaml_event_t *e)
{
    struct frame *f = &r->frames[r->depth - 1];
    const struct td_config_row *row = f->row;
    int err = 0;
    if (row->key[f->key_len] == '.') {
        if (e->type == YAML_MAPPING_START_EVENT)
            return push_below(r, f);
        err = is_null(e) ? 0 : fault(r, "takes a mapping of keys.");
    } else if (row->type == TD_CONFIG_LIST) {
        if (e->type == YAML_SEQUENCE_START_EVENT)
            return push_list(r, row);
        err = is_null(e) ? 0 : fault(r, "takes a list.");
    } else {
        err = set_scalar(r, row, f->base, e);
    }
    value_done(r);
    return err;
}

static int on_entry(struct reader *r, const yaml_event_t *e)
{
    struct frame *f = &r->frames[r->depth - 1];
    const struct td_config_row *list = f->list;
    void *entry = NULL;
    int err = td_config_list_add(list, f->base, &entry);
    if (err == -TD_E_LIMIT)
        return fault(r, "is one entry too many, %u are the most.", TD_CONFIG_LIST_MAX);
    if (err < 0)
        return no_memory(r);
    if (td_config_list_of_texts(list))
        return set_scalar(r, &list->rows[0], entry, e);
    if (e->type != YAML_MAPPING_START_EVENT)
        return fault(r, "takes a mapping of keys.");
    struct td_config_scope scope = {.rows = list->rows, .count = list->row_count, .prefix = ""};
    return push(r, (struct frame){.is_entry = true, .scope = scope, .base = entry});
}

static int on_key(struct reader *r, const yaml_event_t *e)
{
    struct frame *f = &r->frames[r->depth - 1];
    if (e->type != YAML_SCALAR_EVENT)
        return fault(r, "a key is one word.");
    const char *name = (const char *)e->data.scalar.value;
    size_t key_len = 0;
    const struct td_config_row *row = td_config_find(&f->scope, name, &key_len);
    if (row == NULL || strlen(name) != e->data.scalar.length)
        return unknown_key(r, name, e->data.scalar.length);
    f->row = row;
    f->key_len = key_len;
    bool *seen = &f->seen[row - f->scope.rows];
    if (*seen)
        return fault(r, "is there twice.");
    *seen = true;
    return 0;
}

static int on_node(struct reader *r, const yaml_event_t *e)
{
    if (r->depth == 0) {
        struct td_config_scope top = {.prefix = ""};
        top.rows = td_config_table(&top.count);
        if (e->type == YAML_MAPPING_START_EVENT)
            return push(r, (struct frame){.scope = top, .base = r->config});
        return is_null(e) ? 0 : fault(r, "is not a mapping of keys.");
    }
    const struct frame *f = &r->frames[r->depth - 1];
    if (f->is_list)
        return on_entry(r, e);
    return f->row != NULL ? on_value(r, e) : on_key(r, e);
}

static int decorated(struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        return fault(r, "anchors are not taken.");
    return tag != NULL ? fault(r, "tags are not taken.") : 0;
}

static int on_event(struct reader *r, const yaml_event_t *e)
{
    int err = 0;
    r->line = e->start_mark.line + 1;
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return r->documents++ == 0 ? 0 : fault(r, "a second document begins.");
    case YAML_ALIAS_EVENT:
        return fault(r, "aliases are not taken.");
    case YAML_SCALAR_EVENT:
        err = decorated(r, e->data.scalar.anchor, e->data.scalar.tag);
        return err < 0 ? err : on_node(r, e);
    case YAML_SEQUENCE_START_EVENT:
        err = decorated(r, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        return err < 0 ? err : on_node(r, e);
    case YAML_MAPPING_START_EVENT:
        err = decorated(r, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        return err < 0 ? err : on_node(r, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return pop(r);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return 0;
}

/* The end of a long name, from a whole character on. */
static const char *shown_name(const char *name)
{
    size_t len = strlen(name);
    if (len <= NAME_SHOWN_MAX)
        return name;
    name += len - NAME_SHOWN_MAX;
    while (((unsigned char)*name & 0xc0u) == 0x80)
        name++;
    return name;
}

int td_config_yaml_read(struct td_config *c, const char *name, const char *text, size_t len,
                        struct td_fail *ret_fail)
{
    struct reader r = {
        .name = shown_name(name), .text = text, .line = 1, .config = c, .fail = ret_fail};
    if (yaml_parser_initialize(&r.parser) == 0)
        return no_memory(&r);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    int err = 0;
    bool ended = false;
    while (err == 0 && !ended) {
        yaml_event_t event;
        if (yaml_parser_parse(&r.parser, &event) == 0) {
            err = syntax_fault(&r, len);
            break;
        }
        err = on_event(&r, &event);
        ended = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&r.parser);
    return err;
}
