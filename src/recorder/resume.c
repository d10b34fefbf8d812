/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/resume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/layout.h"

struct search {
    struct td_fs *fs;
    struct td_resume *resume;
    void (*each)(void *ctx, const struct td_recover_report *report);
    void *ctx;
};

struct td_resume *td_resume_free(struct td_resume *r)
{
    if (r == NULL)
        return NULL;
    td_manifest_done(&r->manifest);
    free(r->ends);
    free(r);
    return NULL;
}

static bool is_over(const struct td_manifest *m)
{
    static const char *const states[] = {"finishing", "complete", "failed", "aborted"};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(m->state, states[i]) == 0)
            return true;
    }
    return false;
}

static void media_ended_at(struct td_resume *resume, int64_t pts_us)
{
    const struct td_manifest *m = &resume->manifest;
    if (pts_us > resume->last_pts_us)
        resume->last_pts_us = pts_us;
    resume->last_wall_us = m->zero_us != TD_MANIFEST_NO_TIME
                               ? m->zero_us + m->paused_us + resume->last_pts_us
                               : td_clock_wall_us();
}

static int64_t part_end_us(const struct td_manifest_part *part)
{
    int64_t first_us = part->first_pts_us != TD_MANIFEST_NO_TIME ? part->first_pts_us : 0;
    return first_us + part->duration_ms * TD_US_PER_MS;
}

static void repaired(struct search *s, struct td_manifest_part *part, int r,
                     const struct td_recover_report *report)
{
    if (r == 0) { /* it goes on in place */
        TD_MANIFEST_SET(part->format, report->format);
        part->bytes = report->bytes_after;
        part->duration_ms = report->scan.duration_us / TD_US_PER_MS;
    } else if (r == TD_RECOVER_FINISHED) {
        td_recover_note(part, report);
    } else {
        TD_MANIFEST_SET(part->state, "failed");
    }
    if (r != TD_RECOVER_NOTHING)
        s->each(s->ctx, report);
}

/* Only the last part goes on, and under the name that whoever goes on will look for; those before
 * it were on their way to their last names. */
static bool may_go_on(const struct td_manifest_output *o, size_t number)
{
    const struct td_manifest_part *part = &o->parts[number];
    const struct td_mux_ops *format = td_mux_by_name(part->format);
    char growing[TD_PATH_MAX];
    return number + 1 == o->part_count && format != NULL &&
           td_layout_growing(o->name, (unsigned)number + 1, format->extension, growing) == 0 &&
           strcmp(growing, part->file) == 0;
}

static int mend_file(struct search *s, const char *path, size_t output, bool goes_on,
                     struct td_recover_report *ret_report)
{
    struct td_resume_end *end = &s->resume->ends[output];
    int r = goes_on ? td_recover_in_place(s->fs, path, ret_report, &end->tail)
                    : td_recover_file(s->fs, path, false, ret_report);
    if (r == 0 && goes_on)
        end->open = true;
    if (r == TD_RECOVER_LOCKED)
        return -EAGAIN;
    return r == 0 && !goes_on ? TD_RECOVER_FINISHED : r;
}

/* What no manifest says is said by the last write. */
static void guess_zero(struct search *s, const struct td_manifest_part *part, int64_t written_us)
{
    struct td_manifest *m = &s->resume->manifest;
    if (m->zero_us == TD_MANIFEST_NO_TIME)
        m->zero_us = written_us - m->paused_us - part_end_us(part);
}

static int settle(struct search *s, struct td_manifest_part *part)
{
    char path[TD_PATH_MAX];
    struct td_fs_stat st;
    int r = td_recover_settle(s->fs, s->resume->folder, part);
    if (r <= 0)
        return r;
    r = td_layout_path(path, "%s/%s", s->resume->folder, part->file);
    if (r == 0)
        r = td_fs_stat_path(s->fs, path, &st);
    if (r == 0)
        guess_zero(s, part, st.mtime_us);
    return r;
}

static int mend_part(struct search *s, size_t output, size_t number)
{
    struct td_manifest_output *o = &s->resume->manifest.outputs[output];
    struct td_manifest_part *part = &o->parts[number];
    struct td_recover_report report;
    struct td_fs_stat st;
    char path[TD_PATH_MAX];
    if (strcmp(part->state, "growing") != 0)
        return 0;
    int r = td_layout_path(path, "%s/%s", s->resume->folder, part->file);
    if (r == 0)
        r = td_fs_stat_path(s->fs, path, &st);
    if (r == -ENOENT)
        return settle(s, part);
    if (r == 0)
        r = mend_file(s, path, output, may_go_on(o, number), &report);
    if (r < 0 && r != -TD_E_DAMAGED)
        return r;
    repaired(s, part, r, &report);
    if (r == 0 || r == TD_RECOVER_FINISHED)
        guess_zero(s, part, st.mtime_us);
    return 0;
}

