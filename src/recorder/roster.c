/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/roster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"

int td_roster_init(struct td_roster *r, bool single, const char *participant, const char *track)
{
    *r = (struct td_roster){.single = single, .participant = participant, .track = track};
    r->present = calloc(TD_PARTICIPANTS_MAX, sizeof(*r->present));
    return r->present == NULL ? -ENOMEM : 0;
}

void td_roster_done(struct td_roster *r)
{
    while (r->track_count > 0)
        free(r->tracks[--r->track_count]);
    free(r->present);
    r->present = NULL;
    r->present_count = 0;
}

int td_roster_adopt(struct td_roster *r, const char *participant, bool screen, const char *name)
{
    if (r->output_count == TD_TRACKS_MAX)
        return -TD_E_LIMIT;
    struct td_roster_output *output = &r->outputs[r->output_count++];
    *output = (struct td_roster_output){.screen = screen, .opened = true};
    (void)snprintf(output->participant, sizeof(output->participant), "%s", participant);
    (void)snprintf(output->name, sizeof(output->name), "%s", name);
    return 0;
}

void td_roster_leave(struct td_roster *r)
{
    r->present_count = 0;
}

void td_roster_presence(struct td_roster *r, const char *identity, bool present)
{
    unsigned i = 0;
    while (i < r->present_count && strcmp(r->present[i], identity) != 0)
        i++;
    if (present && i == r->present_count) {
        if (i == TD_PARTICIPANTS_MAX) {
            r->refused++;
            return;
        }
        (void)snprintf(r->present[i], TD_SOURCE_TEXT_MAX, "%s", identity);
        r->present_count++;
    } else if (!present && i < r->present_count) {
        /* The last one may be this one. */
        memmove(r->present[i], r->present[--r->present_count], TD_SOURCE_TEXT_MAX);
    }
}

int td_roster_add(struct td_roster *r, const struct td_track_info *info)
{
    if (r->track_count == TD_TRACKS_MAX) {
        r->refused++;
        return -TD_E_LIMIT;
    }
    struct td_roster_track *track = calloc(1, sizeof(*track));
    if (track == NULL)
        return -ENOMEM;
    track->info = *info;
    r->tracks[r->track_count++] = track;
    return 0;
}

void td_roster_remove(struct td_roster *r, uint32_t handle)
{
    for (unsigned i = 0; i < r->track_count; i++) {
        if (r->tracks[i]->info.handle != handle)
            continue;
        free(r->tracks[i]);
        r->tracks[i] = r->tracks[--r->track_count];
        return;
    }
}

struct td_roster_track *td_roster_find(struct td_roster *r, uint32_t handle)
{
    for (unsigned i = 0; i < r->track_count; i++) {
        if (r->tracks[i]->info.handle == handle)
            return r->tracks[i];
    }
    return NULL;
}

static bool passes(const struct td_roster *r, const struct td_track_info *info)
{
    bool fits = r->single ? r->participant == NULL || strcmp(r->participant, info->participant) == 0
                          : td_glob_match(r->participant, info->participant);
    if (!fits)
        return false;
    return r->track == NULL || strcmp(r->track, info->sid) == 0;
}

static bool is_screen(const struct td_track_info *info)
{
    return info->role == TD_ROLE_SCREEN || info->role == TD_ROLE_SCREEN_AUDIO;
}

bool td_roster_choose(struct td_roster *r, bool waited)
{
    if (!r->single || r->chosen[0] != '\0')
        return false;
    const struct td_track_info *best = NULL;
    for (unsigned i = 0; i < r->track_count; i++) {
        const struct td_track_info *info = &r->tracks[i]->info;
        if (!passes(r, info))
            continue;
        bool named = r->participant != NULL || r->track != NULL;
        if (info->kind != TD_MEDIA_VIDEO && !waited && !named)
            continue;
        if (best == NULL || (best->kind != TD_MEDIA_VIDEO && info->kind == TD_MEDIA_VIDEO))
            best = info;
    }
    if (best == NULL)
        return false;
    memcpy(r->chosen, best->participant, sizeof(r->chosen));
    return true;
}

/* ".recording." marks files that grow and ".p2" a second part: an identity must look like neither,
 * or its file would stand in another's way. */
static void hide_marks(char *safe)
{
    for (char *mark = strstr(safe, ".recording"); mark != NULL; mark = strstr(mark, ".recording"))
        *mark = '_';
    char *dot = strrchr(safe, '.');
    if (dot != NULL && dot[1] == 'p' && dot[2] != '\0' &&
        strspn(dot + 2, "0123456789") == strlen(dot + 2))
        *dot = '_';
}

/* File names are made from untrusted identities; a second one that maps to the same gets "-2". */
static void name_output(struct td_roster *r, struct td_roster_output *output)
{
    char safe[TD_NAME_MAX];
    td_name_sanitise(output->participant, safe);
    hide_marks(safe);
    const char *tail = output->screen ? ".screen" : "";
    for (unsigned number = 1; number <= TD_TRACKS_MAX + 1; number++) {
        if (number == 1)
            (void)snprintf(output->name, sizeof(output->name), "%s%s", safe, tail);
        else
            (void)snprintf(output->name, sizeof(output->name), "%s-%u%s", safe, number, tail);
        bool taken = false;
        for (unsigned i = 0; i < r->output_count; i++)
            taken = taken || strcmp(r->outputs[i].name, output->name) == 0;
        if (!taken)
            return;
    }
}

static int output_for(struct td_roster *r, const struct td_track_info *info, unsigned *ret_output)
{
    bool screen = !r->single && is_screen(info);
    for (unsigned i = 0; i < r->output_count; i++) {
        const struct td_roster_output *output = &r->outputs[i];
        if (output->screen == screen && strcmp(output->participant, info->participant) == 0) {
            *ret_output = i;
            return 0;
        }
    }
    if (r->output_count == TD_TRACKS_MAX) {
        r->refused++;
        return -TD_E_LIMIT;
    }
    struct td_roster_output output = {.screen = screen};
    memcpy(output.participant, info->participant, sizeof(output.participant));
    name_output(r, &output);
    r->outputs[r->output_count] = output;
    *ret_output = r->output_count++;
    return 0;
}

/* In one file there is one picture: a screen share only where there is no camera. */
static bool fits_single(const struct td_roster *r, const struct td_track_info *info)
{
    if (r->track == NULL && is_screen(info)) {
        for (unsigned i = 0; i < r->track_count; i++) {
            const struct td_track_info *other = &r->tracks[i]->info;
            if (strcmp(other->participant, info->participant) == 0 && !is_screen(other) &&
                other->kind == info->kind)
                return false;
        }
    }
    for (unsigned i = 0; i < r->track_count; i++) {
        const struct td_roster_track *other = r->tracks[i];
        if (other->wanted && other->info.kind == info->kind)
            return false;
    }
    return true;
}

struct td_roster_track *td_roster_next(struct td_roster *r)
{
    for (unsigned i = 0; i < r->track_count; i++) {
        struct td_roster_track *track = r->tracks[i];
        if (track->recorded || track->refused)
            continue;
        if (track->wanted)
            return track;
        if (!passes(r, &track->info))
            continue;
        if (r->single &&
            (strcmp(r->chosen, track->info.participant) != 0 || !fits_single(r, &track->info)))
            continue;
        track->refused = output_for(r, &track->info, &track->output) < 0;
        if (track->refused)
            continue;
        track->wanted = true;
        return track;
    }
    return NULL;
}
