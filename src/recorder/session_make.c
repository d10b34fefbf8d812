/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "recorder/layout.h"
#include "recorder/session_state.h"

#define ROOM_REORDER_SLOTS (4 * TD_REORDER_SLOTS)

/* ---- making one ---- */

static int make_folder(struct td_session *s, struct td_fail *ret_fail)
{
    struct td_fs *fs = s->config.recorder->fs;
    const struct td_resume *resume = s->config.resume;
    char live[TD_PATH_MAX];
    int r = resume != NULL ? td_layout_path(s->folder, "%s", resume->folder)
                           : td_layout_folder(s->config.data_dir, s->room, s->started_wall_us,
                                              s->id, s->folder);
    if (r == 0)
        r = td_layout_path(live, "%s/live", s->config.data_dir);
    if (r == 0)
        r = td_fs_mkdirs(fs, s->folder, 0755);
    if (r == 0)
        r = td_fs_mkdirs(fs, live, 0755);
    if (r == 0)
        r = td_layout_path(s->chronicle.manifest_path, "%s/manifest.json", s->folder);
    if (r == 0)
        r = td_layout_path(s->chronicle.timeline_path, "%s/timeline.jsonl", s->folder);
    if (r < 0)
        return td_fail_set(ret_fail, r, "Cannot make the folder %.150s: %s.", s->folder,
                           td_err_text(r));
    return 0;
}

static int name_single(struct td_session *s, struct td_fail *ret_fail)
{
    int r = td_layout_path(s->file_base, "%s", s->config.file_base);
    if (r == 0 && s->config.sidecar)
        r = td_layout_path(s->chronicle.manifest_path, "%s.json", s->file_base);
    if (r == 0 && s->config.sidecar)
        r = td_layout_path(s->chronicle.timeline_path, "%s.timeline.jsonl", s->file_base);
    return r < 0 ? td_fail_set(ret_fail, r, "The path is too long.") : 0;
}

static int name_session(struct td_session *s, struct td_fail *ret_fail)
{
    const struct td_session_config *config = &s->config;
    int r = 0;
    if (config->resume != NULL)
        (void)snprintf(s->id, sizeof(s->id), "%s", config->resume->manifest.id);
    else if (config->id != NULL)
        (void)snprintf(s->id, sizeof(s->id), "%s", config->id);
    else
        r = td_id_new("rec", s->id);
    if (r < 0)
        return td_fail_set(ret_fail, r, "No random numbers: %s.", td_err_text(r));
    TD_MANIFEST_SET(s->room, config->room);
    s->started_wall_us = td_clock_wall_us();
    if (config->resume != NULL && config->resume->manifest.started_us != TD_MANIFEST_NO_TIME)
        s->started_wall_us = config->resume->manifest.started_us;
    td_log_scope(&s->log, config->recorder->log, "recording=%s room=\"%s\"", s->id, s->room);
    return 0;
}

static void hear_line(void *ctx, const char *line)
{
    struct td_session *s = ctx;
    if (s->config.event != NULL)
        s->config.event(s->config.ctx, line);
}

static int prepare(struct td_session *s, struct td_fail *ret_fail)
{
    const struct td_session_config *config = &s->config;
    td_chronicle_init(&s->chronicle, config->recorder, &s->log);
    s->chronicle.line = hear_line;
    s->chronicle.ctx = s;
    int r = name_session(s, ret_fail);
    if (r < 0)
        return r;
    struct td_manifest *manifest = &s->chronicle.manifest;
    TD_MANIFEST_SET(manifest->id, s->id);
    TD_MANIFEST_SET(manifest->room, s->room);
    TD_MANIFEST_SET(manifest->source, config->source);
    if (config->request != NULL && td_manifest_set_request(manifest, config->request) < 0)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    manifest->started_us = s->started_wall_us;
    return config->file_base != NULL ? name_single(s, ret_fail) : make_folder(s, ret_fail);
}

/* ---- going on with what another process left ---- */

/* Local time of pts 0, by the wall clock; it may have been set back, time on the line may not. */
static int64_t resumed_zero_us(const struct td_resume *resume)
{
    const struct td_manifest *m = &resume->manifest;
    if (m->zero_us == TD_MANIFEST_NO_TIME)
        return INT64_MIN;
    int64_t now_us = td_clock_now_us();
    int64_t pts_us = td_clock_wall_us() - m->zero_us - m->paused_us;
    if (pts_us <= resume->last_pts_us)
        pts_us = resume->last_pts_us + TD_US_PER_MS;
    return now_us - pts_us;
}

/* What is wrong with the manifest is known before anything runs. */
static int adopt_names(struct td_session *s)
{
    const struct td_manifest *m = &s->config.resume->manifest;
    int r = 0;
    for (size_t i = 0; i < m->output_count && r == 0; i++) {
        const struct td_manifest_output *output = &m->outputs[i];
        char base[TD_PATH_MAX];
        r = td_layout_path(base, "%s/%s", s->folder, output->name);
        if (r == 0 && strchr(output->name, '/') != NULL)
            r = -TD_E_DAMAGED;
        if (r == 0)
            r = td_roster_adopt(&s->roster, output->participant,
                                strcmp(output->role, "screen") == 0, output->name);
    }
    return r;
}

