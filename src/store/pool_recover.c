/* SPDX-License-Identifier: Apache-2.0 */
/* What td_crashpool_recover of crashpool.h does: see there for its promise and pool_layout.h for
 * what it reads. Every step may be cut: the pool stays until all its files are written and synced,
 * and carrying an operation out twice gives the same file.
 *
 * The file is read, not mapped: a pool that was cut short is then an error and not a signal. */
#include "store/crashpool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/pool_file.h"
#include "store/pool_layout.h"

/* More pools than this are left to the next run. One process leaves one. */
#define RECOVER_POOLS_MAX 256u

typedef void recover_each_fn(void *ctx, const char *path, uint64_t bytes);

struct recover_pool {
    char path[TD_PATH_MAX];
    int64_t created_us;
};

struct recover_list {
    const char *folder;
    struct recover_pool *pools;
    size_t count;
    int error; /* the first of a pool that is ours but could not be read */
};

/* A used buffer of the pool under recovery. */
struct recover_buffer {
    uint64_t sequence;
    uint32_t file;
    uint32_t file_generation;
    uint32_t published;
    uint32_t index;
};

struct recover_target {
    int handle; /* -1: not open */
    bool tried;
    bool skip; /* finished, renamed, removed, or never ours: its records are not wanted any more */
    uint64_t size;
    uint64_t replayed;
};

struct recover {
    struct td_fs *fs;
    recover_each_fn *each;
    void *ctx;
    int fd; /* the pool */
    struct td_pool_header header;
    struct recover_buffer *buffers;
    size_t count;
    uint8_t *memory; /* one buffer */
    /* the files of one spool */
    uint32_t file;
    struct td_pool_file entry;
    bool stopped; /* a damaged record or a hole: what follows must not be written */
    struct recover_target target[TD_FILE_SLOTS];
};

static uint64_t entry_at(const struct recover *v, uint32_t file)
{
    return v->header.files_at + (uint64_t)file * v->header.file_bytes;
}

static uint64_t buffer_at(const struct recover *v, uint32_t buffer)
{
    return v->header.buffers_at + (uint64_t)buffer * v->header.buffer_bytes;
}

/* The process died before its writer had opened the file, or in the very moment. A new one does not
 * exist or is empty; one to go on with has the size it had. Its identity is noted before the first
 * byte, so that a second run knows it again. */
static int target_adopt(struct recover *v, int slot, const char *path)
{
    const unsigned flags = TD_FS_READ | TD_FS_WRITE | TD_FS_NOFOLLOW;
    uint64_t bytes = slot == TD_FILE_MEDIA ? v->entry.resume_bytes : 0;
    int handle = -EEXIST;
    if (bytes == 0) {
        handle = td_fs_open(v->fs, path, flags | TD_FS_CREATE, 0644);
    }
    if (handle == -EEXIST) {
        handle = td_fs_open(v->fs, path, flags, 0);
    }
    if (handle < 0) {
        return handle;
    }
    v->target[slot].handle = handle;
    struct td_fs_stat stat;
    int r = td_fs_fstat(v->fs, handle, &stat);
    if (r < 0) {
        return r;
    }
    if (!stat.is_file || stat.size != bytes) {
        return -ESTALE;
    }
    v->target[slot].size = stat.size;
    v->entry.dev[slot] = stat.dev;
    atomic_store(&v->entry.ino[slot], stat.ino);
    uint64_t at = entry_at(v, v->file);
    uint64_t dev_at = at + offsetof(struct td_pool_file, dev) + (size_t)slot * sizeof(uint64_t);
    uint64_t ino_at = at + offsetof(struct td_pool_file, ino) + (size_t)slot * sizeof(uint64_t);
    r = td_pool_file_write(v->fd, &stat.dev, sizeof(stat.dev), dev_at);
    r = r < 0 ? r : td_pool_file_write(v->fd, &stat.ino, sizeof(stat.ino), ino_at);
    return r < 0 ? r : td_fs_sync_parent(v->fs, path);
}

static int target_find(struct recover *v, int slot, const char *path)
{
    int handle = td_fs_open(v->fs, path, TD_FS_READ | TD_FS_WRITE | TD_FS_NOFOLLOW, 0);
    if (handle < 0) {
        return handle;
    }
    v->target[slot].handle = handle;
    struct td_fs_stat stat;
    int r = td_fs_fstat(v->fs, handle, &stat);
    if (r < 0) {
        return r;
    }
    bool same = stat.is_file && stat.dev == v->entry.dev[slot] &&
                stat.ino == atomic_load(&v->entry.ino[slot]);
    v->target[slot].size = stat.size;
    return same ? 0 : -ESTALE;
}

