/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/layout.h"
#include "store/crashpool.h"
#include "store/manifest.h"
#include "store/timeline.h"

#define NAMES_MAX 10000u /* -2, -3 … before giving up */
/* Media that was on its way when an interruption was noted is no new beginning. */
#define SAME_BREAK_US (500 * TD_US_PER_MS)

int td_recover_pools(struct td_fs *fs, const char *runtime_dir,
                     void (*each)(void *ctx, const char *path, uint64_t bytes), void *ctx)
{
    return td_crashpool_recover(fs, runtime_dir, each, ctx);
}

/* ---- manifests ---- */

static struct td_manifest_part *manifest_part(struct td_manifest *m, const char *file)
{
    for (size_t i = 0; i < m->output_count; i++) {
        for (size_t k = 0; k < m->outputs[i].part_count; k++) {
            if (strcmp(m->outputs[i].parts[k].file, file) == 0)
                return &m->outputs[i].parts[k];
        }
    }
    return NULL;
}

int td_recover_load(struct td_fs *fs, const char *path, struct td_manifest *ret_manifest)
{
    char *text = NULL;
    size_t len = 0;
    int r = td_fs_slurp(fs, path, TD_MANIFEST_BYTES_MAX, &text, &len);
    if (r < 0)
        return r;
    r = td_manifest_read(text, len, ret_manifest);
    free(text);
    return r;
}

int td_recover_save(struct td_fs *fs, const char *path, const struct td_manifest *m)
{
    char *text = NULL;
    size_t len = 0;
    int r = td_manifest_write(m, &text, &len);
    if (r == 0)
        r = td_fs_replace(fs, path, text, len);
    free(text);
    return r;
}

void td_recover_note(struct td_manifest_part *part, const struct td_recover_report *report)
{
    TD_MANIFEST_SET(part->file, td_layout_name(report->final));
    TD_MANIFEST_SET(part->format, report->format);
    TD_MANIFEST_SET(part->state, "recovered");
    part->bytes = report->bytes_after;
    part->duration_ms = report->scan.duration_us / TD_US_PER_MS;
}

/* What `record --sidecar` wrote beside a single file: BASE.json. */
static int note_sidecar(struct td_fs *fs, const struct td_recover_report *report)
{
    const char *name = td_layout_name(report->path);
    const char *mark = strstr(name, ".recording.");
    char path[TD_PATH_MAX];
    if (mark == NULL)
        return 0;
    int r = td_layout_path(path, "%.*s.json", (int)(mark - report->path), report->path);
    struct td_manifest m;
    if (r == 0)
        r = td_recover_load(fs, path, &m);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    struct td_manifest_part *part = manifest_part(&m, name);
    if (part != NULL) {
        td_recover_note(part, report);
        TD_MANIFEST_SET(m.state, "complete");
        TD_MANIFEST_SET(m.reason, "interrupted");
        m.ended_us = td_clock_wall_us();
        r = td_recover_save(fs, path, &m);
    }
    td_manifest_done(&m);
    return r;
}

/* ---- one file ---- */

struct patient {
    struct td_fs *fs;
    struct td_fs_file file[TD_FILE_SLOTS];
    struct td_read_at input[TD_FILE_SLOTS];
    bool dry_run;
    bool read_only;           /* a dry run may look at what it may not write */
    struct td_mux_tail *tail; /* where the file goes on in place; NULL = it is finished */
    uint64_t bytes_cut;       /* of the media file */
};

static int apply(void *ctx, const struct td_file_op *op)
{
    struct patient *p = ctx;
    int handle = p->file[op->file].handle;
    uint64_t size = p->input[op->file].size;
    if (op->kind == TD_OP_TRUNCATE && op->file == TD_FILE_MEDIA && op->offset < size)
        p->bytes_cut = size - op->offset;
    if (p->dry_run || handle < 0)
        return 0;
    return td_fs_apply(p->fs, handle, op);
}

static int open_slot(struct patient *p, enum td_file_slot slot, const char *path)
{
    unsigned flags = TD_FS_READ | TD_FS_NOFOLLOW;
    int handle = td_fs_open(p->fs, path, flags | TD_FS_WRITE, 0);
    bool read_only = p->dry_run && (handle == -EACCES || handle == -EROFS || handle == -EPERM);
    if (read_only)
        handle = td_fs_open(p->fs, path, flags, 0);
    if (handle < 0)
        return handle;
    p->read_only = p->read_only || read_only;
    p->file[slot] = (struct td_fs_file){.fs = p->fs, .handle = handle};
    return td_fs_input(&p->file[slot], &p->input[slot]);
}

