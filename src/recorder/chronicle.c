/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/chronicle.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "media/codec.h"
#include "recorder/layout.h"

#define SOFTWARE "tapedeck " TD_VERSION

void td_chronicle_init(struct td_chronicle *c, const struct td_recorder *recorder,
                       const struct td_log *log)
{
    *c = (struct td_chronicle){.recorder = recorder, .log = log};
    td_manifest_init(&c->manifest);
    TD_MANIFEST_SET(c->manifest.software, SOFTWARE);
}

void td_chronicle_done(struct td_chronicle *c)
{
    td_manifest_done(&c->manifest);
}

void td_chronicle_save(struct td_chronicle *c)
{
    if (c->manifest_path[0] == '\0')
        return;
    char *text = NULL;
    size_t len = 0;
    int r = td_manifest_write(&c->manifest, &text, &len);
    if (r == 0)
        r = td_store_replace(c->recorder->store, c->manifest_path, text, len);
    free(text);
    if (r < 0)
        td_log_line(c->log, TD_LOG_ERROR, "event=manifest_not_written path=%s error=%s",
                    c->manifest_path, td_err_name(r));
}

static void write_line(struct td_chronicle *c, const struct td_timeline_event *event)
{
    char line[TD_TIMELINE_LINE_MAX];
    int len = td_timeline_line(event, line);
    if (len <= 0)
        return;
    /* Without its line end: the log adds its own. */
    td_log_line(c->log, TD_LOG_INFO, "timeline %.*s", len - 1, line);
    if (c->line != NULL)
        c->line(c->ctx, line);
    if (c->timeline_path[0] == '\0')
        return;
    int r = td_store_append(c->recorder->store, c->timeline_path, line, (size_t)len);
    if (r < 0)
        td_log_line(c->log, TD_LOG_ERROR, "event=timeline_not_written path=%s error=%s",
                    c->timeline_path, td_err_name(r));
}

static const char *sid_of(const struct td_chronicle *c, uint32_t handle)
{
    for (unsigned i = 0; i < c->track_count; i++) {
        if (c->tracks[i].handle == handle)
            return c->tracks[i].sid;
    }
    return NULL;
}

static struct td_manifest_track *manifest_track(struct td_chronicle *c, uint32_t handle)
{
    for (unsigned i = 0; i < c->track_count; i++) {
        if (c->tracks[i].handle == handle)
            return &c->manifest.tracks[c->tracks[i].track];
    }
    return NULL;
}

static const char *role_word(enum td_track_role role)
{
    static const char *const words[] = {
        [TD_ROLE_UNKNOWN] = "unknown",           [TD_ROLE_CAMERA] = "camera",
        [TD_ROLE_MICROPHONE] = "microphone",     [TD_ROLE_SCREEN] = "screen",
        [TD_ROLE_SCREEN_AUDIO] = "screen_audio",
    };
    return words[role];
}

/* The same track again, after its source or our process was lost. */
static int known_track(const struct td_manifest *m, const struct td_track_info *info)
{
    for (size_t i = 0; i < m->track_count && info->sid[0] != '\0'; i++) {
        if (strcmp(m->tracks[i].sid, info->sid) == 0 &&
            strcmp(m->tracks[i].participant, info->participant) == 0)
            return (int)i;
    }
    return -1;
}

static int new_track(struct td_manifest *m, const struct td_track_info *info)
{
    struct td_manifest_track track = {.offset_us = TD_MANIFEST_NO_TIME};
    TD_MANIFEST_SET(track.participant, info->participant);
    TD_MANIFEST_SET(track.name, info->participant_name);
    TD_MANIFEST_SET(track.sid, info->sid);
    TD_MANIFEST_SET(track.kind, info->kind == TD_MEDIA_VIDEO ? "video" : "audio");
    TD_MANIFEST_SET(track.role, role_word(info->role));
    const struct td_codec_info *codec = td_codec_info(info->codec);
    TD_MANIFEST_SET(track.codec, codec != NULL ? codec->name : NULL);
    return td_manifest_add_track(m, &track);
}

static void remember(struct td_chronicle *c, const struct td_track_info *info)
{
    if (c->track_count == TD_TRACKS_MAX)
        return;
    int index = known_track(&c->manifest, info);
    if (index < 0)
        index = new_track(&c->manifest, info);
    if (index < 0)
        return;
    c->tracks[c->track_count].handle = info->handle;
    c->tracks[c->track_count].track = (size_t)index;
    td_manifest_set(c->tracks[c->track_count].sid, TD_TIMELINE_TEXT_MAX, info->sid);
    c->track_count++;
}

