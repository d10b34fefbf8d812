/* SPDX-License-Identifier: Apache-2.0 */
#include "store/crashpool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "store/pool_file.h"
#include "store/pool_layout.h"

/* An idle spool holds no buffer, so there may be more spools than buffers. */
#define POOL_FILES_MIN 64u

struct td_crashpool {
    /* constant after open */
    struct td_fs *fs;
    bool anonymous;
    char folder[TD_PATH_MAX];
    struct td_pool_file_map map;
    struct td_pool_file *files;
    uint8_t *buffers;
    uint64_t generation;
    uint32_t file_count;
    uint32_t buffer_count;
    /* a leaf lock over what follows: never held over a call */
    pthread_mutex_t lock;
    uint32_t *next;      /* of each buffer: in the free list or in a chain */
    uint32_t *file_next; /* of each file entry in the free list */
    uint32_t free_buffer;
    uint32_t free_file;
    uint32_t used_count;
    uint32_t used_peak;
    uint32_t file_used;
    uint64_t sequence;
    uint64_t exhausted;
};

static void pool_lock(const struct td_crashpool *p)
{
    /* The lock is no part of the value a reader sees. */
    int r = pthread_mutex_lock((pthread_mutex_t *)&p->lock);
    assert(r == 0);
}

static void pool_unlock(const struct td_crashpool *p)
{
    int r = pthread_mutex_unlock((pthread_mutex_t *)&p->lock);
    assert(r == 0);
}

static struct td_pool_buffer *pool_buffer(const struct td_crashpool *p, uint32_t buffer)
{
    assert(buffer < p->buffer_count);
    return (struct td_pool_buffer *)(void *)(p->buffers +
                                             (size_t)buffer * TD_CRASHPOOL_BUFFER_BYTES);
}

static struct td_pool_file *pool_entry(const struct td_crashpool *p, uint32_t file)
{
    assert(file < p->file_count);
    return &p->files[file];
}

static struct td_pool_record *pool_record(const struct td_pool_buffer *b, uint32_t index)
{
    uint8_t *end = (uint8_t *)(uintptr_t)b + TD_CRASHPOOL_BUFFER_BYTES;
    return (struct td_pool_record *)(void *)(end - sizeof(struct td_pool_record) * (index + 1u));
}

static uint8_t *pool_data(const struct td_pool_buffer *b)
{
    return (uint8_t *)(uintptr_t)b + sizeof(*b);
}

/* Cuts `bytes` into header, table and buffers: as many entries as buffers, POOL_FILES_MIN at least.
 */
static int pool_layout(size_t bytes, struct td_pool_header *ret_header)
{
    size_t count = bytes / TD_CRASHPOOL_BUFFER_BYTES;
    for (; count > 0; count--) {
        size_t files = count > POOL_FILES_MIN ? count : POOL_FILES_MIN;
        size_t table = files * sizeof(struct td_pool_file);
        table = (table + TD_POOL_PAGE_BYTES - 1) / TD_POOL_PAGE_BYTES * TD_POOL_PAGE_BYTES;
        size_t total = TD_POOL_HEADER_BYTES + table + count * TD_CRASHPOOL_BUFFER_BYTES;
        if (total <= bytes && count < TD_CRASHPOOL_NONE) {
            *ret_header = (struct td_pool_header){
                .magic = TD_POOL_MAGIC,
                .version = TD_POOL_VERSION,
                .pid = (uint32_t)getpid(),
                .total_bytes = bytes,
                .created_us = td_clock_wall_us(),
                .files_at = TD_POOL_HEADER_BYTES,
                .buffers_at = TD_POOL_HEADER_BYTES + table,
                .file_bytes = sizeof(struct td_pool_file),
                .file_count = (uint32_t)files,
                .buffer_bytes = TD_CRASHPOOL_BUFFER_BYTES,
                .buffer_count = (uint32_t)count,
            };
            return 0;
        }
    }
    return -EINVAL;
}