static int close_slots(struct patient *p)
{
    int first = 0;
    for (unsigned i = 0; i < TD_FILE_SLOTS; i++) {
        if (p->file[i].handle < 0)
            continue;
        int r = td_fs_close(p->fs, p->file[i].handle);
        p->file[i].handle = -1;
        if (first == 0)
            first = r;
    }
    return first;
}

/* 1, 0, or negative when it cannot be said. */
static int exists(struct td_fs *fs, const char *path)
{
    struct td_fs_stat st;
    int r = td_fs_stat_path(fs, path, &st);
    return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

int td_recover_free_name(struct td_fs *fs, const char *final, char ret_path[static TD_PATH_MAX])
{
    const char *name = td_layout_name(final);
    const char *dot = strrchr(name, '.');
    const char *extension = dot != NULL && dot != name ? dot : name + strlen(name);
    int base = (int)(extension - final);
    for (unsigned number = 1; number <= NAMES_MAX; number++) {
        char growing[TD_PATH_MAX];
        int r = number == 1 ? td_layout_path(ret_path, "%s", final)
                            : td_layout_path(ret_path, "%.*s-%u%s", base, final, number, extension);
        if (r == 0)
            r = number == 1 ? td_layout_path(growing, "%.*s.recording%s", base, final, extension)
                            : td_layout_path(growing, "%.*s-%u.recording%s", base, final, number,
                                             extension);
        if (r == 0)
            r = exists(fs, ret_path);
        if (r == 0)
            r = exists(fs, growing);
        if (r <= 0)
            return r;
    }
    return -EEXIST;
}

/* What the final name will be: our own growing file does not stand in its way. */
static int final_name(struct td_fs *fs, const char *path, char ret_path[static TD_PATH_MAX])
{
    int r = td_layout_is_growing(path, ret_path);
    if (r < 0)
        return r;
    if (r == 0)
        return td_layout_path(ret_path, "%s", path);
    r = exists(fs, ret_path);
    if (r <= 0)
        return r;
    char wanted[TD_PATH_MAX];
    memcpy(wanted, ret_path, sizeof(wanted));
    return td_recover_free_name(fs, wanted, ret_path);
}

static int publish(struct td_fs *fs, const char *index, const struct td_recover_report *report)
{
    int r = 0;
    if (strcmp(report->path, report->final) != 0) {
        r = td_fs_rename(fs, report->path, report->final, false);
        if (r == 0)
            r = td_fs_sync_parent(fs, report->final);
    }
    if (r == 0)
        r = exists(fs, index);
    if (r <= 0)
        return r;
    /* After the rename: a crash between the two leaves an index that nobody reads. */
    return td_fs_unlink(fs, index);
}

/* Reads on, and remembers that it could not. */
struct probing {
    const struct td_read_at *media;
    int error;
};

static int64_t probe_at(void *ctx, uint64_t offset, void *ret_bytes, size_t len)
{
    struct probing *probing = ctx;
    int64_t n = probing->media->read_at(probing->media->ctx, offset, ret_bytes, len);
    if (n < 0)
        probing->error = (int)n;
    return n;
}

/* A file that cannot be read is no file without media. */
static int find_format(const struct patient *p, const struct td_mux_ops **ret_ops)
{
    struct probing probing = {.media = &p->input[TD_FILE_MEDIA]};
    struct td_read_at media = {.read_at = probe_at, .ctx = &probing, .size = probing.media->size};
    *ret_ops = td_mux_by_content(&media);
    if (probing.error < 0)
        return probing.error;
    return *ret_ops == NULL ? TD_RECOVER_NOTHING : 0;
}

static int seal(struct patient *p, struct td_recover_report *report)
{
    const struct td_mux_ops *ops = NULL;
    int r = find_format(p, &ops);
    if (r != 0)
        return r;
    report->format = ops->name;
    struct td_op_sink sink = {.emit = apply, .ctx = p};
    r = td_mux_seal(ops, &p->input[TD_FILE_MEDIA], &p->input[TD_FILE_INDEX], &sink, &report->scan);
    if (r < 0)
        return r;
    report->bytes_cut = p->bytes_cut;
    report->bytes_after = report->scan.valid_bytes;
    if (p->dry_run)
        return 0;
    r = td_fs_sync(p->fs, p->file[TD_FILE_MEDIA].handle);
    if (r < 0)
        return r;
    struct td_fs_stat st;
    r = td_fs_fstat(p->fs, p->file[TD_FILE_MEDIA].handle, &st);
    if (r == 0)
        report->bytes_after = st.size;
    return r;
}

/* 0 when the sealed file can go on, TD_MUX_NEXT_PART when not. */
static int find_tail(struct patient *p, const struct td_recover_report *report)
{
    struct td_read_at media;
    int r = td_fs_input(&p->file[TD_FILE_MEDIA], &media);
    return r < 0 ? r : td_mux_tail(td_mux_by_name(report->format), &media, p->tail);
}

static int recover_open(struct patient *p, const char *index, struct td_recover_report *report)
{
    int r = open_slot(p, TD_FILE_MEDIA, report->path);
    if (r < 0)
        return r;
    if (!p->read_only) { /* a dry run leaves running recorders alone too */
        r = td_fs_lock(p->fs, p->file[TD_FILE_MEDIA].handle);
        if (r == -EAGAIN)
            return TD_RECOVER_LOCKED;
        if (r < 0)
            return r;
    }
    report->bytes_before = p->input[TD_FILE_MEDIA].size;
    r = open_slot(p, TD_FILE_INDEX, index);
    if (r < 0 && r != -ENOENT)
        return r;
    r = seal(p, report);
    if (r != 0 || p->dry_run)
        return r;
    if (p->tail != NULL) {
        r = find_tail(p, report);
        if (r <= 0)
            return r;
    }
    r = publish(p->fs, index, report);
    return r == 0 && p->tail != NULL ? TD_RECOVER_FINISHED : r;
}

static int treat(struct td_fs *fs, const char *path, bool dry_run, struct td_mux_tail *tail,
                 struct td_recover_report *report)
{
    *report = (struct td_recover_report){.format = NULL};
    struct patient p = {
        .fs = fs,
        .dry_run = dry_run,
        .tail = tail,
        .file = {[TD_FILE_MEDIA] = {.handle = -1}, [TD_FILE_INDEX] = {.handle = -1}}};
    char index[TD_PATH_MAX];
    int r = td_layout_path(report->path, "%s", path);
    if (r == 0)
        r = final_name(fs, path, report->final);
    if (r == 0)
        r = td_layout_path(index, "%s.idx", path);
    if (r == 0)
        r = recover_open(&p, index, report);
    int closed = close_slots(&p);
    if (r >= 0 && closed < 0)
        r = closed;
    if (r == 0 && !dry_run && tail == NULL)
        r = note_sidecar(fs, report);
    report->error = r < 0 ? r : 0;
    return r;
}

int td_recover_file(struct td_fs *fs, const char *path, bool dry_run,
                    struct td_recover_report *ret_report)
{
    return treat(fs, path, dry_run, NULL, ret_report);
}

int td_recover_in_place(struct td_fs *fs, const char *path, struct td_recover_report *ret_report,
                        struct td_mux_tail *ret_tail)
{
    return treat(fs, path, false, ret_tail, ret_report);
}

/* What a finished file holds. */
static int measure(struct td_fs *fs, const char *path, struct td_manifest_part *part)
{
    struct td_recover_report report;
    int r = treat(fs, path, true, NULL, &report);
    if (r == TD_RECOVER_LOCKED)
        return -EAGAIN;
    if (r < 0 && r != -TD_E_DAMAGED)
        return r;
    part->bytes = report.bytes_before;
    if (r == 0) {
        TD_MANIFEST_SET(part->format, report.format);
        part->duration_ms = report.scan.duration_us / TD_US_PER_MS;
    }
    return 0;
}

/* Killed between the last name of a file and the end of its index. */
static int drop_index(struct td_fs *fs, const char *growing)
{
    char index[TD_PATH_MAX];
    int r = td_layout_path(index, "%s.idx", growing);
    if (r == 0)
        r = td_fs_unlink(fs, index);
    return r == -ENOENT ? 0 : r;
}

int td_recover_settle(struct td_fs *fs, const char *folder, struct td_manifest_part *part)
{
    char growing[TD_PATH_MAX];
    char final[TD_PATH_MAX];
    int r = td_layout_path(growing, "%s/%s", folder, part->file);
    if (r == 0)
        r = td_layout_is_growing(growing, final);
    if (r == 1)
        r = exists(fs, final);
    if (r == 1) {
        r = measure(fs, final, part);
        if (r == 0)
            r = drop_index(fs, growing);
        if (r == 0)
            TD_MANIFEST_SET(part->file, td_layout_name(final));
        r = r < 0 ? r : 1;
    }
    if (r >= 0)
        TD_MANIFEST_SET(part->state, r == 1 ? "complete" : "failed");
    return r;
}

int64_t td_recover_end_us(const struct td_manifest *m)
{
    int64_t end_us = TD_MANIFEST_NO_TIME;
    for (size_t i = 0; i < m->output_count; i++) {
        for (size_t k = 0; k < m->outputs[i].part_count; k++) {
            const struct td_manifest_part *part = &m->outputs[i].parts[k];
            int64_t first_us = part->first_pts_us != TD_MANIFEST_NO_TIME ? part->first_pts_us : 0;
            int64_t part_us = first_us + part->duration_ms * TD_US_PER_MS;
            if (strcmp(part->state, "failed") != 0 && part_us > end_us)
                end_us = part_us;
        }
    }
    return end_us;
}

/* ---- live links ---- */

struct links {
    struct td_fs *fs;
    const char *folder;
};

static int remove_link(void *ctx, const char *name)
{
    const struct links *links = ctx;
    char path[TD_PATH_MAX];
    struct td_fs_stat st;
    int r = td_layout_path(path, "%s/%s", links->folder, name);
    if (r == 0)
        r = td_fs_stat_path(links->fs, path, &st);
    if (r < 0 || st.is_file || st.is_dir)
        return 0; /* none of ours */
    return td_fs_unlink(links->fs, path);
}

int td_recover_live_links(struct td_fs *fs, const char *data_dir)
{
    char folder[TD_PATH_MAX];
    struct links links = {.fs = fs, .folder = folder};
    int r = td_layout_path(folder, "%s/live", data_dir);
    if (r == 0)
        r = td_fs_list(fs, folder, remove_link, &links);
    return r == -ENOENT ? 0 : r;
}

/* ---- folders ---- */

struct walk {
    struct td_fs *fs;
    const char *folder;
    bool dry_run;
    unsigned depth;
    bool ours;          /* nobody else can be recording here: it is closed even without a file */
    unsigned recovered; /* growing files of this folder */
    unsigned dead;      /* growing files that nobody owns and that hold nothing playable */
    unsigned locked;    /* growing files that a running recorder owns */
    int error;          /* the first of a file that could not be recovered */
    void (*each)(void *ctx, const struct td_recover_report *report);
    void *ctx;
};

static int walk_folder(struct walk *parent, const char *folder);

/* A part that was begun just before the process died: the manifest names its output, not yet it. */
static struct td_manifest_part *unlisted_part(struct td_manifest *m, const char *name)
{
    size_t count = 0;
    const struct td_mux_ops *const *table = td_mux_table(&count);
    for (size_t i = 0; i < m->output_count * count; i++) {
        struct td_manifest_output *output = &m->outputs[i / count];
        const char *extension = table[i % count]->extension;
        unsigned number = (unsigned)output->part_count + 1;
        char growing[TD_PATH_MAX];
        if (output->name[0] == '\0' ||
            td_layout_growing(output->name, number, extension, growing) < 0 ||
            strcmp(growing, name) != 0)
            continue;
        struct td_manifest_part part = {.first_pts_us = TD_MANIFEST_NO_TIME};
        if (td_manifest_add_part(m, i / count, &part) < 0)
            return NULL;
        return &output->parts[output->part_count - 1];
    }
    return NULL;
}

/* The part in its folder's manifest gets its final name and measures; one that holds nothing
 * playable keeps its name. */
static int note_part(struct walk *w, const struct td_recover_report *report, bool playable)
{
    char path[TD_PATH_MAX];
    int r = td_layout_path(path, "%s/manifest.json", w->folder);
    struct td_manifest m;
    if (r == 0)
        r = td_recover_load(w->fs, path, &m);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    const char *name = td_layout_name(report->path);
    struct td_manifest_part *part = manifest_part(&m, name);
    if (part == NULL && playable)
        part = unlisted_part(&m, name);
    if (part != NULL && playable) {
        td_recover_note(part, report);
    } else if (part != NULL) {
        TD_MANIFEST_SET(part->state, "failed");
    }
    if (part != NULL)
        r = td_recover_save(w->fs, path, &m);
    td_manifest_done(&m);
    return r;
}

static int recover_entry(struct walk *w, const char *path)
{
    struct td_recover_report report;
    int r = td_recover_file(w->fs, path, w->dry_run, &report);
    w->locked += r == TD_RECOVER_LOCKED;
    if (r == TD_RECOVER_LOCKED)
        return 0;
    bool dead = r == TD_RECOVER_NOTHING || r == -TD_E_DAMAGED;
    w->dead += dead;
    w->recovered += r == 0;
    int noted = (r == 0 || dead) && !w->dry_run ? note_part(w, &report, r == 0) : 0;
    if (report.error == 0)
        report.error = noted;
    if (report.error < 0 && !dead && w->error == 0)
        w->error = report.error;
    if (r == TD_RECOVER_NOTHING && noted == 0)
        return 0;
    w->each(w->ctx, &report);
    return 0;
}

static int entry(void *ctx, const char *name)
{
    struct walk *w = ctx;
    char path[TD_PATH_MAX];
    char final[TD_PATH_MAX];
    struct td_fs_stat st;
    int r = td_layout_path(path, "%s/%s", w->folder, name);
    if (r == 0)
        r = td_fs_stat_path(w->fs, path, &st);
    if (r < 0) /* gone meanwhile, or too deep a name to be ours */
        return r == -ENOENT || r == -ENAMETOOLONG ? 0 : r;
    if (st.is_dir)
        return w->depth < TD_RECOVER_DEPTH_MAX ? walk_folder(w, path) : 0;
    size_t len = strlen(name);
    bool index = len > 4 && strcmp(name + len - 4, ".idx") == 0;
    if (!st.is_file || index || td_layout_is_growing(path, final) != 1)
        return 0;
    return recover_entry(w, path);
}

/* Where the last line that ends begins and ends; what a kill left behind it may be long and is no
 * text. */
struct last_line {
    uint64_t end;
    bool torn;  /* more follows: it is cut there */
    size_t len; /* 0 = there is none */
    char bytes[TD_TIMELINE_LINE_MAX];
};

/* The end of the last whole line before `end`, 0 when there is none. */
static int64_t line_end(struct td_fs *fs, int handle, uint64_t end)
{
    char block[TD_TIMELINE_LINE_MAX];
    while (end > 0) {
        uint64_t from = end > sizeof(block) ? end - sizeof(block) : 0;
        int64_t n = td_fs_pread(fs, handle, block, (size_t)(end - from), from);
        if (n < 0)
            return n;
        for (size_t at = (size_t)n; at > 0; at--) {
            if (block[at - 1] == '\n')
                return (int64_t)(from + at);
        }
        end = from;
    }
    return 0;
}

static int find_last_line(struct td_fs *fs, int handle, struct last_line *ret_line)
{
    struct td_fs_stat st;
    int r = td_fs_fstat(fs, handle, &st);
    int64_t end = r < 0 ? r : line_end(fs, handle, st.size);
    int64_t before = end > 0 ? line_end(fs, handle, (uint64_t)end - 1) : end;
    if (before < 0)
        return (int)before;
    *ret_line = (struct last_line){.end = (uint64_t)end, .torn = st.size > (uint64_t)end};
    if (end - before > (int64_t)sizeof(ret_line->bytes))
        return 0; /* none of ours */
    int64_t n = td_fs_pread(fs, handle, ret_line->bytes, (size_t)(end - before), (uint64_t)before);
    if (n < 0)
        return (int)n;
    ret_line->len = (size_t)n;
    return 0;
}

/* Whether that line says the same already: at the same moment of the recording, whenever it was
 * written, and whoever wrote it. */
static bool says_so(const struct last_line *line, const struct td_timeline_event *event)
{
    char text[TD_TIMELINE_LINE_MAX + 1];
    char word[64];
    memcpy(text, line->bytes, line->len);
    text[line->len] = '\0';
    (void)snprintf(word, sizeof(word),
                   "\"event\":\"%s\",\"pts_ms\":", td_timeline_word(event->kind));
    const char *at = strstr(text, word);
    if (at == NULL)
        return false;
    long long apart_ms = strtoll(at + strlen(word), NULL, 10) - event->pts_ms;
    return llabs(apart_ms) * TD_US_PER_MS <= SAME_BREAK_US;
}

static int append_line(struct td_fs *fs, const char *path, const struct td_timeline_event *event)
{
    char text[TD_TIMELINE_LINE_MAX];
    struct last_line last;
    int len = td_timeline_line(event, text);
    if (len < 0)
        return len;
    int handle =
        td_fs_open(fs, path, TD_FS_READ | TD_FS_WRITE | TD_FS_APPEND | TD_FS_NOFOLLOW, 0644);
    if (handle < 0)
        return handle;
    int r = find_last_line(fs, handle, &last);
    if (r == 0 && last.torn)
        r = td_fs_truncate(fs, handle, last.end);
    if (r == 0 && !says_so(&last, event))
        r = td_fs_pwrite_all(fs, handle, text, (size_t)len, last.end);
    int closed = td_fs_close(fs, handle);
    return r < 0 ? r : closed;
}

static int note_timeline(struct td_fs *fs, const char *folder, enum td_timeline_kind kind,
                         int64_t wall_us, int64_t pts_us)
{
    char path[TD_PATH_MAX];
    struct td_timeline_event event = {
        .kind = kind, .wall_us = wall_us, .pts_ms = pts_us / TD_US_PER_MS};
    int r = td_layout_path(path, "%s/timeline.jsonl", folder);
    return r < 0 ? r : append_line(fs, path, &event);
}

static bool is_interrupted(const struct td_manifest *m)
{
    return m->break_count > 0 && m->breaks[m->break_count - 1].resumed_us == TD_MANIFEST_NO_TIME;
}

int td_recover_interrupted(struct td_fs *fs, const char *folder, struct td_manifest *m,
                           int64_t pts_us)
{
    if (is_interrupted(m) && m->breaks[m->break_count - 1].pts_us + SAME_BREAK_US >= pts_us)
        return 0;
    if (is_interrupted(m)) /* it had gone on, and died before it could say so */
        m->breaks[m->break_count - 1].resumed_us = pts_us;
    bool known = m->zero_us != TD_MANIFEST_NO_TIME;
    struct td_manifest_break entry = {
        .wall_us = known ? m->zero_us + m->paused_us + pts_us : td_clock_wall_us(),
        .pts_us = pts_us,
        .resumed_us = TD_MANIFEST_NO_TIME,
    };
    /* The line first: killed in between, the next run finds it as the last one. */
    int r = note_timeline(fs, folder, TD_TIMELINE_INTERRUPTED, entry.wall_us, pts_us);
    if (r < 0)
        return r;
    r = td_manifest_add_break(m, &entry);
    return r < 0 && r != -TD_E_LIMIT ? r : 0;
}

static bool ended(const struct td_manifest *m)
{
    return strcmp(m->state, "complete") == 0 || strcmp(m->state, "failed") == 0 ||
           strcmp(m->state, "aborted") == 0;
}

/* Killed between a part's last name and the manifest that says so: count of parts set right. */
static int settle_parts(struct walk *w, struct td_manifest *m)
{
    int settled = 0;
    for (size_t i = 0; i < m->output_count; i++) {
        for (size_t k = 0; k < m->outputs[i].part_count; k++) {
            struct td_manifest_part *part = &m->outputs[i].parts[k];
            char path[TD_PATH_MAX];
            if (strcmp(part->state, "growing") != 0 ||
                td_layout_path(path, "%s/%s", w->folder, part->file) < 0)
                continue;
            int r = exists(w->fs, path);
            if (r == 0)
                r = td_recover_settle(w->fs, w->folder, part);
            else if (r == 1)
                r = 0; /* nothing of ours, or it is another's */
            if (r < 0)
                return r;
            settled += r;
        }
    }
    return settled;
}

static bool is_stored(const struct td_manifest *m)
{
    for (size_t i = 0; i < m->output_count; i++) {
        for (size_t k = 0; k < m->outputs[i].part_count; k++) {
            if (strcmp(m->outputs[i].parts[k].state, "failed") != 0)
                return true;
        }
    }
    return false;
}

static unsigned part_count(const struct td_manifest *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->output_count; i++)
        count += m->outputs[i].part_count;
    return (unsigned)count;
}

