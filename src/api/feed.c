/* SPDX-License-Identifier: Apache-2.0 */
#include "api/feed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct td_feed {
    const char *boot;
    char recording[TD_ID_MAX];
    GBytes *kept[TD_FEED_KEPT]; /* event n is at n % TD_FEED_KEPT */
    uint64_t first;             /* the number of the oldest kept one */
    uint64_t next;              /* that of the next one */
    size_t bytes;
};

struct td_feed *td_feed_new(const char *boot, const char *recording_id)
{
    struct td_feed *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->boot = boot;
    f->first = f->next = 1;
    (void)snprintf(f->recording, sizeof(f->recording), "%s", recording_id);
    return f;
}

static void forget_oldest(struct td_feed *f)
{
    GBytes **oldest = &f->kept[f->first++ % TD_FEED_KEPT];
    f->bytes -= g_bytes_get_size(*oldest);
    g_clear_pointer(oldest, g_bytes_unref);
}

struct td_feed *td_feed_free(struct td_feed *f)
{
    if (f == NULL)
        return NULL;
    while (f->first < f->next)
        forget_oldest(f);
    free(f);
    return NULL;
}

const char *td_feed_recording(const struct td_feed *f)
{
    return f->recording;
}

static GBytes *make_text(const struct td_feed *f, uint64_t n, const char *name, const char *data)
{
    char *text =
        g_strdup_printf("id: %s-%" PRIu64 "\nevent: %s\ndata: %s\n\n", f->boot, n, name, data);
    return g_bytes_new_take(text, strlen(text));
}

GBytes *td_feed_add(struct td_feed *f, const char *name, const char *data)
{
    GBytes *text = make_text(f, f->next, name, data);
    size_t size = g_bytes_get_size(text);
    while (f->first < f->next &&
           (f->next - f->first == TD_FEED_KEPT || f->bytes + size > TD_FEED_KEPT_BYTES))
        forget_oldest(f);
    f->kept[f->next++ % TD_FEED_KEPT] = text;
    f->bytes += size;
    return text;
}

GBytes *td_feed_now(const struct td_feed *f, const char *name, const char *data)
{
    return make_text(f, f->next - 1, name, data);
}

/* Number of the event behind the one with this id, 0 = that is not known here. */
static uint64_t behind(const struct td_feed *f, const char *id)
{
    if (strncmp(id, f->boot, TD_FEED_BOOT_LETTERS) != 0 || id[TD_FEED_BOOT_LETTERS] != '-')
        return 0;
    const char *digits = id + TD_FEED_BOOT_LETTERS + 1;
    char *end = NULL;
    errno = 0;
    unsigned long long n = *digits >= '0' && *digits <= '9' ? strtoull(digits, &end, 10) : 0;
    if (end == NULL || *end != '\0' || errno != 0 || n >= f->next || n + 1 < f->first)
        return 0;
    return n + 1;
}

GBytes *td_feed_after(const struct td_feed *f, const char *id)
{
    uint64_t from = behind(f, id);
    if (from == 0)
        return NULL;
    GByteArray *text = g_byte_array_new();
    for (uint64_t n = from; n < f->next; n++) {
        size_t size = 0;
        const void *bytes = g_bytes_get_data(f->kept[n % TD_FEED_KEPT], &size);
        g_byte_array_append(text, bytes, (guint)size);
    }
    return g_byte_array_free_to_bytes(text);
}