static int adopt_output(struct td_session *s, unsigned index)
{
    const struct td_resume *resume = s->config.resume;
    const struct td_manifest_output *output = &resume->manifest.outputs[index];
    const struct td_resume_end *end = &resume->ends[index];
    char base[TD_PATH_MAX];
    int r = td_layout_path(base, "%s/%s", s->folder, output->name);
    if (r < 0)
        return r;
    size_t parts = output->part_count;
    struct td_capture_output config = {
        .base = base,
        .format = s->config.format,
        .media = TD_OUTPUT_AV,
        .part_count = (unsigned)parts,
        .resumed = parts > 0 ? td_mux_by_name(output->parts[parts - 1].format) : NULL,
        .tail = end->open ? &end->tail : NULL,
    };
    for (size_t k = 0; k < parts; k++) {
        bool open = end->open && k + 1 == parts;
        s->bytes_before += open ? 0 : output->parts[k].bytes;
        s->stats.bytes += output->parts[k].bytes;
        s->media_stored = s->media_stored || strcmp(output->parts[k].state, "failed") != 0;
    }
    return td_capture_add_output(s->capture, &config);
}

/* The session has its capture and takes the manifest over. Negative: it must end. */
static int adopt(struct td_session *s)
{
    struct td_resume *resume = s->config.resume;
    int r = 0;
    for (size_t i = 0; i < resume->manifest.output_count && r == 0; i++)
        r = adopt_output(s, (unsigned)i);
    td_manifest_done(&s->chronicle.manifest);
    s->chronicle.manifest = resume->manifest;
    td_manifest_init(&resume->manifest);
    td_shelf_load(&s->shelf, &s->chronicle.manifest, s->folder);
    s->media_seen = resume->last_wall_us != TD_MANIFEST_NO_TIME;
    s->stats.pts_us = resume->last_pts_us;
    s->stats.written_bytes = s->stats.bytes;
    s->stats.synced_bytes = s->stats.bytes;
    s->paused = s->chronicle.manifest.paused;
    if (s->paused && strcmp(s->chronicle.manifest.reason, "disk") == 0)
        s->reason = "disk"; /* whoever finds space lets it go on */
    s->state = TD_SESSION_INTERRUPTED;
    s->ever_accepted = true;
    s->somebody_came = true;
    s->lost_us = td_clock_now_us();
    s->lost_why = "interrupted";
    return r;
}

static void go_on(struct td_session *s)
{
    int r = adopt(s);
    s->config.resume = td_resume_free(s->config.resume);
    if (r < 0) /* the media loop knows us: it ends as others do */
        td_session_fail(s, "internal", r, td_err_text(r));
}

int td_session_new(const struct td_session_config *config, struct td_fail *ret_fail,
                   struct td_session **ret_session)
{
    assert((config->file_base != NULL) != (config->data_dir != NULL));
    struct td_session *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        td_resume_free(config->resume);
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    }
    s->config = *config;
    s->reason = "";
    size_t limit = config->memory_limit_bytes != 0 ? config->memory_limit_bytes
                                                   : (size_t)TD_RECORDING_MEMORY_MB << 20;
    td_budget_init(&s->budget, config->recorder->budget, limit);
    struct td_capture_config capture = {
        .recorder = config->recorder,
        .budget = &s->budget,
        .duration_us = config->duration_us,
        .key_interval_us = config->key_interval_us,
        .zero_us = config->resume != NULL ? resumed_zero_us(config->resume) : INT64_MIN,
        .paused_pts_us = config->resume != NULL && config->resume->manifest.paused
                             ? config->resume->last_pts_us
                             : INT64_MIN,
        /* In a whole room many tracks wait at once; memory that is not needed is not touched. */
        .reorder_slots = config->file_base != NULL ? TD_REORDER_SLOTS : ROOM_REORDER_SLOTS,
        .dump_path = config->dump_path,
        .events = td_session_capture_events(s),
    };
    int r = prepare(s, ret_fail);
    if (r == 0 && (r = td_roster_init(&s->roster, config->file_base != NULL, config->participant,
                                      config->track)) < 0)
        (void)td_fail_set(ret_fail, r, "Out of memory.");
    if (r == 0 && config->resume != NULL && (r = adopt_names(s)) < 0)
        (void)td_fail_set(ret_fail, r, "The recording cannot go on: %s.", td_err_text(r));
    if (r == 0 && (r = td_capture_new(&capture, &s->capture)) < 0)
        (void)td_fail_set(ret_fail, r, "The recording cannot start: %s.", td_err_text(r));
    if (r < 0) {
        td_resume_free(s->config.resume);
        td_session_free(s);
        return r;
    }
    if (config->resume != NULL)
        go_on(s);
    td_session_save(s);
    *ret_session = s;
    return 0;
}