/* The state of a recording whose process died, and whose files are whole now. */
static void set_ended(struct td_manifest *m)
{
    bool stopped = strcmp(m->state, "finishing") == 0 && m->reason[0] != '\0';
    if (!stopped)
        TD_MANIFEST_SET(m->reason, "interrupted");
    TD_MANIFEST_SET(m->state, is_stored(m) ? "complete" : part_count(m) > 0 ? "failed" : "aborted");
    m->paused = false;
    m->ended_us = td_clock_wall_us();
}

static bool is_recovered(const struct td_manifest *m)
{
    for (size_t i = 0; i < m->output_count; i++) {
        for (size_t k = 0; k < m->outputs[i].part_count; k++) {
            if (strcmp(m->outputs[i].parts[k].state, "recovered") == 0)
                return true;
        }
    }
    return false;
}

/* Where media ended goes into timeline and manifest. Killed at any point, the next run finds what
 * is there already. */
static int note_end(struct walk *w, const char *path, struct td_manifest *m, bool mended)
{
    int64_t end_us = td_recover_end_us(m);
    int r = 0;
    if (end_us == TD_MANIFEST_NO_TIME)
        end_us = 0;
    if (strcmp(m->state, "finishing") != 0) {
        mended = true; /* by the run before this one, if not by us */
        r = td_recover_interrupted(w->fs, w->folder, m, end_us);
        if (r == 0)
            r = td_recover_save(w->fs, path, m);
    }
    if (r == 0 && (mended || is_recovered(m)))
        r = note_timeline(w->fs, w->folder, TD_TIMELINE_RECOVERED, td_clock_wall_us(), end_us);
    return r;
}

