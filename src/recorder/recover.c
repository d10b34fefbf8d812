/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/recover.h"

#include <errno.h>
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

static bool exists(struct td_fs *fs, const char *path)
{
    struct td_fs_stat st;
    return td_fs_stat_path(fs, path, &st) == 0;
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
        if (r < 0)
            return r;
        if (!exists(fs, ret_path) && !exists(fs, growing))
            return 0;
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
    if (!exists(fs, ret_path))
        return 0;
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
    if (r < 0 || !exists(fs, index))
        return r;
    /* After the rename: a crash between the two leaves an index that nobody reads. */
    return td_fs_unlink(fs, index);
}

static int seal(struct patient *p, struct td_recover_report *report)
{
    const struct td_mux_ops *ops = td_mux_by_content(&p->input[TD_FILE_MEDIA]);
    if (ops == NULL)
        return TD_RECOVER_NOTHING;
    report->format = ops->name;
    struct td_op_sink sink = {.emit = apply, .ctx = p};
    int r =
        td_mux_seal(ops, &p->input[TD_FILE_MEDIA], &p->input[TD_FILE_INDEX], &sink, &report->scan);
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
    int64_t kept_ms;
    void (*each)(void *ctx, const struct td_recover_report *report);
    void *ctx;
};

static int walk_folder(struct walk *parent, const char *folder);

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
    struct td_manifest_part *part = manifest_part(&m, td_layout_name(report->path));
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
    if (r == 0) {
        w->recovered++;
        w->kept_ms = report.scan.duration_us / TD_US_PER_MS;
    }
    int noted = (r == 0 || dead) && !w->dry_run ? note_part(w, &report, r == 0) : 0;
    if (report.error == 0)
        report.error = noted;
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
    if (r < 0)
        return 0; /* gone meanwhile, or too deep a name to be ours */
    if (st.is_dir)
        return w->depth < TD_RECOVER_DEPTH_MAX ? walk_folder(w, path) : 0;
    size_t len = strlen(name);
    bool index = len > 4 && strcmp(name + len - 4, ".idx") == 0;
    if (!st.is_file || index || td_layout_is_growing(path, final) != 1)
        return 0;
    return recover_entry(w, path);
}

/* Cuts what a kill left of a line; `ret_same` says whether the last whole one is `line`. Size of
 * what is kept, or negative. */
static int64_t mend_timeline(struct td_fs *fs, int handle, const char *line, size_t len,
                             bool *ret_same)
{
    char tail[2 * TD_TIMELINE_LINE_MAX];
    struct td_fs_stat st;
    int64_t n = td_fs_fstat(fs, handle, &st);
    if (n < 0)
        return n;
    uint64_t from = st.size > sizeof(tail) ? st.size - sizeof(tail) : 0;
    n = td_fs_pread(fs, handle, tail, sizeof(tail), from);
    if (n < 0)
        return n;
    size_t kept = (size_t)n;
    while (kept > 0 && tail[kept - 1] != '\n')
        kept--;
    *ret_same = kept >= len && memcmp(tail + kept - len, line, len) == 0 &&
                (kept == len || tail[kept - len - 1] == '\n');
    uint64_t size = from + kept;
    if (kept == 0 && from > 0)
        return -TD_E_DAMAGED; /* no line is that long */
    int r = size < st.size ? td_fs_truncate(fs, handle, size) : 0;
    return r < 0 ? r : (int64_t)size;
}

static int append_line(struct td_fs *fs, const char *path, const char *line, size_t len)
{
    int handle =
        td_fs_open(fs, path, TD_FS_READ | TD_FS_WRITE | TD_FS_APPEND | TD_FS_NOFOLLOW, 0644);
    if (handle < 0)
        return handle;
    bool same = false;
    int64_t size = mend_timeline(fs, handle, line, len, &same);
    int r = size < 0 ? (int)size : 0;
    if (r == 0 && !same)
        r = td_fs_pwrite_all(fs, handle, line, len, (uint64_t)size);
    int closed = td_fs_close(fs, handle);
    return r < 0 ? r : closed;
}

static int note_timeline(struct td_fs *fs, const char *folder, enum td_timeline_kind kind,
                         int64_t wall_us, int64_t pts_ms)
{
    char path[TD_PATH_MAX];
    char line[TD_TIMELINE_LINE_MAX];
    struct td_timeline_event event = {.kind = kind, .wall_us = wall_us, .pts_ms = pts_ms};
    int r = td_layout_path(path, "%s/timeline.jsonl", folder);
    if (r < 0)
        return r;
    int len = td_timeline_line(&event, line);
    return len < 0 ? len : append_line(fs, path, line, (size_t)len);
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
    int r =
        note_timeline(fs, folder, TD_TIMELINE_INTERRUPTED, entry.wall_us, pts_us / TD_US_PER_MS);
    if (r < 0)
        return r;
    r = td_manifest_add_break(m, &entry);
    return r == -TD_E_LIMIT ? 0 : r < 0 ? r : 0;
}

static bool ended(const struct td_manifest *m)
{
    return strcmp(m->state, "complete") == 0 || strcmp(m->state, "failed") == 0 ||
           strcmp(m->state, "aborted") == 0;
}

/* Killed between a part's last name and the manifest that says so: count of parts set right. */
static unsigned settle_parts(struct walk *w, struct td_manifest *m)
{
    unsigned settled = 0;
    for (size_t i = 0; i < m->output_count; i++) {
        for (size_t k = 0; k < m->outputs[i].part_count; k++) {
            struct td_manifest_part *part = &m->outputs[i].parts[k];
            char growing[TD_PATH_MAX];
            char final[TD_PATH_MAX];
            if (strcmp(part->state, "growing") != 0 ||
                td_layout_path(growing, "%s/%s", w->folder, part->file) < 0 ||
                td_layout_is_growing(growing, final) != 1 || exists(w->fs, growing))
                continue;
            bool renamed = exists(w->fs, final);
            if (renamed)
                TD_MANIFEST_SET(part->file, td_layout_name(final));
            TD_MANIFEST_SET(part->state, renamed ? "complete" : "failed");
            settled += renamed;
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

static int close_recording(struct walk *w)
{
    char path[TD_PATH_MAX];
    int r = td_layout_path(path, "%s/manifest.json", w->folder);
    struct td_manifest m;
    if (r == 0)
        r = td_recover_load(w->fs, path, &m);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    /* Without a file to recover it may belong to a recorder that has just begun. */
    if (!ended(&m) && (settle_parts(w, &m) + w->recovered + w->dead > 0 || w->ours)) {
        bool media = w->recovered > 0 || is_stored(&m);
        if (media && strcmp(m.state, "finishing") != 0)
            r = td_recover_interrupted(w->fs, w->folder, &m, w->kept_ms * TD_US_PER_MS);
        if (r == 0 && w->recovered > 0)
            r = note_timeline(w->fs, w->folder, TD_TIMELINE_RECOVERED, td_clock_wall_us(),
                              w->kept_ms);
        set_ended(&m);
        if (r == 0)
            r = td_recover_save(w->fs, path, &m);
    }
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