/* The first folder that will do; the first error if none does. */
static int pool_map(struct td_crashpool *p, const char *runtime_dir, size_t bytes)
{
    if (p->anonymous) {
        return td_pool_file_anonymous(bytes, &p->map);
    }
    struct td_pool_folders folders;
    int first = td_pool_folders(runtime_dir, &folders);
    if (first < 0) {
        return first;
    }
    first = -ENODEV;
    for (size_t i = 0; i < folders.count; i++) {
        char folder[TD_PATH_MAX];
        int r = td_pool_path(folders.path[i], folder);
        r = r < 0 ? r : td_pool_file_new(folder, bytes, &p->map);
        if (r == 0) {
            memcpy(p->folder, folder, sizeof(folder));
            return 0;
        }
        first = i == 0 ? r : first;
    }
    return first;
}

static int pool_lists(struct td_crashpool *p)
{
    p->next = calloc(p->buffer_count, sizeof(*p->next));
    p->file_next = calloc(p->file_count, sizeof(*p->file_next));
    if (p->next == NULL || p->file_next == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < p->buffer_count; i++) {
        p->next[i] = i + 1 < p->buffer_count ? i + 1 : TD_CRASHPOOL_NONE;
    }
    for (uint32_t i = 0; i < p->file_count; i++) {
        p->file_next[i] = i + 1 < p->file_count ? i + 1 : TD_CRASHPOOL_NONE;
    }
    return 0;
}

static int pool_start(struct td_crashpool *p, struct td_pool_header *header)
{
    int r = td_random_bytes(&header->generation, sizeof(header->generation));
    if (r < 0) {
        return r;
    }
    header->crc = td_pool_header_crc(header);
    memcpy(p->map.bytes, header, sizeof(*header));
    p->generation = header->generation;
    p->file_count = header->file_count;
    p->buffer_count = header->buffer_count;
    p->files = (struct td_pool_file *)(void *)(p->map.bytes + header->files_at);
    p->buffers = p->map.bytes + header->buffers_at;
    r = pool_lists(p);
    if (r == 0 && !p->anonymous) {
        r = td_pool_file_publish(&p->map, p->folder);
    }
    return r;
}

/* Frees what is there of a pool; the first error of giving the file back. */
static int pool_drop(struct td_crashpool *p)
{
    int r = 0;
    if (p->map.bytes != NULL) {
        r = td_pool_file_done(&p->map);
    }
    free(p->next);
    free(p->file_next);
    (void)pthread_mutex_destroy(&p->lock); /* fails only while locked: a caller's error */
    free(p);
    return r;
}

int td_crashpool_open(struct td_fs *fs, const char *runtime_dir, size_t bytes, bool anonymous,
                      struct td_crashpool **ret_pool)
{
    struct td_pool_header header;
    int r = pool_layout(bytes, &header);
    if (r < 0) {
        return r;
    }
    struct td_crashpool *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return -ENOMEM;
    }
    r = pthread_mutex_init(&p->lock, NULL);
    if (r != 0) {
        free(p);
        return -r;
    }
    p->fs = fs;
    p->anonymous = anonymous;
    r = pool_map(p, runtime_dir, bytes);
    if (r == 0) {
        r = pool_start(p, &header);
    }
    if (r < 0) {
        int dropped = pool_drop(p);
        return dropped < 0 && r == 0 ? dropped : r;
    }
    *ret_pool = p;
    return 0;
}

struct td_crashpool *td_crashpool_close(struct td_crashpool *p)
{
    if (p == NULL) {
        return NULL;
    }
    assert(p->used_count == 0 && p->file_used == 0);
    /* An empty pool that stays behind is harmless: the next start finds nothing in it and unlinks
     * it. So neither result has anybody to tell. */
    int r = p->anonymous ? 0 : td_fs_unlink(p->fs, p->map.path);
    (void)r;
    (void)pool_drop(p);
    return NULL;
}

void td_crashpool_stats(const struct td_crashpool *p, struct td_crashpool_stats *ret_stats)
{
    pool_lock(p);
    *ret_stats = (struct td_crashpool_stats){
        .buffer_count = p->buffer_count,
        .used_count = p->used_count,
        .used_peak = p->used_peak,
        .exhausted = p->exhausted,
    };
    pool_unlock(p);
}