/* Opens the file a record goes to, once. 0 also when it is to be skipped. */
static int target_open(struct recover *v, int slot)
{
    struct recover_target *t = &v->target[slot];
    if (t->tried) {
        return 0;
    }
    t->tried = true;
    const char *path = v->entry.path[slot];
    if (path[0] != '/' || memchr(path, '\0', TD_PATH_MAX) == NULL) {
        t->skip = true;
        return 0;
    }
    int r = atomic_load(&v->entry.ino[slot]) == 0 ? target_adopt(v, slot, path)
                                                  : target_find(v, slot, path);
    if (r == 0) {
        r = td_fs_lock(v->fs, t->handle);
    }
    /* The first four: the file, or its folder, has gone its way since. */
    if (r == -ENOENT || r == -ESTALE || r == -ELOOP || r == -ENOTDIR || r == -EISDIR) {
        t->skip = true;
        r = 0;
    }
    return r;
}

static int replay_write(struct recover *v, struct recover_target *t,
                        const struct td_pool_record *record, const uint8_t *bytes)
{
    if (record->offset > t->size) {
        v->stopped = true; /* never leave a hole */
        return 0;
    }
    int r = td_fs_pwrite_all(v->fs, t->handle, bytes, record->len, record->offset);
    if (r == 0) {
        uint64_t end = record->offset + record->len;
        t->size = end > t->size ? end : t->size;
        t->replayed += record->len;
    }
    return r;
}

static int replay_record(struct recover *v, const struct td_pool_record *record,
                         const uint8_t *bytes)
{
    if (record->slot >= TD_FILE_SLOTS || record->offset > (uint64_t)INT64_MAX - record->len) {
        v->stopped = true;
        return 0;
    }
    int r = target_open(v, record->slot);
    struct recover_target *t = &v->target[record->slot];
    if (r < 0 || t->skip) {
        return r;
    }
    switch (record->kind) {
    case TD_OP_APPEND:
    case TD_OP_PATCH:
        return replay_write(v, t, record, bytes);
    case TD_OP_TRUNCATE:
        if (record->offset > t->size) {
            v->stopped = true;
            return 0;
        }
        t->size = record->offset;
        return td_fs_truncate(v->fs, t->handle, record->offset);
    case TD_OP_SYNC:
        return td_fs_sync(v->fs, t->handle);
    default:
        v->stopped = true;
        return 0;
    }
}

static int replay_buffer(struct recover *v, const struct recover_buffer *b)
{
    int r = td_pool_file_read(v->fd, v->memory, v->header.buffer_bytes, buffer_at(v, b->index));
    if (r < 0) {
        return r;
    }
    uint32_t seed = td_pool_seed(v->header.generation, b->sequence);
    size_t data = sizeof(struct td_pool_buffer);
    size_t end = v->header.buffer_bytes;
    for (uint32_t i = 0; i < b->published && !v->stopped; i++) {
        struct td_pool_record record;
        if (end - data < sizeof(record)) {
            v->stopped = true;
            return 0;
        }
        end -= sizeof(record);
        memcpy(&record, v->memory + end, sizeof(record));
        if (record.len > end - data || record.crc != td_pool_crc(seed, &record, v->memory + data)) {
            v->stopped = true;
            return 0;
        }
        r = replay_record(v, &record, v->memory + data);
        if (r < 0) {
            return r;
        }
        data += record.len;
    }
    return 0;
}

/* Syncs and closes; `first` is what went wrong before. */
static int targets_done(struct recover *v, int first)
{
    for (int slot = 0; slot < TD_FILE_SLOTS; slot++) {
        struct recover_target *t = &v->target[slot];
        if (t->handle < 0) {
            continue;
        }
        int r = first == 0 && !t->skip ? td_fs_sync(v->fs, t->handle) : 0;
        first = first < 0 ? first : r;
        r = td_fs_close(v->fs, t->handle);
        t->handle = -1;
        first = first < 0 ? first : r;
        if (first == 0 && t->replayed > 0 && v->each != NULL) {
            v->each(v->ctx, v->entry.path[slot], t->replayed);
        }
    }
    return first;
}

/* Buffers [from, to) belong to one file entry and are in order. */
static int replay_file(struct recover *v, size_t from, size_t to)
{
    v->file = v->buffers[from].file;
    v->stopped = false;
    for (int slot = 0; slot < TD_FILE_SLOTS; slot++) {
        v->target[slot] = (struct recover_target){.handle = -1};
    }
    int r = td_pool_file_read(v->fd, &v->entry, sizeof(v->entry), entry_at(v, v->file));
    if (r < 0 || atomic_load(&v->entry.state) != TD_POOL_FILE_LIVE ||
        v->entry.generation != v->buffers[from].file_generation) {
        return r;
    }
    for (size_t i = from; i < to && !v->stopped && r == 0; i++) {
        r = replay_buffer(v, &v->buffers[i]);
    }
    return targets_done(v, r);
}