static int64_t ended_us(const struct td_resume *resume, size_t output, size_t number)
{
    const struct td_manifest_output *o = &resume->manifest.outputs[output];
    const struct td_resume_end *end = &resume->ends[output];
    bool open = end->open && number + 1 == o->part_count;
    return open ? end->tail.newest_us : part_end_us(&o->parts[number]);
}

static void name_output(struct td_manifest_output *output)
{
    if (output->name[0] != '\0' || output->part_count == 0)
        return;
    /* Written by an older version: the file of its first part says it. */
    TD_MANIFEST_SET(output->name, output->parts[0].file);
    char *mark = strstr(output->name, ".recording.");
    char *dot = mark != NULL ? mark : strrchr(output->name, '.');
    if (dot != NULL)
        *dot = '\0';
}

/* A file that was begun just before the process died: the manifest names the output, not yet the
 * part. 1 when there was one; it may have its last name by now. */
static int find_unlisted(struct search *s, size_t output)
{
    struct td_manifest *m = &s->resume->manifest;
    const struct td_manifest_output *o = &m->outputs[output];
    unsigned number = (unsigned)o->part_count + 1;
    size_t count = 0;
    const struct td_mux_ops *const *table = td_mux_table(&count);
    char base[TD_PATH_MAX];
    int r = td_layout_path(base, "%s/%s", s->resume->folder, o->name);
    for (size_t i = 0; r == 0 && o->name[0] != '\0' && i < 2 * count; i++) {
        const struct td_mux_ops *format = table[i / 2];
        struct td_manifest_part part = {.first_pts_us = TD_MANIFEST_NO_TIME};
        struct td_fs_stat st;
        char growing[TD_PATH_MAX];
        char final[TD_PATH_MAX];
        r = td_layout_growing(base, number, format->extension, growing);
        if (r == 0)
            r = td_layout_final(base, number, format->extension, final);
        if (r == 0)
            r = td_fs_stat_path(s->fs, i % 2 == 0 ? growing : final, &st);
        if (r == -ENOENT || (r == 0 && !st.is_file)) {
            r = 0;
            continue;
        }
        TD_MANIFEST_SET(part.file, td_layout_name(growing));
        TD_MANIFEST_SET(part.format, format->name);
        TD_MANIFEST_SET(part.state, "growing");
        if (r == 0)
            r = td_manifest_add_part(m, output, &part);
        return r < 0 ? r : 1;
    }
    return r;
}

static int mend(struct search *s)
{
    struct td_manifest *m = &s->resume->manifest;
    for (size_t i = 0; i < m->output_count; i++) {
        int r = 0;
        name_output(&m->outputs[i]);
        do {
            r = find_unlisted(s, i);
        } while (r == 1);
        for (size_t k = 0; k < m->outputs[i].part_count && r == 0; k++) {
            r = mend_part(s, i, k);
            if (r == 0 && strcmp(m->outputs[i].parts[k].state, "failed") != 0)
                media_ended_at(s->resume, ended_us(s->resume, i, k));
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int find(struct search *s, const char *path)
{
    struct td_resume *resume = s->resume;
    struct td_manifest *m = &resume->manifest;
    resume->ends = calloc(m->output_count + 1, sizeof(*resume->ends));
    if (resume->ends == NULL)
        return -ENOMEM;
    int r = mend(s);
    if (r == 0 && resume->last_wall_us != TD_MANIFEST_NO_TIME)
        r = td_recover_interrupted(s->fs, resume->folder, m, resume->last_pts_us);
    if (r < 0)
        return r;
    TD_MANIFEST_SET(m->state, "interrupted");
    return td_recover_save(s->fs, path, m);
}

int td_resume_find(struct td_fs *fs, const char *folder,
                   void (*each)(void *ctx, const struct td_recover_report *report), void *ctx,
                   struct td_resume **ret_resume)
{
    char path[TD_PATH_MAX];
    struct td_resume *resume = calloc(1, sizeof(*resume));
    if (resume == NULL)
        return -ENOMEM;
    td_manifest_init(&resume->manifest);
    resume->last_wall_us = TD_MANIFEST_NO_TIME;
    struct search search = {.fs = fs, .resume = resume, .each = each, .ctx = ctx};
    int r = td_layout_path(resume->folder, "%s", folder);
    if (r == 0)
        r = td_layout_path(path, "%s/manifest.json", folder);
    if (r == 0)
        r = td_recover_load(fs, path, &resume->manifest);
    bool none = r == -ENOENT || (r == 0 && is_over(&resume->manifest));
    if (none) {
        r = td_recover_close(fs, folder, each, ctx);
        r = r < 0 ? r : TD_RESUME_NONE;
    } else if (r == 0) {
        r = find(&search, path);
    }
    if (r != 0) {
        td_resume_free(resume);
        return r;
    }
    *ret_resume = resume;
    return 0;
}