static void forget(struct td_chronicle *c, uint32_t handle)
{
    for (unsigned i = 0; i < c->track_count; i++) {
        if (c->tracks[i].handle == handle) {
            c->tracks[i] = c->tracks[--c->track_count];
            return;
        }
    }
}

void td_chronicle_track(struct td_chronicle *c, const struct td_track_info *info, bool added)
{
    if (added)
        remember(c, info);
    struct td_timeline_event event = {
        .kind = added ? TD_TIMELINE_TRACK_ADDED : TD_TIMELINE_TRACK_REMOVED,
        .wall_us = td_clock_wall_us(),
        .pts_ms = TD_TIMELINE_NO_PTS,
        .track = info->sid,
        .detail = info->participant,
    };
    write_line(c, &event);
    if (!added)
        forget(c, info->handle);
}

void td_chronicle_codec(struct td_chronicle *c, const struct td_track_binding *binding)
{
    struct td_manifest_track *track = manifest_track(c, binding->handle);
    if (track == NULL || track->codec[0] != '\0' || binding->payload_count == 0)
        return;
    const struct td_codec_info *codec = td_codec_info(binding->payloads[0].codec);
    TD_MANIFEST_SET(track->codec, codec != NULL ? codec->name : NULL);
}

void td_chronicle_muted(struct td_chronicle *c, uint32_t handle, bool muted)
{
    struct td_timeline_event event = {
        .kind = muted ? TD_TIMELINE_MUTED : TD_TIMELINE_UNMUTED,
        .wall_us = td_clock_wall_us(),
        .pts_ms = TD_TIMELINE_NO_PTS,
        .track = sid_of(c, handle),
    };
    write_line(c, &event);
}

static void number(struct td_timeline_event *line, const char *name, int64_t value)
{
    line->numbers[line->number_count++] = (struct td_timeline_number){.name = name, .value = value};
}

static const char *codec_word(int64_t codec)
{
    const struct td_codec_info *info = td_codec_info((enum td_codec)codec);
    return info != NULL ? info->name : "unknown";
}

void td_chronicle_event(struct td_chronicle *c, const struct td_event *event)
{
    struct td_timeline_event line = {
        .wall_us = event->wall_us,
        .pts_ms = event->pts_us / TD_US_PER_MS,
        .track = sid_of(c, event->track),
    };
    switch (event->kind) {
    case TD_EVENT_GAP:
        line.kind = TD_TIMELINE_GAP;
        number(&line, "to_ms", event->to_us / TD_US_PER_MS);
        number(&line, "packets", event->a);
        number(&line, "frames", event->b);
        break;
    case TD_EVENT_DROP:
        line.kind = TD_TIMELINE_DROP;
        number(&line, "to_ms", event->to_us / TD_US_PER_MS);
        number(&line, "frames", event->a);
        break;
    case TD_EVENT_SILENT:
        line.kind = TD_TIMELINE_GAP;
        line.pts_ms = TD_TIMELINE_NO_PTS;
        line.detail = "silent";
        number(&line, "silent_ms", event->a / TD_US_PER_MS);
        break;
    case TD_EVENT_CODEC:
        line.kind = TD_TIMELINE_CODEC;
        line.detail = codec_word(event->b);
        break;
    case TD_EVENT_RESOLUTION:
        line.kind = TD_TIMELINE_RESOLUTION;
        number(&line, "width", event->a);
        number(&line, "height", event->b);
        break;
    case TD_EVENT_FIRST_FRAME: {
        struct td_manifest_track *track = manifest_track(c, event->track);
        if (track != NULL && track->offset_us == TD_MANIFEST_NO_TIME)
            track->offset_us = event->pts_us;
        return;
    }
    case TD_EVENT_DURATION:
        line.kind = TD_TIMELINE_LIMIT;
        line.detail = "duration";
        break;
    case TD_EVENT_BACKLOG:
        line.kind = TD_TIMELINE_DISK_SLOW;
        break;
    case TD_EVENT_PAUSED:
        line.kind = TD_TIMELINE_PAUSED;
        break;
    case TD_EVENT_RESUMED:
        line.kind = TD_TIMELINE_RESUMED;
        number(&line, "paused_ms", event->a / TD_US_PER_MS);
        c->manifest.paused_us += event->a;
        break;
    case TD_EVENT_REFUSED:
        line.kind = TD_TIMELINE_LIMIT;
        line.detail = codec_word(event->a);
        break;
    case TD_EVENT_LIMIT:
        line.kind = TD_TIMELINE_LIMIT;
        line.detail = "tracks";
        break;
    case TD_EVENT_FAILED:
        line.kind = TD_TIMELINE_LIMIT;
        line.detail = td_err_name((int)event->a);
        break;
    }
    write_line(c, &line);
}