static int buffer_order(const void *a, const void *b)
{
    const struct recover_buffer *x = a;
    const struct recover_buffer *y = b;
    if (x->file != y->file) {
        return x->file < y->file ? -1 : 1;
    }
    if (x->file_generation != y->file_generation) {
        return x->file_generation < y->file_generation ? -1 : 1;
    }
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Finds the buffers in use. */
static int recover_scan(struct recover *v)
{
    for (uint32_t i = 0; i < v->header.buffer_count; i++) {
        struct td_pool_buffer b;
        int r = td_pool_file_read(v->fd, &b, sizeof(b), buffer_at(v, i));
        if (r < 0) {
            return r;
        }
        uint32_t published = atomic_load(&b.published);
        if (atomic_load(&b.state) == TD_POOL_BUFFER_USED && published > 0 &&
            b.file < v->header.file_count) {
            v->buffers[v->count++] = (struct recover_buffer){
                .sequence = b.sequence,
                .file = b.file,
                .file_generation = b.file_generation,
                .published = published,
                .index = i,
            };
        }
    }
    qsort(v->buffers, v->count, sizeof(*v->buffers), buffer_order);
    return 0;
}

/* One file that cannot be written does not keep the others from it. */
static int recover_replay(struct recover *v)
{
    int first = recover_scan(v);
    for (size_t from = 0; from < v->count && first != -ENOMEM;) {
        size_t to = from + 1;
        while (to < v->count && v->buffers[to].file == v->buffers[from].file &&
               v->buffers[to].file_generation == v->buffers[from].file_generation) {
            to++;
        }
        int r = replay_file(v, from, to);
        first = first < 0 ? first : r;
        from = to;
    }
    return first;
}

/* 1 when it was recovered, 0 when it is not (or no longer) for us. */
static int recover_pool(struct td_fs *fs, const char *path, recover_each_fn *each, void *ctx)
{
    struct recover v = {.fs = fs, .each = each, .ctx = ctx};
    v.fd = td_pool_file_adopt(path, &v.header);
    if (v.fd == -EPERM || v.fd == -EAGAIN || v.fd == -ENOENT) {
        return 0;
    }
    if (v.fd < 0) {
        return v.fd;
    }
    v.buffers = calloc((size_t)v.header.buffer_count + 1, sizeof(*v.buffers));
    v.memory = malloc(v.header.buffer_bytes);
    int r = v.buffers != NULL && v.memory != NULL ? recover_replay(&v) : -ENOMEM;
    if (r == 0) {
        /* Everything is durable. A cut before this line only repeats it. */
        r = td_fs_unlink(fs, path);
        r = r == -ENOENT ? 0 : r;
    }
    int closed = td_pool_file_close(v.fd);
    free(v.buffers);
    free(v.memory);
    if (r < 0 || closed < 0) {
        return r < 0 ? r : closed;
    }
    return 1;
}

static int list_add(void *ctx, const char *name)
{
    struct recover_list *list = ctx;
    if (!td_pool_file_is_name(name) || list->count == RECOVER_POOLS_MAX) {
        return 0;
    }
    struct recover_pool *pool = &list->pools[list->count];
    int n = snprintf(pool->path, sizeof(pool->path), "%s/%s", list->folder, name);
    if (n < 0 || (size_t)n >= sizeof(pool->path)) {
        return 0;
    }
    struct td_pool_header header;
    int fd = td_pool_file_adopt(pool->path, &header);
    if (fd >= 0) {
        pool->created_us = header.created_us;
        list->count++;
        fd = td_pool_file_close(fd);
    }
    bool foreign = fd == -EPERM || fd == -EAGAIN || fd == -ENOENT;
    if (fd < 0 && !foreign && list->error == 0) {
        list->error = fd;
    }
    return 0;
}

static int pool_order(const void *a, const void *b)
{
    const struct recover_pool *x = a;
    const struct recover_pool *y = b;
    return x->created_us < y->created_us ? -1 : x->created_us > y->created_us;
}

static int recover_folder(struct td_fs *fs, const char *folder, recover_each_fn *each, void *ctx)
{
    struct recover_list list = {.folder = folder};
    list.pools = calloc(RECOVER_POOLS_MAX, sizeof(*list.pools));
    if (list.pools == NULL) {
        return -ENOMEM;
    }
    int first = td_fs_list(fs, folder, list_add, &list);
    first = first == -ENOENT || first == -ENOTDIR ? 0 : first;
    first = first < 0 ? first : list.error;
    qsort(list.pools, list.count, sizeof(*list.pools), pool_order);
    int count = 0;
    for (size_t i = 0; i < list.count; i++) {
        int r = recover_pool(fs, list.pools[i].path, each, ctx);
        count += r > 0 ? 1 : 0;
        first = r < 0 && first == 0 ? r : first;
    }
    free(list.pools);
    return first < 0 ? first : count;
}

int td_crashpool_recover(struct td_fs *fs, const char *runtime_dir, recover_each_fn *each,
                         void *ctx)
{
    struct td_pool_folders folders;
    int first = td_pool_folders(runtime_dir, &folders);
    if (first < 0) {
        return first;
    }
    int count = 0;
    for (size_t i = 0; i < folders.count; i++) {
        int r = recover_folder(fs, folders.path[i], each, ctx);
        count += r > 0 ? r : 0;
        first = r < 0 && first == 0 ? r : first;
    }
    return first < 0 ? first : count;
}