const char *td_crashpool_dir(const struct td_crashpool *p)
{
    return p->anonymous ? NULL : p->folder;
}

size_t td_crashpool_file_count(const struct td_crashpool *p)
{
    return p->file_count;
}

int td_crashpool_file_add(struct td_crashpool *p, const char *const path[TD_FILE_SLOTS],
                          uint64_t resume_bytes, uint32_t *ret_file)
{
    char absolute[TD_FILE_SLOTS][TD_PATH_MAX];
    for (int slot = 0; slot < TD_FILE_SLOTS; slot++) {
        absolute[slot][0] = '\0';
        int r = path[slot] != NULL ? td_pool_path(path[slot], absolute[slot]) : 0;
        if (r < 0) {
            return r;
        }
    }
    pool_lock(p);
    uint32_t file = p->free_file;
    if (file != TD_CRASHPOOL_NONE) {
        p->free_file = p->file_next[file];
        p->file_used++;
    }
    pool_unlock(p);
    if (file == TD_CRASHPOOL_NONE) {
        return -ENOBUFS;
    }
    struct td_pool_file *entry = pool_entry(p, file);
    entry->generation++;
    entry->resume_bytes = resume_bytes;
    for (int slot = 0; slot < TD_FILE_SLOTS; slot++) {
        entry->dev[slot] = 0;
        atomic_store_explicit(&entry->ino[slot], 0, memory_order_relaxed);
        /* Only what is needed: the rest of the entry's pages stays untouched. */
        memcpy(entry->path[slot], absolute[slot], strlen(absolute[slot]) + 1);
    }
    atomic_store_explicit(&entry->state, TD_POOL_FILE_LIVE, memory_order_release);
    *ret_file = file;
    return 0;
}

const char *td_crashpool_file_path(const struct td_crashpool *p, uint32_t file,
                                   enum td_file_slot slot)
{
    const struct td_pool_file *entry = pool_entry(p, file);
    return entry->path[slot][0] != '\0' ? entry->path[slot] : NULL;
}

void td_crashpool_file_created(struct td_crashpool *p, uint32_t file, enum td_file_slot slot,
                               uint64_t dev, uint64_t ino)
{
    struct td_pool_file *entry = pool_entry(p, file);
    entry->dev[slot] = dev;
    atomic_store_explicit(&entry->ino[slot], ino, memory_order_release);
}

void td_crashpool_file_dead(struct td_crashpool *p, uint32_t file)
{
    atomic_store_explicit(&pool_entry(p, file)->state, TD_POOL_FILE_DEAD, memory_order_release);
}

void td_crashpool_file_remove(struct td_crashpool *p, uint32_t file)
{
    atomic_store_explicit(&pool_entry(p, file)->state, TD_POOL_FILE_FREE, memory_order_release);
    pool_lock(p);
    p->file_next[file] = p->free_file;
    p->free_file = file;
    assert(p->file_used > 0);
    p->file_used--;
    pool_unlock(p);
}

/* Under the lock: unlinks `count` buffers from the free list, or none. Returns the last one. */
static uint32_t pool_pop(struct td_crashpool *p, size_t count)
{
    if (count > p->buffer_count - p->used_count) {
        p->exhausted++;
        return TD_CRASHPOOL_NONE;
    }
    uint32_t last = p->free_buffer;
    for (size_t i = 1; i < count; i++) {
        last = p->next[last];
    }
    p->free_buffer = p->next[last];
    p->next[last] = TD_CRASHPOOL_NONE;
    p->used_count += (uint32_t)count;
    p->used_peak = p->used_count > p->used_peak ? p->used_count : p->used_peak;
    return last;
}

