/* SPDX-License-Identifier: Apache-2.0 */
#include "store/timeline.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/utf8.h"

static const char *const timeline_words[TD_TIMELINE_MAX] = {
#define TIMELINE_WORD(name, word) [TD_TIMELINE_##name] = word,
    TD_TIMELINE_EVENTS(TIMELINE_WORD)
#undef TIMELINE_WORD
};

/* A line under construction; `full` once something did not fit. */
struct timeline_text {
    char *bytes;
    size_t len;
    bool full;
};

const char *td_timeline_word(enum td_timeline_kind kind)
{
    assert(kind >= 0 && kind < TD_TIMELINE_MAX);
    return timeline_words[kind];
}

static void text_add(struct timeline_text *t, const char *text, size_t len)
{
    /* One byte stays for the NUL. */
    if (t->full || len >= TD_TIMELINE_LINE_MAX - t->len) {
        t->full = true;
        return;
    }
    memcpy(t->bytes + t->len, text, len);
    t->len += len;
}

static void text_add_string(struct timeline_text *t, const char *text)
{
    text_add(t, text, strlen(text));
}

/* RFC 8259 section 7: quotation mark, backslash and control characters are escaped; what is no
 * UTF-8 becomes U+FFFD. */
static void text_add_quoted(struct timeline_text *t, const char *text)
{
    text_add_string(t, "\"");
    const char *end = text + strlen(text);
    for (unsigned count = 0; text < end && count < TD_TIMELINE_TEXT_MAX; count++) {
        size_t len = td_utf8_len(text, (size_t)(end - text));
        unsigned char c = (unsigned char)*text;
        if (len == 0) {
            text_add_string(t, "\xef\xbf\xbd");
            len = 1;
        } else if (c == '"' || c == '\\') {
            char escaped[2] = {'\\', (char)c};
            text_add(t, escaped, sizeof(escaped));
        } else if (c < 0x20) {
            char escaped[8];
            int n = snprintf(escaped, sizeof(escaped), "\\u%04x", c);
            text_add(t, escaped, (size_t)n);
        } else {
            text_add(t, text, len);
        }
        text += len;
    }
    text_add_string(t, "\"");
}

static void text_add_number(struct timeline_text *t, const char *name, int64_t value)
{
    char number[24];
    int n = snprintf(number, sizeof(number), "%" PRId64, value);
    text_add_string(t, ",\"");
    text_add_string(t, name);
    text_add_string(t, "\":");
    text_add(t, number, (size_t)n);
}

static void text_add_word(struct timeline_text *t, const char *name, const char *value)
{
    if (value != NULL) {
        text_add_string(t, ",\"");
        text_add_string(t, name);
        text_add_string(t, "\":");
        text_add_quoted(t, value);
    }
}

int td_timeline_line(const struct td_timeline_event *event,
                     char ret_line[static TD_TIMELINE_LINE_MAX])
{
    assert(event->number_count <= TD_TIMELINE_NUMBERS_MAX);
    char time[TD_CLOCK_TEXT_MAX];
    td_clock_rfc3339(event->wall_us, time);
    char line[TD_TIMELINE_LINE_MAX];
    struct timeline_text t = {.bytes = line};
    text_add_string(&t, "{\"t\":\"");
    text_add_string(&t, time);
    text_add_string(&t, "\",\"event\":\"");
    text_add_string(&t, td_timeline_word(event->kind));
    text_add_string(&t, "\"");
    if (event->pts_ms != TD_TIMELINE_NO_PTS) {
        text_add_number(&t, "pts_ms", event->pts_ms);
    }
    text_add_word(&t, "track", event->track);
    text_add_word(&t, "detail", event->detail);
    for (size_t i = 0; i < event->number_count; i++) {
        text_add_number(&t, event->numbers[i].name, event->numbers[i].value);
    }
    text_add_string(&t, "}\n");
    if (t.full) {
        return -TD_E_LIMIT;
    }
    memcpy(ret_line, line, t.len);
    ret_line[t.len] = '\0';
    return (int)t.len;
}
