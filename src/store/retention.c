/* SPDX-License-Identifier: Apache-2.0 */
#include "store/retention.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/limits.h"

#define ITEMS_FIRST 64u
#define MARK ".removed-"

/* ---- the choice ---- */

struct candidate {
    int64_t ended_us;
    uint64_t bytes;
    uint64_t quotas; /* bit i: it counts for quota i */
    char id[TD_ID_MAX];
    bool gone; /* chosen, or not to be chosen again */
};

struct td_retention {
    struct td_retention_rules rules;
    struct candidate *items;
    size_t count;
    size_t capacity;
    uint64_t total_bytes;
    uint64_t quota_bytes[TD_RETENTION_QUOTAS_MAX];
    uint64_t freed_bytes;
    struct candidate *last; /* the newest choice; NULL = none yet, so the items may still change */
    bool sorted;
};

int td_retention_new(const struct td_retention_rules *rules, struct td_retention **ret_retention)
{
    struct td_retention *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return -ENOMEM;
    }
    r->rules = *rules;
    if (r->rules.quota_count > TD_RETENTION_QUOTAS_MAX) {
        r->rules.quota_count = TD_RETENTION_QUOTAS_MAX;
    }
    *ret_retention = r;
    return 0;
}

struct td_retention *td_retention_free(struct td_retention *r)
{
    if (r != NULL) {
        free(r->items);
        free(r);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    if (x->ended_us != y->ended_us) {
        return x->ended_us < y->ended_us ? -1 : 1;
    }
    return strcmp(x->id, y->id);
}

static void sort(struct td_retention *r)
{
    if (r->count > 0) {
        qsort(r->items, r->count, sizeof(*r->items), compare);
    }
}

static int make_room(struct td_retention *r)
{
    if (r->count < r->capacity) {
        return 0;
    }
    if (r->capacity == TD_RETENTION_ITEMS_MAX) {
        sort(r);
        r->count /= 2;
        return 0;
    }
    size_t capacity = r->capacity > 0 ? r->capacity * 2 : ITEMS_FIRST;
    capacity = capacity < TD_RETENTION_ITEMS_MAX ? capacity : TD_RETENTION_ITEMS_MAX;
    struct candidate *grown = realloc(r->items, capacity * sizeof(*grown));
    if (grown == NULL) {
        return -ENOMEM;
    }
    r->items = grown;
    r->capacity = capacity;
    return 0;
}

/* Sums stay at the top rather than start again at 0: such sizes are not of this world. */
static uint64_t add_bytes(uint64_t sum, uint64_t bytes)
{
    return bytes > UINT64_MAX - sum ? UINT64_MAX : sum + bytes;
}

static uint64_t less_bytes(uint64_t sum, uint64_t bytes)
{
    return bytes > sum ? 0 : sum - bytes;
}

int td_retention_add(struct td_retention *r, const struct td_retention_item *item)
{
    assert(!r->sorted);
    uint64_t quotas = 0;
    for (size_t i = 0; i < r->rules.quota_count; i++) {
        if (td_glob_match(r->rules.quotas[i].room, item->room)) {
            quotas |= UINT64_C(1) << i;
        }
    }
    size_t id_len = strlen(item->id);
    bool stays = item->hold || item->busy || id_len == 0 || id_len >= TD_ID_MAX;
    int err = stays ? 0 : make_room(r);
    if (err < 0) {
        return err;
    }
    r->total_bytes = add_bytes(r->total_bytes, item->bytes);
    for (size_t i = 0; i < r->rules.quota_count; i++) {
        if ((quotas >> i & 1) != 0) {
            r->quota_bytes[i] = add_bytes(r->quota_bytes[i], item->bytes);
        }
    }
    if (!stays) {
        struct candidate *c = &r->items[r->count++];
        *c = (struct candidate){.ended_us = item->ended_us, .bytes = item->bytes, .quotas = quotas};
        memcpy(c->id, item->id, id_len + 1);
    }
    return 0;
}

/* The oldest that counts for one of `quotas` (0 = any) and gives bytes back. */
static struct candidate *oldest(struct td_retention *r, uint64_t quotas)
{
    for (size_t i = 0; i < r->count; i++) {
        struct candidate *c = &r->items[i];
        if (!c->gone && c->bytes > 0 && (quotas == 0 || (c->quotas & quotas) != 0)) {
            return c;
        }
    }
    return NULL;
}

static struct candidate *too_old(struct td_retention *r)
{
    const struct td_retention_rules *rules = &r->rules;
    if (rules->max_age_us <= 0) {
        return NULL;
    }
    for (size_t i = 0; i < r->count; i++) {
        struct candidate *c = &r->items[i];
        if (c->ended_us > rules->now_us - rules->max_age_us) {
            return NULL; /* and so are all behind it */
        }
        if (!c->gone) {
            return c;
        }
    }
    return NULL;
}

static struct candidate *over_quota(struct td_retention *r)
{
    for (size_t i = 0; i < r->rules.quota_count; i++) {
        if (r->rules.quotas[i].max_bytes > 0 && r->quota_bytes[i] > r->rules.quotas[i].max_bytes) {
            struct candidate *c = oldest(r, UINT64_C(1) << i);
            if (c != NULL) {
                return c;
            }
        }
    }
    return NULL;
}

static struct candidate *pick(struct td_retention *r, const char **ret_why)
{
    struct candidate *c = too_old(r);
    *ret_why = "age";
    if (c == NULL) {
        c = over_quota(r);
        *ret_why = "quota";
    }
    if (c == NULL && r->rules.max_total_bytes > 0 && r->total_bytes > r->rules.max_total_bytes) {
        c = oldest(r, 0);
        *ret_why = "total";
    }
    if (c == NULL && td_retention_missing(r) > 0) {
        c = oldest(r, 0);
        *ret_why = "space";
    }
    return c;
}

bool td_retention_next(struct td_retention *r, struct td_retention_choice *ret_choice)
{
    if (!r->sorted) {
        sort(r);
        r->sorted = true;
    }
    const char *why;
    struct candidate *c = pick(r, &why);
    if (c == NULL) {
        return false;
    }
    c->gone = true;
    r->last = c;
    r->freed_bytes = add_bytes(r->freed_bytes, c->bytes);
    r->total_bytes = less_bytes(r->total_bytes, c->bytes);
    for (size_t i = 0; i < r->rules.quota_count; i++) {
        if ((c->quotas >> i & 1) != 0) {
            r->quota_bytes[i] = less_bytes(r->quota_bytes[i], c->bytes);
        }
    }
    ret_choice->bytes = c->bytes;
    ret_choice->why = why;
    memcpy(ret_choice->id, c->id, sizeof(ret_choice->id));
    return true;
}

void td_retention_kept(struct td_retention *r)
{
    struct candidate *c = r->last;
    assert(c != NULL);
    r->last = NULL;
    r->freed_bytes = less_bytes(r->freed_bytes, c->bytes);
    r->total_bytes = add_bytes(r->total_bytes, c->bytes);
    for (size_t i = 0; i < r->rules.quota_count; i++) {
        if ((c->quotas >> i & 1) != 0) {
            r->quota_bytes[i] = add_bytes(r->quota_bytes[i], c->bytes);
        }
    }
}

uint64_t td_retention_missing(const struct td_retention *r)
{
    return less_bytes(r->rules.need_bytes, r->freed_bytes);
}

/* ---- the removal ---- */

/* A way down through one folder. Looking and removing take the same way, so that what the look
 * found in order is what the removal meets. */
struct walk {
    struct td_fs *fs;
    char path[TD_PATH_MAX];
    size_t len;
    unsigned depth;
    bool removes;
    uint64_t bytes;
    unsigned removed;
    int error; /* the first one */
};

static void walk_fail(struct walk *w, int error)
{
    if (w->error == 0) {
        w->error = error;
    }
}

/* Names as base/id.h makes them: they cannot lead anywhere else. */
static bool is_name(const char *name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(name);
    return len > 0 && len <= TD_RETENTION_NAME_MAX && name[0] != '.' &&
           strspn(name, letters) == len;
}

/* Folders that a recording has (design section 4), at its top; below them all are ours. */
static bool is_our_folder(const char *name, unsigned depth)
{
    static const char *const ours[] = {"hls", "exports", "thumbs"};
    for (size_t i = 0; depth == 1 && i < sizeof(ours) / sizeof(*ours); i++) {
        if (strcmp(name, ours[i]) == 0) {
            return true;
        }
    }
    return depth > 1;
}

/* A growing file that a recorder has open is locked by it, whatever the catalogue says. */
static int look_at_lock(struct walk *w)
{
    int handle = td_fs_open(w->fs, w->path, TD_FS_READ | TD_FS_WRITE | TD_FS_NOFOLLOW, 0);
    if (handle < 0) {
        return handle;
    }
    int r = td_fs_lock(w->fs, handle);
    int closed = td_fs_close(w->fs, handle);
    r = r == -EAGAIN ? -TD_E_STATE : r;
    return r < 0 ? r : closed;
}

static int visit_file(struct walk *w, const char *name, const struct td_fs_stat *stat)
{
    if (!w->removes) {
        return stat->is_file && strstr(name, ".recording.") != NULL ? look_at_lock(w) : 0;
    }
    int r = td_fs_unlink(w->fs, w->path);
    if (r == 0) {
        w->removed++;
        w->bytes += stat->is_file ? stat->size : 0;
    }
    return r;
}

static int visit(void *ctx, const char *name);

/* Empties the folder at `path`. Some file systems leave names out of a listing while others are
 * removed, so it is listed until there is nothing to remove. */
static void visit_all(struct walk *w)
{
    for (unsigned pass = 0; pass < TD_RETENTION_PASSES_MAX; pass++) {
        unsigned before = w->removed;
        int r = td_fs_list(w->fs, w->path, visit, w);
        if (r < 0) {
            walk_fail(w, r);
        }
        if (!w->removes || w->removed == before || w->error < 0) {
            return;
        }
    }
}

static int visit_folder(struct walk *w, const char *name)
{
    if (!is_our_folder(name, w->depth)) {
        return -TD_E_UNSUPPORTED;
    }
    if (w->depth == TD_RETENTION_DEPTH_MAX) {
        return -TD_E_LIMIT;
    }
    w->depth++;
    visit_all(w);
    w->depth--;
    if (!w->removes) {
        return 0;
    }
    int r = td_fs_rmdir(w->fs, w->path);
    w->removed += r == 0 ? 1 : 0;
    return r;
}

/* One entry of the folder at `path`. A failure is kept, and the others are visited. */
static int visit(void *ctx, const char *name)
{
    struct walk *w = ctx;
    size_t len = w->len;
    size_t name_len = strlen(name);
    /* What is looked at now is longer by the mark when it is removed. */
    if (len + 1 + name_len + (w->removes ? 0 : strlen(MARK)) >= sizeof(w->path)) {
        walk_fail(w, -ENAMETOOLONG);
        return 0;
    }
    w->path[len] = '/';
    memcpy(w->path + len + 1, name, name_len + 1);
    w->len = len + 1 + name_len;
    struct td_fs_stat stat;
    int r = td_fs_stat_path(w->fs, w->path, &stat);
    if (r == 0) {
        r = stat.is_dir ? visit_folder(w, name) : visit_file(w, name, &stat);
    }
    /* A name that is gone by now is what we want. */
    if (r < 0 && r != -ENOENT) {
        walk_fail(w, r);
    }
    w->len = len;
    w->path[len] = '\0';
    return 0;
}

static int walk_through(struct td_fs *fs, const char *path, bool removes, uint64_t *bytes)
{
    struct walk w = {.fs = fs, .removes = removes, .depth = 1, .len = strlen(path)};
    memcpy(w.path, path, w.len + 1);
    visit_all(&w);
    *bytes += w.bytes;
    return w.error;
}

struct place {
    char home[TD_PATH_MAX]; /* DATA/recordings */
    char plain[TD_PATH_MAX];
    char marked[TD_PATH_MAX];
};

static int place_home(struct place *p, const char *data_dir)
{
    int n = snprintf(p->home, sizeof(p->home), "%s/recordings", data_dir);
    return n < 0 || (size_t)n >= sizeof(p->home) ? -ENAMETOOLONG : 0;
}

static int place_folder(struct place *p, const char *folder)
{
    int n = snprintf(p->plain, sizeof(p->plain), "%s/%s", p->home, folder);
    int m = snprintf(p->marked, sizeof(p->marked), "%s/" MARK "%s", p->home, folder);
    return n < 0 || m < 0 || (size_t)m >= sizeof(p->marked) ? -ENAMETOOLONG : 0;
}

/* 0 when it is a folder, -ENOTDIR when it is anything else, a link above all. */
static int look_for_folder(struct td_fs *fs, const char *path)
{
    struct td_fs_stat stat;
    int r = td_fs_stat_path(fs, path, &stat);
    return r == 0 && !stat.is_dir ? -ENOTDIR : r;
}

static int forget_row(td_retention_forget_fn *forget, void *ctx, const char *folder)
{
    return forget != NULL ? forget(ctx, folder) : 0;
}

/* All that follows the mark; each step may be done again. A cut leaves the marked folder, which
 * goes only after the row is known to be forgotten. */
static int finish(struct td_fs *fs, const struct place *p, const char *folder,
                  td_retention_forget_fn *forget, void *ctx, uint64_t *bytes)
{
    int r = walk_through(fs, p->marked, true, bytes);
    if (r == 0) {
        r = forget_row(forget, ctx, folder);
    }
    return r < 0 ? r : td_fs_rmdir(fs, p->marked);
}

/* An older folder of this name that was marked and not finished makes way first. */
static int mark(struct td_fs *fs, const struct place *p, uint64_t *bytes)
{
    int r = look_for_folder(fs, p->marked);
    if (r == 0) {
        r = walk_through(fs, p->marked, true, bytes);
        r = r < 0 ? r : td_fs_rmdir(fs, p->marked);
    }
    if (r < 0 && r != -ENOENT) {
        return r;
    }
    /* Replacing, since some file systems cannot rename a folder otherwise; only an empty one could
     * be replaced. A cut before the sync leaves the old name or the new one. */
    r = td_fs_rename(fs, p->plain, p->marked, true);
    return r < 0 ? r : td_fs_sync_dir(fs, p->home);
}

static int remove_folder(struct td_fs *fs, const struct place *p, const char *folder,
                         td_retention_forget_fn *forget, void *ctx, uint64_t *bytes)
{
    int r = look_for_folder(fs, p->plain);
    if (r == 0) {
        uint64_t none = 0;
        r = walk_through(fs, p->plain, false, &none);
        r = r < 0 ? r : mark(fs, p, bytes);
        return r < 0 ? r : finish(fs, p, folder, forget, ctx, bytes);
    }
    if (r != -ENOENT) {
        return r;
    }
    r = look_for_folder(fs, p->marked);
    if (r == 0) {
        return finish(fs, p, folder, forget, ctx, bytes);
    }
    /* Gone already. But when the whole place is gone, a disk is not mounted, and nothing may be
     * forgotten. */
    struct td_fs_stat stat;
    r = r == -ENOENT ? td_fs_stat_path(fs, p->home, &stat) : r;
    return r < 0 ? r : forget_row(forget, ctx, folder);
}

int td_retention_remove(struct td_fs *fs, const char *data_dir, const char *folder,
                        td_retention_forget_fn *forget, void *ctx, uint64_t *ret_bytes)
{
    struct place p;
    uint64_t bytes = 0;
    int r = 0;
    if (folder[0] == '\0') {
        r = forget_row(forget, ctx, folder);
    } else if (!is_name(folder)) {
        r = -TD_E_USAGE;
    } else {
        r = place_home(&p, data_dir);
        r = r < 0 ? r : place_folder(&p, folder);
        r = r < 0 ? r : remove_folder(fs, &p, folder, forget, ctx, &bytes);
    }
    if (r == 0 && ret_bytes != NULL) {
        *ret_bytes = bytes;
    }
    return r;
}

struct sweep {
    struct td_fs *fs;
    struct place place;
    td_retention_forget_fn *forget;
    void *ctx;
    int finished;
    int error; /* the first one of this pass */
};

static int sweep_entry(void *ctx, const char *name)
{
    struct sweep *s = ctx;
    const char *folder = name + strlen(MARK);
    if (strncmp(name, MARK, strlen(MARK)) != 0 || !is_name(folder)) {
        return 0;
    }
    uint64_t bytes = 0;
    int r = place_folder(&s->place, folder);
    r = r < 0 ? r : look_for_folder(s->fs, s->place.marked);
    if (r == -ENOTDIR) {
        return 0; /* we mark folders only */
    }
    r = r < 0 ? r : finish(s->fs, &s->place, folder, s->forget, s->ctx, &bytes);
    if (r == 0) {
        s->finished++;
    } else if (s->error == 0) {
        s->error = r;
    }
    return 0;
}

int td_retention_sweep(struct td_fs *fs, const char *data_dir, td_retention_forget_fn *forget,
                       void *ctx)
{
    struct sweep s = {.fs = fs, .forget = forget, .ctx = ctx};
    int r = place_home(&s.place, data_dir);
    for (unsigned pass = 0; r == 0 && pass < TD_RETENTION_PASSES_MAX; pass++) {
        int before = s.finished;
        s.error = 0;
        r = td_fs_list(fs, s.place.home, sweep_entry, &s);
        if (s.finished == before) {
            break;
        }
    }
    if (r == -ENOENT) {
        return 0; /* nothing was ever recorded here */
    }
    r = r < 0 ? r : s.error;
    return r < 0 ? r : s.finished;
}