int td_crashpool_take(struct td_crashpool *p, uint32_t file, size_t count, uint32_t *ret_first)
{
    assert(count > 0);
    const struct td_pool_file *entry = pool_entry(p, file);
    pool_lock(p);
    uint32_t first = p->free_buffer;
    uint32_t last = pool_pop(p, count);
    uint64_t sequence = p->sequence;
    p->sequence += last != TD_CRASHPOOL_NONE ? count : 0;
    pool_unlock(p);
    if (last == TD_CRASHPOOL_NONE) {
        return TD_CRASHPOOL_EMPTY;
    }
    for (uint32_t i = first; i != TD_CRASHPOOL_NONE; i = p->next[i]) {
        struct td_pool_buffer *b = pool_buffer(p, i);
        b->file = file;
        b->file_generation = entry->generation;
        b->sequence = ++sequence;
        atomic_store_explicit(&b->published, 0, memory_order_relaxed);
        /* From here on recovery looks at it; it finds an empty one. */
        atomic_store_explicit(&b->state, TD_POOL_BUFFER_USED, memory_order_release);
    }
    *ret_first = first;
    return 0;
}

uint32_t td_crashpool_next(const struct td_crashpool *p, uint32_t buffer)
{
    assert(buffer < p->buffer_count);
    return p->next[buffer];
}

void td_crashpool_give(struct td_crashpool *p, uint32_t buffer)
{
    struct td_pool_buffer *b = pool_buffer(p, buffer);
    assert(atomic_load_explicit(&b->state, memory_order_relaxed) == TD_POOL_BUFFER_USED);
    atomic_store_explicit(&b->state, TD_POOL_BUFFER_FREE, memory_order_release);
    pool_lock(p);
    /* Last in, first out: the pages of this one are warm. */
    p->next[buffer] = p->free_buffer;
    p->free_buffer = buffer;
    assert(p->used_count > 0);
    p->used_count--;
    pool_unlock(p);
}

void td_crashpool_fill_init(struct td_crashpool_fill *f, const struct td_crashpool *p,
                            uint32_t buffer)
{
    *f = (struct td_crashpool_fill){.buffer = buffer};
    if (buffer != TD_CRASHPOOL_NONE && !p->anonymous) {
        f->seed = td_pool_seed(p->generation, pool_buffer(p, buffer)->sequence);
    }
}

int64_t td_crashpool_room(const struct td_crashpool_fill *f)
{
    int64_t used = (int64_t)f->used +
                   (int64_t)(f->count + 1u) * (int64_t)sizeof(struct td_pool_record);
    return (int64_t)TD_POOL_ROOM_BYTES - used;
}

size_t td_crashpool_record_max(void)
{
    return TD_POOL_ROOM_BYTES - sizeof(struct td_pool_record);
}

void td_crashpool_put(struct td_crashpool *p, struct td_crashpool_fill *f,
                      const struct td_file_op *op)
{
    assert((int64_t)op->len <= td_crashpool_room(f));
    struct td_pool_buffer *b = pool_buffer(p, f->buffer);
    uint8_t *data = pool_data(b) + f->used;
    struct td_pool_record *record = pool_record(b, f->count);
    if (op->len > 0) {
        memcpy(data, op->bytes, op->len);
    }
    *record = (struct td_pool_record){
        .kind = (uint8_t)op->kind,
        .slot = (uint8_t)op->file,
        .len = (uint32_t)op->len,
        .offset = op->offset,
    };
    /* Nobody ever reads the checksums of private memory. */
    record->crc = p->anonymous ? 0 : td_pool_crc(f->seed, record, data);
    f->used += (uint32_t)op->len;
    f->count++;
    atomic_store_explicit(&b->published, f->count, memory_order_release);
}

void td_crashpool_cursor_init(struct td_crashpool_cursor *c, const struct td_crashpool *p,
                              uint32_t buffer)
{
    const struct td_pool_buffer *b = pool_buffer(p, buffer);
    *c = (struct td_crashpool_cursor){
        .buffer = b,
        .count = atomic_load_explicit(&b->published, memory_order_acquire),
    };
}

bool td_crashpool_cursor_next(struct td_crashpool_cursor *c, struct td_file_op *ret_op)
{
    if (c->next == c->count) {
        return false;
    }
    const struct td_pool_record *record = pool_record(c->buffer, c->next);
    *ret_op = (struct td_file_op){
        .kind = record->kind,
        .file = record->slot,
        .offset = record->offset,
        .bytes = pool_data(c->buffer) + c->at,
        .len = record->len,
    };
    c->at += record->len;
    c->next++;
    return true;
}
