/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/shelf.h"

#include <string.h>

#include "base/clock.h"
#include "recorder/layout.h"

static const char *role_word(const char *role)
{
    return strcmp(role, "screen") == 0 ? "screen" : "av";
}

static const char *state_word(const char *state)
{
    static const char *const words[] = {"growing", "complete", "recovered", "failed"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], state) == 0)
            return words[i];
    }
    return "failed";
}

static void remove_entry(struct td_shelf *s, unsigned index)
{
    s->count--;
    size_t after = s->count - index;
    memmove(&s->entries[index], &s->entries[index + 1], after * sizeof(s->entries[0]));
    memmove(&s->parts[index], &s->parts[index + 1], after * sizeof(s->parts[0]));
}

/* A new entry; NULL when all of the shelf grows. */
static struct td_shelf_entry *add(struct td_shelf *s, const struct td_part *part)
{
    for (unsigned i = 0; s->count == TD_SHELF_MAX && i < s->count; i++) {
        if (!s->entries[i].growing)
            remove_entry(s, i);
    }
    if (s->count == TD_SHELF_MAX)
        return NULL; /* what grows on is counted, and in the manifest, but not shown */
    s->parts[s->count] = part;
    s->entries[s->count] = (struct td_shelf_entry){.state = "growing", .growing = part != NULL};
    return &s->entries[s->count++];
}

static struct td_shelf_entry *find(struct td_shelf *s, unsigned output, unsigned part)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->entries[i].output == output && s->entries[i].part == part)
            return &s->entries[i];
    }
    return NULL;
}

void td_shelf_load(struct td_shelf *s, const struct td_manifest *manifest, const char *folder)
{
    for (size_t i = 0; i < manifest->output_count; i++) {
        const struct td_manifest_output *output = &manifest->outputs[i];
        for (size_t k = 0; k < output->part_count; k++) {
            const struct td_manifest_part *part = &output->parts[k];
            struct td_shelf_entry *entry = add(s, NULL);
            if (entry == NULL)
                return;
            if (td_layout_path(entry->file, "%s/%s", folder, part->file) < 0) {
                s->count--; /* no file has such a path */
                continue;
            }
            TD_MANIFEST_SET(entry->participant, output->participant);
            const struct td_mux_ops *format = td_mux_by_name(part->format);
            entry->format = format != NULL ? format->name : "";
            entry->role = role_word(output->role);
            entry->state = state_word(part->state);
            entry->output = (unsigned)i;
            entry->part = (unsigned)k + 1;
            entry->bytes = part->bytes;
            if (part->first_pts_us != TD_MANIFEST_NO_TIME)
                entry->first_ms = part->first_pts_us / TD_US_PER_MS;
            entry->duration_ms = part->duration_ms;
        }
    }
}

void td_shelf_started(struct td_shelf *s, const struct td_part *part, const char *participant,
                      const char *role)
{
    s->growing++;
    struct td_shelf_entry *entry = find(s, part->output, part->number);
    if (entry != NULL) { /* it goes on */
        s->parts[entry - s->entries] = part;
    } else {
        entry = add(s, part);
        if (entry == NULL)
            return;
        entry->first_ms = part->first_pts_us / TD_US_PER_MS;
    }
    TD_MANIFEST_SET(entry->participant, participant);
    memcpy(entry->file, part->growing, sizeof(entry->file));
    entry->role = role_word(role);
    entry->format = part->format->name;
    entry->state = "growing";
    entry->output = part->output;
    entry->part = part->number;
    entry->growing = true;
}

void td_shelf_closed(struct td_shelf *s, const struct td_part *part, bool valid, uint64_t bytes)
{
    s->growing--;
    for (unsigned i = 0; i < s->count; i++) {
        if (s->parts[i] != part)
            continue;
        struct td_shelf_entry *entry = &s->entries[i];
        s->parts[i] = NULL;
        entry->growing = false;
        entry->bytes = bytes;
        if (part->kept)
            continue; /* another process goes on with it, or finishes it */
        entry->duration_ms = part->scan.duration_us / TD_US_PER_MS;
        entry->state = valid ? "complete" : "failed";
        if (valid)
            memcpy(entry->file, part->final, sizeof(entry->file));
    }
}

void td_shelf_progress(struct td_shelf *s, int64_t pts_ms, uint64_t bytes)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct td_shelf_entry *entry = &s->entries[i];
        if (!entry->growing)
            continue;
        entry->duration_ms = pts_ms > entry->first_ms ? pts_ms - entry->first_ms : 0;
        if (s->growing == 1 && bytes > entry->bytes)
            entry->bytes = bytes;
    }
}