static int close_manifest(struct walk *w, const char *path, struct td_manifest *m)
{
    int settled = settle_parts(w, m);
    if (settled < 0)
        return settled;
    /* Without a file to recover it may belong to a recorder that has just begun. */
    if ((unsigned)settled + w->recovered + w->dead == 0 && !w->ours)
        return 0;
    bool mended = w->recovered > 0 || settled > 0;
    int r = mended || is_stored(m) ? note_end(w, path, m, mended) : 0;
    if (r < 0)
        return r;
    set_ended(m);
    return td_recover_save(w->fs, path, m);
}

static int close_recording(struct walk *w)
{
    char path[TD_PATH_MAX];
    int r = td_layout_path(path, "%s/manifest.json", w->folder);
    struct td_manifest m;
    if (r == 0)
        r = td_recover_load(w->fs, path, &m);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (!ended(&m))
        r = close_manifest(w, path, &m);
    td_manifest_done(&m);
    return r;
}

static int walk_folder(struct walk *parent, const char *folder)
{
    struct walk w = {
        .fs = parent->fs,
        .folder = folder,
        .dry_run = parent->dry_run,
        .depth = parent->depth + 1,
        .ours = parent->ours,
        .each = parent->each,
        .ctx = parent->ctx,
    };
    int r = td_fs_list(w.fs, folder, entry, &w);
    parent->recovered += w.recovered;
    if (r == 0 && w.ours) /* ours is not said to have ended before all of it is whole */
        r = w.locked > 0 ? -EAGAIN : w.error;
    if (r < 0 || w.dry_run || w.locked > 0)
        return r;
    return close_recording(&w);
}

int td_recover_folder(struct td_fs *fs, const char *folder, bool dry_run,
                      void (*each)(void *ctx, const struct td_recover_report *report), void *ctx)
{
    struct walk top = {.fs = fs, .dry_run = dry_run, .each = each, .ctx = ctx};
    int r = walk_folder(&top, folder);
    return r < 0 ? r : (int)top.recovered;
}

int td_recover_close(struct td_fs *fs, const char *folder,
                     void (*each)(void *ctx, const struct td_recover_report *report), void *ctx)
{
    struct walk top = {.fs = fs, .ours = true, .each = each, .ctx = ctx};
    return walk_folder(&top, folder);
}