void td_chronicle_note(struct td_chronicle *c, enum td_timeline_kind kind, int64_t pts_ms,
                       const char *detail, const struct td_timeline_number *numbers, size_t count)
{
    struct td_timeline_event event = {
        .kind = kind, .wall_us = td_clock_wall_us(), .pts_ms = pts_ms, .detail = detail};
    for (size_t i = 0; i < count && i < TD_TIMELINE_NUMBERS_MAX; i++)
        event.numbers[event.number_count++] = numbers[i];
    write_line(c, &event);
}

void td_chronicle_interrupted(struct td_chronicle *c, int64_t wall_us, int64_t pts_us,
                              const char *why)
{
    struct td_manifest *m = &c->manifest;
    struct td_manifest_break entry = {
        .wall_us = wall_us, .pts_us = pts_us, .resumed_us = TD_MANIFEST_NO_TIME};
    if (m->break_count > 0 && m->breaks[m->break_count - 1].resumed_us == TD_MANIFEST_NO_TIME)
        return;
    if (td_manifest_add_break(m, &entry) < 0)
        td_log_line(c->log, TD_LOG_ERROR, "event=manifest_full interruptions=%zu", m->break_count);
    struct td_timeline_event line = {
        .kind = TD_TIMELINE_INTERRUPTED,
        .wall_us = wall_us,
        .pts_ms = pts_us / TD_US_PER_MS,
        .detail = why,
    };
    write_line(c, &line);
}

void td_chronicle_recovered(struct td_chronicle *c, int64_t pts_us)
{
    struct td_manifest *m = &c->manifest;
    if (m->break_count == 0 || m->breaks[m->break_count - 1].resumed_us != TD_MANIFEST_NO_TIME)
        return;
    struct td_manifest_break *entry = &m->breaks[m->break_count - 1];
    entry->resumed_us = pts_us;
    struct td_timeline_event line = {
        .kind = TD_TIMELINE_RECOVERED,
        .wall_us = td_clock_wall_us(),
        .pts_ms = pts_us / TD_US_PER_MS,
    };
    number(&line, "hole_ms", (pts_us - entry->pts_us) / TD_US_PER_MS);
    write_line(c, &line);
}

void td_chronicle_output(struct td_chronicle *c, const char *participant, const char *role,
                         const char *name)
{
    struct td_manifest_output output = {.parts = NULL};
    TD_MANIFEST_SET(output.name, name);
    TD_MANIFEST_SET(output.participant, participant);
    TD_MANIFEST_SET(output.role, role);
    if (td_manifest_add_output(&c->manifest, &output) < 0)
        td_log_line(c->log, TD_LOG_ERROR, "event=manifest_full output=%s", role);
}

static int64_t duration_ms(const struct td_part *part)
{
    return part->scan.duration_us / TD_US_PER_MS;
}

void td_chronicle_part(struct td_chronicle *c, const struct td_part *part, const char *state,
                       uint64_t bytes)
{
    if (part->output >= c->manifest.output_count)
        return;
    struct td_manifest_output *output = &c->manifest.outputs[part->output];
    bool growing = strcmp(state, "growing") == 0;
    const char *file = td_layout_name(strcmp(state, "complete") == 0 ? part->final : part->growing);
    if (part->number > output->part_count) {
        struct td_manifest_part entry = {.first_pts_us = part->first_pts_us};
        TD_MANIFEST_SET(entry.format, part->format->name);
        if (td_manifest_add_part(&c->manifest, part->output, &entry) < 0)
            return;
    }
    struct td_manifest_part *entry = &output->parts[output->part_count - 1];
    if (part->number <= output->part_count)
        entry = &output->parts[part->number - 1];
    TD_MANIFEST_SET(entry->file, file);
    TD_MANIFEST_SET(entry->state, state);
    entry->bytes = bytes;
    entry->duration_ms = growing ? 0 : duration_ms(part);
}
